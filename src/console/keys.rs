//! From keys to commands: sequences without a time-out, and the guard against held keys.

use super::command::{COMMANDS, CommandId, CommandSpec, PaneId, Scope};
use crate::config::chord::{Chord, written};
use crate::config::keymap::{Bindable, Bindings};
use crate::model::time::{self, Timestamp};
use std::time::Duration;

/// Every command with its table, as keymap files name them.
pub fn bindable() -> Vec<Bindable> {
    COMMANDS.iter().map(|c| Bindable { table: table(c.scope), command: c.name }).collect()
}

/// The table of a keymap file that binds commands of this scope.
pub fn table(scope: Scope) -> &'static str {
    match scope {
        Scope::Global => "global",
        Scope::List => "list",
        Scope::Pane(pane) => pane.as_str(),
    }
}

/// Which keys run what.
#[derive(Debug, Clone, PartialEq)]
pub struct Keymap {
    /// Sequences by command, in the order of the registry. Flat: fifty commands are scanned faster than a
    /// trie is walked, and the answer (command, or what may follow) is the same.
    bindings: Vec<(&'static CommandSpec, Vec<Vec<Chord>>)>,
}

/// What typed keys mean in a pane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// Nothing begins like this.
    Nothing,
    /// More keys must follow: what remains to be typed, and the title of the command.
    Prefix(Vec<(String, &'static str)>),
    /// A command.
    Command(CommandId),
}

impl Keymap {
    /// From a checked keymap file.
    pub fn new(bindings: &Bindings) -> Self {
        let bindings = COMMANDS.iter().map(|c| (c, bindings.get(c.name).cloned().unwrap_or_default())).collect();
        Self { bindings }
    }

    /// What these keys mean in a pane.
    pub fn find(&self, pane: PaneId, typed: &[Chord]) -> Found {
        let mut follow = Vec::new();
        for (spec, sequences) in self.bindings.iter().filter(|(c, _)| c.scope.covers(pane)) {
            for keys in sequences.iter().filter(|k| k.starts_with(typed)) {
                if keys.len() == typed.len() {
                    return Found::Command(spec.id);
                }
                follow.push((written(&keys[typed.len()..]), spec.title));
            }
        }
        if follow.is_empty() { Found::Nothing } else { Found::Prefix(follow) }
    }

    /// The keys of a command as they are written, in the order of preference.
    pub fn keys(&self, id: CommandId) -> Vec<String> {
        self.bindings[id as usize].1.iter().map(|k| written(k)).collect()
    }

    /// The first key of a command; empty if it has none.
    pub fn key(&self, id: CommandId) -> String {
        self.bindings[id as usize].1.first().map(|k| written(k)).unwrap_or_default()
    }
}

/// A key still down after this long is not held any more.
const HELD: Duration = Duration::from_millis(400);

/// Keeps commands that approve or change modes from running because a key was held down, or because the
/// line under the cursor changed just before the key came down.
#[derive(Debug, Clone, Default)]
pub struct HeldGuard {
    last: Option<(Chord, Timestamp)>,
    moved: Option<Timestamp>,
}

impl HeldGuard {
    /// Notes a key press; true if it is the same key again within 400 ms, as a held key sends it.
    pub fn press(&mut self, chord: Chord, now: Timestamp) -> bool {
        let held = self.last.is_some_and(|(last, at)| last == chord && within(at, now));
        self.last = Some((chord, now));
        held
    }

    /// What is under the cursor changed without a key.
    pub fn moved(&mut self, now: Timestamp) {
        self.moved = Some(now);
    }

    /// Whether what is under the cursor changed less than 400 ms ago.
    pub fn just_moved(&self, now: Timestamp) -> bool {
        self.moved.is_some_and(|at| within(at, now))
    }
}

/// Whether fewer than 400 real milliseconds lie between two moments, however fast a demo's clock runs.
fn within(then: Timestamp, now: Timestamp) -> bool {
    now.signed_duration_since(then).to_std().map_or(true, |gone| time::real(gone) < HELD)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{dirs::Dirs, keymap};
    use chrono::TimeDelta;

    fn chords(text: &str) -> Vec<Chord> {
        Chord::sequence(text).unwrap()
    }

    fn load(name: &str) -> Keymap {
        let dirs = Dirs::below(std::path::Path::new("/nonexistent"));
        Keymap::new(&keymap::load(name, &dirs, &bindable()).unwrap_or_else(|e| panic!("{e}")))
    }

    #[test]
    fn the_shipped_default_is_what_the_registry_says() {
        let map = load("default");
        for c in COMMANDS {
            assert_eq!(map.keys(c.id), c.keys, "{}", c.name);
        }
    }

    #[test]
    fn every_shipped_keymap_loads_and_reaches_every_command() {
        for (name, _) in keymap::SHIPPED {
            let map = load(name);
            for c in COMMANDS {
                assert!(!map.keys(c.id).is_empty(), "{name}: {}", c.name);
            }
        }
    }

    #[test]
    fn sequences_wait_and_then_run() {
        let map = load("default");
        let Found::Prefix(follow) = map.find(PaneId::Workloads, &chords("g")) else { panic!() };
        assert_eq!(follow, vec![("g".to_owned(), "top")]);
        assert_eq!(map.find(PaneId::Workloads, &chords("g g")), Found::Command(CommandId::Top));
        assert_eq!(map.find(PaneId::Workloads, &chords("g x")), Found::Nothing);
        assert_eq!(map.find(PaneId::Actions, &chords("a")), Found::Command(CommandId::Approve));
        assert_eq!(map.find(PaneId::Journal, &chords("a")), Found::Nothing);
    }

    #[test]
    fn a_held_key_stays_held_however_long() {
        let (mut guard, a) = (HeldGuard::default(), chords("a")[0]);
        let t0 = chrono::DateTime::UNIX_EPOCH;
        assert!(!guard.press(a, t0));
        for i in 1..100 {
            assert!(guard.press(a, t0 + TimeDelta::milliseconds(30 * i)));
        }
        assert!(!guard.press(a, t0 + TimeDelta::milliseconds(30 * 99 + 400)));
    }
}
