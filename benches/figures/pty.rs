//! The real program on a real terminal, with the time of every byte.

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use std::io::{Read as _, Write};
use std::num::NonZero;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// Columns and rows of every terminal here.
pub const SIZE: (u16, u16) = (220, 60);
/// Ends a synchronized update: a frame is complete.
const FRAME_END: &[u8] = b"\x1b[?2026l";

/// What the terminal got so far.
pub struct Seen {
    parser: vt100::Parser,
    /// Bytes.
    pub bytes: u64,
    /// Whole frames.
    pub frames: u64,
    /// When the last bytes came.
    pub at: Instant,
    tail: Vec<u8>,
    closed: bool,
}

impl Seen {
    /// What it shows.
    pub fn text(&self) -> String {
        self.parser.screen().contents()
    }

    /// The row of the selection bar, by the mark at its left.
    pub fn bar(&self) -> Option<u16> {
        let screen = self.parser.screen();
        (3..SIZE.1).find(|&y| screen.cell(y, 0).is_some_and(|c| c.contents() == "▌"))
    }

    fn take(&mut self, bytes: &[u8]) {
        self.parser.process(bytes);
        self.bytes += bytes.len() as u64;
        self.at = Instant::now();
        self.tail.extend_from_slice(bytes);
        self.frames += self.tail.windows(FRAME_END.len()).filter(|w| *w == FRAME_END).count() as u64;
        let keep = self.tail.len().min(FRAME_END.len() - 1);
        self.tail.drain(..self.tail.len() - keep);
    }
}

/// A program in its terminal; it is killed when this is dropped.
pub struct Pty {
    seen: Arc<(Mutex<Seen>, Condvar)>,
    _master: Box<dyn MasterPty + Send>,
    keys: Box<dyn Write + Send>,
    child: Box<dyn Child + Send + Sync>,
    /// When it was started.
    pub started: Instant,
}

impl Pty {
    /// Starts the console with its files in a directory.
    pub fn kansole(dir: &Path) -> Self {
        let path = |name: &str| dir.join(name).to_str().expect("utf-8").to_owned();
        Self::run(dir, &["--kubeconfig", &path("kubeconfig"), "--config", &path("config.toml")])
    }

    /// Starts the program at home in a directory.
    pub fn run(dir: &Path, args: &[&str]) -> Self {
        let size = PtySize { rows: SIZE.1, cols: SIZE.0, pixel_width: 0, pixel_height: 0 };
        let pty = native_pty_system().openpty(size).expect("a pty");
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_kansole"));
        command.env_clear();
        for (key, value) in [("TERM", "xterm-256color"), ("LANG", "C.UTF-8"), ("COLORTERM", "truecolor")] {
            command.env(key, value);
        }
        command.env("HOME", dir);
        command.args(args);
        let of = |n| NonZero::new(n).expect("not zero");
        let (parser, now) = (vt100::Parser::new(of(SIZE.1), of(SIZE.0), 0), Instant::now());
        let seen = Seen { parser, bytes: 0, frames: 0, at: now, tail: Vec::new(), closed: false };
        let seen = Arc::new((Mutex::new(seen), Condvar::new()));
        let mut reader = pty.master.try_clone_reader().expect("a reader");
        let keys = pty.master.take_writer().expect("a writer");
        let started = Instant::now();
        let child = pty.slave.spawn_command(command).expect("the program starts");
        drop(pty.slave);
        let ours = seen.clone();
        std::thread::spawn(move || {
            let mut buffer = vec![0; 64 * 1024];
            loop {
                let n = reader.read(&mut buffer).unwrap_or(0);
                let mut seen = ours.0.lock().expect("no panic while reading");
                if n == 0 {
                    seen.closed = true;
                } else {
                    seen.take(&buffer[..n]);
                }
                drop(seen);
                ours.1.notify_all();
                if n == 0 {
                    return;
                }
            }
        });
        Self { seen, _master: pty.master, keys, child, started }
    }

    /// What was seen so far.
    pub fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.0.lock().expect("no panic while reading")
    }

    /// Waits until something is seen; gives the time at which the bytes came that showed it.
    pub fn wait(&self, what: &str, limit: Duration, done: impl Fn(&Seen) -> bool) -> Instant {
        let until = Instant::now() + limit;
        let mut seen = self.seen();
        while !done(&seen) {
            let left = until.saturating_duration_since(Instant::now());
            let ended = left.is_zero() || seen.closed;
            assert!(!ended, "waited {limit:?} for {what}; the screen shows:\n{}", seen.text());
            seen = self.seen.1.wait_timeout(seen, left).expect("no panic while reading").0;
        }
        seen.at
    }

    /// Types; gives the time just before.
    pub fn keys(&mut self, keys: &str) -> Instant {
        let now = Instant::now();
        self.keys.write_all(keys.as_bytes()).expect("typed");
        self.keys.flush().expect("typed");
        now
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.process_id().expect("it was started")
    }

    /// From start to all pods of the cluster on the screen.
    pub fn open_all_pods(&mut self, pods: usize) {
        let patience = Duration::from_secs(60);
        self.wait("the first frame", patience, |s| s.frames > 0);
        self.keys("2");
        self.wait("workloads", patience, |s| s.text().contains("Workloads "));
        self.keys("\x1b");
        self.wait("namespaces", patience, |s| s.text().contains("all pods"));
        self.keys("j");
        self.wait("the second line", patience, |s| s.bar().is_some());
        self.keys("\r");
        let title = format!("Pods {pods}");
        self.wait("all pods", patience, |s| s.text().contains(&title));
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Writes kubeconfig and configuration for a server.
pub fn files(dir: &Path, server: &str) {
    let kubeconfig = serde_json::json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "bench",
        "clusters": [{"name": "c", "cluster": {"server": server}}],
        "users": [{"name": "ops", "user": {"token": "t"}}],
        "contexts": [{"name": "bench", "context": {"cluster": "c", "user": "ops"}}],
    });
    std::fs::write(dir.join("kubeconfig"), kubeconfig.to_string()).expect("written");
    let state = dir.join("state").display().to_string();
    let config = format!("[connection]\nprometheus = \"none\"\nstate_dir = {state:?}\n");
    std::fs::write(dir.join("config.toml"), config).expect("written");
}
