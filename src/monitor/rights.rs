//! What the user may do, as the server says it (SelfSubjectAccessReview).

use super::problem::Problem;
use crate::model::plan::Right;
use crate::model::text;
use futures::StreamExt;
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec};
use kube::Client;
use kube::api::{Api, PostParams};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::timeout;

/// Questions under way at once.
const AT_ONCE: usize = 8;
/// Longest wait for an answer.
const ANSWER: Duration = Duration::from_secs(10);

/// Asks for each right. `Ok(true)`: allowed; `Ok(false)`: not allowed; an error: it could not be asked,
/// with the reason, which is not the same as "no".
pub async fn check(client: &Client, rights: &[Right]) -> BTreeMap<Right, Result<bool, String>> {
    let questions = rights.iter().cloned().map(|right| async move {
        let answer = ask(client, &right).await;
        (right, answer)
    });
    futures::stream::iter(questions).buffer_unordered(AT_ONCE).collect().await
}

async fn ask(client: &Client, right: &Right) -> Result<bool, String> {
    let review = SelfSubjectAccessReview {
        spec: SelfSubjectAccessReviewSpec {
            resource_attributes: Some(ResourceAttributes {
                verb: Some(right.verb.clone()),
                group: Some(right.group.clone()),
                resource: Some(right.resource.clone()),
                subresource: right.subresource.clone(),
                namespace: right.namespace.as_deref().map(str::to_owned),
                ..ResourceAttributes::default()
            }),
            ..SelfSubjectAccessReviewSpec::default()
        },
        ..SelfSubjectAccessReview::default()
    };
    let api: Api<SelfSubjectAccessReview> = Api::all(client.clone());
    let status = match timeout(ANSWER, api.create(&PostParams::default(), &review)).await {
        Err(_) => return Err(format!("no answer within {} s", ANSWER.as_secs())),
        Ok(Err(e)) => return Err(Problem::of(&e).why),
        Ok(Ok(review)) => review.status.ok_or("the server gave no answer")?,
    };
    match status.evaluation_error.filter(|_| !status.allowed) {
        Some(error) => Err(text::clean(&error).into_owned()),
        None => Ok(status.allowed),
    }
}
