//! Which kinds the simulated cluster serves: their groups, names and subresources, as discovery tells them.

use std::collections::BTreeMap;
use std::sync::{Arc, RwLock};

/// A kind of object. Its key everywhere in sim/ is [`Resource::key`], as kubectl writes it: `pods`, `deployments.apps`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// API group; empty for core.
    pub group: String,
    /// Served versions, the preferred (and stored) one first.
    pub versions: Vec<String>,
    /// `deployments`
    pub plural: String,
    /// `deployment`
    pub singular: String,
    /// `Deployment`
    pub kind: String,
    /// `deploy`
    pub short: Vec<String>,
    /// `all`
    pub categories: Vec<String>,
    /// Whether its objects live in namespaces.
    pub namespaced: bool,
    /// `status`, `scale`, …
    pub subresources: Vec<String>,
    /// Whether `metadata.generation` counts changes of the specification.
    pub generation: bool,
    /// Defined by a CustomResourceDefinition.
    pub custom: bool,
}

impl Resource {
    /// `plural` for the core group, else `plural.group`.
    pub fn key(&self) -> String {
        if self.group.is_empty() { self.plural.clone() } else { format!("{}.{}", self.plural, self.group) }
    }

    /// `v1` or `apps/v1`, with the preferred version.
    pub fn api_version(&self) -> String {
        let version = &self.versions[0];
        if self.group.is_empty() { version.clone() } else { format!("{}/{version}", self.group) }
    }

    /// `PodList`.
    pub fn list_kind(&self) -> String {
        format!("{}List", self.kind)
    }

    /// Whether it has the subresource.
    pub fn has(&self, subresource: &str) -> bool {
        self.subresources.iter().any(|s| s == subresource)
    }
}

/// One line per kind: group | versions | plural | Kind | short names | categories | scope | subresources | generation.
/// Names and scopes as `kubectl api-resources` of 1.36 lists them.
const BUILT_IN: &str = "
|v1|pods|Pod|po|all|ns|status,log,eviction,resize,binding,ephemeralcontainers|gen
|v1|services|Service|svc|all|ns|status,proxy|
|v1|endpoints|Endpoints|ep||ns||
|v1|nodes|Node|no||cluster|status|
|v1|namespaces|Namespace|ns||cluster|status,finalize|
|v1|configmaps|ConfigMap|cm||ns||
|v1|secrets|Secret|||ns||
|v1|serviceaccounts|ServiceAccount|sa||ns||
|v1|events|Event|ev||ns||
|v1|persistentvolumeclaims|PersistentVolumeClaim|pvc||ns|status|
|v1|persistentvolumes|PersistentVolume|pv||cluster|status|
|v1|replicationcontrollers|ReplicationController|rc|all|ns|status,scale|gen
|v1|limitranges|LimitRange|limits||ns||
|v1|resourcequotas|ResourceQuota|quota||ns|status|
|v1|podtemplates|PodTemplate|||ns||gen
apps|v1|deployments|Deployment|deploy|all|ns|status,scale|gen
apps|v1|replicasets|ReplicaSet|rs|all|ns|status,scale|gen
apps|v1|statefulsets|StatefulSet|sts|all|ns|status,scale|gen
apps|v1|daemonsets|DaemonSet|ds|all|ns|status|gen
apps|v1|controllerrevisions|ControllerRevision|||ns||
batch|v1|jobs|Job||all|ns|status|gen
batch|v1|cronjobs|CronJob|cj|all|ns|status|gen
autoscaling|v2,v1|horizontalpodautoscalers|HorizontalPodAutoscaler|hpa|all|ns|status|
policy|v1|poddisruptionbudgets|PodDisruptionBudget|pdb||ns|status|gen
discovery.k8s.io|v1|endpointslices|EndpointSlice|||ns||gen
coordination.k8s.io|v1|leases|Lease|||ns||
events.k8s.io|v1|events|Event|ev||ns||
networking.k8s.io|v1|ingresses|Ingress|ing||ns|status|gen
networking.k8s.io|v1|networkpolicies|NetworkPolicy|netpol||ns||gen
networking.k8s.io|v1|ingressclasses|IngressClass|||cluster||gen
rbac.authorization.k8s.io|v1|roles|Role|||ns||
rbac.authorization.k8s.io|v1|rolebindings|RoleBinding|||ns||
rbac.authorization.k8s.io|v1|clusterroles|ClusterRole|||cluster||
rbac.authorization.k8s.io|v1|clusterrolebindings|ClusterRoleBinding|||cluster||
storage.k8s.io|v1|storageclasses|StorageClass|sc||cluster||
scheduling.k8s.io|v1|priorityclasses|PriorityClass|pc||cluster||gen
apiextensions.k8s.io|v1|customresourcedefinitions|CustomResourceDefinition|crd,crds|api-extensions|cluster|status|gen
";

