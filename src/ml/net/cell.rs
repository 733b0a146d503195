//! One LSTM layer (Hochreiter & Schmidhuber 1997, with forget gate), forward and back through time.
//!
//! Its four gates, in, forget, new and out, lie beside each other, and so do a step's input and the output of the step
//! before: one product serves a step, one its way back, and one the gradient of all weights over all steps. One
//! sigmoid serves all gates: the new values' `tanh(x)` is `2 sigmoid(2x) - 1`, and that `2x` is what their columns
//! yield.

use pulp::{Arch, Scalar, Simd, WithSimd};

use super::math::{column_sums, fused, sigmoids, tanh};
use super::product::{Into, Panels, Space, matrix};

/// A layer's place among the weights, and what it remembers of a batch. Everything is row-major, a step's rows after
/// those of the step before; without a way back only one step is kept, over and over.
#[derive(Debug)]
pub struct Cell {
    inputs: usize,
    pub width: usize,
    /// First weight: `[inputs + width, 4 * width]` for input and recurrence, then `[4 * width]` biases.
    at: usize,
    /// The weights, and those that take the slopes of the gates to the slopes of what the layer got.
    forward: Panels,
    back: Panels,
    /// Whether all steps are kept for the way back.
    keep: bool,
    /// `[steps + 1][rows, inputs + width]`: what a step gets.
    passed: Vec<f32>,
    /// `[steps][rows, 4 * width]`: the gates, and on the way back the slopes of the loss before their sigmoids.
    gates: Vec<f32>,
    /// `[steps + 1][rows, width]`: the memory before each step.
    memory: Vec<f32>,
    /// `[steps][rows, width]`: tanh of the memory after each step.
    shown: Vec<f32>,
    /// `[rows, inputs + width]`: slopes of the loss of what the step passed last on the way back got.
    slopes: Vec<f32>,
    /// `[rows, width]`: slopes of the loss of the memory.
    memory_slopes: Vec<f32>,
}

impl Cell {
    /// A layer whose weights begin `at`, with room for `rows` rows and as many `steps` if they are to be kept.
    pub fn new((inputs, width): (usize, usize), at: usize, rows: usize, steps: Option<usize>) -> Self {
        let both = inputs + width;
        let (once, more) = (steps.unwrap_or(1) * rows, steps.map_or(1, |steps| steps + 1) * rows);
        let back = if steps.is_some() { rows } else { 0 };
        Self {
            inputs,
            width,
            at,
            forward: Panels::default(),
            back: Panels::default(),
            keep: steps.is_some(),
            passed: vec![0.0; more * both],
            gates: vec![0.0; once * 4 * width],
            memory: vec![0.0; more * width],
            shown: vec![0.0; once * width],
            slopes: vec![0.0; back * both],
            memory_slopes: vec![0.0; back * width],
        }
    }

    fn both(&self) -> usize {
        self.inputs + self.width
    }

    /// Weights and biases together.
    pub fn size(&self) -> usize {
        (self.both() + 1) * 4 * self.width
    }

    /// Forgets the last batch and takes the weights for the next.
    pub fn begin(&mut self, weights: &[f32], rows: usize) {
        let (both, width) = (self.both(), self.width);
        self.forward.cut(matrix(&weights[self.at..], (both, 4 * width), 4 * width));
        self.passed[..rows * both].fill(0.0);
        self.memory[..rows * width].fill(0.0);
    }

    /// The input of a step, to be written: of each row the first [`Self::inputs`] values.
    pub fn inputs(&mut self, step: usize, rows: usize) -> impl Iterator<Item = &mut [f32]> {
        let (both, inputs) = (self.both(), self.inputs);
        let from = if self.keep { step * rows * both } else { 0 };
        self.passed[from..from + rows * both].chunks_exact_mut(both).map(move |row| &mut row[..inputs])
    }

