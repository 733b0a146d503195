//! Failure prediction (A4) on sessions of the simulated cluster that it was never taught: what the rules foresee by
//! themselves, and what is told where a model taught on other sessions speaks, by scenario and by pattern.

use crate::report::Report;
use kansole::analyze::failure::course::{ALL, courses, walk};
use kansole::analyze::failure::habitat;
use kansole::analyze::failure::learner::LEARNERS;
use kansole::analyze::failure::score::{Score, bursts, warned};
use kansole::analyze::failure::training::{Trained, learn};
use kansole::model::failure::{Drift, HORIZON, Past, PatternKind, STEPS};
use lessons::{Session, Use};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

#[path = "../../tests/failure/lessons.rs"]
pub mod lessons;
#[path = "../../tests/failure/session.rs"]
pub mod session;

/// Seeds that are taught, and seeds that are examined: `KANSOLE_EXAMINED=FROM..TO` takes others, such as those below 100 that
/// are for development.
pub const TAUGHT: std::ops::Range<u64> = 1..9;
#[allow(missing_docs)]
pub const EXAMINED: std::ops::Range<u64> = 102..105;

fn seeds() -> std::ops::Range<u64> {
    let Ok(wanted) = std::env::var("KANSOLE_EXAMINED") else { return EXAMINED };
    let ends = wanted.split_once("..").and_then(|(from, to)| Some((from.parse().ok()?, to.parse().ok()?)));
    let (from, to) = ends.unwrap_or_else(|| panic!("KANSOLE_EXAMINED={wanted}: two seeds are wanted, such as 1..5"));
    from..to
}

/// What it must reach: share foreseen, share right, seconds of warning.
const WANTED: (f64, f64, f64) = (0.9, 0.9, 120.0);

/// Seconds after a cause in which nobody can know of it: rates are over a minute, and pods take a scrape or two to be seen.
const BLIND: f64 = 60.0;

/// What the words mean, printed with the figures.
const WORDS: [(&str, &str); 3] = [
    (
        "an episode",
        "a workload is unhealthy or critical after 10 min in which it was not; foreseen: an alarm for it came in the 15 min \
         before",
    ),
    (
        "right",
        "a burst of alarms with an episode of the same workload within 15 min; what is said within an episode is not counted",
    ),
    (
        "foreseeable",
        "a scenario of which somebody may know before all of it has failed, marked before anything was run; each of its \
         episodes counts, also that of the service hit first",
    ),
];

/// Who raises alarms: the rules by themselves, and the model that may speak, which knows what the rules make of it.
const SPEAKERS: [&str; 2] = ["rules", "model"];

/// Scores of [`SPEAKERS`].
type Scores = [Score; 2];

/// What was found in one session, or in many.
#[derive(Default)]
pub struct Found {
    scores: Scores,
    /// What each rule told, by [`PatternKind::ALL`].
    rules: [Score; 4],
    /// What the model told of workloads of which each rule told as well.
    told: [Score; 4],
    /// Seconds from the first deed of the scenario to each episode.
    after: Vec<f64>,
    /// Episodes that began [`BLIND`] or more after that deed, and how many of these each of [`SPEAKERS`] foresaw.
    seen: usize,
    seen_by: [usize; 2],
    /// What the model cried for nothing: of whom, and how bad it became within the time of an alarm.
    wrong: Vec<String>,
}

/// Teaches a model and examines it; where none may speak, the rules are examined alone.
pub fn foreseen(report: &mut Report) {
    let pasts: Vec<Past> = recorded(lessons::taught(TAUGHT)).into_iter().map(|(past, _)| past).collect();
    let exam = recorded(lessons::examined(seeds()));
    let trained = match learn(&pasts, &LEARNERS, 1, &AtomicBool::new(false)) {
        Ok((trained, examined)) => {
            let said = format!("{}: {}; rules {}", examined.kind, brief(&examined.model), brief(&examined.rules));
            report.told("failure: back-test of the best learner", said);
            for (kind, score) in &examined.rivals {
                report.told("failure: back-test of a learner that lost", format!("{kind}: {}", brief(score)));
            }
            let said = format!("{:.3}; rules trusted by themselves {:?}", trained.threshold, trained.trusted);
            report.told("failure: its threshold", said);
            keep(report, &trained);
            Some(trained)
        }
        Err(why) => {
            report.told("failure: no learner may speak", why.to_string());
            None
        }
    };
    if let Some(trained) = &trained {
        strange(report, trained, &exam);
    }
    compare(report, exam, trained.as_ref());
}

/// Sessions on which nothing breaks: they are what was learned of calm times, on other days.
const CALM: [&str; 4] = ["harmless", "quiet-day", "cost-spike", "over-provisioned"];

