//! What is stored: objects with their versions, and the log of changes that watches and controllers read. It is etcd
//! and the API server's registry in one: it gives out UIDs, resourceVersions, generations and creation times, and
//! knows when a deletion has to wait.

use super::clock::{Clock, at, rfc3339};
use super::fields::{self, Writer};
use super::noise::Noise;
use super::object::{int, list, set, strings, take, text};
use super::resource::{Registry, Resource};
use super::world::fleet::FILLER;
use serde_json::Value;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};
use tokio::sync::watch;

/// How many changes the log keeps; a watch from before them gets 410.
const LOG: usize = 16_384;

/// One version of one object.
#[derive(Debug)]
pub struct Stored {
    /// Key of its kind: `deployments.apps`.
    pub key: Arc<str>,
    /// Namespace; empty for cluster-scoped kinds.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// UID.
    pub uid: String,
    /// resourceVersion.
    pub version: u64,
    /// Labels, for selectors.
    pub labels: BTreeMap<String, String>,
    /// The object as JSON. Kept as text: a hundred thousand pods then take what they take on the wire.
    pub body: String,
    /// The object itself, while this is its present version; never of the many that only fill a fleet.
    kept: Mutex<Option<Arc<Value>>>,
}

impl Stored {
    /// The object, to change.
    pub fn value(&self) -> Value {
        Arc::unwrap_or_clone(self.shared())
    }

    /// The object, to look at: that of a present version is not read from its text.
    pub fn shared(&self) -> Arc<Value> {
        let kept = self.kept().clone();
        kept.unwrap_or_else(|| Arc::new(serde_json::from_str(&self.body).expect("only serialised values are stored")))
    }

    fn kept(&self) -> MutexGuard<'_, Option<Arc<Value>>> {
        self.kept.lock().expect("no panic while it is held")
    }
}

/// What happened to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// It is new.
    Added,
    /// It has another version.
    Modified,
    /// It is gone.
    Deleted,
}

/// An entry of the log.
#[derive(Debug)]
pub struct Change {
    /// The resourceVersion of the change; one more than the change before.
    pub version: u64,
    /// What happened.
    pub what: What,
    /// The object after it; for a deletion, its last state with the version of the deletion.
    pub object: Arc<Stored>,
    /// The object before it.
    pub before: Option<Arc<Stored>>,
}

/// What of an object never changes by a write.
const FIXED: [&str; 6] = [
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "metadata.creationTimestamp",
    "metadata.resourceVersion",
    "metadata.generation",
];

/// Why the store refuses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The kind is not served.
    #[error("the server could not find the requested resource")]
    UnknownKind,
    /// There is an object of that name.
    #[error("{0} already exists")]
    Exists(String),
    /// There is none.
    #[error("{0} not found")]
    NotFound(String),
    /// A resourceVersion or UID precondition does not hold; the text is the reason as the real server gives it.
    #[error("{0}")]
    Conflict(String),
    /// The log no longer holds what happened after this version.
    #[error("too old resource version: {asked} ({oldest})")]
    Expired {
        /// The version asked for.
        asked: u64,
        /// The oldest that would do.
        oldest: u64,
    },
}

/// How to delete.
#[derive(Debug, Clone, Default)]
pub struct Delete {
    /// Seconds; `None`: as the object says.
    pub grace: Option<i64>,
    /// Only the object with this UID.
    pub uid: Option<String>,
    /// Only the object in this version.
    pub version: Option<String>,
    /// `Foreground`, `Background` (also when empty) or `Orphan`.
    pub propagation: String,
}

#[derive(Debug)]
struct Inner {
    kinds: BTreeMap<Arc<str>, BTreeMap<(String, String), Arc<Stored>>>,
    log: VecDeque<Arc<Change>>,
    version: u64,
    /// The log holds everything after this version.
    complete_after: u64,
    made: i64,
}

