//! The tree of a trace: who waited for whom, with clocks that disagree put right.
//!
//! Spans come from many machines and through lossy pipes. A parent may be missing, an id may come twice, spans may wait
//! for each other in a circle, and a server's clock may run beside its client's. None of it is an error: it is mended,
//! and counted.

use crate::model::trace::{Span, SpanKind, Trace};
use std::collections::HashMap;

/// How much longer than its client's a server's span may be and still be that call: two clocks never tick quite alike.
const LONGER: f64 = 1.01;

/// What was mended, for the reader to know how far to trust the rest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Mended {
    /// Ids that came more than once; the last span with an id counts.
    pub duplicates: usize,
    /// Spans whose parent is not in the trace.
    pub orphans: usize,
    /// Spans that the root does not reach: other roots' trees, circles, and what follows without being waited for.
    pub apart: usize,
    /// Spans moved into their client's time, because two clocks disagreed.
    pub moved: usize,
    /// Spans cut to the time of their parent.
    pub cut: usize,
    /// Spans that lay outside of their parent's time or all around it, and all below them: nobody waited for them.
    pub outside: usize,
}

/// A node: a span with its times as they are believed.
#[derive(Debug, Clone, Default)]
pub struct Node {
    /// The span in [`Trace::spans`].
    pub span: usize,
    /// The node that waited for it; the root has none.
    pub parent: Option<usize>,
    /// Those it waited for, in the order of the source.
    pub children: Vec<usize>,
    /// When it began, nanoseconds.
    pub start: i64,
    /// How long it took, nanoseconds.
    pub duration: i64,
}

impl Node {
    /// When it ended.
    pub fn end(&self) -> i64 {
        self.start.saturating_add(self.duration)
    }
}

/// A tree with its root first; children come after their parents.
#[derive(Debug, Clone)]
pub struct Tree {
    /// The root and all that it reaches.
    pub nodes: Vec<Node>,
    /// Spans that nobody waited for, and spans whose parent is unknown.
    pub roots: usize,
    /// What was mended.
    pub mended: Mended,
}

impl Tree {
    /// The tree of the trace's main root: of those that name no parent, the longest; if all name one, the longest whose
    /// parent is missing; of equals the first. `None`: no span is a root (the trace is empty, or one circle).
    pub fn of(trace: &Trace) -> Option<Self> {
        let mut mended = Mended::default();
        let links = Links::of(trace, &mut mended);
        let root = links.main(trace)?;
        let mut tree = Self { nodes: Vec::new(), roots: links.roots.len(), mended };
        tree.grow(trace, &links, root);
        tree.mended.apart = links.spans - tree.nodes.len() - tree.mended.outside;
        Some(tree)
    }

    /// Adds the root and all below it. Each span has one parent, so that no circle can be reached from a root.
    fn grow(&mut self, trace: &Trace, links: &Links, root: usize) {
        let spans = &trace.spans;
        let first = Node { span: root, start: spans[root].start, duration: spans[root].duration, ..Node::default() };
        self.nodes.push(first);
        let mut offsets = vec![0i64];
        let mut next = 0;
        while next < self.nodes.len() {
            let (parent, offset) = (next, offsets[next]);
            let below = links.children(self.nodes[parent].span);
            for &span in below {
                let node = Node { span, parent: Some(parent), ..Node::default() };
                match self.place(trace, node, offset, below.len() == 1) {
                    Some((node, offset)) => {
                        let at = self.nodes.len();
                        self.nodes[parent].children.push(at);
                        self.nodes.push(node);
                        offsets.push(offset);
                    }
                    None => self.mended.outside += links.size(span),
                }
            }
            next += 1;
        }
    }

    /// The times of a node within its parent's, and by how much the clocks below it are shifted; `None` if nothing of it
    /// lies there.
    fn place(&mut self, trace: &Trace, mut node: Node, offset: i64, alone: bool) -> Option<(Node, i64)> {
        let parent = &self.nodes[node.parent?];
        let (span, above) = (&trace.spans[node.span], &trace.spans[parent.span]);
        let caller = parent.parent.map(|p| &trace.spans[self.nodes[p].span]);
        node.start = span.start.saturating_add(offset);
        node.duration = span.duration;
        let (from, to) = (parent.start, parent.end());
        if alone && is_call(caller, above, span) && node.duration as f64 <= LONGER * parent.duration as f64 {
            // The same call seen from both ends: what sticks out is the clock.
            node.duration = node.duration.min(parent.duration);
            if node.start < from || node.end() > to {
                let wanted = from.saturating_add((parent.duration - node.duration) / 2);
                let shift = wanted.saturating_sub(node.start);
                node.start = wanted;
                self.mended.moved += 1;
                return Some((node, offset.saturating_add(shift)));
            }
            return Some((node, offset));
        }
        let (start, end) = (node.start.max(from), node.end().min(to));
        let untouched = (start, end) == (node.start, node.end());
        // What sticks out on both sides took longer than the parent: it cannot have been waited for.
        if !untouched && (start >= end || (start > node.start && end < node.end())) {
            return None;
        }
        self.mended.cut += usize::from(!untouched);
        (node.start, node.duration) = (start, end - start);
        Some((node, offset))
    }
}

