//! The terminal: panes, layers, input, drawing. Knows the model, the configuration and the loop's handle.

pub mod app;
pub mod background;
pub mod caps;
pub mod cast;
pub mod command;
pub mod effect;
mod encoder;
pub mod footer;
pub mod header;
pub mod help;
pub mod history;
pub mod keyref;
pub mod keys;
pub mod layers;
pub mod look;
pub mod osc52;
pub mod pane;
pub mod panes;
pub mod plain;
pub mod promql;
pub mod run;
pub mod screen;
pub mod session;
pub mod shell;
pub mod snapshot;
pub mod terminal;
pub mod theme;
pub mod update;
pub mod view;
pub mod watchdog;
pub mod widgets;
mod wire;

#[cfg(test)]
mod bytes;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
