//! Reads Prometheus' JSON: vectors, matrices, native histograms, warnings.

use crate::model::text::clean;
use crate::model::time::Timestamp;
use serde::de::{Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, de};
use std::fmt;

/// Something Prometheus said, with what it wanted to have said beside it.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer<T> {
    /// The data.
    pub data: T,
    /// `warnings` and `infos`, cleaned.
    pub notes: Vec<String>,
}

/// A label set in one allocation: `name NUL value NUL …`. Control characters were removed from both.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Labels(Box<str>);

impl Labels {
    /// The value of a label; `None` if the series has no such label.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(n, _)| *n == name).map(|(_, v)| v)
    }

    /// Names and values, in the server's order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let mut parts = self.0.split_terminator('\0');
        std::iter::from_fn(move || Some((parts.next()?, parts.next()?)))
    }
}

impl<'a> FromIterator<(&'a str, &'a str)> for Labels {
    fn from_iter<I: IntoIterator<Item = (&'a str, &'a str)>>(pairs: I) -> Self {
        let mut text = String::new();
        for (name, value) in pairs {
            for part in [name, value] {
                text.push_str(&clean(part));
                text.push('\0');
            }
        }
        Self(text.into())
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl<'de> Deserialize<'de> for Labels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Map;
        impl<'de> Visitor<'de> for Map {
            type Value = Labels;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a label set")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Labels, A::Error> {
                let mut text = String::new();
                while let Some((name, value)) = map.next_entry::<String, String>()? {
                    for part in [&name, &value] {
                        text.push_str(&clean(part));
                        text.push('\0');
                    }
                }
                Ok(Labels(text.into()))
            }
        }
        deserializer.deserialize_map(Map)
    }
}

/// A native histogram: count, sum, and its buckets as (lower, upper, observations).
#[derive(Debug, Clone, PartialEq)]
pub struct NativeHistogram {
    /// Observations.
    pub count: f64,
    /// Their sum.
    pub sum: f64,
    /// Buckets in the server's order.
    pub buckets: Vec<(f64, f64, f64)>,
}

/// A float, or a native histogram.
#[derive(Debug, Clone, PartialEq)]
pub enum Datum {
    /// Any float, NaN and infinities included.
    Float(f64),
    /// A native histogram.
    Histogram(Box<NativeHistogram>),
}

impl Datum {
    /// The float; `None` for a histogram.
    pub fn float(&self) -> Option<f64> {
        match self {
            Self::Float(v) => Some(*v),
            Self::Histogram(_) => None,
        }
    }
}

/// One series of an instant query.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Its labels.
    pub labels: Labels,
    /// Evaluation time by the server's clock: not the time of the sample.
    pub at: Timestamp,
    /// Its value.
    pub value: Datum,
}

/// One series of a range query (or of an instant query of a range selector).
#[derive(Debug, Clone, PartialEq)]
pub struct Track {
    /// Its labels.
    pub labels: Labels,
    /// Floats, oldest first.
    pub points: Vec<(Timestamp, f64)>,
    /// Native histograms, oldest first.
    pub histograms: Vec<(Timestamp, NativeHistogram)>,
}

/// The envelope around every answer.
#[derive(Debug, Deserialize)]
pub(super) struct Envelope<T> {
    pub status: String,
    #[serde(default = "Option::default")]
    pub data: Option<T>,
    #[serde(default, rename = "errorType")]
    pub error_type: String,
    #[serde(default)]
    pub error: String,
    #[serde(default)]
    pub warnings: Vec<String>,
    #[serde(default)]
    pub infos: Vec<String>,
}

/// What a query evaluates to.
#[derive(Debug, Deserialize)]
#[serde(tag = "resultType", content = "result", rename_all = "lowercase")]
pub(super) enum QueryData {
    Vector(Vec<WireSample>),
    Matrix(Vec<WireTrack>),
    Scalar(Point),
    String(de::IgnoredAny),
}

#[derive(Debug, Deserialize)]
pub(super) struct WireSample {
    metric: Labels,
    value: Option<Point>,
    histogram: Option<HistogramPoint>,
}

#[derive(Debug, Deserialize)]
pub(super) struct WireTrack {
    metric: Labels,
    #[serde(default)]
    values: Vec<Point>,
    #[serde(default)]
    histograms: Vec<HistogramPoint>,
}

impl QueryData {
    /// As a vector; `None` for other types.
    pub fn vector(self) -> Option<Vec<Sample>> {
        match self {
            Self::Vector(list) => Some(list.into_iter().filter_map(WireSample::sample).collect()),
            Self::Scalar(Point(at, v)) => Some(vec![Sample { labels: Labels::default(), at, value: Datum::Float(v) }]),
            Self::Matrix(_) | Self::String(_) => None,
        }
    }

    /// As a matrix; `None` for other types.
    pub fn matrix(self) -> Option<Vec<Track>> {
        let Self::Matrix(list) = self else { return None };
        Some(
            list.into_iter()
                .map(|t| Track {
                    labels: t.metric,
                    points: t.values.into_iter().map(|p| (p.0, p.1)).collect(),
                    histograms: t.histograms.into_iter().map(|h| (h.0, h.1.0)).collect(),
                })
                .collect(),
        )
    }
}

