//! Containers that crash, are killed by their probes, wait for something else, or run without being ready.

use super::case::{
    Case, Draft, RISING, Scene, delta, end_evidence, event_evidence, last_end, states, wait_evidence, waiting,
};
use crate::model::cluster::EventRow;
use crate::model::finding::{Evidence, Fault};
use crate::model::object::WorkloadKey;
use crate::model::pod::{ContainerRow, ContainerSpec, Phase, PodRow};
use chrono::TimeDelta;
use std::collections::BTreeSet;
use std::sync::Arc;

/// A pod that is bound to a node may take this long to pull images and mount volumes.
const CREATING: TimeDelta = TimeDelta::minutes(5);

/// Killed by the kubelet because a liveness or startup probe failed: exit 137 or 143 without OOM, and an event.
pub fn liveness(case: &mut Case<'_>) -> Vec<Draft> {
    let scene = case.scene;
    let pods = case.claim(|p| probe_kill(scene, p).is_some());
    let Some((container, ..)) = pods.first().and_then(|p| probe_kill(case.scene, p)) else { return Vec::new() };
    let mut evidence = Vec::new();
    for pod in &pods {
        if let Some((name, event)) = probe_kill(case.scene, pod) {
            evidence.push(event_evidence(event));
            let ended = states(pod).find(|(s, _)| s.name == name);
            evidence.extend(ended.and_then(|(s, r)| end_evidence(case.scene, pod, s, r)));
        }
    }
    let key = &case.workload.key;
    let title = format!(
        "{}/{}: container {container} is killed by its own probe ({})",
        key.namespace,
        key.name,
        case.ready_words()
    );
    vec![case.draft(Fault::LivenessKills { container: container.clone() }, &pods, title, evidence).detail(&*container)]
}

fn probe_kill<'a>(scene: &Scene<'a>, pod: &PodRow) -> Option<(Arc<str>, &'a EventRow)> {
    let event = scene.events(pod).find(|e| {
        let m = &*e.message;
        (&*e.reason == "Killing" && (m.contains("failed liveness probe") || m.contains("failed startup probe")))
            || (&*e.reason == "Unhealthy" && (m.starts_with("Liveness probe") || m.starts_with("Startup probe")))
    })?;
    let ended = |row: &ContainerRow| {
        last_end(row).is_some_and(|(end, _)| {
            matches!(end.exit_code, 137 | 143)
                && &*end.reason != "OOMKilled"
                && scene.within(end.finished, delta(scene.set.oom_recent))
        })
    };
    let killed: Vec<&ContainerSpec> =
        states(pod).filter(|(s, r)| (s.probes.liveness || s.probes.startup) && ended(r)).map(|(s, _)| s).collect();
    let named = killed.iter().find(|s| event.message.contains(&*s.name)).or(killed.first())?;
    Some((named.name.clone(), event))
}

/// Several workloads fail on the same other thing, or one fails on a workload that is itself down.
///
/// Conservative, since logs are not read: it is claimed only if an event names a host by DNS name (an address is
/// usually the pod's own, probed by the kubelet) together with a connect error, and that host is either named by
/// two or more workloads or is a workload of the namespace that has no ready pod.
pub fn dependency(case: &mut Case<'_>) -> Vec<Draft> {
    let Some((host, _)) = case.pods.iter().find_map(|p| unreachable_host(case.scene, p)) else { return Vec::new() };
    let callee = host.split('.').next().unwrap_or(&host).to_owned();
    let namespace = case.workload.key.namespace.clone();
    let known = case.scene.snapshot.workloads.iter().find(|w| w.key.namespace == namespace && *w.key.name == *callee);
    let callee_down = known.map(|w| w.replicas.desired > 0 && w.readiness().0 == 0);
    let callers = callers(case, &host);
    let claimed = match callee_down {
        Some(down) => down && !callers.is_empty(),
        None => callers.len() >= 2,
    };
    if !claimed {
        return Vec::new();
    }
    let scene = case.scene;
    let pods = case.claim(|p| unreachable_host(scene, p).is_some_and(|(h, _)| h == host));
    let mut evidence: Vec<Evidence> =
        pods.iter().filter_map(|p| Some(event_evidence(unreachable_host(case.scene, p)?.1))).collect();
    let proof = if let Some(w) = known {
        let (ready, desired) = w.readiness();
        Evidence::new(format!("{}", w.key), format!("{ready} of {desired} pods ready"), Some(case.scene.now))
    } else {
        let names: Vec<String> = callers.iter().map(|k| k.name.to_string()).collect();
        let says = format!("the same host fails for {}", names.join(", "));
        Evidence::new("events of other workloads", says, Some(case.scene.now))
    };
    evidence.insert(1.min(evidence.len()), proof);
    let key = &case.workload.key;
    let title =
        format!("{}/{}: cannot reach {host}; the fault is there ({})", key.namespace, key.name, case.ready_words());
    vec![case.draft(Fault::Dependency { on: host.into() }, &pods, title, evidence)]
}

