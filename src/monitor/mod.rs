//! Monitor: what is. Watches the cluster as slim rows and publishes immutable snapshots.

pub mod browse;
pub mod connect;
pub mod detail;
pub mod discovery;
pub mod dossier;
pub mod feed;
pub mod heartbeat;
pub mod intern;
mod kubeconfig;
pub mod lite;
mod live;
pub mod logs;
pub mod metrics;
pub mod problem;
pub mod project;
pub mod prometheus;
pub mod rights;
mod run;
mod scope;
pub mod table;
pub mod traces;
pub mod watch;

pub use run::{MonitorHandle, settled, spawn};
