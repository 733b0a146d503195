//! Lines of several logs in the order of their times, within a bound of memory.

use crate::console::theme::Role;
use crate::model::logs;
use crate::model::time::Timestamp;
use std::collections::VecDeque;

/// Most lines that are kept.
pub const LINES: usize = 50_000;

/// Most bytes of text that are kept.
pub const BYTES: usize = 16 << 20;

/// A line that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// For as long as it is kept.
    pub id: u64,
    /// When it was written.
    pub at: Option<Timestamp>,
    /// Place of its container among the sources.
    pub source: usize,
    /// Its text.
    pub text: Box<str>,
    /// How grave it says it is.
    pub role: Role,
    /// Whether the filter shows it.
    pub shown: bool,
}

/// Lines that are kept: the oldest go when there is no room.
#[derive(Debug, Default)]
pub struct Ring {
    lines: VecDeque<Line>,
    bytes: usize,
    next: u64,
    shown: usize,
    gone: u64,
}

impl Ring {
    /// Puts lines of one source where their times belong; lines without a time go to the end.
    pub fn add(&mut self, source: usize, lines: Vec<logs::Line>, shows: impl Fn(&str) -> bool) {
        for logs::Line { at, text } in lines {
            // New lines are nearly always the newest.
            let later = |line: &Line| at.is_some_and(|at| line.at.is_some_and(|other| other > at));
            let mut place = self.lines.len();
            while place > 0 && later(&self.lines[place - 1]) {
                place -= 1;
            }
            let shown = shows(&text);
            let line = Line { id: self.next, at, source, role: gravity(&text), shown, text };
            self.next += 1;
            self.bytes += line.text.len();
            self.shown += usize::from(shown);
            self.lines.insert(place, line);
        }
        while self.lines.len() > LINES || self.bytes > BYTES {
            let Some(line) = self.lines.pop_front() else { return };
            self.bytes -= line.text.len();
            self.shown -= usize::from(line.shown);
            self.gone += 1;
        }
    }

    /// Decides again which lines are shown.
    pub fn refilter(&mut self, shows: impl Fn(usize, &str) -> bool) {
        self.shown = 0;
        for line in &mut self.lines {
            line.shown = shows(line.source, &line.text);
            self.shown += usize::from(line.shown);
        }
    }

    /// Place of a line, or of the oldest one if it has gone.
    pub fn place(&self, id: u64) -> usize {
        // Ids are nearly in order, but not quite: lines may come late.
        self.lines.iter().rposition(|l| l.id == id).unwrap_or(0)
    }

    /// The shown lines up to a place, newest first.
    pub fn before(&self, end: usize) -> impl Iterator<Item = &Line> {
        self.lines.range(..end.min(self.lines.len())).rev().filter(|l| l.shown)
    }

    /// The shown lines from a place on, oldest first.
    pub fn after(&self, start: usize) -> impl Iterator<Item = &Line> {
        self.lines.range(start.min(self.lines.len())..).filter(|l| l.shown)
    }

    /// Lines that are kept.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// Lines that the filter shows.
    pub fn shown(&self) -> usize {
        self.shown
    }

    /// Lines that had to go.
    pub fn gone(&self) -> u64 {
        self.gone
    }
}

/// How grave a line says it is: by the words that programs agree on, in capitals or as a level, and by klog's letter.
fn gravity(text: &str) -> Role {
    let bytes = text.as_bytes();
    if let [letter, a, b, c, d, b' ', ..] = bytes
        && [a, b, c, d].iter().all(|x| x.is_ascii_digit())
    {
        match letter {
            b'E' | b'F' => return Role::Bad,
            b'W' => return Role::Warning,
            _ => {}
        }
    }
    let mut end = bytes.len().min(240);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    for word in text[..end].split(|c: char| !c.is_ascii_alphanumeric()) {
        match word {
            "ERROR" | "FATAL" | "PANIC" | "CRITICAL" | "ERR" | "SEVERE" => return Role::Bad,
            "WARN" | "WARNING" => return Role::Warning,
            "DEBUG" | "TRACE" => return Role::Muted,
            _ => {}
        }
    }
    let level = |name: &str| {
        ["level=", "\"level\":\"", "\"level\": \"", "\"severity\":\"", "lvl=", "["].iter().any(|lead| {
            text[..end].match_indices(lead).any(|(at, _)| {
                let rest = &bytes[at + lead.len()..];
                rest.get(..name.len()).is_some_and(|w| w.eq_ignore_ascii_case(name.as_bytes()))
                    && !rest.get(name.len()).is_some_and(u8::is_ascii_alphanumeric)
            })
        })
    };
    if ["error", "fatal", "panic", "critical"].iter().any(|w| level(w)) {
        Role::Bad
    } else if level("warn") || level("warning") {
        Role::Warning
    } else if level("debug") || level("trace") {
        Role::Muted
    } else {
        Role::Text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::DateTime;

    fn line(at: i64, text: &str) -> logs::Line {
        logs::Line { at: DateTime::from_timestamp(at, 0), text: text.into() }
    }

    #[test]
    fn lines_of_several_containers_stand_in_the_order_of_their_times() {
        let mut ring = Ring::default();
        ring.add(0, vec![line(1, "a"), line(4, "d"), line(4, "e")], |_| true);
        ring.add(1, vec![line(2, "b"), line(3, "c"), line(4, "f"), line(9, "g")], |_| true);
        let texts: String = ring.after(0).map(|l| &*l.text).collect();
        assert_eq!(texts, "abcdefg");
    }

    #[test]
    fn memory_is_bounded_by_lines_and_by_bytes_and_what_went_is_counted() {
        let mut ring = Ring::default();
        ring.add(0, (0..LINES as i64 + 5).map(|i| line(i, "x")).collect(), |t| t == "y");
        assert_eq!((ring.len(), ring.gone(), ring.shown()), (LINES, 5, 0));
        let big = "z".repeat(1 << 20);
        ring.add(0, (0..20).map(|i| line(1_000_000 + i, &big)).collect(), |_| true);
        assert!(ring.bytes <= BYTES && ring.len() == 16 && ring.shown() == 16, "{}", ring.len());
        ring.refilter(|_, _| false);
        assert_eq!((ring.shown(), ring.after(0).count(), ring.before(99).count()), (0, 0, 0));
    }

    #[test]
    fn gravity_is_what_the_line_says_and_not_a_word_in_a_sentence() {
        for (text, role) in [
            ("E0102 10:00:00.0 1 x.go:1] boom", Role::Bad),
            ("2026 ERROR boom", Role::Bad),
            ("{\"level\":\"warn\",\"msg\":\"x\"}", Role::Warning),
            ("level=error msg=x", Role::Bad),
            ("[error] upstream", Role::Bad),
            ("0 errors, no error found", Role::Text),
            ("[errors]", Role::Text),
            ("level=debug", Role::Muted),
            ("Emil", Role::Text),
            ("é".repeat(200).as_str(), Role::Text),
        ] {
            assert_eq!(gravity(text), role, "{text}");
        }
    }
}
