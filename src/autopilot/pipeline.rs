//! The reconcile pipeline (E6): every half minute, for each workload that opted in, every stage says what it decided and why
//! nothing happened. A stage that fails is told, and the others run.
//!
//! The stages read what their engines found; the engines themselves run at their own pace beside the loop. Stages without an
//! engine say so.

use super::engine::Engine;
use super::world::Level;
use crate::model::action::QueueItem;
use crate::model::anomaly::Anomalies;
use crate::model::cluster::Workload;
use crate::model::finding::{Fault, Finding, FindingId, Subject};
use crate::model::pipeline::{Came, Decision, Pipeline, Stage};
use crate::model::plan::Strategy;
use crate::model::prediction::Predictions;
use crate::model::series::Signal;
use crate::model::sizing::Sizings;
use crate::model::time::{Timestamp, short};
use chrono::TimeDelta;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// Between two runs.
const EVERY: TimeDelta = TimeDelta::seconds(30);
/// An action that ended within this time is still told.
const RECENT: TimeDelta = TimeDelta::minutes(30);

/// What the stages look at.
struct Picture<'a> {
    findings: &'a [Arc<Finding>],
    queue: &'a [Arc<QueueItem>],
    unplanned: &'a BTreeMap<FindingId, Arc<str>>,
    anomalies: &'a Anomalies,
    predictions: &'a Predictions,
    sizings: &'a Sizings,
    now: Timestamp,
}

