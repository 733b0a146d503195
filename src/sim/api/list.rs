//! Reading: one object, or lists of them in pages, from one version of the store.

use super::negotiate::{Form, Wanted};
use super::options::Options;
use super::table::{Include, Printer};
use super::view;
use crate::sim::resource::Resource;
use crate::sim::status::Status;
use crate::sim::store::{Change, Store, StoreError, Stored};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

/// A place in a list: namespace and name.
type Place = (String, String);

/// At most `most` objects of a kind from a place on (`None`: all) as they were at `version` (`None`: now), by undoing the
/// log; with the version they are of, and how many more there are.
///
/// # Errors
/// `Expired` if the log no longer reaches back.
fn at_version(
    store: &Store,
    key: &str,
    namespace: Option<&str>,
    version: Option<u64>,
    from: Option<&Place>,
    most: usize,
) -> Result<(u64, Vec<Arc<Stored>>, usize), StoreError> {
    let (now, objects, left) = store.stretch(key, namespace, from, most);
    let Some(version) = version.filter(|v| *v < now) else { return Ok((now, objects, left)) };
    let ours = |c: &Change| &*c.object.key == key && namespace.is_none_or(|n| n == c.object.namespace);
    if !store.since(version)?.iter().any(|c| c.version <= now && ours(c)) {
        return Ok((version, objects, left));
    }
    let (now, mut objects, _) = store.stretch(key, namespace, from, usize::MAX);
    let changes = store.since(version)?;
    // What was before the first change of each object.
    let mut before: BTreeMap<(&str, &str), Option<&Arc<Stored>>> = BTreeMap::new();
    for change in changes.iter().filter(|c| c.version <= now && ours(c)) {
        before.entry(place(&change.object)).or_insert(change.before.as_ref());
    }
    let start = from.map_or(("", ""), |(ns, name)| (ns, name));
    objects.retain(|o| !before.contains_key(&place(o)));
    objects.extend(before.into_values().flatten().filter(|o| place(o) >= start).cloned());
    // Runs in order: next to nothing to do.
    objects.sort_by(|a, b| place(a).cmp(&place(b)));
    let left = objects.len().saturating_sub(most);
    objects.truncate(most);
    Ok((version, objects, left))
}

fn place(object: &Stored) -> (&str, &str) {
    (&object.namespace, &object.name)
}

/// What a list answers from: objects, their version, and where the next page begins.
#[derive(Debug)]
pub struct Page {
    /// The list's version.
    pub version: u64,
    /// The objects on this page.
    pub objects: Vec<Arc<Stored>>,
    /// Continue token, and how many objects remain when no selector hides it.
    pub next: Option<(String, Option<usize>)>,
}

/// Finds the objects a list asks for.
pub fn page(
    store: &Store,
    kind: &Resource,
    namespace: Option<&str>,
    options: &Options,
    stale: Option<u64>,
) -> Result<Page, Status> {
    let key = view::storage(kind);
    let (version, start) = start(store, options)?;
    let expired = |e: StoreError| match (&e, options.next.is_empty()) {
        (StoreError::Expired { .. }, false) => expired_token(),
        (StoreError::Expired { .. }, true) => {
            Status::new(410, "Expired", "The resourceVersion for the provided list is too old.")
        }
        _ => Status::new(500, "InternalError", e.to_string()),
    };
    let selects = !options.labels.is_empty() || !options.fields.is_empty();
    // The watch cache, which answers version 0, knows no pages.
    let limit = if options.version == "0" || options.limit == 0 { usize::MAX } else { options.limit };
    let most = if selects { usize::MAX } else { limit };
    let (version, mut objects, mut left) =
        at_version(store, &key, namespace, version.or(stale), start.as_ref(), most).map_err(expired)?;
    if selects {
        objects.retain(|o| options.labels.matches(&o.labels) && options.fields.matches(o));
        left = objects.len().saturating_sub(limit);
        objects.truncate(limit);
    }
    let mut next = None;
    if left > 0 {
        next = objects.last().map(|last| (token(version, kind, namespace, last), (!selects).then_some(left)));
    }
    Ok(Page { version, objects, next })
}

/// The version to read and where to begin, by token or version parameters.
fn start(store: &Store, options: &Options) -> Result<(Option<u64>, Option<(String, String)>), Status> {
    if !options.next.is_empty() {
        if !options.version.is_empty() && options.version != "0" {
            return Err(Status::bad_request("specifying resource version is not allowed when using continue"));
        }
        return read_token(&options.next)
            .map(|(version, at)| (version, Some(at)))
            .map_err(|why| Status::bad_request(format!("invalid continue token: {why}")));
    }
    let asked =
        options.at().map_err(|why| Status::bad_request(format!("invalid resource version: {why}")))?.filter(|v| *v > 0);
    let current = store.version();
    if let Some(asked) = asked.filter(|v| *v > current) {
        return Err(too_large(asked, current));
    }
    let exact = options.matching == "Exact" || (options.matching.is_empty() && options.limit > 0);
    Ok((asked.filter(|_| exact), None))
}

/// 504 for a version that is not there yet.
pub fn too_large(asked: u64, current: u64) -> Status {
    let message = format!("Timeout: Too large resource version: {asked}, current: {current}");
    Status::new(504, "Timeout", message).with(json!({
        "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
        "retryAfterSeconds": 1,
    }))
}

fn expired_token() -> Status {
    Status::new(
        410,
        "Expired",
        "The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter.",
    )
}

