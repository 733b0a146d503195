//! Why a forecast of many models is as high as it is: what would be said of a history without one of its parts.
//!
//! A history is the sum of its mean, the level it has come to, a season after the other, and the rest. The same models, with
//! the same say, are asked about the histories that each subset of these parts makes, and each part gets its Shapley value:
//! its mean effect over all orders in which parts may be added (Shapley 1953). All subsets are tried, so nothing is an
//! estimate, and the values add up to the forecast's distance from the mean.

use super::{candidates::Candidate, crew, period};
use std::sync::atomic::{AtomicBool, Ordering};

/// What parts are called in the order of their seasons; further seasons have no words of their own.
const SEASONS: [&str; 2] = ["the time of day", "the day of the week"];

/// A history taken apart.
struct Parts {
    mean: f64,
    /// Name and course of each part; they and the mean add up to the history.
    all: Vec<(&'static str, Vec<f64>)>,
}

impl Parts {
    /// `None` where there is no season, or one too many to be named.
    fn of(history: &[f64], seasons: &[usize]) -> Option<Self> {
        let short = *seasons.first()?;
        let mean = history.iter().sum::<f64>() / history.len() as f64;
        let mut rest: Vec<f64> = history.iter().map(|v| v - mean).collect();
        let take = |rest: &mut Vec<f64>, part: Vec<f64>| {
            rest.iter_mut().zip(&part).for_each(|(rest, part)| *rest -= part);
            part
        };
        let mut all = Vec::new();
        for (name, season) in SEASONS.into_iter().zip(seasons) {
            let profile = period::profile(&rest, *season);
            let course = (0..history.len()).map(|t| profile[t % season]).collect();
            all.push((name, take(&mut rest, course)));
        }
        let level = smooth(&rest, short);
        all.insert(0, ("its level of late", take(&mut rest, level)));
        all.push(("the last hours", rest));
        (seasons.len() <= SEASONS.len()).then_some(Self { mean, all })
    }

    /// The history that these parts make.
    fn history(&self, subset: usize) -> Vec<f64> {
        let kept = || self.all.iter().enumerate().filter(|(i, _)| subset >> i & 1 == 1);
        (0..self.all[0].1.len()).map(|t| self.mean + kept().map(|(_, (_, course))| course[t]).sum::<f64>()).collect()
    }
}

/// The mean of the `width` values around each; at both ends of the first and the last `width`: less would be the time of day.
fn smooth(values: &[f64], width: usize) -> Vec<f64> {
    let width = width.min(values.len());
    let mean = |t: usize| {
        let from = t.saturating_sub(width / 2).min(values.len() - width);
        values[from..from + width].iter().sum::<f64>() / width as f64
    };
    (0..values.len()).map(mean).collect()
}

/// What the value `said` at step `at` is made of, in the unit of the series: the mean of the history first, then what each part
/// brings. `heard` are the candidates with their shares of it. Empty where the history cannot be taken apart, or when `cancel`
/// is set.
pub fn parts(
    history: &[f64],
    seasons: &[usize],
    heard: &[(&Candidate, f64)],
    (at, said): (usize, f64),
    threads: usize,
    cancel: &AtomicBool,
) -> Vec<(&'static str, f64)> {
    let Some(parts) = Parts::of(history, seasons) else { return Vec::new() };
    let count = parts.all.len();
    let whole = (1usize << count) - 1;
    let worth: Vec<Option<f64>> = crew::map(whole + 1, threads, |subset| match subset {
        // Every model says of a history that never changes what it is.
        0 => Some(parts.mean),
        _ if subset == whole => Some(said),
        _ if cancel.load(Ordering::Relaxed) => None,
        _ => {
            let history = parts.history(subset);
            let told = heard.iter().filter_map(|(c, share)| Some((*c.predict(&history, at + 1)?.last()?, share)));
            // Who cannot speak of it, such as logarithms of what is below zero, leaves his share to the others.
            let (sum, mass) = told.fold((0.0, 0.0), |(s, m), (v, share)| (s + v * share, m + share));
            (mass > 0.0).then(|| sum / mass)
        }
    });
    let Some(worth) = worth.into_iter().collect::<Option<Vec<f64>>>() else { return Vec::new() };
    let shapley = |part: usize| -> f64 {
        let without = (0..=whole).filter(|subset| subset >> part & 1 == 0);
        without.map(|set| share(set.count_ones() as usize, count) * (worth[set | 1 << part] - worth[set])).sum()
    };
    let mut all = vec![("the mean of its history", parts.mean)];
    all.extend(parts.all.iter().enumerate().map(|(i, (name, _))| (*name, shapley(i))));
    all
}

/// The share of the orders of `count` parts in which exactly `size` given ones come before another.
fn share(size: usize, count: usize) -> f64 {
    (1..=size).fold(1.0 / count as f64, |share, s| share * s as f64 / (count - s) as f64)
}

#[cfg(test)]
mod tests {
    use super::super::made_up::traffic;
    use super::super::{Config, Series, candidates, forecast};
    use super::*;

