//! Plays scenarios: does each step at its exact simulated time, and takes back what has an end.

use super::deed::{Deed, Fault, Server};
use super::objects::{self, Undo};
use super::press::{self, Knob, Knobs, Reach};
use super::problem::one_of;
use super::{Scenario, Step};
use crate::model::time::Timestamp;
use crate::sim::engine::Actor;
use crate::sim::machine::Shared;
use crate::sim::store::{Change, Store};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

/// What was said and what went wrong, as many lines as are kept.
const LINES: usize = 100;

/// How deep scenarios may play scenarios.
const DEPTH: usize = 4;

/// Has the faults of the servers. `None` takes a fault away.
pub trait Servers: Send {
    /// Sets one fault; amounts as [`Fault`] says.
    fn set(&self, server: Server, fault: Fault, amount: Option<f64>);
}

/// No servers: what scenarios do to them goes nowhere.
impl Servers for () {
    fn set(&self, _: Server, _: Fault, _: Option<f64>) {}
}

/// A scenario that can be started.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Info {
    pub name: String,
    pub title: String,
    pub about: String,
    pub watch: String,
    pub cure: String,
}

/// A scenario that plays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    /// Its name.
    pub name: String,
    /// Its title.
    pub title: String,
    /// When it began.
    pub since: Timestamp,
    /// The next step: when, and what it says.
    pub next: Option<(Timestamp, String)>,
}

/// How things stand.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Status {
    /// What plays.
    pub running: Option<Running>,
    /// What was done, oldest first.
    pub told: Vec<(Timestamp, String)>,
    /// What could not be done, oldest first.
    pub problems: Vec<String>,
}

/// There is no scenario of that name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no scenario {name:?}; {remedy}")]
pub struct Unknown {
    /// What was asked for.
    pub name: String,
    /// A suggestion.
    pub remedy: String,
}

#[derive(Debug)]
enum Request {
    Start(Arc<Scenario>),
    Stop,
}

/// What the director and its handles share.
#[derive(Debug, Default)]
struct Desk {
    library: Vec<Arc<Scenario>>,
    requests: VecDeque<Request>,
    status: Status,
}

/// Asks for scenarios from any thread. Requests are done as soon as the simulation moves.
#[derive(Debug, Clone)]
pub struct Handle(Arc<Mutex<Desk>>);

impl Handle {
    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.0.lock().expect("no panic while the desk is held")
    }

    /// What can be started.
    pub fn list(&self) -> Vec<Info> {
        let info = |s: &Arc<Scenario>| Info {
            name: s.name.clone(),
            title: s.title.clone(),
            about: s.about.clone(),
            watch: s.watch.clone(),
            cure: s.cure.clone(),
        };
        self.desk().library.iter().map(info).collect()
    }

    /// Starts a scenario in place of what plays.
    pub fn start(&self, name: &str) -> Result<(), Unknown> {
        let mut desk = self.desk();
        let scenario = find(&desk.library, name)?;
        desk.requests.push_back(Request::Start(scenario));
        Ok(())
    }

    /// Takes back everything that stands.
    pub fn stop(&self) {
        self.desk().requests.push_back(Request::Stop);
    }

    /// How things stand.
    pub fn status(&self) -> Status {
        self.desk().status.clone()
    }
}

fn find(library: &[Arc<Scenario>], name: &str) -> Result<Arc<Scenario>, Unknown> {
    library.iter().find(|s| s.name == name).cloned().ok_or_else(|| {
        let known: Vec<&str> = library.iter().map(|s| s.name.as_str()).collect();
        Unknown { name: name.to_owned(), remedy: one_of(name, &known) }
    })
}

#[derive(Debug)]
enum Event {
    /// A step begins; under these standing steps, with which it ends.
    Begin(Arc<Scenario>, usize, Vec<u64>, Turn),
    /// A standing step ends.
    End(u64),
}

/// Whether a step is done for the first time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    First,
    Again,
}

/// A step that was done and not yet taken back.
struct Standing {
    id: u64,
    under: Vec<u64>,
    scenario: Arc<Scenario>,
    step: usize,
    since: Timestamp,
    reach: Reach,
    undo: Vec<Undo>,
}

impl Standing {
    fn step(&self) -> &Step {
        &self.scenario.steps[self.step]
    }
}

/// Plays one scenario at a time.
pub struct Director {
    store: Arc<Store>,
    machines: Shared,
    servers: Box<dyn Servers>,
    handle: Handle,
    events: BTreeMap<(Timestamp, u64), Event>,
    standing: Vec<Standing>,
    knobs: Knobs,
    tick: Option<Timestamp>,
    count: u64,
}

