//! Drives the simulated cluster under the whole loop in auto mode, as `kansole agent` would run it, and judges what became of
//! the shop by asking its Prometheus. Time passes as fast as the loop can follow: the cluster's clock waits for it.

use chrono::{DateTime, TimeDelta, Utc};
use kansole::autopilot::handle::LoopHandle;
use kansole::autopilot::world::{Command, World};
use kansole::autopilot::{self, JournalUse};
use kansole::config::Settings;
use kansole::model::action::{ActionState, Verdict};
use kansole::model::finding::{Fault, Subject};
use kansole::model::incident;
use kansole::model::mode::Mode;
use kansole::model::plan::Strategy;
use kansole::model::time;
use kansole::monitor::connect::ConnectOptions;
use kansole::sim::clock::Clock;
use kansole::sim::demo::{Demo, Options};
use serde_json::Value;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

/// Simulated seconds that pass in a real one, at most. Timers of the loop count with this.
const SPEED: f64 = 60.0;
/// Simulated milliseconds of one step.
const STEP: i64 = 1000;
/// The clock waits while the loop's picture is older than this, simulated seconds…
const BEHIND: i64 = 12;
/// …or a watch has been silent for longer than this: its bookmarks come every minute…
const QUIET: i64 = 90;
/// …but not longer than this: a cluster that does not answer is a fault, too.
const PATIENCE: Duration = Duration::from_secs(20);
/// Simulated seconds between two looks of the judge.
pub const LOOK: i64 = 10;
/// Minutes of an ordinary day before anything happens.
const BEFORE: i64 = 12;

/// What should become of a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// Healed, or handed over with the right place named.
    Cure,
    /// There is nothing to heal: no write is right.
    Nothing,
}

/// A scenario, whose place and right deeds nobody would dispute.
pub struct Lesson {
    /// Its name.
    pub name: &'static str,
    /// Workloads or nodes to which something may be done; empty: any.
    pub places: &'static [&'static str],
    /// What may be done there.
    pub deeds: &'static [Strategy],
    /// What should become of it.
    pub expect: Expect,
    /// Minutes that it is watched.
    pub minutes: i64,
}

use Strategy::{Backoff, Failover, Isolate, Reconfigure, Restart, Rollback, Scale};

/// All of them.
pub const LESSONS: [Lesson; 16] = [
    cure("oom-crash-loop", &["cart"], &[Reconfigure, Rollback], 30),
    cure("bad-release", &["search"], &[Rollback], 30),
    cure("bad-config", &["payment"], &[Reconfigure, Backoff], 30),
    cure("memory-leak", &["cart"], &[Rollback, Restart], 45),
    cure("traffic-spike", &[], &[Scale], 30),
    cure("dependency-failure", &["orders-db"], &[Scale, Backoff], 30),
    cure("deadlock", &["inventory"], &[Rollback, Restart], 35),
    cure("node-failure", &["node-b1"], &[Isolate, Restart], 35),
    cure("zone-partition", &["node-b1", "node-b2", "eu-west-1b", "nodes"], &[], 30),
    cure("disk-pressure", &["node-c2"], &[Isolate, Restart], 30),
    cure("noisy-neighbour", &["node-a1"], &[Isolate, Restart, Failover], 35),
    cure("cpu-throttling", &["recommendations"], &[Rollback, Reconfigure], 30),
    cure("hpa-fight", &["frontend"], &[], 25),
    nothing("quiet-day", 25),
    nothing("flapping-metrics", 20),
    nothing("over-provisioned", 20),
];

