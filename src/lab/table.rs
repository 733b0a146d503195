//! Reads files with one series per line, `id,v1,v2,…`; what is wrong is named with line and column.

use std::path::{Path, PathBuf};

use thiserror::Error;

/// A line: a series by its name.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The first cell.
    pub id: String,
    /// The other cells; gaps (empty, NA, NaN, inf) are NaN, empty ones at the end are left out.
    pub values: Vec<f64>,
    /// The line in the file, from 1.
    pub line: usize,
}

/// Why a file can't be read as series. Lines and columns count from 1; a column is a cell.
#[derive(Debug, Error)]
pub enum BadTable {
    /// The file can't be read.
    #[error("{}: {cause}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// Bytes that are no UTF-8.
    #[error("{}: line {line}: not UTF-8 text", path.display())]
    NotText {
        /// The file.
        path: PathBuf,
        /// Where.
        line: usize,
    },
    /// A cell that is no number.
    #[error("{}: line {line}, column {column}: {cell:?} is no number (gaps are empty, NA or NaN)", path.display())]
    NotANumber {
        /// The file.
        path: PathBuf,
        /// Where.
        line: usize,
        /// Which cell.
        column: usize,
        /// What it says, at most its first 40 characters.
        cell: String,
    },
    /// A line without a name.
    #[error("{}: line {line}, column 1: a series needs a name: id,v1,v2,…", path.display())]
    NoName {
        /// The file.
        path: PathBuf,
        /// Where.
        line: usize,
    },
    /// A name that is there twice.
    #[error("{}: line {line}, column 1: {id:?} is on line {first} already", path.display())]
    Twice {
        /// The file.
        path: PathBuf,
        /// Where.
        line: usize,
        /// The name.
        id: String,
        /// Where it is already.
        first: usize,
    },
    /// Not one series.
    #[error("{}: no series in it; a line is id,v1,v2,…", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
}

/// Reads a file of series. A first line without a single number is a header.
pub fn read(path: &Path) -> Result<Vec<Row>, BadTable> {
    let bytes = std::fs::read(path).map_err(|cause| BadTable::Unreadable { path: path.into(), cause })?;
    parse(path, &bytes)
}

fn parse(path: &Path, bytes: &[u8]) -> Result<Vec<Row>, BadTable> {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let mut rows: Vec<Row> = Vec::new();
    let mut seen = std::collections::HashMap::new();
    for (index, raw) in bytes.split(|b| *b == b'\n').enumerate() {
        let line = index + 1;
        let text = std::str::from_utf8(raw).map_err(|_| BadTable::NotText { path: path.into(), line })?.trim();
        if text.is_empty() || line == 1 && is_header(text) {
            continue;
        }
        let mut cells = text.split(',').map(|c| c.trim().trim_matches('"').trim());
        let id = cells.next().unwrap_or_default().to_owned();
        if id.is_empty() {
            return Err(BadTable::NoName { path: path.into(), line });
        }
        let cells: Vec<&str> = cells.collect();
        let end = cells.iter().rposition(|c| !c.is_empty()).map_or(0, |last| last + 1);
        let values = cells[..end].iter().enumerate().map(|(i, cell)| {
            number(cell).ok_or_else(|| BadTable::NotANumber {
                path: path.into(),
                line,
                column: i + 2,
                cell: cell.chars().take(40).collect(),
            })
        });
        let values = values.collect::<Result<_, _>>()?;
        if let Some(first) = seen.insert(id.clone(), line) {
            return Err(BadTable::Twice { path: path.into(), line, id, first });
        }
        rows.push(Row { id, values, line });
    }
    if rows.is_empty() { Err(BadTable::Empty { path: path.into() }) } else { Ok(rows) }
}

/// A header has cells, and none of them is a number or a gap.
fn is_header(text: &str) -> bool {
    let mut cells = text.split(',').skip(1).map(|c| c.trim().trim_matches('"')).peekable();
    cells.peek().is_some() && cells.all(|c| number(c).is_none())
}

/// The value of a cell, NaN for a gap; `None` for anything else.
fn number(cell: &str) -> Option<f64> {
    if cell.is_empty() || cell.eq_ignore_ascii_case("na") {
        return Some(f64::NAN);
    }
    cell.parse::<f64>().ok().map(|v| if v.is_finite() { v } else { f64::NAN })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str) -> Result<Vec<Row>, String> {
        parse(Path::new("f.csv"), text.as_bytes()).map_err(|e| e.to_string())
    }

    #[test]
    fn quotes_windows_line_ends_padding_and_headers_are_understood() {
        let text = "\u{feff}id,v1,v2\r\n\"H 1\",1, 2.5 ,\"-3e2\",,\r\n\r\nH2,4\r\n";
        let read = rows(text).unwrap();
        assert_eq!((read[0].id.as_str(), &read[0].values, read[0].line), ("H 1", &vec![1.0, 2.5, -300.0], 2));
        assert_eq!((read[1].id.as_str(), &read[1].values, read[1].line), ("H2", &vec![4.0], 4));
    }

    #[test]
    fn gaps_keep_their_place() {
        let read = rows("a,1,,NA,nan,inf,-Infinity,2").unwrap();
        let missing: Vec<bool> = read[0].values.iter().map(|v| v.is_nan()).collect();
        assert_eq!(missing, vec![false, true, true, true, true, true, false]);
    }

    #[test]
    fn what_is_wrong_is_named_with_line_and_column() {
        assert_eq!(
            rows("a,1\nb,2,oops"),
            Err("f.csv: line 2, column 3: \"oops\" is no number (gaps are empty, NA or NaN)".into())
        );
        assert_eq!(rows("a,1\n,2"), Err("f.csv: line 2, column 1: a series needs a name: id,v1,v2,…".into()));
        assert_eq!(rows("a,1\nb,2\na,3"), Err("f.csv: line 3, column 1: \"a\" is on line 1 already".into()));
        assert_eq!(rows("\n \n"), Err("f.csv: no series in it; a line is id,v1,v2,…".into()));
        assert_eq!(rows("id,value"), Err("f.csv: no series in it; a line is id,v1,v2,…".into()));
        assert!(parse(Path::new("f.csv"), b"a,1\nb,\xff").unwrap_err().to_string().contains("line 2: not UTF-8"));
    }

    #[test]
    fn long_nonsense_is_cut_short() {
        assert!(rows(&format!("a,1\nb,{}", "x".repeat(5000))).unwrap_err().len() < 120);
    }
}
