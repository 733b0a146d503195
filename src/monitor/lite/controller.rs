//! One shape for all controllers: Deployment, StatefulSet, DaemonSet, ReplicaSet, Job, CronJob.
//! Each kind fills the fields it has.

use super::meta::Meta;
use super::pod::PodSpecLite;
use crate::model::time::Timestamp;
use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};

/// A controller of pods.
#[derive(Debug, Clone, Default, serde::Deserialize)]
#[serde(default)]
#[allow(missing_docs)]
pub struct ControllerLite {
    pub metadata: Meta,
    pub spec: ControllerSpec,
    pub status: ControllerStatus,
}

/// What it should do.
#[derive(Debug, Clone, Default, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs)]
pub struct ControllerSpec {
    pub replicas: Option<u32>,
    pub parallelism: Option<u32>,
    pub paused: bool,
    pub suspend: bool,
    pub template: Template,
    pub job_template: JobTemplate,
}

/// A pod template.
#[derive(Debug, Clone, Default, serde::Deserialize)]
#[serde(default)]
#[allow(missing_docs)]
pub struct Template {
    pub spec: PodSpecLite,
}

/// A CronJob's job template.
#[derive(Debug, Clone, Default, serde::Deserialize)]
#[serde(default)]
#[allow(missing_docs)]
pub struct JobTemplate {
    pub spec: JobTemplateSpec,
}

/// Its spec.
#[derive(Debug, Clone, Default, serde::Deserialize)]
#[serde(default)]
#[allow(missing_docs)]
pub struct JobTemplateSpec {
    pub template: Template,
}

/// What it says of itself.
#[derive(Debug, Clone, Default, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs)]
pub struct ControllerStatus {
    pub observed_generation: i64,
    pub replicas: u32,
    pub ready_replicas: u32,
    pub available_replicas: u32,
    pub updated_replicas: u32,
    pub desired_number_scheduled: u32,
    pub current_number_scheduled: u32,
    pub number_ready: u32,
    pub number_available: u32,
    pub updated_number_scheduled: u32,
    pub active: Count,
    pub ready: u32,
    pub conditions: Vec<Condition>,
}

/// A Job writes `active` as a number, a CronJob as a list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count(pub u32);

impl<'de> serde::Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct NumberOrList;
        impl<'de> Visitor<'de> for NumberOrList {
            type Value = Count;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a number or a list")
            }
            fn visit_u64<E>(self, n: u64) -> Result<Count, E> {
                Ok(Count(u32::try_from(n).unwrap_or(u32::MAX)))
            }
            fn visit_i64<E>(self, n: i64) -> Result<Count, E> {
                Ok(Count(u32::try_from(n).unwrap_or(0)))
            }
            fn visit_unit<E>(self) -> Result<Count, E> {
                Ok(Count(0))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Count, A::Error> {
                let mut n = 0;
                while seq.next_element::<IgnoredAny>()?.is_some() {
                    n += 1;
                }
                Ok(Count(n))
            }
        }
        d.deserialize_any(NumberOrList)
    }
}

/// A condition of any object.
#[derive(Debug, Clone, Default, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs)]
pub struct Condition {
    #[serde(rename = "type")]
    pub kind: String,
    pub status: String,
    pub reason: String,
    pub message: String,
    pub last_transition_time: Option<Timestamp>,
}

/// The condition of this type, if it has this status.
pub fn condition<'a>(all: &'a [Condition], kind: &str, status: &str) -> Option<&'a Condition> {
    all.iter().find(|c| c.kind == kind && c.status == status)
}
