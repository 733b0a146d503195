//! Logs of containers (`pods/log`), from what runs on the machines; refusals as the API server's registry and the
//! kubelet word them.

use super::path::flag;
use crate::model::time::Timestamp;
use crate::sim::clock::seconds;
use crate::sim::machine::{Line, Place, Shared};
use crate::sim::object::{at, list, text};
use crate::sim::status::Status;
use axum::body::{Body, Bytes};
use axum::response::{IntoResponse, Response};
use chrono::DateTime;
use http::header;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::convert::Infallible;
use std::time::Duration;

/// How often a followed log is looked at. What runs says nothing when it speaks.
const LOOK: Duration = Duration::from_millis(200);

/// What part of a log is wanted.
#[derive(Debug, Default)]
struct Wanted {
    previous: bool,
    follow: bool,
    timestamps: bool,
    since: Option<Timestamp>,
    tail: Option<usize>,
    limit: Option<usize>,
}

/// Answers with the log of a pod's container.
///
/// # Errors
/// 400, 422.
pub fn answer(
    machines: &Shared,
    pod: &Value,
    query: &HashMap<String, String>,
    now: Timestamp,
) -> Result<Response, Status> {
    let name = text(pod, "metadata.name");
    let wanted = read(name, query, now)?;
    let container = container(pod, name, query.get("container").map(String::as_str).unwrap_or_default())?;
    let plain = [(header::CONTENT_TYPE, "text/plain")];
    if text(pod, "spec.nodeName").is_empty() {
        return Ok((plain, "").into_response());
    }
    let place = Place { namespace: text(pod, "metadata.namespace").to_owned(), pod: name.to_owned(), container };
    let (lines, id) = lines(machines, pod, &place, wanted.previous)?;
    let last = lines.last().cloned();
    let shown = shown(lines, &wanted);
    if !wanted.follow || id.is_none() {
        return Ok((plain, shown).into_response());
    }
    let follow = Follow { machines: machines.clone(), place, id, last, wanted, first: Some(shown) };
    let stream = futures::stream::unfold(follow, Follow::next);
    Ok((plain, Body::from_stream(stream)).into_response())
}

fn read(pod: &str, query: &HashMap<String, String>, now: Timestamp) -> Result<Wanted, Status> {
    let number = |name: &str, least: i64| -> Result<Option<i64>, Status> {
        let Some(given) = query.get(name).filter(|v| !v.is_empty()) else { return Ok(None) };
        let n: i64 = given
            .parse()
            .map_err(|_| Status::bad_request(format!("strconv.ParseInt: parsing {given:?}: invalid syntax")))?;
        let bound = if least == 0 { "greater than or equal to 0" } else { "greater than 0" };
        if n < least {
            let why = format!("Invalid value: {n}: must be {bound}");
            return Err(invalid(pod, name, "FieldValueInvalid", &why));
        }
        Ok(Some(n))
    };
    let ago = number("sinceSeconds", 1)?;
    let time = query.get("sinceTime").filter(|v| !v.is_empty());
    let time = time
        .map(|t| DateTime::parse_from_rfc3339(t).map_err(|e| Status::bad_request(format!("parsing time {t:?}: {e}"))))
        .transpose()?;
    if ago.is_some() && time.is_some() {
        let why = "Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified";
        return Err(invalid(pod, "[]", "FieldValueForbidden", why));
    }
    let size = |n: Option<i64>| n.and_then(|n| usize::try_from(n).ok());
    Ok(Wanted {
        previous: flag(query, "previous").unwrap_or(false),
        follow: flag(query, "follow").unwrap_or(false),
        timestamps: flag(query, "timestamps").unwrap_or(false),
        since: time.map(Into::into).or_else(|| ago.map(|s| now - seconds(s as f64))),
        tail: size(number("tailLines", 0)?),
        limit: size(number("limitBytes", 1)?),
    })
}

fn invalid(pod: &str, field: &str, reason: &str, why: &str) -> Status {
    Status::new(422, "Invalid", format!("PodLogOptions {pod:?} is invalid: {field}: {why}")).with(json!({
        "name": pod, "kind": "PodLogOptions", "causes": [{"reason": reason, "message": why, "field": field}],
    }))
}

fn container(pod: &Value, name: &str, given: &str) -> Result<String, Status> {
    let names = |path: &str| list(pod, path).iter().map(|c| text(c, "name").to_owned()).collect::<Vec<_>>();
    let main = names("spec.containers");
    let all = [names("spec.initContainers"), main.clone(), names("spec.ephemeralContainers")].concat();
    match (given, main.as_slice()) {
        ("", [one]) => Ok(one.clone()),
        ("", _) => {
            let known = all.join(" ");
            Err(Status::bad_request(format!(
                "a container name must be specified for pod {name}, choose one of: [{known}]"
            )))
        }
        _ if all.iter().any(|c| c == given) => Ok(given.to_owned()),
        _ => Err(Status::bad_request(format!("container {given} is not valid for pod {name}"))),
    }
}

