//! DELETE, of one object and of collections.

use super::options::Options;
use super::{list, view};
use crate::sim::object::{int, text};
use crate::sim::resource::Resource;
use crate::sim::status::Status;
use crate::sim::store::{Delete, Store, StoreError, Stored};
use crate::sim::write::{Errors, definitions};
use serde_json::{Value, json};
use std::collections::HashMap;

/// What was asked for.
#[derive(Debug, Default)]
pub struct How {
    delete: Delete,
    dry_run: bool,
}

/// Kinds whose registry answers a finished deletion with the object and not with a Status (`ReturnDeletedObject`).
const ANSWERS_OBJECT: [&str; 6] =
    ["pods", "services", "persistentvolumeclaims", "persistentvolumes", "podtemplates", "resourcequotas"];

/// Reads DeleteOptions: the body, or the parameters if there is none.
///
/// # Errors
/// 400 or 422 as the real server has them.
pub fn read(body: &[u8], query: &HashMap<String, String>) -> Result<How, Status> {
    let options: Value = if body.is_empty() {
        let of = |name: &str| query.get(name).map_or(Value::Null, |v| Value::from(v.as_str()));
        let mut options = json!({"propagationPolicy": of("propagationPolicy")});
        if let Some(grace) = query.get("gracePeriodSeconds") {
            let why = || Status::bad_request(format!("strconv.ParseInt: parsing {grace:?}: invalid syntax"));
            options["gracePeriodSeconds"] = grace.parse::<i64>().map_err(|_| why())?.into();
        }
        if let Some(dry) = query.get("dryRun") {
            options["dryRun"] = json!([dry]);
        }
        if query.get("orphanDependents").is_some_and(|v| v == "true") {
            options["orphanDependents"] = true.into();
        }
        options
    } else {
        super::body::json(body)?
    };
    let mut propagation = text(&options, "propagationPolicy").to_owned();
    if options["orphanDependents"] == true {
        "Orphan".clone_into(&mut propagation);
    }
    let mut errors = Errors::default();
    if !["", "Foreground", "Background", "Orphan"].contains(&propagation.as_str()) {
        errors.unsupported("propagationPolicy", &propagation, &["Foreground", "Background", "Orphan", "nil"]);
    }
    let dry = options["dryRun"].as_array().cloned().unwrap_or_default();
    if dry.iter().any(|d| d != "All") {
        errors.unsupported_value("dryRun", &Value::from(dry.clone()), &["All"]);
    }
    errors.into_result("meta.k8s.io", "DeleteOptions", "")?;
    let precondition = |name: &str| options["preconditions"][name].as_str().map(str::to_owned);
    Ok(How {
        delete: Delete {
            grace: int(&options, "gracePeriodSeconds"),
            uid: precondition("uid"),
            version: precondition("resourceVersion"),
            propagation,
        },
        dry_run: !dry.is_empty(),
    })
}

/// Deletes one object; the answer is a Status, or the object where the real server gives it.
///
/// # Errors
/// 404, 409.
pub fn one(
    store: &Store,
    kind: &Resource,
    version: &str,
    namespace: &str,
    name: &str,
    how: &How,
) -> Result<Value, Status> {
    let key = view::storage(kind);
    let refused = |e: StoreError| match e {
        StoreError::NotFound(_) => Status::not_found(&kind.group, &kind.plural, name),
        StoreError::Conflict(why) => Status::conflict(&kind.group, &kind.plural, name, &why),
        other => Status::new(500, "InternalError", other.to_string()),
    };
    let live = store.get(&key, namespace, name).ok_or_else(|| Status::not_found(&kind.group, &kind.plural, name))?;
    preconditions(kind, &live, &how.delete)?;
    let (object, gone) =
        if how.dry_run { (live, true) } else { store.delete(&key, namespace, name, &how.delete).map_err(refused)? };
    if gone && !how.dry_run && definitions::defines(kind) {
        definitions::retire(store, name);
    }
    if !gone || ANSWERS_OBJECT.contains(&key.as_str()) {
        return Ok(view::outward(object.value(), kind, version));
    }
    let mut details = crate::sim::status::details(&kind.group, &kind.plural, name);
    details["uid"] = object.uid.as_str().into();
    Ok(json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}))
}

/// Whether this is the object that was meant, in the words of apiserver's `BeforeDelete`, which names the kind and not
/// the resource.
fn preconditions(kind: &Resource, live: &Stored, how: &Delete) -> Result<(), Status> {
    let why = if let Some(uid) = how.uid.as_ref().filter(|u| **u != live.uid) {
        let found = &live.uid;
        format!(
            "the UID in the precondition ({uid}) does not match the UID in record ({found}). \
             The object might have been deleted and then recreated"
        )
    } else if let Some(version) = how.version.as_ref().filter(|v| **v != live.version.to_string()) {
        let found = live.version;
        format!(
            "the ResourceVersion in the precondition ({version}) does not match the ResourceVersion in record ({found}). \
             The object might have been modified"
        )
    } else {
        return Ok(());
    };
    Err(Status::conflict(&kind.group, &kind.kind, &live.name, &why))
}

/// Deletes everything a list selects; the answer is that list.
///
/// # Errors
/// As a list's.
pub fn many(
    store: &Store,
    kind: &Resource,
    namespace: Option<&str>,
    options: &Options,
    how: &How,
) -> Result<list::Page, Status> {
    let page = list::page(store, kind, namespace, options, None)?;
    if !how.dry_run {
        for object in &page.objects {
            // Somebody else may have been quicker; then it is gone too.
            let _ = store.delete(&object.key, &object.namespace, &object.name, &how.delete);
        }
    }
    Ok(page)
}
