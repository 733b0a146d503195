//! Containers that ask for more or less than they need (P10), where somebody wants to hear of it. What is needed was worked
//! out beside the loop; here it is held against what the pods ask for at this moment, so that a change which was made is
//! no longer found.

use crate::model::cluster::Workload;
use crate::model::finding::{Evidence, Fault, Finding, FindingId, Severity, Subject};
use crate::model::quantity::{human_bytes, human_cores};
use crate::model::sizing::{Resize, Sizing, Sizings, asked, stands};
use crate::model::snapshot::Snapshot;
use crate::model::time::Timestamp;
use std::collections::BTreeMap;

/// One finding per workload that should grow or, if nothing of it should, shrink. `wanted` tells of which workloads is
/// spoken; `seen` remembers since when.
pub fn find(
    sizings: &Sizings,
    snapshot: &Snapshot,
    wanted: impl Fn(&Workload) -> bool,
    seen: &mut BTreeMap<FindingId, Timestamp>,
    now: Timestamp,
) -> Vec<Finding> {
    let mut found = Vec::new();
    for workload in snapshot.workloads.iter().filter(|w| wanted(w)) {
        let stands =
            |s: &&Sizing| s.next.as_ref().is_some_and(|n| asked(workload, &n.container).is_some_and(|c| stands(c, n)));
        let all: Vec<&Sizing> = sizings.of(&workload.key).map(|s| &**s).filter(stands).collect();
        let grows = |s: &Sizing| s.next.as_ref().is_some_and(Resize::grows);
        // Growing does not wait for shrinking, and is not mixed with it: they are allowed on different terms.
        let grow = all.iter().any(|s| grows(s));
        let all: Vec<&Sizing> = all.into_iter().filter(|s| grows(s) == grow).collect();
        if !all.is_empty() {
            found.push(finding(workload, grow, &all, sizings, seen, now));
        }
    }
    seen.retain(|id, _| found.iter().any(|f| f.id == *id));
    found
}

fn finding(
    workload: &Workload,
    grow: bool,
    all: &[&Sizing],
    sizings: &Sizings,
    seen: &mut BTreeMap<FindingId, Timestamp>,
    now: Timestamp,
) -> Finding {
    let subject = Subject::Workload(workload.key.clone());
    let id: FindingId = format!("missized:{subject}:{}", if grow { "grow" } else { "shrink" }).into();
    let since = *seen.entry(id.clone()).or_insert(now);
    let evidence = all.iter().map(|s| {
        let asked = s.request.map_or("nothing".to_owned(), |r| amount(&s.resource, r));
        let says = format!(
            "{} of {} requested, {} needed (90 % of the time, with 15 %), peak {} in {:.1} days: {}",
            asked,
            s.resource,
            amount(&s.resource, s.target),
            amount(&s.resource, s.peak),
            s.days,
            s.why.join("; ")
        );
        Evidence::new(format!("container {} of {}", s.container, workload.key), says, sizings.read)
    });
    let verb = if grow { "needs more than it requests" } else { "requests more than it needs" };
    let mut what: Vec<&str> = all.iter().map(|s| &*s.resource).collect();
    what.sort_unstable();
    what.dedup();
    Finding {
        title: format!("{} {verb}: {}", workload.key.name, what.join(" and ")).into(),
        fault: Fault::Missized { grow, changes: all.iter().filter_map(|s| s.next.clone()).collect() },
        id,
        subject,
        severity: Severity::Info,
        evidence: evidence.collect(),
        pods: Vec::new(),
        since,
        related: Vec::new(),
    }
}

/// An amount for people.
fn amount(resource: &str, value: f64) -> String {
    if resource == "cpu" { human_cores(value) } else { human_bytes(value) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fixtures as fx;
    use std::sync::Arc;

    fn sizing(resource: &str, request: f64, limit: Option<f64>, new_request: f64) -> Arc<Sizing> {
        let next = Resize {
            container: "app".into(),
            resource: resource.into(),
            request: Some(request),
            limit,
            new_request,
            new_limit: None,
        };
        Arc::new(Sizing {
            key: fx::healthy("cart", 2).key,
            container: "app".into(),
            resource: resource.into(),
            request: Some(request),
            limit,
            target: new_request,
            lower: 0.0,
            upper: 0.0,
            peak: 0.0,
            days: 8.0,
            censored: false,
            next: Some(next),
            waste: None,
            saving: None,
            why: vec!["because".into()],
        })
    }

    #[test]
    fn what_grows_goes_first_and_what_was_changed_is_no_longer_found() {
        let (mib, mut seen) = (1_048_576.0, BTreeMap::new());
        let shrink = sizing("memory", 64.0 * mib, Some(128.0 * mib), 48.0 * mib);
        let all = vec![sizing("cpu", 0.1, None, 0.15), shrink.clone()];
        let sizings = Sizings { all: all.into(), ..Sizings::default() };
        let mut snapshot = fx::snapshot(vec![fx::healthy("cart", 2)]);
        let mut find = |s: &Sizings, snapshot: &Snapshot, now| super::find(s, snapshot, |_| true, &mut seen, now);
        let found = find(&sizings, &snapshot, fx::ago(100));
        let [one] = &found[..] else { panic!("{found:?}") };
        let Fault::Missized { grow: true, changes } = &one.fault else { panic!("{one:?}") };
        assert_eq!((changes.len(), &*changes[0].resource), (1, "cpu"));
        assert_eq!(find(&sizings, &snapshot, fx::now())[0].since, fx::ago(100));
        let only = Sizings { all: vec![shrink].into(), ..Sizings::default() };
        assert!(find(&only, &snapshot, fx::now())[0].id.ends_with(":shrink"));
        // The pods were given what was advised.
        let mut cart = fx::healthy("cart", 1);
        let mut pod = (*cart.pods[0]).clone();
        pod.specs = Arc::from([fx::container("app", "shop/cart:1", Some("48Mi"), Some("128Mi"))]);
        cart.pods = Arc::from([Arc::new(pod)]);
        snapshot = fx::snapshot(vec![cart]);
        assert_eq!(find(&only, &snapshot, fx::now()), []);
        assert_eq!(super::find(&sizings, &snapshot, |_| false, &mut BTreeMap::new(), fx::now()), []);
    }
}
