//! The loss curve of a training: heard epoch by epoch, and kept with the model it led to.

use super::{Foresight, News};
use crate::analyze::failure::learner::Overseer;
use crate::autopilot::engine::Note;
use crate::ml::model_file::Card;
use crate::model::failure::{Epoch, Losses, Training};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::mpsc;

impl Foresight {
    /// Keeps an epoch for the loss curve.
    pub(super) fn epoch(&mut self, cancel: &AtomicBool, kind: &'static str, epoch: Epoch) {
        let Training::Learning { losses, .. } = &mut Arc::make_mut(&mut self.known).training else { return };
        if cancel.load(Ordering::Relaxed) {
            return;
        }
        let losses = Arc::make_mut(losses);
        if &*losses.learner != kind {
            *losses = Losses { learner: kind.into(), epochs: Vec::new() };
        }
        losses.epochs.push(epoch);
    }

    /// The loss curve of the learner of this kind, if it learned in epochs.
    pub(super) fn losses_of(&self, kind: &str) -> Vec<[f64; 2]> {
        let Training::Learning { losses, .. } = &self.known.training else { return Vec::new() };
        let own = losses.epochs.iter().filter(|_| &*losses.learner == kind);
        own.map(|e| [e.training, e.validation]).filter(|l| l.iter().all(|v| v.is_finite())).collect()
    }
}

/// The loss curve that was saved with a model.
pub(super) fn of(card: &Card) -> Option<Arc<Losses>> {
    let epochs = u32::try_from(card.losses.len()).unwrap_or(u32::MAX);
    let epoch = |(epoch, [training, validation]): (u32, &[f64; 2])| Epoch {
        epoch,
        epochs,
        training: *training,
        validation: *validation,
    };
    let all: Vec<Epoch> = (1..).zip(&card.losses).map(epoch).collect();
    (!all.is_empty()).then(|| Arc::new(Losses { learner: card.kind.as_str().into(), epochs: all }))
}

/// Hears of a training from its thread.
pub(super) struct Told {
    pub cancel: Arc<AtomicBool>,
    pub run: u64,
    pub notes: mpsc::Sender<Note>,
}

impl Overseer for Told {
    fn cancel(&self) -> &AtomicBool {
        &self.cancel
    }

    fn epoch(&self, kind: &'static str, epoch: Epoch) {
        // A loop that has ended needs no curve.
        let _ = self.notes.blocking_send(Note::Foresight(self.run, News::Epoch(self.cancel.clone(), kind, epoch)));
    }
}
