//! An alerting rule's alerts: pending, firing, and for a while resolved.

use super::template;
use crate::sim::promql::format::exponential;
use crate::sim::promql::metric::{Metric, NAME};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// How long a resolved alert is remembered, milliseconds.
const REMEMBERED: i64 = 15 * 60 * 1000;

/// An alerting rule.
#[derive(Debug)]
pub(super) struct Alerting {
    /// Its name.
    pub name: String,
    /// `for`, milliseconds.
    pub wait: i64,
    /// `keep_firing_for`, milliseconds.
    pub keep: i64,
    /// Templates.
    pub annotations: BTreeMap<String, String>,
    active: BTreeMap<Metric, Alert>,
}

#[derive(Debug)]
struct Alert {
    state: State,
    annotations: BTreeMap<String, String>,
    value: f64,
    since: i64,
    /// Since when it fires although its expression no longer gives it.
    kept_since: Option<i64>,
    resolved: Option<i64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Inactive,
    Pending,
    Firing,
}

impl State {
    fn text(self) -> &'static str {
        match self {
            Self::Inactive => "inactive",
            Self::Pending => "pending",
            Self::Firing => "firing",
        }
    }
}

impl Alerting {
    pub fn new(name: String, wait: i64, keep: i64, annotations: BTreeMap<String, String>) -> Self {
        Self { name, wait, keep, annotations, active: BTreeMap::new() }
    }

    /// Takes in what the expression gave and gives `ALERTS` and `ALERTS_FOR_STATE`.
    pub fn evaluate(
        &mut self,
        labels: &BTreeMap<String, String>,
        found: Vec<(Metric, f64)>,
        now: i64,
        limit: usize,
    ) -> Result<Vec<(Metric, f64)>, String> {
        let mut seen = BTreeSet::new();
        for (metric, value) in found {
            let expand = |text: &String| template::expand(text, &metric, value);
            let mut own = metric.to_map();
            own.remove(NAME);
            own.extend(labels.iter().map(|(k, v)| (k.clone(), expand(v))));
            own.insert("alertname".into(), self.name.clone());
            let own = Metric::of(own);
            if !seen.insert(own.clone()) {
                return Err("vector contains metrics with the same labelset after applying alert labels".into());
            }
            let annotations = self.annotations.iter().map(|(k, v)| (k.clone(), expand(v))).collect();
            if let Some(alert) = self.active.get_mut(&own).filter(|a| a.state != State::Inactive) {
                (alert.value, alert.annotations) = (value, annotations);
            } else {
                let state = State::Pending;
                let alert = Alert { state, annotations, value, since: now, kept_since: None, resolved: None };
                self.active.insert(own, alert);
            }
        }
        let (wait, keep) = (self.wait, self.keep);
        self.active.retain(|labels, alert| alert.step(seen.contains(labels), now, wait, keep));
        let live: Vec<_> = self.active.iter().filter(|(_, a)| a.state != State::Inactive).collect();
        if limit > 0 && live.len() > limit {
            let text = format!("exceeded limit of {limit} with {} alerts", live.len());
            self.active.clear();
            return Err(text);
        }
        Ok(live.into_iter().flat_map(|(labels, alert)| alert.samples(labels)).collect())
    }

    /// The worst state of its alerts.
    pub fn state(&self) -> &'static str {
        let states = self.active.values().map(|a| a.state);
        states.max_by_key(|s| *s as u8).unwrap_or(State::Inactive).text()
    }

    /// Its alerts, as the API tells them.
    pub fn describe(&self) -> Vec<Value> {
        let live = self.active.iter().filter(|(_, a)| a.state != State::Inactive);
        live.map(|(labels, a)| {
            let mut alert = json!({
                "labels": labels.iter().collect::<BTreeMap<_, _>>(), "annotations": a.annotations,
                "state": a.state.text(), "activeAt": super::time(Some(a.since)), "value": exponential(a.value),
            });
            if a.kept_since.is_some() {
                alert["keepFiringSince"] = super::time(a.kept_since).into();
            }
            alert
        })
        .collect()
    }
}

impl Alert {
    /// Moves on; false when it is to be forgotten.
    fn step(&mut self, given: bool, now: i64, wait: i64, keep: i64) -> bool {
        if given {
            self.kept_since = None;
        } else {
            let kept = self.state == State::Firing && keep > 0 && now - *self.kept_since.get_or_insert(now) < keep;
            if !kept {
                if self.state == State::Pending || self.resolved.is_some_and(|r| now - r > REMEMBERED) {
                    return false;
                }
                if self.state != State::Inactive {
                    (self.state, self.resolved) = (State::Inactive, Some(now));
                }
                return true;
            }
        }
        if self.state == State::Pending && now - self.since >= wait {
            self.state = State::Firing;
        }
        true
    }

    fn samples(&self, labels: &Metric) -> [(Metric, f64); 2] {
        let with = |extra: &[(&str, &str)]| {
            let mut all = labels.to_map();
            all.extend(extra.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())));
            Metric::of(all)
        };
        [
            (with(&[(NAME, "ALERTS"), ("alertstate", self.state.text())]), 1.0),
            (with(&[(NAME, "ALERTS_FOR_STATE")]), self.since.div_euclid(1000) as f64),
        ]
    }
}
