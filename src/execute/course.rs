//! One action under way: its item, its story, and every edge written down before or as it happens.

use super::guard::{Actor, Permit, Purpose};
use super::run::{Deps, Progress};
use crate::model::action::{ActionState, Moment, QueueItem};
use crate::model::journal::{Kind, LedgerError, Record};
use crate::model::plan::Proposal;
use crate::model::time::{self, Timestamp};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// An action under way. Only made from a permit.
pub(super) struct Course {
    pub item: QueueItem,
    pub deps: Deps,
    pub actor: Actor,
    pub purpose: Purpose,
    /// Names of the disruption budgets over the target's pods.
    pub budgets: Vec<Arc<str>>,
    by: String,
    valid_until: Timestamp,
}

impl Course {
    /// Begins (or takes up again) what the permit is for.
    pub(super) fn begin(permit: Permit, deps: Deps) -> Self {
        Self {
            item: permit.item().clone(),
            actor: permit.actor(),
            purpose: permit.purpose(),
            budgets: permit.budgets().to_vec(),
            by: permit.approver().to_owned(),
            valid_until: permit.valid_until(),
            deps,
        }
    }

    pub(super) fn proposal(&self) -> Arc<Proposal> {
        self.item.proposal.clone()
    }

    pub(super) fn now(&self) -> Timestamp {
        (self.deps.clock)()
    }

    /// Whether the permit still permits a write.
    pub(super) fn permitted(&self) -> bool {
        self.now() < self.valid_until
    }

    /// `<action id>/<plan hash>`: what a write leaves in the action annotation.
    pub(super) fn stamp(&self) -> String {
        format!("{}/{}", self.item.proposal.id, self.item.proposal.hash)
    }

    /// Writes down what is about to be done. On an error nothing may be done.
    pub(super) async fn intend(
        &mut self,
        kind: Kind,
        state: ActionState,
        what: String,
        payload: Value,
    ) -> Result<(), LedgerError> {
        let before = std::mem::replace(&mut self.item.state, state);
        self.tell(what);
        match self.write_down(kind, payload).await {
            Ok(()) => {
                self.show(kind).await;
                Ok(())
            }
            Err(e) => {
                self.item.state = before;
                self.item.story.pop();
                Err(e)
            }
        }
    }

    /// Goes on to the next state. What has already happened cannot be refused: if it cannot be written down,
    /// the story says so, and the next start finds the intent without an outcome and looks at the cluster.
    pub(super) async fn enter(&mut self, kind: Kind, state: ActionState, what: String, payload: Value) {
        self.item.state = state;
        self.tell(what);
        if let Err(e) = self.write_down(kind, payload).await {
            tracing::error!(action = %self.item.proposal.id, "{e}");
            self.tell(format!("not in the journal: {}", e.why));
        }
        self.show(kind).await;
    }

    /// Adds a line to the story.
    pub(super) fn tell(&mut self, what: String) {
        let at = self.now();
        self.item.story.push(Moment { at, what });
    }

    /// Waits, but not longer than the program runs. False: it is being closed.
    pub(super) async fn pause(&self, time: Duration) -> bool {
        tokio::select! {
            biased;
            () = self.deps.cancel.cancelled() => false,
            () = tokio::time::sleep(time::real(time)) => true,
        }
    }

    async fn write_down(&self, kind: Kind, payload: Value) -> Result<(), LedgerError> {
        let record = Record {
            at: self.now(),
            actor: self.by.clone(),
            kind,
            action: Some(self.item.proposal.id.clone()),
            object: Some(self.item.proposal.subject.to_string()),
            payload,
        };
        let (ledger, item) = (self.deps.ledger.clone(), self.item.clone());
        // The fsync takes milliseconds: not on a thread that others wait for.
        let written = tokio::task::spawn_blocking(move || ledger.record_item(record, &item)).await;
        match written {
            Ok(result) => result.map(|_| ()),
            Err(e) => Err(LedgerError { path: "journal".into(), why: e.to_string().into() }),
        }
    }

    async fn show(&self, kind: Kind) {
        // Nobody listening is no reason to stop: the result is also given back.
        let _ = self.deps.progress.send(Progress { kind, item: Arc::new(self.item.clone()) }).await;
    }
}
