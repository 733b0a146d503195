//! What each workload, node and zone has against it, and who explains whom.

use super::change::{Change, Changes, What};
use super::sight::{Kind, Symptom, Troubles};
use super::{Calls, Seen};
use crate::ml::lag::lagged;
use crate::model::anomaly::Class;
use crate::model::cluster::{NodeTrouble, Owner};
use crate::model::finding::{self, Fault, Finding};
use crate::model::incident::Subject;
use crate::model::object::WorkloadKey;
use crate::model::series::Signal;
use crate::model::snapshot::Snapshot;
use crate::model::time::{Timestamp, age};
use chrono::TimeDelta;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A change is suspect of what begins within this time after it, and this little before: samples date an onset roughly.
const AFTER: TimeDelta = TimeDelta::minutes(20);
const SOON: TimeDelta = TimeDelta::minutes(3);
const BEFORE: TimeDelta = TimeDelta::seconds(45);
/// The control plane waits so long for a silent kubelet (`node-monitor-grace-period`).
const SILENT: TimeDelta = TimeDelta::seconds(40);
/// Two onsets so near are at the same time, as far as samples can tell.
const SAME: TimeDelta = TimeDelta::seconds(45);
/// Courses are compared over this time, at lags of at most so many samples.
const COMPARED: TimeDelta = TimeDelta::minutes(15);
const LAGS: usize = 4;
/// Demand that grew by less than this factor explains nothing.
const MORE: f64 = 1.8;

/// Somebody under suspicion.
#[derive(Debug, Clone)]
pub struct Candidate {
    pub subject: Subject,
    /// Who it is of; `None` for nodes and zones.
    pub key: Option<WorkloadKey>,
    pub what: String,
    pub onset: Timestamp,
    /// When somebody changed it, where that is what it is suspected for.
    pub changed: Option<Timestamp>,
    /// What speaks against it by itself, 0..1 and beyond.
    pub own: f64,
    /// Whether it is not only a victim by what is known: a change, a fault of its own, a machine.
    pub strong: bool,
    /// Index of the one that explains it best, and how well, 0..1.
    pub by: Option<(usize, f64)>,
    pub evidence: Vec<Arc<str>>,
    /// Whether anybody suffers from it directly.
    pub hurts: f64,
    /// Whether it is grave enough to make an incident of.
    pub opens: bool,
    /// Requests a second from outside that are more than usual; 0: demand is not what speaks against it.
    pub extra: f64,
    pub findings: Vec<Arc<str>>,
    pub anomalies: Vec<Arc<str>>,
}

impl Candidate {
    /// What is left against it when others explain it.
    pub fn score(&self) -> f64 {
        self.own * (1.0 - self.by.map_or(0.0, |b| b.1))
    }
}

/// Everything a look needs.
pub struct Scene<'a> {
    pub seen: &'a Seen,
    pub calls: &'a Calls,
    changes: &'a Changes,
    pub troubles: Troubles,
    pub now: Timestamp,
    pub candidates: Vec<Candidate>,
}

