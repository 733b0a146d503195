//! Wrapped, styled text with scrolling: details, evidence, stories.

use super::cursor::Scroll;
use super::text::{put, rule, width};
use crate::console::theme::{Role, Theme};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use unicode_segmentation::UnicodeSegmentation;

/// A piece of a paragraph.
pub type Piece = (String, Role);

#[derive(Debug, Clone)]
struct Paragraph {
    indent: u16,
    pieces: Vec<Piece>,
}

/// Paragraphs in order. Continuation lines hang under the paragraph's indent.
#[derive(Debug, Clone, Default)]
pub struct Lines {
    paragraphs: Vec<Paragraph>,
}

impl Lines {
    /// A paragraph whose second and later lines start at `indent`.
    pub fn add(&mut self, indent: u16, pieces: Vec<Piece>) -> &mut Self {
        self.paragraphs.push(Paragraph { indent, pieces });
        self
    }

    /// Ordinary text.
    pub fn text(&mut self, text: impl Into<String>, role: Role) -> &mut Self {
        self.add(0, vec![(text.into(), role)])
    }

    /// A headline, with an empty line before it unless it is the first.
    pub fn head(&mut self, title: &str) -> &mut Self {
        if !self.paragraphs.is_empty() {
            self.gap();
        }
        self.text(title, Role::Title)
    }

    /// `name      value`, the value hanging at column 12.
    pub fn field(&mut self, name: &str, value: impl Into<String>, role: Role) -> &mut Self {
        self.add(12, vec![(format!("{name:<12}"), Role::Muted), (value.into(), role)])
    }

    /// A list entry: two columns of `mark`, then the text hanging beside it.
    pub fn item(&mut self, mark: &str, pieces: Vec<Piece>) -> &mut Self {
        let mut all = vec![(format!("{mark} "), Role::Muted)];
        all.extend(pieces);
        self.add(width(mark) as u16 + 1, all)
    }

    /// An empty line.
    pub fn gap(&mut self) -> &mut Self {
        self.add(0, Vec::new())
    }

    /// All text, for copying.
    pub fn plain(&self) -> String {
        let line = |p: &Paragraph| p.pieces.iter().map(|(t, _)| t.as_str()).collect::<String>();
        self.paragraphs.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    /// Lines of at most `columns`, broken between words where possible, else between graphemes.
    pub fn wrap(&self, columns: u16) -> Vec<Vec<Piece>> {
        let columns = columns.max(1) as usize;
        let mut out = Vec::new();
        for p in &self.paragraphs {
            wrap(p, columns, &mut out);
        }
        out
    }

    /// Draws under a rule, scrolled.
    pub fn draw(&self, buf: &mut Buffer, theme: &Theme, area: Rect, title: &str, scroll: &Scroll, focused: bool) {
        if area.height < 2 {
            return;
        }
        let body = Rect { x: area.x + 1, y: area.y + 1, width: area.width.saturating_sub(2), height: area.height - 1 };
        let lines = self.wrap(body.width);
        rule(buf, theme, area, title, &scroll.position(lines.len(), body.height as usize), focused);
        for (y, i) in (body.y..).zip(scroll.window(lines.len(), body.height as usize)) {
            let mut x = body.x;
            for (text, role) in &lines[i] {
                x += put(buf, theme, x, y, body.right().saturating_sub(x), text, *role);
            }
        }
    }
}

fn wrap(p: &Paragraph, columns: usize, out: &mut Vec<Vec<Piece>>) {
    let indent = (p.indent as usize).min(columns / 2);
    let mut line: Vec<Piece> = Vec::new();
    let mut used = 0;
    let fresh = |out: &mut Vec<Vec<Piece>>, line: &mut Vec<Piece>, used: &mut usize| {
        out.push(std::mem::take(line));
        line.push((" ".repeat(indent), Role::Text));
        *used = indent;
    };
    for (text, role) in &p.pieces {
        for word in text.split_inclusive(' ') {
            let bare = width(word.trim_end());
            if used + bare > columns && used > indent {
                fresh(out, &mut line, &mut used);
            }
            if used + bare <= columns {
                push(&mut line, word, *role);
                used += width(word);
                continue;
            }
            for g in word.graphemes(true) {
                let w = width(g);
                if used + w > columns && used > indent {
                    fresh(out, &mut line, &mut used);
                }
                push(&mut line, g, *role);
                used += w;
            }
        }
    }
    out.push(line);
}

fn push(line: &mut Vec<Piece>, text: &str, role: Role) {
    match line.last_mut() {
        Some((last, r)) if *r == role => last.push_str(text),
        _ => line.push((text.to_owned(), role)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(lines: &Lines, columns: u16) -> Vec<String> {
        lines.wrap(columns).into_iter().map(|l| l.into_iter().map(|(t, _)| t).collect::<String>()).collect()
    }

    #[test]
    fn text_breaks_between_words_and_hangs() {
        let mut lines = Lines::default();
        lines.item("1.", vec![("the container was killed at its limit".into(), Role::Text)]);
        assert_eq!(shown(&lines, 20), ["1. the container was ", "   killed at its ", "   limit"]);
    }

    #[test]
    fn a_word_that_is_too_long_breaks_between_graphemes() {
        let mut lines = Lines::default();
        lines.text("購物車購物車", Role::Text);
        assert_eq!(shown(&lines, 5), ["購物", "車購", "物車"]);
    }

    #[test]
    fn the_space_at_which_a_line_breaks_is_not_drawn_as_text_that_was_cut() {
        use crate::console::theme::{Glyphs, Theme};
        let mut lines = Lines::default();
        lines.text("abcd efgh", Role::Text);
        let area = Rect::new(0, 0, 6, 3);
        let mut buf = Buffer::empty(area);
        lines.draw(&mut buf, &Theme::plain(Glyphs::UNICODE), area, "", &Scroll::default(), false);
        let row = |y| (0..6).map(|x| buf[(x, y)].symbol()).collect::<String>();
        assert_eq!((row(1), row(2)), (" abcd ".to_owned(), " efgh ".to_owned()));
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_nothing_is_too_wide(s in "[a-z車é ]{0,80}", w in 4u16..30) {
            let mut lines = Lines::default();
            lines.text(s.clone(), Role::Text);
            let got = shown(&lines, w);
            prop_assert!(got.iter().all(|l| width(l.trim_end()) <= w as usize), "{got:?}");
            prop_assert_eq!(got.concat(), s);
        }
    }
}
