//! PromQL as it is typed: what may follow at the cursor, and where an expression breaks.
//!
//! The parser tells what is wrong but not where. The place is found by trying which prefix can still become an
//! expression: the first word after the longest such prefix offends.

use crate::model::query::Words;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Longer expressions are not searched for the place of a mistake: parsing costs the square of their length.
const SEARCHED: usize = 2048;

/// Brackets nested deeper are not searched either: the parser recurses.
const DEEPEST: usize = 60;

/// Aggregations and words of the grammar; functions come from the list below.
const KEYWORDS: [&str; 31] = [
    "sum",
    "avg",
    "min",
    "max",
    "count",
    "group",
    "stddev",
    "stdvar",
    "topk",
    "bottomk",
    "count_values",
    "quantile",
    "limitk",
    "limit_ratio",
    "by",
    "without",
    "on",
    "ignoring",
    "group_left",
    "group_right",
    "bool",
    "offset",
    "and",
    "or",
    "unless",
    "atan2",
    "start",
    "end",
    "inf",
    "nan",
    "step",
];

/// Functions of Prometheus 3.8 without the experimental ones.
const FUNCTIONS: [&str; 71] = [
    "abs",
    "absent",
    "absent_over_time",
    "acos",
    "acosh",
    "asin",
    "asinh",
    "atan",
    "atanh",
    "avg_over_time",
    "ceil",
    "changes",
    "clamp",
    "clamp_max",
    "clamp_min",
    "cos",
    "cosh",
    "count_over_time",
    "day_of_month",
    "day_of_week",
    "day_of_year",
    "days_in_month",
    "deg",
    "delta",
    "deriv",
    "exp",
    "floor",
    "histogram_avg",
    "histogram_count",
    "histogram_fraction",
    "histogram_quantile",
    "histogram_stddev",
    "histogram_stdvar",
    "histogram_sum",
    "hour",
    "idelta",
    "increase",
    "irate",
    "label_join",
    "label_replace",
    "last_over_time",
    "ln",
    "log10",
    "log2",
    "max_over_time",
    "min_over_time",
    "minute",
    "month",
    "pi",
    "predict_linear",
    "present_over_time",
    "quantile_over_time",
    "rad",
    "rate",
    "resets",
    "round",
    "scalar",
    "sgn",
    "sin",
    "sinh",
    "sort",
    "sort_desc",
    "sqrt",
    "stddev_over_time",
    "stdvar_over_time",
    "sum_over_time",
    "tan",
    "tanh",
    "time",
    "timestamp",
    "vector",
];

/// What is known of names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Vocabulary {
    /// Metrics, sorted.
    pub metrics: Arc<[Arc<str>]>,
    /// Labels, sorted.
    pub labels: Arc<[Arc<str>]>,
    /// Values by label, of the labels that were asked for.
    pub values: BTreeMap<Arc<str>, Arc<[Arc<str>]>>,
    /// What metrics say of themselves, of those that were asked for.
    pub meanings: BTreeMap<Arc<str>, Arc<str>>,
}

impl Vocabulary {
    /// Takes what was asked for.
    pub fn learn(&mut self, words: Words) {
        match words {
            Words::Names { metrics, labels } => (self.metrics, self.labels) = (metrics, labels),
            Words::Values { label, values } => {
                self.values.insert(label, values);
            }
            Words::Meaning { metric, text } => {
                self.meanings.insert(metric, text);
            }
        }
    }
}

/// What may stand at the cursor; each with what is typed of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// A metric, a function or a keyword.
    Name(String),
    /// A label.
    Label(String),
    /// A value of a label.
    Value(String, String),
    /// Nothing that could be completed: a number, a duration, a comment.
    Nothing,
}

/// A word of an expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Word,
    Number,
    Text { closed: bool },
    Sign,
    Space,
}

