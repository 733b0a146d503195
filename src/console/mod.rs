//! The terminal: panes, layers, input, drawing. Knows the model, the configuration and the loop's handle.

pub mod caps;
pub mod command;
pub mod effect;
pub mod keys;
pub mod layers;
pub mod look;
pub mod osc52;
pub mod pane;
pub mod screen;
pub mod terminal;
pub mod theme;
pub mod watchdog;
