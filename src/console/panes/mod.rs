//! The panes: views over the loop's world, each a small state and a pure drawing.

pub mod actions;
mod columns;
#[cfg(test)]
pub mod fixtures;
pub mod health;
pub mod journal;
pub mod logs;
pub mod map;
pub mod metrics;
pub mod optimizer;
pub mod overview;
pub mod predictions;
pub mod promql;
pub mod resources;
pub mod show;
#[cfg(test)]
mod tests;
pub mod traces;
pub mod usage;
pub mod workloads;

use super::pane::Pane;

/// All panes of the console but Help, which the shell draws from the command registry.
pub fn all() -> Vec<Box<dyn Pane>> {
    vec![
        Box::new(overview::Overview::default()),
        Box::new(workloads::Workloads::default()),
        Box::new(metrics::Metrics::default()),
        Box::new(actions::Actions::default()),
        Box::new(journal::Journal::default()),
        Box::new(predictions::Predictions::default()),
        Box::new(traces::Traces::default()),
        Box::new(map::Map::default()),
        Box::new(promql::Promql::default()),
        Box::new(resources::Resources::default()),
        Box::new(logs::Logs::default()),
        Box::new(optimizer::Optimizer::default()),
    ]
}
