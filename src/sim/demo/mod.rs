//! The simulated cluster put together: its world, its actors, its servers, and the thread that drives it.

mod build;
mod faults;
mod play;
mod routes;

pub use faults::{Set, parse as fault};

use super::api::Api;
use super::api::auth::User;
use super::api::faults::unavailable;
use super::clock::Clock;
use super::engine::Engine;
use super::machine::Shared;
use super::otlp;
use super::schema;
use super::serve::{Identity, bind, plain, secured};
use super::store::Store;
use super::world::fleet::Size;
use crate::model::demo::{Director, Scenario};
use crate::model::time::Timestamp;
use base64::Engine as _;
use build::Built;
use chrono::TimeDelta;
use play::Play;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;

/// How often the clock is moved, real time. Whoever wrote waits as long for the controllers to notice.
const TICK: Duration = Duration::from_millis(20);

/// Users: token, name, groups; contexts `demo`, `demo-viewer`, `demo-team-a`.
const USERS: [(&str, &str, &str, &[&str]); 3] = [
    ("demo", "demo-admin-token", "admin", &["system:masters"]),
    ("demo-viewer", "demo-viewer-token", "viewer", &[]),
    ("demo-team-a", "demo-team-a-token", "team-a", &[]),
];

/// What to simulate, and how it is served.
#[derive(Debug, Clone)]
pub struct Options {
    /// A shipped scenario's name, or a file.
    pub scenario: String,
    /// The same seed gives the same history.
    pub seed: u64,
    /// Simulated seconds per second; 0: only [`Demo::step`] moves the time.
    pub speed: f64,
    /// Port of the API server; 0: any.
    pub port: u16,
    /// Port of Prometheus; 0: any.
    pub prometheus_port: u16,
    /// Four empty nodes instead of the shop: bring your own workloads.
    pub bare: bool,
    /// An idle fleet beside it, to measure with.
    pub fleet: Size,
    /// Pods of the fleet that change every second.
    pub churn: usize,
    /// What the servers do wrong from the start.
    pub faults: Vec<Set>,
    /// When it begins; `None`: now.
    pub start: Option<Timestamp>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            scenario: super::scenario::DEFAULT.to_owned(),
            seed: 1,
            speed: 1.0,
            port: 0,
            prometheus_port: 0,
            bare: false,
            fleet: Size::default(),
            churn: 0,
            faults: Vec::new(),
            start: None,
        }
    }
}

/// The scenarios that come with kansole.
pub fn scenarios() -> Vec<Scenario> {
    super::scenario::builtin().iter().map(|s| play::shown(&s.name, &s.title, &s.about, &s.cure)).collect()
}

/// Why a demo does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The scenario is unknown or has mistakes; names place and remedy.
    #[error("{0}")]
    Wrong(String),
    /// A server cannot be started.
    #[error("{what}: {why}")]
    Serve {
        /// What and where.
        what: String,
        /// Why, and the remedy.
        why: String,
    },
}

/// A simulated cluster that runs and is served. Dropping it stops the simulation; its servers end with the runtime.
pub struct Demo {
    clock: Arc<Clock>,
    store: Arc<Store>,
    machines: Shared,
    engine: Arc<Mutex<Engine>>,
    play: Arc<Play>,
    authority: String,
    ports: Ports,
    tap: super::shop::Tap,
    ended: Arc<AtomicBool>,
}

/// Where it is served, on 127.0.0.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ports {
    /// Kubernetes API, TLS.
    pub api: u16,
    /// Prometheus, exporters and the demo's own controls, in the clear.
    pub prometheus: u16,
}

