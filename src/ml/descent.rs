//! Bounded quasi-Newton descent: limited-memory BFGS (Nocedal 1980) on the variables that are free, projected onto bounds
//! (Bertsekas 1982).
//!
//! Values and slopes are asked for apart, so that where slopes are measured by differences only accepted points pay for
//! them. The crates that port L-BFGS-B ask for both at every point of a line search, and the one without C that was tried
//! (lbfgsb-rs-pure 0.1.2) needed several times the evaluations on Rosenbrock's valley.

/// Pairs of steps and changes of slopes that are remembered.
const MEMORY: usize = 10;
/// Share of the expected fall that a step has to bring, and of the slope that may be left.
const ENOUGH: (f64, f64) = (1e-4, 0.9);
/// Points tried on a line.
const TRIES: usize = 25;

/// What is descended. Either gives nothing when it is to end.
pub trait Slope {
    /// The value at a point; not finite where there is none.
    fn value(&mut self, x: &[f64]) -> Option<f64>;

    /// The slopes at a point whose value was asked for last.
    fn slopes(&mut self, x: &[f64], value: f64) -> Option<Vec<f64>>;
}

/// Descends from a point inside bounds until slopes are below `flat` (a bound that stops a variable makes its slope none),
/// two steps brought nothing, or so many steps were made. The last point is the lowest.
pub fn descend(of: &mut dyn Slope, x: &mut [f64], bounds: &[(f64, f64)], flat: f64, steps: usize) -> Option<f64> {
    let mut value = of.value(x).filter(|value| value.is_finite())?;
    let mut slopes = of.slopes(x, value)?;
    let mut pairs: Vec<(Vec<f64>, Vec<f64>)> = Vec::new();
    let mut idle = 0;
    for _ in 0..steps {
        let free: Vec<bool> = (0..x.len()).map(|at| !held(x[at], slopes[at], bounds[at])).collect();
        let steepest = (0..x.len()).filter(|at| free[*at]).map(|at| slopes[at].abs()).fold(0.0, f64::max);
        if steepest <= flat || !slopes.iter().all(|slope| slope.is_finite()) {
            break;
        }
        let mut along = direction(&slopes, &pairs, &free);
        let mut fall: f64 = dot(&along, &slopes);
        if fall.is_nan() || fall > -1e-12 * norm(&along) * norm(&slopes) {
            pairs.clear();
            along = direction(&slopes, &pairs, &free);
            fall = dot(&along, &slopes);
        }
        // nothing is known of the scale of the first step: a tenth of the bounds
        let widest = bounds.iter().map(|(low, high)| high - low).filter(|width| width.is_finite()).fold(1.0, f64::max);
        let first = if pairs.is_empty() { (0.1 * widest / norm(&along)).min(1.0) } else { 1.0 };
        let Some(Line(line)) = search(of, (x, value, &slopes), &along, bounds, (first, fall)) else {
            return Some(value);
        };
        let Some((moved, found, after)) = line else {
            if pairs.is_empty() {
                break; // not even straight down
            }
            pairs.clear();
            continue;
        };
        let step: Vec<f64> = moved.iter().zip(x.iter()).map(|(new, old)| new - old).collect();
        let change: Vec<f64> = after.iter().zip(&slopes).map(|(new, old)| new - old).collect();
        if dot(&step, &change) > 1e-10 * norm(&step) * norm(&change) {
            pairs.push((step, change));
            if pairs.len() > MEMORY {
                pairs.remove(0);
            }
        }
        idle = if value - found <= 1e-15 * value.abs().max(1e-300) { idle + 1 } else { 0 };
        x.copy_from_slice(&moved);
        (value, slopes) = (found, after);
        if idle >= 2 {
            break;
        }
    }
    Some(value)
}

