//! A recurrent net over the steps themselves: the seven signals of a window, each against its limit or its own past, so
//! that a small workload and a large one look alike.

use super::course::Moment;
use super::learner::{Learner, Model, Overseer};
use super::window::{Window, usual};
use crate::ml::net::{Net, Params, Progress, Samples, Shape, train};
use crate::model::failure::{Epoch, Fact, STEPS, State};
use crate::model::series::Signal;

/// An LSTM of 128, 64 and 32 units, a dense layer of 16, and the four states.
#[derive(Debug, Clone, Copy)]
pub struct Lstm;

/// An epoch of this many takes about twenty seconds on one core.
const MOST: usize = 8_000;

const SIGNALS: usize = Signal::ALL.len();

fn shape() -> Shape {
    Shape::classification(STEPS, SIGNALS)
}

fn params(seed: u64, weights: Vec<f64>) -> Params {
    Params {
        epochs: 12,
        batch: 64,
        dropout: 0.2,
        patience: 3,
        plateau: 2,
        class_weights: Some(weights),
        seed,
        ..Params::default()
    }
}

impl Learner for Lstm {
    fn kind(&self) -> &'static str {
        "failure-lstm"
    }

    fn columns(&self) -> Vec<String> {
        let column = |step: usize| Signal::ALL.map(|s| format!("{}, {} steps ago", s.title(), STEPS - 1 - step));
        (0..STEPS).flat_map(column).collect()
    }

    fn most(&self) -> usize {
        MOST
    }

    fn row(&self, moment: &Moment) -> Vec<f64> {
        let columns = Signal::ALL.map(|signal| against(moment.window, signal));
        (0..STEPS).flat_map(|step| columns.each_ref().map(|c| c[step])).collect()
    }

    fn fit(
        &self,
        rows: &[f64],
        states: &[State],
        seed: u64,
        overseer: &dyn Overseer,
    ) -> Result<Box<dyn Model>, String> {
        let classes: Vec<usize> = states.iter().map(|s| *s as usize).collect();
        let weights = super::learner::weights(&classes).to_vec();
        let told = |p: &Progress| {
            let [epoch, epochs] = [p.epoch, p.epochs].map(|n| u32::try_from(n).unwrap_or(u32::MAX));
            let [training, validation] = [p.training_loss, p.validation_loss];
            overseer.epoch(self.kind(), Epoch { epoch, epochs, training, validation });
        };
        let samples = Samples::Classes(rows, &classes);
        let trained = train(&shape(), samples, &params(seed, weights), overseer.cancel(), told);
        trained.map(|t| Box::new(Recurrent(t.net)) as Box<dyn Model>).map_err(|e| e.to_string())
    }

    fn load(&self, bytes: &[u8]) -> Result<Box<dyn Model>, String> {
        Net::from_bytes(bytes, &shape())
            .map(|net| Box::new(Recurrent(net)) as Box<dyn Model>)
            .map_err(|e| e.to_string())
    }
}

/// A signal step by step: shares as they are, everything else as the logarithm of its ratio to what is usual. NaN where
/// it was not measured, which the net takes for its mean.
fn against(window: &Window, signal: Signal) -> [f64; STEPS] {
    let row = window.signal(signal);
    let ratio = |to: Option<f64>| {
        row.map(|v| to.map_or(f64::NAN, |to| ((f64::from(v) + to * 1e-3) / (to * 1.001)).max(1e-3).ln()))
    };
    let own = usual(row).filter(|u| *u > 0.0);
    let share = |limit: Fact| {
        let limits = window.fact(limit);
        std::array::from_fn(|i| f64::from(row[i]) / f64::from(limits[i]))
    };
    match signal {
        Signal::ErrorRate => row.map(f64::from),
        Signal::Cpu if window.fact(Fact::CpuLimit).iter().any(|v| v.is_finite()) => share(Fact::CpuLimit),
        // The fullest container fails first.
        Signal::Memory if window.fact(Fact::Fullest).iter().any(|v| v.is_finite()) => {
            window.fact(Fact::Fullest).map(f64::from)
        }
        Signal::LatencyP99 => ratio(window.good_p99.filter(|u| *u > 0.0)),
        _ => ratio(own),
    }
}

/// A trained net.
#[derive(Debug)]
struct Recurrent(Net);

impl Model for Recurrent {
    fn probabilities(&self, rows: &[f64]) -> Vec<[f64; 4]> {
        self.0.predict(rows).chunks_exact(4).map(|p| [p[0], p[1], p[2], p[3]]).collect()
    }

    fn bytes(&self) -> Result<Vec<u8>, String> {
        Ok(self.0.to_bytes())
    }
}
