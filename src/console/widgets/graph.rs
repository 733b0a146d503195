//! Layers of a directed graph for drawing it from left to right: callers before callees, few crossings, lines bundled per
//! caller. Pure: it knows numbers of nodes and edges only (Sugiyama, Tagawa and Toda 1981, in its simplest form).

use std::collections::BTreeMap;

/// Sweeps that put layers in order; more hardly change anything.
const SWEEPS: usize = 6;

/// Vertical lines beside each other between two layers; where more are needed, some share one.
const TRACKS: usize = 10;

/// What stands in a place of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slot {
    /// A node.
    Node(usize),
    /// A line that goes on to a later layer: the edge.
    Through(usize),
}

/// A line from a layer to the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// The edge it is part of.
    pub edge: usize,
    /// Row at the left.
    pub from: usize,
    /// Row at the right.
    pub to: usize,
    /// Which vertical line it takes, from the left.
    pub track: usize,
}

/// Where everything stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Graph {
    /// Per layer what stands where, by row.
    pub layers: Vec<Vec<(usize, Slot)>>,
    /// Layer and row of each node.
    pub places: Vec<(usize, usize)>,
    /// Lines between a layer and the next one.
    pub gaps: Vec<Vec<Segment>>,
    /// Vertical lines in each gap.
    pub tracks: Vec<usize>,
    /// Edges that are drawn from right to left, because they close a circle.
    pub back: Vec<bool>,
    /// Rows.
    pub height: usize,
}

impl Graph {
    /// Lays out nodes `0..nodes` and edges between them; edges from a node to itself have no line.
    ///
    /// # Panics
    /// If an edge names a node that is not there.
    pub fn of(nodes: usize, edges: &[(usize, usize)]) -> Self {
        let back = circles(nodes, edges);
        // From here on every edge leads from an earlier to a later layer.
        let forward: Vec<(usize, usize)> =
            edges.iter().zip(&back).map(|(&(a, b), back)| if *back { (b, a) } else { (a, b) }).collect();
        let layer = layering(nodes, &forward);
        let (mut layers, mut links) = slots(&layer, &forward);
        order(&mut layers, &mut links);
        let rows = rows(&layers, &links);
        let mut graph = Self { back, places: vec![(0, 0); nodes], ..Self::default() };
        for (l, slots) in layers.iter().enumerate() {
            for (slot, row) in slots.iter().zip(&rows[l]) {
                if let Slot::Node(n) = slot {
                    graph.places[*n] = (l, *row);
                }
                graph.height = graph.height.max(row + 1);
            }
            graph.layers.push(rows[l].iter().copied().zip(slots.iter().copied()).collect());
        }
        for (l, links) in links.iter().enumerate() {
            let (segments, tracks) = route(links.iter().map(|k| (k.edge, rows[l][k.from], rows[l + 1][k.to])));
            graph.gaps.push(segments);
            graph.tracks.push(tracks);
        }
        graph
    }
}

/// A link from a slot of a layer to one of the next.
#[derive(Debug, Clone, Copy)]
struct Link {
    edge: usize,
    from: usize,
    to: usize,
}

/// Which edges close a circle: those that lead back to a node that the search has not left yet. Searched from nodes
/// nobody calls first.
fn circles(nodes: usize, edges: &[(usize, usize)]) -> Vec<bool> {
    let mut out = vec![Vec::new(); nodes];
    let mut called = vec![false; nodes];
    for (e, &(a, b)) in edges.iter().enumerate().filter(|(_, (a, b))| a != b) {
        out[a].push((e, b));
        called[b] = true;
    }
    let mut back = vec![false; edges.len()];
    // 0: not seen, 1: on the way, 2: left.
    let mut state = vec![0u8; nodes];
    let starts = (0..nodes).filter(|&n| !called[n]).chain(0..nodes);
    for start in starts {
        let mut way = vec![(start, 0)];
        if state[start] != 0 {
            continue;
        }
        state[start] = 1;
        while let Some((node, next)) = way.last_mut() {
            let Some(&(edge, to)) = out[*node].get(*next) else {
                state[*node] = 2;
                way.pop();
                continue;
            };
            *next += 1;
            match state[to] {
                0 => {
                    state[to] = 1;
                    way.push((to, 0));
                }
                1 => back[edge] = true,
                _ => {}
            }
        }
    }
    back
}

