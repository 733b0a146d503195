//! Whole objects, fetched only when somebody needs them.

use super::problem::{Problem, Trouble};
use crate::model::object::Resource;
use kube::Client;
use kube::api::ListParams;
use kube::core::Request;
use serde_json::Value;
use std::time::Duration;
use tokio::time::timeout;

/// Longest wait for an answer.
const ANSWER: Duration = Duration::from_secs(10);

/// One object by its path.
pub async fn get(client: &Client, path: &str) -> Result<Value, Problem> {
    let request = http::Request::get(path).body(Vec::new());
    ask(client, request.map_err(|e| Problem::of(&kube::Error::HttpError(e)))?).await
}

/// The objects of a list, each with `apiVersion` and `kind`, which lists leave out.
pub async fn list(
    client: &Client,
    resource: &Resource,
    namespace: Option<&str>,
    params: &ListParams,
) -> Result<Vec<Value>, Problem> {
    let request = Request::new(resource.path(namespace, None)).list(params);
    let request = request.map_err(|e| Problem { trouble: Trouble::Invalid, why: e.to_string() })?;
    let mut answer = ask(client, request).await?;
    let Value::Array(mut items) = answer["items"].take() else { return Ok(Vec::new()) };
    for item in items.iter_mut().filter_map(Value::as_object_mut) {
        item.insert("apiVersion".to_owned(), resource.api_version().into());
        item.insert("kind".to_owned(), resource.kind.as_ref().into());
    }
    Ok(items)
}

async fn ask(client: &Client, request: http::Request<Vec<u8>>) -> Result<Value, Problem> {
    let Ok(answer) = timeout(ANSWER, client.request_text(request)).await else {
        let why = format!("no answer within {} s", ANSWER.as_secs());
        return Err(Problem { trouble: Trouble::Unreachable, why });
    };
    let text = answer.map_err(|e| Problem::of(&e))?;
    serde_json::from_str(&text).map_err(|e| Problem::of(&kube::Error::SerdeError(e)))
}
