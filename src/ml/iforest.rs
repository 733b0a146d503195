//! Isolation forest (Liu, Ting & Zhou 2008): what few random cuts isolate is anomalous.
//!
//! Trees are complete binary trees in one flat array: a walk is a fixed number of steps without a branch that could be
//! mispredicted, and all rows pass one tree while it is in the cache.

use serde::{Deserialize, Serialize};

use super::random::Random;

/// Size of a forest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Params {
    /// Trees.
    pub trees: usize,
    /// Rows drawn without replacement for each tree (the paper's psi).
    pub sample: usize,
    /// Seed of the cuts: the same seed and rows give the same forest.
    pub seed: u64,
}

impl Default for Params {
    fn default() -> Self {
        Self { trees: 100, sample: 256, seed: 0 }
    }
}

/// An inner node: rows with `column` below `cut` go left.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Node {
    cut: f64,
    column: u32,
}

/// A fitted forest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IsolationForest {
    columns: usize,
    depth: u32,
    /// `2^depth - 1` inner nodes per tree, in heap order.
    nodes: Vec<Node>,
    /// `2^depth` path lengths per tree.
    paths: Vec<f32>,
    /// The path length that scores 0.5.
    usual: f64,
    medians: Vec<f64>,
}

impl IsolationForest {
    /// Fits to `rows`, row-major with `columns` values each; rows with a value that is not finite are left out.
    /// `None` without at least two rows to learn from, or without columns.
    pub fn fit(rows: &[f64], columns: usize, params: Params) -> Option<Self> {
        if columns == 0 {
            return None;
        }
        let whole: Vec<&[f64]> =
            rows.chunks_exact(columns).filter(|row| row.iter().all(|value| value.is_finite())).collect();
        let sample = params.sample.min(whole.len());
        if sample < 2 || params.trees == 0 {
            return None;
        }
        let depth = sample.next_power_of_two().ilog2();
        let (inner, leaves) = ((1usize << depth) - 1, 1usize << depth);
        let mut forest = Self {
            columns,
            depth,
            nodes: vec![Node { cut: f64::MAX, column: 0 }; inner * params.trees],
            paths: vec![0.0; leaves * params.trees],
            usual: average_path(sample),
            medians: (0..columns).map(|column| median(whole.iter().map(|row| row[column]))).collect(),
        };
        let mut random = Random(params.seed);
        let mut order: Vec<u32> = (0..whole.len() as u32).collect();
        for (nodes, paths) in forest.nodes.chunks_exact_mut(inner).zip(forest.paths.chunks_exact_mut(leaves)) {
            for drawn in 0..sample {
                let other = drawn + random.below(order.len() - drawn);
                order.swap(drawn, other);
            }
            Growth { rows: &whole, nodes, paths, random: &mut random, depth }.grow(&mut order[..sample], 0, 0);
        }
        Some(forest)
    }

    /// Score of a row, 0..1: about 0.5 is usual, near 1 isolated. A value that is not finite is taken as the median.
    pub fn score(&self, row: &[f64]) -> f64 {
        let row: Vec<f64> = self.imputed(row);
        let path: f64 = (0..self.trees()).map(|tree| f64::from(self.walk(tree, &row))).sum();
        self.score_of(path)
    }

    /// Scores of many rows, row-major; all values must be finite.
    pub fn score_many(&self, rows: &[f64]) -> Vec<f64> {
        let mut sums = vec![0.0f64; rows.len() / self.columns];
        for tree in 0..self.trees() {
            for (sum, row) in sums.iter_mut().zip(rows.chunks_exact(self.columns)) {
                *sum += f64::from(self.walk(tree, row));
            }
        }
        sums.into_iter().map(|path| self.score_of(path)).collect()
    }

    fn imputed(&self, row: &[f64]) -> Vec<f64> {
        row.iter().zip(&self.medians).map(|(value, median)| if value.is_finite() { *value } else { *median }).collect()
    }

    fn trees(&self) -> usize {
        self.paths.len() >> self.depth
    }

    fn walk(&self, tree: usize, row: &[f64]) -> f32 {
        let inner = (1usize << self.depth) - 1;
        let nodes = &self.nodes[tree * inner..(tree + 1) * inner];
        let mut at = 0;
        for _ in 0..self.depth {
            let Node { cut, column } = nodes[at];
            at = 2 * at + 1 + usize::from(row[column as usize] >= cut);
        }
        self.paths[(tree << self.depth) + at - inner]
    }

    fn score_of(&self, path: f64) -> f64 {
        (-path / (self.trees() as f64 * self.usual)).exp2()
    }
}

/// A tree being grown.
struct Growth<'a> {
    rows: &'a [&'a [f64]],
    nodes: &'a mut [Node],
    paths: &'a mut [f32],
    random: &'a mut Random,
    depth: u32,
}

