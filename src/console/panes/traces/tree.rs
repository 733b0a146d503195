//! The rows of a waterfall: spans below the one that waited for them, what is folded left out.
//!
//! Built once per opened trace, in the order in which it is read; folding goes over the rows only. Any trace has rows:
//! a span whose parent is missing begins a tree of its own, and a circle is cut at the span that began first.

use crate::model::trace::Trace;
use std::collections::{HashMap, HashSet};

/// One span in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// The span in [`Trace::spans`].
    pub span: usize,
    /// Spans above it.
    pub depth: usize,
    /// The row after all that is below it.
    pub end: usize,
    /// The row of the span that waited for it.
    pub parent: Option<usize>,
    /// It does again what a span beside it failed to do before.
    pub retry: bool,
}

/// The rows of a trace.
#[derive(Debug, Clone, Default)]
pub struct Rows {
    /// All, each before those below it.
    pub all: Vec<Row>,
    folded: HashSet<usize>,
    /// Rows that are not folded away.
    pub shown: Vec<u32>,
}

impl Rows {
    /// Of a trace, nothing folded.
    pub fn of(trace: &Trace) -> Self {
        let spans = &trace.spans;
        let ids: HashMap<&str, usize> = spans.iter().enumerate().map(|(i, s)| (&*s.id, i)).collect();
        let mut below: Vec<Vec<usize>> = vec![Vec::new(); spans.len()];
        let mut roots = Vec::new();
        for (i, span) in spans.iter().enumerate() {
            match span.parent.as_ref().and_then(|p| ids.get(&**p)) {
                Some(&parent) if parent != i => below[parent].push(i),
                _ => roots.push(i),
            }
        }
        let by_start = |list: &mut Vec<usize>| list.sort_by_key(|&i| (spans[i].start, i));
        below.iter_mut().for_each(by_start);
        by_start(&mut roots);
        let retries = retries(trace, &below);
        let mut rows = Self::default();
        let mut seen = vec![false; spans.len()];
        for root in roots {
            rows.grow(root, &below, &retries, &mut seen);
        }
        // What no root reaches waits for itself in a circle.
        let mut rest: Vec<usize> = (0..spans.len()).filter(|&i| !seen[i]).collect();
        by_start(&mut rest);
        for start in rest {
            rows.grow(start, &below, &retries, &mut seen);
        }
        rows.fold_all();
        rows
    }

    fn grow(&mut self, root: usize, below: &[Vec<usize>], retries: &HashSet<usize>, seen: &mut [bool]) {
        let mut left = vec![(root, 0, None)];
        let mut open: Vec<usize> = Vec::new();
        while let Some((span, depth, parent)) = left.pop() {
            if std::mem::replace(&mut seen[span], true) {
                continue;
            }
            while open.len() > depth {
                self.close(&mut open);
            }
            let at = self.all.len();
            open.push(at);
            self.all.push(Row { span, depth, end: at + 1, parent, retry: retries.contains(&span) });
            left.extend(below[span].iter().rev().map(|&child| (child, depth + 1, Some(at))));
        }
        while !open.is_empty() {
            self.close(&mut open);
        }
    }

    fn close(&mut self, open: &mut Vec<usize>) {
        if let Some(row) = open.pop() {
            self.all[row].end = self.all.len();
        }
    }

    fn fold_all(&mut self) {
        self.shown.clear();
        let mut at = 0;
        while let Some(row) = self.all.get(at) {
            self.shown.push(at as u32);
            at = if self.folded.contains(&at) { row.end } else { at + 1 };
        }
    }

    /// Whether something is below a row.
    pub fn has_below(&self, row: usize) -> bool {
        self.all[row].end > row + 1
    }

    /// Whether what is below a row is hidden.
    pub fn is_folded(&self, row: usize) -> bool {
        self.folded.contains(&row)
    }

    /// Hides or shows what is below a row.
    pub fn fold(&mut self, row: usize, hide: bool) {
        let changed = if hide { self.has_below(row) && self.folded.insert(row) } else { self.folded.remove(&row) };
        if changed {
            self.fold_all();
        }
    }

    /// Shows a row, whatever is folded above it.
    pub fn reveal(&mut self, row: usize) {
        let mut above = self.all[row].parent;
        while let Some(parent) = above {
            self.folded.remove(&parent);
            above = self.all[parent].parent;
        }
        self.fold_all();
    }
}

/// Spans that do again what a span of the same parent did before them, and failed to.
fn retries(trace: &Trace, below: &[Vec<usize>]) -> HashSet<usize> {
    let mut all = HashSet::new();
    for children in below.iter().filter(|c| c.len() > 1) {
        let mut failed: HashMap<(&str, &str), i64> = HashMap::new();
        for &child in children {
            let span = &trace.spans[child];
            let what = (&*span.service, &*span.operation);
            if failed.get(&what).is_some_and(|end| *end <= span.start) {
                all.insert(child);
            }
            if span.error {
                failed.entry(what).and_modify(|end| *end = span.end().min(*end)).or_insert(span.end());
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::trace::Span;

    fn span(id: &str, parent: &str, start: i64, error: bool) -> Span {
        let parent = (!parent.is_empty()).then(|| parent.into());
        Span { id: id.into(), parent, start, duration: 5, error, operation: "get".into(), ..Span::default() }
    }

    fn names(rows: &Rows, t: &Trace) -> String {
        rows.shown.iter().map(|&r| &*t.spans[rows.all[r as usize].span].id).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_folded_span_hides_all_below_it_and_nothing_else() {
        let spans =
            vec![span("a", "", 0, false), span("c", "a", 9, false), span("b", "a", 1, false), span("d", "b", 2, false)];
        let t = Trace { spans, ..Trace::default() };
        let mut rows = Rows::of(&t);
        assert_eq!(names(&rows, &t), "a b d c");
        rows.fold(1, true);
        assert_eq!(names(&rows, &t), "a b c");
        rows.fold(0, true);
        assert_eq!(names(&rows, &t), "a");
        rows.reveal(2);
        assert_eq!(names(&rows, &t), "a b d c");
        rows.fold(3, true);
        assert!(!rows.is_folded(3), "nothing is below it");
    }

    #[test]
    fn every_span_has_a_row_however_broken_the_trace() {
        let spans = vec![
            span("x", "y", 3, false),
            span("y", "x", 2, false),
            span("o", "gone", 1, false),
            span("s", "s", 0, false),
            span("s", "", 4, false),
        ];
        let t = Trace { spans, ..Trace::default() };
        let rows = Rows::of(&t);
        let mut spans: Vec<usize> = rows.all.iter().map(|r| r.span).collect();
        spans.sort_unstable();
        assert_eq!(spans, [0, 1, 2, 3, 4]);
        assert!(rows.all.iter().enumerate().all(|(i, r)| r.end > i && r.end <= 5));
    }

    #[test]
    fn again_after_a_failure_is_a_retry_and_beside_it_is_not() {
        let spans =
            vec![span("a", "", 0, false), span("1", "a", 0, true), span("2", "a", 6, true), span("3", "a", 7, false)];
        let rows = Rows::of(&Trace { spans, ..Trace::default() });
        assert_eq!(rows.all.iter().map(|r| r.retry).collect::<Vec<_>>(), [false, false, true, true]);
    }

    #[test]
    fn a_hundred_thousand_deep_is_no_matter() {
        let spans = (0..100_000).map(|i| span(&i.to_string(), &(i - 1).to_string(), i, false)).collect();
        let rows = Rows::of(&Trace { spans, ..Trace::default() });
        assert_eq!((rows.all.len(), rows.all[99_999].depth), (100_000, 99_999));
    }
}