type Judge = fn(&Picture<'_>, &Workload) -> (Came, String);

/// Each stage with its judge.
const STAGES: [(Stage, Judge); 6] = [
    (Stage::Scaling, scaling),
    (Stage::Anomalies, anomalies),
    (Stage::Healing, healing),
    (Stage::Cost, cost),
    (Stage::Tuning, |_, _| (Came::NotBuilt, "kansole has no engine for tuning yet".into())),
    (Stage::Hardening, |_, _| (Came::NotBuilt, "kansole has no engine for hardening yet".into())),
];

impl Engine {
    /// Runs the pipeline if it is time.
    pub(super) fn reconcile(&mut self, now: Timestamp) {
        if self.pipeline.at.is_some_and(|at| now - at < EVERY) {
            return;
        }
        let (queue, unplanned) = (self.queue.items(), self.planning.unplanned());
        let (anomalies, predictions) = (self.watching.anomalies(), self.forecasting.predictions());
        let sizings = self.sizing.sizings();
        let picture = Picture {
            findings: &self.findings,
            queue: &queue,
            unplanned: &unplanned,
            anomalies: &anomalies,
            predictions: &predictions,
            sizings: &sizings,
            now,
        };
        let invited = self.snapshot.workloads.iter().filter(|w| w.opted_in);
        let workloads = invited.map(|w| (w.key.clone(), decide(&STAGES, &picture, w))).collect();
        let next = Pipeline { at: Some(now), workloads };
        let failed = |p: &Pipeline| -> Vec<String> {
            let all = p.workloads.iter().flat_map(|(k, d)| d.iter().map(move |d| (k, d)));
            all.filter(|(_, d)| d.came == Came::Failed)
                .map(|(k, d)| format!("{} of {k} failed: {}", d.stage.as_str(), d.why))
                .collect()
        };
        let before = failed(&self.pipeline);
        for news in failed(&next).into_iter().filter(|f| !before.contains(f)) {
            self.control.say(Level::Error, news, now);
        }
        self.pipeline = Arc::new(next);
        self.dirty = true;
    }
}

/// What each stage says. One that panics is told as failed, with what it said, and the next ones run.
fn decide(stages: &[(Stage, Judge)], picture: &Picture<'_>, workload: &Workload) -> Arc<[Decision]> {
    let one = |(stage, judge): &(Stage, Judge)| {
        // The stages only read, so that nothing is left half done.
        let told = catch_unwind(AssertUnwindSafe(|| judge(picture, workload)));
        let (came, why) = told.unwrap_or_else(|panic| {
            let said = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
            let said = said.or_else(|| panic.downcast_ref::<String>().cloned());
            (Came::Failed, said.unwrap_or_else(|| "it gave no reason".into()))
        });
        Decision { stage: *stage, came, why: crate::model::text::clean(&why).into() }
    };
    stages.iter().map(one).collect()
}

/// Forecasts of load, where they have skill. They are shown; no engine turns them into replicas yet.
fn scaling(p: &Picture<'_>, w: &Workload) -> (Came, String) {
    if p.predictions.made.is_none() {
        return (Came::Blind, "no forecast was made yet".into());
    }
    let load = p.predictions.all.iter().find(|f| f.key == w.key && f.signal == Signal::RequestRate);
    let cpu = || p.predictions.all.iter().find(|f| f.key == w.key && f.signal == Signal::Cpu);
    match load.or_else(cpu) {
        None => (Came::Blind, "nothing is measured that could be forecast".into()),
        Some(f) => match &f.outlook {
            Err(silence) => (Came::Blind, format!("the forecast of {} is silent: {silence}", f.signal.title())),
            Ok(outlook) => (
                Came::NotBuilt,
                format!(
                    "{} is forecast by {} for {}; no engine turns forecasts into replicas yet",
                    f.signal.title(),
                    outlook.model,
                    short(outlook.step * outlook.steps.len() as i32),
                ),
            ),
        },
    }
}

/// Anomalies that go on. Healing answers findings; an anomaly alone is shown and journalled.
fn anomalies(p: &Picture<'_>, w: &Workload) -> (Came, String) {
    let open: Vec<&str> = p.anomalies.open().filter(|a| a.key == w.key).map(|a| &*a.title).collect();
    match (open.first(), p.anomalies.judged) {
        (Some(first), _) => {
            let more = if open.len() > 1 { format!(" and {} more", open.len() - 1) } else { String::new() };
            (Came::Nothing, format!("{first}{more}: told, not acted on; healing answers what is found to be wrong"))
        }
        (None, 0) => (Came::Blind, "no series is known long enough to be judged".into()),
        (None, _) => (Came::Nothing, "no anomaly".into()),
    }
}

/// What it asks for against what it needs. A proposal of it is told like any other.
fn cost(p: &Picture<'_>, w: &Workload) -> (Came, String) {
    let subject = Subject::Workload(w.key.clone());
    let sizes = |i: &&Arc<QueueItem>| i.proposal.subject == subject && i.proposal.strategy == Strategy::Rightsize;
    if let Some(item) = p.queue.iter().rev().filter(sizes).find(|i| i.pending() || i.state.in_flight()) {
        let came = if item.pending() { Came::Proposed } else { Came::Acted };
        return (came, format!("{} ({})", item.proposal.title, item.state.word()));
    }
    let finding = p.findings.iter().find(|f| f.subject == subject && matches!(f.fault, Fault::Missized { .. }));
    if let Some(f) = finding {
        let why = p.unplanned.get(&f.id).map_or("being planned", |why| why);
        return (Came::Nothing, format!("{}; {why}", f.title));
    }
    let changes = p.sizings.of(&w.key).filter(|s| s.next.is_some()).count();
    match (p.sizings.of(&w.key).next(), changes) {
        (None, _) => (Came::Blind, "too little is known of what its containers use".into()),
        (Some(_), 0) => (Came::Nothing, "its containers ask for what they need".into()),
        (Some(_), n) => (
            Came::Nothing,
            format!("{n} requests could change; proposed when asked for, or by itself with plan.rightsize"),
        ),
    }
}

/// What is wrong, and what is done about it.
fn healing(p: &Picture<'_>, w: &Workload) -> (Came, String) {
    let subject = Subject::Workload(w.key.clone());
    let heals = |i: &&Arc<QueueItem>| i.proposal.subject == subject && i.proposal.strategy != Strategy::Rightsize;
    let own = || p.queue.iter().rev().filter(heals);
    if let Some(item) = own().find(|i| i.state.in_flight()) {
        return (Came::Acted, format!("{} ({}): {}", item.proposal.id, item.state.word(), item.proposal.title));
    }
    let finding = p.findings.iter().find(|f| f.subject == subject && !matches!(f.fault, Fault::Missized { .. }));
    let waiting = own().find(|i| i.pending());
    if let Some(item) = waiting {
        let held: Vec<String> = item.blocked.iter().map(ToString::to_string).collect();
        return match (item.proposal.plan.steps.is_empty(), held.is_empty()) {
            (true, _) => (Came::Proposed, format!("advice: {}", item.proposal.title)),
            (false, true) => (Came::Proposed, format!("{} waits for approval", item.proposal.title)),
            (false, false) => (Came::Proposed, format!("{}; held back: {}", item.proposal.title, held.join("; "))),
        };
    }
    match finding {
        Some(f) => match p.unplanned.get(&f.id) {
            Some(why) => (Came::Nothing, format!("{}; no plan: {why}", f.title)),
            None => (Came::Nothing, format!("{}; being planned", f.title)),
        },
        None => match own().find(|i| i.state.ended() && i.story.last().is_some_and(|m| p.now - m.at <= RECENT)) {
            Some(item) => {
                (Came::Nothing, format!("nothing is wrong; {} ended {}", item.proposal.id, item.state.word()))
            }
            None => (Came::Nothing, "nothing is wrong".into()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::finding::Severity;
    use crate::model::fixtures as fx;

    fn picture<'a>(
        findings: &'a [Arc<Finding>],
        unplanned: &'a BTreeMap<FindingId, Arc<str>>,
        beside: &'a (Anomalies, Predictions, Sizings),
    ) -> Picture<'a> {
        Picture {
            findings,
            queue: &[],
            unplanned,
            anomalies: &beside.0,
            predictions: &beside.1,
            sizings: &beside.2,
            now: fx::now(),
        }
    }

    #[test]
    fn a_stage_that_fails_is_told_and_the_others_run() {
        let stages: [(Stage, Judge); 3] = [
            (Stage::Scaling, |_, _| (Came::Nothing, "fine".into())),
            (Stage::Anomalies, |_, _| panic!("out of order")),
            (Stage::Healing, healing),
        ];
        let beside = (Anomalies::default(), Predictions::default(), Sizings::default());
        let (none, nothing) = ([], BTreeMap::new());
        let told = decide(&stages, &picture(&none, &nothing, &beside), &fx::healthy("cart", 3));
        let came: Vec<Came> = told.iter().map(|d| d.came).collect();
        assert_eq!(came, [Came::Nothing, Came::Failed, Came::Nothing]);
        assert_eq!((&*told[1].why, &*told[2].why), ("out of order", "nothing is wrong"));
    }

    #[test]
    fn stages_without_an_engine_say_so_and_missing_data_is_no_all_clear() {
        let beside = (Anomalies::default(), Predictions::default(), Sizings::default());
        let (none, nothing) = ([], BTreeMap::new());
        let told = decide(&STAGES, &picture(&none, &nothing, &beside), &fx::healthy("cart", 3));
        let came: Vec<Came> = told.iter().map(|d| d.came).collect();
        let off = Came::NotBuilt;
        assert_eq!(came, [Came::Blind, Came::Blind, Came::Nothing, Came::Blind, off, off]);
        assert_eq!(told.iter().map(|d| d.stage).collect::<Vec<_>>(), Stage::ALL);
    }

    #[test]
    fn the_operator_sees_why_nothing_happened() {
        let cart = fx::healthy("cart", 3);
        let finding = Finding {
            id: "leak:cart".into(),
            fault: Fault::NotReady { why: "x".into() },
            subject: Subject::Workload(cart.key.clone()),
            severity: Severity::High,
            title: "cart hangs".into(),
            evidence: vec![],
            pods: vec![],
            since: fx::now(),
            related: vec![],
        };
        let unplanned = BTreeMap::from([(finding.id.clone(), Arc::from("the cause is shared"))]);
        let findings = [Arc::new(finding)];
        let beside = (Anomalies::default(), Predictions::default(), Sizings::default());
        let told = healing(&picture(&findings, &unplanned, &beside), &cart);
        assert_eq!(told, (Came::Nothing, "cart hangs; no plan: the cause is shared".to_owned()));
    }
}
