//! Who asks, and whether they may: bearer tokens, and RBAC over the roles and bindings that are stored
//! (pkg/registry/rbac/validation, plugin/pkg/auth/authorizer/rbac).

use super::path::Place;
use crate::sim::object::{list, strings, text};
use crate::sim::status::{Status, qualified};
use crate::sim::store::Store;
use http::{HeaderMap, header};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};

/// A user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Name.
    pub name: String,
    /// Groups; `system:masters` may do everything.
    pub groups: Vec<String>,
}

impl User {
    /// A user who has proved who they are.
    pub fn new(name: &str, groups: &[&str]) -> Self {
        let groups = groups.iter().copied().chain(["system:authenticated"]).map(str::to_owned).collect();
        Self { name: name.to_owned(), groups }
    }

    /// Somebody who has not.
    pub fn anonymous() -> Self {
        Self { name: "system:anonymous".into(), groups: vec!["system:unauthenticated".into()] }
    }
}

/// Users by bearer token.
pub type Tokens = HashMap<String, User>;

/// What somebody wants to do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Deed {
    /// `list`
    pub verb: String,
    /// API group.
    pub group: String,
    /// `pods` or `pods/log`; empty for a path.
    pub resource: String,
    /// Namespace, or empty.
    pub namespace: String,
    /// Name, or empty.
    pub name: String,
    /// A path that is no resource.
    pub path: String,
}

/// What everybody may who has proved who they are (bootstrap roles system:discovery and system:basic-user).
const DISCOVERY: [&str; 10] =
    ["/api", "/api/*", "/apis", "/apis/*", "/healthz", "/livez", "/readyz", "/openapi/*", "/version", "/version/"];
/// What anybody may read (system:public-info-viewer).
const PUBLIC: [&str; 5] = ["/healthz", "/livez", "/readyz", "/version", "/version/"];

/// The user of a request; one without a token is `nobody`.
///
/// # Errors
/// 401 for a token nobody has; 403 for acting as somebody without the right to.
pub fn user(headers: &HeaderMap, tokens: &Tokens, nobody: &User, store: &Store) -> Result<User, Status> {
    let token = headers.get(header::AUTHORIZATION).and_then(|v| v.to_str().ok()).map(str::trim);
    let user = match token.and_then(|t| t.split_once(' ')) {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => {
            tokens.get(token.trim()).cloned().ok_or_else(|| Status::new(401, "Unauthorized", "Unauthorized"))?
        }
        _ => nobody.clone(),
    };
    impersonated(user, headers, store)
}

fn impersonated(user: User, headers: &HeaderMap, store: &Store) -> Result<User, Status> {
    let all = |name: &str| -> Vec<String> {
        headers.get_all(name).iter().filter_map(|v| v.to_str().ok()).map(str::to_owned).collect()
    };
    let Some(name) = all("impersonate-user").pop() else { return Ok(user) };
    let groups = all("impersonate-group");
    let wanted = [("users", &name)].into_iter().chain(groups.iter().map(|g| ("groups", g)));
    for (resource, name) in wanted {
        let deed =
            Deed { verb: "impersonate".into(), resource: resource.into(), name: name.clone(), ..Deed::default() };
        if !may(store, &user, &deed) {
            return Err(forbidden(&user, &deed));
        }
    }
    let groups: Vec<&str> = groups.iter().map(String::as_str).collect();
    Ok(User::new(&name, &groups))
}

/// The deed of a request for a resource.
pub fn deed(place: &Place, verb: &str) -> Deed {
    Deed {
        verb: verb.to_owned(),
        group: place.group.clone(),
        resource: place.resource(),
        namespace: place.namespace.clone(),
        name: place.name.clone(),
        path: String::new(),
    }
}

/// 403, in the real server's words.
pub fn forbidden(user: &User, deed: &Deed) -> Status {
    let Deed { verb, group, resource, namespace, name, path } = deed;
    let user = &user.name;
    if resource.is_empty() {
        let why = format!("forbidden: User {user:?} cannot {verb} path {path:?}");
        return Status::new(403, "Forbidden", why).with(json!({}));
    }
    let plural = resource.split('/').next().unwrap_or_default();
    let scope = if namespace.is_empty() {
        "at the cluster scope".to_owned()
    } else {
        format!("in the namespace {namespace:?}")
    };
    let what = qualified(group, plural) + &(if name.is_empty() { String::new() } else { format!(" {name:?}") });
    let why = format!(
        "{what} is forbidden: User {user:?} cannot {verb} resource {resource:?} in API group {group:?} {scope}"
    );
    let mut details = json!({});
    for (key, value) in [("name", name.as_str()), ("group", group), ("kind", plural)] {
        if !value.is_empty() {
            details[key] = value.into();
        }
    }
    Status::new(403, "Forbidden", why).with(details)
}

/// Whether the user may.
pub fn may(store: &Store, user: &User, deed: &Deed) -> bool {
    if user.groups.iter().any(|g| g == "system:masters") {
        return true;
    }
    let known = user.groups.iter().any(|g| g == "system:authenticated");
    if deed.resource.is_empty() {
        let get = deed.verb == "get" || deed.verb == "head";
        let open: &[&str] = if known { &DISCOVERY } else { &PUBLIC };
        if get && open.iter().any(|p| path_matches(p, &deed.path)) {
            return true;
        }
    } else if known && deed.verb == "create" && basic(deed) {
        return true;
    }
    rules(store, user, &deed.namespace).iter().any(|r| allows(r, deed))
}

fn basic(deed: &Deed) -> bool {
    match deed.group.as_str() {
        "authorization.k8s.io" => ["selfsubjectaccessreviews", "selfsubjectrulesreviews"].contains(&&*deed.resource),
        "authentication.k8s.io" => deed.resource == "selfsubjectreviews",
        _ => false,
    }
}

