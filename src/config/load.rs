//! Settings in layers: defaults, then the file, then `KANSOLE_*`, then flags; each value knows its origin.

use super::check;
use super::dirs::Dirs;
use super::origin::{Origin, leaves};
use super::problem::{Problem, Problems, Source, one_of};
use super::settings::Settings;
use super::{keymap, theme};
use crate::model::mode::Mode;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Settings with the place each came from.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// The result of all layers.
    pub settings: Settings,
    /// Where each setting came from, by dotted key.
    pub origins: BTreeMap<String, Origin>,
    /// The file that was read; `None` if there is none.
    pub path: Option<PathBuf>,
}

/// Values from the command line; unset ones leave the lower layers alone.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[allow(missing_docs)]
pub struct Overrides {
    pub context: Option<String>,
    pub namespaces: Vec<String>,
    pub prometheus: Option<String>,
    pub traces: Option<String>,
    pub mode: Option<String>,
    pub theme: Option<String>,
    pub keymap: Option<String>,
    pub color: Option<String>,
    pub ascii: bool,
    pub max_fps: Option<u32>,
    pub state_dir: Option<String>,
}

/// Settings that have a variable and a flag: key, variable, flag.
const NAMED: [(&str, &str, &str); 11] = [
    ("connection.context", "KANSOLE_CONTEXT", "--context"),
    ("connection.namespaces", "KANSOLE_NAMESPACES", "--namespace"),
    ("connection.prometheus", "KANSOLE_PROMETHEUS", "--prometheus"),
    ("traces.url", "KANSOLE_TRACES", "--traces"),
    ("guard.mode", "KANSOLE_MODE", "--mode"),
    ("ui.theme", "KANSOLE_THEME", "--theme"),
    ("ui.keymap", "KANSOLE_KEYMAP", "--keymap"),
    ("ui.color", "KANSOLE_COLOR", "--color"),
    ("ui.ascii", "KANSOLE_ASCII", "--ascii"),
    ("ui.max_fps", "KANSOLE_MAX_FPS", "--max-fps"),
    ("connection.state_dir", "KANSOLE_STATE_DIR", "--state-dir"),
];

impl Overrides {
    fn value(&self, key: &str) -> Option<String> {
        match key {
            "connection.context" => self.context.clone(),
            "connection.namespaces" => (!self.namespaces.is_empty()).then(|| self.namespaces.join(",")),
            "connection.prometheus" => self.prometheus.clone(),
            "traces.url" => self.traces.clone(),
            "guard.mode" => self.mode.clone(),
            "ui.theme" => self.theme.clone(),
            "ui.keymap" => self.keymap.clone(),
            "ui.color" => self.color.clone(),
            "ui.ascii" => self.ascii.then(|| "true".to_owned()),
            "ui.max_fps" => self.max_fps.map(|n| n.to_string()),
            "connection.state_dir" => self.state_dir.clone(),
            _ => None,
        }
    }
}

/// Reads all layers and checks the result.
///
/// `file` is what `--config` names and must exist then; otherwise the default file is read if it is there.
/// `env` looks a variable up. Gives everything that is wrong at once where the syntax allows it.
pub fn load(
    file: Option<&Path>,
    dirs: &Dirs,
    env: &dyn Fn(&str) -> Option<String>,
    flags: &Overrides,
) -> Result<Loaded, Problems> {
    let (path, text) = read(file, dirs)?;
    let shown = path.as_ref().map_or_else(String::new, |p| p.display().to_string());
    let mut loaded = parse(&shown, &text)?;
    loaded.path = path;
    let source = Source::parse(&shown, &text)?;
    let mut problems = Vec::new();
    for (key, variable, flag) in NAMED {
        if let Some(value) = env(variable).filter(|v| !v.is_empty()) {
            apply(&mut loaded, key, &value, Origin::Env(variable), &mut problems);
        }
        if let Some(value) = flags.value(key) {
            apply(&mut loaded, key, &value, Origin::Flag(flag), &mut problems);
        }
    }
    for (key, what, remedy) in check::check(&loaded.settings).into_iter().chain(exists(&loaded.settings, dirs)) {
        problems.push(match loaded.origins.get(&key) {
            Some(Origin::Env(name) | Origin::Flag(name)) => placeless(name, what, remedy),
            _ => source.problem(&key, what, remedy),
        });
    }
    if problems.is_empty() { Ok(loaded) } else { Err(Problems(problems)) }
}

