//! Healing strategies on the simulated cluster: the plan is made from its live objects, written through its API, seen in what
//! its controllers make of it, and undone.

use chrono::TimeDelta;
use kansole::autopilot::world::World;
use kansole::autopilot::{self, JournalUse};
use kansole::config::Settings;
use kansole::model::dossier::{BACKUP, ConfigFile, Dossier};
use kansole::model::finding::{Evidence, Fault, Finding, Severity, Subject};
use kansole::model::mode::Mode;
use kansole::model::object::{PodKey, WorkloadKey, WorkloadKind};
use kansole::model::plan::{Inverse, Op, Proposal, Risk, Strategy};
use kansole::model::snapshot::Snapshot;
use kansole::monitor::connect::ConnectOptions;
use kansole::plan::{History, propose};
use kansole::sim::demo::{Demo, Options};
use kube::Client;
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// Long enough for a busy machine; a wait ends as soon as what it waits for is there.
const LONG: Duration = Duration::from_secs(180);

struct Stage {
    demo: Demo,
    client: Client,
    snapshot: Snapshot,
}

impl Stage {
    /// A calm shop, as the loop sees it.
    async fn new() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let options = Options { scenario: "quiet-day".into(), seed: 7, speed: 0.0, ..Options::default() };
        let demo = Demo::start(&options).await.expect("the demo starts");
        demo.step(TimeDelta::minutes(1));
        let state = tempfile::tempdir().expect("a directory");
        let kubeconfig = state.path().join("kubeconfig");
        std::fs::write(&kubeconfig, demo.kubeconfig()).expect("written");
        let mut settings = Settings::default();
        settings.connection.prometheus = format!("http://127.0.0.1:{}", demo.ports().prometheus);
        settings.traces.url = "none".into();
        settings.guard.mode = Mode::Observe;
        let (mut handle, task) = autopilot::spawn(autopilot::Options {
            connect: ConnectOptions {
                kubeconfig: Some(kubeconfig),
                context: Some("demo".into()),
                namespaces: Vec::new(),
            },
            settings,
            read_only: true,
            journal: JournalUse::Open,
            state: state.path().to_owned(),
            hold: None,
            actor: "test".into(),
        });
        let ready = |w: &World| kansole::monitor::settled(&w.snapshot) && !w.snapshot.metrics.workloads.is_empty();
        handle.wait(LONG, ready).await.unwrap_or_else(|w| panic!("no picture: {:?} {:?}", w.link, w.messages));
        let snapshot = (*handle.worlds.borrow().snapshot).clone();
        handle.command(autopilot::world::Command::Shutdown).await.expect("it ends");
        task.await.expect("it ended");
        let config = Kubeconfig::from_yaml(&demo.kubeconfig()).expect("a kubeconfig");
        let config =
            kube::Config::from_custom_kubeconfig(config, &KubeConfigOptions::default()).await.expect("a context");
        Self { demo, client: Client::try_from(config).expect("a client"), snapshot }
    }

    async fn get(&self, path: &str) -> Value {
        let request = http::Request::get(path).body(Vec::new()).expect("a request");
        self.client.request(request).await.unwrap_or_else(|e| panic!("{path}: {e}"))
    }

    async fn patch(&self, path: &str, kind: &str, patch: &Value) -> Value {
        let request = http::Request::patch(path).header("content-type", format!("application/{kind}-patch+json"));
        let request = request.body(patch.to_string().into_bytes()).expect("a request");
        self.client.request(request).await.unwrap_or_else(|e| panic!("{path}: {e}: {patch}"))
    }

    /// Writes every step of a plan.
    async fn write(&self, made: &Proposal) {
        for step in &made.plan.steps {
            let Op::Patch { patch, .. } = &step.op else { panic!("{step:?}") };
            self.patch(&step.target.path(), "json", &json!(patch)).await;
        }
    }

    /// Undoes every step of a plan, the last one first.
    async fn undo(&self, made: &Proposal) {
        for step in made.plan.steps.iter().rev() {
            let Inverse::Patch { patch } = &step.inverse else { panic!("{step:?}") };
            self.patch(&step.target.path(), "json", &json!(patch)).await;
        }
    }

    /// Makes so many pods of a workload unready in the picture; gives their names.
    fn unready(&mut self, name: &str, pods: usize) -> Vec<PodKey> {
        let mut keys = Vec::new();
        let sick = |w: &Arc<_>| {
            let w: &Arc<kansole::model::cluster::Workload> = w;
            if w.key != key(name) {
                return w.clone();
            }
            let mut w = (**w).clone();
            let rows = w.pods.iter().enumerate().map(|(i, row)| {
                let mut row = (**row).clone();
                if i < pods {
                    row.ready = false;
                    keys.push(PodKey { namespace: row.namespace.clone(), name: (*row.name).into() });
                }
                Arc::new(row)
            });
            w.pods = rows.collect();
            Arc::new(w)
        };
        self.snapshot.workloads = self.snapshot.workloads.iter().map(sick).collect();
        keys
    }

    async fn dossier(&self, name: &str) -> Dossier {
        self.dossier_of(&key(name)).await
    }

    async fn dossier_of(&self, key: &WorkloadKey) -> Dossier {
        let subject = Subject::Workload(key.clone());
        let dossier = kansole::monitor::dossier::fetch(&self.client, &subject, &self.snapshot).await;
        assert!(dossier.object.is_some(), "{:?}", dossier.gaps);
        dossier
    }

    fn plan(&self, finding: &Finding, dossier: &Dossier, history: &History) -> Proposal {
        let made = propose(finding, &self.snapshot, dossier, history, &Settings::default().plan, self.snapshot.taken);
        made.unwrap_or_else(|no| panic!("{no}"))
    }

    /// Names of the pods that a Service sends requests to.
    async fn behind(&self, service: &str) -> Vec<String> {
        let path = "/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices";
        let slices = self.get(&format!("{path}?labelSelector=kubernetes.io/service-name%3D{service}")).await;
        let slices = slices["items"].as_array().cloned().unwrap_or_default();
        let all = slices.iter().flat_map(|s| s["endpoints"].as_array().cloned().unwrap_or_default());
        let name = |e: &Value| e["targetRef"]["name"].as_str().map(str::to_owned);
        let mut names: Vec<String> = all.filter_map(|e| name(&e)).collect();
        names.sort();
        names
    }

    async fn pods(&self, selector: &str) -> Vec<String> {
        let list = self.get(&format!("/api/v1/namespaces/shop/pods?labelSelector={selector}")).await;
        let pods = list["items"].as_array().cloned().unwrap_or_default();
        pods.iter().filter_map(|p| p["metadata"]["name"].as_str().map(str::to_owned)).collect()
    }
}

