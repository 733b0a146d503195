//! The simulated Prometheus against the real one: the same samples, the same requests, answers compared.
//! `tests/promql_differential.sh` builds and starts a Prometheus 3 for it.
//!
//! Samples reach the real one by remote write, so that staleness markers and every bit of a NaN arrive.

mod data;
mod known;
#[path = "../../src/sim/promql/memory.rs"]
mod memory;
mod write;

/// For `memory`, which is the room's own.
mod storage {
    pub use kansole::sim::promql::storage::*;
}

use data::{EVERY, SCRAPES, START};
use kansole::sim::promql::engine::Engine;
use kansole::sim::promql::http::{Api, router};
use serde_json::Value;
use std::sync::Arc;

/// Values that differ by less than this part are the same: the two have different sines and logarithms.
const CLOSE: f64 = 1e-11;

fn real() -> String {
    std::env::var("KANSOLE_REAL_PROMETHEUS").expect("run tests/promql_differential.sh")
}

/// Serves the samples on a loopback port.
async fn simulated(series: &[data::Made]) -> String {
    let mut memory = memory::Memory::default();
    for s in series {
        let labels: Vec<_> = s.labels.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        memory.add(&labels, s.samples.iter().copied());
    }
    let engine = Engine::new(Arc::new(memory), || START + SCRAPES * EVERY);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router(Arc::new(Api::new(Arc::new(engine))))).await });
    url
}

/// A request: path and parameters.
struct Ask {
    path: String,
    form: Vec<(&'static str, String)>,
}

impl std::fmt::Display for Ask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let form: Vec<String> = self.form.iter().map(|(k, v)| format!("{k}={v}")).collect();
        write!(f, "{} {}", self.path, form.join(" "))
    }
}

/// Every expression at several instants and over two ranges, and then what is not an expression.
fn asks() -> Vec<Ask> {
    // At a scrape, between two, early, where series have just ended, and long after.
    let at = |scrape: i64, ms: i64| format!("{:.3}", (START + scrape * EVERY + ms) as f64 / 1000.0);
    let instants = [at(240, 0), at(300, 7123), at(3, 11_000), at(250, 0), at(SCRAPES + 8, 500)];
    let ranges = [(at(95, 1500), at(290, 0), "61"), (at(0, -60_000), at(SCRAPES + 20, 0), "13m")];
    let mut asks = Vec::new();
    let lines = include_str!("expressions.promql").lines();
    for query in lines.map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#')) {
        for time in &instants {
            asks.push(Ask { path: "query".into(), form: vec![("query", query.into()), ("time", time.clone())] });
        }
        for (start, end, step) in &ranges {
            let form =
                vec![("query", query.into()), ("start", start.clone()), ("end", end.clone()), ("step", (*step).into())];
            asks.push(Ask { path: "query_range".into(), form });
        }
    }
    asks.extend(others());
    asks
}

