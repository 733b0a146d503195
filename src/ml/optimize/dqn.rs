//! Deep Q-learning (Mnih et al. 2015): a net learns what a step along each dimension is worth where it stands.
//!
//! The constants are the specification's. A reward is how much better the next configuration is, in spreads of what
//! random ones yield, and at most 1; a step that is not allowed is worth -1 and not made. Steps shrink with the share of
//! random ones, from a tenth of a dimension to a hundredth, so that it settles between them.

use super::{Phase, Search, Stop, begin};
use crate::ml::net::{Learner, Net, Shape};
use crate::ml::random::Random;

/// Step of a number or whole number at first, and at last, in shares of its dimension.
const STEP: (f64, f64) = (0.1, 0.01);
/// Random measurements by which rewards are scaled.
const FIRST: usize = 16;
/// Steps until it goes back to the best or to a random point.
const EPISODE: usize = 25;

/// How it learns.
#[derive(Debug, Clone)]
pub struct Dqn {
    /// Widths of the net's layers.
    pub hidden: Vec<usize>,
    /// Steps after which the net that judges the future is renewed.
    pub renewal: usize,
    /// Steps that are remembered.
    pub memory: usize,
    /// Steps learned from at once.
    pub batch: usize,
    /// What the future counts.
    pub future: f64,
    /// Share of random steps: at first, at last, and what is left of it after each step.
    pub random: (f64, f64, f64),
    /// Adam's rate.
    pub rate: f64,
    /// What an earlier run learned for a space of the same dimensions, and afterwards what this one did.
    pub policy: Option<Net>,
}

impl Default for Dqn {
    fn default() -> Self {
        Self {
            hidden: vec![128, 64],
            renewal: 10,
            memory: 10_000,
            batch: 32,
            future: 0.99,
            random: (1.0, 0.01, 0.995),
            rate: 1e-3,
            policy: None,
        }
    }
}

/// A step and what came of it.
struct Step {
    from: Vec<f32>,
    action: usize,
    reward: f32,
    to: Vec<f32>,
}

impl Dqn {
    /// The shape of a policy for a space of so many dimensions: a place for each and how good it is there; two ways to go
    /// along each, and to stay.
    pub fn shape(&self, dimensions: usize) -> Shape {
        Shape::Perceptron { inputs: dimensions + 1, hidden: self.hidden.clone(), outputs: 2 * dimensions + 1 }
    }

    fn learn(&mut self, search: &mut Search, seed: u64) -> Result<(), Stop> {
        let mut random = Random(seed);
        begin(search, &mut random, FIRST)?;
        let shape = self.shape(search.space().dimensions().len());
        let known = self.policy.take().filter(|policy| *policy.shape() == shape);
        // what was learned before is used from the beginning; otherwise nothing is known
        let mut share = if known.is_some() { self.random.1.max(0.1) } else { self.random.0 };
        let mut learner = match known {
            Some(net) => Learner::resume(net, self.batch),
            None => Learner::new(&shape, self.batch, seed),
        };
        let done = self.walk(search, &mut random, &mut learner, &mut share);
        self.policy = Some(learner.net());
        done
    }

    fn walk(
        &self,
        search: &mut Search,
        random: &mut Random,
        learner: &mut Learner,
        share: &mut f64,
    ) -> Result<(), Stop> {
        let (scale, actions) = (spread(search), 2 * search.space().dimensions().len() + 1);
        let (mut memory, mut oldest): (Vec<Step>, usize) = (Vec::new(), 0);
        let mut judge = learner.weights().to_vec();
        let mut at = search.best_at().unwrap_or(0);
        for step in 1usize.. {
            if step % EPISODE == 0 {
                at = match search.best_at().filter(|_| random.unit() < 0.5) {
                    Some(best) => best,
                    None => search.draw(random).and_then(|point| search.measure(&point, None))?,
                };
            }
            let from = seen(search, at, scale);
            let action = if random.unit() < *share { random.below(actions) } else { greatest(learner.predict(&from)) };
            let width = (STEP.0 * *share).max(STEP.1);
            let (next, reward) = match moved(search, at, action, width) {
                Some(point) => {
                    let next = search.measure(&point, Some(at))?;
                    (next, reward(search.score(at), search.score(next), scale))
                }
                None => {
                    (search.measure(&search.history()[at].point.clone(), None)?, if action == 0 { 0.0 } else { -1.0 })
                }
            };
            let made = Step { from, action, reward, to: seen(search, next, scale) };
            if memory.len() < self.memory {
                memory.push(made);
            } else {
                memory[oldest] = made;
                oldest = (oldest + 1) % self.memory;
            }
            if memory.len() >= self.batch {
                self.replay(&memory, &judge, learner, random);
            }
            if step % self.renewal == 0 {
                judge.copy_from_slice(learner.weights());
            }
            *share = (*share * self.random.2).max(self.random.1);
            at = next;
        }
        Ok(())
    }

