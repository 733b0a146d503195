//! Faults of the servers as they are written after `--fault`, and how scenarios set them.

use crate::sim::api::faults::{Faults, Settings};
use crate::sim::scenario::{Fault, Server, Servers, one_of, span};
use std::sync::Arc;

/// One fault with its amount: seconds, a share of 1, or a number of events.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Set {
    /// Which server has it.
    pub server: Server,
    /// Which.
    pub fault: Fault,
    /// How much.
    pub amount: f64,
}

/// Reads `latency=200ms`, `throttled=5%`, `reset-after=100`, `skew=-90s`; `prometheus.failing=50%` is Prometheus's, all others
/// the API server's. The error names the remedy.
pub fn parse(text: &str) -> Result<Set, String> {
    let (name, value) =
        text.split_once('=').ok_or_else(|| format!("{text:?}: write fault=value, such as latency=200ms"))?;
    let (server, name) = match name.split_once('.') {
        None => (Server::Api, name),
        Some(("api", name)) => (Server::Api, name),
        Some(("prometheus", name)) => (Server::Prometheus, name),
        Some((other, _)) => return Err(format!("{text:?}: unknown server {other:?}; write api or prometheus")),
    };
    let known = Fault::ALL.map(|(word, _)| word);
    let (_, fault) = *Fault::ALL
        .iter()
        .find(|(word, _)| *word == name)
        .ok_or_else(|| format!("{text:?}: unknown fault {name:?}; {}", one_of(name, &known)))?;
    let amount = amount(fault, value).ok_or_else(|| {
        let example = match fault {
            Fault::Latency => "200ms",
            Fault::Skew => "-90s",
            Fault::ResetAfter => "100",
            _ => "5%",
        };
        format!("{text:?}: {value:?} is not an amount of it; write such as {name}={example}")
    })?;
    Ok(Set { server, fault, amount })
}

fn amount(fault: Fault, value: &str) -> Option<f64> {
    match fault {
        Fault::Latency | Fault::Skew => {
            let (sign, rest) = value.strip_prefix('-').map_or((1.0, value), |rest| (-1.0, rest));
            let seconds = span(rest)?.num_milliseconds() as f64 / 1000.0;
            (sign > 0.0 || fault == Fault::Skew).then_some(sign * seconds)
        }
        Fault::ResetAfter => value.parse::<u32>().ok().map(f64::from),
        _ => {
            let share = match value.strip_suffix('%') {
                Some(percent) => percent.parse::<f64>().ok()? / 100.0,
                None => value.parse().ok()?,
            };
            (0.0..=1.0).contains(&share).then_some(share)
        }
    }
}

/// The faults of both servers, as a scenario's director sets them.
pub(super) struct Both {
    /// The API server's.
    pub api: Arc<Faults>,
    /// Prometheus's.
    pub prometheus: Arc<Faults>,
}

impl Servers for Both {
    fn set(&self, server: Server, fault: Fault, amount: Option<f64>) {
        let faults = match server {
            Server::Api => &self.api,
            Server::Prometheus => &self.prometheus,
        };
        let amount = amount.unwrap_or(0.0);
        faults.change(|s: &mut Settings| match fault {
            Fault::Latency => s.latency = amount,
            Fault::Throttled => s.throttled = amount,
            Fault::Failing => s.failing = amount,
            Fault::ResetAfter => s.reset_after = amount as u64,
            Fault::Truncated => s.truncated = amount,
            Fault::Stale => s.stale = amount,
            Fault::Expired => s.expired = amount,
            Fault::Skew => s.skew = amount,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_read_and_mistakes_name_the_remedy() {
        assert_eq!(parse("latency=200ms").unwrap(), Set { server: Server::Api, fault: Fault::Latency, amount: 0.2 });
        assert_eq!(
            parse("prometheus.failing=5%").unwrap(),
            Set { server: Server::Prometheus, fault: Fault::Failing, amount: 0.05 }
        );
        assert_eq!(parse("skew=-90s").unwrap().amount, -90.0);
        for (text, says) in [
            ("latency", "write fault=value"),
            ("latncy=1s", "latency"),
            ("failing=150%", "such as failing=5%"),
            ("latency=-1s", "such as latency=200ms"),
            ("grafana.failing=1%", "api or prometheus"),
        ] {
            let e = parse(text).unwrap_err();
            assert!(e.contains(says), "{text}: {e}");
        }
    }
}
