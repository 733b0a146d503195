//! kubectl at the simulated cluster: everyday commands, judged by what they print and how they exit.
//!
//!     tests/rig/rig run -- cargo test --features rig --test kubectl

mod desk;
mod reads;
mod runs;
mod writes;
