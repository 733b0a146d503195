//! One search through a space: what was measured, what is left of the budget, and the best so far.
//!
//! Phases measure through [`Search::measure`] only. So nothing is measured that a constraint forbids, the budget holds,
//! and a cancelled search ends before its next measurement whatever the phase is doing.

use super::space::{COUNTABLE, Space};
use crate::ml::random::Random;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// Points proposed in a row that were measured already before a phase counts as done.
const REPEATS: usize = 2000;
/// How much each of the last [`LAST`] improvements is at most where a search counts as converged.
const SMALL: f64 = 0.01;
/// Improvements looked at.
const LAST: usize = 5;

/// What a configuration yields.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// Less is better. What is not finite may not be chosen: it failed, is unknown, or breaks a limit.
    pub score: f64,
    /// What was measured or predicted, in units of its own.
    pub metrics: Vec<f64>,
}

/// Something that is to be made as small as possible.
pub trait Objective {
    /// What a configuration yields. Called with allowed points only.
    fn measure(&mut self, point: &[f64]) -> Outcome;

    /// Slopes of the score along the unit cube's axes, where they are known without measuring.
    fn slopes(&mut self, _point: &[f64]) -> Option<Vec<f64>> {
        None
    }
}

impl<F: FnMut(&[f64]) -> f64> Objective for F {
    fn measure(&mut self, point: &[f64]) -> Outcome {
        Outcome { score: self(point), metrics: Vec::new() }
    }
}

/// A configuration that was measured.
#[derive(Debug, Clone, PartialEq)]
pub struct State {
    /// Its values.
    pub point: Vec<f64>,
    /// What it yields.
    pub outcome: Outcome,
    /// The state it was made from, by its place in the history.
    pub parent: Option<usize>,
}

/// How far a search is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// Measurements so far.
    pub evaluations: usize,
    /// Best score so far; infinite while there is none.
    pub best: f64,
}

/// Why a search ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// Somebody asked.
    Cancelled,
    /// The time is over.
    Time,
    /// All measurements are made.
    Evaluations,
    /// Every allowed configuration was measured, or nothing new is proposed any more.
    Exhausted,
    /// The phase has done all its steps.
    Done,
}

/// What a search may use.
#[derive(Debug, Clone, Copy)]
pub struct Limits<'a> {
    /// Most measurements.
    pub evaluations: usize,
    /// When it must end.
    pub deadline: Option<Instant>,
    /// Ends it at once when set.
    pub cancel: &'a AtomicBool,
}

/// The state of a search.
pub struct Search<'a> {
    space: &'a Space,
    objective: &'a mut dyn Objective,
    limits: Limits<'a>,
    report: &'a mut dyn FnMut(Progress),
    history: Vec<State>,
    seen: HashMap<Vec<u64>, usize>,
    /// Allowed points, if they were counted.
    allowed: Option<usize>,
    repeated: usize,
    best: Option<usize>,
    /// Relative improvements of the best.
    gains: Vec<f64>,
}

impl<'a> Search<'a> {
    /// A search that has measured nothing yet; `report` hears of every measurement.
    pub fn new(
        space: &'a Space,
        objective: &'a mut dyn Objective,
        limits: Limits<'a>,
        report: &'a mut dyn FnMut(Progress),
    ) -> Self {
        let allowed = space.count().filter(|count| *count <= COUNTABLE).and_then(|_| space.all()).map(|all| all.len());
        let (history, gains) = (Vec::new(), Vec::new());
        Self {
            space,
            objective,
            limits,
            report,
            history,
            seen: HashMap::new(),
            allowed,
            repeated: 0,
            best: None,
            gains,
        }
    }

    /// Where it searches.
    pub fn space(&self) -> &'a Space {
        self.space
    }

    /// Everything measured, in order.
    pub fn history(&self) -> &[State] {
        &self.history
    }

    /// Everything measured, when it is over.
    pub fn into_history(self) -> Vec<State> {
        self.history
    }

    /// The best state, if any may be chosen.
    pub fn best(&self) -> Option<&State> {
        self.best.map(|at| &self.history[at])
    }

    /// The place of the best state in the history.
    pub fn best_at(&self) -> Option<usize> {
        self.best
    }

    /// Measurements that are left.
    pub fn left(&self) -> usize {
        self.limits.evaluations.saturating_sub(self.history.len())
    }

    /// Whether each of the last improvements was small.
    pub fn converged(&self) -> bool {
        self.gains.len() >= LAST && self.gains.iter().rev().take(LAST).all(|gain| *gain < SMALL)
    }

    /// The end, if it has come; for computations between measurements.
    pub fn check(&self) -> Result<(), Stop> {
        if self.limits.cancel.load(Ordering::Relaxed) {
            return Err(Stop::Cancelled);
        }
        if self.limits.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Err(Stop::Time);
        }
        Ok(())
    }

    /// Where a point stands in the history, if it was measured.
    pub fn known(&self, point: &[f64]) -> Option<usize> {
        self.seen.get(&key(point)).copied()
    }

    /// A random allowed point.
    pub(crate) fn draw(&self, random: &mut Random) -> Result<Vec<f64>, Stop> {
        self.space.draw(random).map_err(|_| Stop::Exhausted)
    }

    /// Measures a point and gives its place in the history. What was measured before is not measured again and costs
    /// nothing. A point that is not allowed is a mistake of the phase: it ends the search.
    pub fn measure(&mut self, point: &[f64], parent: Option<usize>) -> Result<usize, Stop> {
        self.check()?;
        if let Some(at) = self.known(point) {
            self.repeated += 1;
            return if self.repeated > REPEATS { Err(Stop::Exhausted) } else { Ok(at) };
        }
        if self.left() == 0 {
            return Err(Stop::Evaluations);
        }
        if !self.space.allows(point) {
            debug_assert!(false, "a phase proposed a point that is not allowed: {point:?}");
            return Err(Stop::Exhausted);
        }
        let outcome = self.objective.measure(point);
        let (at, score) = (self.history.len(), outcome.score);
        self.seen.insert(key(point), at);
        self.history.push(State { point: point.to_vec(), outcome, parent });
        self.repeated = 0;
        let before = self.best().map(|best| best.outcome.score);
        if score.is_finite() && before.is_none_or(|before| score < before) {
            self.best = Some(at);
            self.gains.extend(before.map(|before| (before - score) / before.abs().max(score.abs())));
        }
        let best = self.best().map_or(f64::INFINITY, |best| best.outcome.score);
        (self.report)(Progress { evaluations: at + 1, best });
        if self.allowed == Some(self.history.len()) { Err(Stop::Exhausted) } else { Ok(at) }
    }

    /// The score at a place of the history.
    pub fn score(&self, at: usize) -> f64 {
        self.history[at].outcome.score
    }

    /// Slopes of the score in the unit cube, where they are known without measuring.
    pub fn slopes(&mut self, point: &[f64]) -> Option<Vec<f64>> {
        self.objective.slopes(point)
    }
}

/// The bits of a point; 0 and -0 are one.
fn key(point: &[f64]) -> Vec<u64> {
    point.iter().map(|value| (value + 0.0).to_bits()).collect()
}
