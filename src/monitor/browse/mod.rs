//! Any kind of object, read when somebody looks at it: which kinds there are, their lists as the server's own Tables, and
//! one object described or compared with what was applied.

pub mod applied;
pub mod describe;
pub mod kinds;
pub mod table;
#[cfg(test)]
mod tests;

use super::problem::{Problem, Trouble};
use http::header::ACCEPT;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use kube::Client;
use kube::client::Body;
use serde::de::DeserializeOwned;
use std::time::Duration;
use tokio::time::timeout;

/// Longest wait for an answer and its body.
const ANSWER: Duration = Duration::from_secs(20);

/// Largest answer that is read, in bytes: a page of 500 objects with their metadata is a few megabytes.
const LARGEST: usize = 64 << 20;

/// One GET with a wanted form, read within bounds of time and size.
async fn get<T: DeserializeOwned>(client: &Client, path: &str, accept: &str) -> Result<T, Problem> {
    let request = http::Request::get(path).header(ACCEPT, accept).body(Body::empty());
    let request = request.map_err(|e| Problem::of(&kube::Error::HttpError(e)))?;
    let asked = async {
        let answer = client.send(request).await.map_err(|e| Problem::of(&e))?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), LARGEST).collect().await.map_err(|e| {
            if e.downcast_ref::<LengthLimitError>().is_some() {
                garbled(format!("the answer is larger than {} MiB: choose a namespace", LARGEST >> 20))
            } else {
                Problem { trouble: Trouble::Unreachable, why: format!("the connection broke: {e}") }
            }
        })?;
        Ok((status, body.to_bytes()))
    };
    let Ok(answer) = timeout(ANSWER, asked).await else {
        let why = format!("no answer within {} s", ANSWER.as_secs());
        return Err(Problem { trouble: Trouble::Unreachable, why });
    };
    let (status, body) = answer?;
    if !status.is_success() {
        return Err(match serde_json::from_slice::<kube::core::Status>(&body) {
            Ok(mut told) => {
                told.code = status.as_u16();
                Problem::of_status(&told)
            }
            Err(_) => Problem { trouble: Trouble::Busy, why: format!("the server answered {status}") },
        });
    }
    serde_json::from_slice(&body).map_err(|e| Problem::of(&kube::Error::SerdeError(e)))
}

fn garbled(why: String) -> Problem {
    Problem { trouble: Trouble::Garbled, why }
}
