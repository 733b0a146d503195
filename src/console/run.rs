//! The console's own loop: waits for signals, keys, worlds, answers and the clock; updates; draws.

use super::app::{Model, Msg};
use super::background;
use super::caps::{Caps, Multiplexer};
use super::cast::{Cast, Out};
use super::effect::Effect;
use super::history::History;
use super::look::Look;
use super::osc52;
use super::pane::Pane;
use super::screen::Screen;
use super::session::Sessions;
use super::terminal::{Terminal, install_panic_hook};
use super::update::update;
use super::view::view;
use super::watchdog::Watchdog;
use super::wire::Wire;
use crate::autopilot::handle::LoopHandle;
use crate::autopilot::world::{Command, Level, World};
use crate::config::dirs::Dirs;
use crate::config::{Loaded, Overrides, settings, watch};
use crate::model::demo::Director;
use crate::model::time;
use chrono::TimeDelta;
use crossterm::event::{Event, EventStream, KeyEvent};
use futures::StreamExt as _;
use std::fs::File;
use std::io;
use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

/// Most events worked in before a frame that is due is drawn.
const BATCH: usize = 64;

/// What leaving may take: the loop finishes or hands over what is under way.
pub(super) const LEAVE: Duration = Duration::from_secs(10);

/// The same when the terminal is gone or a signal said so; shorter than the watchdog's patience.
const LEAVE_NOW: Duration = Duration::from_millis(1500);

/// What the terminal may take to tell its background; every terminal answers within a round trip.
const BACKGROUND: Duration = Duration::from_secs(1);

/// What the console needs to start.
pub struct Start {
    /// The loop.
    pub handle: LoopHandle,
    /// Panes in the order of their keys; at least one.
    pub panes: Vec<Box<dyn Pane>>,
    /// Settings as loaded.
    pub loaded: Loaded,
    /// Flags, for loading the settings again.
    pub flags: Overrides,
    /// Where keymaps and themes of the operator are, and the state directory for crash reports.
    pub dirs: Dirs,
    /// What the terminal can do.
    pub caps: Caps,
    /// Theme and keymap, loaded.
    pub look: Look,
    /// Who directs the demo; `None` on a real cluster.
    pub demo: Option<Arc<dyn Director>>,
    /// Where the screen is recorded.
    pub cast: Option<Cast>,
    /// Offer the tour with the first frame.
    pub offer_tour: bool,
    /// Told when the first frame is on the terminal.
    pub drawn: CancellationToken,
}

/// Why the console ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// The operator left.
    Left,
    /// A signal, or the terminal is gone: nothing was approved by it.
    Ended,
}

/// Everything outside the model that the loop drives.
struct Shell {
    wire: Wire,
    screen: ratatui::Terminal<Screen<Out>>,
    terminal: Terminal,
    files: Reload,
    sessions: Sessions,
    /// A key was pressed.
    touched: bool,
    /// Set once leaving has begun: when it must be over.
    leave: Option<Instant>,
    /// Told when the loop has finished what it had to finish.
    finished: Arc<Notify>,
    exit: Exit,
}

/// What loading again needs.
#[derive(Clone)]
struct Reload {
    loaded: Loaded,
    flags: Overrides,
    dirs: Dirs,
    caps: Caps,
    /// Expressions of this and earlier sessions.
    history: History,
    /// Theme chosen from the menu; it wins over the file until the end of the session.
    theme: Option<String>,
}

impl Reload {
    /// The guard's settings, keymap and theme from their files, or everything that is wrong with them.
    fn read(&self) -> Result<(settings::Guard, Box<Look>), String> {
        let path = self.loaded.path.as_deref();
        let env = |name: &str| std::env::var(name).ok();
        let (guard, mut ui) = match crate::config::load(path, &self.dirs, &env, &self.flags) {
            Ok(loaded) => (loaded.settings.guard, loaded.settings.ui),
            Err(problems) => return Err(problems.to_string()),
        };
        if let Some(theme) = &self.theme {
            ui.theme.clone_from(theme);
        }
        let look = Look::load(&ui, &self.dirs, &self.caps).map_err(|p| p.to_string())?;
        Ok((guard, Box::new(look)))
    }

