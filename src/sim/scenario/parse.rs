//! From a file's text to a scenario.

use super::deed::{Deed, Fault, Name, Object, Server};
use super::problem::{Problem, Problems, one_of};
use super::read::{Reader, Source, written};
use super::{Scenario, Step};
use crate::sim::world;
use chrono::TimeDelta;
use regex::Regex;
use serde_json::Value;
use toml::de::{DeTable, DeValue};

/// Who writes if the file names nobody.
const MANAGER: &str = "ci-deployer";

/// Reads a scenario; `file` is its name in messages. Tells everything that is wrong at once where the syntax allows it.
pub fn parse(file: &str, text: &str) -> Result<Scenario, Problems> {
    let mut source = Source { file, text, problems: Vec::new() };
    let table = match DeTable::parse(text) {
        Ok(table) => table,
        Err(e) => {
            let at = e.span().map_or(0, |s| s.start);
            source.complain(at, e.message().replace('\n', ", "), "correct the TOML");
            return Err(Problems(source.problems));
        }
    };
    let mut top = Reader::new(&mut source, table.get_ref(), 0);
    let mut scenario = Scenario {
        name: top.need("name", "\"my-scenario\""),
        title: top.need("title", "\"…\""),
        about: top.text("about").unwrap_or_default().trim().to_owned(),
        watch: top.text("watch").unwrap_or_default().trim().to_owned(),
        cure: top.text("cure").unwrap_or_default().trim().to_owned(),
        file: file.to_owned(),
        steps: Vec::new(),
    };
    let steps = top.raw("step");
    top.finish();
    if let Some(steps) = steps {
        match steps.get_ref() {
            DeValue::Array(all) => {
                for item in all {
                    if let DeValue::Table(table) = item.get_ref() {
                        scenario.steps.extend(step(&mut source, table, item.span().start));
                    } else {
                        source.complain(item.span().start, "a step is no table", "write [[step]]");
                    }
                }
            }
            _ => source.complain(steps.span().start, "step is no list of tables", "write [[step]]"),
        }
    }
    scenario.steps.sort_by_key(|s| s.at);
    source.problems.sort_by_key(|p: &Problem| p.place);
    if source.problems.is_empty() { Ok(scenario) } else { Err(Problems(source.problems)) }
}

fn step(source: &mut Source<'_>, table: &DeTable<'_>, start: usize) -> Option<Step> {
    let own = source.place(start);
    let clean = source.problems.len();
    let mut r = Reader::new(source, table, start);
    let at = r.span("at");
    if at.is_none() && !table.iter().any(|(k, _)| k.get_ref() == "at") {
        r.missing::<()>("at", "\"20s\"");
    }
    let (lasts, until) = (r.span("for"), r.span("until"));
    let lasts = match (lasts, until, at) {
        (Some(_), Some(_), _) => {
            r.wrong("until", "both for and until", "keep one of them");
            None
        }
        (None, Some(end), Some(at)) if end <= at => {
            r.wrong("until", "until is not after at", format!("write more than \"{}\"", written(at)));
            None
        }
        (None, Some(end), Some(at)) => Some(end - at),
        (lasts, _, _) => lasts,
    };
    let again = r.span("again");
    if again.is_some_and(|a| a < TimeDelta::seconds(1)) {
        r.wrong("again", "again is too short", "write at least \"1s\"");
    }
    let say = r.text("say");
    let manager = r.text("as").unwrap_or_else(|| MANAGER.to_owned());
    let word = r.need("do", "\"load\"");
    let deed = if word.is_empty() { None } else { deed(&word, &mut r) };
    // After an unknown word every key would be unknown too.
    let mut places = if deed.is_some() { r.finish() } else { return None };
    places.insert(String::new(), own);
    let deed = deed.filter(|_| source.problems.len() == clean)?;
    Some(Step { at: at?, lasts, again, say: say.unwrap_or_else(|| told(&word, &deed)), manager, deed, places })
}

