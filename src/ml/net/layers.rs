//! The layers of a net, and how a batch passes them forward and back.

use super::cell::Cell;
use super::dense::Dense;
use super::product::Space;
use super::{Random, Shape};

/// LSTM layers, if any, then dense ones: what they remember of a batch. The weights of all are one slice, so that a
/// net is copied, saved and moved by its gradient without knowing its layers.
#[derive(Debug)]
pub(super) struct Layers {
    steps: usize,
    features: usize,
    cells: Vec<Cell>,
    dense: Vec<Dense>,
    /// What each output of each LSTM layer is multiplied by on its way up; of the last layer only those of its last
    /// step, which alone go up. Not looked at when nothing is left out.
    masks: Vec<Vec<f32>>,
    left_out: bool,
    /// Inputs of the dense layers, row-major, and the slopes of the loss of the inputs of each dense layer.
    head: Vec<f32>,
    slopes: Vec<f32>,
    space: Space,
}

impl Layers {
    /// Rows and columns of the weights in the order in which they are stored.
    pub fn sizes(shape: &Shape) -> Vec<(usize, usize)> {
        let cells = shape.cells();
        let cells =
            cells.windows(2).flat_map(|pair| [(pair[0], 4 * pair[1]), (pair[1], 4 * pair[1]), (1, 4 * pair[1])]);
        let dense = shape.dense();
        cells.chain(dense.windows(2).flat_map(|pair| [(pair[0], pair[1]), (1, pair[1])])).collect()
    }

    /// Weights to start from: uniform after Glorot & Bengio (2010) for LSTM layers and after He et al. (2015) for
    /// dense ones; biases are 0, those of forget gates 1 (Jozefowicz et al. 2015).
    pub fn initial(shape: &Shape, random: &mut Random) -> Vec<f32> {
        let mut weights = Vec::new();
        let mut uniform = |weights: &mut Vec<f32>, (rows, columns): (usize, usize), limit: f64| {
            weights.extend((0..rows * columns).map(|_| ((2.0 * random.unit() - 1.0) * limit) as f32));
        };
        for pair in shape.cells().windows(2) {
            let (inputs, width) = (pair[0], pair[1]);
            for (rows, limit) in
                [(inputs, (6.0 / (inputs + width) as f64).sqrt()), (width, (3.0 / width as f64).sqrt())]
            {
                let from = weights.len();
                uniform(&mut weights, (rows, 4 * width), limit);
                for row in weights[from..].chunks_exact_mut(4 * width) {
                    row[2 * width..3 * width].iter_mut().for_each(|weight| *weight *= 2.0); // they yield 2x
                }
            }
            weights.extend((0..4 * width).map(|at| if at / width == 1 { 1.0 } else { 0.0 }));
        }
        for pair in shape.dense().windows(2) {
            uniform(&mut weights, (pair[0], pair[1]), (6.0 / pair[0] as f64).sqrt());
            weights.resize(weights.len() + pair[1], 0.0);
        }
        weights
    }

    /// Layers with room for `rows` rows, and for a way back if there is to be one.
    pub fn new(shape: &Shape, rows: usize, back: bool) -> Self {
        let ((steps, features), mut at) = (shape.input(), 0);
        let (widths, dense) = (shape.cells(), shape.dense());
        let mut cells = Vec::new();
        for pair in widths.windows(2) {
            let cell = Cell::new((pair[0], pair[1]), at, rows, back.then_some(steps));
            at += cell.size();
            cells.push(cell);
        }
        let mut layers = Vec::new();
        for (index, pair) in dense.windows(2).enumerate() {
            let layer = Dense::new((pair[0], pair[1]), at, index + 2 < dense.len(), rows, back);
            at += layer.size();
            layers.push(layer);
        }
        let passed_up = |index: usize| if index + 2 < widths.len() { steps } else { 1 };
        let mask = |(index, cell): (usize, &Cell)| if back { passed_up(index) * rows * cell.width } else { 0 };
        let masks = cells.iter().enumerate().map(|held| vec![0.0; mask(held)]).collect();
        let slopes = vec![0.0; if back { rows * widths.last().copied().unwrap_or(0) } else { 0 }];
        let head = vec![0.0; rows * dense[0]];
        Self { steps, features, cells, dense: layers, masks, left_out: false, head, slopes, space: Space::default() }
    }

    /// Outputs, row-major, of the `chosen` rows of `inputs`, which are scaled and hold all steps of a row after each
    /// other; in training `dropout` gives the share of each LSTM layer's outputs that is left out.
    pub fn forward(
        &mut self,
        weights: &[f32],
        inputs: &[f32],
        chosen: &[usize],
        dropout: Option<(f64, &mut Random)>,
    ) -> &[f32] {
        let (rows, size) = (chosen.len(), self.steps * self.features);
        self.draw_masks(dropout);
        self.cells.iter_mut().for_each(|cell| cell.begin(weights, rows));
        for step in 0..self.steps {
            let values = |row: usize| &inputs[row * size + step * self.features..][..self.features];
            match self.cells.first_mut() {
                Some(lowest) => {
                    lowest.inputs(step, rows).zip(chosen).for_each(|(into, row)| into.copy_from_slice(values(*row)));
                }
                None => self.head.chunks_exact_mut(self.features).zip(chosen).for_each(|(into, row)| {
                    into.copy_from_slice(values(*row));
                }),
            }
            self.step(weights, step, rows);
        }
        if let Some((last, mask)) = self.cells.last().zip(self.masks.last()) {
            let outputs = self.head.chunks_exact_mut(last.width).zip(last.outputs(self.steps - 1, rows));
            pass(outputs, self.left_out.then_some(mask), last.width);
        }
        let mut held = &self.head[..];
        for layer in &mut self.dense {
            layer.forward(weights, &mut self.space, held, rows);
            held = layer.outputs(rows);
        }
        held
    }

