//! A request's body made an object in stored form, with the warnings or refusals that go with it.

use super::context::Refused;
use super::decode;
use super::json;
use super::{Options, Target, Validation};
use crate::sim::object::text;
use crate::sim::schema::Type;
use crate::sim::status::Status;
use serde_json::{Value, json};

/// How many unknown fields are told at most.
const MOST_WARNINGS: usize = 10;

/// Reads a whole object out of a POST's or PUT's body.
pub fn object(
    target: Target<'_>,
    ty: &Type,
    body: &[u8],
    options: &Options,
    warnings: &mut Vec<String>,
) -> Result<Value, Status> {
    let kind = &target.kind.kind;
    let read = json::read(body).map_err(|why| unrecognized(kind, &why, body))?;
    let mut value = read.value;
    if !value.is_object() {
        let why = format!(
            "json: cannot unmarshal {} into Go value of type struct {{ APIVersion string \"json:\\\"apiVersion,omitempty\\\"\"; Kind string \"json:\\\"kind,omitempty\\\"\" }}",
            decode::said(&value)
        );
        return Err(unrecognized(kind, &why, body));
    }
    check_kind(target, &mut value)?;
    finish(target, ty, value, read.duplicates, options, warnings)
}

/// A value in stored form, or 400.
pub fn finish(
    target: Target<'_>,
    ty: &Type,
    value: Value,
    duplicates: Vec<String>,
    options: &Options,
    warnings: &mut Vec<String>,
) -> Result<Value, Status> {
    let kind = &target.kind.kind;
    stored(ty, value, duplicates, options, warnings).map_err(|why| {
        Status::bad_request(format!("{kind} in version {:?} cannot be handled as a {kind}: {why}", target.version))
    })
}

/// A value in stored form, with what the type does not know refused, told or dropped, as asked; the error is Go's.
pub fn stored(
    ty: &Type,
    value: Value,
    duplicates: Vec<String>,
    options: &Options,
    warnings: &mut Vec<String>,
) -> Result<Value, String> {
    let (mut made, unknown) = decode::decode(ty, value)?;
    decode::drop_nulls(&mut made);
    let told: Vec<String> = unknown
        .iter()
        .map(|p| format!("unknown field {p:?}"))
        .chain(duplicates.iter().filter(|d| !unknown.contains(d)).map(|p| format!("duplicate field {p:?}")))
        .collect();
    match options.validation {
        Validation::Strict if !told.is_empty() => return Err(format!("strict decoding error: {}", told.join(", "))),
        Validation::Warn => warnings.extend(told.into_iter().take(MOST_WARNINGS)),
        _ => {}
    }
    Ok(made)
}

/// apiVersion and kind must be the path's; what is left out is filled in.
fn check_kind(target: Target<'_>, value: &mut Value) -> Result<(), Status> {
    let (expected, kind) = (target.api_version(), &target.kind.kind);
    for field in ["apiVersion", "kind"] {
        if let Some(other) = value.get(field).filter(|v| !v.is_string() && !v.is_null()) {
            let go = if field == "kind" { "kind" } else { "apiVersion" };
            let why = format!(
                "couldn't get version/kind; json parse error: json: cannot unmarshal {} into Go struct field .{go} of type string",
                decode::said(other)
            );
            return Err(Status::bad_request(format!(
                "the object provided is unrecognized (must be of type {kind}): {why}"
            )));
        }
    }
    let (given, given_kind) = (text(value, "apiVersion").to_owned(), text(value, "kind").to_owned());
    if target.kind.custom && (given.is_empty() || given_kind.is_empty()) {
        let missing = if given_kind.is_empty() { "Kind" } else { "apiVersion" };
        let what = value.to_string();
        let why = format!("Object '{missing}' is missing in '{what}'");
        return Err(Status::bad_request(why));
    }
    if (!given.is_empty() && given != expected) || (!given_kind.is_empty() && given_kind != *kind) {
        let (_, version) =
            given.rsplit_once('/').unwrap_or(("", if given.is_empty() { target.version } else { &given }));
        let known = crate::sim::schema::of_kind(&given, &given_kind).is_some();
        let (said_kind, own) = (if given_kind.is_empty() { kind } else { &given_kind }, go_package(target));
        let why = if known {
            format!("converting ({version}.{said_kind}) to ({own}.{kind}): unknown conversion")
        } else {
            format!("no kind {said_kind:?} is registered for version {given:?} in scheme \"pkg/runtime/scheme.go:111\"")
        };
        if target.kind.custom {
            return Err(Status::bad_request(format!(
                "the API version in the data ({given}) does not match the expected API version ({expected})"
            )));
        }
        return Err(Status::bad_request(format!(
            "{said_kind} in version {version:?} cannot be handled as a {kind}: {why}"
        )));
    }
    if given.is_empty() {
        value["apiVersion"] = expected.into();
    }
    if given_kind.is_empty() {
        value["kind"] = kind.as_str().into();
    }
    Ok(())
}

/// The Go package of the group's internal types, as conversions name it.
fn go_package(target: Target<'_>) -> &str {
    match target.kind.group.split('.').next() {
        None | Some("") => "core",
        Some("rbac") => "rbac",
        Some(first) => first,
    }
}

/// 400 for what is no JSON object. The body is shown as Go's apimachinery shows bytes: text if it begins like JSON,
/// else in hexadecimal; cut short.
fn unrecognized(kind: &str, why: &str, body: &[u8]) -> Status {
    let shown = if body.is_empty() {
        "<empty>".to_owned()
    } else {
        let looks = body.first() == Some(&b'{');
        let cut = &body[..body.len().min(30)];
        let text = if looks {
            String::from_utf8_lossy(cut).into_owned()
        } else {
            cut.iter().map(|b| format!("{b:02x}")).collect::<Vec<_>>().concat()
        };
        if cut.len() < body.len() { format!("{text} ...") } else { text }
    };
    Status::bad_request(format!(
        "the object provided is unrecognized (must be of type {kind}): couldn't get version/kind; json parse error: {why} ({shown})"
    ))
}

/// The name and namespace in the body against those in the path, for an update.
pub fn check_name(target: Target<'_>, object: &mut Value) -> Result<(), Refused> {
    let name = text(object, "metadata.name").to_owned();
    if name.is_empty() {
        return Err(Status::bad_request(format!(
            "the name of the object ({} based on URL) was undeterminable: name must be provided",
            target.name
        ))
        .into());
    }
    if name != target.name {
        return Err(Status::bad_request(format!(
            "the name of the object ({name}) does not match the name on the URL ({})",
            target.name
        ))
        .into());
    }
    check_namespace_of(target, object).map_err(Refused::from)
}

/// The namespace in the body against that in the path; it is filled in.
pub fn check_namespace_of(target: Target<'_>, object: &mut Value) -> Result<(), Status> {
    if !object["metadata"].is_object() {
        object["metadata"] = json!({});
    }
    let given = text(object, "metadata.namespace").to_owned();
    if !target.kind.namespaced {
        if let Some(metadata) = object["metadata"].as_object_mut() {
            metadata.shift_remove("namespace");
        }
        return Ok(());
    }
    if given.is_empty() {
        object["metadata"]["namespace"] = target.namespace.into();
    } else if given != target.namespace {
        return Err(Status::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    Ok(())
}
