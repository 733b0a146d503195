//! What changed between two worlds, in lines: what somebody who looks at the screen would see change.

use crate::autopilot::world::{Link, World};
use crate::console::panes::show::{risk, severity_word};
use crate::model::mode::Mode;
use crate::model::snapshot::SourceState;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Most lines of one kind at once; of the rest only the number is told.
const MOST: usize = 12;

/// Lines for everything that changed, the gravest first.
pub fn changes(before: &World, after: &World) -> Vec<String> {
    let mut out = Vec::new();
    connection(before, after, &mut out);
    let (was, is) = (mode(before), mode(after));
    if was != is {
        out.push(format!("mode: {is}"));
    }
    some(queue(before, after), "actions", &mut out);
    some(incidents(before, after), "overview", &mut out);
    some(findings(before, after), "overview", &mut out);
    let known = before.messages.first();
    let new = after.messages.iter().take_while(|m| Some(*m) != known);
    // What was told as a change is not told again.
    let new = new.filter(|m| !out.iter().any(|line| line.contains(&*m.text)));
    let mut new: Vec<String> = new.map(|m| format!("message: {}", m.text)).collect();
    new.reverse();
    some(new, "messages", &mut out);
    out
}

fn some(lines: Vec<String>, word: &str, out: &mut Vec<String>) {
    let more = lines.len().saturating_sub(MOST);
    out.extend(lines.into_iter().take(MOST));
    if more > 0 {
        out.push(format!("and {more} more: type {word}"));
    }
}

fn connection(before: &World, after: &World, out: &mut Vec<String>) {
    let same_cluster = before.snapshot.cluster.context == after.snapshot.cluster.context;
    match (&before.link, &after.link) {
        (a, b) if a == b && same_cluster => {}
        (_, Link::Connecting { context }) => out.push(format!("connecting to {context}")),
        (_, Link::Connected) => out.push(format!("connected to {}", after.snapshot.cluster.context)),
        (Link::Broken { why: a, .. }, Link::Broken { why: b, .. }) if a == b => {}
        (_, Link::Broken { why, .. }) => out.push(format!("not connected: {why}")),
    }
    for (name, a, b) in [
        ("API server", &before.snapshot.api.state, &after.snapshot.api.state),
        ("Prometheus", &before.snapshot.metrics.state, &after.snapshot.metrics.state),
    ] {
        let lost = |s: &SourceState| matches!(s, SourceState::Failed { .. } | SourceState::Denied { .. });
        match b {
            SourceState::Failed { why, .. } if !lost(a) => out.push(format!("{name} lost: {why}; data grows old")),
            SourceState::Denied { why } if !lost(a) => out.push(format!("{name} denied: {why}")),
            SourceState::Live { .. } if lost(a) => out.push(format!("{name} answers again")),
            _ => {}
        }
    }
}

/// The mode with what holds it back.
fn mode(world: &World) -> String {
    let brakes = &world.brakes;
    let mut out = world.mode.to_string();
    if brakes.paused && world.mode == Mode::Auto {
        out.push_str(", paused");
    }
    for (word, why) in [("killed", &brakes.killed), ("read-only", &brakes.read_only), ("held", &brakes.held)] {
        if let Some(why) = why {
            let _ = write!(out, ", {word}: {why}");
        }
    }
    out
}

fn queue(before: &World, after: &World) -> Vec<String> {
    let was: BTreeMap<&str, _> = before.queue.iter().map(|i| (&*i.proposal.id, i)).collect();
    let mut out = Vec::new();
    for item in after.queue.iter() {
        let (id, p) = (&*item.proposal.id, &item.proposal);
        match was.get(id) {
            None if item.pending() => {
                out.push(format!("proposal {id}: {} for {}, risk {}", p.title, p.subject, risk(p.risk).0));
            }
            None => out.push(format!("action {id}: {}, {}", item.state.word(), p.title)),
            Some(known) if known.state.word() != item.state.word() => {
                out.push(format!("action {id}: {}, was {}", item.state.word(), known.state.word()));
            }
            Some(known) if known.proposal.hash != p.hash => {
                out.push(format!("proposal {id} changed: read it again before you approve it"));
            }
            Some(_) => {}
        }
    }
    out
}

fn incidents(before: &World, after: &World) -> Vec<String> {
    let mut out = Vec::new();
    for incident in after.incidents.all.iter() {
        let known = before.incidents.all.iter().find(|i| i.id == incident.id);
        match (known, incident.ended) {
            (None, None) => out.push(format!("incident: {}", incident.title)),
            (Some(k), Some(_)) if k.ended.is_none() => out.push(format!("incident over: {}", incident.title)),
            _ => {}
        }
    }
    out
}

fn findings(before: &World, after: &World) -> Vec<String> {
    let was: BTreeMap<&str, _> = before.findings.iter().map(|f| (&*f.id, f)).collect();
    let is: BTreeMap<&str, _> = after.findings.iter().map(|f| (&*f.id, f)).collect();
    let mut out = Vec::new();
    for finding in after.findings.iter() {
        let word = severity_word(finding.severity);
        match was.get(&*finding.id) {
            None => out.push(format!("{word}: {}", finding.title)),
            Some(known) if known.severity != finding.severity => out.push(format!("now {word}: {}", finding.title)),
            Some(_) => {}
        }
    }
    out.extend(before.findings.iter().filter(|f| !is.contains_key(&*f.id)).map(|f| format!("over: {}", f.title)));
    out
}
