//! Put a ConfigMap back to what it held before a change that broke its reader, and restart the reader where it does not
//! read it again by itself.

use super::draft::Draft;
use super::risk::Change;
use super::{Ask, NoProposal, advise, blast, live};
use crate::model::dossier::ConfigFile;
use crate::model::finding::{Evidence, Fault};
use crate::model::object::{ObjectRef, Resource, WorkloadKind};
use crate::model::ownership;
use crate::model::plan::{Blast, Risk, Step, Strategy};
use crate::model::time::{Timestamp, age};
use chrono::{SecondsFormat, TimeDelta};
use json_patch::PatchOperation;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// A change older than this is not blamed for what begins now.
const RECENT: TimeDelta = TimeDelta::minutes(60);
/// A finding may be dated a little before the change that was seen.
const SLACK: TimeDelta = TimeDelta::seconds(30);

/// Annotations of a workload or its template that say that a change of its ConfigMaps is taken over without us.
const RELOADS: [(&str, &str); 2] = [("kansole.dev/reloads-config", "true"), ("reloader.stakater.com/auto", "true")];

/// The plan, if a change of something that the workload reads may be what broke it: `None` if there was no such change.
pub fn blamed(ask: &Ask<'_>) -> Option<Result<Draft, NoProposal>> {
    let recent = |f: &&ConfigFile| {
        let changed = f.before.as_ref().map(|(_, at)| *at);
        changed.is_some_and(|at| ask.now - at <= RECENT && ask.finding.since >= at - SLACK)
    };
    let file = ask.dossier.configs.iter().filter(recent).max_by_key(|f| f.before.as_ref().map(|(_, at)| *at))?;
    Some(from(ask, file))
}

/// The plan for a map that the finding names; advice where what it held is not known.
pub fn put_back(ask: &Ask<'_>, map: &str) -> Result<Draft, NoProposal> {
    let file = ask.dossier.configs.iter().find(|f| live::text(&f.live["metadata"]["name"]) == map);
    if let Some(file) = file.filter(|f| f.before.is_some()) {
        return from(ask, file);
    }
    let why = format!("what ConfigMap {map} held before is not known: kansole did not see it, or may not read it");
    advise::plan(ask, &NoProposal::because(why))
}

fn from(ask: &Ask<'_>, file: &ConfigFile) -> Result<Draft, NoProposal> {
    let workload = ask.workload()?;
    let object = ask.live()?;
    let Some((was, changed)) = &file.before else {
        return Err(NoProposal::because("what it held before is not known"));
    };
    let key = &workload.key;
    let name = live::text(&file.live["metadata"]["name"]);
    let (keys, forth, back) = difference(&file.live, was);
    if forth.is_empty() {
        return Err(NoProposal::because(format!("ConfigMap {name} holds what it held before by now")));
    }
    let keys = keys.join(", ");
    let what = format!("put {keys} of ConfigMap {name} back to what it was before {}", changed.format("%H:%M:%S UTC"));
    if let Some(owner) = ownership::owners(&file.live, &[]).iter().find(|o| o.owns_spec()) {
        let notes = vec![
            format!("not patched: {owner} owns ConfigMap {name}. Put it back there"),
            format!("changed keys: {keys}"),
        ];
        return Ok(Draft::advice(format!("{}/{}: {what} (by its owner, {owner})", key.namespace, key.name), notes));
    }
    let target = ObjectRef::namespaced(Resource::CONFIGMAPS, key.namespace.clone(), name);
    let mut steps = vec![live::patch_step(what.clone(), &file.live, target, forth, back, None)?];
    let mut notes = vec![
        "who changed it may be at work on it: managedFields of the ConfigMap name them".to_owned(),
        "the old values are in the plan, and so in the journal".to_owned(),
    ];
    let mut touched = Blast { text: "one ConfigMap; no pod restarts".into(), ..Blast::default() };
    if reloads(object, name) {
        notes.push("its annotations say that a change of its ConfigMaps is taken over without a restart".into());
    } else if let Some(step) = restart(object, key.object(), &key.kind, *changed)? {
        steps.push(step);
        touched = blast::rollout(object, workload.replicas.desired);
    } else {
        notes.push(format!("restart {key} by hand: kansole cannot restart this kind"));
    }
    let readers =
        ask.snapshot.workloads.iter().filter(|w| {
            w.key != *key && w.key.namespace == key.namespace && w.config_maps.iter().any(|m| &**m == name)
        });
    let readers: Vec<&str> = readers.map(|w| &*w.key.name).take(5).collect();
    if !readers.is_empty() {
        notes.push(format!("also read by {}: they see it at their next restart", readers.join(", ")));
    }
    Ok(Draft {
        strategy: Strategy::Reconfigure,
        title: format!("{}/{}: {what}", key.namespace, key.name),
        steps,
        change: Change::Template,
        blast: touched,
        effect: "its pods run with the former configuration again".into(),
        notes,
        why: vec![Evidence::new(
            format!("ConfigMap {}/{name}", key.namespace),
            format!("{keys} changed {} ago, and this began after it", age(ask.now, *changed)),
            Some(*changed),
        )],
        manifest: None,
        at_least: if matches!(ask.finding.fault, Fault::ConfigEdit { .. } | Fault::MissingConfig { .. }) {
            Risk::Low
        } else {
            Risk::Medium // That the change is the cause rests on its time alone.
        },
    })
}

