//! What ConfigMaps held before their last change, so that a change can be put back (P9, reconfigure).
//!
//! Kept in memory only, only of maps that a workload opted in to automation reads, bounded in number and size. A map is read
//! when its version moved; who may not read it gets no such plan, and is asked again only when it moves again.

use super::engine::{Engine, Note};
use crate::model::cluster::Workload;
use crate::model::dossier::ConfigFile;
use crate::model::object::{ObjectRef, Resource};
use crate::model::plan::ACTION_ANNOTATION;
use crate::model::snapshot::Snapshot;
use crate::model::time::{self, Timestamp};
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Maps kept at most.
const MOST: usize = 500;
/// Largest map that is kept, bytes of its JSON.
const LARGEST: usize = 256 * 1024;
/// Maps asked for in one round.
const AT_ONCE: usize = 16;

/// Namespace and name.
pub(super) type Place = (Arc<str>, Arc<str>);

/// One map.
#[derive(Debug, Default)]
struct Kept {
    /// The version last asked for or read.
    version: Box<str>,
    /// The whole object; `None` where it could not be read or is too large.
    live: Option<Value>,
    /// What it held before its last change by somebody else, and when that was.
    before: Option<(Value, Timestamp)>,
    asking: bool,
}

/// All maps that may be put back.
#[derive(Debug, Default)]
pub(super) struct Configs {
    kept: HashMap<Place, Kept>,
}

impl Configs {
    /// Maps that moved since they were read, at most a few; they count as asked for.
    fn moved(&mut self, snapshot: &Snapshot) -> Vec<Place> {
        let readers = snapshot.workloads.iter().filter(|w| w.opted_in);
        let wanted: HashSet<Place> = readers
            .flat_map(|w| w.config_maps.iter().map(|name| (w.key.namespace.clone(), name.clone())))
            .take(MOST)
            .collect();
        self.kept.retain(|place, _| wanted.contains(place));
        let mut moved = Vec::new();
        for row in snapshot.config_maps.iter() {
            let place = (row.namespace.clone(), row.name.clone());
            if moved.len() >= AT_ONCE {
                break;
            }
            if !wanted.contains(&place) {
                continue;
            }
            let kept = self.kept.entry(place.clone()).or_default();
            if !kept.asking && kept.version != row.version {
                kept.asking = true;
                kept.version.clone_from(&row.version);
                moved.push(place);
            }
        }
        moved
    }

    /// Takes in what the server said.
    fn learn(&mut self, place: &Place, answer: Option<Value>, now: Timestamp) {
        let Some(kept) = self.kept.get_mut(place) else { return };
        kept.asking = false;
        let live = answer.filter(|object| object.to_string().len() <= LARGEST);
        if let (Some(old), Some(new)) = (&kept.live, &live)
            && held(old) != held(new)
        {
            // What kansole itself wrote is no change that kansole should put back.
            let stamp = |o: &Value| o["metadata"]["annotations"][ACTION_ANNOTATION].clone();
            kept.before = (stamp(old) == stamp(new)).then(|| (held(old), now));
        }
        if let Some(version) = live.as_ref().and_then(|o| o["metadata"]["resourceVersion"].as_str()) {
            kept.version = version.into();
        }
        kept.live = live;
    }

    /// The maps that a workload reads, as far as they could be read.
    pub(super) fn of(&self, workload: &Workload) -> Vec<ConfigFile> {
        let places = workload.config_maps.iter().map(|name| (workload.key.namespace.clone(), name.clone()));
        let files = places.filter_map(|place| self.kept.get(&place));
        files.filter_map(|k| Some(ConfigFile { live: k.live.clone()?, before: k.before.clone() })).collect()
    }
}

/// What a map holds, without its metadata.
fn held(object: &Value) -> Value {
    json!({"data": object["data"], "binaryData": object["binaryData"]})
}

