//! Modes and brakes: what the loop may do by itself right now, and why not more.

use super::world::{Brakes, Level, Message, StepView};
use crate::model::authority::LeaseView;
use crate::model::mode::{Mode, PhaseName};
use crate::model::time::Timestamp;
use chrono::TimeDelta;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// Messages kept for the history.
const MESSAGES: usize = 500;

/// Mode, brakes, step position and messages of one console.
pub struct Control {
    /// Mode.
    pub mode: Mode,
    /// What holds automation back.
    pub brakes: Brakes,
    /// Where step mode is.
    pub step: StepView,
    messages: VecDeque<Message>,
}

impl Control {
    /// At start: auto is always paused.
    pub fn new(mode: Mode, read_only: Option<Arc<str>>) -> Self {
        Self {
            mode,
            brakes: Brakes { paused: true, read_only, ..Brakes::default() },
            step: StepView::default(),
            messages: VecDeque::new(),
        }
    }

    /// Changes the mode. Whatever it is changed to, auto is paused: switching it on is a second act.
    pub fn set_mode(&mut self, mode: Mode) -> String {
        let before = self.mode;
        self.mode = mode;
        self.brakes.paused = true;
        self.step = StepView { round: self.step.round, ..StepView::default() };
        match mode {
            Mode::Auto => format!("mode {before} → auto, paused: resume it to let it act"),
            _ => format!("mode {before} → {mode}"),
        }
    }

    /// Pauses or resumes auto. Resuming is refused outside auto mode and while the kill switch is on. Who resumes it
    /// confirms it, too: it goes on for `within`.
    pub fn pause(&mut self, on: bool, now: Timestamp, within: Duration) -> Result<String, String> {
        if on {
            self.brakes.paused = true;
            return Ok("auto paused".into());
        }
        if self.mode != Mode::Auto {
            return Err(format!("mode is {}: choose auto first", self.mode));
        }
        if let Some(why) = &self.brakes.killed {
            return Err(format!("the kill switch is on ({why}): release it first"));
        }
        if let Some(why) = &self.brakes.read_only {
            return Err(format!("read-only: {why}"));
        }
        self.brakes.paused = false;
        let until = self.confirmed(now, within);
        Ok(format!("auto resumed: it acts inside the guardrails until paused, or until {until} if nobody confirms it"))
    }

    /// A person says that auto may go on.
    pub fn confirm(&mut self, now: Timestamp, within: Duration) -> Result<String, String> {
        if self.mode != Mode::Auto || self.brakes.paused {
            return Err("auto is not running: there is nothing to confirm".into());
        }
        let until = self.confirmed(now, within);
        Ok(format!("auto confirmed: it goes on until {until}"))
    }

    fn confirmed(&mut self, now: Timestamp, within: Duration) -> String {
        let until = now + TimeDelta::from_std(within).unwrap_or(TimeDelta::zero());
        (self.brakes.confirmed, self.brakes.confirm_by) = (Some(now), Some(until));
        until.format("%d %b %H:%M UTC").to_string()
    }

    /// Pauses auto if nobody confirmed it in time; says so.
    pub fn check_confirmation(&mut self, now: Timestamp) -> Option<String> {
        let running = self.mode == Mode::Auto && !self.brakes.paused;
        let late = self.brakes.confirm_by.is_none_or(|by| now >= by);
        (running && late).then(|| self.stop_alone("nobody confirmed it in time", now))
    }

    /// What the Lease says now. Losing it pauses auto; says so.
    pub fn lease_seen(&mut self, lease: LeaseView, now: Timestamp) -> Option<String> {
        let lost = self.brakes.lease.is_mine() && !lease.is_mine();
        let why = format!("the Lease is lost: {lease}");
        self.brakes.lease = lease;
        (lost && self.mode == Mode::Auto && !self.brakes.paused).then(|| self.stop_alone(&why, now))
    }

    fn stop_alone(&mut self, why: &str, now: Timestamp) -> String {
        self.brakes.paused = true;
        let text = format!("auto paused: {why}");
        self.say(Level::Warning, &text, now);
        text
    }

    /// Whether auto is switched on, whatever else holds it back: then it wants the Lease.
    pub fn wants_to_act_alone(&self) -> bool {
        self.mode == Mode::Auto
            && !self.brakes.paused
            && self.brakes.killed.is_none()
            && self.brakes.read_only.is_none()
    }

    /// On doubt, auto falls back to manual, and says why.
    pub fn fall_back(&mut self, why: &str, now: Timestamp) {
        if self.mode == Mode::Auto && !self.brakes.paused {
            self.mode = Mode::Manual;
            self.brakes.paused = true;
            self.say(Level::Warning, format!("auto → manual: {why}"), now);
        }
    }

    /// Whether the loop may approve by itself.
    pub fn may_act_alone(&self) -> bool {
        self.wants_to_act_alone() && self.brakes.held.is_none()
    }