const fn cure(name: &'static str, places: &'static [&'static str], deeds: &'static [Strategy], minutes: i64) -> Lesson {
    Lesson { name, places, deeds, expect: Expect::Cure, minutes }
}

const fn nothing(name: &'static str, minutes: i64) -> Lesson {
    Lesson { name, places: &[], deeds: &[], expect: Expect::Nothing, minutes }
}

/// Something that was written to the cluster.
#[derive(Debug, Clone)]
pub struct Deed {
    /// Name of the workload or node.
    pub place: String,
    /// What.
    pub strategy: Strategy,
    /// How it ended, in a word.
    pub state: &'static str,
    /// It was found harmful and not undone.
    pub left_harmful: bool,
    /// It was no right deed at this place.
    pub wrong: bool,
}

/// What became of a lesson.
#[derive(Debug, Default)]
pub struct Told {
    /// Seconds after the beginning when the shop first was not well; `None`: it always was.
    pub onset: Option<i64>,
    /// Seconds from the onset until it was well and stayed so to the end; `None`: never.
    pub well_after: Option<i64>,
    /// Seconds, in sum, in which it was not well.
    pub ill: i64,
    /// What was written.
    pub deeds: Vec<Deed>,
    /// Seconds from the onset until a person was told the right place: a finding, a proposal or the first suspect of an incident.
    pub named_after: Option<i64>,
    /// A plan or advice for the right place was on the table.
    pub offered: bool,
    /// What happened, for whoever reads a failure.
    pub story: String,
}

impl Told {
    /// It ended well, with something done about it.
    pub fn healed(&self) -> bool {
        self.acted() && (self.onset.is_none() || self.well_after.is_some())
    }

    /// A person has the right place, soon enough to matter.
    pub fn handed_over(&self) -> bool {
        self.named_after.is_some_and(|s| s <= 300)
    }

    fn acted(&self) -> bool {
        !self.deeds.is_empty()
    }

    /// Writes that were wrong.
    pub fn wrong(&self) -> usize {
        self.deeds.iter().filter(|d| d.wrong).count()
    }
}

/// The clock of the cluster that is being played: the process lives by one clock, the clusters come and go.
fn lend(clock: Arc<Clock>) {
    static SLOT: OnceLock<Mutex<Arc<Clock>>> = OnceLock::new();
    let slot = SLOT.get_or_init(|| Mutex::new(clock.clone()));
    *slot.lock().expect("no panic while it is held") = clock;
    time::live_by(|| SLOT.get().expect("set above").lock().expect("no panic while it is held").now(), SPEED);
}

/// A cluster, perhaps with the loop on it.
struct Stage {
    demo: Demo,
    runtime: tokio::runtime::Runtime,
    client: reqwest::Client,
    autopilot: Option<(LoopHandle, tokio::task::JoinHandle<()>)>,
    state: tempfile::TempDir,
}

impl Stage {
    fn new(seed: u64, watched: bool) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
        // Another hour of the day with each seed.
        let start: DateTime<Utc> = "2026-03-10T08:00:00Z".parse().expect("a time");
        let start = start + TimeDelta::minutes((seed % 12) as i64 * 47);
        let options =
            Options { scenario: "quiet-day".into(), seed, speed: 0.0, start: Some(start), ..Options::default() };
        let demo = runtime.block_on(Demo::start(&options)).expect("the demo starts");
        let state = tempfile::tempdir().expect("a directory");
        demo.step(TimeDelta::minutes(1));
        lend(demo.clock());
        let client = reqwest::Client::new();
        let mut stage = Self { demo, runtime, client, autopilot: None, state };
        if watched {
            stage.autopilot = Some(stage.watch());
        }
        stage
    }

    fn watch(&self) -> (LoopHandle, tokio::task::JoinHandle<()>) {
        let state = self.state.path();
        let kubeconfig = state.join("kubeconfig");
        std::fs::write(&kubeconfig, self.demo.kubeconfig()).expect("written");
        let options = options(&kubeconfig, state, self.demo.ports().prometheus);
        let _inside = self.runtime.enter();
        let (mut handle, task) = autopilot::spawn(options);
        let ready = |w: &World| w.last_round.is_some() && kansole::monitor::settled(&w.snapshot);
        let first = self.runtime.block_on(handle.wait(Duration::from_secs(120), ready));
        first.unwrap_or_else(|w| panic!("the loop never had a picture: {:?} {:?}", w.link, w.messages));
        (handle, task)
    }

    fn now(&self) -> DateTime<Utc> {
        self.demo.clock().now()
    }

    fn tell(&self, command: Command) {
        let (handle, _) = self.autopilot.as_ref().expect("the loop runs");
        self.runtime.block_on(handle.command(command)).expect("a command that is possible");
    }

    /// Lets time pass, as fast as the loop can follow.
    fn pass(&mut self, seconds: i64) {
        let end = self.now() + TimeDelta::seconds(seconds);
        while self.now() < end {
            let began = std::time::Instant::now();
            self.demo.step(TimeDelta::milliseconds(STEP));
            let Some((handle, _)) = &mut self.autopilot else { continue };
            let now = self.demo.clock().now();
            let follows = |w: &World| {
                let seen = w.snapshot.api.state.last();
                let pods = w.snapshot.source("pods").last();
                seen.is_some_and(|t| now - t <= TimeDelta::seconds(BEHIND))
                    && pods.is_some_and(|t| now - t <= TimeDelta::seconds(QUIET))
                    && w.last_round.is_some_and(|t| now - t <= TimeDelta::seconds(BEHIND + 15))
            };
            let _ = self.runtime.block_on(handle.wait(PATIENCE, follows));
            let pace = Duration::from_millis(STEP as u64).div_f64(SPEED);
            std::thread::sleep(pace.saturating_sub(began.elapsed()));
        }
    }

    /// Whether a condition holds; `None`: nobody answers.
    fn holds(&self, query: &str) -> Option<bool> {
        let url = format!("http://127.0.0.1:{}/api/v1/query", self.demo.ports().prometheus);
        for _ in 0..3 {
            let answer: Option<Value> = self.runtime.block_on(async {
                let ask = self.client.get(&url).query(&[("query", query)]).timeout(Duration::from_secs(20));
                ask.send().await.ok()?.json().await.ok()
            });
            if let Some(found) = answer.as_ref().and_then(|a| a["data"]["result"].as_array()) {
                return Some(!found.is_empty());
            }
        }
        None
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Some((handle, task)) = self.autopilot.take() {
            let end = async {
                let _ = handle.command(Command::Shutdown).await;
                let _ = tokio::time::timeout(Duration::from_secs(30), task).await;
            };
            self.runtime.block_on(end);
        }
    }
}

