//! Where kansole keeps its files, after the XDG base directory rules.

use super::problem::{Problem, Source, one_of};
use etcetera::base_strategy::{BaseStrategy, Xdg};
use std::path::{Path, PathBuf};

/// The operator's own directories.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dirs {
    /// `$XDG_CONFIG_HOME/kansole`: config.toml, keymaps/, themes/.
    pub config: PathBuf,
    /// `$XDG_STATE_HOME/kansole`: journal, log, crash reports.
    pub state: PathBuf,
}

impl Dirs {
    /// The directories of this user. An error only if there is no home directory at all.
    pub fn of_user() -> Result<Self, String> {
        let xdg = Xdg::new().map_err(|e| format!("no home directory ({e}); set HOME or XDG_CONFIG_HOME"))?;
        let config = xdg.config_dir().join("kansole");
        let state = xdg.state_dir().unwrap_or_else(|| xdg.home_dir().join(".local/state")).join("kansole");
        Ok(Self { config, state })
    }

    /// Both below one directory, for tests and `demo`.
    pub fn below(root: &Path) -> Self {
        Self { config: root.join("config"), state: root.join("state") }
    }

    /// The default configuration file.
    pub fn config_file(&self) -> PathBuf {
        self.config.join("config.toml")
    }
}

/// Finds a keymap or theme: a path, a file of the operator, or one that was shipped.
///
/// Gives the name for messages and the text. `what` is `keymap` or `theme`, and its plural the folder.
pub fn find(name: &str, what: &str, dirs: &Dirs, shipped: &[(&str, &str)]) -> Result<(String, String), String> {
    let is_path = name.contains('/') || Path::new(name).extension().is_some_and(|e| e == "toml");
    let own =
        if is_path { PathBuf::from(name) } else { dirs.config.join(format!("{what}s")).join(format!("{name}.toml")) };
    match std::fs::read_to_string(&own) {
        Ok(text) => return Ok((own.display().to_string(), text)),
        Err(e) if is_path || e.kind() != std::io::ErrorKind::NotFound => {
            return Err(format!("{what} file {} cannot be read: {e}", own.display()));
        }
        Err(_) => {}
    }
    if let Some((_, text)) = shipped.iter().find(|(n, _)| *n == name) {
        return Ok((format!("{what}s/{name}.toml"), (*text).to_owned()));
    }
    Err(format!("there is no {what} {name:?}"))
}

/// [`find`] for the next file of a chain of inheritance: `chain` holds the names before it, `child` the file
/// and text that names it. What is missing or goes in a circle is told at the child's `inherits`.
pub fn ancestor(
    name: &str,
    what: &str,
    dirs: &Dirs,
    shipped: &[(&str, &str)],
    chain: &[String],
    child: Option<&(String, String)>,
) -> Result<(String, String), Problem> {
    let (why, remedy) = if chain.iter().any(|n| n == name) {
        let circle = format!("inherits from itself: {} → {name}", chain.join(" → "));
        (circle, "remove one of the inherits lines".to_owned())
    } else {
        match find(name, what, dirs, shipped) {
            Ok(found) => return Ok(found),
            Err(why) => {
                let known = names(what, dirs, shipped);
                let known: Vec<&str> = known.iter().map(String::as_str).collect();
                (why, one_of(name, &known))
            }
        }
    };
    Err(match child {
        Some((file, text)) => Source::parse(file, text)?.problem("inherits", why, remedy),
        None => Problem { file: name.to_owned(), line: 0, column: 0, key: String::new(), what: why, remedy },
    })
}

/// Names of all keymaps or themes: shipped ones first, then the operator's.
pub fn names(what: &str, dirs: &Dirs, shipped: &[(&str, &str)]) -> Vec<String> {
    let mut names: Vec<String> = shipped.iter().map(|(n, _)| (*n).to_owned()).collect();
    let mut own: Vec<String> = std::fs::read_dir(dirs.config.join(format!("{what}s")))
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|e| e.file_name().to_str().and_then(|n| n.strip_suffix(".toml")).map(str::to_owned))
        .filter(|n| !names.contains(n))
        .collect();
    own.sort();
    names.append(&mut own);
    names
}
