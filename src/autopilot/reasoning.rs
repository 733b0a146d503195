//! Incidents and their causes beside the loop: a thread of its own looks at each new picture and reports when something changed.

use super::engine::{Engine, Note};
use super::world::Level;
use crate::analyze::cause::{Reasoner, Seen};
use crate::model::finding::Fault;
use crate::model::incident::{Incident, Incidents};
use crate::model::journal::Kind;
use crate::model::service::TraceInsight;
use crate::model::time;
use crate::model::time::Timestamp;
use chrono::TimeDelta;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::mpsc;

/// Two looks are at least this far apart: a changing cluster publishes several times a second.
const SPACING: TimeDelta = TimeDelta::seconds(2);

/// What came of a look.
#[derive(Debug)]
pub(super) struct Told {
    /// When the picture was handed over.
    of: Timestamp,
    /// All incidents, if anything is new about them.
    news: Option<Incidents>,
}

/// State of the reasoning.
#[derive(Debug, Default)]
pub(super) struct Reasoning {
    known: Arc<Incidents>,
    /// Tells threads apart, so that one of a cluster that was left is not heard.
    run: u64,
    /// What is seen, for the thread, which ends with this.
    thread: Option<Sender<(Timestamp, Seen)>>,
    broken: bool,
    looked: Option<Timestamp>,
    /// When the picture was handed over that is known of.
    through: Option<Timestamp>,
}

impl Reasoning {
    /// What is known.
    pub(super) fn incidents(&self) -> Arc<Incidents> {
        self.known.clone()
    }

    /// When the latest picture that was looked at was handed over.
    pub(super) fn through(&self) -> Option<Timestamp> {
        self.through
    }

    /// Forgets everything: the next cluster has other incidents.
    pub(super) fn forget(&mut self) {
        *self = Self { run: self.run, ..Self::default() };
    }

    fn start(&mut self, notes: &mpsc::Sender<Note>) {
        self.run += 1;
        let (run, notes) = (self.run, notes.clone());
        let (seen, inbox) = channel();
        let work = move || {
            super::stand_back();
            work(run, &inbox, &notes);
        };
        match std::thread::Builder::new().name("causes".into()).spawn(work) {
            Ok(_) => self.thread = Some(seen),
            Err(e) => tracing::warn!("no thread for the causes: {e}"),
        }
    }
}

/// What the thread does. It ends when nobody sends it pictures or hears it any more.
fn work(run: u64, inbox: &Receiver<(Timestamp, Seen)>, notes: &mpsc::Sender<Note>) {
    let mut reasoner = Reasoner::new();
    let mut told = Incidents::default();
    while let Ok(first) = inbox.recv() {
        let (of, seen) = inbox.try_iter().last().unwrap_or(first);
        let made = catch_unwind(AssertUnwindSafe(|| reasoner.look(&seen, time::now())));
        let Ok(incidents) = made else {
            tracing::error!("the reasoning about causes ended abnormally");
            let _ = notes.blocking_send(Note::Incidents(run, None));
            return;
        };
        let news = (incidents != told).then(|| incidents.clone());
        told = incidents;
        if notes.blocking_send(Note::Incidents(run, Some(Told { of, news }))).is_err() {
            return;
        }
    }
}

/// Who calls whom by the service map that traces tell.
fn edges(insight: &TraceInsight) -> Arc<[(crate::model::object::WorkloadKey, crate::model::object::WorkloadKey)]> {
    let map = &insight.map;
    let end = |i: usize| map.nodes.get(i)?.workload.clone();
    map.edges.iter().filter(|e| !e.detached).filter_map(|e| Some((end(e.from)?, end(e.to)?))).collect()
}

