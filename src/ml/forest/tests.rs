//! What a forest promises.

use super::*;

/// Rows of uniform values in 0..1.
fn table(rows: usize, columns: usize, seed: u64) -> Vec<f64> {
    let mut random = Random(seed);
    (0..rows * columns).map(|_| random.unit()).collect()
}

/// Friedman's first function (1991), of variance about 24.
fn friedman(row: &[f64]) -> f64 {
    10.0 * (std::f64::consts::PI * row[0] * row[1]).sin() + 20.0 * (row[2] - 0.5).powi(2) + 10.0 * row[3] + 5.0 * row[4]
}

#[test]
fn regression_explains_most_of_what_it_was_not_trained_on() {
    let (rows, unseen) = (table(500, 8, 1), table(500, 8, 2));
    let targets: Vec<f64> = rows.chunks_exact(8).map(friedman).collect();
    let forest = Forest::regression(&rows, 8, &targets, Params::default()).unwrap();
    let truth: Vec<f64> = unseen.chunks_exact(8).map(friedman).collect();
    let mean = truth.iter().sum::<f64>() / 500.0;
    let error: f64 = forest.predict_many(&unseen).iter().zip(&truth).map(|(p, t)| (p - t).powi(2)).sum();
    let spread: f64 = truth.iter().map(|t| (t - mean).powi(2)).sum();
    let explained = 1.0 - error / spread;
    assert!(explained > 0.78, "{explained}"); // scikit-learn 1.9.1 on rows drawn alike, five seeds: 0.81 to 0.83
}

#[test]
fn classification_gives_probabilities_that_find_rings() {
    let rows = table(800, 2, 3);
    let class = |row: &[f64]| {
        let radius = (row[0] - 0.5).hypot(row[1] - 0.5);
        usize::from(radius > 0.2) + usize::from(radius > 0.4)
    };
    let classes: Vec<usize> = rows.chunks_exact(2).map(class).collect();
    let forest = Forest::classification(&rows, 2, &classes, 3, None, Params::default()).unwrap();
    let unseen = table(500, 2, 4);
    let mut right = 0;
    for (row, found) in unseen.chunks_exact(2).zip(forest.predict_many(&unseen).chunks_exact(3)) {
        assert!(
            (found.iter().sum::<f64>() - 1.0).abs() < 1e-5 && found.iter().all(|p| (-1e-6..=1.0 + 1e-6).contains(p))
        );
        right += usize::from((0..3).all(|other| found[other] <= found[class(row)]));
    }
    assert!(right > 450, "{right} of 500"); // the largest class holds about half
}

#[test]
fn weight_raises_the_recall_of_a_rare_class() {
    let rows = table(2000, 3, 5);
    let mut random = Random(6);
    let classes: Vec<usize> =
        rows.chunks_exact(3).map(|row| usize::from(row[0] > 0.8 && random.unit() < 0.3)).collect();
    let params = Params { leaf: 20, ..Params::default() };
    let unseen = table(500, 3, 7);
    let named = |weights: Option<&[f64]>| {
        let forest = Forest::classification(&rows, 3, &classes, 2, weights, params).unwrap();
        let found = forest.predict_many(&unseen);
        let rare = unseen.chunks_exact(3).zip(found.chunks_exact(2)).filter(|(row, _)| row[0] > 0.85);
        rare.filter(|(_, found)| found[1] > 0.5).count()
    };
    let (plain, weighted) = (named(None), named(Some(&[1.0, 12.0])));
    assert!(plain < 10 && weighted > 50, "{plain} {weighted}");
}

#[test]
fn a_seed_repeats_a_forest_another_does_not_and_stored_it_predicts_the_same() {
    let rows = table(200, 4, 8);
    let targets: Vec<f64> = rows.chunks_exact(4).map(|row| row[0] + row[1]).collect();
    let params = Params { trees: 10, ..Params::default() };
    let fit = |params| Forest::regression(&rows, 4, &targets, params).unwrap();
    let forest = fit(params);
    assert_eq!(forest, fit(params));
    assert_ne!(forest, fit(Params { seed: 1, ..params }));
    let stored: Forest = serde_json::from_slice(&serde_json::to_vec(&forest).unwrap()).unwrap();
    for (one, other) in forest.predict_many(&rows).iter().zip(stored.predict_many(&rows)) {
        assert!((one - other).abs() < 1e-6);
    }
}

#[test]
fn every_leaf_keeps_its_fewest_rows_and_a_depth_of_one_is_a_stump() {
    let rows = table(100, 2, 9);
    let targets: Vec<f64> = rows.chunks_exact(2).map(|row| row[0]).collect();
    let params = Params { trees: 5, leaf: 101, ..Params::default() };
    assert_eq!(Forest::regression(&rows, 2, &targets, params).unwrap().nodes.len(), 5);
    let stumps = Forest::regression(&rows, 2, &targets, Params { leaf: 1, depth: 1, ..params }).unwrap();
    assert_eq!(stumps.nodes.len(), 15);
}

#[test]
fn bad_input_has_an_answer() {
    let fit = |rows: &[f64], columns, targets: &[f64]| Forest::regression(rows, columns, targets, Params::default());
    assert_eq!(fit(&[], 2, &[]), Err(Unfit::Empty));
    assert_eq!(fit(&[1.0], 0, &[1.0]), Err(Unfit::Empty));
    assert_eq!(fit(&[1.0, 2.0, 3.0], 2, &[1.0]), Err(Unfit::Ragged));
    assert_eq!(fit(&[1.0, 2.0], 1, &[1.0]), Err(Unfit::Ragged));
    assert_eq!(fit(&[1.0, 2.0], 1, &[1.0, f64::NAN]), Err(Unfit::Range(1)));
    let classify = |classes: &[usize], count, weights: Option<&[f64]>| {
        Forest::classification(&[1.0, 2.0], 1, classes, count, weights, Params::default())
    };
    assert_eq!(classify(&[0, 2], 2, None), Err(Unfit::Range(1)));
    assert_eq!(classify(&[0, 1], 2, Some(&[1.0])), Err(Unfit::Ragged));
    assert_eq!(classify(&[0, 1], 2, Some(&[1.0, 0.0])), Err(Unfit::Range(1)));
    assert_eq!(classify(&[], 0, None), Err(Unfit::Empty));
    let flat = fit(&[3.0; 10], 1, &[7.0; 10]).unwrap();
    assert_eq!(flat.predict(&[f64::NAN]), [7.0]);
    let gaps = fit(&[1.0, f64::NAN, 2.0, f64::INFINITY, 3.0, 9.0], 1, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]).unwrap();
    assert!(gaps.predict(&[f64::NEG_INFINITY])[0].is_finite());
    let ends = fit(&[f64::MIN, f64::MAX, 0.0, 1.0f64.next_up(), 1.0], 1, &[1.0, 2.0, 3.0, 4.0, 5.0]).unwrap();
    assert!(ends.predict_many(&[f64::MIN, f64::MAX]).iter().all(|value| (1.0..=5.0).contains(value)));
    assert!(fit(&[1.0, 2.0], 1, &[f64::MAX, f64::MIN]).unwrap().outputs() == 1);
}
