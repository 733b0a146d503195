//! The file of all incidents: they keep their names while they last, have a timeline, end when all is calm.

use super::group::Group;
use super::rank::Scene;
use super::tell;
use crate::model::incident::{Happening, Incident, Incidents, Subject};
use crate::model::time::Timestamp;
use chrono::TimeDelta;
use std::collections::BTreeSet;
use std::sync::Arc;

/// An incident of which nothing was seen for so long is over.
const CALM: TimeDelta = TimeDelta::minutes(2);
/// Ended incidents are kept for so long.
const KEPT: TimeDelta = TimeDelta::hours(24);
/// Happenings that an incident keeps; the oldest and the newest tell most, the middle goes first.
const HAPPENINGS: usize = 60;
/// Ended incidents that are kept at most.
const MOST: usize = 200;

/// One incident with what is not told.
#[derive(Debug)]
struct Entry {
    incident: Arc<Incident>,
    members: BTreeSet<Subject>,
    hurts: f64,
}

/// All incidents of a day.
#[derive(Debug, Default)]
pub struct File {
    open: Vec<Entry>,
    ended: Vec<Arc<Incident>>,
}

/// A workload is the same whether it or its change is suspected.
fn plain(subject: &Subject) -> Subject {
    match subject {
        Subject::Change(key, _) => Subject::Workload(key.clone()),
        other => other.clone(),
    }
}

impl File {
    /// Takes in the groups of a look and gives all incidents.
    pub fn take(&mut self, scene: &Scene<'_>, groups: &[Group], now: Timestamp) -> Incidents {
        let members =
            |g: &Group| -> BTreeSet<Subject> { g.iter().map(|i| plain(&scene.candidates[*i].subject)).collect() };
        let mut taken = BTreeSet::new();
        for group in groups {
            let (members, head) = (members(group), plain(&scene.candidates[group[0]].subject));
            let fits = |e: &Entry| {
                let first = e.incident.causes.first().map(|s| plain(&s.subject));
                (first.as_ref() == Some(&head), e.members.intersection(&members).count())
            };
            let free = self.open.iter().enumerate().filter(|(i, _)| !taken.contains(i));
            let best = free
                .map(|(i, e)| (fits(e), i))
                .filter(|((_, n), _)| *n > 0)
                .max_by_key(|(fit, i)| (*fit, usize::MAX - i));
            let i = best.map_or_else(
                || {
                    self.open.push(open(scene, group, now));
                    self.open.len() - 1
                },
                |(_, i)| i,
            );
            taken.insert(i);
            renew(&mut self.open[i], scene, group, members, now);
        }
        self.end(now);
        self.incidents()
    }

    fn end(&mut self, now: Timestamp) {
        for mut e in std::mem::take(&mut self.open) {
            if now - e.incident.last_seen <= CALM {
                self.open.push(e);
                continue;
            }
            let incident = Arc::make_mut(&mut e.incident);
            incident.ended = Some(incident.last_seen);
            note(incident, incident.last_seen, "all is calm again".into());
            self.ended.insert(0, e.incident);
        }
        self.ended.retain(|c| c.ended.is_some_and(|at| now - at <= KEPT));
        self.ended.truncate(MOST);
    }

    fn incidents(&self) -> Incidents {
        let mut open: Vec<&Entry> = self.open.iter().collect();
        open.sort_by(|a, b| b.hurts.total_cmp(&a.hurts).then(a.incident.since.cmp(&b.incident.since)));
        Incidents { all: open.iter().map(|e| &e.incident).chain(&self.ended).cloned().collect() }
    }
}

fn open(scene: &Scene<'_>, group: &Group, now: Timestamp) -> Entry {
    let first = &scene.candidates[group[0]];
    let since = group.iter().map(|i| scene.candidates[*i].onset).min().unwrap_or(now);
    let words = tell::name(&first.subject).replace([' ', '/'], "-");
    let incident = Incident {
        id: format!("{words}-{}", now.format("%m%d-%H%M%S")).into(),
        title: "".into(),
        since,
        last_seen: now,
        ended: None,
        findings: Vec::new(),
        anomalies: Vec::new(),
        affected: Vec::new(),
        timeline: Vec::new(),
        causes: Vec::new(),
        would_tell: "".into(),
        recommendation: "".into(),
    };
    Entry { incident: Arc::new(incident), members: BTreeSet::new(), hurts: 0.0 }
}

/// Brings an incident up to what is known now.
fn renew(entry: &mut Entry, scene: &Scene<'_>, group: &Group, members: BTreeSet<Subject>, now: Timestamp) {
    let causes = tell::suspects(scene, group);
    let incident = Arc::make_mut(&mut entry.incident);
    for c in group.iter().map(|i| &scene.candidates[*i]) {
        if !entry.members.contains(&plain(&c.subject)) {
            note(incident, c.changed.unwrap_or(c.onset), tell::line(&c.subject, &c.what));
        }
        for id in c.findings.iter().filter(|id| !incident.findings.contains(id)).cloned().collect::<Vec<_>>() {
            if let Some(f) = scene.seen.findings.iter().find(|f| f.id == id) {
                note(incident, f.since, f.title.to_string());
            }
            incident.findings.push(id);
        }
        for id in &c.anomalies {
            if !incident.anomalies.contains(id) {
                incident.anomalies.push(id.clone());
            }
        }
        incident.since = incident.since.min(c.onset);
    }
    let before = incident.causes.first().map(|s| plain(&s.subject));
    let after = causes.first().map(|s| plain(&s.subject));
    if before != after
        && let Some(first) = causes.first()
    {
        let share = first.sureness * 100.0;
        note(incident, now, format!("likeliest cause: {} ({share:.0} %)", tell::name(&first.subject)));
    }
    incident.last_seen = now;
    incident.title = tell::title(scene, group, &causes).into();
    incident.would_tell = tell::would_tell(&causes).into();
    incident.recommendation = tell::recommendation(scene, group).into();
    incident.causes = causes;
    for key in tell::affected(scene, group) {
        if !incident.affected.contains(&key) {
            incident.affected.push(key);
        }
    }
    entry.members.extend(members);
    entry.hurts = group.iter().map(|i| scene.candidates[*i].hurts).sum::<f64>();
}

fn note(incident: &mut Incident, at: Timestamp, what: String) {
    incident.timeline.push(Happening { at, what: what.into() });
    incident.timeline.sort_by_key(|h| h.at);
    if incident.timeline.len() > HAPPENINGS {
        incident.timeline.remove(HAPPENINGS / 2);
    }
}
