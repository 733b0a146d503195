//! Failure prediction beside the loop (A4), and the life of its model (A10, K4): loaded at the start, judged for drift,
//! trained again, saved as a new version, rolled back.
//!
//! The watch is lent to a thread of the pool for each step of the metrics and comes back with what it foresees, so that
//! the loop never waits for it. Training runs in a thread of its own that stands back for everything else.

use super::engine::{Engine, Note};
use super::world::{CommandResult, Level};
use crate::analyze::failure::learner::LEARNERS;
use crate::analyze::failure::training::{Examined, Trained, file, learn};
use crate::analyze::failure::watch::FailureWatch;
use crate::knowledge::journal::Journal;
use crate::ml::model_file::{Card, Manifest, Store, TrainedOn};
use crate::model::failure::{Drift, Epoch, FailureOutlook, Failures, ModelCard, NotTrained, Past, Training};
use crate::model::snapshot::{Snapshot, SourceState};
use crate::model::time;
use crate::model::time::Timestamp;
use crate::monitor::metrics::Ask;
use chrono::TimeDelta;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::{mpsc, oneshot};

/// How much of the past a model learns from.
const LEARNED: TimeDelta = TimeDelta::hours(24);
/// A model that drifted is trained again at most this often.
const AGAIN: TimeDelta = TimeDelta::hours(6);
/// Versions that are kept.
const KEPT: usize = 5;
/// Of every training; recorded here, so that a training can be repeated.
const SEED: u64 = 1;

/// What the threads report. `run` tells sessions apart, so that one that was left is not heard.
#[derive(Debug)]
pub(super) enum News {
    /// The watch comes back with what it foresees.
    Foreseen(Box<FailureWatch>, Vec<FailureOutlook>),
    /// The past was read, or could not be.
    Read(Option<Past>),
    /// An epoch of a learner is over; the flag tells trainings apart, and is set when this one was cancelled.
    Epoch(Arc<AtomicBool>, &'static str, Epoch),
    /// Training ended.
    Learned(Box<Result<(Trained, Examined, Past), NotTrained>>),
}

/// State of failure prediction.
#[derive(Debug)]
pub(super) struct Foresight {
    /// `None` while it is lent.
    watch: Option<Box<FailureWatch>>,
    known: Arc<Failures>,
    /// `None`: this session keeps no files.
    store: Option<Store>,
    /// Time of the metrics that were looked at last.
    seen: Option<Timestamp>,
    run: u64,
    cancel: Option<Arc<AtomicBool>>,
    trained: Option<Timestamp>,
    /// A model for the watch when it comes back.
    next: Option<Result<Trained, NotTrained>>,
}

impl Default for Foresight {
    fn default() -> Self {
        let mut this = Self {
            watch: None,
            known: Arc::default(),
            store: None,
            seen: None,
            run: 0,
            cancel: None,
            trained: None,
            next: None,
        };
        this.open(None);
        this
    }
}

impl Drop for Foresight {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Foresight {
    /// What is known.
    pub(super) fn failures(&self) -> Arc<Failures> {
        self.known.clone()
    }

    fn stop(&mut self) {
        if let Some(cancel) = self.cancel.take() {
            cancel.store(true, Ordering::Relaxed);
        }
    }

    /// Begins a session whose models are under `folder`: the one that was trained there speaks, else the rules alone. Says
    /// what could not be read.
    pub(super) fn open(&mut self, folder: Option<&Path>) -> Option<String> {
        self.stop();
        let store = folder.map(|f| Store::new(f.join("models"), KEPT));
        let (found, complaint) = load(store.as_ref());
        let (card, model) = match found {
            Ok((card, trained)) => (Some(Arc::new(card)), Ok(trained)),
            Err(why) => (None, Err(why)),
        };
        *self = Self {
            watch: Some(Box::new(FailureWatch::new(model))),
            known: Arc::new(Failures { card, ..Failures::default() }),
            store,
            seen: None,
            run: self.run + 1,
            cancel: None,
            trained: None,
            next: None,
        };
        complaint
    }

    /// Lends the watch to a thread if the metrics are new.
    fn look(&mut self, snapshot: &Arc<Snapshot>, notes: &mpsc::Sender<Note>, now: Timestamp) {
        let SourceState::Live { last } = snapshot.metrics.state else { return };
        if self.seen == Some(last) {
            return;
        }
        let Some(mut watch) = self.watch.take() else { return };
        self.seen = Some(last);
        let (run, snapshot, notes) = (self.run, snapshot.clone(), notes.clone());
        tokio::task::spawn_blocking(move || {
            let found = watch.round(&snapshot, &snapshot.metrics.calls, now);
            // A loop that has ended needs no answer.
            let _ = notes.blocking_send(Note::Foresight(run, News::Foreseen(watch, found)));
        });
    }

