//! The parameters of list and watch, and which of them go together (apimachinery's ListOptions validation).

use super::path::flag;
use super::selector::{Fields, Labels};
use crate::sim::resource::Resource;
use crate::sim::status::Status;
use crate::sim::write::Errors;
use std::collections::HashMap;

/// What a list or watch asks for.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Labels that must match.
    pub labels: Labels,
    /// Fields that must match.
    pub fields: Fields,
    /// Objects per page; 0: all.
    pub limit: usize,
    /// Continue token.
    pub next: String,
    /// `resourceVersion`, as given.
    pub version: String,
    /// `resourceVersionMatch`, as given.
    pub matching: String,
    /// A watch instead of a list.
    pub watch: bool,
    /// Seconds a watch may take.
    pub timeout: Option<u64>,
    /// Bookmarks are welcome.
    pub bookmarks: bool,
    /// `sendInitialEvents`.
    pub initial: Option<bool>,
}

impl Options {
    /// Reads the parameters for a kind.
    pub fn read(query: &HashMap<String, String>, kind: &Resource) -> Result<Self, Status> {
        let given = |name: &str| query.get(name).cloned().unwrap_or_default();
        let options = Self {
            labels: Labels::parse(&given("labelSelector")).map_err(Status::bad_request)?,
            fields: Fields::parse(&given("fieldSelector"), kind).map_err(Status::bad_request)?,
            limit: usize::try_from(number(&given("limit"))?).unwrap_or(0),
            next: given("continue"),
            version: given("resourceVersion"),
            matching: given("resourceVersionMatch"),
            watch: flag(query, "watch").unwrap_or(false),
            timeout: query.get("timeoutSeconds").map(|t| number(t)).transpose()?.and_then(|t| u64::try_from(t).ok()),
            bookmarks: flag(query, "allowWatchBookmarks").unwrap_or(false),
            initial: flag(query, "sendInitialEvents"),
        };
        options.validate()?;
        Ok(options)
    }

    /// The version as a number; `None` if it was not given.
    pub fn at(&self) -> Result<Option<u64>, String> {
        if self.version.is_empty() {
            return Ok(None);
        }
        self.version.parse().map(Some).map_err(|_| {
            let v = &self.version;
            let why = if v.bytes().all(|b| b.is_ascii_digit()) { "value out of range" } else { "invalid syntax" };
            format!("resourceVersion: Invalid value: {v:?}: strconv.ParseUint: parsing {v:?}: {why}")
        })
    }

    /// k8s.io/apimachinery/pkg/apis/meta/internalversion/validation.
    fn validate(&self) -> Result<(), Status> {
        const MATCH: &str = "resourceVersionMatch";
        let mut errors = Errors::default();
        let matching = self.matching.as_str();
        if self.watch {
            if self.initial.is_some() && matching != "NotOlderThan" {
                errors.forbidden(MATCH, "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan");
            }
            if self.initial.is_none() && !matching.is_empty() {
                errors.forbidden(
                    MATCH,
                    "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
                );
            }
            if self.initial.is_some() && !matching.is_empty() && matching != "NotOlderThan" {
                errors.unsupported(MATCH, matching, &["NotOlderThan"]);
            }
        } else {
            if !matching.is_empty() {
                if self.version.is_empty() {
                    errors.forbidden(MATCH, "resourceVersionMatch is forbidden unless resourceVersion is provided");
                }
                if !self.next.is_empty() {
                    errors.forbidden(MATCH, "resourceVersionMatch is forbidden when continue is provided");
                }
                if self.version == "0" && matching == "Exact" {
                    errors.forbidden(MATCH, "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"");
                }
            }
            if self.initial.is_some() {
                errors.forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list");
            }
            if !["", "Exact", "NotOlderThan"].contains(&matching) {
                errors.unsupported(MATCH, matching, &["Exact", "NotOlderThan", ""]);
            }
        }
        errors.into_result("meta.k8s.io", "ListOptions", "")
    }
}

/// A number as the server's query decoding reads it; empty is 0.
fn number(text: &str) -> Result<i64, Status> {
    if text.is_empty() {
        return Ok(0);
    }
    text.parse().map_err(|_| Status::bad_request(format!("strconv.ParseInt: parsing {text:?}: invalid syntax")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::resource::Registry;

    #[test]
    fn what_does_not_go_together_is_refused() {
        let pods = Registry::default().get("pods").unwrap();
        let why = |pairs: &[(&str, &str)]| {
            let query = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
            Options::read(&query, &pods).map(|_| ()).map_err(|s| s.message)
        };
        let wrong = "ListOptions.meta.k8s.io \"\" is invalid: ";
        assert_eq!(
            why(&[("resourceVersionMatch", "Exact")]).unwrap_err(),
            format!(
                "{wrong}resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided"
            )
        );
        assert_eq!(
            why(&[("sendInitialEvents", "true")]).unwrap_err(),
            format!("{wrong}sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list")
        );
        assert_eq!(why(&[("limit", "a")]).unwrap_err(), "strconv.ParseInt: parsing \"a\": invalid syntax");
        why(&[("watch", "1"), ("sendInitialEvents", "true"), ("resourceVersionMatch", "NotOlderThan")]).unwrap();
    }
}
