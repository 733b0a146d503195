//! Series as models want them: equal steps, finite values, no gaps; and what had to be done to get there.

use std::borrow::Cow;
use std::ops::Range;

use thiserror::Error;

/// More values than this are not looked at: the newest ones count.
pub const LONGEST: usize = 10_000;

/// The newest samples that tell the step.
const TELLING: usize = 500;

/// Why something is no series.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BadSeries {
    /// Not one value that is a finite number.
    #[error("no finite value")]
    Empty,
    /// Samples whose times don't say a step: fewer than two different ones.
    #[error("fewer than two samples at different times")]
    NoStep,
}

/// What samples mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// Each is the value at its time.
    Gauge,
    /// Each is a running total that falls only when its owner starts again; the series becomes its rate per second.
    Counter,
}

/// Values at equal steps, the newest last.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Finite values, gaps filled.
    pub values: Vec<f64>,
    /// The step in milliseconds, if times are known.
    pub step: Option<i64>,
    /// Stretches of `values` that were missing and had to be filled in.
    pub gaps: Vec<Range<usize>>,
    /// Steps at the end for which no value came: a forecast has to reach over them first.
    pub stale: usize,
}

impl Series {
    /// From values at equal steps; NaN and infinities are missing.
    ///
    /// Missing values at the start are cut off, at the end they count as `stale`, in between they are filled on a line
    /// between their neighbours. Only the newest [`LONGEST`] values are kept, and of these the longest end in which at
    /// least half of the steps have a value.
    pub fn from_values(values: &[f64]) -> Result<Self, BadSeries> {
        let last = values.iter().rposition(|v| v.is_finite()).ok_or(BadSeries::Empty)?;
        let stale = values.len() - 1 - last;
        let kept = &values[..=last];
        let kept = &kept[kept.len().saturating_sub(LONGEST)..];
        let mut values = kept[believable(kept)..].to_vec();
        let gaps = gaps(&values);
        fill(&mut values, &gaps);
        Ok(Self { values, step: None, gaps, stale })
    }

    /// From samples of (Unix time in milliseconds, value), in any order, at any steps.
    ///
    /// The step is the most usual distance within the newest half, so that a scrape interval that changed counts as it is
    /// now: older, finer samples are averaged, older, coarser ones filled in between. Of samples with one time the last
    /// given finite one holds. `now`, if given, tells how many steps at the end are stale.
    pub fn from_samples(samples: &[(i64, f64)], meaning: Meaning, now: Option<i64>) -> Result<Self, BadSeries> {
        let mut clean: Vec<(i64, f64)> = samples.iter().copied().filter(|(_, v)| v.is_finite()).collect();
        if clean.is_empty() {
            return Err(BadSeries::Empty);
        }
        clean.sort_by_key(|(at, _)| *at);
        // Stable sort: of equal times the last given one is the last here.
        clean.reverse();
        clean.dedup_by_key(|(at, _)| *at);
        clean.reverse();
        if meaning == Meaning::Counter {
            clean = rates(&clean);
        }
        let step = usual_step(&clean).ok_or(BadSeries::NoStep)?;
        let end = clean[clean.len() - 1].0;
        let slot = |at: i64| (end.saturating_sub(at).saturating_add(step / 2) / step) as usize;
        let mut sums = vec![(0.0, 0u32); LONGEST.min(slot(clean[0].0) + 1)];
        for (at, value) in &clean {
            if let Some((sum, count)) = sums.get_mut(slot(*at)) {
                *sum += value;
                *count += 1;
            }
        }
        let values: Vec<f64> =
            sums.iter().rev().map(|(sum, n)| if *n == 0 { f64::NAN } else { sum / f64::from(*n) }).collect();
        let stale = now.map_or(0, |now| (now.saturating_sub(end).max(0) / step) as usize);
        Ok(Self { step: Some(step), stale, ..Self::from_values(&values)? })
    }
}

/// Where the longest end starts in which at least half of the steps have a value, itself one with a value.
fn believable(values: &[f64]) -> usize {
    let (mut present, mut start) = (0, values.len());
    for (t, value) in values.iter().enumerate().rev() {
        if value.is_finite() {
            present += 1;
            if 2 * present >= values.len() - t {
                start = t;
            }
        }
    }
    start
}

impl Series {
    /// How many of the values were filled in.
    pub fn filled(&self) -> usize {
        self.gaps.iter().map(Range::len).sum()
    }