    /// Runs a step whose inputs are written.
    pub fn step(&mut self, weights: &[f32], space: &mut Space, step: usize, rows: usize) {
        let (both, width) = (self.both(), self.width);
        let biases = &weights[self.at + both * 4 * width..][..4 * width];
        let (now, next) = if self.keep { (step, step + 1) } else { (0, 0) };
        let gates = &mut self.gates[now * rows * 4 * width..][..rows * 4 * width];
        let passed = matrix(&self.passed[now * rows * both..], (rows, both), both);
        space.product_with(Into { values: gates, stride: 4 * width }, passed, &self.forward);
        if self.keep {
            self.memory.copy_within(now * rows * width..next * rows * width, next * rows * width);
        }
        Arch::new().dispatch(Opened {
            inputs: self.inputs,
            gates,
            biases,
            memory: &mut self.memory[next * rows * width..],
            shown: &mut self.shown[now * rows * width..],
            outputs: &mut self.passed[next * rows * both..],
        });
    }

    /// What a step put out, row by row.
    pub fn outputs(&self, step: usize, rows: usize) -> impl Iterator<Item = &[f32]> {
        let both = self.both();
        let from = if self.keep { (step + 1) * rows * both } else { 0 };
        self.passed[from..from + rows * both].chunks_exact(both).map(|row| &row[self.inputs..])
    }

    /// Begins the way back: nothing is known yet of the slopes.
    pub fn begin_back(&mut self, weights: &[f32]) {
        let (wanted, gates) = (self.both() - self.unwanted(), 4 * self.width);
        self.back.cut(matrix(&weights[self.at + self.unwanted() * gates..], (wanted, gates), gates).turned());
        self.slopes.fill(0.0);
        self.memory_slopes.fill(0.0);
    }

    /// How many of the values a step gets need no slopes: the inputs of the lowest layer.
    fn unwanted(&self) -> usize {
        if self.at == 0 { self.inputs } else { 0 }
    }

    /// Slopes of the loss of the outputs of the step that comes next on the way back, to be added to: as yet what the
    /// step after it asks for.
    pub fn output_slopes(&mut self, rows: usize) -> impl Iterator<Item = &mut [f32]> {
        let (both, inputs) = (self.both(), self.inputs);
        self.slopes[..rows * both].chunks_exact_mut(both).map(move |row| &mut row[inputs..])
    }

    /// Slopes of the loss of the inputs of the step passed last on the way back.
    pub fn input_slopes(&self, rows: usize) -> impl Iterator<Item = &[f32]> {
        let both = self.both();
        self.slopes[..rows * both].chunks_exact(both).map(|row| &row[..self.inputs])
    }

    /// Goes a step back, its output slopes being complete.
    pub fn step_back(&mut self, space: &mut Space, step: usize, rows: usize) {
        let (both, width, unwanted) = (self.both(), self.width, self.unwanted());
        let gates = &mut self.gates[step * rows * 4 * width..][..rows * 4 * width];
        let memory = self.memory[step * rows * width..].chunks_exact(width);
        let shown = self.shown[step * rows * width..].chunks_exact(width);
        let slopes = self.slopes.chunks_exact(both).zip(self.memory_slopes.chunks_exact_mut(width));
        for (((gates, memory), shown), (slopes, later)) in
            gates.chunks_exact_mut(4 * width).zip(memory).zip(shown).zip(slopes)
        {
            gates_back(gates, memory, shown, &slopes[self.inputs..], later);
        }
        let into = Into { values: &mut self.slopes[unwanted..], stride: both };
        space.product_with(into, matrix(gates, (rows, 4 * width), 4 * width), &self.back);
    }

    /// Writes the gradient of the layer's weights, once all `steps` are passed on the way back.
    pub fn gradient(&self, gradient: &mut [f32], space: &mut Space, steps: usize, rows: usize) {
        let (both, width, all) = (self.both(), self.width, steps * rows);
        let (weights, biases) = gradient[self.at..self.at + self.size()].split_at_mut(both * 4 * width);
        let slopes = &self.gates[..all * 4 * width];
        let passed = matrix(&self.passed, (all, both), both).turned();
        let into = Into { values: weights, stride: 4 * width };
        space.product(into, passed, matrix(slopes, (all, 4 * width), 4 * width));
        column_sums(biases, slopes);
    }
}

/// Opens the gates of all rows of a step; compiled for each kind of vector unit.
struct Opened<'a> {
    inputs: usize,
    /// Before the biases and the sigmoids.
    gates: &'a mut [f32],
    biases: &'a [f32],
    memory: &'a mut [f32],
    shown: &'a mut [f32],
    /// Whole inputs of the next step.
    outputs: &'a mut [f32],
}

