//! The metrics API as the controller sees it: `metrics.k8s.io/v1beta1` behind the real API server's aggregator.

use crate::traces::{CONTAINERS, Use, WINDOW};
use axum::Router;
use axum::extract::{Query, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use chrono::{DateTime, DurationRound, SecondsFormat, TimeDelta, Utc};
use kansole::sim::serve::{Identity, bind, secured};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{mpsc, oneshot};

/// Where it is served.
pub const GROUP: &str = "/apis/metrics.k8s.io/v1beta1";

/// A question of the controller: it waits for the answer.
pub struct Ask(oneshot::Sender<Value>);

impl Ask {
    /// Answers it.
    pub fn answer(self, list: Value) {
        // A controller that gave up asks again.
        let _ = self.0.send(list);
    }
}

/// Who listens for questions about the pods of an app.
#[derive(Clone, Default)]
pub struct Metrics(Arc<Mutex<BTreeMap<String, mpsc::UnboundedSender<Ask>>>>);

impl Metrics {
    /// Serves on a loopback port, which is given back.
    pub async fn serve(&self) -> u16 {
        let router = Router::new()
            .route(GROUP, get(|| async { json(&resources()) }))
            .route(&format!("{GROUP}/namespaces/{{namespace}}/pods"), get(pods))
            .with_state(self.clone());
        let listener = bind(0).await.expect("a loopback port");
        let port = listener.local_addr().expect("it is bound").port();
        secured(listener, &Identity::new().expect("a certificate"), router).expect("it is served");
        port
    }

    /// The questions about the pods of an app, from now on.
    pub fn listen(&self, app: &str) -> mpsc::UnboundedReceiver<Ask> {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(app.to_owned(), sender);
        receiver
    }
}

fn json(body: &Value) -> Response {
    ([(CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

fn resources() -> Value {
    json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "metrics.k8s.io/v1beta1", "resources": [
        {"name": "pods", "singularName": "", "namespaced": true, "kind": "PodMetrics", "verbs": ["get", "list"]},
    ]})
}

fn list(items: &[Value]) -> Value {
    json!({"kind": "PodMetricsList", "apiVersion": "metrics.k8s.io/v1beta1", "metadata": {}, "items": items})
}

async fn pods(State(metrics): State<Metrics>, Query(query): Query<BTreeMap<String, String>>) -> Response {
    let app = query.get("labelSelector").and_then(|s| s.strip_prefix("app=")).unwrap_or_default();
    let listener = metrics.0.lock().unwrap_or_else(PoisonError::into_inner).get(app).cloned();
    let (sender, receiver) = oneshot::channel();
    if let Some(listener) = listener
        && listener.send(Ask(sender)).is_ok()
        && let Ok(answer) = receiver.await
    {
        return json(&answer);
    }
    // The trace is over.
    json(&list(&[]))
}

/// A time as the API can write it.
pub fn whole_second(time: DateTime<Utc>) -> DateTime<Utc> {
    time.duration_trunc(TimeDelta::seconds(1)).expect("a second is a round duration")
}

/// What the pods use, measured at `now`.
pub fn answer(used: &[(String, Use)], now: DateTime<Utc>) -> Value {
    let time = whole_second(now).to_rfc3339_opts(SecondsFormat::Secs, true);
    let items: Vec<Value> = used
        .iter()
        .map(|(name, used)| {
            let containers: Vec<Value> = CONTAINERS
                .iter()
                .map(|c| {
                    let mut usage = json!({});
                    if let Some(millicores) = used.of(c, "cpu") {
                        usage["cpu"] = format!("{millicores}m").into();
                    }
                    if let Some(thousandths) = used.of(c, "memory") {
                        usage["memory"] = (thousandths / 1000).to_string().into();
                    }
                    json!({"name": c, "usage": usage})
                })
                .collect();
            json!({"metadata": {"name": name}, "timestamp": time, "window": format!("{WINDOW}s"), "containers": containers})
        })
        .collect();
    list(&items)
}
