//! Random forest (Breiman 2001) for regression and for classification with class weights.
//!
//! A class is learned as its indicator, so one criterion serves both: the sum of the variance reductions over the
//! outputs, which for indicators is the Gini decrease. Splits are exact: rows are sorted by their rank within a
//! column, ranks being computed once for all trees. Trees are flat arrays, and all rows pass one tree before the next.

use serde::{Deserialize, Serialize};

use super::random::Random;
use grow::{Growth, Table, Targets, median};

/// Size of a forest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Params {
    /// Trees.
    pub trees: usize,
    /// Columns tried at each split that are not constant there; `None` takes a third of them for regression and the
    /// square root of their number for classification.
    pub tried: Option<usize>,
    /// Fewest rows in a leaf.
    pub leaf: usize,
    /// Most splits from root to leaf.
    pub depth: usize,
    /// Seed of the samples and columns: the same seed and rows give the same forest.
    pub seed: u64,
}

impl Default for Params {
    fn default() -> Self {
        Self { trees: 100, tried: None, leaf: 1, depth: 32, seed: 0 }
    }
}

/// Why nothing could be learned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// No rows, columns, trees or classes.
    #[error("nothing to learn from")]
    Empty,
    /// The numbers of values, targets, classes or weights do not fit each other.
    #[error("rows, targets and weights do not fit each other")]
    Ragged,
    /// A target that is not finite, a class out of range, or a weight that is not positive and finite.
    #[error("target or weight {0} is out of range")]
    Range(usize),
}

/// An inner node sends a row with `column` below `cut` to `next`, others to `next + 1`; in a leaf `column` is [`LEAF`]
/// and `next` the place of its values.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Node {
    cut: f64,
    column: u32,
    next: u32,
}

const LEAF: u32 = u32::MAX;

/// A fitted forest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Forest {
    columns: usize,
    /// What a prediction is before any tree speaks: the mean of each output.
    base: Vec<f64>,
    /// First node of each tree.
    roots: Vec<u32>,
    nodes: Vec<Node>,
    /// Values of the leaves, `base.len()` each, relative to `base`.
    leaves: Vec<f32>,
    /// Stand in for values that are not finite.
    medians: Vec<f64>,
}

impl Forest {
    /// Fits to `targets`, one for each of the `rows`, which are row-major with `columns` values each. A value that is
    /// not finite is taken as its column's median, here as in predictions.
    pub fn regression(rows: &[f64], columns: usize, targets: &[f64], params: Params) -> Result<Self, Unfit> {
        if let Some(bad) = targets.iter().position(|target| !target.is_finite()) {
            return Err(Unfit::Range(bad));
        }
        let tried = params.tried.unwrap_or(columns / 3);
        Self::fit(rows, columns, Targets { values: targets, width: 1, weights: None }, tried, params)
    }

    /// Fits to `classes`, one below `count` for each row; `weights` say how much a row of each class counts.
    pub fn classification(
        rows: &[f64],
        columns: usize,
        classes: &[usize],
        count: usize,
        weights: Option<&[f64]>,
        params: Params,
    ) -> Result<Self, Unfit> {
        if let Some(bad) = classes.iter().position(|class| *class >= count) {
            return Err(Unfit::Range(bad));
        }
        if weights.is_some_and(|weights| weights.len() != count) {
            return Err(Unfit::Ragged);
        }
        let positive = |weight: &f64| weight.is_finite() && *weight > 0.0;
        if let Some(bad) = weights.and_then(|weights| weights.iter().position(|weight| !positive(weight))) {
            return Err(Unfit::Range(bad));
        }
        let mut indicators = vec![0.0; classes.len() * count];
        for (indicator, class) in indicators.chunks_exact_mut(count.max(1)).zip(classes) {
            indicator[*class] = 1.0;
        }
        let weights: Option<Vec<f64>> = weights.map(|weights| classes.iter().map(|class| weights[*class]).collect());
        let targets = Targets { values: &indicators, width: count, weights: weights.as_deref() };
        let tried = params.tried.unwrap_or((columns as f64).sqrt() as usize);
        Self::fit(rows, columns, targets, tried, params)
    }

    fn fit(rows: &[f64], columns: usize, targets: Targets, tried: usize, params: Params) -> Result<Self, Unfit> {
        let count = rows.len().checked_div(columns).unwrap_or(0);
        if count == 0 || params.trees == 0 || targets.width == 0 {
            return Err(Unfit::Empty);
        }
        if !rows.len().is_multiple_of(columns) || targets.values.len() != count * targets.width {
            return Err(Unfit::Ragged);
        }
        let medians: Vec<f64> = (0..columns).map(|column| median(rows, columns, column)).collect();
        let total: f64 = (0..count).map(|row| targets.weight(row)).sum();
        let base: Vec<f64> = (0..targets.width)
            .map(|at| (0..count).map(|row| targets.weight(row) * targets.of(row)[at]).sum::<f64>() / total)
            .collect();
        let table = Table::new(rows, columns, &medians);
        let mut forest = Self { columns, base, roots: Vec::new(), nodes: Vec::new(), leaves: Vec::new(), medians };
        let mut random = Random(params.seed);
        let tried = tried.clamp(1, columns);
        for _ in 0..params.trees {
            let mut drawn = vec![0u32; count];
            for _ in 0..count {
                drawn[random.below(count)] += 1;
            }
            let mut growth = Growth::new(&table, targets, &drawn, &mut forest, &mut random, (tried, params));
            growth.grow();
        }
        Ok(forest)
    }

    /// Outputs of a prediction: 1 for regression, the number of classes for classification.
    pub fn outputs(&self) -> usize {
        self.base.len()
    }

    /// Predicts one row of as many values as the forest was fitted with: the target, or each class's probability.
    pub fn predict(&self, row: &[f64]) -> Vec<f64> {
        self.predict_many(row)
    }

    /// Predicts many rows, row-major: [`Self::outputs`] values for each whole row.
    pub fn predict_many(&self, rows: &[f64]) -> Vec<f64> {
        let width = self.outputs();
        let rows: Vec<f64> = rows.chunks_exact(self.columns).flat_map(|row| self.imputed(row)).collect();
        let mut sums = vec![0.0; rows.len() / self.columns * width];
        for &root in &self.roots {
            for (sum, row) in sums.chunks_exact_mut(width).zip(rows.chunks_exact(self.columns)) {
                let leaf = self.leaf(root, row);
                for (sum, value) in sum.iter_mut().zip(&self.leaves[leaf..leaf + width]) {
                    *sum += f64::from(*value);
                }
            }
        }
        let trees = self.roots.len() as f64;
        for sum in sums.chunks_exact_mut(width) {
            for (value, base) in sum.iter_mut().zip(&self.base) {
                *value = base + *value / trees;
            }
        }
        sums
    }

    fn imputed<'a>(&'a self, row: &'a [f64]) -> impl Iterator<Item = f64> + 'a {
        row.iter().zip(&self.medians).map(|(value, median)| if value.is_finite() { *value } else { *median })
    }

    fn leaf(&self, root: u32, row: &[f64]) -> usize {
        let mut node = self.nodes[root as usize];
        while node.column != LEAF {
            node = self.nodes[node.next as usize + usize::from(row[node.column as usize] >= node.cut)];
        }
        node.next as usize
    }
}

mod grow;
#[cfg(test)]
mod tests;
