//! What a model says of whole pasts, and which of its words, and of the rules', become alarms.

use super::super::course::{Course, any, blank, label, note, walk};
use super::super::learner::{Learner, Model};
use super::super::score::Score;
use super::{CHOSEN, right, sum, worth};
use crate::model::failure::{Past, State};

/// How one workload went, and what a model said.
pub(super) struct Heard {
    pub(super) course: Course,
    /// Probability of failure, moment by moment; NaN where nothing was to be seen.
    pub(super) said: Vec<f64>,
}

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
        right(&alone, CHOSEN)
    })
}

/// The threshold that foresees most among those whose alarms, with those of the trusted rules, are right often enough;
/// where there is none, the one that is right most often. Of equals the highest: what comes later is strange to it.
pub(super) fn calibrate(heard: &[Heard], trusted: [bool; 4]) -> f64 {
    let mut best: Option<((bool, f64, f64), f64)> = None;
    for threshold in (2..=38).map(|i| f64::from(i) * 0.025) {
        let worth = worth(&scored(heard, threshold, trusted), CHOSEN);
        if best.as_ref().is_none_or(|(w, ..)| worth >= *w) {
            best = Some((worth, threshold));
        }
    }
    best.map_or(1.0, |(_, threshold)| threshold)
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
