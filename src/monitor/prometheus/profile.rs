//! What kind of Prometheus this is: which jobs carry cAdvisor, kube-state-metrics and node-exporter, how
//! labels are named, which request family there is, how often it scrapes. Nothing is assumed from names of
//! installers: metrics are found by presence and their labels are read back.

use super::answer::Sample;
use super::client::PromClient;
use super::edges::{Counted, EDGES, Edges};
use super::error::PromError;
use super::families::{By, FAMILIES, Family, IN_FLIGHT, Requests};
use crate::model::snapshot::{Buckets, MetricsProfile};
use crate::model::time::Timestamp;
use chrono::TimeDelta;
use std::collections::HashSet;
use std::fmt::Write as _;

/// Scrape interval that is assumed where it cannot be measured (Prometheus' own default), seconds.
const DEFAULT_INTERVAL: f64 = 60.0;

/// Recorded CPU use of the kubernetes-mixin. The older `sum_irate` looks at two samples only and is too noisy.
const CPU_RULE: &str = "node_namespace_pod_container:container_cpu_usage_seconds_total:sum_rate5m";

/// cAdvisor's series, as they are on this server.
#[derive(Debug, Clone, PartialEq)]
pub struct Cadvisor {
    /// Matchers, such as `job="kubelet",metrics_path="/metrics/cadvisor"`; may be empty.
    pub selector: String,
    /// Labels of namespace and pod.
    pub by: By,
    /// Label of the container: `container`, or `container_name` before Kubernetes 1.16.
    pub container: String,
    /// Whether series have an `image` label that tells containers from cgroup parents.
    pub has_image: bool,
    /// Recording rule to use for CPU.
    pub cpu_rule: Option<String>,
    /// Label that names the node, if there is one.
    pub node: Option<String>,
}

/// Where the memory in use of a node comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeMemory {
    /// node-exporter, with a `node` label on its series.
    ExporterByNode,
    /// node-exporter, joined through `node_uname_info`.
    ExporterByUname,
    /// cAdvisor's root cgroup over `machine_memory_bytes`.
    Cadvisor,
}

/// Everything that queries depend on.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    /// As it is shown.
    pub shown: MetricsProfile,
    /// cAdvisor; `None`: CPU and memory are unknown.
    pub cadvisor: Option<Cadvisor>,
    /// Request families, best first.
    pub requests: Vec<Requests>,
    /// What counts calls between workloads; `None`: nobody measures them.
    pub calls: Option<Counted>,
    /// Gauge of requests in flight, and whose.
    pub in_flight: Option<(String, By)>,
    /// Memory in use per node.
    pub node_memory: Option<NodeMemory>,
    /// Matcher of the `cluster` label, if several clusters share the server.
    pub cluster: Option<String>,
    /// Seconds between scrapes: measured, or Prometheus' default.
    pub interval_s: f64,
    /// Retention in seconds, if the server tells.
    pub retention_s: Option<f64>,
}

impl Profile {
    /// Range of rates: four scrapes and at least a minute (cAdvisor itself measures every 10 to 15 s).
    pub fn window_s(&self) -> u32 {
        let slowest = self.requests.iter().filter_map(|r| r.interval_s).fold(self.interval_s, f64::max);
        ((slowest * 4.0).ceil() as u32).max(60)
    }

    /// Greatest age of a sample that counts as fresh: two scrapes, at least 45 s.
    pub fn fresh_for(&self) -> TimeDelta {
        let slowest = self.requests.iter().filter_map(|r| r.interval_s).fold(self.interval_s, f64::max);
        TimeDelta::milliseconds((slowest * 2000.0) as i64).max(TimeDelta::seconds(45))
    }
}

