//! Neural nets: an LSTM stack for regression or classification of windows, an autoencoder for rows, and dense layers
//! for reinforcement learning.
//!
//! A [`Net`] holds its shape, its scaling and its weights; it is trained by [`train`], predicts many rows at once, and
//! is saved as bytes whose shape is checked when they are loaded. Initial weights, batches and dropout come from one
//! seed: trainings beside each other stay repeatable.
//!
//! The gradients are written out rather than recorded: two kinds of layer need few formulas, and an LSTM's thousands
//! of small steps then cost what their matrix products cost.

#![allow(clippy::inline_always, reason = "what is to use a vector unit must be part of the function compiled for it")]

mod adam;
mod cell;
mod dense;
mod layers;
mod learner;
mod math;
mod product;
mod train;

use serde::{Deserialize, Serialize};

use super::random::Random;
use layers::Layers;
pub use learner::Learner;
pub use train::{Failed, Params, Progress, Samples, Trained, balanced_weights, train};

/// Rows predicted at once: bounds memory, and is enough for the matrix products to be fast.
const BATCH: usize = 256;
/// Largest width of a layer and longest window a file may ask for.
const MOST: usize = 1 << 14;
/// Most weights a file may ask for.
const MOST_WEIGHTS: usize = 1 << 26;

/// What the outputs of a net mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Task {
    /// Numbers, trained for the least mean squared error.
    Regression,
    /// Probabilities of classes (softmax), trained for the least weighted cross-entropy.
    Classification,
}

/// Sizes of a net; all must be positive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Shape {
    /// LSTM layers one above the other, a dense layer (ReLU) on the last step, and the outputs.
    Lstm {
        /// Steps of a window.
        steps: usize,
        /// Values of a step.
        features: usize,
        /// Widths of the LSTM layers, the lowest first.
        hidden: Vec<usize>,
        /// Width of the dense layer.
        dense: usize,
        /// Values predicted, or classes.
        outputs: usize,
        /// What the outputs mean.
        task: Task,
    },
    /// Dense layers (ReLU) down to the last of `hidden` and back; predicts the row it is given.
    Autoencoder {
        /// Values of a row.
        columns: usize,
        /// Widths on the way down.
        hidden: Vec<usize>,
    },
    /// Dense layers (ReLU) and the outputs, which are numbers; made by a [`Learner`].
    Perceptron {
        /// Values of a row.
        inputs: usize,
        /// Widths of the layers, the first one first.
        hidden: Vec<usize>,
        /// Values predicted.
        outputs: usize,
    },
}

impl Shape {
    /// 128-64-32 and a dense layer of 64 for three numbers.
    pub fn regression(steps: usize, features: usize) -> Self {
        let hidden = vec![128, 64, 32];
        Self::Lstm { steps, features, hidden, dense: 64, outputs: 3, task: Task::Regression }
    }

    /// 128-64-32 and a dense layer of 16 for four classes.
    pub fn classification(steps: usize, features: usize) -> Self {
        let hidden = vec![128, 64, 32];
        Self::Lstm { steps, features, hidden, dense: 16, outputs: 4, task: Task::Classification }
    }

    /// 64-32-16-8 and back.
    pub fn autoencoder(columns: usize) -> Self {
        Self::Autoencoder { columns, hidden: vec![64, 32, 16, 8] }
    }

    /// Steps and values of a step: an input row has as many values as their product.
    pub fn input(&self) -> (usize, usize) {
        match self {
            Self::Lstm { steps, features, .. } => (*steps, *features),
            Self::Autoencoder { columns, .. } => (1, *columns),
            Self::Perceptron { inputs, .. } => (1, *inputs),
        }
    }

    /// Values predicted for a row.
    pub fn outputs(&self) -> usize {
        match self {
            Self::Lstm { outputs, .. } | Self::Perceptron { outputs, .. } => *outputs,
            Self::Autoencoder { columns, .. } => *columns,
        }
    }

    /// Widths of the LSTM layers, the input's first; no more than that when there are none.
    fn cells(&self) -> Vec<usize> {
        let hidden: &[usize] = if let Self::Lstm { hidden, .. } = self { hidden } else { &[] };
        [self.input().1].iter().chain(hidden).copied().collect()
    }

