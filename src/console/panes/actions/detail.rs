//! One action in full: why, what exactly, with what effect, how it is undone, where it is, what blocks it.

use super::super::show;
use super::rows::Shown;
use super::state_role;
use crate::console::pane::Ctx;
use crate::console::theme::Role;
use crate::console::widgets::diff;
use crate::console::widgets::lines::Lines;
use crate::model::action::{ActionState, Health, QueueItem};
use crate::model::plan::{Gate, Inverse, Op, Proposal, Step};
use crate::model::time::{Timestamp, age, short};
use json_patch::{Patch, PatchOperation};
use serde_json::Value;

/// The action as text.
pub fn lines(shown: &Shown, ctx: &Ctx) -> Lines {
    let (item, p) = (&shown.item, &shown.item.proposal);
    let mut l = Lines::default();
    l.text(p.title.to_string(), Role::Title);
    if shown.gone {
        l.text("It has left the queue. What you see is the last that was known.", Role::Warning);
    } else if shown.changed() {
        l.text("CHANGED: this plan is not the present one any more. Press Enter to see the new plan.", Role::Critical);
    }
    l.field("target", p.subject.to_string(), Role::Text);
    let (word, role) = show::risk(p.risk);
    let mut state =
        vec![(format!("{:<12}", "state"), Role::Muted), (item.state.word().to_owned(), state_role(&item.state))];
    state.push(("   risk ".into(), Role::Muted));
    state.push((word.into(), role));
    state.push((format!("   {}", expiry(item, ctx.now)), Role::Muted));
    l.add(12, state);
    blocked(&mut l, item);
    story(&mut l, item, ctx.now);
    why(&mut l, p, ctx.now);
    what(&mut l, item, ctx);
    l.head("EFFECT");
    effect(&mut l, p);
    l.head("BLAST RADIUS");
    l.text(if p.blast.text.is_empty() { "not told by the planner" } else { &p.blast.text }.to_owned(), Role::Text);
    undo(&mut l, p, ctx);
    if !p.notes.is_empty() {
        l.head("NOTE");
        for note in &p.notes {
            l.item("-", vec![(note.clone(), Role::Warning)]);
        }
    }
    l.head("IDENTITY");
    l.field("action", p.id.to_string(), Role::Text);
    l.field("strategy", p.strategy.as_str(), Role::Text);
    l.field("plan hash", p.hash.clone(), Role::Muted);
    if let Some(a) = &item.approval {
        let same = if a.hash == p.hash { "this hash" } else { "ANOTHER hash" };
        l.field("approved", format!("by {} {} ago, {same}", a.by, age(ctx.now, a.at)), Role::Text);
    }
    l
}

/// `expires in 12m`, `expired`, or nothing once decided.
pub fn expiry(item: &QueueItem, now: Timestamp) -> String {
    let left = item.proposal.expires.signed_duration_since(now);
    match item.pending() {
        true if left.num_seconds() > 0 => format!("expires in {}", short(left)),
        true => "expired".into(),
        false => String::new(),
    }
}

fn blocked(l: &mut Lines, item: &QueueItem) {
    if item.blocked.is_empty() || item.state.ended() {
        return;
    }
    l.head("BLOCKED");
    for r in &item.blocked {
        l.item("-", vec![(r.why.clone(), Role::Bad), (format!("  ({})", r.gate), Role::Muted)]);
        l.add(4, vec![("  to do: ".into(), Role::Muted), (r.remedy.clone(), Role::Text)]);
    }
}

fn why(l: &mut Lines, p: &Proposal, now: Timestamp) {
    l.head("WHY");
    for (n, e) in p.why.iter().enumerate() {
        l.item(&format!("{}.", n + 1), vec![(e.says.to_string(), Role::Text)]);
        let when = e.at.map_or_else(String::new, |at| format!(", {} ago", age(now, at)));
        l.add(3, vec![(format!("   {}{when}", e.source), Role::Muted)]);
    }
    if p.why.is_empty() {
        l.text("no evidence was given", Role::Warning);
    }
}

