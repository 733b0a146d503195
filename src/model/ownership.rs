//! Who else decides about an object: GitOps, Helm, operators and autoscalers.
//!
//! A patch over somebody else's desired state is reverted at best and starts a fight at worst, so the
//! planner and the guard both ask here first. Sources: the labels and annotations that Argo CD, Flux and
//! Helm document; owner references; `scaleTargetRef` and `targetRef` of autoscalers.

use super::cluster::Owner;
use serde_json::Value;
use std::sync::Arc;

/// Owners that an object's own metadata tells: labels, annotations, owner references.
///
/// `lookup` takes the object's labels or annotations by key.
pub fn from_metadata<'a>(
    label: impl Fn(&str) -> Option<&'a str>,
    annotation: impl Fn(&str) -> Option<&'a str>,
    owner_refs: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Vec<Owner> {
    let mut owners = Vec::new();
    if let Some(id) = annotation("argocd.argoproj.io/tracking-id") {
        owners.push(Owner::ArgoCd(name(id.split(':').next().unwrap_or(id))));
    } else if let Some(app) = label("argocd.argoproj.io/instance") {
        owners.push(Owner::ArgoCd(name(app)));
    }
    for (prefix, what) in [("kustomize.toolkit.fluxcd.io", "Kustomization"), ("helm.toolkit.fluxcd.io", "HelmRelease")]
    {
        if let Some(n) = label(&format!("{prefix}/name")) {
            let ns = label(&format!("{prefix}/namespace")).unwrap_or("?");
            owners.push(Owner::Flux(name(&format!("{what} {ns}/{n}"))));
        }
    }
    if owners.is_empty()
        && let Some(release) = annotation("meta.helm.sh/release-name")
    {
        owners.push(Owner::Helm(name(release)));
    }
    for (kind, n) in owner_refs {
        if !matches!(kind, "Deployment" | "ReplicaSet" | "StatefulSet" | "DaemonSet" | "Job" | "CronJob" | "Node") {
            owners.push(Owner::Operator(name(&format!("{kind}/{n}"))));
        }
    }
    owners
}

/// All owners of a live object: its metadata and the autoscalers that target it.
pub fn owners(object: &Value, autoscalers: &[Value]) -> Vec<Owner> {
    let meta = &object["metadata"];
    let refs: Vec<(&str, &str)> = meta["ownerReferences"]
        .as_array()
        .map(|a| a.iter().filter_map(|r| Some((r["kind"].as_str()?, r["name"].as_str()?))).collect())
        .unwrap_or_default();
    let mut found = from_metadata(|k| meta["labels"][k].as_str(), |k| meta["annotations"][k].as_str(), refs);
    let kind = object["kind"].as_str().unwrap_or_default();
    let own_name = meta["name"].as_str().unwrap_or_default();
    for scaler in autoscalers {
        let n = name(scaler["metadata"]["name"].as_str().unwrap_or("?"));
        let spec = &scaler["spec"];
        let hits = |target: &Value| {
            target["name"].as_str() == Some(own_name) && target["kind"].as_str().unwrap_or("Deployment") == kind
        };
        match scaler["kind"].as_str() {
            Some("HorizontalPodAutoscaler") if hits(&spec["scaleTargetRef"]) => {
                // KEDA's generated HPA is KEDA's: the ScaledObject is named instead.
                let keda = scaler["metadata"]["labels"]["scaledobject.keda.sh/name"].as_str();
                found.push(keda.map_or(Owner::Hpa(n), |k| Owner::Keda(name(k))));
            }
            Some("ScaledObject") if hits(&spec["scaleTargetRef"]) => found.push(Owner::Keda(n)),
            Some("VerticalPodAutoscaler")
                if hits(&spec["targetRef"]) && spec["updatePolicy"]["updateMode"].as_str() != Some("Off") =>
            {
                found.push(Owner::Vpa(n));
            }
            _ => {}
        }
    }
    found.dedup();
    found
}

fn name(text: &str) -> Arc<str> {
    super::text::clean(text).into()
}

impl Owner {
    /// Whether it writes the replica count.
    pub fn owns_replicas(&self) -> bool {
        matches!(self, Self::Hpa(_) | Self::Keda(_)) || self.owns_spec()
    }

    /// Whether it writes requests and limits.
    pub fn owns_resources(&self) -> bool {
        matches!(self, Self::Vpa(_)) || self.owns_spec()
    }

    /// Whether it writes the whole template, so that any patch of the spec would be reverted or drift.
    pub fn owns_spec(&self) -> bool {
        matches!(self, Self::ArgoCd(_) | Self::Flux(_) | Self::Helm(_) | Self::Operator(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn deployment(meta: Value) -> Value {
        let mut d = json!({"kind": "Deployment", "metadata": meta});
        d["metadata"]["name"] = "cart".into();
        d
    }

    #[test]
    fn every_owner_is_recognised() {
        let argo =
            deployment(json!({"annotations": {"argocd.argoproj.io/tracking-id": "shop:apps/Deployment:shop/cart"}}));
        assert_eq!(owners(&argo, &[]), vec![Owner::ArgoCd("shop".into())]);
        let flux = deployment(
            json!({"labels": {"kustomize.toolkit.fluxcd.io/name": "apps", "kustomize.toolkit.fluxcd.io/namespace": "flux-system"}}),
        );
        assert_eq!(owners(&flux, &[]), vec![Owner::Flux("Kustomization flux-system/apps".into())]);
        let helm = deployment(json!({"annotations": {"meta.helm.sh/release-name": "web"}}));
        assert_eq!(owners(&helm, &[]), vec![Owner::Helm("web".into())]);
        let operator = deployment(json!({"ownerReferences": [{"kind": "Kafka", "name": "events"}]}));
        assert_eq!(owners(&operator, &[]), vec![Owner::Operator("Kafka/events".into())]);
        let plain = deployment(json!({}));
        let hpa = json!({"kind": "HorizontalPodAutoscaler", "metadata": {"name": "h"}, "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "cart"}}});
        assert_eq!(owners(&plain, std::slice::from_ref(&hpa)), vec![Owner::Hpa("h".into())]);
        let mut keda = hpa.clone();
        keda["metadata"]["labels"] = json!({"scaledobject.keda.sh/name": "so"});
        assert_eq!(owners(&plain, &[keda]), vec![Owner::Keda("so".into())]);
        let vpa = |mode: &str| json!({"kind": "VerticalPodAutoscaler", "metadata": {"name": "v"}, "spec": {"targetRef": {"kind": "Deployment", "name": "cart"}, "updatePolicy": {"updateMode": mode}}});
        assert_eq!(owners(&plain, &[vpa("Recreate")]), vec![Owner::Vpa("v".into())]);
        assert_eq!(owners(&plain, &[vpa("Off")]), vec![]);
        let mut other = hpa;
        other["spec"]["scaleTargetRef"]["name"] = "checkout".into();
        assert_eq!(owners(&plain, &[other]), vec![]);
    }
}
