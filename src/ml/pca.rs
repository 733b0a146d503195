//! Principal components of z-scored rows, and how badly the main ones reconstruct a row.

use serde::{Deserialize, Serialize};

/// Share of the variance that is kept.
const KEPT: f64 = 0.9;
/// Sweeps of Jacobi rotations; a few suffice for small matrices.
const SWEEPS: usize = 50;

/// Fitted components.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pca {
    means: Vec<f64>,
    deviations: Vec<f64>,
    /// The kept components, each a unit vector.
    components: Vec<Vec<f64>>,
}

impl Pca {
    /// Fits to `rows`, row-major with `columns` values each; rows with a value that is not finite are left out.
    /// Keeps the components that explain 90 % of the variance. `None` with fewer whole rows than columns and one.
    pub fn fit(rows: &[f64], columns: usize) -> Option<Self> {
        if columns == 0 {
            return None;
        }
        let whole: Vec<&[f64]> =
            rows.chunks_exact(columns).filter(|row| row.iter().all(|value| value.is_finite())).collect();
        if whole.len() <= columns {
            return None;
        }
        let count = whole.len() as f64;
        let means: Vec<f64> = (0..columns).map(|c| whole.iter().map(|row| row[c]).sum::<f64>() / count).collect();
        let deviations: Vec<f64> = (0..columns)
            .map(|c| {
                let variance = whole.iter().map(|row| (row[c] - means[c]).powi(2)).sum::<f64>() / count;
                variance.sqrt().max(1e-9 * means[c].abs()).max(f64::MIN_POSITIVE.sqrt())
            })
            .collect();
        let scaled: Vec<Vec<f64>> = whole.iter().map(|row| scale(row, &means, &deviations)).collect();
        let correlation: Vec<Vec<f64>> = (0..columns)
            .map(|a| (0..columns).map(|b| scaled.iter().map(|row| row[a] * row[b]).sum::<f64>() / count).collect())
            .collect();
        let mut axes = eigen(correlation);
        axes.sort_by(|a, b| b.0.total_cmp(&a.0));
        let total: f64 = axes.iter().map(|(variance, _)| variance.max(0.0)).sum();
        let mut explained = 0.0;
        let components = axes
            .into_iter()
            .take_while(|(variance, _)| {
                let more = explained < KEPT * total;
                explained += variance.max(0.0);
                more
            })
            .map(|(_, axis)| axis)
            .collect();
        Some(Self { means, deviations, components })
    }

    /// Per column, the squared part of the z-scored row that the components do not explain; a value that is not finite
    /// is taken as the mean. Their sum is the reconstruction error.
    pub fn residuals(&self, row: &[f64]) -> Vec<f64> {
        let scaled: Vec<f64> = scale(row, &self.means, &self.deviations)
            .into_iter()
            .map(|value| if value.is_finite() { value } else { 0.0 })
            .collect();
        let mut rest = scaled.clone();
        for axis in &self.components {
            let along: f64 = axis.iter().zip(&scaled).map(|(a, value)| a * value).sum();
            for (rest, a) in rest.iter_mut().zip(axis) {
                *rest -= along * a;
            }
        }
        rest.into_iter().map(|value| value * value).collect()
    }

    /// How many components are kept.
    pub fn components(&self) -> usize {
        self.components.len()
    }
}

fn scale(row: &[f64], means: &[f64], deviations: &[f64]) -> Vec<f64> {
    row.iter().zip(means).zip(deviations).map(|((value, mean), deviation)| (value - mean) / deviation).collect()
}

/// Eigenvalues and unit eigenvectors of a symmetric matrix by cyclic Jacobi rotations (Golub & Van Loan, §8.5).
fn eigen(mut matrix: Vec<Vec<f64>>) -> Vec<(f64, Vec<f64>)> {
    let size = matrix.len();
    let mut axes: Vec<Vec<f64>> = (0..size).map(|a| (0..size).map(|b| f64::from(u8::from(a == b))).collect()).collect();
    for _ in 0..SWEEPS {
        let off: f64 = (0..size).map(|a| (0..a).map(|b| matrix[a][b].powi(2)).sum::<f64>()).sum();
        if off < 1e-20 {
            break;
        }
        for p in 0..size {
            for q in p + 1..size {
                if matrix[p][q].abs() > 1e-300 {
                    rotate(&mut matrix, &mut axes, p, q);
                }
            }
        }
    }
    (0..size).map(|a| (matrix[a][a], axes[a].clone())).collect()
}

