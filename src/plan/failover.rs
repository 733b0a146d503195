//! Fail over: point a Service at a backup that its owner declared for it, when nothing behind it is ready.
//!
//! A Service says by the annotation [`BACKUP`] which workload of its namespace may take its place: `standby` (a Deployment)
//! or `StatefulSet/standby`. Nothing is guessed: without the annotation, or without a ready pod behind it, there is no plan.
//! The sick workload is not touched, so that its fault can be looked for; the Service goes back by undoing the action.

use super::draft::Draft;
use super::risk::Change;
use super::{Ask, NoProposal, live};
use crate::model::cluster::Workload;
use crate::model::dossier::BACKUP;
use crate::model::finding::{Evidence, Fault};
use crate::model::object::{ObjectRef, Resource};
use crate::model::plan::{Blast, Risk, Strategy};
use serde_json::Value;
use std::sync::Arc;

/// The plan, where the fault leaves nothing to serve and a backup is declared. `None`: there is nothing to fail over.
pub fn plan(ask: &Ask<'_>) -> Option<Result<Draft, NoProposal>> {
    let fits = matches!(
        ask.finding.fault,
        Fault::CrashLoop { .. }
            | Fault::NotReady { .. }
            | Fault::ImageError { .. }
            | Fault::MissingConfig { .. }
            | Fault::LivenessKills { .. }
            | Fault::BadRelease { .. }
            | Fault::OomContainer { .. }
    );
    let workload = ask.workload().ok().filter(|w| fits && w.readiness().0 == 0 && w.replicas.desired > 0)?;
    ask.dossier
        .services
        .iter()
        .find(|s| !s["metadata"]["annotations"][BACKUP].is_null())
        .map(|s| switch(ask, workload, s))
}

fn switch(ask: &Ask<'_>, workload: &Workload, service: &Value) -> Result<Draft, NoProposal> {
    let ns = &workload.key.namespace;
    let name = live::text(&service["metadata"]["name"]);
    let declared = live::text(&service["metadata"]["annotations"][BACKUP]);
    let backup = ask.dossier.backups.iter().find(|b| is_declared(b, declared));
    let Some(backup) = backup else {
        return Err(NoProposal::because(format!(
            "Service {name} declares {declared} as its backup ({BACKUP}), and there is none"
        )));
    };
    let (row, ready) = ready_pods(ask, backup);
    if ready == 0 {
        return Err(NoProposal::because(format!(
            "the declared backup {declared} of Service {name} has no ready pod either"
        )));
    }
    let selector = &backup["spec"]["selector"]["matchLabels"];
    if selector.as_object().is_none_or(serde_json::Map::is_empty) {
        return Err(NoProposal::because(format!("the backup {declared} has no labels of its own to select")));
    }
    if let Some(port) = missing_port(service, backup) {
        return Err(NoProposal::because(format!(
            "the backup {declared} has no port named {port}, which Service {name} needs"
        )));
    }
    if let Some(owner) = crate::model::ownership::owners(service, &[]).iter().find(|o| o.owns_spec()) {
        let title = format!("{ns}/{name}: fail over to {declared} (by its owner, {owner})");
        return Ok(Draft::advice(
            title,
            vec![format!("not patched: {owner} owns Service {name}. Set spec.selector there to {selector}")],
        ));
    }
    let (forth, back) = live::change(&["spec", "selector"], &service["spec"]["selector"], selector);
    let target = ObjectRef::namespaced(Resource::SERVICES, ns.clone(), name);
    let title = format!("point Service {name} at {declared}");
    Ok(Draft {
        strategy: Strategy::Failover,
        title: format!("{ns}/{}: {title}, since none of its own pods is ready", workload.key.name),
        steps: vec![live::patch_step(title, service, target, forth, back, None)?],
        change: Change::Template,
        blast: Blast {
            pods: 0,
            share_down: 0.0,
            nodes: 0,
            text: format!("no pod restarts; new connections go to the {ready} ready pods of {declared}"),
        },
        effect: format!("requests to {name} are answered by {declared}"),
        notes: vec![
            format!("{} stays as it is and stays broken: its own fault is still to be found", workload.key),
            "undo this when it is well again: kansole does not go back by itself".to_owned(),
            "what is written to the backup's own storage is not brought back".to_owned(),
        ],
        why: vec![Evidence::new(
            format!("Service {ns}/{name} annotation {BACKUP}"),
            format!("{declared}: {ready} pods ready"),
            Some(row.map_or(ask.dossier.taken, |_| ask.now)),
        )],
        manifest: None,
        at_least: Risk::High,
    })
}

