//! Expressions of an operator: evaluated within bounds of time and size, with the place of what does not parse.
//!
//! Refused texts never reach the server where our own parser sees the mistake first; where the server sees
//! one, its `1:5: parse error` becomes a character of the expression.

use super::PromClient;
use super::answer::{Datum, Labels, Sample, Track};
use super::error::PromError;
use crate::model::query::{Answer, Fault, LONGEST, MOST_SERIES, Query, Series, Wanted, Words};
use crate::model::text::clean;
use crate::model::time;
use chrono::TimeDelta;
use std::fmt::Write as _;
use std::sync::Arc;

/// Most points of one series.
const MOST_POINTS: i64 = 2000;

/// Most names that are kept for completion.
const MOST_NAMES: usize = 20_000;

/// Evaluates an expression. `LONGEST` characters and `MOST_POINTS` points a series are the bounds beside those
/// of the client, which are of time and of bytes.
pub async fn query(server: &PromClient, query: &Query) -> Result<Answer, Fault> {
    let text = query.expression.trim();
    if text.is_empty() {
        return Err(Fault { why: "there is no expression".into(), at: None });
    }
    if text.chars().count() > LONGEST {
        return Err(Fault { why: format!("more than {LONGEST} characters").into(), at: Some(LONGEST) });
    }
    let Some(span) = query.range else {
        let got = server.query(text).await;
        return match got {
            Ok(got) => Ok(instant(got.data, &got.notes)),
            // Of a range selector the samples themselves are shown.
            Err(PromError::BadQuery { ref why, .. }) if why.contains("does not evaluate to an instant") => {
                let got = server.query_raw(text).await.map_err(|e| fault(&e, text))?;
                Ok(tracks(got.data, &got.notes))
            }
            Err(e) => Err(fault(&e, text)),
        };
    };
    let least = (span.to - span.from).num_seconds() / MOST_POINTS + 1;
    let step = span.step.max(u32::try_from(least).unwrap_or(u32::MAX));
    let got = server.query_range(text, span.from, span.to, step).await.map_err(|e| fault(&e, text))?;
    Ok(tracks(got.data, &got.notes))
}

/// Names for completion, of what was measured in the last hour.
pub async fn words(server: &PromClient, wanted: &Wanted) -> Result<Words, PromError> {
    let to = time::now();
    let from = to - TimeDelta::hours(1);
    let shared = |mut names: Vec<String>| {
        names.sort_unstable();
        names.truncate(MOST_NAMES);
        names.into_iter().map(|n| Arc::from(&*clean(&n))).collect::<Arc<[Arc<str>]>>()
    };
    Ok(match wanted {
        Wanted::Names => Words::Names {
            metrics: shared(server.label_values("__name__", None, from, to).await?.data),
            labels: shared(server.labels(None, from, to).await?.data),
        },
        Wanted::Values(label) => Words::Values {
            label: label.clone(),
            values: shared(server.label_values(label, None, from, to).await?.data),
        },
        Wanted::Meaning(metric) => {
            let told = server.metadata(metric).await?.data;
            let text = told.values().flatten().next().map_or_else(String::new, |m| {
                let unit = if m.unit.is_empty() { String::new() } else { format!(", {}", m.unit) };
                format!("{}{unit}: {}", m.kind, m.help)
            });
            Words::Meaning { metric: metric.clone(), text: clean(&text).into() }
        }
    })
}

fn notes(notes: &[String]) -> Vec<Arc<str>> {
    notes.iter().map(|n| n.as_str().into()).collect()
}

fn instant(samples: Vec<Sample>, said: &[String]) -> Answer {
    let mut out = Answer { notes: notes(said), ..Answer::default() };
    for s in samples {
        match s.value {
            Datum::Float(_) if out.series.len() == MOST_SERIES => out.left_out += 1,
            Datum::Float(v) => {
                let points = vec![(s.at.timestamp_millis() as f64 / 1000.0, v)];
                out.series.push(Series { name: name(&s.labels), points });
            }
            Datum::Histogram(_) => out.histograms += 1,
        }
    }
    out
}

