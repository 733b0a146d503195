//! Ridge regression on standardised columns; the penalty is chosen by generalised cross-validation
//! (Golub, Heath and Wahba 1979) over one eigendecomposition of the correlation matrix.

use nalgebra::{DMatrix, DVector, SymmetricEigen};

/// Penalties that are tried, per standardised column and in units of one observation: 10^-3 … 10^4.
const PENALTIES: usize = 29;

/// A fitted linear map from features to one target.
#[derive(Debug, Clone)]
pub struct Ridge {
    /// One weight per feature, in the feature's own units.
    pub weights: Vec<f64>,
    /// The value at the origin of the features.
    pub intercept: f64,
}

impl Ridge {
    /// Fits `target` on `rows` (row-major, `width` features each).
    ///
    /// `None` when there are fewer than two rows or no features, or when the sums overflow: nothing can be learned then.
    pub fn fit(rows: &[f64], width: usize, target: &[f64]) -> Option<Self> {
        let count = target.len();
        if count < 2 || width == 0 || rows.len() != count * width {
            return None;
        }
        let x = DMatrix::from_row_slice(count, width, rows);
        let n = count as f64;
        let mean: DVector<f64> = x.row_sum().transpose() / n;
        let target_mean = target.iter().sum::<f64>() / n;
        let y = DVector::from_iterator(count, target.iter().map(|v| v - target_mean));
        let mut z = x;
        let mut spread = DVector::zeros(width);
        for (j, mut column) in z.column_iter_mut().enumerate() {
            column.add_scalar_mut(-mean[j]);
            let sd = (column.norm_squared() / n).sqrt();
            // A column that never moves says nothing; dividing by one keeps its weight at zero.
            spread[j] = if sd > 1e-12 * (1.0 + mean[j].abs()) { sd } else { f64::INFINITY };
            column /= spread[j];
        }
        let gram = z.tr_mul(&z);
        if gram.iter().any(|v| !v.is_finite()) {
            return None;
        }
        let SymmetricEigen { eigenvectors, eigenvalues } = SymmetricEigen::try_new(gram, f64::EPSILON, 10_000)?;
        let moments = eigenvectors.tr_mul(&z.tr_mul(&y));
        let penalty = choose(&eigenvalues, &moments, y.norm_squared(), n);
        let shrunk = moments.zip_map(&eigenvalues, |m, l| m / (l.max(0.0) + penalty));
        let weights = (eigenvectors * shrunk).component_div(&spread);
        let intercept = target_mean - weights.dot(&mean);
        intercept.is_finite().then(|| Self { weights: weights.as_slice().to_vec(), intercept })
    }

    /// The prediction for one row of features.
    pub fn predict(&self, row: &[f64]) -> f64 {
        self.intercept + self.weights.iter().zip(row).map(|(w, x)| w * x).sum::<f64>()
    }
}

/// The penalty with the least generalised cross-validation error.
fn choose(eigenvalues: &DVector<f64>, moments: &DVector<f64>, total: f64, n: f64) -> f64 {
    let mut best = (f64::INFINITY, 1.0);
    for step in 0..PENALTIES {
        let penalty = 10f64.powf(-3.0 + step as f64 * 0.25);
        let (mut explained, mut freedom) = (0.0, 1.0);
        for (l, m) in eigenvalues.iter().map(|l| l.max(0.0)).zip(moments.iter()) {
            let kept = l / (l + penalty);
            freedom += kept;
            // Residuals along this direction keep (1-kept)^2 of their energy; the energy itself is m²/l.
            if l > 1e-12 {
                explained += (1.0 - (1.0 - kept).powi(2)) * m * m / l;
            }
        }
        let error = (total - explained).max(0.0) / (1.0 - freedom / n).max(1e-9).powi(2);
        if error < best.0 {
            best = (error, penalty);
        }
    }
    best.1
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::TAU;

    #[test]
    fn weights_and_penalty_are_those_of_scikit_learn() {
        // scikit-learn 1.9 Ridge on standardised columns, the penalty by the same grid and criterion in numpy.
        let (mut rows, mut y) = (Vec::new(), Vec::new());
        for t in (0..120).map(f64::from) {
            rows.extend([(t * 0.3).sin(), (t * 0.11).cos(), (t * t * 0.37).sin(), t / 120.0]);
            y.push(
                50.0 + 0.1 * t
                    + 10.0 * (TAU * t / 12.0).sin()
                    + 3.0 * (TAU * t * 7.0 / 31.0).cos()
                    + 2.0 * (t * t * 0.37).sin(),
            );
        }
        let fit = Ridge::fit(&rows, 4, &y).unwrap();
        let theirs = [0.220_105_483_6, 0.150_999_803_2, 1.353_347_945_6, 7.828_420_161_8];
        for (ours, theirs) in fit.weights.iter().zip(theirs) {
            assert!((ours - theirs).abs() < 1e-8, "{ours} against {theirs}");
        }
        assert!((fit.intercept - 52.094_989_897_96).abs() < 1e-8);
    }

    #[test]
    fn columns_that_never_move_and_copies_do_no_harm() {
        let rows: Vec<f64> = (0..50).map(f64::from).flat_map(|t| [t, t, 3.0]).collect();
        let y: Vec<f64> = (0..50).map(|t| 2.0 * f64::from(t) + 1.0).collect();
        let fit = Ridge::fit(&rows, 3, &y).unwrap();
        assert!((fit.predict(&[60.0, 60.0, 3.0]) - 121.0).abs() < 0.1);
        assert_eq!(fit.weights[2], 0.0);
    }

    #[test]
    fn nothing_is_learned_from_nothing() {
        assert!(Ridge::fit(&[], 0, &[]).is_none());
        assert!(Ridge::fit(&[1.0], 1, &[1.0]).is_none());
        assert!(Ridge::fit(&[f64::INFINITY, 1.0, 2.0], 1, &[1.0, 2.0, 3.0]).is_none());
    }
}
