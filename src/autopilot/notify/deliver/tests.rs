//! Receivers that answer well, late, wrongly and not at all.

use super::*;
use crate::config::settings::{Notice, NotifyFormat, Secret};
use wiremock::matchers::{header as has, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

const SOON: Duration = Duration::from_millis(1);

fn receiver(url: &str, format: NotifyFormat) -> Receiver {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let settings =
        Notify { url: Secret(url.into()), url_env: None, format, secret_file: None, on: Notice::ALL.to_vec() };
    Receiver { name: "notify[0]".into(), settings }
}

fn alert() -> Alert {
    Alert {
        event: Notice::Paused,
        at: crate::model::time::now(),
        cluster: "prod".into(),
        title: "auto has stopped".into(),
        text: "the Lease is lost".into(),
        action: None,
    }
}

#[tokio::test]
async fn a_signed_body_arrives_as_it_was_signed() {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .and(path("/hook"))
        .and(has("content-type", "application/json"))
        .respond_with(ResponseTemplate::new(204))
        .expect(1)
        .mount(&server)
        .await;
    let dir = tempfile::tempdir().unwrap();
    let key = dir.path().join("key");
    std::fs::write(&key, "s3cret\n").unwrap();
    let mut to = receiver(&format!("{}/hook", server.uri()), NotifyFormat::Json);
    to.settings.secret_file = Some(key.display().to_string());
    assert_eq!(deliver(&to, &alert(), SOON).await, Ok(()));
    let got = &server.received_requests().await.unwrap()[0];
    assert_eq!(got.headers["x-kansole-signature-256"].to_str().unwrap(), words::signature(b"s3cret", &got.body));
    std::fs::write(&key, " \n").unwrap();
    assert!(deliver(&to, &alert(), SOON).await.unwrap_err().contains("holds no key"), "never unsigned instead");
}

#[tokio::test]
async fn what_may_pass_is_tried_again_and_what_is_refused_is_not() {
    let server = MockServer::start().await;
    Mock::given(path("/busy")).respond_with(ResponseTemplate::new(503)).up_to_n_times(2).mount(&server).await;
    Mock::given(path("/busy")).respond_with(ResponseTemplate::new(200)).expect(1).mount(&server).await;
    Mock::given(path("/down"))
        .respond_with(ResponseTemplate::new(500))
        .expect(u64::from(ATTEMPTS))
        .mount(&server)
        .await;
    Mock::given(path("/gone")).respond_with(ResponseTemplate::new(404)).expect(1).mount(&server).await;
    let away = ResponseTemplate::new(302).insert_header("location", format!("{}/elsewhere", server.uri()).as_str());
    Mock::given(path("/moved")).respond_with(away).expect(1).mount(&server).await;
    Mock::given(path("/elsewhere")).respond_with(ResponseTemplate::new(200)).expect(0).mount(&server).await;
    let send = async |at: &str| {
        deliver(&receiver(&format!("{}{at}", server.uri()), NotifyFormat::Slack), &alert(), SOON).await
    };
    assert_eq!(send("/busy").await, Ok(()));
    assert!(send("/down").await.unwrap_err().contains("500 Internal Server Error, after 5 attempts"));
    assert!(send("/gone").await.unwrap_err().contains("404"));
    assert!(send("/moved").await.unwrap_err().contains("302"), "a redirect would carry it to somebody else");
}

#[tokio::test]
async fn a_failure_is_told_without_the_url() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    drop(taken);
    let to = receiver(&format!("http://127.0.0.1:{port}/services/T0/B0/token"), NotifyFormat::Slack);
    let (tx, rx) = mpsc::channel(4);
    let (notes, mut told) = mpsc::channel(4);
    let why = deliver(&to, &alert(), SOON).await.unwrap_err();
    assert!(!why.contains("token") && why.contains("attempts"), "{why}");
    assert!(!format!("{:?}", to.settings).contains("token"), "nor by a log of the settings");
    let mut bad = receiver("", NotifyFormat::Slack);
    bad.settings.url_env = Some("KANSOLE_TEST_NOT_SET".into());
    tx.send(alert()).await.unwrap();
    drop(tx);
    run(bad, rx, notes).await;
    let Some(Note::NotDelivered(text)) = told.recv().await else { panic!("nothing told") };
    assert!(text.contains("notify[0]") && text.contains("KANSOLE_TEST_NOT_SET"), "{text}");
}
