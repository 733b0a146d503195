//! Which findings are being planned, which wait, and which have no proposal and why.

use crate::model::finding::FindingId;
use crate::model::time::Timestamp;
use chrono::TimeDelta;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// A proposal is planned again after this long, so that it follows a moving cluster.
const REFRESH: TimeDelta = TimeDelta::seconds(30);

/// Book-keeping of the plan phase: one dossier per finding at a time, none for muted findings.
#[derive(Default)]
pub struct Planning {
    under_way: BTreeSet<FindingId>,
    last: HashMap<FindingId, Timestamp>,
    muted: HashMap<FindingId, Option<Timestamp>>,
    unplanned: BTreeMap<FindingId, Arc<str>>,
    /// Values that persons set: the present plan of a finding keeps them when it is planned again.
    wanted: BTreeMap<FindingId, Wanted>,
}

/// A value that a person set in a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The value, as typed.
    pub value: String,
    /// Who.
    pub by: String,
    /// What the planner had.
    pub instead_of: String,
}

impl Planning {
    /// Whether a finding should be planned now; if so it counts as under way until [`Self::done`].
    pub fn start(&mut self, id: &FindingId, now: Timestamp) -> bool {
        if let Some(until) = self.muted.get(id) {
            match until {
                Some(t) if *t <= now => {
                    self.muted.remove(id);
                }
                _ => return false,
            }
        }
        if self.under_way.contains(id) || self.last.get(id).is_some_and(|t| now.signed_duration_since(*t) < REFRESH) {
            return false;
        }
        self.under_way.insert(id.clone());
        self.last.insert(id.clone(), now);
        true
    }

    /// Planning ended; `why` says why there is no proposal.
    pub fn done(&mut self, id: &FindingId, why: Option<Arc<str>>) {
        self.under_way.remove(id);
        match why {
            Some(why) => self.unplanned.insert(id.clone(), why),
            None => self.unplanned.remove(id),
        };
    }

    /// Plans a finding again at the next round: the cluster moved under its plan.
    pub fn again(&mut self, id: &FindingId) {
        self.last.remove(id);
    }

    /// Plans every finding again at the next round.
    pub fn all_again(&mut self) {
        self.last.clear();
    }

    /// Plans nothing for a finding until a time, or until it goes away.
    pub fn mute(&mut self, id: &FindingId, until: Option<Timestamp>, why: impl Into<Arc<str>>) {
        self.muted.insert(id.clone(), until);
        self.unplanned.insert(id.clone(), why.into());
    }

    /// A person set a value in the plan of a finding.
    pub fn want(&mut self, id: &FindingId, wanted: Wanted) {
        self.wanted.insert(id.clone(), wanted);
    }

    /// What a person set in the plan of a finding.
    pub fn wanted(&self, id: &FindingId) -> Option<&Wanted> {
        self.wanted.get(id)
    }

    /// The planner's own value again.
    pub fn unwant(&mut self, id: &FindingId) {
        self.wanted.remove(id);
    }

    /// Forgets findings that are gone.
    pub fn retain(&mut self, present: &BTreeSet<FindingId>) {
        self.last.retain(|id, _| present.contains(id));
        self.muted.retain(|id, _| present.contains(id));
        self.unplanned.retain(|id, _| present.contains(id));
        self.wanted.retain(|id, _| present.contains(id));
    }

    /// Whether any dossier is still being fetched.
    pub fn busy(&self) -> bool {
        !self.under_way.is_empty()
    }

    /// Why findings have no proposal.
    pub fn unplanned(&self) -> BTreeMap<Arc<str>, Arc<str>> {
        self.unplanned.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(s: i64) -> Timestamp {
        chrono::DateTime::from_timestamp(1_700_000_000 + s, 0).unwrap()
    }

    #[test]
    fn one_dossier_at_a_time_and_a_refresh_now_and_then() {
        let mut p = Planning::default();
        let id: FindingId = "oom:a".into();
        assert!(p.start(&id, at(0)));
        assert!(!p.start(&id, at(60)), "still under way");
        p.done(&id, None);
        assert!(!p.start(&id, at(10)), "too soon");
        assert!(p.start(&id, at(60)));
        p.done(&id, None);
        p.again(&id);
        assert!(p.start(&id, at(61)), "replanned at once when asked");
    }

    #[test]
    fn a_muted_finding_stays_quiet_until_its_time_or_its_end() {
        let mut p = Planning::default();
        let id: FindingId = "oom:a".into();
        p.mute(&id, Some(at(100)), "rejected");
        assert!(!p.start(&id, at(50)));
        assert!(p.start(&id, at(100)));
        p.mute(&id, None, "handed over");
        p.done(&id, Some("handed over".into()));
        assert!(!p.start(&id, at(100_000)));
        p.retain(&BTreeSet::new());
        assert!(p.start(&id, at(100_001)), "a new finding of the same id is planned");
    }
}
