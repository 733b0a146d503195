//! Reads two weeks of hours for the forecasts: one query per signal for all workloads, two days at a time.
//!
//! CPU and requests are the mean of the hour before, so that a forecast is not made from two lucky minutes; memory is what
//! was in use at the hour. An hour in which nothing was measured has no value. As in `backfill`, pods that are long gone
//! count by the shape of their names.

use super::backfill::{Grid, Slice, add};
use super::pods::PodIndex;
use super::queries::{cpu, family, memory};
use crate::model::prediction::{LongHistory, Track};
use crate::model::series::Signal;
use crate::model::time::Timestamp;
use crate::monitor::prometheus::answer::Labels;
use crate::monitor::prometheus::profile::{Profile, join};
use crate::monitor::prometheus::{PromClient, PromError};
use chrono::{DurationRound as _, TimeDelta};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Hours that are read: two weeks, which show a week twice.
const HOURS: i32 = 14 * 24;

/// Hours in one query: the answer for 8000 pods stays far below what a client takes, and a server has time for it.
const HOURS_PER_QUERY: usize = 48;

const HOUR: u32 = 3600;

/// The grids of one signal, by number of the workload.
type Grids = BTreeMap<usize, Grid>;

/// Reads everything, ending with the last whole hour. An error means that the server is lost; a query that it refused is
/// told in [`LongHistory::refused`].
pub async fn read(
    client: &PromClient,
    profile: &Profile,
    index: &PodIndex,
    now: Timestamp,
) -> Result<LongHistory, PromError> {
    let hour = TimeDelta::hours(1);
    let to = now.duration_trunc(hour).unwrap_or(now);
    let whole = Slice { from: to - hour * (HOURS - 1), to, step: HOUR };
    let mut reader = Reader { client, whole, found: LongHistory { read: Some(now), ..LongHistory::default() } };
    if let Some(c) = &profile.cadvisor {
        let owner = |l: &Labels| c.by.key(l).and_then(|(n, p)| index.workload_of(n, p));
        let cores = reader.ask(Signal::Cpu, &cpu(profile, c, "", HOUR), owner).await?;
        reader.keep(Signal::Cpu, cores, index);
        let fresh = profile.fresh_for().num_seconds();
        let bytes = reader.ask(Signal::Memory, &memory(c, "", Some(fresh)), owner).await?;
        reader.keep(Signal::Memory, bytes, index);
    }
    let cluster = profile.cluster.as_deref().unwrap_or_default();
    // As live: for each workload the first family that knows it.
    let mut rates = Grids::new();
    for r in &profile.requests {
        let owner = |l: &Labels| {
            let (namespace, name) = r.by.key(l)?;
            if r.by.pod { index.workload_of(namespace, name) } else { index.workload_named(namespace, name) }
        };
        let query = family(r, &join([cluster]), HOUR).total;
        for (workload, grid) in reader.ask(Signal::RequestRate, &query, owner).await? {
            rates.entry(workload).or_insert(grid);
        }
    }
    reader.keep(Signal::RequestRate, rates, index);
    Ok(reader.found)
}

struct Reader<'a> {
    client: &'a PromClient,
    whole: Slice,
    found: LongHistory,
}

