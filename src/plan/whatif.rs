//! What an HPA would do next, and what it would have come to over the last day under other settings (P8): the controller's
//! own algorithm, run over recorded use of CPU.
//!
//! Recorded use is taken as what would have been used whatever the number of pods. That is not so where pods were at their
//! limit; there use was cut off, and more pods would have been asked for than is told.

use crate::model::autoscaler::{
    Bounds, History, Pod, Sample, Scaling, Target, Tolerances, normalize, propose, remember,
};
use crate::model::bounds::Bounds as Asked;
use crate::model::cluster::{HpaRow, Workload};
use crate::model::pod::Phase;
use crate::model::series::Signal;
use crate::model::sizing::{Ran, WhatIf};
use crate::model::snapshot::Snapshot;
use crate::model::time::Timestamp;
use chrono::TimeDelta;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Looked back over.
const SPAN: TimeDelta = TimeDelta::hours(24);
/// Samples without which nothing is told of the past.
const LEAST: usize = 120;
/// A new pod serves after this, in the replay.
const STARTS: TimeDelta = TimeDelta::seconds(30);
/// The window of a sample of CPU.
const WINDOW: i64 = 60;
/// Older use is no basis for what comes next.
const FRESH: TimeDelta = TimeDelta::minutes(2);

/// Everything about one autoscaler.
pub fn of(hpa: &HpaRow, snapshot: &Snapshot, now: Timestamp) -> WhatIf {
    let told = WhatIf {
        key: hpa.target.clone(),
        name: hpa.name.clone(),
        current: i64::from(hpa.current),
        next: Err("it does not scale by CPU alone; only that is replayed".into()),
        ran: Err("it does not scale by CPU alone; only that is replayed".into()),
        hours: 0.0,
    };
    let Some((scaling, target)) = hpa.scaling.as_ref().and_then(|s| Some((s, s.cpu?))) else { return told };
    let Some(workload) = snapshot.workload(&hpa.target) else {
        return WhatIf {
            next: Err("what it scales is not there".into()),
            ran: Err("what it scales is not there".into()),
            ..told
        };
    };
    let load = load(snapshot, workload, now);
    let next = next(scaling, target, workload, snapshot, &load, now);
    let request = Asked::of(&workload.template).cpu_request.map(|cores| (cores * 1000.0).round() as i64);
    let ran = match request {
        None | Some(0) => Err("its containers request no CPU".into()),
        Some(_) if load.len() < LEAST => {
            Err(format!("{} samples of its use; at least {LEAST} are needed", load.len()).into())
        }
        Some(request) => {
            let first = i64::from(hpa.current).max(1);
            let replayed = |(name, s, t): (String, Scaling, Target)| replay(name, &s, t, &load, request, first);
            let mut all: Vec<Ran> = others(scaling, target).into_iter().map(replayed).collect();
            all.push(foresight(&scaling.bounds, target, &load, request));
            Ok(all.into())
        }
    };
    let step = f64::from(snapshot.metrics.step);
    WhatIf { next, ran, hours: load.len() as f64 * step / 3600.0, ..told }
}

/// Times and millicores that all pods used together, of the last day; gaps are not there.
fn load(snapshot: &Snapshot, workload: &Workload, now: Timestamp) -> Vec<(Timestamp, i64)> {
    let Some(metrics) = snapshot.metrics.workloads.get(&workload.key) else { return Vec::new() };
    let milli = |(at, cores): (Timestamp, f64)| (at, (cores * 1000.0).round() as i64);
    metrics.history(Signal::Cpu).range(now - SPAN, now).map(milli).collect()
}

