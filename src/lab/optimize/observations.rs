//! What was observed: a CSV table of configurations and what they yielded.

use super::spacefile::Problem;
use crate::lab::headed;
use crate::ml::optimize::space::Kind;
use anyhow::{Context, bail};
use std::collections::HashSet;
use std::path::Path;

/// A row: a configuration, and for each objective what was measured; NaN where nothing was.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Values of the parameters.
    pub point: Vec<f64>,
    /// Values of the objectives.
    pub values: Vec<f64>,
}

/// Everything usable, in the order of the file.
#[derive(Debug, Clone, PartialEq)]
pub struct Observations {
    /// Rows.
    pub rows: Vec<Row>,
    /// For each objective whether the file has its column.
    pub measured: Vec<bool>,
    /// What was left out, and why.
    pub notes: Vec<String>,
}

impl Observations {
    /// How many different configurations there are.
    pub fn different(&self) -> usize {
        self.rows.iter().map(|row| key(&row.point)).collect::<HashSet<_>>().len()
    }
}

/// The bits of a configuration.
pub fn key(point: &[f64]) -> Vec<u64> {
    point.iter().map(|value| value.to_bits()).collect()
}

/// Reads a file; a cell that can't be read is told with its line and column. Rows without all parameters, or outside of
/// the bounds, are left out and counted.
pub fn read(path: &Path, problem: &Problem) -> anyhow::Result<Observations> {
    let (header, mut reader) = headed::open(path)?;
    let place = |name: &str| header.iter().position(|column| column == name);
    let mut inputs = Vec::new();
    for dimension in problem.space.dimensions() {
        let Some(at) = place(&dimension.name) else {
            bail!(
                "{}:1: no column {:?}; the header must name every parameter, and has {}",
                path.display(),
                dimension.name,
                header.iter().collect::<Vec<_>>().join(", ")
            );
        };
        inputs.push(at);
    }
    let outputs: Vec<Option<usize>> = problem.goals.iter().map(|goal| place(&goal.column)).collect();
    let mut held =
        Observations { rows: Vec::new(), measured: outputs.iter().map(Option::is_some).collect(), notes: Vec::new() };
    let (mut without, mut outside) = (0, 0);
    for record in reader.records() {
        let record = record.with_context(|| path.display().to_string())?;
        let line = record.position().map_or(0, csv::Position::line);
        let wrong = |at: usize, what: String| {
            anyhow::anyhow!("{}:{line}: column {} ({}): {what}", path.display(), at + 1, &header[at])
        };
        let mut point = Vec::new();
        for (dimension, at) in problem.space.dimensions().iter().zip(&inputs) {
            let cell = record.get(*at).unwrap_or_default();
            point.push(if missing(cell) {
                f64::NAN
            } else {
                value(&dimension.kind, cell).map_err(|what| wrong(*at, what))?
            });
        }
        let number = |at: &Option<usize>| -> anyhow::Result<f64> {
            let Some(at) = at else { return Ok(f64::NAN) };
            let cell = record.get(*at).unwrap_or_default();
            if missing(cell) {
                return Ok(f64::NAN);
            }
            cell.parse().map_err(|_| wrong(*at, format!("{:?} is no number", shortened(cell))))
        };
        let values = outputs.iter().map(number).collect::<Result<Vec<f64>, _>>()?;
        if point.iter().any(|value| value.is_nan()) || values.iter().all(|value| !value.is_finite()) {
            without += 1;
        } else if problem
            .space
            .dimensions()
            .iter()
            .zip(&point)
            .any(|(dimension, value)| dimension.nearest(*value) != *value)
        {
            outside += 1;
        } else {
            held.rows.push(Row { point, values });
        }
    }
    if without > 0 {
        held.notes.push(format!("{without} rows lack a parameter or all objectives and were left out"));
    }
    if outside > 0 {
        held.notes.push(format!("{outside} rows lie outside of the parameters' bounds and were left out"));
    }
    Ok(held)
}

fn missing(cell: &str) -> bool {
    cell.is_empty() || ["na", "nan", "null", "inf", "-inf"].iter().any(|word| cell.eq_ignore_ascii_case(word))
}

fn shortened(cell: &str) -> String {
    cell.chars().take(40).collect()
}

fn value(kind: &Kind, cell: &str) -> Result<f64, String> {
    match kind {
        Kind::Categorical(choices) => choices
            .iter()
            .position(|choice| choice == cell)
            .map(|at| at as f64)
            .ok_or_else(|| format!("{:?} is none of the choices {}", shortened(cell), choices.join(", "))),
        Kind::Boolean => match cell.to_ascii_lowercase().as_str() {
            "true" | "1" | "on" | "yes" => Ok(1.0),
            "false" | "0" | "off" | "no" => Ok(0.0),
            _ => Err(format!("{:?} is neither true nor false", shortened(cell))),
        },
        Kind::Continuous { .. } => cell.parse().map_err(|_| format!("{:?} is no number", shortened(cell))),
        Kind::Integer { .. } => {
            let read = cell.parse::<f64>().ok().filter(|value| value.fract() == 0.0);
            read.ok_or_else(|| format!("{:?} is no whole number", shortened(cell)))
        }
    }
}
