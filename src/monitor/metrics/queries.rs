//! PromQL for a profile. A handful of instant queries answers for the whole cluster; the same queries with
//! a limit on names serve the backfill.

use crate::monitor::prometheus::families::{By, Requests};
use crate::monitor::prometheus::profile::{Cadvisor, NodeMemory, Profile, escape, join};

/// Queries of one request family.
#[derive(Debug, Clone, PartialEq)]
pub struct FamilyQueries {
    /// Requests per second.
    pub total: String,
    /// Failed requests per second; `None` if no label tells.
    pub bad: Option<String>,
    /// Buckets per second, by `le`; `None` without a classic histogram.
    pub buckets: Option<String>,
    /// Unix time of the newest sample.
    pub sampled: String,
    /// Seconds in the unit of the buckets.
    pub unit: f64,
}

/// All queries of one step.
#[derive(Debug, Clone, PartialEq)]
pub struct Live {
    /// Cores per pod.
    pub cpu: Option<String>,
    /// Working set per container, bytes.
    pub memory: Option<String>,
    /// Unix time of the newest cAdvisor sample per pod.
    pub sampled: Option<String>,
    /// Share of its CPU periods in which a pod was held back at its limit; pods without a limit have none.
    pub throttled: Option<String>,
    /// Per request family, in the profile's order.
    pub families: Vec<FamilyQueries>,
    /// Requests in flight per pod, and the time of the newest sample.
    pub in_flight: Option<(String, String)>,
    /// Share of memory in use per node.
    pub node_memory: Option<String>,
    /// Share of the processors' time that neighbours on the same machine took, per node.
    pub node_stolen: Option<String>,
}

impl Live {
    /// The queries for the whole cluster.
    pub fn new(profile: &Profile) -> Self {
        let cadvisor = profile.cadvisor.as_ref();
        let window = profile.window_s();
        let cluster = profile.cluster.as_deref().unwrap_or_default();
        Self {
            cpu: cadvisor.map(|c| cpu(profile, c, "", window)),
            memory: cadvisor.map(|c| memory(c, "", None)),
            sampled: cadvisor.map(sampled),
            throttled: cadvisor.map(|c| throttled(c, window)),
            families: profile.requests.iter().map(|r| family(r, &join([cluster]), window)).collect(),
            in_flight: profile.in_flight.as_ref().map(|(metric, by)| {
                let (clause, metric) = (by.clause(), format!("{metric}{{{cluster}}}"));
                (format!("sum by ({clause}) ({metric})"), format!("max by ({clause}) (timestamp({metric}))"))
            }),
            node_memory: profile.node_memory.and_then(|n| node_memory(profile, n)),
            node_stolen: profile.node_memory.and_then(|n| node_stolen(profile, n)),
        }
    }
}

/// Matchers that pick containers and leave out cgroup parents and pause.
fn containers(c: &Cadvisor, extra: &str) -> String {
    let container = format!("{0}!=\"\",{0}!=\"POD\"", c.container);
    join([c.selector.as_str(), &container, if c.has_image { "image!=\"\"" } else { "" }, extra])
}

/// Cores per pod over `window` seconds; a recording rule has a window of its own. `max` first: two Prometheus replicas or two kubelet endpoints hold the same series.
pub fn cpu(profile: &Profile, c: &Cadvisor, extra: &str, window: u32) -> String {
    let pods = c.by.clause();
    let source = match &c.cpu_rule {
        Some(rule) => format!("{rule}{{{}}}", join([profile.cluster.as_deref().unwrap_or_default(), extra])),
        None => format!("rate(container_cpu_usage_seconds_total{{{}}}[{window}s])", containers(c, extra)),
    };
    format!("sum by ({pods}) (max by ({pods},{}) ({source}))", c.container)
}

/// Share of CPU periods in which the container that is held back most was, per pod, over `window` seconds.
pub fn throttled(c: &Cadvisor, window: u32) -> String {
    let (pods, container, picked) = (c.by.clause(), &c.container, containers(c, ""));
    let rate = |of: &str| {
        format!("max by ({pods},{container}) (rate(container_cpu_cfs_{of}periods_total{{{picked}}}[{window}s]))")
    };
    format!("max by ({pods}) ({} / ({} > 0))", rate("throttled_"), rate(""))
}

/// Working set per container. `fresh_s` leaves out samples older than that, which a range query needs: it
/// would otherwise carry the last sample five minutes into a gap.
pub fn memory(c: &Cadvisor, extra: &str, fresh_s: Option<i64>) -> String {
    let metric = format!("container_memory_working_set_bytes{{{}}}", containers(c, extra));
    format!("max by ({},{}) ({})", c.by.clause(), c.container, only_fresh(&metric, fresh_s))
}

/// Cores of each container over `window` seconds.
pub fn container_cpu(c: &Cadvisor, window: u32) -> String {
    each_container(c, &format!("rate(container_cpu_usage_seconds_total{{{}}}[{window}s])", containers(c, "")))
}