/// The present settings, and others next to them.
fn others(scaling: &Scaling, target: Target) -> Vec<(String, Scaling, Target)> {
    let (words, moved): (fn(i64) -> String, Vec<Target>) = match target {
        Target::Utilization(p) => (
            |p| format!("target {p} %"),
            [p - 15, p + 15].into_iter().filter(|p| (10..=100).contains(p)).map(Target::Utilization).collect(),
        ),
        Target::Average(v) => {
            (|v| format!("target {v}m"), vec![Target::Average(v * 4 / 5), Target::Average(v * 6 / 5)])
        }
    };
    let number = |t: &Target| match t {
        Target::Utilization(n) | Target::Average(n) => *n,
    };
    let mut all = vec![(format!("as it is, {}", words(number(&target))), scaling.clone(), target)];
    all.extend(moved.into_iter().map(|t| (words(number(&t)), scaling.clone(), t)));
    let bounded = |bounds: Bounds| Scaling { bounds, ..scaling.clone() };
    let b = &scaling.bounds;
    if b.min < b.max {
        all.push((format!("at least {} pods", b.min + 1), bounded(Bounds { min: b.min + 1, ..b.clone() }), target));
    }
    all.push((format!("at most {} pods", b.max * 2), bounded(Bounds { max: b.max * 2, ..b.clone() }), target));
    let mut slow = b.clone();
    slow.stabilization = 900;
    if let Some((_, down)) = &mut slow.behavior {
        down.stabilization = 900;
    }
    all.push(("15 min before fewer pods".to_owned(), bounded(slow), target));
    all
}

/// Runs the algorithm over a load, sample by sample. `request`: millicores of a pod; `first`: pods at its beginning.
fn replay(
    settings: String,
    scaling: &Scaling,
    target: Target,
    load: &[(Timestamp, i64)],
    request: i64,
    first: i64,
) -> Ran {
    let mut ran = Ran { settings: settings.into(), pod_hours: 0.0, short_minutes: 0.0, changes: 0, most: 0 };
    let Some((begin, _)) = load.first() else { return ran };
    let mut history = History::default();
    let mut pods: VecDeque<Timestamp> = vec![*begin - TimeDelta::hours(1); first as usize].into();
    for (i, (at, used)) in load.iter().enumerate() {
        let ready = pods.iter().filter(|born| *at - **born >= STARTS).count().max(1) as i64;
        let last = i + 1 == load.len();
        // A gap counts as one step: nothing is known of the rest.
        let hours = if last { 0.0 } else { (load[i + 1].0 - *at).num_seconds().min(60) as f64 / 3600.0 };
        ran.pod_hours += pods.len() as f64 * hours;
        ran.most = ran.most.max(pods.len() as i64);
        if *used > ready * request {
            ran.short_minutes += 60.0 * hours;
        }
        let (rows, samples) = scene(&pods, *at, *used / ready, request);
        let current = pods.len() as i64;
        let desired = propose(current, target, true, scaling.tolerances, &rows, samples, *at);
        let Ok(desired) = desired else { continue };
        if history.recommendations.is_empty() {
            history.recommendations.push((current, *at));
        }
        let wanted = if current > scaling.bounds.max {
            scaling.bounds.max
        } else if current < scaling.bounds.min {
            scaling.bounds.min
        } else {
            normalize(&scaling.bounds, &mut history, current, desired.replicas, *at).replicas
        };
        if wanted != current {
            ran.changes += 1;
            remember(&scaling.bounds, &mut history, current, wanted, *at);
        }
        while (pods.len() as i64) < wanted {
            pods.push_back(*at);
        }
        // The youngest go first, as a ReplicaSet does it where all else is equal.
        pods.truncate(wanted.max(1) as usize);
    }
    ran
}

/// What could not be done better with the same target and bounds: each pod is there just before its load, and no longer.
fn foresight(bounds: &Bounds, target: Target, load: &[(Timestamp, i64)], request: i64) -> Ran {
    let mut ran = Ran { settings: "perfect foresight".into(), pod_hours: 0.0, short_minutes: 0.0, changes: 0, most: 0 };
    let each = match target {
        Target::Utilization(percent) => (request * percent) as f64 / 100.0,
        Target::Average(value) => value as f64,
    };
    let wanted = |used: i64| ((used as f64 / each.max(1.0)).ceil() as i64).clamp(bounds.min.max(1), bounds.max.max(1));
    let mut before = None;
    for (i, (at, used)) in load.iter().enumerate() {
        // What comes while a pod would be starting counts already.
        let soon = load[i..].iter().take_while(|(t, _)| *t - *at <= STARTS).map(|(_, u)| *u).max().unwrap_or(*used);
        let pods = wanted(soon);
        let hours = load.get(i + 1).map_or(0.0, |(t, _)| (*t - *at).num_seconds().min(60) as f64 / 3600.0);
        ran.pod_hours += pods as f64 * hours;
        ran.short_minutes += if *used > pods * request { 60.0 * hours } else { 0.0 };
        ran.changes += u32::from(before.replace(pods).is_some_and(|b| b != pods));
        ran.most = ran.most.max(pods);
    }
    ran
}

