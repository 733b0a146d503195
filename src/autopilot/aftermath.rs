//! The watch after a fault (P13): which of a workload's pods failed or crash-looped since it began, and when all of them were
//! there again and stayed.
//!
//! A finding that closes says that its trigger is gone, not that the workload is whole. Each fault of a workload is followed
//! until all its pods were ready, and none crash-looped, for two minutes on end; or until a quarter of an hour has passed
//! since its finding closed, which is told, too. Kept by workload, so that faults that follow each other are one story.

use super::engine::Engine;
use super::world::Level;
use crate::model::cluster::Workload;
use crate::model::finding::{Fault, Finding, Severity, Subject};
use crate::model::journal::Kind;
use crate::model::object::WorkloadKey;
use crate::model::pod::{Phase, Uid};
use crate::model::snapshot::Snapshot;
use crate::model::time::{Timestamp, short};
use chrono::TimeDelta;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// It is whole if it stayed so for this long.
const STAYS: TimeDelta = TimeDelta::minutes(2);
/// The watch ends this long after the last finding closed, whole or not.
const LONGEST: TimeDelta = TimeDelta::minutes(15);

/// One workload under watch.
#[derive(Debug, Default)]
struct Watch {
    began: Timestamp,
    classes: BTreeSet<&'static str>,
    failed: BTreeSet<Uid>,
    looping: BTreeSet<Uid>,
    /// When its last finding closed; `None` while one is open.
    closed: Option<Timestamp>,
    whole_since: Option<Timestamp>,
}

/// How a fault ended for the pods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) workload: WorkloadKey,
    pub(super) classes: Vec<&'static str>,
    /// Pods that failed as a whole, and that were in a crash loop, at any time since it began.
    pub(super) failed: usize,
    pub(super) looping: usize,
    /// Those that still are.
    pub(super) failed_now: usize,
    pub(super) looping_now: usize,
    /// From the finding until the workload was whole; `None`: it is not.
    pub(super) recovered: Option<TimeDelta>,
}

/// All workloads under watch.
#[derive(Debug, Default)]
pub(super) struct Aftermath {
    watched: BTreeMap<WorkloadKey, Watch>,
}

impl Aftermath {
    /// Takes in a picture and what is found in it; gives the stories that have ended. Call it with fresh pictures only:
    /// absence in old ones proves nothing.
    fn look(&mut self, snapshot: &Snapshot, findings: &[Arc<Finding>], now: Timestamp) -> Vec<Told> {
        let mut open: BTreeSet<&WorkloadKey> = BTreeSet::new();
        for finding in findings.iter().filter(|f| is_fault(f)) {
            let Subject::Workload(key) = &finding.subject else { continue };
            let watch =
                self.watched.entry(key.clone()).or_insert_with(|| Watch { began: finding.since, ..Watch::default() });
            watch.classes.insert(finding.fault.class());
            (watch.closed, watch.whole_since) = (None, None);
            open.insert(key);
        }
        let mut told = Vec::new();
        self.watched.retain(|key, watch| {
            // Deleted meanwhile: nobody is left to recover.
            let Some(workload) = snapshot.workload(key) else { return false };
            let (failed, looping) = (in_phase(workload), crash_looping(workload));
            watch.failed.extend(failed.iter().cloned());
            watch.looping.extend(looping.iter().cloned());
            if open.contains(key) {
                return true;
            }
            let closed = *watch.closed.get_or_insert(now);
            let (ready, desired) = workload.readiness();
            let whole = ready >= desired && looping.is_empty();
            watch.whole_since = if whole { watch.whole_since.or(Some(now)) } else { None };
            let stays = watch.whole_since.filter(|since| now - *since >= STAYS);
            if stays.is_none() && now - closed < LONGEST {
                return true;
            }
            told.push(Told {
                workload: key.clone(),
                classes: watch.classes.iter().copied().collect(),
                failed: watch.failed.len(),
                looping: watch.looping.len(),
                failed_now: failed.len(),
                looping_now: looping.len(),
                recovered: stays.map(|since| since - watch.began),
            });
            false
        });
        told
    }
}

/// Faults after which pods are to be looked after. Demand and burning objectives break no pod.
fn is_fault(finding: &Finding) -> bool {
    finding.severity >= Severity::High && !matches!(finding.fault, Fault::Saturated { .. } | Fault::SloBurn { .. })
}

fn in_phase(workload: &Workload) -> BTreeSet<Uid> {
    workload.pods.iter().filter(|p| p.phase == Phase::Failed).map(|p| p.uid.clone()).collect()
}

