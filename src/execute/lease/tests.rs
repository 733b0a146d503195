//! The Lease on paused time, against the scripted server: who holds it, who gets it, and when nobody acts.

use super::*;
use crate::execute::fixture::server::{Mishap, Server};

const LEASE: &str = "default/kansole-auto";

struct Console {
    fence: Fence,
    cancel: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

fn console(server: &Server, who: &str) -> Console {
    let fence = Fence::new(server.client(), LEASE, who).unwrap();
    let cancel = CancellationToken::new();
    let task = tokio::spawn(fence.clone().keep(cancel.clone()));
    Console { fence, cancel, task }
}

impl Console {
    async fn until(&self, what: impl Fn(&LeaseView) -> bool) -> Duration {
        let began = Instant::now();
        let limit = Duration::from_secs(120);
        let kept = self.fence.0.kept.subscribe().wait_for(|k| what(&k.view)).await.map(|_| ());
        assert!(kept.is_ok() && began.elapsed() < limit);
        began.elapsed()
    }
}

fn on_server(server: &Server) -> Value {
    server.0.lock().unwrap().objects["/apis/coordination.k8s.io/v1/namespaces/default/leases/kansole-auto"].clone()
}

#[tokio::test(start_paused = true)]
async fn g19_one_of_two_holds_it_and_gives_it_back() {
    let server = Server::default();
    let (ann, bob) = (console(&server, "ann"), console(&server, "bob"));
    ann.until(|v| *v == LeaseView::Free).await;
    ann.fence.want(true);
    ann.until(LeaseView::is_mine).await;
    assert_eq!(ann.fence.check(Duration::ZERO).await, Ok(()));
    bob.fence.want(true);
    bob.until(|v| *v == LeaseView::Other { holder: "ann".into() }).await;
    tokio::time::sleep(Duration::from_secs(300)).await;
    assert!(ann.fence.view().is_mine() && !bob.fence.view().is_mine(), "renewed for ever, taken never");
    let why = bob.fence.check(Duration::ZERO).await.unwrap_err();
    assert!(why.contains("held by ann"), "{why}");
    ann.fence.let_go().await;
    let took = bob.until(LeaseView::is_mine).await;
    assert!(took <= RETRY * 2, "given back, not left to run out: {took:?}");
    assert!(ann.fence.check(Duration::ZERO).await.is_err());
    let lease = on_server(&server);
    assert_eq!((&lease["spec"]["holderIdentity"], &lease["spec"]["leaseTransitions"]), (&json!("bob"), &json!(2)));
    bob.cancel.cancel();
    bob.task.await.unwrap();
    assert_eq!(on_server(&server)["spec"]["holderIdentity"], "", "the end gives it back");
}

#[tokio::test(start_paused = true)]
async fn g19_a_dead_holders_lease_is_taken_when_it_has_run_out_and_not_before() {
    let server = Server::default();
    let ann = console(&server, "ann");
    ann.fence.want(true);
    ann.until(LeaseView::is_mine).await;
    ann.task.abort(); // kill -9: nothing is given back
    let bob = console(&server, "bob");
    bob.fence.want(true);
    let took = bob.until(LeaseView::is_mine).await;
    assert!(took >= DURATION && took <= DURATION + RETRY * 2, "{took:?}");
    // A time that nobody believes in, and a duration that would lock everybody out.
    bob.task.abort();
    let mut ghost = on_server(&server);
    ghost["spec"]["leaseDurationSeconds"] = 1_000_000_000.into();
    ghost["spec"]["renewTime"] = "2099-01-01T00:00:00.000000Z".into();
    server.put(ghost);
    let eve = console(&server, "eve");
    eve.fence.want(true);
    assert!(eve.until(LeaseView::is_mine).await <= LONGEST + RETRY * 2);
}

#[tokio::test(start_paused = true)]
async fn g19_a_holder_that_cannot_renew_stops_before_others_may_begin() {
    let server = Server::default();
    let (ann, bob) = (console(&server, "ann"), console(&server, "bob"));
    ann.fence.want(true);
    ann.until(LeaseView::is_mine).await;
    let renewed = Instant::now();
    server.mishaps(std::iter::repeat_n(Mishap::LoseRequest, 6));
    let lost = ann.until(|v| !v.is_mine()).await;
    assert!(lost <= RENEW_DEADLINE + RETRY * 2, "{lost:?}");
    assert!(ann.fence.check(Duration::ZERO).await.unwrap_err().contains("does not hold"));
    assert_eq!(on_server(&server)["spec"]["holderIdentity"], "ann", "in the cluster's word it is still ann's");
    ann.task.abort();
    bob.fence.want(true);
    bob.until(LeaseView::is_mine).await;
    assert!(renewed.elapsed() >= DURATION);
}

#[tokio::test(start_paused = true)]
async fn g19_the_fence_believes_the_cluster_and_not_its_memory() {
    let server = Server::default();
    let fence = Fence::held(server.client(), LEASE, "ann");
    assert!(fence.check(Duration::ZERO).await.unwrap_err().contains("held by nobody"), "it was deleted");
    server.put(crate::execute::fixture::stage::lease("bob"));
    assert!(fence.check(Duration::ZERO).await.unwrap_err().contains("held by bob"));
    server.put(crate::execute::fixture::stage::lease("ann"));
    assert_eq!(fence.check(Duration::ZERO).await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn g19_who_may_not_write_leases_is_told_what_to_ask_for() {
    let server = Server::default();
    server.mishaps([Mishap::Refuse(403, "leases is forbidden")]);
    let ann = console(&server, "ann");
    ann.fence.want(true);
    ann.until(|v| matches!(v, LeaseView::Failed { why } if why.contains("deploy/rbac/auto.yaml"))).await;
    for wrong in ["", "/", "a/b/c", "nowhere"] {
        assert!(Fence::new(server.client(), wrong, "ann").unwrap_err().contains("namespace/name"), "{wrong:?}");
    }
}
