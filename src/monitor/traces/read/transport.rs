//! Carries one GET to a trace backend: to a URL, or through the API server's service proxy.

use super::error::ReadError;
use crate::config::settings;
use crate::model::text::clean;
use http::HeaderValue;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use std::path::PathBuf;
use std::time::Duration;

/// Longest wait for an answer.
const TIMEOUT: Duration = Duration::from_secs(20);
/// Largest answer, bytes.
const LARGEST: usize = 16 * 1024 * 1024;
/// The header that names the tenant, in Tempo and whatever is like it.
const TENANT: &str = "X-Scope-OrgID";

/// How a backend is reached.
#[derive(Clone)]
enum Way {
    Url { base: reqwest::Url, http: reqwest::Client, token_file: Option<PathBuf> },
    Proxy { client: kube::Client, service: Place },
}

/// A port of a Service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub service: String,
    /// The port's number.
    pub port: i32,
}

/// A trace backend.
#[derive(Clone)]
pub struct Backend {
    way: Way,
    tenant: Option<HeaderValue>,
}

/// A raw answer.
#[derive(Debug)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Body, decompressed.
    pub body: Vec<u8>,
}

impl Backend {
    /// A backend at a URL. Reads the CA now; the token is read again with every request.
    pub fn url(url: &str, settings: &settings::Traces) -> Result<Self, ReadError> {
        let setup = |place: &str, why: String| ReadError::Setup { place: place.into(), why };
        let base = reqwest::Url::parse(url.trim().trim_end_matches('/'))
            .map_err(|e| setup(url, format!("not a URL ({e}); write it like http://jaeger.example:16686")))?;
        // Both TLS users in one process need one agreed provider; whoever comes first installs it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = || {
            reqwest::Client::builder()
                .user_agent(concat!("kansole/", env!("CARGO_PKG_VERSION")))
                .connect_timeout(Duration::from_secs(10))
        };
        let built = match &settings.ca_file {
            Some(path) => {
                let place = format!("traces.ca_file = {path}");
                let pem = std::fs::read(path).map_err(|e| setup(&place, e.to_string()))?;
                let certificates = reqwest::Certificate::from_pem_bundle(&pem)
                    .ok()
                    .filter(|list| !list.is_empty())
                    .ok_or_else(|| setup(&place, "it holds no PEM certificate".into()))?;
                builder().tls_certs_only(certificates).build()
            }
            // Without the system's roots http:// must work all the same.
            None if base.scheme() == "http" => builder().tls_certs_only([]).build(),
            None => builder().build(),
        };
        let http = built.map_err(|e| setup(url, chain(&e)))?;
        let token_file = settings.token_file.as_ref().map(PathBuf::from);
        Ok(Self { way: Way::Url { base, http, token_file }, tenant: tenant(settings) })
    }

    /// A backend behind the API server.
    pub fn proxy(client: kube::Client, service: Place, settings: &settings::Traces) -> Self {
        Self { way: Way::Proxy { client, service }, tenant: tenant(settings) }
    }

    /// How it is shown: the URL without credentials, or the service.
    pub fn place(&self) -> String {
        match &self.way {
            Way::Url { base, .. } => {
                let mut shown = base.clone();
                let _ = shown.set_password(None);
                let _ = shown.set_username("");
                shown.to_string().trim_end_matches('/').to_owned()
            }
            Way::Proxy { service, .. } => {
                format!("service proxy {}/{}:{}", service.namespace, service.service, service.port)
            }
        }
    }

    /// What would let us in after a 401 or 403.
    fn remedy(&self, code: u16) -> &'static str {
        match (&self.way, code) {
            (Way::Proxy { .. }, 403) => {
                "Grant `get` on services/proxy in that namespace, set --traces URL, or set traces.tenant if it wants one"
            }
            _ => "Set traces.token_file, or traces.tenant if it wants one (X-Scope-OrgID)",
        }
    }

    /// Asks for `path` (such as `/api/services`). Any status is an answer.
    pub async fn get(&self, path: &str, parameters: &[(&str, String)]) -> Result<Reply, ReadError> {
        let sent = async {
            match &self.way {
                Way::Url { base, http, token_file } => {
                    self.by_url(base, http, token_file.as_ref(), path, parameters).await
                }
                Way::Proxy { client, service } => self.by_proxy(client, service, path, parameters).await,
            }
        };
        match tokio::time::timeout(TIMEOUT, sent).await {
            Ok(done) => done,
            Err(_) => Err(self.unreachable(format!("no answer within {} s", TIMEOUT.as_secs()))),
        }
    }

    /// Asks for `path`; anything but 200 is an error. `None`: 404.
    pub async fn body(&self, path: &str, parameters: &[(&str, String)]) -> Result<Option<Vec<u8>>, ReadError> {
        let reply = self.get(path, parameters).await?;
        match reply.status {
            200 => Ok(Some(reply.body)),
            404 => Ok(None),
            _ => Err(self.refusal(path, &reply)),
        }
    }

    /// The error of an answer that is no success.
    pub fn refusal(&self, path: &str, reply: &Reply) -> ReadError {
        let start = String::from_utf8_lossy(&reply.body[..reply.body.len().min(300)]).into_owned();
        let (place, code, why) = (self.place(), reply.status, clean(start.trim()).into_owned());
        match code {
            401 | 403 => ReadError::Denied { place, code, why, remedy: self.remedy(code) },
            _ => ReadError::Answer { place, path: path.into(), what: format!("it answered {code}: {why}") },
        }
    }

    fn unreachable(&self, why: String) -> ReadError {
        ReadError::Unreachable { place: self.place(), why }
    }

    fn too_large(&self, path: &str) -> ReadError {
        let what = format!("its answer is larger than {LARGEST} bytes and was not read");
        ReadError::Answer { place: self.place(), path: path.into(), what }
    }

    async fn by_url(
        &self,
        base: &reqwest::Url,
        http: &reqwest::Client,
        token_file: Option<&PathBuf>,
        path: &str,
        parameters: &[(&str, String)],
    ) -> Result<Reply, ReadError> {
        let mut url = base.clone();
        url.set_path(&format!("{}{path}", base.path().trim_end_matches('/')));
        let mut request = http.get(url).query(parameters).header(http::header::ACCEPT, "application/json");
        if let Some(tenant) = &self.tenant {
            request = request.header(TENANT, tenant);
        }
        if let Some(file) = token_file {
            let token = tokio::fs::read_to_string(file).await.map_err(|e| ReadError::Setup {
                place: format!("traces.token_file = {}", file.display()),
                why: e.to_string(),
            })?;
            request = request.bearer_auth(token.trim());
        }
        let mut response = request.send().await.map_err(|e| self.unreachable(chain(&e)))?;
        let status = response.status().as_u16();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|e| self.unreachable(chain(&e)))? {
            if body.len() + chunk.len() > LARGEST {
                return Err(self.too_large(path));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Reply { status, body })
    }

    async fn by_proxy(
        &self,
        client: &kube::Client,
        service: &Place,
        path: &str,
        parameters: &[(&str, String)],
    ) -> Result<Reply, ReadError> {
        let Place { namespace, service, port } = service;
        let mut uri = format!("/api/v1/namespaces/{namespace}/services/{service}:{port}/proxy{path}");
        if !parameters.is_empty() {
            uri.push('?');
            uri.push_str(&form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish());
        }
        let mut request = http::Request::get(uri).header(http::header::ACCEPT, "application/json");
        if let Some(tenant) = &self.tenant {
            request = request.header(TENANT, tenant);
        }
        let request = request
            .body(kube::client::Body::empty())
            .map_err(|e| ReadError::Setup { place: self.place(), why: e.to_string() })?;
        let response =
            client.send(request).await.map_err(|e| self.unreachable(format!("the API server: {}", chain(&e))))?;
        let status = response.status().as_u16();
        match Limited::new(response.into_body(), LARGEST).collect().await {
            Ok(all) => Ok(Reply { status, body: all.to_bytes().to_vec() }),
            Err(e) if e.is::<LengthLimitError>() => Err(self.too_large(path)),
            Err(e) => Err(self.unreachable(clean(&e.to_string()).into_owned())),
        }
    }
}

fn tenant(settings: &settings::Traces) -> Option<HeaderValue> {
    settings.tenant.as_ref().and_then(|t| HeaderValue::try_from(t.as_str()).ok())
}

/// The whole chain of causes on one line: reqwest's own text says only "error sending request".
fn chain(e: &dyn std::error::Error) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut next = Some(e);
    while let Some(e) = next {
        let part = e.to_string();
        if !parts.contains(&part) {
            parts.push(part);
        }
        next = e.source();
    }
    clean(&parts.join(": ")).into_owned()
}
