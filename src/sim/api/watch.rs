//! Watches: the state at the start where it is asked for, then every change, bookmarks, and an end in time.

use super::faults::Faults;
use super::negotiate::{Form, Wanted};
use super::options::Options;
use super::table::{Include, Printer};
use super::view;
use crate::model::time;
use crate::sim::object::set;
use crate::sim::resource::Resource;
use crate::sim::status::Status;
use crate::sim::store::{Change, Store, StoreError, Stored, What};
use axum::body::Bytes;
use serde_json::{Value, json};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// Between bookmarks, by the simulated clock: who judges by that clock how old a watch is must hear of it in time.
const BOOKMARK: Duration = Duration::from_secs(60);
/// Between bookmarks at least, however fast time passes.
const BOOKMARK_LEAST: Duration = Duration::from_millis(200);
/// How long a watch lasts that does not say.
const LONGEST: Duration = Duration::from_secs(45 * 60);
/// Objects of the initial state that are sent at once.
const CHUNK: usize = 200;

/// A watch under way.
pub struct Watch {
    store: Arc<Store>,
    faults: Arc<Faults>,
    kind: Arc<Resource>,
    key: String,
    version: String,
    namespace: Option<String>,
    options: Options,
    wanted: Wanted,
    printer: Option<Printer>,
    changed: watch::Receiver<u64>,
    /// The state at the start that is still to be sent, last first.
    initial: Vec<Arc<Stored>>,
    /// The marked bookmark is still to be sent.
    mark: bool,
    /// What happened up to here has been sent.
    seen: u64,
    first: bool,
    sent: u64,
    ends: Instant,
    bookmark: Instant,
    over: bool,
    /// A fault says that its version is too old.
    doomed: bool,
}

/// Where and what to watch.
pub struct Request {
    /// Kind.
    pub kind: Arc<Resource>,
    /// Version in the path.
    pub version: String,
    /// One namespace, or all.
    pub namespace: Option<String>,
    /// Parameters.
    pub options: Options,
    /// Form of the objects.
    pub wanted: Wanted,
    /// For tables.
    pub include: Include,
}

fn between_bookmarks() -> Duration {
    time::real(BOOKMARK).max(BOOKMARK_LEAST)
}

impl Watch {
    /// Begins a watch.
    ///
    /// # Errors
    /// A version that is no number.
    pub fn new(store: Arc<Store>, faults: Arc<Faults>, request: Request) -> Result<Self, Status> {
        let Request { kind, version, namespace, options, wanted, include } = request;
        let asked = options.at().map_err(|why| Status::new(500, "", why))?.filter(|v| *v > 0);
        // Subscribed first, so that nothing falls between the state and the changes.
        let mut changed = store.changed();
        changed.mark_unchanged();
        let key = view::storage(&kind);
        let state = match (options.initial, asked) {
            (Some(true), _) | (None, None) => Some(store.list(&key, namespace.as_deref())),
            _ => None,
        };
        let (seen, mut initial) = match (state, asked) {
            (Some(state), _) => state,
            (None, Some(asked)) => (asked, Vec::new()),
            (None, None) => (store.version(), Vec::new()),
        };
        initial.retain(|o| options.labels.matches(&o.labels) && options.fields.matches(o));
        initial.reverse();
        let printer = match wanted.form {
            Form::Table(v) => Some(Printer::new(&store, &kind, &version, include, v)),
            _ => None,
        };
        let doomed = initial.is_empty() && faults.expires();
        let now = Instant::now();
        let ends = now + options.timeout.filter(|t| *t > 0).map_or(LONGEST, Duration::from_secs);
        let mark = options.initial == Some(true) && options.bookmarks;
        Ok(Self {
            store,
            faults,
            kind,
            key,
            version,
            namespace,
            options,
            wanted,
            printer,
            changed,
            initial,
            mark,
            seen,
            first: true,
            sent: 0,
            ends,
            bookmark: now + between_bookmarks(),
            over: false,
            doomed,
        })
    }

