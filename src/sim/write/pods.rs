//! What is posted to a pod: an eviction, a binding; and what its resize may change. Source: k8s.io/kubernetes
//! pkg/registry/core/pod/storage/eviction.go and storage.go.

use super::context::Refused;
use super::{Options, Target, Written, defaults, json};
use crate::sim::clock::rfc3339;
use crate::sim::fields::Writer;
use crate::sim::object::{at, condition, holds, int, list, set, set_condition, strings, take, text};
use crate::sim::status::Status;
use crate::sim::store::{Delete, Store, Stored};
use serde_json::{Value, json};

const BUDGETS: &str = "poddisruptionbudgets.policy";
/// How many pods may be on their way out under one budget at once.
const MOST_DISRUPTED: usize = 2000;

/// The Status of a subresource that did what it was asked.
fn success() -> Written {
    let object = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201});
    Written { object, created: true, warnings: Vec::new() }
}

fn body(bytes: &[u8], kind: &str) -> Result<Value, Status> {
    let read = json::read(bytes).map_err(|why| {
        Status::bad_request(format!(
            "the object provided is unrecognized (must be of type {kind}): couldn't get version/kind; json parse error: {why}"
        ))
    })?;
    Ok(read.value)
}

/// POST on `eviction`: deletes the pod if its budget allows it.
pub fn evict(store: &Store, target: Target<'_>, bytes: &[u8], options: &Options) -> Result<Written, Status> {
    let eviction = body(bytes, "Eviction")?;
    let named = text(&eviction, "metadata.name");
    if !named.is_empty() && named != target.name {
        return Err(Status::bad_request("name in URL does not match name in Eviction object"));
    }
    let stored = store.get("pods", target.namespace, target.name).ok_or_else(|| target.not_found())?;
    let pod = stored.value();
    let asked = &eviction["deleteOptions"];
    let dry_run = options.dry_run || list(asked, "dryRun").iter().any(|d| d == "All");
    let how = Delete {
        grace: int(asked, "gracePeriodSeconds"),
        uid: at(asked, "preconditions.uid").and_then(Value::as_str).map(str::to_owned),
        version: at(asked, "preconditions.resourceVersion").and_then(Value::as_str).map(str::to_owned),
        propagation: text(asked, "propagationPolicy").to_owned(),
    };
    preconditions(&how, &stored)?;
    let finished = matches!(text(&pod, "status.phase"), "Succeeded" | "Failed" | "Pending");
    if !finished && text(&pod, "metadata.deletionTimestamp").is_empty() {
        spend(store, &pod, dry_run)?;
    }
    if dry_run {
        return Ok(success());
    }
    let now = rfc3339(store.clock().now());
    let target_condition = |pod: &mut Value| {
        set_condition(pod, "DisruptionTarget", "True", "EvictionByEvictionAPI", "Eviction API: evicting", &now);
        Ok::<_, Refused>(())
    };
    let writer = Writer::status(&options.field_manager);
    let refused = |e: Refused| e.status(target, target.name);
    store.modify("pods", target.namespace, target.name, writer, target_condition).map_err(refused)?;
    // The condition is a version of its own: the precondition held before it.
    let how = Delete { version: None, ..how };
    store.delete("pods", target.namespace, target.name, &how).map_err(|e| refused(e.into()))?;
    Ok(success())
}

fn preconditions(how: &Delete, pod: &Stored) -> Result<(), Status> {
    let conflict = |what: &str, given: &str, here: &str, perhaps: &str| {
        let why = format!(
            "the {what} in the precondition ({given}) does not match the {what} in record ({here}). The object might have been {perhaps}"
        );
        Status::conflict("", "Pod", &pod.name, &why)
    };
    if let Some(uid) = how.uid.as_ref().filter(|u| **u != pod.uid) {
        return Err(conflict("UID", uid, &pod.uid, "deleted and then recreated"));
    }
    match how.version.as_ref().filter(|v| **v != pod.version.to_string()) {
        Some(version) => Err(conflict("ResourceVersion", version, &pod.version.to_string(), "modified")),
        None => Ok(()),
    }
}

