//! The words every phase shares: plain data, without I/O, async or drawing.

pub mod action;
pub mod anomaly;
pub mod authority;
pub mod autoscaler;
pub mod bounds;
pub mod browse;
pub mod cluster;
pub mod context;
pub mod demo;
pub mod dossier;
pub mod failure;
pub mod finding;
#[cfg(test)]
pub mod fixtures;
pub mod incident;
pub mod journal;
pub mod logs;
pub mod mode;
pub mod object;
pub mod ownership;
pub mod pipeline;
pub mod plan;
pub mod pod;
pub mod prediction;
pub mod quantity;
pub mod query;
pub mod reading;
pub mod series;
pub mod service;
pub mod sizing;
pub mod snapshot;
pub mod text;
pub mod time;
pub mod trace;
