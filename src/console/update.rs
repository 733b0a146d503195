//! What a message changes, and what must happen outside because of it. Pure: no I/O, no clock.

use super::app::{Model, Msg, outside};
use super::command::{CommandId, Danger, Scope};
use super::effect::{Effect, Prompt, Purpose};
use super::keys::Found;
use super::layers::expression::Expression;
use super::layers::menu::Menu;
use super::layers::prompt::PromptLayer;
use super::layers::question::QuestionLayer;
use super::layers::text::Text;
use super::layers::{Env, Press, Reply};
use super::shell;
use crate::autopilot::world::{Detail, Level, Message, World};
use crate::config::chord::Chord;
use crate::model::plan::Risk;
use crate::model::text::clean;
use crate::model::time::Timestamp;
use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use std::sync::Arc;

/// An effect may lead to others; more than this in a row is a circle.
const DEPTH: usize = 8;

/// Longest paste that is taken, in characters.
const PASTE: usize = 4096;

/// Works a message in and gives the effects that only the outside can carry out, in order.
pub fn update(model: &mut Model, msg: Msg, now: Timestamp) -> Vec<Effect> {
    model.now = now;
    let covered = !model.layers.is_empty();
    let mut out = Vec::new();
    match msg {
        Msg::Key(event) => key(model, event, &mut out),
        Msg::Paste(text) => paste(model, &text, &mut out),
        Msg::Resize(width, height) => {
            model.size = (width, height);
            model.dirty = true;
        }
        Msg::World(world) => {
            if world.alerts > model.world.alerts && model.look.bell {
                out.push(Effect::Bell);
            }
            take(model, world);
        }
        Msg::Answer(Ok(text)) => model.note(Level::Info, &text),
        Msg::Answer(Err(why)) => model.note(Level::Error, &why),
        Msg::Fetched { detail, text: Ok(text) } => fetched(model, detail, &text),
        // The reason names the object; said twice, it would push the rest of it out of the line.
        Msg::Fetched { text: Err(why), .. } => model.note(Level::Error, &why),
        Msg::Path(trace, path) => {
            for pane in &mut model.panes {
                pane.path(&trace, &path);
            }
            model.dirty = true;
        }
        Msg::Answered(query, answer) => {
            let Model { panes, world, look, now, layers, .. } = model;
            let ctx = super::pane::Ctx { world, theme: &look.theme, now: *now, focused: layers.is_empty() };
            for pane in panes {
                pane.answered(&query, &answer, &ctx);
            }
            model.dirty = true;
        }
        Msg::Words(words) => {
            model.words.learn(words);
            model.dirty = true;
        }
        Msg::Look(Ok(look)) => {
            model.set_look(*look);
        }
        Msg::Look(Err(why)) => {
            // Every problem goes to the history; the first is shown, by the file's name alone to fit the line.
            for line in why.lines().rev() {
                model.note(Level::Error, line);
            }
            let first = why.lines().next().unwrap_or_default();
            let (path, rest) = first.split_once(": ").unwrap_or(("", first));
            let name = path.rsplit('/').next().unwrap_or_default();
            let text = format!("not taken: {name}: {rest}");
            model.show(Message { at: model.now, level: Level::Error, text: clean(&text).into() });
        }
        Msg::Note(level, text) => model.note(level, &text),
        Msg::Tick => {
            if model.flash.as_ref().is_some_and(|(_, until)| *until <= now) {
                model.flash = None;
            }
            model.dirty = true;
        }
        Msg::Repaint => out.push(Effect::Repaint),
        Msg::End => {
            model.layers.clear();
            model.typed.clear();
            model.ending = true;
            out.push(Effect::Quit);
        }
    }
    if covered == model.layers.is_empty() {
        // The pane got or lost the focus to a layer.
        model.sync();
    }
    out
}

