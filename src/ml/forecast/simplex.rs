//! The downhill simplex of Nelder and Mead (1965) in four dimensions: enough for smoothing parameters.

/// Minimises `f` from `start` with first steps of `step`, in at most `evaluations`; returns the best point and its value.
///
/// Values that aren't finite count as infinitely bad.
pub fn minimise<const N: usize>(
    f: impl Fn(&[f64; N]) -> f64,
    start: &[f64; N],
    step: f64,
    evaluations: usize,
) -> ([f64; N], f64) {
    let cost = |p: &[f64; N]| {
        let v = f(p);
        if v.is_finite() { v } else { f64::INFINITY }
    };
    let mut corners: Vec<([f64; N], f64)> = Vec::with_capacity(N + 1);
    corners.push((*start, cost(start)));
    for i in 0..N {
        let mut p = *start;
        p[i] += step;
        corners.push((p, cost(&p)));
    }
    let mut spent = N + 1;
    while spent < evaluations {
        corners.sort_by(|a, b| a.1.total_cmp(&b.1));
        let (best, worst) = (corners[0].1, corners[N].1);
        if (worst - best).abs() <= 1e-10 * (best.abs() + 1e-300) {
            break;
        }
        let mut centre = [0.0; N];
        for (p, _) in &corners[..N] {
            for (c, v) in centre.iter_mut().zip(p) {
                *c += v / N as f64;
            }
        }
        let along = |t: f64| std::array::from_fn(|i| centre[i] + t * (corners[N].0[i] - centre[i]));
        let mirrored: [f64; N] = along(-1.0);
        let value = cost(&mirrored);
        spent += 1;
        let next = if value < best {
            let further: [f64; N] = along(-2.0);
            let far = cost(&further);
            spent += 1;
            Some(if far < value { (further, far) } else { (mirrored, value) })
        } else if value < corners[N - 1].1 {
            Some((mirrored, value))
        } else {
            let inward: [f64; N] = along(if value < worst { -0.5 } else { 0.5 });
            let near = cost(&inward);
            spent += 1;
            (near < worst.min(value)).then_some((inward, near))
        };
        if let Some(corner) = next {
            corners[N] = corner;
        } else {
            let anchor = corners[0].0;
            for corner in &mut corners[1..] {
                corner.0 = std::array::from_fn(|i| f64::midpoint(anchor[i], corner.0[i]));
                corner.1 = cost(&corner.0);
            }
            spent += N;
        }
    }
    corners.into_iter().min_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or((*start, f64::INFINITY))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_valley_of_rosenbrock_is_followed_to_its_end() {
        let f = |p: &[f64; 2]| 100.0 * (p[1] - p[0] * p[0]).powi(2) + (1.0 - p[0]).powi(2);
        let (p, v) = minimise(f, &[-1.2, 1.0], 0.5, 2_000);
        assert!(v < 1e-9 && (p[0] - 1.0).abs() < 1e-3 && (p[1] - 1.0).abs() < 1e-3, "{p:?} {v}");
    }

    #[test]
    fn points_without_a_value_are_avoided() {
        let f = |p: &[f64; 1]| if p[0] < 0.0 { f64::NAN } else { (p[0] - 0.5).powi(2) };
        let (p, _) = minimise(f, &[2.0], 0.5, 500);
        assert!((p[0] - 0.5).abs() < 1e-4);
    }
}
