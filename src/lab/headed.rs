//! Opens tables with a header, whose cells are looked up by the names of their columns.

use anyhow::Context;
use csv::{Reader, StringRecord};
use std::io::Cursor;
use std::path::Path;

/// The header, and a reader of the rows below it: cells trimmed, rows of any length, a byte order mark skipped.
pub fn open(path: &Path) -> anyhow::Result<(StringRecord, Reader<Cursor<String>>)> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let text = String::from_utf8_lossy(&bytes).trim_start_matches('\u{feff}').to_owned();
    let mut reader = csv::ReaderBuilder::new().flexible(true).trim(csv::Trim::All).from_reader(Cursor::new(text));
    let header = reader.headers().with_context(|| path.display().to_string())?.clone();
    Ok((header, reader))
}