impl<'a> Scene<'a> {
    /// Finds the candidates and who explains whom.
    pub fn new<'n>(
        seen: &'a Seen,
        calls: &'a Calls,
        changes: &'a Changes,
        (troubles, robbed): (Troubles, impl Iterator<Item = (&'n Arc<str>, Timestamp, f64)>),
        now: Timestamp,
    ) -> Self {
        let mut scene = Self { seen, calls, changes, troubles, now, candidates: Vec::new() };
        let mut all = scene.places();
        all.extend(robbed.map(|(node, since, share)| {
            let what = format!("node {node}: neighbours take {:.0} % of its processors' time", share * 100.0);
            let said: Arc<str> = format!("{what}, since {}", age(now, since)).into();
            // Time that nobody wanted hurts nobody: it takes a victim to make an incident of it.
            Candidate { opens: false, ..scene.place(Subject::Node(node.clone()), what, since, 1.1, said) }
        }));
        let keys = scene.keys();
        all.extend(keys.iter().filter_map(|k| scene.workload(k)));
        // Customers come in by several doors: the one that most came by tells of it best.
        let most = all.iter().map(|c| c.extra).fold(0.0, f64::max);
        for c in all.iter_mut().filter(|c| c.extra > 0.0) {
            c.own = 0.4 + 0.8 * c.extra / most;
        }
        let by: Vec<_> = (0..all.len()).map(|i| scene.explained(&all, i)).collect();
        all.iter_mut().zip(by).for_each(|(c, by)| c.by = by);
        scene.candidates = all;
        scene
    }

    pub fn snapshot(&self) -> &Snapshot {
        &self.seen.snapshot
    }

    /// Workloads that suffer, have findings, or are gone or empty while somebody calls them.
    fn keys(&self) -> BTreeSet<WorkloadKey> {
        let found = self.seen.findings.iter().filter_map(|f| match &f.subject {
            finding::Subject::Workload(key) => Some(key.clone()),
            _ => None,
        });
        let odd = self.seen.anomalies.open().map(|i| i.key.clone());
        let gone = self.changes.all().filter(|(k, c)| {
            let empty = self.snapshot().workload(k).is_none_or(|w| w.replicas.desired == 0);
            matches!(c.what, What::Gone | What::Down) && empty && self.calls.callers(k).next().is_some()
        });
        let fought = self.changes.all().filter(|(k, _)| self.changes.against(k, self.now).is_some());
        let gone = gone.chain(fought).map(|(k, _)| k.clone());
        self.troubles.keys().cloned().chain(found).chain(odd).chain(gone).collect()
    }

    fn symptoms(&self, key: &WorkloadKey) -> &[Symptom] {
        self.troubles.get(key).map_or(&[], Vec::as_slice)
    }

    fn findings(&self, key: &WorkloadKey) -> impl Iterator<Item = &Arc<Finding>> {
        self.seen.findings.iter().filter(move |f| f.subject == finding::Subject::Workload(key.clone()))
    }

    /// A workload's incident against it.
    fn workload(&self, key: &WorkloadKey) -> Option<Candidate> {
        let symptoms = self.symptoms(key);
        let findings: Vec<_> = self.findings(key).filter(|f| weight(&f.fault).0 > 0.0).collect();
        let odd: Vec<_> = self.seen.anomalies.open().filter(|i| i.key == *key).collect();
        let empty = self.snapshot().workload(key).is_none_or(|w| w.replicas.desired == 0);
        let told = symptoms.iter().map(|s| s.onset).chain(findings.iter().map(|f| began(f)));
        let first = told.chain(odd.iter().map(|i| i.since)).min();
        let change = self.change(key, first, empty);
        let against = self.changes.against(key, self.now);
        let onset = first.or(change.filter(|_| empty).or(against).map(|c| c.at))?;
        let mut own = symptoms.iter().map(weigh).fold(0.0, f64::max);
        own = odd.iter().map(|i| 0.4 * i.severity.clamp(0.0, 1.0)).fold(own, f64::max);
        let (mut strong, mut extra) = (false, 0.0);
        let mut evidence: Vec<Arc<str>> = Vec::new();
        for f in &findings {
            let (w, direct) = weight(&f.fault);
            own = own.max(w);
            strong |= direct;
            evidence.push(f.title.clone());
        }
        let mut what = findings.iter().max_by(|a, b| weight(&a.fault).0.total_cmp(&weight(&b.fault).0)).map_or_else(
            || {
                let odd = || odd.first().map_or_else(|| "unusual".to_owned(), |i| i.title.to_string());
                symptoms.first().map_or_else(odd, |s| s.says.clone())
            },
            |f| f.title.to_string(),
        );
        let (mut subject, mut changed_at) = (Subject::Workload(key.clone()), None);
        // More use of the processor alone hurts nobody.
        let grave = symptoms.iter().any(|s| s.kind != Kind::Cpu) || !findings.is_empty() || !odd.is_empty();
        // What nobody suffers from makes no incident by itself: it is shown where anomalies are. With a change before it, it does.
        let quiet = |c: Class| matches!(c, Class::TrafficSpike | Class::MemoryLeak | Class::SecurityThreat);
        let opens = symptoms.iter().any(|s| s.kind.hurts())
            || findings.iter().any(|f| weight(&f.fault).0 >= 0.4)
            || odd.iter().any(|i| !quiet(i.class))
            || (grave && change.is_some())
            || against.is_some()
            || empty;
        if !grave && !empty && against.is_none() {
            return None;
        }
        let opens = opens || self.demand(key).is_some();
        if let Some(turns) = self.changes.fight(key, self.now) {
            what = format!("its number of replicas was changed {turns} times within five minutes: two hands are on it");
            (own, strong, subject) = (own.max(0.5) * 2.0, true, changed(key, None));
            evidence.insert(0, what.as_str().into());
        } else if let Some(change) = change {
            let line = format!("{}, {} before it began", change.says, age(onset, change.at));
            evidence.insert(0, line.into());
            what = if strong { format!("{}; {what}", change.says) } else { change.says.clone() };
            // The longer it went well with the change, the less it is suspect.
            let soon = if onset - change.at <= SOON { 2.0 } else { 1.6 };
            changed_at = Some(change.at);
            own = if empty { 1.6 } else { own.max(0.25) * soon };
            (strong, subject) = (true, changed(key, change.object.as_ref()));
        } else if let Some(s) = self.demand(key) {
            what = format!("it is asked {:.1} times as much as usual, from outside", s.times);
            (own, strong, extra) = (1.2, true, s.more);
        }
        evidence.extend(symptoms.iter().map(|s| Arc::from(format!("{}, since {}", s.says, age(self.now, s.onset)))));
        evidence.extend(odd.iter().map(|i| i.title.clone()));
        let hurts = symptoms.iter().filter(|s| s.kind.hurts()).map(|s| s.size).fold(0.0, f64::max);
        let findings = findings.iter().map(|f| f.id.clone()).collect();
        let key = Some(key.clone());
        let anomalies = odd.iter().map(|i| i.id.clone()).collect();
        Some(Candidate {
            subject,
            key,
            what,
            onset,
            changed: changed_at,
            own,
            strong,
            by: None,
            evidence,
            hurts,
            opens,
            extra,
            findings,
            anomalies,
        })
    }

    /// The change that may have begun it: the latest, but what a restart read anew before the restart.
    fn change(&self, key: &WorkloadKey, onset: Option<Timestamp>, empty: bool) -> Option<&'a Change> {
        let near = |c: &&Change| {
            let onset = onset.unwrap_or(self.now);
            empty || (c.at - onset <= BEFORE && onset - c.at <= AFTER)
        };
        let blamed = |c: &&Change| match c.what {
            What::Rollout | What::Restart | What::Config | What::Gone | What::Against => true,
            // An autoscaler answers; a person acts.
            What::Down => empty || !self.is_scaled(key),
            What::Scale => false,
        };
        self.changes.of(key).iter().filter(near).filter(blamed).max_by_key(|c| (c.what != What::Restart, c.at))
    }

