//! Traces: received over OTLP, read from Jaeger and Tempo, or from a file; put together, bounded and published.

mod bounds;
pub mod file;
pub mod jaeger;
pub mod otlp;
pub mod proto;
mod read;
mod receive;
mod run;
mod store;
mod tally;
mod value;

pub use run::{Bound, TracesHandle, spawn};
