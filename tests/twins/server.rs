//! The two servers, each behind a client that sends what it is given.

use http_body_util::BodyExt;
use kansole::sim::api::Api;
use kansole::sim::api::auth::User;
use kansole::sim::clock::Clock;
use kansole::sim::fields::Writer;
use kansole::sim::machine::Shared;
use kansole::sim::noise::Noise;
use kansole::sim::store::Store;
use kube::client::Body;
use kube::config::{AuthInfo, KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// The namespace of all cases.
pub const NAMESPACE: &str = "twins";

/// A server: a client with the administrator's rights, and one that brings no credentials of its own.
pub struct Server {
    admin: Client,
    stranger: Client,
}

/// The rig's.
pub async fn real() -> Server {
    // Fails only if it is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let path = std::env::var("KANSOLE_RIG_ADMIN").expect("run by tests/rig/rig run");
    let kubeconfig = Kubeconfig::read_from(path).expect("the rig's kubeconfig");
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.expect("a config");
    // A refusal is an answer to compare, not one to ask again after.
    config.default_retry = false;
    let admin = Client::try_from(config.clone()).expect("a client");
    config.auth_info = AuthInfo::default();
    let server = Server { admin, stranger: Client::try_from(config).expect("a client") };
    let old = format!("/api/v1/namespaces/{NAMESPACE}");
    if server.send("GET", &old, &[], Vec::new()).await.0 == 200 {
        server.send("DELETE", &old, &[], Vec::new()).await;
        while server.send("GET", &old, &[], Vec::new()).await.0 == 200 {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
    server.namespace().await;
    server
}

/// Ours, without controllers.
pub fn simulated() -> Server {
    let clock = Arc::new(Clock::new(chrono::Utc::now(), 1.0));
    let store = Arc::new(Store::new(clock, Noise::new(1)));
    for namespace in ["default", "kube-system", NAMESPACE] {
        let object = json!({
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": namespace, "labels": {"kubernetes.io/metadata.name": namespace}},
            "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"},
        });
        store.create("namespaces", object, Writer::of("kube-apiserver")).expect("an empty store takes it");
    }
    let api = Api::new(store, Shared::default())
        .documents(kansole::sim::schema::document)
        .nobody(User::new("admin", &["system:masters"]));
    let client = Client::new(api.router(), NAMESPACE);
    Server { admin: client.clone(), stranger: client }
}

impl Server {
    async fn namespace(&self) {
        let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}});
        let (code, answer) = self.send("POST", "/api/v1/namespaces", &[], body.to_string().into_bytes()).await;
        assert_eq!(code, 201, "{answer}");
    }

    fn request(method: &str, path: &str, headers: &[(String, String)], body: Vec<u8>) -> http::Request<Body> {
        let mut request = http::Request::builder().method(method).uri(path);
        let typed = headers.iter().any(|(k, _)| k == "content-type");
        if !body.is_empty() && !typed {
            request = request.header("content-type", "application/json");
        }
        // The field manager follows from the client's name.
        request = request.header("user-agent", "twins/1");
        for (name, value) in headers {
            request = request.header(name, value);
        }
        request.body(Body::from(body)).expect("a well-formed request")
    }

    /// Sends a request; the answer's code and body: JSON, or its text.
    pub async fn send(&self, method: &str, path: &str, headers: &[(String, String)], body: Vec<u8>) -> (u16, Value) {
        let with_token = headers.iter().any(|(k, _)| k == "authorization");
        let client = if with_token { &self.stranger } else { &self.admin };
        let answer = client.send(Self::request(method, path, headers, body)).await.expect("an answer");
        let code = answer.status().as_u16();
        let bytes = answer.into_body().collect().await.expect("a whole body").to_bytes();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        (code, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    /// Opens a watch and reads so many events, or those that come until it ends.
    pub async fn watch(&self, path: &str, headers: &[(String, String)], most: usize) -> (u16, Vec<Value>) {
        let answer = self.admin.send(Self::request("GET", path, headers, Vec::new())).await.expect("an answer");
        let code = answer.status().as_u16();
        let (mut body, mut bytes, mut events) = (answer.into_body(), Vec::new(), Vec::new());
        while events.len() < most {
            // Events that do not come are missing in the comparison.
            let Ok(Some(Ok(frame))) = timeout(Duration::from_secs(5), body.frame()).await else { break };
            bytes.extend_from_slice(frame.data_ref().map_or(&[][..], |d| d));
            while let Some(end) = bytes.iter().position(|b| *b == b'\n') {
                let line: Vec<u8> = bytes.drain(..=end).collect();
                events.push(serde_json::from_slice(&line).unwrap_or(Value::Null));
            }
        }
        if !bytes.is_empty() {
            events.push(serde_json::from_slice(&bytes).unwrap_or(Value::Null));
        }
        events.truncate(most);
        (code, events)
    }
}
