//! What looks at the whole: the service graph of Tempo's metrics generator, OpenCost's exporter, and Prometheus itself.

use super::{Family, Sink, View, buckets, counter, gauge, histogram};
use crate::sim::machine::Place;

static GRAPH: [Family; 2] = [
    counter("traces_service_graph_request_total", "Total count of requests between two nodes"),
    counter("traces_service_graph_request_failed_total", "Total count of failed requests between two nodes"),
];
static SERVER: Family = histogram(
    "traces_service_graph_request_server_seconds",
    "Time for a request between two nodes as seen from the server",
);
static CLIENT: Family = histogram(
    "traces_service_graph_request_client_seconds",
    "Time for a request between two nodes as seen from the client",
);
static PRICE: [Family; 4] = [
    gauge("node_cpu_hourly_cost", "Hourly cost per vCPU on this node"),
    gauge("node_ram_hourly_cost", "Hourly cost per Gb of memory on this node"),
    gauge("node_total_hourly_cost", "Total node cost per hour"),
    gauge("kubecost_node_is_spot", "Cloud provider info about node preemptibility"),
];
static ALLOTTED: [Family; 2] = [
    gauge("container_cpu_allocation", "Percent of a single CPU used in a minute"),
    gauge("container_memory_allocation_bytes", "Bytes of RAM used"),
];

/// What the monitoring says of itself and of its targets.
pub static UP: Family = gauge("up", "");
/// Beside `up`, for each target.
pub static SCRAPES: [Family; 3] = [
    gauge("scrape_duration_seconds", ""),
    gauge("scrape_samples_scraped", ""),
    gauge("scrape_samples_post_metric_relabeling", ""),
];
/// Prometheus' own page.
pub static OWN: [Family; 3] = [
    gauge(
        "prometheus_build_info",
        "A metric with a constant '1' value labeled by version, revision, branch, goversion from which prometheus was built, and the goos and goarch for the build.",
    ),
    gauge("prometheus_tsdb_head_series", "Total number of series in the head block."),
    counter("prometheus_tsdb_head_samples_appended_total", "Total number of appended samples."),
];

/// All of these pages. `up` and what goes with it have no page and so no metadata, as in the real server.
pub(in crate::sim) fn families(all: &mut Vec<&'static Family>) {
    all.extend(GRAPH.iter().chain(&PRICE).chain(&ALLOTTED).chain(&OWN).chain([&SERVER, &CLIENT]));
}

/// What containers have been allotted.
pub(in crate::sim) fn allotted_families(all: &mut Vec<&'static Family>) {
    all.extend(&ALLOTTED);
}

/// A workload of `namespace/name`, or a caller from outside.
fn split(workload: &str) -> (&str, &str) {
    workload.split_once('/').unwrap_or(("", workload))
}

/// Calls between two workloads; namespaces as the generator's dimension `k8s.namespace.name` adds them.
pub(super) fn edge(caller: &str, callee: &str, view: &dyn View, sink: &mut dyn Sink) {
    let Some(c) = view.calls(caller, callee) else { return };
    let ((client_ns, client), (server_ns, server)) = (split(caller), split(callee));
    sink.base(&[
        ("client", client),
        ("client_k8s_namespace_name", client_ns),
        ("connection_type", ""),
        ("server", server),
        ("server_k8s_namespace_name", server_ns),
    ]);
    sink.put(&GRAPH[0], "", &[], c.total.floor());
    sink.put(&GRAPH[1], "", &[], c.failed.floor());
    buckets(&SERVER, &[], &c.buckets, c.server_seconds, c.total, sink);
    // Of the client's side only the sum is known; its buckets are left out rather than made up.
    sink.put(&CLIENT, "_sum", &[], c.client_seconds);
    sink.put(&CLIENT, "_count", &[], c.total.floor());
}

/// OpenCost's default prices in dollars an hour, of a core and of a GiB of memory (configs/default.json).
const CORE_PRICE: f64 = 0.031_611;
const GIB_PRICE: f64 = 0.004_237;
const GIB: f64 = 1_073_741_824.0;

/// A node's price, split between cores and memory in the ratio of OpenCost's default prices, as OpenCost does when a
/// provider prices whole nodes only (costmodel.go, getNodeCost).
pub(super) fn price(node: &str, view: &dyn View, sink: &mut dyn Sink) {
    let Some(m) = view.machine(node) else { return };
    let Some(total) = m.price else { return };
    let (provider, region) =
        view.known().nodes.get(node).map_or(("", ""), |k| (k.provider_id.as_str(), k.region.as_str()));
    let gib = m.memory / GIB;
    let by_default = m.cores * CORE_PRICE + gib * GIB_PRICE;
    if by_default <= 0.0 {
        return;
    }
    let scale = total / by_default;
    let arch = view.known().nodes.get(node).map_or("", |k| k.arch.as_str());
    sink.base(&[
        ("arch", arch),
        ("instance_type", &m.instance_type),
        ("node", node),
        ("provider_id", provider),
        ("region", region),
    ]);
    for (family, value) in PRICE.iter().zip([CORE_PRICE * scale, GIB_PRICE * scale, total, f64::from(u8::from(m.spot))])
    {
        sink.put(family, "", &[], value);
    }
}

/// What a container has been allotted: the greater of what it asked for and what it uses.
pub(super) fn allotted(place: &Place, view: &dyn View, sink: &mut dyn Sink) {
    let (Some(p), Some(u)) = (view.process(place), view.usage(place)) else { return };
    sink.base(&[
        ("container", &place.container),
        ("namespace", &place.namespace),
        ("node", &p.node),
        ("pod", &place.pod),
    ]);
    sink.put(&ALLOTTED[0], "", &[], p.requests[0].max(u.cores));
    sink.put(&ALLOTTED[1], "", &[], p.requests[1].max(u.working_set).floor());
}