/// Workloads of the same namespace with events that name this host.
fn callers<'a>(case: &Case<'a>, host: &str) -> BTreeSet<&'a WorkloadKey> {
    let scene = case.scene;
    let of = |w: &&'a Arc<crate::model::cluster::Workload>| w.key.namespace == case.workload.key.namespace;
    let names = |p: &Arc<PodRow>| scene.events(p).any(|e| named_host(&e.message).as_deref() == Some(host));
    scene.snapshot.workloads.iter().filter(of).filter(|w| w.pods.iter().any(names)).map(|w| &w.key).collect()
}

fn unreachable_host<'a>(scene: &Scene<'a>, pod: &PodRow) -> Option<(String, &'a EventRow)> {
    scene.events(pod).filter(|e| e.warning).find_map(|e| Some((named_host(&e.message)?, e)))
}

/// The host, by name, that a message says cannot be reached. Addresses are not taken.
pub fn named_host(message: &str) -> Option<String> {
    let failed = ["connection refused", "no such host", "i/o timeout", "no route to host", "could not connect"];
    if !failed.iter().any(|f| message.contains(f)) {
        return None;
    }
    for before in ["dial tcp: lookup ", "lookup ", "dial tcp ", "could not connect to ", "connect to "] {
        if let Some((_, rest)) = message.split_once(before) {
            let word = rest.split(|c: char| c.is_whitespace() || c == ',').next()?.trim_end_matches(':');
            let host =
                word.rsplit_once(':').filter(|(_, p)| p.chars().all(|c| c.is_ascii_digit())).map_or(word, |(h, _)| h);
            let host = host.trim_matches(|c: char| !c.is_ascii_alphanumeric());
            let name = host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_'))
                && host.chars().any(|c| c.is_ascii_alphabetic())
                && host != "localhost";
            return name.then(|| host.to_owned());
        }
    }
    None
}

/// The plain crash loop: no better class fits.
pub fn loops(case: &mut Case<'_>) -> Vec<Draft> {
    let scene = case.scene;
    let pods = case.claim(|p| states(p).any(|(_, row)| looping(scene, p, row)));
    let first = pods.first().and_then(|p| states(p).find(|(_, row)| looping(case.scene, p, row)));
    let Some((spec, row)) = first else { return Vec::new() };
    let exit_code = last_end(row).map_or(0, |(end, _)| end.exit_code);
    let mut evidence = Vec::new();
    for pod in &pods {
        for (s, r) in states(pod).filter(|(_, r)| looping(case.scene, pod, r)) {
            evidence.extend(end_evidence(case.scene, pod, s, r).or_else(|| wait_evidence(case.scene, pod, s, r)));
        }
    }
    let key = &case.workload.key;
    let container = spec.name.clone();
    let title = format!(
        "{}/{}: container {container} crashes with exit code {exit_code} ({})",
        key.namespace,
        key.name,
        case.ready_words()
    );
    let fault = Fault::CrashLoop { container: container.clone(), exit_code };
    vec![case.draft(fault, &pods, title, evidence).detail(&*container)]
}

/// Whether a container crashes again and again: in back-off, or restarted lately with a bad exit.
fn looping(scene: &Scene<'_>, pod: &PodRow, row: &ContainerRow) -> bool {
    if waiting(row).is_some_and(|(reason, _)| &**reason == "CrashLoopBackOff") {
        return true;
    }
    let bad_end = last_end(row).is_some_and(|(end, _)| end.exit_code != 0 && scene.within(end.finished, RISING));
    bad_end && (row.restarts >= 2 || scene.restarts.rising(pod, scene.now))
}

