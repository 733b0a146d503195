//! A small request every few seconds: is the API server there, how fast, and what time does it think it is?

use super::problem::Problem;
use super::watch::Message;
use crate::model::snapshot::{ApiHealth, SourceState};
use crate::model::time;
use crate::model::time::Timestamp;
use chrono::{DateTime, TimeDelta, Utc};
use kube::Client;
use kube::client::Body;
use std::collections::VecDeque;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, timeout};

/// Longest wait for an answer.
const ANSWER: Duration = Duration::from_secs(3);

/// How long a refusal counts.
const MEMORY: TimeDelta = TimeDelta::minutes(1);

/// Asks for ever, every `every`, until the receiver is gone.
pub async fn run(client: Client, every: Duration, out: mpsc::Sender<Message>) {
    let mut ticks = interval(time::real(every).max(Duration::from_millis(100)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut before = None;
    let mut refusals = VecDeque::new();
    loop {
        ticks.tick().await;
        let (mut health, throttled) = beat(&client, before.as_ref()).await;
        let now = time::now();
        refusals.extend(throttled.then_some(now));
        refusals.retain(|at| now.signed_duration_since(*at) < MEMORY);
        health.throttled = refusals.len() as u32;
        before = Some(health.state.clone());
        if out.send(Message::Api(health)).await.is_err() {
            return;
        }
    }
}

/// One request, and whether the server said that there are too many.
async fn beat(client: &Client, before: Option<&SourceState>) -> (ApiHealth, bool) {
    let asked = Instant::now();
    let answer = timeout(ANSWER, head(client)).await;
    let (took, now) = (asked.elapsed(), time::now());
    let throttled = matches!(answer, Ok(Ok((429, _))));
    let health = match answer {
        Ok(Ok((status, date))) if status < 500 => ApiHealth {
            throttled: 0,
            state: SourceState::Live { last: now },
            latency_ms: Some(took.as_secs_f64() * 1000.0),
            clock_skew_s: date.map(|d| skew(d, now, took)),
        },
        Ok(Ok((status, _))) => lost(before, now, &format!("the server answered {status}")),
        Ok(Err(problem)) => lost(before, now, &problem.why),
        Err(_) => lost(before, now, &format!("no answer within {} s", ANSWER.as_secs())),
    };
    (health, throttled)
}

/// Status and `Date` of an answer; the body is read so that the connection can be used again.
async fn head(client: &Client) -> Result<(u16, Option<Timestamp>), Problem> {
    let request =
        http::Request::get("/version").body(Body::empty()).map_err(|e| Problem::of(&kube::Error::HttpError(e)))?;
    let answer = client.send(request).await.map_err(|e| Problem::of(&e))?;
    let status = answer.status().as_u16();
    let date = answer.headers().get(http::header::DATE).and_then(|d| d.to_str().ok()).and_then(read_date);
    answer.into_body().collect_bytes().await.map_err(|e| Problem::of(&e))?;
    Ok((status, date))
}

fn read_date(raw: &str) -> Option<Timestamp> {
    DateTime::parse_from_rfc2822(raw).ok().map(|d| d.with_timezone(&Utc))
}

/// Server's clock minus ours, seconds. `Date` has whole seconds, cut off: half a second is the best guess
/// for the rest, and the answer was written half a round trip ago.
fn skew(date: Timestamp, now: Timestamp, took: Duration) -> f64 {
    let apart = date.signed_duration_since(now).num_milliseconds() as f64 / 1000.0;
    apart + 0.5 + took.as_secs_f64() / 2.0
}

fn lost(before: Option<&SourceState>, now: Timestamp, why: &str) -> ApiHealth {
    let since = if let Some(SourceState::Failed { since, .. }) = before { *since } else { now };
    let last = before.and_then(SourceState::last);
    ApiHealth {
        state: SourceState::Failed { since, last, why: why.into() },
        latency_ms: None,
        clock_skew_s: None,
        throttled: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_clock_is_compared_with_ours() {
        let date = read_date("Sat, 21 Nov 2026 06:18:27 GMT").unwrap();
        let now = date + chrono::TimeDelta::milliseconds(40_600);
        assert!((skew(date, now, Duration::from_millis(200)) + 40.0).abs() < 1e-9);
        assert_eq!(read_date("yesterday"), None);
    }
}
