//! What can be chosen: named dimensions with bounds, and constraints every choice has to keep.
//!
//! A point is one `f64` per dimension in the dimension's own unit: a number, a whole number, the place of a category,
//! 0 or 1. Algorithms move in the unit cube, where distances have no unit.

use super::expr::{Expr, Symbol, Type};
use crate::ml::random::Random;
use std::collections::BTreeSet;

/// Spaces with at most so many points are looked at whole.
pub const COUNTABLE: usize = 20_000;
/// Boxes looked at before a space counts as one in which nothing allowed can be found.
const BOXES: usize = 20_000;
/// Points drawn from the whole space before boxes are looked at.
const DRAWS: usize = 200;

/// What a dimension can be.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// Any number from the first to the second, both finite; distances are those of logarithms if `log`.
    Continuous {
        /// Least.
        low: f64,
        /// Greatest.
        high: f64,
        /// Whether twice as much is as far everywhere; `low` is positive then.
        log: bool,
    },
    /// Whole numbers.
    Integer {
        /// Least.
        low: i32,
        /// Greatest.
        high: i32,
        /// Whether twice as much is as far everywhere; `low` is positive then.
        log: bool,
    },
    /// One of some words.
    Categorical(Vec<String>),
    /// Off or on.
    Boolean,
}

/// One thing to be chosen.
#[derive(Debug, Clone, PartialEq)]
pub struct Dimension {
    /// What it is called.
    pub name: String,
    /// What it can be.
    pub kind: Kind,
}

impl Dimension {
    /// Least and greatest value.
    pub fn bounds(&self) -> (f64, f64) {
        match &self.kind {
            Kind::Continuous { low, high, .. } => (*low, *high),
            Kind::Integer { low, high, .. } => (f64::from(*low), f64::from(*high)),
            Kind::Categorical(choices) => (0.0, choices.len() as f64 - 1.0),
            Kind::Boolean => (0.0, 1.0),
        }
    }

    /// Whether it is a number between whose values there are others.
    pub fn continuous(&self) -> bool {
        matches!(self.kind, Kind::Continuous { .. })
    }

    /// Whether its values have no order.
    pub fn categorical(&self) -> bool {
        matches!(self.kind, Kind::Categorical(_))
    }

    /// How many values it has, if they can be counted.
    pub fn count(&self) -> Option<usize> {
        let (low, high) = self.bounds();
        match self.kind {
            Kind::Continuous { .. } => (low == high).then_some(1),
            _ => Some((high - low) as usize + 1),
        }
    }

    fn log(&self) -> bool {
        matches!(self.kind, Kind::Continuous { log: true, .. } | Kind::Integer { log: true, .. })
    }

    /// The value at a place of 0..=1, one that the dimension has.
    pub fn value(&self, place: f64) -> f64 {
        let ((low, high), place) = (self.bounds(), place.clamp(0.0, 1.0));
        let raw = if self.log() { low * (high / low).powf(place) } else { low + (high - low) * place };
        self.nearest(raw)
    }

    /// The place in 0..=1 of a value.
    pub fn place(&self, value: f64) -> f64 {
        let (low, high) = self.bounds();
        if low == high {
            return 0.0;
        }
        let raw = if self.log() { (value / low).ln() / (high / low).ln() } else { (value - low) / (high - low) };
        raw.clamp(0.0, 1.0)
    }

    /// The nearest value the dimension has.
    pub fn nearest(&self, value: f64) -> f64 {
        let (low, high) = self.bounds();
        let value = if value.is_nan() { low } else { value.clamp(low, high) };
        if self.continuous() { value } else { value.round() }
    }

    /// The value as it is written.
    pub fn told(&self, value: f64) -> String {
        match &self.kind {
            Kind::Categorical(choices) => choices.get(value as usize).cloned().unwrap_or_default(),
            Kind::Boolean => (value == 1.0).to_string(),
            _ => value.to_string(),
        }
    }
}

/// Why a space can't be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadSpace {
    /// A dimension's bounds or choices can't be.
    #[error("{name}: {problem}")]
    Dimension {
        /// Which.
        name: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// Nothing at all can be chosen.
    #[error("there is nothing to choose")]
    Empty,
}

/// Why no allowed point was found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NothingAllowed {
    /// The constraints contradict each other or the bounds.
    #[error("no configuration keeps all constraints: {}", .0.join(" and "))]
    Contradiction(Vec<String>),
    /// None was found; there may be one.
    #[error("none of {BOXES} parts of the space that were looked at has a configuration that keeps all constraints: {}", .0.join(" and "))]
    NotFound(Vec<String>),
}

/// Dimensions and constraints.
#[derive(Debug, Clone, PartialEq)]
pub struct Space {
    dimensions: Vec<Dimension>,
    constraints: Vec<Expr>,
}

