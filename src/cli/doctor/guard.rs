//! What doctor says about automation: what holds it in general, and what it would be refused where.

use super::{Grade, Report};
use crate::autopilot::world::World;
use crate::config::settings;
use crate::execute::explain::{Explained, explain};
use crate::execute::{Guard, GuardHistory};
use crate::knowledge::journal::Journal;
use crate::model::authority::LeaseView;
use crate::model::plan::Right;
use crate::model::time;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Workloads named per reason; the rest is counted.
const NAMED: usize = 4;
/// Actions of the journal that the ladder is read from, as the console does.
const REMEMBERED: usize = 500;

/// Opt-in, Lease, ladder and windows; then, per namespace, what the gates say today.
pub(super) fn automation(
    report: &mut Report,
    w: &World,
    settings: &settings::Guard,
    rights: &BTreeMap<Right, bool>,
    dir: &Path,
) {
    let workloads = &w.snapshot.workloads;
    let opted = workloads.iter().filter(|x| x.opted_in).count();
    let owned = workloads.iter().filter(|x| !x.owners.is_empty()).count();
    let says = format!("{opted} of {} workloads opted in, {owned} have another owner", workloads.len());
    report.add(Grade::Ok, "automation", says, "");
    if opted == 0 {
        let remedy = "label a namespace autonomous-enabled=true, or annotate a workload autonomous/enabled: \"true\"";
        report.add(Grade::Warn, "  opt-in", "auto mode would act nowhere", remedy);
    }
    let lease = &w.brakes.lease;
    let grade = if matches!(lease, LeaseView::Failed { .. }) { Grade::Warn } else { Grade::Ok };
    report.add(grade, "  Lease", format!("{}: {lease}", settings.lease), "");
    if settings.window.is_empty() {
        let says = "none: auto heals at any time, and optimises never";
        report.add(Grade::Ok, "  windows", says, "add a [[guard.window]] to let it optimise");
    }
    let guard = Guard::new(settings.clone(), remembered(dir));
    for s in guard.ladder() {
        let place = if s.namespace.is_empty() { String::new() } else { format!(" in {}", s.namespace) };
        report.add(Grade::Ok, &format!("  {} by {}{place}", s.engine, s.action), format!("{}: {}", s.rung, s.why), "");
    }
    let all = explain(&guard, &w.snapshot, rights, lease, time::now());
    let namespaces: BTreeSet<&str> = all.iter().map(|e| &*e.workload.namespace).collect();
    for ns in namespaces {
        let here: Vec<&Explained> = all.iter().filter(|e| &*e.workload.namespace == ns).collect();
        namespace(report, ns, &here);
    }
}

/// What auto may do in one namespace, and each gate that stops it with an example.
fn namespace(report: &mut Report, ns: &str, here: &[&Explained]) {
    let mut counts: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    let mut stopped: BTreeMap<&str, (BTreeSet<String>, String, String)> = BTreeMap::new();
    for e in here {
        let count = counts.entry(e.action).or_default();
        count.0 += usize::from(e.reasons.is_empty());
        count.1 += 1;
        for r in &e.reasons {
            let entry = stopped.entry(&r.gate).or_insert_with(|| (BTreeSet::new(), r.why.clone(), r.remedy.clone()));
            entry.0.insert(format!("{}/{}", e.workload.kind.as_str(), e.workload.name));
        }
    }
    let counts: Vec<String> = counts.iter().map(|(action, (may, all))| format!("{action} {may} of {all}")).collect();
    report.add(Grade::Ok, &format!("auto in {ns}"), format!("would do: {}", counts.join(", ")), "");
    for (gate, (workloads, why, remedy)) in stopped {
        let more = workloads.len().saturating_sub(NAMED);
        let mut names = workloads.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
        if more > 0 {
            names = format!("{names} and {more} more");
        }
        report.add(Grade::Ok, &format!("  {gate} stops it"), format!("on {names}; for example: {why}"), remedy);
    }
}

/// What the journal of this machine remembers; nothing if there is none.
fn remembered(dir: &Path) -> GuardHistory {
    let path = dir.join("journal.db");
    if !path.exists() {
        return GuardHistory::default();
    }
    let items = Journal::open_read_only(&path).and_then(|j| j.items(REMEMBERED)).unwrap_or_default();
    GuardHistory::from_items(&items)
}