/// The store. Cheap to share; every method locks for as long as it takes.
#[derive(Debug)]
pub struct Store {
    inner: RwLock<Inner>,
    changed: watch::Sender<u64>,
    clock: Arc<Clock>,
    noise: Noise,
    /// The kinds it knows.
    pub registry: Registry,
}

impl Store {
    /// An empty store whose UIDs and names follow from the seed.
    pub fn new(clock: Arc<Clock>, noise: Noise) -> Self {
        let version = 1000;
        let inner = Inner { kinds: BTreeMap::new(), log: VecDeque::new(), version, complete_after: version, made: 0 };
        Self {
            inner: RwLock::new(inner),
            changed: watch::Sender::new(version),
            clock,
            noise: noise.of("store"),
            registry: Registry::default(),
        }
    }

    /// The clock its times come from.
    pub fn clock(&self) -> &Arc<Clock> {
        &self.clock
    }

    /// The newest resourceVersion.
    pub fn version(&self) -> u64 {
        self.read().version
    }

    /// Wakes with every change; the value is the newest resourceVersion.
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// One object. `namespace` is empty for cluster-scoped kinds.
    pub fn get(&self, key: &str, namespace: &str, name: &str) -> Option<Arc<Stored>> {
        self.read().kinds.get(key)?.get(&(namespace.to_owned(), name.to_owned())).cloned()
    }

    /// The objects of a kind, ordered by namespace and name, with the version of the list; all namespaces with `None`.
    pub fn list(&self, key: &str, namespace: Option<&str>) -> (u64, Vec<Arc<Stored>>) {
        let (version, objects, _) = self.stretch(key, namespace, None, usize::MAX);
        (version, objects)
    }

    /// A part of that list: `most` objects from a place (namespace and name) on, and how many more there are.
    pub fn stretch(
        &self,
        key: &str,
        namespace: Option<&str>,
        from: Option<&(String, String)>,
        most: usize,
    ) -> (u64, Vec<Arc<Stored>>, usize) {
        let inner = self.read();
        let first = (namespace.unwrap_or_default().to_owned(), String::new());
        let first = from.filter(|f| **f > first).unwrap_or(&first);
        let mut rest = inner
            .kinds
            .get(key)
            .into_iter()
            .flat_map(|all| all.range(first..))
            .take_while(|((ns, _), _)| namespace.is_none_or(|n| n == ns));
        let objects = rest.by_ref().take(most).map(|(_, o)| o.clone()).collect();
        (inner.version, objects, rest.count())
    }

    /// How many objects of a kind there are.
    pub fn count(&self, key: &str) -> usize {
        self.read().kinds.get(key).map_or(0, BTreeMap::len)
    }

    /// What happened after `version`, oldest first.
    pub fn since(&self, version: u64) -> Result<Vec<Arc<Change>>, StoreError> {
        let inner = self.read();
        if version < inner.complete_after {
            return Err(StoreError::Expired { asked: version, oldest: inner.complete_after });
        }
        // Each change has the version after the one before it.
        let from = usize::try_from(version - inner.complete_after).unwrap_or(usize::MAX).min(inner.log.len());
        Ok(inner.log.range(from..).cloned().collect())
    }

    /// The oldest version a watch may start from.
    pub fn oldest(&self) -> u64 {
        self.read().complete_after
    }

    /// Forgets the log, as a compaction does: every watch from before gets 410.
    pub fn compact(&self) {
        let mut inner = self.write();
        inner.log.clear();
        inner.complete_after = inner.version;
    }

    /// Stores a new object: name from `generateName` if need be, UID, version, creation time and generation are set here.
    pub fn create(&self, key: &str, object: Value, writer: Writer<'_>) -> Result<Arc<Stored>, StoreError> {
        let kind = self.registry.get(key).ok_or(StoreError::UnknownKind)?;
        let mut inner = self.write();
        let object = self.new_object(&inner, &kind, object, writer)?;
        inner.made += 1;
        let stored = inner.put(&kind, object, What::Added, None);
        drop(inner);
        self.changed.send_replace(stored.version);
        Ok(stored)
    }

