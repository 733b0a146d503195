//! In place, by the template, exported, or not at all.

use super::super::scenario::{Scenario, missized};
use super::*;
use crate::model::fixtures as fx;
use crate::model::plan::{Inverse, Op};
use std::time::Duration;

const MIB: f64 = 1_048_576.0;

fn change(resource: &str, from: f64, limit: Option<f64>, to: f64, new_limit: Option<f64>) -> Resize {
    Resize {
        container: "app".into(),
        resource: resource.into(),
        request: Some(from),
        limit,
        new_request: to,
        new_limit,
    }
}

fn cpu() -> Scenario {
    missized(true, vec![change("cpu", 0.1, None, 0.15, None)])
}

#[test]
fn running_pods_are_resized_where_they_are_and_the_template_is_exported() {
    let made = cpu().run().unwrap();
    assert_eq!((made.strategy, made.plan.steps.len(), made.risk), (Strategy::Rightsize, 3, Risk::Low));
    let step = &made.plan.steps[0];
    assert_eq!(&*step.target.resource.plural, "pods");
    let Op::Patch { patch, subresource: Some(sub) } = &step.op else { panic!("{step:?}") };
    assert_eq!(sub, "resize");
    assert_eq!(
        json!(patch),
        json!([{"op": "test", "path": "/spec/containers/0/name", "value": "app"},
            {"op": "test", "path": "/spec/containers/0/resources/requests/cpu", "value": "100m"},
            {"op": "replace", "path": "/spec/containers/0/resources/requests/cpu", "value": "150m"}])
    );
    let Inverse::Patch { patch } = &step.inverse else { panic!("{step:?}") };
    assert_eq!(json!(patch)[2]["value"], "100m");
    let export = made.export.unwrap();
    assert!(export.contains("kind: Deployment") && export.contains("cpu: 150m"), "{export}");
}

#[test]
fn what_cannot_be_done_in_place_is_rolled_out_and_it_says_why() {
    let old = cpu().edit(|s| std::sync::Arc::make_mut(&mut s.snapshot.cluster).version = "v1.32.1".into());
    let restarts = cpu().edit(|s| {
        for pod in &mut s.dossier.pods {
            pod["spec"]["containers"][0]["resizePolicy"] =
                json!([{"resourceName": "cpu", "restartPolicy": "RestartContainer"}]);
        }
    });
    let lower = missized(false, vec![change("memory", 64.0 * MIB, Some(128.0 * MIB), 48.0 * MIB, Some(96.0 * MIB))]);
    let unready = cpu().edit(|s| s.dossier.pods[1]["status"]["conditions"][0]["status"] = json!("False"));
    for (scenario, says) in
        [(old, "v1.32.1"), (restarts, "resizePolicy"), (lower, "could be killed"), (unready, "not ready")]
    {
        let made = scenario.run().unwrap();
        let [step] = &made.plan.steps[..] else { panic!("{made:?}") };
        let Op::Patch { patch, subresource: None } = &step.op else { panic!("{step:?}") };
        let path = json!(patch)[2]["path"].as_str().unwrap().to_owned();
        assert!(path.starts_with("/spec/template/spec/containers/0/resources/requests/"), "{path}");
        assert!(made.notes.iter().any(|n| n.contains(says)), "{says}: {:?}", made.notes);
    }
}

#[test]
fn what_git_declares_is_exported_and_not_patched() {
    let owned = cpu().edit(|s| {
        s.live()["metadata"]["annotations"]["argocd.argoproj.io/tracking-id"] = json!("shop:apps/Deployment:shop/cart");
    });
    let made = owned.run().unwrap();
    assert!(made.plan.steps.is_empty() && made.export.unwrap().contains("cpu: 150m"));
}

#[test]
fn it_rests_between_two_changes_and_longer_before_it_shrinks() {
    let shrink = || missized(false, vec![change("memory", 64.0 * MIB, Some(128.0 * MIB), 48.0 * MIB, None)]);
    let done = cpu().run().unwrap();
    for (scenario, ago, held) in
        [(cpu(), 1800, true), (cpu(), 4000, false), (shrink(), 4000, true), (shrink(), 90_000, false)]
    {
        let scenario = scenario.edit(|s| s.history.applied(&done, fx::ago(ago)));
        assert_eq!(scenario.run().is_err(), held, "{ago}");
    }
    let fast = shrink().edit(|s| {
        s.history.applied(&done, fx::ago(4000));
        s.set.rightsize_shrink = Duration::from_secs(60);
    });
    assert!(fast.run().is_ok());
}

#[test]
fn other_sizes_than_those_its_use_was_held_against_are_left_alone() {
    let moved = cpu().edit(|s| {
        let cpu = json!("200m");
        for pod in &mut s.dossier.pods {
            pod["spec"]["containers"][0]["resources"]["requests"]["cpu"] = cpu.clone();
        }
    });
    assert!(moved.why().contains("held against another"), "{}", moved.why());
    let huge = missized(true, vec![change("cpu", 0.1, None, 3.9, None)]);
    assert!(huge.why().contains("largest node"), "{}", huge.why());
    let stale = cpu().edit(|s| s.snapshot.metrics.state = crate::model::snapshot::SourceState::Unknown);
    assert!(stale.why().contains("Prometheus"), "{}", stale.why());
    let range = cpu().edit(|s| {
        let range = json!({"type": "Container", "max": {"cpu": "120m"}});
        s.dossier.limits = vec![json!({"metadata": {"name": "bounds"}, "spec": {"limits": [range]}})];
    });
    assert!(range.why().contains("LimitRange bounds"), "{}", range.why());
}