impl WireSample {
    fn sample(self) -> Option<Sample> {
        let (at, value) = match (self.value, self.histogram) {
            (Some(Point(at, v)), _) => (at, Datum::Float(v)),
            (None, Some(HistogramPoint(at, h))) => (at, Datum::Histogram(Box::new(h.0))),
            (None, None) => return None,
        };
        Some(Sample { labels: self.metric, at, value })
    }
}

/// `[1700000000.123, "4.2"]`.
#[derive(Debug)]
pub(super) struct Point(pub Timestamp, pub f64);

impl<'de> Deserialize<'de> for Point {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pair;
        impl<'de> Visitor<'de> for Pair {
            type Value = Point;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("[unix time, \"value\"]")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Point, A::Error> {
                let at: f64 = seq.next_element()?.ok_or_else(|| A::Error::invalid_length(0, &self))?;
                let Number(v) = seq.next_element()?.ok_or_else(|| A::Error::invalid_length(1, &self))?;
                Ok(Point(time(at).ok_or_else(|| A::Error::custom("a time out of range"))?, v))
            }
        }
        deserializer.deserialize_seq(Pair)
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct HistogramPoint(#[serde(deserialize_with = "unix")] Timestamp, WireHistogram);

#[derive(Debug)]
struct WireHistogram(NativeHistogram);

impl<'de> Deserialize<'de> for WireHistogram {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Raw {
            count: Number,
            sum: Number,
            #[serde(default)]
            buckets: Vec<(de::IgnoredAny, Number, Number, Number)>,
        }
        let raw = Raw::deserialize(deserializer)?;
        let buckets = raw.buckets.into_iter().map(|(_, lo, hi, n)| (lo.0, hi.0, n.0)).collect();
        Ok(Self(NativeHistogram { count: raw.count.0, sum: raw.sum.0, buckets }))
    }
}

/// A float as Prometheus writes it: `"4.2"`, `"NaN"`, `"+Inf"`, `"1e-07"`; plain numbers from imitations too.
#[derive(Debug, Clone, Copy)]
pub(super) struct Number(pub f64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl Visitor<'_> for Any {
            type Value = Number;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number in quotes")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Number, E> {
                text.parse().map(Number).map_err(|_| E::custom(format!("{text:?} is not a number")))
            }
            fn visit_f64<E: de::Error>(self, v: f64) -> Result<Number, E> {
                Ok(Number(v))
            }
            fn visit_u64<E: de::Error>(self, v: u64) -> Result<Number, E> {
                Ok(Number(v as f64))
            }
            fn visit_i64<E: de::Error>(self, v: i64) -> Result<Number, E> {
                Ok(Number(v as f64))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

fn unix<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    let at = f64::deserialize(deserializer)?;
    time(at).ok_or_else(|| D::Error::custom("a time out of range"))
}

/// Unix seconds to a time, at millisecond precision; `None` if it is not finite or out of range.
pub fn time(seconds: f64) -> Option<Timestamp> {
    if !seconds.is_finite() || seconds.abs() > 1e12 {
        return None;
    }
    chrono::DateTime::from_timestamp_millis((seconds * 1000.0).round() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vector(json: &str) -> Vec<Sample> {
        let e: Envelope<QueryData> = serde_json::from_str(json).unwrap();
        e.data.unwrap().vector().unwrap()
    }

    #[test]
    fn every_float_prometheus_writes_is_read() {
        let text = r#"{"status":"success","data":{"resultType":"vector","result":[
            {"metric":{"a":"1"},"value":[1700000000.5,"NaN"]},{"metric":{"a":"2"},"value":[1700000000,"+Inf"]},
            {"metric":{"a":"3"},"value":[1700000000,"-Inf"]},{"metric":{"a":"4"},"value":[1700000000,"1e-07"]}]}}"#;
        let got = vector(text);
        assert!(got[0].value.float().unwrap().is_nan());
        assert_eq!(got[0].at.timestamp_millis(), 1_700_000_000_500);
        assert_eq!(got[1].value.float(), Some(f64::INFINITY));
        assert_eq!(got[2].value.float(), Some(f64::NEG_INFINITY));
        assert_eq!(got[3].value.float(), Some(1e-7));
        assert_eq!(got[3].labels.get("a"), Some("4"));
    }

    #[test]
    fn native_histograms_do_not_break_an_answer() {
        let text = r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"histogram":
            [1700000000,{"count":"3","sum":"0.7","buckets":[[0,"0.1","0.2","2"],[0,"0.2","0.4","1"]]}]}]}}"#;
        let Datum::Histogram(h) = vector(text).remove(0).value else { panic!("not a histogram") };
        assert_eq!((h.count, h.sum, h.buckets.len()), (3.0, 0.7, 2));
        assert_eq!(h.buckets[1], (0.2, 0.4, 1.0));
        let text = r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"histograms":
            [[1700000000,{"count":"3","sum":"0.7"}]]}]}}"#;
        let e: Envelope<QueryData> = serde_json::from_str(text).unwrap();
        assert_eq!(e.data.unwrap().matrix().unwrap()[0].histograms[0].1.count, 3.0);
    }

    #[test]
    fn label_values_lose_control_characters() {
        let got = vector(
            r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{"pod":"a\u001b[2J\u0000b"},"value":[1,"1"]}]}}"#,
        );
        assert_eq!(got[0].labels.get("pod"), Some("a[2Jb"));
    }
}
