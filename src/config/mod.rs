//! Settings, keymaps and themes: typed, layered, checked with line and column.

pub mod duration;
pub mod settings;

pub use settings::Settings;
