//! A round of the loop: monitor, analyze, plan, execute. In step mode each phase waits for a key and
//! leaves its product on the screen.

use super::engine::{Engine, Note};
use super::world::PhaseProduct;
use crate::execute::queue::Offer;
use crate::model::dossier::Dossier;
use crate::model::finding::{Fault, Finding, FindingId, Severity, Subject};
use crate::model::journal::Kind;
use crate::model::mode::{Mode, PhaseName};
use crate::model::plan::Proposal;
use crate::model::snapshot::Snapshot;
use crate::model::time;
use crate::model::time::{Timestamp, short};
use chrono::TimeDelta;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

impl Engine {
    /// One round, unless step mode waits for the operator. Expiry and gates are looked at in every mode.
    pub(super) fn round(&mut self) {
        let now = time::now();
        for item in self.queue.expire(now) {
            self.write_item(Kind::Expired, &item, serde_json::json!({}));
            self.planning.again(&item.proposal.finding);
        }
        if let Some(text) = self.control.check_confirmation(now) {
            self.auto_stopped(&text);
        }
        self.read_configs();
        if self.control.runs_alone() {
            let snapshot = self.snapshot.clone();
            self.analyze(&snapshot, now);
            self.ask_for_plans(&snapshot, now);
            self.act_alone(now);
            self.reconcile(now);
        } else if !self.flights.is_empty() {
            self.judge(now);
        }
        self.resume_in_flight(now);
        self.review(now);
        self.next_in_line(now);
        self.call_for_approvals();
        self.last_round = Some(now);
        self.dirty = true;
    }

    /// The operator asked for the next phase.
    pub(super) fn step(&mut self) -> Result<String, String> {
        let now = time::now();
        if self.control.step.next == PhaseName::Monitor && !crate::monitor::settled(&self.snapshot) {
            return Err("the first picture of the cluster is still being read".into());
        }
        let phase = self.control.advance()?;
        let began = Instant::now();
        let lines = match phase {
            PhaseName::Monitor => {
                self.frozen = Some(self.snapshot.clone());
                seen(&self.snapshot, now)
            }
            PhaseName::Analyze => {
                let snapshot = self.frozen.clone().unwrap_or_else(|| self.snapshot.clone());
                self.analyze(&snapshot, now);
                self.findings.iter().map(|f| format!("{} {}: {}", severity(f.severity), f.subject, f.title)).collect()
            }
            PhaseName::Plan => {
                let snapshot = self.frozen.clone().unwrap_or_else(|| self.snapshot.clone());
                self.planning.all_again();
                self.ask_for_plans(&snapshot, now);
                vec![]
            }
            PhaseName::Execute => {
                self.review(now);
                self.executable()
            }
        };
        let took_ms = began.elapsed().as_secs_f64() * 1000.0;
        let lines = if lines.is_empty() && phase != PhaseName::Plan { vec!["nothing".to_owned()] } else { lines };
        self.control.step.products.push(PhaseProduct { phase, at: now, took_ms, lines });
        self.note_plans();
        Ok(format!("{} done; next: {}", phase.as_str(), self.control.step.next.as_str()))
    }

    /// What the execute phase of step mode shows: what could run, and what stops the rest.
    fn executable(&self) -> Vec<String> {
        self.queue
            .items()
            .iter()
            .filter(|i| i.pending() || i.state.in_flight())
            .map(|i| match i.blocked.first() {
                _ if i.state.in_flight() => format!("{}: {}", i.proposal.id, i.state.word()),
                Some(r) => format!("{}: blocked, {r}", i.proposal.id),
                None => format!("{}: waits for approval in Actions", i.proposal.id),
            })
            .collect()
    }

    /// Keeps the plan phase's product current while dossiers arrive.
    pub(super) fn note_plans(&mut self) {
        if self.control.mode != Mode::Step || self.control.step.next != PhaseName::Execute {
            return;
        }
        let mut lines: Vec<String> = self
            .queue
            .items()
            .iter()
            .filter(|i| i.pending())
            .map(|i| format!("{}: {}", i.proposal.id, i.proposal.title))
            .collect();
        lines.extend(self.planning.unplanned().iter().map(|(id, why)| format!("{id}: no proposal, {why}")));
        if self.planning.busy() {
            lines.push("reading the live objects…".to_owned());
        } else if lines.is_empty() {
            lines.push("nothing".to_owned());
        }
        if let Some(p) = self.control.step.products.iter_mut().rfind(|p| p.phase == PhaseName::Plan) {
            p.lines = lines;
        }
    }

