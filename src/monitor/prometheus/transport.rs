//! Carries one request to Prometheus: to a URL, or through the API server's service proxy.

use super::error::PromError;
use crate::config::settings::Connection;
use crate::model::text::clean;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use std::path::PathBuf;
use std::time::Duration;

/// A request that is longer than this goes as a form body: many proxies cut URLs at 8 KiB.
const LONGEST_URL: usize = 6 * 1024;

/// A raw answer.
#[derive(Debug)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// `Content-Type`, lower case, may be empty.
    pub content_type: String,
    /// Body, decompressed.
    pub body: Vec<u8>,
}

/// How Prometheus is reached.
#[derive(Clone)]
pub enum Transport {
    /// Directly.
    Url(Box<UrlTransport>),
    /// Through the API server, with the rights of the kubeconfig's user (`get services/proxy`).
    ServiceProxy(Box<ServiceProxy>),
}

/// A base URL with everything that is needed to be let in.
#[derive(Clone)]
pub struct UrlTransport {
    base: reqwest::Url,
    http: reqwest::Client,
    token_file: Option<PathBuf>,
    user: Option<String>,
    password_file: Option<PathBuf>,
}

/// A port of a Service behind the API server.
#[derive(Clone)]
pub struct ServiceProxy {
    /// A client that does not retry: a proxy without endpoints answers 503, and waiting is our own business.
    pub client: kube::Client,
    /// Namespace of the Service.
    pub namespace: String,
    /// Name of the Service.
    pub service: String,
    /// Port name or number.
    pub port: String,
    /// Whether the backend speaks TLS.
    pub https: bool,
    /// Path before `/api/v1`, such as `/prometheus`; usually empty.
    pub prefix: String,
}

impl Transport {
    /// A transport to `url` with the credentials of the configuration. Reads the CA and the client
    /// certificate now; token and password files are read again with every request.
    pub fn url(url: &str, connection: &Connection) -> Result<Self, PromError> {
        let setup = |place: &str, why: String| PromError::Setup { place: place.into(), why };
        let base = url.trim().trim_end_matches('/');
        let base = base.strip_suffix("/api/v1").unwrap_or(base);
        let base = reqwest::Url::parse(base)
            .map_err(|e| setup(url, format!("not a URL ({e}); write it like http://prometheus.example:9090")))?;
        if !matches!(base.scheme(), "http" | "https") {
            return Err(setup(url, format!("{}:// is not spoken, only http:// and https://", base.scheme())));
        }
        // Two TLS users in one process need one agreed provider; whoever comes first installs it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = build_client(&base, connection)?;
        Ok(Self::Url(Box::new(UrlTransport {
            base,
            http,
            token_file: connection.prometheus_token_file.as_ref().map(PathBuf::from),
            user: connection.prometheus_user.clone(),
            password_file: connection.prometheus_password_file.as_ref().map(PathBuf::from),
        })))
    }

    /// How it is shown: the URL without credentials, or `service proxy ns/name:port`.
    pub fn place(&self) -> String {
        match self {
            Self::Url(t) => {
                let mut shown = t.base.clone();
                let _ = shown.set_password(None);
                let _ = shown.set_username("");
                shown.to_string().trim_end_matches('/').to_owned()
            }
            Self::ServiceProxy(p) => format!("service proxy {}/{}:{}{}", p.namespace, p.service, p.port, p.prefix),
        }
    }

    /// A place that is worth a try when this one turns out not to be a Prometheus API.
    pub(super) fn better_guess(&self) -> String {
        match self {
            Self::Url(t) if t.base.path().trim_matches('/').is_empty() => format!("{}/prometheus", self.place()),
            Self::Url(t) => {
                let mut root = t.base.clone();
                root.set_path("");
                root.to_string().trim_end_matches('/').to_owned()
            }
            Self::ServiceProxy(_) => "an own address, set with --prometheus URL".into(),
        }
    }

