//! Adam (Kingma & Ba 2015).

/// Share of the old mean and of the old mean square that is kept in a step.
const KEPT: (f32, f32) = (0.9, 0.999);
/// Keeps the step finite where the gradient is 0.
const EPSILON: f32 = 1e-8;

/// Mean and mean square of the gradient so far.
#[derive(Debug)]
pub struct Adam {
    means: Vec<f32>,
    squares: Vec<f32>,
    steps: i32,
}

impl Adam {
    /// For so many weights.
    pub fn new(weights: usize) -> Self {
        Self { means: vec![0.0; weights], squares: vec![0.0; weights], steps: 0 }
    }

    /// Moves the weights against the gradient.
    pub fn step(&mut self, rate: f64, weights: &mut [f32], gradient: &[f32]) {
        self.steps = self.steps.saturating_add(1);
        // what the means lack because they began at 0; the powers' own rounding is in 64 bits
        let lacking = |kept: f32| 1.0 - f64::from(kept).powi(self.steps);
        let (rate, root) = ((rate / lacking(KEPT.0)) as f32, (1.0 / lacking(KEPT.1).sqrt()) as f32);
        let state = self.means.iter_mut().zip(&mut self.squares);
        for ((weight, slope), (mean, square)) in weights.iter_mut().zip(gradient).zip(state) {
            *mean = KEPT.0 * *mean + (1.0 - KEPT.0) * slope;
            *square = KEPT.1 * *square + (1.0 - KEPT.1) * slope * slope;
            *weight -= rate * *mean / (square.sqrt() * root + EPSILON);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_those_of_the_paper() {
        let slopes = [[1.0, -2.0, 0.0], [0.5, 3.0, 0.0], [-0.25, 1e-3, 0.0]];
        let mut adam = Adam::new(3);
        let mut weights = [0.3f32, -0.4, 0.5];
        let (mut truth, mut mean, mut square) = ([0.3f64, -0.4, 0.5], [0.0; 3], [0.0; 3]);
        for (step, slopes) in (1..).zip(slopes) {
            adam.step(0.01, &mut weights, &slopes.map(|slope| slope as f32));
            for at in 0..3 {
                mean[at] = 0.9 * mean[at] + 0.1 * slopes[at];
                square[at] = 0.999 * square[at] + 0.001 * slopes[at] * slopes[at];
                let (mean, square): (f64, f64) =
                    (mean[at] / (1.0 - 0.9f64.powi(step)), square[at] / (1.0 - 0.999f64.powi(step)));
                truth[at] -= 0.01 * mean / (square.sqrt() + 1e-8);
                assert!((f64::from(weights[at]) - truth[at]).abs() < 1e-6, "{weights:?} {truth:?}");
            }
        }
    }
}
