//! Who is whose parent among all spans of a trace, whether waited for or not, and who is called where no span of the called
//! one tells it.

use super::tally::Who;
use crate::model::trace::{Span, SpanKind, Trace};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

/// All spans that some root reaches. Of several with one id the last counts, and circles are left out.
pub struct Kin {
    /// Parents before their children.
    pub order: Vec<usize>,
    /// By span; `None`: it has none in the trace.
    pub parent: Vec<Option<usize>>,
    /// Children of span `i`: `list[from[i]..from[i + 1]]`.
    from: Vec<usize>,
    list: Vec<usize>,
}

impl Kin {
    /// Of a trace.
    pub fn of(trace: &Trace) -> Self {
        let spans = &trace.spans;
        let mut by_id: HashMap<&str, usize> = HashMap::with_capacity(spans.len());
        for (i, span) in spans.iter().enumerate() {
            by_id.insert(&span.id, i);
        }
        let counts = |i: usize| by_id[&*spans[i].id] == i;
        let parent: Vec<Option<usize>> =
            spans.iter().map(|s| s.parent.as_ref().and_then(|p| by_id.get(&**p).copied())).collect();
        let mut from = vec![0; spans.len() + 1];
        for i in (0..spans.len()).filter(|i| counts(*i)) {
            if let Some(p) = parent[i] {
                from[p + 1] += 1;
            }
        }
        (1..from.len()).for_each(|i| from[i] += from[i - 1]);
        let (mut at, mut list) = (from.clone(), vec![0; from[spans.len()]]);
        let mut order = Vec::with_capacity(spans.len());
        for i in (0..spans.len()).filter(|i| counts(*i)) {
            match parent[i] {
                Some(p) => {
                    list[at[p]] = i;
                    at[p] += 1;
                }
                None => order.push(i),
            }
        }
        let mut kin = Self { order, parent, from, list };
        let mut next = 0;
        while next < kin.order.len() {
            let below = kin.from[kin.order[next]]..kin.from[kin.order[next] + 1];
            kin.order.extend_from_slice(&kin.list[below]);
            next += 1;
        }
        kin
    }

    /// Those that name this one as their parent.
    pub fn children(&self, span: usize) -> &[usize] {
        &self.list[self.from[span]..self.from[span + 1]]
    }
}

/// The service of a span.
pub fn who(span: &Span) -> Who {
    Who { name: span.service.clone(), namespace: span.origin.namespace.clone() }
}

/// Whom a client's or producer's span says that it called, for callees that make no spans: databases, caches, brokers, the
/// world outside, and whoever was never reached.
pub fn peer(span: &Span) -> Option<Who> {
    if !matches!(span.kind, SpanKind::Client | SpanKind::Producer) {
        return None;
    }
    let get = |key: &str| span.attributes.iter().find(|(k, v)| &**k == key && !v.is_empty()).map(|(_, v)| v);
    let near = |name: &Arc<str>| Who { name: name.clone(), namespace: span.origin.namespace.clone() };
    if let Some(name) = get("peer.service") {
        return Some(near(name));
    }
    let host = get("server.address").or_else(|| get("net.peer.name"));
    if let Some(host) = host.filter(|h| h.parse::<IpAddr>().is_err() && &***h != "localhost") {
        return Some(named(host, near));
    }
    ["db.system.name", "db.system", "messaging.system"].iter().find_map(|k| get(k)).map(near)
}

/// A host name as the cluster's DNS reads it: `name`, `name.namespace`, `name.namespace.svc…`; else somebody outside.
fn named(host: &Arc<str>, near: impl Fn(&Arc<str>) -> Who) -> Who {
    let parts: Vec<&str> = host.split('.').collect();
    match parts[..] {
        [_] => near(host),
        [name, namespace] | [name, namespace, "svc", ..] => {
            Who { name: name.into(), namespace: Some(namespace.into()) }
        }
        _ => Who { name: host.clone(), namespace: None },
    }
}
