//! A measured number, or the exact reason why there is none.

use super::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What one query said about one signal. Missing is never zero: the five cases stay apart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum Reading {
    /// A fresh value other than zero.
    Value {
        /// In the signal's unit.
        value: f64,
        /// When it was sampled.
        at: Timestamp,
    },
    /// The series exists, is fresh, and says zero.
    Zero {
        /// When it was sampled.
        at: Timestamp,
    },
    /// There was a value, but it is older than the freshness limit.
    Stale {
        /// The last value seen.
        value: f64,
        /// When that was sampled.
        at: Timestamp,
    },
    /// The backend answered and has no such series.
    Absent,
    /// The backend could not be asked, or answered nonsense (NaN, infinities, an error).
    Failed {
        /// What went wrong, ready to be shown.
        why: Arc<str>,
    },
}

impl Reading {
    /// Sorts a sample into value, zero, stale or failed. `limit` is the greatest age that counts as fresh.
    pub fn from_sample(value: f64, at: Timestamp, now: Timestamp, limit: chrono::TimeDelta) -> Self {
        if !value.is_finite() {
            return Self::Failed { why: format!("the server answered {value}").into() };
        }
        if now.signed_duration_since(at) > limit {
            return Self::Stale { value, at };
        }
        if value == 0.0 { Self::Zero { at } } else { Self::Value { value, at } }
    }

    /// The number, only if it is fresh. The one way engines read it.
    pub fn fresh(&self) -> Option<f64> {
        match self {
            Self::Value { value, .. } => Some(*value),
            Self::Zero { .. } => Some(0.0),
            _ => None,
        }
    }

    /// The last number known, fresh or stale: for the screen, which shows the age beside it.
    pub fn last(&self) -> Option<(f64, Timestamp)> {
        match self {
            Self::Value { value, at } | Self::Stale { value, at } => Some((*value, *at)),
            Self::Zero { at } => Some((0.0, *at)),
            _ => None,
        }
    }

    /// The word for its state, as shown and as written in JSON.
    pub fn state(&self) -> &'static str {
        match self {
            Self::Value { .. } => "value",
            Self::Zero { .. } => "zero",
            Self::Stale { .. } => "stale",
            Self::Absent => "absent",
            Self::Failed { .. } => "failed",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeDelta;

    #[test]
    fn the_five_states_stay_apart() {
        let now = crate::model::time::now();
        let limit = TimeDelta::seconds(60);
        let old = now - TimeDelta::seconds(61);
        assert_eq!(Reading::from_sample(2.0, now, now, limit).state(), "value");
        assert_eq!(Reading::from_sample(0.0, now, now, limit).state(), "zero");
        assert_eq!(Reading::from_sample(0.0, old, now, limit).state(), "stale");
        assert_eq!(Reading::from_sample(f64::NAN, now, now, limit).state(), "failed");
        assert_eq!(Reading::from_sample(f64::INFINITY, now, now, limit).state(), "failed");
        assert_eq!(Reading::Absent.fresh(), None);
        assert_eq!(Reading::from_sample(3.0, old, now, limit).fresh(), None, "stale is not a basis for acting");
    }
}
