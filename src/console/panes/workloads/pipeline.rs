//! What each stage of the pipeline decided about a workload, as text.

use crate::autopilot::world::World;
use crate::model::object::WorkloadKey;
use crate::model::time::{Timestamp, age};
use std::fmt::Write as _;

/// One line per stage with its reason; says why there is nothing to say.
pub fn text(world: &World, key: &WorkloadKey, now: Timestamp) -> String {
    let Some(at) = world.pipeline.at else {
        return "The pipeline has not run yet; in step mode it does not run.".into();
    };
    let Some(decisions) = world.pipeline.workloads.get(key) else {
        return format!(
            "{key} is not opted in to automation, so the pipeline leaves it alone.\n\nTo opt in: annotation \
             autonomous/enabled: \"true\" on it, or label autonomous-enabled=true on its namespace."
        );
    };
    let mut out = format!("Decided {} ago, stage by stage:\n\n", age(now, at));
    for d in decisions.iter() {
        let _ = writeln!(out, "{:<19} {:<14} {}", d.stage.as_str(), d.came.as_str(), d.why);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::testing;
    use crate::model::object::WorkloadKind;
    use crate::model::pipeline::{Came, Decision, Pipeline, Stage};
    use std::sync::Arc;

    #[test]
    fn every_stage_tells_its_reason_and_an_uninvited_workload_how_to_invite() {
        let (mut world, now) = (testing::world(), testing::world().at);
        let key = WorkloadKey::new("shop", WorkloadKind::Deployment, "cart");
        assert!(text(&world, &key, now).contains("has not run yet"));
        let decision = Decision { stage: Stage::Cost, came: Came::NotBuilt, why: "no engine".into() };
        let workloads = [(key.clone(), Arc::from([decision]))].into();
        world.pipeline = Arc::new(Pipeline { at: Some(now), workloads });
        let line = text(&world, &key, now);
        assert!(line.contains("cost") && line.contains("not built") && line.contains("no engine"), "{line}");
        let other = WorkloadKey::new("legacy", WorkloadKind::Deployment, "x");
        assert!(text(&world, &other, now).contains("autonomous-enabled=true"));
    }
}
