//! Configurations as rows of numbers for models: places in the unit cube, and a column for each category.

use super::space::{Kind, Space};

/// How the points of a space become rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Encoding {
    groups: Vec<usize>,
}

impl Encoding {
    /// That of a space.
    pub fn of(space: &Space) -> Self {
        let columns = |kind: &Kind| if let Kind::Categorical(choices) = kind { choices.len() } else { 1 };
        let dimensions = space.dimensions().iter().enumerate();
        Self { groups: dimensions.flat_map(|(at, held)| vec![at; columns(&held.kind)]).collect() }
    }

    /// The dimension each column belongs to.
    pub fn groups(&self) -> &[usize] {
        &self.groups
    }

    /// The row of a point; two categories are at a distance of 1.
    pub fn row(&self, space: &Space, point: &[f64]) -> Vec<f64> {
        let mut row = Vec::with_capacity(self.groups.len());
        for (dimension, value) in space.dimensions().iter().zip(point) {
            if let Kind::Categorical(choices) = &dimension.kind {
                let one = std::f64::consts::FRAC_1_SQRT_2;
                row.extend((0..choices.len()).map(|at| if at as f64 == *value { one } else { 0.0 }));
            } else {
                row.push(dimension.place(*value));
            }
        }
        row
    }
}
