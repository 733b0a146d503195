//! Figures of the program's parts, measured inside this process: drawing, taking in, analysing, planning,
//! writing down. And memory, in a child of its own.

use crate::inside::{Sink, all_pods, draw, feed, line, model, press, read, screen, snapshot, table, world};
use crate::process;
use crate::report::{Report, Samples, repeat};
use crate::synthetic::Cluster;
use kansole::analyze::Analyzer;
use kansole::config::settings::{Analyze, Planning};
use kansole::console::app::Msg;
use kansole::console::update::update;
use kansole::knowledge::journal::Journal;
use kansole::model::dossier::Dossier;
use kansole::model::finding::{Fault, Subject};
use kansole::model::journal::{Kind, Record};
use kansole::model::object::Resource;
use kansole::model::series::Series;
use kansole::model::snapshot::{PodUsage, Snapshot, SourceState, WorkloadMetrics};
use kansole::monitor::feed::{Change, Delta, Object};
use kansole::monitor::lite::PodLite;
use kansole::plan::{History, propose};
use std::sync::Arc;
use std::time::Instant;

/// What the child that measures memory is called with.
pub const CHILD: &str = "--child-memory";

/// The child: a cluster of so many pods up to one drawn frame; prints resident and greatest memory in MiB.
/// With `metrics`, with usage per pod and a day of CPU and memory per workload too.
pub fn child(pods: usize, metrics: bool) {
    let cluster = Cluster::new(pods);
    let mut table = table(&cluster);
    let mut snapshot = snapshot(&mut table, 1);
    if metrics {
        measure(&mut snapshot);
    }
    let mut model = model(world(snapshot));
    all_pods(&mut model);
    draw(&mut model, &mut screen(&Sink::default()));
    let (now, peak) = process::memory(std::process::id());
    println!("{now} {peak}");
    drop((table, model));
}

/// Readings for all pods, and rings of a day at 30 s for CPU and memory of all workloads.
fn measure(snapshot: &mut Snapshot) {
    let now = snapshot.taken;
    let day = chrono::TimeDelta::hours(24);
    let pods = snapshot.workloads.iter().flat_map(|w| w.pods.iter()).enumerate().map(|(i, p)| {
        let share = (i % 97) as f32 / 100.0;
        let usage = PodUsage { cpu: share, memory: share * 6e8, memory_share: Some(share), throttled: None, at: now };
        (kansole::model::object::PodKey { namespace: p.namespace.clone(), name: (*p.name).into() }, usage)
    });
    snapshot.metrics.pods = Arc::new(pods.collect());
    let workloads = snapshot.workloads.iter().map(|w| {
        let reading = || kansole::model::reading::Reading::from_sample(1.5, now, now, day);
        let mut history = std::array::from_fn(|_| Series::new(30, day));
        for series in &mut history[..2] {
            for step in 0..2880 {
                series.put(now - chrono::TimeDelta::seconds(30 * step), f64::from(step as u32));
            }
        }
        (w.key.clone(), Arc::new(WorkloadMetrics { now: std::array::from_fn(|_| reading()), history }))
    });
    snapshot.metrics.workloads = Arc::new(workloads.collect());
    snapshot.metrics.state = SourceState::Live { last: now };
}

/// Memory of 10 000 and 100 000 pods.
pub fn memory(report: &mut Report) {
    let this = std::env::current_exe().expect("this program");
    for (pods, limit, metrics) in
        [(10_000, 80.0, false), (100_000, 250.0, false), (10_000, 80.0, true), (100_000, 250.0, true)]
    {
        let mut command = std::process::Command::new(&this);
        let out = command.args([CHILD, &pods.to_string(), &metrics.to_string()]).output().expect("a child");
        let text = String::from_utf8_lossy(&out.stdout);
        let numbers: Vec<f64> = text.split_whitespace().filter_map(|n| n.parse().ok()).collect();
        let [now, peak] = numbers[..] else { panic!("no numbers: {text}{}", String::from_utf8_lossy(&out.stderr)) };
        let said = format!("{now:.1} MiB resident, {peak:.1} MiB at its greatest");
        if metrics {
            report.told(&format!("memory, {pods} pods, and a day of CPU and memory per workload"), said);
        } else {
            report.judged(&format!("memory, {pods} pods"), said, &format!("{limit} MiB"), peak <= limit);
        }
    }
}

/// Drawing with 50 000 rows, and what a new world costs the console.
pub fn drawing(report: &mut Report) {
    let cluster = Cluster::new(50_000);
    let mut table = table(&cluster);
    let mut first = snapshot(&mut table, 1);
    measure(&mut first);
    let mut model = model(world(first));
    let sink = Sink::default();
    let mut screen = screen(&sink);
    all_pods(&mut model);
    let times = repeat(50, 2000, || {
        press(&mut model, "j");
        draw(&mut model, &mut screen)
    });
    report.judged("draw 220x60, all 50 000 pods, a key before each", times.words(), "p99 2 ms", times.p99() < 2.0);
    let before = sink.taken();
    let times = repeat(0, 500, || {
        model.now = chrono::Utc::now();
        draw(&mut model, &mut screen)
    });
    let after = sink.taken();
    report.told("draw again, nothing changed", format!("{}, {} writes", times.words(), after.0 - before.0));
    let scrolled = sink.taken();
    let times = repeat(0, 500, || {
        press(&mut model, "pagedown");
        draw(&mut model, &mut screen)
    });
    let (writes, bytes) = (sink.taken().0 - scrolled.0, sink.taken().1 - scrolled.1);
    report.judged(
        "write(2) per frame, counting writer",
        format!("{writes} for 500 frames, {} bytes each", bytes / 500),
        "1",
        writes == 500,
    );
    report.judged("draw 220x60, 50 000 pods, a page before each", times.words(), "p99 2 ms", times.p99() < 2.0);
    // Every pane, one after the other and from nothing: what a frame costs when all of it is new.
    for key in ["1", "2", "3", "4", "5", "6", "7", "8", "9"] {
        press(&mut model, key);
        let name = model.pane_id().as_str();
        let times = repeat(20, 500, || {
            screen.clear().expect("a sink takes everything");
            draw(&mut model, &mut screen)
        });
        report.judged(&format!("draw 220x60, {name}, the whole frame"), times.words(), "p99 4 ms", times.p99() < 4.0);
    }
    drop((model, screen));
    for pods in [10_000, 50_000] {
        syncing(report, pods);
    }
}

