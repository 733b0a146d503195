//! Pods, and the pod templates that controllers carry.

use super::controller::Condition;
use super::meta::Meta;
use crate::model::time::Timestamp;
use serde::Deserialize;
use serde::de::IgnoredAny;

/// A pod.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
#[allow(missing_docs)]
pub struct PodLite {
    pub metadata: Meta,
    pub spec: PodSpecLite,
    pub status: PodStatusLite,
}

/// A pod's or template's spec.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs)]
pub struct PodSpecLite {
    pub node_name: Option<String>,
    pub init_containers: Vec<ContainerLite>,
    pub containers: Vec<ContainerLite>,
    pub volumes: Vec<VolumeLite>,
}

/// One container of a spec.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs)]
pub struct ContainerLite {
    pub name: String,
    pub image: String,
    pub resources: ResourcesLite,
    pub liveness_probe: Option<IgnoredAny>,
    pub readiness_probe: Option<IgnoredAny>,
    pub startup_probe: Option<IgnoredAny>,
    pub env: Vec<EnvLite>,
    pub env_from: Vec<EnvFromLite>,
}

/// Requests and limits.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
#[allow(missing_docs)]
pub struct ResourcesLite {
    pub requests: Quantities,
    pub limits: Quantities,
}

/// CPU and memory as written.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
#[allow(missing_docs)]
pub struct Quantities {
    pub cpu: Option<String>,
    pub memory: Option<String>,
    pub pods: Option<String>,
}

/// An environment variable: only where it comes from.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs)]
pub struct EnvLite {
    pub value_from: Option<ValueFromLite>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs)]
pub struct ValueFromLite {
    pub config_map_key_ref: Option<ConfigMapRef>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs)]
pub struct EnvFromLite {
    pub config_map_ref: Option<ConfigMapRef>,
}

/// A ConfigMap by name, and whether the pod can start without it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
#[allow(missing_docs)]
pub struct ConfigMapRef {
    pub name: String,
    pub optional: bool,
}

/// A volume: only the ConfigMaps it needs.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs)]
pub struct VolumeLite {
    pub config_map: Option<ConfigMapRef>,
    pub projected: Option<ProjectedLite>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
#[allow(missing_docs)]
pub struct ProjectedLite {
    pub sources: Vec<ProjectionLite>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs)]
pub struct ProjectionLite {
    pub config_map: Option<ConfigMapRef>,
}

impl PodSpecLite {
    /// Every ConfigMap it names, optional ones included, in the order of the spec.
    pub fn config_maps(&self) -> impl Iterator<Item = &ConfigMapRef> {
        let containers = self.init_containers.iter().chain(&self.containers);
        let from_containers = containers.flat_map(|c| {
            let env = c.env.iter().filter_map(|e| e.value_from.as_ref()?.config_map_key_ref.as_ref());
            env.chain(c.env_from.iter().filter_map(|e| e.config_map_ref.as_ref()))
        });
        let from_volumes = self.volumes.iter().flat_map(|v| {
            let projected = v.projected.iter().flat_map(|p| p.sources.iter().filter_map(|s| s.config_map.as_ref()));
            v.config_map.iter().chain(projected)
        });
        from_containers.chain(from_volumes)
    }
}

/// A pod's status.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs)]
pub struct PodStatusLite {
    pub phase: String,
    pub reason: Option<String>,
    pub message: Option<String>,
    pub conditions: Vec<Condition>,
    pub init_container_statuses: Vec<ContainerStatusLite>,
    pub container_statuses: Vec<ContainerStatusLite>,
}

/// One container's status.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs)]
pub struct ContainerStatusLite {
    pub name: String,
    pub restart_count: u32,
    pub ready: bool,
    pub state: ContainerStateLite,
    pub last_state: ContainerStateLite,
}

/// One of running, waiting, terminated.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
#[allow(missing_docs)]
pub struct ContainerStateLite {
    pub running: Option<IgnoredAny>,
    pub waiting: Option<WaitingLite>,
    pub terminated: Option<TerminatedLite>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
#[allow(missing_docs)]
pub struct WaitingLite {
    pub reason: String,
    pub message: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs)]
pub struct TerminatedLite {
    pub reason: String,
    pub exit_code: i32,
    pub started_at: Option<Timestamp>,
    pub finished_at: Option<Timestamp>,
}