/// Requests that are wrong in other ways, and other endpoints.
fn others() -> Vec<Ask> {
    let now = (START / 1000 + 3600).to_string();
    let range = |start: &str, end: &str, step: &str| {
        let form = [("query", "up"), ("start", start), ("end", end), ("step", step)];
        Ask { path: "query_range".into(), form: form.map(|(k, v)| (k, v.to_owned())).to_vec() }
    };
    let ask = |path: &str, form: &[(&'static str, &str)]| Ask {
        path: path.into(),
        form: form.iter().map(|(k, v)| (*k, (*v).to_owned())).collect(),
    };
    vec![
        ask("query", &[]),
        ask("query", &[("query", "up"), ("time", "never")]),
        ask("query", &[("query", "up"), ("time", "2023-11-14T23:13:20Z")]),
        ask("query", &[("query", "up"), ("time", "2023-11-14T23:13:20.5+01:00")]),
        ask("query", &[("query", "up"), ("time", &now), ("limit", "1")]),
        ask("query", &[("query", "up"), ("time", &now), ("limit", "-1")]),
        ask("query", &[("query", "up"), ("time", &now), ("limit", "x")]),
        ask("query", &[("query", "up"), ("time", &now), ("timeout", "x")]),
        ask("query", &[("query", "sparse"), ("time", &now), ("lookback_delta", "10m")]),
        ask("query", &[("query", "sparse"), ("time", &now), ("lookback_delta", "x")]),
        range("", &now, "60"),
        range("1700000000", "", "60"),
        range("1700003600", "1700000000", "60"),
        range("1700000000", &now, "0"),
        range("1700000000", &now, "-5"),
        range("1700000000", &now, "x"),
        range("1700000000", &now, ""),
        range("0", &now, "1"),
        range("1700000000", &now, "1e300"),
        range("1700000000", &now, "1m30s"),
        range("2023-11-14T22:13:20Z", "2023-11-14T23:13:20Z", "5m"),
        ask("format_query", &[("query", "sum by(job)(rate(up[5m]))")]),
        ask("format_query", &[("query", "sum(")]),
        ask("series", &[]),
        ask("series", &[("match[]", "up")]),
        ask("series", &[("match[]", "up"), ("match[]", "node_load1")]),
        ask("series", &[("match[]", "ends"), ("start", "1700010000"), ("end", "1700012000")]),
        ask("series", &[("match[]", "up{")]),
        ask("series", &[("match[]", "{job=~\".*\"}")]),
        ask("labels", &[]),
        ask("labels", &[("match[]", "up")]),
        ask("labels", &[("match[]", "up"), ("limit", "1")]),
        ask("label/job/values", &[]),
        ask("label/__name__/values", &[]),
        ask("label/nothing/values", &[]),
        ask("label/instance/values", &[("match[]", "up{instance!=\"node-1\"}")]),
        ask("query_exemplars", &[("query", "up")]),
        ask("status/nothing", &[]),
    ]
}

async fn fetch(client: &reqwest::Client, base: &str, ask: &Ask) -> (u16, Value) {
    let request = client.get(format!("{base}/api/v1/{}", ask.path)).query(&ask.form);
    let response = request.send().await.unwrap_or_else(|e| panic!("{ask}: {e}"));
    let code = response.status().as_u16();
    let text = response.text().await.unwrap();
    (code, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

/// How two answers compare: nothing, or what differs.
fn differs(ask: &Ask, (real_code, real): &(u16, Value), (our_code, ours): &(u16, Value)) -> Option<String> {
    if real_code != our_code {
        return Some(format!("code {real_code} / {our_code}: {} / {}", brief(real), brief(ours)));
    }
    for key in ["status", "errorType", "error", "warnings", "infos"] {
        let (a, b) = (unplaced(&real[key]), unplaced(&ours[key]));
        if a != b {
            return Some(format!("{key}: {} / {}", brief(&a), brief(&b)));
        }
    }
    let (a, b) = (&real["data"], &ours["data"]);
    if a["resultType"] != b["resultType"] {
        return Some(format!("{} / {}", brief(a), brief(b)));
    }
    if a.get("resultType").is_none() {
        return (sorted(a) != sorted(b)).then(|| format!("{} / {}", brief(a), brief(b)));
    }
    // The order of an instant's series means something only where it was asked for.
    let query = ask.form.first().map_or("", |(_, q)| q.as_str());
    let ordered = ask.path == "query_range" || ["sort", "topk", "bottomk"].iter().any(|f| query.starts_with(f));
    let (a, b) = (rows(&a["result"], ordered), rows(&b["result"], ordered));
    if a.len() != b.len() {
        return Some(format!("{} series / {}: {} / {}", a.len(), b.len(), brief(&a.into()), brief(&b.into())));
    }
    let wrong = a.iter().zip(&b).find(|(a, b)| !alike(a, b))?;
    Some(format!("{} / {}", brief(wrong.0), brief(wrong.1)))
}

/// Without the places in the query (`(1:6)`, `1:6: parse error`), which promql-parser does not tell, and in order.
fn unplaced(value: &Value) -> Value {
    let cut = regex::Regex::new(r" \(\d+:\d+\)$").unwrap();
    match value {
        Value::Array(list) => {
            let mut list: Vec<String> =
                list.iter().map(|v| cut.replace(v.as_str().unwrap_or_default(), "").into_owned()).collect();
            list.sort();
            list.dedup();
            list.into()
        }
        Value::String(text) => {
            let place = regex::Regex::new(r"(\d+:\d+|unknown position): parse error").unwrap();
            place.replace(text, "parse error").into_owned().into()
        }
        other => other.clone(),
    }
}

fn sorted(value: &Value) -> Value {
    match value {
        Value::Array(list) => {
            let mut list = list.clone();
            list.sort_by_key(ToString::to_string);
            list.into()
        }
        other => other.clone(),
    }
}

fn rows(result: &Value, ordered: bool) -> Vec<Value> {
    let mut rows = match result {
        Value::Array(rows) if rows.iter().all(Value::is_object) => rows.clone(),
        other => vec![other.clone()],
    };
    if !ordered {
        rows.sort_by_key(|r| {
            r["metric"].as_object().map(|m| {
                m.iter().map(|(k, v)| (k.clone(), v.to_string())).collect::<std::collections::BTreeMap<_, _>>()
            })
        });
    }
    rows
}

fn alike(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::String(a), Value::String(b)) => a == b || close(a, b),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| alike(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter().all(|(k, v)| b.get(k).is_some_and(|w| if k == "metric" { v == w } else { alike(v, w) }))
        }
        _ => a == b,
    }
}

fn close(a: &str, b: &str) -> bool {
    match (a.parse::<f64>(), b.parse::<f64>()) {
        (Ok(a), Ok(b)) => (a - b).abs() <= CLOSE * a.abs().max(b.abs()).max(1e-300),
        _ => false,
    }
}

fn brief(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().count() > 400 { format!("{}…", text.chars().take(400).collect::<String>()) } else { text }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_simulated_prometheus_answers_as_the_real_one() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let series = data::series();
    let client = reqwest::Client::new();
    let real = real();
    write::send(&client, &real, &series).await;
    let ours = simulated(&series).await;
    let (mut asked, mut agreed, mut exact) = (0, 0, 0);
    let (mut explained, mut found) = (std::collections::BTreeMap::<&str, usize>::new(), known::Found::default());
    let mut unexplained = Vec::new();
    for ask in asks() {
        asked += 1;
        let answers = tokio::join!(fetch(&client, &real, &ask), fetch(&client, &ours, &ask));
        match differs(&ask, &answers.0, &answers.1) {
            None => {
                agreed += 1;
                exact += usize::from(answers.0 == answers.1);
            }
            Some(how) => match found.entry(&ask, &answers.0, &answers.1) {
                Some(known) => *explained.entry(known.why.reason()).or_default() += 1,
                None => unexplained.push(format!("{ask}\n    {how}")),
            },
        }
    }
    println!("{} series, {} samples", series.len(), series.iter().map(|s| s.samples.len()).sum::<usize>());
    for (reason, times) in &explained {
        println!("{times} differ because {reason}");
    }
    let (differ, wrong) = (explained.values().sum::<usize>(), found.wrong());
    println!(
        "promql: {agreed} of {asked} answers agree ({exact} to the last byte), {differ} differ as is known, {} otherwise",
        unexplained.len()
    );
    assert!(unexplained.is_empty(), "unknown differences:\n{}", unexplained.join("\n"));
    assert!(wrong.is_empty(), "known differences have changed:\n{}", wrong.join("\n"));
}
