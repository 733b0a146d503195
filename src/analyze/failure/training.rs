//! Learns from labelled pasts, and decides who may speak.
//!
//! Pasts are split by time. A learner learns from the first half. On the quarter after it the rules whose alarms are right
//! are trusted, and the threshold is chosen that foresees most episodes (as `score` counts them) while its alarms, with theirs,
//! are right more often than is asked of them later: what was chosen looks better where it was chosen. Then it is examined on the
//! last quarter, by which nothing was chosen. The best learner is kept, and only if it beats the rules. What is kept is what
//! was examined: it is not fitted again to everything, because a threshold holds for the model that it was chosen for.

use super::course::{ALL, Course, Moment, any, came, moments, raised, states, walk};
use super::habitat::{self, Habitat};
use super::learner::{Learner, Model, Overseer};
use super::score::Score;
use crate::ml::drift::drifted;
use crate::ml::random::Random;
use crate::model::failure::{Drift, Foreseen, Moved, NotTrained, Past, STEPS, State};
use heard::{Heard, calibrate, failure, hear, scored, trusted};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Share of the alarms that must be right on the last quarter, and on the one before it, on which the threshold is chosen.
pub const PRECISION: f64 = 0.9;
const CHOSEN: f64 = 0.95;

/// Fewest episodes to learn from, and to choose and to be examined on.
const EPISODES: [usize; 2] = [8, 4];

/// Of steps after which nothing happens, one in so many is learned from: they are nearly all there is.
const SPARSE: usize = 4;

/// Rows of calm times that are kept: what is seen later is compared with them.
const BACKGROUND: usize = 64;

/// Of those, the rows that explanations compare with.
const COMPARED: usize = 16;

/// Level of the tests for drift, and how far a distribution must have moved to count.
const DRIFT: (f64, f64) = (0.01, 0.4);

/// Calls of the model that an explanation may take.
const BUDGET: usize = 16_000;

/// A model that may speak.
#[derive(Debug)]
pub struct Trained {
    learner: &'static dyn Learner,
    model: Box<dyn Model>,
    /// Probability of failure from which it raises an alarm.
    pub threshold: f64,
    /// The rules whose alarms are its own as well, in the order of `PatternKind::ALL`.
    pub trusted: [bool; 4],
    /// Seconds between the steps it was trained on.
    pub step: u32,
    background: Vec<f64>,
    /// The cluster in which it learned.
    habitat: Habitat,
}

impl std::fmt::Debug for dyn Learner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.kind())
    }
}

/// What a back-test found.
#[derive(Debug, Clone, PartialEq)]
pub struct Examined {
    /// Who spoke.
    pub kind: &'static str,
    /// On the last quarter: the model by itself, the rules by themselves.
    pub model: Score,
    #[allow(missing_docs)]
    pub rules: Score,
    /// Rows that were learned from.
    pub rows: usize,
    /// The learners that competed and were not better, each with its score on the same quarter.
    pub rivals: Vec<(&'static str, Score)>,
}

/// Pasts in the order of time: what is learned from first, what is chosen on, and what is examined.
struct Times {
    parts: Vec<Past>,
    /// How each workload was, in each of the parts.
    labels: Vec<Labels>,
    /// The first that is chosen on, and the first that is examined.
    choice: usize,
    exam: usize,
    step: u32,
}

/// States by record and moment.
type Labels = Vec<Vec<Option<State>>>;

impl Times {
    fn new(pasts: &[Past]) -> Result<Self, String> {
        let step = pasts.first().map_or(0, |p| p.step);
        if pasts.iter().any(|p| p.step != step) {
            return Err("its pasts have different steps between samples".to_owned());
        }
        let parts = parts(pasts);
        let labels: Vec<Labels> = parts.iter().map(states).collect();
        let quarter = parts.len() / 4;
        let (choice, exam) = (parts.len() - 2 * quarter, parts.len() - quarter);
        let episodes = |from: usize, to: usize| -> usize {
            labels[from..to].iter().flatten().map(|s| Score::of(s, &[], step).episodes).sum()
        };
        let found = [episodes(0, choice), episodes(choice, exam), episodes(exam, parts.len())];
        if found[0] < EPISODES[0] || found[1..].iter().any(|n| *n < EPISODES[1]) {
            return Err(format!(
                "{} failures to learn from, {} to choose on and {} to be examined on; at least {}, {least} and {least} are needed",
                found[0],
                found[1],
                found[2],
                EPISODES[0],
                least = EPISODES[1]
            ));
        }
        Ok(Self { parts, labels, choice, exam, step })
    }

