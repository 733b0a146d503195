//! A request's parameters, from the query string and a posted form, read as Prometheus reads them.

use super::Failure;
use crate::sim::promql::format::{self, quoted};
use chrono::DateTime;

/// Parameters by name; the form's come before the query string's.
pub struct Params {
    pairs: Vec<(String, String)>,
    /// The path's variable part.
    pub name: String,
}

type Read<T> = Result<T, Failure>;

impl Params {
    /// From a form, a query string, and the path's variable part.
    pub fn new(form: &[u8], query: Option<&str>, name: Option<String>) -> Self {
        let form = form_urlencoded::parse(form);
        let pairs = form.chain(form_urlencoded::parse(query.unwrap_or_default().as_bytes()));
        let pairs = pairs.map(|(k, v)| (k.into_owned(), v.into_owned())).collect();
        Self { pairs, name: name.unwrap_or_default() }
    }

    /// The first value; empty when there is none.
    pub fn get(&self, name: &str) -> &str {
        self.all(name).next().unwrap_or_default()
    }

    /// All values.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.pairs.iter().filter(move |(k, _)| k == name).map(|(_, v)| v.as_str())
    }

    /// `limit`; `None` for no limit.
    pub fn limit(&self) -> Read<Option<usize>> {
        let text = self.get("limit");
        if text.is_empty() {
            return Ok(None);
        }
        let fail = |why: String| Err(Failure::parameter("limit", why));
        match text.parse::<i64>() {
            Ok(n) if n < 0 => fail("limit must be non-negative".into()),
            Ok(n) => Ok(usize::try_from(n).ok().filter(|n| *n > 0)),
            Err(_) => fail(format!("strconv.Atoi: parsing {}: invalid syntax", quoted(text))),
        }
    }

    /// A time in milliseconds, or `None` when it is not given.
    pub fn time_or_none(&self, name: &str) -> Read<Option<i64>> {
        let text = self.get(name);
        if text.is_empty() {
            return Ok(None);
        }
        let why = |e| Failure::parameter(name, format_args!("invalid time value for '{name}': {e}"));
        time(text).map(Some).map_err(why)
    }

    /// A time in milliseconds that must be given.
    pub fn time(&self, name: &str) -> Read<i64> {
        time(self.get(name)).map_err(|e| Failure::parameter(name, e))
    }

    /// A duration in nanoseconds that must be given.
    pub fn duration(&self, name: &str) -> Read<i128> {
        duration(self.get(name)).map_err(|e| Failure::parameter(name, e))
    }
}

/// Seconds or RFC 3339, as milliseconds.
fn time(text: &str) -> Result<i64, String> {
    let bad = || format!("cannot parse {} to a valid timestamp", quoted(text));
    if let Some(seconds) = format::number(text) {
        let millis = seconds.trunc() * 1000.0 + (seconds.fract() * 1000.0).round();
        // Beyond this no sample can be; and arithmetic with it must not overflow.
        return if millis.abs() < 9e15 { Ok(millis as i64) } else { Err(bad()) };
    }
    DateTime::parse_from_rfc3339(text).map(|t| t.timestamp_millis()).map_err(|_| bad())
}

/// Seconds or Prometheus's notation, as nanoseconds.
pub fn duration(text: &str) -> Result<i128, String> {
    let bad = || format!("cannot parse {} to a valid duration", quoted(text));
    if let Some(seconds) = format::number(text) {
        let nanos = seconds * 1e9;
        if nanos.abs() > i64::MAX as f64 {
            return Err(format!("{}. It overflows int64", bad()));
        }
        return Ok(nanos as i128);
    }
    format::duration(text).map(|ms| i128::from(ms) * 1_000_000).map_err(|_| bad())
}
