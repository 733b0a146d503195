//! Rolling-origin back-tests: every candidate predicts stretches of the history from what came before them.

use std::sync::atomic::{AtomicBool, Ordering};

use super::candidates::Candidate;
use super::{ensemble, interval::Errors, metrics};

/// The most origins a back-test starts from.
const FOLDS: usize = 8;

/// Where the back-tests of a history start, newest first: each predicts the `horizon` values from there on.
///
/// Origins lie half a horizon apart; at least `least` values, and half of the history, come before each.
pub fn origins(length: usize, horizon: usize, least: usize) -> Vec<usize> {
    let stride = horizon.div_ceil(2).max(1);
    let floor = least.max(length / 2);
    let mut out = Vec::new();
    while out.len() < FOLDS {
        match length.checked_sub(horizon + out.len() * stride).filter(|o| *o >= floor) {
            Some(origin) => out.push(origin),
            None => break,
        }
    }
    out
}

/// What one candidate predicted: on every fold, and from the end of the history.
#[derive(Debug, Clone)]
pub struct Member {
    /// The candidate's name.
    pub name: String,
    /// Mean absolute error per fold.
    pub errors: Vec<f64>,
    /// One path per fold.
    pub folds: Vec<Vec<f64>>,
    /// The path after the end of the history.
    pub path: Vec<f64>,
}

/// Runs a candidate on all folds and on the whole history; `None` when it fails on any, or `cancel` is set.
pub fn run(
    candidate: &Candidate,
    history: &[f64],
    origins: &[usize],
    horizon: usize,
    ahead: usize,
    cancel: &AtomicBool,
) -> Option<Member> {
    let mut folds = Vec::with_capacity(origins.len());
    let mut errors = Vec::with_capacity(origins.len());
    for origin in origins {
        if cancel.load(Ordering::Relaxed) {
            return None;
        }
        let path = candidate.predict(&history[..*origin], horizon)?;
        errors.push(metrics::mae(&history[*origin..*origin + horizon], &path));
        folds.push(path);
    }
    let path = candidate.predict(history, ahead)?;
    Some(Member { name: candidate.name.clone(), errors, folds, path })
}

/// The ensemble's errors on each fold, with weights learned on the other folds only.
pub fn ensemble_errors(members: &[Member], history: &[f64], origins: &[usize]) -> Vec<Errors> {
    (0..origins.len())
        .map(|k| {
            let weights = ensemble::weights(&means(members, Some(k)));
            let paths: Vec<&[f64]> = members.iter().map(|m| m.folds[k].as_slice()).collect();
            let path = ensemble::combine(&paths, &weights);
            path.iter().zip(&history[origins[k]..]).map(|(p, a)| a - p).collect()
        })
        .collect()
}

/// Each member's mean error over the folds; without one of them and its neighbours, which share half of its values, if
/// any others are left.
pub fn means(members: &[Member], without: Option<usize>) -> Vec<f64> {
    let mean = |m: &Member| {
        let apart = |k: usize| without.is_none_or(|w| w.abs_diff(k) > 1);
        let any = (0..m.errors.len()).any(apart);
        let kept = m.errors.iter().enumerate().filter(|(k, _)| !any || apart(*k)).map(|(_, e)| *e);
        kept.clone().sum::<f64>() / kept.count() as f64
    };
    members.iter().map(mean).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_leave_half_of_the_history_and_two_seasons_before_them() {
        assert_eq!(origins(100, 10, 20), vec![90, 85, 80, 75, 70, 65, 60, 55]);
        assert_eq!(origins(100, 10, 80), vec![90, 85, 80]);
        assert_eq!(origins(20, 10, 5), vec![10]);
        assert!(origins(10, 20, 1).is_empty());
    }

    #[test]
    fn weights_for_a_fold_are_learned_from_folds_that_share_nothing_with_it() {
        let errors = vec![9.0, 8.0, 1.0, 3.0];
        let member = Member { name: String::new(), errors, folds: Vec::new(), path: Vec::new() };
        assert_eq!(means(std::slice::from_ref(&member), Some(0)), vec![2.0]);
        assert_eq!(means(std::slice::from_ref(&member), None), vec![5.25]);
        let short = Member { errors: vec![4.0, 2.0], ..member };
        assert_eq!(means(&[short], Some(0)), vec![3.0]);
    }

    #[test]
    fn a_candidate_never_sees_what_it_predicts() {
        let y: Vec<f64> = (0..60).map(f64::from).collect();
        let naive = &super::super::candidates::all(&[])[0];
        let run = run(naive, &y, &[50, 45], 10, 3, &AtomicBool::new(false)).unwrap();
        assert_eq!((run.folds[0][9], run.folds[1][0], run.path[0]), (49.0, 44.0, 59.0));
        assert_eq!(run.errors, vec![5.5, 5.5]);
    }
}