    /// The values with their gaps filled by the mean season, moved to the level of their neighbours: a line across a day
    /// would tell models that days can be flat.
    pub fn in_season(&self, season: usize) -> Cow<'_, [f64]> {
        if self.gaps.is_empty() {
            return Cow::Borrowed(&self.values);
        }
        let mut sums = vec![(0.0, 0u32); season];
        let known = |t: &usize| !self.gaps.iter().any(|g| g.contains(t));
        for t in (0..self.values.len()).filter(known) {
            sums[t % season].0 += self.values[t];
            sums[t % season].1 += 1;
        }
        // A phase without a single value has no mean: there the line stays.
        if sums.iter().any(|s| s.1 == 0) {
            return Cow::Borrowed(&self.values);
        }
        let profile = |t: usize| sums[t % season].0 / f64::from(sums[t % season].1);
        let mut rest: Vec<f64> = self.values.iter().enumerate().map(|(t, v)| v - profile(t)).collect();
        fill(&mut rest, &self.gaps);
        let mut values = self.values.clone();
        for t in self.gaps.iter().flat_map(Clone::clone) {
            values[t] = rest[t] + profile(t);
        }
        Cow::Owned(values)
    }
}

/// Increases per second, at the later time of each pair; after a fall the counter started at zero.
fn rates(totals: &[(i64, f64)]) -> Vec<(i64, f64)> {
    let rate = |w: &[(i64, f64)]| {
        let grown = if w[1].1 >= w[0].1 { w[1].1 - w[0].1 } else { w[1].1 };
        (w[1].0, grown * 1000.0 / (w[1].0 - w[0].0) as f64)
    };
    totals.windows(2).map(rate).collect()
}

/// The most usual distance between neighbours of the newest half, at most [`TELLING`] (the shortest of equally usual ones).
fn usual_step(samples: &[(i64, f64)]) -> Option<i64> {
    let half = (samples.len() / 2).clamp(2, TELLING);
    let newest = &samples[samples.len().saturating_sub(half)..];
    let mut gaps: Vec<i64> = newest.windows(2).map(|w| w[1].0 - w[0].0).collect();
    gaps.sort_unstable();
    // Scrapes jitter: distances within a twentieth of one another are the same step.
    let near = |g: i64| gaps.iter().filter(|x| (**x - g).abs() * 20 <= g).count();
    let best = gaps.iter().map(|g| near(*g)).max()?;
    gaps.iter().copied().find(|g| near(*g) == best)
}

/// Where values are missing. The first and the last must be there.
fn gaps(values: &[f64]) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    for t in (0..values.len()).filter(|t| !values[*t].is_finite()) {
        match found.last_mut() {
            Some(gap) if gap.end == t => gap.end += 1,
            _ => found.push(t..t + 1),
        }
    }
    found
}

