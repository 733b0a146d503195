//! What the server is, what it scrapes, and what its rules say.

// All endpoints have one shape, also those that cannot fail.
#![allow(clippy::unnecessary_wraps)]

use super::params::Params;
use super::{Api, Failure, Outcome, Reply};
use crate::sim::promql::format::quoted;
use crate::sim::promql::metric::NAME;
use crate::sim::promql::rules::Rules;
use chrono::DateTime;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A target of scrapes.
#[derive(Debug, Clone)]
pub struct Target {
    /// The job that scrapes it.
    pub pool: String,
    /// Where it is scraped.
    pub url: String,
    /// Labels of its series (`job`, `instance`, …).
    pub labels: BTreeMap<String, String>,
    /// Labels that were found, before relabelling.
    pub discovered: BTreeMap<String, String>,
    /// How it is.
    pub health: TargetHealth,
    /// When it was last scraped, milliseconds since 1970.
    pub scraped: i64,
    /// How long that took, seconds.
    pub took: f64,
}

/// How a target is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TargetHealth {
    /// It answered.
    Up,
    /// It did not, and why.
    Down(String),
    /// It was not asked yet.
    Unknown,
}

fn time(ms: i64) -> String {
    DateTime::from_timestamp_millis(ms)
        .map_or_else(String::new, |t| t.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true))
}

pub(super) fn targets(api: &Api, params: &Params) -> Outcome {
    let (state, pool) = (params.get("state"), params.get("scrapePool"));
    let show = |t: &Target| !matches!(state, "dropped") && (pool.is_empty() || t.pool == pool);
    let target = |t: Target| {
        let (health, error) = match t.health {
            TargetHealth::Up => ("up", String::new()),
            TargetHealth::Down(why) => ("down", why),
            TargetHealth::Unknown => ("unknown", String::new()),
        };
        json!({
            "discoveredLabels": t.discovered, "labels": t.labels, "scrapePool": t.pool, "scrapeUrl": t.url,
            "globalUrl": t.url, "lastError": error, "lastScrape": time(t.scraped), "lastScrapeDuration": t.took,
            "health": health, "scrapeInterval": "30s", "scrapeTimeout": "10s",
        })
    };
    let active: Vec<Value> = (api.targets)().into_iter().filter(show).map(target).collect();
    let mut data = json!({"activeTargets": active, "droppedTargets": []});
    if state != "active" {
        data["droppedTargetCounts"] = json!({});
    }
    Ok(Reply::json(&data))
}

pub(super) fn scrape_pools(api: &Api, _: &Params) -> Outcome {
    let mut pools: Vec<String> = (api.targets)().into_iter().map(|t| t.pool).collect();
    pools.sort();
    pools.dedup();
    Ok(Reply::json(&json!({"scrapePools": pools})))
}

pub(super) fn alertmanagers(_: &Api, _: &Params) -> Outcome {
    Ok(Reply::json(&json!({"activeAlertmanagers": [], "droppedAlertmanagers": []})))
}

pub(super) fn rules(api: &Api, params: &Params) -> Outcome {
    let kind = params.get("type").to_lowercase();
    if !matches!(kind.as_str(), "" | "alert" | "record") {
        return Err(Failure::parameter("type", format_args!("not supported value {}", quoted(&kind))));
    }
    let with_alerts = !matches!(params.get("exclude_alerts"), "true" | "1");
    Ok(Reply::json(&told(api, |r| r.describe(&kind, with_alerts)).unwrap_or_else(|| json!({"groups": []}))))
}

pub(super) fn alerts(api: &Api, _: &Params) -> Outcome {
    Ok(Reply::json(&told(api, Rules::alerts).unwrap_or_else(|| json!({"alerts": []}))))
}

fn told(api: &Api, tell: impl Fn(&Rules) -> Value) -> Option<Value> {
    // Rules that a panic has left behind are still worth telling about.
    api.rules.as_ref().map(|rules| tell(&rules.lock().unwrap_or_else(std::sync::PoisonError::into_inner)))
}