fn is_declared(backup: &Value, declared: &str) -> bool {
    let (kind, name) = declared.split_once('/').unwrap_or(("Deployment", declared));
    live::text(&backup["metadata"]["name"]) == name && live::text(&backup["kind"]).eq_ignore_ascii_case(kind)
}

/// The backup as it is watched, and how many of its pods are ready.
fn ready_pods<'a>(ask: &Ask<'a>, backup: &Value) -> (Option<&'a Arc<Workload>>, u32) {
    let uid = live::text(&backup["metadata"]["uid"]);
    let row = ask.snapshot.workloads.iter().find(|w| !uid.is_empty() && *w.uid == *uid);
    (row, row.map_or(0, |w| w.readiness().0))
}

/// A named port of the Service that no container of the backup has.
fn missing_port<'a>(service: &'a Value, backup: &Value) -> Option<&'a str> {
    let containers = backup["spec"]["template"]["spec"]["containers"].as_array();
    let has = |name: &str| {
        let ports = containers.into_iter().flatten().flat_map(|c| c["ports"].as_array().into_iter().flatten());
        ports.into_iter().any(|p| p["name"] == name)
    };
    let ports = service["spec"]["ports"].as_array().into_iter().flatten();
    ports.filter_map(|p| p["targetPort"].as_str()).find(|name| !has(name))
}

#[cfg(test)]
mod tests {
    use super::super::scenario::{self, Scenario};
    use super::*;
    use crate::model::fixtures as fx;
    use crate::model::plan::Op;
    use serde_json::json;

    /// Deployment cart of which no pod is ready, before it Service cart, and a healthy Deployment standby.
    fn down(backup: &str) -> Scenario {
        scenario::crashing(2, 2).edit(|s| {
            let cart = (*s.snapshot.workloads[0]).clone();
            s.snapshot.workloads = fx::snapshot(vec![cart, fx::healthy("standby", 2)]).workloads;
            s.dossier.services = vec![json!({"apiVersion": "v1", "kind": "Service",
                "metadata": {"name": "cart", "namespace": "shop", "uid": "u-svc", "resourceVersion": "3",
                    "annotations": {BACKUP: backup}},
                "spec": {"selector": {"app": "cart"}, "ports": [{"port": 80, "targetPort": 8080}]}})];
            let mut standby = fx::live_deployment("standby", 2, "shop/cart:0", "64Mi", "128Mi");
            standby["metadata"]["uid"] = json!(*s.snapshot.workloads[1].uid);
            s.dossier.backups = vec![standby];
        })
    }

    #[test]
    fn a_service_without_ready_pods_is_pointed_at_its_declared_backup_by_a_person() {
        for declared in ["standby", "Deployment/standby"] {
            let made = down(declared).run().unwrap();
            assert_eq!((made.strategy, made.risk), (Strategy::Failover, Risk::High));
            let Op::Patch { patch, .. } = &made.plan.steps[0].op else { panic!("{:?}", made.plan) };
            assert_eq!(
                json!(patch),
                json!([{"op": "test", "path": "/spec/selector", "value": {"app": "cart"}},
                    {"op": "replace", "path": "/spec/selector", "value": {"app": "standby"}}])
            );
            assert!(made.plan.reversible());
        }
    }

    #[test]
    fn nothing_is_failed_over_without_a_ready_backup_or_while_pods_serve() {
        let no_pods =
            down("standby").edit(|s| s.dossier.backups[0]["metadata"]["uid"] = "another".into()).run().unwrap();
        assert_eq!(no_pods.strategy, Strategy::Advise);
        assert!(no_pods.notes.iter().any(|n| n.contains("no ready pod either")), "{:?}", no_pods.notes);
        let port = down("standby").edit(|s| s.dossier.services[0]["spec"]["ports"][0]["targetPort"] = "http".into());
        assert!(port.run().unwrap().notes.iter().any(|n| n.contains("no port named http")));
        let typo = down("stanby").run().unwrap();
        assert!(typo.notes.iter().any(|n| n.contains("there is none")), "{:?}", typo.notes);
        let undeclared = down("standby").edit(|s| s.dossier.services[0]["metadata"]["annotations"] = json!({}));
        assert_eq!(undeclared.run().unwrap().strategy, Strategy::Advise);
        let services = down("standby").dossier.services;
        let serving = scenario::crashing(4, 1).edit(|s| s.dossier.services = services);
        assert_eq!(serving.run().unwrap().strategy, Strategy::Restart, "three pods serve: the sick one is replaced");
    }
}
