//! Autoscalers and disruption budgets.

use super::controller::Condition;
use super::meta::Meta;
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::collections::BTreeMap;

/// What an autoscaler acts on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
#[allow(missing_docs)]
pub struct TargetRef {
    pub kind: Option<String>,
    pub name: String,
}

/// A HorizontalPodAutoscaler (autoscaling/v2).
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
#[allow(missing_docs)]
pub struct HpaLite {
    pub metadata: Meta,
    pub spec: HpaSpecLite,
    pub status: HpaStatusLite,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs)]
pub struct HpaSpecLite {
    pub scale_target_ref: TargetRef,
    pub min_replicas: Option<u32>,
    pub max_replicas: u32,
    pub metrics: Vec<MetricLite>,
    pub behavior: Option<serde_json::Value>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs)]
pub struct MetricLite {
    pub resource: Option<ResourceMetricLite>,
    pub container_resource: Option<ResourceMetricLite>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
#[allow(missing_docs)]
pub struct ResourceMetricLite {
    pub name: String,
    pub target: MetricTargetLite,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs)]
pub struct MetricTargetLite {
    pub average_utilization: Option<i64>,
    pub average_value: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs)]
pub struct HpaStatusLite {
    pub current_replicas: u32,
    pub desired_replicas: u32,
    pub conditions: Vec<Condition>,
}

/// A VerticalPodAutoscaler.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
#[allow(missing_docs)]
pub struct VpaLite {
    pub metadata: Meta,
    pub spec: VpaSpecLite,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs)]
pub struct VpaSpecLite {
    pub target_ref: Option<TargetRef>,
    pub update_policy: Option<UpdatePolicyLite>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs)]
pub struct UpdatePolicyLite {
    pub update_mode: Option<String>,
}

/// A KEDA ScaledObject.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
#[allow(missing_docs)]
pub struct ScaledObjectLite {
    pub metadata: Meta,
    pub spec: ScaledObjectSpecLite,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs)]
pub struct ScaledObjectSpecLite {
    pub scale_target_ref: Option<TargetRef>,
}

/// A PodDisruptionBudget.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
#[allow(missing_docs)]
pub struct PdbLite {
    pub metadata: Meta,
    pub spec: PdbSpecLite,
    pub status: PdbStatusLite,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
#[allow(missing_docs)]
pub struct PdbSpecLite {
    pub selector: SelectorLite,
}

/// A label selector.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs)]
pub struct SelectorLite {
    pub match_labels: BTreeMap<String, String>,
    pub match_expressions: Vec<IgnoredAny>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs)]
pub struct PdbStatusLite {
    pub disruptions_allowed: u32,
    pub current_healthy: u32,
    pub desired_healthy: u32,
}
