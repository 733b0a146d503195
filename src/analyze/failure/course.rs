//! A past as a learner meets it: at each step what was to be seen of a workload, and what came of it.

use super::scene::{Around, Scene};
use super::sight::Sight;
use super::state::state;
use super::window::Window;
use super::{found, rules};
use crate::model::failure::{AHEAD, Past, Pattern, PatternKind, STEPS, State};
use crate::model::object::WorkloadKey;
use chrono::TimeDelta;

/// Steps of a window that must be measured, or nothing is said.
pub const MEASURED: usize = STEPS / 3;

/// How one workload went, step by step from the first one with a whole window on.
#[derive(Debug, Clone, PartialEq)]
pub struct Course {
    /// Whose.
    pub key: WorkloadKey,
    /// Seconds between steps.
    pub step: u32,
    /// How it was; `None`: cannot be told.
    pub states: Vec<Option<State>>,
    /// Which rules raised an alarm, in the order of [`PatternKind::ALL`].
    pub raised: Vec<[bool; 4]>,
}

impl Course {
    /// Whether any of these rules raised an alarm, moment by moment.
    pub fn alarms(&self, rules: [bool; 4]) -> Vec<bool> {
        self.raised.iter().map(|raised| any(*raised, rules)).collect()
    }
}

/// All rules.
pub const ALL: [bool; 4] = [true; 4];

/// Whether one of `rules` is among those that `raised` an alarm.
pub fn any(raised: [bool; 4], rules: [bool; 4]) -> bool {
    raised.into_iter().zip(rules).any(|(raised, rule)| raised && rule)
}

/// Which rules raise an alarm, in the order of [`PatternKind::ALL`].
pub fn raised(patterns: &[Pattern]) -> [bool; 4] {
    PatternKind::ALL.map(|kind| patterns.iter().any(|p| p.kind == kind && p.alarm))
}

/// One workload at one moment.
#[derive(Debug)]
pub struct Moment<'a> {
    /// Its last steps.
    pub window: &'a Window,
    /// What they show.
    pub sight: &'a Sight,
    /// What it has around it.
    pub around: &'a Around,
    /// What the rules say of it; empty where too little was measured.
    pub patterns: &'a [Pattern],
}

impl Moment<'_> {
    /// Whether enough was measured to say anything.
    pub fn enough(&self) -> bool {
        self.sight.measured >= MEASURED
    }
}

/// Moments of a past, counted from the first with a whole window.
pub fn moments(past: &Past) -> usize {
    (past.slots + 1).saturating_sub(STEPS)
}

/// How each workload of a past was at each moment: the cheap part of looking at it.
pub fn states(past: &Past) -> Vec<Vec<Option<State>>> {
    let of = |record| {
        (0..moments(past)).map(|at| state(&Window::of_record(record, at + STEPS - 1, past.step))).collect::<Vec<_>>()
    };
    let mut all: Vec<_> = past.records.iter().map(of).collect();
    all.iter_mut().enumerate().for_each(|(record, states)| found::raise(states, past, record, STEPS - 1));
    all
}

/// The worst state of the next [`AHEAD`] after a moment; `None` where that lies beyond the end or was not measured.
pub fn came(states: &[Option<State>], step: u32, at: usize) -> Option<State> {
    let ahead = (AHEAD.num_seconds() / i64::from(step.max(1))).max(1) as usize;
    states.get(at + 1..=at + ahead)?.iter().flatten().max().copied()
}

/// Goes through a past in the order of time and shows `see` each moment of each record (by number) that it `wants`. Only
/// what is wanted, and what that calls, is looked at closely.
pub fn walk(past: &Past, wants: impl Fn(usize, usize) -> bool, mut see: impl FnMut(usize, usize, &Moment)) {
    for at in 0..moments(past) {
        let wanted: Vec<usize> = (0..past.records.len()).filter(|record| wants(*record, at)).collect();
        if wanted.is_empty() {
            continue;
        }
        let end = at + STEPS - 1;
        let time = past.from + TimeDelta::seconds(i64::from(past.step) * end as i64);
        let scene = Scene::of_past(past, end, &wanted);
        for record in wanted {
            let key = &past.records[record].key;
            let Some(sight) = scene.sights.get(key) else { continue };
            let (window, around) = (Window::of_record(&past.records[record], end, past.step), scene.around(key));
            let enough = sight.measured >= MEASURED;
            let patterns = if enough { rules::patterns(sight, &around, time) } else { Vec::new() };
            see(record, at, &Moment { window: &window, sight, around: &around, patterns: &patterns });
        }
    }
}

/// The courses of a past.
pub fn courses(past: &Past) -> Vec<Course> {
    let mut all = blank(past);
    walk(past, |_, _| true, |record, _, moment| note(&mut all[record], moment));
    label(&mut all, past);
    all
}

/// Adds to whole courses what was found then.
pub(super) fn label<'a>(courses: impl IntoIterator<Item = &'a mut Course>, past: &Past) {
    courses.into_iter().enumerate().for_each(|(record, c)| found::raise(&mut c.states, past, record, STEPS - 1));
}

/// Courses of which nothing is known yet.
pub(super) fn blank(past: &Past) -> Vec<Course> {
    let course = |r: &crate::model::failure::Record| Course {
        key: r.key.clone(),
        step: past.step,
        states: Vec::new(),
        raised: Vec::new(),
    };
    past.records.iter().map(course).collect()
}

/// Writes a moment down.
pub(super) fn note(course: &mut Course, moment: &Moment) {
    course.states.push(moment.sight.state);
    course.raised.push(raised(moment.patterns));
}