fn options(kubeconfig: &Path, state: &Path, prometheus: u16) -> autopilot::Options {
    let mut settings = Settings::default();
    settings.connection.prometheus = format!("http://127.0.0.1:{prometheus}");
    settings.traces.url = "none".into();
    settings.guard.mode = Mode::Auto;
    // Real time, unlike the others: changes are gathered for a moment of the cluster's.
    settings.monitor.debounce = Duration::from_millis(5);
    settings.monitor.query_timeout = Duration::from_secs(60);
    // A minute here is a second of the machine's, and bookmarks may come late by one.
    (settings.monitor.stale_after, settings.guard.stale_after) = (Duration::from_secs(150), Duration::from_secs(150));
    autopilot::Options {
        connect: ConnectOptions {
            kubeconfig: Some(kubeconfig.to_owned()),
            context: Some("demo".into()),
            namespaces: Vec::new(),
        },
        settings,
        read_only: false,
        journal: JournalUse::Open,
        state: state.to_owned(),
        hold: None,
        actor: "figure@bench".into(),
    }
}

/// All that the shop promises: nobody fails, the pages come soon, everything wanted is there. Replicas that were asked for
/// within the last minute are starting and not missing yet, whoever asked for them.
fn well() -> String {
    let count = "http_server_request_duration_seconds_count";
    let wanted = "kube_deployment_spec_replicas{namespace=\"shop\"}";
    let there = "kube_deployment_status_replicas_available{namespace=\"shop\"}";
    format!(
        "(sum(rate({count}{{service=~\"frontend|checkout|cart|search|payment\",http_response_status_code=~\"5..\"}}[1m])) \
           / sum(rate({count}{{service=~\"frontend|checkout|cart|search|payment\"}}[1m])) < 0.01) \
         and on () (histogram_quantile(0.95, sum by (le) (rate(http_server_request_duration_seconds_bucket{{service=\"frontend\"}}[1m]))) < 1) \
         unless on () ({wanted} > {there} and {wanted} offset 1m > {there})"
    )
}

fn name_of(subject: &Subject) -> &str {
    match subject {
        Subject::Workload(key) => &key.name,
        Subject::Node(name) => name,
        Subject::Cluster => "cluster",
    }
}

/// Whether the loop tells a person one of the places.
fn names(world: &World, places: &[&str]) -> bool {
    let is = |name: &str| places.contains(&name);
    let found = world.findings.iter().any(|f| match &f.fault {
        // A symptom says where it hurts, not what to look at.
        Fault::SloBurn { .. } => false,
        Fault::Systemic { scope, .. } => places.iter().any(|p| scope.contains(p)),
        Fault::Dependency { on } => places.iter().any(|p| on.contains(p)),
        _ => places.is_empty() || is(name_of(&f.subject)),
    });
    let suspected = world.incidents.open().any(|i| {
        i.causes.first().is_some_and(|s| match &s.subject {
            incident::Subject::Workload(key) | incident::Subject::Change(key, _) => is(&key.name),
            incident::Subject::Node(name) | incident::Subject::Zone(name) => is(name),
        })
    });
    found || suspected
}

