//! One finding or anomaly in full: the evidence it rests on, and what is planned or can be done against it.

use super::super::show;
use super::action_for;
use crate::autopilot::world::World;
use crate::console::pane::Ctx;
use crate::console::theme::Role;
use crate::console::widgets::lines::Lines;
use crate::console::widgets::unit::Unit;
use crate::model::anomaly::{Anomaly, Measure};
use crate::model::finding::Finding;
use crate::model::time::age;

/// The finding as text.
pub fn lines(f: &Finding, world: &World, ctx: &Ctx) -> Lines {
    let mut l = Lines::default();
    let (glyph, role) = show::severity(f.severity, &ctx.theme.glyphs);
    l.add(2, vec![(format!("{glyph} "), role), (f.title.to_string(), Role::Title)]);
    if !world.findings.iter().any(|now| now.id == f.id) {
        l.text("Gone: the last round did not find this any more.", Role::Good);
    }
    l.field("severity", show::severity_word(f.severity), role);
    l.field("class", f.fault.class(), Role::Text);
    l.field("subject", f.subject.to_string(), Role::Text);
    l.field("since", format!("{} ago, {}", age(ctx.now, f.since), f.since.format("%F %T UTC")), Role::Text);
    plan(&mut l, f, world, ctx);
    l.head("Evidence");
    for (n, e) in f.evidence.iter().enumerate() {
        l.item(&format!("{}.", n + 1), vec![(e.says.to_string(), Role::Text)]);
        let when = e.at.map_or_else(|| "no time given".into(), |at| format!("{} ago", age(ctx.now, at)));
        l.add(3, vec![("   ".into(), Role::Text), (format!("{}, {when}", e.source), Role::Muted)]);
    }
    if !f.pods.is_empty() {
        l.head(&format!("Pods {}", f.pods.len()));
        for p in f.pods.iter().take(50) {
            l.item("-", vec![(format!("{}/{}", p.namespace, p.name), Role::Text)]);
        }
        if f.pods.len() > 50 {
            l.text(format!("  and {} more", f.pods.len() - 50), Role::Muted);
        }
    }
    if !f.related.is_empty() {
        l.head("Related");
        for o in &f.related {
            l.item("-", vec![(o.to_string(), Role::Text)]);
        }
    }
    l
}

/// The anomaly as text.
pub fn anomaly(i: &Anomaly, world: &World, ctx: &Ctx) -> Lines {
    let mut l = Lines::default();
    let (glyph, role) = show::severity(show::badness(i.severity), &ctx.theme.glyphs);
    l.add(2, vec![(format!("{glyph} "), role), (i.title.to_string(), Role::Title)]);
    if let Some((at, why)) = i.ended {
        l.text(format!("Over since {} ago: {}.", age(ctx.now, at), why.words()), Role::Good);
    } else if !world.anomalies.all.iter().any(|now| now.id == i.id) {
        l.text("Gone: its workload is not watched any more.", Role::Good);
    }
    l.field("severity", format!("{:.2} of 1", i.severity), role);
    l.field("class", i.class.as_str(), Role::Text);
    l.field("subject", i.key.to_string(), Role::Text);
    let seen = format!(
        "{} ago, {}; seen {} ago",
        age(ctx.now, i.since),
        i.since.format("%F %T UTC"),
        age(ctx.now, i.last_seen)
    );
    l.field("since", seen, Role::Text);
    if let Some(onset) = i.onset.filter(|o| *o < i.since) {
        let before = crate::model::time::short(i.since - onset);
        let text = format!("{}, {before} before its first unusual sample (change point)", onset.format("%F %T UTC"));
        l.field("onset", text, Role::Text);
    }
    if let Some(card) = &i.together {
        l.field("together", card.to_string(), Role::Muted);
    }
    l.head("Evidence");
    for (n, m) in i.evidence.iter().enumerate() {
        let unit = Unit::of(m.signal);
        let says = format!("{} {}, {} expected", m.signal.title(), unit.show(m.observed), unit.show(m.expected));
        l.item(&format!("{}.", n + 1), vec![(says, Role::Text)]);
        let far = format!("{}, {} ago", how_far(m), age(ctx.now, m.at));
        l.add(3, vec![("   ".into(), Role::Text), (far, Role::Muted)]);
    }
    if !i.changes.is_empty() {
        l.head("Changes before it");
        for c in &i.changes {
            let role = if c.rollout { Role::Warning } else { Role::Text };
            let when = format!("  {} ago, {}", age(ctx.now, c.at), c.at.format("%T UTC"));
            l.item("-", vec![(c.what.to_string(), role), (when, Role::Muted)]);
        }
    }
    l.head("What to do");
    l.text(i.remedy.to_string(), Role::Text);
    l
}

/// How far outside: in usual distances, and how improbable.
fn how_far(m: &Measure) -> String {
    let side = if m.distance < 0.0 { "below" } else { "above" };
    let chance = if m.tail < 1e-6 { "less than 1 in a million".into() } else { format!("1 in {:.0}", 1.0 / m.tail) };
    format!("{:.1} usual distances {side} what was expected then, {chance} by its own past", m.distance.abs())
}

fn plan(l: &mut Lines, f: &Finding, world: &World, ctx: &Ctx) {
    l.head("Plan");
    let Some(item) = action_for(world, &f.id) else {
        let why = world.unplanned.get(&f.id).map_or("nothing is planned yet", |why| why);
        l.item("-", vec![("no proposal: ".into(), Role::Warning), (why.to_owned(), Role::Text)]);
        return;
    };
    let p = &item.proposal;
    l.item(
        ctx.theme.glyphs.arrow,
        vec![
            (p.title.to_string(), Role::Text),
            (format!("  {}, {}, risk {}", p.id, item.state.word(), show::risk(p.risk).0), Role::Muted),
        ],
    );
    l.add(
        2,
        vec![
            ("  expected: ".into(), Role::Muted),
            (p.effect.text.clone(), Role::Text),
            (format!(" ({})", p.effect.basis), Role::Muted),
        ],
    );
    if let Some(refusal) = item.blocked.first() {
        l.add(2, vec![("  blocked: ".into(), Role::Warning), (refusal.to_string(), Role::Text)]);
    }
}
