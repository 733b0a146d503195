//! Slim shapes of API objects: only the fields kansole uses are named, so serde skips the rest
//! (managedFields above all) without allocating. About a tenth of what full types cost per pod.

mod controller;
mod event;
mod meta;
mod node;
mod pod;
mod scaler;

pub use controller::{Condition, ControllerLite, Count, condition};
pub use event::{EventLite, Involved};
pub use meta::{Kept, Meta, OwnerRef};
pub use node::{NamespaceLite, NodeLite};
pub use pod::{
    ContainerLite, ContainerStateLite, ContainerStatusLite, PodLite, PodSpecLite, PodStatusLite, Quantities,
    TerminatedLite, WaitingLite,
};
pub use scaler::{HpaLite, HpaSpecLite, MetricLite, PdbLite, ScaledObjectLite, SelectorLite, TargetRef, VpaLite};

use serde::{Deserialize, Deserializer};

/// Anything of which only the metadata counts.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct BareLite {
    /// Its metadata.
    pub metadata: Meta,
}

/// What every watched shape has in common.
pub trait Lite: for<'de> Deserialize<'de> + Clone + Send + 'static {
    /// Its metadata.
    fn meta(&self) -> &Meta;
}

macro_rules! lite {
    ($($name:ident)*) => { $(impl Lite for $name { fn meta(&self) -> &Meta { &self.metadata } })* };
}
lite!(BareLite PodLite ControllerLite NodeLite NamespaceLite EventLite HpaLite PdbLite VpaLite ScaledObjectLite);

/// A page of a list.
#[derive(Debug, Deserialize)]
#[serde(bound(deserialize = "T: Deserialize<'de>"))]
pub struct ListLite<T> {
    /// Where the list stands.
    #[serde(default)]
    pub metadata: ListMeta,
    /// The objects; Go writes `null` for an empty list.
    #[serde(default = "Vec::new", deserialize_with = "null_is_empty")]
    pub items: Vec<T>,
}

/// A list's metadata.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ListMeta {
    /// Where a watch goes on from.
    pub resource_version: String,
    /// Token of the next page; empty on the last.
    #[serde(rename = "continue")]
    pub next: String,
}

/// Reads `null` as nothing.
pub(super) fn null_is_empty<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(d: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(d)?.unwrap_or_default())
}
