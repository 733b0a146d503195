//! Whether what measures is itself measured: scrape targets of cAdvisor and kube-state-metrics that are down (`up`). A
//! number that stands still because its exporter died looks like one that is calm.

use crate::model::snapshot::Targets;
use crate::monitor::prometheus::answer::Sample;
use crate::monitor::prometheus::profile::{Profile, join, matcher};
use crate::monitor::prometheus::{PromClient, PromError};

/// What is asked about: name, and matchers of its `up` series. Left out where the profile has no matchers, which would
/// count the targets of everybody.
fn wanted(profile: &Profile) -> Vec<(&'static str, String)> {
    let cluster = profile.cluster.as_deref().unwrap_or_default();
    let cadvisor = profile.cadvisor.as_ref().map(|c| c.selector.clone()).filter(|s| !s.is_empty());
    let state = profile.shown.kube_state.as_ref().map(|job| join([cluster, &matcher("job", job)]));
    [("cAdvisor", cadvisor), ("kube-state-metrics", state)]
        .into_iter()
        .filter_map(|(name, selector)| Some((name, selector?)))
        .collect()
}

/// Asks for all targets and for those that are down. What is not answered, or has no `up`, is left out: it is not known.
pub async fn ask(client: &PromClient, profile: &Profile) -> Vec<Targets> {
    let mut out = Vec::new();
    for (name, selector) in wanted(profile) {
        let (all, down) = (format!("count(up{{{selector}}})"), format!("count(up{{{selector}}} == 0)"));
        let answers = tokio::join!(client.query(&all), client.query(&down));
        let data = |a: Result<crate::monitor::prometheus::answer::Answer<Vec<Sample>>, PromError>| a.map(|a| a.data);
        if let (Ok(all), Ok(down)) = (data(answers.0), data(answers.1)) {
            out.extend(read(name, &all, &down));
        }
    }
    out
}

/// An empty answer to the second is a true zero, because the first shows that there are targets.
fn read(name: &str, all: &[Sample], down: &[Sample]) -> Option<Targets> {
    let number = |samples: &[Sample]| samples.first().and_then(|s| s.value.float());
    let all = number(all).filter(|n| *n >= 1.0)? as u32;
    let down = if down.is_empty() { 0 } else { number(down)? as u32 };
    Some(Targets { name: name.into(), all, down: down.min(all) })
}
