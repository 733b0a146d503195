//! What is wrong in a file, where, and what to do about it.

use crate::model::text::distance;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use toml::de::{DeTable, DeValue};

/// One mistake in a configuration, keymap or theme file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file as the operator wrote it, or where else the value came from (`KANSOLE_MODE`, `--mode`).
    pub file: String,
    /// Line from 1; 0 if the problem has no place inside the file.
    pub line: usize,
    /// Column in characters from 1; 0 as above.
    pub column: usize,
    /// The key it is about, such as `guard.per_hour`; empty if it is about the file.
    pub key: String,
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub remedy: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        if !self.key.is_empty() {
            write!(f, ": key {}", self.key)?;
        }
        write!(f, ": {}; {}", self.what, self.remedy)
    }
}

/// Everything that is wrong, in the order of the file; never empty when returned as an error.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

/// A TOML file with the place of every key.
pub struct Source<'a> {
    /// Name for messages.
    file: &'a str,
    /// Its text.
    text: &'a str,
    /// Key span and value span by dotted path; array elements are `slo[0]`.
    spans: BTreeMap<String, (Range<usize>, Range<usize>)>,
}

impl<'a> Source<'a> {
    /// Reads the text's structure. Broken syntax is told with its place.
    pub fn parse(file: &'a str, text: &'a str) -> Result<Self, Problem> {
        let mut source = Self { file, text, spans: BTreeMap::new() };
        let table = DeTable::parse(text).map_err(|e| source.syntax(&e))?;
        walk(table.get_ref(), "", &mut source.spans);
        Ok(source)
    }

    fn syntax(&self, error: &toml::de::Error) -> Problem {
        let (line, column) = place(self.text, error.span().map_or(0, |s| s.start));
        Problem {
            file: self.file.to_owned(),
            line,
            column,
            key: String::new(),
            what: error.message().replace('\n', ", "),
            remedy: "correct the TOML".to_owned(),
        }
    }

    /// Whether the file has this key.
    pub fn has(&self, key: &str) -> bool {
        self.spans.contains_key(key)
    }

    /// Line and column of a key, if the file has it.
    pub fn place_of(&self, key: &str) -> Option<(usize, usize)> {
        self.spans.get(key).map(|(k, _)| place(self.text, k.start))
    }

    /// A problem with a key; placed at the key, or at the nearest table around it.
    pub fn problem(&self, key: &str, what: impl Into<String>, remedy: impl Into<String>) -> Problem {
        let mut around = key;
        let (line, column) = loop {
            if let Some(found) = self.place_of(around) {
                break found;
            }
            match around.rfind(['.', '[']) {
                Some(cut) => around = &around[..cut],
                None => break (1, 1),
            }
        };
        Problem {
            file: self.file.to_owned(),
            line,
            column,
            key: key.to_owned(),
            what: what.into(),
            remedy: remedy.into(),
        }
    }

    /// Turns what serde says into a problem with the key's place, and a suggestion for unknown names.
    pub fn refusal(&self, error: &toml::de::Error) -> Problem {
        let message = error.message();
        let at = error.span().map_or(0, |s| s.start);
        // The innermost key whose name or value holds the place.
        let key = self
            .spans
            .iter()
            .filter(|(_, (k, v))| k.contains(&at) || v.contains(&at))
            .min_by_key(|(path, (k, v))| (k.len().min(v.len()).max(v.len()), usize::MAX - path.len()))
            .map(|(path, _)| path.clone())
            .unwrap_or_default();
        let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
        let (what, remedy) = if message.starts_with("unknown field") || message.starts_with("unknown variant") {
            let kind = if message.starts_with("unknown field") { "key" } else { "value" };
            let found = quoted.first().copied().unwrap_or_default();
            (format!("unknown {kind} {found:?}"), one_of(found, &quoted[quoted.len().min(1)..]))
        } else if message.starts_with("missing field") {
            let field = quoted.first().copied().unwrap_or_default();
            (format!("{field:?} is missing"), format!("add {field} = …"))
        } else {
            plain(message)
        };
        self.problem(&key, what, remedy)
    }
}

/// What serde says about a value of the wrong type, in the operator's words.
fn plain(message: &str) -> (String, String) {
    let message = message.replace('\n', ", ");
    // Our own readers of durations say what to write after a colon.
    if let Some((what, remedy)) = message.split_once(": write ") {
        return (what.to_owned(), format!("write {remedy}"));
    }
    let found = message.strip_prefix("invalid type: ").or_else(|| message.strip_prefix("invalid value: "));
    let Some((found, wanted)) = found.and_then(|f| f.rsplit_once(", expected ")) else {
        return (message, "correct the value".to_owned());
    };
    let remedy = match wanted {
        "u32" | "u64" | "usize" => "write a whole number of at least 0",
        "f64" => "write a number",
        "a boolean" => "write true or false",
        "a string" => "write text in quotes",
        "a sequence" => "write a list in [ ]",
        "a map" => "write a table in { }",
        _ if wanted.starts_with("struct") => "write a table in { } or as a [section]",
        _ => return (format!("{found} does not belong here"), format!("write {wanted}")),
    };
    (format!("{found} does not belong here"), remedy.to_owned())
}

/// Collects spans of all keys below a table.
fn walk(table: &DeTable<'_>, prefix: &str, spans: &mut BTreeMap<String, (Range<usize>, Range<usize>)>) {
    for (key, value) in table {
        let path = if prefix.is_empty() { key.get_ref().to_string() } else { format!("{prefix}.{}", key.get_ref()) };
        note(&path, key.span(), value.span(), value.get_ref(), spans);
    }
}

fn note(
    path: &str,
    key: Range<usize>,
    span: Range<usize>,
    value: &DeValue<'_>,
    spans: &mut BTreeMap<String, (Range<usize>, Range<usize>)>,
) {
    if let Some(table) = value.as_table() {
        walk(table, path, spans);
    } else if let Some(array) = value.as_array() {
        for (i, item) in array.iter().enumerate() {
            note(&format!("{path}[{i}]"), item.span(), item.span(), item.get_ref(), spans);
        }
    }
    spans.insert(path.to_owned(), (key, span));
}

/// Line and column (in characters) of a byte offset, both from 1.
pub fn place(text: &str, at: usize) -> (usize, usize) {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    let before = &text[..at];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |l| l.chars().count()) + 1;
    (line, column)
}

/// `did you mean "x"?`, or the list of what is known when nothing is near.
pub fn one_of(found: &str, known: &[&str]) -> String {
    match nearest(found, known) {
        Some(name) => format!("did you mean {name:?}?"),
        None if known.is_empty() => "remove it".to_owned(),
        None => format!("use one of {}", known.join(", ")),
    }
}

/// The known name nearest to what was written, if it is near enough to be a slip.
pub fn nearest<'k>(found: &str, known: &[&'k str]) -> Option<&'k str> {
    let far = found.chars().count().max(3) / 3 + 1;
    known.iter().map(|k| (distance(found, k), *k)).filter(|(d, _)| *d <= far).min_by_key(|(d, _)| *d).map(|(_, k)| k)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_recognised_and_strangers_are_not() {
        let known = ["per_hour", "per_hour_namespace", "cooldown"];
        assert_eq!(nearest("per_huor", &known), Some("per_hour"));
        assert_eq!(nearest("cooldwn", &known), Some("cooldown"));
        assert_eq!(nearest("theme", &known), None);
    }

    #[test]
    fn columns_count_characters_not_bytes() {
        assert_eq!(place("a = 1\nü = 2", 8), (2, 2));
    }
}
