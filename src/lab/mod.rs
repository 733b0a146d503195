//! The engines on files: back-tests and replays, results as JSON on standard output.

pub mod anomaly;
pub mod forecast;
mod headed;
mod matrix;
pub mod optimize;
mod readings;
pub mod rightsize;
pub mod rootcause;
mod table;
pub mod traces;