    fn foreseen(&mut self, mut watch: Box<FailureWatch>, found: Vec<FailureOutlook>, now: Timestamp) {
        let drift = watch.drift().cloned();
        if let Some(model) = self.next.take() {
            watch.adopt(model);
        }
        self.watch = Some(watch);
        let known = Arc::make_mut(&mut self.known);
        known.made = Some(now);
        known.all = found.into_iter().map(Arc::new).collect();
        self.judge(drift);
    }

    /// Writes down how far the model is from what it learned, and whether it is silent for it.
    fn judge(&mut self, drift: Option<Drift>) {
        if let Some(card) = &mut Arc::make_mut(&mut self.known).card {
            let silent = drift.as_ref().and_then(Drift::silences).map(|why| Arc::from(why.to_string()));
            if (&card.drift, &card.silent) != (&drift, &silent) {
                let card = Arc::make_mut(card);
                (card.drift, card.silent) = (drift, silent);
            }
        }
    }

    /// Whether training should be begun by itself: the model drifted, and none was tried lately.
    fn wants_training(&self, now: Timestamp) -> bool {
        let drifted = self.known.card.as_ref().is_some_and(|c| c.silent.is_some());
        drifted && self.idle() && self.trained.is_none_or(|at| now - at >= AGAIN)
    }

    fn idle(&self) -> bool {
        matches!(self.known.training, Training::Idle | Training::Ended { .. })
    }

    /// Asks for the past; what comes is taught.
    fn train(&mut self, asks: &mpsc::Sender<Ask>, notes: &mpsc::Sender<Note>, now: Timestamp) -> CommandResult {
        if !self.idle() {
            return Err("a model is being trained already".into());
        }
        let (answer, answered) = oneshot::channel();
        asks.try_send(Ask { from: now - LEARNED, to: now, answer })
            .map_err(|_| "Prometheus cannot be asked for the past now".to_owned())?;
        self.trained = Some(now);
        self.cancel = Some(Arc::new(AtomicBool::new(false)));
        Arc::make_mut(&mut self.known).training = Training::Reading { since: now };
        let (run, notes) = (self.run, notes.clone());
        tokio::spawn(async move {
            let past = answered.await.ok();
            let _ = notes.send(Note::Foresight(run, News::Read(past))).await;
        });
        Ok("the past is being read; training begins then".into())
    }

    /// Stops a training under way.
    fn cancel(&mut self, now: Timestamp) -> CommandResult {
        if self.idle() {
            return Err("nothing is being trained".into());
        }
        self.stop();
        self.ended("cancelled; the model stays as it was", now);
        Ok("training was cancelled".into())
    }

    fn ended(&mut self, said: &str, now: Timestamp) {
        self.cancel = None;
        Arc::make_mut(&mut self.known).training = Training::Ended { at: now, said: said.into() };
    }

    fn read(&mut self, past: Option<Past>, journal: Option<Arc<Journal>>, notes: &mpsc::Sender<Note>, now: Timestamp) {
        // Cancelled while it was read.
        let Some(cancel) = self.cancel.clone() else { return };
        let Some(mut past) = past else {
            self.ended("the past could not be read: Prometheus was lost, or refused it", now);
            return;
        };
        Arc::make_mut(&mut self.known).training = Training::Learning { since: now, losses: Arc::default() };
        let (run, notes) = (self.run, notes.clone());
        let told = losses::Told { cancel, run, notes: notes.clone() };
        let work = move || {
            super::stand_back();
            found::add(&mut past, journal.as_deref());
            let pasts = [past];
            let learned =
                std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| learn(&pasts, &LEARNERS, SEED, &told)));
            let learned = learned.unwrap_or_else(|_| {
                tracing::error!("training ended abnormally");
                Err(NotTrained::Nothing { need: "training broke down".into() })
            });
            let [past] = pasts;
            let learned = learned.map(|(trained, examined)| (trained, examined, past));
            let _ = notes.blocking_send(Note::Foresight(run, News::Learned(Box::new(learned))));
        };
        if let Err(e) = std::thread::Builder::new().name("training".into()).spawn(work) {
            self.ended(&format!("no thread for it: {e}"), now);
        }
    }

    /// Saves what was learned and takes it for the model that speaks.
    fn learned(&mut self, learned: Result<(Trained, Examined, Past), NotTrained>, now: Timestamp) -> Option<String> {
        // Cancelled while it was learned.
        self.cancel.take()?;
        let (trained, examined, past) = match learned {
            Ok(learned) => learned,
            Err(why) => {
                self.ended(&why.to_string(), now);
                return None;
            }
        };
        let Some(store) = &self.store else {
            self.ended("not kept: this session keeps no files", now);
            return None;
        };
        let until = past.from + TimeDelta::seconds(i64::from(past.step) * past.slots as i64);
        let trained_on =
            TrainedOn { source: found::source(&past), samples: examined.rows as u64, from: past.from, until };
        let card = Card {
            kind: trained.kind().to_owned(),
            features: file::features(trained.learner()),
            trained_at: now,
            trained_on,
            back_test: file::figures(&examined),
            losses: self.losses_of(trained.kind()),
        };
        let saved = trained.bytes().and_then(|bytes| store.save(file::NAME, card, &bytes).map_err(|e| e.to_string()));
        match saved {
            Ok(manifest) => {
                let said = format!("version {} speaks", manifest.version);
                let card = card_of(&manifest, self.store.as_ref());
                self.speak(Some(card), Ok(trained));
                self.ended(&said, now);
                Some(format!("failure prediction was trained anew: {said}"))
            }
            Err(e) => {
                self.ended(&format!("not saved, so not used: {e}"), now);
                Some(format!("the newly trained model could not be saved: {e}"))
            }
        }
    }

