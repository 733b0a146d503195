//! The overview's parts beside the findings: state of the cluster, mode, step mode, SLOs, sources, actions.

use super::super::health::{Tally, pods_known};
use super::super::show;
use crate::autopilot::world::{Link, World};
use crate::config::settings::Slo;
use crate::console::pane::Ctx;
use crate::console::theme::{Role, Theme};
use crate::console::widgets::lines::{Lines, Piece};
use crate::console::widgets::text::{Chip, fit, put_line, rule, width};
use crate::model::action::Means;
use crate::model::authority::{LeaseView, Rung};
use crate::model::mode::{Mode, PhaseName};
use crate::model::reading::Reading;
use crate::model::snapshot::{SloReadings, SourceState};
use crate::model::time::{Timestamp, age, short};
use chrono::TimeDelta;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// Said where there are no findings: never "all good" when that cannot be told.
pub fn nothing_found(world: &World, filtered: bool) -> String {
    if filtered {
        return "no finding matches the filter".into();
    }
    match (&world.link, world.last_round) {
        (Link::Connecting { context }, _) => format!("connecting to {context}: nothing is known yet"),
        (Link::Broken { why, .. }, _) => format!("not connected: {why}"),
        (Link::Replay { .. }, _) => "nothing was found at this time".into(),
        (Link::Connected, None) => "no round of the loop has finished yet".into(),
        (Link::Connected, Some(_)) if world.mode == Mode::Step && !analyzed(world) => {
            "nothing was analyzed yet: each phase waits for your step".into()
        }
        (Link::Connected, Some(_)) if !pods_known(world) => {
            "nothing found, but pods cannot be read: this does not mean that all is well".into()
        }
        (Link::Connected, Some(_)) => "nothing is wrong in what can be seen".into(),
    }
}

/// Whether step mode came past the analysis of its present round.
fn analyzed(world: &World) -> bool {
    world.step.products.iter().any(|p| p.phase == PhaseName::Analyze)
}

/// The lines at the top: the cluster's health and what automation may do.
pub fn status(world: &World, t: &Tally, ctx: &Ctx, with_sources: bool) -> Vec<Chip> {
    let g = &ctx.theme.glyphs;
    let mut chips = mode(world);
    let s = &world.snapshot;
    if let Some(names) = &s.cluster.namespaces {
        // Else the numbers that follow would be taken for those of the whole cluster.
        chips.push(vec![(show::only(names), Role::Warning)]);
    }
    let share = |name: &str, good: usize, all: usize, word: &str, known: bool| -> Chip {
        if !known {
            return vec![(format!("{} ", g.unknown), Role::Stale), (format!("{name} cannot be told"), Role::Stale)];
        }
        let (glyph, role) = if good == all { (g.good, Role::Good) } else { (g.warning, Role::Warning) };
        vec![(format!("{glyph} "), role), (format!("{name} {good}/{all} {word}"), Role::Text)]
    };
    let (glyph, words, role) = show::source(&s.api.state, ctx.now, g);
    chips.push(match (s.api.latency_ms, &s.api.state) {
        (Some(ms), SourceState::Live { .. }) if role == Role::Good => {
            let slow = ms > crate::config::settings::Guard::default().api_latency_ms;
            let (glyph, role) = if slow { (g.warning, Role::Warning) } else { (glyph, role) };
            vec![(format!("{glyph} "), role), (format!("API {ms:.0} ms"), Role::Text)]
        }
        _ => vec![(format!("{glyph} "), role), (format!("API {words}"), role)],
    });
    let nodes_known = s.source("nodes").last().is_some();
    chips.push(share("nodes", t.nodes_ready, t.nodes, "ready", nodes_known));
    let known = pods_known(world);
    chips.push(share("workloads", t.healthy, t.workloads, "healthy", known));
    if known {
        chips.push(pods(t));
    }
    let m = &s.metrics;
    let (glyph, words, role) = show::source(&m.state, ctx.now, g);
    let missing = m.profile.as_ref().map_or(0, |p| p.missing.len());
    let mut prometheus = vec![(format!("{glyph} "), role)];
    prometheus.push((format!("Prometheus {words}"), if role == Role::Good { Role::Text } else { role }));
    if missing > 0 {
        prometheus
            .push((format!(", lacks {missing} kind{} of series", if missing == 1 { "" } else { "s" }), Role::Warning));
    }
    chips.push(prometheus);
    if with_sources {
        chips.extend(source_summary(world, ctx));
    }
    chips.extend(healings(world));
    chips
}

