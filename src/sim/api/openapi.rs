//! `/openapi/v3`: an index with hashes, and the documents of `sim::schema`; and what kubectl has to find under `/openapi/v2`.

use crate::sim::resource::{Registry, Resource};
use crate::sim::store::Store;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use std::fmt::Write;

/// Gives the document of a group and version for the kinds that are served and the definitions of the custom ones.
pub type Documents = fn(&str, &str, &[&Resource], &[Value]) -> Option<Value>;

const DEFINITIONS: &str = "customresourcedefinitions.apiextensions.k8s.io";

/// The index: paths of documents, with a hash that changes when they do.
pub fn index(store: &Store) -> Value {
    let mut definitions = String::new();
    for d in store.list(DEFINITIONS, None).1 {
        let _ = write!(definitions, "{} {} ", d.name, d.version);
    }
    let paths: Map<String, Value> = served(&store.registry)
        .into_iter()
        .map(|(group, version)| {
            let path = if group.is_empty() { format!("api/{version}") } else { format!("apis/{group}/{version}") };
            let mut hash = String::new();
            for byte in Sha256::digest(format!("{path} {definitions}")) {
                let _ = write!(hash, "{byte:02X}");
            }
            let url = format!("/openapi/v3/{path}?hash={hash}");
            (path, json!({"serverRelativeURL": url}))
        })
        .collect();
    json!({"paths": paths})
}

/// The media type of `/openapi/v2`. kubectl asks for it with `@` for the third dot, which Go does not read in an answer.
pub const OLD: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

/// An OpenAPI v2 document without any schema, as gnostic's protobuf has it (`Document`: swagger 1, info 2, paths 8; `Info`:
/// title 1, version 2). kubectl asks for it only before it validates a `List`, and leaves to the server what it does not find.
pub fn old() -> Vec<u8> {
    fn field(number: u8, content: &[u8]) -> Vec<u8> {
        // All are shorter than 128 bytes, so that a length is one byte.
        let mut bytes = vec![number << 3 | 2, content.len() as u8];
        bytes.extend_from_slice(content);
        bytes
    }
    let info = [field(1, b"Kubernetes"), field(2, b"unversioned")].concat();
    [field(1, b"2.0"), field(2, &info), field(8, b"")].concat()
}

fn served(registry: &Registry) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> =
        registry.all().iter().flat_map(|k| k.versions.iter().map(|v| (k.group.clone(), v.clone()))).collect();
    all.sort();
    all.dedup();
    all
}

/// The document of `api/v1` or `apis/GROUP/VERSION`.
pub fn document(store: &Store, documents: Documents, path: &[&str]) -> Option<Value> {
    let (group, version) = match path {
        ["api", version] => ("", *version),
        ["apis", group, version] => (*group, *version),
        _ => return None,
    };
    let kinds = store.registry.all();
    let kinds: Vec<&Resource> = kinds.iter().map(std::convert::AsRef::as_ref).collect();
    let definitions: Vec<Value> = store.list(DEFINITIONS, None).1.iter().map(|d| d.value()).collect();
    documents(group, version, &kinds, &definitions)
}
