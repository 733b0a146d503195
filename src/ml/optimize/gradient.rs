//! Bounded quasi-Newton descent in the unit cube.
//!
//! Slopes are measured by differences where the objective does not know them. Numbers move by slopes; everything else
//! moves by trying its neighbours in turn. When nothing improves any more it begins anew: from near the best, and from a
//! random point, in turn.

use super::{Phase, Search, Stop, normal};
use crate::ml::descent::{Slope, descend};
use crate::ml::random::Random;

/// How far apart slopes are measured, in the unit cube: the root of what a float can tell.
const STEP: f64 = 1.5e-8;
/// Slope below which a search has arrived.
const FLAT: f64 = 1e-9;
/// Random points of which the best begins a descent.
const DRAWN: usize = 8;
/// Points in a row that were measured before, after which a descent goes nowhere.
const STUCK: usize = 200;
/// Most steps of a descent.
const STEPS: usize = 500;

/// Its way of searching.
#[derive(Debug, Clone, Default)]
pub struct Gradient {
    /// Where to begin, if not at the best known or a random point.
    pub start: Option<Vec<f64>>,
}

impl Phase for Gradient {
    fn name(&self) -> &'static str {
        "gradient"
    }

    fn run(&mut self, search: &mut Search, seed: u64) -> Stop {
        let mut random = Random(seed);
        let mut descend = || -> Result<(), Stop> {
            let start = self.start.clone().filter(|point| search.space().allows(point));
            let mut from = match start.or_else(|| search.best().map(|best| best.point.clone())) {
                Some(point) => point,
                None => promising(search, &mut random)?,
            };
            for round in 0usize.. {
                let before = search.history().len();
                let mut at = descend_from(search, &from)?;
                while let Some(better) = neighbour(search, at)? {
                    at = descend_from(search, &search.history()[better].point.clone())?;
                }
                if search.history().len() == before {
                    search.check()?;
                }
                from = match search.best().filter(|_| round % 2 == 0) {
                    Some(best) => {
                        let near = search.space().places(&best.point);
                        let moved: Vec<f64> =
                            near.iter().map(|place| (place + 0.1 * normal(&mut random)).clamp(0.0, 1.0)).collect();
                        search.space().toward(&best.point.clone(), &moved)
                    }
                    None => promising(search, &mut random)?,
                };
                // a space without numbers may propose the same again and again: measuring counts that
                search.measure(&from, None)?;
            }
            Ok(())
        };
        descend().err().unwrap_or(Stop::Done)
    }
}

/// The best of a few random points: descents from bad ones end in bad places.
fn promising(search: &mut Search, random: &mut Random) -> Result<Vec<f64>, Stop> {
    let mut best: Option<usize> = None;
    for _ in 0..DRAWN {
        let point = search.draw(random)?;
        let at = search.measure(&point, None)?;
        let (new, old) = (search.score(at), best.map_or(f64::INFINITY, |best| search.score(best)));
        if best.is_none() || new.is_finite() && (new < old || !old.is_finite()) {
            best = Some(at);
        }
    }
    best.map_or_else(|| search.draw(random), |at| Ok(search.history()[at].point.clone()))
}

/// The best of the ways one value that is no continuous number can change, if it is better.
fn neighbour(search: &mut Search, at: usize) -> Result<Option<usize>, Stop> {
    let (space, from) = (search.space(), search.history()[at].point.clone());
    let mut best = at;
    for (index, dimension) in space.dimensions().iter().enumerate() {
        let Some(count) = dimension.count().filter(|count| *count > 1) else { continue };
        let (low, here) = (dimension.bounds().0, from[index]);
        let others: Vec<f64> = if dimension.categorical() {
            (0..count).map(|place| low + place as f64).filter(|value| *value != here).collect()
        } else {
            let far = (count as f64 / 8.0).floor().max(2.0);
            [here - 1.0, here + 1.0, here - far, here + far].map(|value| dimension.nearest(value)).to_vec()
        };
        for value in others {
            let mut point = from.clone();
            point[index] = value;
            if space.allows(&point) {
                let tried = search.measure(&point, Some(at))?;
                let (new, old) = (search.score(tried), search.score(best));
                if new.is_finite() && (new < old || !old.is_finite()) {
                    best = tried;
                }
            }
        }
    }
    Ok((best != at).then_some(best))
}

