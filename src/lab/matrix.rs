//! Tables with a time in the first column and a measurement of some node in each other one, and tables of calls.

use crate::ml::rootcause::Calls;
use csv::StringRecord;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Why a table cannot be read.
#[derive(Debug, Error)]
pub enum MatrixError {
    /// The file itself, or its quotes.
    #[error("cannot read {}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: csv::Error,
    },
    /// A place in it.
    #[error("{}:{line}: column {column}: {problem}", path.display())]
    Place {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: u64,
        /// Column, from 1.
        column: usize,
        /// What is wrong there.
        problem: String,
    },
    /// Nobody has the target's name.
    #[error("{}: no column is about {target:?}", path.display())]
    Target {
        /// The file.
        path: PathBuf,
        /// The name.
        target: String,
    },
}

/// What a column measures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Whose.
    pub node: String,
    /// What.
    pub metric: String,
    /// Which statistic of it; empty in a plain table.
    pub statistic: String,
}

impl Column {
    /// What makes it the same column of another file.
    pub fn key(&self) -> (&str, &str, &str) {
        (&self.node, &self.metric, &self.statistic)
    }
}

/// A table: values by column, in the order of time as it was written.
#[derive(Debug, Clone, PartialEq)]
pub struct Matrix {
    /// Unix seconds of each row.
    pub times: Vec<f64>,
    /// What the columns are.
    pub columns: Vec<Column>,
    /// One list per column, as long as `times`; NaN is missing.
    pub values: Vec<Vec<f64>>,
}

impl Matrix {
    /// Reads a table of either layout.
    pub fn read(path: &Path) -> Result<Self, MatrixError> {
        let mut rows = rows(path)?;
        let fault = |line, column, problem: &str| place(path, line, column, problem);
        time_first(&mut rows);
        let first = |i: usize| rows.get(i).and_then(|r| r.1.get(0)).unwrap_or_default().trim().to_ascii_lowercase();
        let (columns, body) = if first(0) == "microservice" {
            if first(1) != "metric" || first(2) != "statistic" {
                return Err(fault(2, 1, "expected the rows microservice, metric and statistic"));
            }
            let names = |i: usize| rows[i].1.iter().skip(1).map(str::to_owned);
            let columns = names(0).zip(names(1)).zip(names(2));
            let columns = columns.map(|((node, metric), statistic)| Column { node, metric, statistic }).collect();
            (columns, if first(3) == "unix_timestamp" { 4 } else { 3 })
        } else if let Some((line, header)) = rows.first() {
            if first(0).parse::<f64>().is_ok() {
                return Err(fault(*line, 1, "expected a header: time,service_metric,… or microservice,…"));
            }
            (plain(header).map_err(|(column, problem)| fault(*line, column, &problem))?, 1)
        } else {
            return Err(fault(1, 1, "the file is empty; expected a header"));
        };
        let mut all = Self { times: Vec::new(), values: vec![Vec::new(); columns.len()], columns };
        for (line, row) in rows.iter().skip(body) {
            all.push(row).map_err(|(column, problem)| fault(*line, column, &problem))?;
        }
        if all.times.is_empty() {
            return Err(fault(body as u64 + 1, 1, "there is no row below the header"));
        }
        Ok(all)
    }

    fn push(&mut self, row: &StringRecord) -> Result<(), (usize, String)> {
        if row.len() != self.columns.len() + 1 {
            return Err((row.len(), format!("{} fields, but the header has {}", row.len(), self.columns.len() + 1)));
        }
        let field = |i: usize| row.get(i).unwrap_or_default().trim();
        let time = field(0);
        let seconds = time.parse::<f64>().ok().or_else(|| written(time)).filter(|t| t.is_finite());
        self.times.push(seconds.ok_or_else(|| (1, format!("{time:?} is no time in unix seconds")))?);
        for (i, values) in self.values.iter_mut().enumerate() {
            let text = field(i + 1);
            let missing = text.is_empty() || text.eq_ignore_ascii_case("nan") || text.eq_ignore_ascii_case("null");
            let value = if missing { Some(f64::NAN) } else { text.parse().ok() };
            values.push(value.ok_or_else(|| (i + 2, format!("{text:?} is no number")))?);
        }
        Ok(())
    }

    /// The first row that may hold something of what happened at a time: a row stands for the time up to the next one.
    pub fn onset(&self, at: f64) -> usize {
        let mut gaps: Vec<f64> = self.times.windows(2).map(|w| w[1] - w[0]).collect();
        gaps.sort_by(f64::total_cmp);
        let step = gaps.get(gaps.len() / 2).copied().unwrap_or(0.0);
        self.times.iter().position(|t| t + step > at).unwrap_or(self.times.len())
    }
}

