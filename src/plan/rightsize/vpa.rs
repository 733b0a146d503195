//! The recommender of the Vertical Pod Autoscaler 1.7.1 with its default flags (`pkg/recommender/{model,logic}`).

use super::{Resource, Sample, Usage};
use crate::ml::histogram::{Decaying, Options};
use serde::Serialize;

const DAY: f64 = 86_400.0;
/// What a CPU sample weighs; buckets below a thousandth of it are empty.
const WEIGHT: f64 = 0.1;
const CPU: Options = Options { most: 1000.0, first: 0.01, ratio: 1.05, epsilon: 0.001 * WEIGHT, half_life: DAY };
const MEMORY: Options = Options { most: 1e12, first: 1e7, ratio: 1.05, epsilon: 0.001 * WEIGHT, half_life: DAY };
/// Share of the weight that the target, and the bounds, cover.
const TARGET: f64 = 0.9;
const BOUNDS: (f64, f64) = (0.5, 0.95);
/// What is put on top of each.
const MARGIN: f64 = 0.15;
/// Least cores, and bytes, of a pod.
const LEAST: (f64, f64) = (0.025, 250.0 * 1024.0 * 1024.0);
/// What a kill for memory adds at least, and by what it multiplies at least.
const BUMP: (f64, f64) = (100.0 * 1024.0 * 1024.0, 1.2);

/// What the recommender says, in cores or bytes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Recommended {
    /// Below this a request is surely too low.
    pub lower: f64,
    /// What it would request.
    pub target: f64,
    /// Above this a request is surely too high; far above the target while little is known.
    pub upper: f64,
    /// Days, or days' worth of samples a minute apart, whichever is less.
    pub confidence: f64,
}

/// The recommendation for a resource; nothing without a sample.
pub fn recommend(usage: &Usage, resource: Resource) -> Option<Recommended> {
    let mut held = Decaying::new(if resource == Resource::Cpu { CPU } else { MEMORY });
    for pod in &usage.pods {
        match resource {
            Resource::Cpu => {
                for sample in pod {
                    if let Some(value) = resource.of(sample) {
                        held.add(value, WEIGHT, sample.time);
                    }
                }
            }
            Resource::Memory => peaks(pod, usage.memory.request.unwrap_or(0.0), |peak, time| held.add(peak, 1.0, time)),
        }
    }
    if held.is_empty() {
        return None;
    }
    // of CPU's samples, whatever the resource, as there
    let told = if usage.values(Resource::Cpu).next().is_some() { Resource::Cpu } else { resource };
    let (mut first, mut last, mut count) = (f64::INFINITY, f64::NEG_INFINITY, 0usize);
    for (time, _) in usage.values(told) {
        (first, last, count) = (first.min(time), last.max(time), count + 1);
    }
    let confidence = ((last - first) / DAY).min(count as f64 / (24.0 * 60.0));
    let least = if resource == Resource::Cpu { LEAST.0 } else { LEAST.1 } / usage.containers.max(1) as f64;
    let at = |share: f64| held.percentile(share) * (1.0 + MARGIN);
    let (lower, upper) = factors(confidence);
    Some(Recommended {
        lower: (at(BOUNDS.0) * lower).max(least),
        target: at(TARGET).max(least),
        upper: (at(BOUNDS.1) * upper).max(least),
        confidence,
    })
}

/// By what the lower and the upper bound are multiplied at a confidence.
fn factors(confidence: f64) -> (f64, f64) {
    ((1.0 + 0.001 / confidence).powi(-2), 1.0 + 1.0 / confidence)
}

/// Memory counts by its peak in each day since the first sample; a kill counts as a sample of what would have been needed,
/// which is told by what was used and not by earlier kills.
fn peaks(pod: &[Sample], request: f64, mut add: impl FnMut(f64, f64)) {
    let (mut end, mut used, mut peak) = (f64::NEG_INFINITY, 0.0f64, 0.0f64);
    for sample in pod {
        let Some(value) = Resource::Memory.of(sample).or(sample.killed.then_some(0.0)) else { continue };
        // before the kill: in the interval in which it ran
        if sample.killed {
            peak = peak.max(needed(request, used));
        }
        if sample.time >= end {
            if end.is_finite() {
                if peak > 0.0 {
                    add(peak, end);
                }
                end += (((sample.time - end) / DAY).floor() + 1.0) * DAY;
                (used, peak) = (0.0, 0.0);
            } else {
                end = sample.time + DAY;
            }
        }
        used = used.max(value);
        peak = peak.max(value);
    }
    if peak > 0.0 {
        add(peak, end);
    }
}

