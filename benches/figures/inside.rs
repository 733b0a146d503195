//! The same way the program takes, without a server: bytes of a watch become rows, a table, a snapshot,
//! a world, a console, a frame.

use crate::synthetic::Cluster;
use crossterm::event::{KeyEvent, KeyModifiers};
use kansole::autopilot::world::{Link, World};
use kansole::config::chord::Chord;
use kansole::config::dirs::Dirs;
use kansole::config::settings::Ui;
use kansole::console::app::{Model, Msg};
use kansole::console::caps::{Caps, Depth, Multiplexer};
use kansole::console::effect::Effect;
use kansole::console::look::Look;
use kansole::console::screen::Screen;
use kansole::console::update::update;
use kansole::console::{panes, view};
use kansole::model::object::Resource;
use kansole::model::snapshot::{ApiHealth, ClusterInfo, Snapshot, SourceState};
use kansole::monitor::feed::{Change, Delta, Feed, Object, Watched};
use kansole::monitor::lite::{ControllerLite, Lite, NamespaceLite, NodeLite, PodLite};
use kansole::monitor::table::Table;
use kube::api::WatchEvent;
use ratatui::Terminal;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// One line of a watch, as it comes off the wire.
pub fn line(kind: &str, object: &str) -> String {
    format!("{{\"type\":\"{kind}\",\"object\":{object}}}\n")
}

/// Reads a line of a watch as the monitor does.
pub fn read<T: Lite>(line: &str) -> T {
    match serde_json::from_str(line).expect("an event") {
        WatchEvent::Added(object) | WatchEvent::Modified(object) => object,
        _ => panic!("no object: {line}"),
    }
}

/// The feed of one kind in the whole cluster.
pub fn feed(resource: &Resource) -> Arc<Feed> {
    Arc::new(Feed { watched: Watched::of(resource).expect("a watched kind"), namespace: None })
}

/// A table that has listed the cluster, object by object.
pub fn table(cluster: &Cluster) -> Table {
    fn list<T: Lite>(table: &mut Table, cluster: &Cluster, resource: &Resource, wrap: fn(Box<T>) -> Object) {
        let (feed, now) = (feed(resource), chrono::Utc::now());
        let mut tell = |change| table.apply(Delta { feed: feed.clone(), change }, now);
        tell(Change::Begin);
        for object in cluster.list(&resource.plural) {
            tell(Change::Listed(wrap(Box::new(read::<T>(&line("ADDED", &object))))));
        }
        tell(Change::ListDone);
    }
    let mut table = Table::new(2000, None);
    list::<NamespaceLite>(&mut table, cluster, &Resource::NAMESPACES, Object::Namespace);
    list::<NodeLite>(&mut table, cluster, &Resource::NODES, Object::Node);
    list::<ControllerLite>(&mut table, cluster, &Resource::DEPLOYMENTS, Object::Controller);
    list::<ControllerLite>(&mut table, cluster, &Resource::REPLICASETS, Object::Controller);
    list::<PodLite>(&mut table, cluster, &Resource::PODS, Object::Pod);
    table
}

/// What the table publishes, as a snapshot.
pub fn snapshot(table: &mut Table, seq: u64) -> Snapshot {
    let parts = table.publish();
    let text = |t: &str| Arc::<str>::from(t);
    let now = chrono::Utc::now();
    let cluster = ClusterInfo {
        id: text("bench"),
        context: text("bench"),
        server: text("https://bench.example:6443"),
        version: text("v1.36.0"),
        user: text("ops"),
        namespaces: None,
    };
    let live = SourceState::Live { last: now };
    Snapshot {
        seq,
        api: ApiHealth { state: live, latency_ms: Some(1.0), clock_skew_s: None, throttled: 0 },
        sources: parts.sources,
        workloads: parts.workloads,
        nodes: parts.nodes,
        namespaces: parts.namespaces,
        hpas: parts.hpas,
        pdbs: parts.pdbs,
        events: parts.events,
        ..Snapshot::empty(cluster, now)
    }
}

/// The world around a snapshot.
pub fn world(snapshot: Snapshot) -> Arc<World> {
    let now = snapshot.taken;
    Arc::new(World {
        seq: snapshot.seq,
        link: Link::Connected,
        snapshot: Arc::new(snapshot),
        ..World::empty("bench", now)
    })
}

/// A console as `kansole` has it, all colours.
pub fn model(world: Arc<World>) -> Model {
    let dirs = Dirs::below(Path::new("/nonexistent"));
    let caps = Caps {
        depth: Depth::True,
        ascii: false,
        blocks: false,
        light: false,
        remote: false,
        multiplexer: Multiplexer::None,
    };
    let look = Look::load(&Ui::default(), &dirs, &caps).unwrap_or_else(|e| panic!("{e}"));
    let mut model = Model::new(panes::all(), world, look, chrono::TimeDelta::seconds(60));
    model.size = crate::pty::SIZE;
    model
}

/// Types keys such as `j` or `enter`.
pub fn press(model: &mut Model, keys: &str) -> Vec<Effect> {
    let key = |key: &str| {
        let chord = Chord::parse(key).expect("a key");
        KeyEvent::new(chord.code, chord.modifiers | KeyModifiers::NONE)
    };
    keys.split(' ').flat_map(|k| update(model, Msg::Key(key(k)), chrono::Utc::now())).collect()
}

/// To the list of all pods.
pub fn all_pods(model: &mut Model) {
    press(model, "2 esc j enter");
    let pods = model.world.snapshot.pod_count();
    assert_eq!(model.pane().trail(), "all pods", "{pods} pods");
}

/// Takes frames and counts them.
#[derive(Clone, Default)]
pub struct Sink(Arc<(AtomicU64, AtomicU64)>);

impl Sink {
    /// Writes and bytes so far.
    pub fn taken(&self) -> (u64, u64) {
        (self.0.0.load(Ordering::Relaxed), self.0.1.load(Ordering::Relaxed))
    }
}

impl io::Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.0.fetch_add(1, Ordering::Relaxed);
        self.0.1.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The real backend over a counting sink.
pub fn screen(sink: &Sink) -> Terminal<Screen<Sink>> {
    let (width, height) = crate::pty::SIZE;
    Terminal::new(Screen::new(sink.clone(), true).with_size(width, height)).expect("a screen")
}

/// Draws one frame: view, diff, and the write of what changed.
pub fn draw(model: &mut Model, screen: &mut Terminal<Screen<Sink>>) -> Duration {
    model.now = chrono::Utc::now();
    let began = Instant::now();
    screen.draw(|frame| view::view(model, frame)).expect("a sink takes everything");
    began.elapsed()
}