    /// What to do about a 401 or 403.
    pub(super) fn remedy(&self, code: u16) -> &'static str {
        match (self, code) {
            (Self::Url(_), 401) => {
                "Set connection.prometheus_token_file, or prometheus_user and prometheus_password_file"
            }
            (Self::Url(_), _) => {
                "The credentials are known but not allowed; a tenant header may be missing (connection.prometheus_headers, such as X-Scope-OrgID)"
            }
            (Self::ServiceProxy(_), 401) => {
                "The service proxy drops Authorization headers: set --prometheus URL and connection.prometheus_token_file"
            }
            (Self::ServiceProxy(_), _) => {
                "Grant `get` (and `create` for long queries) on services/proxy in that namespace, or set --prometheus URL"
            }
        }
    }

    /// Sends `parameters` to `path` (such as `/api/v1/query`): in the URL while they are short and in a form
    /// body when not and `may_post`. Waits at most `timeout`, holds at most `limit` bytes of answer.
    pub async fn send(
        &self,
        path: &str,
        parameters: &[(&str, String)],
        may_post: bool,
        timeout: Duration,
        limit: usize,
    ) -> Result<Reply, PromError> {
        let form = encode(parameters);
        let sent = async {
            match self {
                Self::Url(t) => t.send(self, path, &form, may_post, limit).await,
                Self::ServiceProxy(p) => p.send(self, path, &form, may_post, limit).await,
            }
        };
        match tokio::time::timeout(timeout, sent).await {
            Ok(done) => done,
            Err(_) => Err(PromError::Timeout { place: self.place(), after: timeout }),
        }
    }
}

/// `a=1&b=x+y`, as forms and queries are written.
fn encode(parameters: &[(&str, String)]) -> String {
    let mut form = reqwest::Url::parse("http://x").map(|mut url| {
        url.query_pairs_mut().extend_pairs(parameters.iter().map(|(k, v)| (*k, v.as_str())));
        url.query().unwrap_or_default().to_owned()
    });
    if parameters.is_empty() {
        form = Ok(String::new());
    }
    form.unwrap_or_default()
}

fn read(key: &str, path: &str) -> Result<Vec<u8>, PromError> {
    std::fs::read(path)
        .map_err(|e| PromError::Setup { place: format!("connection.{key} = {path}"), why: e.to_string() })
}

