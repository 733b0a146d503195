//! Which series, labels, values and metrics there are.

use super::params::Params;
use super::{Api, Failure, Outcome, Reply, json};
use crate::sim::promql::eval::QueryError;
use crate::sim::promql::metric::Metric;
use crate::sim::promql::parse::matchers;
use crate::sim::promql::storage::{Matcher, Series};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The series of all `match[]` together; all series when there is none.
fn selected(api: &Api, params: &Params, must_match: bool) -> Result<Vec<Arc<dyn Series>>, Failure> {
    let storage = api.engine.storage();
    let start = params.time_or_none("start")?.unwrap_or(i64::MIN / 4).max(storage.oldest());
    let end = params.time_or_none("end")?.unwrap_or(i64::MAX / 4).min(api.engine.now());
    let parsed = params.all("match[]").map(|m| {
        let found = matchers(m).or_else(|e| {
            // The parser refuses these before it can be seen here.
            if e.to_string().contains("at least one non-empty matcher") { Ok(Vec::new()) } else { Err(e) }
        })?;
        if found.iter().all(|(_, how)| how.matches("")) {
            return Err(QueryError::Bad("match[] must contain at least one non-empty matcher".into()));
        }
        Ok(found)
    });
    let mut sets: Vec<Vec<Matcher>> = parsed
        .collect::<Result<_, QueryError>>()
        .map_err(|e| if must_match { Failure::parameter("match[]", e) } else { Failure::bad(e.to_string()) })?;
    if sets.is_empty() {
        sets.push(Vec::new());
    }
    Ok(sets.iter().flat_map(|set| storage.select(set, start.saturating_sub(1), end)).collect())
}

pub(super) fn series(api: &Api, params: &Params) -> Outcome {
    if params.all("match[]").next().is_none() {
        return Err(Failure::bad("no match[] parameter provided"));
    }
    let limit = params.limit()?;
    let found = selected(api, params, true)?;
    let metrics: BTreeSet<Metric> = found.iter().map(|s| Metric::new(s.labels().clone())).collect();
    let texts: Vec<String> = metrics.iter().map(|m| json(&m.iter().collect::<BTreeMap<_, _>>())).collect();
    let kept = limit.unwrap_or(usize::MAX).min(texts.len());
    let reply = Reply::new(format!("[{}]", texts[..kept].join(",")));
    Ok(if kept < texts.len() { reply.truncated() } else { reply })
}

pub(super) fn labels(api: &Api, params: &Params) -> Outcome {
    let limit = params.limit()?;
    let found = selected(api, params, false)?;
    Ok(list(found.iter().flat_map(|s| s.labels().keys().map(String::as_str)).collect(), limit))
}

pub(super) fn values(api: &Api, params: &Params) -> Outcome {
    if params.name.is_empty() {
        return Err(Failure::bad("invalid label name: \"\""));
    }
    let limit = params.limit()?;
    let found = selected(api, params, false)?;
    Ok(list(found.iter().filter_map(|s| s.labels().get(&params.name).map(String::as_str)).collect(), limit))
}

fn list(values: BTreeSet<&str>, limit: Option<usize>) -> Reply {
    let limit = limit.unwrap_or(usize::MAX);
    let reply = Reply::json(&values.iter().take(limit).collect::<Vec<_>>());
    if values.len() > limit { reply.truncated() } else { reply }
}

pub(super) fn metadata(api: &Api, params: &Params) -> Outcome {
    let number = |name: &str| match params.get(name) {
        "" => Ok(None),
        text => text.parse::<i64>().map(Some).map_err(|_| Failure::bad(format!("{name} must be a number"))),
    };
    let limit = number("limit")?.map_or(usize::MAX, |n| usize::try_from(n).unwrap_or(usize::MAX));
    number("limit_per_metric")?; // each has one
    let metric = params.get("metric");
    let all = api.engine.storage().metadata();
    let chosen = all.into_iter().filter(|(name, _)| metric.is_empty() || name == metric).take(limit);
    let data: BTreeMap<_, _> = chosen
        .map(|(name, meta)| (name, [serde_json::json!({"type": meta.kind, "unit": "", "help": meta.help})]))
        .collect();
    Ok(Reply::json(&data))
}
