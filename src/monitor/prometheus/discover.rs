//! Finds Prometheus in the cluster: Services by the labels that installers give them, asked through the
//! API server's service proxy. The first that answers a small query wins.

use super::client::{Limits, PromClient};
use super::error::PromError;
use super::transport::{ServiceProxy, Transport};
use crate::config::settings::Connection;
use crate::model::text::clean;
use k8s_openapi::api::core::v1::{Service, ServicePort};
use kube::api::{Api, ListParams};
use std::time::Duration;

/// Label selectors in order, with the path in front of `/api/v1`.
/// The first eight are KRR's (`prometheus_metrics_service.py`), then its Thanos, VictoriaMetrics and Mimir ones.
const SELECTORS: [(&str, &str); 17] = [
    ("app=kube-prometheus-stack-prometheus", ""),
    ("app=prometheus,component=server", ""),
    ("app=prometheus-server", ""),
    ("app=prometheus-operator-prometheus", ""),
    ("app=rancher-monitoring-prometheus", ""),
    ("app=prometheus-prometheus", ""),
    ("app.kubernetes.io/name=prometheus,app.kubernetes.io/component=server", ""),
    ("app=stack-prometheus", ""),
    ("app.kubernetes.io/name=prometheus", ""),
    ("app.kubernetes.io/component=query,app.kubernetes.io/name=thanos", ""),
    ("app.kubernetes.io/name=thanos-query", ""),
    ("app=thanos-query", ""),
    ("app=thanos-querier", ""),
    ("app.kubernetes.io/name=vmsingle", ""),
    ("app.kubernetes.io/name=victoria-metrics-single", ""),
    ("app.kubernetes.io/name=vmselect", "/select/0/prometheus"),
    ("app.kubernetes.io/name=mimir,app.kubernetes.io/component=query-frontend", "/prometheus"),
];

/// Namespaces that are tried when Services may not be listed cluster-wide.
const USUAL_NAMESPACES: [&str; 5] = ["monitoring", "prometheus", "observability", "kube-prometheus-stack", "default"];

/// Services that match one selector and are tried.
const MOST_PER_SELECTOR: u32 = 5;

/// Where the configuration says Prometheus is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// `none`: work without.
    Nothing,
    /// `auto`: look for it in the cluster.
    Auto,
    /// A URL.
    Url(String),
}

impl Wanted {
    /// Reads `connection.prometheus`.
    pub fn from_setting(text: &str) -> Self {
        match text.trim() {
            "none" => Self::Nothing,
            "auto" | "" => Self::Auto,
            url => Self::Url(url.to_owned()),
        }
    }
}

/// Why there is no connection.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum DiscoverError {
    /// The one place that was named does not work.
    #[error(transparent)]
    Prometheus(#[from] PromError),
    /// Nothing was found, or nothing that was found answers.
    #[error("no Prometheus found in the cluster: {}. Set --prometheus URL, or none to work without", .tried.join("; "))]
    NotFound {
        /// What was tried, with its result.
        tried: Vec<String>,
    },
    /// `auto`, but there is no cluster to look in.
    #[error("Prometheus is looked for in the cluster, and there is no connection to one. Set --prometheus URL")]
    NoCluster,
}

/// Connects as the configuration says. `None`: it says `none`. A client that is returned has answered a query.
pub async fn connect(
    wanted: &Wanted,
    connection: &Connection,
    limits: Limits,
    kube: Option<&kube::Client>,
) -> Result<Option<PromClient>, DiscoverError> {
    match wanted {
        Wanted::Nothing => Ok(None),
        Wanted::Url(url) => {
            let client = PromClient::new(Transport::url(url, connection)?, limits);
            client.query("vector(1)").await?;
            Ok(Some(client))
        }
        Wanted::Auto => {
            let kube = kube.ok_or(DiscoverError::NoCluster)?;
            look(kube, &connection.namespaces, limits).await.map(Some)
        }
    }
}