/// The rules that bindings give a user, cluster-wide and in a namespace.
pub fn rules(store: &Store, user: &User, namespace: &str) -> Vec<Value> {
    const GROUP: &str = "rbac.authorization.k8s.io";
    let mut all = Vec::new();
    for (kind, place) in [("clusterrolebindings", None), ("rolebindings", Some(namespace))] {
        if place == Some("") {
            continue;
        }
        for binding in store.list(&format!("{kind}.{GROUP}"), place).1 {
            let binding = binding.value();
            if list(&binding, "subjects").iter().any(|s| is(s, user, &binding)) {
                let of = text(&binding, "roleRef.name");
                let role = match text(&binding, "roleRef.kind") {
                    "Role" => store.get(&format!("roles.{GROUP}"), namespace, of),
                    _ => store.get(&format!("clusterroles.{GROUP}"), "", of),
                };
                if let Some(role) = role {
                    all.extend(role_rules(store, &role.value()));
                }
            }
        }
    }
    all
}

/// A role's rules, with those of the roles it aggregates.
fn role_rules(store: &Store, role: &Value) -> Vec<Value> {
    let mut all = list(role, "rules").to_vec();
    let selectors: Vec<BTreeMap<String, String>> =
        list(role, "aggregationRule.clusterRoleSelectors").iter().map(|s| strings(s, "matchLabels")).collect();
    if selectors.is_empty() {
        return all;
    }
    for other in store.list("clusterroles.rbac.authorization.k8s.io", None).1 {
        if selectors.iter().any(|s| !s.is_empty() && s.iter().all(|(k, v)| other.labels.get(k) == Some(v))) {
            all.extend_from_slice(list(&other.value(), "rules"));
        }
    }
    all
}

fn is(subject: &Value, user: &User, binding: &Value) -> bool {
    let name = text(subject, "name");
    match text(subject, "kind") {
        "User" => name == user.name,
        "Group" => user.groups.iter().any(|g| g == name),
        "ServiceAccount" => {
            let namespace = Some(text(subject, "namespace")).filter(|n| !n.is_empty());
            let namespace = namespace.unwrap_or_else(|| text(binding, "metadata.namespace"));
            user.name == format!("system:serviceaccount:{namespace}:{name}")
        }
        _ => false,
    }
}

fn allows(rule: &Value, deed: &Deed) -> bool {
    let has = |field: &str, wanted: &str| list(rule, field).iter().any(|v| v == "*" || v == wanted);
    if !has("verbs", &deed.verb) {
        return false;
    }
    if deed.resource.is_empty() {
        return list(rule, "nonResourceURLs").iter().any(|p| p.as_str().is_some_and(|p| path_matches(p, &deed.path)));
    }
    let any_of = deed.resource.split_once('/').map(|(_, sub)| format!("*/{sub}"));
    let names = list(rule, "resourceNames");
    has("apiGroups", &deed.group)
        && (has("resources", &deed.resource) || any_of.is_some_and(|r| has("resources", &r)))
        && (names.is_empty() || names.iter().any(|n| n == deed.name.as_str()))
}

fn path_matches(pattern: &str, path: &str) -> bool {
    pattern == path || pattern.strip_suffix('*').is_some_and(|p| path.starts_with(p))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::clock::{Clock, at};
    use crate::sim::fields::Writer;
    use crate::sim::noise::Noise;
    use std::sync::Arc;

    #[test]
    fn roles_decide() {
        let store = Store::new(Arc::new(Clock::new(at(0), 0.0)), Noise::new(1));
        let put = |key: &str, object: Value| drop(store.create(key, object, Writer::of("")).unwrap());
        put(
            "clusterroles.rbac.authorization.k8s.io",
            json!({"metadata": {"name": "view"}, "rules": [
                {"apiGroups": [""], "resources": ["pods", "pods/log"], "verbs": ["get", "list"]},
                {"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["a"], "verbs": ["get"]}]}),
        );
        put(
            "rolebindings.rbac.authorization.k8s.io",
            json!({"metadata": {"name": "v", "namespace": "shop"}, "subjects": [{"kind": "User", "name": "eve"}],
                "roleRef": {"kind": "ClusterRole", "name": "view"}}),
        );
        let eve = User::new("eve", &[]);
        let ask = |verb: &str, resource: &str, namespace: &str, name: &str| {
            let deed = Deed {
                verb: verb.into(),
                resource: resource.into(),
                namespace: namespace.into(),
                name: name.into(),
                ..Deed::default()
            };
            may(&store, &eve, &deed)
        };
        assert!(ask("list", "pods", "shop", "") && ask("get", "pods/log", "shop", "x"));
        assert!(
            !ask("list", "pods", "", "") && !ask("delete", "pods", "shop", "x") && !ask("list", "pods", "other", "")
        );
        assert!(ask("get", "secrets", "shop", "a") && !ask("get", "secrets", "shop", "b"));
        let deed = Deed { verb: "list".into(), resource: "pods".into(), namespace: "x".into(), ..Deed::default() };
        assert_eq!(
            forbidden(&eve, &deed).message,
            "pods is forbidden: User \"eve\" cannot list resource \"pods\" in API group \"\" in the namespace \"x\""
        );
        let paths =
            |p: &str, user: &User| may(&store, user, &Deed { verb: "get".into(), path: p.into(), ..Deed::default() });
        assert!(paths("/apis/apps/v1", &eve) && !paths("/metrics", &eve));
        assert!(paths("/version", &User::anonymous()) && !paths("/api", &User::anonymous()));
    }
}
