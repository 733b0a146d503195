//! Why a model says what it says: permutation importance of a model, Shapley values of one prediction.
//!
//! Both only call the model, many rows at a time, so they serve a forest and a net alike.

use super::random::Random;

/// How much worse a model becomes without each column: the mean rise of `loss` over `repeats` when the column's values
/// are shuffled among the rows (Breiman 2001). Rows should be ones the model was not trained on. `loss` gets rows,
/// row-major with `columns` values each, in the order of `rows`. `None` without rows, columns or repeats.
pub fn permutation_importance(
    mut loss: impl FnMut(&[f64]) -> f64,
    rows: &[f64],
    columns: usize,
    repeats: usize,
    seed: u64,
) -> Option<Vec<f64>> {
    if columns == 0 || rows.len() < columns || repeats == 0 {
        return None;
    }
    let whole = loss(rows);
    let mut random = Random(seed);
    let mut changed = rows.to_vec();
    let rises = (0..columns).map(|column| {
        let mut values: Vec<f64> = rows.chunks_exact(columns).map(|row| row[column]).collect();
        let mut rise = 0.0;
        for _ in 0..repeats {
            random.shuffle(&mut values);
            set(&mut changed, columns, column, &values);
            rise += loss(&changed) - whole;
        }
        values = rows.chunks_exact(columns).map(|row| row[column]).collect();
        set(&mut changed, columns, column, &values);
        rise / repeats as f64
    });
    Some(rises.collect())
}

fn set(rows: &mut [f64], columns: usize, column: usize, values: &[f64]) {
    for (row, value) in rows.chunks_exact_mut(columns).zip(values) {
        row[column] = *value;
    }
}

/// A prediction taken apart: `base` plus all `values` is `prediction`, up to rounding.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// Mean prediction over the background.
    pub base: f64,
    /// Prediction of the row.
    pub prediction: f64,
    /// What each column moved the prediction by, in the prediction's unit.
    pub values: Vec<f64>,
    /// Whether all subsets of columns were tried; else the values are estimates (their sum is not).
    pub exact: bool,
}

/// Shapley values of a prediction: each column's mean effect over the orders in which the columns of `row` replace
/// those of a row of the `background`. Exact by all subsets when that takes no more than `budget` predictions; else
/// sampled by orders, each with its reverse (Štrumbelj & Kononenko 2014; Mitchell et al. 2022), at least one
/// pair for each background row. `model` predicts one value for each row it is given, row-major. `None` when `row`
/// or the background is empty or they do not fit.
pub fn shapley(
    mut model: impl FnMut(&[f64]) -> Vec<f64>,
    row: &[f64],
    background: &[f64],
    budget: usize,
    seed: u64,
) -> Option<Explanation> {
    let columns = row.len();
    if columns == 0 || background.is_empty() || !background.len().is_multiple_of(columns) {
        return None;
    }
    let count = background.len() / columns;
    let exact = columns < 20 && (count << columns) <= budget;
    let prediction = model(row)[0];
    let (base, values) = if exact {
        exactly(&mut model, row, background)
    } else {
        let pairs = (budget / ((2 * columns + 2) * count)).max(1);
        sampled(&mut model, row, background, pairs, &mut Random(seed))
    };
    Some(Explanation { base, prediction, values, exact })
}

fn exactly(model: &mut impl FnMut(&[f64]) -> Vec<f64>, row: &[f64], background: &[f64]) -> (f64, Vec<f64>) {
    let columns = row.len();
    let worth: Vec<f64> = (0..1usize << columns)
        .map(|subset| {
            let mixed: Vec<f64> = background
                .chunks_exact(columns)
                .flat_map(|other| (0..columns).map(move |at| if subset >> at & 1 == 1 { row[at] } else { other[at] }))
                .collect();
            mean(&model(&mixed))
        })
        .collect();
    // share of the orders in which exactly `size` given columns come before another
    let mut share = vec![1.0 / columns as f64; columns];
    for size in 1..columns {
        share[size] = share[size - 1] * size as f64 / (columns - size) as f64;
    }
    let value = |column: usize| {
        let without = (0..worth.len()).filter(|subset| subset >> column & 1 == 0);
        without.map(|set| share[set.count_ones() as usize] * (worth[set | 1 << column] - worth[set])).sum()
    };
    (worth[0], (0..columns).map(value).collect())
}