    /// Findings from a snapshot; what opened and closed is journalled, and proposals whose trigger is gone
    /// are withdrawn — but only on the word of fresh data.
    fn analyze(&mut self, snapshot: &Arc<Snapshot>, now: Timestamp) {
        let settings = &self.options.settings;
        let mut found = self.analyzer.analyze(snapshot, &settings.analyze, &settings.plan, &settings.slo, now);
        found.extend(self.sizing.findings(snapshot, settings.plan.rightsize, now));
        let fresh = stale_why(snapshot, now, settings.guard.stale_after).is_none();
        let found: Vec<Arc<Finding>> = if fresh || self.findings.is_empty() {
            found.into_iter().map(Arc::new).collect()
        } else {
            // Absence in stale data proves nothing: what was known stays.
            let ids: BTreeSet<FindingId> = found.iter().map(|f| f.id.clone()).collect();
            let kept = self.findings.iter().filter(|f| !ids.contains(&f.id)).cloned();
            kept.chain(found.into_iter().map(Arc::new)).collect()
        };
        let before: BTreeSet<FindingId> = self.findings.iter().map(|f| f.id.clone()).collect();
        let after: BTreeSet<FindingId> = found.iter().map(|f| f.id.clone()).collect();
        for f in found.iter().filter(|f| !before.contains(&f.id)) {
            // All of it: the past can be shown again from what is written down.
            let mut payload = serde_json::json!(f);
            payload["class"] = f.fault.class().into();
            self.write(Kind::FindingOpened, None, Some(f.subject.to_string()), payload);
        }
        let known = self.findings.clone();
        for id in before.difference(&after) {
            let finding = known.iter().find(|f| f.id == *id);
            let subject = finding.map(|f| f.subject.to_string());
            let lasted = finding.map(|f| (now - f.since).num_seconds());
            self.write(Kind::FindingClosed, None, subject, serde_json::json!({ "id": id, "lasted_s": lasted }));
            self.dossiers.remove(id);
        }
        self.withdraw("the trigger is gone", |p| after.contains(&p.finding), now);
        self.planning.retain(&after);
        self.findings = found.into();
        if fresh {
            self.follow_aftermath(snapshot, now);
        }
        self.hold_if_systemic(now);
        self.judged.send_replace((snapshot.clone(), self.findings.clone()));
        self.dirty = true;
    }

    /// In step mode the operator's picture stands still, but an action that was let go is verified against the
    /// cluster as it is.
    fn judge(&mut self, now: Timestamp) {
        let settings = &self.options.settings;
        let mut found = self.analyzer.analyze(&self.snapshot, &settings.analyze, &settings.plan, &settings.slo, now);
        found.extend(self.sizing.findings(&self.snapshot, settings.plan.rightsize, now));
        self.judged.send_replace((self.snapshot.clone(), found.into_iter().map(Arc::new).collect()));
    }

    /// When too much is broken at once, auto stands back.
    fn hold_if_systemic(&mut self, now: Timestamp) {
        let held = self.findings.iter().find_map(|f| match &f.fault {
            Fault::Systemic { share, scope } => Some(Arc::from(format!("{:.0} % of {scope} is broken", share * 100.0))),
            _ => None,
        });
        if let Some(why) = &held
            && self.control.brakes.held.is_none()
        {
            self.control.fall_back(&format!("{why}: this needs a person"), now);
        }
        self.control.brakes.held = held;
    }

    /// Fetches a dossier for every finding that should be planned now. Nothing is planned from stale data,
    /// and nothing at all in observe mode.
    fn ask_for_plans(&mut self, snapshot: &Arc<Snapshot>, now: Timestamp) {
        let Some(session) = &self.session else { return };
        if self.control.mode == Mode::Observe {
            return;
        }
        if let Some(why) = stale_why(snapshot, now, self.options.settings.guard.stale_after) {
            for f in self.findings.iter() {
                self.planning.done(&f.id, Some(why.clone()));
            }
            return;
        }
        for finding in self.findings.iter() {
            let busy = self.queue.items().iter().any(|i| i.state.in_flight() && i.proposal.subject == finding.subject);
            if busy || !self.planning.start(&finding.id, now) {
                continue;
            }
            let (client, notes) = (session.conn.read.clone(), self.notes.clone());
            let (finding, snapshot) = (finding.clone(), snapshot.clone());
            tokio::spawn(async move {
                let dossier = crate::monitor::dossier::fetch(&client, &finding.subject, &snapshot).await;
                let _ = notes.send(Note::Dossier(finding.id.clone(), Box::new(dossier))).await;
            });
        }
    }

    /// The snapshot that plans rest on: in step mode the one of the present round.
    pub(super) fn planned_on(&self) -> Arc<Snapshot> {
        self.frozen.clone().filter(|_| !self.control.runs_alone()).unwrap_or_else(|| self.snapshot.clone())
    }