/// Follows slopes from a point; gives the place of the best state found.
fn descend_from(search: &mut Search, from: &[f64]) -> Result<usize, Stop> {
    let begun = search.measure(from, search.best_at())?;
    let moving: Vec<usize> = movable(search);
    if moving.is_empty() || !search.score(begun).is_finite() {
        return Ok(begun);
    }
    let whole = search.space().places(from);
    let mut x: Vec<f64> = moving.iter().map(|at| whole[*at]).collect();
    let mut walk = Walk { search, moving, whole, best: begun, last: begun, stuck: 0, stop: None, worst: 0.0 };
    walk.worst = walk.search.score(begun).abs().max(1.0);
    let bounds = vec![(0.0, 1.0); x.len()];
    descend(&mut walk, &mut x, &bounds, FLAT, STEPS);
    match walk.stop {
        Some(stop) => Err(stop),
        None => Ok(walk.best),
    }
}

/// Dimensions that slopes can move.
fn movable(search: &Search) -> Vec<usize> {
    let dimensions = search.space().dimensions();
    (0..dimensions.len()).filter(|at| dimensions[*at].count().is_none()).collect()
}

/// One descent.
struct Walk<'s, 'a> {
    search: &'s mut Search<'a>,
    moving: Vec<usize>,
    /// Places of all dimensions where the descent began.
    whole: Vec<f64>,
    best: usize,
    /// The state measured last.
    last: usize,
    /// Points in a row that were measured before.
    stuck: usize,
    stop: Option<Stop>,
    /// Stands for a score where there is none.
    worst: f64,
}

impl Walk<'_, '_> {
    /// The score at some places. Where a constraint forbids them, it is that of the last allowed point on the way from
    /// the best one, and more the farther away that is.
    fn measured(&mut self, x: &[f64]) -> Result<f64, Stop> {
        let mut places = self.whole.clone();
        self.moving.iter().zip(x).for_each(|(at, place)| places[*at] = place.clamp(0.0, 1.0));
        let space = self.search.space();
        let base = self.search.history()[self.best].point.clone();
        let point = space.toward(&base, &places);
        let off: f64 = space.places(&point).iter().zip(&places).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
        self.stuck = if self.search.known(&point).is_some() { self.stuck + 1 } else { 0 };
        let at = self.search.measure(&point, Some(self.best))?;
        self.last = at;
        let score = self.search.score(at);
        if score.is_finite() {
            self.worst = self.worst.max(score.abs());
            if score < self.search.score(self.best) {
                self.best = at;
            }
        }
        let score = if score.is_finite() { score } else { 10.0 * self.worst };
        // rounding on the way to places and back is no way off
        Ok(if off > 1e-9 { score + self.worst * off } else { score })
    }

    fn measured_slopes(&mut self, x: &[f64], score: f64) -> Result<Vec<f64>, Stop> {
        let point = self.search.history()[self.last].point.clone();
        if let Some(slopes) = self.search.slopes(&point).filter(|s| s.iter().all(|slope| slope.is_finite())) {
            return Ok(self.moving.iter().map(|at| slopes[*at]).collect());
        }
        let mut slopes = Vec::with_capacity(x.len());
        for index in 0..x.len() {
            let step = if x[index] + STEP <= 1.0 { STEP } else { -STEP };
            let mut moved = x.to_vec();
            moved[index] += step;
            let beside = self.measured(&moved)?;
            slopes.push((beside - score) / (moved[index] - x[index]));
        }
        Ok(slopes)
    }
}

impl Slope for Walk<'_, '_> {
    fn value(&mut self, x: &[f64]) -> Option<f64> {
        if self.stuck > STUCK {
            return None;
        }
        self.measured(x).map_err(|stop| self.stop = Some(stop)).ok()
    }

    fn slopes(&mut self, x: &[f64], value: f64) -> Option<Vec<f64>> {
        self.measured_slopes(x, value).map_err(|stop| self.stop = Some(stop)).ok()
    }
}
