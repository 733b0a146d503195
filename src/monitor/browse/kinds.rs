//! Which kinds the server lists: two requests where it serves aggregated discovery (Kubernetes 1.26), else one per group.

use super::get;
use crate::model::browse::Kind;
use crate::model::object::Resource;
use crate::model::text::clean;
use crate::monitor::problem::Problem;
use kube::Client;
use serde::Deserialize;
use std::sync::Arc;

/// Aggregated discovery, and what older servers have instead.
const ACCEPT: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,\
    application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";

/// Either form of an answer to `/api` or `/apis`.
#[derive(Deserialize)]
struct Groups {
    #[serde(default)]
    items: Vec<Group>,
    #[serde(default, rename = "groups")]
    old: Vec<OldGroup>,
    /// Of `/api`.
    #[serde(default)]
    versions: Vec<String>,
}

#[derive(Deserialize)]
struct Group {
    #[serde(default)]
    metadata: Name,
    #[serde(default)]
    versions: Vec<Version>,
}

#[derive(Deserialize, Default)]
struct Name {
    #[serde(default)]
    name: String,
}

#[derive(Deserialize)]
struct Version {
    version: String,
    #[serde(default)]
    resources: Vec<One>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct One {
    resource: String,
    response_kind: Option<ResponseKind>,
    #[serde(default)]
    scope: String,
    #[serde(default)]
    singular_resource: String,
    #[serde(default)]
    short_names: Vec<String>,
    #[serde(default)]
    verbs: Vec<String>,
}

#[derive(Deserialize)]
struct ResponseKind {
    kind: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OldGroup {
    name: String,
    preferred_version: OldVersion,
}

#[derive(Deserialize)]
struct OldVersion {
    version: String,
}

#[derive(Deserialize)]
struct OldKinds {
    #[serde(default)]
    resources: Vec<OldKind>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OldKind {
    name: String,
    kind: String,
    #[serde(default)]
    singular_name: String,
    #[serde(default)]
    namespaced: bool,
    #[serde(default)]
    short_names: Vec<String>,
    #[serde(default)]
    verbs: Vec<String>,
}

/// Every kind that can be listed, each in the version the server prefers, core kinds first.
///
/// # Errors
/// If neither `/api` nor `/apis` can be read. A group whose own server is down is left out.
pub async fn kinds(client: &Client) -> Result<Vec<Kind>, Problem> {
    let mut found = Vec::new();
    let core: Groups = get(client, "/api", ACCEPT).await?;
    for version in &core.versions {
        found.extend(old(client, "", version).await);
    }
    let all: Groups = get(client, "/apis", ACCEPT).await?;
    for group in &all.old {
        found.extend(old(client, &group.name, &group.preferred_version.version).await);
    }
    for group in core.items.into_iter().chain(all.items) {
        for version in group.versions {
            for one in version.resources.into_iter().filter(|r| r.verbs.iter().any(|v| v == "list")) {
                // Versions come with the preferred first: a kind of an earlier one is known already.
                let known = |k: &Kind| k.resource.group == group.metadata.name && k.resource.plural == one.resource;
                if found.iter().any(known) {
                    continue;
                }
                let kind = one.response_kind.map(|k| k.kind).unwrap_or_default();
                let namespaced = one.scope == "Namespaced";
                let resource = resource(&group.metadata.name, &version.version, kind, one.resource, namespaced);
                found.push(named(resource, &one.singular_resource, &one.short_names));
            }
        }
    }
    Ok(found)
}

async fn old(client: &Client, group: &str, version: &str) -> Vec<Kind> {
    let path = if group.is_empty() { format!("/api/{version}") } else { format!("/apis/{group}/{version}") };
    let Ok(kinds) = get::<OldKinds>(client, &path, "application/json").await else { return Vec::new() };
    let listed = kinds.resources.into_iter().filter(|k| !k.name.contains('/') && k.verbs.iter().any(|v| v == "list"));
    listed
        .map(|k| named(resource(group, version, k.kind, k.name, k.namespaced), &k.singular_name, &k.short_names))
        .collect()
}

fn resource(group: &str, version: &str, kind: String, plural: String, namespaced: bool) -> Resource {
    Resource {
        group: group.to_owned().into(),
        version: version.to_owned().into(),
        kind: clean(&kind).into_owned().into(),
        plural: clean(&plural).into_owned().into(),
        namespaced,
    }
}

fn named(resource: Resource, singular: &str, short: &[String]) -> Kind {
    let singular = if singular.is_empty() { resource.kind.to_lowercase() } else { clean(singular).into_owned() };
    Kind { resource, singular: singular.into(), short: short.iter().map(|s| Arc::from(&*clean(s))).collect() }
}