impl Space {
    /// A space without constraints.
    pub fn new(dimensions: Vec<Dimension>) -> Result<Self, BadSpace> {
        if dimensions.is_empty() {
            return Err(BadSpace::Empty);
        }
        let mut seen = BTreeSet::new();
        for dimension in &dimensions {
            let wrong = |problem| Err(BadSpace::Dimension { name: dimension.name.clone(), problem });
            let (low, high) = dimension.bounds();
            if !seen.insert(&dimension.name) {
                return wrong("there are two of this name");
            }
            match &dimension.kind {
                Kind::Categorical(choices) if choices.is_empty() => return wrong("it has no choices"),
                Kind::Categorical(choices) if choices.iter().enumerate().any(|(at, c)| choices[..at].contains(c)) => {
                    return wrong("a choice is there twice");
                }
                _ if !(low.is_finite() && high.is_finite()) => return wrong("its bounds must be finite numbers"),
                _ if low > high => return wrong("low is above high"),
                _ if dimension.log() && low <= 0.0 => return wrong("a logarithmic scale needs a low above 0"),
                _ => {}
            }
        }
        Ok(Self { dimensions, constraints: Vec::new() })
    }

    /// Adds a constraint, read with [`Self::symbols`].
    pub fn constrain(&mut self, constraint: Expr) {
        self.constraints.push(constraint);
    }

    /// The names constraints may use, in the order of the dimensions.
    pub fn symbols(&self) -> Vec<Symbol> {
        let kind = |dimension: &Dimension| match &dimension.kind {
            Kind::Categorical(choices) => Type::Choice(choices.clone()),
            Kind::Boolean => Type::Truth,
            _ => Type::Number,
        };
        self.dimensions.iter().map(|d| Symbol { name: d.name.clone(), kind: kind(d) }).collect()
    }

    /// What can be chosen.
    pub fn dimensions(&self) -> &[Dimension] {
        &self.dimensions
    }

    /// Whether a point has only values its dimensions have, and keeps every constraint.
    pub fn allows(&self, point: &[f64]) -> bool {
        point.len() == self.dimensions.len()
            && self.dimensions.iter().zip(point).all(|(dimension, value)| dimension.nearest(*value) == *value)
            && self.constraints.iter().all(|constraint| constraint.holds(point))
    }

    /// The first constraint a point breaks, as it was written.
    pub fn broken(&self, point: &[f64]) -> Option<&str> {
        self.constraints.iter().find(|constraint| !constraint.holds(point)).map(Expr::text)
    }

    /// The place of a point in the unit cube.
    pub fn places(&self, point: &[f64]) -> Vec<f64> {
        self.dimensions.iter().zip(point).map(|(dimension, value)| dimension.place(*value)).collect()
    }

    /// The point at a place of the unit cube.
    pub fn point(&self, places: &[f64]) -> Vec<f64> {
        self.dimensions.iter().zip(places).map(|(dimension, place)| dimension.value(*place)).collect()
    }

    /// Distance of two points without a unit: root of the mean square over the dimensions, each between 0 and 1.
    pub fn distance(&self, a: &[f64], b: &[f64]) -> f64 {
        let parts = self.dimensions.iter().zip(a.iter().zip(b)).map(|(dimension, (a, b))| {
            let off = if dimension.categorical() {
                f64::from(u8::from(a != b))
            } else {
                dimension.place(*a) - dimension.place(*b)
            };
            off * off
        });
        (parts.sum::<f64>() / self.dimensions.len() as f64).sqrt()
    }

    /// How many points there are, allowed or not, if they can be counted.
    pub fn count(&self) -> Option<usize> {
        self.dimensions.iter().try_fold(1usize, |all, dimension| all.checked_mul(dimension.count()?))
    }

    /// Every allowed point, of a space of at most [`COUNTABLE`] points.
    pub fn all(&self) -> Option<Vec<Vec<f64>>> {
        let count = self.count().filter(|count| *count <= COUNTABLE)?;
        let nth = |mut at: usize| -> Vec<f64> {
            let value = |dimension: &Dimension| {
                let values = dimension.count().unwrap_or(1);
                let value = dimension.bounds().0 + (at % values) as f64;
                at /= values;
                value
            };
            self.dimensions.iter().map(value).collect()
        };
        Some((0..count).map(nth).filter(|point| self.allows(point)).collect())
    }

    /// An allowed point drawn at random: uniformly if a fair share of the space is allowed, else from the parts of it
    /// where intervals do not rule it out.
    pub(crate) fn draw(&self, random: &mut Random) -> Result<Vec<f64>, NothingAllowed> {
        for _ in 0..DRAWS {
            let places: Vec<f64> = self.dimensions.iter().map(|dimension| place(dimension, random)).collect();
            let point = self.point(&places);
            if self.allows(&point) {
                return Ok(point);
            }
        }
        self.draw_from_boxes(random)
    }

