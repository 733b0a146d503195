//! The same against a real API server: what it dry-runs, writes, refuses and undoes. Needs `tests/rig/rig`:
//! `tests/rig/rig run -- cargo test --features rig --lib rig:: -- --test-threads=1`.

use super::*;
use crate::execute::api;
use crate::execute::killswitch::KillHandle;
use crate::execute::preview;
use crate::model::journal::{Kind, Ledger, LedgerError, Record};
use crate::model::plan::{Bound, Plan};
use crate::model::time;
use tokio_util::sync::CancellationToken;

const LEDGER: &str = "/apis/apps/v1/namespaces/shop/deployments/ledger";

async fn client() -> kube::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut config = kube::Config::infer().await.expect("KUBECONFIG of the rig");
    config.default_retry = false;
    kube::Client::try_from(config).unwrap()
}

/// Applies a scenario of the rig by name.
fn scenario(name: &str) {
    let rig = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/rig/rig");
    let rig = std::env::var("KANSOLE_RIG").unwrap_or_else(|_| rig.into());
    assert!(std::process::Command::new(rig).args(["apply", name]).status().unwrap().success());
}

/// Everything a run needs; a task turns the live Deployment into snapshots.
fn deps(client: &kube::Client, path: &'static str, dir: &std::path::Path) -> (Deps, mpsc::Receiver<Progress>) {
    let (worlds, receiver) = watch::channel((Arc::new(snapshot(time::now(), workload())), Arc::from([])));
    let reader = client.clone();
    tokio::spawn(async move {
        loop {
            if let Ok(Some(d)) = api::get(&reader, path).await {
                let number = |v: &Value| v.as_u64().unwrap_or(0) as u32;
                let mut w = workload();
                w.generation = d["metadata"]["generation"].as_i64().unwrap();
                w.observed_generation = d["status"]["observedGeneration"].as_i64().unwrap_or(0);
                w.replicas.desired = number(&d["spec"]["replicas"]);
                w.replicas.current = number(&d["status"]["replicas"]);
                w.replicas.updated = number(&d["status"]["updatedReplicas"]);
                w.replicas.available = number(&d["status"]["availableReplicas"]);
                if worlds.send((Arc::new(snapshot(time::now(), w)), Arc::from([]))).is_err() {
                    return;
                }
            }
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    });
    let (progress, told) = mpsc::channel(1000);
    let kill =
        KillSwitch::new(KillHandle::default(), &dir.join("kill"), "kansole/kill-switch", client.clone()).unwrap();
    let settings = settings::Guard {
        settle: Duration::from_secs(2),
        observe: Duration::from_secs(2),
        step_timeout: Duration::from_secs(60),
        ..settings::Guard::default()
    };
    let ledger = Arc::new(crate::knowledge::Journal::open(&dir.join("journal.db")).unwrap());
    let deps = Deps {
        act: client.clone(),
        ledger,
        kill,
        fence: crate::execute::Fence::new(client.clone(), "default/kansole-auto", "rig").unwrap(),
        worlds: receiver,
        settings: Arc::new(settings),
        progress,
        cancel: CancellationToken::new(),
        clock: Arc::new(time::now),
    };
    (deps, told)
}

/// The raise of fixture `cart`, bound to a real object, from the limit it has to `to`.
fn raise_real(live: &Value, to: &str) -> Case {
    let mut step = raise_step("ledger");
    let from = live.pointer(LIMIT).unwrap().clone();
    let ops = |a: &Value, b: &Value| {
        serde_json::from_value(
            json!([{"op": "test", "path": LIMIT, "value": a}, {"op": "replace", "path": LIMIT, "value": b}]),
        )
        .unwrap()
    };
    step.op = Op::Patch { patch: ops(&from, &to.into()), subresource: None };
    step.inverse = crate::model::plan::Inverse::Patch { patch: ops(&to.into(), &from) };
    step.bound = Bound::to(live).unwrap();
    now_case(vec![step])
}

fn now_case(steps: Vec<crate::model::plan::Step>) -> Case {
    let now = time::now();
    let mut case = Case::new(steps);
    with_proposal(&mut case.item, |p| {
        p.created = now - TimeDelta::seconds(1);
        p.expires = now + TimeDelta::minutes(5);
    });
    (case.now, case.actor, case.snapshot) = (now, Actor::Person, snapshot(now, workload()));
    case
}

fn leave(case: &Case) -> Permit {
    let mut guard = Guard::new(settings::Guard::default(), GuardHistory::default());
    let approval = Approval { by: "ann@box".into(), at: case.now, hash: case.item.proposal.hash.clone() };
    guard.permit(&case.request(), approval).unwrap()
}

#[tokio::test]
async fn a_real_server_writes_verifies_and_undoes() {
    scenario("oom");
    let client = client().await;
    let dir = tempfile::tempdir().unwrap();
    let live = api::get(&client, LEDGER).await.unwrap().unwrap();
    let was = live.pointer(LIMIT).unwrap().clone();

    // Somebody edits it after planning: refused, and nothing is written.
    let mut stale = live.clone();
    stale["spec"]["replicas"] = json!(77);
    let (ours, _told) = deps(&client, LEDGER, dir.path());
    let refused = run(leave(&raise_real(&stale, "512Mi")), ours.clone()).await;
    assert_eq!(refusal(&refused).0, "g03", "{:?}", refused.state);

    let case = raise_real(&live, "512Mi");
    let ended = run(leave(&case), ours.clone()).await;
    assert_eq!(ended.state.word(), "effective", "{:#?}", ended.story);
    let diff = &ended.preview.as_ref().unwrap().diffs[0];
    assert!(diff.lines().any(|l| l.starts_with('+') && l.contains("512Mi")), "{diff}");
    let written = api::get(&client, LEDGER).await.unwrap().unwrap();
    assert_eq!(written.pointer(LIMIT).unwrap(), "512Mi");
    assert!(written["metadata"]["annotations"][ACTION_ANNOTATION].is_string());
    let managers = written["metadata"]["managedFields"].to_string();
    assert!(managers.contains(r#""manager":"kansole""#), "{managers}");

    let mut back = now_case(vec![raise_step("ledger")]);
    back.rights = case.rights.clone();
    back.item = ended;
    let mut guard = Guard::new(settings::Guard::default(), GuardHistory::default());
    let reverted = revert(guard.permit_revert(&back.request(), "ann@box").unwrap(), ours.clone()).await;
    assert_eq!(reverted.state.word(), "reverted", "{:?}", reverted.state);
    let restored = api::get(&client, LEDGER).await.unwrap().unwrap();
    assert_eq!(restored.pointer(LIMIT).unwrap(), &was);
    drop(ours);
}

/// A journal that pulls the kill switch as soon as the dry-run is on record.
struct KillsAfterDryRun {
    journal: crate::knowledge::Journal,
    kill: KillHandle,
}

impl Ledger for KillsAfterDryRun {
    fn record(&self, record: Record) -> Result<u64, LedgerError> {
        self.journal.record(record)
    }

    fn record_item(&self, record: Record, item: &QueueItem) -> Result<u64, LedgerError> {
        let dry_run = record.kind == Kind::DryRun;
        let written = self.journal.record_item(record, item);
        if dry_run {
            self.kill.set(true);
        }
        written
    }
}

#[tokio::test]
async fn g07_the_kill_switch_stops_a_real_write_between_dry_run_and_write() {
    scenario("oom");
    let client = client().await;
    let dir = tempfile::tempdir().unwrap();
    let live = api::get(&client, LEDGER).await.unwrap().unwrap();
    let (mut ours, _told) = deps(&client, LEDGER, dir.path());
    let kill = KillHandle::default();
    let other = dir.path().join("other");
    std::fs::create_dir(&other).unwrap();
    let journal = crate::knowledge::Journal::open(&other.join("journal.db")).unwrap();
    ours.kill = KillSwitch::new(kill.clone(), &other.join("kill"), "kansole/kill-switch", client.clone()).unwrap();
    ours.ledger = Arc::new(KillsAfterDryRun { journal, kill });
    let ended = run(leave(&raise_real(&live, "512Mi")), ours).await;
    assert!(ended.preview.is_some_and(|p| p.refused.is_none()), "the dry-run went through");
    assert!(matches!(&ended.state, ActionState::Refused { reasons } if reasons[0].gate == "g07"), "{:?}", ended.state);
    let after = api::get(&client, LEDGER).await.unwrap().unwrap();
    assert_eq!(after["metadata"]["generation"], live["metadata"]["generation"], "nothing was written");
}

#[tokio::test]
async fn a_real_server_evicts_by_uid_and_tells_why_not() {
    scenario("shop");
    let client = client().await;
    // The scenario has just been applied: its pods may still be starting.
    let pods = loop {
        let list = api::get(&client, "/api/v1/namespaces/shop/pods?labelSelector=app.kubernetes.io%2Fname%3Dcart")
            .await
            .unwrap()
            .unwrap();
        let pods = list["items"].as_array().unwrap().clone();
        if pods.iter().any(|p| p["status"]["phase"] == "Running") {
            break pods;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    };
    let pod = pods.iter().find(|p| p["status"]["phase"] == "Running").unwrap();
    let name = pod["metadata"]["name"].as_str().unwrap();
    let mut step = evict_step(name);
    step.bound = Bound::to(pod).unwrap();
    let plan = Plan { cluster: "c1".into(), steps: vec![step.clone()] };
    let shown = preview(&client, &plan).await;
    assert_eq!((shown.refused, shown.warnings.len()), (None, 0), "no unknown field in the body");
    // Another pod's UID: the server itself refuses, so the precondition arrived.
    let other = api::evict(&client, &step.target, "00000000-0000-0000-0000-000000000000", None, false).await;
    assert_eq!(other.unwrap_err().code(), Some(409));
    let dir = tempfile::tempdir().unwrap();
    let (ours, _told) = deps(&client, "/apis/apps/v1/namespaces/shop/deployments/cart", dir.path());
    let case = now_case(vec![step.clone()]);
    let ended = run(leave(&case), ours).await;
    assert_eq!(ended.state.word(), "effective", "{:#?}", ended.story);
    let gone = api::get(&client, &step.target.path()).await.unwrap();
    assert!(gone.is_none_or(|p| !p["metadata"]["deletionTimestamp"].is_null()));
}