    fn is_scaled(&self, key: &WorkloadKey) -> bool {
        let owners = self.snapshot().workload(key).map(|w| w.owners.clone());
        owners.is_some_and(|o| o.iter().any(|o| matches!(o, Owner::Hpa(_) | Owner::Keda(_))))
    }

    /// More requests that no caller sends: they come from outside.
    fn demand(&self, key: &WorkloadKey) -> Option<&Symptom> {
        let grew = |k: &WorkloadKey| self.symptoms(k).iter().find(|s| s.kind == Kind::Demand && s.times >= MORE);
        // Who is called by somebody here, gets its requests from there: more of them without more at the callers are tries again.
        (self.calls.callers(key).next().is_none()).then(|| grew(key)).flatten()
    }

    /// Nodes and zones in trouble.
    fn places(&self) -> Vec<Candidate> {
        let mut all = Vec::new();
        let mut lost: BTreeMap<Arc<str>, Vec<(Arc<str>, Timestamp)>> = BTreeMap::new();
        for node in self.snapshot().nodes.iter() {
            for (trouble, since, message) in &node.troubles {
                let (own, word) = match trouble {
                    NodeTrouble::NotReady => (1.5, "is not ready"),
                    NodeTrouble::Unknown => (1.5, "does not answer"),
                    NodeTrouble::MemoryPressure => (1.1, "is short of memory"),
                    NodeTrouble::DiskPressure => (1.1, "is short of disk"),
                    NodeTrouble::PidPressure => (1.1, "is short of process ids"),
                    NodeTrouble::NetworkUnavailable => (1.5, "has no network"),
                };
                // A node is called lost when its kubelet was silent for a while: it went before.
                let silent = if *trouble == NodeTrouble::Unknown { SILENT } else { TimeDelta::zero() };
                let onset = since.map_or(self.now, |at| at - silent);
                if own > 1.2 {
                    lost.entry(node.zone.clone()).or_default().push((node.name.clone(), onset));
                }
                let what = format!("node {} {word}", node.name);
                let said: Arc<str> = format!("{word} since {}: {message}", age(self.now, onset)).into();
                all.push(self.place(Subject::Node(node.name.clone()), what, onset, own, said));
            }
        }
        for (zone, nodes) in lost.iter().filter(|(z, n)| !z.is_empty() && n.len() > 1) {
            let there = self.snapshot().nodes.iter().filter(|n| n.zone == *zone).count();
            if nodes.len() == there {
                let onset = nodes.iter().map(|n| n.1).min().unwrap_or(self.now);
                let what = format!("zone {zone}: all its {there} nodes are lost");
                let said: Arc<str> = what.as_str().into();
                all.push(self.place(Subject::Zone(zone.clone()), what, onset, 2.0, said));
            }
        }
        all
    }

