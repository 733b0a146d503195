//! A shop in trouble, for tests: every state a pane must be able to tell apart.

use crate::autopilot::world::{Brakes, Link, PhaseProduct, StepView, World};
use crate::config::settings::{Indicator, Slo};
use crate::console::pane::Ctx;
use crate::console::theme::{Glyphs, Theme};
use crate::model::action::{ActionState, Moment, Preview, QueueItem, Refusal, Verdict};
use crate::model::cluster::{EventRow, NamespaceRow, NodeRow, NodeTrouble, Owner, Replicas, Revision, Workload};
use crate::model::finding::{Evidence, Fault, Finding, Severity, Subject};
use crate::model::journal::{Entry, Kind, Record};
use crate::model::mode::{Mode, PhaseName};
use crate::model::object::{ObjectRef, PodKey, Resource, WorkloadKey, WorkloadKind};
use crate::model::plan::{Blast, Bound, Expectation, Gate, Inverse, Op, Plan, Proposal, Risk, Step, Strategy};
use crate::model::pod::{
    Amount, ContainerRow, ContainerSpec, ContainerTrouble, Phase, PodRow, Probes, Resources, Terminated,
};
use crate::model::quantity::{Bytes, Cpu};
use crate::model::reading::Reading;
use crate::model::series::Series;
use crate::model::snapshot::{
    ClusterInfo, MetricsProfile, MetricsView, PodUsage, SloReadings, Snapshot, Source, SourceState, WorkloadMetrics,
};
use crate::model::time::Timestamp;
use chrono::{DateTime, TimeDelta};
use serde_json::json;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// The present of every fixture.
pub fn now() -> Timestamp {
    DateTime::from_timestamp(1_800_000_000, 0).expect("a valid time")
}

/// So long ago.
pub fn ago(seconds: i64) -> Timestamp {
    now() - TimeDelta::seconds(seconds)
}

/// A context over a world.
pub fn ctx<'a>(world: &'a Arc<World>, theme: &'a Theme, focused: bool) -> Ctx<'a> {
    Ctx { world, theme, now: now(), focused }
}

/// The theme of snapshots: no colours, so that they show what a monochrome terminal shows.
pub fn unicode() -> Theme {
    Theme::plain(Glyphs::UNICODE)
}

/// The same in ASCII.
pub fn ascii() -> Theme {
    Theme::plain(Glyphs::ASCII)
}

fn spec(name: &str, image: &str, memory: &str) -> ContainerSpec {
    ContainerSpec {
        name: name.into(),
        image: image.into(),
        resources: Resources {
            cpu_request: Some(Amount { value: Cpu(100), raw: "100m".into() }),
            cpu_limit: Some(Amount { value: Cpu(500), raw: "500m".into() }),
            memory_request: Some(Amount { value: Bytes(67_108_864), raw: "64Mi".into() }),
            memory_limit: Bytes::parse(memory).map(|value| Amount { value, raw: memory.into() }),
        },
        probes: Probes { liveness: true, readiness: true, startup: false },
        init: false,
    }
}

/// A pod of a workload; `trouble` is its waiting reason, if it has one.
pub fn pod(ns: &str, name: &str, specs: &Arc<[ContainerSpec]>, trouble: Option<&str>) -> Arc<PodRow> {
    let oom = trouble == Some("CrashLoopBackOff");
    let boxed = trouble.map(|reason| {
        Box::new(ContainerTrouble {
            waiting: Some((reason.into(), "back-off".into())),
            terminated: None,
            last: oom.then(|| Terminated {
                reason: "OOMKilled".into(),
                exit_code: 137,
                started: Some(ago(200)),
                finished: Some(ago(140)),
            }),
        })
    });
    Arc::new(PodRow {
        namespace: ns.into(),
        name: name.into(),
        uid: format!("uid-{name}").into(),
        resource_version: "1".into(),
        owner: None,
        node: (trouble != Some("Pending")).then(|| "worker-a".into()),
        specs: specs.clone(),
        containers: Box::new([ContainerRow {
            restarts: if oom { 7 } else { 0 },
            ready: trouble.is_none(),
            running: trouble.is_none(),
            trouble: boxed,
        }]),
        phase: if trouble.is_some_and(|t| t != "CrashLoopBackOff") { Phase::Pending } else { Phase::Running },
        ready: trouble.is_none(),
        deleting: false,
        created: ago(5400),
        trouble: None,
    })
}

