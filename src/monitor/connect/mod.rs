//! From a kubeconfig to a client, with errors that say where and what to do.

use super::kubeconfig;
use super::problem::{Problem, Trouble, plugin};
use crate::model::plan::sha256_hex;
use crate::model::snapshot::ClusterInfo;
use crate::model::text;
use kube::config::{Config, KubeConfigOptions, Kubeconfig};
use kube::{Client, Error as KubeError};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

pub use super::kubeconfig::contexts;

/// Longest wait for a TCP and TLS connection: a server behind a black hole is noticed in seconds.
const CONNECT: Duration = Duration::from_secs(5);
/// Longest wait for each of the first answers (cluster id, version).
const FIRST_ANSWER: Duration = Duration::from_secs(5);
/// Longest a credential plugin may take.
const PLUGIN: Duration = Duration::from_secs(30);

/// Where to connect.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConnectOptions {
    /// A kubeconfig file; unset: `KUBECONFIG`, then `~/.kube/config`, then the pod's service account.
    pub kubeconfig: Option<PathBuf>,
    /// A context; unset: the current one.
    pub context: Option<String>,
    /// Namespaces to limit the console to; empty: the whole cluster.
    pub namespaces: Vec<String>,
}

/// Why no connection could be made: the place and the remedy.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum ConnectError {
    #[error("kubeconfig {}: no such file; name another one with --kubeconfig or KUBECONFIG", path.display())]
    FileMissing { path: PathBuf },
    #[error("kubeconfig {}: {source}; check its permissions", path.display())]
    FileUnreadable { path: PathBuf, source: std::io::Error },
    #[error("kubeconfig {}:{line}:{column}: {what}; correct the file (kubectl config view reads it, too)", path.display())]
    Malformed { path: PathBuf, line: u64, column: u64, what: String },
    #[error("no kubeconfig was found, and this is not a pod; set KUBECONFIG, or run `kansole demo` to look around")]
    Nothing,
    #[error("the kubeconfig has no current context; choose one with --context: {}", list(known))]
    NoContext { known: Vec<Arc<str>> },
    #[error("the kubeconfig has no context {name:?}; it has: {}", list(known))]
    UnknownContext { name: String, known: Vec<Arc<str>> },
    #[error("context {context:?}: {what}; correct the kubeconfig")]
    BrokenContext { context: String, what: String },
    #[error(
        "context {context:?}: credential plugin {command:?} failed: {why}; run it by hand or log in, then try again{hint}"
    )]
    Plugin { context: String, command: String, why: String, hint: String },
    #[error(
        "{server}: {why}; check certificate-authority of the cluster in the kubeconfig, and the server's name and clock"
    )]
    Tls { server: String, why: String },
    #[error("{server}: cannot be reached: {why}; check the network, the VPN and the server's address")]
    Unreachable { server: String, why: String },
    #[error(
        "{server}: this is no Kubernetes API: {why}; check the server's address in the kubeconfig, and proxies that ask for a login"
    )]
    NotKubernetes { server: String, why: String },
    #[error(
        "{server}: 401: the credentials of context {context:?} are not accepted; the token may have expired: log in again"
    )]
    Unauthorized { server: String, context: String },
}

fn list(names: &[Arc<str>]) -> String {
    if names.is_empty() { "none at all".to_owned() } else { names.join(", ") }
}

/// How the cluster's id was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdSource {
    /// UID of namespace kube-system.
    KubeSystem,
    /// Hash of server URL and CA, because the UID could not be read: the reason.
    Server(Arc<str>),
}

/// A client for one cluster, and what is known about it.
#[derive(Clone)]
pub struct Connection {
    /// For reading. No hidden retries: watches and callers see trouble at once and back off themselves.
    pub read: Client,
    /// For writing. kube's retries are off here as well: a refused eviction must not be sent for minutes. It
    /// shares connections and credentials with `read`, so that a credential plugin runs once per context.
    pub act: Client,
    /// Which cluster.
    pub info: ClusterInfo,
    /// How `info.id` was found.
    pub id_source: IdSource,
    /// Namespace of the context: where to look when the whole cluster may not be watched.
    pub context_namespace: Option<Arc<str>>,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("info", &self.info).finish_non_exhaustive()
    }
}

/// Whether there is nothing to connect to: no kubeconfig was named and none is where it would be, and this is no pod.
pub fn nothing_to_connect_to(options: &ConnectOptions) -> bool {
    matches!(kubeconfig::read(options), Ok(None)) && Config::incluster().is_err()
}

