//! A genetic algorithm: the constants are the specification's, the step of a mutation is drawn over three decades so
//! that it both leaps and settles.

use super::{Phase, Search, Stop, begin, change};
use crate::ml::random::Random;

/// How it breeds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Genetic {
    /// Configurations of a generation.
    pub population: usize,
    /// Generations, the first included.
    pub generations: usize,
    /// Of how many the best becomes a parent.
    pub tournament: usize,
    /// Share of children that have two parents.
    pub crossover: f64,
    /// Share of the values of a child that are changed, and the widest spread of a change in shares of a dimension.
    pub mutation: f64,
    /// Share of a generation that lives on unchanged.
    pub elite: f64,
}

impl Default for Genetic {
    fn default() -> Self {
        Self { population: 20, generations: 50, tournament: 3, crossover: 0.7, mutation: 0.1, elite: 0.2 }
    }
}

impl Phase for Genetic {
    fn name(&self) -> &'static str {
        "genetic"
    }

    fn run(&mut self, search: &mut Search, seed: u64) -> Stop {
        let mut random = Random(seed);
        self.breed(search, &mut random).err().unwrap_or(Stop::Done)
    }
}

impl Genetic {
    fn breed(&self, search: &mut Search, random: &mut Random) -> Result<(), Stop> {
        begin(search, random, self.population)?;
        let mut living: Vec<usize> = (0..search.history().len()).collect();
        for _ in 1..self.generations {
            search.check()?;
            living.sort_by(|a, b| worse(search.score(*a)).total_cmp(&worse(search.score(*b))));
            living.truncate(self.population);
            let kept = ((self.population as f64 * self.elite).round() as usize).clamp(1, self.population);
            let mut next: Vec<usize> = living[..kept.min(living.len())].to_vec();
            while next.len() < self.population {
                let mother = self.pick(&living, random);
                let father = if random.unit() < self.crossover { self.pick(&living, random) } else { mother };
                let child = self.child(search, (living[mother], living[father]), random);
                next.push(search.measure(&child, Some(living[mother]))?);
            }
            living = next;
        }
        Ok(())
    }

    /// The best of a few; `living` is sorted, so it is the first of them.
    fn pick(&self, living: &[usize], random: &mut Random) -> usize {
        (0..self.tournament.max(1)).map(|_| random.below(living.len())).min().unwrap_or(0)
    }

    /// Values of two parents mixed and some of them changed; a child that is not allowed moves toward its mother.
    fn child(&self, search: &Search, (mother, father): (usize, usize), random: &mut Random) -> Vec<f64> {
        let (held, history) = (search.space(), search.history());
        let (from, other) = (&history[mother].point, held.places(&history[father].point));
        let mut places = held.places(from);
        for (place, other) in places.iter_mut().zip(other) {
            if random.unit() < 0.5 {
                *place = other;
            }
        }
        // half of the children leap
        let spread = self.mutation * if random.unit() < 0.5 { 1.0 } else { 10f64.powf(-3.0 * random.unit()) };
        change(held, &mut places, spread, self.mutation, random); // a child that is its mother would teach nothing
        held.toward(from, &places)
    }
}

/// What is no score is worse than any.
fn worse(score: f64) -> f64 {
    if score.is_finite() { score } else { f64::INFINITY }
}
