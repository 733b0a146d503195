//! Where a pod may go because of other pods: required affinity and anti-affinity, both ways, and topology spread.
//! What the other pods say is counted once per decision, by topology domain; a node is then asked by its labels.

use super::super::object::{at, int, list, text};
use super::filter::{Refusal, Wanted, affine};
use super::selector::{Labels, selects};
use super::table::{Key, Node, Placed, Table};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// A topology domain: label and value.
type Domain = (String, String);

/// What other pods mean for one pod's decision.
#[derive(Debug, Default)]
pub struct Relations {
    /// Per required affinity term: its key, and the domains that hold a match.
    wants: Vec<(String, BTreeSet<String>)>,
    /// Whether the pod matches all its own affinity terms, so that the first of a group may go anywhere.
    own: bool,
    avoids: BTreeSet<Domain>,
    avoided_by: BTreeSet<Domain>,
    spread: Vec<Spread>,
}

#[derive(Debug)]
struct Spread {
    key: String,
    counts: BTreeMap<String, i64>,
    least: i64,
    skew: i64,
    own: i64,
}

const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";

impl Relations {
    /// Counts for `pod`.
    pub fn new(pod: &Wanted<'_>, table: &Table, namespaces: &BTreeMap<String, Labels>) -> Self {
        let affinity = list(pod.spec, &format!("affinity.podAffinity.{REQUIRED}"));
        let anti = list(pod.spec, &format!("affinity.podAntiAffinity.{REQUIRED}"));
        let mut all = Self { own: !affinity.is_empty(), ..Self::default() };
        for term in affinity {
            let key = text(term, "topologyKey");
            let domains = matching(term, pod, table, namespaces).into_iter().filter_map(|p| domain(table, p, key));
            all.wants.push((key.to_owned(), domains.collect()));
            all.own &= meant(term, pod.namespace, pod, pod.labels, namespaces);
        }
        for term in anti {
            let key = text(term, "topologyKey");
            let found = matching(term, pod, table, namespaces).into_iter();
            all.avoids.extend(found.filter_map(|p| Some((key.to_owned(), domain(table, p, key)?))));
        }
        for key in &table.repelling {
            all.repelled(key, pod, table, namespaces);
        }
        for c in list(pod.spec, "topologySpreadConstraints")
            .iter()
            .filter(|c| text(c, "whenUnsatisfiable") != "ScheduleAnyway")
        {
            all.spread.push(spread(c, pod, table));
        }
        all
    }

    fn repelled(&mut self, key: &Key, pod: &Wanted<'_>, table: &Table, namespaces: &BTreeMap<String, Labels>) {
        let Some(other) = table.pods.get(key) else { return };
        let object = other.stored.shared();
        let theirs = Wanted {
            spec: &object["spec"],
            namespace: &other.stored.namespace,
            labels: &other.stored.labels,
            ask: (*other.ask).clone(),
            ports: Vec::new(),
        };
        for term in list(theirs.spec, &format!("affinity.podAntiAffinity.{REQUIRED}")) {
            let topology = text(term, "topologyKey");
            if meant(term, pod.namespace, &theirs, pod.labels, namespaces)
                && let Some(value) = domain(table, other, topology)
            {
                self.avoided_by.insert((topology.to_owned(), value));
            }
        }
    }

    /// Why `node` is refused.
    pub fn refused(&self, node: &Node) -> Option<Refusal> {
        let no = |reason: &str, resolvable| Some(Refusal { reasons: vec![reason.to_owned()], resolvable });
        for s in &self.spread {
            let Some(value) = node.labels.get(&s.key) else {
                return no("node(s) didn't match pod topology spread constraints (missing required label)", false);
            };
            if s.counts.get(value).copied().unwrap_or(0) + s.own - s.least > s.skew {
                return no("node(s) didn't match pod topology spread constraints", true);
            }
        }
        let first = self.own && self.wants.iter().all(|(_, d)| d.is_empty());
        for (key, domains) in &self.wants {
            match node.labels.get(key) {
                Some(v) if first || domains.contains(v) => {}
                _ => return no("node(s) didn't match pod affinity rules", false),
            }
        }
        let among = |d: &BTreeSet<Domain>| d.iter().any(|(k, v)| node.labels.get(k) == Some(v));
        if among(&self.avoids) {
            return no("node(s) didn't match pod anti-affinity rules", true);
        }
        if among(&self.avoided_by) {
            return no("node(s) didn't satisfy existing pods anti-affinity rules", true);
        }
        None
    }
}

/// The value of `key` on the node of a pod.
pub fn domain(table: &Table, pod: &Placed, key: &str) -> Option<String> {
    table.nodes.get(&pod.node)?.labels.get(key).cloned()
}

/// Whether an affinity term of `holder` means pods with these labels in this namespace.
fn meant(
    term: &Value,
    namespace: &str,
    holder: &Wanted<'_>,
    labels: &Labels,
    namespaces: &BTreeMap<String, Labels>,
) -> bool {
    in_namespace(term, namespace, holder.namespace, namespaces) && selected(term, holder.labels, labels)
}

fn in_namespace(term: &Value, namespace: &str, own: &str, namespaces: &BTreeMap<String, Labels>) -> bool {
    let (named, by_label) = (list(term, "namespaces"), at(term, "namespaceSelector"));
    if named.is_empty() && by_label.is_none() {
        return namespace == own;
    }
    named.iter().any(|n| n == namespace)
        || by_label.is_some_and(|s| namespaces.get(namespace).is_some_and(|l| selects(Some(s), l)))
}

