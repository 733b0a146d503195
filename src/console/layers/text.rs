//! A text to read: YAML, logs, messages, help. Scrolls, searches, wraps, copies.

use super::{Env, Layer, Press, Reply, Said, boxed, leaves, skip_columns};
use crate::autopilot::world::Detail;
use crate::console::command::CommandId;
use crate::console::effect::{Effect, Prompt, Purpose};
use crate::console::theme::Role;
use crate::model::text::clean_lines;
use crate::model::time::Timestamp;
use crossterm::event::KeyCode;
use ratatui::Frame;
use ratatui::layout::Rect;
use unicode_width::UnicodeWidthChar as _;

/// A text with a place in it.
#[derive(Debug)]
pub struct Text {
    title: String,
    lines: Vec<String>,
    top: usize,
    left: usize,
    wrap: bool,
    /// Words searched for, in lower case; empty: none.
    words: String,
    /// Where it was read from, if it can be read again.
    source: Option<Detail>,
}

impl Text {
    /// Sentences, from the first line on; long lines are wrapped. Unsafe characters are removed.
    pub fn prose(title: String, text: &str) -> Self {
        Self { wrap: true, ..Self::new(title, text) }
    }

    /// YAML from its first line on, or a log from its end, as read at `now`. It can be read again.
    pub fn fetched(detail: Detail, text: &str, now: Timestamp, env: &Env) -> Self {
        let mut layer = Self::new(title(&detail, now), text);
        if matches!(detail, Detail::Logs { .. }) {
            layer.top = layer.last(env);
        }
        Self { source: Some(detail), ..layer }
    }

    fn new(title: String, text: &str) -> Self {
        let lines = clean_lines(text).lines().map(str::to_owned).collect();
        Self { title, lines, top: 0, left: 0, wrap: false, words: String::new(), source: None }
    }

    fn page(env: &Env) -> usize {
        usize::from(env.size.1).saturating_sub(6).max(1)
    }

    /// The last line that the window may begin with. Wrapped lines take more rows than one.
    fn last(&self, env: &Env) -> usize {
        self.lines.len().saturating_sub(if self.wrap { 1 } else { Self::page(env) })
    }

    fn find(&mut self, forward: bool) {
        if self.words.is_empty() {
            return;
        }
        let hit = |i: &usize| self.lines[*i].to_lowercase().contains(&self.words);
        let found = if forward {
            (self.top + 1..self.lines.len()).chain(0..=self.top).find(hit)
        } else {
            (0..self.top).rev().chain((self.top..self.lines.len()).rev()).find(hit)
        };
        if let Some(line) = found {
            self.top = line;
        }
    }
}

impl Layer for Text {
    fn key(&mut self, press: &Press, env: &Env) -> Reply {
        if leaves(press.chord) {
            return Reply::Close(Vec::new());
        }
        let page = Self::page(env);
        let last = self.last(env);
        match press.chord.code {
            KeyCode::Char('w') => self.wrap = !self.wrap,
            KeyCode::Char('n') => self.find(true),
            KeyCode::Char('N') => self.find(false),
            KeyCode::Char('g') => self.top = 0,
            // Here one key is enough, also where the keymap has a sequence.
            KeyCode::Char('y') => return Reply::Stay(vec![Effect::Copy(self.lines.join("\n"))]),
            KeyCode::Left => self.left = self.left.saturating_sub(10),
            KeyCode::Right => self.left += 10,
            _ => match env.command(press.chord) {
                Some(CommandId::Up) => self.top = self.top.saturating_sub(1),
                Some(CommandId::Down) => self.top = (self.top + 1).min(last.max(self.top)),
                Some(CommandId::PageUp) => self.top = self.top.saturating_sub(page),
                Some(CommandId::PageDown) => self.top = (self.top + page).min(last),
                Some(CommandId::Top) => self.top = 0,
                Some(CommandId::Bottom) => self.top = last,
                Some(CommandId::Copy) => return Reply::Stay(vec![Effect::Copy(self.lines.join("\n"))]),
                Some(CommandId::Filter) => {
                    let (label, initial) = ("search: ".into(), self.words.clone());
                    return Reply::Stay(vec![Effect::Prompt(Prompt { label, initial, purpose: Purpose::Search })]);
                }
                Some(CommandId::Refresh) if self.source.is_some() => {
                    return Reply::Stay(self.source.clone().map(Effect::Fetch).into_iter().collect());
                }
                Some(CommandId::Back | CommandId::Quit) => return Reply::Close(Vec::new()),
                _ => return Reply::Ignored,
            },
        }
        Reply::Stay(Vec::new())
    }

    fn search(&mut self, words: &str) {
        self.words = words.to_lowercase();
        if !self.lines.get(self.top).is_some_and(|l| l.to_lowercase().contains(&self.words)) {
            self.find(true);
        }
    }

