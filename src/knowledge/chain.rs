//! The hash chain: what is hashed, and how a whole journal is checked.
//!
//! An entry's hash is SHA-256 over the canonical JSON (sorted keys, no spaces) of
//! `{action, actor, at, kind, object, payload, prev, seq}`, so anybody can check an export with other tools.
//! The stored text goes in unchanged: one flipped byte anywhere in a row is seen.

use crate::model::plan::sha256_hex;
use rusqlite::{Connection, Row};
use serde_json::Value;
use std::collections::HashMap;

/// What the first entry has in place of a predecessor's hash.
pub(super) const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// Key in an entry's payload under which the digest of the stored item is chained.
pub(super) const ITEM_DIGEST: &str = "item_sha256";

/// Columns of the journal in the order [`RawEntry`] reads them.
pub(super) const COLUMNS: &str = "seq, at, actor, kind, action, object, payload, prev, hash";

/// An entry exactly as stored.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct RawEntry {
    pub seq: i64,
    pub at: String,
    pub actor: String,
    pub kind: String,
    pub action: Option<String>,
    pub object: Option<String>,
    /// Canonical JSON.
    pub payload: String,
    pub prev: String,
    pub hash: String,
}

impl RawEntry {
    /// Reads a row selected with [`COLUMNS`].
    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            seq: row.get(0)?,
            at: row.get(1)?,
            actor: row.get(2)?,
            kind: row.get(3)?,
            action: row.get(4)?,
            object: row.get(5)?,
            payload: row.get(6)?,
            prev: row.get(7)?,
            hash: row.get(8)?,
        })
    }

    /// The hash this entry must have.
    pub(super) fn expected_hash(&self) -> String {
        let text = |s: &str| Value::from(s).to_string();
        let option = |s: &Option<String>| s.as_deref().map_or_else(|| "null".to_owned(), text);
        let canonical = format!(
            r#"{{"action":{},"actor":{},"at":{},"kind":{},"object":{},"payload":{},"prev":{},"seq":{}}}"#,
            option(&self.action),
            text(&self.actor),
            text(&self.at),
            text(&self.kind),
            option(&self.object),
            self.payload,
            text(&self.prev),
            self.seq,
        );
        sha256_hex(canonical.as_bytes())
    }
}

/// The digest that binds a stored item to its journal entry.
pub(super) fn item_digest(state: &str, item: &str) -> String {
    sha256_hex(format!("{state}\n{item}").as_bytes())
}

/// A journal that holds together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyReport {
    /// Entries checked.
    pub entries: u64,
    /// Stored actions checked against the entry that wrote them last.
    pub actions: u64,
    /// Position of the last entry; 0 if there is none.
    pub head_seq: u64,
    /// Hash of the last entry. Entries cut off at the end cannot be seen from inside: compare this and
    /// `head_seq` with what was noted before.
    pub head_hash: String,
}

impl std::fmt::Display for VerifyReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} entries and {} actions hold together; head {} {}\n\
             entries cut off at the end cannot be seen from inside: compare the head with one noted before",
            self.entries, self.actions, self.head_seq, self.head_hash
        )
    }
}

/// Where a journal does not hold together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the journal does not hold together at entry {seq}: {why}")]
pub struct VerifyError {
    /// The entry; for a missing one, the position it should have.
    pub seq: u64,
    /// What is wrong with it.
    pub why: String,
}

/// Checks every entry from `from` (1 for all of them) to the end, one at a time.
pub(super) fn verify(db: &Connection, from: i64) -> Result<VerifyReport, VerifyError> {
    let broken = |seq: i64, why: String| VerifyError { seq: seq.max(0) as u64, why };
    let unreadable = |seq: i64, e: rusqlite::Error| broken(seq, format!("the file cannot be read here: {e}"));
    let mut expected = from.max(1);
    let mut prev = if expected == 1 { Some(GENESIS.to_owned()) } else { None };
    let mut report = VerifyReport { entries: 0, actions: 0, head_seq: 0, head_hash: GENESIS.to_owned() };
    let mut items: HashMap<String, (i64, String)> = HashMap::new();
    let sql = format!("SELECT {COLUMNS} FROM journal WHERE seq >= ?1 ORDER BY seq");
    let mut statement = db.prepare(&sql).map_err(|e| unreadable(expected, e))?;
    // Nothing is skipped when everything is asked for: a row moved to 0 or below would otherwise hide.
    let start = if expected == 1 { i64::MIN } else { expected };
    let mut rows = statement.query([start]).map_err(|e| unreadable(expected, e))?;
    while let Some(row) = rows.next().map_err(|e| unreadable(expected, e))? {
        let entry = RawEntry::read(row).map_err(|e| unreadable(expected, e))?;
        if entry.seq != expected {
            return Err(broken(expected, format!("it is missing; the next one is {}", entry.seq)));
        }
        if prev.as_ref().is_some_and(|p| *p != entry.prev) {
            return Err(broken(entry.seq, "it does not follow the entry before it".into()));
        }
        if entry.expected_hash() != entry.hash {
            return Err(broken(entry.seq, "its content was changed after it was written".into()));
        }
        if let Some(action) = &entry.action
            && let Ok(payload) = serde_json::from_str::<Value>(&entry.payload)
            && let Some(digest) = payload[ITEM_DIGEST].as_str()
        {
            items.insert(action.clone(), (entry.seq, digest.to_owned()));
        }
        report.entries += 1;
        report.head_seq = entry.seq as u64;
        report.head_hash.clone_from(&entry.hash);
        prev = Some(entry.hash);
        expected += 1;
    }
    if start == i64::MIN {
        report.actions = verify_items(db, &items, report.head_seq)?;
    }
    Ok(report)
}

/// Checks stored actions against the digests that the journal chained.
fn verify_items(db: &Connection, items: &HashMap<String, (i64, String)>, head: u64) -> Result<u64, VerifyError> {
    let unreadable = |e: rusqlite::Error| VerifyError { seq: head, why: format!("the actions cannot be read: {e}") };
    let mut statement = db.prepare("SELECT id, state, item FROM actions").map_err(unreadable)?;
    let mut rows = statement.query([]).map_err(unreadable)?;
    let mut seen = 0;
    while let Some(row) = rows.next().map_err(unreadable)? {
        let (id, state, item): (String, String, String) =
            (row.get(0).map_err(unreadable)?, row.get(1).map_err(unreadable)?, row.get(2).map_err(unreadable)?);
        match items.get(&id) {
            Some((_, digest)) if *digest == item_digest(&state, &item) => seen += 1,
            Some((seq, _)) => {
                let why = format!("the stored action {id} is not the one this entry wrote");
                return Err(VerifyError { seq: *seq as u64, why });
            }
            None => return Err(VerifyError { seq: head, why: format!("no entry wrote the stored action {id}") }),
        }
    }
    if seen < items.len() as u64 {
        return Err(VerifyError { seq: head, why: "an action that was written is no longer stored".into() });
    }
    Ok(seen)
}
