//! How the console looks and listens: theme and keymap, resolved for this terminal.

use super::caps::{Caps, Depth, needs_palette, to_256};
use super::keys::{Keymap, bindable};
use super::theme::{Role, Theme};
use crate::config::dirs::{Dirs, names};
use crate::config::problem::Problems;
use crate::config::settings::Ui;
use crate::config::{keymap, theme};
use ratatui::style::{Color, Modifier, Style};

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
    /// Colours of clusters' names, by context or by its begin and a `*`.
    banners: Vec<(String, Color)>,
}

impl Look {
    /// Loads what the settings name.
    ///
    /// A theme with more colours than the terminal has falls to its nearest in 256 colours, to `ansi16` with
    /// sixteen, and to `mono` without any.
    pub fn load(ui: &Ui, dirs: &Dirs, caps: &Caps) -> Result<Self, Problems> {
        let bindings = keymap::load(&ui.keymap, dirs, &bindable())?;
        let name = match (&*ui.theme, caps.light) {
            (theme::AUTO, true) => "light",
            (theme::AUTO, false) => "dark",
            (name, _) => name,
        };
        let mut styles = theme::load(name, dirs, &Role::NAMES)?;
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
            banners: banners(ui, caps.depth),
        })
    }
}

impl Look {
    /// How the name of a cluster is drawn: an exact name wins over a begin, a longer begin over a shorter one.
    pub fn banner(&self, context: &str) -> Style {
        let fits = |pattern: &str| match pattern.strip_suffix('*') {
            Some(begin) => context.starts_with(begin),
            None => pattern == context,
        };
        let best = self.banners.iter().filter(|(p, _)| fits(p)).max_by_key(|(p, _)| (!p.ends_with('*'), p.len()));
        match best {
            // Reversed, so that the text has the background's colour and stays readable on any palette.
            Some((_, color)) => {
                Style::new().fg(*color).bg(Color::Reset).add_modifier(Modifier::REVERSED | Modifier::BOLD)
            }
            None => self.theme.style(Role::Banner),
        }
    }
}

/// Colours of banners that this terminal can show; the settings were checked before.
fn banners(ui: &Ui, depth: Depth) -> Vec<(String, Color)> {
    let color = |text: &String| theme::plain_color(text).ok();
    let shown = |color: Color| match depth {
        Depth::None => None,
        Depth::Ansi16 if needs_palette(&Style::new().fg(color)) => None,
        Depth::Ansi256 => to_256(Style::new().fg(color)).fg,
        Depth::Ansi16 | Depth::True => Some(color),
    };
    ui.banners.iter().filter_map(|(context, text)| Some((context.clone(), shown(color(text)?)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::super::caps::Multiplexer;
    use super::*;

    fn look(name: &str, depth: Depth) -> Look {
        let dirs = Dirs::below(std::path::Path::new("/nonexistent"));
        let caps =
            Caps { depth, ascii: false, blocks: false, light: false, remote: false, multiplexer: Multiplexer::None };
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
    fn a_cluster_has_its_own_colour_where_the_terminal_has_any() {
        let dirs = Dirs::below(std::path::Path::new("/nonexistent"));
        let banners = [("prod-*", "red"), ("prod-eu", "#0072b2"), ("p*", "green")];
        let ui = Ui { banners: banners.map(|(c, v)| (c.to_owned(), v.to_owned())).into(), ..Ui::default() };
        let look = |depth| {
            let caps = Caps {
                depth,
                ascii: false,
                blocks: false,
                light: false,
                remote: false,
                multiplexer: Multiplexer::None,
            };
            Look::load(&ui, &dirs, &caps).unwrap_or_else(|e| panic!("{e}"))
        };
        let rich = look(Depth::True);
        assert_eq!(rich.banner("prod-eu").fg, Some(Color::Rgb(0, 0x72, 0xb2)));
        assert_eq!(rich.banner("prod-us").fg, Some(Color::Red), "the longer begin wins");
        assert_eq!(rich.banner("staging"), rich.theme.style(Role::Banner));
        assert_eq!(look(Depth::Ansi16).banner("prod-eu").fg, Some(Color::Red), "what can be shown wins");
        assert_eq!(look(Depth::None).banner("prod-eu").fg, None);
    }

    #[test]
    fn the_theme_auto_follows_the_background() {
        let dirs = Dirs::below(std::path::Path::new("/nonexistent"));
        let shown = |light| {
            let depth = Depth::True;
            let caps =
                Caps { depth, ascii: false, blocks: false, light, remote: false, multiplexer: Multiplexer::None };
            let ui = Ui { theme: theme::AUTO.into(), ..Ui::default() };
            Look::load(&ui, &dirs, &caps).unwrap_or_else(|e| panic!("{e}")).theme.styles
        };
        assert_eq!(shown(true), look("light", Depth::True).theme.styles);
        assert_eq!(shown(false), look("dark", Depth::True).theme.styles);
    }

    #[test]
    fn dangers_differ_from_the_ordinary_even_without_colour() {
        let theme = look("dark", Depth::None).theme;
        for role in [Role::Critical, Role::Bad, Role::Warning, Role::ModeKilled, Role::Selection, Role::Stale] {
            assert_ne!(theme.style(role).add_modifier, Modifier::empty(), "{role:?}");
        }
    }
}
