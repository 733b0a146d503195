//! The templates of labels and annotations: the part of Go's language that rules use. `{{ $labels.pod }}`, `{{ $value }}`,
//! and these through functions, as arguments or by pipes (`template/template.go`).

use crate::sim::promql::format::{general, number};
use crate::sim::promql::metric::Metric;
use std::fmt::Write;

/// What stands between braces while it is worked out.
#[derive(Clone)]
enum Term {
    Text(String),
    Number(f64),
}

impl Term {
    fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Number(n) => general(*n, 21),
        }
    }

    fn number(&self) -> Result<f64, String> {
        match self {
            Self::Number(n) => Ok(*n),
            Self::Text(text) => {
                number(text).ok_or_else(|| format!("strconv.ParseFloat: parsing \"{text}\": invalid syntax"))
            }
        }
    }
}

/// Expands a template; what cannot be expanded is told in its place, as Prometheus does.
pub fn expand(text: &str, labels: &Metric, value: f64) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("{{") {
        let Some(end) = rest[start..].find("}}") else {
            return "<error expanding template: unclosed action>".into();
        };
        out.push_str(&rest[..start]);
        let inner = rest[start + 2..start + end].trim_matches('-').trim();
        match pipeline(inner, labels, value) {
            Ok(term) => out.push_str(&term.text()),
            Err(error) => return format!("<error expanding template: {error}>"),
        }
        rest = &rest[start + end + 2..];
    }
    out + rest
}

fn pipeline(text: &str, labels: &Metric, value: f64) -> Result<Term, String> {
    let mut last = None;
    for stage in split(text, '|') {
        let words = split(stage.trim(), ' ');
        let mut words = words.iter().map(|w| w.trim()).filter(|w| !w.is_empty());
        let first = words.next().ok_or("missing value for command")?;
        let args = words.map(|w| term(w, labels, value));
        let mut args = args.collect::<Result<Vec<_>, _>>()?;
        last = Some(match term(first, labels, value) {
            Ok(term) if args.is_empty() && last.is_none() => term,
            Ok(_) => return Err(format!("can't give argument to non-function {first}")),
            Err(_) => {
                args.extend(last.take());
                call(first, &args)?
            }
        });
    }
    last.ok_or_else(|| "missing value for command".into())
}

fn term(word: &str, labels: &Metric, value: f64) -> Result<Term, String> {
    if matches!(word, "$value" | ".Value") {
        return Ok(Term::Number(value));
    }
    if let Some(label) = word.strip_prefix("$labels.").or_else(|| word.strip_prefix(".Labels.")) {
        return Ok(Term::Text(labels.get(label).to_owned()));
    }
    if let Some(text) = word.strip_prefix(['"', '`']).and_then(|w| w.strip_suffix(['"', '`'])) {
        return Ok(Term::Text(text.replace("\\\"", "\"").replace("\\n", "\n")));
    }
    if word.starts_with(|c: char| c.is_ascii_digit() || c == '-') {
        return number(word).map(Term::Number).ok_or_else(|| format!("bad number syntax: {word}"));
    }
    Err(format!("function {word:?} not defined"))
}