async fn look(kube: &kube::Client, own: &[String], limits: Limits) -> Result<PromClient, DiscoverError> {
    let mut tried = Vec::new();
    let mut places: Vec<Option<String>> = vec![None];
    let mut refused = false;
    let mut index = 0;
    while let Some(place) = places.get(index).cloned() {
        index += 1;
        let found = in_one_place(kube, place.as_deref(), limits, &mut tried).await;
        match found {
            Ok(Some(client)) => return Ok(client),
            Ok(None) => {}
            // Cluster-wide lists are refused: look where it usually is, and where we may look.
            Err(why) if place.is_none() => {
                refused = true;
                tried.push(format!("listing services in all namespaces: {why}"));
                places.extend(own.iter().map(String::as_str).chain(USUAL_NAMESPACES).map(|n| Some(n.to_owned())));
            }
            Err(why) => tried.push(format!("listing services in {}: {why}", place.unwrap_or_default())),
        }
    }
    if tried.is_empty() || (tried.len() == 1 && refused) {
        tried.push(format!("no Service has one of the labels {}", SELECTORS.map(|(s, _)| s).join(" | ")));
    }
    Err(DiscoverError::NotFound { tried })
}

/// Tries all selectors in one namespace (`None`: in all). The error is that of the first list.
async fn in_one_place(
    kube: &kube::Client,
    namespace: Option<&str>,
    limits: Limits,
    tried: &mut Vec<String>,
) -> Result<Option<PromClient>, String> {
    let api: Api<Service> = match namespace {
        Some(n) => Api::namespaced(kube.clone(), n),
        None => Api::all(kube.clone()),
    };
    let mut seen = Vec::new();
    for (selector, prefix) in SELECTORS {
        let parameters = ListParams::default().labels(selector).limit(MOST_PER_SELECTOR);
        let listed = tokio::time::timeout(limits.timeout, api.list(&parameters)).await;
        let services = match listed {
            Ok(Ok(list)) => list.items,
            Ok(Err(kube::Error::Api(status))) => return Err(clean(&status.message).into_owned()),
            Ok(Err(e)) => return Err(clean(&e.to_string()).into_owned()),
            Err(_) => return Err("no answer in time".into()),
        };
        for service in services {
            let Some(proxy) = proxy_to(kube, &service, prefix) else { continue };
            let place = (proxy.namespace.clone(), proxy.service.clone());
            if seen.contains(&place) {
                continue;
            }
            seen.push(place);
            let quick = Limits { timeout: limits.timeout.min(Duration::from_secs(5)), ..limits };
            let transport = Transport::ServiceProxy(Box::new(proxy));
            match PromClient::new(transport.clone(), quick).query("vector(1)").await {
                Ok(_) => return Ok(Some(PromClient::new(transport, limits))),
                Err(e) => tried.push(e.to_string()),
            }
        }
    }
    Ok(None)
}

/// The service proxy to the port that most likely serves the API; `None` if the Service has no port.
fn proxy_to(kube: &kube::Client, service: &Service, prefix: &str) -> Option<ServiceProxy> {
    let port = best_port(service.spec.as_ref()?.ports.as_deref()?)?;
    let name = port.name.as_deref().unwrap_or_default();
    Some(ServiceProxy {
        client: kube.clone(),
        namespace: service.metadata.namespace.clone()?,
        service: service.metadata.name.clone()?,
        // By number: a proxy accepts it whether or not the port has a name.
        port: port.port.to_string(),
        https: port.port == 443 || name.contains("https") || port.app_protocol.as_deref() == Some("https"),
        prefix: prefix.to_owned(),
    })
}