/// How soon trouble was found and over, where kansole healed it, with the number of healings that rests on.
fn healings(world: &World) -> Option<Chip> {
    let means = Means::of(world.queue.iter().map(|i| &**i));
    let words = |name: &str, mean: Option<(TimeDelta, usize)>| {
        mean.map(|(time, n)| format!("{name} {} (mean of {n})", short(time)))
    };
    let told: Vec<String> = [words("MTTD", means.detect), words("MTTR", means.recover)].into_iter().flatten().collect();
    (!told.is_empty()).then(|| vec![("healings ".to_owned(), Role::Muted), (told.join(", "), Role::Text)])
}

fn pods(t: &Tally) -> Chip {
    let mut chip = vec![("pods".to_owned(), Role::Text)];
    for (n, word, role) in [
        (t.failing, "failing", Role::Bad),
        (t.unready, "not ready", Role::Warning),
        (t.pending, "pending", Role::Warning),
        (t.leaving, "terminating", Role::Muted),
        (t.ready, "ready", Role::Text),
        (t.done, "completed", Role::Muted),
    ] {
        if n > 0 {
            chip.push((format!(" {n} {word}"), role));
        }
    }
    if chip.len() == 1 {
        chip.push((" none".into(), Role::Muted));
    }
    chip
}

fn source_summary(world: &World, ctx: &Ctx) -> Option<Chip> {
    let bad: Vec<&str> =
        world.snapshot.sources.iter().filter(|s| show::troubled(&s.state, ctx.now)).map(|s| &*s.name).collect();
    (!bad.is_empty()).then(|| {
        vec![
            (format!("{} ", ctx.theme.glyphs.warning), Role::Warning),
            (format!("no live data: {}", bad.join(", ")), Role::Warning),
        ]
    })
}

/// Who may act alone, and until when: the Lease, the next confirmation, and what is trusted less than it was.
fn authority(world: &World) -> Vec<Chip> {
    let b = &world.brakes;
    let mut chips: Vec<Chip> = Vec::new();
    let running = world.mode == Mode::Auto && !b.paused;
    match &b.lease {
        LeaseView::Mine { .. } => chips.push(vec![("Lease ".into(), Role::Muted), ("held here".into(), Role::Good)]),
        LeaseView::Other { holder } => {
            chips.push(vec![("auto runs elsewhere: ".into(), Role::Warning), (holder.to_string(), Role::Text)]);
        }
        other if running => chips.push(vec![("Lease: ".into(), Role::Warning), (other.to_string(), Role::Text)]),
        _ => {}
    }
    if let Some(by) = b.confirm_by.filter(|_| running) {
        let until = format!("{} UTC", by.format("%d %b %H:%M"));
        chips.push(vec![("confirm by ".into(), Role::Muted), (until, Role::Text)]);
    }
    for s in world.ladder.iter().filter(|s| s.rung < Rung::Canary) {
        let place = if s.namespace.is_empty() { String::new() } else { format!(" in {}", s.namespace) };
        let what = format!("{} by {}{place}: {} ", s.engine, s.action, s.rung);
        chips.push(vec![(what, Role::Warning), (s.why.clone(), Role::Text)]);
    }
    chips
}

