//! Prometheus' HTTP API: queries, series, labels, rules, metadata, status.
//!
//! Every call waits for one of a few permits, is bounded in time and in size, and ends in data or in a
//! [`PromError`] with place and remedy. Written against Prometheus 2.42 to 3.x; Thanos, Mimir and
//! VictoriaMetrics speak the same.

use super::answer::{Answer, Envelope, QueryData, Sample, Track};
use super::error::PromError;
use super::transport::{Reply, Transport};
use crate::model::text::clean;
use crate::model::time::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// Most bytes of one answer: about 400 000 series of an instant query.
pub const ANSWER_LIMIT: usize = 64 * 1024 * 1024;

/// From this size on an answer is parsed on a thread of its own.
const PARSE_ASIDE: usize = 1024 * 1024;

/// Bounds of a client.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Longest wait for one answer, the wait for a permit not counted.
    pub timeout: Duration,
    /// Queries under way at once, at least 1.
    pub in_flight: usize,
    /// Most bytes of one answer.
    pub answer: usize,
}

impl Limits {
    /// The bounds of the configuration.
    pub fn from_settings(monitor: &crate::config::settings::Monitor) -> Self {
        Self { timeout: monitor.query_timeout, in_flight: monitor.queries_in_flight.max(1), answer: ANSWER_LIMIT }
    }
}

/// A connection to one Prometheus. Cheap to clone; clones share the permits.
#[derive(Clone)]
pub struct PromClient {
    transport: Transport,
    limits: Limits,
    permits: Arc<Semaphore>,
}

impl std::fmt::Debug for PromClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("PromClient").field(&self.place()).finish()
    }
}

/// A recording or alerting rule.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Rule {
    /// Name of the series or of the alert.
    pub name: String,
    /// `recording` or `alerting`.
    #[serde(rename = "type", default)]
    pub kind: String,
    /// Its expression.
    #[serde(default)]
    pub query: String,
}

/// What a metric says of itself.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Metadata {
    /// `counter`, `gauge`, `histogram`…
    #[serde(rename = "type", default)]
    pub kind: String,
    /// Help text.
    #[serde(default)]
    pub help: String,
    /// Unit, often empty.
    #[serde(default)]
    pub unit: String,
}

/// One scrape target.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScrapeTarget {
    /// Labels after relabelling.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// `up`, `down` or `unknown`.
    #[serde(default)]
    pub health: String,
    /// Why it is down; empty if it is not.
    #[serde(default)]
    pub last_error: String,
    /// Scrape interval as text, empty before Prometheus 2.31.
    #[serde(default)]
    pub scrape_interval: String,
}

#[derive(Deserialize)]
struct Groups {
    groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    #[serde(default)]
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Targets {
    #[serde(default)]
    active_targets: Vec<ScrapeTarget>,
}

impl PromClient {
    /// A client over a transport. Nothing is sent yet.
    pub fn new(transport: Transport, limits: Limits) -> Self {
        Self { transport, limits, permits: Arc::new(Semaphore::new(limits.in_flight.max(1))) }
    }

    /// A client to the same server with one permit of its own: what it asks waits for itself only, and nobody
    /// waits for it.
    #[must_use]
    pub fn aside(&self) -> Self {
        Self { permits: Arc::new(Semaphore::new(1)), ..self.clone() }
    }

    /// The same with a smaller bound of what one answer may hold, in bytes.
    #[must_use]
    pub fn holding(mut self, bytes: usize) -> Self {
        self.limits.answer = self.limits.answer.min(bytes);
        self
    }

    /// How it is reached, as it is shown.
    pub fn place(&self) -> String {
        self.transport.place()
    }

    /// Evaluates an expression now, by the server's clock. A scalar becomes one sample without labels.
    pub async fn query(&self, expression: &str) -> Result<Answer<Vec<Sample>>, PromError> {
        let parameters = self.parameters(expression);
        let got: Answer<QueryData> = self.ask("/api/v1/query", &parameters, true).await?;
        self.shape(got, QueryData::vector, "an instant vector", expression)
    }

    /// The raw samples of a range selector such as `up[10m]`, with their own times.
    pub async fn query_raw(&self, selector: &str) -> Result<Answer<Vec<Track>>, PromError> {
        let got: Answer<QueryData> = self.ask("/api/v1/query", &self.parameters(selector), true).await?;
        self.shape(got, QueryData::matrix, "a range vector", selector)
    }

