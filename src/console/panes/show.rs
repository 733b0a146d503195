//! How readings, sources and severities are written, so that every pane says the same in the same words.

use crate::config::settings::Monitor;
use crate::console::theme::{Glyphs, Role};
use crate::console::widgets::table::Cell;
use crate::console::widgets::unit::Unit;
use crate::model::anomaly::{Anomalies, Anomaly};
use crate::model::finding::{Severity, Subject};
use crate::model::object::WorkloadKey;
use crate::model::plan::Risk;
use crate::model::reading::Reading;
use crate::model::snapshot::SourceState;
use crate::model::time::{Timestamp, age};
use chrono::TimeDelta;
use std::sync::Arc;

/// The sign for "the backend answered and has no such number".
pub fn absent(glyphs: &Glyphs) -> &'static str {
    if glyphs.ascii { "-" } else { "–" }
}

/// The sign for "it could not be asked".
pub const FAILED: &str = "?";

/// A reading in a table cell. What is missing is a sign, never a zero; what is old carries its age.
pub fn reading(reading: &Reading, unit: Unit, now: Timestamp, glyphs: &Glyphs) -> Cell<'static> {
    match reading {
        Reading::Value { value, .. } => Cell::plain(unit.show(*value)),
        Reading::Zero { .. } => Cell::plain(unit.show(0.0)),
        Reading::Stale { value, at } => Cell::new(format!("{} {} ago", unit.show(*value), age(now, *at)), Role::Stale),
        Reading::Absent => Cell::new(absent(glyphs), Role::Stale),
        Reading::Failed { .. } => Cell::new(FAILED, Role::Stale),
    }
}

/// A reading in a sentence, with its state and the reason where there is no number.
pub fn reading_words(reading: &Reading, unit: Unit, now: Timestamp) -> (String, Role) {
    match reading {
        Reading::Value { value, .. } => (unit.show(*value), Role::Text),
        Reading::Zero { .. } => (unit.show(0.0), Role::Text),
        Reading::Stale { value, at } => {
            (format!("stale: was {} {} ago", unit.show(*value), age(now, *at)), Role::Stale)
        }
        Reading::Absent => ("absent: no such series".into(), Role::Stale),
        Reading::Failed { why } => (format!("failed: {why}"), Role::Stale),
    }
}

/// `shop/cart`, `node n1`, `cluster`: short, as tables name what something is about.
pub fn subject(subject: &Subject) -> String {
    match subject {
        Subject::Workload(k) => format!("{}/{}", k.namespace, k.name),
        Subject::Node(n) => format!("node {n}"),
        Subject::Cluster => "cluster".into(),
    }
}

/// The namespaces that are watched, where not all are: `only namespace shop`.
pub fn only(names: &[Arc<str>]) -> String {
    format!("only namespace{} {}", if names.len() == 1 { "" } else { "s" }, names.join(", "))
}

/// A title without the name it begins with, for tables that have that name in a column of its own.
pub fn without_subject<'a>(title: &'a str, about: &Subject) -> &'a str {
    let rest = title.strip_prefix(&*subject(about)).unwrap_or_default();
    let rest = rest.strip_prefix(": ").or_else(|| rest.strip_prefix(' ')).unwrap_or_default();
    if rest.is_empty() { title } else { rest }
}

/// Glyph and colour of a severity.
pub fn severity(severity: Severity, glyphs: &Glyphs) -> (&'static str, Role) {
    match severity {
        Severity::Critical => (glyphs.bad, Role::Critical),
        Severity::High => (glyphs.bad, Role::Bad),
        Severity::Warning => (glyphs.warning, Role::Warning),
        Severity::Info => (glyphs.good, Role::Muted),
    }
}

/// An incident's 0..1 among the severities of findings: from a half on it is high, and nothing that is only unusual is
/// critical.
pub fn badness(severity: f64) -> Severity {
    if severity >= 0.5 { Severity::High } else { Severity::Warning }
}

/// A severity in one word.
pub fn severity_word(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "critical",
        Severity::High => "high",
        Severity::Warning => "warning",
        Severity::Info => "info",
    }
}

/// When a workload had anomalies, as spans of a chart; one that goes on lasts until now.
pub fn spans(anomalies: &Anomalies, key: &WorkloadKey, now: Timestamp) -> Vec<(f64, f64)> {
    let until = |i: &Anomaly| if i.ended.is_some() { i.last_seen } else { now };
    anomalies.of(key).map(|i| (i.since.timestamp() as f64, until(i).timestamp() as f64)).collect()
}

/// A risk in one word with its colour.
pub fn risk(risk: Risk) -> (&'static str, Role) {
    match risk {
        Risk::Low => ("low", Role::Good),
        Risk::Medium => ("medium", Role::Warning),
        Risk::High => ("high", Role::Bad),
    }
}

/// How a source is doing: glyph, words, colour. A live source that has been silent for longer than the
/// default of `monitor.stale_after` is called silent.
pub fn source(state: &SourceState, now: Timestamp, glyphs: &Glyphs) -> (&'static str, String, Role) {
    let limit = TimeDelta::from_std(Monitor::default().stale_after).unwrap_or(TimeDelta::MAX);
    match state {
        SourceState::Unknown => (glyphs.unknown, "not asked yet".into(), Role::Muted),
        SourceState::Syncing { since } => (glyphs.unknown, format!("first list, {}", age(now, *since)), Role::Muted),
        SourceState::Live { last } if now.signed_duration_since(*last) <= limit => {
            (glyphs.good, format!("live, {} ago", age(now, *last)), Role::Good)
        }
        SourceState::Live { last } => (glyphs.warning, format!("silent for {}", age(now, *last)), Role::Stale),
        SourceState::Denied { why } => (glyphs.unknown, format!("denied: {why}"), Role::Warning),
        SourceState::NotServed => (glyphs.unknown, "off or not served".into(), Role::Muted),
        SourceState::Failed { since, last, why } => {
            let old = last.map_or_else(|| "never answered".into(), |l| format!("data {} old", age(now, l)));
            (glyphs.bad, format!("lost for {}, {old}: {why}", age(now, *since)), Role::Bad)
        }
    }
}

