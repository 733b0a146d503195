//! The terminal: panes, layers, input, drawing. Knows the model, the configuration and the loop's handle.

pub mod command;
pub mod effect;
pub mod pane;
pub mod panes;
pub mod theme;
pub mod widgets;
