//! What images do: `images.toml`, and what annotations, configuration and the release make of it for one process.

use crate::sim::machine::Process;
use crate::sim::object::quantity_of;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

/// Where the shop's images come from.
pub const REGISTRY: &str = "registry.example/shop/";

const MIB: f64 = 1_048_576.0;

/// A call that a route makes.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// The service.
    pub to: String,
    /// Its route.
    pub route: String,
    /// Calls a request.
    #[serde(default = "one")]
    pub per: f64,
    /// The answer can do without.
    #[serde(default)]
    pub optional: bool,
    /// Milliseconds the caller waits.
    pub timeout: f64,
    /// Environment variable that says otherwise.
    #[serde(default)]
    pub timeout_key: String,
    /// How often it is tried again.
    #[serde(default)]
    pub retries: u32,
    /// Environment variable with the address.
    #[serde(default)]
    pub url: String,
    /// Only what this cache does not have is asked for.
    #[serde(default)]
    pub behind: String,
    /// Connections; 0: no bound.
    #[serde(default)]
    pub pool: f64,
    /// Environment variable that says otherwise.
    #[serde(default)]
    pub pool_key: String,
}

fn one() -> f64 {
    1.0
}

/// A route and what it calls, one after the other.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// Method and path.
    pub route: String,
    /// Calls.
    #[serde(default)]
    pub calls: Vec<Call>,
}

/// A job that runs and ends.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Batch {
    /// Seconds it runs with all the cores it wants.
    pub seconds: f64,
    /// Cores it wants.
    pub cores: f64,
    /// Queries a second it puts to `orders-db`.
    #[serde(default)]
    pub rate: f64,
}

/// How processes of an image behave. Units as in `images.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Behaviour {
    /// Milliseconds of CPU a request.
    pub cpu: f64,
    /// Milliseconds a request waits for nothing of ours.
    pub latency: f64,
    /// Deviation of the logarithm of the service time.
    pub sigma: f64,
    /// Requests at once.
    pub workers: f64,
    /// Requests that may wait.
    pub backlog: f64,
    /// MiB at rest; what the collector lets grow; what growing with work adds; what its cache holds; page cache.
    pub memory: f64,
    pub heap: f64,
    pub grows: f64,
    pub holds: f64,
    pub page: f64,
    /// KiB never given back, a request.
    pub leak: f64,
    /// Share of `memory` that is never given back, a second.
    pub leak_rate: f64,
    /// Share of requests failed of itself, with the text in the log.
    pub errors: f64,
    pub fault: String,
    /// Seconds until it answers, and the factor on its CPU right after.
    pub start: f64,
    pub warm: f64,
    /// Cores without work.
    pub idle: f64,
    /// Bytes of log a request, and a second.
    pub line: f64,
    pub chatter: f64,
    /// Bytes read and written a request.
    pub io: [f64; 2],
    /// Says this at its start and exits with 1.
    pub crash: String,
    /// Requests after which its workers wait for each other; 0: never.
    pub deadlock: f64,
    /// Requests that warm its cache, and the share of hits when warm.
    pub keys: f64,
    pub hits: f64,
    /// Not ready while these are gone.
    pub needs: Vec<String>,
    /// Keeps messages; takes messages from.
    pub broker: bool,
    pub consumes: String,
    pub batch: Option<Batch>,
    pub routes: Vec<Route>,
    /// MiB the rig's `needs-memory` asks for.
    pub wanted: f64,
    /// Requests a second the rig's `rps` brings to the whole workload.
    pub rps: f64,
    /// Names the rig's `calls` depends on.
    pub depends: Vec<String>,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            cpu: 0.0,
            latency: 1.0,
            sigma: 0.6,
            workers: 32.0,
            backlog: 64.0,
            memory: 19.0,
            heap: 1.0,
            grows: 0.0,
            holds: 0.0,
            page: 4.0,
            leak: 0.0,
            leak_rate: 0.0,
            errors: 0.0,
            fault: String::new(),
            start: 1.0,
            warm: 1.3,
            idle: 0.003,
            line: 0.0,
            chatter: 0.0,
            io: [0.0, 0.0],
            crash: String::new(),
            deadlock: 0.0,
            keys: 0.0,
            hits: 0.0,
            needs: Vec::new(),
            broker: false,
            consumes: String::new(),
            batch: None,
            routes: Vec::new(),
            wanted: 0.0,
            rps: 0.0,
            depends: Vec::new(),
        }
    }
}

/// The catalogue: service → good release, and what differs in others.
#[derive(Debug)]
pub struct Catalogue {
    good: BTreeMap<String, Arc<Behaviour>>,
    other: BTreeMap<(String, String), Arc<Behaviour>>,
    idle: Arc<Behaviour>,
}

