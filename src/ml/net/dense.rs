//! One dense layer, forward and back.

use super::math::column_sums;
use super::product::{Into, Space, matrix};

/// A layer's place among the weights, and what it put out for a batch, row-major.
#[derive(Debug)]
pub struct Dense {
    inputs: usize,
    width: usize,
    /// First weight: `[inputs, width]`, then `[width]` biases.
    at: usize,
    /// Whether what is below 0 becomes 0 (ReLU).
    cut: bool,
    /// `[rows, width]`
    outputs: Vec<f32>,
    /// `[rows, width]`: slopes of the loss of the outputs.
    slopes: Vec<f32>,
}

impl Dense {
    /// A layer whose weights begin `at`, with room for `rows` rows, and for their way back if there is one.
    pub fn new((inputs, width): (usize, usize), at: usize, cut: bool, rows: usize, back: bool) -> Self {
        let slopes = vec![0.0; if back { rows * width } else { 0 }];
        Self { inputs, width, at, cut, outputs: vec![0.0; rows * width], slopes }
    }

    /// Weights and biases together.
    pub fn size(&self) -> usize {
        (self.inputs + 1) * self.width
    }

    /// What the layer put out last.
    pub fn outputs(&self, rows: usize) -> &[f32] {
        &self.outputs[..rows * self.width]
    }

    /// What the layer put out last, and the slopes of the loss of it, to be written before the way back.
    pub fn judged(&mut self, rows: usize) -> (&[f32], &mut [f32]) {
        let slopes = self.slopes.len().min(rows * self.width);
        (&self.outputs[..rows * self.width], &mut self.slopes[..slopes])
    }

    /// Runs `inputs` through the layer.
    pub fn forward(&mut self, weights: &[f32], space: &mut Space, inputs: &[f32], rows: usize) {
        let (weights, biases) = weights[self.at..self.at + self.size()].split_at(self.inputs * self.width);
        let weights = matrix(weights, (self.inputs, self.width), self.width);
        let into = Into { values: &mut self.outputs, stride: self.width };
        space.product(into, matrix(inputs, (rows, self.inputs), self.inputs), weights);
        let least = if self.cut { 0.0 } else { f32::NEG_INFINITY };
        for row in self.outputs[..rows * self.width].chunks_exact_mut(self.width) {
            // written so that what is no number stays none
            row.iter_mut().zip(biases).for_each(|(value, bias)| {
                let sum = *value + bias;
                *value = if sum < least { least } else { sum };
            });
        }
    }

    /// Writes the gradient of the weights from the slopes of the outputs, and the slopes of `inputs` if asked for.
    pub fn back(
        &mut self,
        weights: &[f32],
        space: &mut Space,
        inputs: &[f32],
        rows: usize,
        gradient: &mut [f32],
        input_slopes: Option<&mut [f32]>,
    ) {
        let size = self.size();
        let slopes = &mut self.slopes[..rows * self.width];
        if self.cut {
            slopes.iter_mut().zip(&self.outputs).for_each(|(slope, output)| {
                *slope = if *output > 0.0 { *slope } else { 0.0 };
            });
        }
        let (by_weight, by_bias) = gradient[self.at..self.at + size].split_at_mut(self.inputs * self.width);
        let slopes_of = matrix(slopes, (rows, self.width), self.width);
        let inputs = matrix(inputs, (rows, self.inputs), self.inputs);
        space.product(Into { values: by_weight, stride: self.width }, inputs.turned(), slopes_of);
        column_sums(by_bias, slopes);
        if let Some(input_slopes) = input_slopes {
            let weights = matrix(&weights[self.at..], (self.inputs, self.width), self.width).turned();
            space.product(Into { values: input_slopes, stride: self.inputs }, slopes_of, weights);
        }
    }
}
