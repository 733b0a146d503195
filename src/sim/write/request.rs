//! A write of the main resource or of its status, from the body to the store.

use super::body;
use super::context::{Refused, check_namespace};
use super::defaults;
use super::definitions;
use super::json;
use super::{Options, Patch, Target, Written, jsonpatch, serverside, strategic, validate};
use crate::sim::clock::rfc3339;
use crate::sim::fields::{self, Writer};
use crate::sim::object::{at, set, take, text};
use crate::sim::resource::Resource;
use crate::sim::schema::Type;
use crate::sim::status::Status;
use crate::sim::store::Store;
use serde_json::Value;

/// POST on a collection.
pub fn create(store: &Store, target: Target<'_>, body: &[u8], options: &Options) -> Result<Written, Status> {
    let ty = target.ty(store);
    let mut warnings = Vec::new();
    let mut object = body::object(target, &ty, body, options, &mut warnings)?;
    body::check_namespace_of(target, &mut object)?;
    take(&mut object, "metadata.managedFields");
    let writer = Writer::of(&options.field_manager);
    make(store, target, object, writer, options, warnings)
}

/// Stores a new object that is complete but for defaults.
pub fn make(
    store: &Store,
    target: Target<'_>,
    mut object: Value,
    writer: Writer<'_>,
    options: &Options,
    warnings: Vec<String>,
) -> Result<Written, Status> {
    if !text(&object, "metadata.resourceVersion").is_empty() {
        return Err(Status::new(500, "", "resourceVersion should not be set on objects to be created"));
    }
    check_namespace(store, target, text(&object, "metadata.name"))?;
    for given in
        ["uid", "creationTimestamp", "selfLink", "generation", "deletionTimestamp", "deletionGracePeriodSeconds"]
    {
        take(&mut object, &format!("metadata.{given}"));
    }
    prepare(store, target.kind, &mut object);
    fields::track(None, &mut object, writer, &rfc3339(store.clock().now()));
    defaults::admit(store, target.kind, &mut object);
    validate::on_create(target, &object)?;
    let name = text(&object, "metadata.name").to_owned();
    let key = target.kind.key();
    let tracked = Writer::of("");
    let made = if options.dry_run {
        store.rehearse_create(&key, object, tracked)
    } else {
        store.create(&key, object, tracked).map(|s| s.value())
    };
    let object = made.map_err(|e| Refused::from(e).status(target, &name))?;
    if definitions::defines(target.kind) && !options.dry_run {
        definitions::establish(store, &object);
    }
    Ok(Written { object, created: true, warnings })
}

/// What the server fills in before a new object is stored. For whoever creates objects without a request.
pub fn complete(store: &Store, kind: &Resource, object: &mut Value) {
    prepare(store, kind, object);
    defaults::admit(store, kind, object);
}

fn prepare(store: &Store, kind: &Resource, object: &mut Value) {
    if kind.key() == "jobs.batch" && text(object, "metadata.uid").is_empty() {
        // Its pods are selected by its own UID.
        set(object, "metadata.uid", store.next_uid());
    }
    defaults::on_create(kind, object);
}

/// PUT on an object or its status.
pub fn update(store: &Store, target: Target<'_>, body: &[u8], options: &Options) -> Result<Written, Status> {
    let ty = target.ty(store);
    let mut warnings = Vec::new();
    let mut object = body::object(target, &ty, body, options, &mut warnings)?;
    body::check_name(target, &mut object).map_err(|e| e.status(target, target.name))?;
    let writer = Writer { manager: &options.field_manager, subresource: target.subresource };
    write(store, target, writer, options, warnings, |live, _| {
        check_preconditions(target, live, &object)?;
        *live = replacement(target, live, object)?;
        Ok(())
    })
}

/// PATCH of an object or its status.
pub fn patch(
    store: &Store,
    target: Target<'_>,
    patch: Patch,
    body: &[u8],
    options: &Options,
) -> Result<Written, Status> {
    let ty = target.ty(store);
    if patch == Patch::Apply {
        return serverside::server_side(store, target, &ty, body, options);
    }
    if patch == Patch::Strategic && target.kind.custom {
        return Err(Status::new(
            415,
            "UnsupportedMediaType",
            "the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml",
        ));
    }
    let document = json::read(body).map_err(|why| undecoded(patch, &why))?;
    let writer = Writer { manager: &options.field_manager, subresource: target.subresource };
    write(store, target, writer, options, Vec::new(), |live, warnings| {
        let mut object = live.clone();
        apply_patch(&ty, patch, &mut object, &document.value)?;
        let shown = shown(patch, &object, &document.value);
        let mut object =
            body::stored(&ty, object, document.duplicates, options, warnings).map_err(|why| unfit(&shown, &why))?;
        body::check_name(target, &mut object)?;
        // Unlike in a PUT, a UID is no precondition: another one is a change of what does not change.
        check_version(target, live, &object)?;
        *live = replacement(target, live, object)?;
        Ok(())
    })
}

/// What a refusal shows of a patch: a strategic one itself, of others what they make.
pub fn shown(patch: Patch, object: &Value, document: &Value) -> String {
    if patch == Patch::Strategic { strategic::go(document) } else { object.to_string() }
}