/// What the kubeconfig says about the chosen context.
struct Chosen {
    context: String,
    user: String,
    namespace: Option<String>,
    ca: String,
    plugin: Option<(String, String)>,
}

/// Connects: reads the kubeconfig, runs the credential plugin if there is one, and asks the server who it is.
///
/// # Errors
/// See [`ConnectError`]; a server that answers anything but 401 counts as reached.
pub async fn connect(options: &ConnectOptions) -> Result<Connection, ConnectError> {
    // Fails if a provider is installed already, which is just as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (mut config, chosen) = configure(options).await?;
    config.connect_timeout = Some(CONNECT);
    config.default_retry = false;
    let server = config.cluster_url.to_string().trim_end_matches('/').to_owned();
    let client = build(config, &chosen, &server).await?;
    let (version, id) = tokio::join!(version(&client), cluster_uid(&client));
    refuse(version.as_ref().err(), id.as_ref().err(), &chosen, &server)?;
    let (id, id_source) = match id {
        Ok(uid) => (uid, IdSource::KubeSystem),
        Err(p) => {
            let hash = &sha256_hex(format!("{server}\n{}", chosen.ca).as_bytes())[..32];
            (format!("server-{hash}"), IdSource::Server(p.why.into()))
        }
    };
    let namespaces: Vec<Arc<str>> = options.namespaces.iter().map(|n| Arc::from(&*text::clean(n))).collect();
    let info = ClusterInfo {
        id: id.into(),
        context: (*text::clean(&chosen.context)).into(),
        server: server.into(),
        version: version.unwrap_or_default().into(),
        user: (*text::clean(&chosen.user)).into(),
        namespaces: (!namespaces.is_empty()).then(|| namespaces.into()),
    };
    Ok(Connection {
        read: client.clone(),
        act: client,
        info,
        id_source,
        context_namespace: chosen.namespace.filter(|n| !n.is_empty()).map(Into::into),
    })
}

async fn configure(options: &ConnectOptions) -> Result<(Config, Chosen), ConnectError> {
    let Some(kubeconfig) = kubeconfig::read(options)? else {
        let config = Config::incluster().map_err(|_| ConnectError::Nothing)?;
        let chosen = Chosen {
            context: "in-cluster".to_owned(),
            user: "service account".to_owned(),
            namespace: Some(config.default_namespace.clone()),
            ca: config.root_cert.iter().flatten().map(|c| sha256_hex(c)).collect(),
            plugin: None,
        };
        return Ok((config, chosen));
    };
    let chosen = choose(&kubeconfig, options)?;
    let kube_options = KubeConfigOptions { context: Some(chosen.context.clone()), ..KubeConfigOptions::default() };
    let config = Config::from_custom_kubeconfig(kubeconfig, &kube_options).await.map_err(|e| {
        ConnectError::BrokenContext { context: chosen.context.clone(), what: text::clean(&e.to_string()).into_owned() }
    })?;
    Ok((config, chosen))
}

fn choose(kubeconfig: &Kubeconfig, options: &ConnectOptions) -> Result<Chosen, ConnectError> {
    let known = || kubeconfig::names(kubeconfig, options);
    let current = kubeconfig.current_context.as_ref().filter(|c| !c.is_empty());
    let Some(name) = options.context.as_ref().or(current) else {
        return Err(ConnectError::NoContext { known: known() });
    };
    let found = kubeconfig.contexts.iter().find(|c| c.name == *name).and_then(|c| c.context.as_ref());
    let Some(context) = found else {
        return Err(ConnectError::UnknownContext { name: name.clone(), known: known() });
    };
    let cluster = kubeconfig.clusters.iter().find(|c| c.name == context.cluster).and_then(|c| c.cluster.as_ref());
    let user = context.user.clone().unwrap_or_default();
    let auth = kubeconfig.auth_infos.iter().find(|a| a.name == user).and_then(|a| a.auth_info.as_ref());
    let exec = auth.and_then(|a| a.exec.as_ref());
    Ok(Chosen {
        context: name.clone(),
        user,
        namespace: context.namespace.clone(),
        ca: cluster
            .and_then(|c| c.certificate_authority_data.clone().or(c.certificate_authority.clone()))
            .unwrap_or_default(),
        plugin: exec.map(|e| (e.command.clone().unwrap_or_default(), e.install_hint.clone().unwrap_or_default())),
    })
}

