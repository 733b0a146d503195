//! What is watched, and what a watch says: the deltas that go from the watches to the table.

use super::lite::{
    BareLite, ControllerLite, EventLite, HpaLite, NamespaceLite, NodeLite, PdbLite, PodLite, ScaledObjectLite, VpaLite,
};
use crate::model::object::{Resource, WorkloadKind};
use std::sync::Arc;

/// How objects of a watched kind are read and what becomes of them.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum What {
    Node,
    Namespace,
    Pod,
    Controller(WorkloadKind),
    Hpa,
    Pdb,
    Event,
    ConfigMap,
    Vpa,
    ScaledObject,
    /// Only counted.
    Counted,
}

/// One watched kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watched {
    /// Where the API serves it.
    pub resource: Resource,
    /// What becomes of its objects.
    pub what: What,
}

impl Watched {
    /// The kinds every cluster has.
    pub fn core() -> Vec<Arc<Self>> {
        let of = |resource, what| Arc::new(Self { resource, what });
        let controller = |resource, kind| of(resource, What::Controller(kind));
        vec![
            of(Resource::NODES, What::Node),
            of(Resource::NAMESPACES, What::Namespace),
            of(Resource::PODS, What::Pod),
            controller(Resource::DEPLOYMENTS, WorkloadKind::Deployment),
            controller(Resource::REPLICASETS, WorkloadKind::ReplicaSet),
            controller(Resource::STATEFULSETS, WorkloadKind::StatefulSet),
            controller(Resource::DAEMONSETS, WorkloadKind::DaemonSet),
            controller(Resource::JOBS, WorkloadKind::Job),
            controller(Resource::CRONJOBS, WorkloadKind::CronJob),
            of(Resource::HPAS, What::Hpa),
            of(Resource::PDBS, What::Pdb),
            of(Resource::EVENTS, What::Event),
            of(Resource::CONFIGMAPS, What::ConfigMap),
            of(Resource::SERVICES, What::Counted),
            of(Resource::ENDPOINTSLICES, What::Counted),
        ]
    }

    /// Whether nothing but its metadata is read, so that nothing else has to be sent: what a ConfigMap holds is nobody's
    /// business here, and may be a megabyte.
    pub fn is_bare(&self) -> bool {
        matches!(self.what, What::ConfigMap | What::Counted)
    }

    /// The watched kind of a resource, if it is one of [`Watched::core`].
    pub fn of(resource: &Resource) -> Option<Arc<Self>> {
        Self::core().into_iter().find(|w| w.resource == *resource)
    }
}

/// One watch: a kind, in one namespace or in the whole cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Feed {
    /// What is watched.
    pub watched: Arc<Watched>,
    /// Where; `None` for the whole cluster.
    pub namespace: Option<Arc<str>>,
}

/// One object of any watched kind, as it came off the wire.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub enum Object {
    Node(Box<NodeLite>),
    Namespace(Box<NamespaceLite>),
    Pod(Box<PodLite>),
    Controller(Box<ControllerLite>),
    Hpa(Box<HpaLite>),
    Pdb(Box<PdbLite>),
    Event(Box<EventLite>),
    ConfigMap(Box<BareLite>),
    Vpa(Box<VpaLite>),
    ScaledObject(Box<ScaledObjectLite>),
    Counted(Box<BareLite>),
}

/// What a watch says.
#[derive(Debug, Clone)]
pub enum Change {
    /// A list begins; until [`Change::ListDone`] the old objects stay.
    Begin,
    /// An object of the list.
    Listed(Object),
    /// The list is whole: objects that were not in it are gone.
    ListDone,
    /// An object was added or changed.
    Applied(Object),
    /// An object was deleted.
    Deleted(Object),
    /// A sign of life: a bookmark, or an answer without news.
    Alive,
    /// The server was lost or answered nonsense; it is tried again.
    Failed(Arc<str>),
    /// The server refused; it is asked again now and then.
    Denied(Arc<str>),
    /// The server does not know this kind.
    NotServed,
    /// This feed is given up in favour of feeds of single namespaces.
    Closed,
}

/// A change and the feed it came from.
#[derive(Debug, Clone)]
pub struct Delta {
    /// The feed.
    pub feed: Arc<Feed>,
    /// The change.
    pub change: Change,
}