    /// Learns from some remembered steps.
    fn replay(&self, memory: &[Step], judge: &[f32], learner: &mut Learner, random: &mut Random) {
        let drawn: Vec<&Step> = (0..self.batch).map(|_| &memory[random.below(memory.len())]).collect();
        let to: Vec<f32> = drawn.iter().flat_map(|step| &step.to).copied().collect();
        let width = learner.outputs();
        let future =
            learner.judged_by(judge, &to).chunks_exact(width).map(|row| row.iter().copied().fold(f32::MIN, f32::max));
        let wanted: Vec<f32> =
            drawn.iter().zip(future).map(|(step, best)| step.reward + self.future as f32 * best).collect();
        let from: Vec<f32> = drawn.iter().flat_map(|step| &step.from).copied().collect();
        let actions: Vec<usize> = drawn.iter().map(|step| step.action).collect();
        learner.learn(&from, &actions, &wanted, self.rate);
    }
}

impl Phase for Dqn {
    fn name(&self) -> &'static str {
        "dqn"
    }

    fn run(&mut self, search: &mut Search, seed: u64) -> Stop {
        self.learn(search, seed).err().unwrap_or(Stop::Done)
    }
}

/// How far finite scores lie apart; 1 if they do not.
fn spread(search: &Search) -> f64 {
    let mut scores: Vec<f64> = search.history().iter().map(|s| s.outcome.score).filter(|s| s.is_finite()).collect();
    scores.sort_by(f64::total_cmp);
    let quarter = scores.len() / 4;
    match scores.get(scores.len().saturating_sub(1 + quarter)).zip(scores.get(quarter)) {
        Some((high, low)) if high > low && (high - low).is_finite() => high - low,
        _ => 1.0,
    }
}

/// What the net sees of a state: its places, and how far it is from the best.
fn seen(search: &Search, at: usize, scale: f64) -> Vec<f32> {
    let places = search.space().places(&search.history()[at].point);
    let best = search.best().map_or(0.0, |best| best.outcome.score);
    let off = ((search.score(at) - best) / scale).min(3.0);
    let off = if off.is_finite() { off } else { 3.0 };
    places.into_iter().chain([off]).map(|value| value as f32).collect()
}

fn reward(before: f64, after: f64, scale: f64) -> f32 {
    match (before.is_finite(), after.is_finite()) {
        (true, true) => ((before - after) / scale).clamp(-1.0, 1.0) as f32,
        (false, true) => 1.0,
        (true, false) => -1.0,
        (false, false) => 0.0,
    }
}

/// Where an action leads: action 0 stays, the others go up and down along each dimension. Nothing where it stays, or
/// where it may not go.
fn moved(search: &Search, at: usize, action: usize, width: f64) -> Option<Vec<f64>> {
    let along = action.checked_sub(1)?;
    let (space, up) = (search.space(), along % 2 == 0);
    let mut point = search.history()[at].point.clone();
    let dimension = &space.dimensions()[along / 2];
    let value = &mut point[along / 2];
    let (low, high) = dimension.bounds();
    let before = *value;
    if dimension.categorical() {
        let count = high - low + 1.0;
        *value = (*value + if up { 1.0 } else { count - 1.0 }) % count;
    } else {
        let place = dimension.place(*value) + if up { width } else { -width };
        *value = dimension.value(place);
        if *value == before {
            *value = dimension.nearest(before + if up { 1.0 } else { -1.0 }); // a step of a whole number is 1 at least
        }
    }
    (*value != before && space.allows(&point)).then_some(point)
}

fn greatest(values: &[f32]) -> usize {
    (0..values.len()).max_by(|a, b| values[*a].total_cmp(&values[*b])).unwrap_or(0)
}
