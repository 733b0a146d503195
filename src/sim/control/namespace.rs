//! Namespaces: what each is given (pkg/controller/serviceaccount, certificates/rootcacertpublisher), and how it is emptied
//! (pkg/controller/namespace).

use super::Controller;
use super::context::Context;
use super::queue::{Id, Queue};
use super::world::{Seen, World};
use crate::model::time::Timestamp;
use crate::sim::object::{at, list, set, set_condition, take, text};
use serde_json::{Value, json};
use std::collections::BTreeSet;

const KEY: &str = "namespaces";

/// Remembers which are being emptied.
#[derive(Default)]
pub struct Namespaces {
    terminating: BTreeSet<String>,
}

impl Controller for Namespaces {
    fn observe(&mut self, seen: &Seen<'_>, _: &World, queue: &mut Queue) {
        let object = seen.object();
        if seen.key() == KEY {
            if !seen.gone() && seen.meta.deletion_timestamp.is_some() {
                self.terminating.insert(object.name.clone());
            } else {
                self.terminating.remove(&object.name);
            }
            if !seen.gone() {
                queue.add(seen.id());
            }
        } else if seen.gone()
            && (self.terminating.contains(&object.namespace) || matches!(seen.key(), "serviceaccounts" | "configmaps"))
        {
            queue.add(Id::new(KEY, "", &object.namespace));
        }
    }

    fn reconcile(&mut self, cx: &Context<'_>, id: &Id) -> Option<Timestamp> {
        let namespace = cx.get(id)?;
        if at(&namespace, "metadata.deletionTimestamp").is_none() {
            provide(cx, &id.name);
        } else if list(&namespace, "spec.finalizers").iter().any(|f| f == "kubernetes") {
            empty(cx, id);
        }
        None
    }
}

/// The service account `default` and the certificate of the API server.
fn provide(cx: &Context<'_>, namespace: &str) {
    let meta = |name: &str| json!({"name": name, "namespace": namespace});
    if cx.store.get("serviceaccounts", namespace, "default").is_none() {
        let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta("default")});
        // It can only be refused for being there.
        drop(cx.create("serviceaccounts", account));
    }
    if cx.store.get("configmaps", namespace, "kube-root-ca.crt").is_none() {
        let mut map = json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": meta("kube-root-ca.crt"),
            // The API is served in the clear on loopback: there is no authority to trust.
            "data": {"ca.crt": ""},
        });
        map["metadata"]["annotations"]["kubernetes.io/description"] =
            "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters.".into();
        drop(cx.create("configmaps", map));
    }
}

/// Deletes everything in it; when nothing is left, itself.
fn empty(cx: &Context<'_>, id: &Id) {
    let mut left = Vec::new();
    for kind in cx.store.registry.all().iter().filter(|k| k.namespaced) {
        let key = kind.key();
        for stored in cx.store.list(&key, Some(&id.name)).1 {
            if !stored.body.contains("\"deletionTimestamp\"") {
                cx.delete(&Id::of(&stored), &stored.uid);
            }
        }
        let count = cx.store.list(&key, Some(&id.name)).1.len();
        if count > 0 {
            left.push(format!("{key} has {count} resource instances"));
        }
    }
    let time = cx.time();
    if left.is_empty() {
        cx.update(id, |v| drop(take(v, "spec.finalizers")));
        return;
    }
    let message = format!("Some resources are remaining: {}", left.join(", "));
    cx.update_status(id, |v| {
        for (kind, reason, text) in [
            ("NamespaceDeletionDiscoveryFailure", "ResourcesDiscovered", "All resources successfully discovered"),
            (
                "NamespaceDeletionGroupVersionParsingFailure",
                "ParsedGroupVersions",
                "All legacy kube types successfully parsed",
            ),
            (
                "NamespaceDeletionContentFailure",
                "ContentDeleted",
                "All content successfully deleted, may be waiting on finalization",
            ),
        ] {
            set_condition(v, kind, "False", reason, text, &time);
        }
        set_condition(v, "NamespaceContentRemaining", "True", "SomeResourcesRemain", &message, &time);
    });
}

const CRDS: &str = "customresourcedefinitions.apiextensions.k8s.io";
const CLEANUP: &str = "customresourcecleanup.apiextensions.k8s.io";

/// CustomResourceDefinitions (k8s.io/apiextensions-apiserver/pkg/controller): establishing, and cleaning up.
pub struct Definitions;

impl Controller for Definitions {
    fn observe(&mut self, seen: &Seen<'_>, _: &World, queue: &mut Queue) {
        if seen.key() == CRDS {
            if seen.gone() {
                seen.registry.remove(&seen.object().name);
            } else {
                queue.add(seen.id());
            }
        } else if seen.gone() && seen.registry.get(seen.key()).is_some_and(|k| k.custom) {
            queue.add(Id::new(CRDS, "", seen.key()));
        }
    }

