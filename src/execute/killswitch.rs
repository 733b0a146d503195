//! The kill switch (E5, G7): three ways to stop every write, asked again right before each one.
//!
//! A flag in this process (a key on every screen), a file (for when the terminal is dead), and a ConfigMap
//! (for when only the cluster can be reached). A ConfigMap that cannot be read stops auto, which may act only
//! while it is known to be allowed; a person acts on, with a warning in the action's story. A ConfigMap that
//! is not there means: not killed.

use super::api;
use super::guard::Actor;
use crate::model::object::{ObjectRef, Resource};
use kube::Client;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The key of the ConfigMap that stops everything when it says `true`.
pub const KILL_KEY: &str = "kill";

/// What stops writes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KillReason {
    /// The flag of this process.
    #[error("the kill switch of this kansole is on")]
    Flag,
    /// The file exists, or it cannot be told whether it does.
    #[error("the kill file {} exists{}", path.display(), why.as_ref().map_or(String::new(), |w| format!(", or it cannot be told: {w}")))]
    File {
        /// Where.
        path: PathBuf,
        /// Set if it could not be looked at.
        why: Option<String>,
    },
    /// The ConfigMap says so.
    #[error("ConfigMap {name} says kill: \"true\"")]
    ConfigMap {
        /// `namespace/name`.
        name: String,
    },
    /// The ConfigMap cannot be read, and auto may not act without it.
    #[error("ConfigMap {name} cannot be read, so auto may not act: {why}")]
    Unreadable {
        /// `namespace/name`.
        name: String,
        /// What the server or the network said.
        why: String,
    },
}

/// Turns the flag of this process on and off. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct KillHandle(Arc<AtomicBool>);

impl KillHandle {
    /// Pulls (`true`) or releases the switch.
    pub fn set(&self, on: bool) {
        self.0.store(on, Ordering::SeqCst);
    }

    /// Whether it is pulled.
    pub fn is_on(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// All three ways together. Clones share the flag.
#[derive(Clone)]
pub struct KillSwitch {
    flag: KillHandle,
    file: PathBuf,
    configmap: ObjectRef,
    client: Client,
}

impl std::fmt::Debug for KillSwitch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KillSwitch")
            .field("file", &self.file)
            .field("configmap", &self.configmap.to_string())
            .finish_non_exhaustive()
    }
}

impl KillSwitch {
    /// A switch over flag, file and ConfigMap (`namespace/name`); `client` must not retry by itself.
    pub fn new(flag: KillHandle, file: &Path, configmap: &str, client: Client) -> Result<Self, String> {
        let (namespace, name) = configmap
            .split_once('/')
            .filter(|(ns, name)| !ns.is_empty() && !name.is_empty() && !name.contains('/'))
            .ok_or_else(|| format!("guard.kill_configmap = {configmap:?}: write it as namespace/name"))?;
        let configmap = ObjectRef::namespaced(Resource::CONFIGMAPS, namespace, name);
        Ok(Self { flag, file: file.to_owned(), configmap, client })
    }

    /// Flag and file only: cheap, for showing the state.
    pub fn local(&self) -> Option<KillReason> {
        if self.flag.is_on() {
            return Some(KillReason::Flag);
        }
        match self.file.try_exists() {
            Ok(false) => None,
            Ok(true) => Some(KillReason::File { path: self.file.clone(), why: None }),
            Err(e) => Some(KillReason::File { path: self.file.clone(), why: Some(e.to_string()) }),
        }
    }

    /// Asks all three. `Ok` may carry a warning: a person goes on although the ConfigMap cannot be read.
    pub async fn check(&self, actor: Actor) -> Result<Option<String>, KillReason> {
        if let Some(reason) = self.local() {
            return Err(reason);
        }
        let name = || {
            let ns = self.configmap.namespace.as_deref().unwrap_or_default();
            format!("{ns}/{}", self.configmap.name)
        };
        let answer = api::get(&self.client, &self.configmap.path()).await;
        // The flag may have been pulled while the server was asked.
        if let Some(reason) = self.local() {
            return Err(reason);
        }
        match answer {
            Ok(None) => Ok(None),
            Ok(Some(map)) if map["data"][KILL_KEY].as_str().is_some_and(|v| v.trim().eq_ignore_ascii_case("true")) => {
                Err(KillReason::ConfigMap { name: name() })
            }
            Ok(Some(_)) => Ok(None),
            Err(e) if actor == Actor::Auto => Err(KillReason::Unreadable { name: name(), why: e.to_string() }),
            Err(e) => Ok(Some(format!("kill switch ConfigMap {} cannot be read: {e}", name()))),
        }
    }
}