/// Whether something to do at one of the places is on the table.
fn offers(world: &World, places: &[&str]) -> bool {
    let there = |s: &Subject| places.is_empty() || places.contains(&name_of(s));
    world.queue.iter().any(|i| there(&i.proposal.subject))
}

fn deeds(world: &World, lesson: &Lesson) -> Vec<Deed> {
    let written = |s: &ActionState| {
        matches!(
            s,
            ActionState::Applying { .. }
                | ActionState::Verifying { .. }
                | ActionState::Reverting { .. }
                | ActionState::Done { .. }
                | ActionState::Reverted { .. }
                | ActionState::Failed { .. }
                | ActionState::HandedOver { .. }
        )
    };
    let items = world.queue.iter().filter(|i| written(&i.state) && i.approval.is_some() && i.proposal.plan.writes());
    items
        .map(|i| {
            let place = name_of(&i.proposal.subject).to_owned();
            let there = lesson.places.is_empty() || lesson.places.contains(&&*place);
            let right = lesson.expect == Expect::Cure && there && lesson.deeds.contains(&i.proposal.strategy);
            let harmful = matches!(i.state, ActionState::Done { verdict: Verdict::Harmful, .. });
            Deed { place, strategy: i.proposal.strategy, state: i.state.word(), left_harmful: harmful, wrong: !right }
        })
        .collect()
}

/// Plays a lesson; `watched`: with the loop in auto mode, else nobody acts but the cluster's own controllers.
pub fn play(lesson: &Lesson, seed: u64, watched: bool) -> Told {
    let mut stage = Stage::new(seed, watched);
    if watched {
        stage.tell(Command::Pause { on: false });
    }
    stage.pass(BEFORE * 60);
    let began = stage.now();
    stage.demo.director().play(Some(lesson.name)).expect("a built-in scenario");
    let mut told = Told::default();
    let mut well_since = None;
    let well = well();
    while stage.now() < began + TimeDelta::minutes(lesson.minutes) {
        stage.pass(LOOK);
        let at = (stage.now() - began).num_seconds();
        match stage.holds(&well) {
            Some(true) => well_since = well_since.or(Some(at)),
            Some(false) => {
                told.ill += LOOK;
                told.onset = told.onset.or(Some(at));
                well_since = None;
            }
            None => {}
        }
        if let Some((handle, _)) = &stage.autopilot {
            let world = handle.worlds.borrow().clone();
            if told.named_after.is_none() && names(&world, lesson.places) {
                told.named_after = Some(at - told.onset.unwrap_or(at));
            }
            told.offered |= offers(&world, lesson.places);
        }
    }
    told.well_after = told.onset.zip(well_since).map(|(onset, well)| (well - onset).max(0));
    if let Some((handle, _)) = &stage.autopilot {
        let world = handle.worlds.borrow().clone();
        told.deeds = deeds(&world, lesson);
        told.story = story(&world, began);
    }
    told
}

/// What the loop saw and did, in words.
fn story(world: &World, began: DateTime<Utc>) -> String {
    let mut text = format!("  mode {} paused {} {:?}\n", world.mode, world.brakes.paused, world.brakes.held);
    for item in world.queue.iter() {
        let blocked: Vec<String> = item.blocked.iter().map(ToString::to_string).collect();
        let p = &item.proposal;
        let _ = writeln!(text, "  {} [{}] {} ({:?}) {}", p.id, item.state.word(), p.title, p.risk, blocked.join("; "));
        for moment in &item.story {
            let _ = writeln!(text, "      {:>5} s {}", (moment.at - began).num_seconds(), moment.what);
        }
    }
    for (id, why) in world.unplanned.iter() {
        let _ = writeln!(text, "  no plan for {id}: {why}");
    }
    for entry in world.journal.iter().rev() {
        let r = &entry.record;
        if r.kind.as_str().starts_with("finding") || r.kind.as_str().starts_with("incident_opened") {
            let (at, what) = ((r.at - began).num_seconds(), r.payload["title"].as_str().unwrap_or_default());
            let _ =
                writeln!(text, "  {at:>5} s {} {} {what}", r.kind.as_str(), r.object.as_deref().unwrap_or_default());
        }
    }
    for incident in world.incidents.all.iter() {
        let first = incident.causes.first().map(|s| format!("{:?}: {} ({:.2})", s.subject, s.what, s.sureness));
        let _ = writeln!(text, "  incident {}: {}", incident.title, first.unwrap_or_default());
    }
    text
}
