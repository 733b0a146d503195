//! Right before a write (G3): is the target still what the plan was made for? And after a write without an
//! answer: did it happen?

use super::api::{self, CallError};
use crate::model::object::ObjectRef;
use crate::model::plan::{ACTION_ANNOTATION, Bound, Op, Step, content_digest};
use crate::model::text::clean;
use json_patch::{Patch, PatchOperation};
use kube::Client;
use serde_json::Value;

/// What a target must look like just before a write.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Expected {
    pub uid: String,
    /// 0 for kinds without one.
    pub generation: i64,
    pub digest: String,
}

impl Expected {
    /// As the plan was bound.
    pub(super) fn bound(bound: &Bound) -> Self {
        Self { uid: bound.uid.clone(), generation: bound.generation, digest: bound.digest.clone() }
    }

    /// As it is after a write of our own.
    pub(super) fn seen(object: &Value) -> Option<Self> {
        Bound::to(object).map(|b| Self::bound(&b))
    }
}

/// Reads the target and compares it. `Ok` is the live object; its resource version may differ from the plan's,
/// because status moves all the time. An eviction needs only the same pod.
pub(super) async fn target(client: &Client, step: &Step, expected: &Expected) -> Result<Value, Mismatch> {
    let live = api::get(client, &step.target.path()).await.map_err(Mismatch::Call)?;
    let Some(live) = live else { return Err(Mismatch::Changed(format!("{} does not exist any more", step.target))) };
    let meta = &live["metadata"];
    if meta["uid"].as_str() != Some(&expected.uid) {
        return Err(Mismatch::Changed(format!("{} is another object of the same name now", step.target)));
    }
    if !meta["deletionTimestamp"].is_null() {
        return Err(Mismatch::Changed(format!("{} is being deleted", step.target)));
    }
    if matches!(step.op, Op::Evict { .. }) {
        return Ok(live);
    }
    let generation = meta["generation"].as_i64().unwrap_or(0);
    if generation != expected.generation || content_digest(&live) != expected.digest {
        let who = newest_manager(&live).unwrap_or_else(|| "somebody".into());
        return Err(Mismatch::Changed(format!("{} was changed since it was planned, by {who}", step.target)));
    }
    Ok(live)
}

/// Why a target may not be written.
#[derive(Debug)]
pub(super) enum Mismatch {
    /// It is not what the plan was made for.
    Changed(String),
    /// It could not be read.
    Call(CallError),
}

/// Who changed an object's desired state last, from managedFields, with the time.
pub(super) fn newest_manager(object: &Value) -> Option<String> {
    let fields = object["metadata"]["managedFields"].as_array()?;
    let newest = fields
        .iter()
        .filter(|f| f["subresource"].as_str() != Some("status"))
        .max_by_key(|f| f["time"].as_str().unwrap_or_default())?;
    let name = clean(newest["manager"].as_str().unwrap_or("unknown")).into_owned();
    Some(match newest["time"].as_str() {
        Some(time) => format!("{name} at {}", clean(time)),
        None => name,
    })
}

/// Whether every value that a patch sets is there. Removed paths must be gone.
pub(super) fn holds(object: &Value, patch: &Patch) -> bool {
    patch.iter().all(|op| match op {
        PatchOperation::Add(a) => match a.path.as_str().strip_suffix("/-") {
            Some(list) => object.pointer(list).and_then(Value::as_array).is_some_and(|l| l.contains(&a.value)),
            None => matches(object.pointer(a.path.as_str()), &a.value),
        },
        PatchOperation::Replace(r) => matches(object.pointer(r.path.as_str()), &r.value),
        PatchOperation::Remove(r) => object.pointer(r.path.as_str()).is_none(),
        PatchOperation::Move(_) | PatchOperation::Copy(_) | PatchOperation::Test(_) => true,
    })
}

/// Equal, where the server may have added defaults to objects we wrote.
fn matches(live: Option<&Value>, written: &Value) -> bool {
    match (live, written) {
        (Some(Value::Object(live)), Value::Object(written)) => written.iter().all(|(k, v)| matches(live.get(k), v)),
        (Some(Value::Array(live)), Value::Array(written)) => {
            live.len() == written.len() && live.iter().zip(written).all(|(l, w)| matches(Some(l), w))
        }
        (Some(live), written) => live == written,
        (None, written) => written.is_null(),
    }
}

/// Whether a step of this action was written, seen on the live object (`None`: it is gone). For a patch its
/// values and, where the object itself was patched, its annotation; for an eviction the pod must be leaving.
pub(super) fn was_written(step: &Step, stamp: &str, live: Option<&Value>) -> bool {
    match &step.op {
        Op::Wait { .. } => false,
        Op::Evict { .. } => live.is_none_or(|pod| {
            pod["metadata"]["uid"].as_str() != Some(&step.bound.uid) || !pod["metadata"]["deletionTimestamp"].is_null()
        }),
        Op::Patch { patch, subresource } => live.is_some_and(|object| {
            let stamped =
                subresource.is_some() || object["metadata"]["annotations"][ACTION_ANNOTATION].as_str() == Some(stamp);
            stamped && object["metadata"]["uid"].as_str() == Some(&step.bound.uid) && holds(object, patch)
        }),
    }
}

/// Digest of the desired state alone. Replicas are left out unless the action itself set them: autoscalers
/// and people may scale a workload while another change to it is being verified.
pub(super) fn spec_digest(object: &Value, with_replicas: bool) -> String {
    let mut spec = object["spec"].clone();
    if !with_replicas && let Some(map) = spec.as_object_mut() {
        map.remove("replicas");
    }
    // A ConfigMap has no spec: what it holds is what it should be.
    content_digest(&serde_json::json!({ "spec": spec, "data": object["data"], "binaryData": object["binaryData"] }))
}

/// Reads an object for a decision after a write: `Ok(None)` is "gone".
pub(super) async fn look(client: &Client, target: &ObjectRef) -> Result<Option<Value>, CallError> {
    api::get(client, &target.path()).await
}
