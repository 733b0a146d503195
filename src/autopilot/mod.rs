//! The loop: owns all state, runs the phases, knows the modes.

pub mod handle;
pub mod world;
