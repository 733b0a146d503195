//! What can go wrong between us and a trace backend. Every error names the place and the remedy.

/// Why a backend gave nothing that can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// A URL or a file in the configuration cannot be used.
    #[error("{place}: {why}. Correct it under [traces] in config.toml")]
    Setup {
        /// File or key.
        place: String,
        /// What is wrong with it.
        why: String,
    },
    /// Nobody answers there.
    #[error("{place} cannot be reached: {why}. Check the address and the network, or set --traces URL, or none")]
    Unreachable {
        /// URL or Service.
        place: String,
        /// What the network said.
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
    /// Something answers, but neither Jaeger nor Tempo.
    #[error(
        "{place} is neither Jaeger nor Tempo ({saw}). Give the address of Jaeger's query service, such as \
         http://jaeger:16686, or of Tempo's query frontend, such as http://tempo:3200"
    )]
    Foreign {
        /// URL or Service.
        place: String,
        /// What came instead.
        saw: String,
    },
    /// An answer that cannot be used.
    #[error("{place}{path}: {what}. Look into the backend's log; it is asked again")]
    Answer {
        /// URL or Service.
        place: String,
        /// What was asked for.
        path: String,
        /// What is wrong.
        what: String,
    },
}