/// Seconds between two looks at everything, as the watch keeps them for its drift.
const LOOKS: usize = 600;

/// Whether a model sees that a cluster is not the one that it learned (A10), and does not say so of calm days of its own.
fn strange(report: &mut Report, trained: &Trained, exam: &[(Past, Session)]) {
    let drift = |past: &Past| {
        let (every, learner) = (LOOKS / past.step.max(1) as usize, trained.learner());
        let (mut rows, mut like) = (Vec::new(), Vec::new());
        walk(
            past,
            |_, at| at % every == 0,
            |_, _, moment| {
                rows.extend(moment.enough().then(|| learner.row(moment)).into_iter().flatten());
                like.extend(habitat::row(moment.window, moment.sight.state).into_iter().flatten());
            },
        );
        trained.drift(&rows, &like)
    };
    let mut tell = |what: &str, limit: &str, pasts: Vec<&Past>, met: &dyn Fn(usize, usize) -> bool| {
        let drifts: Vec<Drift> = pasts.into_iter().filter_map(drift).collect();
        let silent = drifts.iter().filter(|d| d.silences().is_some()).count();
        let median = |of: &dyn Fn(&Drift) -> f64| {
            kansole::analyze::failure::trend::median(drifts.iter().map(of)).unwrap_or(f64::NAN)
        };
        let said = format!(
            "silent in {silent} of {}; medians: {:.0} % of the features moved, {} of {} sizes and speeds",
            drifts.len(),
            median(&Drift::share) * 100.0,
            median(&|d| d.moved.len() as f64),
            median(&|d| d.compared as f64)
        );
        report.judged(&format!("failure: drift, {what}"), said, limit, met(silent, drifts.len()));
    };
    let calm = exam.iter().filter(|(_, s)| CALM.contains(&s.name)).map(|(past, _)| past).collect();
    tell("calm days", "silent in none", calm, &|silent, _| silent == 0);
    let other = recorded(lessons::strange(seeds()));
    for name in lessons::STRANGE {
        let pasts = other.iter().filter(|(_, s)| s.name == name).map(|(past, _)| past).collect();
        tell(name, "silent in all", pasts, &|silent, all| silent == all);
    }
}

/// Writes the model where `KANSOLE_TAUGHT` says.
fn keep(report: &mut Report, trained: &Trained) {
    let Ok(path) = std::env::var("KANSOLE_TAUGHT") else { return };
    let bytes = trained.bytes().expect("a model can be written");
    std::fs::write(&path, &bytes).unwrap_or_else(|e| panic!("{path}: {e}"));
    report.told("failure: written", format!("{} bytes to {path}", bytes.len()));
}

/// Runs sessions, as many at once as there are cores, and gives what was recorded in their order.
fn recorded(sessions: Vec<Session>) -> Vec<(Past, Session)> {
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        while let Some((at, session)) =
            Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|i| Some((i, sessions.get(i)?)))
        {
            done.push((at, crate::recordings::of(session)));
        }
        done
    };
    let mut all: Vec<(usize, Past)> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        threads.into_iter().flat_map(|t| t.join().expect("a session ends")).collect()
    });
    all.sort_by_key(|(at, _)| *at);
    all.into_iter().map(|(_, past)| past).zip(sessions).collect()
}

/// Tells what everybody foresees in sessions, by scenario.
pub fn compare(report: &mut Report, sessions: Vec<(Past, Session)>, trained: Option<&Trained>) {
    let mut by_name: BTreeMap<&'static str, (Session, Found)> = BTreeMap::new();
    for (past, session) in sessions {
        let found = examine(&past, &session, trained);
        by_name.entry(session.name).or_insert_with(|| (session, Found::default())).1.add(&found);
    }
    tell(report, &by_name);
}

impl Found {
    fn add(&mut self, more: &Self) {
        let add = |sum: &mut [Score], more: &[Score]| sum.iter_mut().zip(more).for_each(|(sum, more)| sum.add(more));
        add(&mut self.scores, &more.scores);
        add(&mut self.rules, &more.rules);
        add(&mut self.told, &more.told);
        self.after.extend(&more.after);
        self.seen += more.seen;
        self.seen_by.iter_mut().zip(more.seen_by).for_each(|(sum, more)| *sum += more);
        self.wrong.extend(more.wrong.iter().cloned());
    }
}

