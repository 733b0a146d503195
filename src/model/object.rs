//! Names of things in a cluster: resources, objects, workloads.

use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// An API resource: enough to build its URL and to ask for rights on it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Resource {
    /// API group, empty for core.
    pub group: Cow<'static, str>,
    /// Version served, such as `v1`.
    pub version: Cow<'static, str>,
    /// Kind, such as `Deployment`.
    pub kind: Cow<'static, str>,
    /// Plural name in URLs, such as `deployments`.
    pub plural: Cow<'static, str>,
    /// Whether its objects live in a namespace.
    pub namespaced: bool,
}

macro_rules! resources {
    ($($(#[$doc:meta])* $name:ident = $group:literal $version:literal $kind:literal $plural:literal $namespaced:literal;)*) => {
        impl Resource {
            $($(#[$doc])* pub const $name: Resource = Resource {
                group: Cow::Borrowed($group), version: Cow::Borrowed($version), kind: Cow::Borrowed($kind),
                plural: Cow::Borrowed($plural), namespaced: $namespaced,
            };)*
        }
    };
}

resources! {
    /// core/v1 pods
    PODS = "" "v1" "Pod" "pods" true;
    /// core/v1 nodes
    NODES = "" "v1" "Node" "nodes" false;
    /// core/v1 namespaces
    NAMESPACES = "" "v1" "Namespace" "namespaces" false;
    /// core/v1 services
    SERVICES = "" "v1" "Service" "services" true;
    /// core/v1 configmaps
    CONFIGMAPS = "" "v1" "ConfigMap" "configmaps" true;
    /// core/v1 events
    EVENTS = "" "v1" "Event" "events" true;
    /// core/v1 limitranges
    LIMITRANGES = "" "v1" "LimitRange" "limitranges" true;
    /// core/v1 resourcequotas
    RESOURCEQUOTAS = "" "v1" "ResourceQuota" "resourcequotas" true;
    /// apps/v1 deployments
    DEPLOYMENTS = "apps" "v1" "Deployment" "deployments" true;
    /// apps/v1 statefulsets
    STATEFULSETS = "apps" "v1" "StatefulSet" "statefulsets" true;
    /// apps/v1 daemonsets
    DAEMONSETS = "apps" "v1" "DaemonSet" "daemonsets" true;
    /// apps/v1 replicasets
    REPLICASETS = "apps" "v1" "ReplicaSet" "replicasets" true;
    /// apps/v1 controllerrevisions
    CONTROLLERREVISIONS = "apps" "v1" "ControllerRevision" "controllerrevisions" true;
    /// batch/v1 jobs
    JOBS = "batch" "v1" "Job" "jobs" true;
    /// batch/v1 cronjobs
    CRONJOBS = "batch" "v1" "CronJob" "cronjobs" true;
    /// autoscaling/v2 horizontalpodautoscalers
    HPAS = "autoscaling" "v2" "HorizontalPodAutoscaler" "horizontalpodautoscalers" true;
    /// policy/v1 poddisruptionbudgets
    PDBS = "policy" "v1" "PodDisruptionBudget" "poddisruptionbudgets" true;
    /// discovery.k8s.io/v1 endpointslices
    ENDPOINTSLICES = "discovery.k8s.io" "v1" "EndpointSlice" "endpointslices" true;
    /// coordination.k8s.io/v1 leases
    LEASES = "coordination.k8s.io" "v1" "Lease" "leases" true;
    /// autoscaling.k8s.io/v1 verticalpodautoscalers
    VPAS = "autoscaling.k8s.io" "v1" "VerticalPodAutoscaler" "verticalpodautoscalers" true;
    /// keda.sh/v1alpha1 scaledobjects
    SCALEDOBJECTS = "keda.sh" "v1alpha1" "ScaledObject" "scaledobjects" true;
}

impl Resource {
    /// `v1` or `apps/v1`.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.to_string() } else { format!("{}/{}", self.group, self.version) }
    }

    /// URL path of the collection, or of one object: `/apis/apps/v1/namespaces/shop/deployments/cart`.
    pub fn path(&self, namespace: Option<&str>, name: Option<&str>) -> String {
        let mut path = if self.group.is_empty() {
            format!("/api/{}", self.version)
        } else {
            format!("/apis/{}/{}", self.group, self.version)
        };
        if let Some(ns) = namespace.filter(|_| self.namespaced) {
            path.push_str("/namespaces/");
            path.push_str(ns);
        }
        path.push('/');
        path.push_str(&self.plural);
        if let Some(name) = name {
            path.push('/');
            path.push_str(name);
        }
        path
    }
}

/// One object by name. Whether it is still the same one is told by its UID, kept beside it where it matters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ObjectRef {
    /// What it is.
    pub resource: Resource,
    /// Where it is; `None` for cluster-scoped objects.
    pub namespace: Option<Arc<str>>,
    /// Its name.
    pub name: Arc<str>,
}

