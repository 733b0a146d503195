//! Scrape targets: what they are, what labels their series get, whether they answer, and what they say.

use super::history::World;
use super::series::{Grid, STEP};
use super::unit::{Context, State, Writer};
use super::{DAYS, Health, Tsdb};
use crate::sim::clock::at;
use crate::sim::export::{self, Family, Live, Unit, View, system};
use crate::sim::machine::{Place, State as Runs};
use crate::sim::noise::Noise;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a target is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Which {
    /// A kubelet's `/metrics/cadvisor`, by node.
    Cadvisor(String),
    /// A kubelet's `/metrics`, by node.
    Kubelet(String),
    /// node-exporter, by node.
    Node(String),
    /// An instrumented process.
    App(Place),
    /// kube-state-metrics.
    State,
    /// The service graph of Tempo's metrics generator.
    Graph,
    /// OpenCost.
    Cost,
    /// Prometheus itself.
    Own,
}

/// A target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Info {
    /// What it is.
    pub which: Which,
    /// Unique, fit for a URL.
    pub name: String,
    /// The labels that discovery gives its series: job, instance, and so on.
    pub labels: BTreeMap<String, String>,
}

impl Info {
    /// What a target is called, with its labels as kube-prometheus' ServiceMonitors give them. Addresses and Services
    /// are those that objects say.
    pub fn new(which: Which, known: &export::Known) -> Self {
        let address = |node: &str| known.nodes.get(node).map_or(node, |n| n.address.as_str()).to_owned();
        let mut labels = BTreeMap::new();
        let mut set = |pairs: &[(&str, &str)]| {
            labels.extend(pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())));
        };
        let kubelet = [("job", "kubelet"), ("service", "kubelet"), ("namespace", "kube-system")];
        let name = match &which {
            Which::Cadvisor(node) | Which::Kubelet(node) => {
                let (path, name) = match which {
                    Which::Cadvisor(_) => ("/metrics/cadvisor", format!("cadvisor-{node}")),
                    _ => ("/metrics", format!("kubelet-{node}")),
                };
                set(&kubelet);
                let instance = format!("{}:10250", address(node));
                set(&[("endpoint", "https-metrics"), ("instance", &instance), ("metrics_path", path), ("node", node)]);
                name
            }
            Which::Node(node) => {
                let instance = node.as_str();
                set(&[
                    ("job", "node-exporter"),
                    ("instance", instance),
                    ("endpoint", "https"),
                    ("namespace", "monitoring"),
                    ("service", "node-exporter"),
                    ("container", "kube-rbac-proxy"),
                ]);
                format!("node-exporter-{node}")
            }
            Which::App(place) => {
                let pod = known.pods.get(&(place.namespace.clone(), place.pod.clone()));
                let ip = pod.map_or("", |p| &p.address);
                let port = pod.and_then(|p| p.ports.get(&place.container)).copied().unwrap_or(8080);
                let service = known.service(&place.namespace, &place.pod).unwrap_or(&place.container);
                set(&[("job", service), ("service", service), ("endpoint", "http")]);
                set(&[("instance", &format!("{ip}:{port}")), ("namespace", &place.namespace)]);
                set(&[("pod", &place.pod), ("container", &place.container)]);
                format!("app-{}-{}-{}", place.namespace, place.pod, place.container)
            }
            Which::State => {
                set(&[("job", "kube-state-metrics"), ("instance", "kube-state-metrics.monitoring.svc:8443")]);
                "kube-state-metrics".to_owned()
            }
            Which::Graph => {
                set(&[("job", "tempo"), ("instance", "tempo.monitoring.svc:3200"), ("source", "tempo")]);
                "tempo".to_owned()
            }
            Which::Cost => {
                set(&[("job", "opencost"), ("instance", "opencost.opencost.svc:9003")]);
                "opencost".to_owned()
            }
            Which::Own => {
                set(&[("job", "prometheus-k8s"), ("instance", "localhost:9090")]);
                "prometheus".to_owned()
            }
        };
        Self { which, name, labels }
    }

    /// All labels of one of its series; those of the sample win over the target's, and empty ones are none.
    pub fn series<K: AsRef<str>>(
        &self,
        family: &Family,
        suffix: &str,
        base: &[(K, K)],
        labels: &[(&str, &str)],
    ) -> BTreeMap<String, String> {
        let mut all = self.labels.clone();
        all.insert("__name__".into(), format!("{}{suffix}", family.name));
        let base = base.iter().map(|(k, v)| (k.as_ref(), v.as_ref()));
        for (name, value) in base.chain(labels.iter().copied()) {
            if value.is_empty() {
                all.remove(name);
            } else {
                all.insert(name.to_owned(), value.to_owned());
            }
        }
        all
    }

    /// The path a real Prometheus would scrape.
    pub fn path(&self) -> &'static str {
        if matches!(self.which, Which::Cadvisor(_)) { "/metrics/cadvisor" } else { "/metrics" }
    }

    /// What is measured on its page now, in order. kube-state-metrics' page is made of objects instead.
    pub fn units(&self, live: &Live) -> Vec<Unit> {
        let machines = live.machines;
        let running = |p: &&crate::sim::machine::Process| p.state == Runs::Running;
        match &self.which {
            Which::Cadvisor(node) => {
                let mut units = vec![Unit::Root(node.clone())];
                for p in live.on(node) {
                    let pod = Unit::Pod(p.place.namespace.clone(), p.place.pod.clone());
                    // Processes are ordered by pod: its cgroup comes before its first container.
                    let last = units.iter().rev().find(|u| matches!(u, Unit::Pod(..)));
                    if last != Some(&pod) {
                        units.push(pod);
                    }
                    units.push(Unit::Container(p.place.clone()));
                }
                units
            }
            Which::Kubelet(node) => {
                let mut units = vec![Unit::Kubelet(node.clone())];
                let pods = live.known.pods.iter().filter(|(_, p)| p.node == *node && !p.claims.is_empty());
                for ((namespace, pod), known) in pods {
                    let (namespace, pod) = (namespace.clone(), pod.clone());
                    units.extend(known.claims.iter().map(|claim| Unit::Volume {
                        namespace: namespace.clone(),
                        pod: pod.clone(),
                        claim: claim.clone(),
                    }));
                }
                units
            }
            Which::Node(node) => vec![Unit::Node(node.clone())],
            Which::App(place) => vec![Unit::App(place.clone())],
            Which::Graph => machines.calls.keys().map(|(a, b)| Unit::Edge(a.clone(), b.clone())).collect(),
            Which::Cost => {
                let prices = machines.nodes.keys().map(|n| Unit::Price(n.clone()));
                let allotted = machines.processes.values().filter(running).map(|p| Unit::Allotted(p.place.clone()));
                prices.chain(allotted).collect()
            }
            Which::Own => vec![Unit::Own],
            Which::State => Vec::new(),
        }
    }

    /// The label `app.kubernetes.io/name` of the pods it would run in; `None` if it does not run in pods.
    pub fn hosted(&self) -> Option<&'static str> {
        match self.which {
            Which::State => Some("kube-state-metrics"),
            Which::Graph => Some("tempo"),
            Which::Cost => Some("opencost"),
            _ => None,
        }
    }

    /// Whether it answers a scrape. What would run in pods answers while one of them does; where nobody runs it, it is
    /// taken to be outside of the cluster.
    pub fn answers(&self, live: &Live) -> bool {
        let on = |node: &str| live.machines.nodes.get(node).filter(|m| m.powered && m.connected);
        let serves = |place: &Place| {
            live.process(place).is_some_and(|p| p.exporting && (on(&p.node).is_some() || p.node.is_empty()))
        };
        match &self.which {
            Which::Cadvisor(node) | Which::Kubelet(node) => on(node).is_some_and(|m| m.kubelet && m.exporting),
            Which::Node(node) => on(node).is_some_and(|m| m.exporting),
            Which::App(place) => serves(place),
            Which::Own => true,
            Which::State | Which::Graph | Which::Cost => {
                let name = self.hosted().unwrap_or_default();
                let mut pods = live
                    .known
                    .pods
                    .iter()
                    .filter(|(_, p)| p.labels.get("app.kubernetes.io/name").is_some_and(|l| l == name))
                    .peekable();
                pods.peek().is_none() || pods.any(|((ns, pod), _)| live.pod(ns, pod).iter().any(|p| serves(&p.place)))
            }
        }
    }
}