/// A command typed as a word, with all the checks that a key has.
pub fn word(model: &mut Model, effect: Effect, now: Timestamp) -> Vec<Effect> {
    model.now = now;
    let mut out = Vec::new();
    apply(model, vec![effect], 0, &mut out);
    model.sync();
    out
}

/// A line typed as the answer to the layer on top.
pub fn answer(model: &mut Model, line: &str, now: Timestamp) -> Vec<Effect> {
    model.now = now;
    let mut out = Vec::new();
    let Some(mut layer) = model.layers.pop() else { return out };
    match layer.answer(line) {
        Reply::Close(effects) => apply(model, effects, 0, &mut out),
        Reply::Stay(effects) => {
            model.layers.push(layer);
            apply(model, effects, 0, &mut out);
        }
        Reply::Ignored => model.layers.push(layer),
    }
    model.sync();
    out
}

/// A text that was asked for: it replaces the open one that it is a newer reading of, else it opens.
fn fetched(model: &mut Model, detail: Detail, text: &str) {
    model.dirty = true;
    let env = Env { keymap: &model.look.keymap, theme: &model.look.theme, size: model.size, words: &model.words };
    if model.layers.iter_mut().any(|layer| layer.read_again(&detail, text, model.now, &env)) {
        return;
    }
    let layer = Text::fetched(detail, text, model.now, &env);
    // Nothing pops up under the fingers: what is open stays on top, the text waits beneath it.
    if model.layers.is_empty() {
        push(model, layer);
    } else {
        model.layers.insert(0, Box::new(layer));
        model.note(Level::Info, "what you asked for is open beneath this");
    }
}

fn push(model: &mut Model, layer: impl super::layers::Layer + 'static) {
    model.layers.push(Box::new(layer));
    model.typed.clear();
    model.dirty = true;
}

/// A new world: shown at once; if what is under the cursor is another thing now, approvals wait a moment.
fn take(model: &mut Model, world: Arc<World>) {
    let newest = world.messages.first().filter(|m| model.world.messages.first() != Some(m)).cloned();
    let before = model.pane().copy();
    model.world = world;
    model.sync();
    if model.pane().copy() != before {
        model.held.moved(model.now);
    }
    if let Some(message) = newest {
        model.show(message);
    }
    model.dirty = true;
}

fn key(model: &mut Model, event: KeyEvent, out: &mut Vec<Effect>) {
    if event.kind == KeyEventKind::Release {
        return;
    }
    let chord = Chord::of(&event);
    let held = model.held.press(chord, model.now) || event.kind == KeyEventKind::Repeat;
    model.dirty = true;
    model.offer = false;
    if model.size.0 < super::view::LEAST.0 || model.size.1 < super::view::LEAST.1 {
        // Nothing can be seen, so nothing can be meant, except to leave.
        if matches!(chord.code, KeyCode::Char('q' | 'c')) {
            out.push(Effect::Quit);
        }
        return;
    }
    if !model.layers.is_empty() {
        let press = Press { chord, event, held };
        layer_key(model, &press, out);
        return;
    }
    model.typed.push(chord);
    match model.look.keymap.find(model.pane_id(), &model.typed) {
        Found::Prefix(_) => {}
        Found::Nothing => {
            // Escape leaves an unfinished sequence; it must not also step out of the pane.
            model.typed.clear();
        }
        Found::Command(id) => {
            model.typed.clear();
            if id.spec().danger == Danger::Control && held {
                model.note(Level::Warning, "ignored: the key was held down; let go and press it again");
            } else {
                run(model, id, 0, out);
            }
        }
    }
}