impl Engine {
    /// Hands what is known to the reasoning, unless it looked a moment ago.
    pub(super) fn reason(&mut self, insight: &TraceInsight) {
        let now = time::now();
        let r = &mut self.reasoning;
        if r.looked.is_some_and(|at| now - at < SPACING && now >= at) {
            return;
        }
        if r.thread.is_none() && !r.broken {
            r.start(&self.notes);
        }
        let Some(thread) = &r.thread else { return };
        r.looked = Some(now);
        let items = self.queue.items();
        let proposed = items.iter().filter(|i| i.pending());
        let seen = Seen {
            snapshot: self.snapshot.clone(),
            findings: self.findings.iter().filter(|f| !matches!(f.fault, Fault::Missized { .. })).cloned().collect(),
            anomalies: self.watching.anomalies(),
            edges: edges(insight),
            proposals: proposed.map(|i| (i.proposal.finding.clone(), Arc::from(&*i.proposal.title))).collect(),
        };
        // A thread that broke down has said so.
        let _ = thread.send((now, seen));
    }

    /// Hears of the incidents; what opened and ended since they were last heard is journalled.
    pub(super) fn reasoned(&mut self, run: u64, told: Option<Told>) {
        if run != self.reasoning.run || self.reasoning.thread.is_none() {
            return;
        }
        let Some(Told { of, news }) = told else {
            (self.reasoning.thread, self.reasoning.broken) = (None, true);
            self.reasoning.known = Arc::default();
            self.control.say(Level::Error, "no causes: the reasoning about them broke down", time::now());
            return;
        };
        self.reasoning.through = Some(of);
        let Some(news) = news else { return };
        let news = Arc::new(news);
        let before = std::mem::replace(&mut self.reasoning.known, news.clone());
        for incident in news.open().filter(|c| before.open().all(|b| b.id != c.id)) {
            self.write(Kind::IncidentOpened, None, subject(incident), serde_json::json!(incident));
        }
        for b in before.open().filter(|b| news.open().all(|c| c.id != b.id)) {
            let incident = news.all.iter().find(|c| c.id == b.id).unwrap_or(b);
            self.write(Kind::IncidentEnded, None, subject(incident), serde_json::json!(incident));
        }
    }
}

fn subject(incident: &Incident) -> Option<String> {
    incident.affected.first().map(ToString::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::cluster::NodeTrouble;
    use crate::model::fixtures;

    #[test]
    fn every_look_is_told_of_with_what_is_new_and_the_thread_ends_when_nothing_is_sent_any_more() {
        let mut snapshot = fixtures::snapshot(vec![fixtures::deployment("cart", vec![], vec![])]);
        let picture = |snapshot: &crate::model::snapshot::Snapshot| Seen {
            snapshot: Arc::new(snapshot.clone()),
            findings: Arc::from([]),
            anomalies: Arc::default(),
            edges: Arc::from([]),
            proposals: Arc::from([]),
        };
        let (pictures, inbox) = channel();
        let (notes, mut heard) = mpsc::channel(16);
        let thread = std::thread::spawn(move || work(3, &inbox, &notes));
        let mut told = || match heard.blocking_recv() {
            Some(Note::Incidents(3, Some(told))) => told,
            _ => panic!("another note"),
        };
        let at = time::now();
        pictures.send((at, picture(&snapshot))).unwrap();
        let first = told();
        assert!(first.of == at && first.news.is_none(), "it looked, and nothing is new");
        let mut nodes = snapshot.nodes.to_vec();
        let node = Arc::make_mut(nodes.first_mut().expect("the fixture has a node"));
        node.troubles = Box::from([(NodeTrouble::DiskPressure, Some(time::now()), Arc::from("full"))]);
        let name = node.name.clone();
        snapshot.nodes = nodes.into();
        pictures.send((at + SPACING, picture(&snapshot))).unwrap();
        let then = told();
        assert_eq!(then.of, at + SPACING);
        let news = then.news.expect("news");
        let incident = news.open().next().expect("an incident");
        assert_eq!(incident.causes[0].subject, crate::model::incident::Subject::Node(name));
        drop(pictures);
        thread.join().unwrap();
        assert!(heard.blocking_recv().is_none());
    }
}
