//! Text on cells: widths, cuts at grapheme borders, section rules, chips that flow.

use crate::console::theme::{Role, Theme};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use std::borrow::Cow;
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

/// Columns a text takes on the screen.
pub fn width(text: &str) -> usize {
    UnicodeWidthStr::width(text)
}

/// The text in at most `columns` columns, cut at a grapheme border and marked with `ellipsis` if cut.
pub fn fit<'a>(text: &'a str, columns: usize, ellipsis: &str) -> Cow<'a, str> {
    if text.len() <= columns || width(text) <= columns {
        return Cow::Borrowed(text);
    }
    // The space at which a line was broken may lie beyond the edge: it is no text that was cut.
    let bare = text.trim_end_matches(' ');
    if width(bare) <= columns {
        return Cow::Borrowed(bare);
    }
    let room = columns.saturating_sub(width(ellipsis));
    let mut out = String::with_capacity(columns + ellipsis.len());
    let mut used = 0;
    for g in text.graphemes(true) {
        let w = width(g);
        if used + w > room {
            break;
        }
        out.push_str(g);
        used += w;
    }
    if columns >= width(ellipsis) {
        out.push_str(ellipsis);
    }
    Cow::Owned(out)
}

/// Writes one text in at most `columns` columns and returns the columns used.
pub fn put(buf: &mut Buffer, theme: &Theme, x: u16, y: u16, columns: u16, text: &str, role: Role) -> u16 {
    if columns == 0 || y >= buf.area.bottom() || x >= buf.area.right() {
        return 0;
    }
    let text = fit(text, columns as usize, theme.glyphs.ellipsis);
    let (end, _) = buf.set_stringn(x, y, text, columns as usize, theme.style(role));
    end - x
}

/// Writes texts one after the other, each with its role, in at most `columns` columns.
pub fn put_all(buf: &mut Buffer, theme: &Theme, x: u16, y: u16, columns: u16, texts: &[(&str, Role)]) -> u16 {
    let mut used = 0;
    for (text, role) in texts {
        used += put(buf, theme, x + used, y, columns.saturating_sub(used), text, *role);
    }
    used
}

/// A horizontal rule with a title at the left and a note at the right: the head of a section.
pub fn rule(buf: &mut Buffer, theme: &Theme, area: Rect, title: &str, note: &str, focused: bool) {
    if area.height == 0 || area.width == 0 {
        return;
    }
    let border = if focused { Role::Focus } else { Role::Border };
    let dash = if theme.glyphs.ascii { "-" } else { "─" };
    for x in area.left()..area.right() {
        buf[(x, area.y)].set_symbol(dash).set_style(theme.style(border));
    }
    let note_room = (area.width / 2).max(area.width.saturating_sub(width(title) as u16 + 8));
    let note = if note.is_empty() {
        String::new()
    } else {
        format!(" {} ", fit(note, note_room.saturating_sub(4) as usize, theme.glyphs.ellipsis))
    };
    let note_width = width(&note) as u16;
    put(buf, theme, area.x + 1, area.y, area.width.saturating_sub(note_width + 3), &format!(" {title} "), Role::Title);
    if area.width > note_width + 1 {
        put(buf, theme, area.right() - note_width - 1, area.y, note_width, &note, Role::Muted);
    }
}

/// One short statement of a status line, never split over two lines.
pub type Chip = Vec<(String, Role)>;

/// Arranges chips into lines of at most `columns`, two spaces apart.
pub fn flow(chips: Vec<Chip>, columns: u16) -> Vec<Vec<(String, Role)>> {
    let mut lines: Vec<Vec<(String, Role)>> = Vec::new();
    let mut used = 0;
    for chip in chips {
        let w: usize = chip.iter().map(|(t, _)| width(t)).sum();
        match lines.last_mut() {
            Some(line) if used + 3 + w <= columns as usize => {
                line.push(("   ".into(), Role::Text));
                line.extend(chip);
                used += 3 + w;
            }
            _ => {
                lines.push(chip);
                used = w;
            }
        }
    }
    lines
}

/// Writes one flowed line.
pub fn put_line(buf: &mut Buffer, theme: &Theme, area: Rect, line: &[(String, Role)]) {
    let texts: Vec<_> = line.iter().map(|(t, r)| (t.as_str(), *r)).collect();
    put_all(buf, theme, area.x, area.y, area.width, &texts);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn wide_and_combining_characters_are_cut_at_their_borders() {
        assert_eq!(fit("購物車-api", 5, "…"), "購物…");
        assert_eq!(fit("e\u{301}e\u{301}e\u{301}e\u{301}", 3, "…"), "e\u{301}e\u{301}…");
        assert_eq!(fit("عربة-7d", 20, "…"), "عربة-7d");
        assert_eq!(fit("abc", 0, "…"), "");
        assert_eq!(fit("abc ", 3, "…"), "abc");
    }

    proptest! {
        #[test]
        fn a_cut_text_never_takes_more_columns(s in "\\PC*", w in 0usize..40) {
            prop_assert!(width(&fit(&s, w, "…")) <= w);
        }
    }
}
