//! `kansole` without a command: the console.

use super::args::{Cli, DemoArgs};
use super::{Done, Failure, look, options, print, runtime, settings};
use crate::autopilot::{JournalUse, Options, spawn};
use crate::config::dirs::Dirs;
use crate::config::load::Loaded;
use crate::console::caps::Caps;
use crate::console::cast::Cast;
use crate::console::help::Help;
use crate::console::look::Look;
use crate::console::pane::Pane;
use crate::console::panes;
use crate::console::plain::run as in_lines;
use crate::console::run::{Start, run as console};
use crate::model::demo::Director;
use crate::monitor::connect::nothing_to_connect_to;
use std::io::{self, IsTerminal as _};
use std::sync::Arc;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

pub(super) fn run(cli: &Cli) -> Done {
    let (loaded, dirs) = settings(cli)?;
    let options = options(cli, &loaded, &dirs, JournalUse::Open);
    if nothing_to_connect_to(&options.connect) {
        return offer_demo(cli);
    }
    open(cli, loaded, dirs, options, None, false, runtime()?)
}

/// There is no kubeconfig at all: who sits at a terminal may look at the demo, a script is told what is missing.
fn offer_demo(cli: &Cli) -> Done {
    let missing = "there is no kubeconfig: KUBECONFIG is not set, ~/.kube/config does not exist, and this is not a pod";
    let remedy = "name one with --kubeconfig or KUBECONFIG; `kansole demo` needs none";
    if io::stdin().is_terminal() && io::stdout().is_terminal() {
        print(&format!(
            "{missing}.\nkansole can show its demo instead: a simulated shop on six nodes, on this machine alone.\n\
             Open the demo? [Y/n] (enter: yes)"
        ))?;
        let mut line = String::new();
        let read = io::stdin().read_line(&mut line)?;
        if read > 0 && matches!(line.trim().to_lowercase().as_str(), "" | "y" | "yes") {
            return super::demo::run(cli, &DemoArgs::default());
        }
    }
    Err(Failure::Connect(anyhow::anyhow!("{missing}; {remedy}")))
}

/// For lines: ASCII, no colours, so that nothing is read out that is only decoration.
fn plainly(loaded: &Loaded, dirs: &Dirs) -> Result<(Caps, Look), Failure> {
    let ui = &loaded.settings.ui;
    let caps = Caps::detect("never", true, &super::env);
    Ok((caps, Look::load(ui, dirs, &caps).map_err(super::usage)?))
}

/// Begins a recording of the terminal's size.
fn record(path: &std::path::Path) -> Result<Cast, Failure> {
    let size = crossterm::terminal::size().unwrap_or((80, 24));
    Cast::create(path, size).map_err(super::usage)
}

/// Opens the console on what `options` connect to, until the operator leaves.
pub(super) fn open(
    cli: &Cli,
    loaded: Loaded,
    dirs: Dirs,
    mut options: Options,
    demo: Option<Arc<dyn Director>>,
    offer_tour: bool,
    runtime: Runtime,
) -> Done {
    let plain = cli.screen.plain;
    let (caps, look) = if plain { plainly(&loaded, &dirs)? } else { look(&loaded, &dirs)? };
    let cast = cli.screen.record.as_deref().map(record).transpose()?;
    let drawn = CancellationToken::new();
    options.hold = Some(drawn.clone());
    log_to_file(&dirs.state);
    let result = runtime.block_on(async {
        let (handle, _task) = spawn(options);
        let panes = all_panes(&look);
        let flags = cli.overrides();
        let start = Start { handle, panes, loaded, flags, dirs, caps, look, demo, cast, offer_tour, drawn };
        if plain { in_lines(start).await } else { console(start).await }
    });
    // Input threads may still block on a terminal that is gone.
    runtime.shutdown_timeout(std::time::Duration::from_millis(500));
    result?;
    Ok(())
}

/// The panes in the order of their keys, help last.
pub(super) fn all_panes(look: &Look) -> Vec<Box<dyn Pane>> {
    let mut all = panes::all();
    all.push(Box::new(Help::new(&look.keymap)));
    all
}

/// The console's own log goes to a file, never to the screen. A log that cannot be written is no reason to stop.
fn log_to_file(state: &std::path::Path) {
    let path = state.join("kansole.log");
    let open = || {
        std::fs::create_dir_all(state)?;
        if std::fs::metadata(&path).is_ok_and(|m| m.len() > 8 * 1024 * 1024) {
            std::fs::rename(&path, path.with_extension("log.1"))?;
        }
        std::fs::OpenOptions::new().create(true).append(true).open(&path)
    };
    if let Ok(file) = open() {
        let filter = tracing_subscriber::EnvFilter::try_from_env("KANSOLE_LOG")
            .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("kansole=info,warn"));
        let _ = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(file).try_init();
    }
}
