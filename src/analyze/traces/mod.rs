//! What traces mean (A6): the critical path of a request; and of many requests together who calls whom, what costs the
//! time, how failures travel, which objectives break, and which call would be missed most.

pub mod critical;
mod kin;
mod look;
mod map;
mod tally;
#[cfg(test)]
mod tests;
pub mod tree;
mod weak;
mod window;

pub use window::Window;