fn crash_looping(workload: &Workload) -> BTreeSet<Uid> {
    workload.live_pods().filter(|p| p.status() == "CrashLoopBackOff").map(|p| p.uid.clone()).collect()
}

impl std::fmt::Display for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { workload, failed, looping, failed_now, looping_now, .. } = self;
        let classes = self.classes.join(", ");
        match self.recovered {
            Some(after) => write!(
                f,
                "{workload} is whole again {} after {classes}: {looping} pods crash-looped, {failed} failed",
                short(after)
            ),
            None => write!(
                f,
                "{workload} is not whole a quarter of an hour after {classes}: {looping_now} of {looping} pods still crash-loop, {failed_now} of {failed} are still failed"
            ),
        }
    }
}

impl Engine {
    /// Follows what faults left behind; what ended is journalled and told.
    pub(super) fn follow_aftermath(&mut self, snapshot: &Snapshot, now: Timestamp) {
        for told in self.aftermath.look(snapshot, &self.findings, now) {
            let payload = json!({
                "classes": told.classes, "failed": told.failed, "crash_looping": told.looping,
                "failed_now": told.failed_now, "crash_looping_now": told.looping_now,
                "recovered_s": told.recovered.map(|t| t.num_seconds()),
            });
            self.write(Kind::Aftermath, None, Some(told.workload.to_string()), payload);
            let level = if told.recovered.is_some() { Level::Info } else { Level::Warning };
            self.control.say(level, told.to_string(), now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::finding::Evidence;
    use crate::model::fixtures as fx;

    fn finding() -> Arc<Finding> {
        let workload = fx::healthy("cart", 3);
        Arc::new(Finding {
            id: "oom:cart".into(),
            fault: Fault::CrashLoop { container: "app".into(), exit_code: 1 },
            subject: Subject::Workload(workload.key),
            severity: Severity::High,
            title: "it crashes".into(),
            evidence: vec![Evidence::new("pod", "it crashes", None)],
            pods: Vec::new(),
            since: fx::ago(1800),
            related: Vec::new(),
        })
    }

    /// Three pods of cart, so many of them in a crash loop.
    fn picture(looping: usize) -> Snapshot {
        let mut pods: Vec<_> = fx::healthy("cart", 3).pods.iter().map(|p| (**p).clone()).collect();
        pods.iter_mut().take(looping).for_each(|p| fx::crashed(p, "Error", 1, 6, 5, 30));
        fx::snapshot(vec![fx::deployment("cart", pods, Vec::new())])
    }

    /// Pictures with whether the fault is found, at so many seconds ago.
    fn follow(story: &[(usize, bool, i64)]) -> Vec<Told> {
        let mut aftermath = Aftermath::default();
        let looks = story.iter().flat_map(|(looping, found, ago)| {
            let findings: Vec<_> = found.then(finding).into_iter().collect();
            aftermath.look(&picture(*looping), &findings, fx::ago(*ago))
        });
        looks.collect()
    }

    #[test]
    fn a_fault_is_over_when_all_pods_were_there_for_two_minutes() {
        let told = follow(&[(2, true, 1800), (1, true, 1700), (0, false, 1600), (0, false, 1481)]);
        assert_eq!(told, [], "not yet");
        let told = follow(&[(2, true, 1800), (1, true, 1700), (0, false, 1600), (0, false, 1480), (0, false, 1400)]);
        assert_eq!(told.len(), 1, "told once");
        assert_eq!((told[0].looping, told[0].looping_now, told[0].failed), (2, 0, 0));
        assert_eq!(told[0].recovered, Some(TimeDelta::seconds(200)), "from the finding to the first whole moment");
        assert!(told[0].to_string().contains("is whole again"), "{}", told[0]);
    }

    #[test]
    fn a_relapse_goes_on_with_the_same_story() {
        let told = follow(&[(1, true, 1800), (0, false, 1700), (1, false, 1650), (0, false, 1600), (0, false, 1400)]);
        assert_eq!(told[0].recovered, Some(TimeDelta::seconds(200)), "the moment before the relapse does not count");
        let told = follow(&[(1, true, 1800), (0, false, 1700), (1, true, 1600), (0, false, 1500), (0, false, 1300)]);
        assert_eq!((told.len(), told[0].recovered), (1, Some(TimeDelta::seconds(300))));
    }

    #[test]
    fn what_does_not_recover_is_told_too() {
        let told = follow(&[(2, true, 1800), (1, false, 1700), (1, false, 1000), (1, false, 800)]);
        assert_eq!((told.len(), told[0].recovered, told[0].looping_now), (1, None, 1));
        assert!(told[0].to_string().contains("1 of 2 pods still crash-loop"), "{}", told[0]);
    }
}
