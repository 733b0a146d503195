//! What the fault classifier found and the journal kept, as labels: a fault that was found is a failure to be foreseen, whether
//! the seven signals show it or not.
//!
//! The journal only adds. It is written while a kansole runs, so that its silence proves nothing: where it says nothing the
//! measured state stands.

use crate::model::failure::{Past, State, Trouble};
use crate::model::finding::Severity;
use crate::model::journal::{Entry, Kind};
use crate::model::time::Timestamp;
use chrono::TimeDelta;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What has a workload that fails. Everything else that is found is a threat, a node's, or the cluster's.
const FAILURES: [&str; 11] = [
    "oom",
    "oom-node",
    "crash-loop",
    "liveness-kills",
    "not-ready",
    "dependency",
    "missing-config",
    "image-error",
    "bad-release",
    "pod-failed",
    "slo-burn",
];

/// Those by which a part of it was killed, or its users noticed: its other pods may all be ready.
const FELT: [&str; 5] = ["oom", "oom-node", "crash-loop", "liveness-kills", "slo-burn"];

/// Its opening is what is to be foreseen: what stands for longer is measured as well, or a memory of what was.
const FRESH: TimeDelta = TimeDelta::minutes(5);

/// Faults of workloads that entries (in any order) tell of. One that was not closed ends with its session.
pub fn troubles(entries: &[Entry]) -> Vec<Trouble> {
    let mut entries: Vec<&Entry> = entries.iter().collect();
    entries.sort_by_key(|e| e.seq);
    let mut open: BTreeMap<String, Trouble> = BTreeMap::new();
    let mut all = Vec::new();
    let mut last = None;
    for entry in entries {
        let record = &entry.record;
        match record.kind {
            Kind::FindingOpened => open.extend(opened(entry)),
            Kind::FindingClosed => {
                let known = record.payload["id"].as_str().and_then(|id| open.remove(id));
                all.extend(known.map(|t| ended(t, record.at)));
            }
            Kind::SessionEnded | Kind::SessionStarted => {
                // After a crash nobody knows how long it went on: until the last that was written, that is sure.
                let at = if record.kind == Kind::SessionEnded { record.at } else { last.unwrap_or(record.at) };
                all.extend(std::mem::take(&mut open).into_values().map(|t| ended(t, at)));
            }
            _ => {}
        }
        last = Some(record.at);
    }
    all.extend(open.into_values());
    all
}

fn opened(entry: &Entry) -> Option<(String, Trouble)> {
    let (record, payload) = (&entry.record, &entry.record.payload);
    let class = payload["class"].as_str().filter(|class| FAILURES.contains(class))?;
    let severity: Severity = serde_json::from_value(payload["severity"].clone()).ok()?;
    let state = match severity {
        Severity::Critical if class != "slo-burn" => State::Critical,
        Severity::High | Severity::Critical if FELT.contains(&class) => State::Unhealthy,
        _ => State::Degraded,
    };
    let trouble = Trouble {
        workload: Arc::from(record.object.as_deref()?),
        class: Arc::from(class),
        from: record.at,
        until: record.at + FRESH,
        state,
    };
    Some((payload["id"].as_str()?.to_owned(), trouble))
}

fn ended(trouble: Trouble, at: Timestamp) -> Trouble {
    Trouble { until: trouble.until.min(at), ..trouble }
}

/// Makes the states of a record, the first of which is that of slot `first`, at least as bad as what was found.
pub fn raise(states: &mut [Option<State>], past: &Past, record: usize, first: usize) {
    let Some(record) = past.records.get(record).filter(|_| !past.found.is_empty()) else { return };
    let name = record.key.to_string();
    for trouble in past.found.iter().filter(|t| *t.workload == *name) {
        // The slot that a moment falls into; one before the first is not looked at.
        let slot =
            |at: Timestamp| (at - past.from).num_seconds().div_euclid(i64::from(past.step.max(1))) - first as i64;
        let (from, until) = (slot(trouble.from), slot(trouble.until));
        for (at, state) in states.iter_mut().enumerate() {
            if (from..=until).contains(&(at as i64)) {
                *state = (*state).max(Some(trouble.state));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::course::states;
    use super::super::window::tests::blank;
    use super::*;
    use crate::model::failure::STEPS;
    use crate::model::journal::Record;
    use serde_json::json;

    fn at(second: i64) -> Timestamp {
        chrono::DateTime::from_timestamp(1_700_000_000 + second, 0).expect("a time")
    }

    fn entry(seq: u64, second: i64, kind: Kind, payload: serde_json::Value) -> Entry {
        let record = Record {
            at: at(second),
            actor: "kansole".into(),
            kind,
            action: None,
            object: Some(blank("cart", 0).key.to_string()),
            payload,
        };
        Entry { seq, record, prev: String::new(), hash: String::new() }
    }

    fn found(class: &str, severity: &str) -> serde_json::Value {
        json!({ "id": format!("{class}:cart"), "class": class, "severity": severity })
    }

    #[test]
    fn faults_last_until_they_are_closed_or_the_session_ends_and_threats_are_none() {
        let entries = [
            entry(5, 2000, Kind::SessionStarted, json!({})),
            entry(4, 1060, Kind::Proposed, json!({})),
            entry(3, 1000, Kind::FindingOpened, found("crash-loop", "critical")),
            entry(2, 90, Kind::FindingClosed, json!({ "id": "not-ready:cart" })),
            entry(1, 30, Kind::FindingOpened, found("not-ready", "warning")),
            entry(6, 3000, Kind::FindingOpened, found("leak", "high")),
            entry(7, 4000, Kind::FindingOpened, found("oom", "high")),
        ];
        let told: Vec<_> = troubles(&entries)
            .into_iter()
            .map(|t| (t.class.to_string(), (t.from - at(0)).num_seconds(), (t.until - at(0)).num_seconds(), t.state))
            .collect();
        let expected = [
            ("not-ready".to_owned(), 30, 90, State::Degraded),
            ("crash-loop".to_owned(), 1000, 1060, State::Critical),
            ("oom".to_owned(), 4000, 4300, State::Unhealthy),
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn what_was_found_is_the_label_where_signals_show_less_and_its_silence_is_none() {
        let slots = STEPS + 20;
        let mut past = Past {
            from: at(0),
            step: 15,
            slots,
            records: vec![blank("cart", slots), blank("search", slots)],
            calls: vec![],
            found: vec![],
        };
        assert!(states(&past).iter().flatten().all(Option::is_none));
        let second = 15 * (STEPS as i64 + 4);
        past.found = troubles(&[entry(1, second, Kind::FindingOpened, found("image-error", "critical"))]);
        let labels = states(&past);
        assert_eq!(labels[0].iter().position(Option::is_some), Some(5), "{:?}", labels[0]);
        assert!(labels[0][5..].iter().all(|s| *s == Some(State::Critical)), "{:?}", labels[0]);
        assert!(labels[1].iter().all(Option::is_none), "it is another's");
        assert_eq!(
            super::super::course::courses(&past)[0].states,
            labels[0],
            "who is examined is held against the same"
        );
    }
}
