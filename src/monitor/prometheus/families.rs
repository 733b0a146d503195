//! Request metrics by family: which counters and histograms meshes, SDKs and ingresses expose, what counts
//! as a failure in each, and which labels say whose requests they are.
//!
//! Success is "not 5xx", as in Flagger's observers; of gRPC's codes those count as failures that OpenTelemetry's
//! conventions hold the server responsible for. 4xx are the caller's.

use super::answer::Labels;

/// Label names under which a namespace and a pod are known, best first.
const NAMESPACE: [&str; 4] = ["exported_namespace", "namespace", "kubernetes_namespace", "ns"];
const POD: [&str; 4] = ["exported_pod", "pod", "kubernetes_pod_name", "pod_name"];

/// A gRPC code for which the server is to blame.
const GRPC_FAULTS: &str = "Unknown|DeadlineExceeded|Unimplemented|Internal|Unavailable|DataLoss";

/// Whose series it is: label names, in pairs of namespace and pod (or workload). The first pair that a series
/// has wins, so that series with and without `exported_` labels can be told apart in one query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct By {
    /// (namespace label, pod or workload label).
    pub pairs: Vec<(String, String)>,
    /// Whether the second label names a pod; else it names a workload.
    pub pod: bool,
}

impl By {
    /// Pods, by the label names that are there; `None` if no pair is complete.
    pub fn pods(names: &[String]) -> Option<Self> {
        let has = |n: &str| names.iter().any(|x| x == n);
        let mut pairs = Vec::new();
        if has("k8s_namespace_name") && has("k8s_pod_name") {
            pairs.push(("k8s_namespace_name".to_owned(), "k8s_pod_name".to_owned()));
        }
        if has(NAMESPACE[0]) && has(POD[0]) {
            pairs.push((NAMESPACE[0].to_owned(), POD[0].to_owned()));
        }
        let first = |list: &[&str]| list.iter().find(|n| has(n)).map(|n| (*n).to_owned());
        pairs.extend(first(&NAMESPACE[1..]).zip(first(&POD[1..])));
        (!pairs.is_empty()).then_some(Self { pairs, pod: true })
    }

    /// Workloads by name.
    pub fn workloads(namespace: &str, workload: &str) -> Self {
        Self { pairs: vec![(namespace.to_owned(), workload.to_owned())], pod: false }
    }

    /// The labels for a `by` clause: `namespace,pod`.
    pub fn clause(&self) -> String {
        let mut names: Vec<&str> = Vec::new();
        for (a, b) in &self.pairs {
            names.extend([a.as_str(), b.as_str()]);
        }
        names.join(",")
    }

    /// Namespace and pod (or workload) of a series; `None` if it names none.
    pub fn key<'a>(&self, labels: &'a Labels) -> Option<(&'a str, &'a str)> {
        self.pairs.iter().find_map(|(a, b)| {
            let (a, b) = (labels.get(a)?, labels.get(b)?);
            (!a.is_empty() && !b.is_empty()).then_some((a, b))
        })
    }
}

/// Request metrics of one family, as they are on this server.
#[derive(Debug, Clone, PartialEq)]
pub struct Requests {
    /// Counter of requests.
    pub total: String,
    /// Matchers that always apply, such as `reporter="destination"`; may be empty.
    pub selector: String,
    /// Matcher of failed requests; `None` if no label tells.
    pub bad: Option<String>,
    /// Classic histogram of durations and the seconds in its unit; `None` if there is none.
    pub bucket: Option<(String, f64)>,
    /// Whose requests.
    pub by: By,
    /// Seconds between scrapes of its targets, if it could be told.
    pub interval_s: Option<f64>,
}

/// A family as it is documented.
pub struct Family {
    /// Counter that tells that it is there.
    pub total: &'static str,
    bucket: &'static [&'static str],
    /// Seconds in the histogram's unit.
    unit: f64,
    selector: &'static str,
    /// Labels, one of which tells failures, and the matcher's right side.
    bad: &'static [(&'static str, &'static str)],
    /// Labels of namespace and workload; empty: by pod.
    by: &'static [(&'static str, &'static str)],
    /// A label without which it is something else of the same name.
    needs: &'static str,
}

const HTTP: [(&str, &str); 5] = [
    ("code", "=~\"5..\""),
    ("status", "=~\"5..|5xx\""),
    ("status_code", "=~\"5..\""),
    ("http_status_code", "=~\"5..\""),
    ("http_response_status_code", "=~\"5..\""),
];

