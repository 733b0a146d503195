//! Incidents and their causes on the simulated cluster, read over the real protocols: the true cause comes first and soon, and
//! an ordinary day has no incident.

mod drive;

use drive::{LESSONS, Rig, learn, story};

fn lesson(name: &str, seed: u64) {
    let lesson = LESSONS.iter().find(|l| l.name == name).expect("a lesson");
    let told = learn(lesson, seed);
    assert_eq!((told.rank, told.rank_at_end), (Some(1), Some(1)), "{}", told.story);
    assert!(told.first_after.is_some_and(|s| s <= 60), "{:?}: {}", told.first_after, told.story);
}

#[test]
fn a_bad_release_is_told_within_a_minute() {
    lesson("bad-release", 1);
}

#[test]
fn a_database_that_somebody_scaled_away_is_told_before_those_that_wait_for_it() {
    lesson("dependency-failure", 1);
}

#[test]
fn an_ordinary_day_has_no_incident() {
    let mut rig = Rig::new(1);
    for _ in 0..20 * 60 / drive::LOOK {
        let incidents = rig.step();
        let open: Vec<String> = incidents.open().map(|c| story(c)).collect();
        assert!(open.is_empty(), "{}", open.join("\n"));
    }
}