/// Words with their begin and end in bytes.
fn tokens(text: &str) -> Vec<(Kind, usize, usize)> {
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        let rest = &text[at..];
        let run = |f: &dyn Fn(char) -> bool| rest.find(|c| !f(c)).unwrap_or(rest.len());
        let (kind, length) = match c {
            '"' | '\'' | '`' => {
                let (length, closed) = quoted(rest, c);
                (Kind::Text { closed }, length)
            }
            '#' => (Kind::Space, rest.find('\n').unwrap_or(rest.len())),
            c if c.is_whitespace() => (Kind::Space, run(&char::is_whitespace)),
            c if c.is_ascii_digit() => (Kind::Number, run(&|c| c.is_ascii_alphanumeric() || c == '.')),
            c if c.is_alphabetic() || c == '_' || c == ':' => {
                (Kind::Word, run(&|c| c.is_alphanumeric() || c == '_' || c == ':'))
            }
            _ => {
                let two = ["==", "!=", "<=", ">=", "=~", "!~"].iter().any(|s| rest.starts_with(s));
                (Kind::Sign, if two { 2 } else { c.len_utf8() })
            }
        };
        out.push((kind, at, at + length));
        at += length;
    }
    out
}

/// The length in bytes of the string at the beginning, quotes included, and whether it is closed.
fn quoted(text: &str, quote: char) -> (usize, bool) {
    let mut escaped = false;
    for (i, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' if quote != '`' => escaped = true,
            c if c == quote => return (i + 1, true),
            _ => {}
        }
    }
    (text.len(), false)
}

/// What may stand at the end of what was typed before the cursor.
pub fn expected(before: &str) -> Expected {
    let all = tokens(before);
    // Open brackets: the sign, and the word before it.
    let mut open: Vec<(&str, &str)> = Vec::new();
    let (mut word, mut label, mut equals) = ("", "", false);
    for (kind, a, b) in &all {
        let text = &before[*a..*b];
        match (kind, text) {
            (Kind::Sign, "(" | "{" | "[") => open.push((text, word)),
            (Kind::Sign, ")" | "}" | "]") => {
                open.pop();
            }
            (Kind::Sign, "=" | "!=" | "=~" | "!~") => (label, equals) = (word, true),
            (Kind::Sign, ",") => equals = false,
            _ => {}
        }
        if *kind != Kind::Space {
            word = if *kind == Kind::Word { text } else { "" };
        }
    }
    let last = all.last().map(|(k, a, b)| (*k, &before[*a..*b]));
    let inside = open.last().map_or("", |(sign, _)| *sign);
    let grouping = open.last().is_some_and(|(sign, word)| {
        *sign == "(" && ["by", "without", "on", "ignoring", "group_left", "group_right"].contains(word)
    });
    match (inside, last) {
        ("[", _) | (_, Some((Kind::Number, _))) => Expected::Nothing,
        (_, Some((Kind::Space, text))) if text.starts_with('#') => Expected::Nothing,
        ("{", Some((Kind::Text { closed: false }, text))) if equals => {
            Expected::Value(label.to_owned(), text[1..].to_owned())
        }
        (_, Some((Kind::Text { .. }, _))) => Expected::Nothing,
        ("{", Some((Kind::Word, text))) if !equals => Expected::Label(text.to_owned()),
        ("{", _) if !equals => Expected::Label(String::new()),
        ("{", _) => Expected::Nothing,
        (_, Some((Kind::Word, text))) if grouping => Expected::Label(text.to_owned()),
        _ if grouping => Expected::Label(String::new()),
        (_, Some((Kind::Word, text))) => Expected::Name(text.to_owned()),
        _ => Expected::Name(String::new()),
    }
}

/// Up to `most` names that complete what is expected, those that begin with it first, then those that contain it.
pub fn completions(expected: &Expected, known: &Vocabulary, most: usize) -> Vec<Arc<str>> {
    let (typed, names): (&str, Vec<Arc<str>>) = match expected {
        Expected::Nothing => return Vec::new(),
        Expected::Name(typed) if typed.is_empty() => return Vec::new(),
        Expected::Name(typed) => {
            let own = FUNCTIONS.iter().chain(&KEYWORDS).map(|f| Arc::from(*f));
            (typed, own.chain(known.metrics.iter().cloned()).collect())
        }
        Expected::Label(typed) => (typed, known.labels.to_vec()),
        Expected::Value(label, typed) => {
            (typed, known.values.get(label.as_str()).map_or_else(Vec::new, |values| values.to_vec()))
        }
    };
    let begins = names.iter().filter(|n| n.starts_with(typed) && n.len() > typed.len());
    let contains = names.iter().filter(|n| !n.starts_with(typed) && n.contains(typed));
    begins.chain(contains).take(most).cloned().collect()
}

/// What is wrong with an expression, and at which character; `None` if it parses.
///
/// Nothing is wrong with what is too long or too deep to be tried here: the server judges it.
pub fn wrong(text: &str) -> Option<(String, Option<usize>)> {
    let words: Vec<_> = tokens(text).into_iter().filter(|(k, ..)| *k != Kind::Space).collect();
    if text.len() > SEARCHED || deepest(text, &words) > DEEPEST {
        return None;
    }
    let Err(why) = promql_parser::parser::parse(text) else { return None };
    let character = |byte: usize| text[..byte].chars().count();
    let at = unclosed(&words)
        .or_else(|| unknown_function(text, &words))
        .or_else(|| {
            // A prefix of a prefix that can be completed can be completed too: the border is found by halving.
            let good = partition(words.len(), |n| completable(text, &words[..n]));
            words.get(good).map(|(_, a, _)| *a)
        })
        .map(character);
    Some((why, at))
}

/// How deep brackets are nested.
fn deepest(text: &str, words: &[(Kind, usize, usize)]) -> usize {
    let (mut depth, mut most) = (0_usize, 0);
    for (_, a, b) in words {
        match &text[*a..*b] {
            "(" | "{" | "[" => depth += 1,
            ")" | "}" | "]" => depth = depth.saturating_sub(1),
            _ => {}
        }
        most = most.max(depth);
    }
    most
}

fn unclosed(words: &[(Kind, usize, usize)]) -> Option<usize> {
    words.iter().find(|(k, ..)| *k == Kind::Text { closed: false }).map(|(_, a, _)| *a)
}

/// A word before a bracket that is neither a function nor a keyword.
fn unknown_function(text: &str, words: &[(Kind, usize, usize)]) -> Option<usize> {
    words.windows(2).find_map(|pair| {
        let [(Kind::Word, a, b), (Kind::Sign, c, d)] = pair else { return None };
        let name = text[*a..*b].to_lowercase();
        let known = FUNCTIONS.contains(&name.as_str()) || KEYWORDS.contains(&name.as_str()) || !unknown(&name);
        (&text[*c..*d] == "(" && !known).then_some(*a)
    })
}

/// Whether the parser knows no function of this name (experimental ones are not in our list).
fn unknown(name: &str) -> bool {
    promql_parser::parser::parse(&format!("{name}()")).is_err_and(|e| e.contains("unknown function"))
}

/// The first number from 0 to `len` after which `holds` is false; `len` if it always holds. Zero words always do.
fn partition(len: usize, holds: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (0, len);
    while low < high {
        let middle = (low + high).div_ceil(2);
        if holds(middle) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    low
}

/// Whether these words can be the begin of an expression: some ending makes them one.
fn completable(text: &str, words: &[(Kind, usize, usize)]) -> bool {
    let Some((_, _, end)) = words.last() else { return true };
    let begin = &text[..*end];
    let mut close = String::new();
    for (_, a, b) in words {
        match &text[*a..*b] {
            "(" => close.insert(0, ')'),
            "{" => close.insert(0, '}'),
            "[" => close.insert(0, ']'),
            ")" | "}" | "]" if !close.is_empty() => {
                close.remove(0);
            }
            _ => {}
        }
    }
    let own = &close[close.len().min(1)..];
    let first = &close[..close.len().min(1)];
    [
        "",
        " x",
        "x[5m]",
        "1",
        "5m",
        "\"x\"",
        "=\"x\"",
        "x=\"x\"",
        "(x)",
        "(x[5m])",
        "1, x",
        ", x",
        ", x[5m]",
        ":5m",
        "(1, x)",
        "x[5m], 1",
        ", \"x\", \"x\"",
        "[5m]",
    ]
    .iter()
    .flat_map(|middle| {
        // With a vector or a number around what is closed, for comparisons and groupings that miss their operand.
        ["", " x", "(x)"].map(|after| format!("{begin}{middle}{first}{after}{own}"))
    })
    .any(|whole| promql_parser::parser::parse(&whole).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_expected_depends_on_where_the_cursor_is() {
        let cases = [
            ("", Expected::Name(String::new())),
            ("sum(ra", Expected::Name("ra".into())),
            ("sum by (", Expected::Label(String::new())),
            ("sum by (job, na", Expected::Label("na".into())),
            ("rate(http_total{", Expected::Label(String::new())),
            ("rate(http_total{job=\"a\", co", Expected::Label("co".into())),
            ("http_total{job=\"ca", Expected::Value("job".into(), "ca".into())),
            ("http_total{job=~\"a|", Expected::Value("job".into(), "a|".into())),
            ("http_total{job=\"a\"", Expected::Nothing),
            ("rate(x[5", Expected::Nothing),
            ("1", Expected::Nothing),
            ("up{job=\"a\"} + no", Expected::Name("no".into())),
        ];
        for (typed, want) in cases {
            assert_eq!(expected(typed), want, "{typed}");
        }
    }

    #[test]
    fn names_that_begin_with_what_is_typed_come_before_those_that_contain_it() {
        let known =
            Vocabulary { metrics: Arc::from(["node_rate".into(), "rate_limited".into()]), ..Vocabulary::default() };
        let got = completions(&Expected::Name("rate".into()), &known, 9);
        assert_eq!(got.iter().map(|g| &**g).collect::<Vec<_>>(), ["rate_limited", "irate", "node_rate"]);
        assert_eq!(completions(&Expected::Name("rat".into()), &known, 1)[0].as_ref(), "rate");
    }

    #[test]
    fn the_offending_character_is_found() {
        for (text, at) in [
            ("sum(rate(up[5m])) bys (job)", 18),
            ("up == == 2", 6),
            ("sun(up)", 0),
            ("rate(up[5m)", 10),
            ("up{job=}", 7),
            ("up{job=\"a}", 7),
            ("up)", 2),
            ("up{a=\"\u{fc}\"} + ]", 12),
        ] {
            let (why, place) = wrong(text).unwrap_or_else(|| panic!("{text} parses"));
            assert!(!why.is_empty());
            assert_eq!(place, Some(at), "{text}: {why}");
        }
        // What ends too early offends nowhere but at its end.
        assert_eq!(wrong("sum(up").map(|w| w.1), Some(None));
        for right in ["up", "sum by (job) (rate(up[5m]))", "up offset 5m", "-1 ^ 2", "{__name__=\"up\"}"] {
            assert_eq!(wrong(right), None, "{right}");
        }
        assert_eq!(wrong(&"(".repeat(100_000)), None, "left to the server");
    }

    #[test]
    fn every_listed_function_is_one() {
        assert!(unknown("rates"));
        for f in FUNCTIONS {
            assert!(!unknown(f), "{f}");
        }
    }

    proptest! {
        #[test]
        fn no_text_breaks_it(text in "[a-z(){}\\[\\]\"'=!~,+ 0-9ü#\\\\]{0,40}") {
            let _ = expected(&text);
            if let Some((_, Some(at))) = wrong(&text) {
                prop_assert!(at < text.chars().count());
            }
        }
    }
}
