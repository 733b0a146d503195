//! What people read of an incident: its title, its suspects with their shares, what would tell them apart, what can be done.

use super::group::Group;
use super::rank::{Candidate, Scene};
use crate::model::context::Context;
use crate::model::incident::{Subject, Suspect};
use crate::model::object::WorkloadKey;
use chrono::TimeDelta;
use std::sync::Arc;

/// What `something else` weighs beside the scores.
const ELSE: f64 = 0.2;
/// Scores are sharpened by this power before they are shared out.
const SHARP: i32 = 2;
/// Suspects below this share are not worth a line.
const LEAST: f64 = 0.02;
/// Suspects that are told.
const MOST: usize = 5;
/// Warnings that came this long before are not of it.
const NEAR: TimeDelta = TimeDelta::minutes(5);
/// A first suspect this far ahead needs nothing to tell it from the second.
const AHEAD: f64 = 4.0;

/// The suspects of a group with their shares of the belief, the likeliest first.
pub fn suspects(scene: &Scene<'_>, group: &Group) -> Vec<Suspect> {
    let all = &scene.candidates;
    let weight = |c: &Candidate| c.score().max(0.0).powi(SHARP);
    let sum = group.iter().map(|i| weight(&all[*i])).sum::<f64>() + ELSE.powi(SHARP);
    let told = group.iter().map(|i| (&all[*i], weight(&all[*i]) / sum));
    let told = told.enumerate().filter(|(rank, (_, share))| *rank == 0 || *share >= LEAST).take(MOST);
    told.map(|(_, (c, share))| Suspect {
        subject: c.subject.clone(),
        what: c.what.as_str().into(),
        sureness: share.clamp(0.0, 1.0),
        onset: Some(c.onset),
        evidence: evidence(scene, group, c),
    })
    .collect()
}

/// What speaks for a suspect: its own facts, whom it explains, what explains it, and where it stands.
fn evidence(scene: &Scene<'_>, group: &Group, c: &Candidate) -> Vec<Arc<str>> {
    let all = &scene.candidates;
    let mut lines = c.evidence.clone();
    let of = |i: &&usize| all[**i].by.is_some_and(|(by, _)| std::ptr::eq(&raw const all[by], c));
    let explained: Vec<String> = group.iter().filter(of).map(|i| name(&all[*i].subject)).collect();
    if !explained.is_empty() {
        lines.push(format!("explains what {} suffers from", explained.join(", ")).into());
    }
    if let Some((by, how)) = c.by {
        lines.push(format!("explained by {} for {:.0} %", name(&all[by].subject), how * 100.0).into());
    }
    if let Some(context) = c.key.as_ref().and_then(|k| Context::of(scene.snapshot(), k)) {
        lines.push(context.line(scene.now).into());
        let warning = |e: &Arc<crate::model::cluster::EventRow>| format!("{}: {}", e.reason, e.message).into();
        let near = context.warnings.iter().filter(|e| e.last >= c.onset - NEAR);
        lines.extend(near.take(2).map(warning));
    }
    lines
}

/// A subject in a word.
pub fn name(subject: &Subject) -> String {
    match subject {
        Subject::Workload(key) | Subject::Change(key, _) => short(key),
        Subject::Node(node) => format!("node {node}"),
        Subject::Zone(zone) => format!("zone {zone}"),
    }
}

fn short(key: &WorkloadKey) -> String {
    format!("{}/{}", key.namespace, key.name)
}

/// Who suffers, the cause's own first.
pub fn affected(scene: &Scene<'_>, group: &Group) -> Vec<WorkloadKey> {
    let mut keys: Vec<WorkloadKey> = Vec::new();
    for key in group.iter().filter_map(|i| scene.candidates[*i].key.clone()) {
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    keys
}

/// What suffers, and why by what is known.
pub fn title(scene: &Scene<'_>, group: &Group, suspects: &[Suspect]) -> String {
    let hurt: Vec<&Candidate> = group.iter().map(|i| &scene.candidates[*i]).filter(|c| c.hurts > 0.0).collect();
    let who = match hurt.iter().max_by(|a, b| a.hurts.total_cmp(&b.hurts)) {
        Some(worst) if hurt.len() > 1 => format!("{} and {} more", name(&worst.subject), hurt.len() - 1),
        Some(worst) => name(&worst.subject),
        None => String::new(),
    };
    let Some(first) = suspects.first() else { return who };
    let cause = line(&first.subject, &first.what);
    let verb = if hurt.len() > 1 { "suffer" } else { "suffers" };
    if who.is_empty() || who == name(&first.subject) { cause } else { format!("{who} {verb}: {cause}") }
}

/// Who and what, without saying who twice.
pub fn line(subject: &Subject, what: &str) -> String {
    let name = name(subject);
    if what.starts_with(&name) { what.to_owned() } else { format!("{name}: {what}") }
}

/// What would tell the first two suspects apart; empty if nothing needs to.
pub fn would_tell(suspects: &[Suspect]) -> String {
    let [first, second, ..] = suspects else { return String::new() };
    if first.sureness > AHEAD * second.sureness {
        return String::new();
    }
    let (a, b) = (name(&first.subject), name(&second.subject));
    match (&first.subject, &second.subject) {
        (Subject::Change(..), _) => {
            format!("Take the change of {a} back: if {b} recovers within two minutes, it was the change.")
        }
        (_, Subject::Change(..)) => {
            format!("Take the change of {b} back: if {a} stays as it is, the change was not the cause.")
        }
        (Subject::Node(_) | Subject::Zone(_), _) => {
            format!("Compare pods of {b} on {a} with its pods elsewhere: only if those on {a} suffer, it is {a}.")
        }
        (_, Subject::Node(_) | Subject::Zone(_)) => {
            format!("Compare pods of {a} on {b} with its pods elsewhere: if all suffer, it is {a}.")
        }
        _ => format!(
            "Look at traces through both: the one whose own time grew, without that of its calls, is the cause ({a} or {b})."
        ),
    }
}

/// What can be done: what was proposed for a finding of the first suspect, else what its kind suggests.
pub fn recommendation(scene: &Scene<'_>, group: &Group) -> String {
    let Some(first) = group.first().map(|i| &scene.candidates[*i]) else { return String::new() };
    let proposed = scene.seen.proposals.iter().find(|(finding, _)| first.findings.contains(finding));
    if let Some((_, title)) = proposed {
        return format!("Proposed: {title}.");
    }
    match &first.subject {
        Subject::Change(..) if first.what.contains("replicas") => {
            "Find out who sets the number of replicas, and set it back.".into()
        }
        Subject::Change(key, object) if object.starts_with("ConfigMap ") => {
            format!(
                "Put back what {object} held before, then restart {}: rolling it back would not change what it reads.",
                short(key)
            )
        }
        Subject::Change(key, _) => format!("Take the change back: roll {} back to the revision before.", short(key)),
        Subject::Node(node) => format!("Cordon {node} and let its pods start elsewhere."),
        Subject::Zone(zone) => format!("Nothing heals {zone} from here: see that what matters has replicas elsewhere."),
        Subject::Workload(key) if first.what.contains("from outside") => {
            format!("Add replicas behind {} where CPU is at its limit, or limit the rate at the entrance.", short(key))
        }
        Subject::Workload(key) => {
            format!("Look at {}: its logs, its pods and what changed in what it reads.", short(key))
        }
    }
}
