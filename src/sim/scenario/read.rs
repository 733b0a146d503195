//! Reads tables of a scenario file key by key, so that every complaint has its line and column, and several can be made
//! at once.

use super::problem::{Problem, one_of, place};
use crate::sim::object::quantity_of;
use chrono::TimeDelta;
use std::collections::BTreeMap;
use std::ops::{Range, RangeInclusive};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The file, for messages, and what is wrong in it so far.
pub struct Source<'a> {
    /// Its name.
    pub file: &'a str,
    /// Its text.
    pub text: &'a str,
    /// What is wrong.
    pub problems: Vec<Problem>,
}

impl Source<'_> {
    /// Line and column of a byte offset.
    pub fn place(&self, at: usize) -> (usize, usize) {
        place(self.text, at)
    }

    /// Notes a problem at a byte offset.
    pub fn complain(&mut self, at: usize, what: impl Into<String>, remedy: impl Into<String>) {
        let place = self.place(at);
        self.problems.push(Problem { file: self.file.to_owned(), place, what: what.into(), remedy: remedy.into() });
    }
}

/// A table being read.
pub struct Reader<'a, 'b, 's, 't> {
    source: &'a mut Source<'s>,
    table: &'b DeTable<'t>,
    /// Where it begins.
    start: usize,
    known: Vec<&'static str>,
}

impl<'a, 'b, 's, 't> Reader<'a, 'b, 's, 't> {
    /// A reader of `table`, which begins at `start`.
    pub fn new(source: &'a mut Source<'s>, table: &'b DeTable<'t>, start: usize) -> Self {
        Self { source, table, start, known: Vec::new() }
    }

    fn find(&mut self, key: &'static str) -> Option<&'b Spanned<DeValue<'t>>> {
        self.known.push(key);
        self.table.iter().find(|(k, _)| k.get_ref() == key).map(|(_, v)| v)
    }

    fn refuse<T>(&mut self, span: Range<usize>, what: impl Into<String>, remedy: impl Into<String>) -> Option<T> {
        self.source.complain(span.start, what, remedy);
        None
    }

    /// Says that `key` is missing. Gives an empty value, so that reading can go on.
    pub fn missing<T: Default>(&mut self, key: &str, example: &str) -> T {
        self.source.complain(self.start, format!("{key:?} is missing"), format!("add {key} = {example}"));
        T::default()
    }

    /// Complains about what `key` says.
    pub fn wrong(&mut self, key: &str, what: impl Into<String>, remedy: impl Into<String>) {
        let at = self.table.iter().find(|(k, _)| k.get_ref() == key).map_or(self.start, |(_, v)| v.span().start);
        self.source.complain(at, what, remedy);
    }

    /// The value of `key` as it is.
    pub fn raw(&mut self, key: &'static str) -> Option<&'b Spanned<DeValue<'t>>> {
        self.find(key)
    }

    /// Text.
    pub fn text(&mut self, key: &'static str) -> Option<String> {
        let value = self.find(key)?;
        match value.get_ref() {
            DeValue::String(s) => Some(s.to_string()),
            other => self.refuse(value.span(), format!("{key} is {}", kind(other)), "write text in quotes"),
        }
    }

    /// Text that must be there.
    pub fn need(&mut self, key: &'static str, example: &str) -> String {
        let before = self.source.problems.len();
        match self.text(key) {
            Some(t) => t,
            None if self.source.problems.len() > before => String::new(),
            None => self.missing(key, example),
        }
    }

    /// One text, or a list of them.
    pub fn texts(&mut self, key: &'static str) -> Vec<String> {
        let Some(value) = self.find(key) else { return Vec::new() };
        match value.get_ref() {
            DeValue::String(s) => return vec![s.to_string()],
            DeValue::Array(items) => {
                let all: Option<Vec<String>> = items.iter().map(|i| i.get_ref().as_str().map(str::to_owned)).collect();
                if let Some(all) = all {
                    return all;
                }
            }
            _ => {}
        }
        self.refuse::<()>(value.span(), format!("{key} is no text"), "write text in quotes, or a list of it in [ ]");
        Vec::new()
    }

