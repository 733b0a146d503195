//! PromQL with Prometheus 3's meaning over any [`storage::Storage`], and the HTTP API in front of it.
//!
//! A query is parsed by promql-parser, made into a [`plan`], and evaluated node by node for all steps at once
//! ([`eval`], after `promql/engine.go`). [`http::router`] answers as Prometheus 3.8 does. Formulas, error texts and rules
//! are those of github.com/prometheus/prometheus v0.308 (Apache-2.0); `tests/promql_differential.rs` compares the two.

mod aggregate;
mod binary;
pub mod engine;
pub mod eval;
pub mod format;
mod functions;
mod histogram;
pub mod http;
#[cfg(test)]
mod memory;
pub mod metric;
mod parse;
mod plan;
pub mod rules;
mod special;
pub mod storage;
#[cfg(test)]
mod tests;
mod windows;

pub use engine::Engine;
pub use rules::Rules;
