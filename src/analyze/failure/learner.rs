//! What can learn from labelled windows. A learner makes its own row of numbers from what there is to see, so that one may
//! look at summaries and another at the steps themselves; which one speaks is decided on a back-test.

use super::course::Moment;
use super::features;
use super::lstm::Lstm;
use crate::ml::forest::{Forest, Params};
use crate::model::failure::{Epoch, State};
use std::sync::atomic::AtomicBool;

/// Watches over a training: may stop it, and hears of its epochs.
pub trait Overseer: Sync {
    /// Set: stop.
    fn cancel(&self) -> &AtomicBool;
    /// An epoch of the learner of that kind is over.
    fn epoch(&self, _kind: &'static str, _epoch: Epoch) {}
}

impl Overseer for AtomicBool {
    fn cancel(&self) -> &AtomicBool {
        self
    }
}

/// Learns the worst state of the next minutes from rows.
pub trait Learner: Sync {
    /// What can read its bytes; part of a model's card.
    fn kind(&self) -> &'static str;
    /// Names of its columns.
    fn columns(&self) -> Vec<String>;
    /// What it looks at, one value per column.
    fn row(&self, moment: &Moment) -> Vec<f64>;
    /// Most rows it learns from: what it needs of memory and time is bounded by that.
    fn most(&self) -> usize;
    /// Learns from whole rows and as many states. The same rows and seed give the same model.
    fn fit(&self, rows: &[f64], states: &[State], seed: u64, overseer: &dyn Overseer)
    -> Result<Box<dyn Model>, String>;
    /// Reads what [`Model::bytes`] wrote.
    fn load(&self, bytes: &[u8]) -> Result<Box<dyn Model>, String>;
}

/// What was learned.
pub trait Model: Send + Sync + std::fmt::Debug {
    /// Probabilities of the four states for whole rows; each sums to 1.
    fn probabilities(&self, rows: &[f64]) -> Vec<[f64; 4]>;
    /// For a file.
    fn bytes(&self) -> Result<Vec<u8>, String>;
}

/// Every learner that competes.
pub const LEARNERS: [&dyn Learner; 2] = [&Woods, &Lstm];

/// A random forest over [`features`].
#[derive(Debug, Clone, Copy)]
pub struct Woods;

/// Small enough to be shipped, and no tree knows single rows.
const PARAMS: Params = Params { trees: 100, tried: None, leaf: 12, depth: 10, seed: 0 };

impl Learner for Woods {
    fn kind(&self) -> &'static str {
        "failure-forest"
    }

    fn columns(&self) -> Vec<String> {
        features::NAMES.map(str::to_owned).to_vec()
    }

    fn row(&self, moment: &Moment) -> Vec<f64> {
        features::row(moment)
    }

    fn most(&self) -> usize {
        60_000
    }

    fn fit(&self, rows: &[f64], states: &[State], seed: u64, _: &dyn Overseer) -> Result<Box<dyn Model>, String> {
        let classes: Vec<usize> = states.iter().map(|s| *s as usize).collect();
        let columns = features::NAMES.len();
        let fitted =
            Forest::classification(rows, columns, &classes, 4, Some(&weights(&classes)), Params { seed, ..PARAMS });
        Ok(Box::new(Grown(fitted.map_err(|e| e.to_string())?)))
    }

    fn load(&self, bytes: &[u8]) -> Result<Box<dyn Model>, String> {
        serde_json::from_slice(bytes).map(|forest| Box::new(Grown(forest)) as Box<dyn Model>).map_err(|e| e.to_string())
    }
}

/// Rare states count more, but not so much that each rare row is believed: the root of the inverse share.
pub(super) fn weights(classes: &[usize]) -> [f64; 4] {
    std::array::from_fn(|class| {
        let count = classes.iter().filter(|c| **c == class).count().max(1);
        (classes.len() as f64 / count as f64).sqrt()
    })
}

/// A fitted forest.
#[derive(Debug)]
struct Grown(Forest);

impl Model for Grown {
    fn probabilities(&self, rows: &[f64]) -> Vec<[f64; 4]> {
        self.0.predict_many(rows).chunks_exact(4).map(|p| [p[0], p[1], p[2], p[3]]).collect()
    }

    fn bytes(&self) -> Result<Vec<u8>, String> {
        serde_json::to_vec(&self.0).map_err(|e| e.to_string())
    }
}
