//! What an operator had before them, kept per context in the state directory: the pane, and the filter of each.
//!
//! A file that cannot be understood is set aside and told; nothing is lost and nothing is guessed.

use super::app::Model;
use super::command::PaneId;
use super::pane::Ctx;
use crate::autopilot::world::Link;
use crate::model::text::clean;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// The format that is written.
const VERSION: u32 = 1;

/// Most contexts that are kept; the one that was left longest ago goes first.
const KEPT: usize = 100;

/// What an operator had before them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    /// The pane with the focus.
    pub pane: PaneId,
    /// Filters that are not empty, by pane.
    #[serde(default)]
    pub filters: BTreeMap<PaneId, String>,
    /// How panes are arranged that can be in several ways, by pane, in their own words.
    #[serde(default)]
    pub layouts: BTreeMap<PaneId, String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Book {
    version: u32,
    contexts: BTreeMap<String, Page>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Page {
    /// Unix seconds of the last change.
    at: i64,
    #[serde(flatten)]
    view: View,
}

/// The file, and the context whose view is on the screen.
#[derive(Debug)]
pub struct Sessions {
    file: PathBuf,
    context: String,
    written: Option<View>,
}

impl Sessions {
    /// In this directory; the file need not exist.
    pub fn below(state: &Path) -> Self {
        Self { file: state.join("session.json"), context: String::new(), written: None }
    }

    /// Follows the model to its context: what was before the operator there comes back. `touched`: keys were pressed
    /// already, so that the first context's view would come too late. The answer is something to tell.
    pub fn follow(&mut self, model: &mut Model, touched: bool) -> Option<String> {
        let context = context(model);
        if context.is_empty() || context == self.context {
            return None;
        }
        let first = self.context.is_empty();
        context.clone_into(&mut self.context);
        self.written = None;
        match self.read() {
            Ok(mut book) => {
                if let Some(page) = book.contexts.remove(&self.context)
                    && !(first && touched)
                {
                    restore(model, &page.view);
                    self.written = Some(page.view);
                }
                None
            }
            Err(why) => Some(why),
        }
    }

    /// Keeps what is on the screen, if it differs from what is kept. What cannot be written is told in the log.
    pub fn keep(&mut self, model: &Model) {
        let view = of(model);
        if self.context.is_empty() || context(model) != self.context || self.written.as_ref() == Some(&view) {
            return;
        }
        if let Err(e) = self.write(&view) {
            tracing::warn!("{}: the session was not kept: {e}", self.file.display());
        }
        // Not tried again before it changes.
        self.written = Some(view);
    }

    /// The file; one that cannot be understood is renamed first, and the error says so.
    fn read(&self) -> Result<Book, String> {
        let empty = Book { version: VERSION, contexts: BTreeMap::new() };
        let text = match fs::read_to_string(&self.file) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(empty),
            Err(e) => return Err(format!("{}: {e}; the last session cannot be restored", self.file.display())),
        };
        let why = match serde_json::from_str::<Book>(&text) {
            Ok(book) if book.version == VERSION => return Ok(book),
            Ok(book) => format!("version {} is of another kansole", book.version),
            Err(e) => e.to_string(),
        };
        let aside = self.file.with_extension(format!("json.aside-{}", chrono::Utc::now().format("%Y%m%dT%H%M%S%3f")));
        let done = match fs::rename(&self.file, &aside) {
            Ok(()) => format!("set aside as {}", aside.display()),
            Err(e) => format!("could not be set aside: {e}"),
        };
        Err(format!("{}: {why}; {done}, and a new session begins", self.file.display()))
    }

    /// Writes this context's page; pages of others are as another console may have left them.
    fn write(&self, view: &View) -> io::Result<()> {
        let mut book = self.read().unwrap_or(Book { version: VERSION, contexts: BTreeMap::new() });
        let at = chrono::Utc::now().timestamp();
        book.contexts.insert(self.context.clone(), Page { at, view: view.clone() });
        while book.contexts.len() > KEPT {
            let oldest = book.contexts.iter().min_by_key(|(_, p)| p.at).map(|(name, _)| name.clone());
            if let Some(name) = oldest {
                book.contexts.remove(&name);
            }
        }
        if let Some(dir) = self.file.parent() {
            fs::create_dir_all(dir)?;
        }
        let fresh = self.file.with_extension(format!("new-{}", std::process::id()));
        let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
        // Not synced: it is no loss worth a wait, and a damaged file is set aside.
        file.write_all(&serde_json::to_vec_pretty(&book)?)?;
        fs::rename(&fresh, &self.file)
    }
}

