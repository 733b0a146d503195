//! Traces from a file: Jaeger JSON or OTLP JSON, told apart by what is in it.

use super::{jaeger, otlp};
use crate::model::trace::Trace;
use serde_json::Value;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Why a file gives no traces.
#[derive(Debug, Error)]
pub enum FileError {
    /// The file itself.
    #[error("cannot read {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: std::io::Error,
    },
    /// It is no JSON.
    #[error("{}:{}:{}: {source}", path.display(), source.line(), source.column())]
    Json {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        source: serde_json::Error,
    },
    /// It is JSON of another kind, or a part of it is.
    #[error("{}: document {document}: {problem}", path.display())]
    Shape {
        /// The file.
        path: PathBuf,
        /// Which of its documents, from 1.
        document: usize,
        /// What is wrong with it.
        problem: String,
    },
}

/// Reads all traces of a file with one JSON document, or several one after the other, as the collector writes them.
pub fn read(path: &Path) -> Result<Vec<Trace>, FileError> {
    let bytes = std::fs::read(path).map_err(|source| FileError::File { path: path.to_owned(), source })?;
    let mut traces = Vec::new();
    let mut gathered = otlp::Gathered::default();
    let mut documents = 0;
    for value in serde_json::Deserializer::from_slice(&bytes).into_iter::<Value>() {
        documents += 1;
        let value = value.map_err(|source| FileError::Json { path: path.to_owned(), source })?;
        let shape = |problem| FileError::Shape { path: path.to_owned(), document: documents, problem };
        match Layout::of(&value).map_err(shape)? {
            Layout::Jaeger => traces.extend(jaeger::read(value).map_err(|e| shape(format!("Jaeger: {e}")))?),
            Layout::Otlp => gathered.add(value).map_err(|e| shape(format!("OTLP: {e}")))?,
        }
    }
    if documents == 0 {
        return Err(FileError::Shape { path: path.to_owned(), document: 1, problem: "the file is empty".into() });
    }
    traces.extend(gathered.traces());
    Ok(traces)
}

enum Layout {
    Jaeger,
    Otlp,
}

impl Layout {
    fn of(value: &Value) -> Result<Self, String> {
        let has = |key: &str| value.get(key).is_some();
        match value {
            Value::Object(_) if has("data") || has("spans") => Ok(Self::Jaeger),
            Value::Object(_) if has("resourceSpans") || has("resource_spans") || has("batches") || has("trace") => {
                Ok(Self::Otlp)
            }
            _ => Err(
                "neither Jaeger JSON (an object with data or spans) nor OTLP JSON (one with resourceSpans, batches \
                      or trace)"
                    .into(),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> Result<Vec<Trace>, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f.json");
        std::fs::write(&path, text).unwrap();
        read(&path).map_err(|e| e.to_string().replace(&dir.path().display().to_string(), "D"))
    }

    #[test]
    fn both_kinds_are_told_apart_and_lines_come_together() {
        let jaeger = r#"{"data":[{"traceID":"t","spans":[],"processes":{}}]}"#;
        assert_eq!(&*said(jaeger).unwrap()[0].id, "t");
        let line = r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"u","spanId":"a","startTimeUnixNano":"1","endTimeUnixNano":"2"}]}]}]}"#;
        let all = said(&format!("{line}\n{}\n", line.replace("\"a\"", "\"b\""))).unwrap();
        assert_eq!((all.len(), all[0].spans.len()), (1, 2));
        assert_eq!(said(r#"{"data":[]}"#).unwrap(), []);
    }

    #[test]
    fn a_bad_file_is_an_error_with_the_place() {
        for (text, expected) in [
            ("", "D/f.json: document 1: the file is empty"),
            ("{\"data\": [\n,", "D/f.json:2:1: expected value at line 2 column 1"),
            ("[1]", "D/f.json: document 1: neither Jaeger JSON"),
            (r#"{"data": 5}"#, "D/f.json: document 1: Jaeger: data:"),
            (
                r#"{"data":[{"traceID":"t","spans":[{"spanID":"a","operationName":"o","startTime":0,"duration":"x"}]}]}"#,
                "D/f.json: document 1: Jaeger: data[0].spans[0].duration: expected a whole number, found \"x\"",
            ),
            (
                r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"u"}]}]}]}"#,
                "D/f.json: document 1: OTLP: resourceSpans[0].scopeSpans[0].spans[0]: missing field `spanId`",
            ),
        ] {
            let found = said(text).unwrap_err();
            assert!(found.starts_with(expected), "{found}\n{expected}");
        }
        assert!(read(Path::new("/nowhere/f.json")).unwrap_err().to_string().contains("cannot read /nowhere/f.json"));
    }
}