fn what(l: &mut Lines, item: &QueueItem, ctx: &Ctx) {
    l.head("WHAT EXACTLY");
    let plan = &item.proposal.plan;
    if plan.steps.is_empty() {
        l.text("Advice: kansole runs nothing. It is yours to do.", Role::Text);
    }
    for (n, step) in plan.steps.iter().enumerate() {
        one_step(l, n, step, ctx);
        if let Some(diff) = item.preview.as_ref().and_then(|p| p.diffs.get(n)).filter(|d| !d.trim().is_empty()) {
            diff::add(l, diff);
        }
    }
    match &item.preview {
        None if plan.writes() => {
            l.text("The server was not asked yet what this would change (dry-run).", Role::Stale);
        }
        None => {}
        Some(p) => {
            let ago = age(ctx.now, p.at);
            match &p.refused {
                Some(why) => l.text(format!("The server refused the dry-run {ago} ago: {why}"), Role::Bad),
                None => l.text(format!("The server's own answer to a dry-run, {ago} ago."), Role::Muted),
            };
            for w in &p.warnings {
                l.text(format!("Server warning: {w}"), Role::Warning);
            }
        }
    }
}

fn one_step(l: &mut Lines, n: usize, step: &Step, ctx: &Ctx) {
    l.item(&format!("{}.", n + 1), vec![(step.title.to_string(), Role::Text)]);
    let call = match &step.op {
        Op::Patch { subresource, .. } => {
            let sub = subresource.as_ref().map_or_else(String::new, |s| format!(" ({s})"));
            format!("patch {}{sub}", step.target)
        }
        Op::Evict { grace_seconds } => {
            let grace = grace_seconds.map_or_else(|| "its own grace period".into(), |g| format!("{g} s of grace"));
            format!("evict {} with {grace}", step.target)
        }
        Op::Wait { seconds } => format!("wait {seconds} s and look again; nothing is written"),
    };
    l.add(3, vec![(format!("   {call}"), Role::Muted)]);
    if let Op::Patch { patch, .. } = &step.op {
        for words in changes(patch, ctx.theme.glyphs.arrow) {
            l.add(5, vec![(format!("   {words}"), Role::Text)]);
        }
    }
    if step.gate == Gate::WorkloadReady {
        l.add(3, vec![("   the next step waits until the workload is ready".into(), Role::Muted)]);
    }
}

/// The operations of a patch in words, with the old value where the patch tests it.
pub fn changes(patch: &Patch, arrow: &str) -> Vec<String> {
    let show = |v: &Value| v.as_str().map_or_else(|| v.to_string(), str::to_owned);
    let old = |path: &str| {
        patch.0.iter().find_map(|op| match op {
            PatchOperation::Test(t) if t.path.as_str() == path => Some(show(&t.value)),
            _ => None,
        })
    };
    let change = |path: &str, new: &Value| match old(path) {
        Some(old) => format!("{path}: {old} {arrow} {}", show(new)),
        None => format!("{path}: {}", show(new)),
    };
    patch
        .0
        .iter()
        .filter_map(|op| match op {
            PatchOperation::Test(_) => None,
            PatchOperation::Replace(o) => Some(change(o.path.as_str(), &o.value)),
            PatchOperation::Add(o) => Some(format!("add {}", change(o.path.as_str(), &o.value))),
            PatchOperation::Remove(o) => Some(format!("remove {}", o.path.as_str())),
            PatchOperation::Move(o) => Some(format!("move {} to {}", o.from.as_str(), o.path.as_str())),
            PatchOperation::Copy(o) => Some(format!("copy {} to {}", o.from.as_str(), o.path.as_str())),
        })
        .collect()
}

fn effect(l: &mut Lines, p: &Proposal) {
    l.text(if p.effect.text.is_empty() { "not told by the planner" } else { &p.effect.text }.to_owned(), Role::Text);
    let mut parts = Vec::new();
    if let Some(s) = p.effect.recovery_s {
        parts.push(format!("recovery in about {}", short(chrono::TimeDelta::seconds(i64::from(s)))));
    }
    if let Some(chance) = p.effect.probability {
        parts.push(format!("works in {:.0}% of cases", chance * 100.0));
    }
    if !parts.is_empty() {
        l.text(format!("Estimate: {}. Basis: {}.", parts.join(", "), p.effect.basis), Role::Muted);
    }
}

fn undo(l: &mut Lines, p: &Proposal, ctx: &Ctx) {
    l.head("UNDO");
    let writing: Vec<_> = p.plan.steps.iter().enumerate().filter(|(_, s)| s.writes()).collect();
    if writing.is_empty() {
        l.text("Nothing is written, so there is nothing to undo.", Role::Text);
    }
    for (n, step) in writing.into_iter().rev() {
        let mark = format!("{}.", n + 1);
        match &step.inverse {
            Inverse::Patch { patch } => {
                l.item(&mark, vec![(format!("patch {} back:", step.target), Role::Text)]);
                for words in changes(patch, ctx.theme.glyphs.arrow) {
                    l.add(5, vec![(format!("   {words}"), Role::Text)]);
                }
            }
            Inverse::NotNeeded { why } => {
                l.item(&mark, vec![("not needed: ".into(), Role::Good), (why.to_string(), Role::Text)]);
            }
            Inverse::Impossible { why } => {
                l.item(&mark, vec![("CANNOT BE UNDONE: ".into(), Role::Bad), (why.to_string(), Role::Text)]);
            }
        }
    }
}

