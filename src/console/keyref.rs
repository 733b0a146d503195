//! The key reference, from registry and keymap: for the help layer, `kansole keys` and the docs.

use super::app::Model;
use super::command::{COMMANDS, CommandSpec, Danger, PaneId, Scope};
use super::keys::{Keymap, table};
use std::fmt::Write as _;

/// How the reference is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Format {
    Text,
    Markdown,
    Json,
}

/// Scopes in the order of the reference.
fn scopes() -> impl Iterator<Item = Scope> {
    [Scope::Global, Scope::List].into_iter().chain(PaneId::ALL.into_iter().map(Scope::Pane))
}

fn commands(scope: Scope) -> impl Iterator<Item = &'static CommandSpec> {
    COMMANDS.iter().filter(move |c| c.scope == scope)
}

fn heading(scope: Scope) -> String {
    match scope {
        Scope::Global => "Everywhere".into(),
        Scope::List => "In lists and texts".into(),
        Scope::Pane(pane) => format!("In {}", pane.as_str()),
    }
}

/// The whole reference.
pub fn reference(keymap: &Keymap, format: Format) -> String {
    match format {
        Format::Json => json(keymap),
        Format::Text | Format::Markdown => {
            let mut out = String::new();
            for scope in scopes().filter(|s| commands(*s).next().is_some()) {
                if format == Format::Markdown {
                    let _ = write!(out, "## {}\n\n| Key | Command | What it does |\n|---|---|---|\n", heading(scope));
                } else {
                    let _ = writeln!(out, "{}", heading(scope));
                }
                for c in commands(scope) {
                    let keys = keymap.keys(c.id);
                    if format == Format::Markdown {
                        let keys: Vec<String> = keys.iter().map(|k| format!("`{}`", k.replace('|', "\\|"))).collect();
                        let _ = writeln!(out, "| {} | `{}` | {} |", keys.join(", "), c.name, c.doc);
                    } else {
                        let _ = writeln!(out, "  {:<20} {:<16} {}", keys.join(", "), c.name, c.doc);
                    }
                }
                out.push('\n');
            }
            out.truncate(out.trim_end().len());
            out.push('\n');
            out
        }
    }
}

fn json(keymap: &Keymap) -> String {
    let all: Vec<_> = scopes()
        .flat_map(|scope| {
            commands(scope).map(move |c| {
                serde_json::json!({
                    "command": c.name,
                    "table": table(scope),
                    "keys": keymap.keys(c.id),
                    "title": c.title,
                    "doc": c.doc,
                    "changes_what_may_be_done": c.danger == Danger::Control,
                })
            })
        })
        .collect();
    format!("{:#}\n", serde_json::Value::from(all))
}

/// Keys of the focused pane, each with the reason if it can't be used now.
pub fn pane_text(model: &Model) -> String {
    let mut out = String::new();
    for scope in [Scope::Pane(model.pane_id()), Scope::List, Scope::Global] {
        if commands(scope).next().is_none() {
            continue;
        }
        let _ = writeln!(out, "{}", heading(scope));
        for c in commands(scope) {
            let keys = model.look.keymap.keys(c.id).join(", ");
            let _ = write!(out, "  {keys:<18} {:<14} {}", c.title, c.doc);
            if let Some(why) = model.why_not(c.id) {
                let _ = write!(out, " (not now: {why})");
            }
            out.push('\n');
        }
        out.push('\n');
    }
    out
}