/// A token as the real server makes it: version and the key after the last object.
fn token(version: u64, kind: &Resource, namespace: Option<&str>, last: &Stored) -> String {
    let start = match (kind.namespaced, namespace) {
        (true, None) => format!("{}/{}\0", last.namespace, last.name),
        _ => format!("{}\0", last.name),
    };
    let ns = namespace.unwrap_or_default();
    base64url(json!({"v": "meta.k8s.io/v1", "rv": version, "start": start, "ns": ns}).to_string().as_bytes())
}

fn read_token(token: &str) -> Result<(Option<u64>, (String, String)), String> {
    let bytes =
        unbase64url(token).map_err(|i| format!("continue key is not valid: illegal base64 data at input byte {i}"))?;
    let value: Value = serde_json::from_slice(&bytes).map_err(|_| {
        let first = bytes.first().map_or(String::new(), |b| char::from(*b).to_string());
        if first.is_empty() {
            "continue key is not valid: unexpected end of JSON input".to_owned()
        } else {
            format!("continue key is not valid: invalid character '{first}' looking for beginning of value")
        }
    })?;
    if value["v"] != "meta.k8s.io/v1" {
        return Err(format!(
            "continue key is not valid: server does not recognize this encoded version {}",
            value["v"]
        ));
    }
    let version = value["rv"].as_u64().filter(|v| *v > 0);
    let start = value["start"].as_str().unwrap_or_default();
    let (ns, name) = start.split_once('/').unwrap_or((value["ns"].as_str().unwrap_or_default(), start));
    Ok((version, (ns.to_owned(), name.to_owned())))
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// RFC 4648 §5, without padding.
fn base64url(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() * 4 / 3 + 3);
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0_u32, |a, b| a << 8 | u32::from(*b)) << (8 * (3 - chunk.len()));
        for i in 0..=chunk.len() {
            out.push(char::from(BASE64[(bits >> (18 - 6 * i) & 63) as usize]));
        }
    }
    out
}

/// RFC 4648 §4, with padding.
pub fn base64(bytes: &[u8]) -> String {
    let mut text = base64url(bytes).replace('-', "+").replace('_', "/");
    while !text.len().is_multiple_of(4) {
        text.push('=');
    }
    text
}

/// The bytes; or the index of the first character that does not belong.
fn unbase64url(text: &str) -> Result<Vec<u8>, usize> {
    let mut out = Vec::with_capacity(text.len() * 3 / 4);
    let (mut bits, mut have) = (0_u32, 0);
    for (i, c) in text.bytes().enumerate() {
        let value = BASE64.iter().position(|b| *b == c).ok_or(i)?;
        bits = bits << 6 | value as u32;
        have += 6;
        if have >= 8 {
            have -= 8;
            out.push((bits >> have) as u8);
        }
    }
    Ok(out)
}

/// A list as the client wants it. Objects that are served as stored are copied, not parsed.
pub fn render(store: &Store, kind: &Resource, version: &str, page: &Page, wanted: Wanted, include: Include) -> String {
    let mut meta = json!({"resourceVersion": page.version.to_string()});
    if let Some((token, remaining)) = &page.next {
        meta["continue"] = token.as_str().into();
        if let Some(remaining) = remaining {
            meta["remainingItemCount"] = (*remaining).into();
        }
    }
    let objects = || page.objects.iter().map(|o| view::outward(o.value(), kind, version));
    match wanted.form {
        Form::Table(v) => Printer::new(store, kind, version, include, v).table(objects(), meta, true).to_string(),
        Form::Metadata(v) => {
            let items: Vec<Value> = objects().map(|o| view::metadata(&o, v)).collect();
            // Go's empty slice.
            let items = if items.is_empty() { Value::Null } else { items.into() };
            json!({"kind": "PartialObjectMetadataList", "apiVersion": format!("meta.k8s.io/{v}"), "metadata": meta, "items": items})
                .to_string()
        }
        Form::Object => {
            let size: usize = page.objects.iter().map(|o| o.body.len() + 1).sum();
            let mut out = String::with_capacity(size + 256);
            let api_version = view::api_version(&kind.group, version);
            let _ = write!(
                out,
                "{{\"kind\":\"{}\",\"apiVersion\":\"{api_version}\",\"metadata\":{meta},\"items\":[",
                kind.list_kind()
            );
            for (i, object) in page.objects.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                let body = view::body(object, kind, version);
                push_item(&mut out, &body, kind, &api_version);
            }
            out.push_str("]}\n");
            out
        }
    }
}

/// Built-in kinds say their kind once, in the list; custom objects say it each.
fn push_item(out: &mut String, body: &str, kind: &Resource, api_version: &str) {
    if !kind.custom {
        let (k, v) = (format!("\"kind\":\"{}\",", kind.kind), format!("\"apiVersion\":\"{api_version}\","));
        for (a, b) in [(&k, &v), (&v, &k)] {
            let rest = body.strip_prefix('{').and_then(|r| r.strip_prefix(a.as_str()));
            if let Some(rest) = rest.and_then(|r| r.strip_prefix(b.as_str())) {
                out.push('{');
                out.push_str(rest);
                return;
            }
        }
    }
    out.push_str(body);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_come_back() {
        for text in ["", "a", "ab", "abc", "{\"rv\":1}"] {
            assert_eq!(unbase64url(&base64url(text.as_bytes())).unwrap(), text.as_bytes());
        }
        // As the real server encodes it.
        assert_eq!(
            read_token("eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MzEzLCJzdGFydCI6Ii9kZWZhdWx0XHUwMDAwIn0").unwrap(),
            (Some(313), (String::new(), "default\0".to_owned()))
        );
        assert_eq!(
            read_token("abc").unwrap_err(),
            "continue key is not valid: invalid character 'i' looking for beginning of value"
        );
    }
}