/// All families, most telling first: what a mesh sees is complete, what an ingress sees is only the outside.
pub const FAMILIES: [Family; 8] = [
    Family {
        total: "istio_requests_total",
        bucket: &["istio_request_duration_milliseconds_bucket"],
        unit: 0.001,
        selector: "reporter=\"destination\"",
        bad: &[("response_code", "=~\"5..\"")],
        by: &[("destination_workload_namespace", "destination_workload")],
        needs: "destination_workload",
    },
    Family {
        total: "response_total",
        bucket: &["response_latency_ms_bucket"],
        unit: 0.001,
        selector: "direction=\"inbound\"",
        bad: &[("classification", "=\"failure\"")],
        by: &[("namespace", "deployment")],
        needs: "direction",
    },
    Family {
        total: "http_server_request_duration_seconds_count",
        bucket: &["http_server_request_duration_seconds_bucket"],
        unit: 1.0,
        selector: "",
        bad: &HTTP,
        by: &[],
        needs: "",
    },
    Family {
        total: "http_server_duration_milliseconds_count",
        bucket: &["http_server_duration_milliseconds_bucket"],
        unit: 0.001,
        selector: "",
        bad: &HTTP,
        by: &[],
        needs: "",
    },
    Family {
        total: "http_requests_total",
        bucket: &["http_request_duration_seconds_bucket"],
        unit: 1.0,
        selector: "",
        bad: &HTTP,
        by: &[],
        needs: "",
    },
    Family {
        total: "http_request_duration_seconds_count",
        bucket: &["http_request_duration_seconds_bucket"],
        unit: 1.0,
        selector: "",
        bad: &HTTP,
        by: &[],
        needs: "",
    },
    Family {
        total: "grpc_server_handled_total",
        bucket: &["grpc_server_handling_seconds_bucket"],
        unit: 1.0,
        selector: "",
        bad: &[("grpc_code", "GRPC")],
        by: &[],
        needs: "",
    },
    Family {
        total: "nginx_ingress_controller_requests",
        bucket: &[
            "nginx_ingress_controller_request_duration_seconds_bucket",
            "nginx_ingress_controller_response_duration_seconds_bucket",
        ],
        unit: 1.0,
        selector: "",
        bad: &[("status", "=~\"5..\"")],
        by: &[("exported_namespace", "exported_service"), ("namespace", "service")],
        needs: "ingress",
    },
];

/// Gauges of requests in flight, best first.
pub const IN_FLIGHT: [&str; 4] = [
    "http_server_active_requests",
    "http_requests_in_flight",
    "http_server_requests_active",
    "envoy_http_downstream_rq_active",
];

impl Family {
    /// The family as it is on a server, from the names of its labels and of the metrics that exist.
    /// `None` if the labels do not tell whose requests they are.
    pub fn resolve(&self, labels: &[String], exists: impl Fn(&str) -> bool) -> Option<Requests> {
        let has = |n: &str| labels.iter().any(|x| x == n);
        if !self.needs.is_empty() && !has(self.needs) {
            return None;
        }
        let by = if self.by.is_empty() {
            By::pods(labels)?
        } else {
            let pairs: Vec<_> = self.by.iter().filter(|(a, b)| has(a) && has(b)).collect();
            let (namespace, workload) = pairs.first()?;
            By::workloads(namespace, workload)
        };
        let bad = self.bad.iter().find(|(label, _)| has(label)).map(|(label, right)| match *right {
            "GRPC" => format!("{label}=~\"{GRPC_FAULTS}\""),
            right => format!("{label}{right}"),
        });
        let bucket = self.bucket.iter().find(|b| exists(b)).map(|b| ((*b).to_owned(), self.unit));
        Some(Requests {
            total: self.total.to_owned(),
            selector: self.selector.to_owned(),
            bad,
            bucket,
            by,
            interval_s: None,
        })
    }

    /// Every metric name that detection asks for.
    pub fn names() -> impl Iterator<Item = &'static str> {
        FAMILIES.iter().flat_map(|f| std::iter::once(f.total).chain(f.bucket.iter().copied())).chain(IN_FLIGHT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &[&str]) -> Vec<String> {
        list.iter().map(|s| (*s).to_owned()).collect()
    }

    fn family(total: &str) -> &'static Family {
        FAMILIES.iter().find(|f| f.total == total).unwrap()
    }

    #[test]
    fn label_names_are_those_that_are_there() {
        let by = By::pods(&names(&["job", "kubernetes_namespace", "kubernetes_pod_name"])).unwrap();
        assert_eq!(by.clause(), "kubernetes_namespace,kubernetes_pod_name");
        assert!(By::pods(&names(&["job", "namespace"])).is_none(), "half a pair names nobody");
    }

    #[test]
    fn a_collector_is_not_taken_for_the_pods_it_speaks_for() {
        let by = By::pods(&names(&["namespace", "pod", "exported_namespace", "exported_pod"])).unwrap();
        let own: Labels =
            [("namespace", "otel"), ("pod", "collector-0"), ("exported_namespace", "shop"), ("exported_pod", "cart-1")]
                .into_iter()
                .collect();
        assert_eq!(by.key(&own), Some(("shop", "cart-1")));
        let plain: Labels = [("namespace", "shop"), ("pod", "cart-2")].into_iter().collect();
        assert_eq!(by.key(&plain), Some(("shop", "cart-2")));
        assert_eq!(by.key(&Labels::default()), None);
    }

    #[test]
    fn families_take_the_status_label_they_find() {
        let plain = family("http_requests_total");
        let found = plain.resolve(&names(&["namespace", "pod", "status"]), |_| false).unwrap();
        assert_eq!(found.bad.as_deref(), Some("status=~\"5..|5xx\""));
        assert_eq!(found.bucket, None);
        let none = plain.resolve(&names(&["namespace", "pod"]), |_| true).unwrap();
        assert_eq!(none.bad, None, "no label tells failures: unknown, not zero");
        let grpc = family("grpc_server_handled_total").resolve(&names(&["namespace", "pod", "grpc_code"]), |_| true);
        assert!(grpc.unwrap().bad.unwrap().contains("Unavailable"));
        assert!(family("response_total").resolve(&names(&["namespace", "deployment"]), |_| true).is_none());
    }
}
