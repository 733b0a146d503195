//! What every message passes, whatever protocol it came by: places, rate, size, decoding.

use crate::config::settings;
use crate::monitor::traces::bounds::Incoming;
use crate::monitor::traces::otlp::{self, SPAN_ID, TRACE_ID, is_id};
use crate::monitor::traces::proto::{self, ProtoError};
use crate::monitor::traces::run::{News, Slot};
use crate::monitor::traces::tally::{Tally, Why};
use std::io::Read as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::Instant;

/// Messages that are read, decoded or stored at once.
const PLACES: usize = 4;
/// Longest wait for a place.
const WAIT: Duration = Duration::from_secs(2);
/// Longest time for a message to arrive.
pub const ARRIVAL: Duration = Duration::from_secs(10);
/// Seconds after which a sender may try again.
pub const RETRY: u64 = 1;
/// A decoded message may take so many times its largest size.
const DECODED: usize = 8;

/// How a message is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Protobuf.
    Proto,
    /// JSON.
    Json,
}

/// Why a message was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What is counted.
    pub why: Why,
    /// What the sender is told.
    pub says: String,
}

/// Spans that were not taken out of a message that was.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rejected {
    /// How many.
    pub spans: i64,
    /// Why; empty: none.
    pub says: String,
}

/// Spans that may be taken at this moment.
#[derive(Debug)]
struct Bucket {
    left: f64,
    at: Instant,
}

/// The gate.
pub struct Gate {
    places: Arc<Semaphore>,
    bucket: Mutex<Bucket>,
    per_second: f64,
    /// Largest message, bytes, before and after decompression.
    pub message: usize,
    tally: Arc<Tally>,
    /// To the store.
    pub news: mpsc::Sender<News>,
}

impl Gate {
    /// A gate as the settings say.
    pub fn new(settings: &settings::Traces, tally: Arc<Tally>, news: mpsc::Sender<News>) -> Self {
        let per_second = f64::from(settings.spans_per_second);
        Self {
            places: Arc::new(Semaphore::new(PLACES)),
            bucket: Mutex::new(Bucket { left: per_second, at: Instant::now() }),
            per_second,
            message: settings.message as usize,
            tally,
            news,
        }
    }

    /// Counts a refusal and gives it back.
    pub fn refuse(&self, why: Why, says: impl Into<String>) -> Refusal {
        self.tally.lost(why, 1);
        Refusal { why, says: says.into() }
    }

    /// A place for one message, to be asked for before any of it is read.
    pub async fn enter(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        if self.left(0) <= 0.0 {
            let says = format!("more than {} spans per second (traces.spans_per_second)", self.per_second);
            return Err(self.refuse(Why::Rate, says));
        }
        match tokio::time::timeout(WAIT, self.places.clone().acquire_owned()).await {
            Ok(Ok(place)) => Ok(place),
            _ => Err(self.refuse(Why::Busy, format!("{PLACES} messages are under way already"))),
        }
    }

    /// Takes so many spans out of the bucket, which may go below zero by one message; what is left.
    fn left(&self, spans: usize) -> f64 {
        let mut bucket = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let filled = bucket.left + now.duration_since(bucket.at).as_secs_f64() * self.per_second;
        bucket.left = filled.min(self.per_second) - spans as f64;
        bucket.at = now;
        bucket.left
    }

    /// Inflates gzip, at most as far as a message may be large.
    pub fn inflate(&self, bytes: &[u8]) -> Result<Vec<u8>, Refusal> {
        let mut out = Vec::new();
        let mut reader = flate2::read::MultiGzDecoder::new(bytes).take(self.message as u64 + 1);
        reader.read_to_end(&mut out).map_err(|e| self.refuse(Why::Undecodable, format!("not gzip: {e}")))?;
        if out.len() > self.message { Err(self.too_large("after decompression")) } else { Ok(out) }
    }

    /// The refusal of a message that is too large.
    pub fn too_large(&self, when: &str) -> Refusal {
        self.refuse(
            Why::TooLarge,
            format!("more than {} bytes {when} (traces.message); send smaller batches", self.message),
        )
    }

    /// Decodes a message and gives its spans to the store, with its place. Decoding does not hold up anything else.
    pub async fn take(
        self: &Arc<Self>,
        slot: Slot,
        encoding: Encoding,
        zipped: bool,
        bytes: impl AsRef<[u8]> + Send + 'static,
        place: OwnedSemaphorePermit,
    ) -> Result<Rejected, Refusal> {
        let gate = self.clone();
        let decoded = tokio::task::spawn_blocking(move || gate.decode(encoding, zipped, bytes.as_ref()));
        let mut spans = match decoded.await {
            Ok(decoded) => decoded?,
            Err(e) => return Err(self.refuse(Why::Undecodable, format!("decoding broke down: {e}"))),
        };
        let all = spans.len();
        self.left(all);
        spans.retain(|s| is_id(&s.trace, TRACE_ID) && is_id(&s.span.id, SPAN_ID));
        let bad = all - spans.len();
        self.tally.lost(Why::BadId, bad);
        if self.news.send(News::Spans(slot, spans, place)).await.is_err() {
            return Err(self.refuse(Why::Busy, "kansole is leaving this cluster"));
        }
        let says = if bad > 0 { "a trace id is 16 bytes, a span id 8, and neither is all zero" } else { "" };
        Ok(Rejected { spans: bad as i64, says: says.into() })
    }

    fn decode(&self, encoding: Encoding, zipped: bool, bytes: &[u8]) -> Result<Vec<Incoming>, Refusal> {
        let inflated = if zipped { Some(self.inflate(bytes)?) } else { None };
        let bytes = inflated.as_deref().unwrap_or(bytes);
        match encoding {
            Encoding::Json => otlp::read(bytes)
                .map_err(|e| self.refuse(Why::Undecodable, format!("not an OTLP export request in JSON: {e}"))),
            Encoding::Proto => proto::read(bytes, self.message * DECODED).map_err(|e| {
                let why = if matches!(e, ProtoError::Heavy(_)) { Why::TooLarge } else { Why::Undecodable };
                self.refuse(why, e.to_string())
            }),
        }
    }
}