/// `name="value"` with the value escaped.
pub fn matcher(name: &str, value: &str) -> String {
    format!("{name}=\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Asks what there is. `nodes` are some names of our cluster's nodes: they tell which cluster is ours where
/// several share the server. An error means that the server cannot be asked, or that none of its clusters is ours.
pub async fn detect(client: &PromClient, nodes: &[String], now: Timestamp) -> Result<Profile, PromError> {
    let mut shown = MetricsProfile { via: client.place(), server: server(client).await, ..MetricsProfile::default() };
    let cluster = cluster(client, nodes).await?;
    shown.cluster_label = cluster.clone();
    let cluster = cluster.map(|c| matcher("cluster", &c));
    let cadvisor = cadvisor(client, cluster.as_deref(), now).await?;
    shown.cadvisor = cadvisor.as_ref().map(|c| c.selector.clone());
    shown.kube_state = job(client, "kube_pod_info").await?;
    shown.node_exporter = job(client, "node_uname_info").await?;
    shown.rules.extend(cadvisor.iter().filter_map(|c| c.cpu_rule.clone()));
    shown.retention =
        client.runtimeinfo().await.ok().and_then(|i| Some(i.data["storageRetention"].as_str()?.to_owned()));
    let interval = match &cadvisor {
        Some(c) => match interval_of(client, &format!("up{{{}}}", c.selector)).await {
            Some(i) => Some(i),
            None => interval_of(client, &format!("container_memory_working_set_bytes{{{}}}", c.selector)).await,
        },
        None => None,
    };
    shown.scrape_interval_s = interval;
    let exists = existing(client).await?;
    let requests = requests(client, &exists, now).await?;
    let calls = calls(client, &exists, now).await?;
    shown.calls = calls.map(|c| c.edges.source);
    let in_flight = in_flight(client, &exists, now).await?;
    let node_memory = node_memory(client, &shown, cadvisor.as_ref(), now).await?;
    if !requests.is_empty() {
        shown.requests = Some(requests.iter().map(describe).collect::<Vec<_>>().join("; "));
    }
    let retention_s = shown.retention.as_deref().and_then(retention);
    let mut profile = Profile {
        shown,
        cadvisor,
        requests,
        calls,
        in_flight,
        node_memory,
        cluster,
        interval_s: interval.unwrap_or(DEFAULT_INTERVAL),
        retention_s,
    };
    profile.shown.missing = missing(&profile);
    profile.shown.latency = latency(&profile);
    Ok(profile)
}

/// Histograms of durations, in the order of the families.
fn latency(profile: &Profile) -> Vec<Buckets> {
    let cluster = profile.cluster.as_deref().unwrap_or_default();
    let of = |r: &Requests| {
        let (metric, _) = r.bucket.as_ref()?;
        let (namespace, name) = r.by.pairs.first()?.clone();
        let selector: Vec<&str> = [cluster, &r.selector].into_iter().filter(|m| !m.is_empty()).collect();
        let selector = selector.join(",");
        let window_s = i64::from(profile.window_s());
        Some(Buckets { metric: metric.clone(), selector, namespace, name, pod: r.by.pod, window_s })
    };
    profile.requests.iter().filter_map(of).collect()
}

async fn server(client: &PromClient) -> String {
    // Imitations often lack buildinfo: that is no reason to refuse them.
    let Ok(info) = client.buildinfo().await else { return "unknown (no buildinfo)".into() };
    let version = crate::model::text::clean(info.data["version"].as_str().unwrap_or("?")).into_owned();
    format!("Prometheus {version}")
}

/// Which value of the `cluster` label is ours; `None` if the server holds one cluster only.
async fn cluster(client: &PromClient, nodes: &[String]) -> Result<Option<String>, PromError> {
    let of = |s: &Sample| s.labels.get("cluster").unwrap_or_default().to_owned();
    let all = client.query("count by (cluster) (kube_node_info)").await?.data;
    let values: HashSet<String> = all.iter().map(of).collect();
    if values.len() < 2 {
        return Ok(None);
    }
    let ours: Vec<String> = nodes.iter().take(5).map(|n| escape(n)).collect();
    let query = format!("count by (cluster) (kube_node_info{{node=~\"{}\"}})", ours.join("|"));
    let found = if ours.is_empty() { Vec::new() } else { client.query(&query).await?.data };
    if let [one] = found.as_slice() {
        return Ok(Some(of(one)));
    }
    let mut names: Vec<String> = values.into_iter().collect();
    names.sort();
    let whose = if found.is_empty() { "none" } else { "more than one" };
    Err(PromError::Setup {
        place: client.place(),
        why: format!(
            "it holds several clusters ({}) and {whose} of them has our nodes, so that numbers could be another \
             cluster's; use a server or tenant of this cluster alone",
            names.join(", ")
        ),
    })
}

async fn cadvisor(client: &PromClient, cluster: Option<&str>, now: Timestamp) -> Result<Option<Cadvisor>, PromError> {
    let mut chosen = None;
    let cluster = cluster.unwrap_or_default();
    for (filter, has_image) in [("image!=\"\"", true), ("container!=\"\"", false), ("container_name!=\"\"", false)] {
        // Kubelet's /metrics/resource has the same series without image: the one with most series is preferred.
        let query =
            format!("count by (job, metrics_path) (container_cpu_usage_seconds_total{{{}}})", join([filter, cluster]));
        let found = client.query(&query).await?.data;
        chosen = found
            .into_iter()
            .max_by(|a, b| a.value.float().unwrap_or(0.0).total_cmp(&b.value.float().unwrap_or(0.0)))
            .map(|s| (s, has_image));
        if chosen.is_some() {
            break;
        }
    }
    let Some((sample, has_image)) = chosen else { return Ok(None) };
    let mut parts: Vec<String> = ["job", "metrics_path"]
        .iter()
        .filter_map(|n| sample.labels.get(n).filter(|v| !v.is_empty()).map(|v| matcher(n, v)))
        .collect();
    parts.extend((!cluster.is_empty()).then(|| cluster.to_owned()));
    let selector = parts.join(",");
    let metric = format!("container_memory_working_set_bytes{{{selector}}}");
    let names = client.labels(Some(&metric), now - TimeDelta::minutes(10), now).await?.data;
    let has = |n: &str| names.iter().any(|x| x == n);
    let Some(by) = By::pods(&names) else { return Ok(None) };
    let container = if has("container") { "container" } else { "container_name" }.to_owned();
    let node = ["node", "kubernetes_io_hostname", "kubernetes_node"].iter().find(|n| has(n)).map(|n| (*n).to_owned());
    let rule = client.query(&format!("count({CPU_RULE}{{{cluster}}})")).await?.data;
    let cpu_rule = (!rule.is_empty() && container == "container").then(|| CPU_RULE.to_owned());
    Ok(Some(Cadvisor { selector, by, container, has_image, cpu_rule, node }))
}

/// Joins matchers, leaving out empty ones.
pub fn join<'a>(parts: impl IntoIterator<Item = &'a str>) -> String {
    let parts: Vec<&str> = parts.into_iter().filter(|p| !p.is_empty()).collect();
    parts.join(",")
}

async fn job(client: &PromClient, metric: &str) -> Result<Option<String>, PromError> {
    let found = client.query(&format!("group by (job) ({metric})")).await?.data;
    Ok(found.first().map(|s| s.labels.get("job").unwrap_or("(no job label)").to_owned()))
}

/// Seconds between the samples of the fullest series of a selector, by their own times.
async fn interval_of(client: &PromClient, selector: &str) -> Option<f64> {
    let fullest = client.query(&format!("topk(1, count_over_time({selector}[10m]))")).await.ok()?.data;
    let labels: Vec<String> = fullest.first()?.labels.iter().map(|(n, v)| matcher(n, v)).collect();
    let metric = selector.split('{').next()?;
    let raw = client.query_raw(&format!("{metric}{{{}}}[10m]", labels.join(","))).await.ok()?.data;
    let times: Vec<f64> = raw.first()?.points.iter().map(|(t, _)| t.timestamp_millis() as f64 / 1000.0).collect();
    let mut gaps: Vec<f64> = times.windows(2).map(|w| w[1] - w[0]).collect();
    gaps.sort_by(f64::total_cmp);
    let median = *gaps.get(gaps.len() / 2)?;
    (median > 0.0).then(|| (median * 10.0).round() / 10.0)
}

async fn existing(client: &PromClient) -> Result<HashSet<String>, PromError> {
    let names: Vec<&str> = Family::names().chain(Edges::names()).collect();
    let query = format!("group by (__name__) ({{__name__=~\"{}\"}})", names.join("|"));
    let found = client.query(&query).await?.data;
    Ok(found.iter().filter_map(|s| Some(s.labels.get("__name__")?.to_owned())).collect())
}

async fn requests(client: &PromClient, exists: &HashSet<String>, now: Timestamp) -> Result<Vec<Requests>, PromError> {
    let mut list: Vec<Requests> = Vec::new();
    for family in FAMILIES.iter().filter(|f| exists.contains(f.total)) {
        let labels = client.labels(Some(family.total), now - TimeDelta::minutes(10), now).await?.data;
        let Some(mut found) = family.resolve(&labels, |n| exists.contains(n)) else { continue };
        // A counter and the `_count` of the same library's histogram are the same requests.
        if found.bucket.is_some() && list.iter().any(|r| r.bucket == found.bucket) {
            continue;
        }
        found.interval_s = interval_of(client, family.total).await;
        list.push(found);
    }
    Ok(list)
}

async fn calls(client: &PromClient, exists: &HashSet<String>, now: Timestamp) -> Result<Option<Counted>, PromError> {
    for edges in EDGES.iter().filter(|e| exists.contains(e.total)) {
        let metric = format!("{}{{{}}}", edges.total, edges.selector);
        let labels = client.labels(Some(&metric), now - TimeDelta::minutes(10), now).await?.data;
        if let Some(found) = edges.resolve(&labels, |n| exists.contains(n)) {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

async fn in_flight(
    client: &PromClient,
    exists: &HashSet<String>,
    now: Timestamp,
) -> Result<Option<(String, By)>, PromError> {
    for metric in IN_FLIGHT.iter().filter(|m| exists.contains(**m)) {
        let labels = client.labels(Some(metric), now - TimeDelta::minutes(10), now).await?.data;
        if let Some(by) = By::pods(&labels) {
            return Ok(Some(((*metric).to_owned(), by)));
        }
    }
    Ok(None)
}

async fn node_memory(
    client: &PromClient,
    shown: &MetricsProfile,
    cadvisor: Option<&Cadvisor>,
    now: Timestamp,
) -> Result<Option<NodeMemory>, PromError> {
    if shown.node_exporter.is_some() {
        let labels =
            client.labels(Some("node_memory_MemAvailable_bytes"), now - TimeDelta::minutes(10), now).await?.data;
        if labels.iter().any(|n| n == "node") {
            return Ok(Some(NodeMemory::ExporterByNode));
        }
        if !labels.is_empty() {
            return Ok(Some(NodeMemory::ExporterByUname));
        }
    }
    if cadvisor.is_some_and(|c| c.node.is_some()) && !client.query("count(machine_memory_bytes)").await?.data.is_empty()
    {
        return Ok(Some(NodeMemory::Cadvisor));
    }
    Ok(None)
}

fn describe(r: &Requests) -> String {
    let mut text = format!("{} by {}", r.total, r.by.clause());
    if let Some(bad) = &r.bad {
        let _ = write!(text, ", failed {bad}");
    }
    text
}

/// What was looked for and not found, and what it costs.
fn missing(p: &Profile) -> Vec<String> {
    let mut list = Vec::new();
    let mut say = |absent: bool, text: &str| {
        if absent {
            list.push(text.to_owned());
        }
    };
    say(
        p.cadvisor.is_none(),
        "cAdvisor (container_cpu_usage_seconds_total): CPU and memory stay unknown, so no scaling, no leak detection, no sizing",
    );
    say(p.cadvisor.is_some() && p.shown.scrape_interval_s.is_none(), "scrape interval: 60 s is assumed");
    say(p.shown.kube_state.is_none(), "kube-state-metrics (kube_pod_info): limits in the past are unknown");
    say(
        p.node_memory.is_none(),
        "node memory (node-exporter or machine_memory_bytes): node OOM cannot be told from container OOM",
    );
    say(
        p.requests.is_empty(),
        "request metrics of a known family: request rate, errors and latency stay absent, effects are judged without them",
    );
    for r in &p.requests {
        say(r.bad.is_none(), &format!("a status label on {}: its error rate stays absent", r.total));
        say(r.bucket.is_none(), &format!("a classic histogram beside {}: its latency stays absent", r.total));
    }
    say(
        p.calls.is_none(),
        "metrics of calls (istio_requests_total, Linkerd's response_total, traces_service_graph_request_total with namespaces): \
         who calls whom is known from spans only",
    );
    say(p.in_flight.is_none(), "a gauge of requests in flight: connections stay absent");
    say(p.retention_s.is_none(), "retention: the server does not tell how far back it remembers");
    list
}

/// `15d`, `15d or 10GiB`, `1y2w`: seconds.
fn retention(text: &str) -> Option<f64> {
    let first = text.split_whitespace().next()?;
    let (mut total, mut number, mut unit) = (0.0, String::new(), String::new());
    for c in first.chars().chain(['0']) {
        if c.is_ascii_digit() {
            if !unit.is_empty() {
                let n: f64 = number.parse().ok()?;
                total += n * match unit.as_str() {
                    "ms" => 0.001,
                    "s" => 1.0,
                    "m" => 60.0,
                    "h" => 3600.0,
                    "d" => 86_400.0,
                    "w" => 7.0 * 86_400.0,
                    "y" => 365.0 * 86_400.0,
                    _ => return None,
                };
                (number, unit) = (String::new(), String::new());
            }
            number.push(c);
        } else {
            unit.push(c);
        }
    }
    (total > 0.0).then_some(total)
}

/// A literal inside a regular expression inside quotes.
pub fn escape(literal: &str) -> String {
    let mut out = String::new();
    for c in literal.chars() {
        match c {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '_' => out.push(c),
            '"' => out.push_str("\\\""),
            c => {
                out.push_str("\\\\");
                out.push(c);
            }
        }
    }
    out
}

#[cfg(test)]
#[path = "profile_test.rs"]
mod tests;
