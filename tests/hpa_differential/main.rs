//! The simulated HorizontalPodAutoscaler against the real one: the same pods and measurements for both, on a trace each,
//! and after every look their statuses, scales and events compared. `tests/hpa_differential.sh` starts the rig for it.
//!
//! The real controller asks this test for the measurements. Its question is held until the pods are as the trace wants
//! them, and its next question tells that it has acted on the answer.

mod server;
mod stage;
mod traces;

use chrono::{DateTime, TimeDelta, Utc};
use futures::{StreamExt, stream};
use kansole::sim::control::hpa::decide::{History, Sample};
use kansole::sim::control::hpa::look::{Look, Scene, look, without_target};
use serde_json::{Value, json};
use server::{Ask, Metrics};
use stage::Stage;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{sleep, timeout};
use traces::{Step, Trace, Use, WINDOW};

/// Nothing is answered when an earlier decision is as old as one of the windows and periods of the traces, give or take
/// this, so that the few milliseconds that the real controller takes decide nothing.
const CLEAR: TimeDelta = TimeDelta::milliseconds(300);
/// Everything that is waited for comes sooner.
const PATIENCE: Duration = Duration::from_secs(60);

/// Traces that are played side by side.
const ATONCE: usize = 12;

/// A trace being played.
struct Play<'a> {
    stage: &'a Stage,
    trace: &'a Trace,
    asked: UnboundedReceiver<Ask>,
    /// The question that is not answered yet.
    held: Option<Ask>,
    /// The simulated side: its object, memory, and events.
    hpa: Value,
    history: History,
    current: i64,
    events: Vec<String>,
    /// Decisions that agree, and those of which only the scale does.
    decisions: usize,
    refused: u64,
    /// When it decided.
    times: Vec<DateTime<Utc>>,
}

