//! Kubeconfig files: which are read, what is wrong with them, and which contexts they hold.

use super::connect::{ConnectError, ConnectOptions};
use crate::model::text;
use kube::config::{ExecInteractiveMode, Kubeconfig, KubeconfigError};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The files to read, as kubectl chooses them: the option, `KUBECONFIG` (several), or `~/.kube/config`.
fn files(options: &ConnectOptions) -> Vec<PathBuf> {
    if let Some(file) = &options.kubeconfig {
        return vec![file.clone()];
    }
    let listed = std::env::var_os("KUBECONFIG").unwrap_or_default();
    let listed: Vec<PathBuf> = std::env::split_paths(&listed).filter(|p| !p.as_os_str().is_empty()).collect();
    if !listed.is_empty() {
        return listed;
    }
    std::env::home_dir().map(|home| home.join(".kube").join("config")).into_iter().collect()
}

/// Reads and merges the kubeconfig. `None` if none was named and there is none, so that the in-cluster
/// configuration may be tried.
///
/// Credential plugins are told never to ask anything: they would write over the console.
pub(super) fn read(options: &ConnectOptions) -> Result<Option<Kubeconfig>, ConnectError> {
    let files = files(options);
    // Like kubectl: of several files some may be missing, a single named one may not.
    let named = options.kubeconfig.is_some() || std::env::var_os("KUBECONFIG").is_some_and(|v| !v.is_empty());
    let present: Vec<&PathBuf> = files.iter().filter(|f| f.exists()).collect();
    if present.is_empty() {
        return match files.first() {
            Some(path) if named => Err(ConnectError::FileMissing { path: path.clone() }),
            _ => Ok(None),
        };
    }
    let mut merged = Kubeconfig::default();
    for path in present {
        let one = Kubeconfig::read_from(path).map_err(|e| broken(path, e))?;
        merged = merged.merge(one).map_err(|e| broken(path, e))?;
    }
    for user in &mut merged.auth_infos {
        if let Some(exec) = user.auth_info.as_mut().and_then(|a| a.exec.as_mut()) {
            exec.interactive_mode = Some(ExecInteractiveMode::Never);
        }
    }
    Ok(Some(merged))
}

fn broken(path: &Path, error: KubeconfigError) -> ConnectError {
    match error {
        KubeconfigError::ReadConfig(source, _) => ConnectError::FileUnreadable { path: path.to_owned(), source },
        KubeconfigError::Parse(e) => {
            let (line, column) = e.location().map_or((0, 0), |l| (l.line(), l.column()));
            // Without the snippet, which could show a token.
            let what = e.without_snippet().to_string();
            let what = text::clean(what.lines().next().unwrap_or_default()).into_owned();
            ConnectError::Malformed { path: path.to_owned(), line, column, what }
        }
        other => ConnectError::Malformed { path: path.to_owned(), line: 0, column: 0, what: other.to_string() },
    }
}

/// Names of the contexts, the current one first, the others sorted. Without a kubeconfig there are none.
///
/// # Errors
/// If a kubeconfig is missing, unreadable or malformed.
pub fn contexts(options: &ConnectOptions) -> Result<Vec<Arc<str>>, ConnectError> {
    let Some(config) = read(options)? else { return Ok(Vec::new()) };
    Ok(names(&config, options))
}

pub(super) fn names(config: &Kubeconfig, options: &ConnectOptions) -> Vec<Arc<str>> {
    let current = options.context.as_ref().or(config.current_context.as_ref());
    let mut names: Vec<Arc<str>> = config.contexts.iter().map(|c| Arc::from(&*text::clean(&c.name))).collect();
    names.sort_by_key(|n| (current.map(|c| &**c) != Some(&**n), n.clone()));
    names
}
