//! kansole: a terminal control console for Kubernetes that sees, explains, proposes, acts and verifies.
//!
//! The rooms are the phases of the autonomic control loop; see docs/architecture.md.

pub mod analyze;
pub mod autopilot;
pub mod cli;
pub mod config;
pub mod console;
pub mod execute;
pub mod knowledge;
pub mod lab;
pub mod ml;
pub mod model;
pub mod monitor;
pub mod plan;
pub mod sim;