impl Play<'_> {
    /// Takes in what the simulated side made of a look; gives back the status before.
    fn take(&mut self, look: Look, now: DateTime<Utc>) -> Value {
        self.current = look.scale.unwrap_or(self.current);
        self.events.extend(look.events.into_iter().filter(|e| e.1 == "SuccessfulRescale").map(|e| e.2));
        self.times.push(now);
        std::mem::replace(&mut self.hpa["status"], look.status)
    }

    /// What differs between the real status and scale and the simulated ones, which were `before` the decision.
    ///
    /// When the controller looks twice within milliseconds, its second look is at an old copy of the object, and its status
    /// is refused. It says so in an event; the simulated one is then taken back too.
    async fn compare(&mut self, step: &str, before: Value) -> Result<(), String> {
        let name = self.trace.name;
        let (real, scale) = (self.stage.autoscaler(name).await, self.stage.scale(name).await);
        let (real, ours) = (timeless(&real["status"]), timeless(&self.hpa["status"]));
        let place = format!("{name}, {step} (decision {})", self.decisions);
        let wanted = (self.current >= 0).then_some(self.current);
        if scale != wanted {
            return Err(format!("{place}: scaled to {scale:?}, simulated {wanted:?}"));
        }
        if real == ours {
            self.decisions += 1;
            return Ok(());
        }
        if real == timeless(&before) && self.stage.refused(name, self.refused + 1).await {
            self.refused += 1;
            self.hpa["status"] = before;
            return Ok(());
        }
        Err(format!("{place}: {}", difference(&real, &ours)))
    }

    /// The looks before the first question, at what no measurements are needed for.
    async fn opening(&mut self) -> Result<(), String> {
        let Some(reason) = self.trace.opening() else { return Ok(()) };
        self.stage.until_told(self.trace.name, reason).await;
        let now = Utc::now();
        let look = if self.trace.replicas.is_none() {
            // In the server's words, which name the kind as the client does.
            without_target(&self.hpa, &format!("deployments.apps \"{}\" not found", self.trace.name), now)
        } else {
            self.look(&[], &[], now)
        };
        let before = self.take(look, now);
        self.compare("opening", before).await?;
        if self.trace.rival {
            // What the other one asked before this one was there; now neither asks.
            while self.asked.try_recv().is_ok() {}
            self.stage.remove(&rival(self.trace)).await;
        } else if self.trace.replicas.unwrap_or(0) == 0 {
            self.current = traces::LATER;
            self.stage.deploy(self.trace, self.current).await;
        }
        Ok(())
    }

    /// The simulated look.
    fn look(&mut self, pods: &[Value], used: &[(String, Use)], now: DateTime<Utc>) -> Look {
        let mut usage = |pod: &str, container: &str, resource: &str| {
            let (_, used) = used.iter().find(|(name, _)| name == pod)?;
            let value = used.of(container, resource)?;
            Some(Sample { value, at: server::whole_second(now), window: WINDOW })
        };
        let stabilization = stage::stabilization();
        let (name, namespace) = (self.trace.name, &self.stage.namespace);
        let (selector, mut claimants) = (format!("app={name}"), vec![format!("{namespace}/{name}")]);
        if self.trace.rival && self.times.is_empty() {
            claimants.push(format!("{namespace}/{}", rival(self.trace)));
        }
        let (selector, claimants) = (selector.as_str(), claimants.as_slice());
        let (hpa, current, usage) = (&self.hpa, self.current, &mut usage);
        let scene = Scene { hpa, current, pods, selector, claimants, usage, stabilization, now };
        look(scene, &mut self.history)
    }

    async fn question(&mut self) -> Ask {
        match self.held.take() {
            Some(ask) => ask,
            None => timeout(PATIENCE, self.asked.recv())
                .await
                .unwrap_or_else(|_| panic!("{}: the controller does not ask", self.trace.name))
                .expect("the server lives as long as the test"),
        }
    }

    /// Waits for the next question, which tells that the real controller has acted. Its memory of a rescaling is of when
    /// that was done, after the decision, so the simulated memory is too.
    async fn acted(&mut self, decided: DateTime<Utc>) {
        let (stage, name, current) = (self.stage, self.trace.name, self.current);
        let (ups, downs) = (self.history.ups.iter(), self.history.downs.iter());
        if ups.chain(downs).any(|(_, at)| *at == decided) {
            let done = tokio::select! {
                () = stage.until_scaled(name, current) => Utc::now(),
                ask = self.question() => { self.held = Some(ask); Utc::now() }
            };
            for (_, at) in self.history.ups.iter_mut().chain(&mut self.history.downs).filter(|(_, at)| *at == decided) {
                *at = done;
            }
            self.times.push(done);
        }
        self.held = Some(self.question().await);
    }

    /// The number at the beginning counts as a recommendation from before the first question, which is held for long.
    fn remember_start(&mut self) {
        let now = Utc::now();
        self.history.recommendations.push((self.current, now));
        self.times.push(now);
    }

    /// How long it takes until no earlier decision is near the end of a window.
    fn unclear(&self) -> Option<Duration> {
        let now = Utc::now();
        let windows = || traces::WINDOWS.iter().map(|s| TimeDelta::seconds(*s));
        let ends = self.times.iter().flat_map(|t| windows().map(move |w| *t + w));
        ends.filter(|end| (*end - now).abs() < CLEAR).max().and_then(|end| (end + CLEAR - now).to_std().ok())
    }

    async fn step(&mut self, step: &Step) -> Result<(), String> {
        let first = self.question().await;
        if self.times.is_empty() {
            self.remember_start();
        }
        let pods = self.stage.dress(self.trace.name, self.current, &step.dress).await;
        let used: Vec<(String, Use)> = pods
            .iter()
            .enumerate()
            .filter_map(|(i, p)| Some((p["metadata"]["name"].as_str()?.to_owned(), step.used(i)?)))
            .collect();
        while let Some(wait) = self.unclear() {
            sleep(wait).await; // time itself is what is waited for
        }
        let now = Utc::now();
        let answer = server::answer(&used, now);
        first.answer(answer.clone());
        for _ in 1..self.trace.questions() {
            self.question().await.answer(answer.clone());
        }
        let look = self.look(&pods, &used, now);
        let before = self.take(look, now);
        self.acted(now).await;
        self.compare(step.what, before).await
    }
}

/// The name of the other autoscaler of a trace that has one.
fn rival(trace: &Trace) -> String {
    format!("{}-rival", trace.name)
}

