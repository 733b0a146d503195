//! OTLP over gRPC. The codec hands messages on as bytes: they are weighed before they are decoded, as those of HTTP are.

use super::gate::{ARRIVAL, Encoding, Gate, RETRY, Refusal};
use crate::monitor::traces::run::Slot;
use crate::monitor::traces::tally::Why;
use axum::body::Bytes;
use futures::future::BoxFuture;
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTracePartialSuccess, ExportTraceServiceResponse};
use prost::Message;
use prost::bytes::Buf as _;
use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;
use tonic::codec::{Codec, CompressionEncoding, DecodeBuf, Decoder, EnabledCompressionEncodings, EncodeBuf, Encoder};
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Code, Request, Response, Status};

/// What exporters call.
const EXPORT: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
/// Requests under way on one connection; the rest waits unread.
const STREAMS: u32 = 16;
/// A connection that is silent for so long is asked whether it is still there.
const ALIVE: Duration = Duration::from_secs(60);

/// Serves until cancelled.
pub async fn serve(listener: TcpListener, gate: Arc<Gate>, cancel: CancellationToken) -> io::Result<()> {
    Server::builder()
        .max_concurrent_streams(STREAMS)
        .http2_keepalive_interval(Some(ALIVE))
        .add_service(Traces { gate })
        .serve_with_incoming_shutdown(TcpIncoming::from(listener), cancel.cancelled_owned())
        .await
        .map_err(io::Error::other)
}

/// The trace service.
#[derive(Clone)]
struct Traces {
    gate: Arc<Gate>,
}

impl NamedService for Traces {
    const NAME: &'static str = "opentelemetry.proto.collector.trace.v1.TraceService";
}

impl tower::Service<http::Request<tonic::body::Body>> for Traces {
    type Response = http::Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<tonic::body::Body>) -> Self::Future {
        let gate = self.gate.clone();
        Box::pin(async move {
            if request.uri().path() != EXPORT {
                return Ok(Status::unimplemented(format!("only {EXPORT} is served")).into_http());
            }
            // Before any of the message is read.
            let place = match gate.enter().await {
                Ok(place) => place,
                Err(refusal) => return Ok(status(&refusal).into_http()),
            };
            let mut gzip = EnabledCompressionEncodings::default();
            gzip.enable(CompressionEncoding::Gzip);
            let mut grpc = Grpc::new(Raw)
                .apply_compression_config(gzip, EnabledCompressionEncodings::default())
                .apply_max_message_size_config(Some(gate.message), None);
            let call = Call { gate: gate.clone(), place: Some(place) };
            let Ok(response) = tokio::time::timeout(ARRIVAL, grpc.unary(call, request)).await else {
                let says = format!("the message did not arrive within {} s", ARRIVAL.as_secs());
                gate.refuse(Why::Undecodable, says.clone());
                return Ok(Status::deadline_exceeded(says).into_http());
            };
            count(&gate, &response);
            Ok(response)
        })
    }
}

/// Counts what tonic refused before we saw it. Our own refusals are counted already, and say so.
fn count(gate: &Gate, response: &http::Response<tonic::body::Body>) {
    let code = |name: &str| response.headers().get(name)?.to_str().ok()?.parse().ok().map(Code::from_i32);
    let ours = response.headers().contains_key(OURS);
    match code("grpc-status") {
        None | Some(Code::Ok) => {}
        Some(_) if ours => {}
        Some(Code::OutOfRange | Code::ResourceExhausted) => drop(gate.too_large("")),
        Some(Code::Unimplemented) => drop(gate.refuse(Why::Foreign, "")),
        Some(_) => drop(gate.refuse(Why::Undecodable, "")),
    }
}

/// Marks a refusal that the gate has counted.
const OURS: &str = "kansole-refused";

struct Call {
    gate: Arc<Gate>,
    place: Option<OwnedSemaphorePermit>,
}

impl UnaryService<Bytes> for Call {
    type Response = ExportTraceServiceResponse;
    type Future = BoxFuture<'static, Result<Response<ExportTraceServiceResponse>, Status>>;

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        let (gate, place) = (self.gate.clone(), self.place.take());
        Box::pin(async move {
            let place = place.ok_or_else(|| Status::internal("one message a call"))?;
            let taken = gate.take(Slot::Grpc, Encoding::Proto, false, request.into_inner(), place).await;
            let rejected = taken.map_err(|refusal| status(&refusal))?;
            let partial_success = (rejected.spans > 0)
                .then_some(ExportTracePartialSuccess { rejected_spans: rejected.spans, error_message: rejected.says });
            Ok(Response::new(ExportTraceServiceResponse { partial_success }))
        })
    }
}

/// `google.rpc.Status` with a `RetryInfo`: only with it may an exporter send again.
#[derive(Clone, PartialEq, Message)]
struct Rich {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

/// `google.protobuf.Any`.
#[derive(Clone, PartialEq, Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// `google.rpc.RetryInfo`: a `google.protobuf.Duration` in field 1.
#[derive(Clone, PartialEq, Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    delay: Option<Seconds>,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct Seconds {
    #[prost(int64, tag = "1")]
    seconds: i64,
}

fn status(refusal: &Refusal) -> Status {
    let says = refusal.says.clone();
    let mut status = match refusal.why {
        Why::Rate | Why::Busy => {
            let value = RetryInfo { delay: Some(Seconds { seconds: RETRY as i64 }) }.encode_to_vec();
            let retry = Any { type_url: "type.googleapis.com/google.rpc.RetryInfo".into(), value };
            let code = Code::ResourceExhausted;
            let rich = Rich { code: code as i32, message: says.clone(), details: vec![retry] };
            Status::with_details(code, says, rich.encode_to_vec().into())
        }
        // Without RetryInfo this says: not again.
        Why::TooLarge => Status::resource_exhausted(says),
        _ => Status::invalid_argument(says),
    };
    status.metadata_mut().insert(OURS, tonic::metadata::MetadataValue::from_static("1"));
    status
}

/// Messages as bytes in, answers out.
#[derive(Clone, Copy)]
struct Raw;

impl Codec for Raw {
    type Encode = ExportTraceServiceResponse;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for Raw {
    type Item = ExportTraceServiceResponse;
    type Error = Status;

    fn encode(&mut self, item: Self::Item, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        item.encode(out).map_err(|e| Status::internal(e.to_string()))
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }
}
