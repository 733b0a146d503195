//! Root causes from measurements: how far each is out of its normal, and, where it is known who calls whom, which of the
//! suspects is explained by another.
//!
//! All scores are free of units: a column in milliseconds ranks as it does in seconds.

mod table;

use super::drift::sorted;
use std::collections::{BTreeMap, BTreeSet, HashMap};

pub use table::by_deviation;

/// Which way a measurement goes when things get worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Worse {
    /// Latency, errors, usage.
    Up,
    /// Availability.
    Down,
}

/// One measurement of one node. Not-a-numbers are missing.
#[derive(Debug, Clone)]
pub struct Measure {
    /// Whose.
    pub node: String,
    /// What symptoms it is compared with: those of the same family.
    pub family: String,
    /// What tells it apart within its family; may be empty.
    pub statistic: String,
    /// Its direction.
    pub worse: Worse,
    /// Values while all was well; too few of them, and `incident` before the onset is taken.
    pub normal: Vec<f64>,
    /// Values around the incident.
    pub incident: Vec<f64>,
}

impl Measure {
    /// Family and statistic.
    pub fn name(&self) -> String {
        if self.statistic.is_empty() { self.family.clone() } else { format!("{} {}", self.family, self.statistic) }
    }
}

/// A suspect.
#[derive(Debug, Clone, PartialEq)]
pub struct Suspect {
    /// Which node.
    pub node: String,
    /// The measurement that speaks most against it.
    pub metric: String,
    /// What ranks it: larger is more suspect. 0..1 with a graph, in normal spreads without.
    pub score: f64,
    /// How far that measurement was out of its normal, in normal spreads.
    pub deviation: f64,
    /// How well it went along with the symptom, 0..1; 0 without a graph.
    pub alike: f64,
    /// How well one of those it calls explains it, 0..1.
    pub explained: f64,
    /// Whether the symptom reaches it by calls that are out of their normal.
    pub reached: bool,
}

/// Deviations that count as half of a full one.
const HALF: f64 = 4.0;
/// A callee less far out than this explains nothing.
const OUT: f64 = 2.0;
/// A caller's view of a service goes along with it at least so well.
const VIEW: f64 = 0.8;
/// Normal points that are set beside the incident when two courses are compared: a few points alone go along too easily.
const ANCHORS: usize = 2;
/// Fewer normal values are no normal.
const FEW: usize = 8;

/// What a measurement looks like in normal spreads, upwards being worse.
#[derive(Debug, Clone)]
struct Course {
    measure: usize,
    /// The greatest value from the onset on.
    worst: f64,
    values: Vec<f64>,
}

impl Course {
    /// `None` if there is nothing to compare.
    fn of(index: usize, m: &Measure, onset: usize) -> Option<Self> {
        let mut normal = sorted(&m.normal);
        let few = normal.len() < FEW;
        if few {
            normal = sorted(&m.incident[..onset.min(m.incident.len())]);
        }
        if normal.is_empty() {
            return None;
        }
        let sign = if m.worse == Worse::Up { 1.0 } else { -1.0 };
        let median = quantile(&normal, 0.5);
        let away: Vec<f64> = sorted(&normal.iter().map(|v| (v - median).abs()).collect::<Vec<_>>());
        let deviations = sorted(&normal.iter().map(|v| sign * (v - median)).collect::<Vec<_>>());
        // Shares like availability move little; so few values of the past know little.
        let floor = if m.worse == Worse::Up { 0.05 } else { 0.002 } * if few { 4.0 } else { 1.0 };
        let spread = (1.4826 * quantile(&away, 0.5)).max(quantile(&deviations, 0.99) / 3.0).max(floor * median.abs());
        let scale =
            if spread > 0.0 { spread } else { m.incident.iter().fold(0.0, |a: f64, v| a.max((v - median).abs())) };
        if scale <= 0.0 || !scale.is_finite() {
            return None;
        }
        let values: Vec<f64> = m.incident.iter().map(|v| sign * (v - median) / scale).collect();
        let worst = values.get(onset..)?.iter().copied().filter(|v| v.is_finite()).max_by(f64::total_cmp)?;
        Some(Self { measure: index, worst: worst.max(0.0), values })
    }

    /// How far out, 0..1.
    fn weight(&self) -> f64 {
        self.worst / (self.worst + HALF)
    }

    /// How well two courses go along: their correlation, with normal points beside them; never below 0.
    fn alike(&self, other: &Self) -> f64 {
        let pairs = self.values.iter().zip(&other.values).map(|(a, b)| (*a, *b));
        let pairs: Vec<(f64, f64)> = pairs
            .filter(|(a, b)| a.is_finite() && b.is_finite())
            .chain(std::iter::repeat_n((0.0, 0.0), ANCHORS))
            .collect();
        let n = pairs.len() as f64;
        if pairs.len() < ANCHORS + 2 {
            return 0.0;
        }
        let (a, b) = pairs.iter().fold((0.0, 0.0), |(a, b), p| (a + p.0 / n, b + p.1 / n));
        let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
        for (x, y) in pairs {
            ab += (x - a) * (y - b);
            aa += (x - a).powi(2);
            bb += (y - b).powi(2);
        }
        if aa > 0.0 && bb > 0.0 { (ab / (aa * bb).sqrt()).clamp(0.0, 1.0) } else { 0.0 }
    }
}