/// A workload with `n` pods, of which the last `bad` have the waiting reason `trouble`.
pub fn workload(ns: &str, kind: WorkloadKind, name: &str, n: u32, bad: u32, trouble: &str) -> Workload {
    let specs: Arc<[ContainerSpec]> = Arc::from([spec("app", &format!("registry.local/{name}:1.4.2"), "128Mi")]);
    let pods: Vec<_> = (0..n)
        .map(|i| pod(ns, &format!("{name}-7d9f8c6b5-{i:03}"), &specs, (i >= n - bad).then_some(trouble)))
        .collect();
    Workload {
        key: WorkloadKey::new(ns, kind, name),
        uid: format!("uid-{name}").into(),
        resource_version: "10".into(),
        generation: 2,
        observed_generation: 2,
        created: Some(ago(86_400 * 12)),
        replicas: Replicas { desired: n, current: n, ready: n - bad, available: n - bad, updated: n },
        paused: false,
        template: specs,
        revisions: Arc::from([]),
        stuck: None,
        owners: Arc::from([]),
        opted_in: false,
        config_maps: Arc::from([]),
        pods: pods.into(),
    }
}

fn shop() -> Vec<Arc<Workload>> {
    use WorkloadKind::{CronJob, DaemonSet, Deployment, StatefulSet};
    let mut cart = workload("shop", Deployment, "cart", 3, 2, "CrashLoopBackOff");
    cart.opted_in = true;
    cart.revisions = [(7u64, 1500i64), (6, 86_400)]
        .map(|(number, age)| Revision {
            number,
            name: format!("cart-{number}").into(),
            uid: format!("rs-{number}").into(),
            created: ago(age),
            desired: 3,
            ready: 1,
            available: 1,
            template: cart.template.clone(),
            last_healthy: None,
        })
        .into();
    let mut checkout = workload("shop", Deployment, "checkout", 4, 1, "ImagePullBackOff");
    checkout.stuck = Some(("ProgressDeadlineExceeded".into(), "timed out".into()));
    let mut front = workload("shop", Deployment, "frontend", 5, 0, "");
    front.owners = Arc::from([Owner::Hpa("frontend".into())]);
    let mut pay = workload("shop", Deployment, "payments", 2, 1, "CreateContainerConfigError");
    pay.owners = Arc::from([Owner::ArgoCd("shop-prod".into())]);
    let mut all = vec![
        cart,
        checkout,
        front,
        pay,
        workload("shop", StatefulSet, "postgres", 1, 0, ""),
        workload("shop", CronJob, "report", 0, 0, ""),
        workload("kube-system", DaemonSet, "node-exporter", 3, 0, ""),
        workload("kube-system", Deployment, "coredns", 2, 0, ""),
        workload("markt-東京", Deployment, "購物車サービス", 2, 0, ""),
        workload("markt-東京", Deployment, "عربة-التسوق", 1, 1, "Pending"),
    ];
    all.sort_by(|a, b| a.key.cmp(&b.key));
    all.into_iter().map(Arc::new).collect()
}

fn node(name: &str, trouble: Option<NodeTrouble>) -> Arc<NodeRow> {
    Arc::new(NodeRow {
        name: name.into(),
        uid: name.into(),
        resource_version: "1".into(),
        ready: trouble != Some(NodeTrouble::NotReady),
        cordoned: trouble == Some(NodeTrouble::MemoryPressure),
        troubles: trouble.map(|t| (t, Some(ago(300)), "kubelet says so".into())).into_iter().collect(),
        cpu: Cpu(4000),
        memory: Bytes(16 << 30),
        pods: 110,
        zone: "eu-1a".into(),
        version: "v1.33.1".into(),
        created: ago(86_400 * 40),
    })
}

fn source(name: &str, objects: u32, state: SourceState) -> Source {
    Source { name: name.into(), namespaces: None, state, objects }
}

fn sources() -> Vec<Source> {
    let live = |s: i64| SourceState::Live { last: ago(s) };
    vec![
        source("pods", 24, live(2)),
        source("deployments", 7, live(4)),
        source("replicasets", 19, live(4)),
        source("statefulsets", 1, live(31)),
        source("daemonsets", 1, live(31)),
        source("jobs", 0, live(40)),
        source("cronjobs", 1, live(40)),
        source("nodes", 3, live(9)),
        source("namespaces", 3, live(50)),
        source("events", 0, SourceState::Denied { why: "cannot list events in the cluster".into() }),
        source("horizontalpodautoscalers", 1, live(12)),
        source("verticalpodautoscalers", 0, SourceState::NotServed),
        source(
            "poddisruptionbudgets",
            2,
            SourceState::Failed { since: ago(190), last: Some(ago(195)), why: "connection reset by peer".into() },
        ),
    ]
}

