//! Every setting with its default: what `config.toml` may hold.
//!
//! Durations are written `30s`, `5m`, `24h`. A limit that is not written has the default below, never
//! "unlimited".

mod notify;

pub use notify::{Notice, Notify, NotifyFormat, Secret, is_url};

use crate::model::authority::Rung;
use crate::model::mode::Mode;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// The whole configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Which cluster and backends.
    pub connection: Connection,
    /// How often and how much is read.
    pub monitor: Monitor,
    /// Where traces come from, and how much of them is held.
    pub traces: Traces,
    /// Thresholds of the fault classifier.
    pub analyze: Analyze,
    /// Service level objectives.
    pub slo: Vec<Slo>,
    /// How plans are sized.
    pub plan: Planning,
    /// What automation may do.
    pub guard: Guard,
    /// Who is told by webhook.
    pub notify: Vec<Notify>,
    /// The terminal.
    pub ui: Ui,
}

/// Which cluster and backends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Connection {
    /// Kubeconfig context; unset: the current one.
    pub context: Option<String>,
    /// Limit to these namespaces; empty: the whole cluster.
    pub namespaces: Vec<String>,
    /// `auto` (look for it in the cluster), `none`, or a URL.
    pub prometheus: String,
    /// Bearer token file for Prometheus, read again when it changes.
    pub prometheus_token_file: Option<String>,
    /// Basic auth user for Prometheus; the password comes from `prometheus_password_file`.
    pub prometheus_user: Option<String>,
    /// File with the basic auth password.
    pub prometheus_password_file: Option<String>,
    /// PEM file with the CA of Prometheus.
    pub prometheus_ca_file: Option<String>,
    /// PEM file with client certificate and key (mTLS).
    pub prometheus_identity_file: Option<String>,
    /// Extra headers for Prometheus, such as `X-Scope-OrgID`.
    pub prometheus_headers: std::collections::BTreeMap<String, String>,
    /// Where journal, log and control socket live; unset: the XDG state directory.
    pub state_dir: Option<String>,
}

impl Default for Connection {
    fn default() -> Self {
        Self {
            context: None,
            namespaces: Vec::new(),
            prometheus: "auto".into(),
            prometheus_token_file: None,
            prometheus_user: None,
            prometheus_password_file: None,
            prometheus_ca_file: None,
            prometheus_identity_file: None,
            prometheus_headers: std::collections::BTreeMap::new(),
            state_dir: None,
        }
    }
}

