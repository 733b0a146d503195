//! The part of `metadata` that is used, with the few labels and annotations that carry meaning here.

use crate::model::time::Timestamp;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};

/// Object metadata without managedFields, finalizers and the labels nobody asks for.
#[derive(Debug, Clone, Default, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs)]
pub struct Meta {
    pub name: String,
    pub namespace: String,
    pub uid: String,
    pub resource_version: String,
    pub generation: i64,
    pub creation_timestamp: Option<Timestamp>,
    pub deletion_timestamp: Option<IgnoredAny>,
    pub labels: Kept,
    pub annotations: Kept,
    pub owner_references: Vec<OwnerRef>,
}

impl Meta {
    /// The controller among its owners: the one that made it.
    pub fn controller(&self) -> Option<&OwnerRef> {
        self.owner_references.iter().find(|o| o.controller)
    }
}

/// One owner reference.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(default)]
#[allow(missing_docs)]
pub struct OwnerRef {
    pub kind: String,
    pub name: String,
    pub controller: bool,
}

/// Keys that are kept; all others, such as the bulky last-applied-configuration, are skipped unread.
const KEEP: [&str; 12] = [
    "argocd.argoproj.io/tracking-id",
    "argocd.argoproj.io/instance",
    "kustomize.toolkit.fluxcd.io/name",
    "kustomize.toolkit.fluxcd.io/namespace",
    "helm.toolkit.fluxcd.io/name",
    "helm.toolkit.fluxcd.io/namespace",
    "meta.helm.sh/release-name",
    "autonomous/enabled",
    "autonomous-enabled",
    "deployment.kubernetes.io/revision",
    "topology.kubernetes.io/zone",
    "scaledobject.keda.sh/name",
];

/// A key, matched against [`KEEP`] without being copied.
struct Key(Option<&'static str>);

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Match;
        impl Visitor<'_> for Match {
            type Value = Key;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a key")
            }
            fn visit_str<E>(self, key: &str) -> Result<Key, E> {
                Ok(Key(KEEP.into_iter().find(|k| *k == key)))
            }
        }
        d.deserialize_str(Match)
    }
}

/// Labels or annotations, reduced to the keys that mean something to kansole.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Kept(Vec<(&'static str, Box<str>)>);

impl Kept {
    /// The value of a kept key.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(k, _)| *k == key).map(|(_, v)| &**v)
    }
}

impl<'de> Deserialize<'de> for Kept {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Filter;
        impl<'de> Visitor<'de> for Filter {
            type Value = Kept;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a map of text to text")
            }
            fn visit_unit<E>(self) -> Result<Kept, E> {
                Ok(Kept::default())
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Kept, A::Error> {
                let mut kept = Vec::new();
                while let Some(Key(key)) = map.next_key()? {
                    if let Some(key) = key {
                        kept.push((key, map.next_value()?));
                    } else {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
                Ok(Kept(kept))
            }
        }
        d.deserialize_any(Filter)
    }
}
