//! The real binary on a real tty: it starts, leaves, and gives the terminal back, whatever happens.

use kansole::console::terminal::{Terminal, install_panic_hook};
use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// What a process wrote, and whether it closed the terminal.
type Output = Arc<(Mutex<(Vec<u8>, bool)>, Condvar)>;

struct Tty {
    master: Option<Box<dyn MasterPty + Send>>,
    keys: Option<Box<dyn std::io::Write + Send>>,
    child: Box<dyn Child + Send + Sync>,
    output: Output,
    reader: Option<std::thread::JoinHandle<()>>,
    closing: Arc<AtomicBool>,
    home: tempfile::TempDir,
}

/// More than any of these steps takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

impl Tty {
    fn console() -> Self {
        Self::spawn(kansole())
    }

    fn spawn(command: CommandBuilder) -> Self {
        Self::at(tempfile::tempdir().unwrap(), command)
    }

    /// Starts a command whose home directory is given.
    fn at(home: tempfile::TempDir, mut command: CommandBuilder) -> Self {
        let size = PtySize { rows: 24, cols: 80, pixel_width: 0, pixel_height: 0 };
        let pty = native_pty_system().openpty(size).unwrap();
        command.env_clear();
        command.env("HOME", home.path());
        command.env("TERM", "xterm-256color");
        command.env("LANG", "C.UTF-8");
        command.env("KANSOLE_TEST_STATE", home.path().join("state"));
        let child = pty.slave.spawn_command(command).unwrap();
        drop(pty.slave);
        let output = Output::default();
        let (mut reader, seen) = (pty.master.try_clone_reader().unwrap(), output.clone());
        let closing = Arc::new(AtomicBool::new(false));
        let close = closing.clone();
        let reader = Some(std::thread::spawn(move || {
            let mut buffer = vec![0; 65_536];
            loop {
                let n = reader.read(&mut buffer).unwrap_or(0);
                let mut state = seen.0.lock().unwrap();
                state.0.extend_from_slice(&buffer[..n]);
                state.1 = n == 0;
                seen.1.notify_all();
                if n == 0 || close.load(Ordering::SeqCst) {
                    return;
                }
            }
        }));
        let keys = pty.master.take_writer().unwrap();
        Self { master: Some(pty.master), keys: Some(keys), child, output, reader, closing, home }
    }

    /// Waits until what was written satisfies a condition.
    fn until(&self, what: &str, holds: impl Fn(&[u8]) -> bool) {
        let (state, changed) = (&self.output.0, &self.output.1);
        let guard = state.lock().unwrap();
        let (guard, timeout) = changed.wait_timeout_while(guard, PATIENCE, |s| !holds(&s.0) && !s.1).unwrap();
        assert!(!timeout.timed_out() && holds(&guard.0), "{what}:\n{}", String::from_utf8_lossy(&guard.0));
    }

    /// Closes every handle on the terminal's other end, as a lost connection does.
    fn hang_up(&mut self) {
        self.closing.store(true, Ordering::SeqCst);
        // The reader waits for output; this makes some.
        self.type_keys(":");
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        self.keys = None;
        self.master = None;
    }

    fn until_shown(&self, text: &str) {
        self.until(text, |bytes| screen(bytes).contents().contains(text));
    }

