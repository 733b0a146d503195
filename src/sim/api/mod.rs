//! The Kubernetes API over a [`Store`], on plain HTTP: what kubectl, kube-rs and k9s need to believe it.
//!
//! A request is authenticated, taken apart ([`path`]), authorised against the roles in the store, and then answered:
//! reads here, writes by [`crate::sim::write`].

pub mod auth;
mod autoscaler;
mod body;
mod change;
mod delete;
mod discovery;
pub mod faults;
mod list;
mod logs;
mod metrics;
mod negotiate;
mod openapi;
mod options;
mod path;
mod protobuf;
mod proxy;
mod reviews;
mod selector;
mod table;
mod view;
mod watch;

use crate::sim::machine::Shared;
use crate::sim::noise::Noise;
use crate::sim::resource::Resource;
use crate::sim::status::Status;
use crate::sim::store::Store;
use crate::sim::write::scale;
use auth::{Deed, Tokens, User};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use faults::Faults;
use http::request::Parts;
use http::{Method, StatusCode, header};
use negotiate::{Form, Wanted};
use openapi::Documents;
use path::Place;
use proxy::Services;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;
use table::{Include, Printer};

/// A list of more objects is put together off the threads that serve others.
const LONG: usize = 1_000;

type Answer = Result<Response, Status>;

/// The API server.
pub struct Api {
    store: Arc<Store>,
    machines: Shared,
    tokens: Tokens,
    /// Who asks without a token.
    nobody: User,
    faults: Arc<Faults>,
    services: Services,
    documents: Documents,
    /// Where clients reach it, as `/api` tells.
    address: String,
}

/// One request, taken apart.
struct Asked {
    parts: Parts,
    query: HashMap<String, String>,
    place: Place,
    kind: Arc<Resource>,
    wanted: Wanted,
}

impl Api {
    /// A server over a store and the machines under it, without users: add them with [`Api::user`].
    pub fn new(store: Arc<Store>, machines: Shared) -> Self {
        let faults = Arc::new(Faults::new(store.clock().clone(), Noise::new(0)));
        Self {
            store,
            machines,
            tokens: Tokens::new(),
            nobody: User::anonymous(),
            faults,
            services: Services::new(),
            documents: |_, _, _, _| None,
            address: "127.0.0.1".into(),
        }
    }

    /// Lets the bearer of `token` in as `user`.
    #[must_use]
    pub fn user(mut self, token: &str, user: User) -> Self {
        self.tokens.insert(token.to_owned(), user);
        self
    }

    /// Takes whoever comes without a token for `user`. kubectl sends no token over plain HTTP, only `--as`.
    #[must_use]
    pub fn nobody(mut self, user: User) -> Self {
        self.nobody = user;
        self
    }

    /// Answers requests through the service proxy.
    #[must_use]
    pub fn service(mut self, namespace: &str, name: &str, port: u16, router: Router) -> Self {
        self.services.insert((namespace.to_owned(), name.to_owned(), port), router);
        self
    }

    /// Where its OpenAPI documents come from: `schema::document`.
    #[must_use]
    pub fn documents(mut self, documents: Documents) -> Self {
        self.documents = documents;
        self
    }

    /// The faults it has, shared with whoever sets them.
    #[must_use]
    pub fn faults(mut self, faults: Arc<Faults>) -> Self {
        self.faults = faults;
        self
    }

    /// Where clients reach it: `127.0.0.1:6443`.
    #[must_use]
    pub fn address(mut self, address: &str) -> Self {
        address.clone_into(&mut self.address);
        self
    }

    /// The routes.
    pub fn router(self) -> Router {
        let faults = self.faults.clone();
        faults.wrap(Router::new().fallback(handle).with_state(Arc::new(self)), faults::etcd_timeout)
    }

