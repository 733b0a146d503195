//! Units of measured numbers: how they are written, and round ends of axes.

use crate::model::quantity::{human_bytes, human_cores};
use crate::model::series::Signal;

/// How numbers of a chart are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
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
    #[default]
    Count,
    /// A number without a unit that may be far below one.
    Number,
    /// Any number: negative, tiny, huge or none at all.
    Plain,
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
            Self::Plain => any(value),
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
            Self::Plain => 1e-12,
        };
        let value = value.max(floor);
        let power = base.powf(value.log(base).floor());
        let steps: &[f64] =
            if self == Self::Bytes { &[1.0, 1.25, 1.5, 2.0] } else { &[1.0, 1.5, 2.0, 3.0, 5.0, 8.0, 10.0] };
        steps.iter().map(|s| s * power).find(|v| *v >= value * 0.999_999).unwrap_or(value)
    }
}

/// At most six significant digits.
fn any(value: f64) -> String {
    match value.abs() {
        _ if !value.is_finite() => format!("{value}"),
        0.0 => "0".into(),
        v if !(1e-4..1e9).contains(&v) => format!("{value:.3e}"),
        v if value.fract() == 0.0 && v < 1e7 => format!("{value:.0}"),
        v if v >= 1e6 => format!("{:.2}M", value / 1e6),
        v => {
            let digits = (5 - v.log10().floor() as i32).clamp(0, 9) as usize;
            let text = format!("{value:.digits$}");
            if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
        }
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
        let any = [0.0, -3.0, 0.125, 1.0 / 3.0, 12345.678, 5e12, 1.5e-7, f64::NAN].map(|v| Unit::Plain.show(v));
        assert_eq!(any, ["0", "-3", "0.125", "0.333333", "12345.7", "5.000e12", "1.500e-7", "NaN"]);
    }
}
