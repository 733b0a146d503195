//! Label and field selectors, with the refusals of apimachinery's parsers (labels/selector.go, fields/selector.go).

use crate::sim::object::{at, text};
use crate::sim::resource::Resource;
use crate::sim::store::Stored;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// A label selector: all of its conditions hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Labels(Vec<Condition>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Condition {
    key: String,
    test: Test,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Test {
    In(BTreeSet<String>),
    NotIn(BTreeSet<String>),
    Exists,
    Missing,
    Above(i64),
    Below(i64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token<'a> {
    Word(&'a str),
    /// One of `! = == != > < ( ) ,`.
    Sign(&'a str),
    End,
}

impl Token<'_> {
    fn literal(&self) -> &str {
        match self {
            Self::Word(t) | Self::Sign(t) => t,
            Self::End => "",
        }
    }
}

const SIGNS: &str = "=!(),><";

fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut all = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let sign = ["==", "!="].into_iter().find(|s| rest.starts_with(s)).map_or(1, str::len);
        let length = if SIGNS.contains(|c| rest.starts_with(c)) {
            sign
        } else {
            rest.find(|c: char| SIGNS.contains(c) || c.is_ascii_whitespace()).unwrap_or(rest.len())
        };
        let (token, tail) = rest.split_at(length);
        all.push(if SIGNS.contains(&token[..1]) { Token::Sign(token) } else { Token::Word(token) });
        rest = tail.trim_start();
    }
    all.push(Token::End);
    all
}

struct Parser<'a> {
    tokens: Vec<Token<'a>>,
    next: usize,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Token<'a> {
        self.tokens.get(self.next).copied().unwrap_or(Token::End)
    }

    fn take(&mut self) -> Token<'a> {
        let token = self.peek();
        self.next += 1;
        token
    }

    fn all(&mut self) -> Result<Vec<Condition>, String> {
        let mut all = Vec::new();
        loop {
            match self.peek() {
                Token::Word(_) | Token::Sign("!") => {
                    all.push(self.condition().map_err(|e| format!("unable to parse requirement: {e}"))?);
                    match self.take() {
                        Token::End => return Ok(all),
                        Token::Sign(",") if matches!(self.peek(), Token::Word(_) | Token::Sign("!")) => {}
                        Token::Sign(",") => {
                            return Err(format!("found '{}', expected: identifier after ','", self.peek().literal()));
                        }
                        other => {
                            return Err(format!("found '{}', expected: ',' or 'end of string'", other.literal()));
                        }
                    }
                }
                Token::End => return Ok(all),
                other @ Token::Sign(_) => {
                    return Err(format!("found '{}', expected: !, identifier, or 'end of string'", other.literal()));
                }
            }
        }
    }

    fn condition(&mut self) -> Result<Condition, String> {
        let mut token = self.take();
        let not = token == Token::Sign("!");
        if not {
            token = self.take();
        }
        let Token::Word(key) = token else {
            return Err(format!("found '{}', expected: identifier", token.literal()));
        };
        valid_key(key)?;
        let key = key.to_owned();
        if not {
            return Ok(Condition { key, test: Test::Missing });
        }
        if matches!(self.peek(), Token::End | Token::Sign(",")) {
            return Ok(Condition { key, test: Test::Exists });
        }
        let test = match self.take() {
            Token::Word("in") => Test::In(self.values()?),
            Token::Word("notin") => Test::NotIn(self.values()?),
            Token::Sign("=" | "==") => Test::In(self.value()?),
            Token::Sign("!=") => Test::NotIn(self.value()?),
            Token::Sign(">") => Test::Above(self.number()?),
            Token::Sign("<") => Test::Below(self.number()?),
            other => {
                let known = "in, notin, =, ==, !=, gt, lt";
                return Err(format!("found '{}', expected: {known}", other.literal()));
            }
        };
        if let Test::In(values) | Test::NotIn(values) = &test {
            for (i, value) in values.iter().enumerate() {
                valid_value(&key, i, value)?;
            }
        }
        Ok(Condition { key, test })
    }

    fn value(&mut self) -> Result<BTreeSet<String>, String> {
        if matches!(self.peek(), Token::End | Token::Sign(",")) {
            return Ok(BTreeSet::from([String::new()]));
        }
        match self.take() {
            Token::Word(word) => Ok(BTreeSet::from([word.to_owned()])),
            other => Err(format!("found '{}', expected: identifier", other.literal())),
        }
    }

    fn number(&mut self) -> Result<i64, String> {
        let text = self.value()?.pop_first().unwrap_or_default();
        text.parse().map_err(|_| {
            format!("values[0]: Invalid value: {text:?}: for 'Gt', 'Lt' operators, the value must be an integer")
        })
    }

    fn values(&mut self) -> Result<BTreeSet<String>, String> {
        let open = self.take();
        if open != Token::Sign("(") {
            return Err(format!("found '{}' expected: '('", open.literal()));
        }
        let mut all = BTreeSet::new();
        match self.peek() {
            Token::Sign(")") => {
                self.take();
                return Ok(BTreeSet::from([String::new()]));
            }
            Token::Word(_) | Token::Sign(",") => {}
            other => return Err(format!("found '{}', expected: ',', ')' or identifier", other.literal())),
        }
        loop {
            match self.take() {
                Token::Word(word) => {
                    all.insert(word.to_owned());
                    match self.peek() {
                        Token::Sign(",") => {}
                        Token::Sign(")") => break,
                        other => return Err(format!("found '{}', expected: ',' or ')'", other.literal())),
                    }
                }
                Token::Sign(",") => {
                    if all.is_empty() || matches!(self.peek(), Token::Sign(")" | ",")) {
                        all.insert(String::new());
                    }
                    if self.peek() == Token::Sign(")") {
                        break;
                    }
                }
                other => return Err(format!("found '{}', expected: ',', or identifier", other.literal())),
            }
        }
        self.take();
        Ok(all)
    }
}

