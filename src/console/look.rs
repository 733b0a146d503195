//! How the console looks and listens: theme and keymap, resolved for this terminal.

use super::caps::{Caps, Depth, needs_palette, to_256};
use super::keys::{Keymap, bindable};
use super::theme::{Role, Theme};
use crate::config::dirs::{Dirs, names};
use crate::config::problem::Problems;
use crate::config::settings::Ui;
use crate::config::{keymap, theme};

/// Theme and keymap.
#[derive(Debug, Clone, PartialEq)]
pub struct Look {
    /// Colours and glyphs.
    pub theme: Theme,
    /// Keys.
    pub keymap: Keymap,
    /// Whether the terminal's bell is rung when somebody should come and see.
    pub bell: bool,
    /// Names of all themes, for the menu.
    pub themes: Vec<String>,
}

impl Look {
    /// Loads what the settings name.
    ///
    /// A theme with more colours than the terminal has falls to its nearest in 256 colours, to `ansi16` with
    /// sixteen, and to `mono` without any.
    pub fn load(ui: &Ui, dirs: &Dirs, caps: &Caps) -> Result<Self, Problems> {
        let bindings = keymap::load(&ui.keymap, dirs, &bindable())?;
        let mut styles = theme::load(&ui.theme, dirs, &Role::NAMES)?;
        match caps.depth {
            Depth::None => styles = theme::load("mono", dirs, &Role::NAMES)?,
            Depth::Ansi16 if styles.iter().any(needs_palette) => {
                styles = theme::load("ansi16", dirs, &Role::NAMES)?;
            }
            Depth::Ansi256 => styles = styles.into_iter().map(to_256).collect(),
            Depth::Ansi16 | Depth::True => {}
        }
        Ok(Self {
            theme: Theme { name: ui.theme.clone(), styles, glyphs: caps.glyphs() },
            keymap: Keymap::new(&bindings),
            themes: names("theme", dirs, &theme::SHIPPED),
            bell: ui.bell,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::caps::Multiplexer;
    use super::*;
    use ratatui::style::{Color, Modifier};

    fn look(name: &str, depth: Depth) -> Look {
        let dirs = Dirs::below(std::path::Path::new("/nonexistent"));
        let caps = Caps { depth, ascii: false, remote: false, multiplexer: Multiplexer::None };
        let ui = Ui { theme: name.into(), ..Ui::default() };
        Look::load(&ui, &dirs, &caps).unwrap_or_else(|e| panic!("{e}"))
    }

    #[test]
    fn names_of_roles_are_those_of_serde() {
        for (role, name) in Role::ALL.iter().zip(Role::NAMES) {
            assert_eq!(serde_json::to_value(role).unwrap(), name);
        }
    }

    #[test]
    fn every_shipped_theme_covers_every_role_at_every_depth() {
        for (name, _) in theme::SHIPPED {
            for depth in [Depth::None, Depth::Ansi16, Depth::Ansi256, Depth::True] {
                let styles = look(name, depth).theme.styles;
                assert_eq!(styles.len(), Role::ALL.len());
                let colours = styles.iter().flat_map(|s| [s.fg, s.bg]).flatten();
                for colour in colours {
                    match depth {
                        Depth::None => panic!("{name}: {colour:?} without colours"),
                        Depth::Ansi16 => assert!(!matches!(colour, Color::Rgb(..) | Color::Indexed(_))),
                        Depth::Ansi256 => assert!(!matches!(colour, Color::Rgb(..))),
                        Depth::True => {}
                    }
                }
            }
        }
    }

    #[test]
    fn dangers_differ_from_the_ordinary_even_without_colour() {
        let theme = look("dark", Depth::None).theme;
        for role in [Role::Critical, Role::Bad, Role::Warning, Role::ModeKilled, Role::Selection, Role::Stale] {
            assert_ne!(theme.style(role).add_modifier, Modifier::empty(), "{role:?}");
        }
    }
}
