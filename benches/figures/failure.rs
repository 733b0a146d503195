//! Failure prediction (A4) on sessions of the simulated cluster that it was never taught: what the rules foresee, what a
//! model taught on other sessions foresees, and both together, by scenario.

use crate::report::Report;
use kansole::analyze::failure::course::{Course, courses};
use kansole::analyze::failure::learner::LEARNERS;
use kansole::analyze::failure::score::Score;
use kansole::analyze::failure::training::{Trained, learn, total};
use kansole::model::failure::Past;
use lessons::{Session, Use};
use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;

#[path = "../../tests/failure/lessons.rs"]
pub mod lessons;
#[path = "../../tests/failure/session.rs"]
pub mod session;

/// Seeds that are taught, and seeds that are examined.
pub const TAUGHT: std::ops::Range<u64> = 1..5;
#[allow(missing_docs)]
pub const EXAMINED: std::ops::Range<u64> = 1..3;

/// What it must reach: share foreseen, share right, seconds of warning.
const WANTED: (f64, f64, f64) = (0.9, 0.9, 120.0);

/// Who raises alarms.
const SPEAKERS: [&str; 3] = ["rules", "model", "both"];

/// Scores of [`SPEAKERS`] in one session, or in many.
type Scores = [Score; 3];

/// Teaches a model and examines it; where none may speak, the rules are examined alone.
pub fn foreseen(report: &mut Report) {
    let pasts: Vec<Past> = lessons::taught(TAUGHT).iter().map(session::record).collect();
    let trained = match learn(&pasts, &LEARNERS, 1, &AtomicBool::new(false)) {
        Ok((trained, examined)) => {
            let said = format!("{}: model {}; rules {}", examined.kind, brief(&examined.model), brief(&examined.rules));
            report.told("failure: taught on seeds of its own", said);
            Some(trained)
        }
        Err(why) => {
            report.told("failure: taught on seeds of its own, but silent", why.to_string());
            None
        }
    };
    compare(report, unseen(), trained.as_ref());
}

/// Sessions that were never taught.
fn unseen() -> impl Iterator<Item = (Past, Session)> {
    lessons::examined(EXAMINED).into_iter().map(|s| (session::record(&s), s))
}

/// Tells what everybody foresees in sessions, by scenario.
pub fn compare(report: &mut Report, sessions: impl Iterator<Item = (Past, Session)>, trained: Option<&Trained>) {
    let mut by_name: BTreeMap<&'static str, (Session, Scores)> = BTreeMap::new();
    for (past, session) in sessions {
        let scores = examine(&past, trained);
        add(&mut by_name.entry(session.name).or_insert_with(|| (session, Scores::default())).1, &scores);
    }
    tell(report, &by_name);
}

fn add(sum: &mut Scores, more: &Scores) {
    sum.iter_mut().zip(more).for_each(|(sum, more)| sum.add(more));
}

/// What everybody foresees in one past.
pub fn examine(past: &Past, trained: Option<&Trained>) -> Scores {
    let learner = trained.map_or(LEARNERS[0], Trained::learner);
    let courses = courses(past, learner);
    let said: Vec<Vec<bool>> = courses.iter().map(|c| trained.map_or_else(Vec::new, |t| t.alarms(c))).collect();
    let by = |alarm: &dyn Fn(usize, &Course, usize) -> bool| {
        let mut sum = Score::default();
        for (i, course) in courses.iter().enumerate() {
            sum.add(&total(std::slice::from_ref(course), |c, slot| alarm(i, c, slot)));
        }
        sum
    };
    let model = |i: usize, slot: usize| said[i].get(slot).copied().unwrap_or(false);
    [by(&|_, c, s| c.alarms[s]), by(&|i, _, s| model(i, s)), by(&|i, c, s| c.alarms[s] || model(i, s))]
}

fn tell(report: &mut Report, by_name: &BTreeMap<&'static str, (Session, Scores)>) {
    let groups: [(&str, &dyn Fn(&Session) -> bool); 3] = [
        ("foreseeable, seeds never taught", &|s| s.foreseeable && s.used == Use::Taught),
        ("foreseeable, scenarios never taught", &|s| s.foreseeable && s.used == Use::HeldOut),
        ("abrupt or harmless: nobody could know", &|s| !s.foreseeable),
    ];
    let mut foreseeable = Scores::default();
    for (title, belongs) in groups {
        let mut sum = Scores::default();
        for (name, (session, scores)) in by_name.iter().filter(|(_, (s, _))| belongs(s)) {
            report.told(&format!("failure: {name}"), words(scores));
            add(&mut sum, scores);
            if session.foreseeable {
                add(&mut foreseeable, scores);
            }
        }
        report.told(&format!("failure: all {title}"), words(&sum));
    }
    let all = by_name.values().fold(Scores::default(), |mut sum, (_, scores)| {
        add(&mut sum, scores);
        sum
    });
    report.told("failure: everything", words(&all));
    for (speaker, score) in SPEAKERS.iter().zip(&foreseeable) {
        let (recall, precision) = (score.recall().unwrap_or(0.0), score.precision().unwrap_or(0.0));
        let met = recall >= WANTED.0 && precision >= WANTED.1 && score.lead().is_some_and(|l| l >= WANTED.2);
        let limit = format!("recall {}, precision {}, {} s", WANTED.0, WANTED.1, WANTED.2);
        report.judged(&format!("failure: foreseeable, {speaker}"), brief(score), &limit, met);
    }
}

/// A score in a line.
pub fn brief(s: &Score) -> String {
    let share = |v: Option<f64>| v.map_or("-".to_owned(), |v| format!("{:.0} %", v * 100.0));
    let lead = s.lead().map_or("-".to_owned(), |l| format!("{l:.0} s"));
    format!(
        "{}/{} foreseen ({}), {}/{} right ({}), lead {lead}",
        s.leads.len(),
        s.episodes,
        share(s.recall()),
        s.hits,
        s.bursts,
        share(s.precision())
    )
}

fn words(scores: &Scores) -> String {
    SPEAKERS.iter().zip(scores).map(|(who, score)| format!("{who} {}", brief(score))).collect::<Vec<_>>().join("; ")
}
