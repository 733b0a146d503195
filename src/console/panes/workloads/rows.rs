//! The cells of each row, and what rows are sorted by.

use super::super::health::{self, Health, Worst};
use super::super::{show, usage};
use super::level::{Place, TREND, pod_key};
use crate::autopilot::world::World;
use crate::console::pane::Ctx;
use crate::console::theme::{Glyphs, Role};
use crate::console::widgets::bar::sparkline;
use crate::console::widgets::table::Cell;
use crate::console::widgets::unit::Unit;
use crate::model::cluster::{NodeRow, Owner, Workload};
use crate::model::object::WorkloadKind;
use crate::model::pod::{Amount, ContainerRow, ContainerSpec, PodRow};
use crate::model::quantity::{human_bytes, human_cores};
use crate::model::reading::Reading;
use crate::model::series::Signal;
use crate::model::time::{Timestamp, age};
use chrono::TimeDelta;
use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;

/// Counts per namespace and node, made once per world.
#[derive(Debug, Default)]
pub struct Counts {
    namespaces: HashMap<Arc<str>, [u32; 3]>,
    nodes: HashMap<Arc<str>, u32>,
    total: [u32; 3],
}

impl Counts {
    /// Counts workloads, troubled workloads and pods.
    pub fn of(world: &World, worst: &Worst) -> Self {
        let known = health::pods_known(world);
        let mut c = Self::default();
        for w in &*world.snapshot.workloads {
            let bad = u32::from(matches!(health::of_workload(w, worst, known), Health::Bad | Health::Warning));
            let one = [1, bad, w.pods.len() as u32];
            let place = c.namespaces.entry(w.key.namespace.clone()).or_default();
            for i in 0..3 {
                place[i] += one[i];
                c.total[i] += one[i];
            }
            for node in w.pods.iter().filter_map(|p| p.node.as_ref()) {
                *c.nodes.entry(node.clone()).or_default() += 1;
            }
        }
        c
    }
}

/// All that rows are made from.
#[allow(missing_docs)]
pub struct Rows<'a> {
    pub world: &'a World,
    pub worst: &'a Worst,
    pub counts: &'a Counts,
    pub now: Timestamp,
    pub glyphs: Glyphs,
}

impl<'a> Rows<'a> {
    /// From a context and what was counted at the last sync.
    pub fn new(world: &'a World, worst: &'a Worst, counts: &'a Counts, ctx: &Ctx) -> Self {
        Self { world, worst, counts, now: ctx.now, glyphs: ctx.theme.glyphs }
    }

