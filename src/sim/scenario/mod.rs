//! Scenarios: what goes wrong, when, and what makes it well again. Files that a user can write (`docs/scenarios.md`), a
//! set that comes with kansole, and the [`Director`] that plays them in simulated time.
//!
//! A scenario acts on causes only: it changes objects as a person or a tool would, through the API's own writers, and it
//! presses on machines and processes. Whatever follows, the controllers, the kubelets and the shop make of it.

mod deed;
mod director;
mod names;
mod objects;
mod parse;
mod press;
mod problem;
mod read;

pub use deed::{Deed, Fault, Name, Object, Server};
pub use director::{Director, Handle, Info, Running, Servers, Status, Unknown};
pub use names::Names;
pub use parse::parse;
pub use problem::{Problem, Problems, one_of};
pub use read::{span, written};

use chrono::TimeDelta;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The scenario of a demo that asks for none.
pub const DEFAULT: &str = "night-shift";

/// A scenario.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// What it is called on the command line.
    pub name: String,
    /// One line.
    pub title: String,
    /// What happens and why.
    pub about: String,
    /// Where to look.
    pub watch: String,
    /// What makes it well.
    pub cure: String,
    /// The file it came from.
    pub file: String,
    /// What is done, ordered by time.
    pub steps: Vec<Step>,
}

/// Something that is done at a time.
#[derive(Debug, Clone)]
pub struct Step {
    /// After the start.
    pub at: TimeDelta,
    /// Undone after so long; `None`: when the scenario is stopped.
    pub lasts: Option<TimeDelta>,
    /// Done again and again after so long, until it ends.
    pub again: Option<TimeDelta>,
    /// What the operator is told; what is done, if the file says nothing.
    pub say: String,
    /// Who writes: field manager.
    pub manager: String,
    /// What is done.
    pub deed: Deed,
    /// Where the step's keys stand in the file; its own place under an empty key.
    pub places: BTreeMap<String, (usize, usize)>,
}

/// Names and texts of the scenarios that come with kansole.
const BUILTIN: [&str; 18] = [
    include_str!("builtin/night-shift.toml"),
    include_str!("builtin/quiet-day.toml"),
    include_str!("builtin/oom-crash-loop.toml"),
    include_str!("builtin/bad-release.toml"),
    include_str!("builtin/bad-config.toml"),
    include_str!("builtin/memory-leak.toml"),
    include_str!("builtin/traffic-spike.toml"),
    include_str!("builtin/dependency-failure.toml"),
    include_str!("builtin/deadlock.toml"),
    include_str!("builtin/node-failure.toml"),
    include_str!("builtin/zone-partition.toml"),
    include_str!("builtin/disk-pressure.toml"),
    include_str!("builtin/noisy-neighbour.toml"),
    include_str!("builtin/cpu-throttling.toml"),
    include_str!("builtin/flapping-metrics.toml"),
    include_str!("builtin/hpa-fight.toml"),
    include_str!("builtin/over-provisioned.toml"),
    include_str!("builtin/cost-spike.toml"),
];

/// The scenarios that come with kansole, the default first.
pub fn builtin() -> Vec<Arc<Scenario>> {
    BUILTIN
        .iter()
        .map(|text| Arc::new(parse("builtin", text).expect("our own scenarios parse: a test reads them all")))
        .collect()
}

#[cfg(test)]
mod tests;