/// Moves the column of the time to the front of a plain table, and drops columns that only count rows.
fn time_first(rows: &mut [(u64, StringRecord)]) {
    let Some((_, header)) = rows.first() else { return };
    let name = |i: usize| header.get(i).unwrap_or_default().trim().to_ascii_lowercase();
    let is_time = |i: &usize| matches!(&*name(*i), "time" | "timestamp" | "datetime" | "date");
    if name(0) == "microservice" {
        return;
    }
    let Some(time) = (0..header.len()).find(is_time) else { return };
    let counts = |i: &usize| name(*i).is_empty() || name(*i).starts_with("unnamed:") || name(*i) == "time.1";
    let others: Vec<usize> = (0..header.len()).filter(|i| *i != time && !counts(i)).collect();
    if time == 0 && others.len() + 1 == header.len() {
        return;
    }
    let width = header.len();
    for (_, row) in rows.iter_mut().filter(|(_, r)| r.len() == width) {
        *row = std::iter::once(&time).chain(&others).map(|i| row.get(*i).unwrap_or_default()).collect();
    }
}

/// Unix seconds of a time that is written as a date.
fn written(time: &str) -> Option<f64> {
    let plain = ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f"];
    let at = chrono::DateTime::parse_from_rfc3339(time).map(|t| t.to_utc()).ok().or_else(|| {
        plain.iter().find_map(|p| chrono::NaiveDateTime::parse_from_str(time, p).ok()).map(|t| t.and_utc())
    })?;
    Some(at.timestamp_micros() as f64 / 1e6)
}

/// The columns of a plain table. Names are `service_metric`, and both may hold underscores: of all ways to part a name,
/// that one whose metric most services have, and the longest such metric.
fn plain(header: &StringRecord) -> Result<Vec<Column>, (usize, String)> {
    let names: Vec<&str> = header.iter().skip(1).map(str::trim).collect();
    let parts = |name: &str| -> Vec<(usize, String)> {
        name.match_indices('_')
            .map(|(at, _)| (at, name[at + 1..].to_owned()))
            .filter(|(at, m)| *at > 0 && !m.is_empty())
            .collect()
    };
    let mut services: std::collections::HashMap<String, BTreeSet<&str>> = std::collections::HashMap::new();
    for name in &names {
        for (at, metric) in parts(name) {
            services.entry(metric).or_default().insert(&name[..at]);
        }
    }
    let column = |(i, name): (usize, &&str)| {
        let most = parts(name).into_iter().max_by_key(|(_, m)| (services[m].len(), m.len()));
        let (at, metric) = most.ok_or_else(|| (i + 2, format!("{name:?} is no service_metric")))?;
        Ok(Column { node: name[..at].to_owned(), metric, statistic: String::new() })
    };
    names.iter().enumerate().map(column).collect()
}

/// Reads a table of calls: callers in the first column, callees in the first row, anything but 0 where one calls the other.
pub fn read_graph(path: &Path) -> Result<Calls, MatrixError> {
    let rows = rows(path)?;
    let Some((_, header)) = rows.first() else {
        return Err(place(path, 1, 1, "the file is empty; expected a header with the callees"));
    };
    let mut calls = Calls::new();
    for (line, row) in rows.iter().skip(1) {
        if row.len() != header.len() {
            let problem = format!("{} fields, but the header has {}", row.len(), header.len());
            return Err(place(path, *line, row.len(), &problem));
        }
        let mut callees = BTreeSet::new();
        for (column, (callee, field)) in header.iter().zip(row).enumerate().skip(1) {
            let text = field.trim();
            let value: f64 = if text.is_empty() { 0.0 } else { text.parse().unwrap_or(f64::NAN) };
            if value.is_nan() {
                return Err(place(path, *line, column + 1, &format!("{text:?} is no number")));
            }
            if value != 0.0 {
                callees.insert(callee.to_owned());
            }
        }
        calls.insert(row.get(0).unwrap_or_default().to_owned(), callees);
    }
    Ok(calls)
}

/// A number as JSON has it: what is none, is null.
pub fn number(value: f64) -> Value {
    serde_json::Number::from_f64(value).map_or(Value::Null, Value::Number)
}

fn place(path: &Path, line: u64, column: usize, problem: &str) -> MatrixError {
    MatrixError::Place { path: path.to_owned(), line, column, problem: problem.to_owned() }
}