    fn place(&self, subject: Subject, what: String, onset: Timestamp, own: f64, said: Arc<str>) -> Candidate {
        let findings = self.seen.findings.iter().filter(|f| match (&f.subject, &subject) {
            (finding::Subject::Node(a), Subject::Node(b)) => a == b,
            _ => false,
        });
        let findings = findings.map(|f| f.id.clone()).collect();
        let evidence = vec![said];
        let (strong, opens, anomalies) = (true, true, Vec::new());
        let (key, by, hurts, extra, changed) = (None, None, 0.0, 0.0, None);
        Candidate {
            subject,
            key,
            what,
            onset,
            changed,
            own,
            strong,
            by,
            evidence,
            hurts,
            opens,
            extra,
            findings,
            anomalies,
        }
    }

    /// Who explains a candidate best.
    fn explained(&self, all: &[Candidate], i: usize) -> Option<(usize, f64)> {
        let explains =
            |j: usize| (j != i).then(|| self.explains(&all[j], &all[i])).filter(|e| *e > 0.0).map(|e| (j, e));
        (0..all.len())
            .filter_map(explains)
            .max_by(|a, b| a.1.total_cmp(&b.1).then(all[a.0].own.total_cmp(&all[b.0].own)))
    }

    /// How well one explains another, 0..1.
    fn explains(&self, cause: &Candidate, victim: &Candidate) -> f64 {
        let late = cause.onset - victim.onset;
        let time: f64 = if late <= SAME {
            1.0
        } else if late <= TimeDelta::minutes(3) {
            0.6
        } else {
            0.1
        };
        let how = match (&cause.subject, &victim.subject) {
            (Subject::Zone(zone), Subject::Node(node)) => {
                f64::from(u8::from(self.snapshot().node(node).is_some_and(|n| n.zone == *zone)))
            }
            (Subject::Node(node), _) => self.by_place(victim, |n| n == &**node),
            (Subject::Zone(zone), _) => {
                self.by_place(victim, |n| self.snapshot().node(n).is_some_and(|n| n.zone == *zone))
            }
            _ => match (&cause.key, &victim.key) {
                (Some(a), Some(b)) => self.by_calls(cause, a, victim, b),
                _ => 0.0,
            },
        };
        // Who has a fault of its own is less of a victim.
        let own = if victim.strong && victim.key.is_some() { 0.45 } else { 1.0 };
        how * own * if matches!(cause.subject, Subject::Node(_) | Subject::Zone(_)) { time.max(0.6) } else { time }
    }

    /// A workload suffers from its place if pods of it are, or were, there: those that are not ready now.
    fn by_place(&self, victim: &Candidate, there: impl Fn(&str) -> bool) -> f64 {
        let Some(w) = victim.key.as_ref().and_then(|k| self.snapshot().workload(k)) else { return 0.0 };
        let on =
            |ready: bool| w.pods.iter().filter(|p| p.ready == ready && p.node.as_deref().is_some_and(&there)).count();
        match (on(false), on(true)) {
            (0, 0) => 0.0,
            (0, _) => 0.6,
            _ => 0.95,
        }
    }