    /// Widths of the dense layers, their input's first.
    fn dense(&self) -> Vec<usize> {
        match self {
            Self::Lstm { features, hidden, dense, outputs, .. } => {
                vec![*hidden.last().unwrap_or(features), *dense, *outputs]
            }
            Self::Autoencoder { columns, hidden } => {
                let back = hidden.iter().rev().skip(1);
                [*columns].iter().chain(hidden).chain(back).chain([columns]).copied().collect()
            }
            Self::Perceptron { inputs, hidden, outputs } => {
                [*inputs].iter().chain(hidden).chain([outputs]).copied().collect()
            }
        }
    }

    fn task(&self) -> Task {
        if let Self::Lstm { task, .. } = self { *task } else { Task::Regression }
    }

    /// Whether a net of this shape can be built.
    fn sound(&self) -> bool {
        let hidden = match self {
            Self::Lstm { hidden, .. } | Self::Autoencoder { hidden, .. } | Self::Perceptron { hidden, .. } => {
                hidden.len()
            }
        };
        let sizes = || [self.input().0].into_iter().chain(self.cells()).chain(self.dense());
        (1..=16).contains(&hidden)
            && sizes().all(|size| (1..=MOST).contains(&size))
            && Layers::sizes(self).iter().map(|(rows, columns)| rows * columns).sum::<usize>() <= MOST_WEIGHTS
    }
}

/// Mean and spread of each value, by which inputs and numbers to predict are scaled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Scale {
    mean: Vec<f64>,
    spread: Vec<f64>,
}

impl Scale {
    /// Of the columns of `values`, row-major; a constant column is only shifted.
    fn of(values: &[f64], columns: usize) -> Self {
        let count = (values.len() / columns).max(1) as f64;
        let mut mean = vec![0.0; columns];
        for row in values.chunks_exact(columns) {
            mean.iter_mut().zip(row).for_each(|(mean, value)| *mean += value / count);
        }
        let mut spread = vec![0.0; columns];
        for row in values.chunks_exact(columns) {
            for ((spread, mean), value) in spread.iter_mut().zip(&mean).zip(row) {
                *spread += (value - mean).powi(2) / count;
            }
        }
        for (spread, mean) in spread.iter_mut().zip(&mean) {
            let root = spread.sqrt();
            *spread = if root > 1e-9 * mean.abs().max(f64::MIN_POSITIVE) && root.is_finite() { root } else { 1.0 };
        }
        Self { mean, spread }
    }

    /// Leaves numbers as they are.
    fn none(columns: usize) -> Self {
        Self { mean: vec![0.0; columns], spread: vec![1.0; columns] }
    }

    /// The value of a column, scaled; a value that is not finite becomes the mean, and one more than a million
    /// spreads away is held to be just that far, because squares of 32-bit floats must stay finite.
    fn scaled(&self, column: usize, value: f64) -> f32 {
        let scaled = (value - self.mean[column]) / self.spread[column];
        if value.is_finite() { scaled.clamp(-1e6, 1e6) as f32 } else { 0.0 }
    }

    /// Appends whole rows, scaled.
    fn append_scaled(&self, rows: &[f64], into: &mut Vec<f32>) {
        let columns = self.mean.len();
        for row in rows.chunks_exact(columns) {
            into.extend(row.iter().enumerate().map(|(column, value)| self.scaled(column, *value)));
        }
    }

    fn raw(&self, column: usize, value: f32) -> f64 {
        f64::from(value) * self.spread[column] + self.mean[column]
    }

    fn sound(&self, columns: usize) -> bool {
        self.mean.len() == columns
            && self.spread.len() == columns
            && self.mean.iter().all(|mean| mean.is_finite())
            && self.spread.iter().all(|spread| spread.is_finite() && *spread > 0.0)
    }
}

/// Why bytes are not taken as a net.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// Cut, changed, or no net.
    #[error("not a whole net: {0}")]
    Damaged(&'static str),
    /// A net of another shape.
    #[error("a net of shape {found:?}, not {expected:?}")]
    Shape {
        /// In the bytes.
        found: Box<Shape>,
        /// Asked for.
        expected: Box<Shape>,
    },
}

/// A trained net.
#[derive(Debug, Clone)]
pub struct Net {
    shape: Shape,
    inputs: Scale,
    targets: Scale,
    weights: Vec<f32>,
}

/// First line of a net's bytes.
#[derive(Serialize, Deserialize)]
struct Header {
    shape: Shape,
    inputs: Scale,
    targets: Scale,
}

impl Net {
    fn new(header: Header, weights: Vec<f32>) -> Self {
        let Header { shape, inputs, targets } = header;
        Self { shape, inputs, targets, weights }
    }