impl Catalogue {
    /// The shop's.
    pub fn shop() -> &'static Self {
        static SHOP: OnceLock<Catalogue> = OnceLock::new();
        SHOP.get_or_init(|| Self::parse(include_str!("images.toml")).expect("our own file parses: a test reads it"))
    }

    /// Reads a catalogue.
    pub fn parse(text: &str) -> Result<Self, toml::de::Error> {
        let mut all: BTreeMap<String, toml::Table> = toml::from_str(text)?;
        let (mut good, mut other) = (BTreeMap::new(), BTreeMap::new());
        for (name, table) in &mut all {
            let releases = table.remove("releases");
            good.insert(name.clone(), Arc::new(table.clone().try_into()?));
            let Some(toml::Value::Table(releases)) = releases else { continue };
            for (tag, differs) in releases {
                let mut whole = table.clone();
                if let toml::Value::Table(differs) = differs {
                    whole.extend(differs);
                }
                other.insert((name.clone(), tag), Arc::new(whole.try_into()?));
            }
        }
        Ok(Self { good, other, idle: Arc::default() })
    }

    /// The services, with their good release.
    pub fn services(&self) -> impl Iterator<Item = (&String, &Arc<Behaviour>)> {
        self.good.iter()
    }

    /// The good release of a service.
    pub fn service(&self, name: &str) -> Option<&Arc<Behaviour>> {
        self.good.get(name)
    }

    /// What an image does; an unknown one idles.
    pub fn image(&self, image: &str) -> &Arc<Behaviour> {
        let name = image.strip_prefix(REGISTRY).map(|rest| rest.split('@').next().unwrap_or(rest));
        let Some((name, tag)) = name.and_then(|n| n.split_once(':')) else { return &self.idle };
        self.other.get(&(name.to_owned(), tag.to_owned())).or_else(|| self.good.get(name)).unwrap_or(&self.idle)
    }

    /// What this process does: its image, and what its annotations say otherwise (tests/rig/exporter.py).
    pub fn of(&self, process: &Process) -> Arc<Behaviour> {
        let image = self.image(&process.image);
        let note = |key: &str| process.annotations.get(&format!("kansole.dev/{key}"));
        if !process.annotations.keys().any(|k| k.starts_with("kansole.dev/")) {
            return image.clone();
        }
        if note("container").is_some_and(|c| *c != process.place.container) {
            return image.clone();
        }
        let mut b = Behaviour::clone(image);
        let number = |key: &str| note(key).and_then(|v| v.parse::<f64>().ok()).filter(|v| v.is_finite() && *v >= 0.0);
        let share = |key: &str| note(key).and_then(|v| v.trim_end_matches('%').parse::<f64>().ok()).map(|v| v / 100.0);
        let mib = |key: &str| note(key).and_then(|v| quantity_of(v)).map(|v| v / MIB);
        if let Some(rps) = number("rps") {
            b.rps = rps;
            b.cpu = number("cost").unwrap_or(if b.routes.is_empty() { 2.0 } else { b.cpu });
            b.latency = number("latency").unwrap_or(if b.routes.is_empty() { 20.0 } else { b.latency });
            b.errors = share("errors").unwrap_or(if b.routes.is_empty() { 0.001 } else { b.errors });
            b.memory = if b.routes.is_empty() { 48.0 } else { b.memory };
        }
        b.cpu = number("cost").unwrap_or(b.cpu);
        b.latency = number("latency").unwrap_or(b.latency);
        b.errors = share("errors").unwrap_or(b.errors).clamp(0.0, 1.0);
        b.memory = mib("memory").unwrap_or(b.memory);
        b.leak_rate = share("leak").map_or(b.leak_rate, |perminute| perminute.max(0.0) / 60.0);
        b.wanted = mib("needs-memory").unwrap_or(0.0);
        b.start = note("startup").and_then(|v| v.trim_end_matches('s').parse().ok()).unwrap_or(b.start);
        if let Some(calls) = note("calls") {
            b.depends = calls.split(',').map(|c| c.trim().to_owned()).filter(|c| !c.is_empty()).collect();
        }
        if b.routes.is_empty() && b.rps > 0.0 {
            b.routes.push(Route { route: "GET /".to_owned(), calls: Vec::new() });
        }
        Arc::new(b)
    }
}

/// Host (first label) of an address, or why it is none, as Go's `net/url` words it.
pub fn host(url: &str) -> Result<&str, String> {
    let rest = url.split_once("://").ok_or_else(|| format!("parse {url:?}: missing protocol scheme"))?.1;
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let authority = authority.rsplit('@').next().unwrap_or_default();
    let (name, port) = authority.split_once(':').unwrap_or((authority, ""));
    if name.is_empty() {
        return Err(format!("parse {url:?}: no host"));
    }
    if authority.contains(':') && (port.is_empty() || port.parse::<u16>().is_err()) {
        return Err(format!("parse {url:?}: invalid port {:?} after host", format!(":{port}")));
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_goes_to_a_route_that_exists_and_no_circle_closes() {
        fn depth(all: &Catalogue, name: &str, left: usize) {
            assert!(left > 0, "{name} calls itself in the end");
            for call in all.service(name).unwrap().routes.iter().flat_map(|r| &r.calls) {
                let callee = all.service(&call.to).unwrap_or_else(|| panic!("{name} calls {}", call.to));
                assert!(callee.routes.iter().any(|r| r.route == call.route), "{name} calls {} {}", call.to, call.route);
                depth(all, &call.to, left - 1);
            }
        }
        let all = Catalogue::shop();
        for (name, _) in all.services() {
            depth(all, name, 10);
        }
    }

    #[test]
    fn a_tag_says_only_what_differs_and_an_unknown_image_idles() {
        let all = Catalogue::shop();
        let (good, slow) =
            (all.image("registry.example/shop/frontend:2.8.1"), all.image("registry.example/shop/frontend:2.9.0"));
        assert!((slow.cpu / good.cpu - 6.0).abs() < 1e-9 && slow.routes.len() == good.routes.len());
        assert!(all.image("nginx:1.29").routes.is_empty());
    }

    #[test]
    fn addresses_are_read_as_go_reads_them() {
        assert_eq!(host("http://payment.shop.svc:80/x"), Ok("payment.shop.svc"));
        assert_eq!(host("http://payment"), Ok("payment"));
        assert!(host("http://payment:80x").unwrap_err().contains("invalid port \":80x\" after host"));
        assert!(host("payment").is_err());
    }
}
