//! What to do: proposals with exact patches (P9, and reactive scaling of P8).
//!
//! Pure: a finding, the snapshot, live objects (the dossier) and what was done before go in; a proposal or the
//! reason why there is none comes out. One file per strategy; `draft` turns what a strategy decided into a
//! proposal, and stands back where somebody else owns the object.

mod advise;
mod backoff;
mod blame;
mod blast;
mod budget;
mod config;
mod draft;
mod drain;
mod failover;
mod hang;
pub mod history;
mod isolate;
mod live;
mod memory;
mod node;
mod replace;
mod resize;
mod restart;
pub mod rightsize;
mod risk;
mod rollback;
mod room;
mod scale;
mod whatif;

use crate::config::settings::Planning;
use crate::model::cluster::Workload;
use crate::model::dossier::Dossier;
use crate::model::finding::{Fault, Finding, Subject};
use crate::model::plan::Proposal;
use crate::model::snapshot::Snapshot;
use crate::model::time::{Timestamp, age};
use chrono::TimeDelta;
pub use history::History;
use serde_json::Value;
use std::sync::Arc;

/// Watched data older than this is no basis for a plan: two of the API server's bookmarks, which come about every
/// minute. The guard checks again, with its own limit, just before the write.
const FRESH: TimeDelta = TimeDelta::seconds(120);

/// Why a finding has no proposal, for the operator: what stands in the way, and what would help.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoProposal {
    /// One or two short sentences.
    pub why: String,
}

impl NoProposal {
    /// A reason.
    fn because(why: impl Into<String>) -> Self {
        Self { why: why.into() }
    }
}

impl std::fmt::Display for NoProposal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.why)
    }
}

/// All that a strategy may look at.
struct Ask<'a> {
    finding: &'a Finding,
    snapshot: &'a Snapshot,
    dossier: &'a Dossier,
    history: &'a History,
    set: &'a Planning,
    now: Timestamp,
    /// What a person wants instead of the value that the strategy reckons.
    wanted: Option<&'a str>,
}

/// Answers a finding with a plan, with advice (a proposal without steps), or with the reason why there is neither.
///
/// `dossier` holds the live objects the patches are built from and bound to; `history` what was done before. The
/// proposal can be approved until `now` + `settings.expiry`. The action annotation is not part of the patches:
/// whoever writes stamps it. Nothing that writes is proposed from sources that are not fresh.
pub fn propose(
    finding: &Finding,
    snapshot: &Snapshot,
    dossier: &Dossier,
    history: &History,
    settings: &Planning,
    now: Timestamp,
) -> Result<Proposal, NoProposal> {
    answer(&Ask { finding, snapshot, dossier, history, set: settings, now, wanted: None })
}

/// The same plan with a value that a person set ([`Proposal::adjustable`]): every bound and check of the planner holds for it as
/// for its own, and what is beyond them is refused with the reason, never cut to fit.
pub fn adjust(
    finding: &Finding,
    snapshot: &Snapshot,
    dossier: &Dossier,
    history: &History,
    settings: &Planning,
    now: Timestamp,
    wanted: &str,
) -> Result<Proposal, NoProposal> {
    answer(&Ask { finding, snapshot, dossier, history, set: settings, now, wanted: Some(wanted) })
}

fn answer(ask: &Ask<'_>) -> Result<Proposal, NoProposal> {
    let cure = match &ask.finding.fault {
        Fault::OomContainer { container, limit, peak, .. } => {
            blame::rollback(ask).unwrap_or_else(|| memory::plan(ask, container, *limit, *peak))
        }
        Fault::Leak { .. } => blame::rollback(ask).unwrap_or_else(|| restart::plan(ask)),
        Fault::BadRelease { revision, .. } | Fault::Regression { revision, .. } => rollback::plan(ask, *revision),
        Fault::ScaledAway { was } => scale::restore(ask, *was),
        Fault::ConfigEdit { map, .. } => config::put_back(ask, map),
        Fault::CrashLoop { .. } => {
            config::blamed(ask).unwrap_or_else(|| replace::one(ask)).or_else(|no| advise::plan(ask, &no))
        }
        Fault::NotReady { .. } => config::blamed(ask).unwrap_or_else(|| blame::hang(ask)),
        Fault::PodFailed { .. } => replace::failed(ask),
        Fault::Dependency { on } => backoff::plan(ask, on),
        Fault::NodeNotReady { node } | Fault::NodePressure { node, .. } => {
            node::plan(ask, node).or_else(|no| advise::plan(ask, &no))
        }
        Fault::Saturated { utilisation, target, resource } => scale::plan(ask, resource, *utilisation, *target),
        Fault::MissingConfig { .. } | Fault::LivenessKills { .. } => {
            config::blamed(ask).unwrap_or_else(|| Err(NoProposal::because(""))).or_else(|no| advise::plan(ask, &no))
        }
        Fault::OomNode { .. } | Fault::ImageError { .. } | Fault::Unschedulable { .. } => {
            advise::plan(ask, &NoProposal::because(""))
        }
        Fault::Missized { grow, changes } => resize::plan(ask, *grow, changes),
        Fault::SloBurn { slo, .. } => Err(NoProposal::because(format!(
            "SLO {slo} burns its budget: a symptom; look for the finding that causes it"
        ))),
        Fault::Systemic { scope, .. } => Err(NoProposal::because(format!(
            "too many {scope} are unhealthy at once: automation stands back; find the common cause first"
        ))),
    };
    // What cannot be cured by itself, and leaves nothing to serve, may have a stand-in.
    let draft = match cure {
        Ok(draft) if draft.writes() => draft,
        // Whoever sets a value wants this plan, not another.
        no if ask.wanted.is_some() => no?,
        no => match failover::plan(ask) {
            None => no?,
            Some(Ok(draft)) => draft,
            Some(Err(why)) => {
                let mut draft = no?;
                draft.notes.push(format!("no failover: {why}"));
                draft
            }
        },
    };
    if draft.writes() {
        ask.fresh()?;
    }
    draft.finish(ask)
}