/// What is done, for steps that say nothing themselves.
fn told(word: &str, deed: &Deed) -> String {
    match deed {
        Deed::SetImage { workload, image, .. } => format!("{workload} gets the image {image}"),
        Deed::Scale { workload, replicas } => format!("{workload} is scaled to {replicas}"),
        Deed::Restart { workload } => format!("{workload} is restarted"),
        Deed::Config { map, key, .. } => format!("{key} in ConfigMap {map} changes"),
        Deed::Load { entrance, factor, .. } => format!("load on {entrance} times {factor}"),
        Deed::Slow { workload, factor, .. } => format!("{workload} takes {factor} times as long"),
        Deed::Failing { workload, share, .. } => format!("{workload} fails {} % of its requests", share * 100.0),
        Deed::Power { nodes, .. } | Deed::StopKubelet { nodes } | Deed::FillDisk { nodes, .. } => {
            format!("{word} {}", nodes.join(", "))
        }
        Deed::Delete { object } | Deed::Patch { object, .. } | Deed::Annotate { object, .. } => {
            format!("{word} {} {}", object.kind, object.name)
        }
        Deed::Lock { workload, .. } | Deed::Unready { workload, .. } => format!("{word} {workload}"),
        Deed::Scenario { name } => format!("scenario {name}"),
        _ => word.to_owned(),
    }
}

/// `namespace/name` from a key.
fn name(r: &mut Reader<'_, '_, '_, '_>, key: &'static str) -> Name {
    let text = r.need(key, "\"namespace/name\"");
    match text.split_once('/') {
        Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() && !name.contains('/') => {
            Name { namespace: namespace.to_owned(), name: name.to_owned() }
        }
        _ => {
            if !text.is_empty() {
                r.wrong(key, format!("{key} is {text:?}"), "write \"namespace/name\"");
            }
            Name::default()
        }
    }
}

fn object(r: &mut Reader<'_, '_, '_, '_>) -> Object {
    let kind = r.need("kind", "\"Deployment\"");
    let text = r.need("name", "\"namespace/name\"");
    let (namespace, name) = text.split_once('/').unwrap_or(("", &text));
    Object { kind, name: Name { namespace: namespace.to_owned(), name: name.to_owned() } }
}

fn nodes(r: &mut Reader<'_, '_, '_, '_>) -> Vec<String> {
    let nodes = r.texts("node");
    if nodes.is_empty() {
        r.missing::<()>("node", "\"…\"");
    }
    nodes
}

fn factor(r: &mut Reader<'_, '_, '_, '_>) -> f64 {
    r.need_number("factor", 0.0..=1000.0)
}

fn ramp(r: &mut Reader<'_, '_, '_, '_>) -> TimeDelta {
    r.span("ramp").unwrap_or_default()
}

fn pods(r: &mut Reader<'_, '_, '_, '_>) -> Option<usize> {
    r.whole("pods", 1.0..=1e6).map(|n| n as usize)
}

/// What a step does; `None` if the word is unknown, which has been told then.
fn deed(word: &str, r: &mut Reader<'_, '_, '_, '_>) -> Option<Deed> {
    Some(match word {
        "note" => Deed::Note,
        "apply" => Deed::Apply { objects: yaml(r, "yaml") },
        "delete" => Deed::Delete { object: object(r) },
        "patch" => Deed::Patch { object: object(r), patch: yaml(r, "patch").into_iter().next().unwrap_or_default() },
        "set-image" => Deed::SetImage {
            workload: name(r, "workload"),
            container: r.text("container"),
            image: r.need("image", "\"registry/name:tag\""),
        },
        "scale" => Deed::Scale {
            workload: name(r, "workload"),
            replicas: {
                let n = r.need_number("replicas", 0.0..=100_000.0);
                n as i64
            },
        },
        "restart" => Deed::Restart { workload: name(r, "workload") },
        "config" => {
            Deed::Config { map: name(r, "configmap"), key: r.need("key", "\"…\""), value: r.need("value", "\"…\"") }
        }
        "annotate" => Deed::Annotate { object: object(r), key: r.need("key", "\"…\""), value: r.text("value") },
        "hpa" => Deed::Hpa {
            name: name(r, "name"),
            min: r.whole("min", 0.0..=100_000.0),
            max: r.whole("max", 1.0..=100_000.0),
            cpu: r.whole("cpu", 1.0..=10_000.0),
        },
        "load" => Deed::Load {
            entrance: r.text("entrance").unwrap_or_else(|| "*".to_owned()),
            factor: factor(r),
            ramp: ramp(r),
        },
        "slow" => Deed::Slow { workload: name(r, "workload"), factor: factor(r), ramp: ramp(r) },
        "failing" => {
            Deed::Failing { workload: name(r, "workload"), share: r.need_number("share", 0.0..=1.0), ramp: ramp(r) }
        }
        "lock" => Deed::Lock { workload: name(r, "workload"), pods: pods(r) },
        "unready" => Deed::Unready { workload: name(r, "workload"), pods: pods(r), every: every(r) },
        _ => return machine_deed(word, r),
    })
}