    /// What [`Store::create`] would store, for a dry run: it has no resourceVersion.
    pub fn rehearse_create(&self, key: &str, object: Value, writer: Writer<'_>) -> Result<Value, StoreError> {
        let kind = self.registry.get(key).ok_or(StoreError::UnknownKind)?;
        self.new_object(&self.read(), &kind, object, writer)
    }

    /// The UID the next object will get that comes without one: for what has to carry its own UID in its specification.
    pub fn next_uid(&self) -> String {
        self.noise.uuid(self.read().made)
    }

    fn new_object(
        &self,
        inner: &Inner,
        kind: &Resource,
        mut object: Value,
        writer: Writer<'_>,
    ) -> Result<Value, StoreError> {
        let index = inner.made;
        if text(&object, "metadata.name").is_empty() {
            let name = format!("{}{}", text(&object, "metadata.generateName"), self.noise.suffix(index, 5));
            set(&mut object, "metadata.name", name);
        }
        let (namespace, name) =
            (text(&object, "metadata.namespace").to_owned(), text(&object, "metadata.name").to_owned());
        if inner.kinds.get(kind.key().as_str()).is_some_and(|m| m.contains_key(&(namespace, name.clone()))) {
            return Err(StoreError::Exists(named(kind, &name)));
        }
        let now = rfc3339(self.clock.now());
        if text(&object, "metadata.uid").is_empty() {
            set(&mut object, "metadata.uid", self.noise.uuid(index));
        }
        if text(&object, "metadata.creationTimestamp").is_empty() {
            set(&mut object, "metadata.creationTimestamp", now.as_str());
        }
        if kind.generation {
            set(&mut object, "metadata.generation", 1);
        }
        fields::track(None, &mut object, writer, &now);
        Ok(object)
    }

    /// Reads, changes and writes one object in one go. What `change` leaves as it was is no write; its error is given
    /// back and nothing is written. Name, namespace, UID and creation time cannot change; the generation counts changes
    /// outside metadata and status. An object whose deletion waited for its last finalizer is removed.
    pub fn modify<E: From<StoreError>>(
        &self,
        key: &str,
        namespace: &str,
        name: &str,
        writer: Writer<'_>,
        change: impl FnOnce(&mut Value) -> Result<(), E>,
    ) -> Result<Arc<Stored>, E> {
        let kind = self.registry.get(key).ok_or(StoreError::UnknownKind)?;
        let mut inner = self.write();
        let old = inner
            .kinds
            .get(key)
            .and_then(|m| m.get(&(namespace.to_owned(), name.to_owned())))
            .cloned()
            .ok_or_else(|| StoreError::NotFound(named(&kind, name)))?;
        let Some(after) = self.changed_object(&kind, &old, writer, change)? else { return Ok(old) };
        let what = if may_go(&after) { What::Deleted } else { What::Modified };
        let stored = inner.put(&kind, after, what, Some(old));
        drop(inner);
        self.changed.send_replace(stored.version);
        Ok(stored)
    }

    /// What [`Store::modify`] would store, for a dry run: it keeps its resourceVersion.
    pub fn rehearse<E: From<StoreError>>(
        &self,
        key: &str,
        namespace: &str,
        name: &str,
        writer: Writer<'_>,
        change: impl FnOnce(&mut Value) -> Result<(), E>,
    ) -> Result<Value, E> {
        let kind = self.registry.get(key).ok_or(StoreError::UnknownKind)?;
        let old = self.get(key, namespace, name).ok_or_else(|| StoreError::NotFound(named(&kind, name)))?;
        Ok(self.changed_object(&kind, &old, writer, change)?.unwrap_or_else(|| old.value()))
    }

