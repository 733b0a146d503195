//! The first picture of a kind: streamed where the server can, in pages where it cannot.

use super::{Stop, Watch, invalid, no_answer};
use crate::monitor::feed::Change;
use crate::monitor::lite::{ListLite, Lite};
use crate::monitor::problem::{Problem, Trouble};
use futures::{StreamExt, pin_mut};
use kube::api::{ListParams, WatchEvent, WatchParams};
use kube::core::Request;
use std::time::Duration;
use tokio::time::timeout;

/// Objects per page, as client-go asks for.
const PAGE: u32 = 500;
/// Longest wait for one page, body included.
const PAGE_TIME: Duration = Duration::from_secs(60);
/// Longest a streamed list may take.
const STREAM_TIME: u32 = 290;
/// A streamed list that is silent this long will not end: somebody in between does not know how.
const STREAM_SILENCE: Duration = Duration::from_secs(30);
/// Marks the bookmark that ends a streamed list.
const END: &str = "k8s.io/initial-events-end";

impl<T: Lite> Watch<T> {
    /// A streaming list (KEP-3157): the server sends the objects as events, then a marked bookmark.
    pub(super) async fn list_streaming(&self) -> Result<String, Stop> {
        let params = WatchParams {
            timeout: Some(STREAM_TIME),
            bookmarks: true,
            send_initial_events: true,
            ..WatchParams::default()
        };
        let events = match self.open(&params, "0").await {
            Ok(events) => events,
            // Old servers and some proxies refuse what they do not know.
            Err(p) if matches!(p.trouble, Trouble::Invalid | Trouble::Gone) => return Err(Stop::NoStreaming),
            Err(p) => return Err(Stop::Problem(p, None)),
        };
        pin_mut!(events);
        self.tell(Change::Begin).await?;
        loop {
            match timeout(STREAM_SILENCE, events.next()).await {
                Err(_) | Ok(None) => return Err(Stop::NoStreaming),
                Ok(Some(Ok(WatchEvent::Added(object) | WatchEvent::Modified(object)))) => {
                    self.tell(Change::Listed((self.wrap)(Box::new(object)))).await?;
                }
                Ok(Some(Ok(WatchEvent::Deleted(object)))) => {
                    self.tell(Change::Deleted((self.wrap)(Box::new(object)))).await?;
                }
                Ok(Some(Ok(WatchEvent::Bookmark(mark)))) => {
                    if mark.metadata.annotations.contains_key(END) {
                        self.tell(Change::ListDone).await?;
                        return Ok(mark.metadata.resource_version);
                    }
                }
                Ok(Some(Ok(WatchEvent::Error(status)))) => {
                    return Err(Stop::Problem(Problem::of_status(&status), None));
                }
                Ok(Some(Err(error))) => return Err(Stop::Problem(Problem::of(&error), None)),
            }
        }
    }

    /// A list in pages. Quorum reads: pages of the watch cache would come as one huge body.
    pub(super) async fn list_paged(&self) -> Result<String, Stop> {
        self.tell(Change::Begin).await?;
        let mut next: Option<String> = None;
        loop {
            let params = ListParams { limit: Some(PAGE), continue_token: next.take(), ..ListParams::default() };
            let page = self.page(&params).await.map_err(|p| Stop::Problem(p, None))?;
            for object in page.items {
                self.tell(Change::Listed((self.wrap)(Box::new(object)))).await?;
            }
            if page.metadata.next.is_empty() {
                if page.metadata.resource_version.is_empty() {
                    let why = "the list has no resourceVersion to watch from".to_owned();
                    return Err(Stop::Problem(Problem { trouble: Trouble::Garbled, why }, None));
                }
                self.tell(Change::ListDone).await?;
                return Ok(page.metadata.resource_version);
            }
            next = Some(page.metadata.next);
        }
    }

    async fn page(&self, params: &ListParams) -> Result<ListLite<T>, Problem> {
        let mut request = Request::new(&*self.path).list(params).map_err(|e| invalid(&e))?;
        self.ask_for(&mut request, "PartialObjectMetadataList");
        let text = match timeout(PAGE_TIME, self.context.client.request_text(request)).await {
            Ok(Ok(text)) => text,
            Ok(Err(error)) => return Err(Problem::of(&error)),
            Err(_) => return Err(no_answer()),
        };
        serde_json::from_str(&text).map_err(|e| Problem::of(&kube::Error::SerdeError(e)))
    }
}
