//! Where each setting came from: the answer to "why is this value?".

use super::settings::Settings;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;

/// Where a value came from; later layers win.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nobody set it.
    Default,
    /// The configuration file.
    File {
        /// Line from 1.
        line: usize,
        /// Column from 1.
        column: usize,
    },
    /// An environment variable.
    Env(&'static str),
    /// A flag of the command line.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { line, column } => write!(f, "file, line {line}, column {column}"),
            Self::Env(name) => write!(f, "environment variable {name}"),
            Self::Flag(name) => write!(f, "flag {name}"),
        }
    }
}

/// Every setting's dotted key with its value, as JSON; unset ones are null, lists and maps stay whole.
pub fn leaves(settings: &Settings) -> BTreeMap<String, Value> {
    fn walk(value: &Value, path: &str, depth: usize, out: &mut BTreeMap<String, Value>) {
        match value {
            Value::Object(map) if depth < 2 => {
                for (key, value) in map {
                    let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                    walk(value, &path, depth + 1, out);
                }
            }
            other => {
                out.insert(path.to_owned(), other.clone());
            }
        }
    }
    let mut out = BTreeMap::new();
    if let Ok(value) = serde_json::to_value(settings) {
        walk(&value, "", 0, &mut out);
    }
    out
}
