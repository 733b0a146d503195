//! Nodes and namespaces.

use super::controller::Condition;
use super::meta::Meta;
use super::pod::Quantities;
use serde::Deserialize;

/// A node.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
#[allow(missing_docs)]
pub struct NodeLite {
    pub metadata: Meta,
    pub spec: NodeSpecLite,
    pub status: NodeStatusLite,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
#[allow(missing_docs)]
pub struct NodeSpecLite {
    pub unschedulable: bool,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs)]
pub struct NodeStatusLite {
    pub conditions: Vec<Condition>,
    pub allocatable: Quantities,
    pub node_info: NodeInfoLite,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs)]
pub struct NodeInfoLite {
    pub kubelet_version: String,
}

/// A namespace.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
#[allow(missing_docs)]
pub struct NamespaceLite {
    pub metadata: Meta,
    pub status: NamespaceStatusLite,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
#[allow(missing_docs)]
pub struct NamespaceStatusLite {
    pub phase: String,
}
