//! Texts and templates that many rows share are held once.
//!
//! An interner must not remember for ever: whatever only it still holds is swept out whenever it has
//! doubled since the last sweep, so the work stays proportional to what comes in.

use crate::model::object::WorkloadKind;
use crate::model::pod::ContainerSpec;
use crate::model::text;
use std::borrow::Borrow;
use std::collections::HashSet;
use std::hash::Hash;
use std::sync::Arc;

/// Below this size a sweep is not worth it.
const SMALL: usize = 1024;

/// Shares equal values of one type.
#[derive(Debug)]
struct Pool<T: ?Sized> {
    held: HashSet<Arc<T>>,
    sweep_at: usize,
}

impl<T: ?Sized> Default for Pool<T> {
    fn default() -> Self {
        Self { held: HashSet::new(), sweep_at: SMALL }
    }
}

impl<T: ?Sized + Eq + Hash> Pool<T> {
    fn share<Q>(&mut self, key: &Q, make: impl FnOnce() -> Arc<T>) -> Arc<T>
    where
        Arc<T>: Borrow<Q>,
        Q: ?Sized + Eq + Hash,
    {
        if let Some(known) = self.held.get(key) {
            return known.clone();
        }
        if self.held.len() >= self.sweep_at {
            self.held.retain(|v| Arc::strong_count(v) > 1);
            self.sweep_at = (self.held.len() * 2).max(SMALL);
        }
        let new = make();
        self.held.insert(new.clone());
        new
    }
}

/// The direct controller of a pod.
pub type OwnerName = Arc<(WorkloadKind, Arc<str>)>;

/// All that is shared between rows. One task owns it.
#[derive(Debug, Default)]
pub struct Interner {
    texts: Pool<str>,
    specs: Pool<[ContainerSpec]>,
    owners: Pool<(WorkloadKind, Arc<str>)>,
}

impl Interner {
    /// A shared, cleaned text.
    pub fn text(&mut self, raw: &str) -> Arc<str> {
        let clean = text::clean(raw);
        self.texts.share(&*clean, || Arc::from(&*clean))
    }

    /// A shared list of container specs.
    pub fn specs(&mut self, specs: Vec<ContainerSpec>) -> Arc<[ContainerSpec]> {
        if let Some(known) = self.specs.held.get(&*specs) {
            return known.clone();
        }
        let new: Arc<[ContainerSpec]> = specs.into();
        self.specs.share(&*new.clone(), || new)
    }

    /// A shared owner.
    pub fn owner(&mut self, kind: &str, name: &str) -> OwnerName {
        let key = (WorkloadKind::from_kind(&text::clean(kind)), self.text(name));
        self.owners.share(&key.clone(), || Arc::new(key))
    }

    /// Values held at present: texts, specs and owners.
    pub fn len(&self) -> usize {
        self.texts.held.len() + self.specs.held.len() + self.owners.held.len()
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_are_one_allocation_and_clean() {
        let mut i = Interner::default();
        let a = i.text("shop");
        assert!(Arc::ptr_eq(&a, &i.text("shop")));
        assert_eq!(&*i.text("a\u{1b}[31mb"), "a[31mb");
        assert!(Arc::ptr_eq(&i.owner("ReplicaSet", "web"), &i.owner("ReplicaSet", "web")));
    }

    #[test]
    fn what_nobody_holds_is_forgotten() {
        let mut i = Interner::default();
        let kept = i.text("kept");
        for n in 0..100_000 {
            let _ = i.text(&format!("gone-{n}"));
        }
        assert!(i.len() <= SMALL + 1, "{} texts held", i.len());
        assert!(Arc::ptr_eq(&kept, &i.text("kept")));
    }
}