fn series(f: impl Fn(i64) -> Option<f64>) -> Series {
    let mut s = Series::new(30, TimeDelta::hours(24));
    for i in (0..240).rev() {
        if let Some(v) = f(i) {
            s.put(ago(i * 30), v);
        }
    }
    s
}

fn metrics_of(workload: &Workload) -> WorkloadMetrics {
    let n = f64::from(workload.replicas.desired.max(1));
    let wave = |i: i64| (i as f64 / 9.0).sin().abs();
    let at = ago(12);
    let fresh = |v: f64| Reading::Value { value: v, at };
    WorkloadMetrics {
        now: [
            fresh(0.12 * n),
            fresh(92e6 * n),
            fresh(184.0),
            Reading::Zero { at },
            Reading::Stale { value: 0.021, at: ago(400) },
            Reading::Failed { why: "422: too many samples".into() },
            Reading::Absent,
        ],
        history: [
            series(|i| (!(60..80).contains(&i)).then(|| (0.08 + 0.07 * wave(i)) * n)),
            series(|i| Some(n * (60e6 + (240 - i) as f64 * 140e3))),
            series(|i| Some(150.0 + 60.0 * wave(i))),
            series(|_| Some(0.0)),
            series(|i| (i > 13).then(|| 0.015 + 0.01 * wave(i))),
            series(|_| None),
            series(|_| None),
        ],
    }
}

