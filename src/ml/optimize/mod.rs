//! Searching a space of configurations for the one with the lowest score.
//!
//! [`space`] says what can be chosen and what is forbidden, [`search`] keeps budget and history, and every algorithm is a
//! [`Phase`]: bounded quasi-Newton, genetic, Bayesian, deep Q-learning, and random search, which the others have to beat.
//! [`portfolio`] runs them within one budget.

pub mod bayes;
pub mod dqn;
pub mod encode;
pub mod expr;
pub mod functions;
pub mod genetic;
pub mod gradient;
pub mod pareto;
mod parse;
pub mod portfolio;
pub mod search;
pub mod space;

pub use parse::BadExpression;
pub use search::{Limits, Objective, Outcome, Progress, Search, State, Stop};
pub use space::Space;

use super::random::Random;

/// One way of searching.
pub trait Phase {
    /// What it is called.
    fn name(&self) -> &'static str;

    /// Searches until the budget is used up or it has nothing left to try. The same seed and measurements repeat it.
    fn run(&mut self, search: &mut Search, seed: u64) -> Stop;
}

impl<P: Phase + ?Sized> Phase for &mut P {
    fn name(&self) -> &'static str {
        (**self).name()
    }

    fn run(&mut self, search: &mut Search, seed: u64) -> Stop {
        (**self).run(search, seed)
    }
}

/// Points drawn at random: what every other phase has to be better than.
#[derive(Debug, Clone, Copy, Default)]
pub struct RandomSearch;

impl Phase for RandomSearch {
    fn name(&self) -> &'static str {
        "random"
    }

    fn run(&mut self, search: &mut Search, seed: u64) -> Stop {
        let mut random = Random(seed);
        loop {
            let drawn = search.draw(&mut random).and_then(|point| search.measure(&point, None));
            if let Err(stop) = drawn {
                return stop;
            }
        }
    }
}

/// A normally distributed number (Box & Muller 1958).
fn normal(random: &mut Random) -> f64 {
    (-2.0 * (1.0 - random.unit()).ln()).sqrt() * (std::f64::consts::TAU * random.unit()).cos()
}

/// Places near those of a point: each changed with a chance of `share`, and one for sure. Numbers move by a spread in
/// shares of their dimension, whole numbers by one at least, categories to any other.
fn vary(space: &Space, point: &[f64], spread: f64, share: f64, random: &mut Random) -> Vec<f64> {
    let mut places = space.places(point);
    change(space, &mut places, spread, share, random);
    places
}

/// Changes places as [`vary`] does.
fn change(space: &Space, places: &mut [f64], spread: f64, share: f64, random: &mut Random) {
    let sure = random.below(places.len());
    for (at, (place, dimension)) in places.iter_mut().zip(space.dimensions()).enumerate() {
        if at != sure && random.unit() >= share {
            continue;
        }
        *place = match dimension.count() {
            Some(_) if dimension.categorical() => space::place(dimension, random),
            Some(2) => 1.0 - *place,
            Some(count) => {
                let step = (normal(random).abs() * spread * count as f64).max(1.0).round();
                let value = dimension.value(*place) + if random.unit() < 0.5 { step } else { -step };
                dimension.place(dimension.nearest(value))
            }
            None => (*place + normal(random) * spread).clamp(0.0, 1.0),
        };
    }
}

/// Measures random points until there are so many.
fn begin(search: &mut Search, random: &mut Random, count: usize) -> Result<(), Stop> {
    while search.history().len() < count {
        let point = search.draw(random)?;
        search.measure(&point, None)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