/// `settling, 3m left` or `observing, 2m left`: how far verification is.
pub fn countdown(state: &ActionState, now: Timestamp) -> Option<String> {
    let ActionState::Verifying { settle, until, .. } = state else { return None };
    Some(if now < *settle {
        format!("settling, {} left", short(settle.signed_duration_since(now)))
    } else if now < *until {
        format!("observing, {} left", short(until.signed_duration_since(now)))
    } else {
        "being judged".into()
    })
}

fn story(l: &mut Lines, item: &QueueItem, now: Timestamp) {
    l.head("STATE");
    match &item.state {
        ActionState::Verifying { settle, until, .. } => {
            let left = countdown(&item.state, now).unwrap_or_default();
            let observe = short(until.signed_duration_since(*settle));
            l.text(format!("Verifying: {left}. After settling its effect is observed for {observe}."), Role::Key);
        }
        ActionState::Reverting { why } | ActionState::Superseded { why } | ActionState::HandedOver { why } => {
            l.text(format!("{}: {why}", item.state.word()), Role::Warning);
        }
        ActionState::Done { verdict, why } => {
            l.text(format!("Verdict {}: {why}", verdict.as_str()), state_role(&item.state));
        }
        ActionState::Reverted { why, .. } => {
            l.text(format!("Reverted: {why}"), Role::Warning);
        }
        ActionState::Failed { why } => {
            l.text(format!("Failed: {why}"), Role::Bad);
        }
        ActionState::Rejected { by, reason } => {
            let reason = if reason.is_empty() { "no reason given" } else { reason };
            l.text(format!("Rejected by {by}: {reason}"), Role::Text);
        }
        ActionState::Refused { reasons } => {
            for r in reasons {
                l.text(format!("Refused: {r}"), Role::Bad);
            }
        }
        ActionState::Applying { step } => {
            l.text(format!("Writing step {} of {}.", step + 1, item.proposal.plan.steps.len()), Role::Key);
        }
        ActionState::Proposed => {
            l.text("Waits for a decision.", Role::Text);
        }
        ActionState::Approved { .. } | ActionState::DryRun | ActionState::Expired => {
            l.text(item.state.word(), Role::Text);
        }
    }
    for m in &item.story {
        let ago = format!("{:>6} ago  ", age(now, m.at));
        // The title stands above already.
        let what = m.what.strip_suffix(&*item.proposal.title).and_then(|w| w.strip_suffix(": ")).unwrap_or(&m.what);
        l.add(12, vec![(ago, Role::Muted), (what.to_owned(), Role::Text)]);
    }
    outcome(l, item);
}

/// What was measured before and after; while it is being verified, what is seen so far and no judgement.
fn outcome(l: &mut Lines, item: &QueueItem) {
    let Some(o) = &item.outcome else { return };
    let told = match &item.state {
        ActionState::Done { why, .. } | ActionState::Reverted { why, .. } | ActionState::Reverting { why } => why,
        _ => "",
    };
    let judged = !item.state.in_flight();
    for reason in o.why.iter().filter(|reason| judged && reason.as_str() != told) {
        l.item("-", vec![(reason.clone(), Role::Text)]);
    }
    let now = if judged { "after" } else { "so far" };
    l.field("before", health(&o.before), Role::Muted);
    l.field(now, health(&o.after), if judged { Role::Muted } else { Role::Key });
    if !judged {
        l.text("Not judged yet.", Role::Muted);
    }
}

/// The parts of a health that are known; what is not known is said, not left at zero.
fn health(h: &Health) -> String {
    let n = |v: Option<u32>| v.map_or_else(|| "?".into(), |v| v.to_string());
    let mut parts = vec![
        format!("{} of {} available", n(h.available), n(h.desired)),
        format!("{} restarts", n(h.restarts)),
        format!("{} OOM kills", n(h.oom_kills)),
    ];
    parts.push(h.error_rate.map_or_else(|| "errors ?".into(), |e| format!("errors {}", show::percent(e))));
    parts.push(h.p99_s.map_or_else(|| "p99 ?".into(), |s| format!("p99 {:.0} ms", s * 1000.0)));
    parts.push(
        match h.finding_present {
            Some(true) => "finding present",
            Some(false) => "finding gone",
            None => "finding ?",
        }
        .into(),
    );
    parts.join(", ")
}