    /// The place stays; one at the end follows the end, so that new lines are seen.
    fn read_again(&mut self, what: &Detail, text: &str, now: Timestamp, env: &Env) -> bool {
        if self.source.as_ref() != Some(what) {
            return false;
        }
        let followed = self.top >= self.last(env);
        let newer = Self::new(title(what, now), text);
        (self.title, self.lines) = (newer.title, newer.lines);
        let last = self.last(env);
        self.top = if followed && matches!(what, Detail::Logs { .. }) { last } else { self.top.min(last) };
        true
    }

    fn say(&self, _env: &Env) -> Said {
        Said::Told(std::iter::once(self.title.clone()).chain(self.lines.iter().cloned()).collect())
    }

    fn view(&self, frame: &mut Frame, area: Rect, env: &Env) {
        let hits = if self.words.is_empty() {
            String::new()
        } else {
            let n = self.lines.iter().filter(|l| l.to_lowercase().contains(&self.words)).count();
            format!(" · {n} lines with {:?}", self.words)
        };
        let place = format!("{} · {}/{}{hits}", self.title, (self.top + 1).min(self.lines.len()), self.lines.len());
        let inside = boxed(frame, area, &place, env.theme);
        let (width, mut y) = (inside.width as usize, inside.y);
        for line in &self.lines[self.top.min(self.lines.len())..] {
            let parts = if self.wrap { wrapped(line, width) } else { vec![skip_columns(line, self.left)] };
            let hit = !self.words.is_empty() && line.to_lowercase().contains(&self.words);
            let style = env.theme.style(if hit { Role::Match } else { Role::Text });
            for part in parts {
                if y >= inside.bottom() {
                    return;
                }
                frame.buffer_mut().set_stringn(inside.x, y, part, width, style);
                y += 1;
            }
        }
    }

    fn hints(&self) -> Vec<(String, String)> {
        let again = self.source.is_some().then_some(("ctrl-r", "read again"));
        [("up/down", "scroll"), ("/", "search"), ("n", "next"), ("w", "wrap"), ("y", "copy")]
            .into_iter()
            .chain(again)
            .chain([("esc", "close")])
            .map(|(k, w)| (k.into(), w.into()))
            .collect()
    }
}

/// What was read, and when: a log does not grow while it is open.
fn title(detail: &Detail, now: Timestamp) -> String {
    let what = match detail {
        Detail::Yaml(object) => object.to_string(),
        Detail::Logs { pod, container, previous, .. } => {
            let container = container.as_deref().map_or_else(String::new, |c| format!(" · {c}"));
            let previous = if *previous { " · before the last restart" } else { "" };
            format!("log of {}/{}{container}{previous}", pod.namespace, pod.name)
        }
        Detail::Query(query) => query.expression.to_string(),
        Detail::Words(_) => "names".to_owned(),
        Detail::Path(trace) => format!("critical path of trace {}", trace.id),
    };
    format!("{what} · read {}", now.format("%H:%M:%S"))
}

/// A line broken between words into pieces of at most `width` columns. Pieces after the first hang below the
/// last column of a table, as keys, ages and levels are written before their sentence.
fn wrapped(line: &str, width: usize) -> Vec<String> {
    let hang = match line.rfind("  ").map(|at| columns(&line[..at + 2])) {
        Some(at) if at <= width / 2 => at,
        _ => 0,
    };
    let (mut out, mut piece, mut used) = (Vec::new(), String::new(), 0);
    for word in line.split_inclusive(' ') {
        if used > hang && used + columns(word.trim_end()) > width {
            out.push(std::mem::replace(&mut piece, " ".repeat(hang)));
            used = hang;
        }
        for c in word.chars() {
            let w = c.width().unwrap_or(0);
            if c != ' ' && used > hang && used + w > width {
                out.push(std::mem::replace(&mut piece, " ".repeat(hang)));
                used = hang;
            }
            piece.push(c);
            used += w;
        }
    }
    out.push(piece);
    out
}

fn columns(text: &str) -> usize {
    unicode_width::UnicodeWidthStr::width(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_wrap_by_columns_not_by_bytes() {
        assert_eq!(wrapped("購物車-x", 4), ["購物", "車-x"]);
        assert_eq!(wrapped("", 4), [""]);
    }

    #[test]
    fn sentences_break_between_words_and_hang_below_their_column() {
        assert_eq!(
            wrapped("q  quit    leave the console; finish first", 27),
            ["q  quit    leave the ", "           console; finish ", "           first"]
        );
        assert_eq!(wrapped("abcdefgh ij", 4), ["abcd", "efgh ", "ij"]);
    }

    proptest::proptest! {
        #[test]
        fn nothing_is_lost_when_wrapped(line in "[a-z車 ]{0,60}", width in 2usize..30) {
            let got = wrapped(&line, width);
            proptest::prop_assert!(got.iter().all(|l| columns(l.trim_end()) <= width), "{got:?}");
            let letters = |t: &str| t.chars().filter(|c| *c != ' ').collect::<String>();
            proptest::prop_assert_eq!(letters(&got.concat()), letters(&line));
        }
    }
}
