//! The critical path of a trace: the spans whose shortening would have shortened the whole (CRISP, Zhang et al., USENIX
//! ATC 2022).
//!
//! From a span's end backwards: the child that finished last held it up, before that one the child that finished last
//! before it began, and so on; the same within each of them. What no such child accounts for is the span's own.

use super::tree::{Mended, Tree};
use crate::model::trace::Trace;
use std::collections::BTreeMap;

/// Share of the parent's time by which a child may seem to begin before the one before it ended: two clocks.
const OVERLAP: f64 = 0.01;

/// A span on the critical path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// The span in [`Trace::spans`].
    pub span: usize,
    /// The step that waited for it: an index into [`CriticalPath::steps`]; the root has none.
    pub parent: Option<usize>,
    /// How long it took, nanoseconds, within the time of its parent.
    pub duration: i64,
    /// What of it no other step accounts for, nanoseconds; never negative.
    pub own: i64,
}

/// The critical path of one trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CriticalPath {
    /// The root first; parents come before what they waited for.
    pub steps: Vec<Step>,
    /// Roots of the trace; the path is that of the main one.
    pub roots: usize,
    /// What had to be mended in the trace.
    pub mended: Mended,
}

impl CriticalPath {
    /// Of a trace; `None` if it has no root.
    pub fn of(trace: &Trace) -> Option<Self> {
        let tree = Tree::of(trace)?;
        Some(Self { steps: steps(&tree, 0), roots: tree.roots, mended: tree.mended })
    }

    /// Own time by `[service] operation`, nanoseconds.
    pub fn by_operation(&self, trace: &Trace) -> BTreeMap<String, i64> {
        let mut sums = BTreeMap::new();
        for step in &self.steps {
            *sums.entry(trace.spans[step.span].name()).or_default() += step.own;
        }
        sums
    }
}

/// The critical path of a node of a tree and of what it waited for; the node itself first.
pub fn steps(tree: &Tree, node: usize) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut left = vec![(node, None)];
    while let Some((node, parent)) = left.pop() {
        let duration = tree.nodes[node].duration;
        let at = steps.len();
        steps.push(Step { span: tree.nodes[node].span, parent, duration, own: duration });
        left.extend(waited_for(tree, node).into_iter().map(|child| (child, Some(at))));
    }
    for at in 1..steps.len() {
        if let Some(parent) = steps[at].parent {
            // Children that seem to overlap a little may add up to a little more than their parent.
            steps[parent].own = (steps[parent].own - steps[at].duration).max(0);
        }
    }
    steps
}

/// The children that held a node up, the last one first.
fn waited_for(tree: &Tree, node: usize) -> Vec<usize> {
    let parent = &tree.nodes[node];
    let mut children = parent.children.clone();
    if children.len() < 2 {
        return children;
    }
    let (start, end) = (|c: usize| tree.nodes[c].start, |c: usize| tree.nodes[c].end());
    // Of two that end together, the one told later.
    children.sort_by_key(|&c| (-i128::from(end(c)), std::cmp::Reverse(c)));
    let edges = Edges::of(tree, &children);
    let slack = |one: usize, next: usize| {
        let overlap = end(one).saturating_sub(start(next));
        end(one) < end(next)
            && start(one) < start(next)
            && (overlap as f64) < OVERLAP * parent.duration as f64
            // Nobody else begins or ends just there, which would be work beside each other.
            && edges.within(start(next), end(one)) == 2
    };
    let mut path = vec![children[0]];
    let mut next = children[0];
    for &child in &children[1..] {
        if end(child) <= start(next) || slack(child, next) {
            path.push(child);
            next = child;
        }
    }
    path
}

/// When siblings begin and end.
struct Edges(Vec<i64>);

impl Edges {
    fn of(tree: &Tree, nodes: &[usize]) -> Self {
        let mut times: Vec<i64> = nodes.iter().flat_map(|&n| [tree.nodes[n].start, tree.nodes[n].end()]).collect();
        times.sort_unstable();
        Self(times)
    }