/// All rows with their lines.
fn rows(path: &Path) -> Result<Vec<(u64, StringRecord)>, MatrixError> {
    let fail = |source| MatrixError::File { path: path.to_owned(), source };
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_path(path).map_err(fail)?;
    let rows = reader.records().map(|row| row.map(|r| (r.position().map_or(0, csv::Position::line), r)));
    rows.collect::<Result<_, _>>().map_err(fail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.csv");
        std::fs::write(&path, text).unwrap();
        (dir, path)
    }

    fn said(text: &str) -> String {
        let (dir, path) = file(text);
        let error = Matrix::read(&path).unwrap_err().to_string();
        error.replace(&dir.path().display().to_string(), "D")
    }

    #[test]
    fn both_layouts_are_read() {
        let (_dir, path) = file(
            "microservice,a,b c\nmetric,latency,requests\nstatistic,p50,Sum\nunix_timestamp,,\n10.0,1.5,\n20.0,nan,3\n",
        );
        let m = Matrix::read(&path).unwrap();
        assert_eq!((m.times.as_slice(), m.columns[1].key()), ([10.0, 20.0].as_slice(), ("b c", "requests", "Sum")));
        assert!(m.values[0][0] == 1.5 && m.values[0][1].is_nan() && m.values[1][0].is_nan());
        let (_dir, path) = file("time,carts_lat_50,carts_cpu,front-end_lat_50,my_db_cpu,user_cpu\n1,2,3,4,5,6\n");
        let m = Matrix::read(&path).unwrap();
        let keys: Vec<_> = m.columns.iter().map(|c| (&*c.node, &*c.metric)).collect();
        let expected =
            [("carts", "lat_50"), ("carts", "cpu"), ("front-end", "lat_50"), ("my_db", "cpu"), ("user", "cpu")];
        assert_eq!(keys, expected);
    }

    #[test]
    fn the_time_is_found_wherever_it_stands_and_however_it_is_written() {
        for text in [
            ",a_cpu,timestamp\n0,5,1970-01-01 00:00:10\n1,6,1970-01-01T00:00:11.5Z\n",
            "Unnamed: 0,Time,a_cpu\n0,10,5\n1,11.5,6\n",
        ] {
            let (_dir, path) = file(text);
            let m = Matrix::read(&path).unwrap();
            assert_eq!((m.times, m.values, m.columns.len()), (vec![10.0, 11.5], vec![vec![5.0, 6.0]], 1), "{text}");
        }
    }

    #[test]
    fn a_row_stands_for_the_time_up_to_the_next() {
        let times = vec![0.0, 300.0, 600.0, 900.0];
        let m = Matrix { times, columns: vec![], values: vec![] };
        assert_eq!([599.0, 600.0, 601.0, 99_999.0].map(|at| m.onset(at)), [1, 2, 2, 4]);
    }

    #[test]
    fn mistakes_are_named_with_their_place() {
        for (text, expected) in [
            ("", "D/t.csv:1: column 1: the file is empty; expected a header"),
            ("time,a_b\n", "D/t.csv:2: column 1: there is no row below the header"),
            ("time,a_b\n1,2,3\n", "D/t.csv:2: column 3: 3 fields, but the header has 2"),
            ("time,a_b\n1,x\n", "D/t.csv:2: column 2: \"x\" is no number"),
            ("time,a_b\nnoon,1\n", "D/t.csv:2: column 1: \"noon\" is no time in unix seconds"),
            ("time,cpu\n1,1\n", "D/t.csv:1: column 2: \"cpu\" is no service_metric"),
            ("1,2\n", "D/t.csv:1: column 1: expected a header: time,service_metric,… or microservice,…"),
            (
                "microservice,a\nstatistic,b\n",
                "D/t.csv:2: column 1: expected the rows microservice, metric and statistic",
            ),
        ] {
            assert_eq!(said(text), expected);
        }
        assert!(Matrix::read(Path::new("/nowhere.csv")).unwrap_err().to_string().contains("cannot read /nowhere.csv"));
    }

    #[test]
    fn a_graph_has_callers_in_rows_and_callees_in_columns() {
        let (_dir, path) = file(",a,b,c\na,0,1,0.0\nb,,0,1.0\n");
        let calls = read_graph(&path).unwrap();
        assert_eq!((calls["a"].iter().next().unwrap().as_str(), calls["b"].len()), ("b", 1));
        let (_dir, path) = file(",a\na,x\n");
        assert!(read_graph(&path).unwrap_err().to_string().ends_with("t.csv:2: column 2: \"x\" is no number"));
        let (_dir, path) = file(",a\na,1,1\n");
        assert!(read_graph(&path).unwrap_err().to_string().ends_with("3 fields, but the header has 2"));
    }
}
