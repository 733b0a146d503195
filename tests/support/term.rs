//! A real terminal for tests: the program on a pty, its output parsed as a terminal would, waiting on
//! what is shown instead of sleeping.

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use std::io::{Read, Write};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

struct Screen {
    parser: vt100::Parser,
    closed: bool,
}

/// The program under test in its terminal.
pub struct Term {
    shared: Arc<(Mutex<Screen>, Condvar)>,
    master: Option<Box<dyn MasterPty + Send>>,
    writer: Option<Box<dyn Write + Send>>,
    child: Box<dyn Child + Send + Sync>,
}

#[allow(dead_code, reason = "each test target uses its part")]
impl Term {
    /// Starts the console with arguments and environment on a terminal of this size.
    pub fn start(args: &[&str], env: &[(&str, &str)], cols: u16, rows: u16) -> Self {
        let pty = native_pty_system().openpty(PtySize { rows, cols, pixel_width: 0, pixel_height: 0 }).expect("a pty");
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_kansole"));
        command.args(args);
        command.env("TERM", "xterm-256color");
        command.env("LANG", "C.UTF-8");
        command.env_remove("SSH_CONNECTION");
        command.env_remove("NO_COLOR");
        for (key, value) in env {
            command.env(key, value);
        }
        let child = pty.slave.spawn_command(command).expect("the program starts");
        drop(pty.slave);
        let shared = Arc::new((
            Mutex::new(Screen {
                parser: vt100::Parser::new(rows.try_into().expect("rows"), cols.try_into().expect("columns"), 0),
                closed: false,
            }),
            Condvar::new(),
        ));
        let mut reader = pty.master.try_clone_reader().expect("a reader");
        let writer = pty.master.take_writer().expect("a writer");
        let ours = shared.clone();
        std::thread::spawn(move || {
            let mut buffer = [0; 16 * 1024];
            loop {
                let n = reader.read(&mut buffer).unwrap_or(0);
                let mut screen = ours.0.lock().unwrap();
                if n == 0 {
                    screen.closed = true;
                } else {
                    screen.parser.process(&buffer[..n]);
                }
                drop(screen);
                ours.1.notify_all();
                if n == 0 {
                    return;
                }
            }
        });
        Self { shared, master: Some(pty.master), writer: Some(writer), child }
    }

    fn screen(&self) -> std::sync::MutexGuard<'_, Screen> {
        self.shared.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// What the terminal shows now.
    pub fn text(&self) -> String {
        self.screen().parser.screen().contents()
    }

    /// Waits until the screen satisfies a condition; panics with the screen when the time is up.
    pub fn wait(&self, what: &str, limit: Duration, done: impl Fn(&str) -> bool) -> String {
        let until = Instant::now() + limit;
        let mut screen = self.screen();
        loop {
            let text = screen.parser.screen().contents();
            if done(&text) {
                return text;
            }
            let left = until.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "waited {limit:?} for {what}; the screen shows:\n{text}");
            assert!(!screen.closed, "the program ended while waiting for {what}; the screen shows:\n{text}");
            screen = self.shared.1.wait_timeout(screen, left).unwrap().0;
        }
    }

    /// Waits until the screen contains a text.
    pub fn expect(&self, text: &str, limit: Duration) -> String {
        self.wait(&format!("{text:?}"), limit, |screen| screen.contains(text))
    }

    /// Types.
    pub fn keys(&mut self, keys: &str) {
        let writer = self.writer.as_mut().expect("the terminal is there");
        writer.write_all(keys.as_bytes()).expect("typed");
        writer.flush().expect("typed");
    }

    /// Process id of the program.
    pub fn pid(&self) -> u32 {
        self.child.process_id().expect("it was started")
    }

    /// Closes the terminal under the program, as a lost SSH connection does.
    pub fn hang_up(&mut self) {
        self.writer = None;
        self.master = None;
    }

    /// Waits for its end and returns the exit code.
    pub fn ended(&mut self, limit: Duration) -> u32 {
        let until = Instant::now() + limit;
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return status.exit_code();
            }
            assert!(Instant::now() < until, "still running after {limit:?}; the screen shows:\n{}", self.text());
            std::thread::sleep(Duration::from_millis(20)); // waitpid has no timeout
        }
    }

    /// Kills it as `kill -9` does.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Term {
    fn drop(&mut self) {
        self.kill();
    }
}
