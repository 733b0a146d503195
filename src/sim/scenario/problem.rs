//! What is wrong in a scenario file, where, and what to do about it.

use crate::model::text::distance;
use std::fmt;

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file as it was named.
    pub file: String,
    /// Line and column (in characters) from 1.
    pub place: (usize, usize),
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub remedy: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}; {}", self.file, self.place.0, self.place.1, self.what, self.remedy)
    }
}

/// Everything that is wrong in a file, in its order; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.0.iter().enumerate() {
            write!(f, "{}{problem}", if i > 0 { "\n" } else { "" })?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// Line and column (in characters) of a byte offset, both from 1.
pub fn place(text: &str, at: usize) -> (usize, usize) {
    let before = &text[..text.floor_char_boundary(at)];
    let line = before.matches('\n').count() + 1;
    (line, before.rsplit('\n').next().map_or(0, |l| l.chars().count()) + 1)
}

/// `did you mean "x"?`, or the list of what is known when nothing is near.
pub fn one_of<S: AsRef<str>>(found: &str, known: &[S]) -> String {
    let far = found.chars().count() / 3 + 1;
    let near = known.iter().map(AsRef::as_ref).map(|k| (distance(found, k), k)).filter(|(d, _)| *d <= far).min();
    match near {
        Some((_, name)) => format!("did you mean {name:?}?"),
        None if known.is_empty() => "there is none".to_owned(),
        None => format!("use one of {}", known.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(", ")),
    }
}
