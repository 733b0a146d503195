//! What was recorded of a session, in a file: with `KANSOLE_PASTS=DIR` a session is run once, and what is learned from it can be
//! changed and examined again without running it. A file is named by everything that its session follows from.

use crate::failure::{lessons::Session, session};
use kansole::model::failure::{Calls, Past, Record};
use kansole::model::object::{WorkloadKey, WorkloadKind};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;

/// Of the format, and of what the simulated cluster makes of a session.
const VERSION: u32 = 1;

/// The session's past: from its file, or run now.
pub fn of(session: &Session) -> Past {
    let Some(file) = file(session) else { return session::record(session) };
    if let Some(past) = std::fs::read(&file).ok().and_then(|bytes| Reader(&bytes).past()) {
        return past;
    }
    let past = session::record(session);
    if let Err(e) = std::fs::write(&file, bytes(&past)) {
        eprintln!("  {}: {e}; it is run again the next time", file.display());
    }
    past
}

fn file(session: &Session) -> Option<PathBuf> {
    let folder = PathBuf::from(std::env::var_os("KANSOLE_PASTS")?);
    let mut hash = DefaultHasher::new();
    (VERSION, &session.toml, session.start, session.before, session.minutes).hash(&mut hash);
    Some(folder.join(format!("{}-{}-{:016x}.past", session.name, session.seed, hash.finish())))
}

fn bytes(past: &Past) -> Vec<u8> {
    let mut out = Vec::new();
    let number = |out: &mut Vec<u8>, n: u64| out.extend(n.to_le_bytes());
    let text = |out: &mut Vec<u8>, t: &str| {
        number(out, t.len() as u64);
        out.extend(t.as_bytes());
    };
    let key = |out: &mut Vec<u8>, k: &WorkloadKey| {
        for part in [&*k.namespace, k.kind.as_str(), &*k.name] {
            text(out, part);
        }
    };
    let row = |out: &mut Vec<u8>, row: &Vec<f32>| {
        number(out, row.len() as u64);
        for value in row {
            out.extend(value.to_le_bytes());
        }
    };
    for n in [past.from.timestamp().unsigned_abs(), u64::from(past.step), past.slots as u64, past.records.len() as u64]
    {
        number(&mut out, n);
    }
    for record in &past.records {
        key(&mut out, &record.key);
        record.signals.iter().chain(&record.facts).for_each(|r| row(&mut out, r));
    }
    number(&mut out, past.calls.len() as u64);
    for calls in &past.calls {
        key(&mut out, &calls.caller);
        key(&mut out, &calls.callee);
        row(&mut out, &calls.rate);
        row(&mut out, &calls.failed);
    }
    out
}

/// Reads what [`bytes`] wrote; `None` where it ends too soon or is none of ours.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn past(mut self) -> Option<Past> {
        let from = chrono::DateTime::from_timestamp(i64::try_from(self.number()?).ok()?, 0)?;
        let (step, slots) = (u32::try_from(self.number()?).ok()?, usize::try_from(self.number()?).ok()?);
        let mut records = Vec::new();
        for _ in 0..self.number()? {
            let key = self.key()?;
            records.push(Record { key, signals: self.rows()?, facts: self.rows()? });
        }
        let mut calls = Vec::new();
        for _ in 0..self.number()? {
            let (caller, callee) = (self.key()?, self.key()?);
            let [rate, failed] = self.rows()?;
            calls.push(Calls { caller, callee, rate, failed });
        }
        Some(Past { from, step, slots, records, calls, found: Vec::new() })
    }

    fn take(&mut self, count: usize) -> Option<&[u8]> {
        let (head, tail) = self.0.split_at_checked(count)?;
        self.0 = tail;
        Some(head)
    }

    fn number(&mut self) -> Option<u64> {
        self.take(8)?.try_into().ok().map(u64::from_le_bytes)
    }

    fn text(&mut self) -> Option<String> {
        let length = usize::try_from(self.number()?).ok()?;
        String::from_utf8(self.take(length)?.to_vec()).ok()
    }

    fn key(&mut self) -> Option<WorkloadKey> {
        let (namespace, kind, name) = (self.text()?, self.text()?, self.text()?);
        Some(WorkloadKey::new(namespace, WorkloadKind::from_kind(&kind), name))
    }

    fn rows<const N: usize>(&mut self) -> Option<[Vec<f32>; N]> {
        let mut rows = Vec::new();
        for _ in 0..N {
            let length = usize::try_from(self.number()?).ok()?.checked_mul(4)?;
            let values = self.take(length)?.chunks_exact(4);
            rows.push(values.map(|v| f32::from_le_bytes([v[0], v[1], v[2], v[3]])).collect());
        }
        rows.try_into().ok()
    }
}