const NAME: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

fn word_like(text: &str) -> bool {
    let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    ends(text.chars().next())
        && ends(text.chars().last())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
}

fn valid_key(key: &str) -> Result<(), String> {
    let name = key.rsplit_once('/').map_or(key, |(_, name)| name);
    if word_like(name) {
        return if name.len() <= 63 {
            Ok(())
        } else {
            Err(format!("<nil>: Invalid value: {key:?}: name part must be no more than 63 bytes"))
        };
    }
    Err(format!("<nil>: Invalid value: {key:?}: {NAME}"))
}

fn valid_value(key: &str, index: usize, value: &str) -> Result<(), String> {
    let why = if value.len() > 63 {
        "must be no more than 63 bytes"
    } else if value.is_empty() || word_like(value) {
        return Ok(());
    } else {
        VALUE
    };
    Err(format!("values[{index}][{key}]: Invalid value: {value:?}: {why}"))
}

impl Labels {
    /// Reads a selector; the error is the server's.
    pub fn parse(text: &str) -> Result<Self, String> {
        Parser { tokens: tokens(text), next: 0 }.all().map(Self)
    }

    /// Whether labels match.
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.0.iter().all(|c| {
            let value = labels.get(&c.key);
            let number = || value.and_then(|v| v.parse::<i64>().ok());
            match &c.test {
                Test::In(values) => value.is_some_and(|v| values.contains(v)),
                Test::NotIn(values) => value.is_none_or(|v| !values.contains(v)),
                Test::Exists => value.is_some(),
                Test::Missing => value.is_none(),
                Test::Above(n) => number().is_some_and(|v| v > *n),
                Test::Below(n) => number().is_some_and(|v| v < *n),
            }
        })
    }

    /// Whether it lets everything through.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A field selector: (field, value, whether equal).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fields(Vec<(String, String, bool)>);

/// Fields by kind that can be selected by besides name and namespace (pkg/apis/*/v1/conversion.go).
fn supported(kind: &Resource, field: &str) -> bool {
    let more: &[&str] = match kind.key().as_str() {
        "pods" => &[
            "spec.nodeName",
            "spec.host",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.podIPs",
            "status.nominatedNodeName",
        ],
        "nodes" => &["spec.unschedulable"],
        "replicationcontrollers" => &["status.replicas"],
        "namespaces" => &["status.phase"],
        "secrets" => &["type"],
        "services" => &["spec.clusterIP", "spec.type"],
        "jobs.batch" => &["status.successful"],
        "events" => &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "source",
            "type",
        ],
        "events.events.k8s.io" => &[
            "regarding.kind",
            "regarding.namespace",
            "regarding.name",
            "regarding.uid",
            "regarding.apiVersion",
            "regarding.resourceVersion",
            "regarding.fieldPath",
            "reason",
            "reportingController",
            "type",
        ],
        _ => &[],
    };
    field == "metadata.name" || (field == "metadata.namespace" && kind.namespaced) || more.contains(&field)
}

