//! Walk h: somebody who does not look is called, once, when a proposal waits for them.

use super::{LONG, Rig, SHORT, console, oom_proposal, quit};
use serde_json::Value;
use wiremock::matchers::method;
use wiremock::{Mock, MockServer, ResponseTemplate};

#[test]
fn h_a_proposal_that_waits_calls_a_person_once() {
    let rig = Rig::here();
    rig.delete(&["deploy/ledger"]);
    rig.rig(&["apply", "oom"]);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let server = runtime.block_on(MockServer::start());
    runtime.block_on(Mock::given(method("POST")).respond_with(ResponseTemplate::new(204)).mount(&server));
    let key = rig.state.path().join("key");
    std::fs::write(&key, "s3cret").unwrap();
    let hook = format!(
        "[[notify]]\nurl = \"{}/hook\"\nformat = \"json\"\nsecret_file = \"{}\"\n",
        server.uri(),
        key.display()
    );
    let config = rig.config(&hook);
    let mut term = console(&rig, &config, &[]);
    let (id, _) = oom_proposal(&rig, &config);
    let calls = || -> Vec<Value> {
        let all = runtime.block_on(server.received_requests()).unwrap();
        assert!(all.iter().all(|r| r.headers["x-kansole-signature-256"].to_str().unwrap().starts_with("sha256=")));
        all.iter()
            .map(|r| serde_json::from_slice(&r.body).unwrap())
            .filter(|v: &Value| v["action"].as_str().is_some_and(|a| a.starts_with("ledger-oom")))
            .collect()
    };
    let first = rig.until("the call", LONG, calls, |c| !c.is_empty());
    // The context by its name, as the user knows the cluster.
    let context = rig.json(&config, &["once"])["cluster"]["context"].clone();
    assert_eq!((&first[0]["event"], &first[0]["cluster"]), (&"approval".into(), &context), "{first:?}");
    assert!(first[0]["action"].as_str().unwrap().starts_with("ledger-oom"), "{id}: {first:?}");
    // Further rounds, which plan everything anew, are no news.
    for _ in 0..3 {
        term.keys("\u{12}");
        term.expect("round finished", SHORT);
        term.keys("5"); // so that the next message is seen to come
        term.keys("4");
    }
    let all = calls();
    assert_eq!(all.len(), 1, "{all:?}");
    quit(term);
    rig.delete(&["deploy/ledger"]);
}