    /// The cells of one row, one per column of its level.
    pub fn cells(&self, place: Place) -> Vec<Cell<'a>> {
        let s = &self.world.snapshot;
        match place {
            Place::Special(n) => self.special(n),
            Place::Namespace(i) => self.namespace(i),
            Place::Node(i) => self.node(&s.nodes[i as usize]),
            Place::Workload(i) => self.workload(&s.workloads[i as usize]),
            Place::Pod(i, j) => self.pod(&s.workloads[i as usize].pods[j as usize]),
            Place::Container(i, j, c) => {
                let pod = &s.workloads[i as usize].pods[j as usize];
                self.container(&pod.specs[c as usize], pod.containers.get(c as usize))
            }
        }
    }

    fn special(&self, n: u8) -> Vec<Cell<'a>> {
        let [workloads, bad, pods] = self.counts.total;
        let arrow = Cell::new(self.glyphs.arrow, Role::Key);
        let name = |t: &'static str| Cell::new(t, Role::Key);
        match n {
            0 => vec![arrow, name("all workloads"), number(workloads), troubled(bad)],
            1 => vec![arrow, name("all pods"), Cell::plain(""), Cell::plain(""), number(pods)],
            _ => {
                let nodes = &self.world.snapshot.nodes;
                let bad = nodes.iter().filter(|n| health::of_node(n) != Health::Good).count() as u32;
                vec![
                    arrow,
                    name("nodes"),
                    Cell::plain(""),
                    troubled(bad),
                    Cell::plain(""),
                    Cell::plain(""),
                    Cell::muted(format!("{} nodes", nodes.len())),
                ]
            }
        }
    }

    fn namespace(&self, i: u32) -> Vec<Cell<'a>> {
        let n = &self.world.snapshot.namespaces[i as usize];
        let [workloads, bad, pods] = self.counts.namespaces.get(&n.name).copied().unwrap_or_default();
        let health = if bad > 0 { Health::Warning } else { Health::Good };
        vec![
            Cell::new(health.glyph(&self.glyphs), health.role()),
            Cell::plain(&*n.name),
            number(workloads),
            troubled(bad),
            number(pods),
            if n.opted_in { Cell::new("opted in", Role::ModeAuto) } else { Cell::muted("") },
            if n.terminating { Cell::new("terminating", Role::Warning) } else { Cell::muted("active") },
        ]
    }

    fn node(&self, n: &'a NodeRow) -> Vec<Cell<'a>> {
        let health = health::of_node(n);
        let mut words: Vec<String> = n.troubles.iter().map(|(t, _, _)| format!("{t:?}")).collect();
        if words.is_empty() {
            words.push(if n.ready { "Ready" } else { "NotReady" }.into());
        }
        if n.cordoned {
            words.push("cordoned".into());
        }
        let role = if health == Health::Good { Role::Text } else { health.role() };
        let used = match self.world.snapshot.metrics.node_memory.get(&n.name) {
            Some(r) => show::reading(r, Unit::Share, self.now, &self.glyphs),
            None => Cell::new(show::absent(&self.glyphs), Role::Stale),
        };
        let pods = self.counts.nodes.get(&n.name).copied().unwrap_or(0);
        vec![
            Cell::new(health.glyph(&self.glyphs), health.role()),
            Cell::plain(&*n.name),
            Cell::new(words.join(", "), role),
            Cell::plain(format!("{pods}/{}", n.pods)),
            Cell::muted(human_cores(n.cpu.cores())),
            Cell::muted(human_bytes(n.memory.0 as f64)),
            used,
            Cell::muted(&*n.zone),
            Cell::muted(&*n.version),
            Cell::muted(age(self.now, n.created)),
        ]
    }

    fn workload(&self, w: &'a Workload) -> Vec<Cell<'a>> {
        let known = health::pods_known(self.world);
        let health = health::of_workload(w, self.worst, known);
        let (ready, wanted) = w.readiness();
        let finishes = matches!(w.key.kind, WorkloadKind::Job | WorkloadKind::CronJob);
        let readiness = if known {
            let role = if ready < wanted && !finishes { Role::Warning } else { Role::Text };
            Cell::new(format!("{ready}/{wanted}"), role)
        } else {
            Cell::new(format!("{}/{wanted}", show::FAILED), Role::Stale)
        };
        let status = match &w.stuck {
            _ if !known => Cell::new("pods unknown", Role::Stale),
            _ if w.paused => Cell::new("paused", Role::Warning),
            Some((reason, _)) if health::status_rank(health::worst_status(w)) < 2 => Cell::new(&**reason, Role::Bad),
            _ if w.pods.is_empty() => Cell::muted("no pods"),
            _ => status_cell(health::worst_status(w)),
        };
        let image = w.template.iter().find(|c| !c.init).map_or("", |c| &*c.image);
        let mut cells = vec![
            Cell::new(health.glyph(&self.glyphs), health.role()),
            Cell::muted(&*w.key.namespace),
            Cell::plain(&*w.key.name),
            Cell::muted(w.key.kind.short()),
            readiness,
            status,
            if known { restarts(w.restarts()) } else { Cell::new(show::FAILED, Role::Stale) },
            w.created.map_or(Cell::new(show::absent(&self.glyphs), Role::Stale), |c| Cell::muted(age(self.now, c))),
        ];
        let used = usage::of_workload(&self.world.snapshot.metrics, w);
        cells.extend(usage::cells(&used, &usage::Bounds::of_workload(w), self.now, &self.glyphs));
        cells.extend([
            owner_cell(&w.owners),
            if w.opted_in { Cell::new("auto", Role::ModeAuto) } else { Cell::muted("") },
            Cell::muted(image),
            self.trend(w, Signal::Cpu),
            self.trend(w, Signal::Memory),
        ]);
        cells
    }

    /// The last hour of a signal, from zero to its own peak; what was not measured stays empty.
    fn trend(&self, w: &Workload, signal: Signal) -> Cell<'a> {
        let Some(measured) = self.world.snapshot.metrics.workloads.get(&w.key) else {
            return Cell::new(show::absent(&self.glyphs), Role::Stale);
        };
        let seconds = |t: Timestamp| t.timestamp() as f64;
        // Columns stand on whole spans of time: they move when one is over, not with every second.
        let hour = 3600.0;
        let column = hour / f64::from(TREND);
        let to = ((seconds(self.now) / column).floor() + 1.0) * column;
        let from = self.now - TimeDelta::hours(1);
        let points: Vec<_> = measured.history(signal).range(from, self.now).map(|(at, v)| (seconds(at), v)).collect();
        let role = if signal == Signal::Cpu { Role::Series1 } else { Role::Series2 };
        Cell::new(sparkline(&points, to - hour, to, TREND as usize, &self.glyphs), role)
    }

    fn pod(&self, p: &'a PodRow) -> Vec<Cell<'a>> {
        let health = health::of_pod(p);
        let (ready, all) = p.ready_containers();
        let short = ready < all && health != Health::Good;
        let mut cells = vec![
            Cell::new(health.glyph(&self.glyphs), health.role()),
            Cell::muted(&*p.namespace),
            Cell::plain(&*p.name),
            Cell::new(format!("{ready}/{all}"), if short { Role::Warning } else { Role::Text }),
            status_cell(p.status()),
            restarts(p.restarts()),
            Cell::muted(age(self.now, p.created)),
        ];
        let used = usage::of_pod(&self.world.snapshot.metrics, &pod_key(p), self.now);
        cells.extend(usage::cells(&used, &usage::Bounds::of(&p.specs), self.now, &self.glyphs));
        cells.extend([
            p.node.as_deref().map_or(Cell::new("unscheduled", Role::Warning), Cell::muted),
            Cell::muted(p.specs.iter().find(|c| !c.init).map_or("", |c| &*c.image)),
        ]);
        cells
    }

    fn container(&self, spec: &'a ContainerSpec, row: Option<&'a ContainerRow>) -> Vec<Cell<'a>> {
        let (health, state) = container_state(spec, row);
        let trouble = row.and_then(|r| r.trouble.as_ref());
        let last = trouble.and_then(|t| t.last.as_ref()).map_or(Cell::muted(""), |l| {
            let when = l.finished.map_or_else(String::new, |f| format!(", {} ago", age(self.now, f)));
            Cell::new(format!("{} exit {}{when}", l.reason, l.exit_code), Role::Warning)
        });
        let r = &spec.resources;
        let probes: String = [(spec.probes.liveness, 'L'), (spec.probes.readiness, 'R'), (spec.probes.startup, 'S')]
            .into_iter()
            .filter_map(|(has, letter)| has.then_some(letter))
            .collect();
        vec![
            Cell::new(health.glyph(&self.glyphs), health.role()),
            Cell::plain(&*spec.name),
            Cell::muted(if spec.init { "init" } else { "main" }),
            Cell::new(state, if health == Health::Good { Role::Text } else { health.role() }),
            row.map_or(Cell::new(show::absent(&self.glyphs), Role::Stale), |r| restarts(r.restarts)),
            last,
            written(r.cpu_request.as_ref()),
            written(r.cpu_limit.as_ref()),
            written(r.memory_request.as_ref()),
            written(r.memory_limit.as_ref()),
            if probes.is_empty() { Cell::new("none", Role::Muted) } else { Cell::muted(probes) },
            Cell::muted(&*spec.image),
        ]
    }

    /// How two rows are ordered by a column; what has no number comes last whichever way.
    pub fn order(&self, rows: &mut [Place], column: usize, reverse: bool) {
        let mut keyed: Vec<(SortKey, Place)> = rows.iter().map(|p| (self.sort_key(*p, column), *p)).collect();
        keyed.sort_by(|(a, _), (b, _)| a.compare(b, reverse));
        for (row, (_, place)) in rows.iter_mut().zip(keyed) {
            *row = place;
        }
    }

    fn sort_key(&self, place: Place, column: usize) -> SortKey {
        if let Place::Special(n) = place {
            return SortKey::First(n);
        }
        let s = &self.world.snapshot;
        match (place, column) {
            (Place::Workload(i), 0) => {
                let known = health::pods_known(self.world);
                SortKey::Number(-f64::from(health::of_workload(&s.workloads[i as usize], self.worst, known) as u8))
            }
            (Place::Workload(i), 7) => {
                s.workloads[i as usize].created.map_or(SortKey::Missing, |c| SortKey::Number(c.timestamp() as f64))
            }
            (Place::Pod(i, j), 0) => {
                SortKey::Number(-f64::from(health::of_pod(&s.workloads[i as usize].pods[j as usize]) as u8))
            }
            (Place::Pod(i, j), 6) => {
                SortKey::Number(s.workloads[i as usize].pods[j as usize].created.timestamp() as f64)
            }
            (Place::Node(i), 9) => SortKey::Number(s.nodes[i as usize].created.timestamp() as f64),
            (Place::Node(i), 0) => SortKey::Number(-f64::from(health::of_node(&s.nodes[i as usize]) as u8)),
            (Place::Workload(i), 8 | 11 | 17 | 18) => {
                let u = usage::of_workload(&s.metrics, &s.workloads[i as usize]);
                SortKey::falling(if matches!(column, 8 | 17) { &u.cpu } else { &u.memory })
            }
            (Place::Pod(i, j), 7 | 10) => {
                let key = pod_key(&s.workloads[i as usize].pods[j as usize]);
                let u = usage::of_pod(&s.metrics, &key, self.now);
                SortKey::falling(if column == 7 { &u.cpu } else { &u.memory })
            }
            _ => self.cells(place).get(column).map_or(SortKey::Missing, |cell| SortKey::written(&cell.text)),
        }
    }
}