/// Names of keys that differ, and the patch there and back, each with `test`s on what it replaces.
fn difference(now: &Value, was: &Value) -> (Vec<String>, Vec<PatchOperation>, Vec<PatchOperation>) {
    let (mut keys, mut forth, mut back) = (Vec::new(), Vec::new(), Vec::new());
    for part in ["data", "binaryData"] {
        let names = |v: &Value| v[part].as_object().map(|m| m.keys().cloned().collect()).unwrap_or_default();
        let (new, old): (BTreeSet<String>, BTreeSet<String>) = (names(now), names(was));
        if new.is_empty() && !old.is_empty() {
            forth.push(live::add(&[part], json!({})));
        }
        for key in new.union(&old) {
            let path = [part, key.as_str()];
            match (&now[part][key], &was[part][key]) {
                (new, old) if new == old => continue,
                (Value::Null, old) => {
                    forth.push(live::add(&path, old.clone()));
                    back.extend([live::test(&path, old.clone()), live::remove(&path)]);
                }
                (new, Value::Null) => {
                    forth.extend([live::test(&path, new.clone()), live::remove(&path)]);
                    back.push(live::add(&path, new.clone()));
                }
                (new, old) => {
                    let (there, again) = live::change(&path, new, old);
                    forth.extend(there);
                    back.extend(again);
                }
            }
            keys.push(key.clone());
        }
    }
    (keys, forth, back)
}

/// Whether a change is taken over by the program itself or by somebody who restarts it.
fn reloads(object: &Value, map: &str) -> bool {
    let notes = [&object["metadata"]["annotations"], &object["spec"]["template"]["metadata"]["annotations"]];
    notes.iter().any(|n| {
        RELOADS.iter().any(|(key, value)| n[*key] == *value)
            || n["configmap.reloader.stakater.com/reload"]
                .as_str()
                .is_some_and(|l| l.split(',').any(|m| m.trim() == map))
    })
}

/// The rollout that makes pods read it: `kubectl rollout restart`. Dated by the change, so that the same plan made again is
/// the same plan. `None` for kinds that have no rollout.
fn restart(
    object: &Value,
    place: Option<ObjectRef>,
    kind: &WorkloadKind,
    changed: Timestamp,
) -> Result<Option<Step>, NoProposal> {
    let rolls = matches!(kind, WorkloadKind::Deployment | WorkloadKind::StatefulSet | WorkloadKind::DaemonSet);
    let Some(place) = place.filter(|_| rolls && object["spec"]["paused"] != true) else { return Ok(None) };
    let path = ["spec", "template", "metadata", "annotations", "kubectl.kubernetes.io/restartedAt"];
    let stamp = |at: Timestamp| json!(at.to_rfc3339_opts(SecondsFormat::Secs, true));
    let notes = &object["spec"]["template"]["metadata"]["annotations"];
    let before = &notes[path[4]];
    let at = if *before == stamp(changed) { stamp(changed + TimeDelta::seconds(1)) } else { stamp(changed) };
    let (forth, back) = if before.is_null() {
        let mut forth = Vec::new();
        if !notes.is_object() {
            forth.push(live::add(&path[..4], json!({})));
        }
        forth.push(live::add(&path, at.clone()));
        (forth, vec![live::test(&path, at), live::remove(&path)])
    } else {
        live::change(&path, before, &at)
    };
    let title = "restart its pods, so that they read it".to_owned();
    live::patch_step(title, object, place, forth, back, None).map(Some)
}

#[cfg(test)]
mod tests {
    use super::super::propose;
    use super::super::scenario::{self, Scenario};
    use super::*;
    use crate::model::fixtures as fx;
    use crate::model::plan::{Inverse, Op, Proposal};
    use json_patch::patch;

    fn map() -> Value {
        json!({"apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "cart-config", "namespace": "shop", "uid": "u-map", "resourceVersion": "77"},
            "data": {"URL": "typo", "NEW": "1", "SAME": "s"}})
    }

