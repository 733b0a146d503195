//! `kansole once`: one loop without a screen, as JSON on stdout. Writes nothing, to the cluster or the journal.

use super::args::{Cli, OnceArgs};
use super::{Done, Failure, options, print_json, runtime, settings};
use crate::autopilot::handle::LoopHandle;
use crate::autopilot::world::{Link, World};
use crate::autopilot::{JournalUse, spawn};
use crate::model::action::QueueItem;
use crate::model::mode::Mode;
use crate::model::plan::Step;
use crate::model::series::Signal;
use crate::model::snapshot::{Snapshot, SourceState};
use crate::model::time;
use crate::model::trace::Dropped;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

pub(super) fn run(cli: &Cli, args: &OnceArgs) -> Done {
    let (loaded, dirs) = settings(cli)?;
    let options = options(cli, &loaded, &dirs, JournalUse::None);
    runtime()?.block_on(async {
        let (mut handle, _task) = spawn(options);
        let began = tokio::time::Instant::now();
        first_picture(&mut handle, args.timeout).await?;
        let left = args.timeout.saturating_sub(began.elapsed()).min(PAST);
        let planned = time::now();
        let done = |w: &World| watched(w) && w.reasoned > Some(planned);
        let world = match handle.wait(left, |w| matches!(w.link, Link::Broken { .. }) || done(w)).await {
            Ok(world) | Err(world) => world,
        };
        print_json(&report(&world))
    })
}

/// Waits until every source has answered or said why not, then until a round was made on that, and every
/// finding has a proposal with its dry-run or a reason for none. What is not complete when the time is up is
/// told as it is.
pub(super) async fn first_picture(handle: &mut LoopHandle, limit: Duration) -> Result<Arc<World>, Failure> {
    let until = tokio::time::Instant::now() + limit;
    let broken = |w: &World| matches!(w.link, Link::Broken { .. });
    let mut world = match handle.wait(limit, |w| broken(w) || settled(w)).await {
        Ok(world) | Err(world) => world,
    };
    if settled(&world) {
        let seen = time::now();
        let left = until.saturating_duration_since(tokio::time::Instant::now());
        world = match handle.wait(left, |w| broken(w) || (w.last_round.is_some_and(|t| t > seen) && planned(w))).await {
            Ok(world) | Err(world) => world,
        };
    }
    match &world.link {
        Link::Connected => Ok(world),
        Link::Broken { why, .. } => Err(Failure::Connect(anyhow::anyhow!("{why}"))),
        Link::Connecting { .. } | Link::Replay { .. } => {
            Err(Failure::Connect(anyhow::anyhow!("no answer within {} s", limit.as_secs())))
        }
    }
}

/// Longest wait for what was usual so far to be read and learned, and for causes to be looked for: on a large cluster the
/// former takes minutes, and what is wrong by other signs is worth telling without.
const PAST: Duration = Duration::from_secs(10);

/// Whether the past was read and learned, so that what is unusual is known.
fn watched(w: &World) -> bool {
    let m = &w.snapshot.metrics;
    let none = !matches!(m.state, SourceState::Live { .. }) || m.workloads.is_empty();
    none || (m.filling == 0 && w.anomalies.backlog == 0 && w.anomalies.judged + w.anomalies.learning > 0)
}

/// Whether every source has answered or said why not.
fn settled(w: &World) -> bool {
    let known = |s: &SourceState| !matches!(s, SourceState::Unknown | SourceState::Syncing { .. });
    let s = &w.snapshot;
    matches!(w.link, Link::Connected)
        && !s.sources.is_empty()
        && known(&s.api.state)
        && s.sources.iter().all(|s| known(&s.state))
        && known(&s.metrics.state)
        && (measured(s) || !matches!(s.metrics.state, SourceState::Live { .. }))
}

/// Whether usage has arrived, where there is something that measures it.
fn measured(s: &Snapshot) -> bool {
    !s.metrics.pods.is_empty() || s.metrics.profile.as_ref().is_some_and(|p| p.cadvisor.is_none())
}

/// Whether every finding has a proposal that the server was asked about (its dry-run and the rights it needs),
/// or a reason for none.
fn planned(w: &World) -> bool {
    let asked = |i: &QueueItem| {
        let rights = || i.proposal.plan.steps.iter().filter_map(Step::right).all(|r| w.rights.contains_key(&r));
        !i.proposal.plan.writes() || (i.preview.is_some() && rights())
    };
    let answered =
        |id: &str| w.unplanned.contains_key(id) || w.queue.iter().any(|i| &*i.proposal.finding == id && asked(i));
    w.mode == Mode::Observe || w.findings.iter().all(|f| answered(&f.id))
}

/// Where traces come from and what they mean; whole ones are for `lab traces` and the console.
fn traces(w: &World) -> Value {
    let t = &w.snapshot.traces;
    let counted =
        |list: &[Dropped]| list.iter().map(|d| json!({ "what": d.why, "count": d.count })).collect::<Vec<_>>();
    json!({
        "sources": t.sources.iter()
            .map(|s| json!({ "name": s.name, "state": s.state, "spans": s.spans })).collect::<Vec<_>>(),
        "received": t.received, "spans_per_second": t.rate, "kept": t.kept.len(),
        "dropped": counted(&t.dropped), "odd": counted(&t.odd),
        "insight": *w.insight,
    })
}

fn report(w: &World) -> Value {
    let s = &w.snapshot;
    let metrics: Vec<Value> = s
        .workloads
        .iter()
        .filter_map(|workload| {
            let m = s.metrics.workloads.get(&workload.key)?;
            let signals: serde_json::Map<String, Value> = Signal::ALL
                .iter()
                .map(|signal| {
                    (
                        serde_json::to_value(signal)
                            .ok()
                            .and_then(|v| v.as_str().map(str::to_owned))
                            .unwrap_or_default(),
                        json!(m.now(*signal)),
                    )
                })
                .collect();
            Some(json!({ "workload": workload.key.to_string(), "signals": signals }))
        })
        .collect();
    json!({
        "cluster": *s.cluster,
        "taken": s.taken,
        "mode": w.mode,
        "api": s.api,
        "sources": *s.sources,
        "prometheus": { "state": s.metrics.state, "profile": s.metrics.profile.as_deref() },
        "summary": {
            "nodes": s.nodes.len(),
            "nodes_ready": s.nodes.iter().filter(|n| n.ready).count(),
            "namespaces": s.namespaces.len(),
            "workloads": s.workloads.len(),
            "pods": s.pod_count(),
        },
        "metrics": metrics,
        "findings": *w.findings,
        "incidents": *w.incidents.all,
        "anomalies": *w.anomalies.all,
        "traces": traces(w),
        "watch": {
            "judged": w.anomalies.judged, "learning": w.anomalies.learning, "workloads_behind": w.anomalies.backlog,
        },
        "proposals": w.queue.iter().filter(|i| i.pending()).map(|i| json!({
            "proposal": *i.proposal, "preview": i.preview, "blocked": i.blocked,
        })).collect::<Vec<_>>(),
        "unplanned": *w.unplanned,
    })
}