    /// The watch gets it now, or when it comes back.
    fn speak(&mut self, card: Option<ModelCard>, model: Result<Trained, NotTrained>) {
        Arc::make_mut(&mut self.known).card = card.map(Arc::new);
        match &mut self.watch {
            Some(watch) => watch.adopt(model),
            None => self.next = Some(model),
        }
    }

    /// Goes back to the version before the present one; from the first one, to the rules alone.
    fn roll_back(&mut self) -> CommandResult {
        let Some(store) = &self.store else { return Err("this session keeps no models".into()) };
        if self.known.card.is_none() {
            return Err("there is no model".into());
        }
        if store.roll_back(file::NAME).is_ok() {
            let (manifest, trained) = file::saved(store).map_err(|e| e.to_string())?;
            let said = format!("rolled back to version {}", manifest.version);
            let card = card_of(&manifest, Some(store));
            self.speak(Some(card), Ok(trained));
            return Ok(said);
        }
        store.forget(file::NAME).map_err(|e| e.to_string())?;
        self.speak(None, Err(untrained()));
        Ok("rolled back to the rules alone".into())
    }
}

/// Why nothing speaks beside the rules where nothing was trained.
fn untrained() -> NotTrained {
    NotTrained::Nothing { need: "train one on this cluster's last day, in Predictions".into() }
}

/// The model that was trained here, and what could not be read.
fn load(store: Option<&Store>) -> (Result<(ModelCard, Trained), NotTrained>, Option<String>) {
    let Some(store) = store.filter(|s| s.current(file::NAME).is_ok()) else { return (Err(untrained()), None) };
    match file::saved(store) {
        Ok((manifest, trained)) => (Ok((card_of(&manifest, Some(store)), trained)), None),
        Err(why) => {
            let complaint = format!("the model trained here is not used: {why}");
            (Err(why), Some(complaint))
        }
    }
}

fn card_of(manifest: &Manifest, store: Option<&Store>) -> ModelCard {
    let card = &manifest.card;
    let versions = store.and_then(|s| s.versions(file::NAME).ok()).unwrap_or_default();
    ModelCard {
        kind: card.kind.as_str().into(),
        version: manifest.version,
        trained: card.trained_at,
        source: card.trained_on.source.as_str().into(),
        samples: card.trained_on.samples,
        back_test: card.back_test.iter().map(|(name, value)| (Arc::from(name.as_str()), *value)).collect(),
        features: card.features.as_str().into(),
        drift: None,
        silent: None,
        losses: losses::of(card),
        // Before the first there are the rules alone.
        earlier: versions.iter().filter(|v| **v < manifest.version).count() + 1,
    }
}

impl Engine {
    /// Looks at new metrics, and trains again by itself what has drifted.
    pub(super) fn foresee(&mut self) {
        let now = time::now();
        self.foresight.look(&self.snapshot, &self.notes, now);
        let live = matches!(self.snapshot.metrics.state, SourceState::Live { .. });
        if live && self.foresight.known.made.is_some() && self.foresight.wants_training(now) {
            // What cannot be asked now is asked at the next step.
            let _ = self.train();
        }
    }

    /// Begins training.
    pub(super) fn train(&mut self) -> CommandResult {
        let session = self.session.as_ref().ok_or("not connected")?;
        self.foresight.train(&session.metrics.asks, &self.notes, time::now())
    }

    /// Stops training.
    pub(super) fn cancel_training(&mut self) -> CommandResult {
        self.foresight.cancel(time::now())
    }

    /// Goes back to an earlier model.
    pub(super) fn roll_model_back(&mut self) -> CommandResult {
        self.foresight.roll_back()
    }

    /// Hears of a thread.
    pub(super) fn foresight(&mut self, run: u64, news: News) {
        let now = time::now();
        if run != self.foresight.run {
            return;
        }
        let said = match news {
            News::Foreseen(watch, found) => {
                self.foresight.foreseen(watch, found, now);
                None
            }
            News::Read(past) => {
                let journal = self.session.as_ref().and_then(|s| s.journal.clone());
                self.foresight.read(past, journal, &self.notes, now);
                None
            }
            News::Epoch(cancel, kind, epoch) => {
                self.foresight.epoch(&cancel, kind, epoch);
                None
            }
            News::Learned(learned) => self.foresight.learned(*learned, now),
        };
        if let Some(said) = said {
            self.control.say(Level::Info, said, now);
        }
    }
}

mod found;
mod losses;
#[cfg(test)]
mod tests;
