//! What the map knows of a world: the layers of its graph, the order in which the operator walks, and how each service and
//! call is doing. Made once per map, never per frame.

use super::super::show;
use crate::console::pane::Ctx;
use crate::console::theme::{Glyphs, Role};
use crate::console::widgets::graph::Graph;
use crate::console::widgets::text::width;
use crate::console::widgets::unit::Unit;
use crate::model::service::{Red, ServiceMap};
use std::sync::Arc;

/// Share of failed requests from which a service is called degraded, and failing.
pub const DEGRADED: f64 = 0.01;
/// See [`DEGRADED`].
pub const FAILING: f64 = 0.05;

/// How a service or call is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum State {
    Good,
    Degraded,
    Failing,
    /// Nobody measured whether requests fail.
    Unknown,
}

impl State {
    /// By the share of requests that failed.
    pub fn of(failed: Option<f64>) -> Self {
        match failed {
            None => Self::Unknown,
            Some(f) if f >= FAILING => Self::Failing,
            Some(f) if f >= DEGRADED => Self::Degraded,
            Some(_) => Self::Good,
        }
    }

    /// Its sign and colour.
    pub fn sign(self, g: &Glyphs) -> (&'static str, Role) {
        match self {
            Self::Good => (g.good, Role::Good),
            Self::Degraded => (g.warning, Role::Warning),
            Self::Failing => (g.bad, Role::Bad),
            Self::Unknown => (g.unknown, Role::Muted),
        }
    }

    /// In a word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Good => "ok",
            Self::Degraded => "degraded",
            Self::Failing => "failing",
            Self::Unknown => "unknown",
        }
    }
}

/// A row of the list form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Row {
    /// A layer begins.
    Layer(usize),
    /// A service.
    Node(usize),
    /// A call of the service above.
    Edge(usize),
}

/// The map with all that is derived from it.
#[derive(Debug, Clone, Default)]
pub struct Chart {
    /// The map.
    pub map: Arc<ServiceMap>,
    /// Where services stand.
    pub graph: Graph,
    /// Services in the order of layers and rows.
    pub order: Vec<usize>,
    /// Place of each service in `order`.
    pub rank: Vec<usize>,
    /// Edges by caller.
    pub out: Vec<Vec<usize>>,
    /// Edges by callee.
    pub into: Vec<Vec<usize>>,
    /// The list form.
    pub rows: Vec<Row>,
    /// Row of each service in the list form.
    pub row_of: Vec<usize>,
    /// Columns of the widest label per layer.
    pub wide: Vec<u16>,
}

impl Chart {
    /// Of a map. Edges whose ends are not in the map are left out: they cannot be drawn.
    pub fn of(map: &Arc<ServiceMap>) -> Self {
        let n = map.nodes.len();
        let mut map = map.clone();
        if map.edges.iter().any(|e| e.from >= n || e.to >= n) {
            Arc::make_mut(&mut map).edges.retain(|e| e.from < n && e.to < n);
        }
        let ends: Vec<(usize, usize)> = map.edges.iter().map(|e| (e.from, e.to)).collect();
        let graph = Graph::of(n, &ends);
        let mut order: Vec<usize> = (0..n).collect();
        order.sort_by_key(|&i| graph.places[i]);
        let mut all = Self {
            rank: vec![0; n],
            out: vec![Vec::new(); n],
            into: vec![Vec::new(); n],
            row_of: vec![0; n],
            ..Self::default()
        };
        order.iter().enumerate().for_each(|(rank, &i)| all.rank[i] = rank);
        for (e, &(from, to)) in ends.iter().enumerate() {
            all.out[from].push(e);
            all.into[to].push(e);
        }
        all.wide = vec![8; graph.layers.len()];
        let mut layer = usize::MAX;
        for &i in &order {
            let own = graph.places[i].0;
            if own != layer {
                layer = own;
                all.rows.push(Row::Layer(layer));
            }
            let label = width(&map.nodes[i].name) + width(&short(&map.nodes[i].red)) + 4;
            all.wide[layer] = all.wide[layer].max(label.min(34) as u16);
            all.row_of[i] = all.rows.len();
            all.rows.push(Row::Node(i));
            all.rows.extend(all.out[i].iter().map(|&e| Row::Edge(e)));
        }
        Self { map, graph, order, ..all }
    }

    /// How a service is doing: by what it served, else by what those who call it saw.
    pub fn state(&self, node: usize) -> State {
        let seen = || self.into[node].iter().filter_map(|&e| self.map.edges[e].red.failed).max_by(f64::total_cmp);
        State::of(self.map.nodes[node].red.failed.or_else(seen))
    }

    /// A service by name.
    pub fn find(&self, name: &str) -> Option<usize> {
        self.map.nodes.iter().position(|n| *n.name == *name)
    }

    /// Services by state: ok, degraded, failing, unknown.
    pub fn counts(&self) -> [(State, usize); 4] {
        [State::Failing, State::Degraded, State::Good, State::Unknown]
            .map(|s| (s, (0..self.map.nodes.len()).filter(|&i| self.state(i) == s).count()))
    }
}

/// `42/s 1.5%`: rate and share of failures; what nobody measured is left out.
pub fn short(red: &Red) -> String {
    let rate = red.rate.map(|r| Unit::PerSecond.show(r));
    let failed = red.failed.filter(|f| *f > 0.0).map(|f| Unit::Share.show(f));
    rate.into_iter().chain(failed).collect::<Vec<_>>().join(" ")
}

/// Rate, errors and quantiles in a sentence; what nobody measured says so.
pub fn long(red: &Red, ctx: &Ctx) -> String {
    let none = show::absent(&ctx.theme.glyphs);
    let ms = |v: Option<f64>| v.map_or_else(|| none.to_owned(), |v| Unit::Seconds.show(v / 1000.0));
    format!(
        "{}, errors {}, p50 {} p95 {} p99 {}",
        red.rate.map_or_else(|| format!("{none}/s"), |r| Unit::PerSecond.show(r)),
        red.failed.map_or_else(|| none.to_owned(), |f| Unit::Share.show(f)),
        ms(red.p50_ms),
        ms(red.p95_ms),
        ms(red.p99_ms)
    )
}