/// What everybody foresees in one past.
pub fn examine(past: &Past, session: &Session, trained: Option<&Trained>) -> Found {
    let all = match trained {
        Some(trained) => trained.alarms(past),
        None => courses(past).into_iter().map(|c| (c.alarms(ALL), c)).map(|(alarms, c)| (c, alarms)).collect(),
    };
    let mut found = Found::default();
    for (course, model) in &all {
        let score = |alarms: &[bool]| Score::of(&course.states, alarms, course.step);
        let by_rules = course.alarms(ALL);
        found.scores[0].add(&score(&by_rules));
        found.scores[1].add(&score(model));
        let first = (past.from - session.start).as_seconds_f64() - session.cause;
        let ahead = (HORIZON.num_seconds() / i64::from(course.step.max(1))) as usize;
        for burst in bursts(&course.states, model, course.step).into_iter().filter(|b| !b.right) {
            let came = course.states[burst.first..].iter().take(ahead).flatten().max();
            let after = first + (burst.first + STEPS - 1) as f64 * f64::from(course.step);
            let came = came.map_or("not measured", |s| s.word());
            found.wrong.push(format!("{} {after:.0} s after the cause, which became {came}", course.key.name));
        }
        for (speaker, alarms) in [&by_rules, model].into_iter().enumerate() {
            for (begin, lead) in warned(&course.states, alarms, course.step) {
                let after = first + (begin + STEPS - 1) as f64 * f64::from(course.step);
                let visible = !(0.0..BLIND).contains(&after);
                found.seen_by[speaker] += usize::from(visible && lead.is_some());
                if speaker == 0 {
                    found.after.push(after);
                    found.seen += usize::from(visible);
                }
            }
        }
        for kind in 0..PatternKind::ALL.len() {
            let only = course.alarms(std::array::from_fn(|other| other == kind));
            let alone = score(&only);
            if !alone.leads.is_empty() {
                found.told[kind].add(&score(model));
            }
            found.rules[kind].add(&alone);
        }
    }
    found
}

fn tell(report: &mut Report, by_name: &BTreeMap<&'static str, (Session, Found)>) {
    let groups: [(&str, &dyn Fn(&Session) -> bool); 3] = [
        ("foreseeable, seeds never taught", &|s| s.foreseeable && s.used == Use::Taught),
        ("foreseeable, scenarios never taught", &|s| s.foreseeable && s.used == Use::HeldOut),
        ("abrupt or harmless: nobody could know", &|s| !s.foreseeable),
    ];
    for (word, meaning) in WORDS {
        report.told(&format!("failure: {word}"), meaning);
    }
    let (mut foreseeable, mut all) = (Found::default(), Found::default());
    for (title, belongs) in groups {
        let mut sum = Found::default();
        for (name, (session, found)) in by_name.iter().filter(|(_, (s, _))| belongs(s)) {
            let after = kansole::analyze::failure::trend::median(found.after.iter().copied().filter(|s| *s >= 0.0));
            let after = after.map_or(String::new(), |s| format!("; from cause to failure {s:.0} s"));
            report.told(&format!("failure: {name}"), words(&found.scores) + &after);
            for wrong in &found.wrong {
                report.told(&format!("failure: {name}, cried for nothing"), wrong.as_str());
            }
            sum.add(found);
            if session.foreseeable {
                foreseeable.add(found);
            }
        }
        report.told(&format!("failure: all {title}"), words(&sum.scores));
        all.add(&sum);
    }
    report.told("failure: everything", words(&all.scores));
    for (speaker, score) in SPEAKERS.iter().zip(&foreseeable.scores) {
        let (recall, precision) = (score.recall().unwrap_or(0.0), score.precision().unwrap_or(0.0));
        let limit = format!("recall {}, precision {}", WANTED.0, WANTED.1);
        report.judged(
            &format!("failure: foreseeable, {speaker}"),
            brief(score),
            &limit,
            recall >= WANTED.0 && precision >= WANTED.1,
        );
    }
    let share = |n: usize| format!("{n}/{} ({:.0} %)", foreseeable.seen, 100.0 * n as f64 / foreseeable.seen as f64);
    let [rules, model] = foreseeable.seen_by.map(share);
    report.told(
        &format!("failure: foreseeable, of episodes {BLIND:.0} s or more after their cause"),
        format!("rules {rules}; model {model}"),
    );
    for (kind, (rules, told)) in PatternKind::ALL.iter().zip(foreseeable.rules.iter().zip(&foreseeable.told)) {
        let figure = format!("failure: lead of a {}", kind.title());
        let lead = |s: &Score| s.lead().map_or("-".to_owned(), |l| format!("{l:.0} s"));
        let said =
            format!("by its rule {}; the same told by the model {} (n={})", lead(rules), lead(told), rules.leads.len());
        if matches!(kind, PatternKind::MemoryLeak | PatternKind::ResourceExhaustion) {
            let met = told.lead().is_some_and(|l| l >= WANTED.2);
            report.judged(&figure, said, &format!("{} s", WANTED.2), met);
        } else {
            report.told(&figure, said);
        }
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
