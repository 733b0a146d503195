//! Which optional kinds this cluster serves: autoscalers, GitOps, meshes, chaos, scanners.

use super::feed::{Watched, What};
use super::live;
use super::problem::Problem;
use crate::model::object::Resource;
use kube::Client;
use serde::Deserialize;
use std::borrow::Cow;
use std::sync::Arc;

/// Groups and plurals that are watched where they exist.
const OPTIONAL: [(&str, &str); 15] = [
    ("autoscaling.k8s.io", "verticalpodautoscalers"),
    ("keda.sh", "scaledobjects"),
    ("argoproj.io", "applications"),
    ("argoproj.io", "rollouts"),
    ("kustomize.toolkit.fluxcd.io", "kustomizations"),
    ("helm.toolkit.fluxcd.io", "helmreleases"),
    ("networking.istio.io", "virtualservices"),
    ("networking.istio.io", "destinationrules"),
    ("networking.istio.io", "gateways"),
    ("chaos-mesh.org", "podchaos"),
    ("chaos-mesh.org", "networkchaos"),
    ("chaos-mesh.org", "stresschaos"),
    ("chaos-mesh.org", "iochaos"),
    ("aquasecurity.github.io", "vulnerabilityreports"),
    ("aquasecurity.github.io", "configauditreports"),
];

#[derive(Deserialize)]
struct Groups {
    #[serde(default)]
    groups: Vec<Group>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Group {
    name: String,
    preferred_version: Version,
}

#[derive(Deserialize)]
struct Version {
    version: String,
}

#[derive(Deserialize)]
struct Kinds {
    #[serde(default)]
    resources: Vec<Kind>,
}

#[derive(Deserialize)]
struct Kind {
    #[serde(rename = "name")]
    plural: String,
    #[serde(rename = "kind")]
    name: String,
    #[serde(default)]
    namespaced: bool,
    #[serde(default)]
    verbs: Vec<String>,
}

/// The optional kinds this server has. One request, and one more per group that is wanted and there.
///
/// # Errors
/// If the groups cannot be read. A single group that cannot be read (its server may be down) is left out.
pub async fn optional(client: &Client) -> Result<Vec<Arc<Watched>>, Problem> {
    let groups: Groups = get(client, "/apis").await?;
    let mut found = Vec::new();
    for group in groups.groups.iter().filter(|g| OPTIONAL.iter().any(|(name, _)| *name == g.name)) {
        let version = &group.preferred_version.version;
        let Ok(kinds) = get::<Kinds>(client, &format!("/apis/{}/{version}", group.name)).await else { continue };
        for kind in kinds.resources.into_iter().filter(|k| k.verbs.iter().any(|v| v == "watch")) {
            let Some((name, plural)) = OPTIONAL.iter().find(|(g, p)| *g == group.name && *p == kind.plural) else {
                continue;
            };
            let what = match *plural {
                "verticalpodautoscalers" => What::Vpa,
                "scaledobjects" => What::ScaledObject,
                _ => What::Counted,
            };
            let resource = Resource {
                group: Cow::Borrowed(name),
                version: Cow::Owned(version.clone()),
                kind: Cow::Owned(kind.name),
                plural: Cow::Borrowed(plural),
                namespaced: kind.namespaced,
            };
            found.push(Arc::new(Watched { resource, what }));
        }
    }
    Ok(found)
}

async fn get<T: for<'de> Deserialize<'de>>(client: &Client, path: &str) -> Result<T, Problem> {
    serde_json::from_value(live::get(client, path).await?).map_err(|e| Problem::of(&kube::Error::SerdeError(e)))
}
