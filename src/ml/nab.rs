//! The Numenta Anomaly Benchmark's scoring (Lavin & Ahmad 2015, arXiv:1510.03336, §II.C): what a detection is worth.
//!
//! The first detection inside an anomaly window earns between 0 (window's end) and 1 (its start), a window without a
//! detection costs `missed`, and every detection outside costs up to `false_alarm`, less shortly after a window.

/// Share of a file, at most of 5 000 rows, that is for learning only: nothing in it is scored.
pub const PROBATION: f64 = 0.15;

/// Weights of an application profile (the paper's cost matrix).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Profile {
    /// Name as in the benchmark's `profiles.json`.
    pub name: &'static str,
    /// Worth of a detection at a window's start.
    pub hit: f64,
    /// Cost of a window without a detection.
    pub missed: f64,
    /// Cost of a detection far from any window.
    pub false_alarm: f64,
}

/// The benchmark's three profiles.
pub const PROFILES: [Profile; 3] = [
    Profile { name: "standard", hit: 1.0, missed: 1.0, false_alarm: 0.11 },
    Profile { name: "reward_low_FP_rate", hit: 1.0, missed: 1.0, false_alarm: 0.22 },
    Profile { name: "reward_low_FN_rate", hit: 1.0, missed: 2.0, false_alarm: 0.11 },
];

/// One scored file: a score per row, and the labelled windows as inclusive row ranges in ascending order.
#[derive(Debug, Clone, Default)]
pub struct Labelled {
    /// A score per row; higher is more anomalous.
    pub scores: Vec<f64>,
    /// Inclusive row ranges, ascending, not overlapping.
    pub windows: Vec<(usize, usize)>,
}

/// Rows at a file's start that are not scored.
pub fn probation_rows(rows: usize) -> usize {
    (PROBATION * rows.min(5000) as f64).floor() as usize
}

/// The paper's scaled sigmoid, `2/(1+e^(5y)) - 1`: `y` is the position relative to a window's right end in window
/// widths, -1 at the left end, 0 at the right end, positive after it; beyond 3 widths it is -1.
pub fn scaled_sigmoid(position: f64) -> f64 {
    if position > 3.0 { -1.0 } else { 2.0 / (1.0 + (5.0 * position).exp()) - 1.0 }
}

/// Where a row lies, with what a detection there is worth.
enum Place {
    Probation,
    Inside(usize, f64),
    Outside(f64),
}

fn place(file: &Labelled, row: usize, probation: usize, profile: &Profile) -> Place {
    if row < probation {
        return Place::Probation;
    }
    let next = file.windows.partition_point(|&(_, end)| end < row);
    if let Some(&(start, end)) = file.windows.get(next)
        && row >= start
    {
        let position = -((end - row + 1) as f64) / (end - start + 1) as f64;
        return Place::Inside(next, profile.hit * scaled_sigmoid(position) / scaled_sigmoid(-1.0));
    }
    let worth = match next.checked_sub(1).map(|previous| file.windows[previous]) {
        None => -1.0,
        Some((start, end)) => scaled_sigmoid((row - end) as f64 / (end - start).max(1) as f64),
    };
    Place::Outside(profile.false_alarm * worth)
}

/// What a corpus scores with one threshold, and that threshold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Result {
    /// 100 for every window found at its start and no false alarm, 0 for a detector that never speaks.
    pub normalised: f64,
    /// A row is a detection when its score is at least this.
    pub threshold: f64,
}

/// Scores files with the given threshold for all.
pub fn with_threshold(files: &[Labelled], profile: &Profile, threshold: f64) -> Result {
    let mut raw = 0.0;
    for file in files {
        let probation = probation_rows(file.scores.len());
        let mut best = vec![-profile.missed; file.windows.len()];
        for (row, &score) in file.scores.iter().enumerate() {
            if score >= threshold {
                match place(file, row, probation, profile) {
                    Place::Probation => {}
                    Place::Inside(window, worth) => best[window] = best[window].max(worth),
                    Place::Outside(worth) => raw += worth,
                }
            }
        }
        raw += best.iter().sum::<f64>();
    }
    Result { normalised: normalise(files, profile, raw), threshold }
}