/// One rotation that clears the element (`p`, `q`); `axes` holds eigenvectors as rows.
fn rotate(matrix: &mut [Vec<f64>], axes: &mut [Vec<f64>], p: usize, q: usize) {
    let tau = (matrix[q][q] - matrix[p][p]) / (2.0 * matrix[p][q]);
    let tangent = tau.signum() / (tau.abs() + (1.0 + tau * tau).sqrt());
    let cosine = 1.0 / (1.0 + tangent * tangent).sqrt();
    let sine = tangent * cosine;
    for row in matrix.iter_mut() {
        let (a, b) = (row[p], row[q]);
        row[p] = cosine * a - sine * b;
        row[q] = sine * a + cosine * b;
    }
    for lines in [matrix, axes] {
        for k in 0..lines[p].len() {
            let (a, b) = (lines[p][k], lines[q][k]);
            lines[p][k] = cosine * a - sine * b;
            lines[q][k] = sine * a + cosine * b;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three columns, the third the sum of the other two.
    fn plane(rows: usize) -> Vec<f64> {
        (0..rows)
            .flat_map(|row| {
                let (a, b) = ((row as f64 * 0.7).sin(), (row as f64 * 1.3).cos() * 2.0);
                [a, b, a + b]
            })
            .collect()
    }

    #[test]
    fn eigenvectors_of_a_known_matrix_are_found() {
        let mut found = eigen(vec![vec![2.0, 1.0], vec![1.0, 2.0]]);
        found.sort_by(|a, b| b.0.total_cmp(&a.0));
        assert!((found[0].0 - 3.0).abs() < 1e-12 && (found[1].0 - 1.0).abs() < 1e-12);
        assert!((found[0].1[0].abs() - 0.5f64.sqrt()).abs() < 1e-12);
    }

    #[test]
    fn rows_in_the_plane_are_reconstructed_and_rows_off_it_are_not() {
        let rows = plane(500);
        let pca = Pca::fit(&rows, 3).unwrap();
        assert_eq!(pca.components(), 2);
        for row in rows.chunks_exact(3) {
            assert!(pca.residuals(row).iter().sum::<f64>() < 1e-9);
        }
        assert!(pca.residuals(&[0.5, 1.0, -2.0]).iter().sum::<f64>() > 0.5);
    }

    #[test]
    fn the_column_that_breaks_a_pattern_has_the_largest_residual() {
        let rows: Vec<f64> = (0..400)
            .flat_map(|row| {
                let load = (f64::from(row) * 0.31).sin();
                [load, 2.0 * load + 1.0, -load, load * 0.5, 3.0 * load]
            })
            .collect();
        let residuals = Pca::fit(&rows, 5).unwrap().residuals(&[0.2, 1.4, -0.2, 3.0, 0.6]);
        assert_eq!((0..5).max_by(|a, b| residuals[*a].total_cmp(&residuals[*b])), Some(3));
    }

    #[test]
    fn bad_input_has_an_answer() {
        assert!(Pca::fit(&[], 2).is_none());
        assert!(Pca::fit(&[1.0, 2.0], 0).is_none());
        assert!(Pca::fit(&[1.0; 6], 3).is_none());
        let flat = Pca::fit(&[5.0; 30], 3).unwrap();
        assert!(flat.residuals(&[5.0; 3]).iter().all(|part| *part == 0.0));
        let pca = Pca::fit(&plane(100), 3).unwrap();
        assert!(pca.residuals(&[f64::NAN, f64::INFINITY, 0.0]).iter().all(|part| part.is_finite()));
    }
}