    /// What a learner makes of it.
    fn examine(
        &self,
        learner: &'static dyn Learner,
        seed: u64,
        overseer: &dyn Overseer,
    ) -> Result<(Trained, Examined), String> {
        let (rows, came) = examples(&self.parts[..self.choice], &self.labels[..self.choice], learner, seed);
        let model = learner.fit(&rows, &came, seed, overseer)?;
        let hear = |parts: &[Past]| -> Vec<Heard> { parts.iter().flat_map(|p| hear(p, learner, &*model)).collect() };
        let chosen = hear(&self.parts[self.choice..self.exam]);
        let trusted = trusted(&chosen);
        let threshold = calibrate(&chosen, trusted);
        let heard = hear(&self.parts[self.exam..]);
        let rules = sum(heard.iter().map(|h| Score::of(&h.course.states, &h.course.alarms(ALL), self.step)));
        let score = scored(&heard, threshold, trusted);
        let found = Examined { kind: learner.kind(), model: score, rules, rows: came.len(), rivals: Vec::new() };
        let background = calm(&rows, &came, learner.columns().len());
        let habitat = Habitat::of(&self.parts[..self.choice]);
        Ok((Trained { learner, model, threshold, trusted, step: self.step, background, habitat }, found))
    }
}

/// Lets learners compete on pasts. The error says why nothing may speak.
pub fn learn(
    pasts: &[Past],
    learners: &[&'static dyn Learner],
    seed: u64,
    overseer: &dyn Overseer,
) -> Result<(Trained, Examined), NotTrained> {
    let nothing = |need: &str| NotTrained::Nothing { need: need.into() };
    let times = Times::new(pasts).map_err(|e| nothing(&e))?;
    let mut best: Option<(Trained, Examined)> = None;
    let mut rivals = Vec::new();
    for &learner in learners {
        if overseer.cancel().load(Ordering::Relaxed) {
            return Err(nothing("training was cancelled"));
        }
        let (trained, found) = times.examine(learner, seed, overseer).map_err(|e| nothing(&e))?;
        tracing::info!("{} on its back-test: {:?}, the rules: {:?}", found.kind, found.model, found.rules);
        if best.as_ref().is_none_or(|(_, b)| worth(&found.model, PRECISION) > worth(&b.model, PRECISION)) {
            rivals.extend(best.take().map(|(_, beaten)| (beaten.kind, beaten.model)));
            best = Some((trained, found));
        } else {
            rivals.push((found.kind, found.model));
        }
    }
    let (trained, mut found) = best.ok_or_else(|| nothing("there is no learner"))?;
    found.rivals = rivals;
    let score = &found.model;
    if !right(score, PRECISION) {
        let need = format!(
            "{} of its {} alarms were right on its back-test; {:.0} % must be, and at least {}",
            score.hits,
            score.bursts,
            PRECISION * 100.0,
            EPISODES[1]
        );
        return Err(nothing(&need));
    }
    if found.model.f1() <= found.rules.f1() {
        return Err(NotTrained::NoSkill { model: found.model.f1(), rules: found.rules.f1() });
    }
    Ok((trained, found))
}

/// What makes one better than another: who is right as often as is `asked` comes first, then the most foreseen at a precision that
/// was agreed on, not the best mean of both (that gave up one episode in ten for alarms that were right without exception); who
/// is not is judged by how often he was right.
fn worth(score: &Score, asked: f64) -> (bool, f64, f64) {
    let (precision, recall) = (score.precision().unwrap_or(0.0), score.recall().unwrap_or(0.0));
    // One lucky alarm is right every time.
    if right(score, asked) { (true, recall, precision) } else { (false, precision, recall) }
}

/// Whether enough alarms were right, and a large enough share.
fn right(score: &Score, asked: f64) -> bool {
    score.hits >= EPISODES[1] && score.precision().is_some_and(|p| p >= asked)
}

/// Pasts in the order of time; few long ones are cut, so that there is a last quarter.
fn parts(pasts: &[Past]) -> Vec<Past> {
    let mut all: Vec<Past> =
        if pasts.len() < 4 { pasts.iter().flat_map(|p| cut(p, 4)).collect() } else { pasts.to_vec() };
    all.sort_by_key(|p| p.from);
    all
}

/// Equal parts of a past, each with the window before it.
fn cut(past: &Past, count: usize) -> Vec<Past> {
    let length = past.slots.saturating_sub(STEPS).div_ceil(count).max(1);
    let part = |i: usize| {
        let (from, to) = (i * length, (i * length + STEPS + length).min(past.slots));
        let rows = |row: &Vec<f32>| row.get(from..to.min(row.len())).unwrap_or_default().to_vec();
        let mut part = Past {
            from: past.from + chrono::TimeDelta::seconds(i64::from(past.step) * from as i64),
            slots: to - from,
            ..past.clone()
        };
        for record in &mut part.records {
            record.signals = record.signals.each_ref().map(rows);
            record.facts = record.facts.each_ref().map(rows);
        }
        for call in &mut part.calls {
            (call.rate, call.failed) = (rows(&call.rate), rows(&call.failed));
        }
        part
    };
    (0..count).filter(|i| i * length + STEPS < past.slots).map(part).collect()
}

fn sum(scores: impl Iterator<Item = Score>) -> Score {
    scores.fold(Score::default(), |mut sum, score| {
        sum.add(&score);
        sum
    })
}

/// The score of the alarms of rules over all courses.
pub fn total<'a>(courses: impl IntoIterator<Item = &'a Course>) -> Score {
    sum(courses.into_iter().map(|c| Score::of(&c.states, &c.alarms(ALL), c.step)))
}

/// Rows and what came of them: of each state at most so many as [`shares`] allows, drawn by the seed. What is not drawn is
/// not looked at, so that a large cluster takes no more memory, and little more time, than a small one.
fn examples(parts: &[Past], labels: &[Labels], learner: &dyn Learner, seed: u64) -> (Vec<f64>, Vec<State>) {
    let came = |part: usize, record: usize, at: usize| came(&labels[part][record], parts[part].step, at);
    let mut counts = [0usize; 4];
    for (part, past) in parts.iter().enumerate() {
        for (record, at) in (0..past.records.len()).flat_map(|r| (0..moments(past)).map(move |at| (r, at))) {
            counts[came(part, record, at).map_or(0, |s| s as usize)] += usize::from(came(part, record, at).is_some());
        }
    }
    let shares = shares(counts, learner.most());
    let (mut rows, mut states) = (Vec::new(), Vec::new());
    for (part, past) in parts.iter().enumerate() {
        let drawn = |record: usize, at: usize| {
            let place = [part, record, at].into_iter().fold(seed, |h, v| Random(h ^ v as u64).next());
            let luck = Random(place).unit();
            came(part, record, at).is_some_and(|state| luck < shares[state as usize])
        };
        walk(past, drawn, |record, at, moment| {
            if let Some(state) = came(part, record, at).filter(|_| moment.enough()) {
                rows.extend(learner.row(moment));
                states.push(state);
            }
        });
    }
    (rows, states)
}

/// Which share of the moments of each state is learned from: of those after which nothing happens one in [`SPARSE`] (they
/// are nearly all there is), of everything else all, as long as that is no more than `most` rows: then each other state
/// gets a fifth of them and calm what is left.
fn shares(counts: [usize; 4], most: usize) -> [f64; 4] {
    let share = |wanted: f64, count: usize| if count == 0 { 0.0 } else { (wanted / count as f64).min(1.0) };
    let mut all = counts.map(|count| share(most as f64 / 5.0, count));
    let others: f64 = (1..4).map(|s| all[s] * counts[s] as f64).sum();
    all[0] = share(most as f64 - others, counts[0]).min(1.0 / SPARSE as f64);
    all
}

/// Some rows of calm times, evenly spread.
fn calm(rows: &[f64], states: &[State], columns: usize) -> Vec<f64> {
    let calm: Vec<&[f64]> =
        rows.chunks_exact(columns).zip(states).filter(|(_, s)| **s == State::Healthy).map(|(r, _)| r).collect();
    let every = (calm.len() / BACKGROUND).max(1);
    calm.into_iter().step_by(every).take(BACKGROUND).flatten().copied().collect()
}

impl Trained {
    /// What can read its bytes.
    pub fn kind(&self) -> &'static str {
        self.learner.kind()
    }