/// Whether `span` serves the call that `above` made, on another clock.
fn is_call(caller: Option<&Span>, above: &Span, span: &Span) -> bool {
    let client = above.kind == SpanKind::Client;
    let within = above.kind != SpanKind::Server && caller.is_some_and(|c| c.kind == SpanKind::Server);
    let other_host = matches!((&above.host, &span.host), (Some(a), Some(b)) if a != b);
    other_host || span.kind == SpanKind::Server && (client || within)
}

/// Who is whose child, before any time is looked at.
struct Links {
    /// Spans that count.
    spans: usize,
    /// Children of span `i`: `list[from[i]..from[i + 1]]`.
    from: Vec<usize>,
    list: Vec<usize>,
    /// Spans without a parent in the trace, and whether they name one.
    roots: Vec<(usize, bool)>,
}

impl Links {
    fn of(trace: &Trace, mended: &mut Mended) -> Self {
        let spans = &trace.spans;
        let mut by_id: HashMap<&str, usize> = HashMap::with_capacity(spans.len());
        for (i, span) in spans.iter().enumerate() {
            mended.duplicates += usize::from(by_id.insert(&span.id, i).is_some());
        }
        let mut roots = Vec::new();
        let mut parents = vec![None; spans.len()];
        let mut from = vec![0; spans.len() + 1];
        for (i, span) in spans.iter().enumerate().filter(|(i, s)| by_id[&*s.id] == *i) {
            let parent = span.parent.as_ref().map(|p| by_id.get(&**p).copied());
            match parent {
                Some(Some(parent)) if !span.detached => {
                    parents[i] = Some(parent);
                    from[parent + 1] += 1;
                }
                Some(None) => {
                    mended.orphans += 1;
                    roots.push((i, true));
                }
                _ => roots.push((i, span.detached)),
            }
        }
        (1..from.len()).for_each(|i| from[i] += from[i - 1]);
        let mut at = from.clone();
        let mut list = vec![0; from[spans.len()]];
        for (i, parent) in parents.into_iter().enumerate() {
            if let Some(parent) = parent {
                list[at[parent]] = i;
                at[parent] += 1;
            }
        }
        Self { spans: by_id.len(), from, list, roots }
    }

    fn children(&self, span: usize) -> &[usize] {
        &self.list[self.from[span]..self.from[span + 1]]
    }

    /// A span and all below it.
    fn size(&self, span: usize) -> usize {
        let (mut count, mut left) = (0, vec![span]);
        while let Some(span) = left.pop() {
            count += 1;
            left.extend(self.children(span));
        }
        count
    }