macro_rules! settings {
    ($(#[$meta:meta])* $name:ident { $($(#[$fmeta:meta])* $field:ident: $ty:ty = $default:expr,)* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct $name { $($(#[$fmeta])* pub $field: $ty,)* }
        impl Default for $name {
            fn default() -> Self { Self { $($field: $default,)* } }
        }
    };
}

const fn secs(s: u64) -> Duration {
    Duration::from_secs(s)
}

settings! {
    /// How often and how much is read.
    Monitor {
        /// Changes are gathered this long before a snapshot is published.
        #[serde(with = "super::duration")]
        debounce: Duration = Duration::from_millis(200),
        /// Between two small requests that prove the API server answers.
        #[serde(with = "super::duration")]
        heartbeat: Duration = secs(5),
        /// A watched kind without any sign of life for this long counts as stale.
        #[serde(with = "super::duration")]
        stale_after: Duration = secs(60),
        /// Between two rounds of Prometheus queries; unset: the scrape interval that was detected, at least 5 s.
        #[serde(with = "super::duration::option")]
        metrics_step: Option<Duration> = None,
        /// History kept per signal.
        #[serde(with = "super::duration")]
        history: Duration = secs(24 * 3600),
        /// Longest wait for one Prometheus answer.
        #[serde(with = "super::duration")]
        query_timeout: Duration = secs(20),
        /// Queries under way at once.
        queries_in_flight: usize = 4,
        /// Events kept.
        events: usize = 2000,
    }
}

settings! {
    /// Where traces come from, and how much of them is held.
    Traces {
        /// Jaeger or Tempo: `auto` (look for it in the cluster) or a URL. `none`: no traces at all, nothing listens either.
        url: String = "auto".to_owned(),
        /// Tenant at that backend, sent as `X-Scope-OrgID`.
        tenant: Option<String> = None,
        /// Bearer token file for that backend, read again with every request.
        token_file: Option<String> = None,
        /// PEM file with the CA of that backend.
        ca_file: Option<String> = None,
        /// Between two reads of that backend.
        #[serde(with = "super::duration")]
        poll: Duration = secs(15),
        /// Address that receives OTLP over gRPC, or `none`. Whoever reaches it can send traces: leave it on loopback unless the network is trusted.
        otlp_grpc: String = "127.0.0.1:4317".to_owned(),
        /// Address that receives OTLP over HTTP, or `none`; the same holds.
        otlp_http: String = "127.0.0.1:4318".to_owned(),
        /// A trace is complete when nothing of it came for this long.
        #[serde(with = "super::duration")]
        quiet: Duration = secs(5),
        /// Bytes of traces held, as estimated; errors and slow ones are kept first.
        memory: u64 = 64 * crate::model::quantity::MIB,
        /// Largest OTLP message, bytes, before and after decompression.
        message: u64 = 4 * crate::model::quantity::MIB,
        /// Spans received per second beyond which senders are asked to wait.
        spans_per_second: u32 = 50_000,
        /// Spans of one trace that are put together.
        spans_per_trace: u32 = 100_000,
    }
}

settings! {
    /// Thresholds of the fault classifier (A7).
    Analyze {
        /// Working set over limit from which a kill counts as the container's own (Robusta).
        oom_share_of_limit: f64 = 0.92,
        /// Memory in use on a node from which a kill counts as the node's.
        oom_node_share: f64 = 0.95,
        /// An OOM kill older than this is history.
        #[serde(with = "super::duration")]
        oom_recent: Duration = secs(30 * 60),
        /// Growth per hour, as a share of the level, from which memory leaks (Coroot).
        leak_per_hour: f64 = 0.10,
        /// Least fit (r²) of the growth.
        leak_r2: f64 = 0.80,
        /// Least history for a leak.
        #[serde(with = "super::duration")]
        leak_window: Duration = secs(30 * 60),
        /// A crash within this time of its start counts as "cannot start".
        #[serde(with = "super::duration")]
        crash_soon: Duration = secs(60),
        /// A release younger than this can be the cause.
        #[serde(with = "super::duration")]
        release_recent: Duration = secs(24 * 3600),
        /// A pod may be unready this long before it is a finding.
        #[serde(with = "super::duration")]
        not_ready_grace: Duration = secs(120),
        /// A pod may be unschedulable this long before it is a finding.
        #[serde(with = "super::duration")]
        unschedulable_grace: Duration = secs(30),
        /// A node may be unready this long before it is a finding.
        #[serde(with = "super::duration")]
        node_grace: Duration = secs(40),
        /// Share of a scope that is broken from which trouble counts as systemic.
        systemic_share: f64 = 0.20,
    }
}

settings! {
    /// How plans are sized (P8, P9).
    Planning {
        /// A proposal can be approved this long.
        #[serde(with = "super::duration")]
        expiry: Duration = secs(15 * 60),
        /// A memory raise is the larger of this factor…
        memory_factor: f64 = 1.2,
        /// …and this many bytes more (VPA: 100 MiB).
        memory_bump: u64 = 100 * crate::model::quantity::MIB,
        /// Never more than this share of the largest node's allocatable memory.
        memory_node_share: f64 = 0.8,
        /// Raises of one container before a person must look.
        memory_raises: u32 = 3,
        /// CPU target, use over request.
        cpu_target: f64 = 0.70,
        /// Memory target, use over request.
        memory_target: f64 = 0.80,
        /// Extra replicas when more than 1 % of requests fail.
        error_buffer: f64 = 0.20,
        /// Bounds of a scaled workload.
        min_replicas: u32 = 1,
        /// Upper bound.
        max_replicas: u32 = 20,
        /// Least time between two scale-ups.
        #[serde(with = "super::duration")]
        cooldown_up: Duration = secs(180),
        /// Proposes other requests and limits for workloads that opted in, by itself; for any other when asked.
        rightsize: bool = false,
        /// Least time after a right-sizing before the same workload grows again…
        #[serde(with = "super::duration")]
        rightsize_grow: Duration = secs(3600),
        /// …and before it shrinks again.
        #[serde(with = "super::duration")]
        rightsize_shrink: Duration = secs(86_400),
        /// Price of a core for an hour, if waste is to be told in money.
        price_core: Option<f64> = None,
        /// Price of a GiB of memory for an hour.
        price_gib: Option<f64> = None,
        /// First wait of a dependency back-off; doubles to `backoff_max`.
        #[serde(with = "super::duration")]
        backoff: Duration = secs(60),
        /// Longest wait.
        #[serde(with = "super::duration")]
        backoff_max: Duration = secs(600),
    }
}

settings! {
    /// What automation may do (E2, E5).
    Guard {
        /// Mode at start. Auto starts paused whatever is written here.
        mode: Mode = Mode::Manual,
        /// Between two rounds of the loop.
        #[serde(with = "super::duration")]
        interval: Duration = secs(15),
        /// Namespaces in which auto never acts, beside kube-system, kube-public and kube-node-lease.
        protected: Vec<String> = Vec::new(),
        /// Actions in any hour, over the whole cluster.
        per_hour: u32 = 20,
        /// Actions in any hour in one namespace.
        per_hour_namespace: u32 = 6,
        /// Actions at once that still change something; one that is only verified does not count.
        concurrent: u32 = 1,
        /// Actions in any hour that touch one node.
        per_hour_node: u32 = 2,
        /// Actions of one kind, such as restart, in any hour.
        per_hour_kind: u32 = 10,
        /// Least time between two actions on one workload.
        #[serde(with = "super::duration")]
        cooldown: Duration = secs(300),
        /// Ineffective actions in a row on one workload before a person must look.
        ineffective_streak: u32 = 3,
        /// Data older than this is no basis for acting.
        #[serde(with = "super::duration")]
        stale_after: Duration = secs(60),
        /// Slowest API answer at which automation still acts, milliseconds.
        api_latency_ms: f64 = 2000.0,
        /// Largest clock difference to the API server, seconds.
        clock_skew_s: f64 = 30.0,
        /// Answers 429 to the heartbeats of the last minute from which automation stands back.
        throttled: u32 = 3,
        /// Share of the targets of cAdvisor or kube-state-metrics that may be down for what rests on metrics to be done by auto.
        targets_down: f64 = 0.20,
        /// After a write, before the effect is judged.
        #[serde(with = "super::duration")]
        settle: Duration = secs(300),
        /// How long the effect is observed after settling.
        #[serde(with = "super::duration")]
        observe: Duration = secs(300),
        /// A step that is not complete after this is a failure.
        #[serde(with = "super::duration")]
        step_timeout: Duration = secs(600),
        /// A file whose existence stops every write; unset: `kill` in the state directory.
        kill_file: Option<String> = None,
        /// A ConfigMap `namespace/name` whose key `kill: "true"` stops every write.
        kill_configmap: String = "kansole/kill-switch".to_owned(),
        /// Workloads with fewer replicas always need a person.
        min_replicas_auto: u32 = 2,
        /// Auto pauses itself unless a person confirmed it within this time.
        #[serde(with = "super::duration")]
        confirm_within: Duration = secs(12 * 3600),
        /// The Lease `namespace/name` that auto must hold, so that of all kansoles of a cluster one acts by itself.
        lease: String = "default/kansole-auto".to_owned(),
        /// Rung of the autonomy ladder on which every kind of action begins, in every namespace: `observe`, `recommend`, `approve`, `canary` or `auto`.
        rung_start: Rung = Rung::Canary,
        /// Highest rung that verified successes lead to.
        rung_ceiling: Rung = Rung::Auto,
        /// Verified successes in a row that lead one rung up.
        promote_after: u32 = 3,
        /// Ineffective actions in a row that lead one rung down; a harmful one leads to `approve` at once.
        demote_after: u32 = 3,
        /// Other rungs for some engines, namespaces and actions: see `[[guard.rung]]`.
        rung: Vec<RungRule> = Vec::new(),
        /// When auto may optimise; without one it never does by itself: see `[[guard.window]]`.
        window: Vec<Window> = Vec::new(),
    }
}

/// Where the autonomy ladder begins and ends for some actions. The first rule that fits holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RungRule {
    /// `healing`, `scaling`, `optimisation`, or `*` for all.
    #[serde(default = "all")]
    pub engine: String,
    /// A namespace, or `*` for all.
    #[serde(default = "all")]
    pub namespace: String,
    /// `restart`, `scale`, `rollback`, `reconfigure`, `isolate`, `failover`, `back off`, or `*` for all.
    #[serde(default = "all")]
    pub action: String,
    /// Rung to begin on.
    pub start: Rung,
    /// Highest rung; `auto` unless written.
    #[serde(default = "top")]
    pub ceiling: Rung,
}

