//! A simulated cluster behind the real wire protocols: a Kubernetes API server, its controllers and kubelets, a shop
//! whose causes have effects, and a Prometheus that has watched it for two weeks. For `kansole demo`, for tests, and
//! for engines that need a world to learn from.
//!
//! One [`engine::Engine`] owns the time: it hands every change of the [`store::Store`] to its [`engine::Actor`]s and lets
//! them act when they are due, in a fixed order, so that a seed gives one history whatever the speed. What runs in the
//! containers is [`machine::Machines`]: the kubelet starts and stops it, the shop loads it, the exporters read it.

pub mod api;
pub mod clock;
pub mod control;
pub mod demo;
pub mod engine;
pub mod events;
pub mod export;
pub mod fields;
pub mod kubelet;
pub mod machine;
pub mod noise;
pub mod object;
mod otlp;
pub mod promql;
pub mod resource;
pub mod scenario;
pub mod scheduler;
pub mod schema;
pub mod serve;
pub mod shop;
pub mod status;
pub mod store;
pub mod tsdb;
pub mod world;
pub mod write;