    async fn answer(self: Arc<Self>, request: Request) -> Answer {
        let (parts, body) = request.into_parts();
        let user = auth::user(&parts.headers, &self.tokens, &self.nobody, &self.store)?;
        let query = path::query(&parts.uri);
        let Some(place) = Place::of(parts.uri.path()) else { return self.other(&parts, &user) };
        let watch = path::flag(&query, "watch").unwrap_or(false) && place.name.is_empty();
        let verb = place.verb(&parts.method, watch);
        let mut deed = auth::deed(&place, verb);
        if deed.name.is_empty() && ["list", "watch", "deletecollection"].contains(&verb) {
            let one = query.get("fieldSelector").and_then(|f| f.strip_prefix("metadata.name="));
            deed.name = one.filter(|n| !n.contains(',')).unwrap_or_default().to_owned();
        }
        if !auth::may(&self.store, &user, &deed) {
            return Err(auth::forbidden(&user, &deed));
        }
        if parts.method == Method::POST && reviews::is(&place) {
            let bytes = body::read(body).await?;
            let bytes = body::object(&parts.headers, &bytes)?;
            let review = reviews::answer(&self.store, &user, &place, &bytes)?;
            return Ok(json_answer(StatusCode::CREATED, &review));
        }
        if place.group == "metrics.k8s.io" && parts.method == Method::GET {
            return self.measure(&place, &query);
        }
        if !place.group.is_empty() && discovery::versions(&self.store.registry, &place.group).is_empty() {
            return Ok(nothing());
        }
        let kind = self.kind(&place)?;
        let misplaced = match verb {
            "create" => !place.name.is_empty() && place.subresource.is_empty(),
            "update" | "patch" => place.name.is_empty(),
            _ => false,
        };
        let registry = &self.store.registry;
        if misplaced || !discovery::serves(registry, &kind, &place.version, &place.subresource, verb) {
            return Err(Status::new(
                405,
                "MethodNotAllowed",
                "the server does not allow this method on the requested resource",
            )
            .with(json!({})));
        }
        match place.subresource.as_str() {
            "proxy" => return proxy::answer(&self.store, &self.services, &place, parts, body).await,
            "log" => {
                let pod = self.store.get("pods", &place.namespace, &place.name);
                let pod = pod.ok_or_else(|| Status::not_found("", "pods", &place.name))?.value();
                return logs::answer(&self.machines, &pod, &query, self.faults.now());
            }
            _ => {}
        }
        let wanted = negotiate::wanted(&parts.headers)?;
        let asked = Asked { parts, query, place, kind, wanted };
        match verb {
            "get" => self.get(&asked),
            "list" => self.list(asked).await,
            "watch" => self.watch(asked),
            "delete" | "deletecollection" => self.delete(&asked, body).await,
            _ => self.write(&asked, body).await,
        }
    }

    fn measure(&self, place: &Place, query: &HashMap<String, String>) -> Answer {
        let kind = self.store.registry.get(&place.plural).ok_or_else(discovery::not_found)?;
        let options = options::Options::read(query, &kind)?;
        let asked = metrics::Asked { plural: &place.plural, namespace: &place.namespace, name: &place.name };
        let body = metrics::answer(&self.store, &self.machines, &asked, &options, self.faults.now())?;
        Ok(json_answer(StatusCode::OK, &body))
    }

    /// The kind a place is about, if it may be asked for like that.
    fn kind(&self, place: &Place) -> Result<Arc<Resource>, Status> {
        let kind = self.store.registry.find(&place.group, &place.version, &place.plural);
        let kind = kind.ok_or_else(discovery::not_found)?;
        let whole = kind.namespaced && place.namespace.is_empty() && !place.name.is_empty();
        let misplaced = !kind.namespaced && !place.namespace.is_empty() && kind.plural != "namespaces";
        let deeper = !place.subresource.is_empty() && !discovery::serves_any(&self.store.registry, &kind, place);
        if whole || misplaced || deeper { Err(discovery::not_found()) } else { Ok(kind) }
    }

