//! The fault storm: a thousand actions from a seed, each through an API server that is slow, busy, broken or gone, watched by
//! sources that go stale, with a journal whose disk fills up and a program that is killed at any step. Whatever happens:
//! nothing is applied twice, no write comes before its durable intent or without a permit, nothing is judged well from stale
//! data, nobody else's change is written over, the kill switch holds, and the journal verifies.

use super::*;
use crate::execute::resume;
use crate::knowledge::Journal;
use crate::model::journal::{Ledger, LedgerError, Record};
use crate::model::snapshot::SourceState;
use std::collections::HashSet;
use std::sync::Mutex;
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;

/// Rounds of one test run; `KANSOLE_STORM=10000` takes more, `KANSOLE_STORM_SEED=7` one of them alone.
const ROUNDS: u64 = 1000;
/// Starts of the program within one round; the last ones have fine weather, so that every round ends.
const LIVES: usize = 8;
const CALM: usize = 5;
const FOREIGN: &str = "1Gi";

/// Numbers that follow from a seed (SplitMix64).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    /// True once in `n`.
    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

/// What server, ledger and test share about one round.
#[derive(Default)]
struct Shared {
    /// Durable intents that no write has followed yet, by path.
    intents: HashMap<String, u32>,
    /// Objects whose limit somebody else has set.
    foreign: HashSet<String>,
    /// Requests or entries until the program is killed, and whom that ends.
    kill_in: Option<u64>,
    victim: Option<AbortHandle>,
    /// The kill switch was pulled before the last look at a target.
    pulled: bool,
    /// The disk is full for so many entries from now on.
    full_for: u64,
    calm: bool,
    wrong: Vec<String>,
    kills: u64,
}

impl Shared {
    /// Counts one step towards the kill; true: the program is dead now.
    fn step(&mut self) -> bool {
        match self.kill_in.as_mut() {
            Some(0) => {
                self.kill_in = None;
                self.kills += 1;
                if let Some(victim) = &self.victim {
                    victim.abort();
                }
                true
            }
            Some(n) => {
                *n -= 1;
                false
            }
            None => false,
        }
    }
}

/// A real journal on a disk that fills up, in a program that may die right after a durable write.
struct Disk {
    journal: Arc<Journal>,
    shared: Arc<Mutex<Shared>>,
}

impl Ledger for Disk {
    fn record(&self, record: Record) -> Result<u64, LedgerError> {
        self.journal.append(record)
    }

    fn record_item(&self, record: Record, item: &QueueItem) -> Result<u64, LedgerError> {
        let mut shared = self.shared.lock().unwrap();
        if shared.full_for > 0 && !shared.calm {
            shared.full_for -= 1;
            return Err(LedgerError { path: "journal".into(), why: "database or disk is full".into() });
        }
        let intent = matches!(record.kind, Kind::Intent | Kind::RevertIntent);
        let target = record.payload["target"].as_str().unwrap_or_default().to_owned();
        let seq = self.journal.append_with_item(record, item)?;
        if intent {
            *shared.intents.entry(target).or_default() += 1;
        }
        shared.step();
        Ok(seq)
    }
}

