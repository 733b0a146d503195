//! Doing it: the only room that writes to a cluster.
//!
//! One way through: [`queue`] holds proposals until somebody decides, [`guard`] turns an approval into a
//! [`guard::Permit`] or says every reason against it, and [`run`] consumes the permit: dry-run, write,
//! verify, and undo where the result is harmful or cannot be told. Without a permit there is no way to
//! write: the functions that do are private to this room and take a permit.

mod api;
mod apply;
mod course;
pub mod explain;
#[cfg(test)]
mod fixture;
mod gates;
pub mod guard;
mod health;
pub mod history;
pub mod killswitch;
mod ladder;
pub mod lease;
pub mod preview;
pub mod queue;
mod recheck;
mod resume;
pub mod run;
pub mod surroundings;
mod touches;
mod undo;
mod verify;
mod window;
mod work;

pub use guard::{Actor, Guard, Permit, Request};
pub use history::GuardHistory;
pub use killswitch::{KillHandle, KillReason, KillSwitch};
pub use lease::Fence;
pub use preview::preview;
pub use queue::{Offer, Queue, QueueError};
pub use resume::resume;
pub use run::{Deps, Progress, View, revert, run};
pub use surroundings::{Budget, Surroundings};
