use super::*;
use crate::analyze::failure::learner::Woods;
use crate::model::failure::{Fact, Record};
use crate::model::object::{WorkloadKey, WorkloadKind};
use crate::model::series::Signal;
use std::sync::atomic::AtomicBool;

/// Numbers in 0..1 that look random (SplitMix64's finaliser).
fn noise(i: usize) -> f32 {
    let mut x = (i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((x ^ (x >> 31)) >> 40) as f32 / (1u64 << 24) as f32
}

/// A workload whose containers are killed now and then; if it `tells`, its requests sink some minutes before. No rule
/// knows that.
fn foretold(name: &str, slots: usize, seed: usize, tells: bool) -> Record {
    let key = WorkloadKey::new("shop", WorkloadKind::Deployment, name);
    let mut r = Record {
        key,
        signals: std::array::from_fn(|_| vec![f32::NAN; slots]),
        facts: std::array::from_fn(|_| vec![f32::NAN; slots]),
    };
    // What says nothing is always the same, so that nobody sees signs in noise.
    let wobble = if tells { 0.05 } else { 0.0 };
    // So rarely that who always cries is mostly wrong.
    let often = if tells { 1.0 / 90.0 } else { 1.0 / 250.0 };
    let killed = |slot: usize| noise(slot * 13 + seed * 100_003) < often;
    for i in 0..slots {
        let sinks = if tells && (i..i + 20).any(killed) { 0.6 } else { 1.0 };
        r.signals[Signal::RequestRate as usize][i] = 50.0 * sinks * (1.0 + wobble * noise(i * 7 + seed));
        r.signals[Signal::ErrorRate as usize][i] = 0.02 * wobble * noise(i * 3 + seed);
        r.signals[Signal::Memory as usize][i] = 1e8;
        r.signals[Signal::Cpu as usize][i] = 0.1;
        for (fact, value) in [(Fact::MemoryLimit, 4e8), (Fact::CpuLimit, 1.0), (Fact::Pods, 2.0), (Fact::Desired, 2.0)]
        {
            r.facts[fact as usize][i] = value;
        }
        r.facts[Fact::Ready as usize][i] = 2.0;
        r.facts[Fact::Restarts as usize][i] = if killed(i) { 1.0 } else { 0.0 };
    }
    r
}

fn past(records: usize, slots: usize, tells: bool) -> Past {
    Past {
        from: chrono::DateTime::from_timestamp(1_700_000_100 / 15 * 15, 0).unwrap(),
        step: 15,
        slots,
        records: (0..records).map(|i| foretold(&format!("w{i}"), slots, i, tells)).collect(),
        calls: Vec::new(),
        found: Vec::new(),
    }
}

fn no() -> AtomicBool {
    AtomicBool::new(false)
}

#[test]
fn what_foretells_a_failure_is_learned_speaks_explains_itself_and_survives_a_file() {
    let whole = past(10, 800, true);
    let (trained, examined) = learn(std::slice::from_ref(&whole), &[&Woods], 1, &no()).unwrap();
    assert!(examined.model.f1() > 0.8 && examined.rules.f1() == 0.0, "{examined:?}");
    assert!(examined.model.lead().unwrap() >= 120.0, "{:?}", examined.model.lead());
    let told = trained.alarms(&whole)[0].1.iter().position(|a| *a).unwrap();
    let at_that_moment = |trained: &Trained| {
        let mut said = None;
        walk(&whole, |record, at| (record, at) == (0, told), |_, _, moment| said = trained.foresee(moment));
        said
    };
    let foreseen = at_that_moment(&trained).unwrap();
    assert!(foreseen.alarm && (foreseen.probabilities.iter().sum::<f64>() - 1.0).abs() < 1e-6);
    let first: Vec<&str> = foreseen.why.iter().take(3).map(|m| &*m.feature).collect();
    assert!(first.iter().any(|f| f.starts_with("request")), "{first:?}");
    let bytes = trained.bytes().unwrap();
    assert!(Trained::load(b"nonsense").is_err() && Trained::load(&bytes[..bytes.len() / 2]).is_err());
    let again = Trained::load(&bytes).unwrap();
    let read_back = at_that_moment(&again).unwrap();
    // A number that is read back may differ in its last bit.
    let apart = |a: &Foreseen, b: &Foreseen| (a.failure() - b.failure()).abs();
    assert!(apart(&read_back, &foreseen) < 1e-9 && read_back.alarm, "{read_back:?} against {foreseen:?}");
    assert_eq!(read_back.why.first().map(|m| &m.feature), foreseen.why.first().map(|m| &m.feature));
    let (same, _) = learn(std::slice::from_ref(&whole), &[&Woods], 1, &no()).unwrap();
    assert_eq!(same.bytes(), trained.bytes(), "the same past and seed give the same model");
}

#[test]
fn nothing_speaks_without_failures_skill_or_leave() {
    let need = |pasts: &[Past]| learn(pasts, &[&Woods], 1, &no()).map(|(_, found)| found).unwrap_err().to_string();
    assert!(need(&[]).starts_with("not trained: 0 failures"));
    assert!(need(&[past(1, 300, true)]).contains("at least 8, 4 and 4 are needed"));
    let unforeseeable = past(12, 700, false);
    assert!(need(std::slice::from_ref(&unforeseeable)).contains("alarms were right on its back-test"));
    let cancelled = learn(std::slice::from_ref(&unforeseeable), &[&Woods], 1, &AtomicBool::new(true)).err().unwrap();
    assert!(cancelled.to_string().contains("cancelled"));
    let other = Past { step: 30, ..unforeseeable.clone() };
    assert!(need(&[unforeseeable, other]).contains("different steps"));
}

#[test]
fn what_is_learned_from_is_bounded_drawn_by_the_seed_and_keeps_what_is_rare() {
    assert_eq!(shares([800, 100, 50, 0], 10_000), [0.25, 1.0, 1.0, 0.0], "little is there: nothing is lost");
    // A large cluster: a fifth of the rows for each other state, all there are of the rare one, calm takes the rest.
    let all = shares([1_000_000, 40_000, 20_000, 50], 10_000);
    assert_eq!(&all[1..], [0.05, 0.1, 1.0]);
    assert!((all[0] - 5_950.0 / 1_000_000.0).abs() < 1e-9, "{all:?}");
    let past = past(6, 300, true);
    let labels = [states(&past)];
    let few = |seed: u64| examples(std::slice::from_ref(&past), &labels, &Few, seed);
    let (rows, states) = few(1);
    assert!((60..=140).contains(&states.len()), "{} of about 100", states.len());
    assert_eq!(rows.len(), states.len() * Woods.columns().len());
    let bits = |rows: &[f64]| rows.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&few(1).0), bits(&rows), "the same seed draws the same");
    assert_ne!(bits(&few(2).0), bits(&rows));
}

