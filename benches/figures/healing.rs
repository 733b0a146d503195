//! Healing (P9) on every scenario of the simulated cluster with seeds that were not used in development: the whole loop in auto
//! mode, against a cluster that has only its own controllers.

use crate::report::Report;
use drive::{Expect, LESSONS, Lesson, Told, play};

#[path = "healing_drive.rs"]
mod drive;

/// Seeds of the report; those below 100 are for development. `KANSOLE_SEEDS=1,2` takes others, `KANSOLE_ONLY=a,b` some scenarios.
const SEEDS: [u64; 3] = [101, 102, 103];

/// Both ways of one scenario and seed.
struct Pair {
    lesson: &'static Lesson,
    with: Told,
    without: Told,
}

/// Plays everything twice.
pub fn healed(report: &mut Report) {
    let seeds = std::env::var("KANSOLE_SEEDS").ok();
    let seeds: Vec<u64> = seeds.map_or(SEEDS.to_vec(), |s| s.split(',').filter_map(|n| n.parse().ok()).collect());
    let only = std::env::var("KANSOLE_ONLY").ok();
    let chosen = |l: &&Lesson| only.as_ref().is_none_or(|o| o.split(',').any(|n| n == l.name));
    let mut pairs: Vec<Pair> = Vec::new();
    for lesson in LESSONS.iter().filter(chosen) {
        for seed in &seeds {
            let pair = Pair { lesson, with: play(lesson, *seed, true), without: play(lesson, *seed, false) };
            report.told(&format!("healing: {} seed {seed}", lesson.name), words(&pair));
            if only.is_some() || pair.with.wrong() > 0 || !good(&pair) {
                eprintln!("{} seed {seed}: {}\n{}", lesson.name, words(&pair), pair.with.story);
            }
            pairs.push(pair);
        }
    }
    sum(report, &pairs);
}

/// Healed, or over by itself with the right place told, or handed over; where nothing was to be done, nothing was.
fn good(pair: &Pair) -> bool {
    match pair.lesson.expect {
        Expect::Nothing => pair.with.deeds.is_empty(),
        Expect::Cure => pair.with.wrong() == 0 && (pair.with.healed() || pair.with.handed_over()),
    }
}

/// Something was done, and things are worse than if nobody had acted.
fn left_harmful(pair: &Pair) -> bool {
    let marked = pair.with.deeds.iter().any(|d| d.left_harmful);
    let still_ill = pair.with.onset.is_some() && pair.with.well_after.is_none();
    let would_be_well = pair.without.onset.is_none() || pair.without.well_after.is_some();
    marked || (!pair.with.deeds.is_empty() && still_ill && would_be_well)
}

fn words(pair: &Pair) -> String {
    let time = |t: &Told| match (t.onset, t.well_after) {
        (None, _) => "well all the time".to_owned(),
        (Some(_), Some(s)) => format!("well after {s} s"),
        (Some(_), None) => format!("ill to the end ({} s)", t.ill),
    };
    let what = match (&pair.with, pair.lesson.expect) {
        (t, Expect::Nothing) if t.deeds.is_empty() => "left alone",
        (_, Expect::Nothing) => "ACTED WITHOUT CAUSE",
        (t, _) if t.wrong() > 0 => "WRONG",
        (t, _) if t.healed() => "healed",
        (t, _) if t.handed_over() && t.offered => "handed over with a plan",
        (t, _) if t.handed_over() => "handed over, the place named",
        _ => "MISSED",
    };
    let deeds: Vec<String> =
        pair.with.deeds.iter().map(|d| format!("{} {} {}", d.strategy.as_str(), d.place, d.state)).collect();
    let named = pair.with.named_after.map_or("never".to_owned(), |s| format!("{s} s"));
    format!(
        "{what}: {}; nobody acting: {}; place told after {named}; [{}]",
        time(&pair.with),
        time(&pair.without),
        deeds.join(", ")
    )
}

fn sum(report: &mut Report, pairs: &[Pair]) {
    let cures: Vec<&Pair> = pairs.iter().filter(|p| p.lesson.expect == Expect::Cure).collect();
    let share = |n: usize, of: usize| if of == 0 { f64::NAN } else { n as f64 / of as f64 };
    let right = cures.iter().filter(|p| good(p)).count();
    let healed = cures.iter().filter(|p| p.with.healed() && p.with.wrong() == 0).count();
    let all = cures.len();
    report.judged(
        "healing: healed or correctly handed over",
        format!("{:.2} of {all} ({healed} healed without a person)", share(right, all)),
        "0.95",
        share(right, all) >= 0.95,
    );
    let wrong: usize = pairs.iter().map(|p| p.with.wrong()).sum();
    report.judged("healing: wrong actions", wrong.to_string(), "0", wrong == 0);
    let harmful = pairs.iter().filter(|p| left_harmful(p)).count();
    report.judged("healing: harmful left standing", harmful.to_string(), "0", harmful == 0);
    // Time ill is comparable even where one of the two never got well.
    let ill = |of: fn(&Pair) -> i64| cures.iter().map(|p| of(p)).sum::<i64>() as f64 / all.max(1) as f64;
    report.told(
        "healing: time ill per fault",
        format!("{:.0} s, nobody acting {:.0} s", ill(|p| p.with.ill), ill(|p| p.without.ill)),
    );
    let mttr = |get: fn(&Pair) -> &Told| {
        let mut times: Vec<i64> = cures.iter().filter_map(|p| get(p).well_after).collect();
        times.sort_unstable();
        let mean = times.iter().sum::<i64>() as f64 / times.len().max(1) as f64;
        format!("{mean:.0} s over {} that got well", times.len())
    };
    report.told("healing: MTTR", mttr(|p| &p.with));
    report.told("healing: MTTR of plain Kubernetes (nobody acting)", mttr(|p| &p.without));
    let acts: usize = cures.iter().map(|p| p.with.deeds.len()).sum();
    report.told("healing: actions per fault", format!("{:.2}", share(acts, all)));
}
