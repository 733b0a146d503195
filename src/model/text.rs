//! Cleans text that came from a cluster, so that it can be drawn, logged and copied safely.
//!
//! Names, events, logs and labels are data, never instructions: control characters, escape
//! sequences and bidirectional overrides are removed once, on the way in.

use std::borrow::Cow;

/// True for characters that could move the cursor, change colours or reorder what is read.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

/// One line of safe text: line breaks and tabs become a space, other unsafe characters vanish.
///
/// Borrows when nothing had to change, which is nearly always.
pub fn clean(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_unsafe) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(
        text.chars()
            .filter_map(|c| match c {
                '\n' | '\t' => Some(' '),
                c if is_unsafe(c) => None,
                c => Some(c),
            })
            .collect(),
    )
}

/// Several lines of safe text: line breaks stay, tabs become four spaces.
pub fn clean_lines(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => out.push('\n'),
            '\t' => out.push_str("    "),
            c if is_unsafe(c) => {}
            c => out.push(c),
        }
    }
    out
}

/// Edits (insert, delete, replace, swap neighbours) between two words: optimal string alignment. For telling what was meant.
pub fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![(0..=b.len()).collect::<Vec<usize>>()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replace = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replace.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn escape_sequences_lose_their_power() {
        assert_eq!(clean("web\u{1b}[2J\u{1b}]52;c;aGk=\u{7}-1"), "web[2J]52;c;aGk=-1");
        assert_eq!(clean("a\u{202e}gnp.exe"), "agnp.exe");
        assert_eq!(clean("two\nlines"), "two lines");
        assert_eq!(clean_lines("two\n\tlines\u{8}"), "two\n    lines");
    }

    #[test]
    fn ordinary_text_is_not_copied() {
        assert!(matches!(clean("購物車-7d9f"), Cow::Borrowed(_)));
    }

    proptest! {
        #[test]
        fn nothing_unsafe_survives(s in ".*") {
            prop_assert!(!clean(&s).chars().any(is_unsafe));
            prop_assert!(clean_lines(&s).chars().all(|c| c == '\n' || !is_unsafe(c)));
        }
    }
}
