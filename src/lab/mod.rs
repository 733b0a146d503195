//! The engines on files: back-tests and replays, results as JSON on standard output.

pub mod anomaly;
pub mod forecast;
mod matrix;
mod readings;
pub mod rootcause;
mod table;
pub mod traces;