    /// A dossier arrived: the planner makes a proposal of it, or says why not.
    pub(super) fn plan(&mut self, id: &FindingId, mut dossier: Dossier) {
        let now = time::now();
        if let Some(Subject::Workload(key)) = &dossier.subject
            && let Some(workload) = self.snapshot.workload(key)
        {
            dossier.configs = self.configs.of(workload);
        }
        let dossier = Arc::new(dossier);
        self.dossiers.insert(id.clone(), dossier.clone());
        let Some(finding) = self.findings.iter().find(|f| f.id == *id).cloned() else {
            self.planning.done(id, None);
            return;
        };
        let snapshot = self.planned_on();
        let set = &self.options.settings.plan;
        let wanted = self.planning.wanted(id).cloned();
        let by_hand = wanted.as_ref().and_then(|w| {
            crate::plan::adjust(&finding, &snapshot, &dossier, &self.history, set, now, &w.value)
                .map(|p| w.mark(p))
                .ok()
        });
        if wanted.is_some() && by_hand.is_none() {
            // The cluster moved, and what was set does not fit any more: the planner's own plan says what does.
            self.planning.unwant(id);
        }
        let made = match by_hand {
            Some(proposal) => Ok(proposal),
            None => crate::plan::propose(&finding, &snapshot, &dossier, &self.history, set, now),
        };
        match made {
            Err(no) => {
                self.planning.done(id, Some(no.why.into()));
                self.withdraw("the planner has no proposal any more", |p| p.finding != *id, now);
            }
            Ok(proposal) => {
                self.planning.done(id, None);
                self.offer(proposal, now);
            }
        }
        self.review(now);
        self.act_alone(now);
        self.note_plans();
    }

    pub(super) fn offer(&mut self, mut proposal: Proposal, now: Timestamp) {
        let incidents = self.reasoning.incidents();
        let incident = incidents.open().find(|i| i.findings.contains(&proposal.finding));
        proposal.onset.began =
            incident.map(|i| i.since).zip(proposal.onset.found).map(|(began, found)| began.min(found));
        let proposal = Arc::new(proposal);
        let old = match self.queue.offer(proposal.clone(), now) {
            Offer::Added => None,
            Offer::Replaced(old) => Some(old),
            Offer::Kept(_) | Offer::Busy(_) => return,
            Offer::Declined(by) => {
                self.planning.done(
                    &proposal.finding,
                    Some(format!("{by} was the answer to this, and nothing is new since").into()),
                );
                return;
            }
            Offer::Full => {
                self.planning.done(&proposal.finding, Some("too many proposals wait already".into()));
                return;
            }
        };
        if let Some(old) = old.and_then(|id| self.queue.get(&id).cloned()) {
            self.write_item(Kind::Superseded, &old, serde_json::json!({ "why": "a newer plan took its place" }));
        }
        if let Some(item) = self.queue.get(&proposal.id).cloned() {
            self.write_item(Kind::Proposed, &item, serde_json::json!({ "proposal": *proposal }));
            self.ask_for_preview(&proposal.id);
            self.ask_for_rights(&proposal);
        }
    }
}

/// Why the cluster's data is no basis for planning; `None` if it is fresh.
pub(super) fn stale_why(snapshot: &Snapshot, now: Timestamp, limit: std::time::Duration) -> Option<Arc<str>> {
    let limit = TimeDelta::from_std(limit).unwrap_or(TimeDelta::MAX);
    let age = |last: Option<Timestamp>| {
        last.map_or("never answered".to_owned(), |t| {
            format!("last answered {} ago", short(now.signed_duration_since(t)))
        })
    };
    if !snapshot.api.state.is_fresh(now, limit) {
        return Some(
            format!("the API server {}: nothing is planned from old data", age(snapshot.api.state.last())).into(),
        );
    }
    let pods = snapshot.source("pods");
    (!pods.is_fresh(now, limit))
        .then(|| format!("the watch of pods {}: nothing is planned from old data", age(pods.last())).into())
}

fn severity(s: Severity) -> &'static str {
    match s {
        Severity::Info => "info",
        Severity::Warning => "warning",
        Severity::High => "high",
        Severity::Critical => "critical",
    }
}

/// The monitor phase's product in words.
fn seen(snapshot: &Snapshot, now: Timestamp) -> Vec<String> {
    let mut by_state: BTreeMap<&str, usize> = BTreeMap::new();
    for pod in snapshot.workloads.iter().flat_map(|w| w.pods.iter()) {
        *by_state.entry(pod.status()).or_default() += 1;
    }
    let ready = snapshot.nodes.iter().filter(|n| n.ready).count();
    let mut lines = vec![
        format!("{} nodes, {ready} ready", snapshot.nodes.len()),
        format!("{} workloads, {} pods", snapshot.workloads.len(), snapshot.pod_count()),
    ];
    lines.extend(by_state.iter().map(|(state, n)| format!("{n} pods {state}")));
    lines.extend(snapshot.sources.iter().filter_map(|s| {
        let last = s.state.last()?;
        let age = now.signed_duration_since(last);
        (age > TimeDelta::seconds(60)).then(|| format!("{} is {} old", s.name, short(age)))
    }));
    let measured = snapshot.metrics.workloads.values().filter(|m| m.now.iter().any(|r| r.fresh().is_some())).count();
    lines.push(format!("{measured} workloads with fresh metrics"));
    lines
}