/// What one new world costs the console before it can draw, with 200 pods changed.
fn syncing(report: &mut Report, pods: usize) {
    let cluster = Cluster::new(pods);
    let mut table = table(&cluster);
    let mut model = model(world(snapshot(&mut table, 1)));
    all_pods(&mut model);
    press(&mut model, "pagedown pagedown pagedown");
    let feed = feed(&Resource::PODS);
    let mut n = 0;
    let mut publishing = Vec::new();
    let times = repeat(5, 60, || {
        for _ in 0..200 {
            n += 1;
            let pod: PodLite = read(&line("MODIFIED", &cluster.pod(n * 7919 % pods, n as u64)));
            let change = Change::Applied(Object::Pod(Box::new(pod)));
            table.apply(Delta { feed: feed.clone(), change }, chrono::Utc::now());
        }
        let began = Instant::now();
        let next = snapshot(&mut table, n as u64);
        publishing.push(began.elapsed());
        let next = world(next);
        let began = Instant::now();
        update(&mut model, Msg::World(next), chrono::Utc::now());
        began.elapsed()
    });
    let words = Samples::of(&publishing).words();
    report.told(&format!("table publishes 200 changes of {pods} pods"), words);
    let what = format!("console takes a new world, all {pods} pods shown");
    report.judged(&what, times.words(), "p99 16 ms", times.p99() < 16.0);
}

/// Taking in, analysing, planning and writing down at 10 000 pods.
pub fn ingestion(report: &mut Report) {
    let cluster = Cluster::new(10_000);
    let lines: Vec<String> = cluster.list("pods").map(|p| line("ADDED", &p)).collect();
    let bytes: usize = lines.iter().map(String::len).sum();
    let feed = feed(&Resource::PODS);
    let mut table = table(&cluster);
    let times = repeat(1, 5, || {
        let began = Instant::now();
        for line in &lines {
            let change = Change::Applied(Object::Pod(Box::new(read::<PodLite>(line))));
            table.apply(Delta { feed: feed.clone(), change }, chrono::Utc::now());
        }
        began.elapsed()
    });
    let rate = lines.len() as f64 / times.quantile(0.5) * 1000.0;
    report.told("parse and apply", format!("{rate:.0} pods/s of {} bytes each, one thread", bytes / lines.len()));
    let snapshot = snapshot(&mut table, 1);
    let (analyze, planning) = (Analyze::default(), Planning::default());
    let mut analyzer = Analyzer::new();
    let mut findings = Vec::new();
    let times = repeat(3, 50, || {
        let began = Instant::now();
        findings = analyzer.analyze(&snapshot, &analyze, &planning, &[], chrono::Utc::now());
        began.elapsed()
    });
    report.told("analyze 10 000 pods", format!("{}, {} findings", times.words(), findings.len()));
    plan(report, &cluster, &snapshot, &findings, &planning);
    journal(report);
}

fn plan(
    report: &mut Report,
    cluster: &Cluster,
    snapshot: &Snapshot,
    findings: &[kansole::model::finding::Finding],
    set: &Planning,
) {
    let oom = findings
        .iter()
        .find(|f| matches!(f.fault, Fault::OomContainer { .. }))
        .expect("a workload killed at its limit");
    let Subject::Workload(key) = &oom.subject else { panic!("not a workload: {}", oom.subject) };
    let live = (0..cluster.workloads()).map(|w| cluster.deployment(w)).find(|d| d.contains(&*key.name));
    let object = live.map(|d| serde_json::from_str(&d).expect("a Deployment"));
    let taken = chrono::Utc::now();
    let dossier = Dossier { subject: Some(oom.subject.clone()), object, taken, ..Dossier::default() };
    let mut made = String::new();
    let times = repeat(3, 200, || {
        let began = Instant::now();
        let plan = propose(oom, snapshot, &dossier, &History::default(), set, chrono::Utc::now());
        let took = began.elapsed();
        made = plan.map_or_else(|no| format!("no plan: {}", no.why), |p| p.title.to_string());
        took
    });
    report.told("propose at 10 000 pods", format!("{} ({made})", times.words()));
}

fn journal(report: &mut Report) {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let journal = Journal::open(&dir.path().join("journal.db")).expect("a journal");
    let times = repeat(10, 300, || {
        let record = Record {
            at: chrono::Utc::now(),
            actor: "ops@bench".into(),
            kind: Kind::Intent,
            action: Some("a-1".into()),
            object: Some("shop/Deployment/cart".into()),
            payload: serde_json::json!({"patch": [{"op": "test", "path": "/metadata/resourceVersion", "value": "1"}]}),
        };
        let began = Instant::now();
        journal.append(record).expect("written");
        began.elapsed()
    });
    report.told("journal append with fsync, in target/", times.words());
}
