//! The whole loop in auto mode on the simulated cluster: what only a person could see before is found, healed and left healed.
//! All scenarios: `cargo bench --bench figures -- healing`.

mod drive;

use drive::{LESSONS, Lesson, play};
use kansole::model::plan::Strategy;

#[test]
fn a_release_that_only_its_users_notice_is_rolled_back_and_nothing_else_is_touched() {
    let lesson = LESSONS.iter().find(|l| l.name == "bad-release").expect("a lesson");
    let short = Lesson { minutes: 14, ..*lesson };
    let told = play(&short, 1, true);
    let deeds: Vec<_> = told.deeds.iter().map(|d| (&*d.place, d.strategy)).collect();
    assert_eq!(deeds, [("search", Strategy::Rollback)], "{}", told.story);
    assert!(
        told.deeds.iter().all(|d| ["verifying", "effective"].contains(&d.state) && !d.left_harmful),
        "{}",
        told.story
    );
    assert!(told.healed() && told.wrong() == 0 && told.offered, "{told:?}");
    assert!(told.well_after.is_some_and(|s| s < 600), "{:?} {}", told.well_after, told.story);
    assert!(told.handed_over() && told.ill > 0, "{told:?}");
}