impl Engine {
    /// Reads the maps that moved; the answers come back as notes.
    pub(super) fn read_configs(&mut self) {
        let Some(session) = &self.session else { return };
        for place in self.configs.moved(&self.snapshot) {
            let (client, notes) = (session.conn.read.clone(), self.notes.clone());
            tokio::spawn(async move {
                let object = ObjectRef::namespaced(Resource::CONFIGMAPS, place.0.clone(), place.1.clone());
                let answer = crate::monitor::dossier::object(&client, &object).await;
                if let Err(why) = &answer {
                    tracing::info!("{object} cannot be read, so that a change of it cannot be put back: {why}");
                }
                let _ = notes.send(Note::Config(place, Box::new(answer.ok()))).await;
            });
        }
    }

    pub(super) fn config_read(&mut self, place: &Place, answer: Option<Value>) {
        self.configs.learn(place, answer, time::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::cluster::ConfigMapRow;
    use crate::model::fixtures as fx;

    fn map(version: &str, url: &str, stamp: Option<&str>) -> Value {
        json!({"metadata": {"name": "cart-config", "resourceVersion": version, "annotations": {ACTION_ANNOTATION: stamp}},
            "data": {"URL": url}})
    }

    fn seen(version: &str, opted_in: bool) -> Snapshot {
        let mut cart = fx::healthy("cart", 2);
        (cart.config_maps, cart.opted_in) = (Arc::from([Arc::from("cart-config")]), opted_in);
        let mut snapshot = fx::snapshot(vec![cart]);
        let row = |name: &str| {
            Arc::new(ConfigMapRow { namespace: "shop".into(), name: name.into(), version: version.into() })
        };
        snapshot.config_maps = Arc::from([row("cart-config"), row("nobody-reads-it")]);
        snapshot
    }

    fn place() -> Place {
        ("shop".into(), "cart-config".into())
    }

    #[test]
    fn a_map_is_read_when_it_moves_and_what_it_held_is_kept() {
        let mut configs = Configs::default();
        assert_eq!(configs.moved(&seen("1", false)), [], "nobody invited automation");
        assert_eq!(configs.moved(&seen("1", true)), [place()], "and nothing that nobody reads");
        assert_eq!(configs.moved(&seen("1", true)), [], "it is being asked for");
        configs.learn(&place(), Some(map("1", "good", None)), fx::ago(600));
        assert_eq!(configs.moved(&seen("1", true)), []);
        assert_eq!(configs.moved(&seen("2", true)), [place()]);
        configs.learn(&place(), Some(map("2", "typo", None)), fx::ago(60));
        let files = configs.of(&seen("2", true).workloads[0]);
        let (was, at) = files[0].before.clone().unwrap();
        assert_eq!((&was["data"]["URL"], at), (&json!("good"), fx::ago(60)));
        assert_eq!(files[0].live["data"]["URL"], "typo");
    }

    #[test]
    fn what_kansole_wrote_or_could_not_read_is_nothing_to_put_back() {
        let mut configs = Configs::default();
        configs.moved(&seen("1", true));
        configs.learn(&place(), Some(map("1", "typo", None)), fx::ago(600));
        configs.moved(&seen("2", true));
        configs.learn(&place(), Some(map("2", "good", Some("a/b"))), fx::ago(60));
        assert_eq!(configs.of(&seen("2", true).workloads[0])[0].before, None, "our own write");
        configs.moved(&seen("3", true));
        configs.learn(&place(), None, fx::ago(30));
        assert_eq!(configs.of(&seen("3", true).workloads[0]), [], "forbidden");
        assert_eq!(configs.moved(&seen("3", true)), [], "and not asked again until it moves");
        let large = "x".repeat(LARGEST);
        configs.moved(&seen("4", true));
        configs.learn(&place(), Some(map("4", &large, None)), fx::now());
        assert_eq!(configs.of(&seen("4", true).workloads[0]), []);
    }
}