fn key(name: &str) -> WorkloadKey {
    WorkloadKey::new("shop", WorkloadKind::Deployment, name)
}

fn finding(stage: &Stage, name: &str, fault: Fault, pods: Vec<PodKey>) -> Finding {
    finding_on(stage, key(name), fault, pods)
}

fn finding_on(stage: &Stage, key: WorkloadKey, fault: Fault, pods: Vec<PodKey>) -> Finding {
    let subject = Subject::Workload(key);
    Finding {
        id: format!("{}:{subject}", fault.class()).into(),
        fault,
        subject,
        severity: Severity::High,
        title: "it is broken".into(),
        evidence: vec![Evidence::new("test", "it is broken", None)],
        pods,
        since: stage.snapshot.taken,
        related: Vec::new(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_fails_over_to_its_declared_backup_and_back() {
    let mut stage = Stage::new().await;
    let service = "/api/v1/namespaces/shop/services/cart";
    stage.patch(service, "merge", &json!({"metadata": {"annotations": {BACKUP: "search"}}})).await;
    let pods = stage.unready("cart", usize::MAX);
    let fault = Fault::CrashLoop { container: "cart".into(), exit_code: 1 };
    let dossier = stage.dossier("cart").await;
    let made = stage.plan(&finding(&stage, "cart", fault, pods), &dossier, &History::default());
    assert_eq!(made.strategy, Strategy::Failover, "{} {:?}", made.title, made.notes);
    let before = stage.behind("cart").await;
    assert!(!before.is_empty() && before.iter().all(|p| p.starts_with("cart-")), "{before:?}");
    stage.write(&made).await;
    stage.demo.step(TimeDelta::seconds(10));
    let after = stage.behind("cart").await;
    assert!(!after.is_empty() && after.iter().all(|p| p.starts_with("search-")), "{after:?}");
    stage.undo(&made).await;
    stage.demo.step(TimeDelta::seconds(10));
    assert_eq!(stage.behind("cart").await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pod_that_hangs_again_is_put_aside_replaced_and_given_back() {
    let mut stage = Stage::new().await;
    let pods = stage.unready("cart", 1);
    let fault = || Fault::NotReady { why: "Readiness probe failed".into() };
    let dossier = stage.dossier("cart").await;
    let mut history = History::default();
    let first = stage.plan(&finding(&stage, "cart", fault(), pods.clone()), &dossier, &history);
    assert_eq!(first.strategy, Strategy::Restart, "{}", first.title);
    history.applied(&first, stage.snapshot.taken);
    let made = stage.plan(&finding(&stage, "cart", fault(), pods.clone()), &dossier, &history);
    assert_eq!(made.strategy, Strategy::Isolate, "{} {:?}", made.title, made.notes);
    let sick = pods[0].name.to_string();
    let before = stage.behind("cart").await;
    assert!(before.contains(&sick), "{before:?}");
    stage.write(&made).await;
    stage.demo.step(TimeDelta::minutes(1));
    let after = stage.behind("cart").await;
    assert!(!after.contains(&sick) && after.len() == before.len(), "a new pod takes its place: {after:?}");
    assert_eq!(stage.pods("kansole.dev/isolated%3Dtrue").await, [sick.as_str()], "and the sick one is still there");
    stage.undo(&made).await;
    stage.demo.step(TimeDelta::minutes(1));
    assert_eq!(stage.behind("cart").await.len(), before.len(), "its ReplicaSet took it back and removed one");
    assert!(stage.pods("kansole.dev/isolated%3Dtrue").await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_config_map_is_put_back_its_readers_start_anew_and_it_can_be_undone() {
    let stage = Stage::new().await;
    let path = "/api/v1/namespaces/shop/configmaps/payment-config";
    let was = stage.get(path).await;
    let held = json!({"data": was["data"], "binaryData": was["binaryData"]});
    let typo = stage.patch(path, "merge", &json!({"data": {"USERS_DB_URL": "postgres://user-db:5432/users"}})).await;
    assert_ne!(typo["data"], was["data"]);
    let mut dossier = stage.dossier("payment").await;
    let changed = stage.snapshot.taken - TimeDelta::seconds(20);
    dossier.configs = vec![ConfigFile { live: typo.clone(), before: Some((held, changed)) }];
    let fault = Fault::ConfigEdit { map: "payment-config".into(), symptom: "99 % of requests fail".into() };
    let made = stage.plan(&finding(&stage, "payment", fault, Vec::new()), &dossier, &History::default());
    assert_eq!((made.strategy, made.plan.steps.len()), (Strategy::Reconfigure, 2), "{} {:?}", made.title, made.notes);
    let before = stage.behind("payment").await;
    stage.write(&made).await;
    stage.demo.step(TimeDelta::minutes(3));
    assert_eq!(stage.get(path).await["data"], was["data"]);
    let after = stage.behind("payment").await;
    assert!(after.len() == before.len() && after.iter().all(|p| !before.contains(p)), "all pods are new: {after:?}");
    stage.undo(&made).await;
    assert_eq!(stage.get(path).await["data"], typo["data"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stateful_set_that_was_scaled_to_nothing_gets_its_pods_back() {
    let stage = Stage::new().await;
    let db = WorkloadKey::new("shop", WorkloadKind::StatefulSet, "orders-db");
    let path = "/apis/apps/v1/namespaces/shop/statefulsets/orders-db";
    stage.patch(path, "merge", &json!({"spec": {"replicas": 0}})).await;
    stage.demo.step(TimeDelta::minutes(2));
    let dossier = stage.dossier_of(&db).await;
    let away = finding_on(&stage, db, Fault::ScaledAway { was: 2 }, Vec::new());
    let made = stage.plan(&away, &dossier, &History::default());
    assert_eq!((made.strategy, made.risk), (Strategy::Scale, Risk::Medium), "auto may do it");
    stage.write(&made).await;
    stage.demo.step(TimeDelta::minutes(2));
    let now = stage.get(path).await;
    assert_eq!((&now["spec"]["replicas"], &now["status"]["readyReplicas"]), (&json!(2), &json!(2)));
}
