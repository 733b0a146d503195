//! How dangerous a plan is: decided in one place, from what it changes and how much may be down at once.

use crate::model::object::WorkloadKind;
use crate::model::plan::Risk;

/// What a plan changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// The pod template: a rollout.
    Template,
    /// Pods are evicted.
    Evict,
    /// Running pods get other resources and stay.
    InPlace,
    /// The replica count grows.
    ScaleUp,
    /// The replica count goes back from nothing to what it was.
    Restore,
    /// A node.
    Node,
    /// Nothing is written.
    Nothing,
}

/// The risk of a change to a workload of `pods` pods of which `share_down` (0..1) may be down at once.
///
/// - High: a node, a StatefulSet (identity and order), or the whole workload down.
/// - Medium: pods put back where there are none, the template of a single pod's workload, or evictions without surge that take more than a quarter.
/// - Low: all else: reversible, and at most a quarter of the pods, or a rolling update that keeps some serving.
pub fn risk(kind: Option<&WorkloadKind>, change: Change, pods: u32, share_down: f64) -> Risk {
    match change {
        Change::Nothing => Risk::Low,
        // No pod is there that could lose its identity or its peers.
        Change::Restore => Risk::Medium,
        Change::Node => Risk::High,
        _ if kind == Some(&WorkloadKind::StatefulSet) => Risk::High,
        _ if share_down >= 1.0 => Risk::High,
        Change::Template if pods <= 1 => Risk::Medium,
        Change::Evict if share_down > 0.25 => Risk::Medium,
        _ => Risk::Low,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn risk_grows_with_what_may_be_down() {
        let d = Some(&WorkloadKind::Deployment);
        for (kind, change, pods, down, want) in [
            (d, Change::Template, 3, 0.0, Risk::Low),
            (d, Change::Template, 4, 0.25, Risk::Low),
            (d, Change::Template, 1, 0.0, Risk::Medium),
            (d, Change::Template, 1, 1.0, Risk::High),
            (d, Change::Template, 5, 1.0, Risk::High),
            (d, Change::Evict, 4, 0.25, Risk::Low),
            (d, Change::Evict, 3, 1.0 / 3.0, Risk::Medium),
            (d, Change::Evict, 1, 1.0, Risk::High),
            (d, Change::ScaleUp, 1, 0.0, Risk::Low),
            (Some(&WorkloadKind::StatefulSet), Change::Evict, 10, 0.1, Risk::High),
            (Some(&WorkloadKind::StatefulSet), Change::ScaleUp, 2, 0.0, Risk::High),
            (Some(&WorkloadKind::StatefulSet), Change::Restore, 2, 0.0, Risk::Medium),
            (None, Change::Node, 0, 0.0, Risk::High),
            (d, Change::Nothing, 3, 0.0, Risk::Low),
        ] {
            assert_eq!(risk(kind, change, pods, down), want, "{kind:?} {change:?} {pods} {down}");
        }
    }
}