impl Reader<'_> {
    /// The hours of one query, added up per owner.
    async fn ask(
        &mut self,
        signal: Signal,
        query: &str,
        owner: impl Fn(&Labels) -> Option<usize>,
    ) -> Result<Grids, PromError> {
        let mut grids = Grids::new();
        for part in self.whole.parts(HOURS_PER_QUERY) {
            match self.client.query_range(query, part.from, part.to, part.step).await {
                Ok(answer) => add(&mut grids, &answer.data, self.whole, &owner),
                Err(e) if e.is_about_the_query() => {
                    tracing::warn!("two weeks of {} are incomplete: {e}", signal.title());
                    self.found.refused.insert(signal, e.to_string().into());
                }
                Err(e) => return Err(e),
            }
        }
        Ok(grids)
    }

    /// Keeps what was measured, without the hours before the first value.
    fn keep(&mut self, signal: Signal, grids: Grids, index: &PodIndex) {
        for (workload, grid) in grids {
            let Some(first) = grid.iter().position(|v| v.is_finite()) else { continue };
            let from = self.whole.from + TimeDelta::hours(first as i64);
            let values = grid[first..].iter().map(|v| v.is_finite().then_some(*v)).collect();
            let key = index.workloads[workload].0.clone();
            self.found.tracks.insert((key, signal), Arc::new(Track { from, values }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{snapshot, workload};
    use super::super::queries::tests::profile;
    use super::*;
    use crate::config::settings::Connection;
    use crate::model::object::{WorkloadKey, WorkloadKind};
    use crate::monitor::prometheus::client::Limits;
    use crate::monitor::prometheus::transport::Transport;
    use serde_json::json;
    use wiremock::matchers::any;
    use wiremock::{Mock, MockServer, Request, ResponseTemplate};

    const NOW: i64 = 1_700_000_000 / 3600 * 3600 + 1234;

    fn parameter(request: &Request, name: &str) -> String {
        let url = request.url.query_pairs().find(|(k, _)| k == name).map(|(_, v)| v.into_owned());
        let body = || form_urlencoded::parse(&request.body).find(|(k, _)| k == name).map(|(_, v)| v.into_owned());
        url.or_else(body).unwrap_or_default()
    }

    /// One pod that lives and one of the past, each an hour in three missing; memory is refused.
    fn prometheus(request: &Request) -> ResponseTemplate {
        let query = parameter(request, "query");
        let time = |name| parameter(request, name).parse::<f64>().unwrap() as i64;
        let (start, end, step) = (time("start"), time("end"), time("step"));
        assert_eq!((start % 3600, end % 3600, step), (0, 0, 3600), "whole hours");
        if query.contains("working_set") {
            let error = json!({"status": "error", "errorType": "execution", "error": "too many samples"});
            return ResponseTemplate::new(422).set_body_json(error);
        }
        assert!(query.contains("[3600s]"), "{query}");
        let points = |value: &str| -> Vec<_> {
            (start..=end).step_by(3600).filter(|t| t / 3600 % 3 != 0).map(|t| json!([t, value])).collect()
        };
        let track =
            |pod: &str, value: &str| json!({"metric": {"namespace": "shop", "pod": pod}, "values": points(value)});
        let tracks = if query.contains("cpu") {
            vec![track("web-0", "0.25"), track("web-7", "0.5"), track("stranger", "9")]
        } else {
            vec![]
        };
        ResponseTemplate::new(200)
            .set_body_json(json!({"status": "success", "data": {"resultType": "matrix", "result": tracks}}))
    }

    #[tokio::test]
    async fn two_weeks_are_read_by_the_hour_and_what_is_missing_stays_missing() {
        let server = MockServer::start().await;
        Mock::given(any()).respond_with(prometheus).mount(&server).await;
        let limits = Limits { timeout: std::time::Duration::from_secs(10), in_flight: 2, answer: 1 << 20 };
        let client = PromClient::new(Transport::url(&server.uri(), &Connection::default()).unwrap(), limits);
        let web = workload("shop", WorkloadKind::StatefulSet, "web", &["web-0"]);
        let index = PodIndex::new(&snapshot(vec![web]));
        let now = chrono::DateTime::from_timestamp(NOW, 0).unwrap();
        let history = read(&client, &profile(), &index, now).await.unwrap();
        let key = WorkloadKey::new("shop", WorkloadKind::StatefulSet, "web");
        let track = &history.tracks[&(key, Signal::Cpu)];
        assert_eq!(track.end().timestamp(), NOW / 3600 * 3600 + 3600, "ends with the last whole hour");
        assert!((335..=336).contains(&track.values.len()), "{}", track.values.len());
        for (i, value) in track.values.iter().enumerate() {
            let missing = (track.from.timestamp() / 3600 + i as i64) % 3 == 0;
            assert_eq!(*value, (!missing).then_some(0.75), "both pods of web, nobody else's, and no zero");
        }
        assert_eq!(history.tracks.len(), 1, "no signal is made up");
        assert!(history.refused[&Signal::Memory].contains("too many samples"));
        let queries = server.received_requests().await.unwrap().len();
        assert_eq!(queries, 3 * 7, "per signal one query each two days");
    }
}
