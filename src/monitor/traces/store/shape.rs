//! What can be told of a trace that has just come together: its root, and what is odd about it.

use crate::model::trace::{Span, Trace};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Takes out spans that are there twice, sent again by an exporter or by two collectors. How many they were, and how many
/// others share an id.
pub fn unique(trace: &mut Trace) -> (usize, usize) {
    let before = trace.spans.len();
    let mut seen: HashMap<Arc<str>, Vec<(i64, i64, Arc<str>, Arc<str>)>> = HashMap::with_capacity(before);
    let mut shared = 0;
    trace.spans.retain(|s| {
        let same = seen.entry(s.id.clone()).or_default();
        let this = (s.start, s.duration, s.service.clone(), s.operation.clone());
        // Bounded, for one id with many faces is nobody's.
        if same.contains(&this) || same.len() >= 8 {
            return false;
        }
        shared += usize::from(!same.is_empty());
        same.push(this);
        true
    });
    (before - trace.spans.len(), shared)
}

/// The span that the trace began with: the earliest without a parent, else the earliest whose parent is missing, else the
/// earliest.
pub fn root(trace: &Trace) -> Option<&Span> {
    let ids: HashSet<&str> = trace.spans.iter().map(|s| &*s.id).collect();
    trace.spans.iter().min_by_key(|s| {
        let rank = match &s.parent {
            None => 0,
            Some(p) if !ids.contains(&**p) => 1,
            Some(_) => 2,
        };
        (rank, s.start)
    })
}

/// Spans whose parent is missing, and spans that are their own ancestors.
pub fn astray(trace: &Trace) -> (usize, usize) {
    let at: HashMap<&str, usize> = trace.spans.iter().enumerate().map(|(i, s)| (&*s.id, i)).collect();
    let parent: Vec<Option<usize>> =
        trace.spans.iter().map(|s| s.parent.as_ref().and_then(|p| at.get(&**p).copied())).collect();
    let orphans = trace.spans.iter().zip(&parent).filter(|(s, p)| s.parent.is_some() && p.is_none()).count();
    // 0: not seen; a walk's own number: on it; walks never meet a number twice but where they close a circle.
    let mut walk = vec![0usize; parent.len()];
    let mut circle = 0;
    for start in 0..parent.len() {
        let mut next = Some(start);
        while let Some(i) = next {
            if walk[i] != 0 {
                if walk[i] == start + 1 {
                    let mut j = i;
                    loop {
                        circle += 1;
                        j = parent[j].unwrap_or(i);
                        if j == i {
                            break;
                        }
                    }
                }
                break;
            }
            walk[i] = start + 1;
            next = parent[i];
        }
    }
    (orphans, circle)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace(spans: &[(&str, Option<&str>, i64)]) -> Trace {
        let span = |(id, parent, start): &(&str, Option<&str>, i64)| Span {
            id: (*id).into(),
            parent: parent.map(Into::into),
            start: *start,
            ..Span::default()
        };
        Trace { id: "t".into(), spans: spans.iter().map(span).collect(), negative: 0 }
    }

    #[test]
    fn the_root_is_found_also_where_there_is_none() {
        let id = |t: &Trace| root(t).map(|s| s.id.to_string());
        assert_eq!(id(&trace(&[("b", Some("a"), 0), ("a", None, 5)])).as_deref(), Some("a"));
        assert_eq!(id(&trace(&[("c", Some("b"), 0), ("b", Some("gone"), 5)])).as_deref(), Some("b"));
        assert_eq!(id(&trace(&[("a", Some("b"), 3), ("b", Some("a"), 2)])).as_deref(), Some("b"));
        assert_eq!(id(&trace(&[])), None);
    }

    #[test]
    fn orphans_and_circles_are_counted_each_once() {
        assert_eq!(astray(&trace(&[("a", None, 0), ("b", Some("a"), 0), ("c", Some("x"), 0)])), (1, 0));
        // Two in a circle, one hanging on it, and one that is its own parent.
        let t = trace(&[("d", Some("b"), 0), ("b", Some("c"), 0), ("c", Some("b"), 0), ("e", Some("e"), 0)]);
        assert_eq!(astray(&t), (0, 3));
        let long: Vec<String> = (0..50_000).map(|i| i.to_string()).collect();
        let chain: Vec<_> = (0..50_000).map(|i| (&*long[i], (i > 0).then(|| &*long[i - 1]), 0)).collect();
        assert_eq!(astray(&trace(&chain)), (0, 0));
    }

    #[test]
    fn the_same_span_again_goes_and_another_with_its_id_stays() {
        let mut t = trace(&[("a", None, 0), ("a", None, 0), ("a", None, 7), ("b", None, 0)]);
        assert_eq!(unique(&mut t), (1, 1));
        assert_eq!(t.spans.len(), 3);
    }
}