/// The greatest working set of each container within `window` seconds, bytes.
pub fn container_peak(c: &Cadvisor, window: u32) -> String {
    each_container(c, &format!("max_over_time(container_memory_working_set_bytes{{{}}}[{window}s])", containers(c, "")))
}

/// The share of CPU periods in which each container was throttled within `window` seconds. Without a limit there are none.
pub fn container_throttled(c: &Cadvisor, window: u32) -> String {
    let rate = |what: &str| {
        each_container(c, &format!("rate(container_cpu_cfs_{what}_total{{{}}}[{window}s])", containers(c, "")))
    };
    format!("{} / ({} > 0)", rate("throttled_periods"), rate("periods"))
}

/// Kills for memory that cAdvisor counted in each container within `window` seconds.
pub fn container_kills(c: &Cadvisor, window: u32) -> String {
    each_container(c, &format!("increase(container_oom_events_total{{{}}}[{window}s])", containers(c, "")))
}

fn each_container(c: &Cadvisor, of: &str) -> String {
    format!("max by ({},{}) ({of})", c.by.clause(), c.container)
}

fn only_fresh(metric: &str, fresh_s: Option<i64>) -> String {
    match fresh_s {
        Some(s) => format!("{metric} and (time() - timestamp({metric}) <= {s})"),
        None => metric.to_owned(),
    }
}

fn sampled(c: &Cadvisor) -> String {
    let metric = format!("container_memory_working_set_bytes{{{}}}", containers(c, ""));
    format!("max by ({}) (timestamp({metric}))", c.by.clause())
}

/// Queries of one family over `window` seconds; `extra` are further matchers.
pub fn family(r: &Requests, extra: &str, window: u32) -> FamilyQueries {
    let by = r.by.clause();
    let base = join([r.selector.as_str(), extra]);
    FamilyQueries {
        total: format!("sum by ({by}) (rate({}{{{base}}}[{window}s]))", r.total),
        bad: r
            .bad
            .as_ref()
            .map(|b| format!("sum by ({by}) (rate({}{{{}}}[{window}s]))", r.total, join([base.as_str(), b]))),
        buckets: r.bucket.as_ref().map(|(b, _)| format!("sum by (le,{by}) (rate({b}{{{base}}}[{window}s]))")),
        sampled: format!("max by ({by}) (timestamp({}{{{base}}}))", r.total),
        unit: r.bucket.as_ref().map_or(1.0, |(_, unit)| *unit),
    }
}

/// Requests in flight, fresh samples only.
pub fn in_flight(metric: &str, by: &By, extra: &str, fresh_s: i64) -> String {
    format!("sum by ({}) ({})", by.clause(), only_fresh(&format!("{metric}{{{extra}}}"), Some(fresh_s)))
}

/// Share of memory in use per node, fresh samples only; the label is `node`.
fn node_memory(profile: &Profile, source: NodeMemory) -> Option<String> {
    let cluster = profile.cluster.as_deref().unwrap_or_default();
    let fresh = profile.fresh_for().num_seconds();
    let share = format!("1 - node_memory_MemAvailable_bytes{{{cluster}}} / node_memory_MemTotal_bytes{{{cluster}}}");
    let and_fresh = format!("and (time() - timestamp(node_memory_MemAvailable_bytes{{{cluster}}}) <= {fresh})");
    Some(match source {
        NodeMemory::ExporterByNode => format!("max by (node) (({share}) {and_fresh})"),
        NodeMemory::ExporterByUname => format!(
            "max by (node) (label_replace((({share}) {and_fresh}) * on (instance) group_left (nodename) \
             max by (instance, nodename) (node_uname_info{{{cluster}}}), \"node\", \"$1\", \"nodename\", \"(.*)\"))"
        ),
        NodeMemory::Cadvisor => {
            let c = profile.cadvisor.as_ref()?;
            let node = c.node.as_ref()?;
            let root = format!("container_memory_working_set_bytes{{{}}}", join([c.selector.as_str(), "id=\"/\""]));
            format!(
                "label_replace(max by ({node}) ({}) / max by ({node}) (machine_memory_bytes{{{cluster}}}), \
                 \"node\", \"$1\", \"{node}\", \"(.*)\")",
                only_fresh(&root, Some(fresh))
            )
        }
    })
}

/// Share of the processors' time that the hypervisor gave to others, per node; the label is `node`. Only node-exporter tells.
fn node_stolen(profile: &Profile, source: NodeMemory) -> Option<String> {
    let (cluster, window) = (profile.cluster.as_deref().unwrap_or_default(), profile.window_s());
    let rate = |of: &str, by: &str| {
        format!("sum by ({by}) (rate(node_cpu_seconds_total{{{}}}[{window}s]))", join([of, cluster]))
    };
    let share = |by: &str| format!("{} / {}", rate("mode=\"steal\"", by), rate("", by));
    match source {
        NodeMemory::ExporterByNode => Some(share("node")),
        NodeMemory::ExporterByUname => Some(format!(
            "max by (node) (label_replace(({}) * on (instance) group_left (nodename) \
             max by (instance, nodename) (node_uname_info{{{cluster}}}), \"node\", \"$1\", \"nodename\", \"(.*)\"))",
            share("instance")
        )),
        NodeMemory::Cadvisor => None,
    }
}

