//! The journal (K1): append-only, hash-chained, durable before anything is done.

use super::chain::{self, COLUMNS, GENESIS, ITEM_DIGEST, RawEntry, VerifyError, VerifyReport};
use super::lock::WriterLock;
use super::store;
use crate::model::action::QueueItem;
use crate::model::journal::{Entry, Ledger, LedgerError, Record};
use crate::model::plan::canonical;
use chrono::SecondsFormat;
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use serde_json::{Value, json};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Key in an entry's payload under which the state is kept that the action came to: with it the past can be shown again.
pub const ITEM_STATE: &str = "state_then";

/// Why a journal cannot be opened or read, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum JournalError {
    /// Another kansole writes it.
    #[error("{} is held by another kansole{}: close that one, or go on read-only", path.display(),
        pid.map_or(String::new(), |p| format!(" (process {p})")))]
    Held { path: PathBuf, pid: Option<u32> },
    /// Not a journal of kansole.
    #[error("{} is not a journal of kansole: {why}; move it away or name another state directory", path.display())]
    Foreign { path: PathBuf, why: String },
    /// Written by another version.
    #[error("{} has journal version {found}, this kansole knows {known}: use the kansole that wrote it, or move it away", path.display())]
    Version { path: PathBuf, found: i32, known: i32 },
    /// It does not hold together.
    #[error("{} is damaged at entry {seq}: {why}; keep a copy as evidence (`kansole journal export`), then move it away to start a new one", path.display())]
    Damaged { path: PathBuf, seq: u64, why: String },
    /// The file system said no.
    #[error("{}: {source}; check the directory and its rights", path.display())]
    Io { path: PathBuf, source: std::io::Error },
    /// SQLite said no.
    #[error("{}: {source}; check free space and rights, then run `kansole doctor`", path.display())]
    Sqlite { path: PathBuf, source: rusqlite::Error },
}

/// The journal, open for writing (one process at a time) or reading.
pub struct Journal {
    path: PathBuf,
    db: Mutex<Connection>,
    lock: Option<WriterLock>,
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Journal")
            .field("path", &self.path)
            .field("writer", &self.lock.is_some())
            .finish_non_exhaustive()
    }
}