/// Fills each gap on a line between the values before and after it.
fn fill(values: &mut [f64], gaps: &[Range<usize>]) {
    for gap in gaps {
        let (from, to, length) = (values[gap.start - 1], values[gap.end], (gap.len() + 1) as f64);
        for (k, value) in values[gap.clone()].iter_mut().enumerate() {
            let part = (k + 1) as f64 / length;
            *value = from * (1.0 - part) + to * part;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAN: f64 = f64::NAN;

    fn gauge(samples: &[(i64, f64)]) -> Series {
        Series::from_samples(samples, Meaning::Gauge, None).unwrap()
    }

    #[test]
    fn gaps_are_lines_ends_are_cut_or_stale() {
        let s = Series::from_values(&[NAN, 1.0, f64::INFINITY, NAN, 4.0, 5.0, 6.0, NAN, NAN]).unwrap();
        assert_eq!((s.filled(), s.values, s.stale), (2, vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 2));
    }

    #[test]
    fn nothing_finite_is_no_series() {
        assert_eq!(Series::from_values(&[]), Err(BadSeries::Empty));
        assert_eq!(Series::from_values(&[NAN, f64::NEG_INFINITY]), Err(BadSeries::Empty));
        assert_eq!(Series::from_samples(&[], Meaning::Gauge, None), Err(BadSeries::Empty));
        assert_eq!(Series::from_samples(&[(5, 1.0), (5, 2.0)], Meaning::Gauge, None), Err(BadSeries::NoStep));
        assert_eq!(Series::from_samples(&[(0, 1.0), (9, 2.0)], Meaning::Counter, None), Err(BadSeries::NoStep));
    }

    #[test]
    fn an_old_part_with_more_gaps_than_values_is_cut_off() {
        let mut values = vec![NAN; 50];
        values[0] = 9.0;
        values.extend([1.0, 2.0, 3.0]);
        assert_eq!(Series::from_values(&values).unwrap().values, vec![1.0, 2.0, 3.0]);
    }

    #[test]
    fn a_million_values_keep_their_newest() {
        let many: Vec<f64> = (0..1_000_000).map(f64::from).collect();
        let s = Series::from_values(&many).unwrap();
        assert_eq!((s.values.len(), s.values[0], s.values[LONGEST - 1]), (LONGEST, 990_000.0, 999_999.0));
        let samples: Vec<(i64, f64)> = (0..1_000_000).map(|t| (i64::from(t) * 1000, f64::from(t))).collect();
        assert_eq!(gauge(&samples).values, s.values);
    }

    #[test]
    fn order_and_duplicates_do_not_matter_the_last_of_equal_times_holds() {
        let s = gauge(&[(30_000, 3.0), (10_000, 7.0), (20_000, 2.0), (10_000, 1.0), (20_000, NAN)]);
        assert_eq!((s.values, s.step), (vec![1.0, 2.0, 3.0], Some(10_000)));
    }

    #[test]
    fn scrapes_may_jitter_and_miss() {
        let s = gauge(&[(0, 0.0), (15_200, 1.0), (29_900, 2.0), (60_100, 4.0), (75_000, 5.0), (90_000, 6.0)]);
        assert_eq!((s.filled(), s.values), (1, vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0]));
    }

    #[test]
    fn a_scrape_interval_that_grew_averages_what_was_finer() {
        let mut samples: Vec<(i64, f64)> = (0..8).map(|t| (t * 15_000, t as f64)).collect();
        samples.extend((0..10).map(|t| (120_000 + t * 60_000, 100.0)));
        let s = gauge(&samples);
        assert_eq!(s.step, Some(60_000));
        assert_eq!(s.values.len(), 12);
        // The slot around 60 s holds the samples from 30 to 90 s.
        assert!((s.values[1] - 3.5).abs() < 1.1 && s.values[2] > 50.0, "{:?}", s.values);
    }

    #[test]
    fn a_scrape_interval_that_shrank_fills_what_was_coarser() {
        let mut samples: Vec<(i64, f64)> = (0..5).map(|t| (t * 30_000, t as f64)).collect();
        samples.extend((1..=20).map(|t| (120_000 + t * 15_000, 4.0)));
        let s = gauge(&samples);
        assert_eq!((s.step, s.values.len(), s.filled()), (Some(15_000), 29, 4));
        assert_eq!(s.values[..5], [0.0, 0.5, 1.0, 1.5, 2.0]);
    }

    #[test]
    fn a_counter_that_restarts_goes_on_counting() {
        let s = Series::from_samples(
            &[(0, 100.0), (10_000, 150.0), (20_000, 20.0), (30_000, 40.0)],
            Meaning::Counter,
            None,
        );
        assert_eq!(s.unwrap().values, vec![5.0, 2.0, 2.0]);
    }

    #[test]
    fn silence_until_now_is_stale() {
        let samples = [(0, 1.0), (10_000, 2.0), (20_000, 3.0)];
        let s = Series::from_samples(&samples, Meaning::Gauge, Some(55_000)).unwrap();
        assert_eq!((s.stale, s.values.len()), (3, 3));
        assert_eq!(Series::from_samples(&samples, Meaning::Gauge, Some(0)).unwrap().stale, 0, "clocks may differ");
    }

    #[test]
    fn a_gap_of_a_day_gets_a_day_at_the_level_of_its_neighbours() {
        let day = |t: usize| [0.0, 10.0, 20.0, 10.0][t % 4] + if t < 22 { 0.0 } else { 8.0 };
        let mut values: Vec<f64> = (0..40).map(day).collect();
        values[20..24].fill(NAN);
        let s = Series::from_values(&values).unwrap();
        assert_eq!(s.gaps, vec![20..24]);
        let whole = s.in_season(4);
        assert!(
            (20..24).all(|t| (whole[t] - day(t)).abs() < 8.0) && whole[22] > whole[20] + 15.0,
            "{:?}",
            &whole[18..26]
        );
        assert_eq!(whole[19], values[19]);
    }
}
