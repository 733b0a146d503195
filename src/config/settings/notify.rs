//! Who is told by webhook, of what, and how.

use serde::{Deserialize, Serialize};

/// A webhook that is told when somebody should come and see.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Notify {
    /// Its URL. A secret: it is shown and logged nowhere.
    #[serde(default)]
    pub url: Secret,
    /// Or the environment variable that holds the URL.
    #[serde(default)]
    pub url_env: Option<String>,
    /// `slack` (its incoming webhooks, and what understands them: Mattermost, Rocket.Chat) or `json`.
    #[serde(default)]
    pub format: NotifyFormat,
    /// File with a key: the body is signed with HMAC-SHA256, in the header `X-Kansole-Signature-256: sha256=…`.
    #[serde(default)]
    pub secret_file: Option<String>,
    /// What it is told of: `approval` (a proposal waits for a person), `harmful`, `handed_over` (also what failed half-way), `paused` (auto stopped by itself); unset: all.
    #[serde(default = "every_notice")]
    pub on: Vec<Notice>,
}

impl Notify {
    /// The URL, from the file or the environment. The error does not hold it.
    pub fn target(&self) -> Result<String, String> {
        match &self.url_env {
            None => Ok(self.url.0.clone()),
            Some(name) => match std::env::var(name) {
                Ok(url) if is_url(&url) => Ok(url),
                Ok(_) => Err(format!("the environment variable {name} holds no URL")),
                Err(_) => Err(format!("the environment variable {name} is not set")),
            },
        }
    }
}

/// Whether text is an HTTP URL.
pub fn is_url(text: &str) -> bool {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    rest.is_some_and(|r| !r.trim_start_matches('/').is_empty() && !r.contains(char::is_whitespace))
}

/// Text that is read but never shown.
#[derive(Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(transparent)]
pub struct Secret(pub String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(not shown)")
    }
}

impl Serialize for Secret {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str("(not shown)")
    }
}

/// How a webhook wants its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum NotifyFormat {
    /// Slack's incoming webhooks.
    #[default]
    Slack,
    /// Every field of its own.
    Json,
}

/// What somebody is told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Notice {
    /// A proposal waits for a person.
    Approval,
    /// An action did harm.
    Harmful,
    /// An action was handed to a person, or failed half-way.
    HandedOver,
    /// Auto stopped by itself.
    Paused,
}

impl Notice {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Approval, Self::Harmful, Self::HandedOver, Self::Paused];
}

fn every_notice() -> Vec<Notice> {
    Notice::ALL.to_vec()
}