/// Mode and brakes in words: first what stops everything.
fn mode(world: &World) -> Vec<Chip> {
    let mut chips: Vec<Chip> = Vec::new();
    match &world.link {
        Link::Connected => {}
        Link::Replay { of, .. } => {
            chips.push(vec![
                ("REPLAY ".into(), Role::ModeObserve),
                (format!("{of}: the past, from the journal"), Role::Text),
            ]);
        }
        Link::Connecting { context } => chips.push(vec![(format!("connecting to {context}"), Role::Warning)]),
        Link::Broken { why, retry } => {
            let again =
                retry.map_or_else(|| "no retry by itself".into(), |t| format!("next try at {}", t.format("%T UTC")));
            chips.push(vec![("NOT CONNECTED ".into(), Role::Critical), (format!("{why}; {again}"), Role::Bad)]);
        }
    }
    let b = &world.brakes;
    if let Some(by) = &b.killed {
        chips.push(vec![(" KILLED ".into(), Role::ModeKilled), (format!(" nothing is written: {by}"), Role::Bad)]);
    }
    if let Some(why) = &b.read_only {
        chips.push(vec![("READ-ONLY ".into(), Role::ModeObserve), (why.to_string(), Role::Text)]);
    }
    let (role, words) = match world.mode {
        Mode::Observe => (Role::ModeObserve, "looks and explains, proposes nothing"),
        Mode::Manual => (Role::ModeManual, "every action waits for your approval"),
        Mode::Step => (Role::ModeStep, "you advance each phase and approve each action"),
        Mode::Auto if b.paused => (Role::ModeAuto, "paused: approves nothing until you resume it"),
        Mode::Auto => (Role::ModeAuto, "approves by itself inside the guardrails"),
    };
    chips.push(vec![(format!("{} ", world.mode.as_str().to_uppercase()), role), (words.into(), Role::Text)]);
    if let Some(why) = &b.held {
        chips.push(vec![("held back: ".into(), Role::Warning), (why.to_string(), Role::Text)]);
    }
    chips.extend(authority(world));
    let (pending, flight) = (world.pending(), world.queue.iter().filter(|i| i.state.in_flight()).count());
    if pending > 0 {
        let noun = if pending == 1 { "proposal waits" } else { "proposals wait" };
        chips.push(vec![(format!("{pending} {noun}"), Role::Key)]);
    }
    if flight > 0 {
        chips.push(vec![(format!("{flight} under way"), Role::Key)]);
    }
    chips
}

/// What the next phase of step mode will do.
fn next_words(world: &World) -> String {
    match world.step.next {
        PhaseName::Monitor => "takes a new picture of the cluster and its metrics".into(),
        PhaseName::Analyze => "looks for faults in that picture".into(),
        PhaseName::Plan => format!("makes proposals for {} findings", world.findings.len()),
        PhaseName::Execute => {
            let approved = world.queue.iter().filter(|i| i.state.word() == "approved").count();
            format!("runs the {approved} approved, checks what is under way")
        }
    }
}

/// Step mode: what comes next, and what each phase of this round produced, newest first and in full. Returns lines used.
pub fn step(buf: &mut Buffer, area: Rect, ctx: &Ctx, world: &World) -> u16 {
    let s = &world.step;
    let mut lines: Vec<Vec<Piece>> = vec![vec![
        ("next ".into(), Role::Muted),
        (format!(" {} ", s.next.as_str().to_uppercase()), Role::ModeStep),
        (format!(" {}", next_words(world)), Role::Text),
    ]];
    // Whatever the newest phase produced, a line of each phase before it stays on the screen.
    let room = (area.height as usize).saturating_sub(2 + s.products.len().saturating_sub(1)).max(1);
    for (n, p) in s.products.iter().rev().enumerate() {
        let shown = p.lines.len().clamp(1, if n == 0 { room } else { 1 });
        let hidden = p.lines.len().saturating_sub(shown);
        let more = if hidden > 0 { format!("{hidden} more, ") } else { String::new() };
        let first = p.lines.first().map_or("nothing", String::as_str);
        let note = format!("  ({more}{:.0} ms, {} ago)", p.took_ms, age(ctx.now, p.at));
        lines.push(vec![
            (format!("{:<8} ", p.phase.as_str()), Role::Title),
            (first.to_owned(), Role::Text),
            (note, Role::Muted),
        ]);
        lines.extend(p.lines.iter().take(shown).skip(1).map(|l| vec![(format!("         {l}"), Role::Text)]));
    }
    let height = (lines.len() as u16 + 1).min(area.height);
    let title = format!("Step by step, round {}", s.round + 1);
    section(buf, ctx, Rect { height, ..area }, &title, "waits for your next step", lines);
    height
}

