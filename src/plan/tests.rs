//! Scenarios of the planner: a finding and the live objects, and the plan or the reason for none.

use super::scenario::{crashing, finding, leak, oom, oom_at, release, saturated, sick_node};
use crate::model::action::Verdict;
use crate::model::cluster::{HpaRow, NodeTrouble};
use crate::model::dossier::Dossier;
use crate::model::finding::{Fault, Subject};
use crate::model::fixtures as fx;
use crate::model::object::{WorkloadKey, WorkloadKind};
use crate::model::plan::{Op, Proposal, Risk, Strategy};
use crate::model::quantity::{Bytes, MIB};
use crate::model::snapshot::{Source, SourceState};
use serde_json::{Value, json};
use std::sync::Arc;

fn patch_of(p: &Proposal) -> Value {
    let Op::Patch { patch, .. } = &p.plan.steps[0].op else { panic!("no patch") };
    serde_json::to_value(patch).unwrap()
}

#[test]
fn a_killed_container_gets_vpas_amount_with_tests_on_the_old_values() {
    let p = oom().run().unwrap();
    assert_eq!(p.strategy, Strategy::Reconfigure);
    assert_eq!(
        patch_of(&p),
        json!([
            {"op": "test", "path": "/spec/template/spec/containers/0/name", "value": "app"},
            {"op": "test", "path": "/spec/template/spec/containers/0/resources/limits/memory", "value": "128Mi"},
            {"op": "replace", "path": "/spec/template/spec/containers/0/resources/limits/memory", "value": "228Mi"},
        ])
    );
    assert_eq!((p.risk, p.blast.pods, p.blast.share_down), (Risk::Low, 3, 0.0));
    assert_eq!((p.effect.basis.as_str(), p.effect.recovery_s), ("prior", Some(45)));
    assert_eq!(p.expires - p.created, chrono::TimeDelta::minutes(15));
    assert_eq!((p.hash.clone(), p.export.clone()), (p.plan.hash(), None));
    assert!(p.id.starts_with("cart-oom-"));
}

#[test]
fn guaranteed_stays_guaranteed_and_the_heap_is_mentioned() {
    let p = oom_at("128Mi", "128Mi")
        .edit(|s| s.live()["spec"]["template"]["spec"]["containers"][0]["args"] = json!(["-Xmx100m"]))
        .run()
        .unwrap();
    assert_eq!(patch_of(&p)[4]["value"], "228Mi");
    assert_eq!(patch_of(&p)[4]["path"], "/spec/template/spec/containers/0/resources/requests/memory");
    assert!(p.notes.iter().any(|n| n.contains("-Xmx")) && p.notes.iter().any(|n| n.contains("QoS")), "{:?}", p.notes);
}

#[test]
fn memory_is_capped_and_says_by_what() {
    let range = json!({"kind": "LimitRange", "metadata": {"name": "lr"}, "spec": {"limits": [{"type": "Container", "max": {"memory": "200Mi"}}]}});
    let p = oom().edit(|s| s.dossier.limits = vec![range.clone()]).run().unwrap();
    assert_eq!(patch_of(&p)[2]["value"], "200Mi");
    assert!(p.notes[0].contains("LimitRange lr"), "{:?}", p.notes);
    assert!(
        oom_at("64Mi", "200Mi")
            .edit(|s| s.dossier.limits = vec![range])
            .why()
            .contains("LimitRange lr allows at most 200Mi")
    );
    // 600Mi left; one extra pod of 128Mi while rolling; 472Mi for four pods: 118Mi each, but only 100Mi is asked.
    let quota = |used: &str| {
        json!({"kind": "ResourceQuota", "metadata": {"name": "q"},
        "status": {"hard": {"limits.memory": "1000Mi"}, "used": {"limits.memory": used}}})
    };
    assert_eq!(patch_of(&oom().edit(|s| s.dossier.limits = vec![quota("400Mi")]).run().unwrap())[2]["value"], "228Mi");
    assert_eq!(patch_of(&oom().edit(|s| s.dossier.limits = vec![quota("720Mi")]).run().unwrap())[2]["value"], "166Mi");
    assert!(oom().edit(|s| s.dossier.limits = vec![quota("900Mi")]).why().contains("quota q"));
    assert!(oom_at("64Mi", "6554Mi").why().contains("80 % of the largest node"));
}

