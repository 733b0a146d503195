//! Keeps generated documentation equal to the program. Rewrite it with `KANSOLE_BLESS=1 cargo test --test docs`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

fn same(file: &str, fresh: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(file);
    if std::env::var_os("KANSOLE_BLESS").is_some() {
        std::fs::write(&path, fresh).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == fresh, "docs/{file} is out of date: KANSOLE_BLESS=1 cargo test --test docs writes it anew");
}

#[test]
fn the_key_reference_is_what_the_program_prints() {
    let dir = tempfile::tempdir().unwrap();
    let out = Command::new(env!("CARGO_BIN_EXE_kansole"))
        .args(["keys", "--format", "markdown"])
        .env("XDG_CONFIG_HOME", dir.path())
        .env_remove("KANSOLE_KEYMAP")
        .output()
        .unwrap();
    assert!(out.status.success());
    same("keys.md", &String::from_utf8(out.stdout).unwrap());
}

#[test]
fn the_configuration_reference_has_every_setting_with_its_default() {
    let source = concat!(include_str!("../src/config/settings.rs"), include_str!("../src/config/settings/notify.rs"));
    let defaults = toml::Table::try_from(kansole::config::Settings::default()).unwrap();
    let structs = documented(source);
    let mut out = String::from(
        "# Configuration\n\n`config.toml` in the XDG configuration directory of kansole (`~/.config/kansole/`), or the file named by\n`--config`. Every setting is optional. Layers: defaults, then the file, then `KANSOLE_*`, then flags.\nDurations are written `500ms`, `30s`, `5m`, `1h30m`, `7d`.\n",
    );
    for (section, _, about) in &structs["Settings"] {
        let name = if section == "plan" { "Planning".into() } else { capital(section) };
        if section == "slo" || section == "notify" {
            list(&mut out, section, about, &structs[&name]);
        }
        if section == "slo" {
            let _ = write!(out, "\n`indicator` is one of:\n\n");
            for (key, _, doc) in &structs["Indicator"] {
                let _ = writeln!(out, "* `{key}`: {doc}");
            }
        }
        if section == "slo" || section == "notify" {
            continue;
        }
        let _ = write!(out, "\n## `[{section}]`\n\n{about}\n\n| key | default | meaning |\n|---|---|---|\n");
        let values = defaults.get(section).and_then(toml::Value::as_table);
        for (key, _, doc) in &structs[&name] {
            let default = values.and_then(|t| t.get(key)).map_or("unset".to_owned(), |v| format!("`{v}`"));
            let _ = writeln!(out, "| `{key}` | {default} | {doc} |");
        }
        if section == "guard" {
            let rung = "Where the autonomy ladder begins and ends for some actions. The first rule that fits holds.";
            list(&mut out, "guard.rung", rung, &structs["RungRule"]);
            let window = "A maintenance window. Auto optimises only inside one that stays open for longer than the plan needs; healing is not bound to it.";
            list(&mut out, "guard.window", window, &structs["Window"]);
        }
    }
    assert!(!out.contains("|  |"), "a setting has no doc");
    same("config.md", &out);
}

#[test]
fn completions_and_manual_pages_name_every_command() {
    let kansole = |args: &[&str]| {
        let out = Command::new(env!("CARGO_BIN_EXE_kansole")).args(args).output().unwrap();
        (out.status.code(), String::from_utf8(out.stdout).unwrap(), String::from_utf8(out.stderr).unwrap())
    };
    let commands = ["once", "snapshot", "doctor", "actions", "journal", "keys", "demo", "lab", "completions", "man"];
    for shell in ["bash", "zsh", "fish"] {
        let (code, script, _) = kansole(&["completions", shell]);
        assert_eq!(code, Some(0));
        for word in commands.iter().chain(&["--plain", "--record", "--read-only"]) {
            // fish writes flags without their dashes.
            assert!(script.contains(word.trim_start_matches("--")), "{shell}: {word}");
        }
    }
    let script = kansole(&["completions", "bash"]).1;
    let checked = Command::new("bash").args(["-n", "-c", &script]).status();
    assert!(checked.is_err() || checked.is_ok_and(|s| s.success()), "bash refuses its script");
    let (code, page, _) = kansole(&["man"]);
    assert_eq!(code, Some(0));
    assert!(page.contains(".SH NAME") && page.contains(".SH OPTIONS") && page.contains("kansole\\-demo(1)"), "{page}");
    assert!(kansole(&["man", "lab", "forecast"]).1.contains("horizon"));
    let (code, _, said) = kansole(&["man", "dmeo"]);
    assert_eq!(code, Some(2));
    assert!(said.contains("it has: ") && said.contains("demo"), "{said}");
    let (code, _, said) = kansole(&["keys", "--plain"]);
    assert_eq!((code, said.contains("--plain is for the console")), (Some(2), true), "{said}");
}