/// A learner that takes a hundred rows.
struct Few;

impl Learner for Few {
    fn kind(&self) -> &'static str {
        Woods.kind()
    }

    fn columns(&self) -> Vec<String> {
        Woods.columns()
    }

    fn row(&self, moment: &Moment) -> Vec<f64> {
        Woods.row(moment)
    }

    fn most(&self) -> usize {
        100
    }

    fn fit(
        &self,
        rows: &[f64],
        states: &[State],
        seed: u64,
        overseer: &dyn Overseer,
    ) -> Result<Box<dyn Model>, String> {
        Woods.fit(rows, states, seed, overseer)
    }

    fn load(&self, bytes: &[u8]) -> Result<Box<dyn Model>, String> {
        Woods.load(bytes)
    }
}

#[test]
fn a_rule_whose_word_was_good_needs_no_leave_and_one_that_cries_wolf_does() {
    let calm = || vec![Some(State::Healthy); 400];
    let heard = |failures: &[usize], raised: [&[usize]; 2]| {
        let mut states = calm();
        for at in failures {
            states[*at] = Some(State::Critical);
        }
        let mut rules = vec![[false; 4]; 400];
        for (rule, at) in raised.iter().enumerate() {
            for at in *at {
                rules[*at][rule] = true;
            }
        }
        let key = WorkloadKey::new("shop", WorkloadKind::Deployment, "cart");
        Heard { course: Course { key, step: 15, states, raised: rules }, said: vec![0.0; 400] }
    };
    let all: Vec<Heard> = (0..20).map(|_| heard(&[100], [&[80], &[80, 240]])).collect();
    assert_eq!(trusted(&all), [true, false, false, false]);
    assert_eq!(all[0].alarms(0.5, trusted(&all)).iter().filter(|a| **a).count(), 1);
    assert_eq!(trusted(&all[..19]), [false; 4], "a dozen and a half prove nothing");
}

#[test]
fn another_cluster_is_noticed_and_the_one_that_was_learned_is_not() {
    let (trained, _) = example();
    let look = |trained: &Trained, past: &Past| {
        let (mut rows, mut like) = (Vec::new(), Vec::new());
        walk(
            past,
            |_, at| at % 40 == 0,
            |_, _, moment| {
                rows.extend(trained.learner().row(moment));
                like.extend(habitat::row(moment.window, moment.sight.state).into_iter().flatten());
            },
        );
        trained.drift(&rows, &like).expect("enough is measured to compare")
    };
    let home = past(10, 800, true);
    let same = look(&trained, &home);
    assert_eq!((same.silences(), same.moved.len()), (None, 0), "{same:?}");
    let mut away = home.clone();
    let sizes = [Signal::Memory, Signal::Cpu, Signal::RequestRate];
    for record in &mut away.records {
        let used = sizes.iter().map(|s| *s as usize);
        used.for_each(|signal| record.signals[signal].iter_mut().for_each(|v| *v *= 6.0));
        for fact in [Fact::MemoryLimit, Fact::CpuLimit] {
            record.facts[fact as usize].iter_mut().for_each(|v| *v *= 6.0);
        }
    }
    let strange = look(&trained, &away);
    assert_eq!(strange.share(), 0.0, "by what the model looks at it is the same: {strange:?}");
    let why = strange.silences().expect("it is another cluster").to_string();
    assert!(why.starts_with("another cluster") && why.contains("memory of a pod"), "{why}");
    let again = Trained::load(&trained.bytes().unwrap()).unwrap();
    assert_eq!(look(&again, &away), strange, "the file keeps what it learned in");
}

/// A model that may speak.
pub(crate) fn example() -> (Trained, Examined) {
    learn(&[past(10, 800, true)], &[&Woods], 1, &no()).expect("what tells can be learned")
}
