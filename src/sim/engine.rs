//! What drives the simulation: hands changes to the actors, lets them act when they are due, and moves the clock.

use super::clock::Clock;
use super::store::{Change, Store, What};
use crate::model::time::Timestamp;
use std::sync::Arc;

/// Part of the world that reacts to changes and to time: a controller, the kubelets, the shop, a scenario.
///
/// An actor never waits and never asks for the real time; what it draws at random it takes from a
/// [`Noise`](super::noise::Noise) of its own. It writes through the store, and its own writes come back to it.
pub trait Actor: Send {
    /// For errors and tests.
    fn name(&self) -> &'static str;
    /// A change of the store, in order; called for every change once. Only notes what to do: acting is for [`Actor::act`].
    fn observe(&mut self, change: &Change);
    /// When it next wants to act; now or earlier: at once; `None`: not before the next change.
    fn due(&self) -> Option<Timestamp>;
    /// Does what is due at `now`. Afterwards [`Actor::due`] must be later than `now`, or `None`, unless a change follows.
    fn act(&mut self, now: Timestamp);
}

/// Turns without the clock moving, after which something must be wrong: two actors answering each other for ever.
const TURNS: usize = 100_000;

/// The engine: owns the actors and the time.
pub struct Engine {
    store: Arc<Store>,
    clock: Arc<Clock>,
    actors: Vec<Box<dyn Actor>>,
    seen: u64,
}

impl Engine {
    /// An engine over `store`; actors act in this order when several are due. They are shown everything that is stored
    /// already as added.
    pub fn new(store: Arc<Store>, mut actors: Vec<Box<dyn Actor>>) -> Self {
        let clock = store.clock().clone();
        let seen = store.version();
        show(&store, &mut actors);
        Self { store, clock, actors, seen }
    }

    /// Adds an actor that acts after the others; it is shown everything that is stored.
    pub fn push(&mut self, mut actor: Box<dyn Actor>) {
        self.deliver();
        show(&self.store, std::slice::from_mut(&mut actor));
        self.actors.push(actor);
    }

    /// Lets everything happen that happens up to `to`, and moves the clock there.
    pub fn advance(&mut self, to: Timestamp) {
        let mut turns = 0;
        loop {
            self.deliver();
            let now = self.clock.now();
            if let Some(actor) = self.actors.iter_mut().find(|a| a.due().is_some_and(|d| d <= now)) {
                actor.act(now);
                turns += 1;
                assert!(turns < TURNS, "{} does not come to rest at {now}", actor.name());
                continue;
            }
            turns = 0;
            match self.actors.iter().filter_map(|a| a.due()).min().filter(|d| *d <= to) {
                Some(next) => self.clock.reached(next),
                None => break,
            }
        }
        self.clock.reached(to);
    }

    fn deliver(&mut self) {
        // The log outlives one turn's changes by far; should it not, what was missed is a fault of the simulation.
        for change in self.store.since(self.seen).expect("the engine reads faster than the log forgets") {
            for actor in &mut self.actors {
                actor.observe(&change);
            }
            self.seen = change.version;
        }
    }
}

/// Shows actors everything that is stored, as added.
fn show(store: &Store, actors: &mut [Box<dyn Actor>]) {
    for kind in store.registry.all() {
        for object in store.list(&kind.key(), None).1 {
            let change = Change { version: object.version, what: What::Added, object, before: None };
            for actor in &mut *actors {
                actor.observe(&change);
            }
        }
    }
}