    /// Who makes its rows.
    pub fn learner(&self) -> &'static dyn Learner {
        self.learner
    }

    /// The courses of a past, and whether it raises an alarm at each of their moments.
    pub fn alarms(&self, past: &Past) -> Vec<(Course, Vec<bool>)> {
        let heard = hear(past, self.learner, &*self.model);
        let alarms = |h: &Heard| h.alarms(self.threshold, self.trusted);
        heard.into_iter().map(|h| (alarms(&h), h)).map(|(alarms, h)| (h.course, alarms)).collect()
    }

    /// How far whole rows of now are from what it learned of calm times, and rows of what the workloads are `like` from those
    /// of where it learned; `None` if too few features can be compared.
    pub fn drift(&self, rows: &[f64], like: &[f64]) -> Option<Drift> {
        let names = self.learner.columns();
        let (moved, compared) = drifted(&self.background, rows, names.len(), DRIFT.0, |_| DRIFT.1);
        let (unlike, sizes) = self.habitat.moved(like);
        (compared * 2 >= names.len()).then(|| Drift {
            features: compared,
            drifted: moved.into_iter().map(|at| Arc::from(names[at].as_str())).collect(),
            rows: rows.len() / names.len().max(1),
            moved: unlike.into_iter().map(|at| Arc::from(habitat::NAMES[at])).collect(),
            compared: sizes,
        })
    }

    /// What it says of a moment, with its reasons where an alarm is raised; `None` where too little was measured.
    pub fn foresee(&self, moment: &Moment) -> Option<Foreseen> {
        let row = moment.enough().then(|| self.learner.row(moment))?;
        let probabilities = *self.model.probabilities(&row).first()?;
        let alarm = failure(probabilities) >= self.threshold || any(raised(moment.patterns), self.trusted);
        let why = if alarm { self.why(&row) } else { Vec::new() };
        Some(Foreseen { probabilities, alarm, why })
    }

    /// What moved the probability of failure away from that of calm times, strongest first: sampled Shapley values.
    fn why(&self, row: &[f64]) -> Vec<Moved> {
        let model = |rows: &[f64]| self.model.probabilities(rows).into_iter().map(failure).collect();
        let every = (self.background.len() / row.len().max(1) / COMPARED).max(1);
        let background: Vec<f64> =
            self.background.chunks_exact(row.len().max(1)).step_by(every).flatten().copied().collect();
        let Some(found) = crate::ml::explain::shapley(model, row, &background, BUDGET, 1) else {
            return Vec::new();
        };
        let names = self.learner.columns();
        let mut all: Vec<Moved> = names
            .into_iter()
            .zip(row.iter().zip(found.values))
            .map(|(name, (value, by))| Moved { feature: Arc::from(name), value: *value, by })
            .filter(|moved| moved.by != 0.0)
            .collect();
        all.sort_by(|a, b| b.by.abs().total_cmp(&a.by.abs()));
        all
    }
}

pub mod file;
mod heard;
#[cfg(test)]
pub(crate) mod tests;
