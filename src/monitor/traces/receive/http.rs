//! OTLP over HTTP: `POST /v1/traces`, protobuf or JSON, plain or gzip. Answers as the protocol's specification has them.

use super::gate::{ARRIVAL, Encoding, Gate, RETRY, Refusal, Rejected};
use crate::monitor::traces::run::Slot;
use crate::monitor::traces::tally::Why;
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTracePartialSuccess, ExportTraceServiceResponse};
use prost::Message;
use serde_json::json;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Between two attempts to accept when the machine cannot.
const PAUSE: Duration = Duration::from_millis(50);

const PROTOBUF: &str = "application/x-protobuf";
const JSON: &str = "application/json";

/// `google.rpc.Status`, the body of a refusal.
#[derive(Clone, PartialEq, Message)]
pub struct Status {
    /// A gRPC code.
    #[prost(int32, tag = "1")]
    pub code: i32,
    /// For people.
    #[prost(string, tag = "2")]
    pub message: String,
}

/// Connections open at once; who comes when all are taken, waits to be accepted.
const CONNECTIONS: usize = 256;
/// Longest wait for the head of a request, and so longest that a connection may be idle.
const IDLE: Duration = Duration::from_secs(60);

/// Serves until cancelled; requests under way are then answered, and connections that are idle are closed.
pub async fn serve(listener: TcpListener, gate: Arc<Gate>, cancel: CancellationToken) -> io::Result<()> {
    bounded(listener, gate, cancel, IDLE).await
}

/// Like [`serve`] with another patience.
pub(super) async fn bounded(
    listener: TcpListener,
    gate: Arc<Gate>,
    cancel: CancellationToken,
    idle: Duration,
) -> io::Result<()> {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let open = TaskTracker::new();
    let router = router(gate);
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(idle);
    let accept = async {
        loop {
            let place = places.clone().acquire_owned().await.map_err(io::Error::other)?;
            let (stream, _) = match listener.accept().await {
                Ok(accepted) => accepted,
                // The other side left meanwhile, or files ran out: neither ends a server.
                Err(e) => {
                    tracing::warn!("OTLP HTTP: a connection was not accepted: {e}");
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            };
            let connection = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router.clone()));
            let cancel = cancel.clone();
            open.spawn(async move {
                let _place = place;
                let mut connection = std::pin::pin!(connection);
                // What goes wrong here, the sender has done or sees.
                tokio::select! {
                    _ = connection.as_mut() => {}
                    () = cancel.cancelled() => {
                        connection.as_mut().graceful_shutdown();
                        let _ = connection.await;
                    }
                }
            });
        }
    };
    let ended = cancel.run_until_cancelled(accept).await.unwrap_or(Ok(()));
    open.close();
    open.wait().await;
    ended
}

pub(super) fn router(gate: Arc<Gate>) -> Router {
    Router::new().route("/v1/traces", post(export)).with_state(gate)
}

async fn export(State(gate): State<Arc<Gate>>, headers: HeaderMap, body: Body) -> Response {
    let Some(encoding) = encoding(&headers) else {
        let refusal = gate.refuse(Why::Foreign, format!("Content-Type must be {PROTOBUF} or {JSON}"));
        return refused(Encoding::Json, &refusal);
    };
    match receive(&gate, &headers, encoding, body).await {
        Ok(rejected) => accepted(encoding, rejected),
        Err(refusal) => refused(encoding, &refusal),
    }
}

async fn receive(gate: &Arc<Gate>, headers: &HeaderMap, encoding: Encoding, body: Body) -> Result<Rejected, Refusal> {
    let zipped = match headers.get(header::CONTENT_ENCODING).map(HeaderValue::as_bytes) {
        None | Some(b"" | b"identity") => false,
        Some(b"gzip") => true,
        Some(_) => return Err(gate.refuse(Why::Foreign, "Content-Encoding must be gzip or none")),
    };
    let place = gate.enter().await?;
    let read = tokio::time::timeout(ARRIVAL, Limited::new(body, gate.message).collect());
    let bytes = match read.await {
        Ok(Ok(all)) => all.to_bytes(),
        Ok(Err(e)) if e.is::<LengthLimitError>() => return Err(gate.too_large("as sent")),
        Ok(Err(e)) => return Err(gate.refuse(Why::Undecodable, format!("the message did not arrive: {e}"))),
        Err(_) => {
            let says = format!("the message did not arrive within {} s", ARRIVAL.as_secs());
            return Err(gate.refuse(Why::Undecodable, says));
        }
    };
    gate.take(Slot::Http, encoding, zipped, bytes, place).await
}

fn encoding(headers: &HeaderMap) -> Option<Encoding> {
    let text = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    let kind = text.split(';').next().unwrap_or_default().trim();
    if kind.eq_ignore_ascii_case(PROTOBUF) {
        Some(Encoding::Proto)
    } else if kind.eq_ignore_ascii_case(JSON) {
        Some(Encoding::Json)
    } else {
        None
    }
}

fn accepted(encoding: Encoding, rejected: Rejected) -> Response {
    let partial = (rejected.spans > 0)
        .then_some(ExportTracePartialSuccess { rejected_spans: rejected.spans, error_message: rejected.says });
    match encoding {
        Encoding::Proto => {
            let body = ExportTraceServiceResponse { partial_success: partial }.encode_to_vec();
            ([(header::CONTENT_TYPE, PROTOBUF)], body).into_response()
        }
        Encoding::Json => {
            // 64 bits stand in quotes in protobuf's JSON.
            let body = partial.map_or_else(
                || json!({}),
                |p| json!({"partialSuccess": {"rejectedSpans": p.rejected_spans.to_string(), "errorMessage": p.error_message}}),
            );
            ([(header::CONTENT_TYPE, JSON)], body.to_string()).into_response()
        }
    }
}

fn refused(encoding: Encoding, refusal: &Refusal) -> Response {
    // Beside HTTP's code the gRPC code that says the same.
    let (status, code) = match refusal.why {
        Why::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, 8),
        Why::Foreign => (StatusCode::UNSUPPORTED_MEDIA_TYPE, 3),
        Why::Rate | Why::Busy => (StatusCode::TOO_MANY_REQUESTS, 8),
        _ => (StatusCode::BAD_REQUEST, 3),
    };
    let mut response = match encoding {
        Encoding::Proto => {
            let body = Status { code, message: refusal.says.clone() }.encode_to_vec();
            (status, [(header::CONTENT_TYPE, PROTOBUF)], body).into_response()
        }
        Encoding::Json => {
            let body = json!({"code": code, "message": refusal.says}).to_string();
            (status, [(header::CONTENT_TYPE, JSON)], body).into_response()
        }
    };
    if status == StatusCode::TOO_MANY_REQUESTS {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(RETRY));
    }
    response
}