/// The API server's weather: decides about each request and notes what must never be.
fn weather(stage: &Stage, shared: &Arc<Mutex<Shared>>, mut dice: Dice) {
    let (shared, kill) = (shared.clone(), stage.kill.clone());
    let mut down_for = 0;
    stage.server.0.lock().unwrap().weather = Some(Box::new(move |line, objects| {
        let mut shared = shared.lock().unwrap();
        let write = !line.starts_with("GET ") && !line.contains("dryRun=All");
        let path = line.split([' ', '?']).nth(1).unwrap_or_default().to_owned();
        if write {
            if shared.pulled {
                shared.wrong.push(format!("a write with the kill switch on: {line}"));
            }
            match shared.intents.get_mut(&path) {
                Some(n) if *n > 0 => *n -= 1,
                _ => shared.wrong.push(format!("a write without a durable intent: {line}")),
            }
        }
        let delay = if dice.one_in(12) { Duration::from_millis(dice.below(25_000)) } else { Duration::ZERO };
        if shared.step() {
            return (Mishap::Hang { done: dice.one_in(2) }, Duration::ZERO);
        }
        if shared.calm {
            return (Mishap::None, Duration::ZERO);
        }
        if down_for > 0 {
            down_for -= 1;
            return (Mishap::LoseRequest, delay);
        }
        if !write && path.contains("/deployments/") && dice.one_in(40) {
            kill.set(true);
            shared.pulled = true;
        }
        let mishap = match dice.below(if write { 12 } else { 30 }) {
            0 => Mishap::Refuse(429, "too many requests"),
            1 => Mishap::Refuse(500, "etcdserver: request timed out"),
            2 => Mishap::Refuse(503, "the server is starting"),
            3 => Mishap::Refuse(410, "too old resource version"),
            4 => Mishap::LoseAnswer,
            5 => Mishap::Hang { done: dice.one_in(2) },
            6 => {
                down_for = dice.below(6);
                Mishap::LoseRequest
            }
            7 if write && objects.contains_key(&path) => {
                shared.foreign.insert(path);
                Mishap::Race(LIMIT, json!(FOREIGN))
            }
            8 if write => Mishap::Refuse(409, "the object has been modified"),
            9 if write && objects.contains_key(&path) => Mishap::Race("/status/availableReplicas", json!(2)),
            _ => Mishap::None,
        };
        (mishap, delay)
    }));
}

/// What the loop's picture is like.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Sky {
    Fine,
    /// Pictures stop coming after so many seconds.
    StaleFrom(i64),
    /// They come, and are old: the watch is silently dead.
    OldFrom(i64),
    /// Prometheus is gone.
    NoMetrics,
    /// Prometheus says that nothing fails and nothing runs.
    LyingZero,
}