/// A list of tables, each with these keys.
fn list(out: &mut String, section: &str, about: &str, fields: &[(String, String, String)]) {
    let _ = write!(out, "\n## `[[{section}]]`\n\n{about} Each entry has:\n\n| key | meaning |\n|---|---|\n");
    for (key, _, doc) in fields {
        let _ = writeln!(out, "| `{key}` | {doc} |");
    }
}

/// All of our Rust sources as one text.
fn sources(folder: &Path, out: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, out);
        } else if path.extension().is_some_and(|e| e == "rs") {
            out.push_str(&std::fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn every_yes_of_the_console_s_table_names_tests_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut code = String::new();
    sources(&root.join("src"), &mut code);
    sources(&root.join("tests"), &mut code);
    let table = std::fs::read_to_string(root.join("docs/console.md")).unwrap();
    let rows: Vec<Vec<&str>> =
        table.lines().filter(|l| l.starts_with("| ")).map(|l| l.split('|').map(str::trim).collect()).collect();
    assert!(rows.len() > 30, "the table is gone");
    for cells in rows.iter().skip(1).filter(|c| c.len() == 8) {
        let (feature, says, tests) = (cells[1], cells[5], cells[6]);
        assert!(says.starts_with("yes") || says.starts_with("no"), "{feature}: {says}");
        let named: Vec<&str> = tests.split('`').skip(1).step_by(2).collect();
        assert_eq!(says.starts_with("yes"), !named.is_empty(), "{feature}: {tests}");
        for name in named {
            assert!(code.contains(&format!("fn {name}(")), "{feature}: there is no test {name}");
        }
    }
}

fn capital(word: &str) -> String {
    word[..1].to_uppercase() + &word[1..]
}

/// Fields of each struct or enum of a source file, in order: name, type, doc.
fn documented(source: &str) -> BTreeMap<String, Vec<(String, String, String)>> {
    let mut found: BTreeMap<String, Vec<_>> = BTreeMap::new();
    let (mut current, mut doc) = (String::new(), String::new());
    for line in source.lines().map(str::trim) {
        if let Some(text) = line.strip_prefix("///") {
            if !doc.is_empty() {
                doc.push(' ');
            }
            doc.push_str(text.trim());
            continue;
        }
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["pub", "struct" | "enum", name, "{"] => (*name).clone_into(&mut current),
            [name, "{"] if name.starts_with(char::is_uppercase) && current != "Indicator" => {
                (*name).clone_into(&mut current);
            }
            _ => {
                let field = line.trim_start_matches("pub ");
                let is_variant = current == "Indicator" && field.starts_with(char::is_uppercase);
                let name: String = field.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                let rest = field[name.len()..].trim();
                if !doc.is_empty() && (is_variant || (rest.starts_with(':') && name.starts_with(char::is_lowercase))) {
                    let shown = if is_variant { snake(&name) } else { name };
                    found.entry(current.clone()).or_default().push((shown, rest.to_owned(), std::mem::take(&mut doc)));
                }
            }
        }
        if !line.starts_with('#') {
            doc.clear();
        }
    }
    found
}

fn snake(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        if c.is_uppercase() && !out.is_empty() {
            out.push('_');
        }
        out.extend(c.to_lowercase());
    }
    out
}