impl Fields {
    /// Reads a selector for a kind; the error is the server's.
    pub fn parse(text: &str, kind: &Resource) -> Result<Self, String> {
        let mut parts = split(text);
        parts.sort_unstable();
        let mut all = Vec::new();
        for part in parts.into_iter().filter(|p| !p.is_empty()) {
            let at = part.find(['=', '!']).filter(|i| part[*i..].starts_with('=') || part[*i..].starts_with("!="));
            let Some(i) = at else {
                return Err(format!("invalid selector: '{text}'; can't understand '{part}'"));
            };
            let sign = ["!=", "==", "="].into_iter().find(|s| part[i..].starts_with(s)).unwrap_or("=");
            let (field, value) = (&part[..i], unescaped(&part[i + sign.len()..])?);
            if !supported(kind, field) {
                return Err(match kind.key().as_str() {
                    "pods"
                    | "events"
                    | "events.events.k8s.io"
                    | "nodes"
                    | "namespaces"
                    | "secrets"
                    | "services"
                    | "replicationcontrollers" => {
                        format!("field label not supported: {field}")
                    }
                    "jobs.batch" => format!("field label {field:?} not supported for Job"),
                    _ => format!(
                        "{field:?} is not a known field selector: only \"metadata.name\", \"metadata.namespace\""
                    ),
                });
            }
            all.push((field.to_owned(), value, sign != "!="));
        }
        Ok(Self(all))
    }

    /// Whether an object matches. Its body is only read for other fields than name and namespace.
    pub fn matches(&self, object: &Stored) -> bool {
        let mut body = None;
        self.0.iter().all(|(field, wanted, equal)| {
            let found = match field.as_str() {
                "metadata.name" => object.name == *wanted,
                "metadata.namespace" => object.namespace == *wanted,
                // Most objects of a long list can be told apart without parsing them.
                _ if !wanted.is_empty()
                    && !matches!(wanted.as_str(), "true" | "false" | "0")
                    && !object.body.contains(wanted.as_str()) =>
                {
                    false
                }
                _ => value(body.get_or_insert_with(|| object.value()), field) == *wanted,
            };
            found == *equal
        })
    }

    /// Whether it lets everything through.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A field's value as the selectors compare it. Events are stored in the core shape.
fn value(object: &Value, field: &str) -> String {
    let path = match field {
        "spec.host" => "spec.nodeName",
        "status.podIPs" => "status.podIP",
        "status.successful" => "status.succeeded",
        "source" => {
            let component = text(object, "source.component");
            return if component.is_empty() {
                text(object, "reportingComponent").to_owned()
            } else {
                component.to_owned()
            };
        }
        "reportingController" => "reportingComponent",
        other => other,
    };
    let path = path.strip_prefix("regarding.").map_or_else(|| path.to_owned(), |p| format!("involvedObject.{p}"));
    match at(object, &path) {
        Some(Value::String(s)) => s.clone(),
        Some(Value::Bool(b)) => b.to_string(),
        Some(Value::Number(n)) => n.to_string(),
        _ => match field {
            "spec.unschedulable" | "spec.hostNetwork" => "false".to_owned(),
            "status.replicas" | "status.successful" => "0".to_owned(),
            _ => String::new(),
        },
    }
}

fn split(text: &str) -> Vec<&str> {
    let (mut parts, mut start, mut escaped) = (Vec::new(), 0, false);
    for (i, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            ',' => {
                parts.push(&text[start..i]);
                start = i + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

fn unescaped(text: &str) -> Result<String, String> {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some(c @ ('\\' | ',' | '=')) => out.push(c),
                other => {
                    let sequence: String = std::iter::once('\\').chain(other).collect();
                    return Err(format!("invalid field selector: invalid escape sequence: {sequence}"));
                }
            },
            ',' | '=' => return Err(format!("invalid field selector: unescaped character in value: {}", c as u32)),
            c => out.push(c),
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(selector: &str, labels: &[(&str, &str)]) -> bool {
        let labels = labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Labels::parse(selector).unwrap().matches(&labels)
    }

    #[test]
    fn label_selectors_select() {
        let web = [("app", "web"), ("tier", "3")];
        for yes in [
            "",
            "app=web",
            "app == web",
            "app in (web, api),tier",
            "app notin (db),!gone",
            "tier>2",
            "x!=y",
            "a/b notin ()",
        ] {
            assert!(fits(yes, &web), "{yes}");
        }
        for no in ["app=db", "app notin (web)", "!app", "tier<3", "gone", "app in ()", "x="] {
            assert!(!fits(no, &web), "{no}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_told_as_the_server_tells_it() {
        for (selector, why) in [
            ("a in c", "unable to parse requirement: found 'c' expected: '('"),
            ("a,,b", "found ',', expected: identifier after ','"),
            ("=a", "found '=', expected: !, identifier, or 'end of string'"),
            ("a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"),
        ] {
            assert_eq!(Labels::parse(selector).unwrap_err(), why);
        }
        let all = crate::sim::resource::Registry::default();
        let (pods, maps) = (all.get("pods").unwrap(), all.get("configmaps").unwrap());
        assert_eq!(Fields::parse("a.b=c", &pods).unwrap_err(), "field label not supported: a.b");
        assert!(Fields::parse("metadata.name=x", &maps).is_ok());
        assert_eq!(
            Fields::parse("nonsense", &pods).unwrap_err(),
            "invalid selector: 'nonsense'; can't understand 'nonsense'"
        );
    }
}