/// Without times (whether it ever scaled stays), without the name of the one of many pods that is told, and with those of
/// autoscalers in order.
fn timeless(status: &Value) -> Value {
    let mut status = status.clone();
    if let Some(all) = status["conditions"].as_array_mut() {
        for condition in all {
            condition.as_object_mut().and_then(|c| c.remove("lastTransitionTime"));
            let message = condition["message"].as_str().unwrap_or_default();
            let message = match (message.rsplit_once(" of Pod "), message.rsplit_once(": [")) {
                (Some((before, _)), _) => before.to_owned(),
                (_, Some((before, names))) => {
                    let mut names: Vec<&str> = names.trim_end_matches(']').split(' ').collect();
                    names.sort_unstable();
                    format!("{before}: {names:?}")
                }
                _ => message.to_owned(),
            };
            condition["message"] = message.into();
        }
    }
    let scaled = status["lastScaleTime"].is_string();
    // In one order of keys.
    let parts = ["currentReplicas", "desiredReplicas", "currentMetrics", "conditions"].map(|k| (k, status[k].take()));
    let sorted: BTreeMap<&str, Value> = parts.into_iter().chain([("scaled", json!(scaled))]).collect();
    serde_json::to_value(sorted).expect("JSON")
}

/// The lines that differ: `-` the real controller, `+` the simulated one.
fn difference(real: &Value, ours: &Value) -> String {
    let text = |v: &Value| serde_json::to_string_pretty(v).expect("JSON");
    let (a, b) = (text(real), text(ours));
    format!("the statuses differ\n{}", similar::TextDiff::from_lines(&a, &b).unified_diff())
}

/// What came of a trace.
struct Played {
    decisions: usize,
    refused: u64,
    /// Told by the conditions.
    reasons: Vec<String>,
    /// Where it ended, if it came to a difference.
    differs: Option<String>,
}

/// Plays a trace.
async fn play(stage: &Stage, metrics: &Metrics, trace: &Trace) -> Played {
    if let Some(n) = trace.replicas {
        stage.deploy(trace, n).await;
    }
    if trace.rival {
        // It is heard of when it has looked once; nobody answers it.
        stage.create(trace, &rival(trace)).await;
        stage.until_told(&rival(trace), "FailedGetResourceMetric").await;
    }
    let asked = metrics.listen(trace.name);
    let hpa = stage.create(trace, trace.name).await;
    let mut play = Play {
        stage,
        trace,
        asked,
        held: None,
        hpa,
        history: History::default(),
        current: trace.replicas.unwrap_or(-1),
        events: Vec::new(),
        decisions: 0,
        refused: 0,
        times: Vec::new(),
    };
    let told = |hpa: &Value| -> Vec<String> {
        let all = hpa["status"]["conditions"].as_array().cloned().unwrap_or_default();
        all.iter().filter_map(|c| c["reason"].as_str().map(str::to_owned)).collect()
    };
    let mut differs = play.opening().await.err();
    let mut reasons = told(&play.hpa);
    for step in trace.steps.iter().flat_map(|s| std::iter::repeat_n(s, s.times)) {
        if differs.is_none() {
            differs = play.step(step).await.err();
            reasons.extend(told(&play.hpa));
        }
    }
    if differs.is_none() {
        differs = stage.events(trace.name, &play.events).await.err();
    }
    stage.remove(trace.name).await;
    Played { decisions: play.decisions, refused: play.refused, reasons, differs }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_simulated_autoscaler_decides_as_the_real_one() {
    let (stage, metrics) = Stage::set().await;
    let only = std::env::var("KANSOLE_HPA").unwrap_or_default();
    let traces: Vec<Trace> = traces::all().into_iter().filter(|t| t.name.contains(&only)).collect();
    let results: Vec<Played> =
        stream::iter(&traces).map(|t| play(&stage, &metrics, t)).buffered(ATONCE).collect().await;
    stage.strike().await;
    let decisions: usize = results.iter().map(|r| r.decisions).sum();
    let reasons: BTreeSet<&str> = results.iter().flat_map(|r| &r.reasons).map(String::as_str).collect();
    let differs: Vec<&str> = results.iter().filter_map(|r| r.differs.as_deref()).collect();
    assert!(differs.is_empty(), "{} of {} traces differ\n\n{}", differs.len(), traces.len(), differs.join("\n\n"));
    let refused: u64 = results.iter().map(|r| r.refused).sum();
    println!("hpa: {decisions} decisions on {} traces agree ({refused} more in their scale alone)", traces.len());
    if only.is_empty() {
        for reason in traces::REASONS {
            assert!(reasons.contains(reason), "no trace comes to {reason}");
        }
        assert!(decisions >= 40 && traces.len() >= 8, "too few traces");
    }
}