    /// Halves boxes until a point drawn from one is allowed; boxes in which a constraint can't hold are left out.
    fn draw_from_boxes(&self, random: &mut Random) -> Result<Vec<f64>, NothingAllowed> {
        let all = || self.constraints.iter().map(|constraint| format!("`{}`", constraint.text())).collect();
        let mut boxes = vec![self.dimensions.iter().map(Dimension::bounds).collect::<Vec<_>>()];
        let mut whole = true; // nothing was given up without proof
        for _ in 0..BOXES {
            if boxes.is_empty() {
                return Err(if whole { NothingAllowed::Contradiction(all()) } else { NothingAllowed::NotFound(all()) });
            }
            let last = boxes.len() - 1;
            let chosen = last - random.below(boxes.len().min(4)); // mostly deeper, so that thin regions are reached
            let bounds = boxes.swap_remove(chosen);
            if self.constraints.iter().any(|constraint| constraint.range(&bounds).1 < 1.0) {
                continue;
            }
            let point: Vec<f64> =
                self.dimensions.iter().zip(&bounds).map(|(d, held)| within(d, *held, random)).collect();
            if self.allows(&point) {
                return Ok(point);
            }
            match self.halves(&bounds) {
                Some(halves) => boxes.extend(halves),
                None => {
                    whole &= self.constraints.iter().any(|constraint| constraint.range(&bounds) == (0.0, 0.0))
                        || single(&bounds);
                }
            }
        }
        Err(NothingAllowed::NotFound(all()))
    }

    /// A box in two, cut across its longest side; nothing where every side is too short.
    fn halves(&self, bounds: &[(f64, f64)]) -> Option<[Vec<(f64, f64)>; 2]> {
        let length = |at: usize| {
            let dimension = &self.dimensions[at];
            let length = dimension.place(bounds[at].1) - dimension.place(bounds[at].0);
            if length > 1e-6 || !dimension.continuous() && length > 0.0 { length } else { 0.0 }
        };
        let longest = (0..bounds.len()).max_by(|a, b| length(*a).total_cmp(&length(*b)))?;
        if length(longest) == 0.0 {
            return None;
        }
        let dimension = &self.dimensions[longest];
        let (low, high) = bounds[longest];
        let (below, above) = if dimension.continuous() {
            let middle = dimension.value(f64::midpoint(dimension.place(low), dimension.place(high)));
            (middle, middle)
        } else {
            let middle = f64::midpoint(low, high).floor();
            (middle, middle + 1.0)
        };
        let mut halves = [bounds.to_vec(), bounds.to_vec()];
        halves[0][longest].1 = below;
        halves[1][longest].0 = above;
        Some(halves)
    }

    /// The point farthest from an allowed one on the way to a place of the cube that is allowed; found by halving.
    /// Values without an order are taken from the far end if that is allowed with them.
    pub(crate) fn toward(&self, from: &[f64], to: &[f64]) -> Vec<f64> {
        let far = self.point(to);
        if self.allows(&far) {
            return far;
        }
        let (near, mut kept) = (self.places(from), from.to_vec());
        let (mut low, mut high) = (0.0, 1.0);
        for _ in 0..14 {
            let share = f64::midpoint(low, high);
            let mixed = self.dimensions.iter().zip(near.iter().zip(to)).map(|(dimension, (near, to))| {
                if dimension.categorical() { *near } else { near + share * (to - near) }
            });
            let point = self.point(&mixed.collect::<Vec<_>>());
            if self.allows(&point) {
                (low, kept) = (share, point);
            } else {
                high = share;
            }
        }
        kept
    }
}

/// Whether a box is one point; that point was looked at.
fn single(bounds: &[(f64, f64)]) -> bool {
    bounds.iter().all(|(low, high)| low == high)
}

/// A place that gives every value of a dimension the same chance.
pub(crate) fn place(dimension: &Dimension, random: &mut Random) -> f64 {
    match dimension.count() {
        Some(count) if !dimension.log() => {
            let (low, _) = dimension.bounds();
            dimension.place(low + random.below(count) as f64)
        }
        _ => random.unit(),
    }
}

/// A value between two that a dimension has.
fn within(dimension: &Dimension, (low, high): (f64, f64), random: &mut Random) -> f64 {
    if dimension.continuous() {
        let (from, to) = (dimension.place(low), dimension.place(high));
        return dimension.value(from + (to - from) * random.unit()).clamp(low, high);
    }
    low + random.below((high - low) as usize + 1) as f64
}