impl ObjectRef {
    /// A namespaced object.
    pub fn namespaced(resource: Resource, namespace: impl Into<Arc<str>>, name: impl Into<Arc<str>>) -> Self {
        Self { resource, namespace: Some(namespace.into()), name: name.into() }
    }

    /// A cluster-scoped object.
    pub fn cluster(resource: Resource, name: impl Into<Arc<str>>) -> Self {
        Self { resource, namespace: None, name: name.into() }
    }

    /// Its URL path.
    pub fn path(&self) -> String {
        self.resource.path(self.namespace.as_deref(), Some(&self.name))
    }
}

impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(ns) = &self.namespace {
            write!(f, "{ns}/")?;
        }
        write!(f, "{}/{}", self.resource.kind, self.name)
    }
}

/// The kinds of top controller that own pods. `Pod` is a pod nobody owns; `Other` is an operator's own kind.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum WorkloadKind {
    Deployment,
    StatefulSet,
    DaemonSet,
    ReplicaSet,
    Job,
    CronJob,
    Pod,
    Other(Arc<str>),
}

impl WorkloadKind {
    /// Reads an owner reference's kind.
    pub fn from_kind(kind: &str) -> Self {
        match kind {
            "Deployment" => Self::Deployment,
            "StatefulSet" => Self::StatefulSet,
            "DaemonSet" => Self::DaemonSet,
            "ReplicaSet" => Self::ReplicaSet,
            "Job" => Self::Job,
            "CronJob" => Self::CronJob,
            "Pod" => Self::Pod,
            other => Self::Other(other.into()),
        }
    }

    /// The kind as the API writes it.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Deployment => "Deployment",
            Self::StatefulSet => "StatefulSet",
            Self::DaemonSet => "DaemonSet",
            Self::ReplicaSet => "ReplicaSet",
            Self::Job => "Job",
            Self::CronJob => "CronJob",
            Self::Pod => "Pod",
            Self::Other(kind) => kind,
        }
    }

    /// Three or four letters for narrow tables.
    pub fn short(&self) -> &str {
        match self {
            Self::Deployment => "dep",
            Self::StatefulSet => "sts",
            Self::DaemonSet => "ds",
            Self::ReplicaSet => "rs",
            Self::Job => "job",
            Self::CronJob => "cron",
            Self::Pod => "pod",
            Self::Other(kind) => kind,
        }
    }

    /// Its API resource; `None` for kinds kansole does not know.
    pub fn resource(&self) -> Option<Resource> {
        Some(match self {
            Self::Deployment => Resource::DEPLOYMENTS,
            Self::StatefulSet => Resource::STATEFULSETS,
            Self::DaemonSet => Resource::DAEMONSETS,
            Self::ReplicaSet => Resource::REPLICASETS,
            Self::Job => Resource::JOBS,
            Self::CronJob => Resource::CRONJOBS,
            Self::Pod => Resource::PODS,
            Self::Other(_) => return None,
        })
    }
}

/// A workload: the top controller of some pods. Ordered by namespace, then name, then kind.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct WorkloadKey {
    /// Its namespace.
    pub namespace: Arc<str>,
    /// Its name.
    pub name: Arc<str>,
    /// Its kind.
    pub kind: WorkloadKind,
}

impl WorkloadKey {
    /// A key from its parts.
    pub fn new(namespace: impl Into<Arc<str>>, kind: WorkloadKind, name: impl Into<Arc<str>>) -> Self {
        Self { namespace: namespace.into(), name: name.into(), kind }
    }

    /// The object itself; `None` for kinds kansole does not know.
    pub fn object(&self) -> Option<ObjectRef> {
        Some(ObjectRef::namespaced(self.kind.resource()?, self.namespace.clone(), self.name.clone()))
    }
}

impl fmt::Display for WorkloadKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.namespace, self.kind.as_str(), self.name)
    }
}

/// One pod by namespace and name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PodKey {
    /// Its namespace.
    pub namespace: Arc<str>,
    /// Its name.
    pub name: Arc<str>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_those_of_the_api() {
        let cart = WorkloadKey::new("shop", WorkloadKind::Deployment, "cart");
        assert_eq!(cart.object().unwrap().path(), "/apis/apps/v1/namespaces/shop/deployments/cart");
        assert_eq!(ObjectRef::cluster(Resource::NODES, "n1").path(), "/api/v1/nodes/n1");
        assert_eq!(Resource::PODS.path(None, None), "/api/v1/pods");
        assert_eq!(cart.to_string(), "shop/Deployment/cart");
    }
}
