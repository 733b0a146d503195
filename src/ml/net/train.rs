//! Training a net: mini-batches, Adam, early stopping, a rate that falls on a plateau, validation by time.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::adam::Adam;
use super::{BATCH, Header, Layers, Net, Random, Scale, Shape, Task, softmax};

/// Loss of a batch, from predictions and targets, row-major with so many outputs; weights are in the targets. Writes
/// the slopes of the loss of the predictions where there is room for them.
pub(super) type Loss = fn(&[f32], &[f32], usize, &mut [f32]) -> f64;

/// How to train.
#[derive(Debug, Clone, PartialEq)]
pub struct Params {
    /// Most passes over the samples.
    pub epochs: usize,
    /// Samples of a step.
    pub batch: usize,
    /// Adam's first rate.
    pub rate: f64,
    /// Share of each LSTM layer's outputs left out, 0 up to less than 1.
    pub dropout: f64,
    /// Share of the samples, the last in time, that is not learned from but judges each epoch.
    pub validation: f64,
    /// Samples between the two that neither gets, because windows that overlap know of each other.
    pub gap: usize,
    /// Epochs without a better validation loss after which training ends.
    pub patience: usize,
    /// Epochs without a better validation loss after which the rate is halved.
    pub plateau: usize,
    /// How much a sample of each class counts, if not alike.
    pub class_weights: Option<Vec<f64>>,
    /// Seed of the first weights, the batches and the dropout: it repeats a training.
    pub seed: u64,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            epochs: 100,
            batch: 32,
            rate: 1e-3,
            dropout: 0.2,
            validation: 0.2,
            gap: 0,
            patience: 10,
            plateau: 5,
            class_weights: None,
            seed: 0,
        }
    }
}

/// What to learn from, in the order of time.
#[derive(Debug, Clone, Copy)]
pub enum Samples<'a> {
    /// Windows, row-major, and the values to predict for each.
    Numbers(&'a [f64], &'a [f64]),
    /// Windows, row-major, and the class of each.
    Classes(&'a [f64], &'a [usize]),
    /// Rows an autoencoder learns to know.
    Rows(&'a [f64]),
}

/// How far a training is, after each epoch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// Epochs done.
    pub epoch: usize,
    /// Most epochs there will be.
    pub epochs: usize,
    /// Mean loss of the epoch's batches, with dropout.
    pub training_loss: f64,
    /// Loss of the validation samples.
    pub validation_loss: f64,
    /// Epoch of the lowest validation loss so far.
    pub best_epoch: usize,
    /// Adam's rate in this epoch.
    pub rate: f64,
    /// Time until all epochs are done, if none is spared by stopping early.
    pub left: Duration,
}

/// A finished training.
#[derive(Debug, Clone)]
pub struct Trained {
    /// The net as it was after its best epoch.
    pub net: Net,
    /// Every epoch; its `best_epoch` is that of the net.
    pub history: Vec<Progress>,
}

/// Why there is no net.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Failed {
    /// Cancelled.
    #[error("cancelled")]
    Cancelled,
    /// A size, share, weight or class that can't be, or samples that do not fit the shape.
    #[error("training can't start: {0}")]
    Refused(&'static str),
    /// No epoch had a finite loss.
    #[error("the loss was never finite")]
    Diverged,
}

/// Weights that make all classes count alike in sum: `samples / (classes * samples of the class)`. A class without a
/// sample gets 1.
pub fn balanced_weights(classes: &[usize], count: usize) -> Vec<f64> {
    let mut counts = vec![0usize; count];
    for class in classes.iter().filter(|class| **class < count) {
        counts[*class] += 1;
    }
    let weight = |held: usize| if held == 0 { 1.0 } else { classes.len() as f64 / (count * held) as f64 };
    counts.into_iter().map(weight).collect()
}

