//! Traces as their sources write them, read into [`crate::model::trace`].

pub mod file;
mod jaeger;
mod otlp;
mod value;
