//! A1: multiwindow, multi-burn-rate alerts of the Google SRE workbook (chapter 5), and what is left of the budget.
//!
//! Burn is the share of bad events over the share that is allowed. A pair of windows alarms when both burn
//! faster than its factor: the long one says that it matters, the short one that it still goes on. A window that
//! is not fresh never alarms; the status says that it cannot be told, and why.

use crate::config::settings::Slo;
use crate::model::finding::{Evidence, Fault, Finding, Severity, Subject};
use crate::model::object::{WorkloadKey, WorkloadKind};
use crate::model::reading::Reading;
use crate::model::snapshot::{SLO_WINDOWS, SloReadings, Snapshot};
use crate::model::text::clean;
use crate::model::time::{Timestamp, short};
use chrono::TimeDelta;
use std::sync::Arc;

/// Two windows and the burn from which both alarm. Windows are places in [`SLO_WINDOWS`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pair {
    /// Says that it matters.
    pub long: usize,
    /// Says that it still goes on.
    pub short: usize,
    /// Burn that both exceed.
    pub factor: f64,
    /// How bad that is.
    pub severity: Severity,
}

/// The four pairs for a period of 30 days, fastest first: 2 % of the budget in an hour and 5 % in 6 hours call
/// somebody, 10 % in a day or in three make a ticket (Sloth and the kubernetes-mixin use the same).
pub const PAIRS: [Pair; 4] = [
    Pair { long: 2, short: 0, factor: 14.4, severity: Severity::Critical },
    Pair { long: 4, short: 1, factor: 6.0, severity: Severity::High },
    Pair { long: 5, short: 3, factor: 3.0, severity: Severity::Warning },
    Pair { long: 6, short: 4, factor: 1.0, severity: Severity::Warning },
];

/// Least events in the short window of an alarm, however loose the objective.
const LEAST_EVENTS: f64 = 10.0;

/// How one SLO is doing, for people.
#[derive(Debug, Clone, PartialEq)]
pub struct SloStatus {
    /// Its name.
    pub name: Arc<str>,
    /// Workload it belongs to, as configured.
    pub workload: Arc<str>,
    /// Share of good events wanted.
    pub objective: f64,
    /// Burn per window of [`SLO_WINDOWS`]: 1 uses the budget up exactly in its period. `None`: not fresh.
    pub burn: [Option<f64>; 7],
    /// Share of the budget left over `known_s`; negative when it is overspent. `None`: not fresh.
    pub budget_left: Option<f64>,
    /// Seconds the budget is known for; shorter than the period where the server does not hold more.
    pub known_s: f64,
    /// The pair that alarms, worst first.
    pub alarm: Option<Pair>,
    /// What cannot be told, and why; empty when everything is known.
    pub missing: Vec<String>,
}

/// The status of every configured SLO, in the order of the configuration.
pub fn slo_status(snapshot: &Snapshot, slos: &[Slo], now: Timestamp) -> Vec<SloStatus> {
    slos.iter().map(|slo| status(snapshot.metrics.slos.iter().find(|r| *r.name == *slo.name), slo, now)).collect()
}

/// One finding per SLO that burns too fast: the worst pair that alarms.
pub fn slo_findings(snapshot: &Snapshot, slos: &[Slo], now: Timestamp) -> Vec<Finding> {
    let statuses = slo_status(snapshot, slos, now);
    slos.iter()
        .zip(&statuses)
        .filter_map(|(slo, status)| {
            let readings = snapshot.metrics.slos.iter().find(|r| *r.name == *slo.name)?;
            Some(finding(snapshot, slo, status, readings, status.alarm?, now))
        })
        .collect()
}

fn status(readings: Option<&SloReadings>, slo: &Slo, now: Timestamp) -> SloStatus {
    let allowed = 1.0 - slo.objective;
    let mut status = SloStatus {
        name: slo.name.as_str().into(),
        workload: slo.workload.as_str().into(),
        objective: slo.objective,
        burn: [None; 7],
        budget_left: None,
        known_s: 0.0,
        alarm: None,
        missing: Vec::new(),
    };
    // Written so that NaN is refused too.
    if !(allowed > 0.0 && allowed < 1.0) {
        status.missing.push(format!("objective {} leaves no budget: it must lie between 0 and 1", slo.objective));
        return status;
    }
    let Some(readings) = readings else {
        status.missing.push("not measured yet".into());
        return status;
    };
    for (i, reading) in readings.bad.iter().enumerate() {
        status.burn[i] = reading.fresh().map(|bad| bad / allowed);
    }
    status.known_s = readings.period.1;
    status.budget_left = readings.period.0.fresh().map(|bad| 1.0 - bad / allowed);
    status.missing = missing(readings, now);
    status.alarm = PAIRS.into_iter().find(|pair| alarms(&status, readings, *pair, allowed));
    status
}

fn alarms(status: &SloStatus, readings: &SloReadings, pair: Pair, allowed: f64) -> bool {
    let over = |window: usize| status.burn[window].is_some_and(|burn| burn > pair.factor);
    let seconds = f64::from(SLO_WINDOWS[pair.short].1);
    let enough = readings.events.fresh().is_some_and(|rate| rate * seconds >= least_events(pair.factor, allowed));
    over(pair.long) && over(pair.short) && enough
}

