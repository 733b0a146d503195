//! How things stood, by what was written down until then.

use super::Reel;
use crate::autopilot::world::{Level, Link, Message, World};
use crate::knowledge::journal::ITEM_STATE;
use crate::model::action::{ActionState, Approval, Moment, QueueItem};
use crate::model::anomaly::{Anomalies, Anomaly};
use crate::model::finding::Finding;
use crate::model::incident::{Incident, Incidents};
use crate::model::journal::{Entry, Kind};
use crate::model::mode::Mode;
use crate::model::plan::Proposal;
use crate::model::snapshot::{ClusterInfo, Snapshot};
use crate::model::text::clean;
use crate::model::time::Timestamp;
use serde_json::Value;
use std::cmp::Reverse;
use std::sync::Arc;

/// Messages and entries that are kept, as a loop keeps them.
const KEPT: usize = 500;

/// What is known at one moment of a replay.
#[derive(Debug, Clone)]
pub struct Past {
    at: Timestamp,
    cluster: ClusterInfo,
    findings: Vec<Arc<Finding>>,
    anomalies: Vec<Arc<Anomaly>>,
    incidents: Vec<Arc<Incident>>,
    queue: Vec<Arc<QueueItem>>,
    mode: Mode,
    killed: Option<Arc<str>>,
    journal: Vec<Arc<Entry>>,
    messages: Vec<Message>,
    /// Entries of an older kansole that do not hold all that they are about.
    untold: usize,
}

impl Past {
    /// As it was just before the first entry that is shown.
    pub fn before(reel: &Reel) -> Self {
        let none: Arc<str> = "".into();
        let mut past = Self {
            at: reel.begins(),
            cluster: ClusterInfo {
                id: none.clone(),
                context: "replay".into(),
                server: none.clone(),
                version: none.clone(),
                user: none,
                namespaces: None,
            },
            findings: Vec::new(),
            anomalies: Vec::new(),
            incidents: Vec::new(),
            queue: Vec::new(),
            mode: Mode::default(),
            killed: None,
            journal: Vec::new(),
            messages: Vec::new(),
            untold: 0,
        };
        for entry in &reel.entries[..reel.first] {
            past.take(entry, false);
        }
        past.at = reel.begins();
        past
    }

    /// Tells the operator something.
    pub fn say(&mut self, at: Timestamp, text: &str) {
        self.messages.insert(0, Message { at, level: Level::Info, text: clean(text).into() });
        self.messages.truncate(KEPT);
    }

    /// An entry happens; `told` says it to the operator, too.
    pub fn take(&mut self, entry: &Entry, told: bool) {
        let record = &entry.record;
        let payload = &record.payload;
        self.at = record.at;
        match record.kind {
            Kind::SessionStarted => self.session(payload),
            Kind::ModeChanged => self.mode = read(&payload["mode"]).unwrap_or(self.mode),
            Kind::KillSwitch => {
                let by = payload["why"].as_str().or(payload["by"].as_str()).unwrap_or("key");
                self.killed = (payload["on"] == true).then(|| by.into());
            }
            Kind::FindingOpened => match read::<Finding>(payload) {
                Some(finding) => {
                    self.findings.retain(|f| f.id != finding.id);
                    self.findings.push(Arc::new(finding));
                    self.findings.sort_by_key(|f| (Reverse(f.severity), f.since));
                }
                None => self.untold += 1,
            },
            Kind::FindingClosed => self.findings.retain(|f| payload["id"] != *f.id),
            Kind::AnomalyOpened | Kind::AnomalyEnded => match read::<Anomaly>(payload) {
                Some(anomaly) => {
                    self.anomalies.retain(|a| a.id != anomaly.id);
                    self.anomalies.insert(0, Arc::new(anomaly));
                }
                None => self.untold += 1,
            },
            Kind::IncidentOpened | Kind::IncidentEnded => match read::<Incident>(payload) {
                Some(incident) => {
                    self.incidents.retain(|c| c.id != incident.id);
                    self.incidents.insert(0, Arc::new(incident));
                }
                None => self.untold += 1,
            },
            _ => self.action(entry),
        }
        if told {
            let about = record.action.as_deref().or(record.object.as_deref()).unwrap_or_default();
            self.say(record.at, format!("{} {about}", record.kind.as_str().replace('_', " ")).trim());
        }
        self.journal.insert(0, Arc::new(entry.clone()));
        self.journal.truncate(KEPT);
    }

    fn session(&mut self, payload: &Value) {
        let text = |key: &str| -> Arc<str> { payload[key].as_str().unwrap_or_default().into() };
        self.cluster.context = text("context");
        self.cluster.server = text("server");
        self.cluster.version = text("version");
        self.mode = read(&payload["mode"]).unwrap_or_default();
        // A session begins with what it finds itself.
        (self.findings, self.anomalies, self.incidents) = (Vec::new(), Vec::new(), Vec::new());
    }

    /// An action moved: the entry holds the state it came to.
    fn action(&mut self, entry: &Entry) {
        let record = &entry.record;
        let Some(id) = &record.action else { return };
        if record.kind == Kind::Proposed
            && let Some(proposal) = read::<Proposal>(&record.payload["proposal"])
        {
            self.queue.retain(|i| i.proposal.id != *id);
            let story = vec![Moment { at: record.at, what: format!("proposed: {}", proposal.title) }];
            self.queue.push(Arc::new(QueueItem {
                proposal: Arc::new(proposal),
                state: ActionState::Proposed,
                preview: None,
                blocked: Vec::new(),
                approval: None,
                story,
                outcome: None,
            }));
            return;
        }
        let state = read::<ActionState>(&record.payload[ITEM_STATE]);
        let item = self.queue.iter_mut().find(|i| i.proposal.id == *id);
        let (Some(state), Some(item)) = (state, item) else {
            self.untold += 1;
            return;
        };
        let item = Arc::make_mut(item);
        if let ActionState::Approved { by, at } = &state {
            item.approval = Some(Approval { by: by.clone(), at: *at, hash: item.proposal.hash.clone() });
        }
        if record.kind == Kind::Refused {
            let why = record.payload["why"].as_str().unwrap_or_default();
            item.story.push(Moment { at: record.at, what: format!("refused: {}", clean(why)) });
        } else {
            item.story.push(Moment { at: record.at, what: record.kind.as_str().replace('_', " ") });
        }
        item.state = state;
    }

    /// The world of this moment.
    pub fn world(&self, seq: u64, link: &Link) -> World {
        let mut world = World::empty(&self.cluster.context, self.at);
        world.seq = seq;
        world.link = link.clone();
        world.snapshot = Arc::new(Snapshot::empty(self.cluster.clone(), self.at));
        world.findings = self.findings.clone().into();
        world.anomalies = Arc::new(Anomalies { all: self.anomalies.clone().into(), ..Anomalies::default() });
        world.incidents = Arc::new(Incidents { all: self.incidents.clone().into() });
        world.queue = self.queue.clone().into();
        world.mode = self.mode;
        world.brakes.paused = true;
        world.brakes.killed.clone_from(&self.killed);
        world.journal = self.journal.clone().into();
        world.messages = self.messages.clone().into();
        world.last_round = Some(self.at);
        world
    }

    /// How many entries could not be shown in full, because an older kansole wrote them.
    pub fn untold(&self) -> usize {
        self.untold
    }
}

fn read<T: serde::de::DeserializeOwned>(value: &Value) -> Option<T> {
    serde_json::from_value(value.clone()).ok()
}
