//! Kubernetes quantities: CPU in millicores, memory in bytes, and their written forms.

use serde::{Deserialize, Serialize};
use std::fmt;

/// CPU in millicores (thousandths of a core).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash, Serialize, Deserialize)]
pub struct Cpu(pub u64);

/// Memory or storage in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash, Serialize, Deserialize)]
pub struct Bytes(pub u64);

/// Bytes in one mebibyte.
pub const MIB: u64 = 1024 * 1024;

/// Reads a quantity (`100m`, `1.5`, `128Mi`, `1e3`, `2k`) as a plain number of its unit.
///
/// `None` if it is not a quantity, is negative, or does not fit.
/// Source: k8s.io/apimachinery/pkg/api/resource, the canonical grammar.
pub fn parse_quantity(text: &str) -> Option<f64> {
    let text = text.trim();
    let split = text
        .char_indices()
        .find(|&(i, c)| {
            !(c.is_ascii_digit()
                || c == '.'
                || (i == 0 && c == '+')
                || (matches!(c, 'e' | 'E')
                    && text[i + 1..].starts_with(|d: char| d.is_ascii_digit() || d == '-' || d == '+'))
                || (matches!(c, '-' | '+') && i > 0 && matches!(text.as_bytes()[i - 1], b'e' | b'E')))
        })
        .map_or(text.len(), |(i, _)| i);
    let number: f64 = text[..split].parse().ok()?;
    let scale = match &text[split..] {
        "" => 1.0,
        "n" => 1e-9,
        "u" => 1e-6,
        "m" => 1e-3,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "P" => 1e15,
        "E" => 1e18,
        "Ki" => 1024.0,
        "Mi" => 1_048_576.0,
        "Gi" => 1_073_741_824.0,
        "Ti" => 1_099_511_627_776.0,
        "Pi" => 1_125_899_906_842_624.0,
        "Ei" => 1_152_921_504_606_846_976.0,
        _ => return None,
    };
    let value = number * scale;
    (value.is_finite() && value >= 0.0).then_some(value)
}

/// Rounds up to a whole unit, but not over the noise of the multiplication before it.
fn ceil_exact(value: f64) -> u64 {
    let near = value.round();
    if (value - near).abs() <= near.abs() * 1e-12 { near as u64 } else { value.ceil() as u64 }
}

impl Cpu {
    /// Reads `250m`, `1.5`, `2`; rounds up to a whole millicore as the API server does.
    pub fn parse(text: &str) -> Option<Self> {
        parse_quantity(text).filter(|v| *v < 1e15).map(|v| Self(ceil_exact(v * 1000.0)))
    }

    /// In cores.
    pub fn cores(self) -> f64 {
        self.0 as f64 / 1000.0
    }
}

impl Bytes {
    /// Reads `128Mi`, `1G`, `1073741824`; rounds up to a whole byte.
    pub fn parse(text: &str) -> Option<Self> {
        parse_quantity(text).filter(|v| *v < 1e19).map(|v| Self(ceil_exact(v)))
    }

    /// Whole mebibytes, upwards: how limits are proposed, so that a patch stays readable.
    #[must_use]
    pub fn round_up_mib(self) -> Self {
        Self(self.0.div_ceil(MIB).saturating_mul(MIB))
    }
}

/// The exact form written into a patch: whole cores or millicores.
impl fmt::Display for Cpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_multiple_of(1000) { write!(f, "{}", self.0 / 1000) } else { write!(f, "{}m", self.0) }
    }
}

/// The exact form written into a patch: the largest binary unit that divides it.
impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [("Ti", 1u64 << 40), ("Gi", 1 << 30), ("Mi", 1 << 20), ("Ki", 1 << 10)];
        for (unit, size) in units {
            if self.0 >= size && self.0.is_multiple_of(size) {
                return write!(f, "{}{unit}", self.0 / size);
            }
        }
        write!(f, "{}", self.0)
    }
}

/// Bytes for people: at most four significant characters and a binary unit.
pub fn human_bytes(bytes: f64) -> String {
    let mut value = bytes;
    for unit in ["B", "Ki", "Mi", "Gi", "Ti"] {
        if value.abs() < 1000.0 || unit == "Ti" {
            return if unit == "B" || value.abs() >= 100.0 {
                format!("{value:.0}{unit}")
            } else {
                format!("{value:.1}{unit}")
            };
        }
        value /= 1024.0;
    }
    unreachable!("the last unit always returns")
}

/// Cores for people: millicores below one core.
pub fn human_cores(cores: f64) -> String {
    if cores.abs() < 1.0 { format!("{:.0}m", cores * 1000.0) } else { format!("{cores:.2}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_every_written_form() {
        assert_eq!(Cpu::parse("250m"), Some(Cpu(250)));
        assert_eq!(Cpu::parse("1.5"), Some(Cpu(1500)));
        assert_eq!(Cpu::parse("100u"), Some(Cpu(1)));
        assert_eq!(Bytes::parse("128Mi"), Some(Bytes(134_217_728)));
        assert_eq!(Bytes::parse("1e3"), Some(Bytes(1000)));
        assert_eq!(Bytes::parse("1E"), Some(Bytes(1_000_000_000_000_000_000)));
        assert_eq!(Bytes::parse("2e-1k"), Some(Bytes(200)));
        for bad in ["", "Mi", "-1", "1 Mi", "1Mb", "NaN", "inf", "1e999", "é"] {
            assert_eq!(Bytes::parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn people_read_short_numbers() {
        assert_eq!(human_bytes(0.0), "0B");
        assert_eq!(human_bytes(134_217_728.0), "128Mi");
        assert_eq!(human_bytes(1_610_612_736.0), "1.5Gi");
        assert_eq!(human_cores(0.25), "250m");
        assert_eq!(human_cores(2.5), "2.50");
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(m in 0u64..1 << 50) {
            prop_assert_eq!(Cpu::parse(&Cpu(m % 1_000_000_000).to_string()), Some(Cpu(m % 1_000_000_000)));
            prop_assert_eq!(Bytes::parse(&Bytes(m).to_string()), Some(Bytes(m)));
        }
        #[test]
        fn never_panics(s in ".*") { let _ = parse_quantity(&s); }
    }
}
