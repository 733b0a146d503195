//! Autoscalers: a row each, and one of them held against other settings over the last day.

use crate::autopilot::world::World;
use crate::console::pane::Ctx;
use crate::console::theme::Role;
use crate::console::widgets::lines::Lines;
use crate::console::widgets::table::{Cell, Column};
use crate::model::sizing::{Ran, WhatIf};
use crate::model::time::age;

/// The columns.
pub const COLUMNS: [Column; 8] = [
    Column::text("WORKLOAD", 14, 40, 0),
    Column::text("HPA", 6, 24, 2),
    Column::number("NOW", 3, 5, 0),
    Column::number("NEXT", 4, 5, 0),
    Column::number("POD HOURS", 9, 9, 1),
    Column::number("SHORT", 6, 9, 1),
    Column::number("CHANGES", 7, 7, 2),
    Column::text("WHY", 10, 100, 1),
];

fn minutes(ran: &Ran) -> String {
    format!("{:.0}min", ran.short_minutes)
}

/// The cells of one row.
pub fn row<'a>(a: &'a WhatIf, _: &Ctx) -> Vec<Cell<'a>> {
    let unknown = || Cell::new("?", Role::Stale);
    let present = a.ran.as_ref().ok().and_then(|r| r.first());
    let (next, why) = match &a.next {
        Ok((n, why)) => (Cell::new(n.to_string(), if *n == a.current { Role::Text } else { Role::Warning }), why),
        Err(why) => (unknown(), why),
    };
    let short = |r: &Ran| Cell::new(minutes(r), if r.short_minutes >= 1.0 { Role::Warning } else { Role::Text });
    vec![
        Cell::plain(format!("{}/{}", a.key.namespace, a.key.name)),
        Cell::plain(&*a.name),
        Cell::plain(a.current.to_string()),
        next,
        present.map_or_else(unknown, |r| Cell::plain(format!("{:.1}", r.pod_hours))),
        present.map_or_else(unknown, short),
        present.map_or_else(unknown, |r| Cell::plain(r.changes.to_string())),
        Cell::muted(&**why),
    ]
}

/// Why there is no row.
pub fn nothing(world: &World) -> &'static str {
    if world.sizings.made.is_some() { "there is no HorizontalPodAutoscaler" } else { super::sizes::nothing(world) }
}

/// One autoscaler: what comes next, and the last day under its own and under other settings.
pub fn detail(a: &WhatIf, world: &World, ctx: &Ctx) -> Lines {
    let mut l = Lines::default();
    l.field("pods", a.current.to_string(), Role::Text);
    match &a.next {
        Ok((n, why)) => l.field("next", format!("{n}: {why}"), Role::Text),
        Err(why) => l.field("next", format!("not known: {why}"), Role::Stale),
    };
    l.head(&format!("The last day, replayed ({:.1} h of it were measured)", a.hours));
    match &a.ran {
        Err(why) => {
            l.text(format!("nothing can be told: {why}"), Role::Stale);
        }
        Ok(all) => {
            let present = all.first();
            for ran in all.iter() {
                let better =
                    present.is_some_and(|p| ran.short_minutes < p.short_minutes && ran.pod_hours <= p.pod_hours);
                let text = format!(
                    "{:.1} pod hours, {} short, {} changes, at most {} pods",
                    ran.pod_hours,
                    minutes(ran),
                    ran.changes,
                    ran.most
                );
                let role = if better { Role::Good } else { Role::Text };
                l.item("-", vec![(format!("{}: ", ran.settings), Role::Muted), (text, role)]);
            }
        }
    }
    l.head("How it is told");
    l.text(
        "The controller's own algorithm over the recorded use of CPU. Short: more was used than the ready pods request. A new pod \
         serves after 30 s. Where use was cut off at a limit, more would have been asked for than is told.",
        Role::Muted,
    );
    if let Some(made) = world.sizings.made {
        l.field("made", format!("{} ago", age(ctx.now, made)), Role::Muted);
    }
    l
}
