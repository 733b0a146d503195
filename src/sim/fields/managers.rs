//! The entries of managedFields.

use super::Writer;
use super::set::Set;
use super::walk::Difference;
use crate::sim::object::{list, text};
use serde_json::{Map, Value};

/// Updates by more managers than these are merged into one entry.
const MOST_UPDATES: usize = 10;

/// What tells an entry apart, and what it holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Manager {
    /// Field manager.
    pub name: String,
    /// `Apply`, else `Update`.
    pub applied: bool,
    /// The version its paths are in.
    pub api_version: String,
    /// `status`, `scale`, or empty.
    pub subresource: String,
    /// When it last took a field.
    pub time: String,
    /// Its fields.
    pub fields: Set,
}

impl Manager {
    /// One that updates, without fields yet.
    pub fn update(writer: Writer<'_>, api_version: &str) -> Self {
        Self {
            name: writer.manager.to_owned(),
            applied: false,
            api_version: api_version.to_owned(),
            subresource: writer.subresource.to_owned(),
            time: String::new(),
            fields: Set::default(),
        }
    }

    /// Whether both are one entry. An applier is one whatever the version.
    pub fn is(&self, other: &Self) -> bool {
        self.name == other.name
            && self.applied == other.applied
            && self.subresource == other.subresource
            && (self.applied || self.api_version == other.api_version)
    }

    fn of(json: &Value) -> Self {
        Self {
            name: text(json, "manager").to_owned(),
            applied: text(json, "operation") == "Apply",
            api_version: text(json, "apiVersion").to_owned(),
            subresource: text(json, "subresource").to_owned(),
            time: text(json, "time").to_owned(),
            fields: Set::of_json(json.get("fieldsV1").unwrap_or(&Value::Null)),
        }
    }

    fn to_json(&self) -> Value {
        let mut map = Map::new();
        let mut say = |key: &str, value: &str| {
            if !value.is_empty() {
                map.insert(key.to_owned(), value.into());
            }
        };
        say("manager", &self.name);
        say("operation", if self.applied { "Apply" } else { "Update" });
        say("apiVersion", &self.api_version);
        say("time", &self.time);
        say("fieldsType", "FieldsV1");
        map.insert("fieldsV1".into(), self.fields.to_json());
        if !self.subresource.is_empty() {
            map.insert("subresource".into(), self.subresource.as_str().into());
        }
        Value::Object(map)
    }
}

/// All entries of an object.
#[derive(Debug, Clone, Default)]
pub struct Managers(pub Vec<Manager>);

impl Managers {
    /// Those of an object.
    pub fn of(object: &Value) -> Self {
        Self(list(object, "metadata.managedFields").iter().map(Manager::of).collect())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The entry like this one.
    pub fn find(&self, like: &Manager) -> Option<&Manager> {
        self.0.iter().find(|m| m.is(like))
    }

    /// Takes the entry like this one out.
    pub fn take(&mut self, like: &Manager) -> Option<Manager> {
        self.0.iter().position(|m| m.is(like)).map(|i| self.0.remove(i))
    }

    /// An update by `me`: it owns what it added or modified, and nobody else does; nobody owns what is gone.
    pub fn updated(&mut self, me: &Manager, difference: Difference, ignored: &str, time: &str) {
        let Difference { mut added, mut modified, mut removed } = difference;
        for part in [&mut added, &mut modified, &mut removed] {
            part.prune(ignored);
        }
        let taken = stripped(modified.union(&added));
        for manager in &mut self.0 {
            let left = std::mem::take(&mut manager.fields).without(&removed);
            manager.fields = if manager.is(me) { left } else { left.without(&taken) };
        }
        if !taken.is_empty() {
            let mut mine = self.take(me).unwrap_or_else(|| me.clone());
            mine.fields = mine.fields.union(&taken);
            time.clone_into(&mut mine.time);
            self.0.push(mine);
        }
        self.tidy();
    }

    /// Drops empty entries and merges the oldest of too many.
    pub fn tidy(&mut self) {
        self.0.retain(|m| !m.fields.is_empty());
        self.sort();
        let updates = self.0.iter().filter(|m| !m.applied).count();
        if updates <= MOST_UPDATES {
            return;
        }
        // The oldest updates become one entry per version, as the real server's capManagers does.
        let first = self.0.iter().position(|m| !m.applied).unwrap_or(0);
        let old: Vec<Manager> = self.0.drain(first..=first + updates - MOST_UPDATES).collect();
        for mut manager in old {
            "ancient-changes".clone_into(&mut manager.name);
            manager.subresource.clear();
            match self.0.iter_mut().find(|m| m.is(&manager)) {
                Some(bucket) => {
                    bucket.fields = std::mem::take(&mut bucket.fields).union(&manager.fields);
                    bucket.time = manager.time.clone().max(std::mem::take(&mut bucket.time));
                }
                None => self.0.push(manager),
            }
        }
        self.sort();
    }

    fn sort(&mut self) {
        self.0.sort_by(|a, b| {
            let key = |m: &Manager| {
                (!m.applied, m.time.clone(), m.name.clone(), m.api_version.clone(), m.subresource.clone())
            };
            key(a).cmp(&key(b))
        });
    }

    /// As `metadata.managedFields`; `None` for none.
    pub fn to_json(&self) -> Option<Value> {
        (!self.0.is_empty()).then(|| self.0.iter().map(Manager::to_json).collect())
    }
}

/// Without what belongs to the server: identity and bookkeeping in metadata.
pub fn stripped(set: Set) -> Set {
    let mut strip = Set::default();
    for path in ["apiVersion", "kind", "metadata"] {
        strip.insert(&[format!("f:{path}")]);
    }
    for path in
        ["name", "namespace", "creationTimestamp", "selfLink", "uid", "generation", "managedFields", "resourceVersion"]
    {
        strip.insert(&["f:metadata".to_owned(), format!("f:{path}")]);
    }
    set.without(&strip)
}
