//! The seven service metrics of every workload, live and over the last day.
//!
//! Each step asks a handful of instant queries for the whole cluster (`queries`, `batch`), adds pods up to
//! workloads (`pods`, `histogram`) and keeps what it learned in rings (`book`). `backfill` fills the rings'
//! past at low priority, `long` reads two weeks for forecasts, `usage` eight days of every container for their sizes, `past` what failure
//! prediction learns from, `calls` who calls whom, `slo` asks for error ratios, and `collect` is the task that runs it all.
//!
//! Memory: a ring takes 4 bytes a sample, so a signal that is measured costs 11.5 KB a day at a 30 s step and
//! a signal that is not costs nothing; 2000 workloads with CPU and memory take about 46 MB, with all
//! seven 160 MB. Per pod about 130 bytes for the latest usage. Chunks are shared with snapshots, not copied.

pub mod backfill;
pub mod batch;
pub mod book;
pub mod calls;
pub mod collect;
#[cfg(test)]
mod fixtures;
pub mod histogram;
pub mod long;
pub mod past;
pub mod pods;
pub mod queries;
pub mod slo;
pub mod sums;
pub mod targets;
pub mod usage;

pub use collect::{Ask, MetricsHandle, spawn};
