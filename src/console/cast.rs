//! Recordings of the screen: asciicast version 2, one event a line, as asciinema and its players read it.
//!
//! Only what the terminal is sent is recorded, never what is typed. A recording that cannot be written any more ends;
//! the console goes on.

use serde_json::json;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

/// A recording under way.
#[derive(Debug)]
pub struct Cast<W: Write = File> {
    out: W,
    begin: Instant,
    /// Bytes of a character whose end has not come yet.
    rest: Vec<u8>,
    /// Why it ended; told once.
    failed: Option<String>,
    over: bool,
}

impl Cast {
    /// Begins a recording in a new file that only its owner can read: it shows what the screen shows.
    pub fn create(path: &Path, size: (u16, u16)) -> io::Result<Self> {
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(|e| {
            let remedy = match e.kind() {
                io::ErrorKind::AlreadyExists => "there is one already; name another or remove it",
                io::ErrorKind::NotFound => "its directory does not exist",
                _ => "name a file that can be written",
            };
            io::Error::new(e.kind(), format!("--record {}: {e}; {remedy}", path.display()))
        })?;
        Self::begin(file, size)
    }
}

impl<W: Write> Cast<W> {
    /// Begins a recording of a screen that is empty.
    pub fn begin(mut out: W, (width, height): (u16, u16)) -> io::Result<Self> {
        let env = |name: &str| std::env::var(name).unwrap_or_default();
        let head = json!({
            "version": 2, "width": width, "height": height,
            "timestamp": chrono::Utc::now().timestamp(),
            "title": concat!("kansole ", env!("CARGO_PKG_VERSION")),
            "env": {"TERM": env("TERM")},
        });
        out.write_all(format!("{head}\n").as_bytes())?;
        let mut cast = Self { out, begin: Instant::now(), rest: Vec::new(), failed: None, over: false };
        cast.sent(b"\x1b[?1049h\x1b[?25l");
        Ok(cast)
    }

    /// The terminal was sent these bytes now.
    pub fn sent(&mut self, bytes: &[u8]) {
        self.rest.extend_from_slice(bytes);
        // A write may end inside a character; a line of the recording must not.
        let whole = match std::str::from_utf8(&self.rest) {
            Ok(_) => self.rest.len(),
            Err(e) if e.error_len().is_none() => e.valid_up_to(),
            Err(_) => self.rest.len(),
        };
        let rest = self.rest.split_off(whole);
        let text = String::from_utf8_lossy(&std::mem::replace(&mut self.rest, rest)).into_owned();
        if !text.is_empty() {
            self.event("o", &text);
        }
    }

    /// The terminal has another size from now on.
    pub fn resized(&mut self, width: u16, height: u16) {
        self.event("r", &format!("{width}x{height}"));
    }

    /// Why the recording ended before the console did; told once.
    pub fn failure(&mut self) -> Option<String> {
        self.failed.take()
    }

    fn event(&mut self, kind: &str, data: &str) {
        if self.over {
            return;
        }
        let line = format!("{}\n", json!([seconds(self.begin.elapsed()), kind, data]));
        if let Err(e) = self.out.write_all(line.as_bytes()) {
            self.over = true;
            self.failed = Some(format!("the recording ended: {e}"));
        }
    }
}

impl<W: Write> Drop for Cast<W> {
    fn drop(&mut self) {
        self.sent(b"\x1b[?25h\x1b[?1049l");
        let _ = self.out.flush();
    }
}

/// Seconds with microseconds, as players read them.
fn seconds(since: Duration) -> f64 {
    (since.as_micros() as f64) / 1e6
}

/// Where frames go: the terminal, and the recording if there is one.
#[derive(Debug)]
pub struct Out {
    tty: File,
    cast: Option<Cast>,
}

impl Out {
    /// The terminal and a recording.
    pub fn new(tty: File, cast: Option<Cast>) -> Self {
        Self { tty, cast }
    }

    /// The recording.
    pub fn cast(&mut self) -> Option<&mut Cast> {
        self.cast.as_mut()
    }
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sent = self.tty.write(bytes)?;
        if let Some(cast) = &mut self.cast {
            cast.sent(&bytes[..sent]);
        }
        Ok(sent)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.tty.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn lines(bytes: &[u8]) -> Vec<Value> {
        std::str::from_utf8(bytes).unwrap().lines().map(|l| serde_json::from_str(l).unwrap()).collect()
    }

    #[test]
    fn a_recording_plays_back_to_what_the_screen_showed() {
        let mut file = Vec::new();
        let mut cast = Cast::begin(&mut file, (80, 24)).unwrap();
        let frame = "caf\u{e9} 車 \x1b[31m\"red\"\x1b[m".as_bytes();
        // Cut inside a character, as a write may be.
        cast.sent(&frame[..4]);
        cast.sent(&frame[4..]);
        cast.resized(100, 30);
        drop(cast);
        let lines = lines(&file);
        assert_eq!(
            (&lines[0]["version"], &lines[0]["width"], &lines[0]["height"]),
            (&2.into(), &80.into(), &24.into())
        );
        let times: Vec<f64> = lines[1..].iter().map(|l| l[0].as_f64().unwrap()).collect();
        assert!(times.is_sorted() && times.iter().all(|t| *t >= 0.0), "{times:?}");
        let played: String = lines[1..].iter().filter(|l| l[1] == "o").map(|l| l[2].as_str().unwrap()).collect();
        assert!(played.contains(std::str::from_utf8(frame).unwrap()), "{played:?}");
        assert!(lines.iter().any(|l| l[1] == "r" && l[2] == "100x30"));
    }

    /// A disk with room for so many writes.
    struct Full(usize);
    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 = self.0.checked_sub(1).ok_or_else(|| io::Error::from(io::ErrorKind::StorageFull))?;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_file_that_exists_is_not_written_over_and_a_full_disk_ends_the_recording_only() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.cast");
        std::fs::write(&path, "mine").unwrap();
        let why = Cast::create(&path, (80, 24)).unwrap_err().to_string();
        assert!(why.contains("a.cast") && why.contains("name another"), "{why}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");

        let mut cast = Cast::begin(Full(2), (80, 24)).unwrap();
        cast.sent(b"x");
        assert!(cast.failure().unwrap().contains("the recording ended"));
        cast.sent(b"y");
        assert_eq!(cast.failure(), None, "told once");
    }
}
