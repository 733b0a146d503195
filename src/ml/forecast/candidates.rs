//! The models that compete on a series: each is a kind of model on a view of the history.

use super::{ets::Ets, lags, mstl, naive, period};

/// A model, told which seasons to look at.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// The last value.
    Naive,
    /// The last season.
    SeasonalNaive(usize),
    /// The last long season at the level of the last short one.
    Levelled(usize, usize),
    /// Exponential smoothing with this season (0: none).
    Ets(usize),
    /// Decomposition with these seasons.
    Mstl(Vec<usize>),
    /// Ridge regression on these lags, step by step.
    Lags(Vec<usize>),
}

/// What the model sees of the history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// The values.
    Raw,
    /// Their logarithms; only for series that are above zero throughout.
    Log,
    /// Their changes over so many steps.
    Change(usize),
    /// What is left when each phase of this season has had its mean taken away.
    Profile(usize),
    /// The same of the logarithms.
    LogProfile(usize),
}

/// A model on a view.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// What it is called where people read it; unique among the candidates of a series.
    pub name: String,
    kind: Kind,
    view: View,
}

impl Candidate {
    /// A candidate named after its parts.
    pub fn new(name: &str, kind: Kind, view: View) -> Self {
        let seen = match view {
            View::Raw => String::new(),
            View::Log => " of logs".to_owned(),
            View::Change(1) => " of changes".to_owned(),
            View::Change(steps) => format!(" of changes over {steps}"),
            View::LogProfile(season) => format!(" of logs around the mean season of {season}"),
            View::Profile(season) => format!(" around the mean season of {season}"),
        };
        Self { name: format!("{name}{seen}"), kind, view }
    }

    /// Predicts `horizon` values; `None` when this history is not one for this model.
    pub fn predict(&self, history: &[f64], horizon: usize) -> Option<Vec<f64>> {
        let path = match self.view {
            View::Raw => self.model(history, horizon)?,
            View::Log => exp(self.model(&logs(history)?, horizon)?),
            View::Change(steps) => self.changes(history, steps, horizon)?,
            View::Profile(season) => self.around(history, season, horizon)?,
            View::LogProfile(season) => exp(self.around(&logs(history)?, season, horizon)?),
        };
        path.iter().all(|v| v.is_finite()).then_some(path)
    }

    /// Predicts changes over `steps` and adds them up.
    fn changes(&self, seen: &[f64], steps: usize, horizon: usize) -> Option<Vec<f64>> {
        let changes: Vec<f64> = seen.get(steps..)?.iter().zip(seen).map(|(now, then)| now - then).collect();
        let (low, high) = lags::bounds(seen);
        let mut path = seen[seen.len() - steps..].to_vec();
        for change in self.model(&changes, horizon)? {
            path.push((path[path.len() - steps] + change).clamp(low, high));
        }
        Some(path.split_off(steps))
    }

    /// Predicts what is left around the mean season and puts the season back.
    fn around(&self, seen: &[f64], season: usize, horizon: usize) -> Option<Vec<f64>> {
        let profile = period::profile(seen, season);
        let rest: Vec<f64> = seen.iter().enumerate().map(|(t, v)| v - profile[t % season]).collect();
        let path = self.model(&rest, horizon)?;
        Some(path.iter().enumerate().map(|(h, v)| v + profile[(seen.len() + h) % season]).collect())
    }

    fn model(&self, seen: &[f64], horizon: usize) -> Option<Vec<f64>> {
        match &self.kind {
            Kind::Naive => naive::last(seen, horizon),
            Kind::SeasonalNaive(season) => naive::seasonal(seen, *season, horizon),
            Kind::Levelled(short, long) => naive::levelled(seen, *short, *long, horizon),
            Kind::Ets(season) => Some(Ets::best(seen, *season)?.predict(horizon)),
            Kind::Mstl(seasons) => mstl::predict(seen, seasons, horizon),
            Kind::Lags(lags) => lags::recursive(seen, lags, horizon),
        }
    }
}

/// Logarithms; `None` when a value isn't above zero.
fn logs(values: &[f64]) -> Option<Vec<f64>> {
    values.iter().map(|v| (*v > 0.0).then(|| v.ln())).collect()
}

fn exp(values: Vec<f64>) -> Vec<f64> {
    values.into_iter().map(f64::exp).collect()
}

/// Seasons beyond this many steps are too long to smooth exponentially: one state per phase would have to be learned.
const SMOOTHED: usize = 400;

