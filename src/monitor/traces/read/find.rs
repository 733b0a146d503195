//! Finds a trace backend in the cluster: Services that are named or labelled as Jaeger's query or as Tempo.

use super::error::ReadError;
use super::product::Product;
use super::transport::{Backend, Place};
use crate::config::settings;
use crate::model::text::clean;
use k8s_openapi::api::core::v1::Service;
use kube::api::{Api, ListParams};
use std::collections::BTreeSet;

/// Services of one list, and lists of one look.
const PAGE: u32 = 500;
/// Lists of one look at one place.
const PAGES: usize = 20;
/// Services that are tried.
const TRIED: usize = 6;
/// Namespaces that are looked into when Services may not be listed cluster-wide.
const USUAL: [&str; 6] = ["observability", "tracing", "monitoring", "jaeger", "tempo", "default"];
/// Parts of Tempo that cannot be searched.
const PARTS: [&str; 8] =
    ["distributor", "ingester", "querier", "compactor", "memcached", "metrics-generator", "gateway", "discovery"];

/// What a look gave.
pub enum Look {
    /// One that answers, and what it is.
    Found(Backend, Product),
    /// None is there.
    Nothing,
    /// None may be looked for.
    Refused(String),
    /// Some are there, but none answers.
    Failed(String),
}

/// Looks in the cluster. Where Services may not be listed in all namespaces, those of the configuration and the usual ones.
pub async fn look(kube: &kube::Client, own: &[String], settings: &settings::Traces) -> Look {
    let (mut wrong, mut refused) = (Vec::new(), None);
    let candidates = match candidates(kube, None).await {
        Ok(all) => all,
        Err(why) => {
            refused = Some(format!("listing services in all namespaces: {why}"));
            let mut all = BTreeSet::new();
            for namespace in own.iter().map(String::as_str).chain(USUAL) {
                // The first refusal says what is missing.
                if let Ok(more) = self::candidates(kube, Some(namespace)).await {
                    all.extend(more);
                }
            }
            all
        }
    };
    for (_, namespace, service, port) in candidates.into_iter().take(TRIED) {
        let backend = Backend::proxy(kube.clone(), Place { namespace, service, port }, settings);
        match Product::of(&backend).await {
            Ok(product) => return Look::Found(backend, product),
            Err(e) => wrong.push(e.to_string()),
        }
    }
    match refused {
        Some(why) if wrong.is_empty() => Look::Refused(why),
        _ if wrong.is_empty() => Look::Nothing,
        _ => Look::Failed(wrong.join("; ")),
    }
}

/// Rank, namespace, name, port.
type Candidate = (u8, String, String, i32);

async fn candidates(kube: &kube::Client, namespace: Option<&str>) -> Result<BTreeSet<Candidate>, String> {
    let api: Api<Service> = match namespace {
        Some(n) => Api::namespaced(kube.clone(), n),
        None => Api::all(kube.clone()),
    };
    let mut found = BTreeSet::new();
    let mut parameters = ListParams::default().limit(PAGE);
    for _ in 0..PAGES {
        let list = api.list(&parameters).await.map_err(|e| match e {
            kube::Error::Api(status) => clean(&status.message).into_owned(),
            e => clean(&ReadError::Unreachable { place: "the API server".into(), why: e.to_string() }.to_string())
                .into_owned(),
        })?;
        found.extend(list.items.iter().filter_map(candidate));
        match list.metadata.continue_.filter(|c| !c.is_empty()) {
            Some(next) => parameters = parameters.continue_token(&next),
            None => break,
        }
    }
    Ok(found)
}

/// Jaeger's query before Tempo's frontend before a Tempo in one piece.
fn candidate(service: &Service) -> Option<Candidate> {
    let (name, namespace) = (service.metadata.name.clone()?, service.metadata.namespace.clone()?);
    let labels = service.metadata.labels.as_ref();
    let words = |word: &str| name.contains(word) || labels.is_some_and(|l| l.values().any(|v| v.contains(word)));
    let ports = service.spec.as_ref()?.ports.as_deref()?;
    let has = |wanted: i32| ports.iter().find(|p| p.port == wanted).map(|p| p.port);
    let named = |wanted: &str| ports.iter().find(|p| p.name.as_deref() == Some(wanted)).map(|p| p.port);
    if words("jaeger")
        && let Some(port) = has(16686).or_else(|| named("http-query")).or_else(|| named("query-http"))
    {
        return Some((0, namespace, name, port));
    }
    if words("tempo") && !PARTS.iter().any(|part| name.contains(part)) {
        let port = has(3200).or_else(|| has(3100)).or_else(|| named("http")).or_else(|| named("http-metrics"))?;
        return Some((if name.contains("query-frontend") { 1 } else { 2 }, namespace, name, port));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn services_are_known_by_name_or_label_and_by_their_port() {
        let service = |name: &str, label: &str, port: i32| -> Service {
            serde_json::from_value(json!({"metadata": {"name": name, "namespace": "o11y", "labels": {"app": label}},
                "spec": {"ports": [{"name": "grpc", "port": 4317}, {"name": "x", "port": port}]}}))
            .unwrap()
        };
        let found = |name, label, port| candidate(&service(name, label, port)).map(|c| (c.0, c.3));
        assert_eq!(found("jaeger-query", "x", 16686), Some((0, 16686)));
        assert_eq!(found("simplest-query", "jaeger", 16686), Some((0, 16686)));
        assert_eq!(found("tempo-query-frontend", "x", 3200), Some((1, 3200)));
        assert_eq!(found("tempo", "x", 3100), Some((2, 3100)));
        assert_eq!(found("tempo-distributor", "tempo", 3200), None);
        assert_eq!(found("jaeger-collector", "jaeger", 14250), None);
        assert_eq!(found("shop", "x", 3200), None);
    }
}
