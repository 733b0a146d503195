//! What failure prediction beside the loop promises.

use super::*;
use crate::analyze::failure::habitat;
use crate::analyze::failure::training::tests::example;
use crate::autopilot::world::World;
use crate::model::snapshot::MetricsView;

fn at(second: i64) -> Timestamp {
    chrono::DateTime::from_timestamp(1_700_000_000 + second, 0).unwrap()
}

fn snapshot(last: i64) -> Arc<Snapshot> {
    let mut snapshot = (*World::empty("c", at(0)).snapshot).clone();
    snapshot.metrics = MetricsView { state: SourceState::Live { last: at(last) }, ..MetricsView::default() };
    Arc::new(snapshot)
}

async fn heard(notes: &mut mpsc::Receiver<Note>) -> (u64, News) {
    match notes.recv().await {
        Some(Note::Foresight(run, news)) => (run, news),
        _ => panic!("only foresight is told of here"),
    }
}

#[tokio::test]
async fn the_watch_is_lent_once_for_each_step_of_the_metrics() {
    let (notes, mut told) = mpsc::channel(4);
    let mut f = Foresight::default();
    f.look(&snapshot(1), &notes, at(2));
    f.look(&snapshot(2), &notes, at(3));
    let (run, News::Foreseen(watch, found)) = heard(&mut told).await else { panic!("the watch comes back") };
    assert_eq!((run, found.len()), (f.run, 0));
    f.foreseen(watch, found, at(4));
    assert_eq!(f.failures().made, Some(at(4)));
    f.look(&snapshot(1), &notes, at(5));
    assert!(f.watch.is_some(), "that step was looked at");
    f.look(&snapshot(2), &notes, at(5));
    assert!(f.watch.is_none());
}

#[tokio::test]
async fn without_prometheus_training_says_so_and_two_at_once_are_refused() {
    let (notes, mut told) = mpsc::channel(4);
    let (asks, mut asked) = mpsc::channel(1);
    let mut f = Foresight::default();
    f.train(&asks, &notes, at(0)).unwrap();
    assert!(f.train(&asks, &notes, at(0)).unwrap_err().contains("already"));
    assert!(matches!(f.failures().training, Training::Reading { .. }));
    // The server is lost: the question is dropped without an answer.
    drop(asked.recv().await.unwrap());
    let (_, News::Read(past)) = heard(&mut told).await else { panic!("the reading ends") };
    f.read(past, None, &notes, at(9));
    assert!(matches!(&f.failures().training, Training::Ended { said, .. } if said.contains("could not be read")));
    drop(asked);
    assert!(f.train(&asks, &notes, at(10)).unwrap_err().contains("cannot be asked"));
}

#[tokio::test]
async fn a_quiet_past_teaches_nothing_and_the_model_stays() {
    let (notes, mut told) = mpsc::channel(4);
    let mut f = Foresight::default();
    let card = f.failures().card.clone();
    f.cancel = Some(Arc::default());
    let past = Past { from: at(0), step: 15, slots: 400, records: vec![], calls: vec![], found: vec![] };
    f.read(Some(past), None, &notes, at(1));
    let (_, News::Learned(learned)) = heard(&mut told).await else { panic!("training ends") };
    assert_eq!(f.learned(*learned, at(2)), None);
    let failures = f.failures();
    assert!(matches!(&failures.training, Training::Ended { said, .. } if said.contains("not trained: 0 failures")));
    assert_eq!(failures.card, card);
}

#[tokio::test]
async fn what_was_cancelled_is_not_taken_over() {
    let (notes, _told) = mpsc::channel(4);
    let (asks, _asked) = mpsc::channel(1);
    let mut f = Foresight::default();
    assert!(f.cancel(at(0)).is_err());
    f.train(&asks, &notes, at(0)).unwrap();
    f.cancel(at(1)).unwrap();
    f.read(None, None, &notes, at(2));
    assert!(matches!(&f.failures().training, Training::Ended { said, .. } if said.contains("cancelled")));
}

