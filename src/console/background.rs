//! Whether the terminal's background is light, asked of the terminal itself (OSC 11) before the first key is read.
//!
//! A question about the device that every terminal answers (DA1) follows, so that one without OSC 11 is not waited
//! for. Whatever else arrives meanwhile was typed by somebody: it is kept and becomes keys.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// The background's colour, then the device.
const QUESTION: &[u8] = b"\x1b]11;?\x1b\\\x1b[c";

/// What came.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answer {
    /// Whether the background is light; `None`: the terminal did not say.
    pub light: Option<bool>,
    /// What was typed meanwhile.
    pub keys: Vec<KeyEvent>,
}

/// Asks a terminal in raw mode and waits for its answer at most this long.
pub fn ask(input: impl AsFd, output: impl AsFd, patience: Duration) -> Answer {
    let (begin, mut bytes) = (Instant::now(), Vec::new());
    if rustix::io::write(output, QUESTION).is_err() {
        return Answer::default();
    }
    while !split(&bytes).2 {
        let Some(left) = patience.checked_sub(begin.elapsed()) else { break };
        let wait = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: i64::from(left.subsec_nanos()) };
        let mut fds = [PollFd::new(&input, PollFlags::IN)];
        if !matches!(poll(&mut fds, Some(&wait)), Ok(n) if n > 0) {
            break;
        }
        let mut chunk = [0; 256];
        match rustix::io::read(&input, &mut chunk) {
            Ok(n) if n > 0 => bytes.extend_from_slice(&chunk[..n]),
            _ => break,
        }
    }
    let (light, rest, _) = split(&bytes);
    Answer { light, keys: keys(&rest) }
}

/// The background, what was typed, and whether the device has answered.
fn split(bytes: &[u8]) -> (Option<bool>, Vec<u8>, bool) {
    let (mut light, mut rest, mut device) = (None, Vec::new(), false);
    let mut at = 0;
    while at < bytes.len() {
        let here = &bytes[at..];
        if here.starts_with(b"\x1b]11;") {
            let end = here.iter().position(|b| *b == 0x07).map(|i| (i, i + 1));
            let end = end.or_else(|| here.windows(2).position(|w| w == b"\x1b\\").map(|i| (i, i + 2)));
            // The rest of an answer that is under way is no key either.
            let (end, next) = end.unwrap_or((here.len(), here.len()));
            light = std::str::from_utf8(&here[5..end.max(5)]).ok().and_then(bright).or(light);
            at += next;
        } else if here.starts_with(b"\x1b[?") {
            let end = here.iter().position(u8::is_ascii_alphabetic);
            device |= end.is_some_and(|i| here[i] == b'c');
            at += end.map_or(here.len(), |i| i + 1);
        } else {
            rest.push(here[0]);
            at += 1;
        }
    }
    (light, rest, device)
}

/// `rgb:ffff/ffff/ffff`, with one to four digits each: whether it is light by ITU-R BT.709.
fn bright(text: &str) -> Option<bool> {
    let (_, digits) = text.split_once(':')?;
    let part = |t: &str| {
        let value = u32::from_str_radix(t, 16).ok().filter(|_| (1..=4).contains(&t.len()))?;
        Some(f64::from(value) / f64::from(16_u32.pow(t.len() as u32) - 1))
    };
    let parts: Vec<f64> = digits.split('/').take(3).map(part).collect::<Option<_>>()?;
    let [red, green, blue] = parts[..] else { return None };
    Some(0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.5)
}

/// Typed bytes as keys.
fn keys(bytes: &[u8]) -> Vec<KeyEvent> {
    let plain = |code| KeyEvent::new(code, KeyModifiers::NONE);
    let text = String::from_utf8_lossy(bytes);
    let (mut rest, mut out) = (&*text, Vec::new());
    let arrows = [("A", KeyCode::Up), ("B", KeyCode::Down), ("C", KeyCode::Right), ("D", KeyCode::Left)];
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        out.push(match c {
            '\x1b' => {
                match arrows.iter().find(|(l, _)| rest.strip_prefix(['[', 'O']).is_some_and(|r| r.starts_with(l))) {
                    Some((_, code)) => {
                        rest = &rest[2..];
                        plain(*code)
                    }
                    None => plain(KeyCode::Esc),
                }
            }
            '\r' | '\n' => plain(KeyCode::Enter),
            '\t' => plain(KeyCode::Tab),
            '\x7f' => plain(KeyCode::Backspace),
            c @ '\x01'..='\x1a' => KeyEvent::new(KeyCode::Char((c as u8 + 0x60) as char), KeyModifiers::CONTROL),
            c => plain(KeyCode::Char(c)),
        });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(codes: &[KeyCode]) -> Vec<KeyEvent> {
        codes.iter().map(|c| KeyEvent::new(*c, KeyModifiers::NONE)).collect()
    }

    #[test]
    fn light_and_dark_are_told_apart_in_every_spelling() {
        for (said, light) in [
            ("rgb:ffff/ffff/ffff", Some(true)),
            ("rgb:fd/f6/e3", Some(true)),
            ("rgb:0000/2b2b/3636", Some(false)),
            ("rgba:0/0/0/f", Some(false)),
            ("rgb:fffff/0/0", None),
            ("#ffffff", None),
        ] {
            assert_eq!(bright(said), light, "{said}");
        }
    }

    #[test]
    fn what_is_typed_meanwhile_becomes_keys() {
        let bytes = b"2\x1b]11;rgb:ffff/ffff/ffff\x1b\\j\x1b[?62;c\x1b[B\r\x03";
        let (light, rest, device) = split(bytes);
        assert_eq!((light, device), (Some(true), true));
        let mut want = typed(&[KeyCode::Char('2'), KeyCode::Char('j'), KeyCode::Down, KeyCode::Enter]);
        want.push(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL));
        assert_eq!(keys(&rest), want);
        assert_eq!(split(b"\x1b[?6c"), (None, vec![], true), "a terminal without OSC 11");
        assert_eq!(split(b"\x1b]11;rgb:ff"), (None, vec![], false), "half an answer is no key");
    }

    #[test]
    fn a_terminal_is_asked_and_one_that_is_silent_is_not_waited_for_longer_than_said() {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        rustix::io::write(&theirs, b"\x1b]11;rgb:0/0/0\x07x\x1b[?1;2c").unwrap();
        let answer = ask(&ours, &ours, Duration::from_secs(20));
        assert_eq!(answer, Answer { light: Some(false), keys: typed(&[KeyCode::Char('x')]) });
        let mut asked = [0; 64];
        let n = rustix::io::read(&theirs, &mut asked).unwrap();
        assert_eq!(&asked[..n], QUESTION);
        rustix::io::write(&theirs, b"y").unwrap();
        let answer = ask(&ours, &ours, Duration::from_millis(50));
        assert_eq!(answer, Answer { light: None, keys: typed(&[KeyCode::Char('y')]) });
    }
}
