//! What can go wrong between us and Prometheus. Every error names the place and the remedy.

use std::time::Duration;

/// Why a request to Prometheus gave no answer that can be used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PromError {
    /// A URL, certificate or password file in the configuration cannot be used.
    #[error("{place}: {why}. Correct it under [connection] in config.toml")]
    Setup {
        /// File or key.
        place: String,
        /// What is wrong with it.
        why: String,
    },
    /// Nobody answers there.
    #[error("{place} cannot be reached: {why}. Check the address and the network, or set --prometheus URL")]
    Unreachable {
        /// URL or Service.
        place: String,
        /// What the network said.
        why: String,
    },
    /// The TLS handshake failed.
    #[error(
        "{place}: TLS failed: {why}. Set connection.prometheus_ca_file to the PEM file of its CA \
         (and prometheus_identity_file if it wants a client certificate)"
    )]
    Tls {
        /// URL.
        place: String,
        /// What the handshake said.
        why: String,
    },
    /// 401 or 403.
    #[error("{place} answered {code}: {why}. {remedy}")]
    Denied {
        /// URL or Service.
        place: String,
        /// 401 or 403.
        code: u16,
        /// What the server said.
        why: String,
        /// What to set or to grant.
        remedy: &'static str,
    },
    /// Something answers, but not with Prometheus' JSON.
    #[error("{place} is not a Prometheus API (it answered {saw}). Did you mean {guess}?")]
    NotPrometheus {
        /// URL or Service.
        place: String,
        /// What came instead.
        saw: String,
        /// A place that is more likely.
        guess: String,
    },
    /// Prometheus refuses the query (`bad_data`, `execution`).
    #[error("{place} refused a query: {why}. The query was: {query}")]
    BadQuery {
        /// URL or Service.
        place: String,
        /// What it said.
        why: String,
        /// The query, shortened.
        query: String,
    },
    /// No answer in time.
    #[error("{place} did not answer within {}. It may be overloaded; raise monitor.query_timeout or look at its load", crate::config::duration::write(*.after))]
    Timeout {
        /// URL or Service.
        place: String,
        /// How long we waited.
        after: Duration,
    },
    /// The answer is larger than we are willing to hold.
    #[error("{place} answered more than {limit} bytes. Limit connection.namespaces, or let recording rules aggregate")]
    TooLarge {
        /// URL or Service.
        place: String,
        /// The bound.
        limit: usize,
    },
    /// The JSON ends early or has another shape.
    #[error("{place} sent JSON that cannot be read: {why}. A proxy in between may cut long answers")]
    BadJson {
        /// URL or Service.
        place: String,
        /// Where it breaks.
        why: String,
    },
    /// Any other HTTP status.
    #[error("{place} answered HTTP {code}: {why}. {}", http_remedy(*.code))]
    Http {
        /// URL or Service.
        place: String,
        /// Status code.
        code: u16,
        /// What the body said, shortened.
        why: String,
    },
}

impl PromError {
    /// Whether only this query is refused: the server itself is well.
    pub fn is_about_the_query(&self) -> bool {
        matches!(self, Self::BadQuery { .. } | Self::TooLarge { .. })
    }
}

fn http_remedy(code: u16) -> &'static str {
    match code {
        404 => "The path is wrong: the base URL must end before /api/v1",
        429 => "It limits requests: lower monitor.queries_in_flight or raise monitor.metrics_step",
        502..=504 => "It is starting, overloaded or has no ready pod: it will be asked again",
        _ => "Look at its log",
    }
}