pub(super) fn build(_: &Api, _: &Params) -> Outcome {
    Ok(Reply::json(&json!({
        "version": "3.8.1", "revision": "simulated", "branch": "HEAD", "buildUser": "kansole", "buildDate": "",
        "goVersion": "",
    })))
}

pub(super) fn runtime(api: &Api, _: &Params) -> Outcome {
    Ok(Reply::json(&json!({
        "startTime": time(api.started), "CWD": "/prometheus", "hostname": "prometheus", "serverTime": time(api.engine.now()),
        "reloadConfigSuccess": true, "lastConfigTime": time(api.started), "corruptionCount": 0, "goroutineCount": 0,
        "GOMAXPROCS": 1, "GOMEMLIMIT": i64::MAX, "GOGC": "75", "GODEBUG": "", "storageRetention": "15d",
    })))
}

pub(super) fn flags(api: &Api, _: &Params) -> Outcome {
    let limits = api.engine.limits;
    Ok(Reply::json(&json!({
        "query.lookback-delta": crate::sim::promql::format::duration_text(limits.lookback),
        "query.max-samples": limits.max_samples.to_string(),
        "query.timeout": crate::sim::promql::format::duration_text(limits.timeout.as_millis() as i64),
        "storage.tsdb.retention.time": "15d",
    })))
}

pub(super) fn config(api: &Api, _: &Params) -> Outcome {
    let interval = crate::sim::promql::format::duration_text(api.engine.limits.evaluation_interval);
    let yaml = format!("global:\n  scrape_interval: 30s\n  scrape_timeout: 10s\n  evaluation_interval: {interval}\n");
    Ok(Reply::json(&json!({"yaml": yaml})))
}

/// Cardinalities over what is stored now, the ten highest (or `limit`) of each kind.
pub(super) fn tsdb(api: &Api, params: &Params) -> Outcome {
    let limit = match params.get("limit") {
        "" => 10,
        text => match text.parse::<usize>() {
            Ok(n) if n > 0 => n,
            _ => return Err(Failure::bad("limit must be a positive number")),
        },
    };
    let (storage, now) = (api.engine.storage(), api.engine.now());
    let series = storage.select(&[], now - api.engine.limits.lookback, now);
    let mut by_metric: BTreeMap<&str, usize> = BTreeMap::new();
    let mut by_pair: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for (label, value) in series.iter().flat_map(|s| s.labels().iter()) {
        *by_pair.entry((label, value)).or_default() += 1;
        if label == NAME {
            *by_metric.entry(value).or_default() += 1;
        }
    }
    let (mut values, mut bytes): (BTreeMap<&str, usize>, BTreeMap<&str, usize>) = Default::default();
    for (label, value) in by_pair.keys() {
        *values.entry(label).or_default() += 1;
        *bytes.entry(label).or_default() += value.len();
    }
    let top = |counts: Vec<(String, usize)>| {
        let mut counts = counts;
        counts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        counts.into_iter().take(limit).map(|(name, value)| json!({"name": name, "value": value})).collect::<Vec<_>>()
    };
    let named = |counts: &BTreeMap<&str, usize>| top(counts.iter().map(|(k, n)| ((*k).to_owned(), *n)).collect());
    let pairs = by_pair.iter().map(|((k, v), n)| (format!("{k}={v}"), *n)).collect();
    Ok(Reply::json(&json!({
        "headStats": {
            "numSeries": series.len(), "numLabelPairs": by_pair.len(), "chunkCount": series.len(),
            "minTime": storage.oldest(), "maxTime": now,
        },
        "seriesCountByMetricName": named(&by_metric),
        "labelValueCountByLabelName": named(&values),
        "memoryInBytesByLabelName": named(&bytes),
        "seriesCountByLabelValuePair": top(pairs),
    })))
}
