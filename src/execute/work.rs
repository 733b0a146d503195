//! What kind of work a proposal is: healing what is broken, or making better what works. The guard decides on
//! this by the fault and the patches, not by what the planner calls it.

use super::touches::Touches;
use crate::model::finding::Fault;
use crate::model::plan::{Proposal, Strategy};

/// Kinds of work, as settings name engines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Work {
    /// Something is broken and is to be brought back.
    Healing,
    /// Demand is above what is there.
    Scaling,
    /// Nothing is broken: cost, tuning, hardening.
    Optimisation,
}

impl Work {
    /// Of a proposal. What makes anything smaller is never healing, and what is not known to be healing is not.
    pub(super) fn of(proposal: &Proposal) -> Self {
        if Touches::of(&proposal.plan).shrinks {
            return Self::Optimisation;
        }
        let broken = matches!(
            proposal.fault,
            Fault::OomContainer { .. }
                | Fault::OomNode { .. }
                | Fault::Leak { .. }
                | Fault::BadRelease { .. }
                | Fault::ImageError { .. }
                | Fault::MissingConfig { .. }
                | Fault::CrashLoop { .. }
                | Fault::LivenessKills { .. }
                | Fault::NotReady { .. }
                | Fault::Dependency { .. }
                | Fault::Unschedulable { .. }
                | Fault::NodeNotReady { .. }
                | Fault::NodePressure { .. }
                | Fault::PodFailed { .. }
                | Fault::SloBurn { .. }
                | Fault::Regression { .. }
                | Fault::ConfigEdit { .. }
                | Fault::ScaledAway { .. }
                | Fault::Systemic { .. }
        );
        match proposal.fault {
            Fault::Saturated { .. } => Self::Scaling,
            _ if broken && proposal.strategy == Strategy::Scale => Self::Scaling,
            _ if broken => Self::Healing,
            _ => Self::Optimisation,
        }
    }

    /// As settings and refusals say it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Healing => "healing",
            Self::Scaling => "scaling",
            Self::Optimisation => "optimisation",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::execute::fixture;
    use serde_json::json;

    #[test]
    fn what_others_suffer_from_is_healed_and_not_made_better() {
        let mut p = fixture::proposal(vec![fixture::raise_step("cart")]);
        p.fault = Fault::Regression { revision: 7, symptom: "p99 810 ms, 40 ms before".into() };
        assert_eq!(Work::of(&p), Work::Healing);
        (p.fault, p.strategy) = (Fault::ScaledAway { was: 2 }, Strategy::Scale);
        assert_eq!(Work::of(&p), Work::Scaling);
    }

    #[test]
    fn what_shrinks_is_never_healing_whatever_the_fault() {
        let mut p = fixture::proposal(vec![fixture::raise_step("cart")]);
        assert_eq!(Work::of(&p), Work::Healing);
        p.fault = Fault::Saturated { resource: "cpu".into(), utilisation: 1.2, target: 0.7 };
        assert_eq!(Work::of(&p), Work::Scaling);
        p.plan = fixture::patch_plan(
            json!([{"op": "test", "path": "/spec/replicas", "value": 3}, {"op": "replace", "path": "/spec/replicas", "value": 2}]),
        );
        assert_eq!(Work::of(&p), Work::Optimisation);
    }
}