fn all() -> String {
    "*".to_owned()
}

fn top() -> Rung {
    Rung::Auto
}

/// A maintenance window: auto optimises only inside one that stays open long enough for the plan. Healing is not bound to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// When it opens, as five fields of cron: minute, hour, day, month, weekday.
    pub cron: String,
    /// How long it stays open, such as `4h`.
    #[serde(with = "super::duration")]
    pub duration: Duration,
    /// IANA time zone of the schedule, such as `Europe/Berlin` or `UTC`.
    pub timezone: String,
    /// Namespaces it is for; empty: all.
    #[serde(default)]
    pub namespaces: Vec<String>,
}

settings! {
    /// The terminal.
    Ui {
        /// Theme name or file; `auto`: light or dark, as the terminal says of its background.
        theme: String = "dark".to_owned(),
        /// Keymap name or file.
        keymap: String = "default".to_owned(),
        /// `auto`, `never`, `16`, `256` or `true`.
        color: String = "auto".to_owned(),
        /// ASCII only.
        ascii: bool = false,
        /// Ring the terminal's bell when somebody should come and see.
        bell: bool = true,
        /// What charts are drawn with: `auto`, `braille`, or `blocks` where the font has no braille.
        charts: String = "auto".to_owned(),
        /// Colour of the cluster's name by context, such as `{ "prod-*" = "red" }`; a `*` at the end stands for any rest.
        banners: BTreeMap<String, String> = BTreeMap::new(),
        /// Most frames per second; unset: 30, or 10 over SSH.
        max_fps: Option<u32> = None,
    }
}

/// One service level objective.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slo {
    /// Its name, unique.
    pub name: String,
    /// Workload it belongs to, as `namespace/Kind/name`.
    pub workload: String,
    /// What counts as bad.
    pub indicator: Indicator,
    /// Share of good events wanted, such as 0.999.
    pub objective: f64,
    /// Period of the budget in days.
    #[serde(default = "thirty")]
    pub days: u32,
}

fn thirty() -> u32 {
    30
}

/// What counts as bad.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Indicator {
    /// Failed requests, from the detected request metrics.
    Errors,
    /// Requests slower than this many seconds, from the detected histogram.
    LatencyAbove(f64),
    /// Own PromQL: rate of bad and of all events, with `$window` where the range goes.
    Query {
        /// Bad events per second.
        bad: String,
        /// All events per second.
        total: String,
    },
}
