//! Conformance twins: the same requests to the simulated API server and to the real one of tests/rig, and their answers
//! compared. What must differ (UIDs, versions, times, addresses) is replaced before; what differs otherwise is a failure,
//! or is listed with its reason in [`known`].
//!
//!     tests/rig/rig run -- cargo test --features rig --test twins -- --nocapture
//!
//! A case is a list of requests; see [`case`]. `KANSOLE_TWINS=text` runs only cases whose name contains the text.

mod case;
mod custom;
mod known;
mod normal;
mod reads;
mod rights;
mod server;
mod tables;
mod watches;
mod writes;
mod writes_patches;

use case::Case;
use serde_json::Value;

/// Cases of all modules.
fn cases() -> Vec<Case> {
    [
        reads::cases(),
        tables::cases(),
        watches::cases(),
        rights::cases(),
        writes::cases(),
        writes_patches::cases(),
        custom::cases(),
    ]
    .concat()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_simulated_server_answers_as_the_real_one() {
    let only = std::env::var("KANSOLE_TWINS").unwrap_or_default();
    let (real, simulated) = (server::real().await, server::simulated());
    let (mut all, mut agree, mut known, mut wrong) = (0, 0, 0, Vec::new());
    for case in cases().into_iter().filter(|c| c.name.contains(&only)) {
        let (a, b) = tokio::join!(case.run(&real), case.run(&simulated));
        let places = known::differing(&a, &b);
        let surprises = known::surprises(&case.name, &places);
        all += 1;
        match (places.is_empty(), surprises.is_empty()) {
            (true, true) => agree += 1,
            (false, true) => known += 1,
            (_, false) => wrong.push(format!("{}: {}\n{}", case.name, surprises.join("; "), difference(&a, &b))),
        }
    }
    println!("twins: {all} cases, {agree} agree, {known} known differences");
    for known in known::KNOWN.iter().filter(|k| k.case.contains(&only)) {
        println!("  {}: {}", known.case, known.why);
    }
    assert!(wrong.is_empty(), "{} cases differ\n\n{}", wrong.len(), wrong.join("\n\n"));
}

#[test]
fn every_known_difference_is_of_a_case() {
    let names: Vec<String> = cases().into_iter().map(|c| c.name).collect();
    let strays = known::KNOWN.iter().map(|k| k.case).filter(|k| !names.iter().any(|n| n == k));
    assert_eq!(strays.collect::<Vec<_>>(), Vec::<&str>::new());
}

#[test]
fn every_case_has_a_name_of_its_own() {
    let mut names: Vec<String> = cases().into_iter().map(|c| c.name).collect();
    names.sort();
    let twice: Vec<&str> = names.windows(2).filter(|w| w[0] == w[1]).map(|w| w[0].as_str()).collect();
    assert_eq!(twice, Vec::<&str>::new());
}

/// The lines that differ, with some around them: `-` the real server, `+` the simulated one.
fn difference(real: &Value, simulated: &Value) -> String {
    let text = |v: &Value| serde_json::to_string_pretty(v).expect("values are JSON");
    let (a, b) = (text(real), text(simulated));
    similar::TextDiff::from_lines(&a, &b).unified_diff().context_radius(3).to_string()
}