/// SLOs, sources and actions one below the other.
pub fn column(buf: &mut Buffer, area: Rect, ctx: &Ctx, world: &World) {
    let (slos, sources) = (slos(world, ctx, area.width), sources(world, ctx, area.width));
    let slo_h = (slos.len() as u16 + 1).min(area.height / 3);
    let source_h = (sources.len() as u16 + 1).min(area.height / 2);
    section(buf, ctx, Rect { height: slo_h, ..area }, "SLOs", "", slos);
    let y = area.y + slo_h;
    section(buf, ctx, Rect { y, height: source_h, ..area }, "Sources", "", sources);
    let y = y + source_h;
    section(buf, ctx, Rect { y, height: area.bottom() - y, ..area }, "Last actions", "", actions(world, ctx));
}

/// SLOs beside sources, as high as they need to be, and below them the actions over the whole width.
pub fn columns(buf: &mut Buffer, area: Rect, ctx: &Ctx, world: &World) {
    let left = Rect { width: area.width / 2, ..area };
    let right = Rect { x: left.right() + 1, width: area.width - left.width - 1, ..area };
    let (slos, sources) = (slos(world, ctx, left.width), sources(world, ctx, right.width));
    let actions = actions(world, ctx);
    let most = area.height.saturating_sub((actions.len() as u16 + 1).min(3)).max(2);
    let height = (slos.len().max(sources.len()) as u16 + 1).min(most);
    section(buf, ctx, Rect { height, ..left }, "SLOs", "", slos);
    section(buf, ctx, Rect { height, ..right }, "Sources", "", sources);
    let below = Rect { y: area.y + height, height: area.height.saturating_sub(height), ..area };
    section(buf, ctx, below, "Last actions", "", actions);
}

fn section(buf: &mut Buffer, ctx: &Ctx, area: Rect, title: &str, note: &str, mut lines: Vec<Vec<Piece>>) {
    if area.height == 0 {
        return;
    }
    rule(buf, ctx.theme, area, title, note, false);
    let room = area.height as usize - 1;
    if lines.len() > room && room > 0 {
        let hidden = lines.len() - room + 1;
        lines.truncate(room - 1);
        lines.push(vec![(format!("{} {hidden} more", ctx.theme.glyphs.ellipsis), Role::Muted)]);
    }
    for (i, line) in lines.iter().take(room).enumerate() {
        let at = Rect { x: area.x + 1, y: area.y + 1 + i as u16, width: area.width.saturating_sub(2), height: 1 };
        put_line(buf, ctx.theme, at, line);
    }
}

fn pad(text: &str, columns: usize, theme: &Theme) -> String {
    let text = fit(text, columns, theme.glyphs.ellipsis);
    format!("{text}{}", " ".repeat(columns.saturating_sub(width(&text))))
}

fn slos(world: &World, ctx: &Ctx, columns: u16) -> Vec<Vec<Piece>> {
    let mut lines = Lines::default();
    if world.slos.is_empty() {
        lines.text("none configured", Role::Muted);
    }
    let readings = &world.snapshot.metrics.slos;
    for slo in &*world.slos {
        let found = readings.iter().find(|r| *r.name == *slo.name);
        lines.add(2, slo_line(slo, found, ctx, columns >= 60));
    }
    lines.wrap(columns.saturating_sub(2))
}

