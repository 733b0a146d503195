//! Keymap files: which keys run which command, with inheritance and a check for conflicts.
//!
//! ```toml
//! inherits = "default"
//! [global]
//! quit = ["q", "ctrl-c"]     # replaces the inherited keys of this command
//! [list]
//! top = ["g g"]              # a sequence
//! [actions]
//! reject = []                # no key at all
//! ```

use super::chord::{Chord, written};
use super::dirs::{Dirs, ancestor};
use super::problem::{Problem, Problems, Source, one_of};
use std::collections::BTreeMap;
use toml::{Table, Value};

/// Keymaps inside the program: name and text.
pub const SHIPPED: [(&str, &str); 3] = [
    ("default", include_str!("../../keymaps/default.toml")),
    ("vim", include_str!("../../keymaps/vim.toml")),
    ("k9s", include_str!("../../keymaps/k9s.toml")),
];

/// A command that a keymap may bind, and the table it stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bindable {
    /// `global`, `list`, or the name of a pane.
    pub table: &'static str,
    /// The command's name.
    pub command: &'static str,
}

/// Sequences of each command by name.
pub type Bindings = BTreeMap<&'static str, Vec<Vec<Chord>>>;

/// One command's keys and the file that said so.
#[derive(Debug, Clone)]
struct Bound {
    table: &'static str,
    command: &'static str,
    keys: Vec<Vec<Chord>>,
    /// Where it is written: file, line, column.
    place: (String, usize, usize),
    /// Depth in the chain of inheritance; 0 is the file that was asked for.
    depth: usize,
}

/// Loads a keymap by name or path, with everything it inherits, and checks it as a whole.
pub fn load(name: &str, dirs: &Dirs, known: &[Bindable]) -> Result<Bindings, Problems> {
    let mut bound: Vec<Bound> = Vec::new();
    let mut problems = Vec::new();
    let mut chain: Vec<String> = Vec::new();
    let mut child: Option<(String, String)> = None;
    let mut next = Some(name.to_owned());
    while let Some(name) = next.take() {
        let (file, text) = ancestor(&name, "keymap", dirs, &SHIPPED, &chain, child.as_ref())?;
        next = read(&file, &text, chain.len(), known, &mut bound, &mut problems)?;
        chain.push(name);
        child = Some((file, text));
    }
    if problems.is_empty() {
        problems = conflicts(&bound);
    }
    if problems.is_empty() {
        Ok(bound.into_iter().map(|b| (b.command, b.keys)).collect())
    } else {
        Err(Problems(problems))
    }
}

/// Reads one file of the chain; bindings already there (from a nearer file) win. Gives what it inherits.
fn read(
    file: &str,
    text: &str,
    depth: usize,
    known: &[Bindable],
    bound: &mut Vec<Bound>,
    problems: &mut Vec<Problem>,
) -> Result<Option<String>, Problem> {
    let source = Source::parse(file, text)?;
    let tables: Table = toml::from_str(text).map_err(|e| source.refusal(&e))?;
    let mut inherits = None;
    for (table, value) in &tables {
        if table == "inherits" {
            match value.as_str() {
                Some(name) => inherits = Some(name.to_owned()),
                None => problems.push(source.problem(table, "is not a name", "write inherits = \"default\"")),
            }
            continue;
        }
        let mut known_tables: Vec<&str> = known.iter().map(|k| k.table).collect();
        known_tables.dedup();
        let (Some(commands), true) = (value.as_table(), known_tables.contains(&table.as_str())) else {
            problems.push(source.problem(table, format!("unknown table {table:?}"), one_of(table, &known_tables)));
            continue;
        };
        for (command, keys) in commands {
            let path = format!("{table}.{command}");
            match binding(table, command, keys, known) {
                Ok((entry, keys)) if !bound.iter().any(|b| b.command == entry.command) => {
                    let (line, column) = source.place_of(&path).unwrap_or((1, 1));
                    bound.push(Bound {
                        table: entry.table,
                        command: entry.command,
                        keys,
                        place: (file.to_owned(), line, column),
                        depth,
                    });
                }
                Ok(_) => {}
                Err((what, remedy)) => problems.push(source.problem(&path, what, remedy)),
            }
        }
    }
    Ok(inherits)
}

fn binding(
    table: &str,
    command: &str,
    keys: &Value,
    known: &[Bindable],
) -> Result<(Bindable, Vec<Vec<Chord>>), (String, String)> {
    let Some(entry) = known.iter().find(|k| k.command == command) else {
        let here: Vec<&str> = known.iter().filter(|k| k.table == table).map(|k| k.command).collect();
        return Err((format!("unknown command {command:?}"), one_of(command, &here)));
    };
    if entry.table != table {
        return Err((format!("{command:?} is not a command of [{table}]"), format!("move it to [{}]", entry.table)));
    }
    let wrong = || ("is not a list of keys".to_owned(), format!("write {command} = [\"x\"], or [] for no key"));
    let texts = keys.as_array().ok_or_else(wrong)?;
    let keys =
        texts.iter().map(|k| k.as_str().ok_or_else(wrong).and_then(Chord::sequence)).collect::<Result<Vec<_>, _>>()?;
    Ok((*entry, keys))
}

/// Keys that would run two commands, or that would never be reached behind a shorter one.
fn conflicts(bound: &[Bound]) -> Vec<Problem> {
    let mut out = Vec::new();
    for (i, a) in bound.iter().enumerate() {
        for b in &bound[i + 1..] {
            let meet = a.table == b.table || [a.table, b.table].iter().any(|t| matches!(*t, "global" | "list"));
            if !meet {
                continue;
            }
            for (x, y) in a.keys.iter().flat_map(|x| b.keys.iter().map(move |y| (x, y))) {
                if x.starts_with(y) || y.starts_with(x) {
                    out.push(conflict(a, x, b, y));
                }
            }
        }
    }
    out
}

fn conflict(a: &Bound, x: &[Chord], b: &Bound, y: &[Chord]) -> Problem {
    // The nearer file is the one the operator can change; within one file, the later line.
    let later = if a.depth == b.depth { a.place.1 > b.place.1 } else { a.depth < b.depth };
    let (here, key, there, other) = if later { (a, x, b, y) } else { (b, y, a, x) };
    let what = if key == other {
        format!("key {:?} runs {:?} and {:?}", written(key), here.command, there.command)
    } else {
        format!(
            "key {:?} of {:?} and key {:?} of {:?} hide each other",
            written(key),
            here.command,
            written(other),
            there.command
        )
    };
    let (file, line, column) = here.place.clone();
    Problem {
        file,
        line,
        column,
        key: format!("{}.{}", here.table, here.command),
        what: format!("{what} ({}:{})", there.place.0, there.place.1),
        remedy: "give one of them another key, or [] for none".to_owned(),
    }
}
