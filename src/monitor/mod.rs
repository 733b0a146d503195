//! What is: watches, queries, snapshots.

pub mod metrics;
pub mod prometheus;