/// The layer of each node: one more than the last of its callers.
fn layering(nodes: usize, edges: &[(usize, usize)]) -> Vec<usize> {
    let mut out = vec![Vec::new(); nodes];
    let mut waiting = vec![0usize; nodes];
    for &(a, b) in edges.iter().filter(|(a, b)| a != b) {
        out[a].push(b);
        waiting[b] += 1;
    }
    let mut layer = vec![0; nodes];
    let mut ready: Vec<usize> = (0..nodes).filter(|&n| waiting[n] == 0).collect();
    while let Some(node) = ready.pop() {
        for &to in &out[node] {
            layer[to] = layer[to].max(layer[node] + 1);
            waiting[to] -= 1;
            if waiting[to] == 0 {
                ready.push(to);
            }
        }
    }
    layer
}

/// Slots per layer, and the links between neighbouring layers; long edges get a slot in each layer they pass. Edges of one
/// caller that pass the same layer to the same callee share it.
fn slots(layer: &[usize], edges: &[(usize, usize)]) -> (Vec<Vec<Slot>>, Vec<Vec<Link>>) {
    let count = layer.iter().max().map_or(0, |l| l + 1);
    let mut layers: Vec<Vec<Slot>> = vec![Vec::new(); count];
    let mut place = vec![0; layer.len()];
    for (n, &l) in layer.iter().enumerate() {
        place[n] = layers[l].len();
        layers[l].push(Slot::Node(n));
    }
    let mut links: Vec<Vec<Link>> = vec![Vec::new(); count.saturating_sub(1)];
    for (edge, &(a, b)) in edges.iter().enumerate().filter(|(_, (a, b))| a != b) {
        let mut from = place[a];
        for l in layer[a]..layer[b] {
            let to = if l + 1 == layer[b] {
                place[b]
            } else {
                layers[l + 1].push(Slot::Through(edge));
                layers[l + 1].len() - 1
            };
            links[l].push(Link { edge, from, to });
            from = to;
        }
    }
    (layers, links)
}

/// Puts layers in the order of the means of their neighbours, to and fro, and keeps the order with fewest crossings.
fn order(layers: &mut [Vec<Slot>], links: &mut [Vec<Link>]) {
    let mut best = (crossings(layers, links), layers.to_vec(), links.to_vec());
    for sweep in 0..SWEEPS {
        let forth = sweep % 2 == 0;
        let all: Vec<usize> =
            if forth { (1..layers.len()).collect() } else { (0..layers.len().saturating_sub(1)).rev().collect() };
        for l in all {
            let mut sums = vec![(0usize, 0usize); layers[l].len()];
            for k in if forth { &links[l - 1] } else { &links[l] } {
                let (own, other) = if forth { (k.to, k.from) } else { (k.from, k.to) };
                sums[own].0 += other;
                sums[own].1 += 1;
            }
            // What has no neighbour there stays where it is.
            let mean = |i: usize| if sums[i].1 == 0 { i as f64 } else { sums[i].0 as f64 / sums[i].1 as f64 };
            let mut by: Vec<usize> = (0..layers[l].len()).collect();
            by.sort_by(|&a, &b| mean(a).total_cmp(&mean(b)));
            let mut at = vec![0; by.len()];
            by.iter().enumerate().for_each(|(new, &old)| at[old] = new);
            layers[l] = by.iter().map(|&old| layers[l][old]).collect();
            if l > 0 {
                links[l - 1].iter_mut().for_each(|k| k.to = at[k.to]);
            }
            if let Some(links) = links.get_mut(l) {
                for k in links {
                    k.from = at[k.from];
                }
            }
        }
        let now = crossings(layers, links);
        if now < best.0 {
            best = (now, layers.to_vec(), links.to_vec());
        }
    }
    layers.clone_from_slice(&best.1);
    links.clone_from_slice(&best.2);
}

/// Pairs of links that cross.
fn crossings(layers: &[Vec<Slot>], links: &[Vec<Link>]) -> usize {
    let mut count = 0;
    for (l, links) in links.iter().enumerate() {
        let mut ends: Vec<(usize, usize)> = links.iter().map(|k| (k.from, k.to)).collect();
        ends.sort_unstable();
        // How many ends so far lie at or below a place, as a Fenwick tree.
        let size = layers[l + 1].len();
        let mut tree = vec![0usize; size + 1];
        for (seen, &(_, to)) in ends.iter().enumerate() {
            let (mut i, mut not_above) = (to + 1, 0);
            while i > 0 {
                not_above += tree[i];
                i &= i - 1;
            }
            count += seen - not_above;
            let mut i = to + 1;
            while i <= size {
                tree[i] += 1;
                i += i & i.wrapping_neg();
            }
        }
    }
    count
}

