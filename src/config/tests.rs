//! Golden tests: every file in fixtures/*_invalid ends with the exact message it must produce, as `#! ` lines;
//! every file in fixtures/*_valid must load.

use super::dirs::Dirs;
use super::origin::Origin;
use super::problem::Problems;
use super::{Overrides, keymap, load, theme};
use crate::console::keys::bindable;
use crate::console::theme::Role;
use crate::model::mode::Mode;
use std::path::{Path, PathBuf};

fn fixtures(kind: &str) -> Vec<(PathBuf, String)> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/config/fixtures").join(kind);
    let mut files: Vec<_> = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty());
    files.into_iter().map(|p| (p.clone(), std::fs::read_to_string(p).unwrap())).collect()
}

/// A home whose keymaps and themes are the fixtures' own folder, under the names of the fixtures.
fn home(kind: &str, what: &str) -> (tempfile::TempDir, Dirs) {
    let home = tempfile::tempdir().unwrap();
    let dirs = Dirs::below(home.path());
    let folder = dirs.config.join(format!("{what}s"));
    std::fs::create_dir_all(&folder).unwrap();
    for (path, text) in fixtures(kind) {
        std::fs::write(folder.join(path.file_name().unwrap()), text).unwrap();
    }
    (home, dirs)
}

fn no_env(_: &str) -> Option<String> {
    None
}

/// Compares what each invalid fixture says with its own last lines.
fn golden(kind: &str, message: impl Fn(&Path) -> Option<String>) {
    let mut wrong = Vec::new();
    for (path, text) in fixtures(kind) {
        let want: Vec<&str> = text.lines().filter_map(|l| l.strip_prefix("#! ")).collect();
        let said = message(&path).unwrap_or_else(|| "it loads".into());
        // The folder differs from machine to machine; the file's name does not.
        let said: Vec<String> = said.lines().map(|l| shortened(l, &path)).collect();
        if said != want {
            wrong.push(format!("{}\n#! {}", path.display(), said.join("\n#! ")));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

fn shortened(line: &str, path: &Path) -> String {
    let name = path.file_name().unwrap().to_str().unwrap();
    let mut out = line.to_owned();
    while let Some(at) = out.find(&format!("/{name}")) {
        let from = out[..at].rfind([' ', '(']).map_or(0, |i| i + 1);
        out.replace_range(from..=at, "");
    }
    out
}

fn config(path: &Path) -> Result<super::Loaded, Problems> {
    load(Some(path), &Dirs::below(Path::new("/nonexistent")), &no_env, &Overrides::default())
}

#[test]
fn every_mistake_in_a_configuration_is_named_with_its_place_and_remedy() {
    golden("config_invalid", |path| config(path).err().map(|e| e.to_string()));
}

#[test]
fn every_mistake_in_a_keymap_is_named_with_its_place_and_remedy() {
    let (_home, dirs) = home("keymap_invalid", "keymap");
    golden("keymap_invalid", |path| {
        keymap::load(path.file_stem().unwrap().to_str().unwrap(), &dirs, &bindable()).err().map(|e| e.to_string())
    });
}

#[test]
fn every_mistake_in_a_theme_is_named_with_its_place_and_remedy() {
    let (_home, dirs) = home("theme_invalid", "theme");
    golden("theme_invalid", |path| {
        theme::load(path.file_stem().unwrap().to_str().unwrap(), &dirs, &Role::NAMES).err().map(|e| e.to_string())
    });
}

#[test]
fn valid_files_load() {
    for (path, _) in fixtures("config_valid") {
        config(&path).unwrap_or_else(|e| panic!("{e}"));
    }
    for (path, _) in fixtures("keymap_valid") {
        let dirs = Dirs::below(Path::new("/nonexistent"));
        keymap::load(path.to_str().unwrap(), &dirs, &bindable()).unwrap_or_else(|e| panic!("{e}"));
    }
    for (path, _) in fixtures("theme_valid") {
        let dirs = Dirs::below(Path::new("/nonexistent"));
        theme::load(path.to_str().unwrap(), &dirs, &Role::NAMES).unwrap_or_else(|e| panic!("{e}"));
    }
}

#[test]
fn layers_win_in_order_and_each_value_knows_where_it_came_from() {
    let home = tempfile::tempdir().unwrap();
    let dirs = Dirs::below(home.path());
    std::fs::create_dir_all(&dirs.config).unwrap();
    let text = "[guard]\nmode = \"observe\"\nper_hour = 3\n[ui]\ntheme = \"light\"\nkeymap = \"vim\"\n";
    std::fs::write(dirs.config_file(), text).unwrap();
    let env = |name: &str| match name {
        "KANSOLE_MODE" => Some("step".to_owned()),
        "KANSOLE_THEME" => Some("mono".to_owned()),
        _ => None,
    };
    let flags = Overrides { theme: Some("dark".into()), ..Overrides::default() };
    let loaded = load(None, &dirs, &env, &flags).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(loaded.settings.guard.mode, Mode::Step);
    assert_eq!((loaded.settings.ui.theme.as_str(), loaded.settings.ui.keymap.as_str()), ("dark", "vim"));
    for (key, origin) in [
        ("guard.mode", Origin::Env("KANSOLE_MODE")),
        ("guard.per_hour", Origin::File { line: 3, column: 1 }),
        ("ui.theme", Origin::Flag("--theme")),
        ("ui.ascii", Origin::Default),
        ("connection.context", Origin::Default),
    ] {
        assert_eq!(loaded.origins[key], origin, "{key}");
    }
    assert_eq!(loaded.path, Some(dirs.config_file()));
}

#[test]
fn mistakes_outside_the_file_name_their_flag_or_variable() {
    let dirs = Dirs::below(Path::new("/nonexistent"));
    let flags = Overrides { max_fps: Some(0), ..Overrides::default() };
    let env = |name: &str| (name == "KANSOLE_MODE").then(|| "autp".to_owned());
    let said = load(None, &dirs, &env, &flags).unwrap_err().to_string();
    assert_eq!(
        said,
        "KANSOLE_MODE: unknown value \"autp\"; did you mean \"auto\"?\n\
         --max-fps: 0 frames per second is out of range; write 1 to 60"
    );
    let said = load(Some(Path::new("/nonexistent/c.toml")), &dirs, &no_env, &Overrides::default()).unwrap_err();
    assert!(said.to_string().starts_with("/nonexistent/c.toml: cannot be read: "), "{said}");
}

#[test]
fn without_a_file_the_defaults_hold() {
    let loaded = load(None, &Dirs::below(Path::new("/nonexistent")), &no_env, &Overrides::default()).unwrap();
    assert_eq!(loaded.settings, super::Settings::default());
    assert_eq!(loaded.path, None);
    assert!(loaded.origins.values().all(|o| *o == Origin::Default));
}

#[tokio::test]
async fn a_file_that_is_replaced_is_told_once() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("config.toml");
    std::fs::write(&file, "").unwrap();
    let (tx, mut rx) = tokio::sync::mpsc::channel(4);
    let _reloads = super::watch::watch(std::slice::from_ref(&file), tx).unwrap();
    for i in 0..5 {
        let new = home.path().join("new");
        std::fs::write(&new, format!("# {i}\n")).unwrap();
        std::fs::rename(&new, &file).unwrap();
    }
    let wait = std::time::Duration::from_secs(5);
    assert_eq!(tokio::time::timeout(wait, rx.recv()).await, Ok(Some(())));
    assert!(rx.try_recv().is_err(), "five quick changes are one");
}