    /// Whether rounds run by themselves.
    pub fn runs_alone(&self) -> bool {
        self.mode != Mode::Step
    }

    /// Moves step mode on by one phase and returns the phase that is to run now.
    pub fn advance(&mut self) -> Result<PhaseName, String> {
        if self.mode != Mode::Step {
            return Err(format!("mode is {}: choose step first", self.mode));
        }
        let phase = self.step.next;
        if phase == PhaseName::Monitor {
            self.step.products.clear();
        }
        self.step.next = phase.next();
        if phase == PhaseName::Execute {
            self.step.round += 1;
        }
        Ok(phase)
    }

    /// Tells the operator something. Text is cleaned, for it may quote a server.
    pub fn say(&mut self, level: Level, text: impl AsRef<str>, now: Timestamp) {
        let text: Arc<str> = crate::model::text::clean(text.as_ref()).into();
        match level {
            Level::Info => tracing::info!(%text),
            Level::Warning => tracing::warn!(%text),
            Level::Error => tracing::error!(%text),
        }
        self.messages.push_front(Message { at: now, level, text });
        self.messages.truncate(MESSAGES);
    }

    /// Messages, newest first.
    pub fn messages(&self) -> Arc<[Message]> {
        self.messages.iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HALF_A_DAY: Duration = Duration::from_secs(12 * 3600);

    fn at(hours: i64) -> Timestamp {
        chrono::DateTime::from_timestamp(1_700_000_000 + hours * 3600, 0).unwrap()
    }

    fn resume(c: &mut Control) -> Result<String, String> {
        c.pause(false, at(0), HALF_A_DAY)
    }

    #[test]
    fn g07_auto_pauses_itself_when_nobody_is_there() {
        let mut c = Control::new(Mode::Auto, None);
        assert!(c.confirm(at(0), HALF_A_DAY).is_err(), "confirming is not a way to start it");
        resume(&mut c).unwrap();
        assert_eq!(c.check_confirmation(at(11)), None);
        c.confirm(at(11), HALF_A_DAY).unwrap();
        assert_eq!(c.check_confirmation(at(22)), None);
        assert!(c.check_confirmation(at(23)).unwrap().contains("nobody confirmed"));
        assert!(c.brakes.paused);
        assert_eq!(c.check_confirmation(at(24)), None, "said once");
    }

    #[test]
    fn g19_losing_the_lease_pauses_auto_and_getting_it_back_does_not_resume_it() {
        let mut c = Control::new(Mode::Auto, None);
        resume(&mut c).unwrap();
        assert_eq!(c.lease_seen(LeaseView::Other { holder: "bob".into() }, at(0)), None, "not held yet is not lost");
        c.lease_seen(LeaseView::Mine { since: at(0) }, at(0));
        assert!(!c.brakes.paused);
        assert!(c.lease_seen(LeaseView::Other { holder: "bob".into() }, at(0)).unwrap().contains("bob"));
        c.lease_seen(LeaseView::Mine { since: at(1) }, at(1));
        assert!(c.brakes.paused && !c.may_act_alone());
    }

    #[test]
    fn auto_starts_paused_and_resuming_is_a_second_act() {
        let mut c = Control::new(Mode::Auto, None);
        assert!(!c.may_act_alone());
        resume(&mut c).unwrap();
        assert!(c.may_act_alone());
        c.set_mode(Mode::Manual);
        c.set_mode(Mode::Auto);
        assert!(!c.may_act_alone(), "coming back to auto is paused again");
    }

    #[test]
    fn every_brake_stops_auto() {
        type Pull = fn(&mut Brakes);
        let pulls: [Pull; 4] = [
            |b| b.paused = true,
            |b| b.killed = Some("key".into()),
            |b| b.held = Some("stale".into()),
            |b| b.read_only = Some("flag".into()),
        ];
        for pull in pulls {
            let mut c = Control::new(Mode::Auto, None);
            resume(&mut c).unwrap();
            pull(&mut c.brakes);
            assert!(!c.may_act_alone());
        }
    }

    #[test]
    fn resuming_is_refused_with_a_reason() {
        let mut c = Control::new(Mode::Manual, None);
        assert!(resume(&mut c).unwrap_err().contains("choose auto"));
        c.set_mode(Mode::Auto);
        c.brakes.killed = Some("file /tmp/kill".into());
        assert!(resume(&mut c).unwrap_err().contains("/tmp/kill"));
    }

    #[test]
    fn step_mode_walks_the_phases_in_order() {
        let mut c = Control::new(Mode::Step, None);
        let phases: Vec<_> = (0..5).map(|_| c.advance().unwrap()).collect();
        assert_eq!(
            phases,
            [PhaseName::Monitor, PhaseName::Analyze, PhaseName::Plan, PhaseName::Execute, PhaseName::Monitor]
        );
        assert_eq!(c.step.round, 1);
        c.set_mode(Mode::Manual);
        assert!(c.advance().is_err());
    }
}