#[test]
fn memory_is_left_alone_where_somebody_else_or_history_says_so() {
    let proposal = oom().run().unwrap();
    let mut raised = oom();
    for _ in 0..3 {
        assert!(raised.run().is_ok());
        raised.history.applied(&proposal, fx::ago(3600));
    }
    assert!(raised.why().contains("raised 3 times"));
    let vpa = json!({"kind": "VerticalPodAutoscaler", "metadata": {"name": "v"}, "spec": {"targetRef": {"kind": "Deployment", "name": "cart"}}});
    assert!(oom().edit(|s| s.dossier.autoscalers = vec![vpa]).why().contains("VPA v"));
    assert!(oom().edit(|s| s.live()["spec"]["paused"] = true.into()).why().contains("paused"));
    assert!(oom().edit(|s| s.live()["metadata"]["uid"] = "other".into()).why().contains("replaced by a new object"));
    let moved = oom().edit(|s| {
        s.live()["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]["memory"] = "228Mi".into();
    });
    assert!(moved.why().contains("228Mi"));
    assert!(oom().edit(|s| s.dossier.object = None).why().contains("could not be read"));
}

#[test]
fn what_gitops_or_helm_owns_is_advised_with_the_patch_to_commit() {
    for (note, value, owner) in [
        ("argocd.argoproj.io/tracking-id", "shop:apps/Deployment:shop/cart", "Argo CD app shop"),
        ("meta.helm.sh/release-name", "web", "Helm release web"),
    ] {
        for scenario in [oom(), release(), saturated(3, 1.05)] {
            let p = scenario.edit(|s| s.live()["metadata"]["annotations"][note] = value.into()).run().unwrap();
            assert_eq!((p.strategy, p.plan.steps.len(), p.risk), (Strategy::Advise, 0, Risk::Low));
            assert!(p.notes[0].contains(owner), "{:?}", p.notes);
            assert!(p.export.unwrap().contains("kind: Deployment"));
        }
    }
}

#[test]
fn a_release_goes_back_to_the_last_healthy_revision_not_the_previous() {
    let p = release().run().unwrap();
    let patch = patch_of(&p);
    assert_eq!(p.strategy, Strategy::Rollback);
    assert_eq!(patch[0]["value"]["spec"]["containers"][0]["image"], "shop/cart:2");
    assert_eq!(patch[1]["value"]["spec"]["containers"][0]["image"], "shop/cart:1");
    assert_eq!(patch[1]["value"]["metadata"]["labels"], json!({"app": "cart"}), "without pod-template-hash");
    assert!(p.title.contains("revision 1") && p.notes[0].contains("not restored"));
}

#[test]
fn a_rollback_is_refused_or_advised_where_it_would_not_help() {
    assert!(release().edit(|s| s.live()["spec"]["paused"] = true.into()).why().contains("paused"));
    assert!(
        release()
            .edit(|s| s.live()["metadata"]["annotations"]["deployment.kubernetes.io/revision"] = "4".into())
            .why()
            .contains("revision 4")
    );
    let advice = release().edit(|s| s.dossier.revisions.clear()).run().unwrap();
    assert_eq!(advice.strategy, Strategy::Advise);
    assert!(advice.notes[0].contains("no older revision"));
}

#[test]
fn a_stateful_set_goes_back_and_its_blocking_pod_is_evicted() {
    let key = WorkloadKey::new("shop", WorkloadKind::StatefulSet, "db");
    let mut bad = fx::pod("db-2", "db", "shop/db:2");
    fx::crashed(&mut bad, "Error", 1, 5, 3, 30);
    let mut workload = fx::deployment(
        "db",
        vec![fx::pod("db-0", "db", "shop/db:1"), fx::pod("db-1", "db", "shop/db:1"), bad.clone()],
        vec![],
    );
    workload.key = key.clone();
    let mut live = fx::live_deployment("db", 3, "shop/db:2", "64Mi", "128Mi");
    live["kind"] = "StatefulSet".into();
    live["status"] = json!({"currentRevision": "db-1a", "updateRevision": "db-2b"});
    let revision = |name: &str, n: u64, image: &str| {
        let mut template = fx::live_deployment("db", 3, image, "64Mi", "128Mi")["spec"]["template"].clone();
        template["$patch"] = "replace".into();
        json!({"metadata": {"name": name, "ownerReferences": [{"uid": "uid-db"}]}, "revision": n, "data": {"spec": {"template": template}}})
    };
    let subject = Subject::Workload(key);
    let mut s = release();
    s.finding = finding(Fault::BadRelease { revision: 2, symptom: "exit code 1".into() }, subject.clone(), &["db-2"]);
    s.snapshot = fx::snapshot(vec![workload]);
    s.dossier = Dossier {
        revisions: vec![revision("db-1a", 1, "shop/db:1"), revision("db-2b", 2, "shop/db:2")],
        pods: vec![fx::live_pod(&bad, json!({}))],
        ..fx::dossier(subject, live)
    };
    let p = s.run().unwrap();
    assert_eq!((p.plan.steps.len(), p.risk), (2, Risk::High));
    assert!(matches!(p.plan.steps[1].op, Op::Evict { .. }));
    assert_eq!(&*p.plan.steps[1].target.name, "db-2");
    assert!(patch_of(&p)[1]["value"]["$patch"].is_null());
}

#[test]
fn one_bad_pod_is_replaced_and_a_shared_crash_is_not() {
    let p = crashing(4, 1).run().unwrap();
    assert_eq!((p.strategy, p.risk, p.plan.steps.len()), (Strategy::Restart, Risk::Low, 1));
    assert_eq!(p.plan.steps[0].bound.uid, "uid-cart-aaa-0");
    assert_eq!(crashing(3, 1).run().unwrap().risk, Risk::Medium, "a third of the pods");
    let advice = crashing(3, 3).run().unwrap();
    assert_eq!((advice.strategy, advice.plan.steps.len()), (Strategy::Advise, 0));
    assert!(advice.notes[0].contains("the cause is shared"), "{:?}", advice.notes);
    let orphan = crashing(4, 1).edit(|s| s.dossier.pods[0]["metadata"]["ownerReferences"] = json!([]));
    assert!(orphan.run().unwrap().notes[0].contains("would not come back"));
}

#[test]
fn a_leak_is_restarted_one_by_one_and_budgets_count() {
    let p = leak(4).run().unwrap();
    assert_eq!((p.plan.steps.len(), p.blast.share_down, p.risk), (4, 0.25, Risk::Low));
    assert_eq!(leak(1).run().unwrap().risk, Risk::High);
    let pdb = json!({"metadata": {"name": "b"}, "spec": {"selector": {"matchLabels": {"app": "cart"}}},
        "status": {"disruptionsAllowed": 0, "currentHealthy": 4, "desiredHealthy": 4}});
    assert!(leak(4).edit(|s| s.dossier.budgets = vec![pdb]).why().contains("PDB b"));
    let mut looping = crashing(4, 1);
    looping.finding.fault = leak(4).finding.fault;
    looping.snapshot.metrics.state = SourceState::Live { last: fx::now() };
    assert!(looping.why().contains("crash loop"), "§5.0: the healer adds no restarts");
}

#[test]
fn scaling_counts_and_stands_back() {
    let p = saturated(3, 1.05).run().unwrap();
    assert_eq!(
        patch_of(&p),
        json!([
        {"op": "test", "path": "/spec/replicas", "value": 3}, {"op": "replace", "path": "/spec/replicas", "value": 5}])
    );
    let Op::Patch { subresource, .. } = &p.plan.steps[0].op else { panic!() };
    assert_eq!((subresource.as_deref(), p.risk), (Some("scale"), Risk::Low));
    let hpa = HpaRow {
        namespace: "shop".into(),
        name: "h".into(),
        target: WorkloadKey::new("shop", WorkloadKind::Deployment, "cart"),
        min: 1,
        max: 3,
        current: 3,
        desired: 3,
        resources: Box::new([]),
        blocked: None,
        scaling: None,
    };
    assert!(
        saturated(3, 1.05)
            .edit(|s| s.snapshot.hpas = Arc::from([Arc::new(hpa)]))
            .why()
            .contains("HPA h was not fetched yet")
    );
    assert!(saturated(3, 1.05).edit(|s| s.dossier.gaps = vec!["hpas: forbidden".into()]).why().contains("forbidden"));
    let mut again = saturated(3, 1.05);
    again.history.applied(&p, fx::ago(60));
    assert!(again.why().contains("scaled up 60s ago; the next is possible in 2m"), "{}", again.why());
    assert!(saturated(20, 1.05).why().contains("bound of 20"));
    assert!(
        saturated(3, 1.05)
            .edit(|s| s.snapshot.metrics.state = SourceState::Live { last: fx::ago(600) })
            .why()
            .contains("old readings")
    );
}

#[test]
fn a_lost_node_is_cordoned_unless_too_many_are() {
    let p = sick_node(NodeTrouble::NotReady, 1).run().unwrap();
    assert_eq!((p.strategy, p.risk, p.blast.nodes), (Strategy::Isolate, Risk::High, 1));
    assert_eq!(patch_of(&p)[1], json!({"op": "add", "path": "/spec/unschedulable", "value": true}));
    for (scenario, why) in [
        (sick_node(NodeTrouble::NotReady, 2), "2 of 5 nodes are sick"),
        (sick_node(NodeTrouble::MemoryPressure, 1), "taint"),
        (
            sick_node(NodeTrouble::NotReady, 1).edit(|s| s.live()["spec"]["unschedulable"] = true.into()),
            "cordoned already",
        ),
    ] {
        let advice = scenario.run().unwrap();
        assert_eq!(advice.strategy, Strategy::Advise);
        assert!(advice.notes[0].contains(why), "{:?}", advice.notes);
    }
    assert!(sick_node(NodeTrouble::DiskPressure, 1).run().unwrap().plan.writes());
}

#[test]
fn a_dependency_is_waited_for_twice_as_long_each_time() {
    let mut s = oom().edit(|s| s.finding.fault = Fault::Dependency { on: "db".into() });
    let p = s.run().unwrap();
    assert_eq!(p.plan.steps[0].op, Op::Wait { seconds: 60 });
    assert!(!p.plan.writes());
    s.history.applied(&p, fx::ago(60));
    assert_eq!(s.run().unwrap().plan.steps[0].op, Op::Wait { seconds: 120 });
}

#[test]
fn advice_names_the_command() {
    for (fault, command) in [
        (Fault::MissingConfig { what: "ConfigMap web".into() }, "kubectl create configmap -n shop web"),
        (
            Fault::MissingConfig { what: "key URL in Secret shop/db".into() },
            "add key URL: kubectl edit secret -n shop db",
        ),
        (
            Fault::ImageError { image: "shop/cart:9".into(), reason: "ErrImagePull".into() },
            "kubectl set image -n shop deployment/cart",
        ),
        (Fault::LivenessKills { container: "app".into() }, "startupProbe"),
        (
            Fault::Unschedulable { why: "0/5 nodes: 5 Insufficient cpu.".into() },
            "kubectl describe pod -n shop cart-aaa-0",
        ),
        (Fault::OomNode { node: "n1".into() }, "kubectl describe node n1"),
    ] {
        let p = oom().edit(|s| s.finding.fault = fault).run().unwrap();
        assert_eq!((p.strategy, p.plan.steps.len()), (Strategy::Advise, 0));
        assert!(p.notes.iter().any(|n| n.contains(command)), "{:?}", p.notes);
    }
}

#[test]
fn symptoms_and_systemic_trouble_get_a_reason_instead_of_a_plan() {
    let slo = Fault::SloBurn { slo: "checkout".into(), burn: 20.0, factor: 14.4, budget_left: None };
    assert!(oom().edit(|s| s.finding.fault = slo).why().contains("symptom"));
    let systemic = Fault::Systemic { share: 0.5, scope: "nodes".into() };
    assert!(oom().edit(|s| s.finding.fault = systemic).why().contains("stands back"));
}

#[test]
fn nothing_that_writes_is_planned_from_sources_that_are_not_fresh() {
    let states = [
        SourceState::Live { last: fx::ago(121) },
        SourceState::Unknown,
        SourceState::Syncing { since: fx::now() },
        SourceState::Failed { since: fx::ago(1), last: Some(fx::ago(1)), why: "reset".into() },
    ];
    let all = [oom(), release(), saturated(3, 1.05), leak(4), crashing(4, 1), sick_node(NodeTrouble::NotReady, 1)];
    for scenario in &all {
        assert!(scenario.run().unwrap().plan.writes());
    }
    for state in states {
        for mut scenario in
            [oom(), release(), saturated(3, 1.05), leak(4), crashing(4, 1), sick_node(NodeTrouble::NotReady, 1)]
        {
            let sources = scenario.snapshot.sources.iter().map(|s| Source { state: state.clone(), ..s.clone() });
            scenario.snapshot.sources = sources.collect();
            assert!(scenario.why().contains("not up to date"));
        }
    }
}

#[test]
fn five_outcomes_replace_the_prior() {
    let mut s = oom();
    (0..5).for_each(|i| {
        s.history.judged(Strategy::Reconfigure, if i < 4 { Verdict::Effective } else { Verdict::Neutral }, Some(80));
    });
    let effect = s.run().unwrap().effect;
    assert_eq!((effect.basis.as_str(), effect.probability, effect.recovery_s), ("5 outcomes", Some(0.8), Some(80)));
}

#[test]
fn the_amounts_are_written_as_people_write_them() {
    let p = oom_at("512Mi", "1Gi").run().unwrap();
    assert_eq!(patch_of(&p)[2]["value"], Bytes(1229 * MIB).to_string());
}

#[test]
fn a_value_set_by_a_person_is_planned_inside_the_same_bounds_and_undone_the_same_way() {
    let p = oom().run().unwrap();
    assert_eq!(p.adjustable().as_deref(), Some("228Mi"));
    let set = oom().adjusted("300Mi").unwrap();
    assert_eq!(set.adjustable().as_deref(), Some("300Mi"));
    assert_ne!(set.hash, p.hash, "another plan, to be read and approved by its own hash");
    let crate::model::plan::Inverse::Patch { patch } = &set.plan.steps[0].inverse else { panic!() };
    let back = serde_json::to_value(patch).unwrap();
    assert_eq!((&back[1]["value"], &back[2]["value"]), (&json!("300Mi"), &json!("128Mi")), "{back:#}");
    let no = |to: &str| oom().adjusted(to).unwrap_err().why;
    assert!(no("lots").contains("\"lots\" is not an amount of memory such as 300Mi"), "{}", no("lots"));
    assert!(no("128Mi").contains("not above the 128Mi"), "{}", no("128Mi"));
    assert!(no("900Gi").contains("too much") && no("900Gi").contains("largest node"), "{}", no("900Gi"));

    assert_eq!(saturated(3, 1.05).run().unwrap().adjustable().as_deref(), Some("5"));
    assert_eq!(patch_of(&saturated(3, 1.05).adjusted("4").unwrap())[1]["value"], 4);
    for wrong in ["3", "21", "-1", "many"] {
        assert!(saturated(3, 1.05).adjusted(wrong).unwrap_err().why.contains("from 4 to 20"), "{wrong}");
    }
    // A plan of several steps is taken or left.
    assert_eq!(leak(3).run().unwrap().adjustable(), None);
}

mod blamed {
    use super::super::scenario::{self, Scenario};
    use crate::model::action::Verdict;
    use crate::model::finding::Fault;
    use crate::model::fixtures as fx;
    use crate::model::plan::{Op, Risk, Strategy};
    use serde_json::json;

    /// The release of the fixture, a few minutes old, with another fault.
    fn released(fault: Fault) -> Scenario {
        scenario::release().edit(|s| s.finding.fault = fault)
    }

    fn leak() -> Fault {
        Fault::Leak { container: Some("app".into()), per_hour: 0.5, r2: 0.9, seconds_to_limit: None }
    }

    #[test]
    fn a_leak_that_a_release_began_is_rolled_back_and_an_old_one_is_not() {
        let made = released(leak()).run().unwrap();
        assert_eq!(made.strategy, Strategy::Rollback);
        assert!(made.why.iter().any(|e| e.says.contains("this began after it")), "{:?}", made.why);
        let old = released(leak()).edit(|s| s.finding.since = fx::now() - chrono::TimeDelta::hours(2));
        assert!(!old.run().is_ok_and(|p| p.strategy == Strategy::Rollback), "it leaked before the release");
    }

    #[test]
    fn a_release_that_makes_requests_worse_is_rolled_back() {
        let fault = Fault::Regression { revision: 3, symptom: "30 % of requests fail".into() };
        assert_eq!(released(fault).run().unwrap().strategy, Strategy::Rollback);
    }

    #[test]
    fn a_hang_that_came_back_after_a_restart_is_rolled_back_with_the_pods_last_words() {
        let hang = || Fault::NotReady { why: "x".into() };
        let again = released(hang()).edit(|s| {
            let restart = scenario::leak(3).run().unwrap();
            assert_eq!(restart.strategy, Strategy::Restart);
            s.history.applied(&restart, fx::now());
            s.history.judged(Strategy::Restart, Verdict::Neutral, None);
        });
        let made = again.run().unwrap();
        assert_eq!(made.strategy, Strategy::Rollback);
        assert!(made.why.iter().any(|e| e.source.contains("before it goes")), "{:?}", made.why);
    }

    #[test]
    fn what_was_scaled_away_is_put_back_on_the_object_itself() {
        let away = scenario::saturated(3, 0.3).edit(|s| {
            s.finding.fault = Fault::ScaledAway { was: 2 };
            s.live()["spec"]["replicas"] = json!(0);
        });
        let made = away.run().unwrap();
        let Op::Patch { patch, subresource } = &made.plan.steps[0].op else { panic!("{:?}", made.plan) };
        assert_eq!(*subresource, None, "a Scale leaves out a count of zero, which could not be tested");
        assert_eq!(json!(patch)[1], json!({"op": "replace", "path": "/spec/replicas", "value": 2}));
        assert!(made.risk >= Risk::Medium && made.plan.reversible());
        let back = scenario::saturated(3, 0.3).edit(|s| s.finding.fault = Fault::ScaledAway { was: 2 });
        assert!(back.why().contains("not at zero any more"));
    }

    #[test]
    fn an_autoscaler_at_its_maximum_gets_a_higher_one_and_keeps_its_replicas() {
        let hpa = |current: u32| {
            json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
                "metadata": {"name": "cart", "namespace": "shop", "uid": "u-hpa", "resourceVersion": "5"},
                "spec": {"maxReplicas": 3, "scaleTargetRef": {"kind": "Deployment", "name": "cart"}},
                "status": {"currentReplicas": current}})
        };
        let at = |current: u32| scenario::saturated(3, 1.4).edit(|s| s.dossier.autoscalers = vec![hpa(current)]);
        let made = at(3).run().unwrap();
        assert_eq!(&*made.plan.steps[0].target.resource.kind, "HorizontalPodAutoscaler");
        let Op::Patch { patch, .. } = &made.plan.steps[0].op else { panic!("{:?}", made.plan) };
        assert_eq!(json!(patch)[1], json!({"op": "replace", "path": "/spec/maxReplicas", "value": 6}));
        assert!(at(2).why().contains("has room"));
    }
}