fn sky(stage: &Stage, dice: &mut Dice, trigger: Option<Arc<Finding>>) -> Sky {
    let sky = match dice.below(8) {
        0 => Sky::StaleFrom(dice.below(700) as i64),
        1 => Sky::OldFrom(dice.below(700) as i64),
        2 => Sky::NoMetrics,
        3 => Sky::LyingZero,
        _ => Sky::Fine,
    };
    let (worlds, clock) = (stage.worlds.clone(), stage.deps.clock.clone());
    tokio::spawn(async move {
        loop {
            let now = clock();
            let since = (now - t0()).num_seconds();
            let mut shown = snapshot(now, healed());
            match sky {
                Sky::StaleFrom(s) if since >= s => return worlds.closed().await,
                Sky::OldFrom(s) if since >= s => {
                    shown = snapshot(t0() + TimeDelta::seconds(s), healed());
                    shown.taken = now;
                }
                Sky::NoMetrics => {
                    shown.metrics.state = SourceState::Failed { since: t0(), last: None, why: "refused".into() };
                }
                Sky::LyingZero => shown.metrics.workloads = Arc::new(HashMap::from([(cart(), zeros(now))])),
                _ => {}
            }
            if worlds.send((Arc::new(shown), trigger.iter().cloned().collect())).is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
    sky
}

fn zeros(now: Timestamp) -> Arc<crate::model::snapshot::WorkloadMetrics> {
    use crate::model::reading::Reading;
    let series = || crate::model::series::Series::new(15, TimeDelta::hours(1));
    let zero = Reading::Zero { at: now };
    Arc::new(crate::model::snapshot::WorkloadMetrics {
        now: std::array::from_fn(|_| zero.clone()),
        history: std::array::from_fn(|_| series()),
    })
}

/// Something that must keep the guard from giving a permit, in one round of three.
fn doubt(case: &mut Case, dice: &mut Dice) -> bool {
    let old = SourceState::Live { last: t0() - TimeDelta::seconds(61 + dice.below(600) as i64) };
    match dice.below(24) {
        0 => case.snapshot.api.state = old,
        1 => {
            let mut sources = case.snapshot.sources.to_vec();
            sources[0].state = old;
            case.snapshot.sources = sources.into();
        }
        2 => case.snapshot.api.state = SourceState::Failed { since: t0(), last: None, why: "refused".into() },
        3 => case.killed = Some("file"),
        4 => case.read_only = Some("the journal is held by another kansole"),
        5 => case.findings.clear(),
        6 => (case.actor, case.snapshot.api.clock_skew_s) = (Actor::Auto, Some(45.0)),
        7 => (case.actor, case.paused) = (Actor::Auto, true),
        _ => return false,
    }
    true
}

/// Waits until nobody else holds the journal: what a killed program had begun to write ends by itself.
async fn alone(journal: Arc<Journal>) -> Journal {
    let mut journal = journal;
    loop {
        match Arc::try_unwrap(journal) {
            Ok(own) => return own,
            Err(shared) => journal = shared,
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// How a round ended.
struct Round {
    word: &'static str,
    kills: u64,
    writes: usize,
}

/// One action in a storm. The error says which promise was broken.
async fn round(seed: u64) -> Result<Round, String> {
    let mut dice = Dice(seed);
    let names: Vec<String> = (0..=dice.below(3)).map(|n| format!("d{n}")).collect();
    let mut case = Case::new(names.iter().map(|n| raise_step(n)).collect());
    case.actor = if dice.one_in(2) { Actor::Auto } else { Actor::Person };
    let doubtful = doubt(&mut case, &mut dice);
    let by = if case.actor == Actor::Auto { AUTO } else { "ann@box" };
    let stage = Stage::new(Server::with(names.iter().map(|n| named(n, "128Mi"))));
    let shared = Arc::new(Mutex::new(Shared::default()));
    weather(&stage, &shared, Dice(dice.next()));
    let trigger = dice.one_in(4).then(|| case.findings.first().cloned()).flatten();
    let sky = sky(&stage, &mut dice, trigger);
    tokio::task::yield_now().await;

    let mut guard = Guard::new(settings::Guard::default(), GuardHistory::default());
    let permit = guard.permit(&case.request(), approval(&case.item, by));
    let mut permit = match (permit, doubtful) {
        (Err(_), true) => {
            let sent = stage.server.writes();
            return if sent.is_empty() {
                Ok(Round { word: "not permitted", kills: 0, writes: 0 })
            } else {
                Err(format!("no permit, and yet {sent:?}"))
            };
        }
        (Ok(permit), false) => Some(permit),
        (Ok(_), true) => return Err("a permit in spite of doubt".into()),
        (Err(why), false) => return Err(format!("no permit: {why:?}")),
    };
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal.db");
    for life in 0..LIVES {
        stage.kill.set(false);
        {
            let mut s = shared.lock().unwrap();
            (s.pulled, s.calm) = (false, life >= CALM);
            s.kill_in = (life < CALM && dice.one_in(2)).then(|| dice.below(24));
            s.full_for = if dice.one_in(6) { dice.below(4) } else { 0 };
        }
        let journal = Arc::new(Journal::open(&path).map_err(|e| format!("life {life}: {e}"))?);
        if Journal::open(&path).is_ok() {
            return Err("two writers of one journal".into());
        }
        let deps = Deps {
            ledger: Arc::new(Disk { journal: journal.clone(), shared: shared.clone() }),
            cancel: CancellationToken::new(),
            ..stage.deps.clone()
        };
        let task = if let Some(permit) = permit.take() {
            tokio::spawn(run(permit, deps))
        } else {
            let Some(item) = journal.in_flight().map_err(|e| e.to_string())?.pop() else { break };
            (case.item, case.actor, case.now) = (item, Actor::Person, stage.now());
            (case.killed, case.read_only) = (None, None);
            case.snapshot = snapshot(stage.now(), healed());
            let leave = guard.permit_resume(&case.request()).map_err(|e| format!("not taken up: {e:?}"))?;
            tokio::spawn(resume(leave, deps))
        };
        shared.lock().unwrap().victim = Some(task.abort_handle());
        match task.await {
            Ok(_) => {}
            Err(e) if e.is_cancelled() => {}
            Err(e) => return Err(format!("life {life}: {e}")),
        }
        let journal = alone(journal).await;
        journal.verify().map_err(|e| format!("life {life}: {e}"))?;
    }
    let journal = Journal::open(&path).map_err(|e| e.to_string())?;
    let in_flight = journal.in_flight().map_err(|e| e.to_string())?;
    if !in_flight.is_empty() {
        return Err(format!("still in flight after {LIVES} starts: {:?}", in_flight[0].state));
    }
    // What the journal holds is what the next start would know; a program killed after its last entry gave nothing back.
    let last = journal.items(1).map_err(|e| e.to_string())?.pop();
    judge(&stage, &names, &shared.lock().unwrap(), last.as_ref(), sky)
}

/// Holds the end of a round against the promises.
fn judge(
    stage: &Stage,
    names: &[String],
    shared: &Shared,
    last: Option<&QueueItem>,
    sky: Sky,
) -> Result<Round, String> {
    if let Some(wrong) = shared.wrong.first() {
        return Err(wrong.clone());
    }
    let applied = stage.server.0.lock().unwrap().applied.clone();
    let set_to = |body: &Value| body.as_array().and_then(|ops| ops.last()).map(|op| op["value"].clone());
    let word = last.map_or("killed before anything", |i| i.state.word());
    for name in names {
        let path = format!("/apis/apps/v1/namespaces/shop/deployments/{name}");
        let values: Vec<Value> = applied.iter().filter(|(p, _)| *p == path).filter_map(|(_, b)| set_to(b)).collect();
        if !["[]", r#"["256Mi"]"#, r#"["256Mi","128Mi"]"#].contains(&json!(values).to_string().as_str()) {
            return Err(format!("{name} was applied twice: {values:?}"));
        }
        let now = memory(&stage.server, name);
        if shared.foreign.contains(&path) {
            if now != FOREIGN {
                return Err(format!("{name}: somebody else's {FOREIGN} became {now}"));
            }
            continue;
        }
        let right = match word {
            "effective" | "neutral" => now == "256Mi",
            "reverted" | "refused" | "failed" | "superseded" | "killed before anything" => now == "128Mi",
            _ => true,
        };
        if !right {
            return Err(format!("{word}, and {name} has {now}: {:?}", last.map(|i| &i.story)));
        }
    }
    if let Sky::StaleFrom(s) | Sky::OldFrom(s) = sky
        && matches!(word, "effective" | "neutral")
        && let Some(judged) = last.and_then(|i| i.outcome.as_ref())
        && (judged.at - t0()).num_seconds() > s + 61
    {
        return Err(format!("judged {word} from data that was {} s old", (judged.at - t0()).num_seconds() - s));
    }
    Ok(Round { word, kills: shared.kills, writes: applied.len() })
}

#[test]
fn a_thousand_actions_in_a_storm_keep_every_promise() {
    let number = |name: &str| std::env::var(name).ok().and_then(|v| v.parse::<u64>().ok());
    let one = number("KANSOLE_STORM_SEED");
    let seeds = one.map_or(0..number("KANSOLE_STORM").unwrap_or(ROUNDS), |s| s..s + 1);
    let (mut words, mut kills, mut writes) = (std::collections::BTreeMap::<&str, u32>::new(), 0, 0);
    for seed in seeds {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        match runtime.block_on(round(seed)) {
            Ok(r) => {
                *words.entry(r.word).or_default() += 1;
                (kills, writes) = (kills + r.kills, writes + r.writes);
            }
            Err(why) => panic!("KANSOLE_STORM_SEED={seed}: {why}"),
        }
    }
    println!("{words:?}, killed {kills} times, {writes} changes of the cluster");
    if one.is_none() {
        // A storm in which nothing ever succeeds, fails or dies would prove nothing.
        for word in ["effective", "reverted", "failed", "refused", "handed over", "not permitted"] {
            assert!(words.contains_key(word), "{word} never came about: {words:?}");
        }
        assert!(kills > 100, "killed only {kills} times");
    }
}
