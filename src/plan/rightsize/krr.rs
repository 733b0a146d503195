//! What KRR's `simple` strategy says (`robusta_krr/strategies/simple.py`): for comparison, and as a floor for shrinking.

use super::{Resource, Usage};

/// Percentile of CPU, and what memory's peak is multiplied by.
const CPU: f64 = 0.95;
const MEMORY: f64 = 1.15;
/// Least cores and bytes.
const LEAST: (f64, f64) = (0.01, 100.0 * 1024.0 * 1024.0);

/// Cores rounded up to a thousandth, or bytes rounded up to a mebibyte; nothing without a sample. Per pod a percentile as
/// Prometheus computes it, the largest of the pods.
pub fn recommend(usage: &Usage, resource: Resource) -> Option<f64> {
    let of_pod = |pod: &Vec<super::Sample>| {
        let mut values: Vec<f64> = pod.iter().filter_map(|sample| resource.of(sample)).collect();
        values.sort_by(f64::total_cmp);
        let last = values.len().checked_sub(1)?;
        if resource == Resource::Memory {
            return Some(values[last]);
        }
        let rank = CPU * last as f64;
        let (below, above) = (values[rank.floor() as usize], values[(rank.ceil() as usize).min(last)]);
        Some(below + (above - below) * rank.fract())
    };
    let most = usage.pods.iter().filter_map(of_pod).reduce(f64::max)?;
    Some(match resource {
        Resource::Cpu => ((most * 1000.0 - 1e-9).ceil() / 1000.0).max(LEAST.0),
        Resource::Memory => {
            let mebibyte = 1024.0 * 1024.0;
            ((most * MEMORY).max(LEAST.1) / mebibyte).ceil() * mebibyte
        }
    })
}

#[cfg(test)]
mod tests {
    use super::super::Sample;
    use super::*;

    #[test]
    fn it_is_the_95th_percentile_and_the_peak_with_15_percent() {
        let pod = |offset: f64| -> Vec<Sample> {
            let sample = |at: u32| Sample {
                time: f64::from(at),
                cpu: Some(offset + f64::from(at) / 1000.0),
                memory: Some(200e6 + f64::from(at) * 1e6),
                throttled: None,
                killed: false,
            };
            (0..=100).map(sample).collect()
        };
        let usage = Usage { pods: vec![pod(0.0), pod(0.2)], ..Usage::default() };
        // quantile_over_time(0.95) of 0.200 … 0.300
        assert_eq!(recommend(&usage, Resource::Cpu), Some(0.295));
        let mebibytes = recommend(&usage, Resource::Memory).unwrap() / (1024.0 * 1024.0);
        assert_eq!(mebibytes, 330.0); // 329.02 rounded up
        let idle = Usage {
            pods: vec![vec![Sample { time: 0.0, cpu: Some(0.0), memory: Some(1.0), throttled: None, killed: false }]],
            ..Usage::default()
        };
        assert_eq!(recommend(&idle, Resource::Cpu), Some(0.01));
        assert_eq!(recommend(&idle, Resource::Memory).unwrap() / (1024.0 * 1024.0), 100.0);
        assert_eq!(recommend(&Usage::default(), Resource::Cpu), None);
    }
}
