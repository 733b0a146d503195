//! Series of a filler fleet: none is stored. A query names metrics and labels; only the pods, nodes and objects whose
//! own names match are looked at, and only the samples in its window are computed.

use super::index::{matches, wanted};
use super::scraper::seconds;
use super::series::STEP;
use super::target::{Info, Which, offset};
use crate::sim::export::fleet::{Filler, Node, Pod};
use crate::sim::export::{self, Family, Known, KnownNode, Sink, Unit, cadvisor, node, state, system};
use crate::sim::object::text;
use crate::sim::promql::storage::{Labels, Matcher, Sample, Series};
use crate::sim::store::Stored;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, OnceLock};

/// A filler object, read when it is first measured.
#[derive(Debug)]
pub struct Entry {
    stored: Arc<Stored>,
    facts: OnceLock<Option<Arc<Facts>>>,
}

#[derive(Debug)]
enum Facts {
    Pod(Pod),
    Node(Node),
}

impl Facts {
    fn view(&self, now: i64) -> Filler<'_> {
        match self {
            Self::Pod(p) => Filler::pod(p, now),
            Self::Node(n) => Filler::node(n, now),
        }
    }
}

impl Entry {
    /// An object.
    pub fn new(stored: Arc<Stored>) -> Self {
        Self { stored, facts: OnceLock::new() }
    }

    fn facts(&self) -> Option<&Arc<Facts>> {
        let read = || match &*self.stored.key {
            "pods" => Pod::read(&self.stored.body).filter(|p| p.running).map(|p| Arc::new(Facts::Pod(p))),
            "nodes" => Node::read(&self.stored.body).map(|n| Arc::new(Facts::Node(n))),
            _ => None,
        };
        self.facts.get_or_init(read).as_ref()
    }
}

/// All filler objects: by kind, then namespace and name.
#[derive(Debug, Default)]
pub struct Fleet(BTreeMap<Arc<str>, BTreeMap<(String, String), Arc<Entry>>>);

/// Series that one query may find: a selector that names no metric would find millions here, more than any answer.
const MOST: usize = 500_000;

/// The moments a query is about: scrapes with `after < t <= to`.
#[derive(Clone, Copy)]
struct Window {
    after: i64,
    to: i64,
    /// Offset of the target's grid.
    grid: i64,
}

impl Window {
    /// The scrapes of it that are also in `after < t <= to`.
    fn times(self, after: i64, to: i64) -> impl Iterator<Item = i64> {
        let after = after.max(self.after);
        let first = (after - self.grid).div_euclid(STEP) * STEP + STEP + self.grid;
        (first..=to.min(self.to)).step_by(STEP as usize)
    }

    fn empty(self) -> bool {
        self.times(self.after, self.to).next().is_none()
    }
}

/// What a query asks for.
struct Query<'a> {
    matchers: &'a [Matcher],
    after: i64,
    to: i64,
}

impl Query<'_> {
    fn name(&self, n: &str) -> bool {
        wanted(self.matchers, "__name__").all(|(_, m)| m.matches(n))
    }

    fn any(&self, families: fn(&mut Vec<&'static Family>)) -> bool {
        let mut all = Vec::new();
        families(&mut all);
        all.iter().any(|f| self.name(f.name))
    }

    /// Whether a target's own labels do not rule it out. A namespace may come from the samples.
    fn target(&self, info: &Info) -> bool {
        self.matchers.iter().all(|(l, m)| l == "namespace" || info.labels.get(l).is_none_or(|v| m.matches(v)))
    }

    fn window(&self, info: &Info, born: i64) -> Window {
        Window { after: self.after.max(born - 1), to: self.to, grid: offset(&info.name) }
    }
}

impl Fleet {
    /// Takes up an object.
    pub fn insert(&mut self, stored: &Arc<Stored>) {
        let at = (stored.namespace.clone(), stored.name.clone());
        self.0.entry(stored.key.clone()).or_default().insert(at, Arc::new(Entry::new(stored.clone())));
    }

