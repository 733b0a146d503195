//! What is served beside the Kubernetes API: Prometheus, its pages for a real one, and the demo's own controls.

use super::build::Built;
use super::faults::{Both, parse};
use super::play::Play;
use crate::model::demo::Director as _;
use crate::sim::clock::{Clock, rfc3339};
use crate::sim::promql::http::{Api, Target, TargetHealth, router};
use crate::sim::scenario::Servers as _;
use crate::sim::tsdb::{self, Health, Tsdb};
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Router, http::header};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Prometheus's API over what is scraped.
pub(super) fn prometheus(built: &Built) -> Router {
    let tsdb = built.tsdb.clone();
    let targets = move || targets(&tsdb);
    router(Arc::new(Api::new(built.promql.clone()).with_rules(built.rules.clone()).with_targets(targets)))
}

fn targets(tsdb: &Tsdb) -> Vec<Target> {
    let one = |h: Health| Target {
        pool: h.info.labels.get("job").cloned().unwrap_or_default(),
        url: format!("http://prometheus-server.monitoring:9090/targets/{}/metrics", h.info.name),
        labels: h.info.labels.clone(),
        discovered: h.info.labels.clone(),
        health: if h.up { TargetHealth::Up } else { TargetHealth::Down("the exporter does not answer".into()) },
        scraped: h.scraped,
        took: 0.0,
    };
    tsdb.targets().into_iter().map(one).collect()
}

/// Pages for a real Prometheus to scrape.
pub(super) fn scrape(built: &Built) -> Router {
    Router::new().nest("/scrape", tsdb::router(built.store.clone(), built.machines.clone(), built.tsdb.clone()))
}

#[derive(Clone)]
struct Desk {
    play: Arc<Play>,
    clock: Arc<Clock>,
    servers: Arc<Both>,
}

/// `/sim/status`, `/sim/scenarios`, `POST /sim/play?scenario=NAME` (empty: none) and `POST /sim/fault?set=latency=200ms`: for
/// scripts beside a demo that is only served.
pub(super) fn controls(built: &Built) -> Router {
    let servers = Both { api: built.faults.api.clone(), prometheus: built.faults.prometheus.clone() };
    let desk = Desk { play: built.play.clone(), clock: built.store.clock().clone(), servers: Arc::new(servers) };
    Router::new()
        .route("/sim/status", get(status))
        .route("/sim/scenarios", get(scenarios))
        .route("/sim/play", post(play))
        .route("/sim/fault", post(fault))
        .with_state(desk)
}

async fn status(State(desk): State<Desk>) -> Response {
    let p = desk.play.playing();
    let next = p.next.map(|(at, what)| json!({"at": rfc3339(at), "what": what}));
    let body = json!({
        "now": rfc3339(desk.clock.now()), "speed": desk.clock.speed(), "scenario": p.name, "since": p.since.map(rfc3339),
        "next": next, "problems": p.problems,
    });
    json_answer(&body)
}

async fn scenarios(State(desk): State<Desk>) -> Response {
    let all = desk.play.scenarios();
    let all: Vec<serde_json::Value> =
        all.into_iter().map(|s| json!({"name": s.name, "title": s.title, "about": s.about, "cure": s.cure})).collect();
    json_answer(&all.into())
}

fn json_answer(body: &serde_json::Value) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

fn answer(result: Result<String, String>) -> Response {
    match result {
        Ok(said) => (StatusCode::OK, said + "\n").into_response(),
        Err(why) => (StatusCode::BAD_REQUEST, why + "\n").into_response(),
    }
}

async fn play(State(desk): State<Desk>, Query(query): Query<BTreeMap<String, String>>) -> Response {
    let name = query.get("scenario").filter(|n| !n.is_empty());
    answer(desk.play.play(name.map(String::as_str)))
}

async fn fault(State(desk): State<Desk>, Query(query): Query<BTreeMap<String, String>>) -> Response {
    answer(parse(query.get("set").map_or("", String::as_str)).map(|set| {
        desk.servers.set(set.server, set.fault, Some(set.amount));
        format!("{set:?}")
    }))
}
