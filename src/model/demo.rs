//! A demo's scenarios as the console sees them: what there is, what plays, and the wish to play another.

use super::time::Timestamp;

/// A story that befalls the simulated cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scenario {
    /// Name, as after `--scenario`.
    pub name: String,
    /// A few words.
    pub title: String,
    /// What happens and what to look at.
    pub about: String,
    /// What makes the cluster well again.
    pub cure: String,
}

/// What plays now.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Playing {
    /// Name of the scenario; empty for none.
    pub name: String,
    /// When it began.
    pub since: Option<Timestamp>,
    /// When its next step comes, and what that does.
    pub next: Option<(Timestamp, String)>,
    /// What went wrong in playing it, such as a target that is gone.
    pub problems: Vec<String>,
}

/// Who directs a demo. Calls return at once.
pub trait Director: Send + Sync {
    /// All scenarios, in the order to show them.
    fn scenarios(&self) -> Vec<Scenario>;
    /// What plays.
    fn playing(&self) -> Playing;
    /// Plays a scenario from its beginning instead of the present one; `None` ends the present one and undoes what
    /// presses from outside. The answer is for the operator; the error names what is wrong.
    fn play(&self, name: Option<&str>) -> Result<String, String>;
}