    static GO: AtomicBool = AtomicBool::new(false);

    #[test]
    fn parts_add_up_to_the_history_and_shares_to_one() {
        let y = traffic(3, 24 * 14, 2.0);
        let parts = Parts::of(&y, &[24, 168]).unwrap();
        let names: Vec<&str> = parts.all.iter().map(|(n, _)| *n).collect();
        assert_eq!(names, ["its level of late", "the time of day", "the day of the week", "the last hours"]);
        let whole = parts.history((1 << parts.all.len()) - 1);
        assert!(whole.iter().zip(&y).all(|(a, b)| (a - b).abs() < 1e-9));
        for count in 1..6 {
            let orders = |size: usize| (0..1usize << (count - 1)).filter(move |s| s.count_ones() as usize == size);
            let sum: f64 = (0..count).map(|size| orders(size).count() as f64 * share(size, count)).sum();
            assert!((sum - 1.0).abs() < 1e-12, "{count}: {sum}");
        }
        assert!(Parts::of(&y, &[]).is_none() && Parts::of(&y, &[2, 3, 5]).is_none());
    }

    #[test]
    fn what_is_told_of_a_peak_adds_up_to_it_and_the_day_gets_what_is_the_days() {
        let y = traffic(5, 24 * 7, 1.0);
        let config = Config { seasons: vec![24], explain: true, ..Config::new(24) };
        let f = forecast(&Series::from_values(&y).unwrap(), &config, &GO).unwrap();
        let peak = f.mean.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = f.parts.iter().map(|(_, v)| v).sum();
        assert!((sum - peak).abs() < 1e-6 * peak.abs(), "{sum} against {peak}: {:?}", f.parts);
        let of = |name: &str| f.parts.iter().find(|(n, _)| *n == name).unwrap_or_else(|| panic!("{name}")).1;
        let mean = y.iter().sum::<f64>() / y.len() as f64;
        assert!((of("the mean of its history") - mean).abs() < 1e-9);
        assert!((of("the time of day") - 20.0).abs() < 5.0, "a wave of 20 at its top: {:?}", f.parts);
        assert!(of("the last hours").abs() < 5.0, "{:?}", f.parts);
        let plain = forecast(&Series::from_values(&y).unwrap(), &Config { explain: false, ..config }, &GO).unwrap();
        assert_eq!((plain.mean, plain.parts), (f.mean, vec![]), "asking why changes nothing");
    }

    #[test]
    fn a_jump_is_told_as_the_level_and_what_says_nothing_is_not_asked() {
        let mut y = traffic(1, 24 * 8, 0.5);
        y[24 * 6..].iter_mut().for_each(|v| *v += 60.0);
        let all = candidates::all(&[24]);
        let last = all.iter().find(|c| c.name == "seasonal naive 24").unwrap();
        let said = last.predict(&y, 24).unwrap()[3];
        let told = parts(&y, &[24], &[(last, 1.0)], (3, said), 1, &GO);
        let of = |name: &str| told.iter().find(|(n, _)| *n == name).unwrap().1;
        // Two days of eight stand 60 higher: 45 above the mean.
        assert!((of("its level of late") - 45.0).abs() < 12.0, "{told:?}");
        assert!((told.iter().map(|(_, v)| v).sum::<f64>() - said).abs() < 1e-9);
        assert!(parts(&y, &[24], &[(last, 1.0)], (3, said), 1, &AtomicBool::new(true)).is_empty());
        assert!(parts(&y, &[24], &[], (3, said), 1, &GO).is_empty());
    }
}
