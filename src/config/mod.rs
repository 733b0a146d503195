//! Settings, keymaps and themes: typed, layered, checked with line and column.

pub mod check;
pub mod chord;
pub mod dirs;
pub mod duration;
pub mod keymap;
pub mod load;
pub mod origin;
pub mod problem;
pub mod settings;
pub mod theme;
pub mod watch;

pub use load::{Loaded, Overrides, load};
pub use settings::Settings;

#[cfg(test)]
mod tests;