/// Burn over one hour and the budget that is left; where one cannot be told, the reason.
fn slo_line(slo: &Slo, readings: Option<&SloReadings>, ctx: &Ctx, wide: bool) -> Vec<Piece> {
    let mut line = vec![(pad(&slo.name, if wide { 18 } else { 15 }, ctx.theme), Role::Text)];
    if wide {
        line.push((format!(" {:>7}", show::percent(slo.objective)), Role::Muted));
    }
    let allowed = 1.0 - slo.objective;
    let cannot = |why: &str| (format!(" cannot tell: {why}"), Role::Stale);
    let Some(r) = readings else {
        line.push(cannot("not measured yet"));
        return line;
    };
    if allowed <= 0.0 {
        line.push(cannot("an objective of 100% has no budget"));
        return line;
    }
    let Some(bad) = r.bad[2].fresh() else {
        line.push(cannot(&why_missing(&r.bad[2], ctx)));
        return line;
    };
    let burn = bad / allowed;
    let role = match burn {
        b if b >= 6.0 => Role::Bad,
        b if b >= 1.0 => Role::Warning,
        _ => Role::Good,
    };
    line.push((format!(" burn {burn:.1}x"), role));
    let (period, seconds) = &r.period;
    line.push(match period.fresh() {
        Some(bad) => {
            let (spent, period) = (bad / allowed, short(TimeDelta::seconds(*seconds as i64)));
            // Far below nothing is no share of anything.
            if spent >= 1.0 {
                (format!(" spent {spent:.0}x/{period}"), Role::Bad)
            } else {
                (format!(" left {:.0}%/{period}", (1.0 - spent) * 100.0), Role::Text)
            }
        }
        None => (format!(" left ? {}", why_missing(period, ctx)), Role::Stale),
    });
    line
}

fn why_missing(reading: &Reading, ctx: &Ctx) -> String {
    match reading {
        Reading::Absent => "no such series".into(),
        Reading::Failed { why } => why.to_string(),
        Reading::Stale { at, .. } => format!("data {} old", age(ctx.now, *at)),
        Reading::Value { .. } | Reading::Zero { .. } => String::new(),
    }
}

/// Sources that are not simply live, each with its whole reason; the others in one line with the oldest age.
fn sources(world: &World, ctx: &Ctx, columns: u16) -> Vec<Vec<Piece>> {
    let s = &world.snapshot;
    let g = &ctx.theme.glyphs;
    let extra = [("api server", &s.api.state), ("prometheus", &s.metrics.state)];
    let mut lines = Lines::default();
    let (mut live, mut off): (Vec<Timestamp>, Vec<&str>) = (Vec::new(), Vec::new());
    let mut others: Vec<(&str, &SourceState)> = Vec::new();
    for (name, state) in extra.into_iter().chain(s.sources.iter().map(|x| (&*x.name, &x.state))) {
        match state {
            SourceState::NotServed => off.push(name),
            SourceState::Live { last } if !show::troubled(state, ctx.now) => live.push(*last),
            _ => others.push((name, state)),
        }
    }
    for (name, glyph, words, role) in show::sources(others, ctx.now, g) {
        lines.add(2, vec![(format!("{glyph} "), role), (format!("{name} "), Role::Text), (words, role)]);
    }
    if let Some(oldest) = live.iter().min() {
        let words = format!("{} live, oldest {} ago", live.len(), age(ctx.now, *oldest));
        lines.add(2, vec![(format!("{} ", g.good), Role::Good), (words, Role::Text)]);
    }
    if !off.is_empty() {
        let words = format!("off or not served: {}", off.join(", "));
        lines.add(2, vec![(format!("{} ", g.unknown), Role::Muted), (words, Role::Muted)]);
    }
    lines.wrap(columns.saturating_sub(2))
}

/// The last actions that were decided or are under way, newest first.
fn actions(world: &World, ctx: &Ctx) -> Vec<Vec<Piece>> {
    let when = |i: &crate::model::action::QueueItem| i.story.last().map_or(i.proposal.created, |m| m.at);
    let mut items: Vec<_> = world.queue.iter().filter(|i| !i.pending()).collect();
    items.sort_by_key(|i| std::cmp::Reverse(when(i)));
    if items.is_empty() {
        return vec![vec![("none yet".into(), Role::Muted)]];
    }
    items
        .into_iter()
        .take(20)
        .map(|i| {
            let state = i.state.word();
            vec![
                (format!("{:>5} ", age(ctx.now, when(i))), Role::Muted),
                (pad(state, 11, ctx.theme), super::super::actions::state_role(&i.state)),
                (format!(" {}", i.proposal.title), Role::Text),
            ]
        })
        .collect()
}