impl Journal {
    /// Opens `path` for writing and creates it if it is not there. The second opener gets
    /// [`JournalError::Held`] and may use [`Journal::open_read_only`].
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        store::make_dir(path)?;
        let lock = WriterLock::take(path)?;
        let db = store::open(path)?;
        Ok(Self { path: path.to_owned(), db: Mutex::new(db), lock: Some(lock) })
    }

    /// Opens an existing journal for reading, beside a writer or without one.
    pub fn open_read_only(path: &Path) -> Result<Self, JournalError> {
        let db = store::open_read_only(path)?;
        Ok(Self { path: path.to_owned(), db: Mutex::new(db), lock: None })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it can be written.
    pub fn is_writer(&self) -> bool {
        self.lock.is_some()
    }

    /// Appends one record; `Ok` with its position means it is on the disk.
    pub fn append(&self, record: Record) -> Result<u64, LedgerError> {
        self.write(record, None)
    }

    /// Appends one record and stores the item as it is now, in one transaction. The item's digest goes into
    /// the record's payload, so that the chain covers it.
    pub fn append_with_item(&self, record: Record, item: &QueueItem) -> Result<u64, LedgerError> {
        self.write(record, Some(item))
    }

    /// The last `n` entries, newest first.
    pub fn tail(&self, n: usize) -> Result<Vec<Entry>, JournalError> {
        let sql = format!("SELECT {COLUMNS} FROM journal ORDER BY seq DESC LIMIT ?1");
        self.entries(&sql, &[&(i64::try_from(n).unwrap_or(i64::MAX))])
    }

    /// Entries `from..=to`, oldest first.
    pub fn range(&self, from: u64, to: u64) -> Result<Vec<Entry>, JournalError> {
        let sql = format!("SELECT {COLUMNS} FROM journal WHERE seq BETWEEN ?1 AND ?2 ORDER BY seq");
        self.entries(&sql, &[&position(from), &position(to)])
    }

    /// One entry, `None` if there is none at this position.
    pub fn entry(&self, seq: u64) -> Result<Option<Entry>, JournalError> {
        Ok(self.range(seq, seq)?.pop())
    }

    /// Checks the whole chain and the stored actions, one entry at a time.
    pub fn verify(&self) -> Result<VerifyReport, VerifyError> {
        chain::verify(&self.connection(), 1)
    }

    /// What SQLite's own check finds; empty if the file is sound. Reads the whole file.
    pub fn integrity_check(&self) -> Result<Vec<String>, JournalError> {
        store::integrity_check(&self.connection()).map_err(|e| self.failed(e))
    }

    /// Actions that had been approved and had not ended when last written, oldest first.
    pub fn in_flight(&self) -> Result<Vec<QueueItem>, JournalError> {
        let sql = "SELECT item FROM actions WHERE json_extract(state, '$.state') IN \
                   ('approved', 'dry_run', 'applying', 'verifying', 'reverting') ORDER BY seq";
        self.stored(sql, &[])
    }

    /// The last `n` stored items, newest first.
    pub fn items(&self, n: usize) -> Result<Vec<QueueItem>, JournalError> {
        let n = i64::try_from(n).unwrap_or(i64::MAX);
        self.stored("SELECT item FROM actions ORDER BY seq DESC LIMIT ?1", &[&n])
    }

    /// One stored item by its action's id.
    pub fn item(&self, id: &str) -> Result<Option<QueueItem>, JournalError> {
        Ok(self.stored("SELECT item FROM actions WHERE id = ?1", &[&id])?.pop())
    }

    /// Writes all entries as JSON, one a line, oldest first; returns how many.
    pub fn export(&self, to: &mut dyn Write) -> Result<u64, JournalError> {
        let db = self.connection();
        let io = |source| JournalError::Io { path: self.path.clone(), source };
        let sql = format!("SELECT {COLUMNS} FROM journal ORDER BY seq");
        let mut statement = db.prepare(&sql).map_err(|e| self.failed(e))?;
        let mut rows = statement.query([]).map_err(|e| self.failed(e))?;
        let mut written = 0;
        while let Some(row) = rows.next().map_err(|e| self.failed(e))? {
            let entry = self.entry_of(RawEntry::read(row).map_err(|e| self.failed(e))?)?;
            serde_json::to_writer(&mut *to, &entry).map_err(|e| io(e.into()))?;
            to.write_all(b"\n").map_err(io)?;
            written += 1;
        }
        Ok(written)
    }

    pub(super) fn connection(&self) -> MutexGuard<'_, Connection> {
        // A panic elsewhere while holding the lock cannot leave half a transaction: SQLite rolls it back.
        self.db.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(&self, source: rusqlite::Error) -> JournalError {
        JournalError::Sqlite { path: self.path.clone(), source }
    }

    fn write(&self, record: Record, item: Option<&QueueItem>) -> Result<u64, LedgerError> {
        let refuse = |why: String| LedgerError {
            path: self.path.display().to_string().into(),
            why: format!("{why}; nothing is done until it can be written").into(),
        };
        if !self.is_writer() {
            return Err(refuse("it is open for reading only".into()));
        }
        let stored = item.map(stored_form).transpose().map_err(|e| refuse(e.to_string()))?;
        let mut db = self.connection();
        let run = |db: &mut Connection| -> rusqlite::Result<u64> {
            let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let seq = insert(&tx, &record, stored.as_ref())?;
            tx.commit()?;
            Ok(seq)
        };
        run(&mut db).map_err(|e| refuse(e.to_string()))
    }

    fn entries(&self, sql: &str, params: &[&dyn rusqlite::ToSql]) -> Result<Vec<Entry>, JournalError> {
        let db = self.connection();
        let mut statement = db.prepare(sql).map_err(|e| self.failed(e))?;
        let raw = statement
            .query_map(params, RawEntry::read)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|e| self.failed(e))?;
        raw.into_iter().map(|r| self.entry_of(r)).collect()
    }

    fn entry_of(&self, raw: RawEntry) -> Result<Entry, JournalError> {
        let seq = raw.seq.max(0) as u64;
        let value = json!({"seq": seq, "at": raw.at, "actor": raw.actor, "kind": raw.kind, "action": raw.action,
            "object": raw.object, "prev": raw.prev, "hash": raw.hash,
            "payload": serde_json::from_str::<Value>(&raw.payload).unwrap_or(Value::String(raw.payload))});
        serde_json::from_value(value).map_err(|e| JournalError::Damaged {
            path: self.path.clone(),
            seq,
            why: e.to_string(),
        })
    }

    fn stored(&self, sql: &str, params: &[&dyn rusqlite::ToSql]) -> Result<Vec<QueueItem>, JournalError> {
        let db = self.connection();
        let mut statement = db.prepare(sql).map_err(|e| self.failed(e))?;
        let texts = statement
            .query_map(params, |row| row.get::<_, String>(0))
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|e| self.failed(e))?;
        let damaged = |e: serde_json::Error| JournalError::Damaged {
            path: self.path.clone(),
            seq: 0,
            why: format!("a stored action cannot be read ({e})"),
        };
        texts.iter().map(|t| serde_json::from_str(t).map_err(damaged)).collect()
    }
}