/// Named `web`, `http`, `http-web`…, else 9090, else another usual number, else the first TCP port.
fn best_port(ports: &[ServicePort]) -> Option<&ServicePort> {
    let rank = |p: &&ServicePort| {
        let name = p.name.as_deref().unwrap_or_default();
        match (name, p.port) {
            ("web" | "http-web", _) => 0,
            (_, 9090) => 1,
            ("http" | "https-web" | "https", _) => 2,
            (_, 80 | 443 | 8428 | 8429 | 8481 | 9091 | 10902 | 8080) => 3,
            _ => 4,
        }
    };
    ports.iter().filter(|p| p.protocol.as_deref().unwrap_or("TCP") == "TCP").min_by_key(rank)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use wiremock::matchers::{path, query_param};
    use wiremock::{Mock, MockServer, ResponseTemplate};

    const LIMITS: Limits = Limits { timeout: Duration::from_secs(5), in_flight: 2, answer: 100_000 };

    fn cluster(server: &MockServer) -> kube::Client {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut config = kube::Config::new(server.uri().parse().unwrap());
        config.default_retry = false;
        kube::Client::try_from(config).unwrap()
    }

    fn services(items: &serde_json::Value) -> ResponseTemplate {
        ResponseTemplate::new(200)
            .set_body_json(json!({"kind": "ServiceList", "apiVersion": "v1", "metadata": {}, "items": items}))
    }

    fn service(name: &str) -> serde_json::Value {
        json!({"metadata": {"name": name, "namespace": "mon"}, "spec": {"ports": [
            {"name": "reloader", "port": 8080, "protocol": "TCP"}, {"name": "web", "port": 9090, "protocol": "TCP"}]}})
    }

    fn one() -> ResponseTemplate {
        ResponseTemplate::new(200)
            .set_body_json(json!({"status": "success", "data": {"resultType": "scalar", "result": [1, "1"]}}))
    }

    #[tokio::test]
    async fn the_first_service_that_answers_wins_and_earlier_failures_do_not_stop_it() {
        let server = MockServer::start().await;
        for (selector, name) in [(SELECTORS[0].0, "dead"), (SELECTORS[2].0, "alive")] {
            Mock::given(path("/api/v1/services"))
                .and(query_param("labelSelector", selector))
                .respond_with(services(&json!([service(name)])))
                .mount(&server)
                .await;
        }
        Mock::given(path("/api/v1/services")).respond_with(services(&json!([]))).mount(&server).await;
        Mock::given(path("/api/v1/namespaces/mon/services/alive:9090/proxy/api/v1/query"))
            .respond_with(one())
            .mount(&server)
            .await;
        Mock::given(path("/api/v1/namespaces/mon/services/dead:9090/proxy/api/v1/query"))
            .respond_with(ResponseTemplate::new(503).set_body_string("no endpoints available"))
            .mount(&server)
            .await;
        let found = connect(&Wanted::Auto, &Connection::default(), LIMITS, Some(&cluster(&server))).await;
        assert_eq!(found.unwrap().unwrap().place(), "service proxy mon/alive:9090");
    }

    #[tokio::test]
    async fn where_lists_are_denied_the_own_namespaces_are_searched_and_the_error_says_all() {
        let server = MockServer::start().await;
        let denied = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": 403,
            "reason": "Forbidden", "message": "services is forbidden"});
        Mock::given(path("/api/v1/services"))
            .respond_with(ResponseTemplate::new(403).set_body_json(denied))
            .mount(&server)
            .await;
        Mock::given(path("/api/v1/namespaces/shop/services"))
            .respond_with(services(&json!([service("prom")])))
            .mount(&server)
            .await;
        Mock::given(path("/api/v1/namespaces/shop/services/prom:9090/proxy/api/v1/query"))
            .respond_with(one())
            .mount(&server)
            .await;
        let connection = Connection { namespaces: vec!["shop".into()], ..Connection::default() };
        let e = connect(&Wanted::Auto, &connection, LIMITS, Some(&cluster(&server))).await.err().unwrap().to_string();
        assert!(
            e.contains("services is forbidden") && e.contains("mon/prom:9090") && e.contains("--prometheus"),
            "{e}"
        );
    }

    #[tokio::test]
    async fn an_empty_cluster_is_told_what_was_looked_for() {
        let server = MockServer::start().await;
        Mock::given(path("/api/v1/services")).respond_with(services(&json!([]))).mount(&server).await;
        let e = connect(&Wanted::Auto, &Connection::default(), LIMITS, Some(&cluster(&server))).await.err().unwrap();
        assert!(e.to_string().contains("app=prometheus-server"), "{e}");
        let e = connect(&Wanted::Auto, &Connection::default(), LIMITS, None).await.err().unwrap();
        assert_eq!(e, DiscoverError::NoCluster);
        assert!(connect(&Wanted::Nothing, &Connection::default(), LIMITS, None).await.unwrap().is_none());
    }
}