/// Whether a bound stops a variable.
fn held(x: f64, slope: f64, (low, high): (f64, f64)) -> bool {
    x <= low && slope > 0.0 || x >= high && slope < 0.0
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn norm(a: &[f64]) -> f64 {
    dot(a, a).sqrt()
}

/// The quasi-Newton direction of the free variables, by the two-loop recursion; others do not move.
fn direction(slopes: &[f64], pairs: &[(Vec<f64>, Vec<f64>)], free: &[bool]) -> Vec<f64> {
    let masked = |a: &[f64], b: &[f64]| -> f64 { (0..a.len()).filter(|at| free[*at]).map(|at| a[at] * b[at]).sum() };
    let mut along: Vec<f64> = slopes.iter().zip(free).map(|(slope, free)| if *free { -slope } else { 0.0 }).collect();
    let useful = |(step, change): &&(Vec<f64>, Vec<f64>)| {
        masked(step, change) > 1e-14 * masked(change, change).sqrt() * masked(step, step).sqrt()
    };
    let used: Vec<&(Vec<f64>, Vec<f64>)> = pairs.iter().filter(useful).collect();
    let mut shares = Vec::with_capacity(used.len());
    for (step, change) in used.iter().rev() {
        let share = masked(step, &along) / masked(step, change);
        for at in 0..along.len() {
            along[at] -= share * change[at];
        }
        shares.push(share);
    }
    if let Some((step, change)) = used.last() {
        let scale = masked(step, change) / masked(change, change);
        for value in &mut along {
            *value *= scale;
        }
    }
    for ((step, change), share) in used.iter().zip(shares.into_iter().rev()) {
        let back = masked(change, &along) / masked(step, change);
        for at in 0..along.len() {
            along[at] += (share - back) * step[at];
        }
    }
    along.iter_mut().zip(free).filter(|(_, free)| !**free).for_each(|(value, _)| *value = 0.0);
    along
}

/// A point, its value and its slopes.
type Reached = (Vec<f64>, f64, Vec<f64>);

/// What was found on a line; nothing where no point of it is low enough.
struct Line(Option<Reached>);

/// A point on a line, bent along the bounds, that brings enough of the expected fall and leaves little of the slope.
/// Nothing is the end.
fn search(
    of: &mut dyn Slope,
    (x, value, slopes): (&[f64], f64, &[f64]),
    along: &[f64],
    bounds: &[(f64, f64)],
    (first, fall): (f64, f64),
) -> Option<Line> {
    let reach = |far: f64| -> Vec<f64> {
        let moved = x.iter().zip(along).map(|(x, along)| x + far * along);
        moved.zip(bounds).map(|(x, (low, high))| x.clamp(*low, *high)).collect()
    };
    let mut far = first;
    let mut kept: Option<Reached> = None;
    for _ in 0..TRIES {
        let moved = reach(far);
        if moved == x || kept.as_ref().is_some_and(|kept| kept.0 == moved) {
            return Some(Line(kept));
        }
        let found = of.value(&moved)?;
        let expected: f64 = moved.iter().zip(x).zip(slopes).map(|((new, old), slope)| (new - old) * slope).sum();
        let enough = found.is_finite() && found <= value + ENOUGH.0 * expected.min(0.0);
        match &kept {
            Some(held) if !enough || found >= held.1 => return Some(Line(kept)),
            _ if enough => {
                let after = of.slopes(&moved, found)?;
                let left = dot(&after, along);
                kept = Some((moved, found, after));
                if left >= ENOUGH.1 * fall {
                    return Some(Line(kept));
                }
                far *= 3.0; // it still falls as steeply: farther
            }
            _ => {
                // the least of the parabola through what is known, within reason
                let bent = found - value - fall * far;
                let least = if bent > 0.0 && found.is_finite() { -fall * far * far / (2.0 * bent) } else { 0.1 * far };
                far = least.clamp(0.1 * far, 0.5 * far);
            }
        }
    }
    Some(Line(kept))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rosenbrock's valley, with its slopes; counts what is asked.
    struct Valley {
        asked: usize,
        most: usize,
    }

    impl Slope for Valley {
        fn value(&mut self, x: &[f64]) -> Option<f64> {
            self.asked += 1;
            let pairs = x.windows(2).map(|x| 100.0 * (x[1] - x[0] * x[0]).powi(2) + (1.0 - x[0]).powi(2));
            (self.asked <= self.most).then(|| pairs.sum())
        }

        fn slopes(&mut self, x: &[f64], _: f64) -> Option<Vec<f64>> {
            let mut slopes = vec![0.0; x.len()];
            for at in 0..x.len() - 1 {
                let off = x[at + 1] - x[at] * x[at];
                slopes[at] += -400.0 * x[at] * off - 2.0 * (1.0 - x[at]);
                slopes[at + 1] += 200.0 * off;
            }
            Some(slopes)
        }
    }

    #[test]
    fn it_follows_a_bent_valley_and_stops_at_bounds() {
        let mut valley = Valley { asked: 0, most: 1000 };
        let mut x = vec![-1.2, 1.0, -1.2, 1.0, -1.2, 1.0];
        let found = descend(&mut valley, &mut x, &[(-5.0, 5.0); 6], 1e-9, 500).unwrap();
        assert!(
            (found < 1e-12 || (found - 3.974).abs() < 0.01) && valley.asked < 120,
            "{found} after {}",
            valley.asked
        );
        let mut valley = Valley { asked: 0, most: 1000 };
        let mut x = vec![-1.0, 0.2];
        descend(&mut valley, &mut x, &[(-2.0, 0.5), (0.0, 2.0)], 1e-9, 500).unwrap();
        assert!(x[0] == 0.5 && (x[1] - 0.25).abs() < 1e-8 && valley.asked < 60, "{x:?} after {}", valley.asked);
    }

    #[test]
    fn it_ends_when_told_and_where_there_is_nothing() {
        let mut valley = Valley { asked: 0, most: 7 };
        let mut x = vec![-1.2, 1.0];
        descend(&mut valley, &mut x, &[(-5.0, 5.0); 2], 1e-9, 500);
        assert_eq!(valley.asked, 8);
        assert!(descend(&mut Valley { asked: 0, most: 9 }, &mut [f64::NAN, 0.0], &[(-5.0, 5.0); 2], 1e-9, 5).is_none());
    }
}
