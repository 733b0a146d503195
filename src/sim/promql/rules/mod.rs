//! Recording and alerting rules: read from Prometheus's file format, evaluated when their groups are due, and told about
//! (`rules/group.go`, `rules/alerting.go`).

mod alert;
mod file;
mod template;

use super::engine::{Engine, Options, Output};
use super::metric::{Metric, NAME};
use super::storage::{STALE, Sample};
use alert::Alerting;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

pub use file::RuleError;

/// The rules that come with the simulated Prometheus, with kube-prometheus's names.
pub const DEFAULT: &str = include_str!("../rules.yaml");

/// A sample that a rule gives, to be stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    /// Labels of its series, `__name__` included.
    pub labels: BTreeMap<String, String>,
    /// The sample; a staleness marker when the series has ended.
    pub sample: Sample,
}

/// All groups of rules, and what they know.
#[derive(Debug)]
pub struct Rules {
    groups: Vec<Group>,
}

#[derive(Debug)]
struct Group {
    name: String,
    file: String,
    interval: i64,
    limit: usize,
    rules: Vec<Rule>,
    evaluated: Option<i64>,
    took: f64,
}

#[derive(Debug)]
struct Rule {
    query: String,
    labels: BTreeMap<String, String>,
    kind: Kind,
    /// Why its last evaluation failed.
    error: Option<String>,
    evaluated: Option<i64>,
    took: f64,
    /// The series that it gave last; those that it no longer gives are ended.
    given: BTreeSet<Metric>,
}

#[derive(Debug)]
enum Kind {
    Record(String),
    Alert(Alerting),
}

impl Rules {
    /// Reads a file's text; `name` is shown as its path, and `interval` (milliseconds) is that of groups that name none.
    pub fn parse(text: &str, name: &str, interval: i64) -> Result<Self, RuleError> {
        file::parse(text, name, interval).map(|groups| Self { groups })
    }

    /// Evaluates the groups that are due at `now` (milliseconds). What a rule gives is handed to `store` before the next rule
    /// is evaluated, which reads it if it is in the engine's storage by then.
    pub fn evaluate(&mut self, engine: &Engine, now: i64, store: &mut dyn FnMut(Recorded)) {
        let due = |g: &&mut Group| g.evaluated.is_none_or(|last| now - last >= g.interval);
        self.groups.iter_mut().filter(due).for_each(|g| g.evaluate(engine, now, store));
    }

    /// `/api/v1/rules`; `kind` is `alert`, `record` or empty.
    pub fn describe(&self, kind: &str, with_alerts: bool) -> Value {
        let groups = self.groups.iter().map(|g| g.describe(kind, with_alerts));
        json!({"groups": groups.filter(|g| kind.is_empty() || g["rules"].as_array().is_some_and(|r| !r.is_empty())).collect::<Vec<_>>()})
    }

    /// `/api/v1/alerts`: those that are pending or firing.
    pub fn alerts(&self) -> Value {
        let rules = self.groups.iter().flat_map(|g| &g.rules);
        let alerts = rules.filter_map(|r| if let Kind::Alert(a) = &r.kind { Some(a.describe()) } else { None });
        json!({"alerts": alerts.flatten().collect::<Vec<_>>()})
    }
}

impl Group {
    fn evaluate(&mut self, engine: &Engine, now: i64, store: &mut dyn FnMut(Recorded)) {
        let begun = std::time::Instant::now();
        self.evaluated = Some(now);
        for rule in &mut self.rules {
            let begun = std::time::Instant::now();
            let (given, error) = match rule.evaluate(engine, now, self.limit) {
                Ok(given) => (given, None),
                Err(error) => (Vec::new(), Some(error)),
            };
            let failed = error.is_some();
            (rule.error, rule.evaluated, rule.took) = (error, Some(now), begun.elapsed().as_secs_f64());
            // A failed evaluation ends no series, as in Prometheus.
            if !failed {
                let metrics: BTreeSet<Metric> = given.iter().map(|(m, _)| m.clone()).collect();
                let ended = rule.given.difference(&metrics).map(|m| (m.clone(), f64::from_bits(STALE)));
                let all = given.iter().cloned().chain(ended);
                all.for_each(|(m, value)| store(Recorded { labels: m.to_map(), sample: Sample { at: now, value } }));
                rule.given = metrics;
            }
        }
        self.took = begun.elapsed().as_secs_f64();
    }