/// Matchers that limit a query to some pods (or workloads) of a namespace: one set per pair of label names,
/// so that a series which has several pairs is counted under the first only.
pub fn limits(by: &By, namespace: &str, names: &[&str]) -> Vec<String> {
    let any: Vec<String> = names.iter().map(|n| escape(n)).collect();
    matching(by, namespace, &any.join("|"))
}

/// The same with a regular expression of names.
pub fn matching(by: &By, namespace: &str, pattern: &str) -> Vec<String> {
    let namespace = crate::monitor::prometheus::profile::matcher("", namespace);
    (0..by.pairs.len())
        .map(|i| {
            let (n, p) = &by.pairs[i];
            let earlier: Vec<String> = by.pairs[..i].iter().map(|(_, p)| format!(",{p}=\"\"")).collect();
            let earlier = earlier.concat();
            format!("{n}{namespace},{p}=~\"{pattern}\"{earlier}")
        })
        .collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::model::snapshot::MetricsProfile;
    use crate::monitor::prometheus::edges::EDGES;

    /// What a service graph with namespaces has.
    const LABELS: [&str; 4] = ["client_k8s_namespace_name", "client", "server_k8s_namespace_name", "server"];

    pub fn profile() -> Profile {
        let by = By { pairs: vec![("namespace".into(), "pod".into())], pod: true };
        Profile {
            shown: MetricsProfile::default(),
            cadvisor: Some(Cadvisor {
                selector: "job=\"kubelet\"".into(),
                by: by.clone(),
                container: "container".into(),
                has_image: true,
                cpu_rule: None,
                node: None,
            }),
            requests: vec![Requests {
                total: "http_requests_total".into(),
                selector: String::new(),
                bad: Some("code=~\"5..\"".into()),
                bucket: Some(("http_request_duration_seconds_bucket".into(), 1.0)),
                by,
                interval_s: Some(15.0),
            }],
            calls: EDGES[2].resolve(&LABELS.map(str::to_owned), |_| true),
            in_flight: None,
            node_memory: None,
            cluster: None,
            interval_s: 30.0,
            retention_s: Some(15.0 * 86_400.0),
        }
    }

    #[test]
    fn replicas_and_cgroup_parents_are_not_counted_twice() {
        let live = Live::new(&profile());
        assert_eq!(
            live.cpu.unwrap(),
            "sum by (namespace,pod) (max by (namespace,pod,container) (rate(container_cpu_usage_seconds_total\
             {job=\"kubelet\",container!=\"\",container!=\"POD\",image!=\"\"}[120s])))"
        );
        assert_eq!(
            live.families[0].bad.as_deref(),
            Some("sum by (namespace,pod) (rate(http_requests_total{code=~\"5..\"}[120s]))")
        );
    }

    #[test]
    fn the_window_covers_four_scrapes_of_the_slowest() {
        let mut p = profile();
        assert_eq!(p.window_s(), 120);
        p.requests[0].interval_s = Some(60.0);
        assert_eq!(p.window_s(), 240);
        p.interval_s = 5.0;
        p.requests.clear();
        assert_eq!(p.window_s(), 60);
    }

    #[test]
    fn several_clusters_on_one_server_stay_apart_in_every_query() {
        let mut p = profile();
        p.cluster = Some("cluster=\"ours\"".into());
        p.cadvisor.as_mut().unwrap().selector = "job=\"kubelet\",cluster=\"ours\"".into();
        p.cadvisor.as_mut().unwrap().cpu_rule = Some("rule".into());
        p.node_memory = Some(NodeMemory::ExporterByUname);
        p.in_flight = Some(("in_flight".into(), p.requests[0].by.clone()));
        let live = Live::new(&p);
        let f = &live.families[0];
        let (flight, flight_at) = live.in_flight.clone().unwrap();
        let all = [live.cpu, live.memory, live.sampled, live.node_memory, f.bad.clone(), f.buckets.clone()];
        let all = all.into_iter().map(Option::unwrap).chain([f.total.clone(), f.sampled.clone(), flight, flight_at]);
        for query in all {
            assert_eq!(query.matches('{').count(), query.matches("cluster=\"ours\"").count(), "{query}");
        }
    }

    #[test]
    fn limits_name_each_series_once() {
        let by = By { pairs: vec![("en".into(), "ep".into()), ("n".into(), "p".into())], pod: true };
        assert_eq!(
            limits(&by, "shop", &["a-1", "b.c"]),
            ["en=\"shop\",ep=~\"a-1|b\\\\.c\"", "n=\"shop\",p=~\"a-1|b\\\\.c\",ep=\"\""]
        );
    }
}
