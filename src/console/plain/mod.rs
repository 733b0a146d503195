//! `--plain`: the console in lines, for screen readers and for terminals that can do nothing else. What changes is told
//! as it changes; commands are typed as the words of the palette; approvals are typed, by the rules of the screen.
//!
//! No cursor is moved and nothing is redrawn, so that what was said stays said.

mod changes;
mod desk;
#[cfg(test)]
mod tests;

use super::app::{Model, Msg};
use super::effect::Effect;
use super::history::History;
use super::run::{Exit, LEAVE, Signals, Start, Told};
use super::terminal::install_panic_hook;
use super::wire::Wire;
use crate::autopilot::world::Level;
use crate::model::text::clean;
use crate::model::time;
use chrono::TimeDelta;
use desk::{Desk, Heard};
use rustix::process::{Signal, getpid, kill_process};
use std::io::{self, IsTerminal as _, Write as _};
use std::sync::Arc;
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep_until};

/// What is told first.
const HELLO: &str = "kansole in lines. Type words to hear every word, read for the pane, quit to leave.";

/// Why nothing is approved by what comes out of a pipe.
const PIPE: &str = "not from a pipe: standard input must be a terminal; in scripts use kansole actions";

/// Everything around the desk.
struct Room {
    desk: Desk,
    wire: Wire,
    history: History,
    finished: Arc<Notify>,
    /// When leaving must be over.
    leave: Option<Instant>,
}

/// Runs the console in lines until the operator leaves, standard input ends, or a signal says so.
///
/// Errors are those of standard output.
pub async fn run(start: Start) -> io::Result<Exit> {
    let mut signals = Signals::listen()?;
    install_panic_hook(&start.dirs.state);
    let mut worlds = start.handle.worlds.clone();
    let world = worlds.borrow_and_update().clone();
    let stale = TimeDelta::from_std(start.loaded.settings.guard.stale_after).unwrap_or(TimeDelta::seconds(60));
    let mut model = Model::new(start.panes, world, start.look, stale);
    model.demo = start.demo;
    let (inbox, mut messages) = mpsc::channel(256);
    let mut room = Room {
        desk: Desk::new(model, (!io::stdin().is_terminal()).then_some(PIPE)),
        wire: Wire { handle: start.handle, inbox },
        history: History::below(&start.dirs.state),
        finished: Arc::default(),
        leave: None,
    };
    let mut typed = read_lines();
    say(&[HELLO.to_owned()])?;
    start.drawn.cancel();
    let finished = room.finished.clone();
    let (mut exit, mut reading, mut loop_lives) = (Exit::Left, true, true);
    loop {
        let heard = tokio::select! {
            biased;
            told = signals.next() => match told {
                Told::End => { exit = Exit::Ended; room.desk.message(Msg::End, time::now()) }
                Told::Stop => { stop()?; continue }
                Told::Continue => continue,
            },
            () = sleep_until(room.leave.unwrap_or_else(Instant::now)), if room.leave.is_some() => return Ok(exit),
            () = finished.notified() => return Ok(exit),
            line = typed.recv(), if reading => {
                if let Some(line) = line {
                    room.desk.line(&line, time::now())
                } else {
                    // Nobody can say yes any more: every open question is answered with no.
                    reading = false;
                    room.desk.message(Msg::End, time::now())
                }
            }
            changed = worlds.changed(), if loop_lives => {
                if changed.is_ok() {
                    let world = worlds.borrow_and_update().clone();
                    room.desk.message(Msg::World(world), time::now())
                } else if room.leave.is_some() {
                    return Ok(exit);
                } else {
                    loop_lives = false;
                    let what = "the loop has ended; nothing is watched any more: leave and start again".to_owned();
                    room.desk.message(Msg::Note(Level::Error, what), time::now())
                }
            }
            Some(msg) = messages.recv() => room.desk.message(msg, time::now()),
        };
        match room.work(heard) {
            // Nobody listens any more.
            Err(e) if e.kind() == io::ErrorKind::BrokenPipe || e.raw_os_error() == Some(5) => {
                exit = Exit::Ended;
                room.leave();
            }
            other => other?,
        }
    }
}

impl Room {
    /// Tells what was heard and carries out what it leads to.
    fn work(&mut self, heard: Heard) -> io::Result<()> {
        say(&heard.lines)?;
        for effect in heard.effects {
            match effect {
                Effect::Send(command) => self.wire.send(command),
                Effect::Fetch(detail) => self.wire.fetch(detail),
                // The text is told, so that it can be copied where it is read.
                Effect::Copy(text) => say(&[text])?,
                Effect::Theme(name) => say(&[format!("theme {name}: lines have no colours")])?,
                Effect::Play(name) => {
                    if let Some(answer) = self.desk.model.demo.as_ref().map(|demo| demo.play(name.as_deref())) {
                        let _ = self.wire.inbox.try_send(Msg::Answer(answer));
                    }
                }
                Effect::Remember(text) => self.history.append(&text),
                Effect::Repaint => say(&self.desk.read())?,
                Effect::Suspend => stop()?,
                Effect::Quit => self.leave(),
                _ => {}
            }
        }
        Ok(())
    }

    /// Begins to leave; asked again, at once.
    fn leave(&mut self) {
        let now = Instant::now();
        if self.leave.is_some() {
            self.leave = Some(now);
            return;
        }
        self.leave = Some(now + LEAVE);
        self.wire.shut_down(self.finished.clone());
    }
}

/// Stops the process as ctrl-z does; returns when it is continued.
fn stop() -> io::Result<()> {
    kill_process(getpid(), Signal::STOP).map_err(io::Error::from)
}

/// Lines of standard input, until it ends.
fn read_lines() -> mpsc::Receiver<String> {
    let (tx, rx) = mpsc::channel(16);
    // A thread of its own: a read cannot be given up. The program's end takes it along.
    std::thread::spawn(move || {
        for line in io::stdin().lines() {
            let Ok(line) = line else { return };
            if tx.blocking_send(line).is_err() {
                return;
            }
        }
    });
    rx
}

/// Writes lines to standard output in one write, without anything that a terminal would obey.
fn say(lines: &[String]) -> io::Result<()> {
    if lines.is_empty() {
        return Ok(());
    }
    let text = lines.iter().fold(String::new(), |text, line| text + &clean(line) + "\n");
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}