    /// How far the courses of two speak for the one being the other's cause, 0.6..1: they go along, and the cause does not
    /// follow its victim. 1 where nothing can be compared.
    fn along(&self, cause: &WorkloadKey, victim: &WorkloadKey) -> f64 {
        let course = |key: &WorkloadKey| {
            let signal = self.symptoms(key).iter().find_map(|s| signal(s.kind))?;
            let series = self.snapshot().metrics.workloads.get(key)?.history(signal).clone();
            let step = i64::from(series.step());
            let from = (self.now - COMPARED).timestamp().div_euclid(step);
            let slots = (COMPARED.num_seconds() / step) as usize + 1;
            let mut values = vec![f64::NAN; slots];
            for (at, v) in series.range(self.now - COMPARED, self.now) {
                let slot = at.timestamp().div_euclid(step) - from;
                if let Some(place) = usize::try_from(slot).ok().and_then(|s| values.get_mut(s)) {
                    *place = v;
                }
            }
            Some(values)
        };
        let (Some(a), Some(b)) = (course(cause), course(victim)) else { return 1.0 };
        match lagged(&a, &b, LAGS) {
            Some(lag) if lag.significant => (0.6 + 0.4 * lag.r.max(0.0)) * if lag.steps < -1 { 0.8 } else { 1.0 },
            Some(_) => 0.8,
            None => 1.0,
        }
    }

    /// A caller suffers from what it calls; who is called suffers from the demand of its callers.
    fn by_calls(&self, cause: &Candidate, a: &WorkloadKey, victim: &Candidate, b: &WorkloadKey) -> f64 {
        if self.demand(a).is_some() && self.calls.reaches(a, b) {
            return if victim.findings.is_empty() || !victim.strong { 0.9 } else { 0.6 };
        }
        let hurts = cause.hurts > 0.0 || cause.strong;
        if !hurts || !self.calls.reaches(b, a) || self.calls.reaches(a, b) {
            return 0.0;
        }
        let direct = self.calls.callees(b).any(|c| c == a);
        // A callee that is a little off does not explain a caller that is far off.
        let enough = if cause.strong { 1.0 } else { (cause.own / victim.own.max(1e-9)).min(1.0) * self.along(a, b) };
        enough * if direct { 0.9 } else { 0.8 }
    }
}

fn changed(key: &WorkloadKey, object: Option<&Arc<str>>) -> Subject {
    let itself = || format!("{} {}/{}", key.kind.as_str(), key.namespace, key.name).into();
    Subject::Change(key.clone(), object.cloned().unwrap_or_else(itself))
}

/// The signal that shows a symptom.
fn signal(kind: Kind) -> Option<Signal> {
    match kind {
        Kind::Errors => Some(Signal::ErrorRate),
        Kind::Slow => Some(Signal::LatencyP99),
        Kind::Demand => Some(Signal::RequestRate),
        Kind::Cpu => Some(Signal::Cpu),
        Kind::Memory => Some(Signal::Memory),
        Kind::Gone | Kind::Short => None,
    }
}

/// Since when, by the earliest fact that has a date near the time it was found.
fn began(f: &Finding) -> Timestamp {
    let dated = f.evidence.iter().filter_map(|e| e.at).filter(|at| f.since - *at < TimeDelta::minutes(5)).min();
    dated.map_or(f.since, |at| at.min(f.since))
}

/// What a symptom weighs by itself.
fn weigh(s: &Symptom) -> f64 {
    match s.kind {
        Kind::Gone => 0.9,
        Kind::Short => 0.3 + 0.4 * s.size,
        Kind::Errors => 0.3 + 0.5 * s.size,
        Kind::Slow => 0.2 + 0.5 * s.size,
        Kind::Demand | Kind::Cpu => 0.3 * s.size,
        Kind::Memory => 0.4 * s.size,
    }
}

/// What a fault weighs, and whether it names the subject as the culprit rather than as one that suffers.
fn weight(fault: &Fault) -> (f64, bool) {
    match fault {
        Fault::OomContainer { .. } | Fault::Leak { .. } | Fault::BadRelease { .. } | Fault::MissingConfig { .. } => {
            (1.0, true)
        }
        Fault::ImageError { .. } | Fault::ScaledAway { .. } => (0.95, true),
        Fault::Regression { .. } | Fault::ConfigEdit { .. } => (0.9, true),
        Fault::LivenessKills { .. } => (0.8, true),
        Fault::CrashLoop { .. } => (0.7, true),
        Fault::OomNode { .. } => (0.5, false),
        Fault::Unschedulable { .. } => (0.45, false),
        Fault::NotReady { .. } | Fault::PodFailed { .. } => (0.4, false),
        Fault::Saturated { .. } => (0.2, false),
        Fault::Dependency { .. } => (0.1, false),
        // Symptoms of others, or no subject.
        Fault::Missized { .. }
        | Fault::SloBurn { .. }
        | Fault::Systemic { .. }
        | Fault::NodeNotReady { .. }
        | Fault::NodePressure { .. } => (0.0, false),
    }
}
