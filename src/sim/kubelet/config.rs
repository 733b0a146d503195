//! What containers read at their start: environment and mounted ConfigMaps, and what is missing.

use crate::sim::object::{at, list, strings, text, yes};
use crate::sim::store::Store;
use serde_json::Value;
use std::collections::BTreeMap;

/// Something that is referred to is not there; the text is the kubelet's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing(pub String);

/// The map that every namespace's controller publishes; service account volumes refer to it, and it holds nothing that
/// a process's behaviour could depend on.
const ROOT_CA: &str = "kube-root-ca.crt";

/// A ConfigMap's data, or the names in a Secret.
fn data(store: &Store, kind: &str, namespace: &str, name: &str) -> Option<BTreeMap<String, String>> {
    let (key, secret) = if kind == "secret" { ("secrets", true) } else { ("configmaps", false) };
    let object = store.get(key, namespace, name)?.shared();
    let mut all = strings(&object, "data");
    if secret {
        all.extend(strings(&object, "stringData"));
        for value in all.values_mut() {
            "present".clone_into(value);
        }
    } else if let Some(Value::Object(binary)) = at(&object, "binaryData") {
        all.extend(binary.keys().map(|k| (k.clone(), "present".to_owned())));
    }
    Some(all)
}

/// The first volume that cannot be set up, and why.
pub fn volumes(store: &Store, pod: &Value) -> Option<(String, String)> {
    let namespace = text(pod, "metadata.namespace");
    for volume in list(pod, "spec.volumes") {
        let mut sources: Vec<(&str, &str, &Value)> = Vec::new();
        for (kind, field) in [("configmap", "configMap"), ("secret", "secret")] {
            if let Some(source) = at(volume, field) {
                let name = if kind == "secret" { text(source, "secretName") } else { text(source, "name") };
                sources.push((kind, name, source));
            }
        }
        for part in list(volume, "projected.sources") {
            for (kind, field) in [("configmap", "configMap"), ("secret", "secret")] {
                if let Some(source) = at(part, field) {
                    sources.push((kind, text(source, "name"), source));
                }
            }
        }
        for (kind, name, source) in sources {
            if name == ROOT_CA || yes(source, "optional") {
                continue;
            }
            let why = match data(store, kind, namespace, name) {
                None => Some(format!("{kind} \"{name}\" not found")),
                Some(all) => {
                    let absent = list(source, "items").iter().map(|i| text(i, "key")).find(|k| !all.contains_key(*k));
                    absent.map(|k| format!("references non-existent config key: {k}"))
                }
            };
            if let Some(why) = why {
                return Some((text(volume, "name").to_owned(), why));
            }
        }
    }
    None
}

/// The configuration of a container: `ConfigMap name/key` and `Secret name/key` with values (a Secret's only as
/// `present`), and environment variables by name.
pub fn of(
    store: &Store,
    pod: &Value,
    container: &Value,
    ip: &str,
    host: &str,
) -> Result<BTreeMap<String, String>, Missing> {
    let namespace = text(pod, "metadata.namespace");
    let mut all = BTreeMap::new();
    for from in list(container, "envFrom") {
        for (kind, field) in [("configmap", "configMapRef"), ("secret", "secretRef")] {
            let Some(source) = at(from, field) else { continue };
            let name = text(source, "name");
            match data(store, kind, namespace, name) {
                None if yes(source, "optional") => {}
                None => return Err(Missing(format!("{kind} \"{name}\" not found"))),
                Some(found) => {
                    for (key, value) in found {
                        all.insert(format!("{}{key}", text(from, "prefix")), value.clone());
                        all.insert(format!("{} {name}/{key}", shown(kind)), value);
                    }
                }
            }
        }
    }
    for env in list(container, "env") {
        let value = match at(env, "valueFrom") {
            None => Some(text(env, "value").to_owned()),
            Some(from) => one(store, namespace, from, pod, (ip, host), &mut all)?,
        };
        if let Some(value) = value {
            all.insert(text(env, "name").to_owned(), value);
        }
    }
    mounted(store, pod, container, &mut all);
    Ok(all)
}

fn shown(kind: &str) -> &str {
    if kind == "secret" { "Secret" } else { "ConfigMap" }
}

/// One `valueFrom`.
fn one(
    store: &Store,
    namespace: &str,
    from: &Value,
    pod: &Value,
    (ip, host): (&str, &str),
    all: &mut BTreeMap<String, String>,
) -> Result<Option<String>, Missing> {
    for (kind, field) in [("configmap", "configMapKeyRef"), ("secret", "secretKeyRef")] {
        let Some(source) = at(from, field) else { continue };
        let (name, key) = (text(source, "name"), text(source, "key"));
        let found = data(store, kind, namespace, name);
        let optional = yes(source, "optional");
        return match found.as_ref().map(|f| f.get(key)) {
            Some(Some(value)) => {
                all.insert(format!("{} {name}/{key}", shown(kind)), value.clone());
                Ok(Some(value.clone()))
            }
            _ if optional => Ok(None),
            None => Err(Missing(format!("{kind} \"{name}\" not found"))),
            Some(None) => Err(Missing(format!("couldn't find key {key} in {} {namespace}/{name}", shown(kind)))),
        };
    }
    let path = text(from, "fieldRef.fieldPath");
    Ok(match path {
        "" => None,
        "status.podIP" | "status.podIPs" => Some(ip.to_owned()),
        "status.hostIP" | "status.hostIPs" => Some(host.to_owned()),
        path => Some(text(pod, path).to_owned()),
    })
}

/// What the container's mounts show of ConfigMaps and Secrets.
fn mounted(store: &Store, pod: &Value, container: &Value, all: &mut BTreeMap<String, String>) {
    let namespace = text(pod, "metadata.namespace");
    for mount in list(container, "volumeMounts") {
        let Some(volume) = list(pod, "spec.volumes").iter().find(|v| text(v, "name") == text(mount, "name")) else {
            continue;
        };
        let parts = list(volume, "projected.sources").iter();
        for source in std::iter::once(volume).chain(parts) {
            for (kind, name) in [
                ("configmap", text(source, "configMap.name")),
                ("secret", text(source, "secret.secretName")),
                ("secret", text(source, "secret.name")),
            ] {
                for (key, value) in data(store, kind, namespace, name).unwrap_or_default() {
                    all.insert(format!("{} {name}/{key}", shown(kind)), value);
                }
            }
        }
    }
}
