//! What to do: proposals, and the plans they carry.
//!
//! A plan is data: ordered steps, each an exact API call with its inverse, bound to the very objects
//! it was made for. What is approved is the plan's hash; what runs must have the same hash.

use super::finding::{Evidence, Fault, FindingId, Subject};
use super::object::{ObjectRef, WorkloadKey};
use super::time::Timestamp;
use json_patch::{Patch, PatchOperation};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// Annotation that names the last action kansole took on an object: `<action id>/<plan hash>`.
pub const ACTION_ANNOTATION: &str = "kansole.dev/last-action";

/// The field manager of every write.
pub const FIELD_MANAGER: &str = "kansole";

/// The state of an object that a step was planned against.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bound {
    /// UID: a new object of the same name is another object.
    pub uid: String,
    /// `resourceVersion` when planned.
    pub resource_version: String,
    /// `metadata.generation` when planned; 0 for kinds without one.
    pub generation: i64,
    /// SHA-256 of what people and tools decide about the object (see [`content_digest`]). When only the
    /// status moved, the resource version differs and this does not.
    pub digest: String,
}

impl Bound {
    /// Binds to a live object. `None` if it has no UID.
    pub fn to(object: &Value) -> Option<Self> {
        let meta = &object["metadata"];
        Some(Self {
            uid: meta["uid"].as_str()?.to_owned(),
            resource_version: meta["resourceVersion"].as_str().unwrap_or_default().to_owned(),
            generation: meta["generation"].as_i64().unwrap_or(0),
            digest: content_digest(object),
        })
    }
}

/// SHA-256 (hex) of an object without what the system keeps for itself: status, managedFields,
/// resourceVersion, generation, and the revision and last-action annotations.
pub fn content_digest(object: &Value) -> String {
    let mut object = object.clone();
    if let Some(map) = object.as_object_mut() {
        map.remove("status");
        if let Some(meta) = map.get_mut("metadata").and_then(Value::as_object_mut) {
            for key in ["managedFields", "resourceVersion", "generation"] {
                meta.remove(key);
            }
            if let Some(notes) = meta.get_mut("annotations").and_then(Value::as_object_mut) {
                notes.remove(ACTION_ANNOTATION);
                notes.remove("deployment.kubernetes.io/revision");
                if notes.is_empty() {
                    meta.remove("annotations");
                }
            }
        }
    }
    sha256_hex(canonical(&object).as_bytes())
}

/// JSON with sorted keys and no spaces: equal values have equal text.
pub fn canonical(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let mut keys: Vec<_> = map.keys().collect();
            keys.sort();
            let parts: Vec<_> =
                keys.iter().map(|k| format!("{}:{}", Value::from(k.as_str()), canonical(&map[k.as_str()]))).collect();
            format!("{{{}}}", parts.join(","))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(canonical).collect::<Vec<_>>().join(",")),
        other => other.to_string(),
    }
}

/// SHA-256 as lower-case hex.
pub fn sha256_hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut s, b| {
        let _ = write!(s, "{b:02x}");
        s
    })
}

/// One API call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Op {
    /// A JSON patch, whose `test` operations hold the old values.
    Patch {
        /// RFC 6902.
        patch: Patch,
        /// `scale` or `resize`; `None` for the object itself.
        subresource: Option<String>,
    },
    /// Evict a pod through the eviction API, with its UID as precondition.
    Evict {
        /// Grace period; `None` for the pod's own.
        grace_seconds: Option<u32>,
    },
    /// Write nothing; look again after a while, because acting would make it worse.
    Wait {
        /// How long.
        seconds: u32,
    },
}

/// How a step is undone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "snake_case")]
pub enum Inverse {
    /// This patch, whose `test` operations hold the values the step wrote.
    Patch {
        /// RFC 6902.
        patch: Patch,
    },
    /// Nothing to undo: the desired state did not change.
    NotNeeded {
        /// Why.
        why: Arc<str>,
    },
    /// It cannot be undone, and the operator is told before approving.
    Impossible {
        /// Why.
        why: Arc<str>,
    },
}

/// What must be so before the next step starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Gate {
    /// Go on at once.
    None,
    /// The workload has as many ready pods as it wants.
    WorkloadReady,
}

/// One step of a plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// One line: `raise memory limit of container app from 128Mi to 256Mi`.
    pub title: Arc<str>,
    /// The call.
    pub op: Op,
    /// On what.
    pub target: ObjectRef,
    /// The state it was planned against.
    pub bound: Bound,
    /// How it is undone.
    pub inverse: Inverse,
    /// What the next step waits for.
    pub gate: Gate,
}

impl Step {
    /// Whether it writes to the cluster.
    pub fn writes(&self) -> bool {
        !matches!(self.op, Op::Wait { .. })
    }

