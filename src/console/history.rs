//! Expressions of earlier sessions, one a line in the state directory, the newest at the end.

use crate::model::text::clean;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Most expressions that are kept.
const KEPT: usize = 500;

/// A file that grows by one line at a time.
#[derive(Debug, Clone)]
pub struct History {
    file: PathBuf,
}

impl History {
    /// In this directory; the file need not exist.
    pub fn below(state: &Path) -> Self {
        Self { file: state.join("promql-history") }
    }

    /// All that is kept, newest first, each once. A file that cannot be read is an empty one.
    pub fn read(&self) -> Vec<String> {
        let text = fs::read_to_string(&self.file).unwrap_or_default();
        let mut out: Vec<String> = Vec::new();
        for line in text.lines().rev().map(str::trim).filter(|l| !l.is_empty()) {
            let line = clean(line).into_owned();
            if out.len() < KEPT && !out.contains(&line) {
                out.push(line);
            }
        }
        out
    }

    /// Adds one; the file is written anew once it has grown to twice what is kept. A history that cannot be
    /// written is told in the log and costs nothing else.
    pub fn append(&self, expression: &str) {
        let line = clean(&expression.replace('\n', " ")).into_owned();
        if let Err(e) = self.write(&line) {
            tracing::warn!("{}: the expression was not kept: {e}", self.file.display());
        }
    }

    fn write(&self, line: &str) -> std::io::Result<()> {
        if let Some(dir) = self.file.parent() {
            fs::create_dir_all(dir)?;
        }
        let lines = fs::read_to_string(&self.file).map_or(0, |t| t.lines().count());
        if lines >= 2 * KEPT {
            let mut kept = self.read();
            kept.reverse();
            let fresh = self.file.with_extension("new");
            fs::write(&fresh, kept.join("\n") + "\n")?;
            fs::rename(&fresh, &self.file)?;
        }
        let mut file = fs::OpenOptions::new().create(true).append(true).open(&self.file)?;
        writeln!(file, "{line}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_comes_first_once_and_the_file_stays_small() {
        let dir = tempfile::tempdir().unwrap();
        let history = History::below(&dir.path().join("new"));
        assert!(history.read().is_empty());
        for text in ["up", "sum(up)", "up", "a\nb\u{1b}[2J"] {
            history.append(text);
        }
        let read = history.read();
        assert_eq!((read[0].starts_with("a b"), &read[1..]), (true, &["up".to_owned(), "sum(up)".into()][..]));
        assert!(!read[0].contains('\u{1b}'));
        (0..2 * KEPT + 5).for_each(|i| history.append(&format!("x{i}")));
        let lines = fs::read_to_string(&history.file).unwrap().lines().count();
        assert!(lines <= 2 * KEPT && history.read()[0] == format!("x{}", 2 * KEPT + 4), "{lines}");
    }
}