    /// Lets an object go.
    pub fn remove(&mut self, stored: &Stored) {
        if let Some(all) = self.0.get_mut(&stored.key) {
            all.remove(&(stored.namespace.clone(), stored.name.clone()));
        }
    }

    /// The objects of a kind whose own names the matchers of these labels allow.
    fn named(&self, key: &str, label: &str, matchers: &[Matcher]) -> impl Iterator<Item = &Arc<Entry>> {
        let fits = move |of: &str, value: &str| wanted(matchers, of).all(|(_, m)| m.matches(value));
        self.0
            .get(key)
            .into_iter()
            .flatten()
            .filter(move |((ns, name), _)| (ns.is_empty() || fits("namespace", ns)) && fits(label, name))
            .map(|(_, e)| e)
    }

    /// The series with samples in `after < at <= to` that match; `to` is not in the future.
    pub fn select(&self, matchers: &[Matcher], after: i64, to: i64) -> Vec<Arc<dyn Series>> {
        let mut out: Vec<Arc<dyn Series>> = Vec::new();
        if !self.0.is_empty() {
            let query = Query { matchers, after, to };
            self.nodes(&query, &mut out);
            self.pods(&query, &mut out);
            self.objects(&query, &mut out);
        }
        out
    }

    fn node(&self, name: &str) -> Option<&Arc<Facts>> {
        self.0.get("nodes")?.get(&(String::new(), name.to_owned()))?.facts()
    }

    /// Targets of a node, with its address.
    fn info(&self, which: fn(String) -> Which, node: &str) -> Info {
        let mut known = Known::default();
        if let Some(Facts::Node(n)) = self.node(node).map(|f| &**f) {
            known.nodes.insert(node.to_owned(), KnownNode { address: n.address.clone(), ..KnownNode::default() });
        }
        Info::new(which(node.to_owned()), &known)
    }

