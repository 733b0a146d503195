//! Faults of the servers themselves: slow, refusing, failing, cut off, out of date. Set by scenarios and by flags while
//! they run; drawn from [`Noise`], so that the same requests in the same order meet the same faults.

use crate::sim::clock::{Clock, seconds};
use crate::sim::noise::Noise;
use crate::sim::status::Status;
use axum::Router;
use axum::body::{Body, HttpBody, to_bytes};
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, RwLock};
use std::time::Duration;

/// What the servers do wrong. Shares are 0..1 of the requests.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Seconds that every answer waits.
    pub latency: f64,
    /// How much of the latency varies: 0.5 is ±50 %.
    pub jitter: f64,
    /// Share answered with 429.
    pub throttled: f64,
    /// Seconds in `Retry-After` of those.
    pub retry_after: u64,
    /// Share answered with a 5xx.
    pub failing: f64,
    /// Watches lose their connection after so many events; 0: never.
    pub reset_after: u64,
    /// Share of JSON answers that end in the middle.
    pub truncated: f64,
    /// Share of lists that answer an older version.
    pub stale: f64,
    /// How many changes older.
    pub stale_by: u64,
    /// Share of watches that are told their version is too old.
    pub expired: f64,
    /// Seconds the servers' clock is ahead (negative: behind), in `Date` and in timestamps of measurements.
    pub skew: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            latency: 0.0,
            jitter: 0.0,
            throttled: 0.0,
            retry_after: 1,
            failing: 0.0,
            reset_after: 0,
            truncated: 0.0,
            stale: 0.0,
            stale_by: 50,
            expired: 0.0,
            skew: 0.0,
        }
    }
}

/// The faults of one cluster's servers, shared between those who set them and those who have them.
#[derive(Debug)]
pub struct Faults {
    settings: RwLock<Settings>,
    noise: Noise,
    drawn: AtomicI64,
    clock: Arc<Clock>,
}

impl Faults {
    /// None yet.
    pub fn new(clock: Arc<Clock>, noise: Noise) -> Self {
        Self { settings: RwLock::default(), noise: noise.of("faults"), drawn: AtomicI64::new(0), clock }
    }

    /// What is set.
    pub fn settings(&self) -> Settings {
        self.settings.read().expect("no panic while held").clone()
    }

    /// Changes what is set, from the next request on.
    pub fn change(&self, change: impl FnOnce(&mut Settings)) {
        change(&mut self.settings.write().expect("no panic while held"));
    }

    /// The servers' idea of the time.
    pub fn now(&self) -> crate::model::time::Timestamp {
        self.clock.now() + seconds(self.settings().skew)
    }

    fn draw(&self) -> f64 {
        self.noise.unit(self.drawn.fetch_add(1, Ordering::Relaxed))
    }

    fn hits(&self, share: f64) -> bool {
        share > 0.0 && self.draw() < share
    }

    /// How many changes back a list should answer.
    pub fn stale(&self) -> Option<u64> {
        let settings = self.settings();
        self.hits(settings.stale).then_some(settings.stale_by)
    }

    /// Whether a watch that begins should be told that its version is too old.
    pub fn expires(&self) -> bool {
        self.hits(self.settings().expired)
    }

    /// Whether a watch loses its connection after so many events.
    pub fn breaks(&self, events: u64) -> bool {
        let after = self.settings().reset_after;
        after > 0 && events >= after
    }

    /// Puts the faults before a server, which answers `failure` when it fails.
    pub fn wrap(self: Arc<Self>, router: Router, failure: Failure) -> Router {
        router.layer(middleware::from_fn_with_state((self, failure), layer))
    }
}

/// What a server answers when it fails.
pub type Failure = fn() -> Response;

async fn layer(State((faults, failure)): State<(Arc<Faults>, Failure)>, request: Request, next: Next) -> Response {
    let settings = faults.settings();
    if settings.latency > 0.0 {
        let factor = 1.0 + settings.jitter * (2.0 * faults.draw() - 1.0);
        tokio::time::sleep(Duration::from_secs_f64((settings.latency * factor).clamp(0.0, 300.0))).await;
    }
    let mut answer = if faults.hits(settings.throttled) {
        let text = "Too many requests, please try again later.\n";
        let retry = [(header::RETRY_AFTER, settings.retry_after.to_string())];
        (StatusCode::TOO_MANY_REQUESTS, retry, text).into_response()
    } else if faults.hits(settings.failing) {
        failure()
    } else {
        next.run(request).await
    };
    if faults.hits(settings.truncated) {
        answer = truncate(answer).await;
    }
    let date = faults.now().format("%a, %d %b %Y %H:%M:%S GMT").to_string();
    if let Ok(date) = HeaderValue::from_str(&date) {
        answer.headers_mut().insert(header::DATE, date);
    }
    answer
}

/// What a server or the proxy before it answers that is not there.
pub fn unavailable() -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable\n").into_response()
}

/// What an API server answers whose etcd does not.
pub fn etcd_timeout() -> Response {
    let status = Status::new(500, "", "etcdserver: request timed out");
    let head = [(header::CONTENT_TYPE, "application/json")];
    (StatusCode::INTERNAL_SERVER_ERROR, head, status.body().to_string()).into_response()
}

/// Cuts a JSON answer that has an end (a watch has none) in half.
async fn truncate(answer: Response) -> Response {
    let (mut parts, body) = answer.into_parts();
    let json = parts.headers.get(header::CONTENT_TYPE).is_some_and(|t| t.as_bytes().starts_with(b"application/json"));
    if !json || body.size_hint().exact().is_none() {
        return Response::from_parts(parts, body);
    }
    let bytes = to_bytes(body, usize::MAX).await.unwrap_or_default();
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(bytes.slice(..bytes.len() / 2)))
}
