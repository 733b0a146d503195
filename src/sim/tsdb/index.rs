//! All stored series, by metric name.

use super::series::{Grid, Stored};
use crate::sim::promql::storage::{Labels, Matcher, Sample, Series};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

/// What a query wants of a label.
pub fn wanted<'a>(matchers: &'a [Matcher], name: &'a str) -> impl Iterator<Item = &'a Matcher> {
    matchers.iter().filter(move |(n, _)| n == name)
}

/// Whether labels satisfy all matchers.
pub fn matches(labels: &Labels, matchers: &[Matcher]) -> bool {
    matchers.iter().all(|(name, m)| m.matches(labels.get(name).map_or("", String::as_str)))
}

/// The metric's name.
pub fn name(labels: &Labels) -> &str {
    labels.get("__name__").map_or("", String::as_str)
}

/// A series of recorded samples, at any times.
#[derive(Debug)]
pub struct Recorded {
    labels: Labels,
    samples: Mutex<Vec<Sample>>,
}

impl Recorded {
    fn with<T>(&self, f: impl FnOnce(&mut Vec<Sample>) -> T) -> T {
        f(&mut self.samples.lock().expect("no panic while a series is held"))
    }

    /// Appends a sample; one that is not newer than the last is dropped, as Prometheus drops it.
    pub fn push(&self, sample: Sample) {
        self.with(|all| {
            if all.last().is_none_or(|l| l.at < sample.at) {
                all.push(sample);
            }
        });
    }

    /// Whether it has a sample with `after < at <= to`.
    pub fn any(&self, after: i64, to: i64) -> bool {
        self.with(|all| all.get(all.partition_point(|s| s.at <= after)).is_some_and(|s| s.at <= to))
    }

    /// The series with the samples it has now: `after < at <= to`.
    pub fn seen(&self, after: i64, to: i64) -> Copied {
        let samples =
            self.with(|all| all[all.partition_point(|s| s.at <= after)..all.partition_point(|s| s.at <= to)].to_vec());
        Copied { labels: self.labels.clone(), samples }
    }
}

/// A series that holds its samples.
pub struct Copied {
    labels: Labels,
    samples: Vec<Sample>,
}

impl Series for Copied {
    fn labels(&self) -> &Labels {
        &self.labels
    }

    fn samples(&self, after: i64, to: i64, out: &mut Vec<Sample>) {
        let from = self.samples.partition_point(|s| s.at <= after);
        out.extend(self.samples[from..].iter().take_while(|s| s.at <= to));
    }
}

/// All stored series.
#[derive(Debug, Default)]
pub struct Index {
    /// Scraped, by name, each list ordered by labels: queries want them so.
    pub scraped: BTreeMap<Box<str>, Vec<Arc<Stored>>>,
    by_labels: HashMap<Labels, Arc<Stored>>,
    /// Recorded, by name and labels.
    pub recorded: BTreeMap<Box<str>, BTreeMap<Labels, Arc<Recorded>>>,
}

impl Index {
    /// The series with these labels, made if need be.
    pub fn series(&mut self, labels: BTreeMap<String, String>, grid: &Arc<Grid>) -> Arc<Stored> {
        if let Some(known) = self.by_labels.get(&labels) {
            return known.clone();
        }
        let labels = Arc::new(labels);
        let series = Arc::new(Stored::new(labels.clone(), grid.clone()));
        let list = self.scraped.entry(name(&labels).into()).or_default();
        let place = list.partition_point(|s| *s.labels() < labels);
        list.insert(place, series.clone());
        self.by_labels.insert(labels, series.clone());
        series
    }

    /// The recorded series with these labels, made if need be.
    pub fn recorded(&mut self, labels: &Labels) -> Arc<Recorded> {
        if let Some(known) = self.known(labels) {
            return known.clone();
        }
        let series = Arc::new(Recorded { labels: labels.clone(), samples: Mutex::default() });
        self.recorded.entry(name(labels).into()).or_default().insert(labels.clone(), series.clone());
        series
    }

    /// The recorded series with these labels, if there is one.
    pub fn known(&self, labels: &Labels) -> Option<&Arc<Recorded>> {
        self.recorded.get(name(labels))?.get(labels)
    }

    /// How many series there are.
    pub fn len(&self) -> usize {
        self.by_labels.len() + self.recorded.values().map(BTreeMap::len).sum::<usize>()
    }

    /// Forgets what was before scrape `n` of any grid, and the series of which nothing is left.
    pub fn forget(&mut self, n: u32) {
        let by_labels = &mut self.by_labels;
        for list in self.scraped.values_mut() {
            list.retain(|s| {
                let stays = s.forget(n);
                if !stays {
                    by_labels.remove(s.labels());
                }
                stays
            });
        }
        self.scraped.retain(|_, list| !list.is_empty());
        let before = i64::from(n) * super::series::STEP;
        let stays = |r: &Recorded| {
            r.with(|all| {
                let gone = all.partition_point(|s| s.at < before);
                all.drain(..gone);
                !all.is_empty()
            })
        };
        self.recorded.retain(|_, list| {
            list.retain(|_, r| stays(r));
            !list.is_empty()
        });
    }

    /// Bytes held and samples they stand for.
    pub fn size(&self) -> (usize, u64) {
        let scraped = self.by_labels.values().map(|s| s.size());
        let recorded = self.recorded.values().flat_map(BTreeMap::values).map(|r| {
            let n = r.with(|all| all.len());
            (n * size_of::<Sample>(), n as u64)
        });
        scraped.chain(recorded).fold((0, 0), |(a, b), (c, d)| (a + c, b + d))
    }
}