/// The value below which a share of the sorted values lies, between two values on the line from one to the other; 0 of none.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return 0.0 };
    let at = share * last as f64;
    let (low, high) = (sorted[at.floor() as usize], sorted[at.ceil() as usize]);
    low + (high - low) * at.fract()
}

/// Who calls whom: callees by caller.
pub type Calls = BTreeMap<String, BTreeSet<String>>;

/// What [`by_calls`] found.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranking {
    /// The measurement of the target that was taken for the symptom.
    pub symptom: String,
    /// Worst first: those the symptom reaches by calls that are out of their normal, then the others.
    pub suspects: Vec<Suspect>,
}

/// Ranks nodes as causes of what `target` suffers from. `onset` is the first of the incident's values that may be
/// affected; `None` if nothing is known of the target.
///
/// A node is suspect as far as it is out of its normal and goes along with the symptom, and as little as one of those it
/// calls does so in its place. Nodes without measurements are looked through. A node that calls nobody and goes along with
/// another callee of its caller is taken for the caller's view of that one.
pub fn by_calls(measures: &[Measure], calls: &Calls, target: &str, onset: usize) -> Option<Ranking> {
    let courses: Vec<Course> = measures.iter().enumerate().filter_map(|(i, m)| Course::of(i, m, onset)).collect();
    let own = || courses.iter().filter(|c| measures[c.measure].node == target);
    let family = &measures[own().max_by(|a, b| a.worst.total_cmp(&b.worst))?.measure].family;
    let same = |c: &&Course| measures[c.measure].family == *family;
    // Means before percentiles: every request counts.
    let symptom = own().filter(same).max_by_key(|c| measures[c.measure].statistic.eq_ignore_ascii_case("average"))?;
    let mut known: HashMap<&str, &Course> = HashMap::new();
    let says = |c: &Course| c.alike(symptom) * c.weight();
    for course in courses.iter().filter(same) {
        let entry = known.entry(&measures[course.measure].node).or_insert(course);
        if says(course) > says(entry) {
            *entry = course;
        }
    }
    let map = Map { calls, known };
    let reached = map.reached(target);
    let mut suspects: Vec<Suspect> = map
        .known
        .iter()
        .map(|(node, course)| {
            let explained = map.explained(node).max(map.view(node));
            let alike = course.alike(symptom);
            Suspect {
                node: (*node).to_owned(),
                metric: measures[course.measure].name(),
                score: alike * course.weight() * (1.0 - explained),
                deviation: course.worst,
                alike,
                explained,
                reached: reached.contains(node),
            }
        })
        .collect();
    suspects.sort_by(|a, b| {
        let reached = b.reached.cmp(&a.reached);
        reached.then(b.score.total_cmp(&a.score)).then_with(|| a.node.cmp(&b.node))
    });
    Some(Ranking { symptom: measures[symptom.measure].name(), suspects })
}

/// The calls, and what is known of the nodes.
struct Map<'a> {
    calls: &'a Calls,
    known: HashMap<&'a str, &'a Course>,
}

impl<'a> Map<'a> {
    /// Callees with measurements; those without are looked through.
    fn callees(&self, node: &str) -> BTreeSet<&'a str> {
        let mut found = BTreeSet::new();
        let mut seen = BTreeSet::new();
        let mut left: Vec<&'a str> = self.direct(node).collect();
        while let Some(callee) = left.pop() {
            if callee == node || !seen.insert(callee) {
                continue;
            }
            if self.known.contains_key(callee) {
                found.insert(callee);
            } else {
                left.extend(self.direct(callee));
            }
        }
        found
    }

    fn direct(&self, node: &str) -> impl Iterator<Item = &'a str> + use<'a> {
        self.calls.get(node).into_iter().flatten().map(String::as_str)
    }

    fn out(&self, node: &str) -> bool {
        self.known.get(node).is_some_and(|c| c.worst >= OUT)
    }

    /// The target and all that it reaches over nodes out of their normal.
    fn reached(&self, target: &'a str) -> BTreeSet<&'a str> {
        let mut reached = BTreeSet::from([target]);
        let mut left = vec![target];
        while let Some(node) = left.pop() {
            for callee in self.callees(node) {
                if self.out(callee) && reached.insert(callee) {
                    left.push(callee);
                }
            }
        }
        reached
    }

    /// How well one of those it calls explains a node: as it goes along with it, and as far as it is out itself.
    fn explained(&self, node: &str) -> f64 {
        let course = self.known[node];
        let by = |callee: &str| {
            let other = self.known[callee];
            other.alike(course) * (other.worst / course.worst.max(f64::MIN_POSITIVE)).min(1.0)
        };
        self.callees(node).into_iter().filter(|c| self.out(c)).map(by).fold(0.0, f64::max)
    }

    /// How far a node is only its caller's view of another one: half as well as they go along.
    fn view(&self, node: &str) -> f64 {
        if self.calls.get(node).is_some_and(|c| !c.is_empty()) {
            return 0.0;
        }
        let callers = self.calls.values().filter(|callees| callees.contains(node));
        let others = callers
            .flatten()
            .map(String::as_str)
            .filter(|&other| other != node && self.out(other) && self.calls.get(other).is_some_and(|c| !c.is_empty()));
        let alike = others.map(|other| self.known[other].alike(self.known[node])).fold(0.0, f64::max);
        if alike >= VIEW { 0.5 * alike } else { 0.0 }
    }
}

#[cfg(test)]
mod tests;
