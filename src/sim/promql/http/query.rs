//! `query`, `query_range` and what else takes an expression.

use super::params::{Params, duration};
use super::{Api, Failure, Outcome, Reply, json};
use crate::sim::promql::engine::{Answer, Options, Output, Stats};
use crate::sim::promql::eval::QueryError;
use crate::sim::promql::format;
use crate::sim::promql::metric::Metric;
use crate::sim::promql::parse::parse;
use crate::sim::promql::storage::Sample;
use std::time::Duration;

/// More points for each series are refused.
const MOST_POINTS: i128 = 11_000;

pub(super) fn instant(api: &Api, params: &Params) -> Outcome {
    let limit = params.limit()?;
    let at = params.time_or_none("time")?.unwrap_or_else(|| api.engine.now());
    let options = options(params)?;
    Ok(answer(api.engine.instant(params.get("query"), at, options)?, params, limit))
}

pub(super) fn range(api: &Api, params: &Params) -> Outcome {
    let limit = params.limit()?;
    let (start, end) = (params.time("start")?, params.time("end")?);
    if end < start {
        return Err(Failure::parameter("end", "end timestamp must not be before start time"));
    }
    let step = params.duration("step")?;
    if step <= 0 {
        let why = "zero or negative query resolution step widths are not accepted. Try a positive integer";
        return Err(Failure::parameter("step", why));
    }
    if i128::from(end - start) * 1_000_000 / step > MOST_POINTS {
        let why = "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)";
        return Err(Failure::bad(why));
    }
    let options = options(params)?;
    let step = i64::try_from(step / 1_000_000).unwrap_or(i64::MAX / 4).min(i64::MAX / 4);
    Ok(answer(api.engine.range(params.get("query"), start, end, step, options)?, params, limit))
}

pub(super) fn format(_: &Api, params: &Params) -> Outcome {
    Ok(Reply::json(&parse(params.get("query"))?.prettify()))
}

/// None are stored.
pub(super) fn exemplars(_: &Api, params: &Params) -> Outcome {
    let (start, end) = (params.time_or_none("start")?, params.time_or_none("end")?);
    if let (Some(start), Some(end)) = (start, end)
        && end < start
    {
        return Err(Failure::bad("end timestamp must not be before start timestamp"));
    }
    match parse(params.get("query")) {
        Err(QueryError::Bad(text)) => Err(Failure::bad(text)),
        Err(other) => Err(other.into()),
        Ok(_) => Ok(Reply::new("[]".into())),
    }
}

fn options(params: &Params) -> Result<Options, Failure> {
    let timeout = match params.get("timeout") {
        "" => None,
        _ => Some(params.duration("timeout")?),
    };
    let lookback = match params.get("lookback_delta") {
        "" => None,
        text => {
            let why = |e| Failure::bad(format!("error parsing lookback delta duration: {e}"));
            Some(duration(text).map_err(why)?)
        }
    };
    Ok(Options {
        timeout: timeout.map(|t| Duration::from_nanos(u64::try_from(t).unwrap_or_default())),
        lookback: lookback.and_then(|l| i64::try_from(l / 1_000_000).ok()),
    })
}

fn answer(mut answer: Answer, params: &Params, limit: Option<usize>) -> Reply {
    let limit = limit.unwrap_or(usize::MAX);
    let truncated = match &mut answer.value {
        Output::Vector(rows) if rows.len() > limit => {
            rows.truncate(limit);
            true
        }
        Output::Matrix(rows) if rows.len() > limit => {
            rows.truncate(limit);
            true
        }
        _ => false,
    };
    let mut data = String::new();
    write_value(&answer.value, &mut data);
    if !params.get("stats").is_empty() {
        data.push_str(",\"stats\":");
        data.push_str(&stats(answer.stats));
    }
    data.push('}');
    let reply = Reply::new(data).with_notes(answer.notes);
    if truncated { reply.truncated() } else { reply }
}

fn write_value(value: &Output, out: &mut String) {
    let list = |out: &mut String, n: usize| out.push_str(if n == 0 { "" } else { "," });
    match value {
        Output::Scalar(sample) => {
            out.push_str(r#"{"resultType":"scalar","result":"#);
            point(*sample, out);
        }
        Output::Text(at, text) => {
            out.push_str(r#"{"resultType":"string","result":["#);
            format::time(*at, out);
            out.push(',');
            out.push_str(&json(text));
            out.push(']');
        }
        Output::Vector(rows) => {
            out.push_str(r#"{"resultType":"vector","result":["#);
            for (n, (metric, sample)) in rows.iter().enumerate() {
                list(out, n);
                labels(metric, out);
                out.push_str(",\"value\":");
                point(*sample, out);
                out.push('}');
            }
            out.push(']');
        }
        Output::Matrix(rows) => {
            out.push_str(r#"{"resultType":"matrix","result":["#);
            for (n, row) in rows.iter().enumerate() {
                list(out, n);
                labels(&row.metric, out);
                out.push_str(",\"values\":[");
                for (n, sample) in row.points.iter().enumerate() {
                    list(out, n);
                    point(*sample, out);
                }
                out.push_str("]}");
            }
            out.push(']');
        }
    }
}

fn labels(metric: &Metric, out: &mut String) {
    out.push_str(r#"{"metric":{"#);
    for (n, (label, value)) in metric.iter().enumerate() {
        out.push_str(if n == 0 { "" } else { "," });
        out.push_str(&json(&label));
        out.push(':');
        out.push_str(&json(&value));
    }
    out.push('}');
}

fn point(sample: Sample, out: &mut String) {
    out.push('[');
    format::time(sample.at, out);
    out.push_str(",\"");
    format::value(sample.value, out);
    out.push_str("\"]");
}

fn stats(stats: Stats) -> String {
    let seconds = |d: Duration| d.as_secs_f64();
    json(&serde_json::json!({
        "timings": {
            "evalTotalTime": seconds(stats.preparation + stats.evaluation),
            "resultSortTime": 0.0,
            "queryPreparationTime": seconds(stats.preparation),
            "innerEvalTime": seconds(stats.evaluation),
            "execQueueTime": 0.0,
            "execTotalTime": seconds(stats.preparation + stats.evaluation),
        },
        "samples": { "totalQueryableSamples": stats.samples, "peakSamples": stats.peak },
    }))
}
