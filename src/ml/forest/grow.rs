//! Grows one tree of a forest.

use super::{Forest, LEAF, Node, Params};
use crate::ml::random::Random;

/// What is to be predicted, `width` values for each row.
#[derive(Clone, Copy)]
pub(super) struct Targets<'a> {
    pub values: &'a [f64],
    pub width: usize,
    pub weights: Option<&'a [f64]>,
}

impl Targets<'_> {
    pub fn of(&self, row: usize) -> &[f64] {
        &self.values[row * self.width..(row + 1) * self.width]
    }

    pub fn weight(&self, row: usize) -> f64 {
        self.weights.map_or(1.0, |weights| weights[row])
    }
}

/// The rows by column, as ranks among the column's distinct values.
pub(super) struct Table {
    count: usize,
    ranks: Vec<u32>,
    distinct: Vec<Vec<f64>>,
}

impl Table {
    pub fn new(rows: &[f64], columns: usize, medians: &[f64]) -> Self {
        let count = rows.len() / columns;
        let mut table = Self { count, ranks: Vec::with_capacity(rows.len()), distinct: Vec::with_capacity(columns) };
        for (column, median) in medians.iter().enumerate() {
            let value = |row: usize| Some(rows[row * columns + column]).filter(|v| v.is_finite()).unwrap_or(*median);
            let mut distinct: Vec<f64> = (0..count).map(value).collect();
            distinct.sort_unstable_by(f64::total_cmp);
            distinct.dedup(); // -0 and 0 are one value, as they are to a cut
            table.ranks.extend((0..count).map(|row| {
                let value = value(row);
                distinct.partition_point(|held| *held < value) as u32
            }));
            table.distinct.push(distinct);
        }
        table
    }
}

/// Where to split, and how good that is.
#[derive(Clone, Copy)]
struct Split {
    column: usize,
    /// Ranks up to this go left.
    rank: u32,
    cut: f64,
    gain: f64,
}

/// One tree being grown.
pub(super) struct Growth<'a> {
    table: &'a Table,
    forest: &'a mut Forest,
    random: &'a mut Random,
    params: Params,
    tried: usize,
    /// Rows in the sample.
    rows: Vec<u32>,
    /// Of each row of the table: its weight, times how often it was drawn.
    weights: Vec<f64>,
    /// Of each row of the table: its targets less the base, times its weight.
    targets: Vec<f64>,
    /// Columns in a random order.
    columns: Vec<usize>,
    /// Rank and row of the rows of a node, to be sorted.
    keys: Vec<u64>,
}

impl<'a> Growth<'a> {
    pub fn new(
        table: &'a Table,
        targets: Targets,
        drawn: &[u32],
        forest: &'a mut Forest,
        random: &'a mut Random,
        (tried, params): (usize, Params),
    ) -> Self {
        let weights: Vec<f64> =
            drawn.iter().enumerate().map(|(row, times)| f64::from(*times) * targets.weight(row)).collect();
        let weighted = targets
            .values
            .chunks_exact(targets.width)
            .zip(&weights)
            .flat_map(|(values, weight)| {
                values.iter().zip(&forest.base).map(move |(value, base)| (value - base) * weight)
            })
            .collect();
        let rows = (0..table.count as u32).filter(|row| drawn[*row as usize] > 0).collect();
        let columns = (0..table.distinct.len()).collect();
        let keys = Vec::with_capacity(table.count);
        Self { table, forest, random, params, tried, rows, weights, targets: weighted, columns, keys }
    }

    pub fn grow(&mut self) {
        let root = self.forest.nodes.len();
        self.forest.roots.push(root as u32);
        self.forest.nodes.push(Node { cut: 0.0, column: LEAF, next: 0 });
        let mut open = vec![(root, 0, self.rows.len(), 0)];
        while let Some((node, from, until, depth)) = open.pop() {
            let found = if depth < self.params.depth { self.split(from, until) } else { None };
            let Some(split) = found else {
                self.leaf(node, from, until);
                continue;
            };
            let ranks = &self.table.ranks[split.column * self.table.count..];
            let middle = from + partition(&mut self.rows[from..until], |row| ranks[row as usize] <= split.rank);
            let next = self.forest.nodes.len();
            self.forest.nodes[node] = Node { cut: split.cut, column: split.column as u32, next: next as u32 };
            self.forest.nodes.extend([Node { cut: 0.0, column: LEAF, next: 0 }; 2]);
            open.push((next, from, middle, depth + 1));
            open.push((next + 1, middle, until, depth + 1));
        }
    }

