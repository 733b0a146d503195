//! Drives the simulated cluster step by step and reads it as kansole does: the watched kinds by lists of the API server,
//! the metrics by the queries of each step. Nobody waits, and the same seed gives the same incidents.

use chrono::{DateTime, TimeDelta, Utc};
use kansole::analyze::Analyzer;
use kansole::analyze::anomaly::Watch;
use kansole::analyze::cause::{Reasoner, Seen};
use kansole::config::Settings;
use kansole::config::settings::Connection;
use kansole::model::incident::{Incidents, Subject};
use kansole::model::snapshot::{ApiHealth, ClusterInfo, MetricsView, Snapshot, SourceState};
use kansole::monitor::feed::{Change, Delta, Feed, Object, Watched, What};
use kansole::monitor::lite::{
    BareLite, ControllerLite, EventLite, HpaLite, ListLite, Lite, NamespaceLite, NodeLite, PdbLite, PodLite,
};
use kansole::monitor::metrics::backfill::{self, Job};
use kansole::monitor::metrics::batch::Batch;
use kansole::monitor::metrics::book::Book;
use kansole::monitor::metrics::calls;
use kansole::monitor::metrics::pods::PodIndex;
use kansole::monitor::metrics::queries::Live;
use kansole::monitor::prometheus::client::Limits;
use kansole::monitor::prometheus::{Profile, PromClient, Transport, profile};
use kansole::monitor::table::Table;
use kansole::sim::demo::{Demo, Options};
use std::sync::Arc;
use std::time::Duration;

/// Seconds between two looks.
pub const LOOK: i64 = 5;
/// Minutes of an ordinary day before anything happens, after the past that is read.
const BEFORE: i64 = 4;
/// Hours of the past that are read.
const PAST: i64 = 3;

/// A cluster and all that watches it.
pub struct Rig {
    demo: Demo,
    runtime: tokio::runtime::Runtime,
    client: reqwest::Client,
    prometheus: PromClient,
    profile: Profile,
    live: Live,
    table: Table,
    book: Book,
    view: MetricsView,
    analyzer: Analyzer,
    watch: Watch,
    reasoner: Reasoner,
    settings: Settings,
    /// The last picture.
    pub snapshot: Arc<Snapshot>,
    asked: DateTime<Utc>,
}

