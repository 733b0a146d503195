//! The format of rule files.

use super::alert::Alerting;
use super::{Group, Kind, Rule};
use crate::sim::promql::{format, parse};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// What is wrong with a rule file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}: {text}")]
pub struct RuleError {
    /// Which file.
    pub file: String,
    /// What, and where.
    pub text: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    groups: Vec<GroupText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GroupText {
    name: String,
    interval: Option<String>,
    #[serde(default)]
    limit: usize,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    rules: Vec<RuleText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleText {
    record: Option<String>,
    alert: Option<String>,
    expr: String,
    #[serde(rename = "for")]
    wait: Option<String>,
    keep_firing_for: Option<String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

/// Reads groups.
pub(super) fn parse(text: &str, file: &str, interval: i64) -> Result<Vec<Group>, RuleError> {
    let wrong = |text: String| RuleError { file: file.into(), text };
    let read: File = serde_saphyr::from_str(text).map_err(|e| wrong(e.to_string()))?;
    let mut names = BTreeSet::new();
    let mut groups = Vec::new();
    for g in read.groups {
        if g.name.is_empty() {
            return Err(wrong("Groupname must not be empty".into()));
        }
        if !names.insert(g.name.clone()) {
            return Err(wrong(format!("groupname: \"{}\" is repeated in the same file", g.name)));
        }
        let rules =
            g.rules.into_iter().enumerate().map(|(n, r)| {
                rule(r, &g.labels).map_err(|e| wrong(format!("group \"{}\", rule {}: {e}", g.name, n + 1)))
            });
        groups.push(Group {
            rules: rules.collect::<Result<_, _>>()?,
            interval: g.interval.map_or(Ok(interval), |i| format::duration(&i)).map_err(wrong)?.max(1),
            name: g.name,
            file: file.into(),
            limit: g.limit,
            evaluated: None,
            took: 0.0,
        });
    }
    Ok(groups)
}

fn rule(r: RuleText, common: &BTreeMap<String, String>) -> Result<Rule, String> {
    parse::parse(&r.expr).map_err(|e| format!("could not parse expression: {e}"))?;
    let duration = |text: Option<String>| text.map_or(Ok(0), |t| format::duration(&t));
    let (wait, keep) = (duration(r.wait.clone())?, duration(r.keep_firing_for.clone())?);
    let kind = match (r.record, r.alert) {
        (Some(_), Some(_)) => return Err("only one of 'record' and 'alert' must be set".into()),
        (None, None) => return Err("one of 'record' or 'alert' must be set".into()),
        (Some(_), None) if !r.annotations.is_empty() => {
            return Err("invalid field 'annotations' in recording rule".into());
        }
        (Some(_), None) if r.wait.is_some() => return Err("invalid field 'for' in recording rule".into()),
        (Some(_), None) if r.keep_firing_for.is_some() => {
            return Err("invalid field 'keep_firing_for' in recording rule".into());
        }
        (Some(name), None) if name.is_empty() => return Err("invalid recording rule name: ".into()),
        (Some(name), None) => Kind::Record(name),
        (None, Some(name)) => Kind::Alert(Alerting::new(name, wait, keep, r.annotations)),
    };
    let mut labels = common.clone();
    labels.extend(r.labels);
    Ok(Rule {
        query: r.expr.trim().to_owned(),
        labels,
        kind,
        error: None,
        evaluated: None,
        took: 0.0,
        given: BTreeSet::new(),
    })
}
