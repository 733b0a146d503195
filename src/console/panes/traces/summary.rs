//! What the list tells of a trace, and how durations are written.

use crate::model::time::Timestamp;
use crate::model::trace::Trace;
use chrono::DateTime;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// A trace in a line.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Summary {
    /// First start, nanoseconds since the Unix epoch.
    pub start: i64,
    /// From the first start to the last end, nanoseconds.
    pub duration: i64,
    /// Spans that failed.
    pub errors: usize,
    /// Services that took part.
    pub services: usize,
    /// The span that stands for the whole: without a parent in the trace, the first to begin; of equals the longest.
    pub root: Option<usize>,
}

impl Summary {
    /// Of a trace.
    pub fn of(trace: &Trace) -> Self {
        let Some((start, end)) = trace.extent() else { return Self::default() };
        let ids: HashSet<&str> = trace.spans.iter().map(|s| &*s.id).collect();
        let root = |s: &crate::model::trace::Span| s.parent.as_ref().is_none_or(|p| !ids.contains(&**p));
        let roots = trace.spans.iter().enumerate().filter(|(_, s)| root(s));
        Self {
            start,
            duration: end.saturating_sub(start),
            errors: trace.spans.iter().filter(|s| s.error).count(),
            services: trace.spans.iter().map(|s| &*s.service).collect::<HashSet<_>>().len(),
            root: roots.min_by_key(|(_, s)| (s.start, std::cmp::Reverse(s.duration))).map(|(i, _)| i),
        }
    }

    /// When it began.
    pub fn at(&self) -> Timestamp {
        DateTime::from_timestamp_nanos(self.start)
    }
}

/// Summaries of the traces of a world; those of traces that were there before are kept.
#[derive(Debug, Default)]
pub struct Summaries {
    /// In the order of the traces.
    pub all: Vec<(Arc<Trace>, Summary)>,
}

impl Summaries {
    /// Takes the traces that are kept now.
    pub fn take(&mut self, kept: &[Arc<Trace>]) {
        // Addresses tell traces apart: all of both lists are held while they are compared.
        let before = std::mem::take(&mut self.all);
        let mut old: HashMap<usize, Summary> =
            before.iter().map(|(t, s)| (Arc::as_ptr(t) as usize, s.clone())).collect();
        self.all = kept
            .iter()
            .map(|t| {
                let known = old.remove(&(Arc::as_ptr(t) as usize));
                (t.clone(), known.unwrap_or_else(|| Summary::of(t)))
            })
            .collect();
    }
}

/// Nanoseconds as people read them: `850ns`, `12us`, `4.2ms`, `1.25s`, `3m12s`.
pub fn nanos(ns: i64) -> String {
    match ns {
        ..1_000 => format!("{ns}ns"),
        1_000..1_000_000 => format!("{}us", ns / 1_000),
        1_000_000..10_000_000 => format!("{:.1}ms", ns as f64 / 1e6),
        10_000_000..1_000_000_000 => format!("{}ms", ns / 1_000_000),
        1_000_000_000..120_000_000_000 => format!("{:.2}s", ns as f64 / 1e9),
        _ => crate::model::time::short(chrono::TimeDelta::nanoseconds(ns)),
    }
}
