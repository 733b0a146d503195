//! Samples in memory, for tests.

use super::storage::{Labels, Match, Matcher, Meta, Sample, Series, Storage};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Series with all their samples.
#[derive(Default)]
pub struct Memory {
    series: Vec<Arc<Stored>>,
}

struct Stored {
    labels: Labels,
    samples: Vec<Sample>,
}

impl Series for Stored {
    fn labels(&self) -> &Labels {
        &self.labels
    }

    fn samples(&self, after: i64, to: i64, out: &mut Vec<Sample>) {
        let from = self.samples.partition_point(|s| s.at <= after);
        let until = self.samples.partition_point(|s| s.at <= to);
        out.extend_from_slice(&self.samples[from.min(until)..until]);
    }
}

impl Memory {
    /// Adds a series; its samples are in order of time (milliseconds).
    pub fn add(&mut self, labels: &[(&str, &str)], samples: impl IntoIterator<Item = (i64, f64)>) {
        let labels: BTreeMap<_, _> = labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let samples = samples.into_iter().map(|(at, value)| Sample { at, value }).collect();
        self.series.push(Arc::new(Stored { labels: Arc::new(labels), samples }));
    }
}

impl Storage for Memory {
    fn select(&self, matchers: &[Matcher], after: i64, to: i64) -> Vec<Arc<dyn Series>> {
        let matches = |s: &Stored| {
            let fits = |(label, how): &Matcher| how.matches(s.labels.get(label).map_or("", String::as_str));
            // The cheap ones first.
            let (equal, rest): (Vec<_>, Vec<_>) = matchers.iter().partition(|(_, how)| matches!(how, Match::Equal(_)));
            equal.into_iter().all(fits) && rest.into_iter().all(fits)
        };
        let live = |s: &Stored| s.samples.iter().any(|p| p.at > after && p.at <= to);
        self.series.iter().filter(|s| matches(s) && live(s)).map(|s| s.clone() as Arc<dyn Series>).collect()
    }

    fn metadata(&self) -> BTreeMap<String, Meta> {
        BTreeMap::new()
    }

    fn oldest(&self) -> i64 {
        self.series.iter().filter_map(|s| s.samples.first()).map(|s| s.at).min().unwrap_or(0)
    }
}
