//! The command line: parsing, and one file per command.

mod actions;
pub mod args;
mod console;
mod demo;
mod doctor;
mod generated;
mod journal;
mod lab;
mod once;
mod snapshot;

use crate::autopilot::{JournalUse, Options};
use crate::config::dirs::Dirs;
use crate::config::load::{Loaded, Overrides, load};
use crate::console::caps::Caps;
use crate::console::keyref;
use crate::console::look::Look;
use crate::monitor::connect::ConnectOptions;
use args::{Cli, Cmd, Format, KeysFormat};
use clap::Parser;
use std::process::ExitCode;

/// How a command can end without having done its work.
#[derive(Debug)]
pub enum Failure {
    /// Exit code 1: it was tried and failed.
    Failed(anyhow::Error),
    /// Exit code 2: wrong use, or a file with mistakes.
    Usage(anyhow::Error),
    /// Exit code 3: no connection.
    Connect(anyhow::Error),
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(e: E) -> Self {
        Self::Failed(e.into())
    }
}

/// What a command gives back.
pub type Done = Result<(), Failure>;

/// Parses the arguments, runs the command, and tells errors on stderr.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (code, error) = match dispatch(&cli) {
        Ok(()) => return ExitCode::SUCCESS,
        Err(Failure::Failed(e)) => (1, e),
        Err(Failure::Usage(e)) => (2, e),
        Err(Failure::Connect(e)) => (3, e),
    };
    // What a server or a file said may be quoted in an error: it is cleaned before it meets the terminal.
    eprintln!("kansole: {}", crate::model::text::clean_lines(&format!("{error:#}")));
    ExitCode::from(code)
}

fn dispatch(cli: &Cli) -> Done {
    if !matches!(cli.command, None | Some(Cmd::Demo(_))) {
        for (given, flag) in [(cli.screen.plain, "--plain"), (cli.screen.record.is_some(), "--record")] {
            if given {
                let why = "is for the console: kansole, or kansole demo";
                return Err(Failure::Usage(anyhow::anyhow!("{flag} {why}; leave it out here")));
            }
        }
    }
    match &cli.command {
        None => console::run(cli),
        Some(Cmd::Once(args)) => once::run(cli, args),
        Some(Cmd::Snapshot(args)) => snapshot::run(cli, args),
        Some(Cmd::Doctor(format)) => doctor::run(cli, format.format),
        Some(Cmd::Actions(cmd)) => actions::run(cli, cmd),
        Some(Cmd::Journal(cmd)) => journal::run(cli, cmd),
        Some(Cmd::Keys(args)) => keys(cli, args.format),
        Some(Cmd::Demo(args)) => demo::run(cli, args),
        Some(Cmd::Completions(args)) => generated::completions(args.shell),
        Some(Cmd::Man(args)) => generated::man(&args.command),
        Some(Cmd::Agent(_)) => unbuilt("agent"),
        Some(Cmd::Lab(cmd)) => lab::run(cmd),
    }
}

fn unbuilt(name: &str) -> Done {
    Err(Failure::Usage(anyhow::anyhow!("{name}: not built yet")))
}

fn keys(cli: &Cli, format: KeysFormat) -> Done {
    let (loaded, dirs) = settings(cli)?;
    let look = look(&loaded, &dirs)?.1;
    let format = match format {
        KeysFormat::Text => keyref::Format::Text,
        KeysFormat::Markdown => keyref::Format::Markdown,
        KeysFormat::Json => keyref::Format::Json,
    };
    print(&keyref::reference(&look.keymap, format))
}

/// All layers of the settings; mistakes in them are wrong use.
fn settings(cli: &Cli) -> Result<(Loaded, Dirs), Failure> {
    settings_with(cli, &cli.overrides())
}

fn settings_with(cli: &Cli, flags: &Overrides) -> Result<(Loaded, Dirs), Failure> {
    let mut dirs = Dirs::of_user().map_err(|e| Failure::Usage(anyhow::anyhow!(e)))?;
    let loaded = load(cli.connect.config.as_deref(), &dirs, &env, flags).map_err(usage)?;
    if let Some(state) = &loaded.settings.connection.state_dir {
        dirs.state = state.into();
    }
    Ok((loaded, dirs))
}

fn env(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// What the terminal can do, and theme and keymap for it.
fn look(loaded: &Loaded, dirs: &Dirs) -> Result<(Caps, Look), Failure> {
    let ui = &loaded.settings.ui;
    let caps = Caps::detect(&ui.color, ui.ascii, &env).with_charts(&ui.charts);
    Ok((caps, Look::load(ui, dirs, &caps).map_err(usage)?))
}

fn usage(e: impl Into<anyhow::Error>) -> Failure {
    Failure::Usage(e.into())
}

/// What the loop needs, from flags and settings.
fn options(cli: &Cli, loaded: &Loaded, dirs: &Dirs, journal: JournalUse) -> Options {
    let settings = loaded.settings.clone();
    let connection = &settings.connection;
    Options {
        connect: ConnectOptions {
            kubeconfig: cli.connect.kubeconfig.clone(),
            context: connection.context.clone(),
            namespaces: connection.namespaces.clone(),
        },
        read_only: cli.connect.read_only,
        journal,
        actor: actor(),
        state: dirs.state.clone(),
        hold: None,
        settings,
    }
}

/// Who sits here, as `user@host`.
fn actor() -> String {
    let named = ["SUDO_USER", "USER", "LOGNAME"].iter().find_map(|name| env(name).filter(|v| !v.is_empty()));
    let user = named.unwrap_or_else(|| format!("uid{}", rustix::process::getuid().as_raw()));
    let host = std::fs::read_to_string("/etc/hostname").unwrap_or_default();
    format!("{}@{}", crate::model::text::clean(&user), crate::model::text::clean(host.trim()))
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    Ok(tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?)
}

/// Prints to stdout; a reader that closed the pipe early is not an error.
fn print(text: &str) -> Done {
    use std::io::Write as _;
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| if text.ends_with('\n') { Ok(()) } else { out.write_all(b"\n") })
    {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => Err(e.into()),
        _ => Ok(()),
    }
}

fn print_json(value: &impl serde::Serialize) -> Done {
    print(&serde_json::to_string_pretty(value)?)
}

/// A table for people: columns as wide as their widest cell, the last one as it is.
fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    use unicode_width::UnicodeWidthStr as _;
    let widths: Vec<usize> = (0..head.len())
        .map(|i| rows.iter().map(|r| r[i].width()).chain([head[i].width()]).max().unwrap_or(0))
        .collect();
    let line = |cells: &[&str]| {
        let mut out = String::new();
        for (i, cell) in cells.iter().enumerate() {
            out.push_str(cell);
            if i + 1 < cells.len() {
                out.extend(std::iter::repeat_n(' ', widths[i] - cell.width() + 2));
            }
        }
        out.push('\n');
        out
    };
    let mut text = line(head);
    for row in rows {
        text.push_str(&line(&row.iter().map(String::as_str).collect::<Vec<_>>()));
    }
    text
}

/// Text or JSON, whichever was asked for.
fn either(format: Format, json: &impl serde::Serialize, text: impl FnOnce() -> String) -> Done {
    match format {
        Format::Json => print_json(json),
        Format::Text => print(&text()),
    }
}
