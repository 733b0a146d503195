//! Commands that belong to no pane: modes, brakes, contexts, help, messages, leaving.

use super::app::Model;
use super::command::{COMMANDS, CommandId, Danger, PaneId};
use super::effect::{Effect, Prompt, Purpose, Question};
use super::keyref;
use super::layers::palette::{Entry, Palette};
use super::layers::tour::Tour;
use crate::autopilot::world::{Command, Level, Link};
use crate::model::mode::Mode;
use crate::model::plan::Risk;
use crate::model::time::age;

/// Why a global command cannot run now.
pub fn why_not(model: &Model, id: CommandId) -> Option<String> {
    let world = &model.world;
    match id {
        CommandId::Overview
        | CommandId::Workloads
        | CommandId::Metrics
        | CommandId::Actions
        | CommandId::Journal
        | CommandId::Predictions
        | CommandId::Traces
        | CommandId::Map
        | CommandId::Promql => {
            let name = id.spec().name;
            (!model.panes.iter().any(|p| p.id().as_str() == name)).then(|| "this console has no such pane".to_owned())
        }
        CommandId::Scenarios | CommandId::Tour if model.demo.is_none() => Some("only in kansole demo".to_owned()),
        CommandId::Confirm if world.mode != Mode::Auto || world.brakes.paused => Some("auto is not running".to_owned()),
        CommandId::Pause if world.mode != Mode::Auto => Some(format!("the mode is {}, not auto", world.mode)),
        CommandId::Step if world.mode != Mode::Step => Some(format!("the mode is {}, not step", world.mode)),
        CommandId::Contexts if world.contexts.is_empty() => Some("the kubeconfig has no contexts".to_owned()),
        CommandId::Refresh | CommandId::Namespaces if !matches!(world.link, Link::Connected) => {
            Some("not connected".to_owned())
        }
        _ => read_only(model, id),
    }
}

/// Why nothing that leads to a write can run. Rejecting and the kill switch are always possible.
pub fn read_only(model: &Model, id: CommandId) -> Option<String> {
    let writes = id.spec().danger == Danger::Control && !matches!(id, CommandId::Kill | CommandId::Reject);
    model.world.brakes.read_only.as_ref().filter(|_| writes).map(|why| format!("read-only: {why}"))
}

/// Runs a global command.
pub fn run(model: &mut Model, id: CommandId) -> Vec<Effect> {
    match id {
        CommandId::Quit => quit(model),
        CommandId::Help => vec![Effect::Show {
            title: format!("keys · {}", model.pane_id().as_str()),
            text: keyref::pane_text(model),
        }],
        CommandId::Palette => {
            let palette = Palette::new(entries(model));
            model.layers.push(Box::new(palette));
            Vec::new()
        }
        CommandId::Overview => go(PaneId::Overview),
        CommandId::Workloads => go(PaneId::Workloads),
        CommandId::Metrics => go(PaneId::Metrics),
        CommandId::Actions => go(PaneId::Actions),
        CommandId::Journal => go(PaneId::Journal),
        CommandId::Predictions => go(PaneId::Predictions),
        CommandId::Traces => go(PaneId::Traces),
        CommandId::Map => go(PaneId::Map),
        CommandId::Promql => go(PaneId::Promql),
        CommandId::NextPane => go(model.panes[(model.focus + 1) % model.panes.len()].id()),
        CommandId::PreviousPane => go(model.panes[(model.focus + model.panes.len() - 1) % model.panes.len()].id()),
        CommandId::Back => back(model),
        CommandId::Refresh => vec![Effect::Send(Command::Refresh)],
        CommandId::Repaint => vec![Effect::Repaint],
        CommandId::Suspend => vec![Effect::Suspend],
        CommandId::Messages => vec![Effect::Show { title: "messages".into(), text: messages(model) }],
        CommandId::Contexts => contexts(model),
        CommandId::Namespaces => vec![Effect::Prompt(Prompt {
            label: "namespaces, separated by commas (empty: all): ".into(),
            initial: model.world.snapshot.cluster.namespaces.as_ref().map_or_else(String::new, |n| n.join(", ")),
            purpose: Purpose::Namespaces,
        })],
        CommandId::Mode => modes(model),
        CommandId::Pause => pause(model),
        CommandId::Confirm => vec![Effect::Send(Command::Confirm)],
        CommandId::Kill => kill(model),
        CommandId::Step => vec![Effect::Send(Command::Step)],
        CommandId::Scenarios => scenarios(model),
        CommandId::Tour => {
            model.layers.push(Box::new(Tour::default()));
            go(Tour::FIRST)
        }
        CommandId::Themes => {
            let items = model.look.themes.iter().map(|t| (t.clone(), Effect::Theme(t.clone()))).collect();
            let at = model.look.themes.iter().position(|t| *t == model.look.theme.name).unwrap_or(0);
            vec![Effect::Menu { title: "theme".into(), items, at }]
        }
        _ => Vec::new(),
    }
}

