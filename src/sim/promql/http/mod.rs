//! Prometheus's HTTP API (`web/api/v1/api.go` of 3.8): who asks what, and how it is answered.

mod params;
mod query;
mod series;
mod status;

use super::engine::Engine;
use super::eval::QueryError;
use super::format::quoted;
use super::rules::Rules;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, any, get};
use params::Params;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

pub use status::{Target, TargetHealth};

/// Longer bodies are refused; Go's limit for forms.
const LONGEST_BODY: usize = 10 * 1024 * 1024;

/// What the API serves.
pub struct Api {
    engine: Arc<Engine>,
    targets: Box<dyn Fn() -> Vec<Target> + Send + Sync>,
    rules: Option<Arc<Mutex<Rules>>>,
    started: i64,
}

impl Api {
    /// Queries over an engine; without targets.
    pub fn new(engine: Arc<Engine>) -> Self {
        let started = engine.now();
        Self { engine, targets: Box::new(Vec::new), rules: None, started }
    }

    /// With rules, which whoever evaluates them shares.
    #[must_use]
    pub fn with_rules(mut self, rules: Arc<Mutex<Rules>>) -> Self {
        self.rules = Some(rules);
        self
    }

    /// With what is scraped, asked for whenever `/targets` is.
    #[must_use]
    pub fn with_targets(mut self, targets: impl Fn() -> Vec<Target> + Send + Sync + 'static) -> Self {
        self.targets = Box::new(targets);
        self
    }
}

/// What an endpoint gives: `data` as JSON, and remarks.
pub(super) struct Reply {
    data: String,
    warnings: Vec<String>,
    infos: Vec<String>,
}

impl Reply {
    fn new(data: String) -> Self {
        Self { data, warnings: Vec::new(), infos: Vec::new() }
    }

    fn json(data: &impl serde::Serialize) -> Self {
        Self::new(json(data))
    }

    /// Adds remarks: at most ten of each, as Prometheus.
    fn with_notes(mut self, notes: BTreeSet<(bool, String)>) -> Self {
        for (warning, text) in notes {
            if warning { &mut self.warnings } else { &mut self.infos }.push(text);
        }
        for (list, kind) in [(&mut self.warnings, "warning"), (&mut self.infos, "info")] {
            let omitted = list.len().saturating_sub(10);
            if omitted > 0 {
                list.truncate(10);
                list.push(format!("{omitted} more {kind} annotations omitted"));
            }
        }
        self
    }

    fn truncated(mut self) -> Self {
        self.warnings.push("results truncated due to limit".into());
        self
    }
}

/// Text as JSON. Nothing that is serialized here has a reason to fail: texts, numbers and maps with text keys.
pub(super) fn json(data: &impl serde::Serialize) -> String {
    serde_json::to_string(data).expect("texts, numbers and maps of them are always JSON")
}

/// Why a request fails.
pub(super) struct Failure {
    code: StatusCode,
    kind: &'static str,
    text: String,
}

impl Failure {
    fn bad(text: impl Into<String>) -> Self {
        Self { code: StatusCode::BAD_REQUEST, kind: "bad_data", text: text.into() }
    }

    fn parameter(name: &str, text: impl std::fmt::Display) -> Self {
        Self::bad(format!("invalid parameter {}: {text}", quoted(name)))
    }
}

impl From<QueryError> for Failure {
    fn from(error: QueryError) -> Self {
        let (code, kind) = match error {
            // What is wrong with the query is the only thing that is found out when it runs.
            QueryError::Bad(text) => return Self::parameter("query", text),
            QueryError::Execution(_) => (StatusCode::UNPROCESSABLE_ENTITY, "execution"),
            QueryError::Timeout(_) => (StatusCode::SERVICE_UNAVAILABLE, "timeout"),
        };
        Self { code, kind, text: error.to_string() }
    }
}

type Outcome = Result<Reply, Failure>;

/// The API's routes, to be served at the root.
pub fn router(api: Arc<Api>) -> Router {
    let form = |endpoint| call(endpoint, true);
    let plain = |endpoint| call(endpoint, false);
    let v1 = Router::new()
        .route("/query", form(query::instant))
        .route("/query_range", form(query::range))
        .route("/query_exemplars", form(query::exemplars))
        .route("/format_query", form(query::format))
        .route("/labels", form(series::labels))
        .route("/label/{name}/values", plain(series::values))
        .route("/series", form(series::series))
        .route("/metadata", plain(series::metadata))
        .route("/targets", plain(status::targets))
        .route("/scrape_pools", plain(status::scrape_pools))
        .route("/alertmanagers", plain(status::alertmanagers))
        .route("/rules", plain(status::rules))
        .route("/alerts", plain(status::alerts))
        .route("/status/buildinfo", plain(status::build))
        .route("/status/runtimeinfo", plain(status::runtime))
        .route("/status/flags", plain(status::flags))
        .route("/status/config", plain(status::config))
        .route("/status/tsdb", plain(status::tsdb));
    Router::new()
        .nest("/api/v1", v1)
        .route("/-/ready", get(async || "Prometheus Server is Ready.\n"))
        .route("/-/healthy", get(async || "Prometheus Server is Healthy.\n"))
        .fallback(any(async || (StatusCode::NOT_FOUND, "404 page not found\n")))
        .layer(DefaultBodyLimit::max(LONGEST_BODY))
        .with_state(api)
}

/// Serves an endpoint on a thread that may block: a heavy query does not stall the others.
fn call(endpoint: fn(&Api, &Params) -> Outcome, form: bool) -> MethodRouter<Arc<Api>> {
    let serve = async move |State(api): State<Arc<Api>>,
                            name: Option<Path<String>>,
                            RawQuery(query): RawQuery,
                            headers: HeaderMap,
                            body: Bytes| {
        let is_form = headers
            .get(header::CONTENT_TYPE)
            .and_then(|t| t.to_str().ok())
            .is_some_and(|t| t.starts_with("application/x-www-form-urlencoded"));
        let params = Params::new(if is_form { &body } else { &[] }, query.as_deref(), name.map(|Path(n)| n));
        match tokio::task::spawn_blocking(move || endpoint(&api, &params)).await {
            Ok(outcome) => respond(outcome),
            Err(error) => respond(Err(Failure {
                code: StatusCode::INTERNAL_SERVER_ERROR,
                kind: "internal",
                text: format!("unexpected error: {error}"),
            })),
        }
    };
    let routes = get(serve);
    if form { routes.post(serve) } else { routes }
}

fn respond(outcome: Outcome) -> Response {
    let (code, body) = match outcome {
        Ok(reply) => {
            let mut body = String::with_capacity(reply.data.len() + 64);
            body.push_str(r#"{"status":"success","data":"#);
            body.push_str(&reply.data);
            for (name, list) in [("warnings", &reply.warnings), ("infos", &reply.infos)] {
                if !list.is_empty() {
                    body.extend([",\"", name, "\":", &json(list)]);
                }
            }
            body.push('}');
            (StatusCode::OK, body)
        }
        Err(failure) => {
            let text = json(&failure.text);
            (failure.code, format!(r#"{{"status":"error","errorType":"{}","error":{text}}}"#, failure.kind))
        }
    };
    (code, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}