impl Rig {
    /// An ordinary day with this seed, watched for some minutes. Nothing is found in it yet.
    pub fn new(seed: u64) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        // Another hour of the day with each seed.
        let start: DateTime<Utc> = "2026-03-10T08:00:00Z".parse().expect("a time");
        let start = start + TimeDelta::minutes((seed % 12) as i64 * 47);
        let options =
            Options { scenario: "quiet-day".into(), seed, speed: 0.0, start: Some(start), ..Options::default() };
        let demo = runtime.block_on(Demo::start(&options)).expect("the demo starts");
        // The certificate is the demo's own, made a moment ago.
        let client = reqwest::Client::builder().danger_accept_invalid_certs(true).build().expect("a client");
        let limits = Limits { timeout: Duration::from_secs(120), in_flight: 1, answer: 1 << 28 };
        let url = format!("http://127.0.0.1:{}", demo.ports().prometheus);
        let prometheus = PromClient::new(Transport::url(&url, &Connection::default()).expect("a URL"), limits);
        demo.step(TimeDelta::minutes(1));
        let now = demo.clock().now();
        let profile = runtime.block_on(profile::detect(&prometheus, &[], now)).expect("a profile");
        let step = profile.interval_s.ceil().max(5.0) as u32;
        let mut rig = Self {
            live: Live::new(&profile),
            table: Table::new(2000, None),
            book: Book::new(step, TimeDelta::hours(PAST + 2)),
            view: MetricsView { step, ..MetricsView::default() },
            analyzer: Analyzer::new(),
            watch: Watch::new(),
            reasoner: Reasoner::new(),
            settings: Settings::default(),
            snapshot: Arc::new(Snapshot::empty(nobody(), now)),
            asked: DateTime::UNIX_EPOCH,
            demo,
            runtime,
            client,
            prometheus,
            profile,
        };
        rig.look();
        rig.fill();
        for _ in 0..BEFORE * 60 / LOOK {
            rig.step();
        }
        rig
    }

    /// Now, by the cluster's clock.
    pub fn now(&self) -> DateTime<Utc> {
        self.demo.clock().now()
    }

    /// Begins a built-in scenario.
    pub fn play(&self, scenario: &str) {
        self.demo.director().play(Some(scenario)).expect("a built-in scenario");
    }

    /// Lets a few seconds pass and looks.
    pub fn step(&mut self) -> Incidents {
        self.demo.step(TimeDelta::seconds(LOOK));
        self.look()
    }

    /// Reads the past into the rings.
    fn fill(&mut self) {
        let now = self.now();
        let keys = self.snapshot.workloads.iter().map(|w| w.key.clone()).collect();
        let job = Job { keys, from: now - TimeDelta::hours(PAST), to: now, step: self.view.step };
        let index = PodIndex::new(&self.snapshot);
        let (out, mut points) = tokio::sync::mpsc::channel(64);
        let book = &mut self.book;
        self.runtime.block_on(async {
            let read = async {
                let done = backfill::run(&self.prometheus, &self.profile, &index, &job, &out).await;
                drop(out);
                done
            };
            let take = async {
                while let Some(f) = points.recv().await {
                    book.fill(&f.key, f.signal, &f.points);
                }
            };
            tokio::join!(read, take).0.expect("the past");
        });
    }

    fn look(&mut self) -> Incidents {
        let now = self.now();
        for watched in Watched::core() {
            self.list(&Arc::new(Feed { watched, namespace: None }), now);
        }
        let parts = self.table.publish();
        let mut next = (*self.snapshot).clone();
        (next.seq, next.taken) = (next.seq + 1, now);
        (next.sources, next.workloads, next.nodes) = (parts.sources, parts.workloads, parts.nodes);
        (next.namespaces, next.hpas, next.pdbs, next.events) = (parts.namespaces, parts.hpas, parts.pdbs, parts.events);
        next.api =
            ApiHealth { state: SourceState::Live { last: now }, latency_ms: None, clock_skew_s: None, throttled: 0 };
        if now - self.asked >= TimeDelta::seconds(i64::from(self.view.step)) {
            self.asked = now;
            self.ask(&next, now);
        }
        next.metrics = self.view.clone();
        self.snapshot = Arc::new(next);
        let set = &self.settings;
        let findings = self.analyzer.analyze(&self.snapshot, &set.analyze, &set.plan, &set.slo, now);
        self.watch.observe(&self.snapshot, now, usize::MAX);
        let seen = Seen {
            snapshot: self.snapshot.clone(),
            findings: findings.into_iter().map(Arc::new).collect(),
            anomalies: Arc::new(self.watch.anomalies(0)),
            edges: Arc::from([]),
            proposals: Arc::from([]),
        };
        self.reasoner.look(&seen, now)
    }

    /// One step of the metrics.
    fn ask(&mut self, snapshot: &Snapshot, now: DateTime<Utc>) {
        let (batch, answers) = self.runtime.block_on(async {
            let batch = Batch::fetch(&self.prometheus, &self.live).await;
            (batch, calls::ask(&self.prometheus, &self.profile).await)
        });
        let index = PodIndex::new(snapshot);
        if let Some(e) = batch.lost() {
            self.view.state = SourceState::Failed { since: now, last: None, why: e.to_string().into() };
            return;
        }
        self.book.absorb(&index, &snapshot.nodes, &self.profile, &batch, now);
        self.view.state = SourceState::Live { last: now };
        (self.view.workloads, self.view.pods) = (self.book.workloads(), self.book.pods());
        (self.view.node_memory, self.view.node_stolen) = (self.book.nodes(), self.book.stolen());
        self.view.saturated = self.book.saturated();
        self.view.calls = answers.map_or_else(|| Arc::from([]), |(queries, a)| queries.read(&index, &a).into());
    }

    fn list(&mut self, feed: &Arc<Feed>, now: DateTime<Utc>) {
        let path = feed.watched.resource.path(None, None);
        let url = format!("https://127.0.0.1:{}{path}", self.demo.ports().api);
        let text = self.runtime.block_on(async {
            let answer = self.client.get(url).bearer_auth("demo-admin-token").send().await.expect("an answer");
            answer.text().await.expect("a whole one")
        });
        let objects = match feed.watched.what {
            What::Node => read::<NodeLite>(&text, Object::Node),
            What::Namespace => read::<NamespaceLite>(&text, Object::Namespace),
            What::Pod => read::<PodLite>(&text, Object::Pod),
            What::Controller(_) => read::<ControllerLite>(&text, Object::Controller),
            What::Hpa => read::<HpaLite>(&text, Object::Hpa),
            What::Pdb => read::<PdbLite>(&text, Object::Pdb),
            What::Event => read::<EventLite>(&text, Object::Event),
            What::ConfigMap => read::<BareLite>(&text, Object::ConfigMap),
            _ => read::<BareLite>(&text, Object::Counted),
        };
        let changes = std::iter::once(Change::Begin).chain(objects.into_iter().map(Change::Listed));
        for change in changes.chain([Change::ListDone]) {
            self.table.apply(Delta { feed: feed.clone(), change }, now);
        }
    }
}

