//! The live objects around one subject, fetched whole just before planning.

use super::live;
use super::problem::{Problem, Trouble};
use crate::model::dossier::{BACKUP, Dossier};
use crate::model::finding::Subject;
use crate::model::object::{ObjectRef, Resource, WorkloadKey, WorkloadKind};
use crate::model::snapshot::{Snapshot, SourceState};
use crate::model::time;
use kube::Client;
use kube::api::ListParams;
use serde_json::Value;
use std::collections::HashSet;
use std::sync::Arc;

/// Pods kept in a dossier.
const MOST_PODS: usize = 50;
/// Objects of one kind asked for at most.
const MOST_LISTED: u32 = 500;

/// Fetches all that planning for this subject may need. What cannot be read is named in `gaps`.
pub async fn fetch(client: &Client, subject: &Subject, snapshot: &Snapshot) -> Dossier {
    let mut gather = Gather { client, snapshot, dossier: Dossier { taken: time::now(), ..Dossier::default() } };
    match subject {
        Subject::Workload(key) => gather.workload(key).await,
        Subject::Node(name) => gather.node(name).await,
        Subject::Cluster => {}
    }
    Dossier { subject: Some(subject.clone()), ..gather.dossier }
}

/// One object as it is; the error says why it could not be read.
pub async fn object(client: &Client, object: &ObjectRef) -> Result<Value, String> {
    live::get(client, &object.path()).await.map_err(|problem| problem.why)
}

struct Gather<'a> {
    client: &'a Client,
    snapshot: &'a Snapshot,
    dossier: Dossier,
}

