//! When an action under way takes one of the places, and when it gives it up.

use super::*;
use crate::model::object::{ObjectRef, WorkloadKey, WorkloadKind};
use crate::model::plan::Step;

#[test]
fn g08_what_is_only_looked_at_gives_its_place_up() {
    let c = case();
    let under = |complete: bool, settles_in: i64, step: Step, node: Option<&str>| {
        let mut other = item(vec![step]);
        let key = WorkloadKey::new("shop", WorkloadKind::Deployment, "web");
        with_proposal(&mut other, |p| {
            p.id = "other".into();
            p.subject = node.map_or(Subject::Workload(key), |n| Subject::Node(n.into()));
        });
        let settle = t0() + TimeDelta::seconds(settles_in);
        let until = settle + TimeDelta::minutes(5);
        other.state = ActionState::Verifying { since: t0(), settle, until, complete };
        let mut c = case();
        c.queue = vec![Arc::new(other)];
        c
    };
    let scale = || {
        let mut step = raise_step("web");
        step.op = patch_plan(json!([{"op": "test", "path": "/spec/replicas", "value": 2},
            {"op": "replace", "path": "/spec/replicas", "value": 3}]))
        .steps
        .remove(0)
        .op;
        step
    };
    assert!(gates(&c).is_empty());
    assert_eq!(gates(&under(false, -1, scale(), None)), ["g08"], "what was written is not complete");
    assert!(gates(&under(true, 60, scale(), None)).is_empty(), "it only added, and all of it is there");
    assert_eq!(gates(&under(true, 60, raise_step("web"), None)), ["g08"], "it replaced pods, and has not settled");
    assert!(gates(&under(true, 0, raise_step("web"), None)).is_empty(), "it has settled, and is only observed");
    let mut same_target = under(true, 0, raise_step("cart"), None);
    assert_eq!(gates(&same_target), ["g10"], "its target is its own until the verdict");
    let mut same_node = under(true, 0, raise_step("web"), Some("n1"));
    assert!(gates(&same_node).is_empty());
    with_proposal(&mut same_node.item, |p| {
        p.plan.steps[0].target = ObjectRef::cluster(Resource::NODES, "n1");
    });
    assert!(gates(&same_node).contains(&"g08".to_owned()), "both reach one node");
    same_target.actor = Actor::Person;
    assert_eq!(gates(&same_target), ["g10"], "for everybody");
}
