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