/// Takes the pod's disruption from the one budget that covers it.
fn spend(store: &Store, pod: &Value, dry_run: bool) -> Result<(), Status> {
    let namespace = text(pod, "metadata.namespace");
    let labels = strings(pod, "metadata.labels");
    let budgets: Vec<_> =
        store.list(BUDGETS, Some(namespace)).1.into_iter().filter(|b| selects(&b.value(), &labels)).collect();
    let [budget] = budgets.as_slice() else {
        if budgets.is_empty() {
            return Ok(());
        }
        let why = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.";
        return Err(Status::new(500, "", why));
    };
    let value = budget.value();
    if !holds(pod, "Ready") {
        let healthy = int(&value, "status.currentHealthy").unwrap_or(0);
        let desired = int(&value, "status.desiredHealthy").unwrap_or(0);
        let always = text(&value, "spec.unhealthyPodEvictionPolicy") == "AlwaysAllow";
        if always || (healthy >= desired && desired > 0) {
            return Ok(());
        }
    }
    let (name, now) = (text(pod, "metadata.name").to_owned(), rfc3339(store.clock().now()));
    let act = |live: &mut Value| {
        take_one(live, &name, &now)?;
        Ok::<_, Refused>(())
    };
    let writer = Writer::status("kube-apiserver");
    let done = if dry_run {
        store.rehearse(BUDGETS, namespace, &budget.name, writer, act).map(drop)
    } else {
        store.modify(BUDGETS, namespace, &budget.name, writer, act).map(drop)
    };
    done.map_err(|e| match e {
        Refused::Status(status) => status,
        Refused::Store(e) => Status::new(500, "InternalError", e.to_string()),
    })
}

/// One disruption fewer, with the pod noted; or 429.
fn take_one(budget: &mut Value, pod: &str, now: &str) -> Result<(), Status> {
    let name = text(budget, "metadata.name").to_owned();
    let refuse = |cause: String, wait: Option<u64>| {
        let mut details = json!({"causes": [{"reason": "DisruptionBudget", "message": cause}]});
        if let Some(seconds) = wait {
            details["retryAfterSeconds"] = seconds.into();
        }
        let why = "Cannot evict pod as it would violate the pod's disruption budget.";
        Status::new(429, "TooManyRequests", why).with(details)
    };
    let generation = int(budget, "metadata.generation").unwrap_or(0);
    if int(budget, "status.observedGeneration").unwrap_or(0) < generation {
        return Err(refuse(format!("The disruption budget {name} is still being processed by the server."), Some(10)));
    }
    let allowed = int(budget, "status.disruptionsAllowed").unwrap_or(0);
    let noted = at(budget, "status.disruptedPods").and_then(Value::as_object).map_or(0, serde_json::Map::len);
    if allowed < 0 || noted > MOST_DISRUPTED {
        let why = if allowed < 0 {
            "pdb disruptions allowed is negative"
        } else {
            "DisruptedPods map too big - too many evictions not confirmed by PDB controller"
        };
        let message = format!("poddisruptionbudgets.policy {name:?} is forbidden: {why}");
        return Err(Status::new(403, "Forbidden", message).with(crate::sim::status::details(
            "policy",
            "poddisruptionbudgets",
            &name,
        )));
    }
    if allowed == 0 {
        return Err(refuse(exhausted(budget, &name), None));
    }
    set(budget, "status.disruptionsAllowed", allowed - 1);
    if allowed == 1 {
        set_condition(budget, "DisruptionAllowed", "False", "InsufficientPods", "", now);
    }
    if at(budget, "status.disruptedPods").is_none() {
        set(budget, "status.disruptedPods", json!({}));
    }
    budget["status"]["disruptedPods"][pod] = now.into();
    Ok(())
}

/// Why a budget allows no disruption.
fn exhausted(budget: &Value, name: &str) -> String {
    let (needs, has) =
        (int(budget, "status.desiredHealthy").unwrap_or(0), int(budget, "status.currentHealthy").unwrap_or(0));
    let condition = condition(budget, "DisruptionAllowed").filter(|c| text(c, "status") == "False");
    let said = condition.map(|c| (text(c, "reason"), text(c, "message"))).filter(|(_, message)| !message.is_empty());
    match said {
        Some(("SyncFailed", message)) => {
            format!(
                "The disruption budget {name} does not allow evicting pods currently because it failed sync: {message}"
            )
        }
        _ if has <= needs => format!("The disruption budget {name} needs {needs} healthy pods and has {has} currently"),
        Some((reason, message)) => {
            format!("The disruption budget {name} does not allow evicting pods currently ({reason}): {message}")
        }
        None => format!("The disruption budget {name} does not allow evicting pods currently"),
    }
}

/// Whether a budget covers pods with these labels. One without a selector covers none, an empty one all.
fn selects(budget: &Value, labels: &std::collections::BTreeMap<String, String>) -> bool {
    let Some(selector) = at(budget, "spec.selector") else { return false };
    strings(selector, "matchLabels").iter().all(|(k, v)| labels.get(k) == Some(v))
        && list(selector, "matchExpressions").iter().all(|e| {
            let value = labels.get(text(e, "key"));
            let named = value.is_some_and(|v| list(e, "values").iter().any(|x| x == v));
            match text(e, "operator") {
                "In" => named,
                "NotIn" => !named,
                "Exists" => value.is_some(),
                _ => value.is_none(),
            }
        })
}

