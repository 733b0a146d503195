//! The terminal: panes, layers, input, drawing. Knows the model, the configuration and the loop's handle.

pub mod caps;
pub mod command;
pub mod effect;
pub mod keys;
pub mod look;
pub mod pane;
pub mod theme;