    /// How many lie in `from..=to`.
    fn within(&self, from: i64, to: i64) -> usize {
        self.0.partition_point(|t| *t <= to) - self.0.partition_point(|t| *t < from)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tree::tests::{span, trace};
    use super::*;
    use crate::model::trace::{Span, SpanKind};
    use proptest::prelude::*;

    fn own(spans: Vec<Span>) -> Vec<(String, i64)> {
        let trace = trace(spans);
        let path = CriticalPath::of(&trace).unwrap();
        path.by_operation(&trace).into_iter().map(|(name, t)| (name.replace("[S] ", ""), t)).collect()
    }

    fn is(list: &[(&str, i64)]) -> Vec<(String, i64)> {
        list.iter().map(|(n, t)| ((*n).to_owned(), *t)).collect()
    }

    #[test]
    fn calls_one_after_the_other_are_all_on_the_path_and_the_gaps_are_the_parents() {
        let spans = vec![span("a", "", 0, 100), span("b", "a", 10, 30), span("c", "a", 30, 50), span("d", "c", 35, 40)];
        assert_eq!(own(spans), is(&[("a", 60), ("b", 20), ("c", 15), ("d", 5)]));
    }

    #[test]
    fn of_calls_beside_each_other_the_last_to_finish_counts() {
        let fan = vec![
            span("a", "", 0, 100),
            span("fast", "a", 10, 40),
            span("slow", "a", 10, 80),
            span("first", "a", 0, 9),
            span("aside", "slow", 20, 30),
        ];
        assert_eq!(own(fan), is(&[("a", 21), ("aside", 10), ("first", 9), ("slow", 60)]));
    }

    #[test]
    fn retries_add_up_under_one_name() {
        let again = |id: &str, from, to| Span { operation: "get".into(), ..span(id, "a", from, to) };
        let spans = vec![span("a", "", 0, 100), again("1", 0, 30), again("2", 40, 70), again("3", 71, 99)];
        assert_eq!(own(spans), is(&[("a", 12), ("get", 88)]));
    }

    #[test]
    fn a_little_overlap_is_two_clocks_but_not_where_a_third_call_begins_or_ends() {
        let spans = vec![span("a", "", 0, 1000), span("b", "a", 0, 505), span("c", "a", 500, 1000)];
        assert_eq!(own(spans.clone()), is(&[("a", 0), ("b", 505), ("c", 500)]), "and nobody's time is negative");
        let third = [spans, vec![span("d", "a", 502, 503)]].concat();
        assert_eq!(own(third), is(&[("a", 500), ("c", 500)]));
        let much = vec![span("a", "", 0, 1000), span("b", "a", 0, 520), span("c", "a", 500, 1000)];
        assert_eq!(own(much), is(&[("a", 500), ("c", 500)]));
    }

    #[test]
    fn a_child_that_outlives_its_parent_counts_for_as_long_as_the_parent_lived() {
        let spans = vec![span("a", "", 0, 100), span("b", "a", 60, 500)];
        assert_eq!(own(spans), is(&[("a", 60), ("b", 40)]));
    }

    #[test]
    fn a_thousand_steps_deep_and_wide_take_no_stack() {
        let deep = (0..100_000).map(|i| span(&i.to_string(), &(i32::max(i, 1) - 1).to_string(), 0, 1_000_000));
        let mut deep: Vec<Span> = deep.collect();
        deep[0].parent = None;
        let t = trace(deep);
        assert_eq!(CriticalPath::of(&t).unwrap().steps.len(), 100_000);
        let wide = (0..100_000).map(|i| span(&i.to_string(), "root", i * 10, i * 10 + 11));
        let t = trace(std::iter::once(span("root", "", 0, 1_000_001)).chain(wide).collect());
        assert_eq!(CriticalPath::of(&t).unwrap().steps.len(), 100_001, "each overlaps the next by a little");
    }

    fn any_span(n: usize) -> impl Strategy<Value = Span> {
        let kinds = prop_oneof![Just(SpanKind::Internal), Just(SpanKind::Server), Just(SpanKind::Client)];
        (0..n, 0..n + 2, -50..50i64, 0..100i64, kinds, any::<bool>()).prop_map(
            move |(id, parent, start, d, kind, det)| {
                let parent = if parent >= n { String::new() } else { parent.to_string() };
                Span { kind, detached: det && id % 7 == 0, ..span(&id.to_string(), &parent, start, start + d) }
            },
        )
    }

    proptest! {
        #[test]
        fn whatever_the_trace_steps_hang_together_and_nothing_is_negative(
            spans in proptest::collection::vec(any_span(12), 0..30)
        ) {
            let t = trace(spans);
            if let Some(path) = CriticalPath::of(&t) {
                for (i, step) in path.steps.iter().enumerate() {
                    prop_assert!(step.own >= 0 && step.own <= step.duration);
                    prop_assert!(step.parent.is_none_or(|p| p < i && path.steps[p].duration >= step.duration));
                }
                prop_assert!(path.steps[0].parent.is_none());
                let known = path.steps.len() + path.mended.outside + path.mended.apart + path.mended.duplicates;
                prop_assert!(known <= t.spans.len(), "{:?}", path.mended);
            }
        }
    }
}
