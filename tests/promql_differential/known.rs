//! The differences that are known, each with its reason. All of them must be there: one that has gone is taken off the list.

use super::{Ask, unplaced};
use serde_json::Value;
use std::collections::BTreeMap;

/// A query that is answered differently.
pub struct Known {
    pub query: &'static str,
    /// How many of its requests are.
    pub times: usize,
    pub why: Why,
}

/// How, and why.
pub enum Why {
    /// Both refuse it; promql-parser has other words for it.
    Words { real: &'static str, ours: &'static str },
    /// Go's logarithm on amd64 is wrong for denormal numbers.
    Denormal,
}

impl Why {
    /// The reason in a line.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Words { .. } => "promql-parser has other words for a query that does not parse",
            Self::Denormal => {
                "Go's logarithm on amd64 is wrong for denormal numbers: -709 for ln(3e-310), which is -712.7"
            }
        }
    }

    /// Whether the answers differ in this way.
    fn holds(&self, (real_code, real): &(u16, Value), (our_code, ours): &(u16, Value)) -> bool {
        match self {
            Self::Words { real: a, ours: b } => {
                let says = |v: &Value, text: &str| {
                    unplaced(&v["error"]) == format!("invalid parameter \"query\": parse error: {text}")
                };
                (*real_code, *our_code) == (400, 400) && says(real, a) && says(ours, b)
            }
            Self::Denormal => (*real_code, *our_code) == (200, 200),
        }
    }
}

const fn words(query: &'static str, real: &'static str, ours: &'static str) -> Known {
    Known { query, times: 7, why: Why::Words { real, ours } }
}

/// All of them.
static KNOWN: [Known; 7] = [
    words("rate(up[5m", "unclosed left parenthesis", "unexpected end of input inside brackets"),
    words("foo bar", "unexpected identifier \"bar\"", "invalid promql query"),
    words("up{a=~\"(\"}", "error parsing regexp: missing closing ): `(`", "illegal regex for ("),
    words(
        "up offset",
        "unexpected end of input in offset, expected number, duration, or step()",
        "unexpected end of input in offset, expected duration",
    ),
    words("sum without (up)", "unexpected end of input in aggregation", "invalid promql query"),
    words("start()", "unexpected \"(\"", "unknown function with name \"start\""),
    Known { query: "ln(odd)", times: 3, why: Why::Denormal },
];

/// Counts what was found of the list.
#[derive(Default)]
pub struct Found(BTreeMap<&'static str, usize>);

impl Found {
    /// The entry of the list that two different answers are of.
    pub fn entry(&mut self, ask: &Ask, real: &(u16, Value), ours: &(u16, Value)) -> Option<&'static Known> {
        let query = ask.form.first().map_or("", |(_, q)| q.as_str());
        let known = KNOWN.iter().find(|k| k.query == query && k.why.holds(real, ours))?;
        *self.0.entry(known.query).or_default() += 1;
        Some(known)
    }

    /// What is on the list and was found less or more often.
    pub fn wrong(&self) -> Vec<String> {
        let found = |k: &Known| self.0.get(k.query).copied().unwrap_or(0);
        let wrong = KNOWN.iter().filter(|k| found(k) != k.times);
        wrong.map(|k| format!("{} differs {} times, known are {}", k.query, found(k), k.times)).collect()
    }
}