    /// The verb, resource and subresource that rights are needed for; `None` if nothing is written.
    pub fn right(&self) -> Option<Right> {
        let (verb, subresource) = match &self.op {
            Op::Patch { subresource, .. } => ("patch", subresource.clone()),
            Op::Evict { .. } => ("create", Some("eviction".to_owned())),
            Op::Wait { .. } => return None,
        };
        Some(Right {
            verb: verb.into(),
            group: self.target.resource.group.to_string(),
            resource: self.target.resource.plural.to_string(),
            subresource,
            namespace: self.target.namespace.clone(),
        })
    }
}

/// A right that a call needs, in SelfSubjectAccessReview's words.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Right {
    pub verb: String,
    pub group: String,
    pub resource: String,
    pub subresource: Option<String>,
    pub namespace: Option<Arc<str>>,
}

impl std::fmt::Display for Right {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.verb, self.resource)?;
        if let Some(sub) = &self.subresource {
            write!(f, "/{sub}")?;
        }
        if !self.group.is_empty() {
            write!(f, ".{}", self.group)?;
        }
        if let Some(ns) = &self.namespace {
            write!(f, " in {ns}")?;
        }
        Ok(())
    }
}

/// Ordered steps for one cluster. Without steps it is advice: nothing to approve.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Cluster id the objects are in.
    pub cluster: Arc<str>,
    /// The steps.
    pub steps: Vec<Step>,
}

impl Plan {
    /// SHA-256 (hex) over everything in the plan. What an approval names.
    pub fn hash(&self) -> String {
        let value = serde_json::to_value(self).expect("a plan is plain data");
        sha256_hex(canonical(&value).as_bytes())
    }

    /// Whether it writes anything.
    pub fn writes(&self) -> bool {
        self.steps.iter().any(Step::writes)
    }

    /// Whether every writing step can be undone (or needs no undoing).
    pub fn reversible(&self) -> bool {
        !self.steps.iter().any(|s| s.writes() && matches!(s.inverse, Inverse::Impossible { .. }))
    }

    /// Whether another plan makes the same change to the same contents; only resource versions may differ.
    pub fn same_change(&self, other: &Self) -> bool {
        self.cluster == other.cluster
            && self.steps.len() == other.steps.len()
            && self.steps.iter().zip(&other.steps).all(|(a, b)| {
                a.op == b.op
                    && a.target == b.target
                    && a.bound.uid == b.bound.uid
                    && (a.bound.digest == b.bound.digest || matches!(a.op, Op::Evict { .. }))
            })
    }
}

/// The healing strategies of P9, and scaling of P8.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Strategy {
    Restart,
    Scale,
    Rollback,
    Reconfigure,
    Isolate,
    Failover,
    /// Other requests and limits, since others are needed.
    Rightsize,
    /// Wait with back-off: the fault is elsewhere.
    Backoff,
    /// Nothing the API can do; tells the operator what to do.
    Advise,
}

impl Strategy {
    /// As shown and logged.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Restart => "restart",
            Self::Scale => "scale",
            Self::Rollback => "rollback",
            Self::Reconfigure => "reconfigure",
            Self::Isolate => "isolate",
            Self::Failover => "failover",
            Self::Rightsize => "rightsize",
            Self::Backoff => "back off",
            Self::Advise => "advise",
        }
    }

    /// Priors of P9: expected recovery in seconds and success probability. Shown as priors until
    /// outcomes replace them. `None` where nothing is done.
    pub fn prior(self) -> Option<(u32, f64)> {
        match self {
            Self::Restart => Some((60, 0.85)),
            Self::Scale => Some((30, 0.90)),
            Self::Rollback => Some((120, 0.95)),
            Self::Reconfigure => Some((45, 0.70)),
            Self::Isolate => Some((15, 0.80)),
            Self::Failover => Some((20, 0.92)),
            Self::Rightsize | Self::Backoff | Self::Advise => None,
        }
    }
}

/// How dangerous, and so how an approval is given. Ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Risk {
    /// One key.
    Low,
    /// A question with Cancel in focus.
    Medium,
    /// The target's name must be typed.
    High,
}

/// What an action touches.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Blast {
    /// Pods that restart or move.
    pub pods: u32,
    /// Share of the workload's pods that may be down at once, 0..1.
    pub share_down: f64,
    /// Nodes touched.
    pub nodes: u32,
    /// In words, with the arithmetic: `3 pods one by one (maxUnavailable 25% of 3 = 0)`.
    pub text: String,
}

/// An estimate and what it rests on; never shown without its basis.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Expectation {
    /// What should be different afterwards, in words.
    pub text: String,
    /// Seconds until recovered.
    pub recovery_s: Option<u32>,
    /// Probability of success, 0..1.
    pub probability: Option<f64>,
    /// `prior` or `n outcomes`.
    pub basis: String,
}

/// When the trouble that a plan answers began and when it was found. `None`: not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Onset {
    /// The first sign of the incident that the finding belongs to, dated by the reasoning about causes.
    pub began: Option<Timestamp>,
    /// The finding.
    pub found: Option<Timestamp>,
}

/// Readable and stable: `cart-oom-3f9a2c`.
pub type ActionId = Arc<str>;