    fn reconcile(&mut self, cx: &Context<'_>, id: &Id) -> Option<Timestamp> {
        let crd = cx.get(id)?;
        if at(&crd, "metadata.deletionTimestamp").is_some() {
            for stored in cx.store.list(&id.name, None).1 {
                cx.delete(&Id::of(&stored), &stored.uid);
            }
            if cx.store.count(&id.name) == 0 {
                cx.update(id, |v| {
                    let rest: Vec<Value> =
                        list(v, "metadata.finalizers").iter().filter(|f| *f != CLEANUP).cloned().collect();
                    set(v, "metadata.finalizers", rest);
                });
            }
            return None;
        }
        if let Some(kind) = resource(&crd)
            && cx.store.registry.get(&id.name).as_deref() != Some(&kind)
        {
            cx.store.registry.add(kind);
        }
        let time = cx.time();
        let stored: Vec<Value> = list(&crd, "spec.versions")
            .iter()
            .filter(|v| v.get("storage") == Some(&Value::Bool(true)))
            .filter_map(|v| v.get("name").cloned())
            .collect();
        cx.update_status(id, |v| {
            set_condition(v, "NamesAccepted", "True", "NoConflicts", "no conflicts found", &time);
            set_condition(
                v,
                "Established",
                "True",
                "InitialNamesAccepted",
                "the initial names have been accepted",
                &time,
            );
            if let Some(names) = at(v, "spec.names").cloned() {
                set(v, "status.acceptedNames", names);
            }
            if at(v, "status.storedVersions").is_none() {
                set(v, "status.storedVersions", stored);
            }
        });
        if !list(&crd, "metadata.finalizers").iter().any(|f| f == CLEANUP) {
            cx.update(id, |v| {
                let mut all = list(v, "metadata.finalizers").to_vec();
                all.push(CLEANUP.into());
                set(v, "metadata.finalizers", all);
            });
        }
        None
    }
}

/// The kind that a definition defines.
pub fn resource(crd: &Value) -> Option<crate::sim::resource::Resource> {
    let names = |field: &str| -> Vec<String> {
        list(crd, &format!("spec.names.{field}")).iter().filter_map(|v| v.as_str().map(str::to_owned)).collect()
    };
    let all = list(crd, "spec.versions");
    let flag = |v: &Value, f: &str| v.get(f) == Some(&Value::Bool(true));
    let mut versions: Vec<&Value> = all.iter().filter(|v| flag(v, "served")).collect();
    versions.sort_by_key(|v| !flag(v, "storage"));
    let first = versions.first()?;
    let subresources = ["status", "scale"].into_iter().filter(|s| at(first, &format!("subresources.{s}")).is_some());
    let kind = text(crd, "spec.names.kind");
    let singular = text(crd, "spec.names.singular");
    Some(crate::sim::resource::Resource {
        group: text(crd, "spec.group").to_owned(),
        versions: versions.iter().map(|v| text(v, "name").to_owned()).collect(),
        plural: text(crd, "spec.names.plural").to_owned(),
        singular: if singular.is_empty() { kind.to_lowercase() } else { singular.to_owned() },
        kind: kind.to_owned(),
        short: names("shortNames"),
        categories: names("categories"),
        namespaced: text(crd, "spec.scope") == "Namespaced",
        subresources: subresources.map(str::to_owned).collect(),
        generation: true,
        custom: true,
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::{World, deployment};
    use crate::sim::object::{holds, list};
    use serde_json::{Value, json};

    #[test]
    fn a_namespace_is_furnished_and_emptied() {
        let mut world = World::shop();
        world.create("deployments.apps", deployment(2, "web:1"));
        world.run(10.0);
        assert!(world.find("serviceaccounts", "default").is_some());
        world.delete("configmaps", "kube-root-ca.crt", "");
        world.run(1.0);
        assert!(world.find("configmaps", "kube-root-ca.crt").is_some());
        world.delete("namespaces", "shop", "");
        world.run(1.0);
        assert!(holds(&world.get("namespaces", "shop"), "NamespaceContentRemaining"));
        world.run(10.0);
        assert!(world.find("namespaces", "shop").is_none());
        assert!(["pods", "replicasets.apps", "configmaps", "serviceaccounts"].iter().all(|k| world.list(k).is_empty()));
    }

    #[test]
    fn a_definition_is_established_and_takes_its_objects_with_it() {
        let mut world = World::shop();
        world.create(
            super::CRDS,
            json!({
                "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "apps.argo.io"},
                "spec": {"group": "argo.io", "scope": "Namespaced", "names": {"plural": "apps", "kind": "App"},
                    "versions": [{"name": "v1alpha1", "served": true, "storage": true, "subresources": {"status": {}}}]},
            }),
        );
        world.run(1.0);
        let crd = world.get(super::CRDS, "apps.argo.io");
        assert!(holds(&crd, "Established") && holds(&crd, "NamesAccepted"));
        assert_eq!(list(&crd, "status.storedVersions"), [Value::from("v1alpha1")]);
        world.create(
            "apps.argo.io",
            json!({"apiVersion": "argo.io/v1alpha1", "kind": "App", "metadata": {"name": "a", "namespace": "shop"}}),
        );
        assert_eq!(world.writes(100.0), Vec::<String>::new());
        world.delete(super::CRDS, "apps.argo.io", "");
        world.run(1.0);
        assert!(
            world.find(super::CRDS, "apps.argo.io").is_none() && world.store.registry.get("apps.argo.io").is_none()
        );
    }
}
