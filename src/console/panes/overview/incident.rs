//! One incident in full: what belongs to it, what happened, who is suspected and why, and what can be done.

use super::entry::Entry;
use crate::autopilot::world::World;
use crate::console::pane::Ctx;
use crate::console::theme::Role;
use crate::console::widgets::lines::Lines;
use crate::console::widgets::table::Cell;
use crate::model::incident::{Incident, Subject, Suspect};
use crate::model::time::age;

/// Who is suspected, in a word.
fn name(s: &Subject) -> String {
    match s {
        Subject::Workload(k) => k.name.to_string(),
        Subject::Node(n) => format!("node {n}"),
        Subject::Zone(z) => format!("zone {z}"),
        Subject::Change(k, _) => format!("change of {}", k.name),
    }
}

/// Who is suspected, in full.
fn full(s: &Subject) -> String {
    match s {
        Subject::Workload(k) => k.to_string(),
        Subject::Change(k, object) => format!("change of {object}, for {k}"),
        other => name(other),
    }
}

/// A share of the belief, marked as the estimate that it is.
fn percent(share: f64) -> String {
    format!("~{:.0}%", share * 100.0)
}

/// The first suspect with its share of the belief, for the list. The share comes first: it must not be cut off.
pub fn suspect<'a>(e: &Entry) -> Cell<'a> {
    let Entry::Incident(c, _) = e else { return Cell::plain("") };
    c.causes.first().map_or_else(
        || Cell::muted("cause unknown"),
        |s| Cell::new(format!("{} {}", percent(s.sureness), name(&s.subject)), Role::Key),
    )
}

/// The incident as text.
pub fn lines(c: &Incident, world: &World, ctx: &Ctx) -> Lines {
    let mut l = Lines::default();
    l.add(2, vec![(c.title.to_string(), Role::Title)]);
    match c.ended {
        Some(at) => l.text(format!("Over since {} ago.", age(ctx.now, at)), Role::Good),
        None if !world.incidents.all.iter().any(|now| now.id == c.id) => {
            l.text("Gone: nothing of it is watched any more.", Role::Good)
        }
        None => &mut l,
    };
    let since = format!(
        "{} ago, {}; seen {} ago",
        age(ctx.now, c.since),
        c.since.format("%F %T UTC"),
        age(ctx.now, c.last_seen)
    );
    l.field("since", since, Role::Text);
    let affected: Vec<String> = c.affected.iter().map(|k| format!("{}/{}", k.namespace, k.name)).collect();
    let affected = if affected.is_empty() { "no workload".into() } else { affected.join(", ") };
    l.field("affected", format!("{}: {affected}", c.affected.len()), Role::Text);
    l.head("Likeliest causes");
    if c.causes.is_empty() {
        l.text("Nothing is known that would explain it.", Role::Stale);
    }
    for (n, s) in c.causes.iter().enumerate() {
        cause(&mut l, n + 1, s, ctx);
    }
    let known: f64 = c.causes.iter().map(|s| s.sureness).sum();
    if !c.causes.is_empty() && known < 0.995 {
        l.item("-", vec![(format!("{} something else", percent((1.0 - known).max(0.0))), Role::Muted)]);
    }
    if !c.causes.is_empty() {
        l.text("~ weighs the evidence: an estimate, not how often it was right.", Role::Muted);
    }
    if !c.would_tell.is_empty() {
        l.field("would tell", c.would_tell.to_string(), Role::Text);
    }
    l.head("What to do");
    l.text(if c.recommendation.is_empty() { "nothing is recommended" } else { &c.recommendation }, Role::Text);
    l.head("What happened");
    for h in &c.timeline {
        l.item(&h.at.format("%T").to_string(), vec![(h.what.to_string(), Role::Text)]);
    }
    members(&mut l, c, world);
    l
}

fn cause(l: &mut Lines, n: usize, s: &Suspect, ctx: &Ctx) {
    let began = s.onset.map_or_else(|| "no time known".into(), |at| format!("began {} ago", age(ctx.now, at)));
    let pieces = vec![
        (format!("{} ", percent(s.sureness)), Role::Key),
        (full(&s.subject), Role::Title),
        (format!(": {}", s.what), Role::Text),
        (format!("  {began}"), Role::Muted),
    ];
    l.item(&format!("{n}."), pieces);
    for e in &s.evidence {
        l.add(5, vec![("   - ".into(), Role::Muted), (e.to_string(), Role::Text)]);
    }
}

/// What belongs to it; what is over is counted, for it is not in the world any more.
fn members(l: &mut Lines, c: &Incident, world: &World) {
    let findings = world.findings.iter().filter(|f| c.findings.contains(&f.id)).map(|f| ("finding", &f.title));
    let anomalies = world.anomalies.all.iter().filter(|i| c.anomalies.contains(&i.id)).map(|i| ("anomaly", &i.title));
    let all: Vec<_> = findings.chain(anomalies).collect();
    let count = c.findings.len() + c.anomalies.len();
    l.head(&format!("Findings and anomalies {count}"));
    for (what, title) in &all {
        l.item("-", vec![(format!("{what} "), Role::Muted), (title.to_string(), Role::Text)]);
    }
    if count > all.len() {
        l.text(format!("  and {} that are over", count - all.len()), Role::Muted);
    }
}