    fn nodes(&self, query: &Query, out: &mut Vec<Arc<dyn Series>>) {
        let pages: [(fn(String) -> Which, fn(String) -> Unit, fn(&mut Vec<&'static Family>)); 2] =
            [(Which::Cadvisor, Unit::Root, cadvisor::families), (Which::Node, Unit::Node, node::families)];
        let pages = pages.map(|(which, unit, families)| (which, unit, query.any(families)));
        if !query.name("up") && pages.iter().all(|(_, _, any)| !any) {
            return;
        }
        for facts in self.named("nodes", "", query.matchers).filter_map(|e| e.facts()) {
            let Facts::Node(n) = &**facts else { continue };
            for (which, unit, any) in pages {
                let info = self.info(which, &n.name);
                let window = query.window(&info, n.born);
                if !query.target(&info) || window.empty() {
                    continue;
                }
                let mut up = Collect::new(&info, query);
                up.put(&system::UP, "", &[], 1.0);
                up.constant(window, out);
                if any {
                    measured(facts, unit(n.name.clone()), &info, query, window, out);
                }
            }
        }
    }

    fn pods(&self, query: &Query, out: &mut Vec<Arc<dyn Series>>) {
        let used = query.any(cadvisor::families);
        let allotted = query.any(system::allotted_families);
        if !used && !allotted {
            return;
        }
        let mut kubelets: HashMap<&str, Info> = HashMap::new();
        let cost = Info::new(Which::Cost, &Known::default());
        for facts in self.named("pods", "pod", query.matchers).filter_map(|e| e.facts()) {
            let Facts::Pod(p) = &**facts else { continue };
            let kubelet = kubelets.entry(&p.node).or_insert_with(|| self.info(Which::Cadvisor, &p.node));
            if out.len() > MOST {
                return;
            }
            let window = query.window(kubelet, p.born);
            if used && query.target(kubelet) && !window.empty() {
                measured(facts, Unit::Pod(p.namespace.clone(), p.name.clone()), kubelet, query, window, out);
                for place in p.places() {
                    measured(facts, Unit::Container(place), kubelet, query, window, out);
                }
            }
            let window = query.window(&cost, p.born);
            if allotted && query.target(&cost) && !window.empty() {
                for place in p.places() {
                    measured(facts, Unit::Allotted(place), &cost, query, window, out);
                }
            }
        }
    }

    /// What kube-state-metrics says of the objects.
    fn objects(&self, query: &Query, out: &mut Vec<Arc<dyn Series>>) {
        let info = Info::new(Which::State, &Known::default());
        if !query.target(&info) {
            return;
        }
        let name = |n: &str| query.name(n);
        for (key, label) in state::kinds().filter(|(key, _)| state::tells(key, &name)) {
            for entry in self.named(key, label, query.matchers) {
                if out.len() > MOST {
                    return;
                }
                let object = entry.stored.value();
                let born = seconds(text(&object, "metadata.creationTimestamp")).unwrap_or(0) * 1000;
                let window = query.window(&info, born);
                if !window.empty() {
                    let mut sink = Collect::new(&info, query);
                    state::say(key, &object, Some(&name), &mut sink);
                    sink.constant(window, out);
                }
            }
        }
    }
}

fn measured(
    facts: &Arc<Facts>,
    unit: Unit,
    info: &Info,
    query: &Query,
    window: Window,
    out: &mut Vec<Arc<dyn Series>>,
) {
    let mut sink = Collect::new(info, query);
    export::measure(&unit, &facts.view(window.to), &mut sink);
    for (labels, nth, _) in sink.found {
        let (facts, unit) = (facts.clone(), unit.clone());
        out.push(Arc::new(Computed { labels, facts, unit, nth, window }));
    }
}

/// Labels of the samples that match, with their place among all, and values.
struct Collect<'a> {
    info: &'a Info,
    query: &'a Query<'a>,
    base: Vec<(String, String)>,
    nth: usize,
    found: Vec<(Labels, usize, f64)>,
}

impl<'a> Collect<'a> {
    fn new(info: &'a Info, query: &'a Query<'a>) -> Self {
        Self { info, query, base: Vec::new(), nth: 0, found: Vec::new() }
    }

    fn constant(self, window: Window, out: &mut Vec<Arc<dyn Series>>) {
        for (labels, _, value) in self.found {
            out.push(Arc::new(Constant { labels, value, window }));
        }
    }
}

impl Sink for Collect<'_> {
    fn base(&mut self, labels: &[(&str, &str)]) {
        self.base = labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    }

    fn put(&mut self, family: &'static Family, suffix: &'static str, labels: &[(&str, &str)], value: f64) {
        let nth = self.nth;
        self.nth += 1;
        // No family of a fleet is a histogram: its name is the metric's.
        if self.query.name(family.name) {
            let labels = Arc::new(self.info.series(family, suffix, &self.base, labels));
            if matches(&labels, self.query.matchers) {
                self.found.push((labels, nth, value));
            }
        }
    }
}

/// A series of one value.
struct Constant {
    labels: Labels,
    value: f64,
    window: Window,
}

impl Series for Constant {
    fn labels(&self) -> &Labels {
        &self.labels
    }

    fn samples(&self, after: i64, to: i64, out: &mut Vec<Sample>) {
        out.extend(self.window.times(after, to).map(|at| Sample { at, value: self.value }));
    }
}

/// A series that is measured when asked.
struct Computed {
    labels: Labels,
    facts: Arc<Facts>,
    unit: Unit,
    nth: usize,
    window: Window,
}

/// Takes the sample before which `left` others come.
struct Nth {
    left: usize,
    value: Option<f64>,
}

impl Sink for Nth {
    fn base(&mut self, _: &[(&str, &str)]) {}

    fn put(&mut self, _: &'static Family, _: &'static str, _: &[(&str, &str)], value: f64) {
        if self.left == 0 {
            self.value.get_or_insert(value);
        } else {
            self.left -= 1;
        }
    }
}

impl Series for Computed {
    fn labels(&self) -> &Labels {
        &self.labels
    }

    fn samples(&self, after: i64, to: i64, out: &mut Vec<Sample>) {
        let mut view = self.facts.view(to);
        for at in self.window.times(after, to) {
            view.now = at;
            let mut sink = Nth { left: self.nth, value: None };
            export::measure(&self.unit, &view, &mut sink);
            out.extend(sink.value.map(|value| Sample { at, value }));
        }
    }
}