/// Running but not ready beyond the grace period, never created, or a controller that is stuck without pods.
pub fn not_ready(case: &mut Case<'_>) -> Vec<Draft> {
    let scene = case.scene;
    let pods = case.claim(|p| unready(scene, p).is_some());
    let key = &case.workload.key;
    if let Some((why, _)) = pods.first().and_then(|p| unready(case.scene, p)) {
        let mut evidence = Vec::new();
        for pod in &pods {
            evidence.extend(unready(case.scene, pod).map(|(_, e)| e));
            let event = case.scene.events(pod).find(|e| e.warning);
            evidence.extend(event.map(event_evidence));
        }
        let title = format!("{}/{}: not ready: {why} ({})", key.namespace, key.name, case.ready_words());
        return vec![case.draft(Fault::NotReady { why: why.into() }, &pods, title, evidence)];
    }
    let (ready, desired) = case.workload.readiness();
    let Some((reason, message)) = case.workload.stuck.as_ref().filter(|_| ready < desired && nobody_failed(case))
    else {
        return Vec::new();
    };
    let why = format!("{reason}: {message}");
    let evidence = vec![Evidence::new(format!("{key} status.conditions"), why.clone(), Some(case.scene.now))];
    let title = format!("{}/{}: the controller is stuck: {why} ({})", key.namespace, key.name, case.ready_words());
    vec![case.draft(Fault::NotReady { why: why.into() }, &[], title, evidence)]
}

/// Whether no pod has a trouble of its own that another finding already tells.
fn nobody_failed(case: &Case<'_>) -> bool {
    case.workload.live_pods().all(|p| p.ready || case.pods.iter().any(|left| left.uid == p.uid))
}

fn unready(scene: &Scene<'_>, pod: &PodRow) -> Option<(String, Evidence)> {
    if pod.ready {
        return None;
    }
    if pod.phase == Phase::Pending && pod.node.is_some() {
        let waits = scene.now.signed_duration_since(pod.created) >= CREATING;
        let place = format!("pod {}/{} status.phase", pod.namespace, pod.name);
        let status = pod.status();
        return waits.then(|| (format!("{status} for too long"), Evidence::new(place, status, Some(pod.created))));
    }
    if !matches!(pod.phase, Phase::Running | Phase::Unknown) {
        return None;
    }
    let trouble = pod.trouble.as_ref().and_then(|t| t.not_ready.as_ref());
    let (reason, message, since) = trouble?;
    if !scene.older(Some(since.unwrap_or(pod.created)), scene.set.not_ready_grace) {
        return None;
    }
    let place = format!("pod {}/{} status.conditions[type=Ready]", pod.namespace, pod.name);
    let says = if message.is_empty() { reason.to_string() } else { format!("{reason}: {message}") };
    Some((says.clone(), Evidence::new(place, format!("False: {says}"), *since)))
}

#[cfg(test)]
mod tests {
    use super::named_host;
    use proptest::prelude::*;

    #[test]
    fn a_host_is_named_and_an_address_is_not() {
        for (message, host) in [
            ("Readiness probe failed: dial tcp: lookup db.shop.svc on 10.0.0.10:53: no such host", Some("db.shop.svc")),
            ("Readiness probe failed: redis: could not connect to redis:6379: connection refused", Some("redis")),
            ("Get \"http://10.1.2.3:8080/\": dial tcp 10.1.2.3:8080: connect: connection refused", None),
            ("dial tcp [::1]:80: connect: connection refused", None),
            ("Liveness probe failed: HTTP probe failed with statuscode: 503", None),
            ("dial tcp localhost:80: connection refused", None),
        ] {
            assert_eq!(named_host(message).as_deref(), host, "{message}");
        }
    }

    proptest! {
        #[test]
        fn no_message_breaks_it(s in "(lookup |dial tcp |connect to ).* (connection refused|no such host)") {
            let _ = named_host(&s);
        }
    }
}
