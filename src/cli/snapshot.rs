//! `kansole snapshot`: one frame of a pane on stdout.

use super::args::{Cli, FrameFormat, SnapshotArgs};
use super::{Done, Failure, options, print, runtime, settings};
use crate::autopilot::{JournalUse, spawn};
use crate::console::snapshot::{self, Frame};

pub(super) fn run(cli: &Cli, args: &SnapshotArgs) -> Done {
    let (loaded, dirs) = settings(cli)?;
    let options = options(cli, &loaded, JournalUse::None);
    let world = runtime()?.block_on(async {
        let (mut handle, _task) = spawn(options);
        super::once::first_picture(&mut handle, args.timeout).await
    })?;
    let frame = Frame {
        pane: args.pane,
        size: args.size,
        press: args.press.clone().unwrap_or_default(),
        now: chrono::Utc::now(),
    };
    let drawn = snapshot::draw(&world, &frame, &loaded, &dirs).map_err(|e| Failure::Usage(anyhow::anyhow!(e)))?;
    print(&match args.format {
        FrameFormat::Text => drawn.text(),
        FrameFormat::Ansi => drawn.ansi(),
        FrameFormat::Svg => drawn.svg(),
        FrameFormat::Html => drawn.html(),
    })
}