    /// The next bytes to send; an error breaks the connection.
    pub async fn next(mut self) -> Option<(io::Result<Bytes>, Self)> {
        loop {
            if self.over {
                return None;
            }
            if self.faults.breaks(self.sent) {
                self.over = true;
                // A body that has nothing to give for once is written out as far as it came; the break follows.
                tokio::task::yield_now().await;
                return Some((Err(io::ErrorKind::ConnectionReset.into()), self));
            }
            let bytes = self.ready();
            if !bytes.is_empty() {
                return Some((Ok(Bytes::from(bytes)), self));
            }
            if self.over {
                return None;
            }
            let next_mark = if self.options.bookmarks { self.bookmark } else { self.ends };
            tokio::select! {
                more = self.changed.changed() => self.over = more.is_err(),
                () = sleep_until(self.ends.min(next_mark)) => {
                    self.over = Instant::now() >= self.ends;
                    self.bookmark = Instant::now() + between_bookmarks();
                    if self.options.bookmarks {
                        let mark = self.marked(false);
                        return Some((Ok(Bytes::from(mark)), self));
                    }
                }
            }
        }
    }

    /// What can be sent without waiting.
    fn ready(&mut self) -> String {
        let mut out = String::new();
        if !self.initial.is_empty() {
            let rest = self.initial.len().saturating_sub(CHUNK);
            for object in self.initial.split_off(rest).iter().rev() {
                self.event(&mut out, "ADDED", object, None);
            }
            return out;
        }
        if std::mem::take(&mut self.mark) {
            return self.marked(true);
        }
        if self.doomed {
            self.over = true;
            return self.error(self.store.oldest());
        }
        self.changed.mark_unchanged();
        let changes = match self.store.since(self.seen) {
            Ok(changes) => changes,
            Err(StoreError::Expired { oldest, .. }) => {
                self.over = true;
                return self.error(oldest);
            }
            Err(_) => Vec::new(),
        };
        for change in changes {
            self.seen = change.version;
            if *change.object.key == *self.key && self.namespace.as_ref().is_none_or(|n| *n == change.object.namespace)
            {
                self.change(&mut out, &change);
            }
        }
        out
    }

    /// A change, as one that sees only what it selects sees it (apiserver's cacher, `convertToWatchEvent`).
    fn change(&mut self, out: &mut String, change: &Change) {
        let matches = |o: &Stored| self.options.labels.matches(&o.labels) && self.options.fields.matches(o);
        let before = change.before.as_ref().is_some_and(|o| matches(o));
        let after = change.what != What::Deleted && matches(&change.object);
        match (before, after) {
            (true, true) => self.event(out, "MODIFIED", &change.object, None),
            (false, true) => self.event(out, "ADDED", &change.object, None),
            (true, false) if change.what == What::Deleted => self.event(out, "DELETED", &change.object, None),
            (true, false) => {
                if let Some(old) = &change.before {
                    self.event(out, "DELETED", old, Some(change.version));
                }
            }
            (false, false) => {}
        }
    }

    fn event(&mut self, out: &mut String, what: &str, object: &Stored, version: Option<u64>) {
        self.sent += 1;
        let plain = self.wanted.form == Form::Object && version.is_none();
        out.push_str("{\"type\":\"");
        out.push_str(what);
        out.push_str("\",\"object\":");
        if plain {
            out.push_str(&view::body(object, &self.kind, &self.version));
        } else {
            let mut value = view::outward(object.value(), &self.kind, &self.version);
            if let Some(version) = version {
                set(&mut value, "metadata.resourceVersion", version.to_string());
            }
            out.push_str(&self.formed(value, version.unwrap_or(object.version)).to_string());
        }
        out.push_str("}\n");
    }

    fn formed(&mut self, object: Value, version: u64) -> Value {
        match (&self.printer, self.wanted.form) {
            (Some(printer), _) => {
                let columns = std::mem::take(&mut self.first);
                printer.table(std::iter::once(object), json!({"resourceVersion": version.to_string()}), columns)
            }
            (None, Form::Metadata(v)) => view::metadata(&object, v),
            (None, _) => object,
        }
    }

    fn marked(&mut self, end: bool) -> String {
        let seen = self.seen;
        let mut object = json!({
            "kind": self.kind.kind, "apiVersion": view::api_version(&self.kind.group, &self.version),
            "metadata": {"resourceVersion": seen.to_string()},
        });
        if end {
            object["metadata"]["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        let object = self.formed(object, seen);
        format!("{}\n", json!({"type": "BOOKMARK", "object": object}))
    }

    fn error(&self, oldest: u64) -> String {
        let status = Status::new(410, "Expired", format!("too old resource version: {} ({oldest})", self.seen));
        format!("{}\n", json!({"type": "ERROR", "object": status.body()}))
    }
}
