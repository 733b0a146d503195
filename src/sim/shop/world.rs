//! The tables of `world.toml`: machines, entrances, workloads.

use crate::model::time::Timestamp;
use crate::sim::machine::Machine;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::OnceLock;

const GIB: f64 = 1_073_741_824.0;

/// Where requests come in.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entrance {
    /// Name, for `Disturbances::load`.
    pub name: String,
    /// Namespace of the service.
    pub namespace: String,
    /// The service.
    pub to: String,
    /// Shares of its routes.
    pub routes: BTreeMap<String, f64>,
    /// Requests a second in the mean of a week.
    pub rate: f64,
    /// How far it swings over a day.
    pub swing: f64,
}

/// A workload, as short as it can be said.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Workload {
    pub name: String,
    #[serde(default = "shop")]
    pub namespace: String,
    #[serde(default = "deployment")]
    pub kind: String,
    /// Newest first.
    pub tags: Vec<String>,
    #[serde(default = "one")]
    pub replicas: i64,
    /// Request and limit.
    pub cpu: [String; 2],
    pub memory: [String; 2],
    /// Minimum, maximum, CPU percent.
    #[serde(default)]
    pub hpa: Option<[i64; 3]>,
    /// `minAvailable`
    #[serde(default)]
    pub pdb: String,
    pub tier: String,
    #[serde(default)]
    pub argocd: bool,
    #[serde(default = "port")]
    pub port: i64,
    #[serde(default)]
    pub storage: String,
    #[serde(default)]
    pub schedule: String,
    #[serde(default)]
    pub config: BTreeMap<String, String>,
}

fn shop() -> String {
    "shop".to_owned()
}

fn deployment() -> String {
    "Deployment".to_owned()
}

fn one() -> i64 {
    1
}

fn port() -> i64 {
    8080
}

/// The tables.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct World {
    nodes: Vec<(String, String, String, f64, f64, f64, f64, bool)>,
    /// Where requests come in.
    pub entrances: Vec<Entrance>,
    /// What is deployed.
    pub workloads: Vec<Workload>,
}

impl World {
    /// The shop's.
    pub fn shop() -> &'static Self {
        static SHOP: OnceLock<World> = OnceLock::new();
        SHOP.get_or_init(|| toml::from_str(include_str!("world.toml")).expect("our own file parses: a test reads it"))
    }

    /// Its machines, up since `booted`.
    pub fn machines(&self, booted: Timestamp) -> Vec<Machine> {
        let machine = |(name, zone, kind, cores, memory, disk, price, spot): &(
            String,
            String,
            String,
            f64,
            f64,
            f64,
            f64,
            bool,
        )| Machine {
            name: name.clone(),
            zone: zone.clone(),
            instance_type: kind.clone(),
            spot: *spot,
            price: Some(*price),
            cores: *cores,
            memory: memory * GIB,
            disk: disk * GIB,
            powered: true,
            connected: true,
            kubelet: true,
            exporting: true,
            disk_used: 0.31 * disk * GIB,
            memory_used: 0.9 * GIB,
            booted,
            ..Machine::default()
        };
        self.nodes.iter().map(machine).collect()
    }
}
