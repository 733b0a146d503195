//! Findings with everything they are answered from, for tests only: a test changes what it is about.

use super::{History, NoProposal, adjust, propose};
use crate::config::settings::Planning;
use crate::model::cluster::{NodeTrouble, Workload};
use crate::model::dossier::Dossier;
use crate::model::finding::{Evidence, Fault, Finding, Severity, Subject};
use crate::model::fixtures as fx;
use crate::model::object::{PodKey, WorkloadKey, WorkloadKind};
use crate::model::plan::Proposal;
use crate::model::quantity::Bytes;
use crate::model::series::Signal;
use crate::model::sizing::Resize;
use crate::model::snapshot::{Snapshot, SourceState};
use serde_json::{Value, json};

pub fn cart() -> Subject {
    Subject::Workload(WorkloadKey::new("shop", WorkloadKind::Deployment, "cart"))
}

pub fn finding(fault: Fault, subject: Subject, pods: &[&str]) -> Finding {
    Finding {
        id: format!("{}:{subject}", fault.class()).into(),
        fault,
        subject,
        severity: Severity::High,
        title: "it is broken".into(),
        evidence: vec![Evidence::new("pod shop/cart", "it is broken", Some(fx::now()))],
        pods: pods.iter().map(|p| PodKey { namespace: "shop".into(), name: (*p).into() }).collect(),
        since: fx::now(),
        related: Vec::new(),
    }
}

/// A finding with everything it is answered from; a test changes what it is about.
pub struct Scenario {
    pub finding: Finding,
    pub snapshot: Snapshot,
    pub dossier: Dossier,
    pub history: History,
    pub set: Planning,
}

impl Scenario {
    fn new(fault: Fault, workload: Workload, pods: &[&str], live: Value) -> Self {
        let rows: Vec<Value> = workload.pods.iter().map(|p| fx::live_pod(p, json!({"app": "cart"}))).collect();
        Self {
            finding: finding(fault, cart(), pods),
            snapshot: fx::snapshot(vec![workload]),
            dossier: Dossier { pods: rows, ..fx::dossier(cart(), live) },
            history: History::default(),
            set: Planning::default(),
        }
    }

    pub fn run(&self) -> Result<Proposal, NoProposal> {
        propose(&self.finding, &self.snapshot, &self.dossier, &self.history, &self.set, fx::now())
    }

    /// The same with a value that a person set.
    pub fn adjusted(&self, to: &str) -> Result<Proposal, NoProposal> {
        adjust(&self.finding, &self.snapshot, &self.dossier, &self.history, &self.set, fx::now(), to)
    }

    pub fn why(&self) -> String {
        self.run().expect_err("no proposal").why
    }

    pub fn edit(mut self, f: impl FnOnce(&mut Self)) -> Self {
        f(&mut self);
        self
    }

    pub fn live(&mut self) -> &mut Value {
        self.dossier.object.as_mut().unwrap()
    }
}

pub fn oom() -> Scenario {
    oom_at("64Mi", "128Mi")
}

pub fn oom_at(request: &str, limit: &str) -> Scenario {
    let bytes = Bytes::parse(limit).unwrap().0;
    let fault = Fault::OomContainer { container: "app".into(), limit: bytes, peak: None, kills: 3 };
    Scenario::new(
        fault,
        fx::healthy("cart", 3),
        &["cart-aaa-0"],
        fx::live_deployment("cart", 3, "shop/cart:1", request, limit),
    )
}

