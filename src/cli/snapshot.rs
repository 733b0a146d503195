//! `kansole snapshot`: one frame of a pane on stdout.

use super::args::{Cli, FrameFormat, SnapshotArgs};
use super::{Done, Failure, look, options, print, runtime, settings};
use crate::autopilot::{JournalUse, spawn};
use crate::config::chord::Chord;
use crate::console::app::{Model, Msg};
use crate::console::snapshot::{Format, draw, write};
use crate::console::update::update;
use chrono::TimeDelta;
use crossterm::event::KeyEvent;

pub(super) fn run(cli: &Cli, args: &SnapshotArgs) -> Done {
    let (loaded, dirs) = settings(cli)?;
    let (_, look) = look(&loaded, &dirs)?;
    let keys = presses(args.press.as_deref().unwrap_or_default())?;
    let options = options(cli, &loaded, &dirs, JournalUse::None);
    let world = runtime()?.block_on(async {
        let (mut handle, _task) = spawn(options);
        super::once::first_picture(&mut handle, args.timeout).await
    })?;
    let stale = TimeDelta::from_std(loaded.settings.guard.stale_after)?;
    let panes = super::console::all_panes(&look);
    let mut model = Model::new(panes, world, look, stale);
    model.size = args.size;
    model.go(args.pane);
    for key in keys {
        let now = model.now;
        update(&mut model, Msg::Key(KeyEvent::new(key.code, key.modifiers)), now);
    }
    let buffer = draw(&mut model, args.size.0, args.size.1);
    let format = match args.format {
        FrameFormat::Text => Format::Text,
        FrameFormat::Ansi => Format::Ansi,
        FrameFormat::Svg => Format::Svg,
        FrameFormat::Html => Format::Html,
    };
    print(&write(&buffer, format))
}

/// Keys to press, as keymaps write them.
fn presses(text: &str) -> Result<Vec<Chord>, Failure> {
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    Chord::sequence(text).map_err(|(what, remedy)| Failure::Usage(anyhow::anyhow!("--press: {what}; {remedy}")))
}
