//! By whose leave automation acts: the rung of the autonomy ladder, and the Lease that only one kansole holds.

use super::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// How much automation is trusted with one kind of action in one namespace. Ordered: later may do more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rung {
    /// Findings only: its plans cannot be approved by anybody.
    Observe,
    /// Plans are shown as advice: nobody can approve them here.
    Recommend,
    /// A person approves each one.
    Approve,
    /// Auto acts, on one workload until that is verified; then on the next.
    Canary,
    /// Auto acts inside the guardrails.
    Auto,
}

impl Rung {
    /// All rungs, lowest first.
    pub const ALL: [Self; 5] = [Self::Observe, Self::Recommend, Self::Approve, Self::Canary, Self::Auto];

    /// As written and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Observe => "observe",
            Self::Recommend => "recommend",
            Self::Approve => "approve",
            Self::Canary => "canary",
            Self::Auto => "auto",
        }
    }

    /// One rung up; the top stays.
    #[must_use]
    pub fn up(self) -> Self {
        Self::ALL[(self as usize + 1).min(Self::ALL.len() - 1)]
    }

    /// One rung down, for something that went wrong: never below a person's approval.
    #[must_use]
    pub fn down(self) -> Self {
        if self > Self::Approve { Self::ALL[self as usize - 1] } else { self }
    }
}

impl fmt::Display for Rung {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where one engine stands with one kind of action in one namespace, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Standing {
    /// `healing`, `scaling` or `optimisation`.
    pub engine: &'static str,
    /// Namespace; empty for nodes and the cluster.
    pub namespace: Arc<str>,
    /// Kind of action, such as `rollback`.
    pub action: &'static str,
    /// The rung.
    pub rung: Rung,
    /// Verified successes in a row that count for the next rung.
    pub successes: u32,
    /// Why it stands there, in words.
    pub why: String,
}

/// Who may act by themselves on the cluster, as the Lease says it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(tag = "lease", rename_all = "snake_case")]
pub enum LeaseView {
    /// Not looked at yet.
    #[default]
    Unknown,
    /// Nobody holds it.
    Free,
    /// This kansole holds it.
    Mine {
        /// Since when.
        since: Timestamp,
    },
    /// Another kansole holds it.
    Other {
        /// Which: `user@host/…`.
        holder: Arc<str>,
    },
    /// It can neither be read nor taken.
    Failed {
        /// Why, with what to do.
        why: Arc<str>,
    },
}

impl LeaseView {
    /// Whether this kansole may act by itself.
    pub fn is_mine(&self) -> bool {
        matches!(self, Self::Mine { .. })
    }
}

impl fmt::Display for LeaseView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("not looked at yet"),
            Self::Free => f.write_str("nobody holds it"),
            Self::Mine { since } => write!(f, "held by this kansole since {}", since.format("%H:%M:%S")),
            Self::Other { holder } => write!(f, "held by {holder}"),
            Self::Failed { why } => f.write_str(why),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_wrong_never_takes_a_person_the_right_to_approve() {
        assert_eq!(Rung::Auto.down(), Rung::Canary);
        assert_eq!(Rung::Approve.down(), Rung::Approve);
        assert_eq!(Rung::Observe.down(), Rung::Observe, "what was set by hand stays");
        assert_eq!((Rung::Approve.up(), Rung::Auto.up()), (Rung::Canary, Rung::Auto));
    }
}