    /// Runs all LSTM layers for one step; the inputs of the lowest are written.
    fn step(&mut self, weights: &[f32], step: usize, rows: usize) {
        for at in 0..self.cells.len() {
            let (lower, upper) = self.cells.split_at_mut(at + 1);
            let cell = &mut lower[at];
            cell.step(weights, &mut self.space, step, rows);
            if let Some(above) = upper.first_mut() {
                let mask = self.left_out.then(|| &self.masks[at][step * rows * cell.width..]);
                pass(above.inputs(step, rows).zip(cell.outputs(step, rows)), mask, cell.width);
            }
        }
    }

    /// Draws what is left out: a share is set to 0 and the others are scaled up (Srivastava et al. 2014).
    fn draw_masks(&mut self, dropout: Option<(f64, &mut Random)>) {
        self.left_out = false;
        if let Some((share, random)) = dropout.filter(|(share, _)| *share > 0.0) {
            self.left_out = true;
            let kept = (1.0 / (1.0 - share)) as f32;
            for value in self.masks.iter_mut().flatten() {
                *value = if random.unit() < share { 0.0 } else { kept };
            }
        }
    }

    /// What was put out last for `rows` rows, and the slopes of the loss of it, to be written before
    /// [`Self::backward`]; no slopes without a way back.
    pub fn judged(&mut self, rows: usize) -> (&[f32], &mut [f32]) {
        self.dense.last_mut().expect("a shape has at least one dense layer").judged(rows)
    }

    /// Writes the gradient of all weights, in their order, for the batch of `rows` rows that was passed forward last.
    pub fn backward(&mut self, weights: &[f32], gradient: &mut [f32], rows: usize) {
        for at in (0..self.dense.len()).rev() {
            let (lower, upper) = self.dense.split_at_mut(at);
            if let Some(below) = lower.last_mut() {
                let (inputs, slopes) = below.judged(rows);
                upper[0].back(weights, &mut self.space, inputs, rows, gradient, Some(slopes));
            } else {
                let slopes = (!self.cells.is_empty()).then_some(&mut self.slopes[..]);
                upper[0].back(weights, &mut self.space, &self.head, rows, gradient, slopes);
            }
        }
        self.cells.iter_mut().for_each(|cell| cell.begin_back(weights));
        for step in (0..self.steps).rev() {
            self.step_back(step, rows);
        }
        let (space, steps) = (&mut self.space, self.steps);
        self.cells.iter().for_each(|cell| cell.gradient(gradient, space, steps, rows));
    }

    /// Takes all LSTM layers one step back, the highest first.
    fn step_back(&mut self, step: usize, rows: usize) {
        for at in (0..self.cells.len()).rev() {
            let (lower, upper) = self.cells.split_at_mut(at + 1);
            let cell = &mut lower[at];
            let width = cell.width;
            if let Some(above) = upper.first() {
                let mask = self.left_out.then(|| &self.masks[at][step * rows * width..]);
                add(cell.output_slopes(rows).zip(above.input_slopes(rows)), mask, width);
            } else if step + 1 == self.steps {
                let mask = self.left_out.then(|| &self.masks[at][..]);
                add(cell.output_slopes(rows).zip(self.slopes.chunks_exact(width)), mask, width);
            }
            cell.step_back(&mut self.space, step, rows);
        }
    }
}

/// Copies rows of `width` values, each value multiplied by its mask if there is one.
fn pass<'a>(rows: impl Iterator<Item = (&'a mut [f32], &'a [f32])>, mask: Option<&[f32]>, width: usize) {
    for (at, (into, from)) in rows.enumerate() {
        match mask {
            Some(mask) => {
                let mask = &mask[at * width..(at + 1) * width];
                into.iter_mut().zip(from).zip(mask).for_each(|((into, from), mask)| *into = from * mask);
            }
            None => into.copy_from_slice(from),
        }
    }
}

/// Adds rows of `width` values, each value multiplied by its mask if there is one.
fn add<'a>(rows: impl Iterator<Item = (&'a mut [f32], &'a [f32])>, mask: Option<&[f32]>, width: usize) {
    for (at, (into, from)) in rows.enumerate() {
        match mask {
            Some(mask) => {
                let mask = &mask[at * width..(at + 1) * width];
                into.iter_mut().zip(from).zip(mask).for_each(|((into, from), mask)| *into += from * mask);
            }
            None => into.iter_mut().zip(from).for_each(|(into, from)| *into += from),
        }
    }
}
