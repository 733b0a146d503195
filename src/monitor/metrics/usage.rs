//! Reads what every container used in the last eight days, by the hour: what right-sizing rests on.
//!
//! Span, step and rate are those of the Vertical Pod Autoscaler's history provider (`--history-length=8d`,
//! `--history-resolution=1h`, `rate(…[1h])`); memory is the peak of the hour. An hour in which nothing was measured has no
//! value. Pods that are long gone count by the shape of their names.

use super::backfill::Slice;
use super::past::state_pods;
use super::pods::PodIndex;
use super::queries::{container_cpu, container_kills, container_peak, container_throttled};
use crate::model::sizing::{Sample, UsageHistory};
use crate::model::time::Timestamp;
use crate::monitor::prometheus::answer::Labels;
use crate::monitor::prometheus::profile::{Profile, join};
use crate::monitor::prometheus::{PromClient, PromError};
use chrono::{DurationRound as _, TimeDelta};
use std::collections::BTreeMap;
use std::sync::Arc;

const HOURS: i32 = 8 * 24;
/// Hours in one query: the answer for 8000 containers stays far below what a client takes.
const HOURS_PER_QUERY: usize = 48;
const HOUR: u32 = 3600;

/// Number of the workload, container and pod.
type Place = (usize, Arc<str>, Arc<str>);

/// Reads everything, ending with the last whole hour. An error means that the server is lost; a query that it refused is
/// told in [`UsageHistory::refused`].
pub async fn read(
    client: &PromClient,
    profile: &Profile,
    index: &PodIndex,
    now: Timestamp,
) -> Result<UsageHistory, PromError> {
    let hour = TimeDelta::hours(1);
    let to = now.duration_trunc(hour).unwrap_or(now);
    let whole = Slice { from: to - hour * (HOURS - 1), to, step: HOUR };
    let mut reader = Reader { client, index, whole, rows: BTreeMap::new(), refused: BTreeMap::new() };
    if let Some(c) = &profile.cadvisor {
        let place = |l: &Labels| reader_place(index, c.by.key(l)?, l.get(&c.container)?);
        reader.ask("cpu", &container_cpu(c, HOUR), place, |s, v| s.cpu = Some(v)).await?;
        reader.ask("memory", &container_peak(c, HOUR), place, |s, v| s.memory = Some(v)).await?;
        reader.ask("throttling", &container_throttled(c, HOUR), place, |s, v| s.throttled = Some(v)).await?;
        reader.ask("kills", &container_kills(c, HOUR), place, |s, v| s.killed |= v > 0.5).await?;
        // cAdvisor's counter goes with the container it counted; kube-state-metrics still tells of it.
        let states = state_pods();
        let place = |l: &Labels| reader_place(index, states.key(l)?, l.get("container")?);
        reader.ask("kills", &ended_by_kill(profile, &states.clause()), place, |s, v| s.killed |= v > 0.5).await?;
    }
    Ok(reader.done(now))
}

/// Restarts of containers whose last end was a kill for memory.
fn ended_by_kill(profile: &Profile, by: &str) -> String {
    let cluster = profile.cluster.as_deref().unwrap_or_default();
    let reason = join(["reason=\"OOMKilled\"", cluster]);
    format!(
        "max by ({by},container) (increase(kube_pod_container_status_restarts_total{{{cluster}}}[{HOUR}s])) and \
         max by ({by},container) (kube_pod_container_status_last_terminated_reason{{{reason}}} > 0)"
    )
}

fn reader_place(index: &PodIndex, (namespace, pod): (&str, &str), container: &str) -> Option<Place> {
    Some((index.workload_of(namespace, pod)?, container.into(), pod.into()))
}

struct Reader<'a> {
    client: &'a PromClient,
    index: &'a PodIndex,
    whole: Slice,
    /// By place, the samples by hour.
    rows: BTreeMap<Place, Vec<Option<Sample>>>,
    refused: BTreeMap<&'static str, Arc<str>>,
}

