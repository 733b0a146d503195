//! Keys as people write them in keymaps: `q`, `G`, `ctrl-r`, `alt-x`, `backtab`, and sequences such as `g g`.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use std::fmt;

/// One key with its modifiers. A letter carries its case, so shift is never kept beside a character.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd)]
pub struct Chord {
    /// Which key.
    pub code: KeyCode,
    /// Held with it: control, alt, and shift for keys without case.
    pub modifiers: KeyModifiers,
}

/// Keys with names.
const NAMED: [(&str, KeyCode); 16] = [
    ("enter", KeyCode::Enter),
    ("esc", KeyCode::Esc),
    ("tab", KeyCode::Tab),
    ("backtab", KeyCode::BackTab),
    ("backspace", KeyCode::Backspace),
    ("delete", KeyCode::Delete),
    ("insert", KeyCode::Insert),
    ("up", KeyCode::Up),
    ("down", KeyCode::Down),
    ("left", KeyCode::Left),
    ("right", KeyCode::Right),
    ("home", KeyCode::Home),
    ("end", KeyCode::End),
    ("pageup", KeyCode::PageUp),
    ("pagedown", KeyCode::PageDown),
    ("space", KeyCode::Char(' ')),
];

impl Chord {
    /// A key without modifiers.
    pub fn plain(code: KeyCode) -> Self {
        Self { code, modifiers: KeyModifiers::NONE }
    }

    /// The key of a terminal's event, in the same normal form as keymaps use.
    pub fn of(event: &KeyEvent) -> Self {
        let mut modifiers = event.modifiers & (KeyModifiers::CONTROL | KeyModifiers::ALT | KeyModifiers::SHIFT);
        let mut code = event.code;
        if code == KeyCode::Tab && modifiers.contains(KeyModifiers::SHIFT) {
            code = KeyCode::BackTab;
        }
        if matches!(code, KeyCode::Char(_) | KeyCode::BackTab) {
            modifiers -= KeyModifiers::SHIFT;
        }
        // Terminals send control letters in either case; there is only one of each.
        if let KeyCode::Char(c) = code
            && modifiers.contains(KeyModifiers::CONTROL)
        {
            code = KeyCode::Char(c.to_ascii_lowercase());
        }
        Self { code, modifiers }
    }

    /// Reads one key. The error says what is wrong and what to write.
    pub fn parse(text: &str) -> Result<Self, (String, String)> {
        let mut modifiers = KeyModifiers::NONE;
        let mut rest = text;
        loop {
            let cut = [("ctrl-", KeyModifiers::CONTROL), ("alt-", KeyModifiers::ALT), ("shift-", KeyModifiers::SHIFT)]
                .into_iter()
                .find_map(|(p, m)| rest.strip_prefix(p).filter(|r| !r.is_empty()).map(|r| (r, m)));
            let Some((shorter, modifier)) = cut else { break };
            rest = shorter;
            modifiers |= modifier;
        }
        let mut chars = rest.chars();
        let code = match (chars.next(), chars.next()) {
            (Some(c), None) if !c.is_control() && !c.is_whitespace() => KeyCode::Char(c),
            _ => named(rest).ok_or_else(|| unknown(text, rest))?,
        };
        if let (KeyCode::Char(c), true) = (code, modifiers.contains(KeyModifiers::SHIFT)) {
            return Err((
                format!("key {text:?} holds shift with a character"),
                format!("write {:?}", c.to_uppercase().to_string()),
            ));
        }
        Ok(Self::of(&KeyEvent::new(code, modifiers)))
    }

    /// Reads a sequence: keys separated by spaces.
    pub fn sequence(text: &str) -> Result<Vec<Self>, (String, String)> {
        let keys = text.split_whitespace().map(Self::parse).collect::<Result<Vec<_>, _>>()?;
        if keys.is_empty() {
            return Err(("the key is empty".into(), "write a key such as q, ctrl-r or g g".into()));
        }
        Ok(keys)
    }
}

fn named(name: &str) -> Option<KeyCode> {
    if let Some(n) = name.strip_prefix('f').and_then(|n| n.parse::<u8>().ok()) {
        return (1..=12).contains(&n).then_some(KeyCode::F(n));
    }
    NAMED.iter().find(|(n, _)| *n == name).map(|(_, code)| *code)
}

fn unknown(text: &str, rest: &str) -> (String, String) {
    let known: Vec<&str> = NAMED.iter().map(|(n, _)| *n).collect();
    let remedy = super::problem::nearest(rest, &known).map_or_else(
        || "write one character, a name such as enter or pageup, and ctrl- or alt- before it".to_owned(),
        |near| format!("did you mean {near:?}?"),
    );
    (format!("unknown key {text:?}"), remedy)
}

impl fmt::Display for Chord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (modifier, name) in
            [(KeyModifiers::CONTROL, "ctrl-"), (KeyModifiers::ALT, "alt-"), (KeyModifiers::SHIFT, "shift-")]
        {
            if self.modifiers.contains(modifier) {
                f.write_str(name)?;
            }
        }
        match (self.code, NAMED.iter().find(|(_, code)| *code == self.code)) {
            (_, Some((name, _))) => f.write_str(name),
            (KeyCode::Char(c), _) => write!(f, "{c}"),
            (KeyCode::F(n), _) => write!(f, "f{n}"),
            (other, _) => write!(f, "{other:?}"),
        }
    }
}

/// A sequence as it is written.
pub fn written(keys: &[Chord]) -> String {
    keys.iter().map(Chord::to_string).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_read_back_as_they_are_written() {
        for text in [
            "q",
            "G",
            "ctrl-r",
            "alt-x",
            "backtab",
            "g g",
            "ctrl-alt-delete",
            "f5",
            "-",
            "ctrl--",
            "+",
            "space",
            "shift-up",
        ] {
            assert_eq!(written(&Chord::sequence(text).unwrap()), text);
        }
    }

    #[test]
    fn a_terminal_and_a_keymap_mean_the_same_key() {
        let shifted = KeyEvent::new(KeyCode::Char('G'), KeyModifiers::SHIFT);
        assert_eq!(Chord::of(&shifted), Chord::parse("G").unwrap());
        let back = KeyEvent::new(KeyCode::BackTab, KeyModifiers::SHIFT);
        assert_eq!(Chord::of(&back), Chord::parse("backtab").unwrap());
        let control = KeyEvent::new(KeyCode::Char('R'), KeyModifiers::CONTROL);
        assert_eq!(Chord::of(&control), Chord::parse("ctrl-r").unwrap());
    }

    #[test]
    fn mistakes_say_what_to_write() {
        assert!(Chord::parse("entr").unwrap_err().1.contains("enter"));
        assert!(Chord::parse("shift-g").unwrap_err().1.contains("\"G\""));
        assert!(Chord::sequence(" ").is_err());
    }
}
