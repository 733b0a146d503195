//! The loop: owns all state, runs the phases, knows the modes.

pub mod control;
pub mod handle;
pub mod socket;
pub mod world;
