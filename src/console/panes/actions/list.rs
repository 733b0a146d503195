//! The queue as a table: columns, cells, and what the filter looks at.

use super::super::show;
use super::rows::Shown;
use crate::console::pane::Ctx;
use crate::console::theme::Role;
use crate::console::widgets::filter::{Field, Filter};
use crate::console::widgets::table::{Cell, Column};
use crate::model::action::{ActionState, QueueItem, Verdict};
use crate::model::time::{age, short};

/// The columns.
pub const COLUMNS: [Column; 8] = [
    Column::text("STATE", 9, 12, 0),
    Column::text("RISK", 6, 6, 2),
    Column::text("TARGET", 14, 34, 0),
    Column::text("WHAT IT DOES", 22, 48, 0),
    Column::text("EXPECTED", 18, 44, 6),
    Column::number("AGE", 5, 5, 4),
    Column::number("LEFT", 5, 6, 3),
    Column::text("TOUCHES", 12, 32, 5),
];

/// The colour of a state.
pub fn state_role(state: &ActionState) -> Role {
    match state {
        ActionState::Done { verdict: Verdict::Effective, .. } => Role::Good,
        ActionState::Done { verdict: Verdict::Harmful, .. } | ActionState::Failed { .. } => Role::Bad,
        ActionState::Done { .. }
        | ActionState::Reverted { .. }
        | ActionState::Reverting { .. }
        | ActionState::Refused { .. }
        | ActionState::HandedOver { .. } => Role::Warning,
        ActionState::Proposed => Role::Key,
        s if s.in_flight() => Role::Key,
        _ => Role::Muted,
    }
}

/// Whether an item passes the filter.
pub fn passes(filter: &Filter, item: &QueueItem) -> bool {
    let p = &item.proposal;
    let subject = p.subject.to_string();
    let (ns, kind) = p.workload().map_or(("", ""), |k| (&*k.namespace, k.kind.as_str()));
    let blocked = if item.pending() && !item.blocked.is_empty() { "blocked" } else { "" };
    filter.passes(&[
        (Field::Text, &subject),
        (Field::Text, &p.title),
        (Field::Text, &p.id),
        (Field::Namespace, ns),
        (Field::Kind, kind),
        (Field::State, item.state.word()),
        (Field::State, blocked),
        (Field::Class, p.fault.class()),
        (Field::Risk, show::risk(p.risk).0),
    ])
}

/// The cells of one item.
pub fn row<'a>(shown: &'a Shown, marked: bool, ctx: &Ctx) -> Vec<Cell<'a>> {
    let (item, p) = (&shown.item, &shown.item.proposal);
    let state = if shown.gone {
        Cell::new("gone", Role::Stale)
    } else if shown.changed() {
        Cell::new("changed", Role::Warning)
    } else if item.pending() && p.plan.steps.is_empty() {
        Cell::muted("advice")
    } else if item.pending() && !item.blocked.is_empty() {
        Cell::new("blocked", Role::Warning)
    } else {
        Cell::new(item.state.word(), state_role(&item.state))
    };
    let state =
        if marked { Cell::new(format!("{} {}", ctx.theme.glyphs.good, state.text), Role::Match) } else { state };
    let (word, role) = show::risk(p.risk);
    let left = match &item.state {
        ActionState::Verifying { until, .. } => short(until.signed_duration_since(ctx.now)),
        ActionState::Proposed if ctx.now < p.expires => short(p.expires.signed_duration_since(ctx.now)),
        ActionState::Proposed => "none".into(),
        _ => String::new(),
    };
    vec![
        state,
        Cell::new(word, role),
        Cell::plain(show::subject(&p.subject)),
        Cell::plain(show::without_subject(&p.title, &p.subject)),
        match item.blocked.first().filter(|_| item.pending()) {
            Some(refusal) => Cell::new(format!("blocked: {}", refusal.why), Role::Warning),
            None => Cell::muted(&*p.effect.text),
        },
        Cell::muted(age(ctx.now, p.created)),
        Cell::muted(left),
        Cell::muted(&*p.blast.text),
    ]
}