fn read(file: Option<&Path>, dirs: &Dirs) -> Result<(Option<PathBuf>, String), Problem> {
    let path = file.map_or_else(|| dirs.config_file(), Path::to_path_buf);
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok((Some(path), text)),
        Err(e) if file.is_none() && e.kind() == std::io::ErrorKind::NotFound => Ok((None, String::new())),
        Err(e) => Err(placeless(
            &path.display().to_string(),
            format!("cannot be read: {e}"),
            "check the path, or leave --config away to use the defaults".to_owned(),
        )),
    }
}

fn placeless(file: &str, what: String, remedy: String) -> Problem {
    Problem { file: file.to_owned(), line: 0, column: 0, key: String::new(), what, remedy }
}

/// Settings from one file's text: syntax, names and types, without the other layers.
pub fn parse(file: &str, text: &str) -> Result<Loaded, Problem> {
    let source = Source::parse(file, text)?;
    let settings: Settings = toml::from_str(text).map_err(|e| source.refusal(&e))?;
    let origins = leaves(&settings)
        .into_keys()
        .map(|key| {
            let origin = source.place_of(&key).map_or(Origin::Default, |(line, column)| Origin::File { line, column });
            (key, origin)
        })
        .collect();
    Ok(Loaded { settings, origins, path: None })
}

fn apply(loaded: &mut Loaded, key: &str, value: &str, origin: Origin, problems: &mut Vec<Problem>) {
    let name = match origin {
        Origin::Env(name) | Origin::Flag(name) => name,
        _ => key,
    };
    if let Err((what, remedy)) = set(&mut loaded.settings, key, value) {
        problems.push(placeless(name, what, remedy));
        return;
    }
    loaded.origins.insert(key.to_owned(), origin);
}

/// Sets one of the [`NAMED`] settings from text.
fn set(s: &mut Settings, key: &str, value: &str) -> Result<(), (String, String)> {
    match key {
        "connection.context" => s.connection.context = Some(value.to_owned()),
        "connection.namespaces" => {
            s.connection.namespaces = value.split(',').map(|n| n.trim().to_owned()).filter(|n| !n.is_empty()).collect();
        }
        "connection.prometheus" => value.clone_into(&mut s.connection.prometheus),
        "traces.url" => value.clone_into(&mut s.traces.url),
        "connection.state_dir" => s.connection.state_dir = Some(value.to_owned()),
        "guard.mode" => {
            let known = Mode::ALL.map(Mode::as_str);
            s.guard.mode = value.parse().map_err(|_| (format!("unknown value {value:?}"), one_of(value, &known)))?;
        }
        "ui.theme" => value.clone_into(&mut s.ui.theme),
        "ui.keymap" => value.clone_into(&mut s.ui.keymap),
        "ui.color" => value.clone_into(&mut s.ui.color),
        "ui.ascii" => {
            s.ui.ascii = match value {
                "1" | "true" | "yes" => true,
                "0" | "false" | "no" => false,
                _ => return Err((format!("{value:?} is neither true nor false"), "write true or false".into())),
            }
        }
        "ui.max_fps" => {
            let fps = value.parse().map_err(|_| (format!("{value:?} is not a number"), "write 1 to 60".to_owned()))?;
            s.ui.max_fps = Some(fps);
        }
        _ => {}
    }
    Ok(())
}

/// Keymap and theme must exist; whether they are right, their own loaders say.
fn exists(s: &Settings, dirs: &Dirs) -> Vec<check::Complaint> {
    let mut out = Vec::new();
    for (key, what, name, shipped) in [
        ("ui.theme", "theme", &s.ui.theme, theme::SHIPPED.as_slice()),
        ("ui.keymap", "keymap", &s.ui.keymap, keymap::SHIPPED.as_slice()),
    ] {
        if (what, name.as_str()) == ("theme", theme::AUTO) {
            continue;
        }
        if let Err(why) = super::dirs::find(name, what, dirs, shipped) {
            let known = super::dirs::names(what, dirs, shipped);
            let known: Vec<&str> = known.iter().map(String::as_str).collect();
            out.push((key.to_owned(), why, one_of(name, &known)));
        }
    }
    out
}