/// Pods of which those that serve share the load; those that start are not measured yet.
fn scene(pods: &VecDeque<Timestamp>, at: Timestamp, each: i64, request: i64) -> (Vec<Pod>, BTreeMap<String, Sample>) {
    let (mut rows, mut samples) = (Vec::with_capacity(pods.len()), BTreeMap::new());
    for (i, born) in pods.iter().enumerate() {
        let ready = at - *born >= STARTS;
        let name = i.to_string();
        if ready {
            samples.insert(name.clone(), Sample { value: each, at, window: WINDOW });
        }
        rows.push(Pod {
            name,
            ignored: false,
            pending: false,
            // Ready long enough for its first sample: the replay's samples are of whole steps.
            ready: Some((ready, if ready { *born + STARTS - TimeDelta::seconds(WINDOW) } else { *born })),
            started: Some(*born),
            request: Some(Ok(request)),
        });
    }
    (rows, samples)
}

/// What the next look would come to, from the pods as they are. What it recommended in the last minutes is taken from the
/// load of these minutes: its own memory cannot be read.
fn next(
    scaling: &Scaling,
    target: Target,
    workload: &Workload,
    snapshot: &Snapshot,
    load: &[(Timestamp, i64)],
    now: Timestamp,
) -> Result<(i64, Arc<str>), Arc<str>> {
    let (mut rows, mut samples) = (Vec::new(), BTreeMap::new());
    for pod in workload.live_pods() {
        let request = Asked::of(&pod.specs).cpu_request.map(|cores| (cores * 1000.0).round() as i64);
        let since = pod.trouble.as_ref().and_then(|t| t.not_ready.as_ref()).and_then(|(_, _, since)| *since);
        let key = crate::model::object::PodKey { namespace: pod.namespace.clone(), name: (*pod.name).into() };
        if let Some(usage) = snapshot.metrics.pods.get(&key).filter(|u| u.cpu.is_finite() && now - u.at <= FRESH) {
            let value = (f64::from(usage.cpu) * 1000.0).round() as i64;
            samples.insert(pod.name.to_string(), Sample { value, at: usage.at, window: WINDOW });
        }
        rows.push(Pod {
            name: pod.name.to_string(),
            ignored: false,
            pending: pod.phase == Phase::Pending,
            ready: Some((pod.ready, since.unwrap_or(pod.created))),
            started: Some(pod.created),
            request: Some(request.ok_or_else(|| format!("pod {} requests no CPU", pod.name))),
        });
    }
    let current = rows.len() as i64;
    let desired = propose(current, target, true, scaling.tolerances, &rows, samples, now).map_err(Arc::from)?;
    let window = scaling.bounds.behavior.as_ref().map_or(scaling.bounds.stabilization, |(_, down)| down.stabilization);
    let request = rows.iter().find_map(|p| p.request.clone()?.ok()).unwrap_or(0);
    let mut history = History {
        recommendations: recent(target, scaling.tolerances, load, request, current, now, window),
        ..History::default()
    };
    if current > scaling.bounds.max {
        return Ok((scaling.bounds.max, "more pods than its maximum".into()));
    }
    if current < scaling.bounds.min {
        return Ok((scaling.bounds.min, "fewer pods than its minimum".into()));
    }
    let decision = normalize(&scaling.bounds, &mut history, current, desired.replicas, now);
    let used = desired.utilization.map_or_else(String::new, |u| format!("{u} % of requests in use; "));
    let why = if decision.limited.0 { decision.limited.2 } else { decision.able.1 };
    Ok((decision.replicas, format!("{used}{why}").into()))
}