fn layer_key(model: &mut Model, press: &Press, out: &mut Vec<Effect>) {
    let Some(mut layer) = model.layers.pop() else { return };
    let reply = layer.key(press, &model.env());
    match reply {
        Reply::Close(effects) => apply(model, effects, 0, out),
        Reply::Stay(effects) => {
            model.layers.push(layer);
            apply(model, effects, 0, out);
        }
        Reply::Ignored => {
            model.layers.push(layer);
            let control = press.chord.modifiers == KeyModifiers::CONTROL;
            match press.chord.code {
                KeyCode::Char('l') if control => out.push(Effect::Repaint),
                KeyCode::Char('z') if control => out.push(Effect::Suspend),
                _ => {}
            }
        }
    }
}

/// Pasted text goes into an input or nowhere; it is never taken for keys.
fn paste(model: &mut Model, text: &str, out: &mut Vec<Effect>) {
    model.dirty = true;
    let text: String = clean(text).chars().take(PASTE).collect();
    let Some(mut layer) = model.layers.pop() else {
        model.note(Level::Warning, "pasted text was ignored: open a prompt first, such as / or :");
        return;
    };
    let reply = layer.paste(text.trim());
    model.layers.push(layer);
    match reply {
        Reply::Stay(effects) | Reply::Close(effects) => apply(model, effects, 0, out),
        Reply::Ignored => model.note(Level::Warning, "pasted text was ignored: nothing here takes it"),
    }
}

/// Runs a command with all its checks.
fn run(model: &mut Model, id: CommandId, depth: usize, out: &mut Vec<Effect>) {
    let spec = id.spec();
    if spec.danger == Danger::Control && spec.scope != Scope::Global && model.held.just_moved(model.now) {
        model.note(Level::Warning, "ignored: what is under the cursor has just changed; look and press again");
        return;
    }
    if let Some(why) = model.why_not(id) {
        model.note(Level::Warning, &format!("{}: {why}", spec.title));
        return;
    }
    let effects = match (spec.scope, id) {
        (Scope::Global, _) => shell::run(model, id),
        (_, CommandId::Filter) => vec![Effect::Prompt(Prompt {
            label: "filter: ".into(),
            initial: model.pane().filter().to_owned(),
            purpose: Purpose::Filter,
        })],
        (_, CommandId::Copy) => model.pane().copy().map(Effect::Copy).into_iter().collect(),
        _ => model.with_pane(|pane, ctx| pane.run(id, ctx)),
    };
    apply(model, effects, depth + 1, out);
}

/// Carries out what the model can; the rest goes to `out`.
fn apply(model: &mut Model, effects: Vec<Effect>, depth: usize, out: &mut Vec<Effect>) {
    if depth > DEPTH {
        return;
    }
    model.dirty = true;
    for effect in effects {
        match effect {
            effect if outside(&effect) => {
                if let Effect::Quit = effect {
                    model.ending = true;
                }
                out.push(effect);
            }
            Effect::Ask(question) if question.risk == Risk::Low => apply(model, vec![*question.then], depth + 1, out),
            Effect::Ask(question) => push(model, QuestionLayer::new(question)),
            Effect::Prompt(prompt) => push(model, PromptLayer::new(prompt)),
            Effect::Expression { initial, history } => push(model, Expression::new(&initial, history)),
            Effect::Menu { title, items, at } => push(model, Menu::new(title, items, at)),
            Effect::Show { title, text } => push(model, Text::prose(title, &text)),
            Effect::Go(pane, target) => {
                model.go(pane);
                if let Some(target) = target
                    && !model.with_pane(|pane, ctx| pane.go(&target, ctx))
                {
                    model.note(Level::Warning, "it is not there any more");
                }
            }
            Effect::Note(level, text) => model.note(level, &text),
            Effect::Run(id) => run(model, id, depth + 1, out),
            Effect::Filter(filter) => {
                model.with_pane(|pane, ctx| {
                    pane.set_filter(filter, ctx);
                    pane.sync(ctx);
                });
            }
            Effect::Search(words) => {
                if let Some(layer) = model.layers.last_mut() {
                    layer.search(&words);
                }
            }
            Effect::Back => {
                model.layers.pop();
            }
            _ => {}
        }
    }
}