    /// Sizes of the net.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Predicts many rows, row-major, each of as many values as [`Shape::input`] says (a window's first step first):
    /// [`Shape::outputs`] values for each whole row. A value that is not finite is taken as the training's mean.
    pub fn predict(&self, rows: &[f64]) -> Vec<f64> {
        let (steps, features) = self.shape.input();
        let (size, outputs) = (steps * features, self.shape.outputs());
        let whole = rows.len() / size;
        let mut layers = Layers::new(&self.shape, whole.min(BATCH), false);
        let mut found = Vec::with_capacity(whole * outputs);
        let (mut scaled, all): (Vec<f32>, Vec<usize>) = (Vec::new(), (0..whole.min(BATCH)).collect());
        for rows in rows[..whole * size].chunks(BATCH * size) {
            scaled.clear();
            self.inputs.append_scaled(rows, &mut scaled);
            let values = layers.forward(&self.weights, &scaled, &all[..rows.len() / size], None);
            for row in values.chunks_exact(outputs) {
                match self.shape.task() {
                    Task::Classification => found.extend(softmax(row)),
                    Task::Regression => {
                        found.extend(row.iter().enumerate().map(|(at, value)| self.targets.raw(at, *value)));
                    }
                }
            }
        }
        found
    }

    /// Mean squared error of each row against what is predicted for it, in spreads of the training: how badly an
    /// autoencoder knows the row. Values that are not finite count nothing. Empty for an LSTM.
    pub fn reconstruction_errors(&self, rows: &[f64]) -> Vec<f64> {
        let Shape::Autoencoder { columns, .. } = self.shape else {
            return Vec::new();
        };
        let error = |(row, found): (&[f64], &[f64])| {
            let parts = row.iter().zip(found).zip(&self.inputs.spread);
            let parts = parts.filter(|((value, _), _)| value.is_finite());
            parts.map(|((value, found), spread)| ((value - found) / spread).powi(2)).sum::<f64>() / columns as f64
        };
        rows.chunks_exact(columns).zip(self.predict(rows).chunks_exact(columns)).map(error).collect()
    }

    /// The net as bytes: a line of JSON with its shape and scaling, then the weights (little-endian, 32 bits).
    pub fn to_bytes(&self) -> Vec<u8> {
        let Self { shape, inputs, targets, .. } = self.clone();
        let header = serde_json::to_string(&Header { shape, inputs, targets });
        let mut bytes = header.expect("sizes and finite numbers have a JSON form").into_bytes();
        bytes.push(b'\n');
        bytes.extend(self.weights.iter().flat_map(|weight| weight.to_le_bytes()));
        bytes
    }

    /// Reads [`Self::to_bytes`]; a net of another shape than `expected` is refused.
    pub fn from_bytes(bytes: &[u8], expected: &Shape) -> Result<Self, Unreadable> {
        let end = bytes.iter().position(|byte| *byte == b'\n').ok_or(Unreadable::Damaged("its header is cut"))?;
        let header: Header =
            serde_json::from_slice(&bytes[..end]).map_err(|_| Unreadable::Damaged("its header can't be read"))?;
        if header.shape != *expected {
            return Err(Unreadable::Shape { found: Box::new(header.shape), expected: Box::new(expected.clone()) });
        }
        if !header.shape.sound() {
            return Err(Unreadable::Damaged("its shape can't be"));
        }
        if !header.inputs.sound(header.shape.input().1) || !header.targets.sound(header.shape.outputs()) {
            return Err(Unreadable::Damaged("its scaling can't be"));
        }
        let (quads, rest) = bytes[end + 1..].as_chunks::<4>();
        let weights: Vec<f32> = quads.iter().map(|quad| f32::from_le_bytes(*quad)).collect();
        let wanted: usize = Layers::sizes(&header.shape).iter().map(|(rows, columns)| rows * columns).sum();
        if weights.len() != wanted || !rest.is_empty() {
            return Err(Unreadable::Damaged("the number of its weights does not fit its shape"));
        }
        if !weights.iter().all(|weight| weight.is_finite()) {
            return Err(Unreadable::Damaged("a weight is no number"));
        }
        Ok(Self::new(header, weights))
    }
}

/// Probabilities from a row of outputs.
fn softmax(row: &[f32]) -> impl Iterator<Item = f64> {
    let most = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let power = move |value: &f32| f64::from(value - most).exp();
    let sum: f64 = row.iter().map(power).sum();
    row.iter().map(move |value| power(value) / sum)
}

#[cfg(test)]
mod tests;