/// Trains a net of `shape`. `report` hears of each epoch; `cancel` is looked at before each batch. Scaling is learned
/// from the samples before validation only. Inputs that are not finite are taken as their mean.
pub fn train(
    shape: &Shape,
    samples: Samples,
    params: &Params,
    cancel: &AtomicBool,
    mut report: impl FnMut(&Progress),
) -> Result<Trained, Failed> {
    let set = Set::new(shape, samples, params)?;
    let mut random = Random(params.seed);
    let mut weights = Layers::initial(shape, &mut random);
    let mut gradient = vec![0.0; weights.len()];
    let mut layers = Layers::new(shape, params.batch.min(set.learned), true);
    let mut adam = Adam::new(weights.len());
    let mut order: Vec<usize> = (0..set.learned).collect();
    let (mut rate, mut since, mut lowest) = (params.rate, 0, f64::INFINITY);
    let mut best = None;
    let mut history: Vec<Progress> = Vec::new();
    let start = Instant::now();
    for epoch in 1..=params.epochs {
        random.shuffle(&mut order);
        let mut training_loss = 0.0;
        for chosen in order.chunks(params.batch) {
            if cancel.load(Ordering::Relaxed) {
                return Err(Failed::Cancelled);
            }
            layers.forward(&weights, &set.rows, chosen, Some((params.dropout, &mut random)));
            let value = set.loss(&mut layers, chosen);
            training_loss += value * chosen.len() as f64 / order.len() as f64;
            if !value.is_finite() {
                break; // the weights would be lost
            }
            layers.backward(&weights, &mut gradient, chosen.len());
            adam.step(rate, &mut weights, &gradient);
        }
        let validation_loss = set.validate(&weights, cancel)?;
        since += 1;
        if training_loss.is_finite() && validation_loss < lowest {
            (lowest, since) = (validation_loss, 0);
            best = Some((epoch, weights.clone()));
        }
        let done = Progress {
            epoch,
            epochs: params.epochs,
            training_loss,
            validation_loss,
            best_epoch: best.as_ref().map_or(0, |(epoch, _)| *epoch),
            rate,
            left: start.elapsed().div_f64(epoch as f64).mul_f64((params.epochs - epoch) as f64),
        };
        report(&done);
        history.push(done);
        if since >= params.patience || !training_loss.is_finite() {
            break;
        }
        if since > 0 && since % params.plateau == 0 {
            rate /= 2.0;
        }
    }
    let (_, weights) = best.ok_or(Failed::Diverged)?;
    let Set { shape, inputs, targets, .. } = set;
    Ok(Trained { net: Net::new(Header { shape: shape.clone(), inputs, targets }, weights), history })
}

/// Samples made ready.
struct Set<'a> {
    shape: &'a Shape,
    /// Scaled inputs of every sample.
    rows: Vec<f32>,
    /// Scaled targets or weighted class indicators of every sample.
    values: Vec<f32>,
    inputs: Scale,
    targets: Scale,
    loss: Loss,
    /// Samples learned from, the first in time.
    learned: usize,
    /// First sample of the validation, and the number of all.
    judged: (usize, usize),
}

impl<'a> Set<'a> {
    fn new(shape: &'a Shape, samples: Samples<'a>, params: &Params) -> Result<Self, Failed> {
        let (steps, features) = shape.input();
        if !shape.sound() {
            return Err(Failed::Refused("the shape of the net can't be built"));
        }
        let shares = (0.0..1.0).contains(&params.dropout) && params.validation > 0.0 && params.validation < 1.0;
        let sizes = params.epochs.min(params.batch).min(params.patience).min(params.plateau) > 0;
        if !(shares && sizes && params.rate.is_finite() && params.rate > 0.0) {
            return Err(Failed::Refused("a share, size or rate is out of range"));
        }
        let (Samples::Numbers(rows, _) | Samples::Classes(rows, _) | Samples::Rows(rows)) = samples;
        let count = rows.len() / (steps * features);
        let judged = count - ((count as f64 * params.validation).ceil() as usize).min(count);
        let learned = judged.saturating_sub(params.gap);
        if learned == 0 || judged == count {
            return Err(Failed::Refused("too few samples"));
        }
        if rows.len() != count * steps * features {
            return Err(Failed::Refused("samples do not fit the shape"));
        }
        let inputs = scale_of_finite(&rows[..learned * steps * features], features);
        let (targets, values) = targets(shape, samples, params, (learned, count), &inputs)?;
        let loss: Loss = if shape.task() == Task::Classification { cross_entropy } else { squared_error };
        let mut scaled = Vec::with_capacity(rows.len());
        inputs.append_scaled(rows, &mut scaled);
        Ok(Self { shape, rows: scaled, values, inputs, targets, loss, learned, judged: (judged, count) })
    }

    /// Loss of what the layers last put out for the `chosen` samples; its slopes are left with them.
    fn loss(&self, layers: &mut Layers, chosen: &[usize]) -> f64 {
        let width = self.shape.outputs();
        let wanted: Vec<f32> =
            chosen.iter().flat_map(|row| &self.values[row * width..(row + 1) * width]).copied().collect();
        let (found, slopes) = layers.judged(chosen.len());
        (self.loss)(found, &wanted, width, slopes)
    }

