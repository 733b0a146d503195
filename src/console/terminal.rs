//! Taking the terminal and giving it back, whatever happens: end, panic, stop, or a terminal that is gone.

use crossterm::cursor::{Hide, Show};
use crossterm::event::{DisableBracketedPaste, EnableBracketedPaste};
use crossterm::execute;
use crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use rustix::process::{Signal, getpid, kill_process};
use std::io::{self, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether the terminal is ours now. The panic hook must know it without a handle.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// Holds the terminal; gives it back when dropped.
#[derive(Debug)]
pub struct Terminal(());

impl Terminal {
    /// Takes the terminal: raw mode, alternate screen, bracketed paste, no cursor. The mouse stays the
    /// terminal's own, so that text can be selected. The error says what to do where there is no terminal.
    pub fn take() -> io::Result<Self> {
        if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
            let why =
                "standard input and output must be a terminal; use `kansole once` or `kansole snapshot` in scripts";
            return Err(io::Error::new(io::ErrorKind::NotConnected, why));
        }
        let guard = Self(());
        enter()?;
        Ok(guard)
    }

    /// Gives the terminal back, stops this process as ctrl-z does, and takes it again when continued.
    pub fn stop(&self) -> io::Result<()> {
        restore();
        kill_process(getpid(), Signal::STOP)?;
        enter()
    }

    /// Takes the terminal again after somebody stopped and continued the process.
    pub fn resume(&self) -> io::Result<()> {
        enter()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        restore();
    }
}

fn enter() -> io::Result<()> {
    TAKEN.store(true, Ordering::SeqCst);
    enable_raw_mode()?;
    execute!(io::stdout(), EnterAlternateScreen, EnableBracketedPaste, Hide)
}

/// Gives the terminal back if it is taken. Errors are of no use: the terminal may be gone.
pub fn restore() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        let _ = execute!(io::stdout(), DisableBracketedPaste, LeaveAlternateScreen, Show);
        let _ = disable_raw_mode();
    }
}

/// From now on a panic gives the terminal back, leaves a report in `state_dir`, says where, and ends the
/// process with 101: what a broken loop would still do is not known, and the journal tells the next start
/// what was in flight.
pub fn install_panic_hook(state_dir: &Path) {
    let state_dir = state_dir.to_owned();
    std::panic::set_hook(Box::new(move |info| {
        restore();
        let report = report(&info.to_string());
        let told = match write_report(&state_dir, &report) {
            Ok(path) => format!("a report is in {}", path.display()),
            Err(e) => format!("no report could be written to {}: {e}\n{report}", state_dir.display()),
        };
        let _ = writeln!(io::stderr(), "kansole had an error of its own and stopped; {told}");
        std::process::exit(101);
    }));
}

/// What happened and where. No environment, no arguments, no data of the cluster beyond the panic's own words.
fn report(panic: &str) -> String {
    format!(
        "kansole {} on {} {}\n{}\n\n{}\n\n{}\n",
        env!("CARGO_PKG_VERSION"),
        std::env::consts::OS,
        std::env::consts::ARCH,
        chrono::Utc::now().to_rfc3339(),
        crate::model::text::clean_lines(panic),
        std::backtrace::Backtrace::force_capture(),
    )
}

fn write_report(state_dir: &Path, report: &str) -> io::Result<PathBuf> {
    use std::os::unix::fs::OpenOptionsExt as _;
    std::fs::create_dir_all(state_dir)?;
    let stamp = chrono::Utc::now().format("%Y%m%dT%H%M%S%3f");
    let path = state_dir.join(format!("crash-{stamp}.txt"));
    std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?.write_all(report.as_bytes())?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_names_the_place_and_is_for_the_operator_only() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let path = write_report(&dir.path().join("new"), &report("panicked at src/x.rs:1:1:\nboom\u{1b}[2J")).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains("src/x.rs:1:1") && text.contains("boom[2J"));
        assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