impl Demo {
    /// Builds the world, lets it settle, and serves it. Needs a tokio runtime; returns when everything answers.
    pub async fn start(options: &Options) -> Result<Self, StartError> {
        let api = listen("the API server", "--port", options.port).await?;
        let prometheus = listen("Prometheus", "--prometheus-port", options.prometheus_port).await?;
        let failed = |what: &str, why: String| StartError::Serve { what: what.into(), why };
        let address = |l: &TcpListener| l.local_addr().map(|a| a.port()).map_err(|e| failed("a port", e.to_string()));
        let ports = Ports { api: address(&api)?, prometheus: address(&prometheus)? };
        let identity = Identity::new().map_err(|e| failed("the API server's certificate", format!("{e:#}")))?;
        let wanted = options.clone();
        // Settling is seconds of computing: the runtime has servers to run.
        let built = tokio::task::spawn_blocking(move || Built::new(&wanted)).await;
        let built = built.map_err(|e| failed("the simulation", e.to_string()))??;
        let queries = built.faults.prometheus.clone().wrap(routes::prometheus(&built), unavailable);
        let mut server = Api::new(built.store.clone(), built.machines.clone())
            .faults(built.faults.api.clone())
            .documents(schema::document)
            .address(&format!("127.0.0.1:{}", ports.api))
            .service("monitoring", "prometheus-server", 9090, queries.clone());
        for (_, token, name, groups) in USERS {
            server = server.user(token, User::new(name, groups));
        }
        secured(api, &identity, server.router()).map_err(|e| failed("the API server", e.to_string()))?;
        plain(prometheus, queries.merge(routes::controls(&built)).merge(routes::scrape(&built)));
        let demo = Self {
            clock: built.store.clock().clone(),
            store: built.store,
            machines: built.machines,
            engine: Arc::new(Mutex::new(built.engine)),
            play: built.play,
            authority: identity.authority,
            ports,
            tap: built.tap,
            ended: Arc::default(),
        };
        if options.speed > 0.0 {
            demo.drive();
        }
        Ok(demo)
    }

    /// A kubeconfig with a context per user; `demo`, the administrator, is the current one.
    pub fn kubeconfig(&self) -> String {
        let contexts: Vec<_> = USERS
            .iter()
            .map(|(name, ..)| {
                let namespace = name.strip_prefix("demo-").filter(|n| *n == "team-a").unwrap_or("default");
                serde_json::json!({"name": name, "context": {"cluster": "demo", "user": name, "namespace": namespace}})
            })
            .collect();
        let users: Vec<_> =
            USERS.iter().map(|(n, token, ..)| serde_json::json!({"name": n, "user": {"token": token}})).collect();
        let authority = base64::prelude::BASE64_STANDARD.encode(&self.authority);
        // JSON is YAML, and every client reads it.
        serde_json::json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "demo", "preferences": {},
            "clusters": [{"name": "demo", "cluster": {
                "server": format!("https://127.0.0.1:{}", self.ports.api), "certificate-authority-data": authority,
            }}],
            "contexts": contexts, "users": users,
        })
        .to_string()
    }

    /// Its clock.
    pub fn clock(&self) -> Arc<Clock> {
        self.clock.clone()
    }

    /// Its store.
    pub fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// What runs in it.
    pub fn machines(&self) -> &Shared {
        &self.machines
    }

    /// Who plays scenarios on it.
    pub fn director(&self) -> Arc<dyn Director> {
        self.play.clone()
    }

    /// Where it is served.
    pub fn ports(&self) -> Ports {
        self.ports
    }

    /// Sends spans of up to `per_second` of the shop's requests a simulated second to an OTLP receiver over HTTP, such as
    /// `http://127.0.0.1:4318`; whether it is there or not makes no difference to the simulation. Only the first call
    /// counts. Needs a tokio runtime.
    pub fn export(&self, endpoint: &str, per_second: f64) -> Result<(), StartError> {
        let failed = |why: String| StartError::Serve { what: format!("sending spans to {endpoint}"), why };
        let url: http::Uri =
            endpoint.parse().map_err(|e| failed(format!("{e}; give a URL such as http://127.0.0.1:4318")))?;
        if !matches!(url.scheme_str(), Some("http" | "https")) {
            return Err(failed("not a URL; give one such as http://127.0.0.1:4318".into()));
        }
        let client = reqwest::Client::builder().build().map_err(|e| failed(e.to_string()))?;
        let (spans, inbox) = tokio::sync::mpsc::channel(otlp::QUEUE);
        tokio::spawn(otlp::export(client, endpoint.to_owned(), inbox));
        self.tap.open(spans, per_second);
        Ok(())
    }

    /// Lets `span` pass, however long that takes.
    pub fn step(&self, span: TimeDelta) {
        self.engine.lock().expect("no panic while the engine is held").advance(self.clock.now() + span);
    }

    /// Moves the clock in a thread of its own. Not a task: it outlives the runtime's end by a tick, and computes.
    fn drive(&self) {
        let (engine, clock, ended) = (self.engine.clone(), self.clock.clone(), self.ended.clone());
        std::thread::spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                engine.lock().expect("no panic while the engine is held").advance(clock.target());
                std::thread::sleep(TICK);
            }
        });
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
    }
}

/// A listener; the error names the flag that helps.
async fn listen(what: &str, flag: &str, port: u16) -> Result<TcpListener, StartError> {
    bind(port).await.map_err(|e| StartError::Serve {
        what: format!("{what} on 127.0.0.1:{port}"),
        why: format!("{e}; choose another port with {flag}, or leave it out for any free one"),
    })
}
