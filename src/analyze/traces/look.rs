//! One trace looked at: what it adds to the sums.

use super::critical::{Step, steps};
use super::kin::{Kin, peer, who};
use super::tally::{Fall, PER_TRACE, Totals, Way};
use super::tree::Tree;
use crate::config::settings::{Indicator, Slo};
use crate::model::trace::{Span, SpanKind, Trace};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Requests of one trace for which it is looked up who made them slow.
const BLAMED: usize = 16;
/// Services on the way of a failure that are told.
const DEEP: usize = 32;

/// Service and operation.
type Operation = (Arc<str>, Arc<str>);

/// An objective as spans can be held against it.
#[derive(Debug, Clone, PartialEq)]
pub struct Objective {
    /// Its name.
    pub name: Arc<str>,
    /// Share of requests that may break it.
    pub allowed: f64,
    namespace: String,
    workload: String,
    /// Nanoseconds above which a request breaks it; `None`: failures do.
    above: Option<i64>,
}

impl Objective {
    /// Of the configuration; `None` for those that queries of their own define, and for names that are none.
    pub fn of(slo: &Slo) -> Option<Self> {
        let above = match &slo.indicator {
            Indicator::Errors => None,
            Indicator::LatencyAbove(seconds) => Some((seconds * 1e9) as i64),
            Indicator::Query { .. } => return None,
        };
        let mut parts = slo.workload.split('/');
        let (namespace, workload) = (parts.next()?.to_owned(), parts.nth(1)?.to_owned());
        Some(Self { name: slo.name.as_str().into(), allowed: 1.0 - slo.objective, namespace, workload, above })
    }

    fn is_of(&self, span: &Span) -> bool {
        let o = &span.origin;
        **o.workload.as_ref().unwrap_or(&span.service) == *self.workload
            && o.namespace.as_ref().is_none_or(|n| **n == *self.namespace)
    }

    fn broken_by(&self, span: &Span) -> bool {
        self.above.map_or(span.error, |above| span.duration > above)
    }
}

/// A trace with what was found out about it.
struct Look<'a> {
    trace: &'a Trace,
    kin: Kin,
    tree: Tree,
    /// Spans whose call another service's span answered.
    answered: Vec<bool>,
}

/// Adds what a trace tells to the sums. `false`: it has no root.
pub fn look(trace: &Trace, objectives: &[Objective], totals: &mut Totals) -> bool {
    let Some(tree) = Tree::of(trace) else { return false };
    let look = Look { trace, kin: Kin::of(trace), tree, answered: Vec::new() };
    look.at(objectives, totals);
    true
}