/// Splits outside of quotes.
fn split(text: &str, at: char) -> Vec<&str> {
    let (mut parts, mut start, mut quote) = (Vec::new(), 0, None);
    for (i, c) in text.char_indices() {
        match quote {
            Some(q) if q == c => quote = None,
            Some(_) => {}
            None if c == '"' || c == '`' => quote = Some(c),
            None if c == at => {
                parts.push(&text[start..i]);
                start = i + c.len_utf8();
            }
            None => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

fn call(name: &str, args: &[Term]) -> Result<Term, String> {
    let arg = |n: usize| args.get(n).ok_or_else(|| format!("wrong number of args for {name}: want {}", n + 1));
    let text = match name {
        "humanize" => humanize(arg(0)?.number()?),
        "humanize1024" => humanize_binary(arg(0)?.number()?),
        "humanizeDuration" => humanize_duration(arg(0)?.number()?),
        "humanizePercentage" => significant(arg(0)?.number()? * 100.0) + "%",
        "humanizeTimestamp" => {
            let seconds = arg(0)?.number()?;
            let time = chrono::DateTime::from_timestamp_millis((seconds * 1000.0) as i64).ok_or("not a time")?;
            time.format("%Y-%m-%d %H:%M:%S%.f +0000 UTC").to_string()
        }
        "toUpper" => arg(0)?.text().to_uppercase(),
        "toLower" => arg(0)?.text().to_lowercase(),
        "title" => arg(0)?.text().split(' ').map(capital).collect::<Vec<_>>().join(" "),
        "printf" => printf(&arg(0)?.text(), &args[1..])?,
        _ => return Err(format!("function {name:?} not defined")),
    };
    Ok(Term::Text(text))
}

fn capital(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map_or_else(String::new, |c| c.to_uppercase().chain(chars).collect())
}

/// `%.4g`: four significant digits.
fn significant(v: f64) -> String {
    if !v.is_finite() || v == 0.0 {
        return general(v, 21);
    }
    let rounded: f64 = format!("{v:.3e}").parse().unwrap_or(v);
    general(rounded, 4)
}

fn humanize(v: f64) -> String {
    let scale = |units: &[&str], mut v: f64, up: bool| {
        let mut unit = "";
        for u in units {
            if if up { v.abs() < 1000.0 } else { v.abs() >= 1.0 } {
                break;
            }
            unit = u;
            v = if up { v / 1000.0 } else { v * 1000.0 };
        }
        significant(v) + unit
    };
    if v == 0.0 || !v.is_finite() {
        significant(v)
    } else if v.abs() >= 1.0 {
        scale(&["k", "M", "G", "T", "P", "E", "Z", "Y"], v, true)
    } else {
        scale(&["m", "u", "n", "p", "f", "a", "z", "y"], v, false)
    }
}

fn humanize_binary(mut v: f64) -> String {
    if v.abs() <= 1.0 || !v.is_finite() {
        return significant(v);
    }
    let mut unit = "";
    for u in ["ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"] {
        if v.abs() < 1024.0 {
            break;
        }
        unit = u;
        v /= 1024.0;
    }
    significant(v) + unit
}

fn humanize_duration(v: f64) -> String {
    if !v.is_finite() || v == 0.0 {
        return significant(v) + if v == 0.0 { "s" } else { "" };
    }
    if v.abs() < 1.0 {
        let small = humanize(v);
        return format!("{small}s");
    }
    let sign = if v < 0.0 { "-" } else { "" };
    let (whole, v) = (v.abs() as i64, v.abs());
    let (days, hours, minutes, seconds) = (whole / 86_400, whole / 3600 % 24, whole / 60 % 60, whole % 60);
    if days > 0 {
        format!("{sign}{days}d {hours}h {minutes}m {seconds}s")
    } else if hours > 0 {
        format!("{sign}{hours}h {minutes}m {seconds}s")
    } else if minutes > 0 {
        format!("{sign}{minutes}m {seconds}s")
    } else {
        format!("{sign}{}s", significant(v))
    }
}

/// `%s`, `%v`, `%d`, `%f`, `%.2f`, `%g` and `%%`.
fn printf(format: &str, args: &[Term]) -> Result<String, String> {
    let (mut out, mut args, mut chars) = (String::new(), args.iter(), format.chars());
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let mut spec = String::new();
        let verb = loop {
            match chars.next() {
                Some(c) if c.is_ascii_digit() || c == '.' => spec.push(c),
                Some(verb) => break verb,
                None => return Err("format ends in %".into()),
            }
        };
        if verb == '%' {
            out.push('%');
            continue;
        }
        let arg = args.next().ok_or("missing argument for printf")?;
        let digits =
            spec.split_once('.').map_or(Ok(6), |(_, d)| d.parse::<usize>().map_err(|_| "bad precision".to_owned()))?;
        match verb {
            's' | 'v' => out.push_str(&arg.text()),
            'f' => drop(write!(out, "{:.*}", digits.min(30), arg.number()?)),
            'g' => out.push_str(&if spec.is_empty() { general(arg.number()?, 21) } else { significant(arg.number()?) }),
            'd' => drop(write!(out, "{:.0}", arg.number()?.trunc())),
            other => return Err(format!("%{other} is not supported")),
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, value: f64) -> String {
        let labels = [("pod", "cart-1"), ("namespace", "shop")].map(|(k, v)| (k.to_owned(), v.to_owned()));
        expand(text, &Metric::of(labels.into()), value)
    }

    #[test]
    fn labels_and_values_are_put_in() {
        assert_eq!(
            shown("Pod {{ $labels.namespace }}/{{$labels.pod}} is at {{ $value }}", 0.5),
            "Pod shop/cart-1 is at 0.5"
        );
        assert_eq!(shown("{{ $labels.nothing }}|", 0.0), "|");
        assert_eq!(shown("{{ .Labels.pod | toUpper }}", 0.0), "CART-1");
    }

    #[test]
    fn numbers_are_made_readable() {
        assert_eq!(shown("{{ $value | humanize }}", 1_234_567.0), "1.235M");
        assert_eq!(shown("{{ $value | humanize1024 }}", 1536.0), "1.5ki");
        assert_eq!(shown("{{ $value | humanizePercentage }}", 0.123_456), "12.35%");
        assert_eq!(shown("{{ humanizeDuration $value }}", 3725.0), "1h 2m 5s");
        assert_eq!(shown("{{ $value | humanizeDuration }}", 0.0123), "12.3ms");
        assert_eq!(shown("{{ printf \"%.2f\" $value }}%", 12.345_6), "12.35%");
        assert_eq!(
            shown("{{ $value | printf \"%.0f of %s\" }}", 3.0),
            "<error expanding template: missing argument for printf>"
        );
    }

    #[test]
    fn what_is_not_understood_is_told() {
        assert_eq!(shown("{{ query \"up\" }}", 0.0), "<error expanding template: function \"query\" not defined>");
        assert_eq!(shown("{{ $value", 0.0), "<error expanding template: unclosed action>");
    }
}
