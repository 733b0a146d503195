//! Tests of the SLO windows: shares, dead counters, cadence.

use super::super::queries::tests::profile;
use super::*;
use crate::config::settings::Connection;
use crate::model::time;
use crate::monitor::prometheus::Transport;
use crate::monitor::prometheus::client::Limits;
use serde_json::json;
use std::collections::HashMap;
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

fn slo(indicator: Indicator) -> Slo {
    Slo { name: "s".into(), workload: "shop/Deployment/cart".into(), indicator, objective: 0.999, days: 30 }
}

/// A server on which 10 requests a second come in and 1 % fails; the counter is `age` seconds old.
async fn server(age: i64, requests: &'static str) -> (MockServer, PromClient) {
    let server = MockServer::start().await;
    let answer = move |request: &Request| {
        let pairs: HashMap<String, String> = request.url.query_pairs().into_owned().collect();
        let now = time::now().timestamp();
        if request.url.path().ends_with("/values") {
            return ResponseTemplate::new(200)
                .set_body_json(json!({"status": "success", "data": ["0.1", "0.30", "+Inf"]}));
        }
        let query = &pairs["query"];
        let value = if query.contains("min_over_time") {
            (now - 7200).to_string()
        } else if query.contains("timestamp(") {
            (now - age).to_string()
        } else if query.contains("code=~") {
            "0.1".into()
        } else if query.contains("le=~") {
            "9.5".into()
        } else {
            requests.to_owned()
        };
        let result = json!([{"metric": {}, "value": [now, value]}]);
        ResponseTemplate::new(200)
            .set_body_json(json!({"status": "success", "data": {"resultType": "vector", "result": result}}))
    };
    Mock::given(any()).respond_with(answer).mount(&server).await;
    let transport = Transport::url(&server.uri(), &Connection::default()).unwrap();
    let limits = Limits { timeout: std::time::Duration::from_secs(5), in_flight: 2, answer: 100_000 };
    (server, PromClient::new(transport, limits))
}

async fn fresh(slo: &Slo, age: i64, requests: &'static str) -> Kept {
    let (_server, client) = server(age, requests).await;
    refresh(&client, &profile(), slo, Kept::new(slo), Reach::Period, time::now()).await
}

#[tokio::test]
async fn every_window_has_its_share_and_the_period_is_what_the_server_holds() {
    let kept = fresh(&slo(Indicator::Errors), 0, "10").await;
    assert!(kept.readings.bad.iter().all(|r| r.fresh().is_some_and(|v| (v - 0.01).abs() < 1e-9)));
    assert_eq!(kept.readings.events.fresh(), Some(10.0));
    let (bad, seconds) = &kept.readings.period;
    assert!(bad.fresh().is_some() && (7190.0..7210.0).contains(seconds), "two hours, not thirty days: {seconds}");
}

#[tokio::test]
async fn slower_than_a_bound_is_all_but_the_bucket() {
    let kept = fresh(&slo(Indicator::LatencyAbove(0.3)), 0, "10").await;
    assert!(kept.readings.bad[0].fresh().is_some_and(|v| (v - 0.05).abs() < 1e-9), "{:?}", kept.readings.bad[0]);
    let kept = fresh(&slo(Indicator::LatencyAbove(0.25)), 0, "10").await;
    let Reading::Failed { why } = &kept.readings.bad[0] else { panic!("counted by another bound") };
    assert!(why.contains("0.25 s") && why.contains("0.1, 0.30, +Inf"), "{why}");
}

#[tokio::test]
async fn no_requests_and_dead_counters_are_not_a_good_share() {
    let kept = fresh(&slo(Indicator::Errors), 0, "0").await;
    assert_eq!(kept.readings.bad[0], Reading::Absent);
    assert_eq!(kept.readings.events.state(), "zero");
    let (_server, client) = server(600, "10").await;
    let mut before = Kept::new(&slo(Indicator::Errors));
    before.readings.bad[0] = Reading::Value { value: 0.5, at: time::now() - TimeDelta::seconds(1) };
    let kept = refresh(&client, &profile(), &slo(Indicator::Errors), before, Reach::Period, time::now()).await;
    assert_eq!(kept.readings.bad[0].state(), "stale");
    assert_eq!(kept.readings.bad[1], Reading::Absent);
}

#[tokio::test]
async fn own_queries_get_their_window_and_bad_names_say_so() {
    let own =
        Indicator::Query { bad: "sum(rate(e{code=~\"5..\"}[$window]))".into(), total: "sum(rate(t[$window]))".into() };
    let (server, client) = server(0, "10").await;
    let kept = refresh(&client, &profile(), &slo(own.clone()), Kept::new(&slo(own)), Reach::Period, time::now()).await;
    assert!(kept.readings.bad[6].fresh().is_some());
    let asked = server.received_requests().await.unwrap();
    assert!(asked.iter().any(|r| r.url.query().unwrap_or_default().contains("%5B3d%5D")));
    let bad = Slo { workload: "cart".into(), ..slo(Indicator::Errors) };
    let kept = refresh(&client, &profile(), &bad, Kept::new(&bad), Reach::Period, time::now()).await;
    assert!(matches!(&kept.readings.events, Reading::Failed { why } if why.contains("namespace/Kind/name")));
}

#[tokio::test]
async fn long_windows_are_not_asked_every_minute() {
    let (server, client) = server(0, "10").await;
    let (slo, now) = (slo(Indicator::Errors), time::now());
    let first = refresh(&client, &profile(), &slo, Kept::new(&slo), Reach::Period, now).await;
    let before = server.received_requests().await.unwrap().len();
    refresh(&client, &profile(), &slo, first, Reach::Period, now + TimeDelta::seconds(60)).await;
    let asked: Vec<String> =
        server.received_requests().await.unwrap()[before..].iter().map(|r| r.url.to_string()).collect();
    assert!(asked.iter().any(|u| u.contains("%5B5m%5D")));
    assert!(!asked.iter().any(|u| u.contains("%5B3d%5D") || u.contains("%5B1d%5D")), "{asked:?}");
}

#[tokio::test]
async fn hours_are_told_before_days_are_asked() {
    let (server, client) = server(0, "10").await;
    let slo = slo(Indicator::Errors);
    let first = refresh(&client, &profile(), &slo, Kept::new(&slo), Reach::Hours, time::now()).await;
    let known: Vec<bool> = first.readings.bad.iter().map(|r| r.fresh().is_some()).collect();
    assert_eq!(known, [true, true, true, true, true, false, false]);
    assert!(
        matches!(&first.readings.bad[6], Reading::Failed { why } if &**why == "not asked yet"),
        "not: no such series"
    );
    let before = server.received_requests().await.unwrap().len();
    let then = refresh(&client, &profile(), &slo, first, Reach::Period, time::now()).await;
    assert!(then.readings.bad.iter().all(|r| r.fresh().is_some()) && then.readings.period.0.fresh().is_some());
    let again = server.received_requests().await.unwrap()[before..].iter().any(|r| r.url.as_str().contains("%5B5m%5D"));
    assert!(!again, "what is fresh is not asked twice");
}
