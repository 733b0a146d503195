//! The same for a real Prometheus: `/sd` tells the targets (HTTP service discovery), `/targets/<name>/metrics` is the page
//! of each in the text format 0.0.4, `/prometheus.yml` a configuration that scrapes them under the labels of ours.

use super::target::{Info, Which};
use super::{STEP, Tsdb};
use crate::sim::export::{self, Family, Live, Sink, Unit, state, system};
use crate::sim::machine::Shared;
use crate::sim::store::Store;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

/// What the pages are made from.
#[derive(Clone)]
struct Pages {
    store: Arc<Store>,
    machines: Shared,
    db: Arc<Tsdb>,
}

/// Routes `/sd`, `/prometheus.yml` and `/targets/<name>/metrics`.
pub fn router(store: Arc<Store>, machines: Shared, db: Arc<Tsdb>) -> Router {
    Router::new()
        .route("/sd", get(discovery))
        .route("/prometheus.yml", get(configuration))
        .route("/targets/{name}/metrics", get(page))
        .with_state(Pages { store, machines, db })
}

fn host(headers: &HeaderMap) -> &str {
    headers.get(header::HOST).and_then(|h| h.to_str().ok()).unwrap_or("127.0.0.1")
}

async fn discovery(State(pages): State<Pages>, headers: HeaderMap) -> Response {
    let body = targets(&pages.db, host(&headers)).to_string();
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// One group per target: where it is really scraped, and the labels its series are to have.
fn targets(db: &Tsdb, host: &str) -> Value {
    let group = |info: &Info| {
        let mut labels = info.labels.clone();
        labels.insert("__metrics_path__".into(), format!("/targets/{}/metrics", info.name));
        json!({"targets": [host], "labels": labels})
    };
    db.targets().iter().map(|t| group(&t.info)).collect()
}

async fn configuration(headers: HeaderMap) -> Response {
    ([(header::CONTENT_TYPE, "application/yaml")], prometheus_yml(host(&headers))).into_response()
}

/// A `prometheus.yml` that scrapes everything served at `host` (`127.0.0.1:PORT`). Labels of a sample win over those of
/// its target, as kube-prometheus has it for the kubelet and kube-state-metrics.
pub fn prometheus_yml(host: &str) -> String {
    let seconds = STEP / 1000;
    format!(
        "global:\n  scrape_interval: {seconds}s\nscrape_configs:\n- job_name: kansole-demo\n  honor_labels: true\n  \
         http_sd_configs:\n  - url: http://{host}/sd\n    refresh_interval: {seconds}s\n"
    )
}

async fn page(State(pages): State<Pages>, Path(name): Path<String>) -> Response {
    let Some(target) = pages.db.targets().into_iter().find(|t| t.info.name == name) else {
        return (StatusCode::NOT_FOUND, format!("no target {name}\n")).into_response();
    };
    let known = pages.db.known();
    let text = {
        let machines = pages.machines.lock();
        let live = Live { machines: &machines, known: &known, now: pages.store.clock().now() };
        if !target.info.answers(&live) {
            return (StatusCode::SERVICE_UNAVAILABLE, "the exporter does not answer\n").into_response();
        }
        measured(&target.info, &live, &pages.db)
    };
    let text = if target.info.which == Which::State { objects(&pages.store) } else { text };
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text.finish()).into_response()
}

fn measured(info: &Info, live: &Live, db: &Tsdb) -> Text {
    let mut text = Text::default();
    for unit in info.units(live) {
        if unit == Unit::Own {
            own(db, &mut text);
        } else {
            export::measure(&unit, live, &mut text);
        }
    }
    text
}

fn objects(store: &Store) -> Text {
    let mut text = Text::default();
    for (key, _) in state::kinds() {
        for object in store.list(key, None).1 {
            state::object(key, &object.value(), &mut text);
        }
    }
    text
}

/// What Prometheus says of itself.
pub(super) fn own(db: &Tsdb, sink: &mut dyn Sink) {
    let series = db.index().len() as f64;
    sink.base(&[]);
    sink.put(&system::OWN[0], "", &[("version", "3.8.0"), ("branch", "HEAD"), ("goos", "linux")], 1.0);
    sink.put(&system::OWN[1], "", &[], series);
}

/// A page in the text format: samples of a family stand together under its help and type.
#[derive(Default)]
struct Text {
    base: Vec<(String, String)>,
    families: BTreeMap<&'static str, (&'static Family, String)>,
}

/// A label's value in quotes.
fn escape(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

impl Text {
    fn finish(self) -> String {
        let mut page = String::new();
        for (name, (family, lines)) in self.families {
            let help = family.help.replace('\\', "\\\\").replace('\n', "\\n");
            let _ = write!(page, "# HELP {name} {help}\n# TYPE {name} {}\n{lines}", family.kind.text());
        }
        page
    }
}

impl Sink for Text {
    fn base(&mut self, labels: &[(&str, &str)]) {
        self.base = labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    }

    fn put(&mut self, family: &'static Family, suffix: &'static str, labels: &[(&str, &str)], value: f64) {
        let lines = &mut self.families.entry(family.name).or_insert((family, String::new())).1;
        let base = self.base.iter().map(|(k, v)| (k.as_str(), v.as_str()));
        // A label with an empty value is none, and so must not hide the target's: it is left out.
        let all: Vec<String> = base
            .chain(labels.iter().copied())
            .filter(|(_, v)| !v.is_empty())
            .map(|(k, v)| format!("{k}=\"{}\"", escape(v)))
            .collect();
        let labels = if all.is_empty() { String::new() } else { format!("{{{}}}", all.join(",")) };
        let value = match value {
            v if v == f64::INFINITY => "+Inf".to_owned(),
            v if v == f64::NEG_INFINITY => "-Inf".to_owned(),
            v => v.to_string(),
        };
        let _ = writeln!(lines, "{}{suffix}{labels} {value}", family.name);
    }
}