fn sampled(
    model: &mut impl FnMut(&[f64]) -> Vec<f64>,
    row: &[f64],
    background: &[f64],
    pairs: usize,
    random: &mut Random,
) -> (f64, Vec<f64>) {
    let columns = row.len();
    let (mut base, mut values) = (0.0, vec![0.0; columns]);
    let mut order: Vec<usize> = (0..columns).collect();
    let mut mixed = Vec::new();
    for other in background.chunks_exact(columns) {
        for _ in 0..pairs {
            random.shuffle(&mut order);
            for _ in 0..2 {
                order.reverse();
                mixed.clear();
                mixed.extend_from_slice(other);
                for &column in &order {
                    let from = mixed.len() - columns;
                    mixed.extend_from_within(from..);
                    let from = mixed.len() - columns;
                    mixed[from + column] = row[column];
                }
                let steps = model(&mixed);
                base += steps[0];
                for (&column, step) in order.iter().zip(steps.windows(2)) {
                    values[column] += step[1] - step[0];
                }
            }
        }
    }
    let orders = (2 * pairs * background.len() / columns) as f64;
    (base / orders, values.into_iter().map(|value| value / orders).collect())
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ml::forest::{Forest, Params};

    fn table(rows: usize, columns: usize, seed: u64) -> Vec<f64> {
        let mut random = Random(seed);
        (0..rows * columns).map(|_| random.unit()).collect()
    }

    /// A model of one row as one of many.
    fn each(columns: usize, of: impl Fn(&[f64]) -> f64) -> impl FnMut(&[f64]) -> Vec<f64> {
        move |rows| rows.chunks_exact(columns).map(&of).collect()
    }

    #[test]
    fn a_linear_model_gives_each_column_its_weight_times_its_distance_from_the_mean() {
        let background = table(8, 3, 1);
        let means: Vec<f64> = (0..3).map(|c| background.chunks_exact(3).map(|r| r[c]).sum::<f64>() / 8.0).collect();
        let (row, weights) = ([0.9, 0.1, 0.5], [2.0, -3.0, 0.0]);
        for budget in [8 << 3, 0] {
            let model = each(3, |row| row.iter().zip(weights).map(|(value, weight)| value * weight).sum());
            let found = shapley(model, &row, &background, budget, 7).unwrap();
            assert_eq!(found.exact, budget > 0);
            for at in 0..3 {
                assert!((found.values[at] - weights[at] * (row[at] - means[at])).abs() < 1e-12);
            }
        }
    }

    #[test]
    fn an_interaction_is_shared_and_what_is_not_used_gets_nothing() {
        let product = || each(3, |row| row[0] * row[1]);
        let found = shapley(product(), &[2.0, 3.0, 9.0], &[0.0; 3], 8, 0).unwrap();
        assert_eq!(found.values, [3.0, 3.0, 0.0]);
        // against a background of ones: v(0)=2, v(1)=3, v(01)=6, v()=1
        let found = shapley(product(), &[2.0, 3.0, 9.0], &[1.0; 3], 8, 0).unwrap();
        assert!((found.values[0] - 2.0).abs() < 1e-12 && (found.values[1] - 3.0).abs() < 1e-12);
    }

    #[test]
    fn the_values_of_a_forest_sum_to_its_prediction_less_the_mean_and_sampling_nears_the_exact() {
        let rows = table(300, 6, 3);
        let targets: Vec<f64> = rows.chunks_exact(6).map(|r| 4.0 * r[0] + 3.0 * r[1] * r[2]).collect();
        let forest = Forest::regression(&rows, 6, &targets, Params { trees: 30, ..Params::default() }).unwrap();
        let (row, background) = (&rows[60..66], &rows[600..600 + 20 * 6]);
        let exact = shapley(|r| forest.predict_many(r), row, background, 20 << 6, 0).unwrap();
        let sampled = shapley(|r| forest.predict_many(r), row, background, 20 * 14 * 4, 0).unwrap();
        assert!(exact.exact && !sampled.exact || 20 * 14 * 4 >= 20 << 6);
        for found in [&exact, &sampled] {
            assert!((found.base + found.values.iter().sum::<f64>() - found.prediction).abs() < 1e-9);
            assert!((found.prediction - forest.predict(row)[0]).abs() < 1e-12);
            assert!((found.base - mean(&forest.predict_many(background))).abs() < 1e-9);
        }
        for (one, other) in exact.values.iter().zip(&sampled.values) {
            assert!((one - other).abs() < 0.1, "{exact:?} {sampled:?}");
        }
    }

    #[test]
    fn the_columns_that_matter_are_the_important_ones() {
        let rows = table(400, 4, 5);
        let target = |row: &[f64]| 5.0 * row[2] + row[0];
        let loss = |rows_: &[f64]| {
            let errors = rows_.chunks_exact(4).zip(rows.chunks_exact(4)).map(|(r, t)| (target(r) - target(t)).powi(2));
            errors.sum::<f64>() / 400.0
        };
        let found = permutation_importance(loss, &rows, 4, 3, 1).unwrap();
        assert!(found[2] > 10.0 * found[0] && found[0] > 0.05, "{found:?}");
        assert_eq!((found[1], found[3]), (0.0, 0.0));
    }

    #[test]
    fn bad_input_has_an_answer() {
        let model = || each(2, |row| row[0]);
        assert!(shapley(model(), &[], &[], 10, 0).is_none());
        assert!(shapley(model(), &[1.0, 2.0], &[], 10, 0).is_none());
        assert!(shapley(model(), &[1.0, 2.0], &[1.0; 3], 10, 0).is_none());
        assert!(permutation_importance(|_| 0.0, &[], 2, 1, 0).is_none());
        assert!(permutation_importance(|_| 0.0, &[1.0, 2.0], 0, 1, 0).is_none());
    }
}