/// Events that the short window must hold, so that one failed event alone cannot raise the alarm (the workbook's
/// low-traffic problem): at least 10, and as many as make one failure burn no faster than the factor.
fn least_events(factor: f64, allowed: f64) -> f64 {
    (1.0 / (factor * allowed)).ceil().max(LEAST_EVENTS)
}

/// Windows that cannot be told, those with the same reason on one line.
fn missing(readings: &SloReadings, now: Timestamp) -> Vec<String> {
    let mut reasons: Vec<(String, Vec<&str>)> = Vec::new();
    let windows = SLO_WINDOWS.iter().map(|(name, _)| *name).zip(&readings.bad);
    for (name, reading) in windows.chain([("budget", &readings.period.0), ("events", &readings.events)]) {
        let why = match reading {
            Reading::Value { .. } | Reading::Zero { .. } => continue,
            Reading::Stale { at, .. } => format!("last known {} ago", short(now.signed_duration_since(*at))),
            Reading::Absent => "no requests, or no such metric".to_owned(),
            Reading::Failed { why } => why.to_string(),
        };
        match reasons.iter_mut().find(|(w, _)| *w == why) {
            Some((_, names)) => names.push(name),
            None => reasons.push((why, vec![name])),
        }
    }
    reasons.into_iter().map(|(why, names)| format!("{}: {why}", names.join(", "))).collect()
}

fn finding(
    snapshot: &Snapshot,
    slo: &Slo,
    status: &SloStatus,
    readings: &SloReadings,
    pair: Pair,
    now: Timestamp,
) -> Finding {
    let name = clean(&slo.name);
    let key = workload(&slo.workload);
    let subject = match &key {
        Some(key) if snapshot.workload(key).is_some() => Subject::Workload(key.clone()),
        _ => Subject::Cluster,
    };
    let (long, short_window) = (SLO_WINDOWS[pair.long], SLO_WINDOWS[pair.short]);
    let burn = status.burn[pair.long].unwrap_or_default();
    let share = |window: usize| -> Option<(f64, Timestamp)> { readings.bad[window].last() };
    let mut evidence: Vec<Evidence> = [pair.long, pair.short]
        .into_iter()
        .filter_map(|w| {
            let (bad, at) = share(w)?;
            let burn = status.burn[w]?;
            let says = format!("{:.3} % bad, burn {burn:.1} (alarm above {})", bad * 100.0, pair.factor);
            Some(Evidence::new(format!("SLO {name} over {}", SLO_WINDOWS[w].0), says, Some(at)))
        })
        .collect();
    if let Some(left) = status.budget_left {
        let known = short(TimeDelta::seconds(status.known_s as i64));
        let says = format!("{:.1} % of the error budget left over the {known} that are known", left * 100.0);
        evidence.push(Evidence::new(format!("SLO {name} budget"), says, readings.period.0.last().map(|l| l.1)));
    }
    let ends = match f64::from(slo.days) * 86_400.0 / burn * status.budget_left.unwrap_or(1.0).max(0.0) {
        s if status.budget_left.is_some() && s > 0.0 && s.is_finite() => {
            format!(", budget gone in {}", short(TimeDelta::seconds(s.min(1e9) as i64)))
        }
        _ => String::new(),
    };
    let title = format!("SLO {name} burns {burn:.1}× its budget over {} and {}{ends}", long.0, short_window.0);
    Finding {
        id: format!("slo-burn:{subject}:{name}").into(),
        fault: Fault::SloBurn { slo: name.as_ref().into(), burn, factor: pair.factor, budget_left: status.budget_left },
        related: key.and_then(|k| k.object()).into_iter().collect(),
        subject,
        severity: pair.severity,
        title: title.into(),
        evidence,
        pods: Vec::new(),
        since: now,
    }
}