/// The context that is shown or being tried; empty before one is known.
fn context(model: &Model) -> &str {
    match (&*model.world.snapshot.cluster.context, &model.world.link) {
        ("", Link::Connecting { context }) => context,
        (context, _) => context,
    }
}

/// What is before the operator.
fn of(model: &Model) -> View {
    let filters = model.panes.iter().filter(|p| !p.filter().is_empty()).map(|p| (p.id(), p.filter().to_owned()));
    let layouts = model.panes.iter().filter_map(|p| p.layout().map(|l| (p.id(), l)));
    View { pane: model.pane_id(), filters: filters.collect(), layouts: layouts.collect() }
}

/// Brings a view back. What this console does not have is left out.
fn restore(model: &mut Model, view: &View) {
    let Model { panes, world, look, now, .. } = model;
    let ctx = Ctx { world, theme: &look.theme, now: *now, focused: false };
    for pane in panes {
        let filter = view.filters.get(&pane.id()).map(|f| clean(f).into_owned()).unwrap_or_default();
        if let Some(layout) = view.layouts.get(&pane.id()) {
            pane.set_layout(layout, &ctx);
        }
        if pane.filter() != filter {
            pane.set_filter(filter, &ctx);
            pane.sync(&ctx);
        }
    }
    model.go(view.pane);
    model.dirty = true;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::autopilot::world::World;
    use crate::console::testing::{model, type_keys, world};
    use std::sync::Arc;

    fn on(context: &str) -> World {
        let mut world = world();
        let mut snapshot = (*world.snapshot).clone();
        let cluster = crate::model::snapshot::ClusterInfo { context: context.into(), ..(*snapshot.cluster).clone() };
        snapshot.cluster = Arc::new(cluster);
        world.snapshot = Arc::new(snapshot);
        world
    }

    #[test]
    fn each_context_has_its_pane_and_filters_back() {
        let dir = tempfile::tempdir().unwrap();
        let mut here = model(on("prod"));
        let mut sessions = Sessions::below(dir.path());
        assert_eq!(sessions.follow(&mut here, false), None);
        type_keys(&mut here, "4 / h i enter");
        sessions.keep(&here);
        // Another context: nothing is kept of it yet, and nothing of it is written over the first.
        here.world = Arc::new(on("staging"));
        assert_eq!(sessions.follow(&mut here, true), None);
        type_keys(&mut here, "esc 5");
        sessions.keep(&here);

        let mut later = model(on("prod"));
        let mut sessions = Sessions::below(dir.path());
        assert_eq!(sessions.follow(&mut later, false), None);
        assert_eq!((later.pane_id(), later.pane().filter()), (PaneId::Actions, "hi"));
        later.world = Arc::new(on("staging"));
        sessions.follow(&mut later, true);
        assert_eq!((later.pane_id(), later.pane().filter()), (PaneId::Journal, ""));
        let actions = later.panes.iter().find(|p| p.id() == PaneId::Actions).unwrap();
        assert_eq!(actions.filter(), "", "a filter of another cluster would hide things");
    }

    #[test]
    fn who_has_begun_to_work_is_not_moved() {
        let dir = tempfile::tempdir().unwrap();
        let mut here = model(on("prod"));
        let mut sessions = Sessions::below(dir.path());
        sessions.follow(&mut here, false);
        type_keys(&mut here, "4");
        sessions.keep(&here);
        let mut later = model(on("prod"));
        type_keys(&mut later, "2");
        Sessions::below(dir.path()).follow(&mut later, true);
        assert_eq!(later.pane_id(), PaneId::Workloads);
    }

    #[test]
    fn a_damaged_file_is_set_aside_and_told() {
        for text in ["{\"version\":1,\"conte", "{\"version\":9,\"contexts\":{}}", "[]", "\u{0}"] {
            let dir = tempfile::tempdir().unwrap();
            let file = dir.path().join("session.json");
            fs::write(&file, text).unwrap();
            let mut here = model(on("prod"));
            let mut sessions = Sessions::below(dir.path());
            let told = sessions.follow(&mut here, false).unwrap();
            assert!(told.contains("session.json") && told.contains("set aside"), "{told}");
            let aside: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().path()).collect();
            assert_eq!(aside.len(), 1);
            assert_eq!(fs::read_to_string(&aside[0]).unwrap(), text, "what was there is kept");
            type_keys(&mut here, "4");
            sessions.keep(&here);
            assert!(fs::read_to_string(&file).unwrap().contains("actions"));
        }
    }
}