fn read<T: Lite>(text: &str, wrap: fn(Box<T>) -> Object) -> Vec<Object> {
    let list: ListLite<T> = serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text:.200}"));
    list.items.into_iter().map(|o| wrap(Box::new(o))).collect()
}

fn nobody() -> ClusterInfo {
    let [id, context, server, version, user] = std::array::from_fn(|_| Arc::from(""));
    ClusterInfo { id, context, server, version, user, namespaces: None }
}

/// A scenario whose cause nobody would dispute.
pub struct Lesson {
    /// Its name.
    pub name: &'static str,
    /// Name of the workload, node or zone that is to blame.
    pub cause: &'static str,
    /// Seconds after the start until the fault takes effect, by the scenario's own text; where that depends on load, a PromQL
    /// condition tells.
    pub onset: Onset,
}

/// When a fault takes effect.
#[derive(Clone, Copy)]
pub enum Onset {
    /// So many seconds after the scenario began.
    After(i64),
    /// When this condition is true for the first time.
    When(&'static str),
}

/// All of them.
pub const LESSONS: [Lesson; 13] = [
    Lesson { name: "oom-crash-loop", cause: "cart", onset: Onset::When(KILLED) },
    Lesson { name: "bad-release", cause: "search", onset: Onset::When(SEARCH_FAILS) },
    Lesson { name: "bad-config", cause: "payment", onset: Onset::When(PAYMENT_FAILS) },
    Lesson { name: "memory-leak", cause: "cart", onset: Onset::When(CART_GROWS) },
    Lesson { name: "traffic-spike", cause: "frontend", onset: Onset::After(10) },
    Lesson { name: "dependency-failure", cause: "orders-db", onset: Onset::After(15) },
    Lesson { name: "deadlock", cause: "inventory", onset: Onset::When(INVENTORY_HANGS) },
    Lesson { name: "node-failure", cause: "node-b1", onset: Onset::After(10) },
    Lesson { name: "zone-partition", cause: "eu-west-1b", onset: Onset::After(10) },
    Lesson { name: "disk-pressure", cause: "node-c2", onset: Onset::When(NO_DISK) },
    Lesson { name: "noisy-neighbour", cause: "node-a1", onset: Onset::After(10) },
    Lesson { name: "cpu-throttling", cause: "recommendations", onset: Onset::When(THROTTLED) },
    Lesson { name: "hpa-fight", cause: "frontend", onset: Onset::After(10) },
];

const KILLED: &str =
    "sum(kube_pod_container_status_last_terminated_reason{container=\"cart\",reason=\"OOMKilled\"}) > 0";
const SEARCH_FAILS: &str = "sum(http_server_request_duration_seconds_count{service=\"search\",http_response_status_code=~\"5..\"} > 0 unless \
     http_server_request_duration_seconds_count offset 1m) > 0";
const PAYMENT_FAILS: &str = "sum(rate(http_server_request_duration_seconds_count{service=\"payment\",http_response_status_code=~\"5..\"}[30s])) \
     > 0.05 * sum(rate(http_server_request_duration_seconds_count{service=\"payment\"}[30s]))";
/// Its memory is a third above what it was: nobody could tell less from a new process that settles.
const CART_GROWS: &str = "sum(container_memory_working_set_bytes{container=\"cart\"}) > \
     1.3 * sum(container_memory_working_set_bytes{container=\"cart\"} offset 10m)";
const INVENTORY_HANGS: &str = "kube_deployment_status_replicas_available{deployment=\"inventory\"} < 2";
const NO_DISK: &str = "kube_node_status_condition{node=\"node-c2\",condition=\"DiskPressure\",status=\"true\"} == 1";
const THROTTLED: &str = "sum(rate(container_cpu_cfs_throttled_periods_total{container=\"recommendations\"}[30s])) > \
     0.5 * sum(rate(container_cpu_cfs_periods_total{container=\"recommendations\"}[30s]))";

/// What became of a lesson.
#[derive(Debug)]
pub struct Told {
    /// Seconds from the onset until an incident had the true cause among its suspects; `None`: never.
    pub named_after: Option<i64>,
    /// Seconds from the onset until it was first in the incident that hurts most, and stayed so to the end.
    pub first_after: Option<i64>,
    /// Its rank a minute after the onset, in the incident that hurts most, from 1; `None`: not among its suspects.
    pub rank: Option<usize>,
    /// Its rank at the end, in the same way.
    pub rank_at_end: Option<usize>,
    /// Share of the belief of the first suspect a minute after the onset, and whether it was right.
    pub sureness: Option<f64>,
    /// Incidents that were open at the end.
    pub open: usize,
    /// The incident that hurts most at the end, in words.
    pub story: String,
}

/// Whether a suspect is the true cause.
pub fn is(subject: &Subject, cause: &str) -> bool {
    match subject {
        Subject::Workload(key) | Subject::Change(key, _) => &*key.name == cause,
        Subject::Node(name) | Subject::Zone(name) => &**name == cause,
    }
}

/// Rank of the true cause in the incident that hurts most.
fn rank(incidents: &Incidents, cause: &str) -> Option<usize> {
    let incident = incidents.open().next()?;
    incident.causes.iter().position(|s| is(&s.subject, cause)).map(|i| i + 1)
}

/// Minutes that a lesson lasts after its onset, and that are waited for the onset.
const LASTS: i64 = 4;
const WAIT: i64 = 20;

/// Plays a lesson.
pub fn learn(lesson: &Lesson, seed: u64) -> Told {
    let mut rig = Rig::new(seed);
    let began = rig.now();
    rig.play(lesson.name);
    let mut told = Told {
        named_after: None,
        first_after: None,
        rank: None,
        rank_at_end: None,
        sureness: None,
        open: 0,
        story: String::new(),
    };
    let mut onset = None;
    let mut end = began + TimeDelta::minutes(WAIT);
    let mut last = Incidents::default();
    while rig.now() < end {
        last = rig.step();
        let now = rig.now();
        if onset.is_none() {
            onset = match lesson.onset {
                Onset::After(s) => (now - began >= TimeDelta::seconds(s)).then(|| began + TimeDelta::seconds(s)),
                Onset::When(condition) => rig.holds(condition).then_some(now),
            };
            end = onset.map_or(end, |at| at + TimeDelta::minutes(LASTS));
        }
        let since = onset.map_or(0, |at| (now - at).num_seconds());
        let named = last.open().any(|c| c.causes.iter().any(|s| is(&s.subject, lesson.cause)));
        if named && told.named_after.is_none() {
            told.named_after = Some(since);
        }
        let rank = rank(&last, lesson.cause);
        match (rank, told.first_after) {
            (Some(1), None) => told.first_after = Some(since),
            (Some(1), _) => {}
            _ => told.first_after = None,
        }
        if onset.is_some() && since <= 60 {
            told.rank = rank;
            told.sureness = last.open().next().and_then(|c| c.causes.first()).map(|s| s.sureness);
        }
        told.rank_at_end = rank;
    }
    assert!(onset.is_some(), "{} with seed {seed} never took effect within {WAIT} minutes", lesson.name);
    told.open = last.open().count();
    told.story = last.open().map(|c| story(c)).collect::<Vec<_>>().join("\n");
    told
}

impl Rig {
    /// Whether a query gives anything.
    fn holds(&self, condition: &str) -> bool {
        let found = self.runtime.block_on(self.prometheus.query(condition)).expect("an answer");
        !found.data.is_empty()
    }
}

/// An incident in words.
pub fn story(incident: &kansole::model::incident::Incident) -> String {
    let mut lines = vec![format!("    [{}] {}", incident.id, incident.title)];
    for s in &incident.causes {
        let onset = s.onset.map_or_else(String::new, |t| t.format("%H:%M:%S").to_string());
        lines.push(format!("      {:.2} {:?} since {onset}: {}", s.sureness, s.subject, s.what));
        lines.extend(s.evidence.iter().map(|e| format!("          {e}")));
    }
    lines.extend(incident.timeline.iter().map(|h| format!("      {} {}", h.at.format("%H:%M:%S"), h.what)));
    lines.push(format!("      would tell: {} / do: {}", incident.would_tell, incident.recommendation));
    lines.join("\n")
}