/// Whether a source is not simply live: it is worth a line of its own.
pub fn troubled(state: &SourceState, now: Timestamp) -> bool {
    matches!(state, SourceState::Denied { .. } | SourceState::Failed { .. })
        || matches!(source(state, now, &Glyphs::ASCII).2, Role::Stale)
}

/// Sources and how they are doing, one entry each: name, glyph, words, colour. What failed for the same reason
/// is one entry, because a server that is gone would else fill the screen.
pub fn sources<'a>(
    all: impl IntoIterator<Item = (&'a str, &'a SourceState)>,
    now: Timestamp,
    glyphs: &Glyphs,
) -> Vec<(String, &'static str, String, Role)> {
    let mut groups: Vec<(Vec<&str>, &SourceState)> = Vec::new();
    for (name, state) in all {
        let same = groups.iter_mut().find(|(_, other)| match (state, other) {
            (SourceState::Failed { why, .. }, SourceState::Failed { why: known, .. }) => why == known,
            _ => false,
        });
        match same {
            Some((names, oldest)) => {
                names.push(name);
                if state.last() < oldest.last() {
                    *oldest = state;
                }
            }
            None => groups.push((vec![name], state)),
        }
    }
    let entry = |(names, state): (Vec<&str>, &SourceState)| {
        let name = match names.len() {
            0..=3 => names.join(", "),
            n => format!("{}, {} and {} more", names[0], names[1], n - 2),
        };
        let (glyph, words, role) = source(state, now, glyphs);
        (name, glyph, words, role)
    };
    groups.into_iter().map(entry).collect()
}

/// A share of 1 in percent for a sentence: `99.9%`.
pub fn percent(share: f64) -> String {
    let text = format!("{:.3}", share * 100.0);
    format!("{}%", text.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_never_printed_as_zero() {
        let now = Timestamp::UNIX_EPOCH + TimeDelta::hours(1);
        for glyphs in [Glyphs::UNICODE, Glyphs::ASCII] {
            for (r, wanted) in [(Reading::Absent, absent(&glyphs)), (Reading::Failed { why: "timeout".into() }, "?")] {
                for unit in [Unit::Cores, Unit::Bytes, Unit::Share, Unit::Seconds, Unit::PerSecond, Unit::Count] {
                    let cell = reading(&r, unit, now, &glyphs);
                    assert_eq!((&*cell.text, cell.role), (wanted, Role::Stale));
                    assert!(!reading_words(&r, unit, now).0.contains('0'));
                }
            }
        }
        let zero = reading(&Reading::Zero { at: now }, Unit::Cores, now, &Glyphs::UNICODE);
        assert_eq!((&*zero.text, zero.role), ("0m", Role::Text), "a measured zero is a number");
        let old = Reading::Stale { value: 0.2, at: now - TimeDelta::minutes(5) };
        assert_eq!(&*reading(&old, Unit::Cores, now, &Glyphs::UNICODE).text, "200m 5m ago");
    }

    #[test]
    fn a_title_loses_the_name_of_its_subject_and_nothing_else() {
        use crate::model::object::{WorkloadKey, WorkloadKind};
        let cart = Subject::Workload(WorkloadKey::new("shop", WorkloadKind::Deployment, "cart"));
        assert_eq!(without_subject("shop/cart: container app killed", &cart), "container app killed");
        assert_eq!(without_subject("shop/cart-v2: container app killed", &cart), "shop/cart-v2: container app killed");
        assert_eq!(without_subject("scale from 2 to 3", &cart), "scale from 2 to 3");
        assert_eq!(without_subject("shop/cart: ", &cart), "shop/cart: ");
        let node = Subject::Node("n3".into());
        assert_eq!(without_subject("node n3 is not ready, 5 pods on it", &node), "is not ready, 5 pods on it");
    }

    #[test]
    fn sources_that_failed_for_one_reason_are_told_once_with_their_oldest_data() {
        let now = Timestamp::UNIX_EPOCH + TimeDelta::hours(1);
        let failed = |s: i64, why: &str| SourceState::Failed {
            since: now - TimeDelta::seconds(s),
            last: Some(now - TimeDelta::seconds(s)),
            why: why.into(),
        };
        let (gone, old, other) = (failed(5, "refused"), failed(9, "refused"), failed(1, "410 Gone"));
        let all = [("api server", &gone), ("pods", &old), ("nodes", &gone), ("jobs", &gone), ("events", &other)];
        let told = sources(all, now, &Glyphs::ASCII);
        let names: Vec<&str> = told.iter().map(|t| &*t.0).collect();
        assert_eq!(names, ["api server, pods and 2 more", "events"]);
        assert!(told[0].2.contains("data 9s old: refused"), "{}", told[0].2);
    }

    #[test]
    fn percentages_keep_their_nines() {
        assert_eq!(percent(0.999), "99.9%");
        assert_eq!(percent(1.0), "100%");
        assert_eq!(percent(0.25), "25%");
    }
}