    fn type_keys(&mut self, keys: &str) {
        let writer = self.keys.as_mut().unwrap();
        writer.write_all(keys.as_bytes()).unwrap();
        writer.flush().unwrap();
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.process_id().unwrap() as i32).unwrap()
    }

    fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// A field of `/proc/PID/stat`, counted from 1 as in proc(5).
    fn stat(&self, field: usize) -> Option<String> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid().as_raw_nonzero())).ok()?;
        let rest = stat.rsplit_once(") ")?.1.split_whitespace().nth(field - 3)?;
        Some(rest.to_owned())
    }

    /// Seconds of CPU so far.
    fn cpu(&self) -> f64 {
        let ticks = |f| self.stat(f).and_then(|t| t.parse::<f64>().ok()).unwrap_or(0.0);
        (ticks(14) + ticks(15)) / 100.0
    }

    fn wait_state(&self, state: &str) {
        let end = Instant::now() + PATIENCE;
        while self.stat(3).as_deref() != Some(state) {
            assert!(Instant::now() < end, "state {:?}, not {state}", self.stat(3));
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The exit code, once the process has ended within `limit`.
    fn ended(&mut self, limit: Duration) -> u32 {
        let begin = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.exit_code();
            }
            assert!(begin.elapsed() < limit, "still there after {limit:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn assert_restored(&self) {
        self.until("the ordinary screen with its cursor", |bytes| {
            let screen = screen(bytes);
            !screen.alternate_screen() && !screen.hide_cursor() && !screen.bracketed_paste()
        });
    }
}

/// The binary, with nothing to connect to.
fn kansole() -> CommandBuilder {
    let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_kansole"));
    command.args(["--kubeconfig", "/nonexistent"]);
    command
}

impl Drop for Tty {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn screen(bytes: &[u8]) -> vt100::Screen {
    let mut parser = vt100::Parser::new(24.try_into().unwrap(), 80.try_into().unwrap(), 0);
    parser.process(bytes);
    parser.screen().clone()
}

#[test]
fn it_starts_without_a_cluster_and_leaves_the_terminal_as_it_was() {
    let mut tty = Tty::console();
    tty.until_shown("MANUAL");
    tty.until_shown("DISCONNECTED");
    tty.type_keys(":");
    tty.until_shown("commands ─");
    tty.type_keys("\x1b");
    tty.until("the palette closed", |b| !screen(b).contents().contains("commands ─"));
    tty.type_keys("q");
    assert_eq!(tty.ended(PATIENCE), 0);
    tty.assert_restored();
}

#[test]
fn pasted_keys_are_not_keys() {
    let mut tty = Tty::console();
    // Its own message must not be followed at once by that of the failed connection.
    tty.until_shown("DISCONNECTED");
    tty.type_keys("\x1b[200~q\nq\x1b[201~");
    tty.until_shown("pasted text was ignored");
    assert!(tty.child.try_wait().unwrap().is_none());
}

#[test]
fn control_sequences_in_a_paste_stay_text() {
    let mut tty = Tty::console();
    tty.until_shown("DISCONNECTED");
    tty.type_keys("/");
    tty.until_shown("filter:");
    tty.type_keys("\x1b[200~ab\x1b]52;c;QUJD\x07cd\x1b[2J\x1b[201~");
    tty.until_shown("ab]52;c;QUJDcd[2J");
    let written = tty.output.0.lock().unwrap().0.clone();
    assert!(!written.windows(5).any(|w| w == b"\x1b]52;"), "the clipboard is nobody's but the operator's");
}

#[test]
fn a_storm_of_resizes_leaves_a_whole_screen() {
    let mut tty = Tty::console();
    tty.until_shown("MANUAL");
    let resize = |tty: &Tty, rows, cols| {
        let size = PtySize { rows, cols, pixel_width: 0, pixel_height: 0 };
        tty.master.as_ref().unwrap().resize(size).unwrap();
    };
    for i in 0..200 {
        resize(&tty, 1 + i * 7 % 60, 1 + i * 13 % 220);
    }
    resize(&tty, 24, 80);
    // From here on everything is drawn once more, at the last size.
    tty.type_keys("\x0c");
    tty.until("a whole screen", |b| {
        let text = screen(b).contents();
        text.contains("MANUAL") && text.contains("1 overview") && !text.contains("Make the window larger")
    });
    tty.type_keys("q");
    assert_eq!(tty.ended(PATIENCE), 0);
    tty.assert_restored();
}

#[test]
fn a_broken_file_keeps_the_old_settings_and_names_the_place_and_a_good_one_is_taken() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join(".config/kansole");
    std::fs::create_dir_all(folder.join("themes")).unwrap();
    let config = folder.join("config.toml");
    std::fs::write(&config, "[ui]\ntheme = \"dark\"\ncolor = \"true\"\n").unwrap();
    let tty = Tty::at(home, kansole());
    tty.until_shown("MANUAL");
    let banner = |bytes: &[u8]| screen(bytes).cell(0, 1).unwrap().bgcolor();
    let dark = banner(&tty.output.0.lock().unwrap().0);
    std::fs::write(&config, "[ui]\nthem = \"light\"\n").unwrap();
    tty.until_shown("not taken: config.toml:2:1: key ui.them");
    assert_eq!(banner(&tty.output.0.lock().unwrap().0), dark);
    std::fs::write(&config, "[ui]\ntheme = \"light\"\ncolor = \"true\"\n").unwrap();
    tty.until("the light theme", |b| banner(b) == vt100::Color::Rgb(0x0e, 0x74, 0x90));
}

#[test]
fn signals_end_it_and_the_terminal_is_given_back() {
    for signal in [Signal::TERM, Signal::HUP, Signal::INT] {
        let mut tty = Tty::console();
        tty.until_shown("MANUAL");
        tty.signal(signal);
        tty.ended(Duration::from_secs(3));
        tty.assert_restored();
    }
}

/// Hangs up and tells how long the process lived on, and what CPU it took meanwhile.
fn vanish(mut tty: Tty) -> (Duration, f64) {
    tty.until_shown("MANUAL");
    let before = tty.cpu();
    tty.hang_up();
    let begin = Instant::now();
    let mut used = before;
    while tty.child.try_wait().unwrap().is_none() && begin.elapsed() < PATIENCE {
        used = tty.cpu().max(used);
        std::thread::sleep(Duration::from_millis(20));
    }
    (begin.elapsed(), used - before)
}

#[test]
fn a_vanished_terminal_ends_it_without_a_spin() {
    let (lived, cpu) = vanish(Tty::console());
    assert!(lived < Duration::from_secs(3) && cpu < 1.0, "{lived:?}, {cpu} s of CPU");
}

#[test]
fn it_ends_even_when_no_signal_says_that_the_terminal_vanished() {
    let mut command = kansole();
    // Without a controlling terminal the kernel sends no SIGHUP.
    command.set_controlling_tty(false);
    let (lived, cpu) = vanish(Tty::spawn(command));
    // crossterm's reader may spin, and may keep the clean end waiting, until the process is ended by force after 1.8 s.
    assert!(lived < Duration::from_secs(3) && cpu < 2.0, "{lived:?}, {cpu} s of CPU");
}

#[test]
fn it_stops_and_comes_back_with_a_whole_screen() {
    let mut tty = Tty::console();
    tty.until_shown("MANUAL");
    for by_key in [false, true] {
        if by_key {
            tty.type_keys("\x1a");
        } else {
            tty.signal(Signal::TSTP);
        }
        tty.wait_state("T");
        tty.assert_restored();
        let before = tty.output.0.lock().unwrap().0.len();
        tty.signal(Signal::CONT);
        tty.until("a full repaint", |b| screen(&b[before..]).contents().contains("MANUAL"));
    }
    tty.type_keys("q");
    assert_eq!(tty.ended(PATIENCE), 0);
}

#[test]
fn it_costs_next_to_nothing_when_nothing_happens() {
    let tty = Tty::console();
    tty.until_shown("quit");
    // What is measured is the passing of time itself.
    std::thread::sleep(Duration::from_secs(1));
    let drawn = tty.output.0.lock().unwrap().0.len();
    let before = tty.cpu();
    std::thread::sleep(Duration::from_secs(4));
    assert!(tty.cpu() - before <= 0.04, "{} s of CPU in 4 s", tty.cpu() - before);
    let written = tty.output.0.lock().unwrap().0.len();
    assert_eq!(written, drawn, "nothing changed, so nothing is written");
}

#[test]
fn a_panic_gives_the_terminal_back_and_leaves_a_report() {
    let mut command = CommandBuilder::new(std::env::current_exe().unwrap());
    command.args(["--ignored", "--exact", "--nocapture", "child_that_panics"]);
    let mut tty = Tty::spawn(command);
    assert_eq!(tty.ended(PATIENCE), 101);
    tty.assert_restored();
    tty.until("the path of the report", |b| String::from_utf8_lossy(b).contains("a report is in "));
    let reports: Vec<_> = std::fs::read_dir(tty.home.path().join("state")).unwrap().collect();
    let text = std::fs::read_to_string(reports[0].as_ref().unwrap().path()).unwrap();
    assert!(text.contains("boom from a test") && text.contains("terminal.rs"), "{text}");
}

#[test]
#[ignore = "run in a tty of its own by the test above"]
fn child_that_panics() {
    install_panic_hook(Path::new(&std::env::var("KANSOLE_TEST_STATE").unwrap()));
    let _terminal = Terminal::take().unwrap();
    panic!("boom from a test");
}

/// A kubeconfig whose context leads nowhere, so that its name is known and nothing is connected.
fn nowhere(home: &Path, context: &str) -> std::path::PathBuf {
    let file = home.join("kubeconfig");
    let text = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: {context}\nclusters:\n- name: c\n  cluster: {{server: \"http://127.0.0.1:9\"}}\n\
         users:\n- name: u\n  user: {{}}\ncontexts:\n- name: {context}\n  context: {{cluster: c, user: u}}\n"
    );
    std::fs::write(&file, text).unwrap();
    file
}

fn kansole_with(args: &[&str]) -> CommandBuilder {
    let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_kansole"));
    command.args(args);
    command
}

#[test]
fn the_last_view_of_a_context_comes_back_and_a_damaged_one_is_told() {
    let home = tempfile::tempdir().unwrap();
    let file = nowhere(home.path(), "far-away");
    let state = home.path().join("kept");
    // Not by the environment, which is cleared for every child.
    let config = home.path().join("config.toml");
    std::fs::write(&config, format!("[connection]\nstate_dir = {state:?}\n")).unwrap();
    let start = |home| {
        let files = [file.to_str().unwrap(), config.to_str().unwrap()];
        let args = ["--kubeconfig", files[0], "--config", files[1], "--context", "far-away"];
        Tty::at(home, kansole_with(&args))
    };
    let mut tty = start(tempfile::tempdir().unwrap());
    tty.until_shown("far-away");
    tty.type_keys("4/needle\r");
    tty.until_shown("needle");
    tty.type_keys("q");
    assert_eq!(tty.ended(PATIENCE), 0);
    let mut tty = start(tempfile::tempdir().unwrap());
    tty.until("the queue with its filter", |b| {
        let text = screen(b).contents();
        text.contains("needle") && text.contains("far-away")
    });
    tty.type_keys("q");
    assert_eq!(tty.ended(PATIENCE), 0);
    std::fs::write(state.join("session.json"), "{\"version\": 1, \"cont").unwrap();
    let mut tty = start(tempfile::tempdir().unwrap());
    tty.until_shown("far-away");
    tty.type_keys("m");
    tty.until_shown("set aside");
}

#[test]
fn a_recording_plays_back_to_the_screen() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("a.cast");
    let mut tty = Tty::at(home, kansole_with(&["--kubeconfig", "/nonexistent", "--record", file.to_str().unwrap()]));
    tty.until_shown("DISCONNECTED");
    tty.type_keys("/secret\r");
    tty.until_shown("secret");
    tty.type_keys("q");
    assert_eq!(tty.ended(PATIENCE), 0);
    let text = std::fs::read_to_string(&file).unwrap();
    let mut lines = text.lines().map(|l| serde_json::from_str::<serde_json::Value>(l).unwrap());
    let head = lines.next().unwrap();
    assert_eq!((&head["version"], &head["width"], &head["height"]), (&2.into(), &80.into(), &24.into()));
    let events: Vec<_> = lines.collect();
    let times: Vec<f64> = events.iter().map(|e| e[0].as_f64().unwrap()).collect();
    assert!(times.is_sorted() && times[0] < 5.0, "{times:?}");
    assert!(events.iter().all(|e| e[1] == "o"), "keys are not recorded");
    let played: String = events.iter().map(|e| e[2].as_str().unwrap()).collect();
    // Before the end, at which the ordinary screen comes back.
    let before = played.rsplit_once("\x1b[?1049l").unwrap().0;
    let shown = screen(before.as_bytes()).contents();
    assert!(shown.contains("no cluster") && shown.contains("secret"), "{shown}");
}

#[test]
fn without_a_kubeconfig_the_demo_is_offered_and_a_script_is_told_what_is_missing() {
    let mut tty = Tty::spawn(kansole_with(&[]));
    tty.until_shown("Open the demo?");
    tty.type_keys("n\n");
    assert_eq!(tty.ended(PATIENCE), 3);
    tty.until_shown("--kubeconfig");
    let home = tempfile::tempdir().unwrap();
    let out = std::process::Command::new(env!("CARGO_BIN_EXE_kansole"))
        .env_clear()
        .env("HOME", home.path())
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    assert_eq!(out.status.code(), Some(3));
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(
        said.contains("there is no kubeconfig") && said.contains("kansole demo") && out.stdout.is_empty(),
        "{said}"
    );
}

#[test]
fn who_says_yes_sees_the_demo_and_is_offered_the_tour_once() {
    let mut tty = Tty::spawn(kansole_with(&[]));
    tty.until_shown("Open the demo?");
    tty.type_keys("\n");
    tty.until_shown("new here?");
    tty.type_keys("\x1bOP");
    tty.until_shown("tour 1/5");
    tty.type_keys("\r");
    tty.until_shown("tour 2/5");
    tty.type_keys("\x1b");
    tty.until("the tour is over", |b| !screen(b).contents().contains("tour 2/5"));
    let home = std::mem::replace(&mut tty.home, tempfile::tempdir().unwrap());
    tty.type_keys("q");
    assert_eq!(tty.ended(PATIENCE), 0);
    let tty = Tty::at(home, kansole_with(&["demo"]));
    tty.until_shown("demo");
    tty.until_shown("quit");
    assert!(!screen(&tty.output.0.lock().unwrap().0).contents().contains("new here?"));
}

#[test]
fn in_lines_nothing_is_drawn_and_words_are_typed() {
    let mut tty = Tty::spawn(kansole_with(&["--kubeconfig", "/nonexistent", "--plain"]));
    let said = |b: &[u8], text: &str| String::from_utf8_lossy(b).contains(text);
    tty.until("what is wrong", |b| said(b, "not connected: kubeconfig /nonexistent"));
    tty.type_keys("status\n");
    tty.until("the mode", |b| said(b, "MANUAL"));
    tty.type_keys("actoins\n");
    tty.until("a correction", |b| said(b, "did you mean actions?"));
    tty.type_keys("actions\n");
    tty.until("the pane", |b| said(b, "actions,") || said(b, "Queue"));
    tty.type_keys("quit\n");
    assert_eq!(tty.ended(PATIENCE), 0);
    let written = tty.output.0.lock().unwrap().0.clone();
    assert!(!written.contains(&0x1b), "{}", String::from_utf8_lossy(&written));
}

#[test]
fn lines_end_with_their_input() {
    let home = tempfile::tempdir().unwrap();
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_kansole"))
        .args(["--kubeconfig", "/nonexistent", "--plain"])
        .env_clear()
        .env("HOME", home.path())
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"mode\n").unwrap();
    let out = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&out.stdout);
    assert!(out.status.success() && text.contains("not from a pipe"), "{text}");
}
