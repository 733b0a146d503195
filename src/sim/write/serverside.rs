//! Server-side apply: a configuration read, checked against its type, and merged with what is there.

use super::body;
use super::json;
use super::request::{check_preconditions, make, replacement, write};
use super::{Options, Target, Validation, Written, typed};
use crate::sim::clock::rfc3339;
use crate::sim::fields::apply::{apply, bare};
use crate::sim::fields::{self, Manager, Managers, Writer};
use crate::sim::object::{at, set, take, text};
use crate::sim::schema::Type;
use crate::sim::status::Status;
use crate::sim::store::Store;
use serde_json::Value;

/// PATCH with an applied configuration.
pub fn server_side(
    store: &Store,
    target: Target<'_>,
    ty: &Type,
    body: &[u8],
    options: &Options,
) -> Result<Written, Status> {
    let config = configuration(target, ty, body)?;
    let mut warnings = Vec::new();
    let strict = Options {
        validation: if options.validation == Validation::Ignore { Validation::Warn } else { options.validation },
        ..options.clone()
    };
    let mut config = applied(target, ty, config, &strict, &mut warnings)?;
    let given = body::check_name(target, &mut config);
    given.map_err(|e| e.status(target, target.name))?;
    let me = Manager {
        applied: true,
        time: rfc3339(store.clock().now()),
        ..Manager::update(
            Writer { manager: &options.field_manager, subresource: target.subresource },
            &target.api_version(),
        )
    };
    let ignored = fields::ignored(target.subresource);
    let untracked = Writer { manager: "", subresource: target.subresource };
    if store.get(&target.kind.key(), target.namespace, target.name).is_none() {
        if !target.subresource.is_empty() {
            return Err(target.not_found());
        }
        let mut object = config.clone();
        let empty = Value::Object(serde_json::Map::new());
        let (_, managers) =
            apply(ty, &empty, &bare(&config), &Managers::default(), &me, true, ignored).map_err(|c| conflict(&c))?;
        object = body::finish(target, ty, object, Vec::new(), options, &mut Vec::new())?;
        if let Some(json) = managers.to_json() {
            set(&mut object, "metadata.managedFields", json);
        }
        return make(store, target, object, untracked, options, warnings);
    }
    write(store, target, untracked, options, warnings, |live, warnings| {
        check_preconditions(target, live, &config)?;
        let mut managers = Managers::of(live);
        let before = bare(live);
        if managers.is_empty() {
            let first = Manager::update(Writer::of("before-first-apply"), &target.api_version());
            let difference = fields::walk::compare(ty, &fields::walk::empty(ty), &before);
            managers.updated(&first, difference, fields::ignored(""), &me.time);
        }
        for bookkeeping in ["uid", "resourceVersion"] {
            take(&mut config, &format!("metadata.{bookkeeping}"));
        }
        let (merged, managers) =
            apply(ty, &before, &config, &managers, &me, options.force, ignored).map_err(|c| conflict(&c))?;
        let object = body::finish(target, ty, merged, Vec::new(), options, warnings)?;
        *live = replacement(target, live, object)?;
        match managers.to_json() {
            Some(json) => set(live, "metadata.managedFields", json),
            None => drop(take(live, "metadata.managedFields")),
        }
        Ok(())
    })
}

/// An apply's body: JSON or YAML.
fn configuration(target: Target<'_>, ty: &Type, body: &[u8]) -> Result<Value, Status> {
    let yaml = std::str::from_utf8(body).unwrap_or_default();
    let value: Value = match json::read(body) {
        Ok(read) => read.value,
        Err(_) => serde_saphyr::from_str(yaml).map_err(|e| Status::bad_request(format!("error decoding YAML: {e}")))?,
    };
    if !value.is_object() {
        return Err(Status::bad_request(
            "error decoding YAML: json: cannot unmarshal value into Go value of type map[string]interface {}",
        ));
    }
    let (given, kind) = (text(&value, "apiVersion"), text(&value, "kind"));
    let full = if given.contains('/') { given.to_owned() } else { format!("/{given}") };
    if given != target.api_version() || kind != target.kind.kind {
        return Err(Status::bad_request(format!("invalid object type: {full}, Kind={kind}")));
    }
    if at(&value, "metadata.managedFields").is_some() {
        return Err(Status::bad_request("metadata.managedFields must be nil"));
    }
    typed::check(ty, &value).map_err(|why| {
        let (namespace, name) = (text(&value, "metadata.namespace"), text(&value, "metadata.name"));
        Status::new(
            500,
            "",
            format!("failed to create typed patch object ({namespace}/{name}; {full}, Kind={kind}): {why}"),
        )
    })?;
    Ok(value)
}

/// What is applied, in stored form but with only what was named.
fn applied(
    target: Target<'_>,
    ty: &Type,
    config: Value,
    options: &Options,
    warnings: &mut Vec<String>,
) -> Result<Value, Status> {
    let whole = body::finish(target, ty, config.clone(), Vec::new(), options, warnings)?;
    Ok(named_only(&config, &whole))
}

/// `stored`, but only where `given` says something: the decoder fills in what Go always writes, which nobody applied.
fn named_only(given: &Value, stored: &Value) -> Value {
    match (given, stored) {
        (Value::Object(given), Value::Object(stored)) => {
            let kept = given.iter().filter(|(_, v)| !v.is_null()).filter_map(|(k, v)| {
                let inner = match stored.get(k) {
                    Some(inner) => named_only(v, inner),
                    // Empty values are left out of what is stored, yet they were applied.
                    None if v.is_object() || v.is_array() || v == "" || v == false || v == 0 => v.clone(),
                    None => return None,
                };
                Some((k.clone(), inner))
            });
            Value::Object(kept.collect())
        }
        (Value::Array(given), Value::Array(stored)) if given.len() == stored.len() => {
            Value::Array(given.iter().zip(stored).map(|(g, s)| named_only(g, s)).collect())
        }
        _ => stored.clone(),
    }
}

/// 409 with who owns what.
fn conflict(all: &[fields::apply::Conflict]) -> Status {
    let message = if let [one] = all {
        format!("Apply failed with 1 conflict: conflict with {}: {}", one.with, one.field)
    } else {
        let mut managers: Vec<&str> = all.iter().map(|c| c.with.as_str()).collect();
        managers.sort_unstable();
        managers.dedup();
        let mut lines = Vec::new();
        for manager in managers {
            lines.push(format!("conflicts with {manager}:"));
            lines.extend(all.iter().filter(|c| c.with == manager).map(|c| format!("- {}", c.field)));
        }
        format!("Apply failed with {} conflicts: {}", all.len(), lines.join("\n"))
    };
    let causes: Value = all
        .iter()
        .map(|c| serde_json::json!({"reason": "FieldManagerConflict", "message": format!("conflict with {}", c.with), "field": c.field}))
        .collect();
    Status::new(409, "Conflict", message).with(serde_json::json!({"causes": causes}))
}