/// POST on `binding`: gives the pod its node.
pub fn bind(store: &Store, target: Target<'_>, bytes: &[u8], options: &Options) -> Result<Written, Status> {
    let binding = body(bytes, "Binding")?;
    let node = text(&binding, "target.name").to_owned();
    let kind = text(&binding, "target.kind");
    // The registry answers a field's error as it is, not as a Status of its kind.
    let invalid = |why: String| Status::new(500, "", why);
    if !kind.is_empty() && kind != "Node" {
        return Err(invalid(format!(
            "target.kind: Unsupported value: {kind:?}: supported values: \"Node\", \"<empty>\""
        )));
    }
    if node.is_empty() {
        return Err(invalid("target.name: Required value".to_owned()));
    }
    let now = rfc3339(store.clock().now());
    let act = |pod: &mut Value| {
        let conflict = |why: String| Refused::from(Status::conflict("", "pods/binding", target.name, &why));
        if !text(pod, "metadata.deletionTimestamp").is_empty() {
            return Err(conflict(format!("pod {} is being deleted, cannot be assigned to a host", target.name)));
        }
        let here = text(pod, "spec.nodeName");
        if !here.is_empty() {
            return Err(conflict(format!("pod {} is already assigned to node {here:?}", target.name)));
        }
        set(pod, "spec.nodeName", node.as_str());
        set_condition(pod, "PodScheduled", "True", "", "", &now);
        Ok(())
    };
    let writer = Writer { manager: &options.field_manager, subresource: "binding" };
    let done = if options.dry_run {
        store.rehearse("pods", target.namespace, target.name, writer, act).map(drop)
    } else {
        store.modify("pods", target.namespace, target.name, writer, act).map(drop)
    };
    done.map_err(|e| e.status(target, target.name))?;
    Ok(success())
}

/// What a resize makes of the live pod: resources of its containers; whatever else is asked for does not happen, but for
/// what makes it an error.
pub fn resized(live: &Value, wanted: &Value) -> Result<Value, Status> {
    let mut errors = super::validate::Errors::default();
    let mut made = live.clone();
    for field in ["containers", "initContainers"] {
        let wanted = list(wanted, &format!("spec.{field}"));
        let containers = made["spec"].get_mut(field).and_then(Value::as_array_mut).into_iter().flatten();
        for (i, container) in containers.enumerate() {
            let Some(new) = wanted.iter().find(|w| text(w, "name") == text(container, "name")) else { continue };
            for part in ["requests", "limits"] {
                let before = strings(container, &format!("resources.{part}"));
                let after = strings(new, &format!("resources.{part}"));
                if before.keys().any(|k| !after.contains_key(k)) {
                    let at = format!("spec.{field}[{i}].resources.{part}");
                    errors.forbidden(&at, &format!("resource {part} cannot be removed"));
                }
            }
            for part in ["resources", "resizePolicy"] {
                match new.get(part) {
                    Some(value) => set(container, part, value.clone()),
                    None => drop(take(container, part)),
                }
            }
        }
    }
    let (class, before) = (defaults::pod::qos(&made), text(live, "status.qosClass"));
    if !before.is_empty() && class != before {
        errors.invalid("spec", &before.into(), "Pod QOS Class may not change as a result of resizing");
    }
    if fixed(&live["spec"]) != fixed(&made["spec"]) {
        errors.forbidden("spec", "only cpu and memory resources are mutable");
    }
    super::validate::resized(&made["spec"], &mut errors);
    errors.into_result("", "Pod", text(live, "metadata.name"))?;
    Ok(made)
}

/// The part of a pod's specification that a resize leaves as it is.
fn fixed(spec: &Value) -> Value {
    let mut spec = spec.clone();
    for field in ["containers", "initContainers"] {
        for c in spec.get_mut(field).and_then(Value::as_array_mut).into_iter().flatten() {
            for amount in ["requests.cpu", "requests.memory", "limits.cpu", "limits.memory"] {
                take(c, &format!("resources.{amount}"));
            }
            if let Some(Value::Object(resources)) = c.get_mut("resources") {
                resources.retain(|_, v| v.as_object().is_none_or(|m| !m.is_empty()));
            }
        }
    }
    spec
}

/// Refuses to resize a pod whose node is gone (the admission plugin NodeDeclaredFeatures asks it what it can do).
pub fn check_node(pod: &Value, known: impl Fn(&str) -> bool) -> Result<(), Status> {
    let (node, name) = (text(pod, "spec.nodeName"), text(pod, "metadata.name"));
    if node.is_empty() || known(node) {
        return Ok(());
    }
    let why = format!("pods {name:?} is forbidden: node {node:?} not found");
    Err(Status::new(403, "Forbidden", why).with(crate::sim::status::details("", "pods", name)))
}
