//! Where to look: the whole cluster, or the namespaces one has rights in.

use super::connect::Connection;
use super::feed::{Change, Delta, Feed, Object, Watched, What};
use super::lite::{ListLite, Lite, NamespaceLite};
use super::live;
use super::problem::Trouble;
use super::rights;
use super::watch::{self, Context, Message};
use crate::model::object::Resource;
use crate::model::plan::Right;
use futures::future::join_all;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OnceCell;
use tokio::time::{MissedTickBehavior, interval, timeout};

/// Namespaces that are asked about when the whole cluster is refused and the context names none.
const MOST_ASKED: usize = 200;
/// Longest wait for the list of namespaces.
const ANSWER: Duration = Duration::from_secs(10);
/// Between two looks at a namespace that is read by name: well within the age at which data counts as stale.
const AGAIN: Duration = Duration::from_secs(20);

/// What the console is limited to, and where else it may look if it must.
pub struct Scope {
    limited_to: Option<Arc<[Arc<str>]>>,
    context_namespace: Option<Arc<str>>,
    /// Found once, when the first kind is refused.
    instead: OnceCell<Vec<Arc<str>>>,
}

impl Scope {
    /// The scope of a connection.
    pub fn of(connection: &Connection) -> Self {
        Self {
            limited_to: connection.info.namespaces.clone(),
            context_namespace: connection.context_namespace.clone(),
            instead: OnceCell::new(),
        }
    }

    /// Namespaces to watch where the cluster is refused: the context's own, or those one may list pods in.
    async fn instead(&self, context: &Context) -> &[Arc<str>] {
        let find = || async {
            match &self.context_namespace {
                Some(namespace) => vec![namespace.clone()],
                None => allowed(context).await,
            }
        };
        self.instead.get_or_init(find).await
    }
}

/// Namespaces one may list pods in, of those one may see, or else of `default`.
async fn allowed(context: &Context) -> Vec<Arc<str>> {
    let request = http::Request::get(format!("{}?limit={MOST_ASKED}", Resource::NAMESPACES.path(None, None)));
    let seen = match request.body(Vec::new()) {
        Ok(request) => timeout(ANSWER, context.client.request_text(request)).await.ok().and_then(Result::ok),
        Err(_) => None,
    };
    let seen: Option<ListLite<NamespaceLite>> = seen.and_then(|text| serde_json::from_str(&text).ok());
    let names: Vec<String> = match seen {
        Some(list) => list.items.into_iter().map(|n| n.metadata.name).collect(),
        None => vec!["default".to_owned()],
    };
    let list_pods = |namespace: String| Right {
        verb: "list".to_owned(),
        group: String::new(),
        resource: "pods".to_owned(),
        subresource: None,
        namespace: Some(namespace.into()),
    };
    let rights: Vec<Right> = names.into_iter().map(list_pods).collect();
    let answers = rights::check(&context.client, &rights).await;
    answers.into_iter().filter(|(_, a)| *a == Ok(true)).filter_map(|(right, _)| right.namespace).collect()
}

/// Watches one kind for ever, wherever that is allowed.
pub async fn watch(context: Context, watched: Arc<Watched>, scope: Arc<Scope>) {
    match watched.what {
        What::Node => everywhere(context, watched, scope, Object::Node).await,
        What::Namespace => everywhere(context, watched, scope, Object::Namespace).await,
        What::Pod => everywhere(context, watched, scope, Object::Pod).await,
        What::Controller(_) => everywhere(context, watched, scope, Object::Controller).await,
        What::Hpa => everywhere(context, watched, scope, Object::Hpa).await,
        What::Pdb => everywhere(context, watched, scope, Object::Pdb).await,
        What::Event => everywhere(context, watched, scope, Object::Event).await,
        What::ConfigMap => everywhere(context, watched, scope, Object::ConfigMap).await,
        What::Vpa => everywhere(context, watched, scope, Object::Vpa).await,
        What::ScaledObject => everywhere(context, watched, scope, Object::ScaledObject).await,
        What::Counted => everywhere(context, watched, scope, Object::Counted).await,
    }
}

async fn everywhere<T: Lite>(context: Context, watched: Arc<Watched>, scope: Arc<Scope>, wrap: fn(Box<T>) -> Object) {
    let feed = |namespace| Arc::new(Feed { watched: watched.clone(), namespace });
    // Namespaces are no namespaced kind, but rights in one include reading it by name.
    let namespaced = watched.resource.namespaced || watched.what == What::Namespace;
    let namespaces = match &scope.limited_to {
        Some(limit) if namespaced => limit.to_vec(),
        _ => {
            watch::run(context.clone(), feed(None), wrap, namespaced).await;
            if context.out.is_closed() {
                return;
            }
            let instead = scope.instead(&context).await;
            if instead.is_empty() {
                return watch::run(context, feed(None), wrap, false).await;
            }
            watch::close(&context, feed(None)).await;
            instead.to_vec()
        }
    };
    if watched.what == What::Namespace {
        return by_name(context, watched, namespaces).await;
    }
    join_all(namespaces.into_iter().map(|n| watch::run(context.clone(), feed(Some(n)), wrap, false))).await;
}

/// Reads single namespaces again and again, where they may be neither listed nor watched.
async fn by_name(context: Context, watched: Arc<Watched>, names: Vec<Arc<str>>) {
    let mut ticks = interval(AGAIN);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        for name in &names {
            let feed = Arc::new(Feed { watched: watched.clone(), namespace: Some(name.clone()) });
            let answer = live::get(&context.client, &watched.resource.path(None, Some(name))).await;
            let changes = match answer.map(serde_json::from_value::<NamespaceLite>) {
                Ok(Ok(found)) => {
                    vec![Change::Begin, Change::Listed(Object::Namespace(Box::new(found))), Change::ListDone]
                }
                Ok(Err(error)) => vec![Change::Failed(error.to_string().into())],
                Err(p) if p.trouble == Trouble::NotFound => vec![Change::Begin, Change::ListDone],
                Err(p) if matches!(p.trouble, Trouble::Forbidden | Trouble::Unauthorized) => {
                    vec![Change::Denied(p.why.into())]
                }
                Err(p) => vec![Change::Failed(p.why.into())],
            };
            for change in changes {
                let message = Message::Delta(Delta { feed: feed.clone(), change });
                if context.out.send(message).await.is_err() {
                    return;
                }
            }
        }
    }
}