    fn leaf(&mut self, node: usize, from: usize, until: usize) {
        self.forest.nodes[node].next = self.forest.leaves.len() as u32;
        let (sums, weight) = self.sums(from, until);
        self.forest.leaves.extend(sums.iter().map(|sum| (sum / weight) as f32));
    }

    fn sums(&self, from: usize, until: usize) -> (Vec<f64>, f64) {
        let width = self.forest.base.len();
        let (mut sums, mut weight) = (vec![0.0; width], 0.0);
        for &row in &self.rows[from..until] {
            weight += self.weights[row as usize];
            add(&mut sums, &self.targets[row as usize * width..], 1.0);
        }
        (sums, weight)
    }

    /// The best split of these rows among the columns drawn; `None` when none is better than a leaf.
    fn split(&mut self, from: usize, until: usize) -> Option<Split> {
        if until - from < 2 * self.params.leaf.max(1) {
            return None;
        }
        let (sums, weight) = self.sums(from, until);
        let mut best = Split { column: 0, rank: 0, cut: 0.0, gain: squares(&sums, weight) };
        best.gain += best.gain.abs() * 1e-9 + f64::MIN_POSITIVE; // what rounding gains is nothing
        let leaf = best.gain;
        let mut left = self.tried;
        for at in 0..self.columns.len() {
            let other = at + self.random.below(self.columns.len() - at);
            self.columns.swap(at, other);
            if self.sweep(self.columns[at], (from, until), (&sums, weight), &mut best) {
                left -= 1;
                if left == 0 {
                    break;
                }
            }
        }
        (best.gain > leaf).then_some(best)
    }

    /// Tries every cut of a column; false when the column is constant here.
    fn sweep(&mut self, column: usize, (from, until): (usize, usize), all: (&[f64], f64), best: &mut Split) -> bool {
        let ranks = &self.table.ranks[column * self.table.count..(column + 1) * self.table.count];
        self.keys.clear();
        self.keys
            .extend(self.rows[from..until].iter().map(|row| u64::from(ranks[*row as usize]) << 32 | u64::from(*row)));
        let rank = |key: u64| (key >> 32) as u32;
        let first = rank(self.keys[0]);
        if self.keys.iter().all(|key| rank(*key) == first) {
            return false;
        }
        self.keys.sort_unstable();
        let width = all.0.len();
        let leaf = self.params.leaf.max(1);
        let (mut below, mut above, mut weight) = (vec![0.0; width], all.0.to_vec(), 0.0);
        for (at, pair) in self.keys.windows(2).enumerate() {
            let row = (pair[0] & u64::from(u32::MAX)) as usize;
            weight += self.weights[row];
            add(&mut below, &self.targets[row * width..], 1.0);
            add(&mut above, &self.targets[row * width..], -1.0);
            let (here, next) = (rank(pair[0]), rank(pair[1]));
            if here == next || at + 1 < leaf || self.keys.len() - at - 1 < leaf {
                continue;
            }
            let gain = squares(&below, weight) + squares(&above, all.1 - weight);
            if gain > best.gain {
                let distinct = &self.table.distinct[column];
                let (low, high) = (distinct[here as usize], distinct[next as usize]);
                let middle = low / 2.0 + high / 2.0;
                *best = Split { column, rank: here, cut: if middle > low { middle } else { high }, gain };
            }
        }
        true
    }
}

fn add(sums: &mut [f64], values: &[f64], sign: f64) {
    for (sum, value) in sums.iter_mut().zip(values) {
        *sum += sign * value;
    }
}

/// What a group's mean explains: the sum over outputs of the squared sum, divided by the weight.
fn squares(sums: &[f64], weight: f64) -> f64 {
    sums.iter().map(|sum| sum * sum).sum::<f64>() / weight
}

/// Moves the rows that go left to the front and returns their number.
fn partition(rows: &mut [u32], left: impl Fn(u32) -> bool) -> usize {
    let mut count = 0;
    for at in 0..rows.len() {
        if left(rows[at]) {
            rows.swap(count, at);
            count += 1;
        }
    }
    count
}

/// Median of the finite values of a column; 0 when there is none.
pub(super) fn median(rows: &[f64], columns: usize, column: usize) -> f64 {
    let mut values: Vec<f64> =
        rows.chunks_exact(columns).map(|row| row[column]).filter(|value| value.is_finite()).collect();
    let middle = values.len() / 2;
    if values.is_empty() { 0.0 } else { *values.select_nth_unstable_by(middle, f64::total_cmp).1 }
}