impl Ledger for Journal {
    fn record(&self, record: Record) -> Result<u64, LedgerError> {
        self.append(record)
    }

    fn record_item(&self, record: Record, item: &QueueItem) -> Result<u64, LedgerError> {
        self.append_with_item(record, item)
    }
}

/// An item as stored: its id, its state and the whole of it.
struct Stored {
    id: String,
    state: String,
    item: String,
}

fn stored_form(item: &QueueItem) -> serde_json::Result<Stored> {
    Ok(Stored {
        id: item.proposal.id.to_string(),
        state: serde_json::to_string(&item.state)?,
        item: serde_json::to_string(item)?,
    })
}

fn position(seq: u64) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}

/// Adds one entry behind the last one, and the item it is about.
fn insert(tx: &Transaction<'_>, record: &Record, stored: Option<&Stored>) -> rusqlite::Result<u64> {
    let head = tx
        .query_row("SELECT seq, hash FROM journal ORDER BY seq DESC LIMIT 1", [], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?))
        })
        .optional()?;
    let (last, prev) = head.unwrap_or((0, GENESIS.to_owned()));
    let mut payload = record.payload.clone();
    let mut action = record.action.as_deref().map(str::to_owned);
    if let Some(s) = stored {
        if !payload.is_object() {
            payload = if payload.is_null() { json!({}) } else { json!({ "value": payload }) };
        }
        payload[ITEM_DIGEST] = chain::item_digest(&s.state, &s.item).into();
        payload[ITEM_STATE] = serde_json::from_str(&s.state).unwrap_or(Value::Null);
        // The chain finds the item through the entry's action, so the two must agree.
        action = Some(s.id.clone());
    }
    let mut entry = RawEntry {
        seq: last + 1,
        at: record.at.to_rfc3339_opts(SecondsFormat::AutoSi, true),
        actor: record.actor.clone(),
        kind: record.kind.as_str().to_owned(),
        action,
        object: record.object.clone(),
        payload: canonical(&payload),
        prev,
        hash: String::new(),
    };
    entry.hash = entry.expected_hash();
    tx.prepare_cached(&format!("INSERT INTO journal({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"))?
        .execute(params![
            entry.seq,
            entry.at,
            entry.actor,
            entry.kind,
            entry.action,
            entry.object,
            entry.payload,
            entry.prev,
            entry.hash
        ])?;
    if let Some(s) = stored {
        tx.prepare_cached(
            "INSERT INTO actions(id, seq, state, item) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT(id) DO UPDATE SET seq = ?2, state = ?3, item = ?4",
        )?
        .execute(params![s.id, entry.seq, s.state, s.item])?;
    }
    Ok(entry.seq as u64)
}