impl Reader<'_> {
    async fn ask(
        &mut self,
        what: &'static str,
        query: &str,
        place: impl Fn(&Labels) -> Option<Place>,
        set: impl Fn(&mut Sample, f64),
    ) -> Result<(), PromError> {
        for part in self.whole.parts(HOURS_PER_QUERY) {
            let tracks = match self.client.query_range(query, part.from, part.to, part.step).await {
                Ok(answer) => answer.data,
                Err(e) if e.is_about_the_query() => {
                    tracing::warn!("the {what} of containers is incomplete: {e}");
                    self.refused.insert(what, e.to_string().into());
                    continue;
                }
                Err(e) => return Err(e),
            };
            for track in &tracks {
                let Some(place) = place(&track.labels) else { continue };
                let row = self.rows.entry(place).or_insert_with(|| vec![None; self.whole.slots()]);
                for (at, value) in track.points.iter().filter(|(_, v)| v.is_finite() && *v >= 0.0) {
                    let Some(slot) = self.whole.slot(*at) else { continue };
                    let time = at.timestamp_millis() as f64 / 1000.0;
                    let new = Sample { time, cpu: None, memory: None, throttled: None, killed: false };
                    set(row[slot].get_or_insert(new), *value);
                }
            }
        }
        Ok(())
    }

    fn done(self, now: Timestamp) -> UsageHistory {
        let mut found: BTreeMap<_, Vec<Vec<Sample>>> = BTreeMap::new();
        for ((workload, container, _), row) in self.rows {
            let key = (self.index.workloads[workload].0.clone(), container);
            found.entry(key).or_default().push(row.into_iter().flatten().collect());
        }
        let containers = found.into_iter().map(|(key, pods)| (key, Arc::new(pods))).collect();
        UsageHistory { read: Some(now), failed: None, containers, refused: self.refused }
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

    fn parameter(request: &Request, name: &str) -> String {
        let url = request.url.query_pairs().find(|(k, _)| k == name).map(|(_, v)| v.into_owned());
        let body = || form_urlencoded::parse(&request.body).find(|(k, _)| k == name).map(|(_, v)| v.into_owned());
        url.or_else(body).unwrap_or_default()
    }

    /// CPU of two pods of web, one of them gone, each in every second hour; a kill in one of them; memory is refused.
    fn prometheus(request: &Request) -> ResponseTemplate {
        let query = parameter(request, "query");
        let time = |name| parameter(request, name).parse::<f64>().unwrap() as i64;
        if query.contains("max_over_time") {
            let error = json!({"status": "error", "errorType": "execution", "error": "too many samples"});
            return ResponseTemplate::new(422).set_body_json(error);
        }
        let points = |every: i64, value: &str| -> Vec<_> {
            let hours = (time("start")..=time("end")).step_by(3600);
            hours.filter(|t| t / 3600 % every == 0).map(|t| json!([t, value])).collect()
        };
        let track = |pod: &str, points: Vec<_>| json!({"metric": {"namespace": "shop", "pod": pod, "container": "app"}, "values": points});
        let tracks = if query.contains("cpu_usage") {
            vec![track("web-0", points(2, "0.25")), track("web-7", points(2, "0.5")), track("stranger", points(1, "9"))]
        } else if query.contains("restarts_total") {
            vec![track("web-7", points(100, "1"))]
        } else {
            vec![]
        };
        ResponseTemplate::new(200)
            .set_body_json(json!({"status": "success", "data": {"resultType": "matrix", "result": tracks}}))
    }

    #[tokio::test]
    async fn each_container_of_each_pod_is_read_and_what_is_missing_stays_missing() {
        let server = MockServer::start().await;
        Mock::given(any()).respond_with(prometheus).mount(&server).await;
        let limits = Limits { timeout: std::time::Duration::from_secs(10), in_flight: 2, answer: 1 << 20 };
        let client = PromClient::new(Transport::url(&server.uri(), &Connection::default()).unwrap(), limits);
        let web = workload("shop", WorkloadKind::StatefulSet, "web", &["web-0"]);
        let index = PodIndex::new(&snapshot(vec![web]));
        let now = chrono::DateTime::from_timestamp(1_790_000_010, 0).unwrap();
        let history = read(&client, &profile(), &index, now).await.unwrap();
        let key = (WorkloadKey::new("shop", WorkloadKind::StatefulSet, "web"), Arc::from("app"));
        assert_eq!(history.containers.keys().collect::<Vec<_>>(), [&key], "nobody else's");
        let pods = &history.containers[&key];
        assert_eq!(pods.len(), 2);
        let cores = |pod: usize| pods[pod].iter().filter_map(|s| s.cpu).collect::<Vec<_>>();
        assert_eq!((cores(0).len(), cores(1).len()), (96, 96), "every second hour of eight days");
        assert!(cores(0).iter().all(|c| *c == 0.25) && cores(1).iter().all(|c| *c == 0.5));
        assert!(pods.iter().flatten().all(|s| s.memory.is_none()), "no memory is made up");
        assert!(pods[0].iter().all(|s| !s.killed) && pods[1].iter().any(|s| s.killed));
        assert!(history.refused["memory"].contains("too many samples"));
    }
}