impl Look<'_> {
    fn at(mut self, objectives: &[Objective], totals: &mut Totals) {
        totals.traces += 1;
        self.serve(totals);
        self.call(totals);
        self.spend(totals);
        if self.trace.spans.iter().any(|s| s.error) {
            self.fall(totals);
        }
        self.hold(objectives, totals);
    }

    fn span(&self, i: usize) -> &Span {
        &self.trace.spans[i]
    }

    fn parent(&self, i: usize) -> Option<&Span> {
        self.kin.parent[i].map(|p| self.span(p))
    }

    /// Whether a request came in with this span.
    fn enters(&self, i: usize) -> bool {
        let s = self.span(i);
        matches!(s.kind, SpanKind::Server | SpanKind::Consumer)
            || self.parent(i).map_or(s.parent.is_none(), |p| p.service != s.service)
    }

    fn serve(&self, totals: &mut Totals) {
        for &i in &self.kin.order {
            let s = self.span(i);
            if self.enters(i)
                && let Some(served) = totals.services.at(&who(s))
            {
                served.add(s.duration, s.error);
                served.workload.clone_from(&s.origin.workload);
            }
        }
    }

    /// Who called whom: a span below another service's is a call, and so is a client's span that nobody answered.
    fn call(&mut self, totals: &mut Totals) {
        self.answered = vec![false; self.trace.spans.len()];
        let mut ways: HashMap<Way, bool> = HashMap::new();
        let mut add = |totals: &mut Totals, way: Way, took: i64, failed: bool| {
            if let Some(crossed) = totals.edges.at(&way) {
                crossed.calls.add(took, failed);
            }
            *ways.entry(way).or_default() |= failed;
        };
        for &i in &self.kin.order {
            let (s, Some(p)) = (self.span(i), self.kin.parent[i]) else { continue };
            let above = self.span(p);
            if above.service == s.service {
                continue;
            }
            let detached = s.detached || s.kind == SpanKind::Consumer || above.kind == SpanKind::Producer;
            let waited = !detached && above.kind == SpanKind::Client;
            let took = if waited { above.duration } else { s.duration };
            add(totals, (who(above), who(s), detached), took, s.error || waited && above.error);
            self.answered[p] |= !detached;
        }
        for &i in &self.kin.order {
            if let Some(to) = self.unheard(i) {
                let s = self.span(i);
                if let Some(served) = totals.services.at(&to) {
                    served.add(s.duration, s.error);
                }
                add(totals, (who(s), to, false), s.duration, s.error);
            }
        }
        let root = self.span(self.tree.nodes[0].span);
        if root.kind == SpanKind::Consumer {
            return;
        }
        totals.entrances += 1;
        for (way, failed) in ways {
            if let Some(crossed) = totals.edges.at(&way) {
                crossed.traces += 1;
                crossed.failed += u64::from(failed);
                crossed.carried += u64::from(failed && root.error);
            }
        }
    }

    /// Whom this span called without a span of the called one telling of it.
    fn unheard(&self, i: usize) -> Option<super::tally::Who> {
        // A client within a client, such as a driver's in an ORM's: the inner one made the call.
        let inner = |c: &usize| self.span(*c).kind == SpanKind::Client && self.span(*c).service == self.span(i).service;
        if self.answered[i] || self.kin.children(i).iter().any(inner) {
            return None;
        }
        peer(self.span(i)).filter(|p| p.name != self.span(i).service)
    }

    fn spend(&self, totals: &mut Totals) {
        let (sums, all) = self.own(&steps(&self.tree, 0));
        totals.critical += all;
        for (operation, own) in sums {
            if let Some(spent) = totals.operations.at(&operation) {
                spent.own += own;
                spent.traces += 1;
            }
        }
    }

    /// Time of each operation's own, and of all.
    fn own(&self, steps: &[Step]) -> (HashMap<Operation, u128>, u128) {
        let (mut sums, mut all) = (HashMap::new(), 0);
        for step in steps {
            let own = u128::from(step.own.max(0).cast_unsigned());
            *sums.entry(self.operation(step.span)).or_default() += own;
            all += own;
        }
        (sums, all)
    }

    fn operation(&self, i: usize) -> Operation {
        (self.span(i).service.clone(), self.span(i).operation.clone())
    }

    /// A span below this one that failed and that it waited for.
    fn failed_below(&self, i: usize) -> Option<usize> {
        self.kin.children(i).iter().copied().find(|c| self.span(*c).error && !self.span(*c).detached)
    }

    /// Where the failure of a span began, none below which failed: a callee that was still at work when its caller gave up,
    /// or one that never told of itself, or the span.
    fn origin(&self, i: usize) -> Operation {
        let mut at = i;
        while let Some(c) = self.kin.children(at).iter().copied().find(|c| {
            let (c, s) = (self.span(*c), self.span(at));
            !c.detached && c.end() > s.end() && c.start < s.end()
        }) {
            at = c;
        }
        match self.unheard(at) {
            Some(to) => (to.name, self.span(at).operation.clone()),
            None => self.operation(at),
        }
    }

    fn fall(&self, totals: &mut Totals) {
        // Ways up: a service, and the next above it that failed with it.
        let mut ways: Vec<(&Arc<str>, Option<usize>)> = Vec::new();
        let mut way_of: HashMap<usize, usize> = HashMap::new();
        let mut seen: HashSet<Fall> = HashSet::new();
        for &i in self.kin.order.iter().filter(|i| self.span(**i).error) {
            let s = self.span(i);
            let above = self.kin.parent[i].filter(|_| !s.detached).and_then(|p| way_of.get(&p).copied());
            let way = match above {
                Some(w) if *ways[w].0 == s.service => w,
                _ => {
                    ways.push((&s.service, above));
                    ways.len() - 1
                }
            };
            way_of.insert(i, way);
            if self.failed_below(i).is_some() || seen.len() >= PER_TRACE {
                continue;
            }
            let origin = self.origin(i);
            let mut path = if origin.0 == s.service { Vec::new() } else { vec![origin.0.clone()] };
            let mut next = Some(way);
            while let Some(w) = next.filter(|_| path.len() < DEEP) {
                path.push(ways[w].0.clone());
                next = ways[w].1;
            }
            let fall = Fall { origin, path };
            if seen.contains(&fall) {
                continue;
            }
            if let Some(fell) = totals.falls.at(&fall) {
                fell.traces += 1;
                fell.example = Some(self.trace.id.clone());
                if let Some(said) = said(s) {
                    fell.message = Some(said);
                }
            }
            seen.insert(fall);
        }
    }

    fn hold(&self, objectives: &[Objective], totals: &mut Totals) {
        let mut nodes: Option<HashMap<usize, usize>> = None;
        for objective in objectives {
            let mut blamed = 0;
            for &i in self.kin.order.iter().filter(|i| objective.is_of(self.span(**i)) && self.enters(**i)) {
                let Some(held) = totals.objectives.at(&objective.name) else { continue };
                held.all += 1;
                if !objective.broken_by(self.span(i)) {
                    continue;
                }
                held.broken += 1;
                blamed += 1;
                if blamed > BLAMED {
                    continue;
                }
                let to_blame = if objective.above.is_some() {
                    let nodes = nodes.get_or_insert_with(|| {
                        self.tree.nodes.iter().enumerate().map(|(n, at)| (at.span, n)).collect()
                    });
                    nodes.get(&i).and_then(|n| self.slowest(*n)).unwrap_or_else(|| self.operation(i))
                } else {
                    let mut at = i;
                    while let Some(below) = self.failed_below(at) {
                        at = below;
                    }
                    self.origin(at)
                };
                if let Some(fell) = held.blamed.at(&to_blame) {
                    fell.traces += 1;
                    fell.example = Some(self.trace.id.clone());
                }
            }
        }
    }

    /// The operation with the most time of its own on the critical path of a node.
    fn slowest(&self, node: usize) -> Option<Operation> {
        let (sums, _) = self.own(&steps(&self.tree, node));
        sums.into_iter().max_by(|a, b| a.1.cmp(&b.1).then_with(|| b.0.cmp(&a.0))).map(|(operation, _)| operation)
    }
}

/// What a span says of its failure.
fn said(span: &Span) -> Option<Arc<str>> {
    let kind = || span.attributes.iter().find(|(k, _)| &**k == "error.type").map(|(_, v)| v.clone());
    span.message.clone().or_else(kind)
}