/// What a container that was killed for memory needed at least.
pub fn needed(request: f64, peak: f64) -> f64 {
    let base = request.max(peak);
    (base + BUMP.0).max(base * BUMP.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: f64 = 1024.0 * 1024.0;

    fn sample(time: f64, cpu: f64, memory: f64) -> Sample {
        Sample { time, cpu: Some(cpu), memory: Some(memory), throttled: None, killed: false }
    }

    fn usage(pod: Vec<Sample>) -> Usage {
        Usage { pods: vec![pod], containers: 1, replicas: 1, ..Usage::default() }
    }

    /// The examples in the comments of `pkg/recommender/logic/recommender.go`.
    #[test]
    fn bounds_widen_as_its_documentation_says() {
        let minutes = |count: f64| factors(count / (24.0 * 60.0));
        for (count, wanted) in [(5.0, 0.6), (30.0, 0.9), (60.0, 0.95)] {
            assert!((minutes(count).0 - wanted).abs() < 0.015, "{count} min: {}", minutes(count).0);
        }
        for (days, wanted) in [(0.5, 3.0), (1.0, 2.0), (7.0, 8.0 / 7.0)] {
            assert!((factors(days).1 - wanted).abs() < 1e-12);
        }
    }

    #[test]
    fn a_steady_container_gets_the_end_of_its_bucket_and_the_margin() {
        // a week of minutes at 0.5 cores and 800 MiB
        let pod = (0..7 * 1440).map(|at| sample(f64::from(at) * 60.0, 0.5, 800.0 * MIB)).collect();
        let held = usage(pod);
        let cpu = recommend(&held, Resource::Cpu).unwrap();
        // buckets end at 0.01 (1.05^k - 1) / 0.05: the first end above 0.5 is that of k = 26
        let end = 0.01 * (1.05f64.powi(26) - 1.0) / 0.05;
        assert!(0.01 * (1.05f64.powi(25) - 1.0) / 0.05 <= 0.5 && end > 0.5);
        assert!((cpu.target - 1.15 * end).abs() < 1e-9, "{cpu:?}");
        assert!((cpu.confidence - 7.0).abs() < 0.01 && (cpu.upper / cpu.target - 8.0 / 7.0).abs() < 0.001);
        let memory = recommend(&held, Resource::Memory).unwrap();
        let end = |k: i32| 1e7 * (1.05f64.powi(k) - 1.0) / 0.05;
        let above = (0..400).map(end).find(|end| *end > 800.0 * MIB).unwrap();
        assert!((memory.target - 1.15 * above).abs() < 1.0, "{memory:?}");
    }

    #[test]
    fn little_use_gets_the_least_of_a_pod_split_over_its_containers() {
        let pod: Vec<Sample> = (0..200).map(|at| sample(f64::from(at) * 60.0, 0.001, MIB)).collect();
        let held = Usage { containers: 2, ..usage(pod) };
        assert_eq!(recommend(&held, Resource::Cpu).unwrap().target, 0.0125);
        assert_eq!(recommend(&held, Resource::Memory).unwrap().target, 125.0 * MIB);
        assert!(recommend(&Usage::default(), Resource::Cpu).is_none());
    }

    #[test]
    fn memory_counts_by_daily_peaks_and_a_kill_by_what_was_needed() {
        let mut seen = Vec::new();
        let mut pod: Vec<Sample> =
            (0..72).map(|hour| sample(f64::from(hour) * 3600.0, 0.1, 100.0 + f64::from(hour % 24))).collect();
        peaks(&pod, 0.0, |peak, time| seen.push((peak, time)));
        assert_eq!(seen, [(123.0, DAY), (123.0, 2.0 * DAY), (123.0, 3.0 * DAY)]);
        assert_eq!(needed(400.0 * MIB, 300.0 * MIB), 500.0 * MIB);
        assert_eq!(needed(1000.0 * MIB, 900.0 * MIB), 1200.0 * MIB);
        pod[30].killed = true;
        seen.clear();
        peaks(&pod, 0.0, |peak, time| seen.push((peak, time)));
        assert!(seen[0].0 == 123.0 && seen[1].0 >= 100.0 * MIB && seen[2].0 == 123.0, "{seen:?}");
    }
}
