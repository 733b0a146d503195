//! What the guard remembers about past actions: enough for rate limits, cooldowns and streaks. Restored from
//! the journal's items, so that a restart refills nothing.

use super::ladder::Key;
use super::touches;
use super::touches::Touches;
use crate::model::action::{ActionState, QueueItem, Verdict};
use crate::model::finding::{Fault, Subject};
use crate::model::plan::{ActionId, Proposal, Strategy};
use crate::model::time::Timestamp;
use chrono::TimeDelta;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Deeds older than this are forgotten.
const KEEP: TimeDelta = TimeDelta::days(30);

/// One action that was permitted.
#[derive(Debug, Clone, PartialEq)]
pub struct Deed {
    /// Which.
    pub id: ActionId,
    /// When it was permitted.
    pub at: Timestamp,
    /// On what.
    pub subject: Subject,
    /// The ladder it stands on.
    pub(super) key: Key,
    /// Nodes that it wrote to or was about.
    pub nodes: Vec<Arc<str>>,
    /// Whether auto approved it.
    pub auto: bool,
    /// The container whose memory limit it raised.
    pub raised: Option<Arc<str>>,
    /// How it ended; `None` while it has not.
    pub ending: Option<Ending>,
}

/// How a deed ended, as far as streaks are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// It helped.
    Effective,
    /// It did not, or it cannot be told.
    Ineffective,
    /// It made something worse, failed half-way, or was handed to a person.
    Harmful,
    /// It never came to a write, so it says nothing about the target.
    Nothing,
}

/// All remembered deeds, oldest first.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct GuardHistory {
    deeds: Vec<Deed>,
}

impl GuardHistory {
    /// From stored items, in any order. Items that were never approved count for nothing.
    pub fn from_items<'a>(items: impl IntoIterator<Item = &'a QueueItem>) -> Self {
        let mut deeds: Vec<Deed> = items.into_iter().filter_map(deed).collect();
        deeds.sort_by_key(|d| d.at);
        Self { deeds }
    }

    /// Adds what has just been permitted.
    pub(super) fn add(&mut self, item: &QueueItem) {
        if let Some(new) = deed(item) {
            self.deeds.retain(|d| new.at - d.at <= KEEP && d.id != new.id);
            self.deeds.push(new);
        }
    }

    /// Whether this very approval has had its permit.
    pub(super) fn used(&self, id: &str, approved: Timestamp) -> bool {
        self.deeds.iter().any(|d| &*d.id == id && d.at == approved)
    }

    /// Notes how an action ended.
    pub(super) fn conclude(&mut self, item: &QueueItem) {
        if let Some(deed) = self.deeds.iter_mut().find(|d| d.id == item.proposal.id) {
            deed.ending = ending(&item.state);
        }
    }

    /// Deeds in the hour before `now`, all or those in one namespace. What came to nothing does not count.
    pub(super) fn in_hour(&self, now: Timestamp, namespace: Option<&str>) -> usize {
        self.recent(now).filter(|d| namespace.is_none_or(|ns| namespace_of(&d.subject) == Some(ns))).count()
    }

    /// Deeds in the hour before `now` that touched a node.
    pub(super) fn in_hour_on_node(&self, now: Timestamp, node: &str) -> usize {
        self.recent(now).filter(|d| d.nodes.iter().any(|n| **n == *node)).count()
    }

    /// Deeds in the hour before `now` of one kind.
    pub(super) fn in_hour_of_kind(&self, now: Timestamp, strategy: Strategy) -> usize {
        self.recent(now).filter(|d| d.key.strategy == strategy).count()
    }

    /// Deeds on one ladder, oldest first.
    pub(super) fn on(&self, key: &Key) -> impl Iterator<Item = &Deed> {
        self.deeds.iter().filter(move |d| d.key == *key)
    }

    /// Every ladder that something happened on.
    pub(super) fn keys(&self) -> BTreeSet<Key> {
        self.deeds.iter().map(|d| d.key.clone()).collect()
    }

    /// When the subject was last acted on.
    pub(super) fn last(&self, subject: &Subject) -> Option<Timestamp> {
        self.written().filter(|d| d.subject == *subject).map(|d| d.at).max()
    }

    /// Ineffective deeds in a row on the subject, up to now.
    pub(super) fn streak(&self, subject: &Subject) -> usize {
        self.written()
            .filter(|d| d.subject == *subject)
            .rev()
            .filter_map(|d| d.ending)
            .take_while(|e| matches!(e, Ending::Ineffective | Ending::Harmful))
            .count()
    }

    /// Raises of the container's memory by auto since a person last decided on one.
    pub(super) fn raises(&self, subject: &Subject, container: &str) -> usize {
        self.written()
            .filter(|d| d.subject == *subject && d.raised.as_deref() == Some(container))
            .rev()
            .take_while(|d| d.auto)
            .count()
    }

    fn recent(&self, now: Timestamp) -> impl Iterator<Item = &Deed> {
        self.written().filter(move |d| now - d.at < TimeDelta::hours(1))
    }

    fn written(&self) -> impl DoubleEndedIterator<Item = &Deed> {
        self.deeds.iter().filter(|d| d.ending != Some(Ending::Nothing))
    }
}

/// The namespace of a subject, if it is in one.
pub(super) fn namespace_of(subject: &Subject) -> Option<&str> {
    match subject {
        Subject::Workload(key) => Some(&key.namespace),
        Subject::Node(_) | Subject::Cluster => None,
    }
}

/// Nodes that a proposal writes to or is about.
pub(super) fn nodes_of(proposal: &Proposal) -> Vec<Arc<str>> {
    let mut nodes: Vec<Arc<str>> = touches::node_names(&proposal.plan);
    if let Subject::Node(name) = &proposal.subject {
        nodes.push(name.clone());
    }
    nodes.sort();
    nodes.dedup();
    nodes
}

/// The container whose memory limit a proposal raises.
pub(super) fn raised_container(item: &QueueItem) -> Option<Arc<str>> {
    let touches = Touches::of(&item.proposal.plan);
    match &item.proposal.fault {
        _ if !touches.memory_limit || touches.shrinks => None,
        Fault::OomContainer { container, .. } => Some(container.clone()),
        // Which container it is cannot be told from the fault; one counter for the workload is the safe side.
        _ => Some(Arc::from("")),
    }
}

fn deed(item: &QueueItem) -> Option<Deed> {
    let approval = item.approval.as_ref()?;
    Some(Deed {
        id: item.proposal.id.clone(),
        at: approval.at,
        subject: item.proposal.subject.clone(),
        key: Key::of(&item.proposal),
        nodes: nodes_of(&item.proposal),
        auto: approval.by == super::guard::AUTO,
        raised: raised_container(item),
        ending: ending(&item.state),
    })
}

fn ending(state: &ActionState) -> Option<Ending> {
    Some(match state {
        ActionState::Done { verdict: Verdict::Effective, .. } => Ending::Effective,
        // Undone by hand although it helped: the person's choice, not a failure.
        ActionState::Reverted { verdict: Some(Verdict::Effective), .. } => Ending::Effective,
        ActionState::Done { verdict: Verdict::Harmful, .. }
        | ActionState::Reverted { verdict: Some(Verdict::Harmful), .. }
        | ActionState::Failed { .. }
        | ActionState::HandedOver { .. } => Ending::Harmful,
        ActionState::Done { .. } | ActionState::Reverted { .. } => Ending::Ineffective,
        ActionState::Rejected { .. }
        | ActionState::Expired
        | ActionState::Superseded { .. }
        | ActionState::Refused { .. } => Ending::Nothing,
        _ => return None,
    })
}