    /// The object as `change` makes it, or `None` if that is no change.
    fn changed_object<E>(
        &self,
        kind: &Resource,
        old: &Stored,
        writer: Writer<'_>,
        change: impl FnOnce(&mut Value) -> Result<(), E>,
    ) -> Result<Option<Value>, E> {
        let before = &*old.shared();
        let mut after = before.clone();
        change(&mut after)?;
        for fixed in FIXED {
            match super::object::at(before, fixed) {
                Some(v) if super::object::at(&after, fixed) == Some(v) => {}
                Some(v) => set(&mut after, fixed, v.clone()),
                None => drop(take(&mut after, fixed)),
            }
        }
        if after == *before {
            return Ok(None);
        }
        let now = rfc3339(self.clock.now());
        fields::track(Some(before), &mut after, writer, &now);
        if fields::same_but_times(before, &after) {
            return Ok(None);
        }
        // Binding a pod is no change of what is wanted.
        if kind.generation && writer.subresource != "binding" && specified(before) != specified(&after) {
            set(&mut after, "metadata.generation", int(before, "metadata.generation").unwrap_or(0) + 1);
        }
        Ok(Some(after))
    }

    /// Deletes one object, or marks it for deletion when finalizers or a grace period say so. Gives back its last state
    /// and whether it is gone.
    pub fn delete(
        &self,
        key: &str,
        namespace: &str,
        name: &str,
        how: &Delete,
    ) -> Result<(Arc<Stored>, bool), StoreError> {
        let kind = self.registry.get(key).ok_or(StoreError::UnknownKind)?;
        let mut inner = self.write();
        let old = inner
            .kinds
            .get(key)
            .and_then(|m| m.get(&(namespace.to_owned(), name.to_owned())))
            .cloned()
            .ok_or_else(|| StoreError::NotFound(named(&kind, name)))?;
        if let Some(uid) = how.uid.as_ref().filter(|u| **u != old.uid) {
            return Err(StoreError::Conflict(format!(
                "Precondition failed: UID in precondition: {uid}, UID in object meta: {}",
                old.uid
            )));
        }
        if let Some(version) = how.version.as_ref().filter(|v| **v != old.version.to_string()) {
            return Err(StoreError::Conflict(format!(
                "Precondition failed: ResourceVersion in precondition: {version}, ResourceVersion in object meta: {}",
                old.version
            )));
        }
        let mut object = old.value();
        let finalizer = match how.propagation.as_str() {
            "Foreground" => Some("foregroundDeletion"),
            "Orphan" => Some("orphan"),
            _ => None,
        };
        if let Some(f) = finalizer
            && !list(&object, "metadata.finalizers").iter().any(|x| x == f)
        {
            let mut all = list(&object, "metadata.finalizers").to_vec();
            all.push(f.into());
            set(&mut object, "metadata.finalizers", all);
        }
        let grace = grace(key, &object, how.grace);
        let waits = grace > 0
            || !list(&object, "metadata.finalizers").is_empty()
            || !list(&object, "spec.finalizers").is_empty();
        let (stored, gone) = if waits {
            let marked = int(&object, "metadata.deletionGracePeriodSeconds");
            if marked.is_some_and(|g| g <= grace) && !text(&object, "metadata.deletionTimestamp").is_empty() {
                return Ok((old, false));
            }
            let when = at(self.clock.now_ms() + grace * 1000);
            set(&mut object, "metadata.deletionTimestamp", rfc3339(when));
            set(&mut object, "metadata.deletionGracePeriodSeconds", grace);
            if key == "namespaces" {
                set(&mut object, "status.phase", "Terminating");
            }
            if kind.generation {
                let generation = int(&object, "metadata.generation").unwrap_or(0) + 1;
                set(&mut object, "metadata.generation", generation);
            }
            (inner.put(&kind, object, What::Modified, Some(old)), false)
        } else {
            (inner.put(&kind, object, What::Deleted, Some(old)), true)
        };
        drop(inner);
        self.changed.send_replace(stored.version);
        Ok((stored, gone))
    }

