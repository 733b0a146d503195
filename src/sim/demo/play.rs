//! The scenario director as the console knows it.

use crate::model::demo::{Director, Playing, Scenario};
use crate::sim::scenario::{Handle, Running};

/// A director behind its handle.
pub(super) struct Play(pub(super) Handle);

/// A scenario as the console shows it.
pub(super) fn shown(name: &str, title: &str, about: &str, cure: &str) -> Scenario {
    Scenario { name: name.into(), title: title.into(), about: about.into(), cure: cure.into() }
}

impl Director for Play {
    fn scenarios(&self) -> Vec<Scenario> {
        self.0.list().iter().map(|s| shown(&s.name, &s.title, &s.about, &s.cure)).collect()
    }

    fn playing(&self) -> Playing {
        let status = self.0.status();
        let (name, since, next) = match status.running {
            Some(Running { name, since, next, .. }) => (name, Some(since), next),
            None => Default::default(),
        };
        Playing { name, since, next, problems: status.problems }
    }

    fn play(&self, name: Option<&str>) -> Result<String, String> {
        let Some(name) = name else {
            self.0.stop();
            return Ok("the scenario ends; what presses from outside is taken back".into());
        };
        self.0.start(name).map_err(|e| e.to_string())?;
        let title = self.0.list().into_iter().find(|s| s.name == name).map(|s| s.title).unwrap_or_default();
        Ok(format!("scenario {name}: {title}"))
    }
}