/// When within [`STEP`] a target is scraped, milliseconds: whole seconds by its name, so that scrapes are not all at once.
pub fn offset(name: &str) -> i64 {
    (Noise::new(0).of(name).bits(0) >> 1) as i64 % (STEP / 1000) * 1000
}

/// A target between scrapes.
pub struct Target {
    /// What it is.
    pub info: Arc<Info>,
    grid: Arc<Grid>,
    /// Milliseconds of the next scrape.
    pub next: i64,
    units: BTreeMap<Unit, State>,
    own: State,
    up: bool,
    /// It has been scraped.
    met: bool,
}

/// What a scrape may need beside the target.
pub struct Scrape<'a> {
    /// Where series are.
    pub db: &'a Tsdb,
    /// The world now.
    pub live: &'a Live<'a>,
    /// The world at the start.
    pub world: &'a Arc<World>,
}

impl Target {
    /// A target that is first scraped at its next time from `now` (milliseconds) on.
    pub fn new(info: Arc<Info>, now: i64) -> Self {
        let grid = Arc::new(Grid::new(offset(&info.name)));
        let next = grid.time(grid.at(now - 1) + 1);
        Self { info, grid, next, units: BTreeMap::new(), own: State::default(), up: false, met: false }
    }

    /// How it answered last.
    pub fn health(&self) -> Health {
        let samples = self.units.values().map(State::len).sum();
        Health { info: self.info.clone(), up: self.up, scraped: self.next - STEP, samples }
    }