fn go(pane: PaneId) -> Vec<Effect> {
    vec![Effect::Go(pane, None)]
}

/// Escape without a layer: first the filter goes, then the pane steps back.
fn back(model: &mut Model) -> Vec<Effect> {
    if model.pane().filter().is_empty() {
        model.with_pane(|pane, ctx| {
            if pane.why_not(CommandId::Back, ctx).is_none() { pane.run(CommandId::Back, ctx) } else { Vec::new() }
        })
    } else {
        vec![Effect::Filter(String::new())]
    }
}

fn quit(model: &Model) -> Vec<Effect> {
    let under_way = model.world.queue.iter().filter(|i| i.state.in_flight()).count();
    if under_way == 0 || model.ending {
        return vec![Effect::Quit];
    }
    vec![Effect::Ask(Question {
        title: "Leave while actions are under way?".into(),
        body: vec![
            format!("{under_way} under way. What has begun is finished or handed over,"),
            "but nobody judges its effect until kansole runs again.".into(),
        ],
        risk: Risk::Medium,
        typed: None,
        then: Box::new(Effect::Quit),
    })]
}

fn messages(model: &Model) -> String {
    let lines: Vec<String> = model
        .messages()
        .iter()
        .map(|m| {
            let level = match m.level {
                Level::Info => "info   ",
                Level::Warning => "warning",
                Level::Error => "error  ",
            };
            format!("{}  {:>6}  {level}  {}", m.at.format("%H:%M:%S"), age(model.now, m.at), m.text)
        })
        .collect();
    if lines.is_empty() { "nothing yet".into() } else { lines.join("\n") }
}

fn contexts(model: &Model) -> Vec<Effect> {
    let present = &model.world.snapshot.cluster.context;
    let items = model
        .world
        .contexts
        .iter()
        .map(|c| {
            let label = if c == present { format!("{c} (now)") } else { c.to_string() };
            (label, Effect::Send(Command::SwitchContext { context: c.to_string() }))
        })
        .collect();
    let at = model.world.contexts.iter().position(|c| c == present).unwrap_or(0);
    vec![Effect::Menu { title: "context".into(), items, at }]
}

/// The demo's scenarios; the present one is under the cursor. What plays is asked when the menu opens.
fn scenarios(model: &Model) -> Vec<Effect> {
    let Some(demo) = &model.demo else { return Vec::new() };
    let (all, playing) = (demo.scenarios(), demo.playing());
    let width = all.iter().map(|s| s.name.len()).max().unwrap_or(0);
    let mut items: Vec<(String, Effect)> = all
        .iter()
        .map(|s| {
            let now = if s.name == playing.name { "(now)" } else { "" };
            (format!("{:<width$} {now:<6}{}", s.name, s.title), Effect::Play(Some(s.name.clone())))
        })
        .collect();
    let at = all.iter().position(|s| s.name == playing.name).unwrap_or(items.len());
    items.push((
        format!("{:<width$} {:<6}no disturbance; what was changed in the cluster stays", "(none)", ""),
        Effect::Play(None),
    ));
    let title = match &playing.next {
        Some((when, what)) => format!("scenario · next in {}: {what}", age(*when, model.now)),
        None => "scenario".into(),
    };
    vec![Effect::Menu { title, items, at }]
}