    /// What is not about resources.
    fn other(&self, parts: &Parts, user: &User) -> Answer {
        let path = parts.uri.path();
        let verb = parts.method.as_str().to_lowercase();
        let deed = Deed { verb, path: path.to_owned(), ..Deed::default() };
        if !auth::may(&self.store, user, &deed) {
            return Err(auth::forbidden(user, &deed));
        }
        let registry = &self.store.registry;
        let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
        let form = negotiate::wanted(&parts.headers).ok().and_then(|w| w.aggregated);
        match (segments.as_slice(), form) {
            (["api"], Some(form)) => return Ok(aggregated(registry, true, form)),
            (["apis"], Some(form)) => return Ok(aggregated(registry, false, form)),
            _ => {}
        }
        let body = match segments.as_slice() {
            ["api"] => discovery::core(&self.address),
            ["apis"] => discovery::all(registry),
            ["api", version] => discovery::below(registry, "", Some(version))?,
            ["apis", group, ..] if discovery::versions(registry, group).is_empty() => return Ok(nothing()),
            ["apis", group] => discovery::below(registry, group, None)?,
            ["apis", group, version] => discovery::below(registry, group, Some(version))?,
            ["openapi", "v2"] => return Ok(([(header::CONTENT_TYPE, openapi::OLD)], openapi::old()).into_response()),
            ["openapi", "v3"] => openapi::index(&self.store),
            ["openapi", "v3", rest @ ..] => {
                openapi::document(&self.store, self.documents, rest).ok_or_else(discovery::not_found)?
            }
            ["version"] => version(),
            ["version", ..] => return Err(discovery::not_found()),
            ["healthz" | "livez" | "readyz", ..] => return Ok("ok".into_response()),
            _ => return Ok(nothing()),
        };
        Ok(json_answer(StatusCode::OK, &body))
    }

    fn stored(&self, asked: &Asked) -> Result<Arc<crate::sim::store::Stored>, Status> {
        let Asked { place, kind, .. } = asked;
        let namespace = if kind.namespaced { place.namespace.as_str() } else { "" };
        self.store
            .get(&view::storage(kind), namespace, &place.name)
            .ok_or_else(|| Status::not_found(&kind.group, &kind.plural, &place.name))
    }

    fn get(&self, asked: &Asked) -> Answer {
        let object = self.stored(asked)?;
        if asked.wanted == Wanted::default() && asked.place.subresource.is_empty() {
            let body = view::body(&object, &asked.kind, &asked.place.version).into_owned();
            return Ok(json_text(StatusCode::OK, body));
        }
        let object = object.value();
        if asked.place.subresource == "scale" {
            let scale = scale::of(&self.store, &asked.kind, &object);
            return Ok(json_answer(StatusCode::OK, &scale));
        }
        self.formed(asked, StatusCode::OK, view::outward(object, &asked.kind, &asked.place.version))
    }

    /// An object in the form that is wanted.
    fn formed(&self, asked: &Asked, code: StatusCode, object: Value) -> Answer {
        let body = match asked.wanted.form {
            // A Status stays one.
            _ if object["kind"] == "Status" => object,
            Form::Object => object,
            Form::Metadata(v) => view::metadata(&object, v),
            Form::Table(v) => {
                let include = Self::include(asked)?;
                let printer = Printer::new(&self.store, &asked.kind, &asked.place.version, include, v);
                let meta = json!({"resourceVersion": object["metadata"]["resourceVersion"]});
                printer.table(std::iter::once(object), meta, true)
            }
        };
        if asked.wanted.yaml {
            return yaml_answer(code, &body);
        }
        Ok(json_answer(code, &body))
    }

    fn include(asked: &Asked) -> Result<Include, Status> {
        let given = asked.query.get("includeObject").map(String::as_str).unwrap_or_default();
        Include::read(given).map_err(Status::bad_request)
    }

    async fn list(self: Arc<Self>, asked: Asked) -> Answer {
        let options = options::Options::read(&asked.query, &asked.kind)?;
        let include = Self::include(&asked)?;
        let yaml = asked.wanted.yaml;
        let long = self.store.count(&view::storage(&asked.kind)) > LONG;
        let api = self.clone();
        let make = move || -> Result<String, Status> {
            let Asked { place, kind, wanted, .. } = &asked;
            let namespace = Some(place.namespace.as_str()).filter(|n| !n.is_empty());
            let stale = api.faults.stale().map(|by| api.store.version().saturating_sub(by).max(api.store.oldest()));
            let page = list::page(&api.store, kind, namespace, &options, stale)?;
            Ok(list::render(&api.store, kind, &place.version, &page, *wanted, include))
        };
        let text = if long {
            let failed = |e: tokio::task::JoinError| Status::new(500, "InternalError", e.to_string());
            tokio::task::spawn_blocking(make).await.map_err(failed)??
        } else {
            make()?
        };
        if yaml {
            let value: Value =
                serde_json::from_str(&text).map_err(|e| Status::new(500, "InternalError", e.to_string()))?;
            return yaml_answer(StatusCode::OK, &value);
        }
        Ok(json_text(StatusCode::OK, text))
    }