    /// Stores many complete objects of one kind at once and without a log: a world that was there before anybody looked.
    /// Missing UIDs and creation times are given.
    pub fn load(&self, key: &str, objects: Vec<Value>) -> Result<(), StoreError> {
        let kind = self.registry.get(key).ok_or(StoreError::UnknownKind)?;
        let now = rfc3339(self.clock.now());
        let mut inner = self.write();
        for mut object in objects {
            inner.made += 1;
            if text(&object, "metadata.uid").is_empty() {
                set(&mut object, "metadata.uid", self.noise.uuid(inner.made));
            }
            if text(&object, "metadata.creationTimestamp").is_empty() {
                set(&mut object, "metadata.creationTimestamp", now.as_str());
            }
            inner.put(&kind, object, What::Added, None);
        }
        inner.log.clear();
        inner.complete_after = inner.version;
        let version = inner.version;
        drop(inner);
        self.changed.send_replace(version);
        Ok(())
    }

    fn read(&self) -> RwLockReadGuard<'_, Inner> {
        self.inner.read().expect("no panic while the store is held")
    }

    fn write(&self) -> RwLockWriteGuard<'_, Inner> {
        self.inner.write().expect("no panic while the store is held")
    }
}

impl Inner {
    /// Gives the object the next version, stores or removes it, and logs the change.
    fn put(&mut self, kind: &Resource, mut object: Value, what: What, before: Option<Arc<Stored>>) -> Arc<Stored> {
        self.version += 1;
        set(&mut object, "metadata.resourceVersion", self.version.to_string());
        let key = match self.kinds.get_key_value(kind.key().as_str()) {
            Some((k, _)) => k.clone(),
            None => Arc::from(kind.key()),
        };
        let mut body = serde_json::to_string(&object).expect("the keys of JSON are text");
        // With a hundred thousand pods what is held in reserve would be more than they are.
        body.shrink_to_fit();
        let labels = strings(&object, "metadata.labels");
        let never = what == What::Deleted || labels.contains_key(FILLER);
        let stored = Arc::new(Stored {
            key: key.clone(),
            namespace: text(&object, "metadata.namespace").to_owned(),
            name: text(&object, "metadata.name").to_owned(),
            uid: text(&object, "metadata.uid").to_owned(),
            version: self.version,
            labels,
            body,
            kept: Mutex::new((!never).then(|| Arc::new(object))),
        });
        let all = self.kinds.entry(key).or_default();
        let at = (stored.namespace.clone(), stored.name.clone());
        let old = if what == What::Deleted { all.remove(&at) } else { all.insert(at, stored.clone()) };
        if let Some(old) = old {
            *old.kept() = None;
        }
        self.log.push_back(Arc::new(Change { version: self.version, what, object: stored.clone(), before }));
        while self.log.len() > LOG {
            if let Some(dropped) = self.log.pop_front() {
                self.complete_after = dropped.version;
            }
        }
        stored
    }
}

/// `deployments.apps "web"`, as Status messages name objects.
fn named(kind: &Resource, name: &str) -> String {
    format!("{} \"{name}\"", kind.key())
}

/// Everything but metadata and status: what the generation counts.
fn specified(object: &Value) -> Vec<(&str, &Value)> {
    let Value::Object(map) = object else { return Vec::new() };
    map.iter().filter(|(k, _)| *k != "metadata" && *k != "status").map(|(k, v)| (k.as_str(), v)).collect()
}

/// Whether a deletion that waited has nothing to wait for any more.
fn may_go(object: &Value) -> bool {
    !text(object, "metadata.deletionTimestamp").is_empty()
        && list(object, "metadata.finalizers").is_empty()
        && list(object, "spec.finalizers").is_empty()
        && int(object, "metadata.deletionGracePeriodSeconds").unwrap_or(0) == 0
}

/// Seconds a deletion waits for the kubelet: only pods that run on a node do.
fn grace(key: &str, object: &Value, asked: Option<i64>) -> i64 {
    if key != "pods" || text(object, "spec.nodeName").is_empty() {
        return 0;
    }
    if matches!(text(object, "status.phase"), "Succeeded" | "Failed") {
        return 0;
    }
    asked.or_else(|| int(object, "spec.terminationGracePeriodSeconds")).unwrap_or(30).max(0)
}

#[cfg(test)]
mod tests;
