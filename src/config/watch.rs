//! Live reload: tells when the configuration, a keymap or a theme was written.

use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;
use tokio::sync::mpsc::Sender;

/// Editors write a file in several steps; this long after the last of them it is read.
const QUIET: Duration = Duration::from_millis(150);

/// Watches until it is dropped.
#[derive(Debug)]
pub struct Reloads(#[allow(dead_code)] RecommendedWatcher);

/// Sends `()` shortly after any of the files changed. Folders are watched rather than files, because
/// editors replace files. Paths that don't exist yet are left out; the error is the operating system's.
pub fn watch(files: &[PathBuf], changed: Sender<()>) -> Result<Reloads, String> {
    let (tx, rx) = channel();
    let names: Vec<PathBuf> = files.to_vec();
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        if let Ok(event) = event
            && !event.kind.is_access()
            && event.paths.iter().any(|p| concerns(p, &names))
        {
            let _ = tx.send(());
        }
    })
    .map_err(|e| format!("files cannot be watched for changes: {e}"))?;
    let mut folders: Vec<&Path> =
        files.iter().filter_map(|f| if f.is_dir() { Some(f.as_path()) } else { f.parent() }).collect();
    folders.sort_unstable();
    folders.dedup();
    for folder in folders.into_iter().filter(|f| f.is_dir()) {
        watcher
            .watch(folder, RecursiveMode::NonRecursive)
            .map_err(|e| format!("{} cannot be watched for changes: {e}", folder.display()))?;
    }
    // Ends by itself: dropping the watcher drops its sender.
    std::thread::spawn(move || {
        while rx.recv().is_ok() {
            loop {
                match rx.recv_timeout(QUIET) {
                    Ok(()) => {}
                    Err(RecvTimeoutError::Timeout) => break,
                    Err(RecvTimeoutError::Disconnected) => return,
                }
            }
            if changed.blocking_send(()).is_err() {
                return;
            }
        }
    });
    Ok(Reloads(watcher))
}

fn concerns(path: &Path, files: &[PathBuf]) -> bool {
    files.iter().any(|f| path == f || (path.extension().is_some_and(|e| e == "toml") && path.parent() == Some(f)))
}
