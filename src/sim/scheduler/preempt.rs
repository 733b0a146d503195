//! When no node is left: what is said about it, and whether less important pods should make room
//! (pkg/scheduler/framework/preemption and plugins/defaultpreemption).

use super::filter::{Refusal, Wanted, refused};
use super::requests::Ask;
use super::table::{Key, Placed};
use super::topology::Relations;
use super::{NAME, Scheduler};
use crate::model::time::Timestamp;
use crate::sim::clock::rfc3339;
use crate::sim::fields::Writer;
use crate::sim::object::{at, int, set, set_condition, text};
use crate::sim::scheduler::selector::selects;
use crate::sim::store::{Delete, StoreError};
use crate::sim::{events, scheduler::table::Node};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// `0/6 nodes are available: 3 Insufficient cpu, …`: the reasons with their numbers, ordered as text.
pub fn explain(total: usize, refusals: &[(Arc<str>, Refusal)]) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for reason in refusals.iter().flat_map(|(_, r)| &r.reasons) {
        // Which taint it was is told to nobody but the log since 1.36.
        let taint = reason.starts_with("node(s) had untolerated taint");
        *counts.entry(if taint { "node(s) had untolerated taint(s)" } else { reason }).or_default() += 1;
    }
    format!("0/{total} nodes are available: {}.", listed(&counts))
}

fn listed(counts: &BTreeMap<&str, usize>) -> String {
    let mut all: Vec<String> = counts.iter().map(|(reason, n)| format!("{n} {reason}")).collect();
    all.sort();
    all.join(", ")
}

/// Why preemption is of no use either.
pub fn unhelpful(total: usize, refusals: &[(Arc<str>, Refusal)]) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for (_, r) in refusals {
        let words = ["Preemption is not helpful for scheduling", "No preemption victims found for incoming pod"];
        *counts.entry(words[usize::from(r.resolvable)]).or_default() += 1;
    }
    format!("no new claims to deallocate, preemption: 0/{total} nodes are available: {}.", listed(&counts))
}

/// Who would have to leave a node.
struct Victims {
    node: Arc<str>,
    pods: Vec<(Key, i64)>,
    /// Of them, those a disruption budget protects.
    protected: usize,
}

impl Scheduler {
    /// Makes less important pods leave for `pod`, if that would help. Gives back whether it did (or has before).
    pub(super) fn preempt(
        &mut self,
        object: &Value,
        pod: &Wanted<'_>,
        key: &Key,
        relations: &Relations,
        refusals: &[(Arc<str>, Refusal)],
        now: Timestamp,
    ) -> bool {
        let mine = int(pod.spec, "priority").unwrap_or(0);
        if text(pod.spec, "preemptionPolicy") == "Never" || self.table.priorities.range(..mine).next().is_none() {
            return false;
        }
        if let Some((node, _, _)) = self.nominated.get(key) {
            let node = node.clone();
            if self.table.pods.values().any(|p| p.leaving && p.node == node && p.priority < mine) {
                return true;
            }
        }
        let mut by_node: BTreeMap<Arc<str>, Vec<(Key, &Placed)>> =
            refusals.iter().filter(|(_, r)| r.resolvable).map(|(n, _)| (n.clone(), Vec::new())).collect();
        for (k, p) in &self.table.pods {
            if p.priority < mine
                && let Some(all) = by_node.get_mut(&p.node)
            {
                all.push((k.clone(), p));
            }
        }
        let budgets = self.budgets();
        let options =
            by_node.into_iter().filter_map(|(node, lower)| self.victims(pod, node, lower, relations, &budgets));
        let best = options.min_by_key(|v| {
            let highest = v.pods.iter().map(|(_, p)| *p).max().unwrap_or(i64::MIN);
            (v.protected, highest, v.pods.iter().map(|(_, p)| p + (1 << 31)).sum::<i64>(), v.pods.len(), v.node.clone())
        });
        let Some(best) = best else { return false };
        for (victim, _) in &best.pods {
            self.evict(victim, object, &best.node, now);
        }
        self.nominated.insert(key.clone(), (best.node.clone(), pod.ask.clone(), mine));
        drop(self.store.modify("pods", &key.0, &key.1, Writer::status("kube-scheduler"), |o| {
            set(o, "status.nominatedNodeName", &*best.node);
            Ok::<_, StoreError>(())
        }));
        true
    }

    /// The fewest pods of a node that must leave so that `pod` fits; the most important stay first.
    fn victims(
        &self,
        pod: &Wanted<'_>,
        name: Arc<str>,
        mut lower: Vec<(Key, &Placed)>,
        relations: &Relations,
        budgets: &[(String, Value, i64)],
    ) -> Option<Victims> {
        let mut node = self.table.nodes.get(&name)?.clone();
        for (_, p) in &lower {
            shift(&mut node, &p.ask, p, -1);
        }
        if lower.is_empty() || refused(pod, &name, &node, relations).is_some() {
            return None;
        }
        let guarded = |p: &Placed| {
            budgets
                .iter()
                .any(|(ns, s, left)| *left <= 0 && *ns == p.stored.namespace && selects(Some(s), &p.stored.labels))
        };
        lower.sort_by_key(|(k, p)| (std::cmp::Reverse(guarded(p)), std::cmp::Reverse(p.priority), k.clone()));
        let mut victims = Victims { node: name.clone(), pods: Vec::new(), protected: 0 };
        for (key, p) in lower {
            shift(&mut node, &p.ask, p, 1);
            if refused(pod, &name, &node, relations).is_some() {
                shift(&mut node, &p.ask, p, -1);
                victims.protected += usize::from(guarded(p));
                victims.pods.push((key, p.priority));
            }
        }
        Some(victims)
    }

    /// Disruption budgets: namespace, selector, disruptions allowed.
    fn budgets(&self) -> Vec<(String, Value, i64)> {
        let all = self.store.list("poddisruptionbudgets.policy", None).1;
        let read = |b: &Value| at(b, "spec.selector").cloned().unwrap_or(Value::Null);
        all.iter()
            .map(|s| (s.namespace.clone(), s.value()))
            .map(|(ns, b)| (ns, read(&b), int(&b, "status.disruptionsAllowed").unwrap_or(0)))
            .collect()
    }

    fn evict(&mut self, victim: &Key, by: &Value, node: &str, now: Timestamp) {
        let Some(stored) = self.store.get("pods", &victim.0, &victim.1) else { return };
        let time = rfc3339(now);
        let message = format!("{NAME}: preempting to accommodate a higher priority pod");
        drop(self.store.modify("pods", &victim.0, &victim.1, Writer::status("kube-scheduler"), |o| {
            set_condition(o, "DisruptionTarget", "True", "PreemptionByScheduler", &message, &time);
            Ok::<_, StoreError>(())
        }));
        let how = Delete { uid: Some(stored.uid.clone()), ..Delete::default() };
        if self.store.delete("pods", &victim.0, &victim.1, &how).is_ok() {
            let message = format!("Preempted by pod {} on node {node}", text(by, "metadata.uid"));
            events::record(&self.store, self.noise, now, &stored.value(), "Normal", "Preempted", &message, NAME);
        }
    }
}

fn shift(node: &mut Node, ask: &Ask, pod: &Placed, sign: i64) {
    node.used.add(ask, sign);
    node.pods += sign;
    if sign < 0 {
        node.ports.retain(|p| !pod.ports.contains(p));
    } else {
        node.ports.extend(pod.ports.iter().cloned());
    }
}