fn build_client(base: &reqwest::Url, connection: &Connection) -> Result<reqwest::Client, PromError> {
    let fresh = || -> Result<reqwest::ClientBuilder, PromError> {
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("kansole/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(Duration::from_secs(10));
        if let Some(path) = &connection.prometheus_identity_file {
            let key = "prometheus_identity_file";
            let identity = reqwest::Identity::from_pem(&read(key, path)?).map_err(|e| PromError::Setup {
                place: format!("connection.{key} = {path}"),
                why: format!("it must hold a PEM certificate and its private key ({})", chain(&e)),
            })?;
            builder = builder.identity(identity);
        }
        let mut headers = http::HeaderMap::new();
        for (name, value) in &connection.prometheus_headers {
            let bad = |why: String| PromError::Setup { place: format!("connection.prometheus_headers.{name}"), why };
            let name = http::HeaderName::try_from(name.as_str()).map_err(|e| bad(e.to_string()))?;
            let mut value = http::HeaderValue::try_from(value.as_str()).map_err(|e| bad(e.to_string()))?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        Ok(builder.default_headers(headers))
    };
    let setup = |e: &reqwest::Error| PromError::Setup { place: base.to_string(), why: chain(e) };
    if let Some(path) = &connection.prometheus_ca_file {
        let place = format!("connection.prometheus_ca_file = {path}");
        let pem = read("prometheus_ca_file", path)?;
        let certificates = reqwest::Certificate::from_pem_bundle(&pem)
            .ok()
            .filter(|list| !list.is_empty())
            .ok_or_else(|| PromError::Setup { place: place.clone(), why: "it holds no PEM certificate".into() })?;
        return fresh()?.tls_certs_only(certificates).build().map_err(|e| PromError::Setup { place, why: chain(&e) });
    }
    match fresh()?.build() {
        // Without the system's roots http:// must work all the same.
        Err(_) if base.scheme() == "http" => fresh()?.tls_certs_only([]).build().map_err(|e| setup(&e)),
        other => other.map_err(|e| setup(&e)),
    }
}

impl UrlTransport {
    async fn send(
        &self,
        whole: &Transport,
        path: &str,
        form: &str,
        may_post: bool,
        limit: usize,
    ) -> Result<Reply, PromError> {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{path}", self.base.path().trim_end_matches('/')));
        let post = may_post && form.len() > LONGEST_URL;
        let mut request = if post {
            self.http
                .post(url)
                .header(http::header::CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(form.to_owned())
        } else {
            url.set_query((!form.is_empty()).then_some(form));
            self.http.get(url)
        };
        // Read every time: tokens of service accounts are replaced on disk every hour.
        if let Some(file) = &self.token_file {
            request = request.bearer_auth(secret("prometheus_token_file", file).await?);
        } else if let Some(user) = &self.user {
            let password = match &self.password_file {
                Some(file) => Some(secret("prometheus_password_file", file).await?),
                None => None,
            };
            request = request.basic_auth(user, password);
        }
        let failed = |e: reqwest::Error| network_error(whole.place(), &e);
        let mut response = request.send().await.map_err(failed)?;
        let status = response.status().as_u16();
        let content_type = header(response.headers());
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > limit {
                return Err(PromError::TooLarge { place: whole.place(), limit });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Reply { status, content_type, body })
    }
}

async fn secret(key: &str, file: &std::path::Path) -> Result<String, PromError> {
    let text = tokio::fs::read_to_string(file).await.map_err(|e| PromError::Setup {
        place: format!("connection.{key} = {}", file.display()),
        why: e.to_string(),
    })?;
    Ok(text.trim().to_owned())
}

impl ServiceProxy {
    async fn send(
        &self,
        whole: &Transport,
        path: &str,
        form: &str,
        may_post: bool,
        limit: usize,
    ) -> Result<Reply, PromError> {
        let scheme = if self.https { "https:" } else { "" };
        let mut uri = format!(
            "/api/v1/namespaces/{}/services/{scheme}{}:{}/proxy{}{path}",
            self.namespace, self.service, self.port, self.prefix
        );
        // A GET needs only `get` on services/proxy, and looks like the read it is in audit logs.
        let post = may_post && form.len() > LONGEST_URL;
        if !post && !form.is_empty() {
            uri.push('?');
            uri.push_str(form);
        }
        let request = http::Request::builder().uri(uri).header(http::header::ACCEPT, "application/json");
        let request = if post {
            request
                .method(http::Method::POST)
                .header(http::header::CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(kube::client::Body::from(form.as_bytes().to_vec()))
        } else {
            request.method(http::Method::GET).body(kube::client::Body::empty())
        };
        let place = || whole.place();
        let request = request.map_err(|e| PromError::Setup { place: place(), why: e.to_string() })?;
        let response = self.client.send(request).await.map_err(|e| kube_error(place(), &e))?;
        let status = response.status().as_u16();
        let content_type = header(response.headers());
        let body = match Limited::new(response.into_body(), limit).collect().await {
            Ok(all) => all.to_bytes().to_vec(),
            Err(e) if e.is::<LengthLimitError>() => return Err(PromError::TooLarge { place: place(), limit }),
            Err(e) => return Err(PromError::Unreachable { place: place(), why: clean(&e.to_string()).into_owned() }),
        };
        Ok(Reply { status, content_type, body })
    }
}

fn header(headers: &http::HeaderMap) -> String {
    let text = headers.get(http::header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    clean(text).to_ascii_lowercase()
}

/// The whole chain of causes on one line: reqwest's own text says only "error sending request".
fn chain(e: &dyn std::error::Error) -> String {
    let mut text = String::new();
    let mut next = Some(e);
    while let Some(e) = next {
        let part = e.to_string();
        if !text.contains(&part) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&part);
        }
        next = e.source();
    }
    clean(&text).into_owned()
}

fn network_error(place: String, e: &reqwest::Error) -> PromError {
    let why = chain(&e);
    if is_tls(&why) { PromError::Tls { place, why } } else { PromError::Unreachable { place, why } }
}

fn kube_error(place: String, e: &kube::Error) -> PromError {
    let why = chain(e);
    PromError::Unreachable { place, why: format!("the API server: {why}") }
}

/// Neither reqwest nor hyper has a type for a failed handshake; rustls' words are all there is.
fn is_tls(why: &str) -> bool {
    ["certificate", "CertificateRequired", "HandshakeFailure", "TLS", "tls ", "corrupt message", "UnknownIssuer"]
        .iter()
        .any(|w| why.contains(w))
}