/// The row of each slot: in order, and as near to its callers as that allows.
fn rows(layers: &[Vec<Slot>], links: &[Vec<Link>]) -> Vec<Vec<usize>> {
    let mut rows: Vec<Vec<usize>> = Vec::with_capacity(layers.len());
    for (l, slots) in layers.iter().enumerate() {
        let mut sums = vec![(0usize, 0usize); slots.len()];
        if l > 0 {
            for k in &links[l - 1] {
                sums[k.to].0 += rows[l - 1][k.from];
                sums[k.to].1 += 1;
            }
        }
        // A layer may not begin so far down that it ends below the longest one.
        let longest = layers.iter().map(Vec::len).max().unwrap_or(0);
        let mut next = 0;
        let mut own = Vec::with_capacity(slots.len());
        for (i, (sum, n)) in sums.into_iter().enumerate() {
            let last = longest.saturating_sub(slots.len() - i);
            let wanted = usize::checked_div(sum, n).map_or(next, |mean| mean.min(last));
            let row = wanted.max(next);
            own.push(row);
            next = row + 1;
        }
        rows.push(own);
    }
    rows
}

/// Lines of one gap: those from the same row share a vertical line; lines that would lie on each other get tracks of
/// their own, as far as there are any.
fn route(links: impl Iterator<Item = (usize, usize, usize)>) -> (Vec<Segment>, usize) {
    let mut by_row: BTreeMap<usize, Vec<(usize, usize)>> = BTreeMap::new();
    for (edge, from, to) in links {
        by_row.entry(from).or_default().push((edge, to));
    }
    let mut taken: Vec<Vec<(usize, usize)>> = Vec::new();
    let mut segments = Vec::new();
    for (from, ends) in by_row {
        let low = ends.iter().map(|e| e.1).min().unwrap_or(from).min(from);
        let high = ends.iter().map(|e| e.1).max().unwrap_or(from).max(from);
        let track = if low == high {
            0
        } else {
            let free = taken.iter().position(|t| t.iter().all(|&(a, b)| high < a || b < low));
            let track = free.unwrap_or(if taken.len() < TRACKS { taken.len() } else { from % TRACKS });
            if track == taken.len() {
                taken.push(Vec::new());
            }
            taken[track].push((low, high));
            track
        };
        segments.extend(ends.into_iter().map(|(edge, to)| Segment { edge, from, to, track }));
    }
    (segments, taken.len().max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn callers_stand_before_what_they_call_and_circles_do_not_matter() {
        let g = Graph::of(5, &[(0, 1), (1, 2), (2, 3), (3, 1), (0, 3), (4, 4)]);
        assert_eq!(g.places.iter().map(|p| p.0).collect::<Vec<_>>(), [0, 1, 2, 3, 0]);
        assert_eq!(g.back, [false, false, false, true, false, false]);
        assert!(g.layers[1].iter().any(|(_, s)| *s == Slot::Through(4)), "the long edge passes: {:?}", g.layers);
    }

    #[test]
    fn crossings_that_can_be_avoided_are_avoided() {
        // Written so that in the order of the numbers every line crosses every other.
        let g = Graph::of(8, &[(0, 7), (1, 6), (2, 5), (3, 4)]);
        for l in &g.gaps[0] {
            assert_eq!(l.from, l.to, "{:?}", g.gaps);
        }
    }

    #[test]
    fn a_graph_of_nothing_is_nothing() {
        assert_eq!(Graph::of(0, &[]), Graph::default());
    }

    proptest! {
        #[test]
        fn whatever_the_graph_no_two_stand_in_one_place_and_every_line_arrives(
            edges in proptest::collection::vec((0usize..14, 0usize..14), 0..40)
        ) {
            let g = Graph::of(14, &edges);
            for layer in &g.layers {
                prop_assert!(layer.windows(2).all(|w| w[0].0 < w[1].0), "{layer:?}");
            }
            for (e, &(a, b)) in edges.iter().enumerate().filter(|(_, (a, b))| a != b) {
                let (a, b) = if g.back[e] { (b, a) } else { (a, b) };
                let (mut row, (last, end)) = (g.places[a].1, g.places[b]);
                prop_assert!(g.places[a].0 < last);
                for l in g.places[a].0..last {
                    let found = g.gaps[l].iter().find(|s| s.edge == e).copied();
                    prop_assert!(found.is_some_and(|s| s.from == row), "{e} in gap {l}");
                    row = found.map_or(0, |s| s.to);
                }
                prop_assert_eq!(row, end);
            }
        }
    }
}