fn metrics(workloads: &[Arc<Workload>]) -> MetricsView {
    let measured = workloads.iter().filter(|w| !w.pods.is_empty() && &*w.key.namespace != "markt-東京");
    let mut pods = HashMap::new();
    for (n, p) in workloads.iter().flat_map(|w| w.pods.iter()).enumerate() {
        if p.ready && n % 4 != 3 {
            let at = if n % 4 == 2 { ago(300) } else { ago(12) };
            let key = PodKey { namespace: p.namespace.clone(), name: (*p.name).into() };
            pods.insert(key, PodUsage { cpu: 0.084, memory: 118e6, memory_share: Some(0.88), at });
        }
    }
    let slo = |name: &str, bad: Reading, period: Reading| SloReadings {
        name: name.into(),
        bad: std::array::from_fn(|_| bad.clone()),
        period: (period, 6.0 * 86_400.0),
        events: Reading::Value { value: 184.0, at: ago(12) },
    };
    let value = |v: f64| Reading::Value { value: v, at: ago(12) };
    MetricsView {
        state: SourceState::Live { last: ago(12) },
        profile: Some(Arc::new(MetricsProfile {
            via: "service proxy monitoring/prometheus:9090".into(),
            server: "Prometheus 3.4.1".into(),
            cadvisor: Some(r#"job="kubelet",metrics_path="/metrics/cadvisor""#.into()),
            kube_state: Some(r#"job="kube-state-metrics""#.into()),
            node_exporter: None,
            requests: Some("istio_requests_total".into()),
            rules: vec![],
            scrape_interval_s: Some(30.0),
            retention: Some("15d".into()),
            cluster_label: None,
            missing: vec!["node-exporter: memory of nodes is not known".into()],
        })),
        step: 30,
        workloads: Arc::new(measured.map(|w| (w.key.clone(), Arc::new(metrics_of(w)))).collect()),
        pods: Arc::new(pods),
        slos: Arc::from([
            slo("checkout-errors", value(0.0081), value(0.0007)),
            slo("cart-latency", Reading::Absent, Reading::Absent),
        ]),
        node_memory: Arc::new(HashMap::from([
            ("worker-a".into(), value(0.61)),
            ("worker-b".into(), Reading::Stale { value: 0.4, at: ago(400) }),
        ])),
    }
}

fn finding(class: Fault, key: &str, severity: Severity, title: &str, since: i64) -> Arc<Finding> {
    let subject = Subject::Workload(WorkloadKey::new("shop", WorkloadKind::Deployment, key));
    Arc::new(Finding {
        id: format!("{}:{subject}", class.class()).into(),
        fault: class,
        subject,
        severity,
        title: title.into(),
        evidence: vec![
            Evidence::new(
                format!("pod shop/{key}-7d9f8c6b5-002 status.containerStatuses[0].lastState"),
                "OOMKilled, exit code 137, limit 128Mi",
                Some(ago(140)),
            ),
            Evidence::new("prometheus container_memory_working_set_bytes", "peak 127.6Mi of 128Mi", Some(ago(152))),
        ],
        pods: vec![PodKey { namespace: "shop".into(), name: format!("{key}-7d9f8c6b5-002").into() }],
        since: ago(since),
        related: vec![ObjectRef::namespaced(Resource::REPLICASETS, "shop", format!("{key}-7d9f8c6b5"))],
    })
}

fn findings() -> Vec<Arc<Finding>> {
    vec![
        finding(
            Fault::OomContainer { container: "app".into(), limit: 134_217_728, peak: Some(133_800_000), kills: 7 },
            "cart",
            Severity::Critical,
            "container app was killed 7 times at its memory limit of 128Mi",
            260,
        ),
        finding(
            Fault::BadRelease { revision: 7, symptom: "ImagePullBackOff".into() },
            "checkout",
            Severity::High,
            "revision 7 cannot start: ImagePullBackOff; revision 6 was healthy",
            1500,
        ),
        finding(
            Fault::MissingConfig { what: "configmap \"payments-env\"".into() },
            "payments",
            Severity::High,
            "configmap \"payments-env\" not found",
            620,
        ),
        finding(
            Fault::Saturated { resource: "cpu".into(), utilisation: 0.93, target: 0.7 },
            "frontend",
            Severity::Warning,
            "cpu at 93% of requests, target 70%",
            90,
        ),
    ]
}

/// A proposal against a finding.
pub fn proposal(f: &Finding, risk: Risk, title: &str, steps: bool) -> Proposal {
    let name = match &f.subject {
        Subject::Workload(k) => k.name.clone(),
        _ => "x".into(),
    };
    let patch = |from: &str, to: &str| {
        serde_json::from_value(json!([
            {"op": "test", "path": "/spec/template/spec/containers/0/resources/limits/memory", "value": from},
            {"op": "replace", "path": "/spec/template/spec/containers/0/resources/limits/memory", "value": to},
        ]))
        .expect("a valid patch")
    };
    let step = Step {
        title: title.into(),
        op: Op::Patch { patch: patch("128Mi", "228Mi"), subresource: None },
        target: ObjectRef::namespaced(Resource::DEPLOYMENTS, "shop", name),
        bound: Bound { uid: "u1".into(), resource_version: "10".into(), generation: 2, digest: "d".into() },
        inverse: Inverse::Patch { patch: patch("228Mi", "128Mi") },
        gate: Gate::WorkloadReady,
    };
    let plan = Plan { cluster: "c1".into(), steps: if steps { vec![step] } else { vec![] } };
    let hash = plan.hash();
    Proposal {
        id: Proposal::make_id(&f.fault, &f.subject, &hash),
        finding: f.id.clone(),
        fault: f.fault.clone(),
        subject: f.subject.clone(),
        strategy: Strategy::Reconfigure,
        title: title.into(),
        why: f.evidence.clone(),
        plan,
        hash,
        blast: Blast {
            pods: 3,
            share_down: 0.34,
            nodes: 0,
            text: "3 pods one by one (maxUnavailable 25% of 3 = 0)".into(),
        },
        risk,
        effect: Expectation {
            text: "no more kills at the limit".into(),
            recovery_s: Some(45),
            probability: Some(0.7),
            basis: "prior".into(),
        },
        notes: vec![],
        export: None,
        created: ago(240),
        expires: ago(240) + TimeDelta::minutes(15),
    }
}

/// An item of the queue.
pub fn item(proposal: Proposal, state: ActionState) -> QueueItem {
    QueueItem {
        proposal: Arc::new(proposal),
        state,
        preview: None,
        blocked: vec![],
        approval: None,
        story: vec![Moment { at: ago(240), what: "proposed".into() }],
        outcome: None,
    }
}

fn queue(findings: &[Arc<Finding>]) -> Vec<Arc<QueueItem>> {
    let mut raise = item(
        proposal(&findings[0], Risk::Medium, "raise memory limit of container app from 128Mi to 228Mi", true),
        ActionState::Proposed,
    );
    raise.preview = Some(Arc::new(Preview {
        at: ago(200),
        diffs: vec![
            "@@ spec.template.spec.containers[0].resources @@\n   limits:\n     cpu: 500m\n-    memory: 128Mi\n+    memory: 228Mi\n".into(),
        ],
        warnings: vec![],
        refused: None,
    }));
    let mut rollback = item(
        proposal(&findings[1], Risk::High, "roll back to revision 6, the last healthy one", true),
        ActionState::Verifying { since: ago(120), settle: ago(-180), until: ago(-480) },
    );
    rollback.story.push(Moment { at: ago(130), what: "approved by ann@ops1".into() });
    rollback.story.push(Moment { at: ago(120), what: "patch accepted by the server".into() });
    let mut advice = item(
        proposal(&findings[2], Risk::Low, "create configmap payments-env in Git, Argo CD app shop-prod owns it", false),
        ActionState::Proposed,
    );
    advice.blocked = vec![Refusal::new("g07", "Argo CD app shop-prod owns it", "change it in Git")];
    let mut scale = item(proposal(&findings[3], Risk::Low, "scale from 5 to 7 pods", true), ActionState::Proposed);
    scale.blocked = vec![Refusal::new("g06", "HPA frontend owns replicas", "raise maxReplicas of the HPA instead")];
    let mut done = item(
        proposal(&findings[0], Risk::Low, "restart pod cart-7d9f8c6b5-001", true),
        ActionState::Done { verdict: Verdict::Neutral, why: "the finding is still there".into() },
    );
    Arc::make_mut(&mut done.proposal).id = "cart-oom-000000".into();
    Arc::make_mut(&mut done.proposal).created = ago(4000);
    done.story = vec![Moment { at: ago(3300), what: "judged neutral".into() }];
    [done, rollback, advice, raise, scale].into_iter().map(Arc::new).collect()
}

fn journal() -> Vec<Arc<Entry>> {
    let kinds = [
        (Kind::Verifying, Some("checkout-bad-release-5f2a10"), json!({"before": {"available": 3}, "settle": "5m"})),
        (Kind::Applied, Some("checkout-bad-release-5f2a10"), json!({"step": 0, "resourceVersion": "1042"})),
        (Kind::Intent, Some("checkout-bad-release-5f2a10"), json!({"step": 0, "title": "roll back to revision 6"})),
        (Kind::Approved, Some("checkout-bad-release-5f2a10"), json!({"hash": "5f2a10c3"})),
        (Kind::Proposed, Some("cart-oom-3f9a2c"), json!({"title": "raise memory limit of container app"})),
        (Kind::FindingOpened, None, json!({"title": "container app was killed 7 times", "class": "oom"})),
        (Kind::ModeChanged, None, json!({"mode": "manual"})),
        (Kind::SessionStarted, None, json!({"version": "0.1.0"})),
    ];
    let n = kinds.len() as u64;
    kinds
        .into_iter()
        .enumerate()
        .map(|(i, (kind, action, payload))| {
            Arc::new(Entry {
                seq: n - i as u64,
                record: Record {
                    at: ago(60 + i as i64 * 35),
                    actor: if kind == Kind::Approved { "ann@ops1".into() } else { "kansole".into() },
                    kind,
                    action: action.map(Into::into),
                    object: action.map(|_| "shop/Deployment/checkout".to_owned()),
                    payload,
                },
                prev: format!("{:064x}", n - i as u64 - 1),
                hash: format!("{:064x}", n - i as u64),
            })
        })
        .collect()
}

/// The shop in trouble.
pub fn troubled() -> World {
    let workloads = shop();
    let findings = findings();
    let queue = queue(&findings);
    let info = ClusterInfo {
        id: "c1".into(),
        context: "prod-eu".into(),
        server: "https://10.0.0.1:6443".into(),
        version: "v1.33.1".into(),
        user: "ann".into(),
        namespaces: None,
    };
    let mut s = Snapshot::empty(info, now());
    s.api.state = SourceState::Live { last: ago(2) };
    s.api.latency_ms = Some(12.0);
    s.sources = sources().into();
    s.metrics = metrics(&workloads);
    s.workloads = workloads.into();
    s.nodes = Arc::from([
        node("worker-a", None),
        node("worker-b", Some(NodeTrouble::MemoryPressure)),
        node("worker-c", Some(NodeTrouble::NotReady)),
    ]);
    let ns = |name: &str, opted_in| Arc::new(NamespaceRow { name: name.into(), opted_in, terminating: false });
    s.namespaces = Arc::from([ns("kube-system", false), ns("markt-東京", false), ns("shop", true)]);
    s.events = Arc::from([Arc::new(EventRow {
        uid: "e1".into(),
        object: ObjectRef::namespaced(Resource::PODS, "shop", "cart-7d9f8c6b5-002"),
        warning: true,
        reason: "BackOff".into(),
        message: "Back-off restarting failed container app".into(),
        count: 31,
        last: ago(20),
    })]);
    let slo = |name: &str| Slo {
        name: name.into(),
        workload: "shop/Deployment/checkout".into(),
        indicator: Indicator::Errors,
        objective: 0.999,
        days: 30,
    };
    let node = Finding {
        id: "node-not-ready:Node/worker-c".into(),
        fault: Fault::NodeNotReady { node: "worker-c".into() },
        subject: Subject::Node("worker-c".into()),
        severity: Severity::High,
        title: "kubelet stopped posting node status".into(),
        evidence: vec![Evidence::new("node worker-c status.conditions[Ready]", "Unknown", Some(ago(300)))],
        pods: vec![],
        since: ago(300),
        related: vec![],
    };
    let unplanned = BTreeMap::from([(node.id.clone(), "2 of its pods have no other home".into())]);
    let mut findings = findings;
    findings.insert(2, Arc::new(node));
    World {
        seq: 1,
        at: now(),
        link: Link::Connected,
        queue: queue.into(),
        snapshot: Arc::new(s),
        findings: findings.into(),
        unplanned: Arc::new(unplanned),
        slos: vec![slo("checkout-errors"), slo("cart-latency"), slo("new-one")].into(),
        mode: Mode::Manual,
        brakes: Brakes::default(),
        step: StepView::default(),
        journal: journal().into(),
        rights: Arc::default(),
        messages: Arc::from([]),
        contexts: Arc::from([]),
        last_round: Some(ago(8)),
    }
}

/// The same shop, in step mode after two phases.
pub fn stepping() -> World {
    let mut w = troubled();
    w.mode = Mode::Step;
    let product = |phase, lines: &[&str]| PhaseProduct {
        phase,
        at: ago(20),
        took_ms: 45.0,
        lines: lines.iter().map(|l| (*l).to_owned()).collect(),
    };
    w.step = StepView {
        next: PhaseName::Plan,
        products: vec![
            product(PhaseName::Monitor, &["24 pods of 10 workloads, 3 nodes", "metrics of 7 workloads"]),
            product(PhaseName::Analyze, &["4 findings: 1 critical, 2 high, 1 warning"]),
        ],
        round: 2,
    };
    w
}

/// A viewer of one namespace whose Prometheus is gone.
pub fn denied() -> World {
    let mut w = troubled();
    let s = Arc::make_mut(&mut w.snapshot);
    let no = |what: &str| SourceState::Denied { why: format!("cannot list {what} at the cluster scope").into() };
    s.sources = ["pods", "nodes", "namespaces", "events"].map(|n| source(n, 0, no(n))).into();
    s.nodes = Arc::from([]);
    s.workloads = s
        .workloads
        .iter()
        .map(|x| {
            let mut x = (**x).clone();
            x.pods = Arc::from([]);
            Arc::new(x)
        })
        .collect();
    s.metrics = MetricsView {
        state: SourceState::Failed { since: ago(300), last: Some(ago(310)), why: "503 from the service proxy".into() },
        ..MetricsView::default()
    };
    w.findings = Arc::from([]);
    w.queue = Arc::from([]);
    w.slos = Arc::from([]);
    w
}

/// Nothing is wrong.
pub fn healthy() -> World {
    let mut w = troubled();
    let s = Arc::make_mut(&mut w.snapshot);
    s.workloads = s
        .workloads
        .iter()
        .map(|x| Arc::new(workload(&x.key.namespace, x.key.kind.clone(), &x.key.name, x.replicas.desired, 0, "")))
        .collect();
    s.nodes = Arc::from([node("worker-a", None), node("worker-b", None)]);
    s.sources = sources().into_iter().filter(|x| x.state.is_fresh(now(), TimeDelta::minutes(1))).collect();
    w.findings = Arc::from([]);
    w.queue = Arc::from([]);
    w
}