/// What a row is sorted by.
enum SortKey {
    First(u8),
    Number(f64),
    Text(String),
    Missing,
}

impl SortKey {
    /// A reading, greatest first.
    fn falling(reading: &Reading) -> Self {
        reading.last().map_or(Self::Missing, |(v, _)| Self::Number(-v))
    }

    /// What a cell says: percentages and counts by number (greatest first), all else by text.
    fn written(text: &str) -> Self {
        if matches!(text, "" | "-" | "–" | "?" | "none") {
            return Self::Missing;
        }
        let bare = text.split('/').next().unwrap_or(text).trim_end_matches('%');
        bare.parse().map_or_else(|_| Self::Text(text.to_lowercase()), |v: f64| Self::Number(-v))
    }

    fn compare(&self, other: &Self, reverse: bool) -> Ordering {
        let turn = |o: Ordering| if reverse { o.reverse() } else { o };
        match (self, other) {
            (Self::First(a), Self::First(b)) => a.cmp(b),
            (Self::First(_), _) => Ordering::Less,
            (_, Self::First(_)) => Ordering::Greater,
            (Self::Missing, Self::Missing) => Ordering::Equal,
            (Self::Missing, _) => Ordering::Greater,
            (_, Self::Missing) => Ordering::Less,
            (Self::Number(a), Self::Number(b)) => turn(a.total_cmp(b)),
            (Self::Text(a), Self::Text(b)) => turn(a.cmp(b)),
            (Self::Number(_), Self::Text(_)) => Ordering::Less,
            (Self::Text(_), Self::Number(_)) => Ordering::Greater,
        }
    }
}