/// Builds the client on a thread of its own, because kube runs credential plugins while it does.
async fn build(config: Config, chosen: &Chosen, server: &str) -> Result<Client, ConnectError> {
    let building = tokio::task::spawn_blocking(move || Client::try_from(config));
    let plugin_failed = |why: String| {
        let (command, hint) = chosen.plugin.clone().unwrap_or_default();
        let hint = text::clean(hint.trim()).into_owned();
        let hint = if hint.is_empty() { hint } else { format!(" ({hint})") };
        ConnectError::Plugin { context: chosen.context.clone(), command, why, hint }
    };
    match timeout(PLUGIN, building).await {
        Err(_) => {
            Err(plugin_failed(format!("it did not end within {} s; it may be waiting for input", PLUGIN.as_secs())))
        }
        Ok(Err(crashed)) => Err(plugin_failed(crashed.to_string())),
        Ok(Ok(Ok(client))) => Ok(client),
        Ok(Ok(Err(KubeError::Auth(e)))) if chosen.plugin.is_some() => Err(plugin_failed(plugin(&e))),
        Ok(Ok(Err(KubeError::Auth(e)))) => {
            Err(ConnectError::BrokenContext { context: chosen.context.clone(), what: plugin(&e) })
        }
        Ok(Ok(Err(e))) => {
            let problem = Problem::of(&e);
            Err(match problem.trouble {
                Trouble::Tls => ConnectError::Tls { server: server.to_owned(), why: problem.why },
                _ => ConnectError::BrokenContext { context: chosen.context.clone(), what: problem.why },
            })
        }
    }
}

/// Decides from the first two answers whether there is a cluster to work with.
///
/// Versions are told to anybody on many servers, namespaces are not: so the second answer tells whether the
/// credentials are good. A refusal (403) is as good as any other answer.
fn refuse(version: Option<&Problem>, id: Option<&Problem>, chosen: &Chosen, server: &str) -> Result<(), ConnectError> {
    let Some(id) = id else { return Ok(()) };
    if id.trouble == Trouble::Unauthorized {
        return Err(ConnectError::Unauthorized { server: server.to_owned(), context: chosen.context.clone() });
    }
    let lost = [Trouble::Unreachable, Trouble::Tls, Trouble::Plugin, Trouble::Garbled];
    match version {
        Some(version) if lost.contains(&version.trouble) && lost.contains(&id.trouble) => {
            Err(from_problem(version, chosen, server))
        }
        _ => Ok(()),
    }
}

fn from_problem(problem: &Problem, chosen: &Chosen, server: &str) -> ConnectError {
    let (server, why) = (server.to_owned(), problem.why.clone());
    match problem.trouble {
        Trouble::Tls => ConnectError::Tls { server, why },
        Trouble::Garbled => ConnectError::NotKubernetes { server, why },
        Trouble::Plugin => {
            let command = chosen.plugin.clone().unwrap_or_default().0;
            ConnectError::Plugin { context: chosen.context.clone(), command, why, hint: String::new() }
        }
        _ => ConnectError::Unreachable { server, why },
    }
}

/// One small answer, as JSON.
async fn ask(client: &Client, path: &str) -> Result<serde_json::Value, Problem> {
    let unreachable = |why: String| Problem { trouble: Trouble::Unreachable, why };
    let request = http::Request::get(path).body(Vec::new()).map_err(|e| unreachable(e.to_string()))?;
    match timeout(FIRST_ANSWER, client.request_text(request)).await {
        Err(_) => Err(unreachable(format!("no answer within {} s", FIRST_ANSWER.as_secs()))),
        Ok(Err(e)) => Err(Problem::of(&e)),
        Ok(Ok(body)) => serde_json::from_str(&body).map_err(|e| Problem::of(&KubeError::SerdeError(e))),
    }
}

async fn version(client: &Client) -> Result<String, Problem> {
    let answer = ask(client, "/version").await?;
    Ok(text::clean(answer["gitVersion"].as_str().unwrap_or_default()).into_owned())
}

async fn cluster_uid(client: &Client) -> Result<String, Problem> {
    let answer = ask(client, "/api/v1/namespaces/kube-system").await?;
    let uid = answer["metadata"]["uid"].as_str().filter(|u| !u.is_empty());
    uid.map(|u| text::clean(u).into_owned()).ok_or_else(|| Problem {
        trouble: Trouble::Garbled,
        why: "namespace kube-system has no UID: this is no Kubernetes API".to_owned(),
    })
}

#[cfg(test)]
mod tests;
