//! What a request is about, by its method and path (k8s.io/apiserver `RequestInfo`).

use http::{Method, Uri};
use std::collections::HashMap;

/// A request for a resource.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// API group; empty for core.
    pub group: String,
    /// Version.
    pub version: String,
    /// `pods`
    pub plural: String,
    /// Namespace; empty for all, or for cluster-scoped kinds.
    pub namespace: String,
    /// Name; empty for the collection.
    pub name: String,
    /// `status`, `log`, `proxy`, …; or empty.
    pub subresource: String,
    /// What follows the subresource, with a leading slash; or empty.
    pub rest: String,
}

impl Place {
    /// The place of a path; `None` if it names no resource.
    pub fn of(path: &str) -> Option<Self> {
        let mut parts = path.trim_matches('/').split('/');
        let mut place = match parts.next()? {
            "api" => Self { version: parts.next()?.to_owned(), ..Self::default() },
            "apis" => Self { group: parts.next()?.to_owned(), version: parts.next()?.to_owned(), ..Self::default() },
            _ => return None,
        };
        let mut rest: Vec<String> = parts.map(decoded).collect();
        if rest.is_empty() || rest[0].is_empty() {
            return None;
        }
        if rest[0] == "namespaces" && rest.len() > 1 {
            place.namespace.clone_from(&rest[1]);
            // `/namespaces/NAME` and its own subresources are about the namespace itself.
            if rest.len() > 2 && !["status", "finalize"].contains(&rest[2].as_str()) {
                rest.drain(..2);
            }
        }
        let mut rest = rest.into_iter();
        let mut next = || rest.next().unwrap_or_default();
        (place.plural, place.name, place.subresource) = (next(), next(), next());
        let rest: Vec<String> = rest.collect();
        if !rest.is_empty() {
            place.rest = format!("/{}", rest.join("/"));
        }
        Some(place)
    }

    /// The verb of a request, as RBAC names it.
    pub fn verb(&self, method: &Method, watch: bool) -> &'static str {
        let collection = self.name.is_empty();
        match *method {
            Method::GET | Method::HEAD if !collection && !watch => "get",
            Method::GET | Method::HEAD if watch => "watch",
            Method::GET | Method::HEAD => "list",
            Method::POST => "create",
            Method::PUT => "update",
            Method::PATCH => "patch",
            Method::DELETE if collection => "deletecollection",
            Method::DELETE => "delete",
            _ => "",
        }
    }

    /// `pods` or `pods/log`.
    pub fn resource(&self) -> String {
        if self.subresource.is_empty() { self.plural.clone() } else { format!("{}/{}", self.plural, self.subresource) }
    }
}

fn decoded(part: &str) -> String {
    if !part.contains('%') {
        return part.to_owned();
    }
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let code = (first == b'%').then(|| tail.get(..2)).flatten();
        let code = code.and_then(|c| std::str::from_utf8(c).ok()).and_then(|c| u8::from_str_radix(c, 16).ok());
        bytes.push(code.unwrap_or(first));
        rest = if code.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The parameters of a request; of one given twice, the first.
pub fn query(uri: &Uri) -> HashMap<String, String> {
    let pairs = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(uri).map(|q| q.0).unwrap_or_default();
    let mut all = HashMap::new();
    for (key, value) in pairs {
        all.entry(key).or_insert(value);
    }
    all
}

/// Whether a parameter says yes, as the server reads booleans: present and neither `false` nor `0`.
pub fn flag(query: &HashMap<String, String>, name: &str) -> Option<bool> {
    query.get(name).map(|v| v != "false" && v != "0")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(path: &str) -> (String, String, String, String, String) {
        let p = Place::of(path).unwrap();
        (p.group, p.plural, p.namespace, p.name, p.subresource + &p.rest)
    }

    #[test]
    fn paths_are_taken_apart() {
        let own = |parts: [&str; 5]| -> (String, String, String, String, String) { parts.map(str::to_owned).into() };
        assert_eq!(place("/api/v1/pods"), own(["", "pods", "", "", ""]));
        assert_eq!(place("/api/v1/namespaces/shop"), own(["", "namespaces", "shop", "shop", ""]));
        assert_eq!(place("/api/v1/namespaces/shop/finalize"), own(["", "namespaces", "shop", "shop", "finalize"]));
        assert_eq!(place("/api/v1/namespaces/shop/pods/a/log"), own(["", "pods", "shop", "a", "log"]));
        assert_eq!(
            place("/apis/apps/v1/namespaces/shop/deployments/a/scale"),
            own(["apps", "deployments", "shop", "a", "scale"])
        );
        assert_eq!(
            place("/api/v1/namespaces/m/services/p%3A90/proxy/api/v1/query"),
            own(["", "services", "m", "p:90", "proxy/api/v1/query"])
        );
        assert!(Place::of("/api/v1").is_none() && Place::of("/version").is_none());
    }
}