impl<'a> Ask<'a> {
    /// A number of replicas that a person set, from `least` to the bound of the settings.
    fn wanted_replicas(&self, least: u32) -> Result<Option<u32>, NoProposal> {
        let Some(text) = self.wanted else { return Ok(None) };
        let most = self.set.max_replicas;
        match text.trim().parse::<u32>() {
            Ok(n) if (least..=most).contains(&n) => Ok(Some(n)),
            _ => Err(NoProposal::because(format!(
                "{text:?} is not a number of replicas from {least} to {most} (plan.max_replicas)"
            ))),
        }
    }

    /// The workload of the finding, as the snapshot knows it.
    fn workload(&self) -> Result<&'a Arc<Workload>, NoProposal> {
        let Subject::Workload(key) = &self.finding.subject else {
            return Err(NoProposal::because(format!("{} is not a workload", self.finding.subject)));
        };
        let found = self.snapshot.workload(key);
        found.ok_or_else(|| NoProposal::because(format!("{key} is not in the snapshot any more")))
    }

    /// The live object the dossier holds of the finding's subject.
    fn live(&self) -> Result<&'a Value, NoProposal> {
        if self.dossier.subject.as_ref() != Some(&self.finding.subject) {
            return Err(NoProposal::because(format!(
                "the live object of {} was not fetched yet",
                self.finding.subject
            )));
        }
        let Some(object) = &self.dossier.object else {
            let gaps = self.dossier.gaps.join("; ");
            let why = format!("the live object of {} could not be read: {gaps}", self.finding.subject);
            return Err(NoProposal::because(why));
        };
        if !object["metadata"]["deletionTimestamp"].is_null() {
            return Err(NoProposal::because(format!("{} is being deleted", self.finding.subject)));
        }
        if let Ok(workload) = self.workload()
            && object["metadata"]["uid"].as_str() != Some(&*workload.uid)
        {
            let why =
                format!("{} was replaced by a new object of the same name; waiting for it to be seen", workload.key);
            return Err(NoProposal::because(why));
        }
        Ok(object)
    }

    /// Whether the watched kinds that the plan rests on are fresh.
    fn fresh(&self) -> Result<(), NoProposal> {
        let name = if matches!(self.finding.subject, Subject::Node(_)) { "nodes" } else { "pods" };
        let state = self.snapshot.source(name);
        if state.is_fresh(self.now, FRESH) {
            return Ok(());
        }
        let last = state.last().map_or("never".to_owned(), |t| format!("{} ago", age(self.now, t)));
        Err(NoProposal::because(format!(
            "the watch of {name} is not up to date (last sign of life: {last}); nothing is planned from old data"
        )))
    }

    /// Whether the metrics that the plan rests on are fresh.
    fn metrics_fresh(&self) -> Result<(), NoProposal> {
        let state = &self.snapshot.metrics.state;
        let limit = FRESH.max(TimeDelta::seconds(i64::from(self.snapshot.metrics.step) * 3));
        if state.is_fresh(self.now, limit) {
            return Ok(());
        }
        let last = state.last().map_or("never".to_owned(), |t| format!("{} ago", age(self.now, t)));
        Err(NoProposal::because(format!("Prometheus last answered {last}: nothing is planned from old readings")))
    }
}

#[cfg(test)]
mod laws;
#[cfg(test)]
mod scenario;
#[cfg(test)]
mod tests;
