//! What every pane can do.

use super::command::{CommandId, PaneId};
use super::effect::{Effect, Target};
use super::theme::Theme;
use crate::autopilot::world::World;
use crate::model::query::{Answer, Fault, Query};
use crate::model::time::Timestamp;
use crate::model::trace::{Trace, TracePath};
use ratatui::Frame;
use ratatui::layout::Rect;
use std::sync::Arc;

/// What a pane may look at while it works. Never I/O, never the clock.
#[derive(Clone, Copy)]
pub struct Ctx<'a> {
    /// The loop's last word.
    pub world: &'a Arc<World>,
    /// Colours and glyphs.
    pub theme: &'a Theme,
    /// The time of this update or frame.
    pub now: Timestamp,
    /// Whether the pane has the focus (no layer above it).
    pub focused: bool,
}

/// A pane: state of one view over the world.
///
/// Selection is by key, never by index, so that rows that come and go do not move it to another object.
pub trait Pane {
    /// Which one it is.
    fn id(&self) -> PaneId;

    /// The world, the filter or the focus changed: rebuild what is derived from them. Not called per frame.
    fn sync(&mut self, ctx: &Ctx);

    /// Runs a command of its scope. Only called when [`Pane::why_not`] said nothing.
    fn run(&mut self, command: CommandId, ctx: &Ctx) -> Vec<Effect>;

    /// Why a command of its scope cannot run now; `None` if it can.
    fn why_not(&self, command: CommandId, ctx: &Ctx) -> Option<String>;

    /// Draws itself. Builds visible rows only.
    fn view(&self, frame: &mut Frame, area: Rect, ctx: &Ctx);

    /// Where it is, for the header: `shop › Deployment/cart › pods`.
    fn trail(&self) -> String;

    /// Its filter, empty if none.
    fn filter(&self) -> &str;

    /// Sets its filter.
    fn set_filter(&mut self, filter: String, ctx: &Ctx);

    /// How it is arranged, in a word of its own, where it can be in several ways; kept from session to session.
    fn layout(&self) -> Option<String> {
        None
    }

    /// Arranges itself as in an earlier session; a word that it does not know changes nothing.
    fn set_layout(&mut self, _layout: &str, _ctx: &Ctx) {}

    /// Jumps to something; false if it does not know it.
    fn go(&mut self, target: &Target, ctx: &Ctx) -> bool;

    /// The critical path of a trace that it may have asked for.
    fn path(&mut self, _trace: &Arc<Trace>, _path: &TracePath) {}

    /// What came of an expression that it may have asked.
    fn answered(&mut self, _query: &Query, _answer: &Result<Answer, Fault>, _ctx: &Ctx) {}

    /// Expressions of earlier sessions, newest first.
    fn remember(&mut self, _expressions: &[String]) {}

    /// What `copy` would copy: the name or text under the cursor.
    fn copy(&self) -> Option<String>;
}
