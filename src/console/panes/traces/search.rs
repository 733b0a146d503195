//! Search among traces: the filter's words, `"quoted phrases"` and `!without`, and besides `service:cart`, `op:checkout`,
//! `>250ms`, `<1s`, `error`, and `key=value` of an attribute.
//!
//! What names a service, an operation or an attribute must hold of one and the same span; durations are the trace's.

use super::summary::Summary;
use crate::console::widgets::filter::{contains, split};
use crate::model::trace::{Span, Trace};

#[derive(Debug, Clone, PartialEq)]
enum Test {
    /// Anything of a span: service, operation, message, or the trace's id.
    Words(String, bool),
    Service(String, bool),
    Operation(String, bool),
    /// Key, and what its value contains.
    Attribute(String, String, bool),
    /// Longer than so many nanoseconds.
    Longer(i64),
    Shorter(i64),
    Error,
}

impl Test {
    /// Whether the test is about one span, which all such tests must hold of.
    fn of_span(&self) -> bool {
        matches!(self, Self::Service(..) | Self::Operation(..) | Self::Attribute(..))
    }

    fn span(&self, span: &Span, trace: &Trace) -> bool {
        match self {
            Self::Words(w, exact) => [&span.service, &span.operation, &trace.id]
                .into_iter()
                .chain(&span.message)
                .any(|text| contains(text, w, *exact)),
            Self::Service(s, exact) => contains(&span.service, s, *exact),
            Self::Operation(o, exact) => contains(&span.operation, o, *exact),
            Self::Attribute(key, value, exact) => {
                let all = span.attributes.iter().chain(&*span.origin.attributes);
                all.filter(|(k, _)| **k == **key).any(|(_, v)| contains(v, value, *exact))
            }
            Self::Error => span.error,
            Self::Longer(_) | Self::Shorter(_) => false,
        }
    }

    fn trace(&self, trace: &Trace, summary: &Summary) -> bool {
        match self {
            Self::Longer(ns) => summary.duration > *ns,
            Self::Shorter(ns) => summary.duration < *ns,
            Self::Error => summary.errors > 0,
            other => trace.spans.iter().any(|s| other.span(s, trace)),
        }
    }
}

/// A compiled search. Empty passes everything.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Search {
    source: String,
    tests: Vec<(bool, Test)>,
}

impl Search {
    /// Reads a search. Every text is one: while it is typed, unfinished terms pass everything.
    pub fn parse(source: &str) -> Self {
        Self { source: source.to_owned(), tests: split(source).into_iter().filter_map(|w| test(&w)).collect() }
    }

    /// As it was typed.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether it passes everything.
    pub fn is_empty(&self) -> bool {
        self.tests.is_empty()
    }

    /// Whether a trace passes.
    pub fn passes(&self, trace: &Trace, summary: &Summary) -> bool {
        let of_one = |t: &&(bool, Test)| !t.0 && t.1.of_span();
        let rest = self.tests.iter().filter(|t| !of_one(t)).all(|(without, t)| t.trace(trace, summary) != *without);
        let one: Vec<&Test> = self.tests.iter().filter(of_one).map(|(_, t)| t).collect();
        rest && (one.is_empty() || trace.spans.iter().any(|s| one.iter().all(|t| t.span(s, trace))))
    }
}

fn test((word, quoted): &(String, bool)) -> Option<(bool, Test)> {
    let (without, rest) = word.strip_prefix('!').map_or((false, word.as_str()), |rest| (true, rest));
    let needle = |text: &str| (text.to_owned(), text.chars().any(char::is_uppercase));
    let words = |text: &str| {
        let (text, exact) = needle(text);
        Test::Words(text, exact)
    };
    let test = if *quoted {
        words(rest)
    } else if let Some(ns) = rest.strip_prefix('>') {
        Test::Longer(duration(ns)?)
    } else if let Some(ns) = rest.strip_prefix('<') {
        Test::Shorter(duration(ns)?)
    } else if rest == "error" {
        Test::Error
    } else if let Some((key, value)) = rest.split_once('=').filter(|(key, _)| !key.is_empty()) {
        let (value, exact) = needle(value);
        Test::Attribute(key.to_owned(), value, exact)
    } else {
        match rest.split_once(':') {
            Some(("service" | "svc" | "op" | "operation", "")) => return None,
            Some(("service" | "svc", text)) => {
                let (text, exact) = needle(text);
                Test::Service(text, exact)
            }
            Some(("op" | "operation", text)) => {
                let (text, exact) = needle(text);
                Test::Operation(text, exact)
            }
            _ => words(rest),
        }
    };
    let unfinished = matches!(&test, Test::Words(w, _) if w.is_empty());
    (!unfinished).then_some((without, test))
}

/// `250ms`, `1.5s`, `40us`, `2m`; a number alone is milliseconds. Nanoseconds; `None`: not one yet.
fn duration(text: &str) -> Option<i64> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let value: f64 = text[..digits].parse().ok()?;
    let unit = match &text[digits..] {
        "ns" => 1.0,
        "us" | "µs" => 1e3,
        "ms" | "" => 1e6,
        "s" => 1e9,
        "m" => 6e10,
        _ => return None,
    };
    // Beyond what 64 bits hold it is as long as anything can be.
    Some((value * unit) as i64)
}

#[cfg(test)]
mod tests {
    use super::super::super::fixtures::traces::checkout;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_grammar() {
        let trace = checkout();
        let summary = Summary::of(&trace);
        for (search, passes) in [
            ("", true),
            ("service:checkout", true),
            ("service:CHECKOUT", false),
            ("service:bank", false),
            ("!service:bank", true),
            ("op:charge service:payments", true),
            ("op:charge service:cart", false),
            ("error", true),
            ("!error", false),
            ("\"error\" service:bank", false),
            (">250ms", true),
            (">2s", false),
            ("<2s >100", true),
            ("<1ms", false),
            ("db.system=postgres", true),
            ("db.system=mysql", false),
            ("db.system=postgres service:orders", true),
            ("db.system=postgres service:frontend", false),
            ("k8s.cluster.name=prod", true),
            ("deadlock", true),
            ("nothing-of-that", false),
            ("> <", true),
            (">x", true),
            ("service:", true),
            ("!", true),
        ] {
            assert_eq!(Search::parse(search).passes(&trace, &summary), passes, "{search:?}");
        }
    }

    #[test]
    fn durations_have_units() {
        let all = [
            ("250ms", 250_000_000),
            ("1.5s", 1_500_000_000),
            ("40us", 40_000),
            ("7", 7_000_000),
            ("2m", 120_000_000_000),
        ];
        for (text, ns) in all {
            assert_eq!(duration(text), Some(ns), "{text}");
        }
        assert_eq!((duration(""), duration("ms"), duration("1h")), (None, None, None));
    }

    proptest! {
        #[test]
        fn any_text_is_a_search(s in "\\PC*") {
            let trace = checkout();
            let _ = Search::parse(&s).passes(&trace, &Summary::of(&trace));
        }
    }
}
