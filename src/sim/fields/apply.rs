//! Server-side apply: what the applier names is set and owned, what it no longer names and nobody else owns goes, and
//! what others own is not changed unless forced.

use super::managers::{Manager, Managers, stripped};
use super::set::{Set, spell};
use super::walk;
use crate::sim::object::take;
use crate::sim::schema::Type;
use serde_json::Value;

/// A field that another manager owns with another value.
#[derive(Debug, Clone, PartialEq)]
pub struct Conflict {
    /// `"a"`, with ` with subresource "scale"` and ` using apps/v1 at TIME` where the real server adds them.
    pub with: String,
    /// `.spec.replicas`
    pub field: String,
}

/// Applies `config` to `live` (neither with managedFields) as `me`; `managers` are the live object's. Gives the new
/// object and its managers, or the conflicts.
pub fn apply(
    ty: &Type,
    live: &Value,
    config: &Value,
    managers: &Managers,
    me: &Manager,
    force: bool,
    ignored: &str,
) -> Result<(Value, Managers), Vec<Conflict>> {
    let mut managers = managers.clone();
    let last = managers.take(me);
    let mut mine = walk::fields(ty, config);
    mine.prune(ignored);
    let merged = walk::merge(ty, Some(live), Some(config));
    let new = match &last {
        Some(last) => {
            let kept = managers.0.iter().fold(mine.clone(), |all, m| all.union(&m.fields));
            let there = walk::fields(ty, &merged).with_parents();
            let gone = last.fields.with_parents().both(&there).without(&kept.with_parents());
            walk::remove(ty, &merged, &gone).unwrap_or_else(|| Value::Object(serde_json::Map::new()))
        }
        None => merged,
    };
    let mut difference = walk::compare(ty, live, &new);
    for part in [&mut difference.added, &mut difference.modified, &mut difference.removed] {
        part.prune(ignored);
    }
    let taken = difference.modified.union(&difference.added);
    if !force {
        let conflicts: Vec<Conflict> = managers.0.iter().flat_map(|m| conflicts(m, &taken)).collect();
        if !conflicts.is_empty() {
            return Err(conflicts);
        }
    }
    for manager in &mut managers.0 {
        manager.fields = std::mem::take(&mut manager.fields).without(&taken).without(&difference.removed);
    }
    let time = if *live == new { last.map_or_else(String::new, |l| l.time) } else { me.time.clone() };
    managers.0.push(Manager { fields: stripped(mine), time, ..me.clone() });
    managers.tidy();
    Ok((new, managers))
}

fn conflicts(manager: &Manager, taken: &Set) -> Vec<Conflict> {
    let mut with = format!("{:?}", manager.name);
    if !manager.subresource.is_empty() {
        with = format!("{with} with subresource {:?}", manager.subresource);
    }
    if !manager.applied {
        with = format!("{with} using {}", manager.api_version);
        if !manager.time.is_empty() {
            with = format!("{with} at {}", manager.time);
        }
    }
    manager.fields.both(taken).paths().iter().map(|p| Conflict { with: with.clone(), field: spell(p) }).collect()
}

/// The object without its managedFields.
pub fn bare(object: &Value) -> Value {
    let mut copy = object.clone();
    take(&mut copy, "metadata.managedFields");
    copy
}
