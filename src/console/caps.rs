//! What this terminal can do, from flags and the environment alone: no query, so nothing to wait for.

use super::theme::Glyphs;
use ratatui::style::{Color, Style};

/// How many colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Depth {
    /// None: attributes only.
    None,
    /// The sixteen of the terminal's own palette.
    Ansi16,
    /// The xterm palette.
    Ansi256,
    /// 24 bit.
    True,
}

/// What wraps the terminal and must be told to pass sequences on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Multiplexer {
    None,
    Tmux,
    Screen,
}

/// What this terminal can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caps {
    /// Colours.
    pub depth: Depth,
    /// Only ASCII is drawn.
    pub ascii: bool,
    /// Charts are drawn with quarter blocks: the font has no braille.
    pub blocks: bool,
    /// The background is light, as far as the terminal said so.
    pub light: bool,
    /// Over SSH: fewer frames.
    pub remote: bool,
    /// Multiplexer around it.
    pub multiplexer: Multiplexer,
}

impl Caps {
    /// Reads flags (`ui.color`, `ui.ascii`) and the environment.
    pub fn detect(color: &str, ascii: bool, env: &dyn Fn(&str) -> Option<String>) -> Self {
        let get = |name: &str| env(name).filter(|v| !v.is_empty());
        let depth = match color {
            "never" => Depth::None,
            "16" => Depth::Ansi16,
            "256" => Depth::Ansi256,
            "true" => Depth::True,
            _ => guess(&get),
        };
        // POSIX: the first of these that is set decides.
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(get).unwrap_or_default().to_lowercase();
        let utf8 = locale.contains("utf-8") || locale.contains("utf8");
        let term = get("TERM").unwrap_or_default();
        let multiplexer = if get("TMUX").is_some() || term.starts_with("tmux") {
            Multiplexer::Tmux
        } else if get("STY").is_some() || term.starts_with("screen") {
            Multiplexer::Screen
        } else {
            Multiplexer::None
        };
        let remote = ["SSH_CONNECTION", "SSH_TTY", "SSH_CLIENT"].into_iter().any(|v| get(v).is_some());
        // The font of the Linux console has blocks but no braille.
        Self { depth, ascii: ascii || !utf8, blocks: term == "linux", light: false, remote, multiplexer }
    }

    /// Characters to draw with.
    pub fn glyphs(&self) -> Glyphs {
        if self.ascii { Glyphs::ASCII } else { Glyphs { blocks: self.blocks, ..Glyphs::UNICODE } }
    }

    /// Follows `ui.charts`: `braille` and `blocks` say what the font has, `auto` leaves it to the detection.
    #[must_use]
    pub fn with_charts(mut self, charts: &str) -> Self {
        match charts {
            "braille" => self.blocks = false,
            "blocks" => self.blocks = true,
            _ => {}
        }
        self
    }

    /// Frames per second: the setting, or 30, or 10 over SSH.
    pub fn max_fps(&self, setting: Option<u32>) -> u32 {
        setting.unwrap_or(if self.remote { 10 } else { 30 }).clamp(1, 60)
    }
}

fn guess(get: &dyn Fn(&str) -> Option<String>) -> Depth {
    let term = get("TERM").unwrap_or_default();
    if get("NO_COLOR").is_some() || term == "dumb" {
        Depth::None
    } else if get("COLORTERM").is_some_and(|c| c == "truecolor" || c == "24bit") || term.ends_with("-direct") {
        Depth::True
    } else if term.contains("256color") {
        Depth::Ansi256
    } else {
        Depth::Ansi16
    }
}

/// Whether a style needs more colours than the terminal's own sixteen.
pub fn needs_palette(style: &Style) -> bool {
    [style.fg, style.bg].into_iter().flatten().any(|c| matches!(c, Color::Rgb(..) | Color::Indexed(16..)))
}

/// The nearest style in the xterm palette.
#[must_use]
pub fn to_256(mut style: Style) -> Style {
    style.fg = style.fg.map(nearest_256);
    style.bg = style.bg.map(nearest_256);
    style
}

/// Nearest entry of the 6×6×6 cube or the grey ramp (xterm's levels).
fn nearest_256(color: Color) -> Color {
    const LEVELS: [i32; 6] = [0, 95, 135, 175, 215, 255];
    let Color::Rgb(red, green, blue) = color else { return color };
    let step = |v: u8| (0..6).min_by_key(|i: &usize| (LEVELS[*i] - i32::from(v)).abs()).unwrap_or(0);
    let far = |x: i32, y: i32, z: i32| {
        (x - i32::from(red)).pow(2) + (y - i32::from(green)).pow(2) + (z - i32::from(blue)).pow(2)
    };
    let (x, y, z) = (step(red), step(green), step(blue));
    let cube = (far(LEVELS[x], LEVELS[y], LEVELS[z]), 16 + 36 * x + 6 * y + z);
    let mean = (i32::from(red) + i32::from(green) + i32::from(blue)) / 3;
    let shade = ((mean - 3) / 10).clamp(0, 23);
    let level = 8 + 10 * shade;
    let grey = (far(level, level, level), 232 + shade as usize);
    Color::Indexed(cube.min(grey).1 as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caps(color: &str, vars: &[(&str, &str)]) -> Caps {
        Caps::detect(color, false, &|name| vars.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned()))
    }

    #[test]
    fn no_color_wins_over_a_capable_terminal_and_a_flag_over_no_color() {
        let vars = [("NO_COLOR", "1"), ("COLORTERM", "truecolor"), ("TERM", "xterm-256color")];
        assert_eq!(caps("auto", &vars).depth, Depth::None);
        assert_eq!(caps("256", &vars).depth, Depth::Ansi256);
        assert_eq!(caps("auto", &vars[1..]).depth, Depth::True);
        assert_eq!(caps("auto", &vars[2..]).depth, Depth::Ansi256);
        assert_eq!(caps("auto", &[("NO_COLOR", ""), ("TERM", "linux")]).depth, Depth::Ansi16, "empty means unset");
    }

    #[test]
    fn the_linux_console_gets_blocks_unless_it_is_told_otherwise() {
        let linux = caps("auto", &[("TERM", "linux"), ("LANG", "C.UTF-8")]);
        assert!(linux.glyphs().blocks && !linux.with_charts("braille").glyphs().blocks);
        let other = caps("auto", &[("TERM", "xterm"), ("LANG", "C.UTF-8")]);
        assert!(!other.with_charts("auto").glyphs().blocks && other.with_charts("blocks").glyphs().blocks);
    }

    #[test]
    fn a_locale_without_utf8_gets_ascii_and_ssh_gets_fewer_frames() {
        assert!(caps("auto", &[("LANG", "C")]).ascii);
        assert!(!caps("auto", &[("LANG", "de_DE.UTF-8")]).ascii);
        assert!(caps("auto", &[("LC_ALL", "C"), ("LANG", "de_DE.UTF-8")]).ascii);
        assert_eq!(caps("auto", &[("SSH_TTY", "/dev/pts/1")]).max_fps(None), 10);
        assert_eq!(caps("auto", &[]).max_fps(None), 30);
    }

    #[test]
    fn colours_fall_to_their_nearest_neighbour() {
        assert_eq!(nearest_256(Color::Rgb(255, 0, 0)), Color::Indexed(196));
        assert_eq!(nearest_256(Color::Rgb(128, 128, 128)), Color::Indexed(244));
        assert_eq!(nearest_256(Color::Blue), Color::Blue);
    }
}
