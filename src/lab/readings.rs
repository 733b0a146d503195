//! Reads `timestamp,value` tables. What cannot be read is an error that names line and column.

use chrono::{DateTime, NaiveDateTime};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Why a table cannot be read.
#[derive(Debug, Error)]
pub enum TableError {
    /// The file itself.
    #[error("cannot read {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: std::io::Error,
    },
    /// A place in it.
    #[error("{}:{line}:{column}: {problem}", path.display())]
    Place {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// Character in the line, from 1.
        column: usize,
        /// What is wrong there.
        problem: String,
    },
}

/// A row: its timestamp as written and in seconds since 1970, and its value, not a number when missing.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// As written.
    pub stamp: String,
    /// Seconds since 1970.
    pub seconds: f64,
    /// NaN when missing.
    pub value: f64,
}

/// Reads a table with a header and two columns. Timestamps are unix seconds or milliseconds, RFC 3339, or
/// `YYYY-MM-DD HH:MM:SS` (taken as UTC). An empty value, `NaN` and `null` are missing samples.
pub fn read(path: &Path) -> Result<Vec<Row>, TableError> {
    let bytes = std::fs::read(path).map_err(|source| TableError::File { path: path.to_owned(), source })?;
    parse(&String::from_utf8_lossy(&bytes)).map_err(|(line, column, problem)| TableError::Place {
        path: path.to_owned(),
        line,
        column,
        problem,
    })
}

fn parse(text: &str) -> Result<Vec<Row>, (usize, usize, String)> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let Some((at, header)) = lines.next() else {
        return Err((1, 1, "the file is empty; expected the header timestamp,value".into()));
    };
    let fault = |line: usize, (column, problem): (usize, String)| (line + 1, column, problem);
    let (first, second, column) = fields(header).map_err(|error| fault(at, error))?;
    if seconds(first).is_some() && number(second).is_some() {
        return Err((at + 1, 1, format!("expected the header timestamp,value, found a row ({column} is its value)")));
    }
    lines.map(|(at, line)| row(line).map_err(|error| fault(at, error))).collect()
}

fn row(line: &str) -> Result<Row, (usize, String)> {
    let (stamp, value, column) = fields(line)?;
    let seconds = seconds(stamp)
        .ok_or_else(|| (1, format!("{stamp:?} is no timestamp (unix seconds, RFC 3339 or YYYY-MM-DD HH:MM:SS)")))?;
    let value = number(value).ok_or_else(|| (column, format!("{value:?} is no number")))?;
    Ok(Row { stamp: stamp.to_owned(), seconds, value })
}

/// The two fields of a line without blanks and quotes, and the column where the second starts.
fn fields(line: &str) -> Result<(&str, &str, usize), (usize, String)> {
    let characters = |text: &str| text.chars().count();
    let Some((first, second)) = line.split_once(',') else {
        return Err((characters(line) + 1, "expected two columns, timestamp,value, found one".into()));
    };
    let blanks = second.len() - second.trim_start().len();
    let column = characters(first) + 2 + blanks;
    if let Some((value, _)) = second.split_once(',') {
        return Err((
            characters(first) + 2 + characters(value),
            "expected two columns, timestamp,value, found more".into(),
        ));
    }
    Ok((bare(first), bare(second), column))
}

fn bare(field: &str) -> &str {
    let field = field.trim();
    field.strip_prefix('"').and_then(|field| field.strip_suffix('"')).unwrap_or(field)
}

fn number(field: &str) -> Option<f64> {
    match field {
        "" | "null" | "None" => Some(f64::NAN),
        _ => field.parse().ok(),
    }
}

/// Seconds since 1970 of a timestamp as written; `None` if it is none.
pub fn seconds(field: &str) -> Option<f64> {
    /// Unix seconds reach this in the year 5138; anything larger is milliseconds.
    const MILLISECONDS: f64 = 1e11;
    if let Ok(unix) = field.parse::<f64>() {
        return unix.is_finite().then(|| if unix.abs() >= MILLISECONDS { unix / 1000.0 } else { unix });
    }
    let micros = DateTime::parse_from_rfc3339(field).map(|time| time.timestamp_micros()).ok().or_else(|| {
        ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M"]
            .iter()
            .find_map(|format| NaiveDateTime::parse_from_str(field, format).ok())
            .map(|time| time.and_utc().timestamp_micros())
    })?;
    Some(micros as f64 / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(line: &str) -> Row {
        parse(&format!("timestamp,value\n{line}\n")).unwrap().remove(0)
    }

    #[test]
    fn every_usual_timestamp_is_read() {
        for stamp in [
            "1396332000",
            "1396332000.0",
            "1396332000000",
            "2014-04-01T06:00:00Z",
            "2014-04-01 06:00:00",
            "\"2014-04-01 06:00\"",
        ] {
            assert_eq!(one(&format!("{stamp},1")).seconds, 1_396_332_000.0, "{stamp}");
        }
        assert_eq!(one("2014-04-01 08:00:00.500,1").seconds - 0.5, 1_396_339_200.0);
        assert_eq!(one("2014-04-01T08:00:00+02:00,1").seconds, 1_396_332_000.0);
    }

    #[test]
    fn missing_values_are_not_zero() {
        for missing in ["", "NaN", "nan", "null"] {
            assert!(one(&format!("1,{missing}")).value.is_nan());
        }
        assert_eq!(one("1, -2.5e3 ").value, -2500.0);
        assert_eq!(one("1,inf").value, f64::INFINITY);
    }

    #[test]
    fn what_cannot_be_read_is_named_by_line_and_column() {
        let fault = |text: &str| parse(text).unwrap_err();
        assert_eq!(&fault("timestamp,value\n1,2\n2,abc\n"), &(3, 3, "\"abc\" is no number".into()));
        assert_eq!((fault("timestamp,value\nyesterday,2").0, fault("timestamp,value\nyesterday,2").1), (2, 1));
        assert_eq!((fault("t,v\n1,2,3").0, fault("t,v\n1,2,3").1), (2, 4));
        assert_eq!((fault("t,v\n12").0, fault("t,v\n12").1), (2, 3));
        assert!(fault("").2.contains("empty"));
        assert!(fault("1,2\n2,3\n").2.contains("header"));
        assert!(parse("timestamp,value\n").unwrap().is_empty());
    }
}