pub fn release() -> Scenario {
    let mut bad = fx::pod("cart-bbb-0", "cart-bbb", "shop/cart:2");
    fx::waiting(&mut bad, "ImagePullBackOff", "Back-off");
    let pods = vec![fx::pod("cart-aaa-0", "cart-aaa", "shop/cart:1"), bad];
    let mut middle = fx::revision(2, "cart-mmm", "shop/cart:1.5", 0, 0, 900);
    middle.last_healthy = None;
    let revisions = vec![
        fx::revision(3, "cart-bbb", "shop/cart:2", 1, 0, 300),
        middle,
        fx::revision(1, "cart-aaa", "shop/cart:1", 1, 1, 86_400),
    ];
    let workload = fx::deployment("cart", pods, revisions);
    let mut live = fx::live_deployment("cart", 2, "shop/cart:2", "64Mi", "128Mi");
    live["metadata"]["annotations"]["deployment.kubernetes.io/revision"] = "3".into();
    let fault = Fault::BadRelease { revision: 3, symptom: "ImagePullBackOff".into() };
    Scenario::new(fault, workload, &["cart-bbb-0"], live).edit(|s| {
        s.dossier.revisions = vec![
            fx::live_replica_set("cart", "cart-aaa", 1, "shop/cart:1", 1),
            fx::live_replica_set("cart", "cart-mmm", 2, "shop/cart:1.5", 0),
            fx::live_replica_set("cart", "cart-bbb", 3, "shop/cart:2", 0),
        ];
    })
}

pub fn saturated(replicas: usize, utilisation: f64) -> Scenario {
    let fault = Fault::Saturated { resource: "cpu".into(), utilisation, target: 0.7 };
    let live = fx::live_deployment("cart", replicas as u32, "shop/cart:1", "64Mi", "128Mi");
    Scenario::new(fault, fx::healthy("cart", replicas), &[], live).edit(|s| {
        s.snapshot = fx::with_metrics(s.snapshot.clone(), "cart", 600, &[(Signal::Cpu, &|_| 0.3)]);
    })
}

pub fn leak(pods: usize) -> Scenario {
    let fault = Fault::Leak { container: Some("app".into()), per_hour: 0.3, r2: 0.99, seconds_to_limit: None };
    let live = fx::live_deployment("cart", pods as u32, "shop/cart:1", "64Mi", "128Mi");
    Scenario::new(fault, fx::healthy("cart", pods), &["cart-aaa-0"], live)
        .edit(|s| s.snapshot.metrics.state = SourceState::Live { last: fx::now() })
}

pub fn crashing(pods: usize, broken: usize) -> Scenario {
    let mut rows: Vec<_> = fx::healthy("cart", pods).pods.iter().map(|p| (**p).clone()).collect();
    rows.iter_mut().take(broken).for_each(|p| fx::crashed(p, "Error", 2, 6, 300, 30));
    let names: Vec<String> = rows.iter().take(broken).map(|p| p.name.to_string()).collect();
    let workload = fx::deployment("cart", rows, fx::healthy("cart", pods).revisions.to_vec());
    let fault = Fault::CrashLoop { container: "app".into(), exit_code: 2 };
    let live = fx::live_deployment("cart", pods as u32, "shop/cart:1", "64Mi", "128Mi");
    Scenario::new(fault, workload, &names.iter().map(String::as_str).collect::<Vec<_>>(), live)
}

pub fn sick_node(trouble: NodeTrouble, sick: usize) -> Scenario {
    let mut nodes: Vec<_> = ["n1", "n2", "n3", "n4", "n5"].map(fx::node).into();
    nodes.iter_mut().take(sick).for_each(|n| fx::sick(n, trouble, 90));
    let fault = match trouble {
        NodeTrouble::NotReady => Fault::NodeNotReady { node: "n1".into() },
        other => Fault::NodePressure { node: "n1".into(), condition: format!("{other:?}").into() },
    };
    let subject = Subject::Node("n1".into());
    let mut s = oom();
    s.finding = finding(fault, subject.clone(), &["cart-aaa-0"]);
    s.dossier = fx::dossier(subject, fx::live_node(&nodes[0]));
    s.snapshot = fx::with_nodes(s.snapshot, nodes);
    s
}

/// Three pods that ask for 100m and 64Mi of 128Mi, and should ask for something else.
pub fn missized(grow: bool, changes: Vec<Resize>) -> Scenario {
    let live = fx::live_deployment("cart", 3, "shop/cart:1", "64Mi", "128Mi");
    let resources = live["spec"]["template"]["spec"]["containers"][0]["resources"].clone();
    Scenario::new(Fault::Missized { grow, changes }, fx::healthy("cart", 3), &[], live).edit(|s| {
        s.snapshot.metrics.state = SourceState::Live { last: fx::now() };
        for pod in &mut s.dossier.pods {
            pod["spec"]["containers"][0]["resources"] = resources.clone();
        }
    })
}