    /// Evaluates an expression from `from` to `to` every `step` seconds: at most 11 000 points a series.
    pub async fn query_range(
        &self,
        expression: &str,
        from: Timestamp,
        to: Timestamp,
        step: u32,
    ) -> Result<Answer<Vec<Track>>, PromError> {
        let mut parameters = self.parameters(expression);
        parameters.extend([("start", unix(from)), ("end", unix(to)), ("step", step.max(1).to_string())]);
        let got: Answer<QueryData> = self.ask("/api/v1/query_range", &parameters, true).await?;
        self.shape(got, QueryData::matrix, "a matrix", expression)
    }

    /// Label sets of the series that match in a time range.
    pub async fn series(
        &self,
        selector: &str,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Answer<Vec<super::answer::Labels>>, PromError> {
        self.ask("/api/v1/series", &matching(Some(selector), from, to), true).await
    }

    /// Names of the labels that series which match have in a time range.
    pub async fn labels(
        &self,
        selector: Option<&str>,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Answer<Vec<String>>, PromError> {
        self.ask("/api/v1/labels", &matching(selector, from, to), true).await
    }

    /// Values of one label over the series that match in a time range. Answered from the index: cheap.
    pub async fn label_values(
        &self,
        label: &str,
        selector: Option<&str>,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Answer<Vec<String>>, PromError> {
        self.ask(&format!("/api/v1/label/{label}/values"), &matching(selector, from, to), false).await
    }

    /// Type, help and unit of one metric, as its targets say.
    pub async fn metadata(&self, metric: &str) -> Result<Answer<BTreeMap<String, Vec<Metadata>>>, PromError> {
        self.ask("/api/v1/metadata", &[("metric", metric.to_owned())], false).await
    }

    /// All rules.
    pub async fn rules(&self) -> Result<Answer<Vec<Rule>>, PromError> {
        let got: Answer<Groups> = self.ask("/api/v1/rules", &[], false).await?;
        Ok(Answer { data: got.data.groups.into_iter().flat_map(|g| g.rules).collect(), notes: got.notes })
    }

    /// Active targets.
    pub async fn targets(&self) -> Result<Answer<Vec<ScrapeTarget>>, PromError> {
        let got: Answer<Targets> = self.ask("/api/v1/targets", &[("state", "active".to_owned())], false).await?;
        Ok(Answer { data: got.data.active_targets, notes: got.notes })
    }

    /// `/api/v1/status/buildinfo`: `version` and more. Imitations leave keys out.
    pub async fn buildinfo(&self) -> Result<Answer<serde_json::Value>, PromError> {
        self.ask("/api/v1/status/buildinfo", &[], false).await
    }

    /// `/api/v1/status/runtimeinfo`: `storageRetention` and more.
    pub async fn runtimeinfo(&self) -> Result<Answer<serde_json::Value>, PromError> {
        self.ask("/api/v1/status/runtimeinfo", &[], false).await
    }

    fn parameters(&self, expression: &str) -> Vec<(&'static str, String)> {
        // The server is told as well, so that it does not go on with what nobody waits for.
        vec![("query", expression.to_owned()), ("timeout", format!("{}ms", self.limits.timeout.as_millis()))]
    }

    fn shape<A, B>(
        &self,
        got: Answer<A>,
        convert: impl Fn(A) -> Option<B>,
        wanted: &str,
        expression: &str,
    ) -> Result<Answer<B>, PromError> {
        let data = convert(got.data).ok_or_else(|| PromError::BadQuery {
            place: self.place(),
            why: format!("it does not evaluate to {wanted}"),
            query: shorten(expression),
        })?;
        Ok(Answer { data, notes: got.notes })
    }

    async fn ask<T: DeserializeOwned + Send + 'static>(
        &self,
        path: &str,
        parameters: &[(&str, String)],
        may_post: bool,
    ) -> Result<Answer<T>, PromError> {
        // The semaphore is never closed; an error could only mean that, and then the request just goes.
        let _permit = self.permits.acquire().await.ok();
        let reply = self.transport.send(path, parameters, may_post, self.limits.timeout, self.limits.answer).await?;
        let asked = parameters.iter().find(|(k, _)| *k == "query" || *k == "match[]").map_or(path, |(_, v)| v);
        self.read(reply, path, asked).await
    }

    async fn read<T: DeserializeOwned + Send + 'static>(
        &self,
        reply: Reply,
        path: &str,
        asked: &str,
    ) -> Result<Answer<T>, PromError> {
        let place = || format!("{}{path}", self.place());
        let code = reply.status;
        let html = reply.content_type.contains("html") || starts_with(&reply.body, b'<');
        if code == 401 || code == 403 {
            let why = if html { "a login page".into() } else { said(&reply.body) };
            return Err(PromError::Denied { place: place(), code, why, remedy: self.transport.remedy(code) });
        }
        if html && (code < 400 || code == 404) {
            let saw = "an HTML page".into();
            return Err(PromError::NotPrometheus { place: place(), saw, guess: self.transport.better_guess() });
        }
        if code >= 400 {
            return Err(self.refusal(&reply, place(), asked));
        }
        if !starts_with(&reply.body, b'{') {
            let nothing = reply.body.is_empty();
            let saw = if nothing { "nothing".into() } else { format!("{:?}", shorten(&said(&reply.body))) };
            return Err(PromError::NotPrometheus { place: place(), saw, guess: self.transport.better_guess() });
        }
        let parsed = if reply.body.len() > PARSE_ASIDE {
            tokio::task::spawn_blocking(move || serde_json::from_slice::<Envelope<T>>(&reply.body))
                .await
                .map_err(|e| PromError::BadJson { place: place(), why: e.to_string() })?
        } else {
            serde_json::from_slice::<Envelope<T>>(&reply.body)
        };
        let envelope = parsed.map_err(|e| PromError::BadJson { place: place(), why: clean(&e.to_string()).into() })?;
        if envelope.status != "success" {
            return Err(PromError::BadQuery {
                place: place(),
                why: shorten(&clean(&format!("{}: {}", envelope.error_type, envelope.error))),
                query: shorten(asked),
            });
        }
        let notes = envelope.warnings.iter().chain(&envelope.infos).map(|n| clean(n).into_owned()).collect();
        match envelope.data {
            Some(data) => Ok(Answer { data, notes }),
            None => Err(PromError::BadJson { place: place(), why: "there is no `data`".into() }),
        }
    }

    /// Sorts an answer of 400 and more that is not about rights.
    fn refusal(&self, reply: &Reply, place: String, asked: &str) -> PromError {
        let envelope: Option<Envelope<serde::de::IgnoredAny>> = serde_json::from_slice(&reply.body).ok();
        let kind = envelope.as_ref().map_or("", |e| &e.error_type);
        match (reply.status, kind) {
            (_, "timeout" | "canceled") => PromError::Timeout { place, after: self.limits.timeout },
            (400 | 422, _) | (_, "bad_data" | "execution") => {
                PromError::BadQuery { place, why: said(&reply.body), query: shorten(asked) }
            }
            (code, _) => PromError::Http { place, code, why: said(&reply.body) },
        }
    }
}

fn matching(selector: Option<&str>, from: Timestamp, to: Timestamp) -> Vec<(&'static str, String)> {
    let mut list = vec![("start", unix(from)), ("end", unix(to))];
    list.extend(selector.map(|s| ("match[]", s.to_owned())));
    list
}

fn unix(at: Timestamp) -> String {
    format!("{:.3}", at.timestamp_millis() as f64 / 1000.0)
}

fn starts_with(body: &[u8], byte: u8) -> bool {
    body.iter().find(|b| !b.is_ascii_whitespace()) == Some(&byte)
}

/// The message in an error body: Prometheus' `error`, the API server's `message`, or its first words.
fn said(body: &[u8]) -> String {
    let json: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    let message = json.as_ref().and_then(|v| v["error"].as_str().or_else(|| v["message"].as_str()));
    let text = match message {
        Some(text) => text.to_owned(),
        None => String::from_utf8_lossy(&body[..body.len().min(300)]).into_owned(),
    };
    let text = clean(text.trim());
    if text.is_empty() { "(no text)".into() } else { shorten(&text) }
}

fn shorten(text: &str) -> String {
    match text.char_indices().nth(300) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
#[path = "client_test.rs"]
mod tests;
