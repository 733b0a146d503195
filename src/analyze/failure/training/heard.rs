//! What a model says of whole pasts, and which of its words, and of the rules', become alarms.

use super::super::course::{Course, any, blank, label, note, walk};
use super::super::learner::{Learner, Model};
use super::super::score::Score;
use super::{CHOSEN, right, sum, worth};
use crate::model::failure::{Past, State};
use std::cmp::Ordering;

/// How one workload went, and what a model said.
pub(super) struct Heard {
    pub(super) course: Course,
    /// Probability of failure, moment by moment; NaN where nothing was to be seen.
    pub(super) said: Vec<f64>,
}

/// Right alarms that a rule must have raised before it needs nobody's leave: four of four were right on one quarter, and one of six
/// on the next.
const PROVEN: usize = 20;

/// Rows that a model is asked about at once.
const ASKED: usize = 1024;

/// What a model says in a past. Rows are given up as soon as it answered.
pub(super) fn hear(past: &Past, learner: &dyn Learner, model: &dyn Model) -> Vec<Heard> {
    let mut all: Vec<Heard> = blank(past).into_iter().map(|course| Heard { course, said: Vec::new() }).collect();
    let (mut rows, mut places) = (Vec::new(), Vec::new());
    let answer = |rows: &mut Vec<f64>, places: &mut Vec<(usize, usize)>, all: &mut Vec<Heard>| {
        for ((record, at), p) in places.drain(..).zip(model.probabilities(rows)) {
            all[record].said[at] = failure(p);
        }
        rows.clear();
    };
    walk(
        past,
        |_, _| true,
        |record, _, moment| {
            let heard = &mut all[record];
            note(&mut heard.course, moment);
            heard.said.push(f64::NAN);
            if moment.enough() {
                rows.extend(learner.row(moment));
                places.push((record, heard.said.len() - 1));
            }
            if places.len() >= ASKED {
                answer(&mut rows, &mut places, &mut all);
            }
        },
    );
    answer(&mut rows, &mut places, &mut all);
    label(all.iter_mut().map(|heard| &mut heard.course), past);
    all
}

pub(super) fn failure(p: [f64; 4]) -> f64 {
    p[State::Unhealthy as usize] + p[State::Critical as usize]
}

/// The rules whose alarms were right often enough, and often: they need nobody's leave.
pub(super) fn trusted(heard: &[Heard]) -> [bool; 4] {
    std::array::from_fn(|rule| {
        let only: [bool; 4] = std::array::from_fn(|other| other == rule);
        let alone = sum(heard.iter().map(|h| Score::of(&h.course.states, &h.course.alarms(only), h.course.step)));
        alone.hits >= PROVEN && right(&alone, CHOSEN)
    })
}

/// A threshold whose alarms, with those of the trusted rules, are right often enough. Of those the highest that foresees no
/// fewer episodes than the best one less a standard error of that share (the rule of Breiman et al. 1984, section 3.4.3): one or
/// two more out of some dozens are luck, and a careful threshold holds longer. Where none is right often enough, the one that is
/// right most often.
pub(super) fn calibrate(heard: &[Heard], trusted: [bool; 4]) -> f64 {
    let all: Vec<(f64, Score)> = (2..=38)
        .map(|i| f64::from(i) * 0.025)
        .map(|threshold| (threshold, scored(heard, threshold, trusted)))
        .collect();
    let better = |a: &Score, b: &Score| worth(a, CHOSEN).partial_cmp(&worth(b, CHOSEN)).unwrap_or(Ordering::Equal);
    let Some((threshold, best)) = all.iter().max_by(|a, b| better(&a.1, &b.1)) else { return 1.0 };
    let recall = best.recall().unwrap_or(0.0);
    let least = recall - (recall * (1.0 - recall) / best.episodes.max(1) as f64).sqrt();
    let as_good = |s: &Score| right(s, CHOSEN) && s.recall().is_some_and(|r| r >= least);
    all.iter().rev().find(|(_, s)| as_good(s)).map_or(*threshold, |(threshold, _)| *threshold)
}

/// What the alarms of a threshold, with those of the trusted rules, come to.
pub(super) fn scored(heard: &[Heard], threshold: f64, trusted: [bool; 4]) -> Score {
    sum(heard.iter().map(|h| Score::of(&h.course.states, &h.alarms(threshold, trusted), h.course.step)))
}

impl Heard {
    /// Whether an alarm is raised, moment by moment.
    pub(super) fn alarms(&self, threshold: f64, trusted: [bool; 4]) -> Vec<bool> {
        self.said.iter().zip(&self.course.raised).map(|(p, raised)| *p >= threshold || any(*raised, trusted)).collect()
    }
}
