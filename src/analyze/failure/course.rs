//! The past of one workload as a learner meets it: at each step what was to be seen, and what came of it.

use super::learner::Learner;
use super::rules;
use super::scene::Scene;
use super::window::Window;
use crate::model::failure::{AHEAD, Past, STEPS, State};
use crate::model::object::WorkloadKey;
use chrono::TimeDelta;

/// Steps of a window that must be measured, or nothing is said.
pub const MEASURED: usize = STEPS / 3;

/// What was to be seen of one workload, and what came of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Course {
    /// Whose.
    pub key: WorkloadKey,
    /// Seconds between steps.
    pub step: u32,
    /// How it was, from the first step with a whole window on; `None`: cannot be told.
    pub states: Vec<Option<State>>,
    /// Whether a rule raised an alarm.
    pub alarms: Vec<bool>,
    /// What the learner saw: a row per step, empty where too little was measured.
    pub rows: Vec<Vec<f64>>,
}

impl Course {
    /// The worst state of the next [`AHEAD`] after a step; `None` where that lies beyond the end or was not measured.
    pub fn came(&self, at: usize) -> Option<State> {
        let ahead = (AHEAD.num_seconds() / i64::from(self.step.max(1))).max(1) as usize;
        self.states.get(at + 1..=at + ahead)?.iter().flatten().max().copied()
    }
}

/// The courses of a past, as `learner` sees them.
pub fn courses(past: &Past, learner: &dyn Learner) -> Vec<Course> {
    let course = |record: &crate::model::failure::Record| Course {
        key: record.key.clone(),
        step: past.step,
        states: Vec::new(),
        alarms: Vec::new(),
        rows: Vec::new(),
    };
    let mut all: Vec<Course> = past.records.iter().map(course).collect();
    for end in STEPS - 1..past.slots {
        let at = past.from + TimeDelta::seconds(i64::from(past.step) * end as i64);
        let scene = Scene::of_past(past, end);
        for (course, record) in all.iter_mut().zip(&past.records) {
            let Some(sight) = scene.sights.get(&record.key) else { continue };
            let around = scene.around(&record.key);
            let enough = sight.measured >= MEASURED;
            course.states.push(sight.state);
            course.alarms.push(enough && rules::patterns(sight, &around, at).iter().any(|p| p.alarm));
            let row = || learner.row(&Window::of_record(record, end, past.step), sight, &around);
            course.rows.push(if enough { row() } else { Vec::new() });
        }
    }
    all
}
