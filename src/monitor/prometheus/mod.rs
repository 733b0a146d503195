//! Prometheus: how it is found, reached and asked, and how it names things.
//!
//! `discover` finds a Service through the API server, `transport` carries a request to it (or to a URL),
//! `client` speaks the HTTP API, `answer` reads what comes back, `profile` tells what kind of Prometheus it is.

pub mod adhoc;
pub mod answer;
pub mod client;
pub mod discover;
pub mod edges;
pub mod error;
pub mod families;
pub mod profile;
pub mod transport;

pub use client::PromClient;
pub use error::PromError;
pub use profile::Profile;
pub use transport::Transport;
