//! All phases within one budget, each on its own, and what each is worth: more than as many random measurements, or not.

use super::gradient::Gradient;
use super::search::{Limits, Objective, Progress, Search, State, Stop};
use super::space::{NothingAllowed, Space};
use super::{Phase, RandomSearch};
use crate::ml::random::Random;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

/// What all phases together may use.
#[derive(Debug, Clone, Copy)]
pub struct Budget<'a> {
    /// Most measurements of each phase.
    pub evaluations: usize,
    /// Time for all of them: each gets an equal share of what is left.
    pub time: Duration,
    /// Ends everything at once when set.
    pub cancel: &'a AtomicBool,
    /// Repeats a search, if it was not the time that ended a phase.
    pub seed: u64,
}

/// What a phase did.
#[derive(Debug, Clone)]
pub struct Told {
    /// Its name.
    pub name: &'static str,
    /// Everything it measured, in order.
    pub history: Vec<State>,
    /// The best of that, if any may be chosen, by its place.
    pub best: Option<usize>,
    /// The best score of as many random measurements; for the last polish the best score before it.
    pub to_beat: Option<f64>,
    /// Whether it found something better than that.
    pub adds: bool,
    /// Whether its last improvements were all small.
    pub converged: bool,
    /// Why it ended.
    pub ended: Stop,
    /// How long it took.
    pub took: Duration,
}

impl Told {
    /// The best score, if there is one.
    pub fn score(&self) -> Option<f64> {
        self.best.map(|at| self.history[at].outcome.score)
    }
}

/// Everything that was found; the phase of the best state is the one with the lowest score.
#[derive(Debug, Clone)]
pub struct Found {
    /// Random search first, then the phases as given, then a descent from the best of all.
    pub phases: Vec<Told>,
}

impl Found {
    /// The best state of all, and the phase that found it first.
    pub fn best(&self) -> Option<(&'static str, &State)> {
        let states = self.phases.iter().filter_map(|told| Some((told.name, &told.history[told.best?])));
        states.min_by(|a, b| a.1.outcome.score.total_cmp(&b.1.outcome.score))
    }
}

/// Searches with random points, with each phase, and at last by slopes from the best of all. Each begins with the allowed
/// ones of `starts` and knows nothing of what the others found. `report` hears of every measurement. An error if no
/// configuration keeps the constraints.
pub fn run(
    space: &Space,
    objective: &mut dyn Objective,
    phases: &mut [Box<dyn Phase + '_>],
    starts: &[Vec<f64>],
    budget: Budget,
    report: &mut dyn FnMut(&'static str, Progress),
) -> Result<Found, NothingAllowed> {
    space.draw(&mut Random(budget.seed))?;
    let (began, mut done) = (Instant::now(), Vec::new());
    let total = phases.len() + 2;
    let mut one = |phase: &mut dyn Phase, name: &'static str, done: &mut Vec<Told>| {
        let left = budget.time.saturating_sub(began.elapsed());
        let start = Instant::now();
        let deadline = start.checked_add(left / (total - done.len()).max(1) as u32);
        let limits = Limits { evaluations: budget.evaluations, deadline, cancel: budget.cancel };
        let mut heard = |progress| report(name, progress);
        let mut search = Search::new(space, &mut *objective, limits, &mut heard);
        // every phase has its own luck
        let seed = budget.seed.wrapping_add(0x51_7c_c1 * done.len() as u64);
        let begun = starts
            .iter()
            .filter(|start| space.allows(start))
            .try_for_each(|start| search.measure(start, None).map(|_| ()));
        let ended = begun.err().unwrap_or_else(|| phase.run(&mut search, seed));
        let (best, converged) = (search.best_at(), search.converged());
        let history = search.into_history();
        let told = Told { name, history, best, to_beat: None, adds: false, converged, ended, took: start.elapsed() };
        done.push(judged(told, done.first()));
    };
    one(&mut RandomSearch, "random", &mut done);
    for phase in phases {
        let name = phase.name();
        one(&mut **phase, name, &mut done);
    }
    let best = Found { phases: done };
    let start = best.best().map(|(_, state)| (state.point.clone(), state.outcome.score));
    let mut done = best.phases;
    if let Some((start, score)) = start {
        one(&mut Gradient { start: Some(start) }, "polish", &mut done);
        if let Some(last) = done.last_mut() {
            last.to_beat = Some(score);
            last.adds = last.score().is_some_and(|found| better(found, score));
        }
    }
    Ok(Found { phases: done })
}

/// Holds a phase against as many random measurements.
fn judged(mut told: Told, random: Option<&Told>) -> Told {
    let Some(random) = random else { return told };
    let scores = random.history.iter().take(told.history.len()).map(|state| state.outcome.score);
    let least = scores.filter(|score| score.is_finite()).fold(f64::INFINITY, f64::min);
    told.to_beat = least.is_finite().then_some(least);
    told.adds = told.score().is_some_and(|found| better(found, least));
    told
}

/// Lower by more than rounding.
fn better(found: f64, than: f64) -> bool {
    found < than - 1e-9 * than.abs().min(f64::MAX)
}