    fn describe(&self, kind: &str, with_alerts: bool) -> Value {
        let rules = self.rules.iter().map(|r| r.describe(with_alerts));
        let wanted = |r: &Value| match kind {
            "alert" => r["type"] == "alerting",
            "record" => r["type"] == "recording",
            _ => true,
        };
        json!({
            "name": self.name, "file": self.file, "rules": rules.filter(wanted).collect::<Vec<_>>(),
            "interval": self.interval as f64 / 1000.0, "limit": self.limit, "evaluationTime": self.took,
            "lastEvaluation": time(self.evaluated),
        })
    }
}

impl Rule {
    fn evaluate(&mut self, engine: &Engine, now: i64, limit: usize) -> Result<Vec<(Metric, f64)>, String> {
        let answer = engine.instant(&self.query, now, Options::default()).map_err(|e| e.to_string())?;
        let found: Vec<(Metric, f64)> = match answer.value {
            Output::Vector(rows) => rows.into_iter().map(|(m, s)| (m, s.value)).collect(),
            Output::Scalar(s) => vec![(Metric::none(), s.value)],
            Output::Text(..) | Output::Matrix(_) => return Err("rule result is not a vector or scalar".into()),
        };
        match &mut self.kind {
            Kind::Alert(alerting) => alerting.evaluate(&self.labels, found, now, limit),
            Kind::Record(name) => {
                let mut seen = BTreeSet::new();
                let mut out = Vec::with_capacity(found.len());
                for (metric, value) in found {
                    let mut labels = metric.to_map();
                    labels.extend(self.labels.clone());
                    labels.insert(NAME.into(), name.clone());
                    let metric = Metric::of(labels);
                    if !seen.insert(metric.clone()) {
                        return Err("vector contains metrics with the same labelset after applying rule labels".into());
                    }
                    out.push((metric, value));
                }
                if limit > 0 && out.len() > limit {
                    return Err(format!("exceeded limit of {limit} with {} series", out.len()));
                }
                Ok(out)
            }
        }
    }

    fn describe(&self, with_alerts: bool) -> Value {
        let health = match (&self.error, self.evaluated) {
            (Some(_), _) => "err",
            (None, Some(_)) => "ok",
            (None, None) => "unknown",
        };
        let mut rule = match &self.kind {
            Kind::Record(name) => json!({"name": name, "query": self.query, "type": "recording"}),
            Kind::Alert(a) => json!({
                "state": a.state(), "name": a.name, "query": self.query, "duration": a.wait as f64 / 1000.0,
                "keepFiringFor": a.keep as f64 / 1000.0, "annotations": a.annotations,
                "alerts": if with_alerts { a.describe() } else { Vec::new() }, "type": "alerting",
            }),
        };
        rule["labels"] = json!(self.labels);
        rule["health"] = health.into();
        rule["evaluationTime"] = self.took.into();
        rule["lastEvaluation"] = time(self.evaluated).into();
        if let Some(error) = &self.error {
            rule["lastError"] = error.as_str().into();
        }
        rule
    }
}

/// As Go writes times; that which has not been is Go's zero time.
fn time(ms: Option<i64>) -> String {
    let text = |t: chrono::DateTime<chrono::Utc>| t.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true);
    ms.and_then(chrono::DateTime::from_timestamp_millis).map_or_else(|| "0001-01-01T00:00:00Z".into(), text)
}

#[cfg(test)]
mod tests;
