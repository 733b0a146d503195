//! The autonomy ladder (G6): how far each engine may go with each kind of action in each namespace. It is not kept
//! anywhere: it follows from the settings and from the verified outcomes of the journal, so a restart forgets nothing.

use super::history::{Deed, Ending, GuardHistory};
use super::work::Work;
use crate::config::settings::{Guard, RungRule};
use crate::model::authority::{Rung, Standing};
use crate::model::plan::{Proposal, Strategy};
use crate::model::time::Timestamp;
use chrono::TimeDelta;
use std::collections::BTreeSet;
use std::sync::Arc;

/// While a canary is not verified as effective, the next workload waits this long.
const BAKE: TimeDelta = TimeDelta::hours(1);

/// One ladder.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub work: Work,
    pub namespace: Arc<str>,
    pub strategy: Strategy,
}

impl Key {
    /// The ladder a proposal stands on.
    pub(super) fn of(proposal: &Proposal) -> Self {
        let namespace = super::history::namespace_of(&proposal.subject).unwrap_or_default().into();
        Self { work: Work::of(proposal), namespace, strategy: proposal.strategy }
    }

    /// `healing by rollback in shop`.
    pub(super) fn told(&self) -> String {
        let place = if self.namespace.is_empty() { String::new() } else { format!(" in {}", self.namespace) };
        format!("{} by {}{place}", self.work.as_str(), self.strategy.as_str())
    }

    fn matches(&self, rule: &RungRule) -> bool {
        let is = |wanted: &str, have: &str| wanted == "*" || wanted == have;
        is(&rule.engine, self.work.as_str())
            && is(&rule.namespace, &self.namespace)
            && is(&rule.action, self.strategy.as_str())
    }
}

/// Where a ladder stands after all that happened on it, oldest first.
pub(super) fn standing(key: &Key, settings: &Guard, history: &GuardHistory) -> Standing {
    let rule = settings.rung.iter().find(|r| key.matches(r));
    let (start, ceiling) = rule.map_or((settings.rung_start, settings.rung_ceiling), |r| (r.start, r.ceiling));
    let mut s = Standing {
        engine: key.work.as_str(),
        namespace: key.namespace.clone(),
        action: key.strategy.as_str(),
        rung: start.min(ceiling),
        successes: 0,
        why: if rule.is_some() { "a rule of guard.rung says so".into() } else { "where every kind begins".into() },
    };
    let mut failures = 0;
    for deed in history.on(key) {
        match deed.ending {
            Some(Ending::Effective) => {
                failures = 0;
                s.successes += 1;
                // What a rule holds below a person's approval is not promoted by anything.
                if s.successes >= settings.promote_after && s.rung < ceiling && s.rung >= Rung::Approve {
                    s.why = format!("{} verified successes in a row, the last {}", s.successes, deed.id);
                    s.rung = s.rung.up();
                    s.successes = 0;
                }
            }
            Some(Ending::Harmful) => {
                (failures, s.successes) = (0, 0);
                if s.rung > Rung::Approve {
                    s.rung = Rung::Approve;
                    s.why = format!("{} did harm or had to be handed over", deed.id);
                }
            }
            Some(Ending::Ineffective) => {
                failures += 1;
                s.successes = 0;
                if failures >= settings.demote_after && s.rung > Rung::Approve {
                    s.why = format!("{failures} in a row did not help, the last {}", deed.id);
                    s.rung = s.rung.down();
                    failures = 0;
                }
            }
            Some(Ending::Nothing) | None => {}
        }
    }
    s
}

/// Every ladder that something happened on.
pub(super) fn all(settings: &Guard, history: &GuardHistory) -> Vec<Standing> {
    let keys: BTreeSet<Key> = history.keys();
    keys.iter().map(|key| standing(key, settings, history)).collect()
}

/// The canary that the next workload waits for: the last deed on the same ladder, on another subject, that is neither
/// verified as effective nor over for long enough.
pub(super) fn canary<'a>(proposal: &Proposal, history: &'a GuardHistory, now: Timestamp) -> Option<&'a Deed> {
    let key = Key::of(proposal);
    let last = history.on(&key).filter(|d| d.ending != Some(Ending::Nothing) && d.id != proposal.id).last()?;
    let settled = last.ending == Some(Ending::Effective) || (last.ending.is_some() && now - last.at >= BAKE);
    (!settled && last.subject != proposal.subject).then_some(last)
}