    fn look(&self) -> Result<Box<Look>, String> {
        self.read().map(|(_, look)| look)
    }
}

/// Signals the console answers.
pub(super) struct Signals {
    hup: Signal,
    term: Signal,
    int: Signal,
    quit: Signal,
    tstp: Signal,
    cont: Signal,
}

pub(super) enum Told {
    End,
    Stop,
    Continue,
}

impl Signals {
    pub(super) fn listen() -> io::Result<Self> {
        let raw = |s: rustix::process::Signal| signal(SignalKind::from_raw(s.as_raw()));
        Ok(Self {
            hup: signal(SignalKind::hangup())?,
            term: signal(SignalKind::terminate())?,
            int: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
            tstp: raw(rustix::process::Signal::TSTP)?,
            cont: raw(rustix::process::Signal::CONT)?,
        })
    }

    pub(super) async fn next(&mut self) -> Told {
        tokio::select! {
            _ = self.hup.recv() => Told::End,
            _ = self.term.recv() => Told::End,
            _ = self.int.recv() => Told::End,
            _ = self.quit.recv() => Told::End,
            _ = self.tstp.recv() => Told::Stop,
            _ = self.cont.recv() => Told::Continue,
        }
    }
}

/// Runs the console until the operator leaves or the terminal does. The first frame needs no network.
///
/// Errors are those of taking or writing to the terminal; backends failing is no reason to end.
pub async fn run(mut start: Start) -> io::Result<Exit> {
    let signals = Signals::listen()?;
    install_panic_hook(&start.dirs.state);
    let terminal = Terminal::take()?;
    let typed = follow_background(&mut start);
    let (_watchdog, lost) = Watchdog::start(io::stdin().as_fd().try_clone_to_owned()?);
    let out = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    let mut screen = Screen::new(Out::new(out, start.cast.take()), true);
    if start.caps.multiplexer == Multiplexer::Screen {
        screen = screen.without_coloured_erase();
    }
    let screen = ratatui::Terminal::new(screen)?;
    let settings = &start.loaded.settings;
    let frame = Duration::from_secs(1) / start.caps.max_fps(settings.ui.max_fps);
    let stale = TimeDelta::from_std(settings.guard.stale_after).unwrap_or(TimeDelta::seconds(60));
    let mut worlds = start.handle.worlds.clone();
    let world = worlds.borrow_and_update().clone();
    let mut model = Model::new(start.panes, world, start.look, stale);
    model.demo = start.demo;
    model.offer = start.offer_tour;
    let (inbox, messages) = mpsc::channel(256);
    let (changed, changes) = mpsc::channel(1);
    let reloads = watch::watch(&watched(&start.loaded, &start.dirs), changed);
    if let Err(why) = &reloads {
        model.note(Level::Warning, why);
    }
    let sessions = Sessions::below(&start.dirs.state);
    let history = History::below(&start.dirs.state);
    let earlier = history.read();
    for pane in &mut model.panes {
        pane.remember(&earlier);
    }
    let files =
        Reload { loaded: start.loaded, flags: start.flags, dirs: start.dirs, caps: start.caps, history, theme: None };
    let (handle, finished) = (start.handle, Arc::default());
    let mut shell = Shell {
        wire: Wire { handle, inbox },
        screen,
        terminal,
        files,
        sessions,
        touched: false,
        leave: None,
        finished,
        exit: Exit::Left,
    };
    let size = shell.screen.size()?;
    model.size = (size.width, size.height);
    shell.follow(&mut model);
    for key in typed {
        shell.work(&mut model, Msg::Key(key))?;
    }
    shell.draw(&mut model)?;
    start.drawn.cancel();
    drive(shell, model, Inputs { signals, lost, worlds, messages, changes, frame }).await
}

