//! Writing through the API: what a body must look like, what is filled in, what a patch means, who owns what, and
//! what the subresources do. Reads nothing from the network: bodies in, objects or refusals out.

mod body;
mod context;
mod decode;
mod defaults;
pub(in crate::sim) mod definitions;
mod json;
mod jsonpatch;
mod pods;
mod quantity;
mod request;
pub mod scale;
mod serverside;
mod strategic;
mod typed;
mod validate;

pub use request::complete;
pub(in crate::sim) use validate::Errors;

/// Reads JSON as the real server does; the error is Go's text.
pub fn read_json(bytes: &[u8]) -> Result<Value, String> {
    json::read(bytes).map(|read| read.value)
}

use super::resource::Resource;
use super::status::Status;
use super::store::Store;
use serde_json::Value;

/// What to do with fields the schema does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Validation {
    /// Drop them.
    Ignore,
    /// Drop them and warn.
    #[default]
    Warn,
    /// Refuse.
    Strict,
}

/// How a request asks to write.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// `dryRun=All`.
    pub dry_run: bool,
    /// `fieldManager`, or what the user agent gives.
    pub field_manager: String,
    /// `fieldValidation`.
    pub validation: Validation,
    /// `force`, for apply.
    pub force: bool,
}

/// A patch by content type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patch {
    /// `application/json-patch+json`
    Json,
    /// `application/merge-patch+json`
    Merge,
    /// `application/strategic-merge-patch+json`
    Strategic,
    /// `application/apply-patch+yaml`: JSON or YAML.
    Apply,
}

/// What was written.
#[derive(Debug, Clone)]
pub struct Written {
    /// The object as stored (or as it would be, in a dry run); for eviction and binding a Status.
    pub object: Value,
    /// Made new: 201 instead of 200.
    pub created: bool,
    /// `Warning` headers.
    pub warnings: Vec<String>,
}

/// Where a request writes.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// The kind.
    pub kind: &'a Resource,
    /// The version in the path; the body is in it, and so is the answer.
    pub version: &'a str,
    /// Namespace; empty for cluster-scoped kinds.
    pub namespace: &'a str,
    /// Name; empty for a create on the collection.
    pub name: &'a str,
    /// `status`, `scale`, `resize`, `eviction`, `binding`, or empty.
    pub subresource: &'a str,
}

/// POST on a collection or a subresource.
pub fn create(store: &Store, target: Target<'_>, body: &[u8], options: &Options) -> Result<Written, Status> {
    match target.subresource {
        "" => request::create(store, target, body, options),
        "eviction" => pods::evict(store, target, body, options),
        "binding" => pods::bind(store, target, body, options),
        _ => Err(not_allowed()),
    }
}

/// PUT.
pub fn update(store: &Store, target: Target<'_>, body: &[u8], options: &Options) -> Result<Written, Status> {
    match target.subresource {
        "scale" => scale::update(store, target, body, options),
        "eviction" | "binding" => Err(not_allowed()),
        _ => request::update(store, target, body, options),
    }
}

/// PATCH.
pub fn patch(
    store: &Store,
    target: Target<'_>,
    patch: Patch,
    body: &[u8],
    options: &Options,
) -> Result<Written, Status> {
    match target.subresource {
        "scale" => scale::patch(store, target, patch, body, options),
        "eviction" | "binding" | "finalize" => Err(not_allowed()),
        _ => request::patch(store, target, patch, body, options),
    }
}

/// An object of a kind as a patch would make it, before anything is filled in, validated or stored.
pub fn patched(api_version: &str, kind: &str, patch: Patch, mut object: Value, body: &[u8]) -> Result<Value, Status> {
    let ty = super::schema::of_kind(api_version, kind).unwrap_or_else(|| super::schema::any());
    let document = read_json(body).map_err(|why| request::undecoded(patch, &why))?;
    request::apply_patch(ty, patch, &mut object, &document)?;
    Ok(object)
}

/// 405.
fn not_allowed() -> Status {
    Status::new(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")
        .with(serde_json::json!({}))
}

#[cfg(test)]
mod laws;
#[cfg(test)]
mod tests;
