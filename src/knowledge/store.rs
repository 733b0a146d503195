//! The SQLite file: how it is created, recognised, and refused.
//!
//! WAL with `synchronous=FULL`: a commit survives kill and power cut. A file that is not ours, newer than
//! us or damaged is refused with the remedy; it is never overwritten or repaired behind the operator's back.

use super::chain;
use super::journal::JournalError;
use rusqlite::{Connection, OpenFlags};
use std::path::Path;
use std::time::Duration;

/// `application_id` of the file: "kans".
const APPLICATION: i32 = 0x6b61_6e73;
/// Version of the schema (`user_version`).
const VERSION: i32 = 1;
/// Entries whose hashes are checked at every start; `journal verify` checks all.
const CHECKED_AT_START: i64 = 200;

const SCHEMA: &str = "
CREATE TABLE journal(
    seq INTEGER PRIMARY KEY, at TEXT NOT NULL, actor TEXT NOT NULL, kind TEXT NOT NULL, action TEXT, object TEXT,
    payload TEXT NOT NULL, prev TEXT NOT NULL, hash TEXT NOT NULL) STRICT;
CREATE INDEX journal_action ON journal(action) WHERE action IS NOT NULL;
CREATE TRIGGER journal_no_update BEFORE UPDATE ON journal
    BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
CREATE TRIGGER journal_no_delete BEFORE DELETE ON journal
    BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
CREATE TABLE actions(id TEXT PRIMARY KEY, seq INTEGER NOT NULL, state TEXT NOT NULL, item TEXT NOT NULL) STRICT;
CREATE INDEX actions_seq ON actions(seq);
";

/// Opens the file (0600) for writing; a new one is made whole beside its place and then moved there, so that
/// nobody ever sees half a journal.
pub(super) fn open(path: &Path) -> Result<Connection, JournalError> {
    let io = |source| JournalError::Io { path: path.to_owned(), source };
    let sqlite = |source| JournalError::Sqlite { path: path.to_owned(), source };
    if std::fs::metadata(path).map_or(0, |m| m.len()) == 0 {
        let new = path.with_extension("new");
        // What an interrupted start left there. Created by us with narrow rights before SQLite sees it.
        std::fs::File::create(&new).and_then(|_| narrow(&new, 0o600)).map_err(io)?;
        let mut db = Connection::open_with_flags(&new, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(sqlite)?;
        create(&mut db).map_err(sqlite)?;
        db.close().map_err(|(_, e)| sqlite(e))?;
        std::fs::rename(&new, path).map_err(io)?;
    }
    narrow(path, 0o600).map_err(io)?;
    let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(sqlite)?;
    db.busy_timeout(Duration::from_secs(5)).map_err(sqlite)?;
    recognise(&db, path)?;
    db.pragma_update(None, "journal_mode", "WAL").map_err(sqlite)?;
    db.pragma_update(None, "synchronous", "FULL").map_err(sqlite)?;
    Ok(db)
}

/// Opens an existing file for reading only.
pub(super) fn open_read_only(path: &Path) -> Result<Connection, JournalError> {
    let sqlite = |source| JournalError::Sqlite { path: path.to_owned(), source };
    std::fs::metadata(path).map_err(|source| JournalError::Io { path: path.to_owned(), source })?;
    let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(sqlite)?;
    db.busy_timeout(Duration::from_secs(5)).map_err(sqlite)?;
    recognise(&db, path)?;
    Ok(db)
}

/// Creates the state directory with rights for its owner only.
pub(super) fn make_dir(path: &Path) -> Result<(), JournalError> {
    let Some(dir) = path.parent().filter(|d| !d.as_os_str().is_empty()) else { return Ok(()) };
    if dir.is_dir() {
        return Ok(()); // An existing directory may be shared on purpose; the file itself is always 0600.
    }
    std::fs::create_dir_all(dir)
        .and_then(|()| narrow(dir, 0o700))
        .map_err(|source| JournalError::Io { path: dir.to_owned(), source })
}

#[cfg(unix)]
fn narrow(path: &Path, mode: u32) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
}

#[cfg(not(unix))]
fn narrow(_: &Path, _: u32) -> std::io::Result<()> {
    Ok(())
}

/// The schema, all or nothing.
fn create(db: &mut Connection) -> rusqlite::Result<()> {
    let tx = db.transaction()?;
    tx.execute_batch(SCHEMA)?;
    tx.pragma_update(None, "application_id", APPLICATION)?;
    tx.pragma_update(None, "user_version", VERSION)?;
    tx.commit()
}

/// Refuses what is not a sound journal of this version.
fn recognise(db: &Connection, path: &Path) -> Result<(), JournalError> {
    let number = |name: &str| db.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    let foreign = |why: String| JournalError::Foreign { path: path.to_owned(), why };
    let application = number("application_id").map_err(|e| foreign(format!("SQLite cannot read it ({e})")))?;
    if application != APPLICATION {
        return Err(foreign("it is a database of another program".into()));
    }
    let version = number("user_version").map_err(|e| foreign(format!("SQLite cannot read it ({e})")))?;
    if version != VERSION {
        return Err(JournalError::Version { path: path.to_owned(), found: version, known: VERSION });
    }
    let damaged = |seq: u64, why: String| JournalError::Damaged { path: path.to_owned(), seq, why };
    let head: i64 = db
        .query_row("SELECT COALESCE(MAX(seq), 0) FROM journal", [], |row| row.get(0))
        .map_err(|e| damaged(0, e.to_string()))?;
    let from = (head - CHECKED_AT_START).max(0) + 1;
    chain::verify(db, if from == 1 { 1 } else { from }).map_err(|e| damaged(e.seq, e.why))?;
    Ok(())
}

/// `PRAGMA integrity_check`: the lines it complains with; empty if the file is sound.
pub(super) fn integrity_check(db: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut statement = db.prepare("PRAGMA integrity_check")?;
    let lines = statement.query_map([], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
    Ok(lines.into_iter().filter(|line| line != "ok").collect())
}