    fn watch(self: Arc<Self>, asked: Asked) -> Answer {
        let options = options::Options::read(&asked.query, &asked.kind)?;
        let include = Self::include(&asked)?;
        let Asked { place, kind, wanted, .. } = asked;
        let request = watch::Request {
            kind,
            version: place.version,
            namespace: Some(place.namespace).filter(|n| !n.is_empty()),
            options,
            wanted,
            include,
        };
        let watch = watch::Watch::new(self.store.clone(), self.faults.clone(), request)?;
        let stream = futures::stream::unfold(watch, watch::Watch::next);
        Ok(([(header::CONTENT_TYPE, "application/json")], Body::from_stream(stream)).into_response())
    }

    async fn delete(&self, asked: &Asked, body: Body) -> Answer {
        let bytes = body::read(body).await?;
        let bytes = body::object(&asked.parts.headers, &bytes)?;
        let how = delete::read(&bytes, &asked.query)?;
        let Asked { place, kind, .. } = asked;
        if place.name.is_empty() {
            let options = options::Options::read(&asked.query, kind)?;
            let namespace = Some(place.namespace.as_str()).filter(|n| !n.is_empty());
            let page = delete::many(&self.store, kind, namespace, &options, &how)?;
            let include = Self::include(asked)?;
            let text = list::render(&self.store, kind, &place.version, &page, asked.wanted, include);
            return Ok(json_text(StatusCode::OK, text));
        }
        let namespace = if kind.namespaced { place.namespace.as_str() } else { "" };
        let answer = delete::one(&self.store, kind, &place.version, namespace, &place.name, &how)?;
        self.formed(asked, StatusCode::OK, answer)
    }
}

async fn handle(State(api): State<Arc<Api>>, request: Request) -> Response {
    api.answer(request).await.unwrap_or_else(|status| refusal(&status))
}

/// A Status as an answer.
fn refusal(status: &Status) -> Response {
    let code = StatusCode::from_u16(status.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut answer = json_answer(code, &status.body());
    if let Some(seconds) = status.details.get("retryAfterSeconds").and_then(Value::as_u64) {
        answer.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    answer
}

/// What paths get that belong to no group.
fn nothing() -> Response {
    (StatusCode::NOT_FOUND, "404 page not found\n").into_response()
}

fn json_answer(code: StatusCode, body: &Value) -> Response {
    json_text(code, format!("{body}\n"))
}

fn json_text(code: StatusCode, text: String) -> Response {
    let head = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-cache, private")];
    (code, head, Bytes::from(text)).into_response()
}

fn yaml_answer(code: StatusCode, body: &Value) -> Answer {
    let text = serde_saphyr::to_string(body).map_err(|e| Status::new(500, "InternalError", e.to_string()))?;
    Ok((code, [(header::CONTENT_TYPE, "application/yaml")], text).into_response())
}

fn aggregated(registry: &crate::sim::resource::Registry, core: bool, form: &str) -> Response {
    let kind = format!("application/json;g=apidiscovery.k8s.io;v={form};as=APIGroupDiscoveryList");
    ([(header::CONTENT_TYPE, kind)], discovery::aggregated(registry, core, form).to_string()).into_response()
}

fn version() -> Value {
    json!({
        "major": "1", "minor": "36", "emulationMajor": "1", "emulationMinor": "36", "minCompatibilityMajor": "1",
        "minCompatibilityMinor": "35", "gitVersion": "v1.36.3+sim", "gitCommit": "", "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z", "goVersion": "", "compiler": "", "platform": "linux/amd64",
    })
}
