//! Inside a real tmux: the screen, sizes, copying, pasting, stopping and leaving. Where tmux is not installed the test says so
//! and passes; the same steps on a bare terminal are in `terminal.rs`.

use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

/// More than any step takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// A tmux server of its own, gone with the test.
struct Tmux {
    home: tempfile::TempDir,
}

impl Tmux {
    fn start() -> Option<Self> {
        if Command::new("tmux").arg("-V").output().is_err() {
            eprintln!("tmux is not installed: nothing was tried inside it");
            return None;
        }
        let tmux = Self { home: tempfile::tempdir().unwrap() };
        let out = tmux.run(&["new-session", "-d", "-x", "100", "-y", "30", "sh -i"]);
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        tmux.run(&["set-option", "-s", "set-clipboard", "on"]);
        Some(tmux)
    }

    fn run(&self, args: &[&str]) -> Output {
        let socket = self.home.path().join("socket");
        Command::new("tmux")
            .arg("-S")
            .arg(socket)
            .args(["-f", "/dev/null"])
            .args(args)
            .env("HOME", self.home.path())
            .env("LANG", "C.UTF-8")
            .env_remove("TMUX")
            .env_remove("KUBECONFIG")
            .output()
            .unwrap()
    }

    fn shown(&self) -> String {
        String::from_utf8_lossy(&self.run(&["capture-pane", "-p"]).stdout).into_owned()
    }

    fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !holds(self) {
            assert!(Instant::now() < end, "{what}:\n{}", self.shown());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn until_shown(&self, text: &str) {
        self.until(text, |t| t.shown().contains(text));
    }

    fn keys(&self, keys: &[&str]) {
        self.run(&[&["send-keys"], keys].concat());
    }

    fn type_line(&self, line: &str) {
        self.run(&["send-keys", "-l", line]);
        self.keys(&["Enter"]);
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        // Its own server, by its own socket.
        self.run(&["kill-server"]);
    }
}

#[test]
fn inside_tmux_it_draws_copies_takes_pastes_stops_comes_back_and_leaves() {
    let Some(tmux) = Tmux::start() else { return };
    let program = Path::new(env!("CARGO_BIN_EXE_kansole"));
    tmux.type_line(&format!("LANG=C.UTF-8 {} --kubeconfig /nonexistent", program.display()));
    tmux.until_shown("DISCONNECTED");

    // Its own clipboard sequence reaches tmux, as it would reach the terminal around it.
    tmux.keys(&["?"]);
    tmux.until_shown("keys · overview");
    tmux.keys(&["y"]);
    let copied = |t: &Tmux| String::from_utf8_lossy(&t.run(&["show-buffer"]).stdout).contains("Leave the console");
    tmux.until("the key reference in tmux's buffer", copied);
    tmux.keys(&["Escape"]);
    tmux.until("the help closed", |t| !t.shown().contains("keys · overview"));

    // A paste is data, whatever it holds.
    tmux.keys(&["/"]);
    tmux.until_shown("filter:");
    tmux.run(&["set-buffer", "ab\u{1b}]52;c;QUJD\u{7}q\u{1b}[2Jcd"]);
    tmux.run(&["paste-buffer", "-p"]);
    tmux.until("the paste as text", |t| t.shown().contains("52;c;QUJD") && t.shown().contains("MANUAL"));
    tmux.keys(&["Escape"]);

    for i in 0..30 {
        let (x, y) = ((20 + i * 37 % 180).to_string(), (5 + i * 11 % 50).to_string());
        tmux.run(&["resize-window", "-x", &x, "-y", &y]);
    }
    tmux.run(&["resize-window", "-x", "100", "-y", "30"]);
    tmux.until("a whole screen after the storm", |t| {
        let text = t.shown();
        text.contains("MANUAL") && text.contains("1 overview") && !text.contains("Make the window larger")
    });

    tmux.keys(&["C-z"]);
    tmux.until("the shell's own screen", |t| !t.shown().contains("MANUAL"));
    tmux.type_line("fg");
    tmux.until_shown("MANUAL");
    tmux.keys(&["q"]);
    tmux.until("the shell's own screen again", |t| !t.shown().contains("MANUAL"));
    tmux.type_line("echo left with $?");
    tmux.until_shown("left with 0");
}