/// `namespace/Kind/name`.
fn workload(text: &str) -> Option<WorkloadKey> {
    let mut parts = text.splitn(3, '/');
    let (namespace, kind, name) = (parts.next()?, parts.next()?, parts.next()?);
    Some(WorkloadKey::new(namespace, WorkloadKind::from_kind(kind), name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::settings::Indicator;
    use crate::model::snapshot::{ClusterInfo, MetricsView};

    fn now() -> Timestamp {
        chrono::DateTime::from_timestamp(1_700_000_000, 0).unwrap()
    }

    fn slo() -> Slo {
        Slo {
            name: "cart".into(),
            workload: "shop/Deployment/cart".into(),
            indicator: Indicator::Errors,
            objective: 0.999,
            days: 30,
        }
    }

    fn value(v: f64) -> Reading {
        Reading::from_sample(v, now(), now(), TimeDelta::seconds(60))
    }

    /// Shares of bad events in percent, in the order of the windows, and events per second.
    fn snapshot(percent: [f64; 7], events: f64) -> Snapshot {
        let readings = SloReadings {
            name: "cart".into(),
            bad: percent.map(|p| value(p / 100.0)),
            period: (value(0.0004), 30.0 * 86_400.0),
            events: value(events),
        };
        let cluster = ClusterInfo {
            id: "i".into(),
            context: "c".into(),
            server: "s".into(),
            version: "v".into(),
            user: "u".into(),
            namespaces: None,
        };
        let metrics = MetricsView { slos: Arc::from([readings]), ..MetricsView::default() };
        Snapshot { metrics, ..Snapshot::empty(cluster, now()) }
    }

    fn alarm(percent: [f64; 7]) -> Option<(f64, Severity)> {
        let found = slo_findings(&snapshot(percent, 100.0), &[slo()], now());
        found.first().map(|f| match f.fault {
            Fault::SloBurn { factor, .. } => (factor, f.severity),
            _ => panic!("another fault"),
        })
    }

    #[test]
    fn the_workbooks_examples_alarm_as_in_the_workbook() {
        // Table 5-8 for 99.9 % over 30 days: the error rates at which each row alarms.
        //                        5m   30m  1h   2h   6h   1d   3d
        assert_eq!(alarm([1.5, 0.9, 1.5, 0.9, 0.3, 0.1, 0.05]), Some((14.4, Severity::Critical)));
        assert_eq!(alarm([0.7, 0.7, 0.7, 0.7, 0.7, 0.2, 0.1]), Some((6.0, Severity::High)));
        assert_eq!(alarm([0.4, 0.4, 0.4, 0.4, 0.4, 0.4, 0.1]), Some((3.0, Severity::Warning)));
        assert_eq!(alarm([0.2, 0.2, 0.2, 0.2, 0.2, 0.2, 0.2]), Some((1.0, Severity::Warning)));
        assert_eq!(alarm([0.1; 7]), None, "exactly on budget is no alarm");
    }

    #[test]
    fn what_is_over_and_what_has_just_begun_do_not_alarm() {
        assert_eq!(alarm([0.0, 0.05, 1.5, 0.05, 0.05, 0.05, 0.05]), None, "the short window is calm again");
        assert_eq!(alarm([100.0, 0.5, 1.4, 0.5, 0.5, 0.05, 0.05]), None, "1 h is still below 14.4");
    }

    #[test]
    fn a_full_outage_is_critical_and_says_what_is_left() {
        let found = slo_findings(&snapshot([100.0; 7], 100.0), &[slo()], now());
        assert_eq!(&*found[0].id, "slo-burn:cluster:cart");
        assert!(matches!(found[0].fault, Fault::SloBurn { burn, budget_left: Some(left), .. }
            if (burn - 1000.0).abs() < 1e-6 && (left - 0.6).abs() < 1e-9));
        assert!(found[0].evidence.len() == 3 && found[0].evidence[2].says.starts_with("60.0 %"));
    }

    #[test]
    fn a_window_that_is_not_fresh_never_alarms_and_is_named() {
        let mut s = snapshot([100.0; 7], 100.0);
        let mut readings = s.metrics.slos[0].clone();
        for window in 0..4 {
            readings.bad[window] = Reading::Stale { value: 1.0, at: now() - TimeDelta::minutes(5) };
        }
        readings.bad[4] = Reading::Absent;
        s.metrics.slos = Arc::from([readings]);
        assert_eq!(slo_findings(&s, &[slo()], now()), vec![]);
        let status = &slo_status(&s, &[slo()], now())[0];
        assert_eq!(status.burn[0], None);
        assert_eq!(status.missing[0], "5m, 30m, 1h, 2h: last known 5m ago");
        assert!(status.missing[1].starts_with("6h: no requests"));
    }

    #[test]
    fn one_failed_request_of_a_few_does_not_wake_anybody() {
        // 14.4 × 0.1 %: 70 events in 5 minutes are needed.
        let quiet = snapshot([10.0; 7], 69.0 / 300.0);
        let factor = |s: &Snapshot| slo_status(s, &[slo()], now())[0].alarm.map(|p| p.factor);
        assert_eq!(factor(&quiet), Some(6.0), "6 h and 30 m hold enough");
        assert_eq!(factor(&snapshot([10.0; 7], 70.0 / 300.0)), Some(14.4));
        assert_eq!(factor(&snapshot([10.0; 7], 0.0)), None);
        let mut unknown = snapshot([100.0; 7], 100.0);
        let mut readings = unknown.metrics.slos[0].clone();
        readings.events = Reading::Absent;
        unknown.metrics.slos = Arc::from([readings]);
        assert_eq!(factor(&unknown), None, "how many events there were is not known");
    }

    #[test]
    fn nonsense_objectives_and_unmeasured_slos_are_said_to_be_so() {
        for objective in [1.0, 0.0, 1.5, f64::NAN] {
            let status = &slo_status(&snapshot([100.0; 7], 100.0), &[Slo { objective, ..slo() }], now())[0];
            assert!(status.alarm.is_none() && status.missing[0].contains("between 0 and 1"), "{objective}");
        }
        let other = Slo { name: "other".into(), ..slo() };
        assert_eq!(slo_status(&snapshot([0.0; 7], 1.0), &[other], now())[0].missing, ["not measured yet"]);
    }
}