    /// Loss of the samples that are not learned from.
    fn validate(&self, weights: &[f32], cancel: &AtomicBool) -> Result<f64, Failed> {
        let all: Vec<usize> = (self.judged.0..self.judged.1).collect();
        let mut layers = Layers::new(self.shape, all.len().min(BATCH), false);
        let mut sum = 0.0;
        for chosen in all.chunks(BATCH) {
            if cancel.load(Ordering::Relaxed) {
                return Err(Failed::Cancelled);
            }
            layers.forward(weights, &self.rows, chosen, None);
            sum += self.loss(&mut layers, chosen) * chosen.len() as f64;
        }
        Ok(sum / all.len() as f64)
    }
}

/// What the net shall put out for every sample, and how that is scaled.
fn targets(
    shape: &Shape,
    samples: Samples,
    params: &Params,
    (learned, count): (usize, usize),
    inputs: &Scale,
) -> Result<(Scale, Vec<f32>), Failed> {
    let width = shape.outputs();
    match (samples, shape) {
        (Samples::Numbers(_, numbers), Shape::Lstm { task: Task::Regression, .. }) => {
            if numbers.len() != count * width || !numbers.iter().all(|number| number.is_finite()) {
                return Err(Failed::Refused("targets do not fit the samples or are not finite"));
            }
            let scale = Scale::of(&numbers[..learned * width], width);
            let values = numbers.iter().enumerate().map(|(at, number)| scale.scaled(at % width, *number)).collect();
            Ok((scale, values))
        }
        (Samples::Classes(_, classes), Shape::Lstm { task: Task::Classification, .. }) => {
            if classes.len() != count || classes.iter().any(|class| *class >= width) {
                return Err(Failed::Refused("classes do not fit the samples or the outputs"));
            }
            let weights = params.class_weights.clone().unwrap_or_else(|| vec![1.0; width]);
            if weights.len() != width || !weights.iter().all(|weight| weight.is_finite() && *weight > 0.0) {
                return Err(Failed::Refused("class weights do not fit the outputs or are not positive"));
            }
            let mut values = vec![0.0; count * width];
            for (value, class) in values.chunks_exact_mut(width).zip(classes) {
                value[*class] = weights[*class] as f32;
            }
            Ok((Scale::none(width), values))
        }
        (Samples::Rows(rows), Shape::Autoencoder { .. }) => {
            let values = rows.iter().enumerate().map(|(at, value)| inputs.scaled(at % width, *value)).collect();
            Ok((inputs.clone(), values))
        }
        _ => Err(Failed::Refused("the samples are of another kind than the net")),
    }
}

/// Scaling by the rows that are whole, or none at all when there is none.
fn scale_of_finite(values: &[f64], columns: usize) -> Scale {
    let whole = values.chunks_exact(columns).filter(|row| row.iter().all(|value| value.is_finite()));
    let whole: Vec<f64> = whole.flatten().copied().collect();
    if whole.is_empty() { Scale::none(columns) } else { Scale::of(&whole, columns) }
}

pub(super) fn squared_error(found: &[f32], wanted: &[f32], _: usize, slopes: &mut [f32]) -> f64 {
    let share = 2.0 / found.len() as f32;
    slopes.iter_mut().zip(found).zip(wanted).for_each(|((slope, found), wanted)| *slope = share * (found - wanted));
    let squares = found.iter().zip(wanted).map(|(found, wanted)| f64::from(found - wanted).powi(2));
    squares.sum::<f64>() / found.len() as f64
}

pub(super) fn cross_entropy(found: &[f32], wanted: &[f32], width: usize, slopes: &mut [f32]) -> f64 {
    let rows = (found.len() / width) as f64;
    let mut loss = 0.0;
    for (at, (found, wanted)) in found.chunks_exact(width).zip(wanted.chunks_exact(width)).enumerate() {
        let most = found.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let sum: f64 = found.iter().map(|value| f64::from(value - most).exp()).sum();
        let all: f64 = wanted.iter().map(|wanted| f64::from(*wanted)).sum();
        for (value, wanted) in found.iter().zip(wanted) {
            loss -= f64::from(*wanted) * (f64::from(value - most) - sum.ln());
        }
        let slopes = slopes.iter_mut().skip(at * width).zip(softmax(found)).zip(wanted);
        slopes.for_each(|((slope, share), wanted)| *slope = ((share * all - f64::from(*wanted)) / rows) as f32);
    }
    loss / rows
}