    /// A number in a range.
    pub fn number(&mut self, key: &'static str, range: RangeInclusive<f64>) -> Option<f64> {
        let value = self.find(key)?;
        let number = match value.get_ref() {
            DeValue::Integer(i) => i.as_str().replace('_', "").parse::<f64>().ok(),
            DeValue::Float(f) => f.as_str().replace('_', "").parse::<f64>().ok(),
            other => return self.refuse(value.span(), format!("{key} is {}", kind(other)), "write a number"),
        };
        let remedy = format!("write a number from {} to {}", range.start(), range.end());
        match number.filter(|n| range.contains(n)) {
            Some(n) => Some(n),
            None => self.refuse(value.span(), format!("{key} is out of range"), remedy),
        }
    }

    /// A number that must be there.
    pub fn need_number(&mut self, key: &'static str, range: RangeInclusive<f64>) -> f64 {
        let before = self.source.problems.len();
        match self.number(key, range) {
            Some(n) => n,
            None if self.source.problems.len() > before => 0.0,
            None => self.missing(key, "…"),
        }
    }

    /// A whole number in a range.
    pub fn whole(&mut self, key: &'static str, range: RangeInclusive<f64>) -> Option<i64> {
        let n = self.number(key, range)?;
        if n.fract() != 0.0 {
            self.wrong(key, format!("{key} is {n}"), "write a whole number");
            return None;
        }
        Some(n as i64)
    }

    /// A quantity as Kubernetes writes them, or a number; it must be there.
    pub fn need_quantity(&mut self, key: &'static str, example: &str) -> f64 {
        let Some(value) = self.find(key) else { return self.missing(key, example) };
        let found = match value.get_ref() {
            DeValue::String(s) => quantity_of(s),
            DeValue::Integer(i) => i.as_str().parse().ok(),
            _ => None,
        };
        found.unwrap_or_else(|| {
            let what = format!("{key} is no quantity");
            self.source.complain(value.span().start, what, format!("write it as Kubernetes does, such as {example}"));
            0.0
        })
    }

    /// A time span such as `1m30s`.
    pub fn span(&mut self, key: &'static str) -> Option<TimeDelta> {
        let value = self.find(key)?;
        let text = value.get_ref().as_str().unwrap_or_default();
        match span(text) {
            Some(s) => Some(s),
            None => self.refuse(
                value.span(),
                format!("{key} is no time span"),
                "write numbers with ms, s, m or h, such as \"1m30s\"",
            ),
        }
    }

    /// Complains about keys nobody asked for. Gives back the places of the keys that are there.
    pub fn finish(self) -> BTreeMap<String, (usize, usize)> {
        let Self { source, table, known, .. } = self;
        for (key, _) in table {
            if !known.contains(&key.get_ref().as_ref()) {
                let found: &str = key.get_ref();
                source.complain(key.span().start, format!("unknown key {found:?}"), one_of(found, &known));
            }
        }
        table.iter().map(|(k, v)| (k.get_ref().to_string(), source.place(v.span().start))).collect()
    }
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "text",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "a truth value",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// `500ms`, `20s`, `1m30s`, `2h`; at most a year.
pub fn span(text: &str) -> Option<TimeDelta> {
    let (mut rest, mut ms) = (text, 0.0);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(digits);
        let unit = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit);
        let factor = match unit {
            "ms" => 1.0,
            "s" => 1_000.0,
            "m" => 60_000.0,
            "h" => 3_600_000.0,
            _ => return None,
        };
        ms += number.parse::<f64>().ok()? * factor;
        rest = tail;
    }
    (!text.is_empty() && ms <= 366.0 * 86_400_000.0).then(|| TimeDelta::milliseconds(ms.round() as i64))
}

/// A time span as it is written in files: `1m30s`.
pub fn written(span: TimeDelta) -> String {
    let ms = span.num_milliseconds();
    let parts = [(ms / 3_600_000, "h"), (ms / 60_000 % 60, "m"), (ms / 1000 % 60, "s"), (ms % 1000, "ms")];
    let parts: Vec<String> = parts.iter().filter(|(n, _)| *n != 0).map(|(n, unit)| format!("{n}{unit}")).collect();
    if parts.is_empty() { "0s".to_owned() } else { parts.concat() }
}