fn modes(model: &Model) -> Vec<Effect> {
    let items = Mode::ALL
        .into_iter()
        .map(|mode| {
            let what = match mode {
                Mode::Observe => "looks and explains; proposes nothing",
                Mode::Manual => "proposes; each action needs your approval",
                Mode::Step => "runs the loop phase by phase, at your key",
                Mode::Auto => "approves where opted in; starts paused",
            };
            let now = if mode == model.world.mode { "(now)" } else { "" };
            (format!("{:<8}{now:<6}{what}", mode.as_str()), set_mode(model, mode))
        })
        .collect();
    let at = Mode::ALL.iter().position(|mode| *mode == model.world.mode).unwrap_or(0);
    vec![Effect::Menu { title: "mode".into(), items, at }]
}

/// Auto is asked for by typing the name of the cluster, so that it is not switched on for another one.
fn set_mode(model: &Model, mode: Mode) -> Effect {
    let then = Effect::Send(Command::SetMode { mode });
    if mode != Mode::Auto {
        return then;
    }
    let context = model.world.snapshot.cluster.context.to_string();
    Effect::Ask(Question {
        title: "Switch to auto?".into(),
        body: vec![
            format!("kansole will act by itself on {context}:"),
            "only on workloads that opted in, within the limits of [guard],".into(),
            format!("and only once it is resumed with {}.", model.look.keymap.key(CommandId::Pause)),
        ],
        risk: Risk::High,
        typed: Some(context),
        then: Box::new(then),
    })
}

/// Pausing is one key; resuming is asked.
fn pause(model: &Model) -> Vec<Effect> {
    if !model.world.brakes.paused {
        return vec![Effect::Send(Command::Pause { on: true })];
    }
    vec![Effect::Ask(Question {
        title: "Resume auto?".into(),
        body: vec![format!("Actions on {} will be approved without you.", model.world.snapshot.cluster.context)],
        risk: Risk::Medium,
        typed: None,
        then: Box::new(Effect::Send(Command::Pause { on: false })),
    })]
}

/// Pulling the switch is one key; releasing it is asked.
fn kill(model: &Model) -> Vec<Effect> {
    let Some(why) = &model.world.brakes.killed else { return vec![Effect::Send(Command::Kill { on: true })] };
    vec![Effect::Ask(Question {
        title: "Release the kill switch?".into(),
        body: vec![format!("It is on: {why}."), "Writes become possible again.".into()],
        risk: Risk::Medium,
        typed: None,
        then: Box::new(Effect::Send(Command::Kill { on: false })),
    })]
}

/// What the palette offers: commands of this pane first, then contexts and themes.
pub fn entries(model: &Model) -> Vec<Entry> {
    let pane = model.pane_id();
    let command = |spec: &super::command::CommandSpec| Entry {
        name: spec.name.to_owned(),
        doc: spec.doc.to_owned(),
        key: model.look.keymap.key(spec.id),
        why_not: model.why_not(spec.id),
        then: Effect::Run(spec.id),
    };
    let moves = [CommandId::Up, CommandId::Down, CommandId::PageUp, CommandId::PageDown, CommandId::Palette];
    let mut out: Vec<Entry> =
        COMMANDS.iter().filter(|c| c.scope == super::command::Scope::Pane(pane)).map(command).collect();
    out.extend(
        COMMANDS
            .iter()
            .filter(|c| c.scope.covers(pane) && c.scope != super::command::Scope::Pane(pane) && !moves.contains(&c.id))
            .map(command),
    );
    out.extend(COMMANDS.iter().filter(|c| !c.scope.covers(pane)).map(command));
    // Every other pane has a command of its name; `help` is one that opens a layer.
    out.extend(model.panes.iter().filter(|p| p.id() == PaneId::Help).map(|p| Entry {
        name: "pane help".into(),
        doc: "The whole key reference.".into(),
        key: String::new(),
        why_not: None,
        then: Effect::Go(p.id(), None),
    }));
    out.extend(model.world.contexts.iter().map(|c| Entry {
        name: format!("context {c}"),
        doc: "Connect to this context of the kubeconfig.".into(),
        key: String::new(),
        why_not: (*c == model.world.snapshot.cluster.context).then(|| "it is the present one".to_owned()),
        then: Effect::Send(Command::SwitchContext { context: c.to_string() }),
    }));
    out.extend(model.look.themes.iter().map(|t| Entry {
        name: format!("theme {t}"),
        doc: "Draw with this theme.".into(),
        key: String::new(),
        why_not: None,
        then: Effect::Theme(t.clone()),
    }));
    out
}