    /// Two minutes ago `URL` was changed, `NEW` added and `GONE` removed.
    fn edited(fault: Fault) -> Scenario {
        let was = json!({"data": {"URL": "good", "GONE": "x", "SAME": "s"}, "binaryData": null});
        scenario::oom().edit(|s| {
            s.finding.fault = fault;
            s.dossier.configs = vec![ConfigFile { live: map(), before: Some((was, fx::ago(120))) }];
        })
    }

    fn fault() -> Fault {
        Fault::ConfigEdit { map: "cart-config".into(), symptom: "30 % of requests fail".into() }
    }

    /// Both patches of a step, applied to an object one after the other.
    fn there_and_back(p: &Proposal, step: usize, object: &Value) -> (Value, Value) {
        let step = &p.plan.steps[step];
        let (Op::Patch { patch: forth, .. }, Inverse::Patch { patch: back }) = (&step.op, &step.inverse) else {
            panic!("{step:?}")
        };
        let mut there = object.clone();
        patch(&mut there, forth).unwrap();
        let mut again = there.clone();
        patch(&mut again, back).unwrap();
        (there, again)
    }

    #[test]
    fn every_changed_key_goes_back_and_the_reader_is_restarted() {
        let s = edited(fault());
        let made = s.run().unwrap();
        assert_eq!((made.strategy, made.plan.steps.len(), made.risk), (Strategy::Reconfigure, 2, Risk::Low));
        let (there, again) = there_and_back(&made, 0, &map());
        assert_eq!(there["data"], json!({"URL": "good", "GONE": "x", "SAME": "s"}));
        assert_eq!(again, map(), "and it can be undone");
        let live = s.dossier.object.clone().unwrap();
        let (there, again) = there_and_back(&made, 1, &live);
        let at = "/spec/template/metadata/annotations/kubectl.kubernetes.io~1restartedAt";
        assert_eq!(there.pointer(at), Some(&json!("2026-09-21T14:11:30Z")));
        assert!(again.pointer(at).is_none());
        let later =
            propose(&s.finding, &s.snapshot, &s.dossier, &s.history, &s.set, fx::now() + TimeDelta::seconds(20));
        assert_eq!(later.unwrap().hash, made.hash, "made again, it is the same plan");
    }

    #[test]
    fn somebody_elses_change_in_between_is_not_overwritten() {
        let made = edited(fault()).run().unwrap();
        let Op::Patch { patch: forth, .. } = &made.plan.steps[0].op else { panic!("{:?}", made.plan) };
        let mut moved = map();
        moved["data"]["URL"] = json!("corrected by hand");
        assert!(patch(&mut moved, forth).is_err());
    }

    #[test]
    fn who_reads_it_again_is_not_restarted() {
        for (note, value) in [
            ("kansole.dev/reloads-config", "true"),
            ("reloader.stakater.com/auto", "true"),
            ("configmap.reloader.stakater.com/reload", "other, cart-config"),
        ] {
            let made =
                edited(fault()).edit(|s| s.live()["metadata"]["annotations"][note] = value.into()).run().unwrap();
            assert_eq!((made.plan.steps.len(), made.blast.pods), (1, 0), "{note}");
        }
    }

    #[test]
    fn what_is_not_known_or_declared_elsewhere_is_advised() {
        let unknown = edited(fault()).edit(|s| s.dossier.configs.clear()).run().unwrap();
        assert_eq!(unknown.strategy, Strategy::Advise);
        assert!(unknown.notes[0].contains("not known"), "{:?}", unknown.notes);
        let owned = edited(fault()).edit(|s| {
            s.dossier.configs[0].live["metadata"]["annotations"] = json!({"meta.helm.sh/release-name": "web"});
        });
        let owned = owned.run().unwrap();
        assert_eq!((owned.strategy, owned.plan.steps.len()), (Strategy::Advise, 0));
    }

    #[test]
    fn crashes_and_missing_keys_after_a_change_put_it_back_and_older_ones_do_not() {
        let missing = edited(Fault::MissingConfig { what: "key GONE in ConfigMap shop/cart-config".into() });
        assert_eq!(missing.run().unwrap().strategy, Strategy::Reconfigure);
        let crash = || Fault::CrashLoop { container: "app".into(), exit_code: 1 };
        assert_eq!(edited(crash()).run().unwrap().risk, Risk::Medium, "only its time speaks for it");
        let older = edited(crash()).edit(|s| s.finding.since = fx::ago(600));
        assert_ne!(older.run().unwrap().strategy, Strategy::Reconfigure, "it crashed before the change");
    }
}
