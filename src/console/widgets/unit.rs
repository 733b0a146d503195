//! Units of measured numbers: how they are written, and round ends of axes.

use crate::model::quantity::{human_bytes, human_cores};
use crate::model::series::Signal;

/// How numbers of a chart are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Cores.
    Cores,
    /// Bytes.
    Bytes,
    /// A share, shown in percent.
    Share,
    /// Seconds, shown in milliseconds below one.
    Seconds,
    /// A plain number per second.
    PerSecond,
    /// A plain number.
    Count,
    /// A number without a unit that may be far below one.
    Number,
}

impl Unit {
    /// The unit of a signal.
    pub fn of(signal: Signal) -> Self {
        match signal {
            Signal::Cpu => Self::Cores,
            Signal::Memory => Self::Bytes,
            Signal::RequestRate => Self::PerSecond,
            Signal::ErrorRate => Self::Share,
            Signal::LatencyP50 | Signal::LatencyP99 => Self::Seconds,
            Signal::Connections => Self::Count,
        }
    }

    /// A number of this unit, short.
    pub fn show(self, value: f64) -> String {
        match self {
            Self::Cores => human_cores(value),
            Self::Bytes => human_bytes(value),
            Self::Share if value != 0.0 && value.abs() < 0.0995 => format!("{:.2}%", value * 100.0),
            Self::Share => format!("{:.0}%", value * 100.0),
            Self::Seconds if value.abs() < 0.01 => format!("{:.1}ms", value * 1000.0),
            Self::Seconds if value.abs() < 1.0 => format!("{:.0}ms", value * 1000.0),
            Self::Seconds => format!("{value:.1}s"),
            Self::PerSecond => format!("{}/s", plain(value)),
            Self::Count => plain(value),
            Self::Number => format!("{value:.3}"),
        }
    }

    /// The least round number of this unit that is not below `value`.
    pub(super) fn round_up(self, value: f64) -> f64 {
        let base: f64 = if self == Self::Bytes { 2.0 } else { 10.0 };
        let floor = match self {
            Self::Bytes => 1024.0 * 1024.0,
            Self::Cores | Self::Seconds => 0.01,
            Self::Share | Self::Number => 0.001,
            Self::PerSecond | Self::Count => 1.0,
        };
        let value = value.max(floor);
        let power = base.powf(value.log(base).floor());
        let steps: &[f64] =
            if self == Self::Bytes { &[1.0, 1.25, 1.5, 2.0] } else { &[1.0, 1.5, 2.0, 3.0, 5.0, 8.0, 10.0] };
        steps.iter().map(|s| s * power).find(|v| *v >= value * 0.999_999).unwrap_or(value)
    }
}

fn plain(value: f64) -> String {
    match value.abs() {
        v if v >= 1e6 => format!("{:.1}M", value / 1e6),
        v if v >= 1e4 => format!("{:.1}k", value / 1e3),
        v if v >= 10.0 || value.fract() == 0.0 => format!("{value:.0}"),
        v if v < 0.01 => format!("{value:.3}"),
        _ => format!("{value:.1}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_their_unit() {
        assert_eq!(Unit::Cores.show(0.25), "250m");
        assert_eq!(Unit::Bytes.show(134_217_728.0), "128Mi");
        assert_eq!(Unit::Share.show(0.015), "1.50%");
        assert_eq!(Unit::Seconds.show(0.25), "250ms");
        assert_eq!(Unit::PerSecond.show(1234.0), "1234/s");
        assert_eq!(Unit::Bytes.round_up(130.0 * 1_048_576.0), 160.0 * 1_048_576.0);
        assert_eq!(Unit::Share.round_up(0.0), 0.001);
    }
}