/// The kinds served now: the built-in ones, and those that CustomResourceDefinitions add.
#[derive(Debug)]
pub struct Registry {
    kinds: RwLock<BTreeMap<String, Arc<Resource>>>,
}

impl Default for Registry {
    fn default() -> Self {
        let kinds = BUILT_IN.lines().filter(|l| !l.is_empty()).map(|line| {
            let mut fields = line.split('|').map(str::to_owned);
            let mut next = || fields.next().unwrap_or_default();
            let words =
                |s: String| -> Vec<String> { s.split(',').filter(|w| !w.is_empty()).map(str::to_owned).collect() };
            let (group, versions, plural, kind) = (next(), words(next()), next(), next());
            let resource = Resource {
                group,
                versions,
                singular: kind.to_lowercase(),
                plural,
                kind,
                short: words(next()),
                categories: words(next()),
                namespaced: next() == "ns",
                subresources: words(next()),
                generation: next() == "gen",
                custom: false,
            };
            (resource.key(), Arc::new(resource))
        });
        Self { kinds: RwLock::new(kinds.collect()) }
    }
}

impl Registry {
    /// The kind with this key.
    pub fn get(&self, key: &str) -> Option<Arc<Resource>> {
        self.kinds.read().expect("no panic while held").get(key).cloned()
    }

    /// The kind that a request names by group and plural; `None` if it is not served in that version.
    pub fn find(&self, group: &str, version: &str, plural: &str) -> Option<Arc<Resource>> {
        let key = if group.is_empty() { plural.to_owned() } else { format!("{plural}.{group}") };
        self.get(&key).filter(|r| r.versions.iter().any(|v| v == version))
    }

    /// The kind of an object by `apiVersion` and `kind`.
    pub fn of_kind(&self, api_version: &str, kind: &str) -> Option<Arc<Resource>> {
        let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
        let kinds = self.kinds.read().expect("no panic while held");
        kinds.values().find(|r| r.group == group && r.kind == kind && r.versions.iter().any(|v| v == version)).cloned()
    }

    /// All kinds, ordered by key.
    pub fn all(&self) -> Vec<Arc<Resource>> {
        self.kinds.read().expect("no panic while held").values().cloned().collect()
    }

    /// Adds or replaces a custom kind.
    pub fn add(&self, resource: Resource) {
        self.kinds.write().expect("no panic while held").insert(resource.key(), Arc::new(resource));
    }

    /// Takes a custom kind away.
    pub fn remove(&self, key: &str) {
        self.kinds.write().expect("no panic while held").retain(|k, r| k != key || !r.custom);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_found_by_path_and_by_object() {
        let all = Registry::default();
        assert_eq!(all.find("apps", "v1", "deployments").unwrap().short, ["deploy"]);
        assert_eq!(all.of_kind("v1", "Pod").unwrap().key(), "pods");
        assert_eq!(all.get("nodes").unwrap().api_version(), "v1");
        assert!(!all.get("nodes").unwrap().namespaced);
        assert!(all.find("apps", "v1beta1", "deployments").is_none());
        assert_eq!(all.get("horizontalpodautoscalers.autoscaling").unwrap().api_version(), "autoscaling/v2");
    }
}
