//! Failure prediction on the simulated cluster, at a size for every day: what is read back through Prometheus is what a
//! learner needs, and a leak is told before it kills. The whole examination is `cargo bench --bench figures -- failure`.

mod lessons;
mod session;

use kansole::analyze::failure::course::courses;
use kansole::analyze::failure::training::total;
use kansole::model::failure::{Fact, Past, Record};
use kansole::model::series::Signal;
use lessons::{ALSO_TAUGHT, BUILT_IN, CARRIED, STRANGE, Session, TAUGHT, UNTAUGHT, Use, examined, strange, taught};

/// Payment leaks a quarter of its memory a minute, after six minutes of an ordinary morning.
fn leak() -> Session {
    let toml = "name = \"leak\"\ntitle = \"Payment leaks\"\n\n[[step]]\nat = \"370s\"\ndo = \"patch\"\nkind = \"Deployment\"\n\
        name = \"shop/payment\"\n\
        patch = \"spec: {template: {metadata: {annotations: {kansole.dev/leak: '25%'}}}}\"\n";
    let start = "2026-03-10T10:00:00Z".parse().expect("a time");
    Session {
        name: "leak",
        toml: Some(toml.to_owned()),
        seed: 5,
        start,
        before: 6,
        minutes: 11,
        used: Use::HeldOut,
        foreseeable: true,
        cause: 370.0,
    }
}

fn of<'a>(past: &'a Past, name: &str) -> &'a Record {
    past.records.iter().find(|r| &*r.key.name == name).unwrap_or_else(|| panic!("{name} is not there"))
}

#[test]
fn a_leak_is_read_back_through_prometheus_and_told_before_it_kills() {
    let past = session::record(&leak());
    let payment = of(&past, "payment");
    let known = |row: &[f32]| row.iter().filter(|v| v.is_finite()).count();
    for signal in Signal::ALL {
        let row = &payment.signals[signal as usize];
        assert!(known(row) * 10 >= past.slots * 8, "{}: {} of {}", signal.title(), known(row), past.slots);
    }
    for fact in [Fact::Pods, Fact::Desired, Fact::Ready, Fact::Restarts, Fact::Fullest] {
        assert!(known(&payment.facts[fact as usize]) * 10 >= past.slots * 8, "{fact:?}");
    }
    let limit = payment.facts[Fact::MemoryLimit as usize].iter().copied().find(|v| v.is_finite()).expect("a limit");
    assert_eq!(limit, 2.0 * 256.0 * 1_048_576.0, "two pods may use 256Mi each");
    assert!(payment.facts[Fact::Restarts as usize].iter().any(|v| *v >= 1.0), "it was killed");
    let calls = past.calls.iter().find(|c| &*c.caller.name == "payment" && &*c.callee.name == "users-db");
    assert!(calls.is_some_and(|c| c.rate.iter().any(|r| *r > 1.0)), "who calls whom is known");
    let courses = courses(&past);
    let course = courses.iter().find(|c| &*c.key.name == "payment").expect("it is there");
    let score = total([course]);
    assert_eq!((score.episodes, score.leads.len(), score.hits), (1, 1, score.bursts), "{score:?}");
    assert!(score.leads[0] >= 60.0, "{score:?}");
}

#[test]
fn nothing_that_is_examined_was_taught() {
    let (taught, examined) = (taught(1..9), examined(101..103));
    assert!(
        examined
            .iter()
            .chain(&strange(101..103))
            .all(|e| taught.iter().all(|t| t.seed != e.seed && t.start.date_naive() != e.start.date_naive()))
    );
    let ordinary = |s: &Session| if STRANGE.contains(&s.name) { 0.0 } else { 60.0 * s.before as f64 };
    assert!(
        taught.iter().chain(&examined).all(|s| s.cause >= ordinary(s)),
        "nothing happens in the window that is learned from first"
    );
    let held = examined.iter().filter(|e| e.used == Use::HeldOut);
    assert!(held.clone().all(|e| taught.iter().all(|t| t.name != e.name)));
    assert_eq!(held.count(), 2 * (BUILT_IN.len() + UNTAUGHT.len()));
    assert_eq!(taught.len(), 8 * (TAUGHT.len() + ALSO_TAUGHT.len() + CARRIED.len()));
    assert!(examined.iter().any(|e| e.foreseeable) && examined.iter().any(|e| !e.foreseeable));
}