/// Where the theme is to follow the background: asks the terminal and takes the theme. Gives what was typed meanwhile.
fn follow_background(start: &mut Start) -> Vec<KeyEvent> {
    let ui = &start.loaded.settings.ui;
    if ui.theme != crate::config::theme::AUTO {
        return Vec::new();
    }
    let answer = background::ask(io::stdin(), io::stdout(), BACKGROUND);
    start.caps.light = answer.light == Some(true);
    if let Ok(look) = Look::load(ui, &start.dirs, &start.caps) {
        start.look = look;
    }
    answer.keys
}

/// Everything the loop waits for, beside the keyboard.
struct Inputs {
    signals: Signals,
    lost: oneshot::Receiver<()>,
    worlds: tokio::sync::watch::Receiver<Arc<World>>,
    messages: mpsc::Receiver<Msg>,
    changes: mpsc::Receiver<()>,
    /// Least time between two frames.
    frame: Duration,
}

/// Waits, updates and draws until it is time to leave.
async fn drive(mut shell: Shell, mut model: Model, mut from: Inputs) -> io::Result<Exit> {
    let mut drawn = Instant::now();
    let mut events = EventStream::new();
    let finished = shell.finished.clone();
    let (mut loop_lives, mut reading) = (true, true);
    // Events worked in since the last frame. Input comes first, but not for ever.
    let mut burst = 0;
    loop {
        let tick = Instant::now() + time::real((model.next_change() - time::now()).to_std().unwrap_or_default());
        let msg = tokio::select! {
            biased;
            told = from.signals.next() => match told {
                Told::End => { shell.exit = Exit::Ended; Msg::End }
                Told::Stop => { shell.stop(&mut model)?; continue }
                Told::Continue => { shell.terminal.resume()?; Msg::Repaint }
            },
            _ = &mut from.lost, if shell.exit == Exit::Left => { shell.exit = Exit::Ended; Msg::End }
            () = sleep_until(shell.leave.unwrap_or(drawn)), if shell.leave.is_some() => return Ok(shell.exit),
            () = finished.notified() => return Ok(shell.exit),
            event = events.next(), if reading && (burst < BATCH || !model.dirty) => {
                if let Some(Ok(event)) = event {
                    burst += 1;
                    shell.input(&mut model, event)?;
                    continue;
                }
                // The terminal cannot be read any more: the same as if it had gone.
                reading = false;
                shell.exit = Exit::Ended;
                Msg::End
            }
            // Before the worlds: however many come, a frame is drawn when it is due.
            () = sleep_until(drawn + from.frame), if model.dirty => {
                shell.draw(&mut model)?;
                drawn = Instant::now();
                burst = 0;
                continue;
            }
            changed = from.worlds.changed(), if loop_lives => {
                if changed.is_ok() {
                    Msg::World(from.worlds.borrow_and_update().clone())
                } else if shell.leave.is_some() {
                    return Ok(shell.exit);
                } else {
                    loop_lives = false;
                    Msg::Note(Level::Error, "the loop has ended; nothing is watched any more: leave and start again".into())
                }
            }
            Some(msg) = from.messages.recv() => msg,
            Some(()) = from.changes.recv() => shell.files_changed(),
            () = sleep_until(tick), if !model.dirty => Msg::Tick,
        };
        let calm = matches!(msg, Msg::Tick);
        shell.work(&mut model, msg)?;
        shell.follow(&mut model);
        if calm {
            shell.sessions.keep(&model);
        }
    }
}

/// Files whose change loads everything again.
fn watched(loaded: &Loaded, dirs: &Dirs) -> Vec<PathBuf> {
    let ui = &loaded.settings.ui;
    // A name that is a path; for others the folders below are watched.
    let mut files: Vec<_> = [&ui.theme, &ui.keymap].into_iter().map(PathBuf::from).collect();
    files.retain(|p| p.is_file());
    files.push(loaded.path.clone().unwrap_or_else(|| dirs.config_file()));
    files.extend([dirs.config.join("keymaps"), dirs.config.join("themes")]);
    files
}

