//! Colours by role. Views ask for roles, never for colours, so that every theme reaches everything.

use ratatui::style::{Modifier, Style};
use serde::{Deserialize, Serialize};

/// What something means on the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)]
pub enum Role {
    /// Ordinary text and background.
    Text,
    /// Text of less weight: units, hints, ages.
    Muted,
    /// Titles and column heads.
    Title,
    /// Borders of panes; of the focused one.
    Border,
    Focus,
    /// The line under the cursor.
    Selection,
    /// Header and footer bars.
    Bar,
    /// Key names in hints.
    Key,
    /// States of health.
    Good,
    Warning,
    Bad,
    Critical,
    /// Missing, stale or unknown data.
    Stale,
    /// Added and removed lines of a diff.
    Added,
    Removed,
    /// Modes.
    ModeObserve,
    ModeManual,
    ModeStep,
    ModeAuto,
    ModeKilled,
    /// Series of charts, in order; then limits, requests and rollouts.
    Series1,
    Series2,
    Series3,
    Series4,
    Series5,
    Series6,
    Limit,
    Request,
    Rollout,
    /// Matches of a search or filter.
    Match,
    /// The banner that names the cluster.
    Banner,
    /// The text cursor in prompts.
    Cursor,
}

impl Role {
    /// All roles: a theme file must name each, or inherit it.
    pub const ALL: [Self; 32] = [
        Self::Text,
        Self::Muted,
        Self::Title,
        Self::Border,
        Self::Focus,
        Self::Selection,
        Self::Bar,
        Self::Key,
        Self::Good,
        Self::Warning,
        Self::Bad,
        Self::Critical,
        Self::Stale,
        Self::Added,
        Self::Removed,
        Self::ModeObserve,
        Self::ModeManual,
        Self::ModeStep,
        Self::ModeAuto,
        Self::ModeKilled,
        Self::Series1,
        Self::Series2,
        Self::Series3,
        Self::Series4,
        Self::Series5,
        Self::Series6,
        Self::Limit,
        Self::Request,
        Self::Rollout,
        Self::Match,
        Self::Banner,
        Self::Cursor,
    ];

    /// Its name in theme files, in the order of [`Role::ALL`].
    pub const NAMES: [&str; 32] = [
        "text",
        "muted",
        "title",
        "border",
        "focus",
        "selection",
        "bar",
        "key",
        "good",
        "warning",
        "bad",
        "critical",
        "stale",
        "added",
        "removed",
        "mode-observe",
        "mode-manual",
        "mode-step",
        "mode-auto",
        "mode-killed",
        "series1",
        "series2",
        "series3",
        "series4",
        "series5",
        "series6",
        "limit",
        "request",
        "rollout",
        "match",
        "banner",
        "cursor",
    ];
}

/// Characters that differ between Unicode and ASCII terminals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Glyphs {
    pub ascii: bool,
    pub blocks: bool,
    pub good: &'static str,
    pub warning: &'static str,
    pub bad: &'static str,
    pub unknown: &'static str,
    pub cursor: &'static str,
    pub arrow: &'static str,
    pub separator: &'static str,
    pub ellipsis: &'static str,
    pub up: &'static str,
    pub down: &'static str,
}

impl Glyphs {
    /// For terminals that draw Unicode. Every glyph is one column wide.
    pub const UNICODE: Self = Self {
        ascii: false,
        blocks: false,
        good: "●",
        warning: "▲",
        bad: "✖",
        unknown: "○",
        cursor: "▌",
        arrow: "→",
        separator: "›",
        ellipsis: "…",
        up: "↑",
        down: "↓",
    };

    /// For `--ascii`.
    pub const ASCII: Self = Self {
        ascii: true,
        blocks: false,
        good: "o",
        warning: "!",
        bad: "x",
        unknown: "?",
        cursor: ">",
        arrow: ">",
        separator: ">",
        ellipsis: "~",
        up: "^",
        down: "v",
    };
}

/// A theme, resolved for this terminal.
#[derive(Debug, Clone, PartialEq)]
pub struct Theme {
    /// Its name.
    pub name: String,
    /// Style per role, in the order of [`Role::ALL`].
    pub styles: Vec<Style>,
    /// Characters.
    pub glyphs: Glyphs,
}

impl Theme {
    /// The style of a role.
    pub fn style(&self, role: Role) -> Style {
        self.styles.get(role as usize).copied().unwrap_or_default()
    }

    /// A theme without colours: meaning is carried by words, glyphs and attributes alone.
    pub fn plain(glyphs: Glyphs) -> Self {
        let styles = Role::ALL
            .iter()
            .map(|role| match role {
                Role::Selection | Role::Bar | Role::ModeKilled | Role::ModeAuto => {
                    Style::new().add_modifier(Modifier::REVERSED)
                }
                Role::Title | Role::Focus | Role::Key | Role::Bad | Role::Critical => {
                    Style::new().add_modifier(Modifier::BOLD)
                }
                Role::Muted | Role::Stale => Style::new().add_modifier(Modifier::DIM),
                Role::Warning | Role::Match => Style::new().add_modifier(Modifier::UNDERLINED),
                _ => Style::new(),
            })
            .collect();
        Self { name: "plain".into(), styles, glyphs }
    }
}