    fn main(&self, trace: &Trace) -> Option<usize> {
        let key = |&(i, orphan): &(usize, bool)| (orphan, -i128::from(trace.spans[i].duration), i);
        self.roots.iter().min_by_key(|r| key(r)).map(|r| r.0)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A span of service `S` with an operation like its id.
    pub fn span(id: &str, parent: &str, start: i64, end: i64) -> Span {
        Span {
            id: id.into(),
            parent: (!parent.is_empty()).then(|| parent.into()),
            detached: false,
            service: "S".into(),
            operation: id.into(),
            kind: SpanKind::Internal,
            start,
            duration: end - start,
            error: false,
            host: None,
            ..Span::default()
        }
    }

    pub fn trace(spans: Vec<Span>) -> Trace {
        Trace { id: "t".into(), spans, negative: 0 }
    }

    fn times(tree: &Tree, trace: &Trace) -> Vec<(String, i64, i64)> {
        tree.nodes.iter().map(|n| (trace.spans[n.span].id.to_string(), n.start, n.end())).collect()
    }

    fn is(id: &str, start: i64, end: i64) -> (String, i64, i64) {
        (id.to_owned(), start, end)
    }

    #[test]
    fn children_are_cut_to_their_parent_and_those_outside_or_around_it_are_left_out_with_all_below_them() {
        let t = trace(vec![
            span("a", "", 0, 100),
            span("early", "a", -10, 20),
            span("late", "a", 90, 120),
            span("below", "late", 95, 130),
            span("after", "a", 110, 120),
            span("under", "after", 111, 115),
            span("around", "a", -1, 101),
        ]);
        let tree = Tree::of(&t).unwrap();
        assert_eq!(times(&tree, &t), [is("a", 0, 100), is("early", 0, 20), is("late", 90, 100), is("below", 95, 100)]);
        assert_eq!(tree.mended, Mended { cut: 3, outside: 3, ..Mended::default() });
    }

    #[test]
    fn a_server_whose_clock_is_off_is_moved_into_its_call_with_all_below_it() {
        let mut client = span("client", "a", 100, 200);
        client.kind = SpanKind::Client;
        let mut server = span("server", "client", 1000, 1080);
        server.kind = SpanKind::Server;
        let t = trace(vec![span("a", "", 0, 300), client, server, span("query", "server", 1010, 1050)]);
        let tree = Tree::of(&t).unwrap();
        assert_eq!(times(&tree, &t)[2..], [is("server", 110, 190), is("query", 120, 160)]);
        assert_eq!(tree.mended, Mended { moved: 1, ..Mended::default() });
    }

    #[test]
    fn two_hosts_are_two_clocks_but_a_longer_span_is_no_such_call() {
        let mut above = span("a", "", 0, 100);
        above.host = Some("one".into());
        let mut below = span("b", "a", 50, 150);
        below.host = Some("two".into());
        let t = trace(vec![above.clone(), below.clone()]);
        assert_eq!(times(&Tree::of(&t).unwrap(), &t)[1], is("b", 0, 100));
        below.duration = 160;
        let t = trace(vec![above, below]);
        assert_eq!(times(&Tree::of(&t).unwrap(), &t)[1], is("b", 50, 100));
    }

    #[test]
    fn the_root_names_no_parent_and_is_the_longest_such() {
        let t = trace(vec![
            span("lost", "gone", 0, 900),
            span("short", "", 0, 10),
            span("long", "", 5, 100),
            span("child", "long", 10, 20),
        ]);
        let tree = Tree::of(&t).unwrap();
        assert_eq!(times(&tree, &t), [is("long", 5, 100), is("child", 10, 20)]);
        assert_eq!((tree.roots, tree.mended), (3, Mended { orphans: 1, apart: 2, ..Mended::default() }));
        let t = trace(vec![span("lost", "gone", 0, 900), span("child", "lost", 1, 2)]);
        assert_eq!(Tree::of(&t).unwrap().nodes.len(), 2, "a piece of a trace is better than nothing");
    }

    #[test]
    fn what_nobody_waited_for_stands_apart() {
        let mut later = span("later", "a", 10, 90);
        later.detached = true;
        let t = trace(vec![span("a", "", 0, 50), later]);
        let tree = Tree::of(&t).unwrap();
        assert_eq!((tree.nodes.len(), tree.mended.apart), (1, 1));
    }

    #[test]
    fn circles_duplicates_and_nothing_at_all_have_an_answer() {
        assert!(Tree::of(&trace(vec![])).is_none());
        assert!(Tree::of(&trace(vec![span("a", "b", 0, 1), span("b", "a", 0, 1)])).is_none());
        assert!(Tree::of(&trace(vec![span("a", "a", 0, 1)])).is_none());
        let t = trace(vec![span("a", "", 0, 9), span("b", "a", 0, 1), span("b", "a", 2, 5), span("x", "x", 0, 1)]);
        let tree = Tree::of(&t).unwrap();
        assert_eq!(times(&tree, &t), [is("a", 0, 9), is("b", 2, 5)]);
        assert_eq!(tree.mended, Mended { duplicates: 1, apart: 1, ..Mended::default() });
    }

    #[test]
    fn the_greatest_times_there_are_do_not_overflow() {
        let t = trace(vec![
            Span { duration: i64::MAX, ..span("a", "", i64::MAX - 1, i64::MAX) },
            Span { start: i64::MIN, duration: i64::MAX, ..span("b", "a", 0, 0) },
            span("c", "a", i64::MAX - 1, i64::MAX),
        ]);
        assert!(Tree::of(&t).is_some());
    }
}
