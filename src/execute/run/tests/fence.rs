//! The Lease right before a write: auto writes only while the cluster says that this kansole holds it.

use super::*;
use crate::execute::fixture::stage::{HOLDER, lease};

#[tokio::test(start_paused = true)]
async fn g19_auto_does_not_write_once_the_lease_is_anothers_and_a_person_does() {
    for (by, writes) in [(AUTO, 0), ("ann@box", 1)] {
        let mut case = Case::new(vec![raise_step("cart")]);
        case.actor = if by == AUTO { Actor::Auto } else { Actor::Person };
        let stage = Stage::new(Server::with([deployment("128Mi")]));
        stage.live(healthy);
        // Taken by another after the permit and after the dry-run, so that only the look right before the write sees it.
        stage.server.0.lock().unwrap().before = Some(Box::new(|line, objects| {
            if line.contains("dryRun=All") {
                let path = "/apis/coordination.k8s.io/v1/namespaces/default/leases/kansole-auto";
                objects.insert(path.into(), lease("bob@elsewhere/2"));
            }
        }));
        let ended = run(permit(&case, by), stage.deps.clone()).await;
        assert_eq!(stage.server.writes().len(), writes, "{by}: {:?}", ended.state);
        if writes == 0 {
            assert_eq!(refusal(&ended).0, "g19", "{:?}", ended.state);
            assert!(format!("{:?}", ended.state).contains("bob@elsewhere/2"));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn g19_auto_undoes_only_while_it_holds_the_lease() {
    for holder in [HOLDER, "bob@elsewhere/2"] {
        let mut case = Case::new(vec![raise_step("d0"), raise_step("d1")]);
        case.actor = Actor::Auto;
        let stage = Stage::new(Server::with([named("d0", "128Mi"), named("d1", "128Mi")]));
        stage.live(healthy);
        stage.server.mishaps([Mishap::None, Mishap::Refuse(403, "no")]);
        stage.server.0.lock().unwrap().before = Some(Box::new(move |line, objects| {
            if line.starts_with("PATCH") && line.contains("d1") && !line.contains("dryRun") {
                let path = "/apis/coordination.k8s.io/v1/namespaces/default/leases/kansole-auto";
                objects.insert(path.into(), lease(holder));
            }
        }));
        let ended = run(permit(&case, AUTO), stage.deps.clone()).await;
        let (word, left) = if holder == HOLDER { ("failed", "128Mi") } else { ("handed over", "256Mi") };
        assert_eq!((ended.state.word(), memory(&stage.server, "d0").as_str()), (word, left), "{:?}", ended.state);
    }
}
