//! `kansole doctor`: what works and what doesn't, each with its remedy. Reads only.

mod guard;

use super::args::{Cli, Format};
use super::{Done, Failure, look, options, print, print_json, runtime, settings};
use crate::autopilot::session::cluster_dir;
use crate::autopilot::world::World;
use crate::autopilot::{JournalUse, Options, spawn};
use crate::config::Settings;
use crate::config::load::Loaded;
use crate::console::caps::{Caps, Depth};
use crate::knowledge::journal::Journal;
use crate::model::mode::Mode;
use crate::model::object::Resource;
use crate::model::plan::Right;
use crate::model::snapshot::SourceState;
use crate::model::trace::TraceSource;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

/// How one thing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
enum Grade {
    Ok,
    Warn,
    Fail,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Check {
    grade: Grade,
    what: String,
    says: String,
    remedy: String,
}

#[derive(Default)]
struct Report(Vec<Check>);

impl Report {
    fn add(&mut self, grade: Grade, what: &str, says: impl Into<String>, remedy: impl Into<String>) {
        self.0.push(Check { grade, what: what.to_owned(), says: says.into(), remedy: remedy.into() });
    }
}

pub(super) fn run(cli: &Cli, format: Format) -> Done {
    let (loaded, dirs) = settings(cli)?;
    let mut options = options(cli, &loaded, &dirs, JournalUse::None);
    options.settings.guard.mode = Mode::Observe;
    let mut report = Report::default();
    local(&mut report, &loaded, look(&loaded, &dirs)?.0);
    let connected = runtime()?.block_on(cluster(&mut report, options));
    match format {
        Format::Json => print_json(&report.0)?,
        Format::Text => print(&text(&report.0))?,
    }
    connected?;
    match report.0.iter().filter(|c| c.grade == Grade::Fail).count() {
        0 => Ok(()),
        n => Err(Failure::Failed(anyhow::anyhow!("{n} checks failed"))),
    }
}

/// What can be told without a cluster: configuration and terminal.
fn local(report: &mut Report, loaded: &Loaded, caps: Caps) {
    let file = loaded.path.as_ref().map_or("no file, defaults".to_owned(), |p| p.display().to_string());
    report.add(Grade::Ok, "configuration", file, "");
    let colours = match caps.depth {
        Depth::None => "no colours",
        Depth::Ansi16 => "16 colours",
        Depth::Ansi256 => "256 colours",
        Depth::True => "true colour",
    };
    let set = if caps.ascii { "ASCII" } else { "Unicode" };
    let remote = if caps.remote { ", over SSH" } else { "" };
    report.add(
        Grade::Ok,
        "terminal",
        format!("{colours}, {set}{remote}, at most {} frames/s", caps.max_fps(loaded.settings.ui.max_fps)),
        "",
    );
}

async fn cluster(report: &mut Report, options: Options) -> Done {
    let settings = options.settings.clone();
    let state = options.state.clone();
    let connect = options.connect.clone();
    let conn = match crate::monitor::connect::connect(&connect).await {
        Ok(conn) => conn,
        Err(e) => {
            report.add(Grade::Fail, "cluster", e.to_string(), "");
            return Err(Failure::Connect(e.into()));
        }
    };
    let (mut handle, _task) = spawn(options);
    let world = super::once::first_picture(&mut handle, Duration::from_secs(30)).await?;
    let info = &world.snapshot.cluster;
    report.add(Grade::Ok, "cluster", format!("{} at {}, {}", info.context, info.server, info.version), "");
    api(report, &world, settings.guard.clock_skew_s, settings.guard.api_latency_ms);
    sources(report, &world);
    let may = rights(report, &conn.read, &world).await;
    prometheus(report, &world);
    // A backend is looked for beside everything else.
    let sought = |w: &World| {
        let waiting = |s: &SourceState| matches!(s, SourceState::Unknown | SourceState::Syncing { .. });
        let backend = |s: &TraceSource| !s.name.starts_with("OTLP");
        settings.traces.url == "none" || w.snapshot.traces.sources.iter().any(|s| backend(s) && !waiting(&s.state))
    };
    let world = match handle.wait(Duration::from_secs(10), sought).await {
        Ok(world) | Err(world) => world,
    };
    traces(report, &world);
    let dir = cluster_dir(&state, &info.id);
    journal(report, &dir);
    guard::automation(report, &world, &settings.guard, &may, &dir);
    report.add(Grade::Ok, "kill switch", kill_switch(&settings, &dir), "");
    Ok(())
}

fn api(report: &mut Report, w: &World, skew_limit: f64, latency_limit: f64) {
    let api = &w.snapshot.api;
    match (&api.state, api.latency_ms) {
        (SourceState::Live { .. }, Some(ms)) if ms > latency_limit => report.add(
            Grade::Warn,
            "api latency",
            format!("{ms:.0} ms"),
            format!("automation stands back above {latency_limit:.0} ms (guard.api_latency_ms)"),
        ),
        (SourceState::Live { .. }, Some(ms)) => report.add(Grade::Ok, "api latency", format!("{ms:.1} ms"), ""),
        (state, _) => report.add(Grade::Fail, "api", format!("{state:?}"), "check the server and the network"),
    }
    if let Some(skew) = api.clock_skew_s {
        let grade = if skew.abs() > skew_limit { Grade::Warn } else { Grade::Ok };
        let remedy = if grade == Grade::Ok {
            ""
        } else {
            "set the clock of this machine (ntp): ages are wrong and automation stands back"
        };
        report.add(grade, "clock", format!("{skew:+.0} s against the server"), remedy);
    }
}

fn sources(report: &mut Report, w: &World) {
    for s in w.snapshot.sources.iter() {
        let what = format!("watch {}", s.name);
        match &s.state {
            SourceState::Live { .. } => report.add(Grade::Ok, &what, format!("{} objects", s.objects), ""),
            SourceState::NotServed => {}
            SourceState::Denied { why } => {
                report.add(Grade::Warn, &what, why.to_string(), "grant list and watch, or limit with --namespace");
            }
            other => report.add(Grade::Warn, &what, format!("{other:?}"), "not complete in time: look again"),
        }
    }
}

/// The rights that actions need, in each namespace that automation may act in (or the first one seen).
async fn rights(report: &mut Report, client: &kube::Client, w: &World) -> BTreeMap<Right, bool> {
    let opted: Vec<_> = w.snapshot.namespaces.iter().filter(|n| n.opted_in).map(|n| n.name.clone()).collect();
    let first = w.snapshot.namespaces.iter().take(1).map(|n| n.name.clone());
    let namespaces: Vec<_> = if opted.is_empty() { first.collect() } else { opted };
    let need = [
        (Resource::DEPLOYMENTS, "patch", None),
        (Resource::DEPLOYMENTS, "patch", Some("scale")),
        (Resource::STATEFULSETS, "patch", None),
        (Resource::DAEMONSETS, "patch", None),
        (Resource::PODS, "create", Some("eviction")),
        (Resource::PODS, "patch", Some("resize")),
        (Resource::NODES, "patch", None),
    ];
    let mut asked = Vec::new();
    for (resource, verb, sub) in need {
        let places = if resource.namespaced { namespaces.iter().cloned().map(Some).collect() } else { vec![None] };
        asked.extend(places.into_iter().map(|namespace| Right {
            verb: verb.into(),
            group: resource.group.to_string(),
            resource: resource.plural.to_string(),
            subresource: sub.map(str::to_owned),
            namespace,
        }));
    }
    let mut known = BTreeMap::new();
    for (right, answer) in crate::monitor::rights::check(client, &asked).await {
        let what = format!("right to {right}");
        if let Ok(may) = &answer {
            known.insert(right, *may);
        }
        match answer {
            Ok(true) => report.add(Grade::Ok, &what, "yes", ""),
            Ok(false) => report.add(Grade::Warn, &what, "no", "actions that need it are shown but cannot be approved"),
            Err(e) => report.add(Grade::Warn, &what, e, "the server could not be asked"),
        }
    }
    known
}

fn prometheus(report: &mut Report, w: &World) {
    let m = &w.snapshot.metrics;
    match (&m.state, &m.profile) {
        (SourceState::Live { .. }, Some(p)) => {
            report.add(Grade::Ok, "prometheus", format!("{} via {}", p.server, p.via), "");
            let or_none = |x: &Option<String>| x.clone().unwrap_or_else(|| "not found".into());
            report.add(Grade::Ok, "  cAdvisor", or_none(&p.cadvisor), "");
            report.add(Grade::Ok, "  request metrics", or_none(&p.requests), "");
            report.add(Grade::Ok, "  calls", or_none(&p.calls.map(|c| c.title().to_owned())), "");
            for missing in &p.missing {
                report.add(Grade::Warn, "  missing", missing.clone(), "scrape it, or go without");
            }
        }
        (SourceState::NotServed, _) => report.add(
            Grade::Warn,
            "prometheus",
            "turned off or not found",
            "give --prometheus URL; without it there are no metrics, leaks, SLOs or scaling",
        ),
        (SourceState::Failed { why, .. }, _) => {
            report.add(Grade::Fail, "prometheus", why.to_string(), "check connection.prometheus");
        }
        (state, _) => report.add(Grade::Warn, "prometheus", format!("{state:?}"), "not complete in time: look again"),
    }
}

fn traces(report: &mut Report, w: &World) {
    let t = &w.snapshot.traces;
    if t.sources.is_empty() {
        let remedy =
            "give --traces URL, or send OTLP (traces.otlp_grpc, traces.otlp_http); without it there are no traces";
        report.add(Grade::Warn, "traces", "turned off or not found", remedy);
    }
    for source in t.sources.iter() {
        let what = format!("traces: {}", source.name);
        match &source.state {
            SourceState::Live { .. } => report.add(Grade::Ok, &what, format!("{} spans", source.spans), ""),
            SourceState::Syncing { .. } | SourceState::Unknown => {
                report.add(Grade::Ok, &what, "listening, nothing came yet", "");
            }
            SourceState::Failed { why, .. } | SourceState::Denied { why } => {
                report.add(Grade::Warn, &what, why.to_string(), "");
            }
            SourceState::NotServed => {
                report.add(Grade::Ok, &what, "none found", "if there is one under another name, give --traces URL");
            }
        }
    }
    for lost in t.dropped.iter() {
        report.add(Grade::Warn, "  not kept", format!("{} {}", lost.count, lost.why), "");
    }
}

fn journal(report: &mut Report, dir: &std::path::Path) {
    let path = dir.join("journal.db");
    if !path.exists() {
        report.add(Grade::Ok, "journal", format!("{} (begins with the first console)", path.display()), "");
        return;
    }
    let looked = Journal::open_read_only(&path).and_then(|j| Ok((j.integrity_check()?, j.verify())));
    match looked.map(|(complaints, chain)| (complaints.join("; "), chain)) {
        Ok((complaints, _)) if !complaints.is_empty() => {
            report.add(
                Grade::Fail,
                "journal",
                complaints,
                "the disk or file system may be failing: keep a copy of the file",
            );
        }
        Ok((_, Ok(r))) => report.add(Grade::Ok, "journal", format!("{}: {r}", path.display()), ""),
        Ok((_, Err(e))) => report.add(
            Grade::Fail,
            "journal",
            e.to_string(),
            "keep the file as evidence; move it away to begin a new one",
        ),
        Err(e) => report.add(Grade::Fail, "journal", e.to_string(), ""),
    }
}

/// The ways to stop every write from outside.
fn kill_switch(settings: &Settings, dir: &std::path::Path) -> String {
    let file = settings.guard.kill_file.clone().unwrap_or_else(|| dir.join("kill").display().to_string());
    format!("touch {file}, or ConfigMap {} with kill: \"true\"", settings.guard.kill_configmap)
}

fn text(checks: &[Check]) -> String {
    let mut out = String::new();
    for c in checks {
        let word = match c.grade {
            Grade::Ok => "ok  ",
            Grade::Warn => "warn",
            Grade::Fail => "FAIL",
        };
        let _ = writeln!(out, "{word}  {}: {}", c.what, c.says);
        if !c.remedy.is_empty() {
            let _ = writeln!(out, "      {}", c.remedy);
        }
    }
    out
}
