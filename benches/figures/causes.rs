//! Root causes (A5) on scenarios of the simulated cluster with seeds that were not used in development.

use crate::report::Report;
use drive::{LESSONS, Told, learn};

#[path = "../../tests/causes/drive.rs"]
mod drive;

/// Seeds of the report; those below 100 are for development. `KANSOLE_SEEDS=1,2` takes others, `KANSOLE_ONLY=name` one scenario.
const SEEDS: [u64; 3] = [101, 102, 103];
/// Shares of the belief above which it is counted how often the first suspect was right.
const SURE: [f64; 3] = [0.5, 0.7, 0.9];

/// Plays every scenario whose cause nobody would dispute.
pub fn told(report: &mut Report) {
    let seeds = std::env::var("KANSOLE_SEEDS").ok();
    let seeds: Vec<u64> = seeds.map_or(SEEDS.to_vec(), |s| s.split(',').filter_map(|n| n.parse().ok()).collect());
    let only = std::env::var("KANSOLE_ONLY").ok();
    let mut all: Vec<Told> = Vec::new();
    for lesson in LESSONS.iter().filter(|l| only.as_ref().is_none_or(|o| *o == l.name)) {
        let told: Vec<Told> = seeds.iter().map(|seed| learn(lesson, *seed)).collect();
        let words = |t: &Told| {
            let rank = |r: Option<usize>| r.map_or("-".to_owned(), |r| r.to_string());
            let after = t.first_after.map_or("never".to_owned(), |s| format!("{s} s"));
            let (named, sure) = (t.named_after, t.sureness.unwrap_or(f64::NAN));
            let named = named.map_or("never".to_owned(), |s| format!("{s} s"));
            format!(
                "rank {}, at the end {} (sure {sure:.2}); named {named}, first for good {after}; {} open",
                rank(t.rank),
                rank(t.rank_at_end),
                t.open
            )
        };
        for (seed, t) in seeds.iter().zip(&told) {
            report.told(&format!("causes: {} seed {seed}", lesson.name), words(t));
            if t.rank != Some(1) || t.rank_at_end != Some(1) || only.is_some() {
                eprintln!("{}", t.story);
            }
        }
        all.extend(told);
    }
    let share = |right: usize| right as f64 / all.len().max(1) as f64;
    let first = share(all.iter().filter(|t| t.rank_at_end == Some(1)).count());
    report.judged("causes: true cause ranked first", format!("{first:.2} of {}", all.len()), "0.90", first >= 0.9);
    let soon = share(all.iter().filter(|t| t.rank == Some(1)).count());
    let limit = "0.90 within 60 s of the onset";
    report.judged("causes: ranked first a minute after the onset", format!("{soon:.2}"), limit, soon >= 0.9);
    for sure in SURE {
        let those: Vec<&Told> = all.iter().filter(|t| t.sureness.is_some_and(|s| s > sure)).collect();
        let right = those.iter().filter(|t| t.rank == Some(1)).count();
        report.told(&format!("causes: first suspect surer than {sure}"), format!("right {right} of {}", those.len()));
    }
}
