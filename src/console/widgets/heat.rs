//! Heatmaps of histograms: time to the right, buckets upwards, how many per second in how dense a sign.

use super::text::{put, width};
use crate::console::theme::{Role, Theme};
use chrono::DateTime;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// Columns of the names of buckets.
const NAMES: u16 = 9;

/// Counts per second over time, one row per bucket.
#[derive(Debug, Clone, PartialEq)]
pub struct Heat {
    /// Upper bounds in rising order; the last may be infinite.
    bounds: Vec<f64>,
    /// Per bound: (unix seconds, observations per second at or below it).
    below: Vec<Vec<(f64, f64)>>,
}

impl Heat {
    /// From series named by their bucket alone, as `sum by (le) (rate(…_bucket[5m]))` gives them; `None` if they are not.
    pub fn of<'a>(series: impl Iterator<Item = (&'a str, &'a [(f64, f64)])>) -> Option<Self> {
        let mut all: Vec<(f64, Vec<(f64, f64)>)> = Vec::new();
        for (name, points) in series {
            let bound = name.strip_prefix("{le=\"")?.strip_suffix("\"}")?;
            let bound = if bound == "+Inf" { f64::INFINITY } else { bound.parse().ok()? };
            all.push((bound, points.to_vec()));
        }
        all.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        let (bounds, below) = all.into_iter().unzip();
        Some(Self { bounds, below }).filter(|h| h.bounds.len() > 1)
    }

    /// Mean observations per second of each bucket (outer) in each column (inner); `None` where nothing was measured.
    fn cells(&self, from: f64, to: f64, columns: usize) -> Vec<Vec<Option<f64>>> {
        let span = (to - from).max(1.0);
        let place = |at: f64| Some(((at - from) / span * columns as f64) as usize).filter(|_| at >= from);
        let mean = |points: &[(f64, f64)]| {
            let mut sums = vec![(0.0, 0_u32); columns];
            for &(at, value) in points.iter().filter(|p| p.1.is_finite()) {
                if let Some(sum) = place(at).and_then(|i| sums.get_mut(i.min(columns - 1))) {
                    *sum = (sum.0 + value, sum.1 + 1);
                }
            }
            sums.into_iter().map(|(sum, n)| (n > 0).then(|| sum / f64::from(n))).collect::<Vec<_>>()
        };
        let below: Vec<Vec<Option<f64>>> = self.below.iter().map(|points| mean(points)).collect();
        let share = |row: usize, column: usize| {
            let before = if row == 0 { Some(0.0) } else { below[row - 1][column] };
            // Rates of two buckets are of slightly different moments: what is below zero is none.
            Some((below[row][column]? - before?).max(0.0))
        };
        (0..below.len()).map(|row| (0..columns).map(|column| share(row, column)).collect()).collect()
    }

    /// Draws it between two moments in unix seconds. Where there are more buckets than rows, neighbours share one.
    pub fn draw(&self, buf: &mut Buffer, theme: &Theme, area: Rect, from: f64, to: f64) {
        if area.height < 4 || area.width <= NAMES + 2 {
            return;
        }
        let columns = usize::from(area.width - NAMES);
        let height = usize::from(area.height - 2);
        let cells = self.cells(from, to, columns);
        let each = cells.len().div_ceil(height);
        let rows: Vec<(f64, Vec<Option<f64>>)> = cells
            .chunks(each)
            .zip(self.bounds.chunks(each))
            .map(|(rows, bounds)| (last(bounds), merged(rows)))
            .collect();
        let most = rows.iter().flat_map(|(_, row)| row.iter().flatten()).copied().fold(0.0, f64::max);
        let densest = if most > 0.0 { format!("{most:.3} a second") } else { "none at all".into() };
        let title = format!("observations by bucket; densest: {densest}");
        put(buf, theme, area.x, area.y, area.width, &title, Role::Muted);
        // The fastest stand at the foot.
        for (n, (bound, row)) in rows.iter().rev().enumerate() {
            let y = area.y + 1 + n as u16;
            let name = if bound.is_finite() { format!("{bound}") } else { "more".into() };
            put(buf, theme, area.x, y, NAMES - 1, &format!("{name:>8}"), Role::Muted);
            for (column, value) in row.iter().enumerate() {
                let (sign, role) = sign(*value, most, theme.glyphs.ascii);
                put(buf, theme, area.x + NAMES + column as u16, y, 1, sign, role);
            }
        }
        let time = |at: f64| {
            DateTime::from_timestamp(at as i64, 0).map_or_else(String::new, |t| t.format("%H:%M").to_string())
        };
        let y = area.y + 1 + rows.len() as u16;
        let (first, end) = (time(from), time(to));
        put(buf, theme, area.x + NAMES, y, area.width - NAMES, &first, Role::Muted);
        put(buf, theme, area.right().saturating_sub(width(&end) as u16), y, 5, &end, Role::Muted);
    }
}

