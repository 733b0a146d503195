//! The panes: views over the loop's world, each a small state and a pure drawing.

pub mod actions;
pub mod health;
pub mod journal;
pub mod overview;
pub mod show;

use super::pane::Pane;

/// All panes of the console but Help, which the shell draws from the command registry.
pub fn all() -> Vec<Box<dyn Pane>> {
    vec![
        Box::new(overview::Overview::default()),
        Box::new(actions::Actions::default()),
        Box::new(journal::Journal::default()),
    ]
}