impl Gather<'_> {
    fn gap(&mut self, what: &str, problem: &Problem) {
        let why = match problem.trouble {
            Trouble::Forbidden => "forbidden".to_owned(),
            Trouble::NotFound => "not found".to_owned(),
            _ => problem.why.clone(),
        };
        self.dossier.gaps.push(format!("{what}: {why}").into());
    }

    async fn object(&mut self, object: &ObjectRef) -> Option<Value> {
        match live::get(self.client, &object.path()).await {
            Ok(value) => Some(value),
            Err(problem) => {
                self.gap(&object.to_string(), &problem);
                None
            }
        }
    }

    async fn list(&mut self, resource: &Resource, namespace: Option<&str>, params: ListParams) -> Vec<Value> {
        let params = ListParams { limit: Some(MOST_LISTED), ..params };
        match live::list(self.client, resource, namespace, &params).await {
            Ok(items) => {
                if items.len() >= MOST_LISTED as usize {
                    self.dossier.gaps.push(format!("{}: only the first {MOST_LISTED}", resource.plural).into());
                }
                items
            }
            Err(problem) => {
                self.gap(&resource.plural, &problem);
                Vec::new()
            }
        }
    }

    async fn node(&mut self, name: &Arc<str>) {
        self.dossier.object = self.object(&ObjectRef::cluster(Resource::NODES, name.clone())).await;
        let on_it = ListParams::default().fields(&format!("spec.nodeName={name}"));
        let pods = self.list(&Resource::PODS, None, on_it).await;
        self.dossier.pods = self.worst_first(pods);
        self.dossier.budgets = self.list(&Resource::PDBS, None, ListParams::default()).await;
    }

    async fn workload(&mut self, key: &WorkloadKey) {
        let namespace = Some(&*key.namespace);
        if let Some(object) = key.object() {
            self.dossier.object = self.object(&object).await;
        } else {
            self.dossier.gaps.push(format!("{key}: kansole does not know this kind").into());
        }
        let selector = self.dossier.object.as_ref().map_or_else(String::new, |o| labels(&o["spec"]["selector"]));
        let uid = self.dossier.object.as_ref().and_then(uid_of).map(str::to_owned);
        let revisions = match key.kind {
            WorkloadKind::Deployment => Some(Resource::REPLICASETS),
            WorkloadKind::StatefulSet | WorkloadKind::DaemonSet => Some(Resource::CONTROLLERREVISIONS),
            _ => None,
        };
        if let (Some(resource), Some(uid)) = (revisions, &uid) {
            let all = self.list(&resource, namespace, ListParams::default().labels(&selector)).await;
            self.dossier.revisions = all.into_iter().filter(|r| owned_by(r, |o| o == uid)).collect();
        }
        self.dossier.pods = self.pods(key, &selector, uid.as_deref()).await;
        self.dossier.autoscalers = self.autoscalers(key).await;
        for resource in [Resource::LIMITRANGES, Resource::RESOURCEQUOTAS] {
            let found = self.list(&resource, namespace, ListParams::default()).await;
            self.dossier.limits.extend(found);
        }
        self.dossier.budgets = self.list(&Resource::PDBS, namespace, ListParams::default()).await;
        let labels =
            self.dossier.object.as_ref().map_or(Value::Null, |o| o["spec"]["template"]["metadata"]["labels"].clone());
        let services = self.list(&Resource::SERVICES, namespace, ListParams::default()).await;
        self.dossier.services = services.into_iter().filter(|s| picks(&s["spec"]["selector"], &labels)).collect();
        self.dossier.backups = self.backups(key).await;
        let own = ObjectRef::cluster(Resource::NAMESPACES, key.namespace.clone());
        self.dossier.namespace = self.object(&own).await;
    }

    /// The workloads that its Services declare as their backup. One that is not there is a gap.
    async fn backups(&mut self, key: &WorkloadKey) -> Vec<Value> {
        let notes = self.dossier.services.iter().filter_map(|s| s["metadata"]["annotations"][BACKUP].as_str());
        let declared: Vec<String> = notes.map(str::to_owned).collect();
        let mut found = Vec::new();
        for text in declared {
            let (kind, name) = text.split_once('/').unwrap_or(("Deployment", &text));
            let resource = match kind.to_ascii_lowercase().as_str() {
                "deployment" => Resource::DEPLOYMENTS,
                "statefulset" => Resource::STATEFULSETS,
                _ => {
                    self.dossier
                        .gaps
                        .push(format!("backup {text}: only a Deployment or a StatefulSet can be one").into());
                    continue;
                }
            };
            found.extend(self.object(&ObjectRef::namespaced(resource, key.namespace.clone(), name)).await);
        }
        found
    }

    /// Pods of the workload itself, of its revisions, or, where nothing selects them, those the snapshot knows.
    async fn pods(&mut self, key: &WorkloadKey, selector: &str, uid: Option<&str>) -> Vec<Value> {
        if key.kind == WorkloadKind::Pod {
            return self.dossier.object.iter().cloned().collect();
        }
        let known: HashSet<&str> =
            self.snapshot.workload(key).into_iter().flat_map(|w| w.pods.iter()).map(|p| &*p.uid).collect();
        let params = ListParams::default().labels(selector);
        let all = self.list(&Resource::PODS, Some(&key.namespace), params).await;
        let makers: HashSet<&str> = self.dossier.revisions.iter().filter_map(uid_of).chain(uid).collect();
        let own = all
            .into_iter()
            .filter(|p| owned_by(p, |o| makers.contains(o)) || uid_of(p).is_some_and(|u| known.contains(u)))
            .collect();
        self.worst_first(own)
    }

    /// At most [`MOST_PODS`], those in trouble first.
    fn worst_first(&self, mut pods: Vec<Value>) -> Vec<Value> {
        let fine: HashSet<&str> = self
            .snapshot
            .workloads
            .iter()
            .flat_map(|w| w.pods.iter())
            .filter(|p| p.ready && p.restarts() == 0)
            .map(|p| &*p.uid)
            .collect();
        pods.sort_by_key(|p| uid_of(p).is_some_and(|u| fine.contains(u)));
        pods.truncate(MOST_PODS);
        pods
    }

    async fn autoscalers(&mut self, key: &WorkloadKey) -> Vec<Value> {
        let mut found = Vec::new();
        for (resource, target) in [
            (Resource::HPAS, "scaleTargetRef"),
            (Resource::VPAS, "targetRef"),
            (Resource::SCALEDOBJECTS, "scaleTargetRef"),
        ] {
            // Kinds that discovery did not find are not there; that is no gap.
            let served =
                !matches!(self.snapshot.source(&resource.plural), SourceState::Unknown | SourceState::NotServed);
            if served || resource == Resource::HPAS {
                let all = self.list(&resource, Some(&key.namespace), ListParams::default()).await;
                found.extend(all.into_iter().filter(|a| targets(&a["spec"][target], key)));
            }
        }
        found
    }
}

/// Whether a Service's selector picks pods with these labels. One without a selector picks nobody.
fn picks(selector: &Value, labels: &Value) -> bool {
    selector.as_object().is_some_and(|pairs| !pairs.is_empty() && pairs.iter().all(|(k, v)| labels[k.as_str()] == *v))
}

fn uid_of(object: &Value) -> Option<&str> {
    object["metadata"]["uid"].as_str()
}

fn owned_by(object: &Value, by: impl Fn(&str) -> bool) -> bool {
    let owners = object["metadata"]["ownerReferences"].as_array();
    owners.into_iter().flatten().any(|o| o["uid"].as_str().is_some_and(&by))
}

fn targets(reference: &Value, key: &WorkloadKey) -> bool {
    reference["name"].as_str() == Some(&*key.name)
        && reference["kind"].as_str().unwrap_or("Deployment") == key.kind.as_str()
}

/// A selector's plain pairs as the API takes them; its expressions only make it wider than needed.
fn labels(selector: &Value) -> String {
    let pairs = selector["matchLabels"].as_object().into_iter().flatten();
    let pairs: Vec<String> = pairs.filter_map(|(k, v)| Some(format!("{k}={}", v.as_str()?))).collect();
    pairs.join(",")
}

#[cfg(test)]
mod tests;
