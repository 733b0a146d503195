//! YAML for the eye: keys apart from values, and deep parts folded away.

use crate::console::theme::Role;

/// Columns of indentation that are one level; a dash is one more.
const LEVEL: usize = 2;

/// The pieces of a line.
pub fn pieces(line: &str) -> Vec<(&str, Role)> {
    let lead = lead(line);
    let (space, rest) = line.split_at(lead);
    if rest.starts_with('#') {
        return vec![(line, Role::Muted)];
    }
    let mut out = vec![(space, Role::Muted)];
    match key(rest) {
        Some(end) => {
            let (key, value) = rest.split_at(end);
            out.extend([(key, Role::Key), (value, role(value.trim_start_matches([':', ' '])))]);
        }
        None => out.push((rest, role(rest))),
    }
    out
}

/// Bytes of spaces and dashes before the first word.
fn lead(line: &str) -> usize {
    let mut at = line.len() - line.trim_start_matches(' ').len();
    while line[at..].starts_with("- ") {
        at += 2;
        at += line[at..].len() - line[at..].trim_start_matches(' ').len();
    }
    at
}

/// Where the key of `key: value` ends.
fn key(text: &str) -> Option<usize> {
    if let Some(quote) = text.chars().next().filter(|c| matches!(c, '"' | '\'')) {
        let end = text[1..].find(quote)? + 2;
        return text[end..].starts_with(':').then_some(end);
    }
    let end = text.find(": ").or_else(|| text.ends_with(':').then(|| text.len() - 1))?;
    (!text[..end].contains(' ')).then_some(end)
}

/// Numbers and words of YAML look different from text.
fn role(value: &str) -> Role {
    match value {
        "true" | "false" | "null" | "~" | "[]" | "{}" => Role::Series3,
        "|" | "|-" | "|+" | ">" | ">-" | ">+" => Role::Muted,
        v if v.parse::<f64>().is_ok() => Role::Series3,
        _ => Role::Text,
    }
}

/// Levels above a line.
fn depth(line: &str) -> usize {
    lead(line) / LEVEL
}

/// The deepest level that there is.
pub fn deepest(lines: &[String]) -> usize {
    lines.iter().map(|l| depth(l)).max().unwrap_or(0)
}

/// The lines down to a level; each that hides others says how many.
pub fn folded(lines: &[String], level: usize) -> Vec<String> {
    let mut out: Vec<(String, usize)> = Vec::new();
    for line in lines {
        match out.last_mut() {
            Some((_, hidden)) if depth(line) > level => *hidden += 1,
            _ => out.push((line.clone(), 0)),
        }
    }
    let told = |(line, hidden): (String, usize)| match hidden {
        0 => line,
        1 => format!("{line} # 1 line"),
        n => format!("{line} # {n} lines"),
    };
    out.into_iter().map(told).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_numbers_and_text_are_told_apart() {
        let roles = |line| pieces(line).into_iter().filter(|(t, _)| !t.is_empty()).collect::<Vec<_>>();
        assert_eq!(roles("  replicas: 3"), [("  ", Role::Muted), ("replicas", Role::Key), (": 3", Role::Series3)]);
        assert_eq!(roles("- name: web"), [("- ", Role::Muted), ("name", Role::Key), (": web", Role::Text)]);
        assert_eq!(roles("- --port=80: x"), [("- ", Role::Muted), ("--port=80", Role::Key), (": x", Role::Text)]);
        assert_eq!(roles("\"a: b\": c"), [("\"a: b\"", Role::Key), (": c", Role::Text)]);
        assert_eq!(roles("some text: here"), [("some text: here", Role::Text)]);
        assert_eq!(roles("spec:"), [("spec", Role::Key), (":", Role::Text)]);
    }

    #[test]
    fn folding_hides_what_is_deeper_and_says_how_much() {
        let lines: Vec<String> = "spec:\n  a: 1\n  b:\n    c: 2\n    d: 3\nx: 1".lines().map(str::to_owned).collect();
        assert_eq!(folded(&lines, 0), ["spec: # 4 lines", "x: 1"]);
        assert_eq!(folded(&lines, 1), ["spec:", "  a: 1", "  b: # 2 lines", "x: 1"]);
        assert_eq!(folded(&lines, deepest(&lines)), lines);
    }

    proptest::proptest! {
        #[test]
        fn no_line_is_changed(line in "[ \\-a:\"'#0-9é]{0,40}") {
            let whole: String = pieces(&line).into_iter().map(|(t, _)| t).collect();
            proptest::prop_assert_eq!(whole, line);
        }
    }
}