/// A plan that somebody may approve.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Proposal {
    /// Its id.
    pub id: ActionId,
    /// The finding it answers.
    pub finding: FindingId,
    /// What is wrong.
    pub fault: Fault,
    /// What it acts on.
    pub subject: Subject,
    /// How.
    pub strategy: Strategy,
    /// One line.
    pub title: Arc<str>,
    /// Evidence, copied from the finding and completed by the planner.
    pub why: Vec<Evidence>,
    /// What runs.
    pub plan: Plan,
    /// `plan.hash()`, kept beside it.
    pub hash: String,
    /// What it touches.
    pub blast: Blast,
    /// How dangerous.
    pub risk: Risk,
    /// What should come of it.
    pub effect: Expectation,
    /// Things the operator must know: what is not restored, who may revert it.
    pub notes: Vec<String>,
    /// The change as a patch to commit where the object is owned by GitOps.
    pub export: Option<String>,
    /// When the trouble began and was found. Not in journals of older versions.
    #[serde(default)]
    pub onset: Onset,
    /// When it was made.
    pub created: Timestamp,
    /// After this it cannot be approved.
    pub expires: Timestamp,
}

impl Proposal {
    /// The id for a finding and a plan hash.
    pub fn make_id(fault: &Fault, subject: &Subject, hash: &str) -> ActionId {
        let name = match subject {
            Subject::Workload(WorkloadKey { name, .. }) => name.as_ref(),
            Subject::Node(name) => name.as_ref(),
            Subject::Cluster => "cluster",
        };
        format!("{name}-{}-{}", fault.class(), &hash[..6.min(hash.len())]).into()
    }

    /// The one value of it that a person may set otherwise before approving, as the server is to hold it: `228Mi`, `5`. `None`: a
    /// plan like this is taken or left.
    pub fn adjustable(&self) -> Option<String> {
        // A size is reckoned as a whole: requests, limits, containers.
        if let Fault::Missized { .. } = self.fault {
            return None;
        }
        let mut writing = self.plan.steps.iter().filter(|s| s.writes());
        let (Some(Step { op: Op::Patch { patch, .. }, .. }), None) = (writing.next(), writing.next()) else {
            return None;
        };
        let fields = ["/spec/replicas", "/spec/maxReplicas"];
        patch.0.iter().find_map(|op| match op {
            PatchOperation::Replace(r) if r.path.as_str().ends_with("/resources/limits/memory") => {
                r.value.as_str().map(str::to_owned)
            }
            PatchOperation::Replace(r) if fields.contains(&r.path.as_str()) => Some(r.value.to_string()),
            _ => None,
        })
    }

    /// The workload it acts on, if it is one.
    pub fn workload(&self) -> Option<&WorkloadKey> {
        match &self.subject {
            Subject::Workload(key) => Some(key),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn deployment(rv: &str, limit: &str) -> Value {
        json!({"metadata": {"name": "cart", "uid": "u1", "resourceVersion": rv, "generation": 2,
            "annotations": {ACTION_ANNOTATION: rv}, "managedFields": [{"time": rv}]},
            "spec": {"limit": limit}, "status": {"ready": rv}})
    }

    #[test]
    fn a_moving_status_does_not_change_the_content() {
        assert_eq!(content_digest(&deployment("1", "128Mi")), content_digest(&deployment("2", "128Mi")));
        assert_ne!(content_digest(&deployment("1", "128Mi")), content_digest(&deployment("1", "256Mi")));
    }

    #[test]
    fn the_hash_covers_the_patch_and_the_binding() {
        let plan = |limit: &str, rv: &str| Plan {
            cluster: "c".into(),
            steps: vec![Step {
                title: "t".into(),
                op: Op::Patch {
                    patch: serde_json::from_value(json!([{"op": "replace", "path": "/spec/limit", "value": limit}]))
                        .unwrap(),
                    subresource: None,
                },
                target: ObjectRef::namespaced(super::super::object::Resource::DEPLOYMENTS, "shop", "cart"),
                bound: Bound::to(&deployment(rv, "128Mi")).unwrap(),
                inverse: Inverse::NotNeeded { why: "test".into() },
                gate: Gate::None,
            }],
        };
        let a = plan("256Mi", "1");
        assert_eq!(a.hash(), plan("256Mi", "1").hash());
        assert_ne!(a.hash(), plan("512Mi", "1").hash());
        assert_ne!(a.hash(), plan("256Mi", "2").hash());
        assert!(a.same_change(&plan("256Mi", "2")));
        assert!(!a.same_change(&plan("512Mi", "1")));
        let text = serde_json::to_string(&a).unwrap();
        assert_eq!(serde_json::from_str::<Plan>(&text).unwrap().hash(), a.hash(), "survives the journal");
    }

    #[test]
    fn canonical_json_ignores_key_order() {
        assert_eq!(canonical(&json!({"b": 1, "a": [true, null]})), r#"{"a":[true,null],"b":1}"#);
    }
}
