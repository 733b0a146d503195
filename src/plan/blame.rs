//! Whether a release is what broke it, where the fault itself does not say so: a leak, a kill for memory, a hang.
//!
//! A release is to blame if it is recent, changed what runs (not only how much it may use), and the revision before it was
//! seen healthy. Then going back cures what restarts and more memory would only delay.

use super::draft::Draft;
use super::{Ask, NoProposal, advise, hang, isolate, replace, rollback};
use crate::model::cluster::{Revision, Workload};
use crate::model::finding::{Evidence, Fault};
use crate::model::object::{PodKey, WorkloadKind};
use crate::model::plan::Strategy;
use crate::model::time::age;
use chrono::TimeDelta;

/// A release older than this has shown that it runs.
const RECENT: TimeDelta = TimeDelta::minutes(60);

/// The newest revision and the healthy one before it, if the newest is to blame.
fn culprit<'a>(ask: &Ask<'a>) -> Option<(&'a Revision, &'a Revision)> {
    let workload: &'a Workload = ask.workload().ok()?;
    if workload.key.kind != WorkloadKind::Deployment || workload.paused {
        return None;
    }
    let (newest, older) = workload.revisions.split_first()?;
    let good = older.iter().find(|r| r.last_healthy.is_some() || r.available > 0)?;
    let runs = |r: &Revision| -> Vec<_> {
        r.template.iter().filter(|s| !s.init).map(|s| (s.name.clone(), s.image.clone())).collect()
    };
    let recent = ask.now - newest.created <= RECENT && ask.finding.since >= newest.created;
    (recent && runs(newest) != runs(good)).then_some((newest, good))
}

/// A rollback, if a release is to blame and there is something to roll back to.
pub fn rollback(ask: &Ask<'_>) -> Option<Result<Draft, NoProposal>> {
    let (newest, good) = culprit(ask)?;
    let mut draft = rollback::plan(ask, newest.number).ok().filter(Draft::writes)?;
    let limit = |r: &Revision| -> Vec<_> {
        r.template.iter().filter(|s| !s.init).map(|s| s.resources.memory_limit.clone()).collect()
    };
    // Where the limit moved as well, it may be the limit that is wrong and not the program.
    if matches!(ask.finding.fault, Fault::OomContainer { .. }) && limit(newest) != limit(good) {
        return None;
    }
    draft.why.push(Evidence::new(
        format!("replicaset {} (revision {})", newest.name, newest.number),
        format!("rolled out {} ago with another image, and this began after it", age(ask.now, newest.created)),
        Some(newest.created),
    ));
    Some(Ok(draft))
}

/// What to do about pods that run and do not answer. One of many is replaced; where many do, or where the last replacement
/// did not last, a recent release is rolled back, or else the pod is put aside. What the pods say is kept with the proposal, because it goes with them.
pub fn hang(ask: &Ask<'_>) -> Result<Draft, NoProposal> {
    let workload = ask.workload()?;
    let again = ask.history.restarts(&workload.key, ask.now) > 0;
    let many = ask.finding.pods.len() > 1.max(workload.live_pods().count() / 4);
    if (again || many)
        && let Some(draft) = rollback(ask)
    {
        return draft.map(|d| with_last_words(ask, d));
    }
    if again && let Ok(draft) = isolate::detach(ask) {
        return Ok(with_last_words(ask, draft));
    }
    let made = replace::one(ask)
        .or_else(|no| hang::restart(ask).map_err(|unproven| if many { unproven } else { no }))
        .or_else(|no| advise::plan(ask, &no))?;
    Ok(if made.strategy == Strategy::Restart { with_last_words(ask, made) } else { made })
}

fn key_of(pod: &serde_json::Value) -> PodKey {
    let text = |key: &str| super::live::text(&pod["metadata"][key]).into();
    PodKey { namespace: text("namespace"), name: text("name") }
}

/// Adds what the troubled pods say of themselves.
fn with_last_words(ask: &Ask<'_>, mut draft: Draft) -> Draft {
    let troubled = ask.dossier.pods.iter().filter(|p| {
        let name = super::live::text(&p["metadata"]["name"]);
        ask.finding.pods.iter().any(|k| &*k.name == name)
    });
    for pod in troubled.take(3) {
        let name = super::live::text(&pod["metadata"]["name"]);
        let conditions = pod["status"]["conditions"].as_array().into_iter().flatten();
        let ready = conditions.filter(|c| c["type"] == "Ready" || c["type"] == "ContainersReady").map(|c| {
            let text = |key: &str| super::live::text(&c[key]).to_owned();
            format!(
                "{}={} {} {} since {}",
                text("type"),
                text("status"),
                text("reason"),
                text("message"),
                text("lastTransitionTime")
            )
        });
        let containers = pod["status"]["containerStatuses"].as_array().into_iter().flatten().map(|c| {
            format!("{}: restartCount {}, state {}", super::live::text(&c["name"]), c["restartCount"], c["state"])
        });
        draft.why.extend(hang::evidence(ask, &key_of(pod)).filter(|e| !draft.why.contains(e)));
        let says: Vec<String> = ready.chain(containers).collect();
        let says = crate::model::text::clean(&says.join("; ")).into_owned();
        draft.why.push(Evidence::new(format!("pod {name} before it goes"), says, Some(ask.dossier.taken)));
    }
    draft
}