impl Shell {
    fn draw(&mut self, model: &mut Model) -> io::Result<()> {
        model.now = time::now();
        model.dirty = false;
        let drawn = self.screen.draw(|frame| view(model, frame)).map(|_| ());
        if let Some(why) = self.screen.backend_mut().out().cast().and_then(Cast::failure) {
            model.note(Level::Warning, &why);
        }
        match drawn {
            Ok(()) => Ok(()),
            // The terminal is gone; the watchdog says so in an orderly way.
            Err(e) if matches!(e.raw_os_error(), Some(5)) || e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            Err(e) => Err(e),
        }
    }

    fn input(&mut self, model: &mut Model, event: Event) -> io::Result<()> {
        match event {
            Event::Key(key) => {
                self.touched = true;
                self.work(model, Msg::Key(key))
            }
            Event::Paste(text) => self.work(model, Msg::Paste(text)),
            Event::Resize(width, height) => {
                if let Some(cast) = self.screen.backend_mut().out().cast() {
                    cast.resized(width, height);
                }
                self.work(model, Msg::Resize(width, height))
            }
            _ => Ok(()),
        }
    }

    fn work(&mut self, model: &mut Model, msg: Msg) -> io::Result<()> {
        for effect in update(model, msg, time::now()) {
            match effect {
                Effect::Send(command) => self.wire.send(command),
                Effect::Fetch(detail) => self.wire.fetch(detail),
                Effect::Copy(text) => self.copy(model, &text)?,
                Effect::Theme(name) => {
                    self.files.theme = Some(name);
                    let msg = self.reload();
                    let _ = self.wire.inbox.try_send(msg);
                }
                Effect::Play(name) => {
                    if let Some(answer) = model.demo.as_ref().map(|demo| demo.play(name.as_deref())) {
                        let _ = self.wire.inbox.try_send(Msg::Answer(answer));
                    }
                }
                Effect::Bell => self.screen.backend_mut().queue(b"\x07")?,
                Effect::Remember(text) => self.files.history.append(&text),
                Effect::Repaint => self.repaint(model)?,
                Effect::Suspend => self.stop(model)?,
                Effect::Quit => {
                    self.sessions.keep(model);
                    self.leave();
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// On another context, brings back what was before the operator there.
    fn follow(&mut self, model: &mut Model) {
        if let Some(why) = self.sessions.follow(model, self.touched) {
            model.note(Level::Warning, &why);
        }
    }

    fn copy(&mut self, model: &mut Model, text: &str) -> io::Result<()> {
        match osc52::sequence(text, self.files.caps.multiplexer) {
            Ok(bytes) => {
                self.screen.backend_mut().queue(bytes.as_bytes())?;
                let lines = text.lines().count();
                let what = if lines > 1 { format!("{lines} lines") } else { format!("{text:?}") };
                model.note(Level::Info, &format!("copied {what}"));
            }
            Err(why) => model.note(Level::Error, &why),
        }
        Ok(())
    }

    fn reload(&self) -> Msg {
        Msg::Look(self.files.look())
    }

    /// A file changed: the loop gets the guard's settings, the screen its look; or what is wrong is told and all stays
    /// as it was.
    fn files_changed(&mut self) -> Msg {
        Msg::Look(self.files.read().map(|(guard, look)| {
            let known = &mut self.files.loaded.settings.guard;
            if *known != guard {
                known.clone_from(&guard);
                self.wire.send(Command::SetGuard { guard: Box::new(guard) });
            }
            look
        }))
    }

    fn repaint(&mut self, model: &mut Model) -> io::Result<()> {
        self.screen.backend_mut().forget();
        self.screen.clear()?;
        model.dirty = true;
        Ok(())
    }

    /// Stops the process as ctrl-z does; returns when it is continued.
    fn stop(&mut self, model: &mut Model) -> io::Result<()> {
        self.terminal.stop()?;
        self.repaint(model)
    }

    /// Begins to leave: the loop is told, and has a while. Asked again, the console goes at once.
    fn leave(&mut self) {
        let now = Instant::now();
        if self.leave.is_some() {
            self.leave = Some(now);
            return;
        }
        self.leave = Some(now + if self.exit == Exit::Left { LEAVE } else { LEAVE_NOW });
        self.wire.shut_down(self.finished.clone());
    }
}
