//! The subresource `scale`: an `autoscaling/v1` Scale seen through a workload.

use super::request;
use super::{Errors, Options, Patch, Target, Validation, Written, body, json};
use crate::sim::fields::Writer;
use crate::sim::object::{at, int, list, set, strings, text};
use crate::sim::resource::Resource;
use crate::sim::schema::{self, Type};
use crate::sim::status::Status;
use crate::sim::store::Store;
use serde_json::{Value, json};

/// Where a kind keeps what its Scale shows: `spec.replicas`, unless its definition says otherwise.
struct Paths {
    wanted: String,
    has: String,
    selector: String,
}

impl Paths {
    fn of(store: &Store, kind: &Resource) -> Self {
        let definition = kind
            .custom
            .then(|| store.get("customresourcedefinitions.apiextensions.k8s.io", "", &kind.key()))
            .flatten()
            .map(|d| d.value())
            .unwrap_or_default();
        let path = |name: &str, default: &str| {
            let given =
                list(&definition, "spec.versions").iter().map(|v| text(v, &format!("subresources.scale.{name}")));
            let given = given.into_iter().find(|p| !p.is_empty());
            given.map_or_else(|| default.to_owned(), |p| p.trim_start_matches('.').to_owned())
        };
        Self {
            wanted: path("specReplicasPath", "spec.replicas"),
            has: path("statusReplicasPath", "status.replicas"),
            selector: path("labelSelectorPath", "spec.selector"),
        }
    }

    /// The Scale of an object.
    fn scale(&self, object: &Value) -> Value {
        let mut metadata = json!({});
        for field in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
            if let Some(value) = at(object, &format!("metadata.{field}")) {
                metadata[field] = value.clone();
            }
        }
        let mut scale =
            json!({"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": metadata, "spec": {}, "status": {}});
        if let Some(replicas) = int(object, &self.wanted).filter(|r| *r != 0) {
            set(&mut scale, "spec.replicas", replicas);
        }
        set(&mut scale, "status.replicas", int(object, &self.has).unwrap_or(0));
        let selector = match at(object, &self.selector) {
            Some(Value::String(query)) => query.clone(),
            Some(selector) => query(selector),
            None => String::new(),
        };
        if !selector.is_empty() {
            set(&mut scale, "status.selector", selector);
        }
        scale
    }
}

/// The Scale of an object of a kind that has one.
pub fn of(store: &Store, kind: &Resource, object: &Value) -> Value {
    Paths::of(store, kind).scale(object)
}

/// A selector as a query: `app=web,tier in (a,b)`.
fn query(selector: &Value) -> String {
    // A ReplicationController's selector is the labels themselves.
    let whole = ["matchLabels", "matchExpressions"].iter().any(|f| selector.get(f).is_some());
    let labels = if whole { strings(selector, "matchLabels") } else { strings(&json!({"it": selector}), "it") };
    let mut parts: Vec<(String, String)> = labels.into_iter().map(|(k, v)| (k.clone(), format!("{k}={v}"))).collect();
    for e in list(selector, "matchExpressions") {
        let key = text(e, "key");
        let mut values: Vec<&str> = list(e, "values").iter().filter_map(Value::as_str).collect();
        values.sort_unstable();
        let said = match text(e, "operator") {
            "In" => format!("{key} in ({})", values.join(",")),
            "NotIn" => format!("{key} notin ({})", values.join(",")),
            "Exists" => key.to_owned(),
            _ => format!("!{key}"),
        };
        parts.push((key.to_owned(), said));
    }
    parts.sort();
    parts.into_iter().map(|(_, said)| said).collect::<Vec<_>>().join(",")
}

/// PUT.
pub fn update(store: &Store, target: Target<'_>, body: &[u8], options: &Options) -> Result<Written, Status> {
    let read = json::read(body).map_err(Status::bad_request)?;
    change(store, target, options, |_, warnings| {
        let lenient = Options { validation: Validation::Warn, ..options.clone() };
        body::stored(ty(), read.value, read.duplicates, &lenient, warnings)
            .map_err(|why| Status::bad_request(format!("Scale in version \"v1\" cannot be handled as a Scale: {why}")))
    })
}

/// PATCH.
pub fn patch(
    store: &Store,
    target: Target<'_>,
    patch: Patch,
    body: &[u8],
    options: &Options,
) -> Result<Written, Status> {
    let read = match (json::read(body), patch) {
        (Ok(read), _) => read,
        (Err(_), Patch::Apply) => {
            let value = serde_saphyr::from_str(std::str::from_utf8(body).unwrap_or_default())
                .map_err(|e| Status::bad_request(format!("error decoding YAML: {e}")))?;
            json::Read { value, duplicates: Vec::new() }
        }
        (Err(why), _) => return Err(request::undecoded(patch, &why)),
    };
    change(store, target, options, |mut scale, warnings| {
        request::apply_patch(ty(), patch, &mut scale, &read.value)?;
        let shown = request::shown(patch, &scale, &read.value);
        let lenient = Options { validation: Validation::Warn, ..options.clone() };
        body::stored(ty(), scale, read.duplicates, &lenient, warnings).map_err(|why| request::unfit(&shown, &why))
    })
}

fn ty() -> &'static Type {
    schema::of_kind("autoscaling/v1", "Scale").unwrap_or_else(|| schema::any())
}

fn change(
    store: &Store,
    target: Target<'_>,
    options: &Options,
    make: impl FnOnce(Value, &mut Vec<String>) -> Result<Value, Status>,
) -> Result<Written, Status> {
    let writer = Writer { manager: &options.field_manager, subresource: "scale" };
    // Read before: the store is held while it writes.
    let paths = Paths::of(store, target.kind);
    let done = request::write(store, target, writer, options, Vec::new(), |live, warnings| {
        let mut scale = make(paths.scale(live), warnings)?;
        body::check_name(target, &mut scale)?;
        request::check_version(target, live, &scale)?;
        let replicas = int(&scale, "spec.replicas").unwrap_or(0);
        let mut errors = Errors::default();
        errors.not_negative("spec.replicas", Some(replicas));
        errors.into_result("autoscaling", "Scale", target.name)?;
        set(live, &paths.wanted, replicas);
        Ok(())
    })?;
    Ok(Written { object: paths.scale(&done.object), ..done })
}
