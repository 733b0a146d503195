//! Text to expressions: promql-parser within limits, with what it lacks of Prometheus's numbers, and Prometheus's words for
//! what does not parse.

use super::eval::{QueryError, Result};
use super::plan;
use super::storage::Matcher;
use std::borrow::Cow;

/// Longer queries are refused before they are parsed: the parser's work grows with the square of an expression's length.
const LONGEST: usize = 32 * 1024;

/// More words and operators than this are refused too, and deeper brackets: the parser recurses.
const WORDS: usize = 4000;
const BRACKETS: usize = 200;

/// Parses a query, unless it is so large that parsing it would hurt.
pub fn parse(query: &str) -> Result<promql_parser::parser::Expr> {
    if query.trim().is_empty() {
        return Err(QueryError::Bad("unknown position: parse error: no expression found in input".into()));
    }
    if too_complex(query) {
        return Err(unparsable("expression is too long or nested too deep"));
    }
    promql_parser::parser::parse(&without_underscores(query)).map_err(|e| unparsable(&e))
}

/// An error of parsing in Prometheus's words; promql-parser does not tell where in the query it is.
pub fn unparsable(error: &str) -> QueryError {
    let mut text = error.replace('\'', "\"");
    for (from, to) in [
        ("type vector", "type instant vector"),
        ("got vector", "got instant vector"),
        ("type matrix", "type range vector"),
        ("got matrix", "got range vector"),
        ("allowed on vector", "allowed on instant vector"),
        ("scalar or vector, got: string", "scalar or instant vector, got \"string\""),
        ("scalar or vector, got: matrix", "scalar or instant vector, got \"range vector\""),
        ("type scalar in aggregation expression", "type scalar in aggregation parameter"),
        ("type string in aggregation expression", "type string in aggregation parameter"),
    ] {
        text = text.replace(from, to);
    }
    QueryError::Bad(format!("unknown position: parse error: {text}"))
}

/// The conditions of a series selector (`match[]`).
pub fn matchers(selector: &str) -> Result<Vec<Matcher>> {
    let expr = parse(selector)?;
    plan::selector(expr).ok_or_else(|| unparsable("expected a series selector"))?.map_err(|e| unparsable(&e))
}

/// A query with the underscores taken out of its numbers (`1_000`, `0x_ff`), which promql-parser does not read. Those that
/// stand wrong (`scanNumber` in `promql/parser/lex.go`) stay, to be refused.
fn without_underscores(query: &str) -> Cow<'_, str> {
    if !query.contains('_') {
        return query.into();
    }
    let mut out = String::with_capacity(query.len());
    let mut rest = query;
    while let Some(c) = rest.chars().next() {
        let length = match c {
            '"' | '\'' | '`' => quoted(rest, c),
            '#' => rest.find('\n').unwrap_or(rest.len()),
            c if c.is_alphanumeric() || c == '_' || c == ':' => {
                rest.find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | ':' | '.'))).unwrap_or(rest.len())
            }
            c => c.len_utf8(),
        };
        let (word, after) = rest.split_at(length);
        rest = after;
        if separated(word) {
            out.extend(word.chars().filter(|c| *c != '_'));
        } else {
            out.push_str(word);
        }
    }
    out.into()
}

/// The length of the string at the beginning of a text, quotes included.
fn quoted(text: &str, quote: char) -> usize {
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' if quote != '`' => drop(chars.next()),
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Whether a word is a number with single underscores between its digits, or one before the first hexadecimal digit.
fn separated(word: &str) -> bool {
    let hex = word.strip_prefix("0x").or_else(|| word.strip_prefix("0X"));
    let digits = match hex {
        Some(h) => h.strip_prefix('_').unwrap_or(h),
        None => word.trim_end_matches(['e', 'E']), // its sign follows
    };
    let digit = |c: char| if hex.is_some() { c.is_ascii_hexdigit() } else { c.is_ascii_digit() };
    word.contains('_')
        && digits.starts_with(digit)
        && digits.split('_').all(|part| part.starts_with(digit) && part.ends_with(digit))
        && digits.chars().all(|c| digit(c) || matches!(c, '_' | '.' | 'e' | 'E'))
}

fn too_complex(query: &str) -> bool {
    let (mut words, mut depth, mut deepest, mut quote, mut in_word) = (0, 0_usize, 0, None, false);
    let mut chars = query.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(q), '\\') if q != '`' => drop(chars.next()),
            (Some(q), c) if q == c => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'' | '`') => (quote, words) = (Some(c), words + 1),
            (None, '(' | '[' | '{') => (depth, words) = (depth + 1, words + 1),
            (None, ')' | ']' | '}') => depth = depth.saturating_sub(1),
            (None, c) => {
                let word = c.is_alphanumeric() || c == '_' || c == ':' || c == '.';
                words += usize::from(!c.is_whitespace() && (!word || !in_word));
                in_word = word;
            }
        }
        deepest = deepest.max(depth);
    }
    query.len() > LONGEST || words > WORDS || deepest > BRACKETS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn underscores_leave_numbers_and_nothing_else() {
        let cases = [
            ("1_000 + 0x_ff", "1000 + 0xff"),
            ("1_0.5_0e1_0", "10.50e10"),
            (r#"a_1{b_2="1_0\"1_0"} # 1_0"#, r#"a_1{b_2="1_0\"1_0"} # 1_0"#),
            ("1_000e-1_0", "1000e-10"),
            ("1__0", "1__0"),
            ("1_", "1_"),
            ("1_.5", "1_.5"),
            ("x:1_0", "x:1_0"),
            ("é_1 \"unclosed 1_0", "é_1 \"unclosed 1_0"),
        ];
        for (query, wanted) in cases {
            assert_eq!(without_underscores(query), wanted);
        }
    }
}