/// Scores files with the one threshold for all that gives the profile's best result, as the benchmark does.
pub fn best_threshold(files: &[Labelled], profile: &Profile) -> Result {
    let mut rows = Vec::new();
    let mut best: Vec<Vec<f64>> = Vec::new();
    for (index, file) in files.iter().enumerate() {
        let probation = probation_rows(file.scores.len());
        best.push(vec![-profile.missed; file.windows.len()]);
        rows.extend(file.scores.iter().enumerate().skip(probation).map(|(row, &score)| (score, index, row)));
    }
    rows.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut raw: f64 = best.iter().flatten().sum();
    let mut top = (raw, f64::INFINITY);
    let mut at = 0;
    while at < rows.len() {
        let threshold = rows[at].0;
        while at < rows.len() && rows[at].0 == threshold {
            let (_, index, row) = rows[at];
            match place(&files[index], row, 0, profile) {
                Place::Probation => {}
                Place::Inside(window, worth) => {
                    let held = &mut best[index][window];
                    raw += (worth - *held).max(0.0);
                    *held = held.max(worth);
                }
                Place::Outside(worth) => raw += worth,
            }
            at += 1;
        }
        if raw > top.0 {
            top = (raw, threshold);
        }
    }
    Result { normalised: normalise(files, profile, top.0), threshold: top.1 }
}

fn normalise(files: &[Labelled], profile: &Profile, raw: f64) -> f64 {
    let windows = files.iter().map(|file| file.windows.len()).sum::<usize>() as f64;
    if windows == 0.0 {
        return 0.0;
    }
    let silent = -profile.missed * windows;
    100.0 * (raw - silent) / (profile.hit * windows - silent)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STANDARD: &Profile = &PROFILES[0];

    fn file(rows: usize, windows: &[(usize, usize)], detections: &[usize]) -> Labelled {
        let mut scores = vec![0.0; rows];
        for &row in detections {
            scores[row] = 1.0;
        }
        Labelled { scores, windows: windows.to_vec() }
    }

    #[test]
    fn the_sigmoid_has_the_papers_values() {
        // figure 2 of the paper: 0.999 is rounded there, sigma(-1) = 0.98661
        assert!((scaled_sigmoid(-1.0) - 0.986_614).abs() < 1e-6);
        assert!((scaled_sigmoid(-0.5) - 0.848_284).abs() < 1e-6);
        assert_eq!(scaled_sigmoid(0.0), 0.0);
        assert!((scaled_sigmoid(1.0) + 0.986_614).abs() < 1e-6);
        assert_eq!(scaled_sigmoid(3.5), -1.0);
    }

    #[test]
    fn silence_is_zero_and_a_hit_at_every_start_is_a_hundred() {
        let silent = file(1000, &[(300, 399), (600, 699)], &[]);
        let perfect = file(1000, &[(300, 399), (600, 699)], &[300, 600]);
        for profile in &PROFILES {
            assert_eq!(with_threshold(std::slice::from_ref(&silent), profile, 0.5).normalised, 0.0);
            assert!((with_threshold(std::slice::from_ref(&perfect), profile, 0.5).normalised - 100.0).abs() < 1e-9);
        }
    }

    #[test]
    fn only_the_earliest_detection_in_a_window_counts() {
        let once = file(1000, &[(300, 399)], &[310]);
        let often = file(1000, &[(300, 399)], &[310, 311, 350, 399]);
        let score = |f: &Labelled| with_threshold(std::slice::from_ref(f), STANDARD, 0.5).normalised;
        assert_eq!(score(&once), score(&often));
        assert!(score(&once) < 100.0 && score(&once) > 95.0);
    }

    #[test]
    fn a_false_alarm_costs_its_weight_before_and_less_just_after_a_window() {
        let raw = |row| {
            let result = with_threshold(&[file(1000, &[(300, 399)], &[row])], STANDARD, 0.5).normalised;
            result / 100.0 * 2.0 // one window: two points from silent to perfect
        };
        assert!((raw(200) + 0.11).abs() < 1e-9);
        assert!((raw(999) + 0.11).abs() < 1e-9);
        assert!(raw(405) < 0.0 && raw(405) > -0.02);
        assert_eq!(raw(149), 0.0, "probation is not scored");
    }

    #[test]
    fn the_swept_threshold_is_at_least_as_good_as_any_fixed_one() {
        let mut state = 7u64;
        let files: Vec<_> = (0..4)
            .map(|_| {
                let scores = (0..800)
                    .map(|_| {
                        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                        ((state >> 40) % 50) as f64 / 50.0
                    })
                    .collect();
                Labelled { scores, windows: vec![(200, 239), (500, 539)] }
            })
            .collect();
        for profile in &PROFILES {
            let swept = best_threshold(&files, profile);
            let again = with_threshold(&files, profile, swept.threshold);
            assert!((swept.normalised - again.normalised).abs() < 1e-9);
            for step in 0..=51 {
                assert!(with_threshold(&files, profile, f64::from(step) / 50.0).normalised <= swept.normalised + 1e-9);
            }
        }
    }
}
