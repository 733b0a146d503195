//! A net that learns a few numbers at a time, as reinforcement learning does: of each row only one output is told.

use super::adam::Adam;
use super::layers::Layers;
use super::{Header, Net, Random, Scale, Shape};

/// A net in the making, with what a step of learning needs.
#[derive(Debug)]
pub struct Learner {
    shape: Shape,
    weights: Vec<f32>,
    gradient: Vec<f32>,
    layers: Layers,
    adam: Adam,
    /// 0, 1, 2, … for as many rows as a batch has.
    all: Vec<usize>,
}

impl Learner {
    /// A net of the shape, which must be one that can be built and have no LSTM layers, that knows nothing yet; learns
    /// from at most `batch` rows at once.
    pub fn new(shape: &Shape, batch: usize, seed: u64) -> Self {
        let mut weights = Layers::initial(shape, &mut Random(seed));
        // outputs begin near 0: what is not known yet must not look good
        let last = Layers::sizes(shape).iter().rev().take(2).map(|(rows, columns)| rows * columns).sum::<usize>();
        let from = weights.len() - last;
        weights[from..].iter_mut().for_each(|weight| *weight *= 0.1);
        Self::with(shape.clone(), weights, batch)
    }

    /// Goes on learning.
    pub fn resume(net: Net, batch: usize) -> Self {
        Self::with(net.shape, net.weights, batch)
    }

    fn with(shape: Shape, weights: Vec<f32>, batch: usize) -> Self {
        let batch = batch.max(1);
        let layers = Layers::new(&shape, batch, true);
        let (gradient, adam) = (vec![0.0; weights.len()], Adam::new(weights.len()));
        Self { shape, weights, gradient, layers, adam, all: (0..batch).collect() }
    }

    /// What has been learned so far.
    pub fn net(&self) -> Net {
        let (inputs, targets) = (Scale::none(self.shape.input().1), Scale::none(self.shape.outputs()));
        Net::new(Header { shape: self.shape.clone(), inputs, targets }, self.weights.clone())
    }

    /// The weights as they are.
    pub fn weights(&self) -> &[f32] {
        &self.weights
    }

    /// Outputs of a row.
    pub fn outputs(&self) -> usize {
        self.shape.outputs()
    }

    /// Outputs of at most a batch of rows.
    pub fn predict(&mut self, rows: &[f32]) -> &[f32] {
        let count = rows.len() / self.shape.input().1;
        self.layers.forward(&self.weights, rows, &self.all[..count], None)
    }

    /// Outputs of at most a batch of rows by other weights of the same shape.
    pub fn judged_by(&mut self, weights: &[f32], rows: &[f32]) -> &[f32] {
        let count = rows.len() / self.shape.input().1;
        self.layers.forward(weights, rows, &self.all[..count], None)
    }

    /// A step of Adam toward one wanted output of each of at most a batch of rows. Errors count squared up to 1 and as
    /// they are beyond (Huber), which keeps rare ones from throwing everything over.
    pub fn learn(&mut self, rows: &[f32], places: &[usize], wanted: &[f32], rate: f64) {
        let (count, width) = (places.len(), self.shape.outputs());
        self.layers.forward(&self.weights, rows, &self.all[..count], None);
        let (found, slopes) = self.layers.judged(count);
        slopes.fill(0.0);
        for (row, (place, wanted)) in places.iter().zip(wanted).enumerate() {
            let at = row * width + place;
            slopes[at] = (found[at] - wanted).clamp(-1.0, 1.0) / count as f32;
        }
        self.layers.backward(&self.weights, &mut self.gradient, count);
        self.adam.step(rate, &mut self.weights, &self.gradient);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_told_is_learned_and_it_survives_as_bytes() {
        let shape = Shape::Perceptron { inputs: 2, hidden: vec![32, 16], outputs: 3 };
        let mut learner = Learner::new(&shape, 16, 5);
        let mut random = Random(9);
        let truth = |row: &[f32], place: usize| [row[0] + row[1], row[0] * row[1], -row[1]][place];
        for _ in 0..3000 {
            let rows: Vec<f32> = (0..32).map(|_| random.unit() as f32).collect();
            let places: Vec<usize> = (0..16).map(|_| random.below(2)).collect(); // never the third
            let wanted: Vec<f32> = rows.chunks(2).zip(&places).map(|(row, place)| truth(row, *place)).collect();
            learner.learn(&rows, &places, &wanted, 1e-3);
        }
        let bytes = learner.net().to_bytes();
        let mut again = Learner::resume(Net::from_bytes(&bytes, &shape).unwrap(), 4);
        let row = [0.3, 0.8];
        let found = learner.predict(&row).to_vec();
        assert!((found[0] - 1.1).abs() < 0.05 && (found[1] - 0.24).abs() < 0.05, "{found:?}");
        assert_eq!(again.predict(&row), found);
        let first = Learner::new(&shape, 16, 5).weights().to_vec();
        let last = |weights: &[f32]| *weights.last().unwrap(); // the third output's bias
        assert_eq!(last(learner.weights()), last(&first));
    }
}