fn last(bounds: &[f64]) -> f64 {
    bounds.last().copied().unwrap_or(f64::INFINITY)
}

fn merged(rows: &[Vec<Option<f64>>]) -> Vec<Option<f64>> {
    let columns = rows.first().map_or(0, Vec::len);
    (0..columns).map(|c| rows.iter().try_fold(0.0, |sum, row| Some(sum + row[c]?))).collect()
}

/// How much stands in a cell; nothing measured is empty, measured as none a faint point. Density is by the square root, so
/// that a few slow ones are seen beside many fast ones.
fn sign(value: Option<f64>, most: f64, ascii: bool) -> (&'static str, Role) {
    let signs: [&str; 4] = if ascii { [".", "+", "*", "#"] } else { ["░", "▒", "▓", "█"] };
    match value {
        None => (" ", Role::Stale),
        Some(v) if v <= most * 1e-6 => (if ascii { "." } else { "·" }, Role::Muted),
        Some(v) => (signs[((v / most).sqrt() * 4.0).ceil().clamp(1.0, 4.0) as usize - 1], Role::Series1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heat() -> Heat {
        let points =
            |rates: [f64; 4]| (0..4).filter(|i| *i != 2).map(|i| (f64::from(i) * 10.0, rates[i as usize])).collect();
        let named: Vec<(&str, Vec<(f64, f64)>)> = vec![
            ("{le=\"+Inf\"}", points([10.0, 10.0, 0.0, 10.0])),
            ("{le=\"0.1\"}", points([9.0, 4.0, 0.0, 10.0])),
            ("{le=\"0.5\"}", points([10.0, 8.0, 0.0, 10.0])),
        ];
        Heat::of(named.iter().map(|(n, p)| (*n, p.as_slice()))).unwrap()
    }

    #[test]
    fn buckets_are_what_lies_between_two_bounds_and_a_gap_is_no_zero() {
        let cells = heat().cells(0.0, 40.0, 4);
        assert_eq!(cells[0], [Some(9.0), Some(4.0), None, Some(10.0)]);
        assert_eq!(cells[1], [Some(1.0), Some(4.0), None, Some(0.0)]);
        assert_eq!(cells[2], [Some(0.0), Some(2.0), None, Some(0.0)]);
    }

    #[test]
    fn other_series_are_no_heatmap() {
        let points = [(0.0, 1.0)];
        for name in ["up", "{le=\"0.1\",job=\"x\"}", "{le=\"fast\"}"] {
            assert_eq!(Heat::of([(name, &points[..]), ("{le=\"1\"}", &points[..])].into_iter()), None, "{name}");
        }
        assert_eq!(Heat::of([("{le=\"1\"}", &points[..])].into_iter()), None, "one bucket tells nothing");
    }

    #[test]
    fn a_few_slow_ones_are_seen_beside_many_fast_ones_and_nothing_measured_is_blank() {
        assert_eq!(sign(Some(1.0), 100.0, false).0, "░");
        assert_eq!(sign(Some(100.0), 100.0, false).0, "█");
        assert_eq!(sign(Some(0.0), 100.0, false), ("·", Role::Muted));
        assert_eq!(sign(Some(0.0), 0.0, false), ("·", Role::Muted));
        assert_eq!(sign(None, 100.0, false).0, " ");
    }

    #[test]
    fn more_buckets_than_rows_share_rows_and_no_size_panics() {
        let points = [(5.0, 1.0)];
        let names: Vec<String> = (0..40).map(|i| format!("{{le=\"{i}\"}}")).collect();
        let heat = Heat::of(names.iter().map(|n| (n.as_str(), &points[..]))).unwrap();
        let theme = crate::console::testing::look("dark", crate::console::caps::Depth::True, false).theme;
        for (w, h) in [(1, 1), (20, 6), (80, 20), (12, 90)] {
            let area = Rect::new(0, 0, w, h);
            heat.draw(&mut Buffer::empty(area), &theme, area, 0.0, 10.0);
        }
    }
}
