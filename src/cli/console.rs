//! `kansole` without a command: the console.

use super::args::Cli;
use super::{Done, look, options, runtime, settings};
use crate::autopilot::handle::LoopHandle;
use crate::autopilot::replay::{self, Clock, Reel};
use crate::autopilot::{JournalUse, Options, spawn};
use crate::config::dirs::Dirs;
use crate::config::load::Loaded;
use crate::console::help::Help;
use crate::console::look::Look;
use crate::console::pane::Pane;
use crate::console::panes;
use crate::console::run::{Start, run as console};
use crate::model::demo::Director;
use std::sync::Arc;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

pub(super) fn run(cli: &Cli) -> Done {
    let (loaded, dirs) = settings(cli)?;
    let options = options(cli, &loaded, &dirs, JournalUse::Open);
    open(cli, loaded, dirs, options, None, runtime()?)
}

/// Opens the console on what `options` connect to, until the operator leaves.
pub(super) fn open(
    cli: &Cli,
    loaded: Loaded,
    dirs: Dirs,
    mut options: Options,
    demo: Option<Arc<dyn Director>>,
    runtime: Runtime,
) -> Done {
    let drawn = CancellationToken::new();
    options.hold = Some(drawn.clone());
    show(cli, loaded, dirs, demo, drawn, runtime, || spawn(options).0)
}

/// Opens the console on the past.
pub(super) fn replay(cli: &Cli, reel: Reel, clock: Arc<Clock>) -> Done {
    let (loaded, dirs) = settings(cli)?;
    show(cli, loaded, dirs, None, CancellationToken::new(), runtime()?, || replay::spawn(reel, clock).0)
}

/// Opens the console on a loop.
fn show(
    cli: &Cli,
    loaded: Loaded,
    dirs: Dirs,
    demo: Option<Arc<dyn Director>>,
    drawn: CancellationToken,
    runtime: Runtime,
    begin: impl FnOnce() -> LoopHandle,
) -> Done {
    let (caps, look) = look(&loaded, &dirs)?;
    log_to_file(&dirs.state);
    let result = runtime.block_on(async {
        let handle = begin();
        let panes = all_panes(&look);
        console(Start { handle, panes, loaded, flags: cli.overrides(), dirs, caps, look, demo, drawn }).await
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
