//! Tests of the backfill: slices, gaps and who goes first.

use super::*;
use crate::model::object::WorkloadKind;
use chrono::TimeDelta;

fn at(s: i64) -> Timestamp {
    chrono::DateTime::from_timestamp(1_700_000_000 / 30 * 30 + s, 0).unwrap()
}

#[test]
fn slices_cover_every_slot_once_within_the_servers_limit() {
    let job = Job { keys: BTreeSet::new(), from: at(0), to: at(0) + TimeDelta::hours(24), step: 5 };
    let slices = job.slices();
    let slots: usize = slices.iter().map(|s| s.slots()).sum();
    assert_eq!(slots, 24 * 720);
    assert!(slices.iter().all(|s| s.slots() <= 11_000 && s.from.timestamp() % 5 == 0));
    assert!(slices.windows(2).all(|w| w[1].to + TimeDelta::seconds(5) == w[0].from));
}

#[test]
fn sums_keep_gaps_and_shares_need_requests() {
    let slice = Slice { from: at(0), to: at(90), step: 30 };
    let track = |points: Vec<(Timestamp, f64)>| Track { labels: Labels::default(), points, histograms: vec![] };
    let tracks = [track(vec![(at(0), 1.0), (at(60), f64::NAN)]), track(vec![(at(0), 2.0), (at(90), 0.0)])];
    let mut grids = BTreeMap::new();
    add(&mut grids, &tracks, slice, |_| Some(0));
    assert_eq!(slice.points(&grids[&0]), [(at(0), 3.0), (at(90), 0.0)], "a gap stays a gap, zero stays zero");
    let share = shares(&grids[&0], None);
    assert_eq!(share[0], 0.0, "requests and no failure");
    assert!(share[3].is_nan() && share[1].is_nan(), "no request, no share");
}

#[test]
fn those_who_lack_most_go_first_and_together() {
    let key = |n: &str| WorkloadKey::new("shop", WorkloadKind::Deployment, n);
    let mut w = Waiting::default();
    w.add(key("old"), at(0));
    w.add(key("near"), at(600));
    w.add(key("late"), at(80_000));
    w.add(key("late"), at(90_000));
    let first = w.take(at(100_000), 30).unwrap();
    assert_eq!(first.keys, BTreeSet::from([key("old"), key("near")]));
    assert_eq!(w.take(at(100_000), 30).unwrap().from, at(80_000));
    assert!(w.take(at(100_000), 30).is_none());
}