/// The term's selector, narrowed by `matchLabelKeys` to the holder's own values.
fn selected(term: &Value, own: &Labels, labels: &Labels) -> bool {
    selects(at(term, "labelSelector"), labels)
        && list(term, "matchLabelKeys")
            .iter()
            .filter_map(Value::as_str)
            .all(|k| own.get(k).is_none_or(|v| labels.get(k) == Some(v)))
}

/// The pods that an affinity term of `pod` means.
pub fn matching<'t>(
    term: &Value,
    pod: &Wanted<'_>,
    table: &'t Table,
    namespaces: &BTreeMap<String, Labels>,
) -> Vec<&'t Placed> {
    let only_own = list(term, "namespaces").is_empty() && at(term, "namespaceSelector").is_none();
    let fits = |p: &&Placed| meant(term, &p.stored.namespace, pod, &p.stored.labels, namespaces);
    if only_own {
        in_one(table, pod.namespace).filter(fits).collect()
    } else {
        table.pods.values().filter(fits).collect()
    }
}

/// The pods of one namespace.
pub fn in_one<'t>(table: &'t Table, namespace: &str) -> impl Iterator<Item = &'t Placed> {
    let from = (namespace.to_owned(), String::new());
    let namespace = namespace.to_owned();
    table.pods.range(from..).take_while(move |((n, _), _)| *n == namespace).map(|(_, p)| p)
}

fn spread(constraint: &Value, pod: &Wanted<'_>, table: &Table) -> Spread {
    let key = text(constraint, "topologyKey").to_owned();
    let honours = text(constraint, "nodeAffinityPolicy") != "Ignore";
    let mut counts = BTreeMap::new();
    for (name, node) in table.nodes.iter().filter(|(_, n)| n.there) {
        if let Some(v) = node.labels.get(&key).filter(|_| !honours || affine(pod.spec, name, &node.labels)) {
            counts.entry(v.clone()).or_insert(0);
        }
    }
    let domains = counts.len() as i64;
    for p in in_one(table, pod.namespace).filter(|p| !p.leaving && selected(constraint, pod.labels, &p.stored.labels)) {
        if let Some(n) = domain(table, p, &key).and_then(|v| counts.get_mut(&v)) {
            *n += 1;
        }
    }
    let few = domains < int(constraint, "minDomains").unwrap_or(1);
    let least = if few { 0 } else { counts.values().min().copied().unwrap_or(0) };
    let own = i64::from(selected(constraint, pod.labels, pod.labels));
    Spread { key, counts, least, skew: int(constraint, "maxSkew").unwrap_or(1), own }
}

/// How much the preferred affinities of `pod` like each domain: (label, value) → weight.
pub fn preferred(
    pod: &Wanted<'_>,
    table: &Table,
    namespaces: &BTreeMap<String, Labels>,
) -> BTreeMap<(String, String), i64> {
    let mut likes = BTreeMap::new();
    for (kind, sign) in [("podAffinity", 1), ("podAntiAffinity", -1)] {
        for weighted in list(pod.spec, &format!("affinity.{kind}.preferredDuringSchedulingIgnoredDuringExecution")) {
            let Some(term) = at(weighted, "podAffinityTerm") else { continue };
            let key = text(term, "topologyKey");
            for p in matching(term, pod, table, namespaces) {
                if let Some(v) = domain(table, p, key) {
                    *likes.entry((key.to_owned(), v)).or_insert(0) += sign * int(weighted, "weight").unwrap_or(0);
                }
            }
        }
    }
    likes
}

/// The constraints a pod is spread by when scoring: its own soft ones, or the cluster's defaults (hostname by 3, zone by
/// 5) for pods of a controller. Each: key, counts by value, skew.
pub fn soft(pod: &Wanted<'_>, owner: Option<&str>, table: &Table) -> Vec<(String, BTreeMap<String, i64>, i64)> {
    let own: Vec<&Value> = list(pod.spec, "topologySpreadConstraints").iter().collect();
    if !own.is_empty() {
        let soft = own.into_iter().filter(|c| text(c, "whenUnsatisfiable") == "ScheduleAnyway");
        return soft.map(|c| spread(c, pod, table)).map(|s| (s.key, s.counts, s.skew)).collect();
    }
    let Some(owner) = owner else { return Vec::new() };
    let siblings: Vec<&Placed> =
        in_one(table, pod.namespace).filter(|p| !p.leaving && p.owner.as_deref() == Some(owner)).collect();
    [("kubernetes.io/hostname", 3), ("topology.kubernetes.io/zone", 5)]
        .into_iter()
        .map(|(key, skew)| {
            let mut counts = BTreeMap::new();
            siblings.iter().filter_map(|p| domain(table, p, key)).for_each(|v| *counts.entry(v).or_insert(0) += 1);
            (key.to_owned(), counts, skew)
        })
        .collect()
}

/// Node selector terms a pod prefers, with weights.
pub fn liked_nodes(spec: &Value, name: &str, labels: &Labels) -> i64 {
    let all = list(spec, "affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution");
    let liked = all.iter().filter(|p| at(p, "preference").is_some_and(|t| super::selector::term(t, name, labels)));
    liked.map(|p| int(p, "weight").unwrap_or(0)).sum()
}
