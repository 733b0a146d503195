//! What the journal knows of a past: the faults that were found then, as labels to learn from.

use crate::analyze::failure::found::troubles;
use crate::knowledge::journal::Journal;
use crate::model::failure::Past;

/// Entries of the journal that are looked through: some days of a troubled cluster.
const ENTRIES: usize = 20_000;

/// Adds to a past what was found in it. To be called beside the loop: it reads a file.
pub(super) fn add(past: &mut Past, journal: Option<&Journal>) {
    let Some(journal) = journal else { return };
    match journal.tail(ENTRIES) {
        Ok(entries) => {
            past.found = troubles(&entries);
            past.found.retain(|t| t.until >= past.from);
        }
        // What was measured is learned from nevertheless.
        Err(e) => tracing::warn!("faults of the past are not learned from: {e}"),
    }
}

/// Where a model comes from, for its card.
pub(super) fn source(past: &Past) -> String {
    match past.found.len() {
        0 => "this cluster's Prometheus".to_owned(),
        1 => "this cluster's Prometheus, and a fault in the journal".to_owned(),
        n => format!("this cluster's Prometheus, and {n} faults in the journal"),
    }
}