/// The lines there are, and the id of the process if it may say more (kubelet `validateContainerLogStatus`).
fn lines(machines: &Shared, pod: &Value, place: &Place, previous: bool) -> Result<(Vec<Line>, Option<String>), Status> {
    let machines = machines.lock();
    let before = || machines.previous.get(place).map(|l| l.iter().cloned().collect::<Vec<_>>());
    let what = format!("container {:?} in pod {:?}", place.container, place.pod);
    let states = ["status.containerStatuses", "status.initContainerStatuses"];
    let status = states.iter().flat_map(|p| list(pod, p)).find(|c| text(c, "name") == place.container);
    if previous {
        // What ended and was not started again is the present run, not the one before.
        let ended = status.is_some_and(|s| at(s, "lastState.terminated").is_some());
        let none = || Status::bad_request(format!("previous terminated {what} not found"));
        return before().filter(|_| ended).map(|l| (l, None)).ok_or_else(none);
    }
    if let Some(process) = machines.processes.get(place) {
        return Ok((process.log.iter().cloned().collect(), Some(process.id.clone())));
    }
    if let Some(lines) = before() {
        return Ok((lines, None));
    }
    let Some(status) = status else { return Err(Status::bad_request(format!("{what} is not available"))) };
    let why = match text(status, "state.waiting.reason") {
        "ErrImagePull" => "image can't be pulled",
        "ImagePullBackOff" => "trying and failing to pull image",
        "" if at(status, "state.terminated").is_some() => {
            return Err(Status::bad_request(format!("{what} is terminated")));
        }
        "" => return Err(Status::bad_request(format!("{what} is waiting to start - no logs yet"))),
        other => other,
    };
    Err(Status::bad_request(format!("{what} is waiting to start: {why}")))
}

fn shown(mut lines: Vec<Line>, wanted: &Wanted) -> String {
    lines.retain(|l| wanted.since.is_none_or(|s| l.at >= s));
    let from = wanted.tail.map_or(0, |t| lines.len().saturating_sub(t));
    let mut out: String = lines[from..].iter().map(|l| written(l, wanted.timestamps)).collect();
    if let Some(limit) = wanted.limit.filter(|l| *l < out.len()) {
        let end = (0..=limit).rev().find(|i| out.is_char_boundary(*i)).unwrap_or(0);
        out.truncate(end);
    }
    out
}

fn written(line: &Line, timestamps: bool) -> String {
    if timestamps {
        format!("{} {}\n", line.at.format("%Y-%m-%dT%H:%M:%S%.9fZ"), line.text)
    } else {
        format!("{}\n", line.text)
    }
}

/// A log that is followed until its process is gone.
struct Follow {
    machines: Shared,
    place: Place,
    id: Option<String>,
    /// The last line that was sent.
    last: Option<Line>,
    wanted: Wanted,
    first: Option<String>,
}

impl Follow {
    async fn next(mut self) -> Option<(Result<Bytes, Infallible>, Self)> {
        if let Some(first) = self.first.take().filter(|f| !f.is_empty()) {
            return Some((Ok(first.into()), self));
        }
        loop {
            tokio::time::sleep(LOOK).await;
            let new = self.new_lines()?;
            if let Some(last) = new.last() {
                self.last = Some(last.clone());
                let text: String = new.iter().map(|l| written(l, self.wanted.timestamps)).collect();
                return Some((Ok(text.into()), self));
            }
        }
    }

    /// Lines after the last; `None` when the process is gone.
    fn new_lines(&self) -> Option<Vec<Line>> {
        let machines = self.machines.lock();
        let process = machines.processes.get(&self.place).filter(|p| Some(&p.id) == self.id.as_ref())?;
        let fresh = process.log.iter().rev().take_while(|l| Some(*l) != self.last.as_ref());
        let mut fresh: Vec<Line> = fresh.cloned().collect();
        fresh.reverse();
        Some(fresh)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::clock::at as moment;

    #[test]
    fn containers_must_be_named_where_there_are_several() {
        let pod = json!({"metadata": {"name": "p"}, "spec": {"initContainers": [{"name": "i"}], "containers": [{"name": "a"}, {"name": "b"}]}});
        let why = container(&pod, "p", "").unwrap_err().message;
        assert_eq!(why, "a container name must be specified for pod p, choose one of: [i a b]");
        assert_eq!(container(&pod, "p", "i").unwrap(), "i");
        assert_eq!(container(&pod, "p", "z").unwrap_err().message, "container z is not valid for pod p");
    }

    #[test]
    fn the_part_that_is_wanted_is_shown() {
        let lines: Vec<Line> = (0..5).map(|i| Line { at: moment(i * 1000), text: format!("line {i}") }).collect();
        let of = |wanted: Wanted| shown(lines.clone(), &wanted);
        assert_eq!(of(Wanted { tail: Some(2), ..Wanted::default() }), "line 3\nline 4\n");
        assert_eq!(
            of(Wanted { since: Some(moment(4000)), timestamps: true, ..Wanted::default() }),
            "1970-01-01T00:00:04.000000000Z line 4\n"
        );
        assert_eq!(of(Wanted { limit: Some(3), ..Wanted::default() }), "lin");
    }

    #[test]
    fn a_container_that_waits_says_why() {
        let pod = json!({"status": {"containerStatuses": [{"name": "a", "state": {"waiting": {"reason": "ContainerCreating"}}}]}});
        let place = Place { namespace: "n".into(), pod: "p".into(), container: "a".into() };
        let why = lines(&Shared::default(), &pod, &place, false).unwrap_err().message;
        assert_eq!(why, "container \"a\" in pod \"p\" is waiting to start: ContainerCreating");
        let why = lines(&Shared::default(), &pod, &place, true).unwrap_err().message;
        assert_eq!(why, "previous terminated container \"a\" in pod \"p\" not found");
    }
}
