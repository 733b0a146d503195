//! One receiver's task: sends alerts in order, tries again where that can help, and reports what it could not send.
//! The URL of a webhook is a secret: it is in no log, no message and no error.

use super::{Alert, words};
use crate::autopilot::engine::Note;
use crate::config::settings::Notify;
use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode, header};
use std::time::Duration;
use tokio::sync::mpsc;

/// Attempts at one alert.
const ATTEMPTS: u32 = 5;
/// Wait after the first failure; doubles. In real time, for receivers are people.
const WAIT: Duration = Duration::from_secs(2);
/// Longest wait that a receiver may ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(120);
/// Longest wait for one answer.
const ANSWER: Duration = Duration::from_secs(10);

/// Where alerts go, and how this receiver is called in messages.
pub(super) struct Receiver {
    pub name: String,
    pub settings: Notify,
}

/// Why an alert did not arrive.
enum Failed {
    /// Another attempt can help, after this wait if the receiver named one.
    Retry(String, Option<Duration>),
    /// It cannot.
    Final(String),
}

/// Sends until the loop has ended.
pub(super) async fn run(receiver: Receiver, mut alerts: mpsc::Receiver<Alert>, notes: mpsc::Sender<Note>) {
    while let Some(alert) = alerts.recv().await {
        if let Err(why) = deliver(&receiver, &alert, WAIT).await {
            let text = format!("{} was not told of {:?}: {why}", receiver.name, alert.title);
            if notes.send(Note::NotDelivered(text)).await.is_err() {
                return;
            }
        }
    }
}

/// One alert, with its attempts. The configuration's files and variables are read each time: keys are rolled.
async fn deliver(receiver: &Receiver, alert: &Alert, mut wait: Duration) -> Result<(), String> {
    let client =
        Client::builder().timeout(ANSWER).redirect(Policy::none()).build().map_err(|e| e.without_url().to_string())?;
    let body = words::body(alert, receiver.settings.format);
    let mut last = String::new();
    for attempt in 1..=ATTEMPTS {
        match once(&client, receiver, &body).await {
            Ok(()) => return Ok(()),
            Err(Failed::Final(why)) => return Err(why),
            Err(Failed::Retry(why, asked)) => {
                last = why;
                if attempt < ATTEMPTS {
                    tokio::time::sleep(asked.unwrap_or(wait).min(LONGEST_WAIT)).await;
                    wait *= 2;
                }
            }
        }
    }
    Err(format!("{last}, after {ATTEMPTS} attempts"))
}

async fn once(client: &Client, receiver: &Receiver, body: &[u8]) -> Result<(), Failed> {
    let s = &receiver.settings;
    let url = s.target().map_err(Failed::Final)?;
    let mut request = client.post(url).header(header::CONTENT_TYPE, "application/json").body(body.to_vec());
    if let Some(file) = &s.secret_file {
        let key = std::fs::read(file).map_err(|e| Failed::Final(format!("{file} cannot be read: {e}")))?;
        let key = key.trim_ascii();
        if key.is_empty() {
            return Err(Failed::Final(format!("{file} holds no key")));
        }
        request = request.header("X-Kansole-Signature-256", words::signature(key, body));
    }
    let answer = request.send().await.map_err(|e| {
        let what = if e.is_timeout() { "no answer in time".to_owned() } else { causes(&e.without_url()) };
        Failed::Retry(what, None)
    })?;
    let status = answer.status();
    if status.is_success() {
        return Ok(());
    }
    let why = format!("the receiver answered {status}");
    if status == StatusCode::TOO_MANY_REQUESTS || status == StatusCode::REQUEST_TIMEOUT || status.is_server_error() {
        let asked = answer.headers().get(header::RETRY_AFTER).and_then(|v| v.to_str().ok()?.trim().parse().ok());
        return Err(Failed::Retry(why, asked.map(Duration::from_secs)));
    }
    Err(Failed::Final(why))
}

/// An error with its causes: reqwest's own words say only that sending failed.
fn causes(e: &(dyn std::error::Error + 'static)) -> String {
    let mut text = e.to_string();
    let mut next = e.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    crate::model::text::clean(&text).into_owned()
}

#[cfg(test)]
mod tests;