impl Growth<'_> {
    /// Grows the node `at` of `level` from the rows named in `drawn`.
    fn grow(&mut self, drawn: &mut [u32], at: usize, level: u32) {
        if level == self.depth || drawn.len() < 2 {
            return self.leaf(at, level, drawn.len());
        }
        let Some((column, cut)) = self.cut(drawn) else {
            return self.leaf(at, level, drawn.len());
        };
        self.nodes[at] = Node { cut, column: column as u32 };
        let mut left = 0;
        for index in 0..drawn.len() {
            if self.rows[drawn[index] as usize][column] < cut {
                drawn.swap(left, index);
                left += 1;
            }
        }
        let (below, above) = drawn.split_at_mut(left);
        self.grow(below, 2 * at + 1, level + 1);
        self.grow(above, 2 * at + 2, level + 1);
    }

    /// A random cut through a random column that is not constant; `None` when all are.
    fn cut(&mut self, drawn: &[u32]) -> Option<(usize, f64)> {
        let columns = self.rows[0].len();
        let first = self.random.below(columns);
        (0..columns).map(|offset| (first + offset) % columns).find_map(|column| {
            let (low, high) = drawn.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), &row| {
                let value = self.rows[row as usize][column];
                (low.min(value), high.max(value))
            });
            // in (low, high], so that neither side is empty
            (low < high).then(|| (column, (high - self.random.unit() * (high - low)).max(low.next_up())))
        })
    }

    /// Ends the tree here: every leaf below has this path length.
    fn leaf(&mut self, at: usize, level: u32, rows: usize) {
        let path = (f64::from(level) + average_path(rows)) as f32;
        let (inner, under) = (self.nodes.len(), self.depth - level);
        let first = ((at + 1) << under) - 1 - inner;
        self.paths[first..first + (1 << under)].fill(path);
    }
}

/// Average path length of an unsuccessful search in a binary search tree of `rows` (the paper's c).
fn average_path(rows: usize) -> f64 {
    const EULER: f64 = 0.577_215_664_901_532_9;
    match rows {
        0 | 1 => 0.0,
        2 => 1.0,
        _ => {
            let rows = rows as f64;
            2.0 * ((rows - 1.0).ln() + EULER) - 2.0 * (rows - 1.0) / rows
        }
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    let middle = values.len() / 2;
    *values.select_nth_unstable_by(middle, f64::total_cmp).1
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows of a Gaussian-like cloud, the last `far` of them far out.
    fn cloud(rows: usize, columns: usize, far: usize) -> Vec<f64> {
        let mut random = Random(11);
        (0..rows * columns)
            .map(|at| {
                let normal = (0..12).map(|_| random.unit()).sum::<f64>() - 6.0;
                if at / columns >= rows - far { normal * 0.5 + 5.0 } else { normal }
            })
            .collect()
    }

    #[test]
    fn the_average_path_is_the_papers() {
        assert_eq!(average_path(1), 0.0);
        assert_eq!(average_path(2), 1.0);
        assert!((average_path(256) - 10.244_770_9).abs() < 1e-6);
    }

    #[test]
    fn isolated_rows_score_above_all_usual_ones() {
        let rows = cloud(1000, 4, 10);
        let scores = IsolationForest::fit(&rows, 4, Params::default()).unwrap().score_many(&rows);
        let usual = scores[..990].iter().copied().fold(0.0, f64::max);
        assert!(
            scores[990..].iter().all(|score| *score > usual - 0.03 && *score > 0.6),
            "{usual} {:?}",
            &scores[990..]
        );
        assert!(scores[..990].iter().sum::<f64>() / 990.0 < 0.5);
    }

    #[test]
    fn one_row_scores_as_among_many_and_the_same_seed_gives_the_same_forest() {
        let rows = cloud(600, 3, 5);
        let forest = IsolationForest::fit(&rows, 3, Params::default()).unwrap();
        assert_eq!(forest, IsolationForest::fit(&rows, 3, Params::default()).unwrap());
        for (row, score) in rows.chunks_exact(3).zip(forest.score_many(&rows)) {
            assert!((forest.score(row) - score).abs() < 1e-12);
        }
        let stored: IsolationForest = serde_json::from_str(&serde_json::to_string(&forest).unwrap()).unwrap();
        assert!((stored.score(&rows[..3]) - forest.score(&rows[..3])).abs() < 1e-6);
    }

    #[test]
    fn bad_input_has_an_answer() {
        assert!(IsolationForest::fit(&[], 3, Params::default()).is_none());
        assert!(IsolationForest::fit(&[1.0, 2.0], 0, Params::default()).is_none());
        assert!(IsolationForest::fit(&[f64::NAN; 9], 3, Params::default()).is_none());
        let flat = IsolationForest::fit(&[2.0; 300], 3, Params::default()).unwrap();
        assert!((flat.score(&[2.0; 3]) - 0.5).abs() < 1e-6);
        let forest = IsolationForest::fit(&cloud(300, 2, 0), 2, Params::default()).unwrap();
        assert!(forest.score(&[f64::NAN, f64::INFINITY]) < 0.5);
        let tiny = IsolationForest::fit(&[1.0, 1.0f64.next_up()], 1, Params::default()).unwrap();
        assert!(tiny.score(&[1.0]).is_finite());
    }
}
