//! Sparklines, a small history in a table cell; and how worrying a share of a limit is.

use crate::console::theme::{Glyphs, Role};

/// How worrying a share of a limit is: k9s' thresholds, 70 % and 90 %.
pub fn share_role(share: f64) -> Role {
    match share {
        s if s >= 0.9 => Role::Bad,
        s if s >= 0.7 => Role::Warning,
        _ => Role::Text,
    }
}

/// A small history in `columns` cells, oldest at the left. A gap stays a gap; the highest point of each
/// cell survives. Scaled from zero to the greatest value.
pub fn sparkline(points: &[(f64, f64)], from: f64, to: f64, columns: usize, glyphs: &Glyphs) -> String {
    let levels: &[char] = if glyphs.ascii {
        &['_', '.', '-', '=', '*', '#']
    } else {
        &['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█']
    };
    let mut peaks: Vec<Option<f64>> = vec![None; columns];
    let span = (to - from).max(1.0);
    for &(at, value) in points {
        let place = ((at - from) / span * columns as f64).floor();
        if place >= 0.0 && (place as usize) < columns && value.is_finite() {
            let peak = &mut peaks[place as usize];
            *peak = Some(peak.map_or(value, |p| p.max(value)));
        }
    }
    let top = peaks.iter().flatten().copied().fold(0.0, f64::max);
    peaks
        .into_iter()
        .map(|peak| match peak {
            None => ' ',
            Some(_) if top <= 0.0 => levels[0],
            Some(v) => levels[((v.max(0.0) / top * (levels.len() - 1) as f64).round() as usize).min(levels.len() - 1)],
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seventy_and_ninety_percent_of_a_limit_are_told_apart() {
        assert_eq!([0.69, 0.7, 0.9].map(share_role), [Role::Text, Role::Warning, Role::Bad]);
    }

    #[test]
    fn a_peak_survives_and_a_gap_stays_a_gap() {
        let mut points: Vec<(f64, f64)> = (0..40).map(|i| (f64::from(i), 1.0)).collect();
        points[5].1 = 8.0;
        points.extend((60..80).map(|i| (f64::from(i), 1.0)));
        let line: Vec<char> = sparkline(&points, 0.0, 80.0, 8, &Glyphs::UNICODE).chars().collect();
        assert_eq!(line, ['█', '▂', '▂', '▂', ' ', ' ', '▂', '▂']);
    }
}