/// The same for deeds on machines and servers.
fn machine_deed(word: &str, r: &mut Reader<'_, '_, '_, '_>) -> Option<Deed> {
    Some(match word {
        "power-off" => Deed::Power { nodes: nodes(r), on: false },
        "power-on" => Deed::Power { nodes: nodes(r), on: true },
        "partition" => {
            let (zone, nodes) = (r.text("zone"), r.texts("node"));
            if zone.is_some() != nodes.is_empty() {
                r.wrong("zone", "a partition of nothing, or of two things", "write zone = \"…\" or node = [\"…\"]");
            }
            Deed::Partition { zone, nodes }
        }
        "stop-kubelet" => Deed::StopKubelet { nodes: nodes(r) },
        "fill-disk" => Deed::FillDisk { nodes: nodes(r), rate: r.need_quantity("rate", "\"200Mi\"") },
        "steal-cpu" => Deed::StealCpu { nodes: nodes(r), cores: r.need_number("cores", 0.0..=10_000.0) },
        "drop-metrics" => {
            let pattern = r.need("targets", "\"shop/cart-.*\"");
            let targets = Regex::new(&format!("^(?:{pattern})$")).unwrap_or_else(|_| {
                r.wrong("targets", format!("targets {pattern:?} is no regular expression"), "correct it");
                Regex::new("^$").expect("a valid expression")
            });
            Deed::DropMetrics { targets, every: every(r) }
        }
        "price" => Deed::Price { instances: r.text("instances").unwrap_or_else(|| "*".to_owned()), factor: factor(r) },
        "server" => server(r),
        "scenario" => Deed::Scenario { name: r.need("name", "\"oom-crash-loop\"") },
        _ => {
            r.wrong("do", format!("unknown deed {word:?}"), one_of(word, &Deed::WORDS));
            return None;
        }
    })
}

/// A turn of something that goes on and off: not shorter than a second each.
fn every(r: &mut Reader<'_, '_, '_, '_>) -> Option<TimeDelta> {
    let every = r.span("every")?;
    if every < TimeDelta::seconds(2) {
        r.wrong("every", "every is too short", "write at least \"2s\"");
        return None;
    }
    Some(every)
}

fn server(r: &mut Reader<'_, '_, '_, '_>) -> Deed {
    let which = r.need("server", "\"api\"");
    let server = if which == "prometheus" { Server::Prometheus } else { Server::Api };
    if !["", "api", "prometheus"].contains(&which.as_str()) {
        r.wrong("server", format!("unknown server {which:?}"), one_of(&which, &["api", "prometheus"]));
    }
    let word = r.need("fault", "\"latency\"");
    let fault = Fault::ALL.iter().find(|(w, _)| *w == word).map_or(Fault::Latency, |(_, f)| *f);
    if !word.is_empty() && !Fault::ALL.iter().any(|(w, _)| *w == word) {
        r.wrong("fault", format!("unknown fault {word:?}"), one_of(&word, &Fault::ALL.map(|(w, _)| w)));
    }
    let range = if fault.is_share() { 0.0..=1.0 } else { -86_400.0..=86_400.0 };
    Deed::Server { server, fault, amount: r.need_number("amount", range) }
}

/// Objects written as YAML inside a string; a mistake is placed at the string.
fn yaml(r: &mut Reader<'_, '_, '_, '_>, key: &'static str) -> Vec<Value> {
    let text = r.need(key, "'''…'''");
    if text.is_empty() {
        return Vec::new();
    }
    let complaint = match world::parse(&text) {
        Ok(all) if all.is_empty() => "holds no object".to_owned(),
        Ok(all) if all.iter().any(|o| !o.is_object()) => "holds something that is no object".to_owned(),
        Ok(all) => return all,
        Err(e) => format!("is no YAML: {}", e.to_string().lines().next().unwrap_or_default()),
    };
    r.wrong(key, format!("{key} {complaint}"), "write Kubernetes objects in YAML");
    Vec::new()
}