impl Director {
    /// A director with these scenarios. With `first`, that one plays from then on.
    pub fn new(
        store: Arc<Store>,
        machines: Shared,
        servers: Box<dyn Servers>,
        library: Vec<Arc<Scenario>>,
        first: Option<(&str, Timestamp)>,
    ) -> Result<Self, Unknown> {
        let first = first.map(|(name, at)| Ok((find(&library, name)?, at))).transpose()?;
        let handle = Handle(Arc::new(Mutex::new(Desk { library, ..Desk::default() })));
        let mut director = Self {
            store,
            machines,
            servers,
            handle,
            events: BTreeMap::new(),
            standing: Vec::new(),
            knobs: Knobs::new(),
            tick: None,
            count: 0,
        };
        if let Some((scenario, at)) = first {
            director.start(&scenario, at);
        }
        Ok(director)
    }

    /// For those who ask.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    fn start(&mut self, scenario: &Arc<Scenario>, at: Timestamp) {
        self.plan(scenario, at, &[]);
        let mut desk = self.handle.desk();
        let status = &mut desk.status;
        status.told.push((at, format!("{}: {}", scenario.name, scenario.title)));
        status.running =
            Some(Running { name: scenario.name.clone(), title: scenario.title.clone(), since: at, next: None });
    }

    fn plan(&mut self, scenario: &Arc<Scenario>, at: Timestamp, under: &[u64]) {
        for (i, step) in scenario.steps.iter().enumerate() {
            self.count += 1;
            self.events
                .insert((at + step.at, self.count), Event::Begin(scenario.clone(), i, under.to_vec(), Turn::First));
        }
    }

    fn say(&self, now: Timestamp, text: &str) {
        let told = &mut self.handle.desk().status.told;
        if told.len() == LINES {
            told.remove(0);
        }
        told.push((now, text.to_owned()));
    }

    fn complain(&self, scenario: &Scenario, step: &Step, why: &str) {
        let (line, column) = step.places.get("").copied().unwrap_or((1, 1));
        let problems = &mut self.handle.desk().status.problems;
        if problems.len() == LINES {
            problems.remove(0);
        }
        problems.push(format!("{} ({}:{line}:{column}): {}: {why}", scenario.name, scenario.file, step.say));
    }

    fn begin(&mut self, scenario: &Arc<Scenario>, index: usize, under: Vec<u64>, turn: Turn, now: Timestamp) {
        let step = &scenario.steps[index];
        self.say(now, &step.say);
        self.count += 1;
        let id = self.count;
        if let Some(again) = step.again {
            // All turns stand under the first, and end with it.
            let first = under.iter().copied().chain((turn == Turn::First).then_some(id)).collect();
            self.events.insert((now + again, id), Event::Begin(scenario.clone(), index, first, Turn::Again));
        }
        let done = match &step.deed {
            Deed::Scenario { name } => self.nested(name, &under, id, now),
            deed if deed.writes() => {
                objects::perform(&self.store, deed, &step.manager).map(|undo| (Reach::default(), undo))
            }
            deed => self.touch(deed).map(|reach| (reach, Vec::new())),
        };
        match done {
            Ok((reach, undo)) => {
                if let Some(lasts) = step.lasts.filter(|_| turn == Turn::First) {
                    self.count += 1;
                    self.events.insert((now + lasts, self.count), Event::End(id));
                }
                self.standing.push(Standing {
                    id,
                    under,
                    scenario: scenario.clone(),
                    step: index,
                    since: now,
                    reach,
                    undo,
                });
            }
            Err(why) => self.complain(scenario, step, &why),
        }
    }

    fn nested(&mut self, name: &str, under: &[u64], id: u64, now: Timestamp) -> Result<(Reach, Vec<Undo>), String> {
        if under.len() == DEPTH {
            return Err(format!("scenarios play each other more than {DEPTH} deep"));
        }
        let scenario = find(&self.handle.desk().library, name).map_err(|e| e.to_string())?;
        let path: Vec<u64> = under.iter().copied().chain([id]).collect();
        self.plan(&scenario, now, &path);
        Ok((Reach::default(), Vec::new()))
    }

    /// What a deed on machines does once, as it begins.
    fn touch(&mut self, deed: &Deed) -> Result<Reach, String> {
        let mut machines = self.machines.lock();
        let reach = press::reach(&machines, deed)?;
        match deed {
            // Gone with the process, so it is not pressed on again.
            Deed::Lock { .. } => machines.outside.locked.extend(reach.places.iter().cloned()),
            Deed::Power { nodes, on: true } => {
                for standing in
                    self.standing.iter_mut().filter(|s| matches!(s.step().deed, Deed::Power { on: false, .. }))
                {
                    standing.reach.nodes.retain(|n| !nodes.contains(n));
                }
            }
            _ => {}
        }
        Ok(reach)
    }

    /// Ends a standing step and whatever stands under it, newest first.
    fn end(&mut self, id: u64) {
        self.events.retain(|_, e| match e {
            Event::Begin(_, _, under, _) => !under.contains(&id),
            Event::End(other) => *other != id,
        });
        while let Some(i) = self.standing.iter().rposition(|s| s.id == id || s.under.contains(&id)) {
            let gone = self.standing.remove(i);
            self.take_back(&gone);
        }
    }

    fn take_back(&self, gone: &Standing) {
        let step = gone.step();
        if matches!(step.deed, Deed::Lock { .. }) {
            let mut machines = self.machines.lock();
            for place in &gone.reach.places {
                machines.outside.locked.remove(place);
            }
        }
        for undo in gone.undo.iter().rev() {
            if let Err(why) = objects::undo(&self.store, undo, &step.manager) {
                self.complain(&gone.scenario, step, &format!("could not be taken back: {why}"));
            }
        }
    }

    fn stop(&mut self, now: Timestamp) {
        self.events.clear();
        while let Some(gone) = self.standing.pop() {
            self.take_back(&gone);
        }
        let running = self.handle.desk().status.running.take();
        if let Some(running) = running {
            self.say(now, &format!("{} is stopped", running.name));
        }
    }

    /// Puts every knob where the standing steps want it now.
    fn press(&mut self, now: Timestamp) {
        let mut knobs = Knobs::new();
        let mut machines = self.machines.lock();
        for s in &self.standing {
            press::press(&s.step().deed, &s.reach, &machines, (s.since, now), &mut knobs);
        }
        for knob in self.knobs.keys().filter(|k| !knobs.contains_key(*k)) {
            press::turn(&mut machines, knob, None);
        }
        for (knob, value) in &knobs {
            press::turn(&mut machines, knob, Some(*value));
        }
        drop(machines);
        for (knob, value) in knobs.iter().filter(|(k, v)| self.knobs.get(*k) != Some(*v)) {
            if let Knob::Server(server, fault) = knob {
                self.servers.set(*server, *fault, Some(*value));
            }
        }
        for knob in self.knobs.keys().filter(|k| !knobs.contains_key(*k)) {
            if let Knob::Server(server, fault) = knob {
                self.servers.set(*server, *fault, None);
            }
        }
        self.knobs = knobs;
        self.tick = self.standing.iter().filter_map(|s| press::next(&s.step().deed, s.since, now)).min();
    }

    /// Brings the status up to date; what has nothing left to do or to take back does not play any more.
    fn report(&self) {
        let next = self.events.iter().find_map(|((at, _), event)| match event {
            Event::Begin(scenario, step, ..) => Some((*at, scenario.steps[*step].say.clone())),
            Event::End(_) => None,
        });
        let over = self.events.is_empty() && self.standing.is_empty();
        let mut desk = self.handle.desk();
        match &mut desk.status.running {
            running @ Some(_) if over => *running = None,
            Some(running) => running.next = next,
            None => {}
        }
    }
}

impl Actor for Director {
    fn name(&self) -> &'static str {
        "director"
    }

    fn observe(&mut self, _: &Change) {}

    fn due(&self) -> Option<Timestamp> {
        if !self.handle.desk().requests.is_empty() {
            return Some(self.store.clock().now());
        }
        let event = self.events.keys().next().map(|(at, _)| *at);
        event.into_iter().chain(self.tick).min()
    }

    fn act(&mut self, now: Timestamp) {
        loop {
            let request = self.handle.desk().requests.pop_front();
            match request {
                Some(Request::Start(scenario)) => {
                    self.stop(now);
                    self.start(&scenario, now);
                }
                Some(Request::Stop) => self.stop(now),
                None => break,
            }
        }
        while let Some(entry) = self.events.first_entry().filter(|e| e.key().0 <= now) {
            match entry.remove() {
                Event::Begin(scenario, step, under, turn) => self.begin(&scenario, step, under, turn, now),
                Event::End(id) => self.end(id),
            }
        }
        self.press(now);
        self.report();
    }
}
