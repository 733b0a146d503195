//! From values to rows: linear or logarithmic.

/// The ends of the values' axis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Axis {
    /// Value of the lowest row; above zero if logarithmic.
    pub low: f64,
    /// Value of the highest row.
    pub top: f64,
    /// Logarithmic.
    pub log: bool,
}

impl Axis {
    /// From zero to one.
    pub const SHARE: Self = Self { low: 0.0, top: 1.0, log: false };

    /// The row of a value, 0 at the top. Values beyond an end stand at it.
    pub fn row(self, value: f64, rows: usize) -> usize {
        let share = if self.log {
            (value.max(self.low) / self.low).ln() / (self.top / self.low).ln()
        } else {
            (value - self.low) / (self.top - self.low)
        };
        ((1.0 - share.clamp(0.0, 1.0)) * (rows - 1) as f64).round() as usize
    }

    /// The value of the row in the middle.
    pub fn middle(self) -> f64 {
        if self.log { (self.low * self.top).sqrt() } else { f64::midpoint(self.low, self.top) }
    }
}