/// What it would have recommended for the load of the last `window` seconds, as if there had always been `current` pods.
fn recent(
    target: Target,
    tolerances: Tolerances,
    load: &[(Timestamp, i64)],
    request: i64,
    current: i64,
    now: Timestamp,
    window: i64,
) -> Vec<(i64, Timestamp)> {
    let cutoff = now - TimeDelta::seconds(window);
    let pods: VecDeque<Timestamp> =
        vec![now - TimeDelta::hours(1) - TimeDelta::seconds(window); current.max(1) as usize].into();
    let one = |(at, used): &(Timestamp, i64)| {
        let (rows, samples) = scene(&pods, *at, used / current.max(1), request);
        Some((propose(current, target, true, tolerances, &rows, samples, *at).ok()?.replicas, *at))
    };
    load.iter().filter(|(at, _)| *at > cutoff).filter_map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::autoscaler::DOWNSCALE_STABILIZATION;
    use crate::model::fixtures as fx;

    fn scaling(min: i64, max: i64) -> Scaling {
        let bounds = Bounds::with(min, max, None, DOWNSCALE_STABILIZATION);
        Scaling { bounds, tolerances: Tolerances::of(None), cpu: Some(Target::Utilization(50)) }
    }

    fn hpa(scaling: Option<Scaling>) -> HpaRow {
        HpaRow {
            namespace: "shop".into(),
            name: "cart".into(),
            target: fx::healthy("cart", 2).key,
            min: 2,
            max: 10,
            current: 2,
            desired: 2,
            resources: Box::new(["cpu".into()]),
            blocked: None,
            scaling: scaling.map(Arc::new),
        }
    }

    /// A step of load from 100 to 400 millicores for two hours of a day.
    fn steps() -> Vec<(Timestamp, i64)> {
        (0..2880).map(|i| (fx::ago(86_400 - i * 30), if (1200..1440).contains(&i) { 400 } else { 100 })).collect()
    }

    #[test]
    fn more_pods_come_with_the_load_and_go_after_it() {
        let ran = replay("as it is".into(), &scaling(2, 10), Target::Utilization(50), &steps(), 100, 2);
        // ceil(4 pods' worth ÷ 50 %) = 8 for two hours, 2 else, and five minutes more on the way down
        assert_eq!((ran.most, ran.changes >= 2), (8, true), "{ran:?}");
        assert!((ran.pod_hours - (22.0 * 2.0 + 2.0 * 8.0)).abs() < 1.0, "{ran:?}");
        assert!(ran.short_minutes > 0.0 && ran.short_minutes < 3.0, "until the new pods serve: {ran:?}");
        let capped = replay(String::new(), &scaling(2, 3), Target::Utilization(50), &steps(), 100, 2);
        assert!((capped.short_minutes - 120.0).abs() < 2.0 && capped.most == 3, "{capped:?}");
        let floor = replay(String::new(), &scaling(8, 10), Target::Utilization(50), &steps(), 100, 8);
        assert_eq!((floor.short_minutes, floor.changes), (0.0, 0));
        assert!(floor.pod_hours > 3.0 * ran.pod_hours - 1.0, "never short, at a price: {floor:?}");
        let best = foresight(&scaling(2, 10).bounds, Target::Utilization(50), &steps(), 100);
        assert!(best.short_minutes == 0.0 && best.pod_hours < ran.pod_hours, "{best:?} {ran:?}");
    }

    #[test]
    fn what_comes_next_is_told_from_the_pods_as_they_are() {
        let mut snapshot = fx::snapshot(vec![fx::healthy("cart", 2)]);
        let told = of(&hpa(Some(scaling(2, 10))), &snapshot, fx::now());
        assert!(told.next.unwrap_err().contains("did not receive metrics"), "nothing is measured");
        assert!(told.ran.unwrap_err().contains("0 samples"));
        let usage = |cpu| crate::model::snapshot::PodUsage {
            cpu,
            memory: 1e6,
            memory_share: None,
            throttled: None,
            at: fx::now(),
        };
        let pods = snapshot.workloads[0].pods.iter().map(|p| {
            (crate::model::object::PodKey { namespace: p.namespace.clone(), name: (*p.name).into() }, usage(0.15))
        });
        snapshot.metrics.pods = Arc::new(pods.collect());
        let (pods, why) = of(&hpa(Some(scaling(2, 10))), &snapshot, fx::now()).next.unwrap();
        // 150 % of the requests of 100m in use, 50 % wanted: three times as many, at most four without a behavior
        assert_eq!(pods, 4, "{why}");
        assert!(why.contains("150 %") && why.contains("increasing faster"), "{why}");
        assert!(of(&hpa(None), &snapshot, fx::now()).next.is_err());
    }

    #[test]
    fn the_present_settings_come_first_and_others_differ_from_them() {
        let all = others(&scaling(2, 10), Target::Utilization(50));
        assert_eq!(all[0].0, "as it is, target 50 %");
        assert!(all.len() >= 5 && all[1..].iter().all(|(_, s, t)| (s, *t) != (&all[0].1, all[0].2)));
    }
}