/// All candidates for a series with these `seasons` (ascending).
pub fn all(seasons: &[usize]) -> Vec<Candidate> {
    let mut out = vec![Candidate::new("naive", Kind::Naive, View::Raw)];
    let mut add = |name: &str, kind: Kind, views: &[View]| {
        out.extend(views.iter().map(|view| Candidate::new(name, kind.clone(), *view)));
    };
    let (raw, log) = (View::Raw, View::Log);
    add("ets", Kind::Ets(0), &[raw]);
    let (Some(&short), Some(&long)) = (seasons.first(), seasons.last()) else {
        for near in [3, 12, 24] {
            add(&format!("ridge on {near} lags"), Kind::Lags((1..=near).collect()), &[raw, log, View::Change(1)]);
        }
        return out;
    };
    for season in seasons {
        add(&format!("seasonal naive {season}"), Kind::SeasonalNaive(*season), &[raw]);
    }
    if short <= SMOOTHED {
        add(&format!("ets {short}"), Kind::Ets(short), &[raw, log]);
    }
    add("mstl", Kind::Mstl(seasons.to_vec()), &[raw, log]);
    let mut views = vec![raw, log, View::Change(short), View::Change(1), View::LogProfile(short), View::Profile(short)];
    if long > short {
        add(&format!("season {long} at the level of {short}"), Kind::Levelled(short, long), &[raw, log]);
        views.extend([View::Change(long), View::LogProfile(long), View::Profile(long)]);
    }
    for (name, lags) in lag_sets(seasons) {
        add(&format!("ridge on {name}"), Kind::Lags(lags), &views);
    }
    out
}

/// Which steps back a regression looks: the nearest ones, and those around multiples of the seasons.
fn lag_sets(seasons: &[usize]) -> Vec<(String, Vec<usize>)> {
    let short = seasons[0];
    let day = short.min(24) + 1;
    let two_days = (2 * short).min(48) + 1;
    let few: Vec<usize> =
        seasons.iter().flat_map(|s| if *s == short { vec![short, 2 * short, 3 * short] } else { vec![*s] }).collect();
    let radius = (short / 4).clamp(1, 6);
    let set = |near: usize, around: &[usize], radius: usize| {
        let mut lags: Vec<usize> = (1..=near).collect();
        lags.extend(around.iter().filter(|c| **c > 0).flat_map(|c| c.saturating_sub(radius).max(1)..=c + radius));
        lags.sort_unstable();
        lags.dedup();
        lags
    };
    let mut sets = vec![
        ("the nearest lags and the first seasons", set(3, &few, 1)),
        ("two seasons of lags", set(two_days, seasons, 1)),
        ("a season of lags and wide surroundings", set(day, seasons, radius)),
        ("a season of lags", set(day, &[short], 1)),
    ];
    sets.dedup_by(|a, b| a.1 == b.1);
    sets.into_iter().map(|(name, lags)| (name.to_owned(), lags)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidates_have_names_of_their_own_and_come_with_the_naive_ones() {
        for seasons in [&[][..], &[2], &[24], &[24, 168], &[7, 30, 365], &[2880]] {
            let names: Vec<String> = all(seasons).into_iter().map(|c| c.name).collect();
            let unique: std::collections::HashSet<&String> = names.iter().collect();
            assert_eq!(unique.len(), names.len(), "{names:?}");
            assert!(names.contains(&"naive".to_owned()));
            assert!(seasons.iter().all(|s| names.contains(&format!("seasonal naive {s}"))));
        }
    }

    #[test]
    fn every_view_is_undone() {
        // On a history that repeats exactly each view makes the naive model speak in the history's own units.
        let y: Vec<f64> = (0..40).map(|t| 10.0 + f64::from(t % 4)).collect();
        for view in [View::Raw, View::Log, View::Change(4), View::Profile(4), View::LogProfile(4)] {
            let path = Candidate::new("", Kind::SeasonalNaive(4), view).predict(&y, 8).unwrap();
            for (h, p) in path.iter().enumerate() {
                assert!((p - y[h]).abs() < 1e-9, "{view:?}: {path:?}");
            }
        }
    }

    #[test]
    fn logarithms_are_for_what_is_above_zero() {
        let y: Vec<f64> = (0..40).map(|t| f64::from(t % 4)).collect();
        for view in [View::Log, View::LogProfile(4)] {
            assert!(Candidate::new("", Kind::Naive, view).predict(&y, 8).is_none());
        }
    }
}
