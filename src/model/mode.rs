//! How much the loop may do by itself.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Mode of the loop. Ordered: later may do more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Looks and explains; plans nothing that could be approved.
    Observe,
    /// Proposes; every action is approved by a person.
    #[default]
    Manual,
    /// Like manual, but the loop itself advances only by hand, one phase at a time.
    Step,
    /// Approves by itself inside the guardrails. Starts paused.
    Auto,
}

impl Mode {
    /// All modes in order.
    pub const ALL: [Self; 4] = [Self::Observe, Self::Manual, Self::Step, Self::Auto];

    /// As typed and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Observe => "observe",
            Self::Manual => "manual",
            Self::Step => "step",
            Self::Auto => "auto",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for Mode {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|m| m.as_str() == s)
            .ok_or_else(|| format!("unknown mode {s:?}: use observe, manual, step or auto"))
    }
}

/// A phase of the loop, as step mode walks it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum PhaseName {
    #[default]
    Monitor,
    Analyze,
    Plan,
    Execute,
}

impl PhaseName {
    /// The phase that follows; after execute comes monitor.
    #[must_use]
    pub fn next(self) -> Self {
        match self {
            Self::Monitor => Self::Analyze,
            Self::Analyze => Self::Plan,
            Self::Plan => Self::Execute,
            Self::Execute => Self::Monitor,
        }
    }

    /// As shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Monitor => "monitor",
            Self::Analyze => "analyze",
            Self::Plan => "plan",
            Self::Execute => "execute",
        }
    }
}
