//! Numbers, times and durations as Go and Prometheus write and read them.

use std::fmt::Write;

/// `strconv.Quote` for label values: Go's escapes.
pub fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if (c as u32) < 0x20 || c as u32 == 0x7f => drop(write!(out, "\\x{:02x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// `strconv.FormatFloat(v, 'f', -1, 64)`: the shortest that reads back the same, without an exponent.
pub fn plain(value: f64) -> String {
    if value.is_nan() {
        "NaN".into()
    } else if value.is_infinite() {
        if value > 0.0 { "+Inf".into() } else { "-Inf".into() }
    } else {
        value.to_string()
    }
}

/// A sample's value in an answer (`jsonutil.MarshalFloat`): with an exponent below 1e-6 and from 1e21.
pub fn value(value: f64, out: &mut String) {
    let size = value.abs();
    if value.is_finite() && size != 0.0 && !(1e-6..1e21).contains(&size) {
        out.push_str(&exponential(value));
    } else {
        out.push_str(&plain(value));
    }
}

/// `%e` with the shortest digits: at least two digits of exponent, always signed.
pub fn exponential(value: f64) -> String {
    let text = format!("{value:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |e| ('-', e));
    format!("{digits}e{sign}{exponent:0>2}")
}

/// `%g` (`limit` 6) and `%v` (`limit` 21) of Go.
pub fn general(value: f64, limit: i32) -> String {
    if !value.is_finite() || value == 0.0 {
        return plain(value);
    }
    let exponent: i32 = format!("{value:e}").split_once('e').and_then(|(_, e)| e.parse().ok()).unwrap_or(0);
    if exponent < -4 || exponent >= limit { exponential(value) } else { plain(value) }
}

/// A time in an answer: seconds, with milliseconds only when there are some (`jsonutil.MarshalTimestamp`).
pub fn time(ms: i64, out: &mut String) {
    if ms < 0 {
        out.push('-');
    }
    let size = ms.unsigned_abs();
    let _ = write!(out, "{}", size / 1000);
    if !size.is_multiple_of(1000) {
        let _ = write!(out, ".{:03}", size % 1000);
    }
}

/// Reads a number as `strconv.ParseFloat` does (underscores and hexadecimal, which nobody sends, aside).
pub fn number(text: &str) -> Option<f64> {
    let bare = text.strip_prefix(['+', '-']).unwrap_or(text);
    // Rust also takes "infinity" and "nan" in any case, as Go does; but not "1." and ".5" apart from Go.
    (!bare.is_empty() && !bare.starts_with(['+', '-'])).then(|| text.parse().ok()).flatten()
}

/// Units of durations, in milliseconds.
const UNITS: [(&str, i64); 7] = [
    ("y", 31_536_000_000),
    ("w", 604_800_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1000),
    ("ms", 1),
];

/// Reads a duration as Prometheus does (`model.ParseDuration`): `1h30m`, units once and in falling order. In milliseconds.
pub fn duration(text: &str) -> Result<i64, String> {
    let bad = || format!("not a valid duration string: {}", quoted(text));
    if text == "0" {
        return Ok(0);
    }
    if text.is_empty() {
        return Err("empty duration string".into());
    }
    let (mut rest, mut total, mut next) = (text, 0_i64, 0);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).filter(|n| *n > 0).ok_or_else(bad)?;
        let (number, tail) = rest.split_at(digits);
        let unit = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit);
        let place = UNITS.iter().position(|(u, _)| *u == unit).filter(|p| *p >= next).ok_or_else(bad)?;
        next = place + 1;
        let part = number.parse::<i64>().ok().and_then(|n| n.checked_mul(UNITS[place].1));
        // Prometheus keeps nanoseconds in 64 bits.
        total = part
            .and_then(|p| p.checked_add(total))
            .filter(|t| *t <= i64::MAX / 1_000_000)
            .ok_or("duration out of range")?;
        rest = tail;
    }
    Ok(total)
}

/// Writes a duration as Prometheus does (`model.Duration.String`).
pub fn duration_text(ms: i64) -> String {
    if ms == 0 {
        return "0s".into();
    }
    let mut rest = ms;
    let mut out = String::new();
    // Years and weeks only when they come out even.
    for (unit, size, exact) in [
        ("y", 31_536_000_000, true),
        ("w", 604_800_000, true),
        ("d", 86_400_000, false),
        ("h", 3_600_000, false),
        ("m", 60_000, false),
        ("s", 1000, false),
        ("ms", 1, false),
    ] {
        if exact && rest % size != 0 {
            continue;
        }
        if rest / size > 0 {
            let _ = write!(out, "{}{unit}", rest / size);
            rest %= size;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_as_go_writes_them() {
        let mut out = String::new();
        for (v, text) in [
            (1.0, "1"),
            (0.1, "0.1"),
            (-0.0, "-0"),
            (1e21, "1e+21"),
            (1e20, "100000000000000000000"),
            (1.5e-7, "1.5e-07"),
            (1e-6, "0.000001"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
            (f64::NAN, "NaN"),
        ] {
            out.clear();
            value(v, &mut out);
            assert_eq!(out, text);
        }
        assert_eq!(general(1_500_000.0, 6), "1.5e+06");
        assert_eq!(general(1.5, 6), "1.5");
        assert_eq!(general(1e7, 21), "10000000");
    }

    #[test]
    fn times_have_milliseconds_only_when_there_are_some() {
        let text = |ms| {
            let mut out = String::new();
            time(ms, &mut out);
            out
        };
        assert_eq!(text(1_700_000_000_000), "1700000000");
        assert_eq!(text(1_700_000_000_050), "1700000000.050");
        assert_eq!(text(-1), "-0.001");
    }

    #[test]
    fn durations_read_and_write() {
        assert_eq!(duration("1h30m"), Ok(5_400_000));
        assert_eq!(duration("15ms"), Ok(15));
        assert_eq!(duration("1m1m"), Err("not a valid duration string: \"1m1m\"".into()));
        assert_eq!(duration("30m1h"), Err("not a valid duration string: \"30m1h\"".into()));
        assert!(duration("999999999999y").is_err());
        assert_eq!(duration_text(5_400_000), "1h30m");
        assert_eq!(duration_text(86_400_000), "1d");
        assert_eq!(duration_text(1_209_600_000), "2w");
    }
}
