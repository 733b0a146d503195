//! Every way a kubeconfig or a server can be wrong has its own words: the place and the remedy.

use super::*;
use serde_json::json;
use std::path::Path;
use wiremock::matchers::path;
use wiremock::{Mock, MockServer, ResponseTemplate};

fn write(dir: &Path, text: &str) -> ConnectOptions {
    let file = dir.join("config");
    std::fs::write(&file, text).unwrap();
    ConnectOptions { kubeconfig: Some(file), ..ConnectOptions::default() }
}

fn config(server: &str, user: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: b\nclusters:\n- name: c\n  cluster:\n    server: {server}\n\
         contexts:\n- name: a\n  context: {{cluster: c, user: u}}\n- name: b\n  context: {{cluster: c, user: u, namespace: team}}\n\
         - name: broken\n  context: {{cluster: nowhere, user: u}}\nusers:\n- name: u\n  user:\n{user}"
    )
}

const TOKEN: &str = "    token: t0ps3cret\n";

async fn error(options: &ConnectOptions) -> String {
    connect(options).await.unwrap_err().to_string()
}

#[tokio::test]
async fn a_missing_file_and_a_malformed_one_are_named_with_line_and_column() {
    let dir = tempfile::tempdir().unwrap();
    let missing = ConnectOptions { kubeconfig: Some(dir.path().join("none")), ..ConnectOptions::default() };
    let said = error(&missing).await;
    assert!(said.contains("none: no such file") && said.contains("--kubeconfig"), "{said}");
    let options = write(dir.path(), "apiVersion: v1\nusers:\n- name: u\n  user: {token: t0ps3cret\nclusters: []\n");
    let said = error(&options).await;
    let place = format!("{}:", options.kubeconfig.unwrap().display());
    let (_, after) = said.split_once(&place).unwrap();
    assert!(after.split(':').next().unwrap().parse::<u64>().unwrap() >= 4, "{said}");
    assert!(!said.contains("t0ps3cret"), "the file's text is not shown: {said}");
}

#[tokio::test]
async fn an_unknown_context_lists_the_known_ones_current_first() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = write(dir.path(), &config("http://127.0.0.1:1", TOKEN));
    assert_eq!(contexts(&options).unwrap().iter().map(|c| &**c).collect::<Vec<_>>(), ["b", "a", "broken"]);
    options.context = Some("nope".to_owned());
    assert_eq!(error(&options).await, "the kubeconfig has no context \"nope\"; it has: a, b, broken");
    options.context = Some("broken".to_owned());
    let said = error(&options).await;
    assert!(said.starts_with("context \"broken\":") && said.contains("nowhere"), "{said}");
}

#[tokio::test]
async fn nobody_listening_is_said_with_the_address() {
    let dir = tempfile::tempdir().unwrap();
    let said = error(&write(dir.path(), &config("http://127.0.0.1:1", TOKEN))).await;
    assert!(said.starts_with("http://127.0.0.1:1: cannot be reached: Connection refused"), "{said}");
}

#[cfg(unix)]
#[tokio::test]
async fn a_failing_credential_plugin_is_quoted_without_its_control_characters() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let plugin = dir.path().join("login");
    std::fs::write(&plugin, "#!/bin/sh\nread answer\nprintf 'session \\033[31mexpired\\n' >&2\nexit 3\n").unwrap();
    std::fs::set_permissions(&plugin, std::fs::Permissions::from_mode(0o755)).unwrap();
    let user = format!(
        "    exec:\n      apiVersion: client.authentication.k8s.io/v1\n      command: {}\n      interactiveMode: Always\n\
         \x20     installHint: get it from example.com\n      env: [{{name: PASSWORD, value: t0ps3cret}}]\n",
        plugin.display()
    );
    let said = error(&write(dir.path(), &config("http://127.0.0.1:1", &user))).await;
    assert!(said.contains("it ended with exit status: 3 and said: session [31mexpired"), "{said}");
    assert!(said.contains("get it from example.com") && !said.contains("t0ps3cret"), "{said}");
    std::fs::remove_file(&plugin).unwrap();
    let said = error(&write(dir.path(), &config("http://127.0.0.1:1", &user))).await;
    assert!(said.contains("it cannot be started"), "{said}");
}

async fn server(kube_system: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    let version = ResponseTemplate::new(200).set_body_json(json!({"gitVersion": "v1.36.2"}));
    Mock::given(path("/version")).respond_with(version).mount(&server).await;
    Mock::given(path("/api/v1/namespaces/kube-system")).respond_with(kube_system).mount(&server).await;
    server
}

#[tokio::test]
async fn a_cluster_is_known_by_its_uid_or_by_its_address_where_that_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let known = server(ResponseTemplate::new(200).set_body_json(json!({"metadata": {"uid": "u-1"}}))).await;
    let options = write(dir.path(), &config(&known.uri(), TOKEN));
    let connection = connect(&ConnectOptions { namespaces: vec!["team".to_owned()], ..options }).await.unwrap();
    assert_eq!((&*connection.info.id, &connection.id_source), ("u-1", &IdSource::KubeSystem));
    assert_eq!((&*connection.info.version, &*connection.info.context, &*connection.info.user), ("v1.36.2", "b", "u"));
    assert_eq!(connection.context_namespace.as_deref(), Some("team"));
    assert_eq!(connection.info.namespaces.as_deref().map(<[_]>::len), Some(1));

    let refused =
        server(ResponseTemplate::new(403).set_body_json(json!({"code": 403, "message": "no", "reason": "Forbidden"})))
            .await;
    let options = write(dir.path(), &config(&refused.uri(), TOKEN));
    let (once, again) = (connect(&options).await.unwrap(), connect(&options).await.unwrap());
    assert!(once.info.id.starts_with("server-") && once.info.id == again.info.id);
    assert!(matches!(&once.id_source, IdSource::Server(why) if why.contains("403")));
}

#[tokio::test]
async fn an_expired_token_is_no_cluster() {
    let dir = tempfile::tempdir().unwrap();
    let body = json!({"kind": "Status", "status": "Failure", "code": 401, "message": "Unauthorized", "reason": "Unauthorized"});
    let server = server(ResponseTemplate::new(401).set_body_json(body)).await;
    let said = error(&write(dir.path(), &config(&server.uri(), TOKEN))).await;
    assert!(said.contains("401") && said.contains("log in again") && said.contains("\"b\""), "{said}");
}

#[tokio::test]
async fn a_server_that_answers_html_is_no_cluster() {
    let dir = tempfile::tempdir().unwrap();
    let server = MockServer::start().await;
    Mock::given(wiremock::matchers::any())
        .respond_with(ResponseTemplate::new(200).set_body_string("<html>login</html>"))
        .mount(&server)
        .await;
    let said = error(&write(dir.path(), &config(&server.uri(), TOKEN))).await;
    assert!(said.starts_with(&format!("{}: this is no Kubernetes API", server.uri())), "{said}");
}