/// 422 for a patch whose result is no object of the kind.
pub fn unfit(shown: &str, why: &str) -> Status {
    let message = format!("Invalid value: {shown:?}: {why}");
    let causes = serde_json::json!([{"reason": "FieldValueInvalid", "message": message, "field": "patch"}]);
    Status::new(422, "Invalid", format!(" \"\" is invalid: patch: {message}"))
        .with(serde_json::json!({"causes": causes}))
}

/// 400 for a patch that is no JSON, or of the wrong type.
pub fn undecoded(patch: Patch, why: &str) -> Status {
    let what = if patch == Patch::Strategic { "" } else { "error decoding patch: " };
    Status::bad_request(format!("{what}{why}"))
}

/// The patch itself, by its kind.
pub fn apply_patch(ty: &Type, patch: Patch, object: &mut Value, document: &Value) -> Result<(), Status> {
    match patch {
        Patch::Json => jsonpatch::apply(object, document),
        Patch::Merge | Patch::Strategic if !document.is_object() => {
            let said = super::decode::said(document);
            let why = format!("json: cannot unmarshal {said} into Go value of type map[string]interface {{}}");
            Err(undecoded(patch, &why))
        }
        Patch::Strategic => strategic::apply(ty, object, document).map_err(|why| Status::new(500, "", why)),
        Patch::Merge | Patch::Apply => {
            jsonpatch::merge(object, document);
            Ok(())
        }
    }
}

/// Reads, changes and writes one object, or pretends to.
pub fn write(
    store: &Store,
    target: Target<'_>,
    writer: Writer<'_>,
    options: &Options,
    warnings: Vec<String>,
    change: impl FnOnce(&mut Value, &mut Vec<String>) -> Result<(), Refused>,
) -> Result<Written, Status> {
    let mut warnings = warnings;
    let key = target.kind.key();
    let services = if key == "services" { defaults::network::services(store) } else { Vec::new() };
    let nodes = if target.subresource == "resize" { store.list("nodes", None).1 } else { Vec::new() };
    let act = |live: &mut Value| {
        let before = live.clone();
        change(live, &mut warnings)?;
        defaults::on_update(&services, target.kind, &before, live);
        validate::on_update(target, &before, live)?;
        if target.subresource == "resize" && before["spec"] != live["spec"] {
            super::pods::check_node(live, |name| nodes.iter().any(|n| n.name == name))?;
        }
        Ok::<_, Refused>(())
    };
    let made = if options.dry_run {
        store.rehearse(&key, target.namespace, target.name, writer, act)
    } else {
        store.modify(&key, target.namespace, target.name, writer, act).map(|s| s.value())
    };
    let object = made.map_err(|e| e.status(target, target.name))?;
    if definitions::defines(target.kind) && !options.dry_run {
        definitions::establish(store, &object);
    }
    Ok(Written { object, created: false, warnings })
}

/// resourceVersion in a body is a precondition.
pub fn check_version(target: Target<'_>, live: &Value, object: &Value) -> Result<(), Status> {
    let kind = target.kind;
    let version = text(object, "metadata.resourceVersion");
    if !version.is_empty() && version != "0" && version != text(live, "metadata.resourceVersion") {
        if version.parse::<u64>().is_err() {
            return Err(Status::new(500, "", format!("strconv.ParseUint: parsing {version:?}: invalid syntax")));
        }
        return Err(Status::conflict(
            &kind.group,
            &kind.plural,
            target.name,
            "the object has been modified; please apply your changes to the latest version and try again",
        ));
    }
    Ok(())
}

/// So is the UID in the body of a PUT or an apply.
pub fn check_preconditions(target: Target<'_>, live: &Value, object: &Value) -> Result<(), Status> {
    check_version(target, live, object)?;
    let (kind, uid) = (target.kind, text(object, "metadata.uid"));
    if !uid.is_empty() && uid != text(live, "metadata.uid") {
        let why = format!(
            "StorageError: invalid object, Code: 4, Key: /registry/{}/{}{}, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: {uid}, UID in object meta: {}",
            kind.plural,
            if kind.namespaced { format!("{}/", target.namespace) } else { String::new() },
            target.name,
            text(live, "metadata.uid"),
        );
        return Err(Status::conflict(&kind.group, &kind.plural, target.name, &why));
    }
    Ok(())
}

/// What a write of `object` makes of the live one: the main resource does not change the status of kinds that have it
/// as a subresource, the status changes nothing else.
pub fn replacement(target: Target<'_>, live: &Value, mut object: Value) -> Result<Value, Status> {
    let part = match target.subresource {
        "status" => Some("status"),
        "finalize" => Some("spec.finalizers"),
        "ephemeralcontainers" => Some("spec.ephemeralContainers"),
        "resize" => {
            defaults::pod::fill(&mut object, "spec");
            return super::pods::resized(live, &object);
        }
        _ => None,
    };
    if let Some(part) = part {
        let mut made = live.clone();
        match at(&object, part) {
            Some(value) => set(&mut made, part, value.clone()),
            None => drop(take(&mut made, part)),
        }
        return Ok(made);
    }
    if target.kind.has("status") {
        match at(live, "status") {
            Some(status) => set(&mut object, "status", status.clone()),
            None => drop(take(&mut object, "status")),
        }
    }
    for kept in ["deletionTimestamp", "deletionGracePeriodSeconds"] {
        let path = format!("metadata.{kept}");
        match at(live, &path) {
            Some(v) => set(&mut object, &path, v.clone()),
            None => drop(take(&mut object, &path)),
        }
    }
    Ok(object)
}
