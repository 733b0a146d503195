//! The words every phase shares: plain data, without I/O, async or drawing.

pub mod action;
pub mod cluster;
pub mod dossier;
pub mod finding;
#[cfg(test)]
pub mod fixtures;
pub mod journal;
pub mod mode;
pub mod object;
pub mod ownership;
pub mod plan;
pub mod pod;
pub mod quantity;
pub mod reading;
pub mod series;
pub mod snapshot;
pub mod text;
pub mod time;
