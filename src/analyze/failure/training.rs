//! Learns from labelled pasts, and decides who may speak.
//!
//! Pasts are split by time: the last quarter is only examined. There each learner gets the lowest threshold whose alarms
//! are right nine times in ten; the one that foresees most (F1 over episodes and alarms, as `score` counts them) is kept,
//! and only if its alarms are right that often and it beats the rules. What is kept is what was examined: it is not fitted again to everything.

use super::course::{Course, courses};
use super::learner::{Learner, Model, Overseer};
use super::score::Score;
use crate::ml::drift::drifted;
use crate::model::failure::{Drift, Foreseen, Moved, NotTrained, Past, STEPS, State};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Share of the alarms that must be right.
pub const PRECISION: f64 = 0.9;

/// Fewest episodes to learn from, and to be examined on.
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
    /// Seconds between the steps it was trained on.
    pub step: u32,
    background: Vec<f64>,
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
}

/// Lets learners compete on pasts. The error says why nothing may speak.
pub fn learn(
    pasts: &[Past],
    learners: &[&'static dyn Learner],
    seed: u64,
    overseer: &dyn Overseer,
) -> Result<(Trained, Examined), NotTrained> {
    let step = pasts.first().map_or(0, |p| p.step);
    let nothing = |need: &str| NotTrained::Nothing { need: need.into() };
    if pasts.iter().any(|p| p.step != step) {
        return Err(nothing("its pasts have different steps between samples"));
    }
    let mut parts = parts(pasts);
    let exam = parts.split_off(parts.len() - parts.len() / 4);
    let mut best: Option<(Trained, Examined)> = None;
    for &learner in learners {
        if overseer.cancel().load(Ordering::Relaxed) {
            return Err(nothing("training was cancelled"));
        }
        let of = |parts: &[Past]| parts.iter().flat_map(|p| courses(p, learner)).collect::<Vec<Course>>();
        let (taught, examined) = (of(&parts), of(&exam));
        let rules = total(&examined, |course, slot| course.alarms[slot]);
        let seen = total(&taught, |_, _| false).episodes;
        if seen < EPISODES[0] || rules.episodes < EPISODES[1] {
            let need = format!(
                "{seen} failures to learn from and {} to be examined on; at least {} and {} are needed",
                rules.episodes, EPISODES[0], EPISODES[1]
            );
            return Err(nothing(&need));
        }
        let (rows, states) = examples(&taught);
        let model = learner.fit(&rows, &states, seed, overseer).map_err(|e| nothing(&e))?;
        let (threshold, score) = calibrate(&*model, &examined);
        let background = calm(&rows, &states, learner.columns().len());
        let found = Examined { kind: learner.kind(), model: score, rules, rows: states.len() };
        tracing::info!("{} on its back-test: {:?}, the rules: {:?}", found.kind, found.model, found.rules);
        // Who may speak comes before who foresees more.
        let worth = |score: &Score| (right(score), score.f1());
        if best.as_ref().is_none_or(|(_, b)| worth(&found.model) > worth(&b.model)) {
            best = Some((Trained { learner, model, threshold, step, background }, found));
        }
    }
    let (trained, found) = best.ok_or_else(|| nothing("there is no learner"))?;
    let score = &found.model;
    if !right(score) {
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

/// Whether enough alarms were right, and a large enough share.
fn right(score: &Score) -> bool {
    score.hits >= EPISODES[1] && score.precision().is_some_and(|p| p >= PRECISION)
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

/// The score of alarms over all courses.
pub fn total(courses: &[Course], alarm: impl Fn(&Course, usize) -> bool) -> Score {
    let mut sum = Score::default();
    for course in courses {
        let alarms: Vec<bool> = (0..course.states.len()).map(|slot| alarm(course, slot)).collect();
        sum.add(&Score::of(&course.states, &alarms, course.step));
    }
    sum
}

/// Rows and what came of them.
fn examples(courses: &[Course]) -> (Vec<f64>, Vec<State>) {
    let (mut rows, mut states) = (Vec::new(), Vec::new());
    for course in courses {
        for (slot, row) in course.rows.iter().enumerate().filter(|(_, r)| !r.is_empty()) {
            let Some(came) = course.came(slot) else { continue };
            if came == State::Healthy && slot % SPARSE != 0 {
                continue;
            }
            rows.extend(row);
            states.push(came);
        }
    }
    (rows, states)
}

/// Some rows of calm times, evenly spread.
fn calm(rows: &[f64], states: &[State], columns: usize) -> Vec<f64> {
    let calm: Vec<&[f64]> =
        rows.chunks_exact(columns).zip(states).filter(|(_, s)| **s == State::Healthy).map(|(r, _)| r).collect();
    let every = (calm.len() / BACKGROUND).max(1);
    calm.into_iter().step_by(every).take(BACKGROUND).flatten().copied().collect()
}

/// Probabilities of failure, step by step; NaN where nothing was to be seen.
fn failing(model: &dyn Model, course: &Course) -> Vec<f64> {
    let seen: Vec<f64> = course.rows.iter().flatten().copied().collect();
    let mut said = model.probabilities(&seen).into_iter().map(failure);
    let of = |row: &Vec<f64>| if row.is_empty() { f64::NAN } else { said.next().unwrap_or(f64::NAN) };
    course.rows.iter().map(of).collect()
}

fn failure(p: [f64; 4]) -> f64 {
    p[State::Unhealthy as usize] + p[State::Critical as usize]
}

/// The threshold that foresees most among those whose alarms are right often enough; where there is none, the one that
/// is right most often. With what it scored.
fn calibrate(model: &dyn Model, courses: &[Course]) -> (f64, Score) {
    let said: Vec<Vec<f64>> = courses.iter().map(|c| failing(model, c)).collect();
    let mut best: Option<(bool, f64, f64, Score)> = None;
    for threshold in (2..=38).map(|i| f64::from(i) * 0.025) {
        let mut score = Score::default();
        for (course, said) in courses.iter().zip(&said) {
            let alarms: Vec<bool> = said.iter().map(|p| *p >= threshold).collect();
            score.add(&Score::of(&course.states, &alarms, course.step));
        }
        let precision = score.precision().unwrap_or(0.0);
        // One lucky alarm is right every time.
        let enough = precision >= PRECISION && score.hits >= EPISODES[1];
        let worth = if enough { score.recall().unwrap_or(0.0) } else { precision };
        if best.as_ref().is_none_or(|(e, w, ..)| (enough, worth) > (*e, *w)) {
            best = Some((enough, worth, threshold, score));
        }
    }
    best.map_or((1.0, Score::default()), |(_, _, threshold, score)| (threshold, score))
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

    /// Whether it raises an alarm at each step of a course that its learner made.
    pub fn alarms(&self, course: &Course) -> Vec<bool> {
        failing(&*self.model, course).into_iter().map(|p| p >= self.threshold).collect()
    }

    /// How far whole rows of now are from what it learned of calm times; `None` if too few features can be compared.
    pub fn drift(&self, rows: &[f64]) -> Option<Drift> {
        let names = self.learner.columns();
        let (moved, compared) = drifted(&self.background, rows, names.len(), DRIFT.0, DRIFT.1);
        (compared * 2 >= names.len()).then(|| Drift {
            features: compared,
            drifted: moved.into_iter().map(|at| Arc::from(names[at].as_str())).collect(),
            rows: rows.len() / names.len().max(1),
        })
    }

    /// What it says of a row, with its reasons where an alarm is raised.
    pub fn foresee(&self, row: &[f64]) -> Option<Foreseen> {
        let probabilities = *self.model.probabilities(row).first()?;
        let alarm = failure(probabilities) >= self.threshold;
        let why = if alarm { self.why(row) } else { Vec::new() };
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
#[cfg(test)]
pub(crate) mod tests;