    /// Scrapes it at `next`. `objects` says everything (`true`), or what changed, of kube-state-metrics.
    pub fn scrape(&mut self, with: &Scrape, objects: &mut dyn FnMut(&mut Objects, bool)) {
        let n = self.grid.at(self.next);
        self.next += STEP;
        let up = self.info.answers(with.live);
        let context = Context { db: with.db, info: &self.info, grid: &self.grid, n };
        if up {
            if self.info.which == Which::State {
                let all = !self.up;
                objects(&mut Objects { context, units: &mut self.units, first: !self.met }, all);
            } else {
                self.measure(with, n);
            }
        } else if self.up || !self.met {
            self.units.values_mut().for_each(|s| s.end(n));
        }
        self.about(with, up, n);
        (self.up, self.met) = (up, true);
        self.grid.done(n);
    }

    fn measure(&mut self, with: &Scrape, n: u32) {
        let context = Context { db: with.db, info: &self.info, grid: &self.grid, n };
        for unit in self.info.units(with.live) {
            let known = self.units.contains_key(&unit);
            let state = self.units.entry(unit.clone()).or_default();
            let mut writer = Writer::new(context, state);
            if unit == Unit::Own {
                super::text::own(with.db, &mut writer);
            } else {
                export::measure(&unit, with.live, &mut writer);
            }
            writer.finish();
            if !known && !self.met && with.world.has(&unit) && with.world.same_run(&unit, with.live) {
                state.began(&unit, with.world);
            }
        }
        self.units.retain(|_, s| {
            if s.seen != n {
                s.end(n);
            }
            s.seen == n
        });
    }

    /// `up` and its companions, which the server writes itself.
    fn about(&mut self, with: &Scrape, up: bool, n: u32) {
        let samples: usize = self.units.values().map(State::len).sum();
        let context = Context { db: with.db, info: &self.info, grid: &self.grid, n };
        let count = if up { samples as f64 } else { 0.0 };
        // Seconds as a real exporter takes them, about a microsecond a sample over a millisecond of network.
        let values = [0.001 + count * 1e-6, count, count];
        let say = |writer: &mut Writer| {
            use export::Sink;
            writer.base(&[]);
            writer.put(&system::UP, "", &[], f64::from(u8::from(up)));
            for (family, value) in system::SCRAPES.iter().zip(values) {
                writer.put(family, "", &[], value);
            }
        };
        if !self.met
            && up
            && let Some(from) = with.world.since(&self.info.which, self.grid.time(n))
        {
            let mut writer = Writer::before(context, &mut self.own, from, with.world.start);
            say(&mut writer);
        }
        let mut writer = Writer::new(context, &mut self.own);
        say(&mut writer);
        writer.finish();
    }

    /// It is discovered no more: everything of it ends.
    pub fn vanish(mut self) {
        let n = self.grid.last() + 1;
        if self.met {
            self.units.values_mut().chain([&mut self.own]).for_each(|s| s.end(n));
            self.grid.done(n);
        }
    }
}

/// Where what objects say goes.
pub struct Objects<'a> {
    context: Context<'a>,
    units: &'a mut BTreeMap<Unit, State>,
    /// This is the first scrape.
    pub first: bool,
}

impl Objects<'_> {
    /// What an object says now.
    pub fn say(&mut self, unit: &Unit, key: &str, object: &serde_json::Value) {
        let mut writer = Writer::new(self.context, self.units.entry(unit.clone()).or_default());
        export::state::object(key, object, &mut writer);
        writer.finish();
    }

    /// What an object said from a time until the start (milliseconds).
    pub fn said(&mut self, unit: &Unit, key: &str, object: &serde_json::Value, from: i64, start: i64) {
        let state = self.units.entry(unit.clone()).or_default();
        export::state::object(key, object, &mut Writer::before(self.context, state, from, start));
    }

    /// An object is gone.
    pub fn gone(&mut self, unit: &Unit) {
        if let Some(mut state) = self.units.remove(unit) {
            state.end(self.context.n);
        }
    }
}

impl World {
    /// Since when a target of the start has answered (milliseconds); `None`: it is new.
    fn since(&self, which: &Which, first: i64) -> Option<i64> {
        if first >= self.start + STEP {
            return None;
        }
        match which {
            Which::App(place) => self.started(place).map(|ms| ms.max(self.start - DAYS)),
            _ => Some(self.start - DAYS),
        }
    }

    /// Whether what runs now is what ran at the start.
    fn same_run(&self, unit: &Unit, live: &Live) -> bool {
        match unit {
            Unit::Container(place) | Unit::App(place) | Unit::Allotted(place) => {
                live.process(place).is_some_and(|p| self.is(place, &p.id) && p.started <= at(self.start))
            }
            _ => true,
        }
    }
}