fn tracks(tracks: Vec<Track>, said: &[String]) -> Answer {
    let mut out = Answer { notes: notes(said), ..Answer::default() };
    for t in tracks {
        out.histograms += usize::from(!t.histograms.is_empty());
        if t.points.is_empty() {
            continue;
        }
        if out.series.len() == MOST_SERIES {
            out.left_out += 1;
            continue;
        }
        let points = t.points.iter().map(|(at, v)| (at.timestamp_millis() as f64 / 1000.0, *v)).collect();
        out.series.push(Series { name: name(&t.labels), points });
    }
    out
}

/// `up{job="api"}`; `{}` for a series without labels.
fn name(labels: &Labels) -> Arc<str> {
    let mut out = labels.get("__name__").unwrap_or_default().to_owned();
    let rest: Vec<_> = labels.iter().filter(|(n, _)| *n != "__name__").collect();
    if !rest.is_empty() || out.is_empty() {
        out.push('{');
        for (i, (n, v)) in rest.iter().enumerate() {
            let comma = if i > 0 { ", " } else { "" };
            let _ = write!(out, "{comma}{n}={v:?}");
        }
        out.push('}');
    }
    out.into()
}

/// The reason without what the operator sees anyway (the query), and the character it is about.
fn fault(e: &PromError, text: &str) -> Fault {
    let PromError::BadQuery { why, .. } = e else { return Fault { why: e.to_string().into(), at: None } };
    // `bad_data: invalid parameter "query": 1:5: parse error: unexpected …`
    let place = why.split_once(": parse error").and_then(|(before, _)| {
        let (rest, column) = before.rsplit_once(':')?;
        let line = rest.rsplit([' ', ':']).next()?;
        Some((line.parse::<usize>().ok()?, column.parse::<usize>().ok()?))
    });
    let at = place.and_then(|(line, column)| {
        let before: usize = text.split('\n').take(line.checked_sub(1)?).map(|l| l.chars().count() + 1).sum();
        // The server counts bytes of the line, from 1.
        let row = text.split('\n').nth(line - 1)?;
        let bytes = column.checked_sub(1)?.min(row.len());
        Some(before + row.char_indices().take_while(|(i, _)| *i < bytes).count())
    });
    let why = why.split_once("parse error: ").map_or(why.as_str(), |(_, rest)| rest);
    Fault { why: why.into(), at }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(why: &str, text: &str) -> Fault {
        fault(&PromError::BadQuery { place: "p".into(), why: why.into(), query: text.into() }, text)
    }

    #[test]
    fn the_place_a_server_names_becomes_a_character() {
        let f = refused("bad_data: invalid parameter \"query\": 1:8: parse error: unexpected <eof>", "sum(up)+");
        assert_eq!((f.at, &*f.why), (Some(7), "unexpected <eof>"));
        // Two bytes before the place are one character; the second line counts on.
        assert_eq!(refused("1:5: parse error: x", "\"ü\" +").at, Some(3));
        assert_eq!(refused("2:2: parse error: x", "up +\n)").at, Some(6));
        for unknown in ["unknown position: parse error: x", "execution: too many samples", "0:0: parse error: x"] {
            assert_eq!(refused(unknown, "up").at, None, "{unknown}");
        }
    }

    #[test]
    fn more_series_than_are_kept_are_counted() {
        let at = time::now();
        let sample = |i: usize| Sample {
            labels: [("__name__", "up"), ("job", i.to_string().as_str())].into_iter().collect(),
            at,
            value: Datum::Float(1.0),
        };
        let a = instant((0..MOST_SERIES + 7).map(sample).collect(), &["late".to_owned()]);
        assert_eq!((a.series.len(), a.left_out, a.notes.len()), (MOST_SERIES, 7, 1));
        assert_eq!(&*a.series[3].name, "up{job=\"3\"}");
        assert_eq!(&*name(&Labels::default()), "{}");
    }
}