#[test]
fn what_was_learned_is_saved_speaks_after_a_restart_and_is_rolled_back_step_by_step() {
    let folder = tempfile::tempdir().unwrap();
    let mut f = Foresight::default();
    assert_eq!(f.open(Some(folder.path())), None);
    assert!(f.failures().card.is_none() && f.roll_back().unwrap_err().contains("no model"));
    let past = || Past { from: at(0), step: 15, slots: 800, records: vec![], calls: vec![], found: vec![] };
    for version in 1..=2 {
        let (trained, examined) = example();
        f.cancel = Some(Arc::default());
        let said = f.learned(Ok((trained, examined, past())), at(9)).unwrap();
        assert!(said.contains(&format!("version {version} speaks")), "{said}");
        let card = f.failures().card.clone().unwrap();
        assert_eq!((card.version, card.earlier, &*card.kind), (version, version as usize, "failure-forest"));
    }
    let mut again = Foresight::default();
    assert_eq!(again.open(Some(folder.path())), None);
    assert_eq!(again.failures().card.as_ref().unwrap().version, 2);
    assert_eq!(again.roll_back().unwrap(), "rolled back to version 1");
    assert_eq!(again.roll_back().unwrap(), "rolled back to the rules alone");
    assert!(again.failures().card.is_none());
    f.store.as_ref().unwrap().save(file::NAME, card(), b"no model at all").unwrap();
    let complaint = f.open(Some(folder.path())).expect("it is told of");
    assert!(complaint.contains("is not used") && f.failures().card.is_none(), "{complaint}");
}

/// A card that says what it is not.
fn card() -> Card {
    let learner = LEARNERS[0];
    Card {
        kind: learner.kind().into(),
        features: file::features(learner),
        trained_at: at(0),
        trained_on: TrainedOn { source: "nowhere".into(), samples: 0, from: at(0), until: at(0) },
        back_test: std::collections::BTreeMap::new(),
        losses: Vec::new(),
    }
}

#[test]
fn losses_are_told_epoch_by_epoch_and_stay_with_the_model_they_led_to() {
    let mut f = Foresight::default();
    let folder = tempfile::tempdir().unwrap();
    f.open(Some(folder.path()));
    let flag = Arc::new(AtomicBool::new(false));
    let epoch = |n: u32| Epoch { epoch: n, epochs: 12, training: 1.0 / f64::from(n), validation: 1.1 / f64::from(n) };
    f.epoch(&flag, "failure-lstm", epoch(1));
    assert_eq!(f.failures().training, Training::Idle, "nothing is learned now");
    let learning = Training::Learning { since: at(0), losses: Arc::default() };
    Arc::make_mut(&mut f.known).training = learning;
    f.epoch(&AtomicBool::new(true), "failure-lstm", epoch(1));
    for n in 1..=3 {
        f.epoch(&flag, "failure-forest", epoch(n));
    }
    let Training::Learning { losses, .. } = f.failures().training.clone() else { panic!("it still learns") };
    assert_eq!((losses.epochs.len(), losses.epochs[2]), (3, epoch(3)), "one that was cancelled is not heard");
    f.cancel = Some(flag);
    let (trained, examined) = example();
    let past = Past { from: at(0), step: 15, slots: 800, records: vec![], calls: vec![], found: vec![] };
    f.learned(Ok((trained, examined, past)), at(9)).unwrap();
    let mut again = Foresight::default();
    again.open(Some(folder.path()));
    let card = again.failures().card.clone().unwrap();
    let curve = card.losses.clone().unwrap();
    assert_eq!((curve.epochs.len(), curve.epochs[2].validation), (3, epoch(3).validation));
}

#[test]
fn what_learned_in_another_cluster_is_silent_and_trained_again_but_not_over_and_over() {
    let folder = tempfile::tempdir().unwrap();
    let mut f = Foresight::default();
    f.open(Some(folder.path()));
    let (trained, examined) = example();
    let past = Past { from: at(0), step: 15, slots: 800, records: vec![], calls: vec![], found: vec![] };
    f.cancel = Some(Arc::default());
    f.learned(Ok((trained, examined, past)), at(9)).unwrap();
    assert!(!f.wants_training(at(10)), "it fits as far as anybody knows");
    let names = |n: usize| habitat::NAMES[..n].iter().map(|n| Arc::from(*n)).collect();
    let drift = |moved: usize| Drift { features: 50, drifted: vec![], rows: 300, moved: names(moved), compared: 10 };
    f.judge(Some(drift(4)));
    assert!(!f.wants_training(at(10)), "a busy day is no other cluster");
    f.judge(Some(drift(5)));
    let silent = f.failures().card.as_ref().unwrap().silent.clone().unwrap();
    assert!(silent.starts_with("another cluster than it learned in, by 5 of 10 sizes"), "{silent}");
    assert!(f.wants_training(at(10)));
    f.trained = Some(at(11));
    assert!(!f.wants_training(at(12)) && f.wants_training(at(11) + AGAIN));
}