impl WithSimd for Opened<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let width = self.biases.len() / 4;
        let memory = self.memory.chunks_exact_mut(width);
        let shown = self.shown.chunks_exact_mut(width);
        let outputs = self.outputs.chunks_exact_mut(self.inputs + width);
        let biases: [&[f32]; 4] = std::array::from_fn(|gate| &self.biases[gate * width..(gate + 1) * width]);
        let biases_of = biases.map(S::as_simd_f32s);
        for (((gates, memory), shown), output) in
            self.gates.chunks_exact_mut(4 * width).zip(memory).zip(shown).zip(outputs)
        {
            let [i, f, n, o] = quarters(gates).map(S::as_mut_simd_f32s);
            let (memory, shown) = (S::as_mut_simd_f32s(memory), S::as_mut_simd_f32s(shown));
            let output = S::as_mut_simd_f32s(&mut output[self.inputs..]);
            // whole vectors, and what is left over
            open(simd, [i.0, f.0, n.0, o.0], biases_of.map(|all| all.0), memory.0, shown.0, output.0);
            open(Scalar, [i.1, f.1, n.1, o.1], biases_of.map(|all| all.1), memory.1, shown.1, output.1);
        }
    }
}

/// One row of a step, or a part of it: its memory becomes that after the step.
#[inline(always)]
fn open<S: Simd>(
    simd: S,
    gates: [&mut [S::f32s]; 4],
    biases: [&[S::f32s]; 4],
    memory: &mut [S::f32s],
    shown: &mut [S::f32s],
    output: &mut [S::f32s],
) {
    // equal lengths, said once, so that no index is checked
    let width = memory.len();
    let ([taken, kept, new, given], biases) = (gates.map(|gate| &mut gate[..width]), biases.map(|all| &all[..width]));
    let (shown, output) = (&mut shown[..width], &mut output[..width]);
    for at in 0..width {
        let [i, f, n, o] = sigmoids(
            simd,
            [
                simd.add_f32s(taken[at], biases[0][at]),
                simd.add_f32s(kept[at], biases[1][at]),
                simd.add_f32s(new[at], biases[2][at]),
                simd.add_f32s(given[at], biases[3][at]),
            ],
        );
        (taken[at], kept[at], new[at], given[at]) = (i, f, n, o);
        let news = fused(simd, n, simd.splat_f32s(2.0), simd.splat_f32s(-1.0));
        memory[at] = fused(simd, f, memory[at], simd.mul_f32s(i, news));
        shown[at] = tanh(simd, memory[at]);
        output[at] = simd.mul_f32s(o, shown[at]);
    }
}

/// In, forget, new and out.
#[inline(always)]
fn quarters(gates: &mut [f32]) -> [&mut [f32]; 4] {
    let (low, high) = gates.split_at_mut(gates.len() / 2);
    let ((taken, kept), (new, given)) = (low.split_at_mut(low.len() / 2), high.split_at_mut(high.len() / 2));
    [taken, kept, new, given]
}

/// Turns a row's gates into the slopes before their sigmoids, and the slopes of the memory after the step into those
/// before it. The slope of a sigmoid whose value is `s` is `s (1 - s)`, that of a tanh `1 - t^2`.
fn gates_back(gates: &mut [f32], memory: &[f32], shown: &[f32], slopes: &[f32], later: &mut [f32]) {
    let width = slopes.len();
    let [taken, kept, new, given] = quarters(gates).map(|gate| &mut gate[..width]);
    let (memory, shown, later) = (&memory[..width], &shown[..width], &mut later[..width]);
    for at in 0..width {
        let (i, f, n, o) = (taken[at], kept[at], new[at], given[at]);
        let slope = later[at] + slopes[at] * o * (1.0 - shown[at] * shown[at]);
        given[at] = slopes[at] * shown[at] * o * (1.0 - o);
        taken[at] = slope * (2.0 * n - 1.0) * i * (1.0 - i);
        kept[at] = slope * memory[at] * f * (1.0 - f);
        new[at] = slope * i * 2.0 * n * (1.0 - n);
        later[at] = slope * f;
    }
}