/// State of one container in a word.
pub fn container_state<'a>(spec: &ContainerSpec, row: Option<&'a ContainerRow>) -> (Health, &'a str) {
    let Some(row) = row else { return (Health::Unknown, "not reported") };
    let trouble = row.trouble.as_ref();
    if let Some((reason, _)) = trouble.and_then(|t| t.waiting.as_ref()) {
        return (if health::status_rank(reason) == 2 { Health::Bad } else { Health::Warning }, reason);
    }
    if let Some(end) = trouble.and_then(|t| t.terminated.as_ref()) {
        return (if end.exit_code == 0 { Health::Good } else { Health::Bad }, &end.reason);
    }
    match (row.running, row.ready) {
        (true, true) => (Health::Good, "Running"),
        (true, false) if spec.init => (Health::Warning, "Running"),
        (true, false) => (Health::Warning, "not ready"),
        (false, true) => (Health::Good, "Completed"),
        (false, false) => (Health::Warning, "waiting"),
    }
}

fn number<'a>(n: u32) -> Cell<'a> {
    Cell::plain(n.to_string())
}

fn troubled<'a>(n: u32) -> Cell<'a> {
    if n == 0 { Cell::muted("0") } else { Cell::new(n.to_string(), Role::Warning) }
}

fn restarts<'a>(n: u32) -> Cell<'a> {
    if n == 0 { Cell::muted("0") } else { Cell::new(n.to_string(), Role::Warning) }
}

fn status_cell(status: &str) -> Cell<'_> {
    Cell::new(status, health::status_role(status))
}

/// The amount as the object holds it.
fn written<T>(amount: Option<&Amount<T>>) -> Cell<'_> {
    amount.map_or(Cell::muted("none"), |a| Cell::plain(&*a.raw))
}

/// Who else decides: the kind of owner is enough in a table.
fn owner_cell<'a>(owners: &[Owner]) -> Cell<'a> {
    let word = |o: &Owner| match o {
        Owner::ArgoCd(_) => "argo",
        Owner::Flux(_) => "flux",
        Owner::Helm(_) => "helm",
        Owner::Operator(_) => "oper",
        Owner::Hpa(_) => "hpa",
        Owner::Vpa(_) => "vpa",
        Owner::Keda(_) => "keda",
    };
    Cell::muted(owners.iter().map(word).collect::<Vec<_>>().join(","))
}
