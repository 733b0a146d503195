//! Quantities exactly: the canonical text the server stores, and comparisons without rounding. Source:
//! k8s.io/apimachinery/pkg/api/resource.

/// What Go says of a text that is no quantity.
pub const MALFORMED: &str =
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";

/// A quantity in billionths, with the kind of suffix it was written with.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Amount {
    nano: i128,
    binary: bool,
    exponent: bool,
}

const DECIMAL: [(&str, i32); 10] =
    [("n", -9), ("u", -6), ("m", -3), ("", 0), ("k", 3), ("M", 6), ("G", 9), ("T", 12), ("P", 15), ("E", 18)];
const BINARY: [&str; 7] = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];

fn parse(text: &str) -> Option<Amount> {
    let (negative, rest) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
    let (number, suffix) = rest.split_at(end);
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && part.is_empty() || part.contains('.') {
        return None;
    }
    let (mut shift, mut factor, mut binary, mut exponent) = (0_i32, 1_i128, false, false);
    if let Some((_, e)) = DECIMAL.iter().find(|(s, _)| *s == suffix) {
        shift = *e;
    } else if let Some(i) = BINARY.iter().position(|s| *s == suffix) {
        factor = 1 << (10 * i);
        binary = true;
    } else {
        shift = suffix.strip_prefix(['e', 'E'])?.parse().ok().filter(|e: &i32| e.abs() <= 18)?;
        exponent = true;
    }
    // Digits beyond billionths are rounded up, as the real parser does.
    let digits: i128 = format!("{whole}{part}").parse().ok()?;
    let scale = 9 + shift - part.len() as i32;
    let nano = if scale >= 0 {
        digits.checked_mul(10_i128.checked_pow(scale as u32)?)?.checked_mul(factor)?
    } else {
        let divisor = 10_i128.checked_pow(scale.unsigned_abs())?;
        let scaled = digits.checked_mul(factor)?;
        scaled / divisor + i128::from(scaled % divisor != 0)
    };
    let most = i128::from(i64::MAX) * 1_000_000_000;
    let nano = nano.min(most);
    Some(Amount { nano: if negative { -nano } else { nano }, binary, exponent })
}

/// Billionths in one.
const UNIT: i128 = 1_000_000_000;

/// The text the server stores: `0.5` is `500m`, `1024Mi` is `1Gi`.
pub fn canonical(text: &str) -> Result<String, String> {
    let Amount { nano, binary, exponent } = parse(text.trim()).ok_or_else(|| MALFORMED.to_owned())?;
    if nano == 0 {
        return Ok("0".to_owned());
    }
    if binary && nano % UNIT == 0 && (nano / UNIT).abs() >= 1024 {
        let (mut value, mut i) = (nano / UNIT, 0);
        while value % 1024 == 0 && i + 1 < BINARY.len() {
            value /= 1024;
            i += 1;
        }
        return Ok(format!("{value}{}", BINARY[i]));
    }
    let (mut value, mut i) = (nano, 0);
    while value % 1000 == 0 && i + 1 < DECIMAL.len() {
        value /= 1000;
        i += 1;
    }
    let (suffix, e) = DECIMAL[i];
    Ok(if exponent && e != 0 { format!("{value}e{e}") } else { format!("{value}{suffix}") })
}

/// A stored quantity in billionths.
pub fn nano(text: &str) -> Option<i128> {
    parse(text).map(|a| a.nano)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_stored_in_canonical_form() {
        for (given, stored) in [
            ("0.5", "500m"),
            ("1024Mi", "1Gi"),
            ("1500m", "1500m"),
            ("1000m", "1"),
            ("1.5Gi", "1536Mi"),
            ("0.5Mi", "512Ki"),
            ("1e3", "1e3"),
            ("1000", "1k"),
            ("128M", "128M"),
            ("0", "0"),
            ("0.0001", "100u"),
            ("2000Mi", "2000Mi"),
            ("-1", "-1"),
        ] {
            assert_eq!(canonical(given).unwrap(), stored, "{given}");
        }
        for bad in ["", "abc", "1.2.3", "1Zi", "1 Gi", "--1", "."] {
            assert_eq!(canonical(bad).unwrap_err(), MALFORMED, "{bad}");
        }
        assert!(nano("100m") < nano("1") && nano("1Gi") > nano("1G"));
    }
}
