//! Copying to the operator's own clipboard through the terminal (OSC 52), also over SSH, tmux and screen.
//!
//! Native clipboard tools are never used: on a remote host they would succeed on the wrong machine.

use super::caps::Multiplexer;
use crossterm::Command as _;
use crossterm::clipboard::CopyToClipboard;
use std::fmt::Write as _;

/// Longest sequence that common terminals take whole (xterm and hterm cut at 100 000 bytes of base64).
pub const MAX_BYTES: usize = 74_994;

/// The bytes that put `text` on the clipboard. The error says why it can't be copied.
///
/// The text is made safe first: line breaks stay, other control characters vanish.
pub fn sequence(text: &str, multiplexer: Multiplexer) -> Result<String, String> {
    let text = crate::model::text::clean_lines(text);
    if text.len() > MAX_BYTES {
        return Err(format!("too long to copy: {} of at most {MAX_BYTES} bytes", text.len()));
    }
    let mut plain = String::new();
    CopyToClipboard::to_clipboard_from(text).write_ansi(&mut plain).map_err(|e| e.to_string())?;
    Ok(match multiplexer {
        Multiplexer::None => plain,
        // tmux takes the sequence itself where `set-clipboard` is on, and passes on what is inside its own, with every
        // escape doubled, where `allow-passthrough` is on. Neither can be asked, and twice the same text does no harm.
        Multiplexer::Tmux => format!("{plain}\x1bPtmux;{}\x1b\\", plain.replace('\x1b', "\x1b\x1b")),
        Multiplexer::Screen => screen(&plain),
    })
}

/// screen takes strings of at most 768 bytes, so a longer one is sent in parts that the terminal joins; the
/// end is a bell, because the usual string terminator would end screen's own sequence.
fn screen(plain: &str) -> String {
    let body = format!("{}\x07", plain.trim_end_matches("\x1b\\"));
    body.as_bytes().chunks(700).fold(String::new(), |mut out, part| {
        let _ = write!(out, "\x1bP{}\x1b\\", String::from_utf8_lossy(part));
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_becomes_base64_and_control_characters_vanish() {
        let plain = sequence("hi\u{1b}[2J", Multiplexer::None).unwrap();
        assert!(plain.starts_with("\x1b]52;c;aGlbMko="), "{plain:?}");
    }

    #[test]
    fn multiplexers_get_their_wrapping() {
        let tmux = sequence("hi", Multiplexer::Tmux).unwrap();
        assert!(tmux.starts_with("\x1b]52;c;aGk="), "for set-clipboard");
        assert!(tmux.contains("\x1bPtmux;\x1b\x1b]52;c;aGk=") && tmux.ends_with("\x1b\\"), "for allow-passthrough");
        let screen = sequence(&"x".repeat(3000), Multiplexer::Screen).unwrap();
        assert!(screen.split("\x1bP").all(|part| part.len() <= 768));
    }

    #[test]
    fn what_is_too_long_is_refused_rather_than_cut() {
        assert!(sequence(&"x".repeat(MAX_BYTES + 1), Multiplexer::None).unwrap_err().contains("74994"));
    }
}
