//! What failure prediction is taught and examined with: scenarios written from a seed, and the built-in ones.

use chrono::{DateTime, TimeDelta, Utc};
use std::fmt::Write as _;

/// Where a scenario is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// Other seeds of it are taught.
    Taught,
    /// Nothing of it is taught.
    HeldOut,
}

/// One run of the simulated cluster.
#[derive(Debug, Clone)]
pub struct Session {
    /// The scenario's name.
    pub name: &'static str,
    /// TOML, or `None` for a built-in one.
    pub toml: Option<String>,
    /// Seed of the simulation.
    pub seed: u64,
    /// When it begins.
    pub start: DateTime<Utc>,
    /// Minutes of an ordinary day before anything happens, and minutes from then on.
    pub before: i64,
    #[allow(missing_docs)]
    pub minutes: i64,
    /// Whether its like is taught.
    pub used: Use,
    /// Whether what happens casts a shadow before: somebody who looked closely could have known.
    pub foreseeable: bool,
    /// Seconds after the start at which something is first done to the cluster: what fails later can only be known from then on.
    pub cause: f64,
}

/// Minutes of an ordinary day before anything happens: every window is one that was really recorded.
pub const BEFORE: i64 = 18;

/// Scenarios whose other seeds are taught; whether they are foreseeable.
pub const TAUGHT: [(&str, bool); 8] = [
    ("leak", true),
    ("slow-leak-cart", true),
    ("rising-load", true),
    ("slowing-database", true),
    // Its first sign is the failure itself: a share of errors that rises crosses the bar within a minute.
    ("failing-database", false),
    ("hungry-worker", false),
    ("abrupt-errors", false),
    ("harmless", false),
];

/// More that is taught: what goes wrong elsewhere and in other ways, so that what is learned holds for more than five places.
pub const ALSO_TAUGHT: [(&str, bool); 6] = [
    ("load-at-one-entrance", true),
    // More and more customers for half an hour, as on the morning of a sale.
    ("growing-load", true),
    ("slowing-service", true),
    // What is hit first gives no sign; who calls it has some seconds.
    ("locking-service", false),
    ("stuck-service", false),
    ("gone-service", false),
];

/// Taught after each round of the others: more customers than ever, whom the cluster can carry. Where every load that is taught
/// ends in failure, load alone becomes a sign of it.
pub const CARRIED: [(&str, bool); 2] = [("carried-load", false), ("carried-load-at-one-entrance", false)];

/// Written scenarios of which nothing is taught.
pub const UNTAUGHT: [(&str, bool); 5] = [
    ("leak-recommendations", true),
    ("leak-search", true),
    ("slowing-payment", true),
    ("growing-checkout", true),
    ("hungry-search", false),
];

/// Built-in scenarios, none of which is taught; whether somebody could have known, and minutes. They begin after
/// [`BEFORE`] as when an operator plays them.
pub const BUILT_IN: [(&str, bool, i64); 17] = [
    ("memory-leak", true, 25),
    ("traffic-spike", true, 25),
    ("deadlock", true, 25),
    ("disk-pressure", true, 25),
    ("dependency-failure", true, 25),
    ("noisy-neighbour", false, 25),
    ("cpu-throttling", false, 25),
    ("oom-crash-loop", false, 25),
    ("bad-release", false, 25),
    ("bad-config", false, 25),
    ("node-failure", false, 25),
    ("zone-partition", false, 25),
    ("hpa-fight", false, 25),
    ("flapping-metrics", false, 25),
    ("over-provisioned", false, 25),
    ("cost-spike", false, 25),
    ("quiet-day", false, 60),
];

/// Numbers from a seed (SplitMix64).
struct Dice(u64);

impl Dice {
    fn of_lesson(name: &str, seed: u64) -> Self {
        Self(seed ^ name.bytes().fold(7u64, |h, b| h.wrapping_mul(31).wrapping_add(u64::from(b))))
    }

    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((x ^ (x >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    fn of<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[(self.unit() * all.len() as f64) as usize]
    }
}

/// One step of a scenario.
fn step(toml: &mut String, at_s: f64, rest: &str) {
    let _ = write!(toml, "\n[[step]]\nat = \"{}s\"\n{rest}\n", at_s.round());
}

fn image(toml: &mut String, at_s: f64, workload: &str, tag: &str) {
    let deed = format!(
        "do = \"set-image\"\nworkload = \"shop/{workload}\"\nimage = \"registry.example/shop/{workload}:{tag}\""
    );
    step(toml, at_s, &deed);
}

/// A release that never gives back a share of its memory, so many percent a minute.
fn leak(toml: &mut String, at_s: f64, workload: &str, percent: f64) {
    let deed = format!(
        "do = \"patch\"\nkind = \"Deployment\"\nname = \"shop/{workload}\"\n\
         patch = \"spec: {{template: {{metadata: {{annotations: {{kansole.dev/leak: '{percent:.1}%'}}}}}}}}\""
    );
    step(toml, at_s, &deed);
}

/// Seconds after the start at which a written scenario begins.
fn begin(dice: &mut Dice) -> f64 {
    (BEFORE as f64 * 60.0 + dice.between(15.0, 240.0)).round()
}

/// A written scenario. The same name and seed give the same text.
pub fn written(name: &str, seed: u64) -> String {
    let mut dice = Dice::of_lesson(name, seed);
    let mut toml = format!("name = \"{name}\"\ntitle = \"A lesson of failure prediction\"\n");
    let begin = begin(&mut dice);
    match name {
        "leak" => {
            let who = dice.of(&["checkout", "payment", "shipping", "frontend", "order-worker"]);
            leak(&mut toml, begin, who, dice.between(5.0, 30.0));
        }
        "leak-search" => leak(&mut toml, begin, "search", dice.between(5.0, 25.0)),
        "slow-leak-cart" => image(&mut toml, begin, "cart", "1.19.1"),
        "leak-recommendations" => image(&mut toml, begin, "recommendations", "0.9.1"),
        "rising-load" => {
            let (factor, ramp) = (dice.between(5.0, 12.0), dice.between(3.0, 12.0));
            let deed = format!("do = \"load\"\nfactor = {factor:.2}\nramp = \"{}s\"", (ramp * 60.0).round());
            step(&mut toml, begin, &deed);
        }
        "slowing-database" | "slowing-payment" => {
            let (who, factor) = match name {
                "slowing-database" => ("orders-db", dice.between(100.0, 250.0)),
                _ => ("payment", dice.between(30.0, 60.0)),
            };
            let ramp = (dice.between(5.0, 15.0) * 60.0).round();
            let deed = format!(
                "for = \"25m\"\ndo = \"slow\"\nworkload = \"shop/{who}\"\nfactor = {factor:.1}\nramp = \"{ramp}s\""
            );
            step(&mut toml, begin, &deed);
        }
        "failing-database" => {
            let who = dice.of(&["users-db", "orders-db"]);
            let (share, ramp) = (dice.between(0.3, 0.9), (dice.between(5.0, 15.0) * 60.0).round());
            let deed = format!(
                "for = \"25m\"\ndo = \"failing\"\nworkload = \"shop/{who}\"\nshare = {share:.2}\nramp = \"{ramp}s\""
            );
            step(&mut toml, begin, &deed);
        }
        "growing-load" | "growing-checkout" => {
            let (entrance, factor) = match name {
                "growing-load" => ("", dice.between(4.0, 8.0)),
                _ => ("entrance = \"checkout\"\n", dice.between(10.0, 20.0)),
            };
            let ramp = (dice.between(25.0, 35.0) * 60.0).round();
            let deed = format!("do = \"load\"\n{entrance}factor = {factor:.2}\nramp = \"{ramp}s\"");
            step(&mut toml, begin, &deed);
        }
        "load-at-one-entrance" => {
            let who = dice.of(&["browse", "search", "cart", "checkout"]);
            let (factor, ramp) = (dice.between(4.0, 15.0), (dice.between(2.0, 12.0) * 60.0).round());
            let deed =
                format!("for = \"25m\"\ndo = \"load\"\nentrance = \"{who}\"\nfactor = {factor:.2}\nramp = \"{ramp}s\"");
            step(&mut toml, begin, &deed);
        }
        "carried-load" | "carried-load-at-one-entrance" => {
            let who = dice.of(&["browse", "search", "cart", "checkout"]);
            let entrance = if name == "carried-load" { String::new() } else { format!("entrance = \"{who}\"\n") };
            let (factor, ramp) = (dice.between(2.0, 4.5), (dice.between(1.5, 8.0) * 60.0).round());
            step(
                &mut toml,
                begin,
                &format!("for = \"20m\"\ndo = \"load\"\n{entrance}factor = {factor:.2}\nramp = \"{ramp}s\""),
            );
        }
        "slowing-service" => {
            let who = dice.of(&["users-db", "cart", "checkout", "recommendations", "search", "cache"]);
            let (factor, ramp) = (dice.between(20.0, 200.0), (dice.between(4.0, 15.0) * 60.0).round());
            let deed = format!(
                "for = \"25m\"\ndo = \"slow\"\nworkload = \"shop/{who}\"\nfactor = {factor:.1}\nramp = \"{ramp}s\""
            );
            step(&mut toml, begin, &deed);
        }
        "locking-service" => {
            let who = dice.of(&["cart", "checkout", "payment", "search", "recommendations"]);
            let pause = dice.between(90.0, 300.0);
            for pods in 1..=2 {
                let at = begin + pause * f64::from(pods - 1);
                step(&mut toml, at, &format!("for = \"20m\"\ndo = \"lock\"\nworkload = \"shop/{who}\"\npods = {pods}"));
            }
            let deed = format!("for = \"10m\"\ndo = \"lock\"\nworkload = \"shop/{who}\"");
            step(&mut toml, begin + pause * 2.0, &deed);
        }
        "stuck-service" => {
            let who = dice.of(&["cart", "checkout", "payment", "search", "recommendations", "shipping"]);
            step(&mut toml, begin, &format!("for = \"10m\"\ndo = \"lock\"\nworkload = \"shop/{who}\""));
        }
        "gone-service" => {
            let who = dice.of(&["users-db", "cache", "payment", "cart"]);
            step(&mut toml, begin, &format!("for = \"10m\"\ndo = \"scale\"\nworkload = \"shop/{who}\"\nreplicas = 0"));
        }
        "another-cluster" => {
            // From the first seconds on: more customers than ever, on slower services. What was learned elsewhere does not fit.
            step(&mut toml, 5.0, &format!("do = \"load\"\nfactor = {:.2}", dice.between(2.5, 3.5)));
            for who in
                ["cart", "checkout", "payment", "search", "recommendations", "inventory", "orders-db", "users-db"]
            {
                let factor = dice.between(3.0, 6.0);
                step(&mut toml, 6.0, &format!("do = \"slow\"\nworkload = \"shop/{who}\"\nfactor = {factor:.1}"));
            }
        }
        "other-sizes" => {
            // The same names, and other programs behind them: what they take of memory and CPU, and how long they take, in other
            // sizes, with limits to match. Nothing is wrong with any of them.
            for who in ["cart", "checkout", "frontend", "payment", "recommendations", "search", "shipping"] {
                let [memory, cost, latency] = [(2.0, 5.0), (2.0, 5.0), (2.0, 4.0)].map(|(a, b)| dice.between(a, b));
                let deed = format!(
                    "do = \"patch\"\nkind = \"Deployment\"\nname = \"shop/{who}\"\n\
                     patch = \"spec: {{template: {{metadata: {{annotations: {{kansole.dev/memory: '{:.0}Mi', kansole.dev/cost: '{:.1}', \
                     kansole.dev/latency: '{:.0}'}}}}, spec: {{containers: [{{name: {who}, resources: {{limits: {{memory: '{:.0}Mi', \
                     cpu: '{:.0}m'}}}}}}]}}}}}}\"",
                    60.0 * memory,
                    4.0 * cost,
                    15.0 * latency,
                    400.0 * memory,
                    1000.0 * cost
                );
                step(&mut toml, 6.0, &deed);
            }
        }
        "hungry-worker" => image(&mut toml, begin, "order-worker", "2.2.0"),
        "hungry-search" => image(&mut toml, begin, "search", "5.1.0"),
        "abrupt-errors" => {
            let (who, tag) =
                [("search", "5.1.1"), ("checkout", "3.5.0"), ("frontend", "2.9.1")][(dice.unit() * 3.0) as usize];
            image(&mut toml, begin, who, tag);
        }
        _ => {
            // Everything that a day brings and that breaks nothing: good releases, restarts, more pods, more customers.
            image(&mut toml, begin, "cart", "1.18.1");
            step(&mut toml, begin + 300.0, "do = \"restart\"\nworkload = \"shop/checkout\"");
            image(&mut toml, begin + 500.0, "recommendations", "0.8.6");
            step(&mut toml, begin + 700.0, "do = \"scale\"\nworkload = \"shop/shipping\"\nreplicas = 4");
            step(&mut toml, begin + 900.0, "do = \"restart\"\nworkload = \"shop/search\"");
            let factor = dice.between(1.2, 1.7);
            step(
                &mut toml,
                begin + 1100.0,
                &format!("for = \"12m\"\ndo = \"load\"\nfactor = {factor:.2}\nramp = \"240s\""),
            );
            step(&mut toml, begin + 2000.0, "do = \"scale\"\nworkload = \"shop/shipping\"\nreplicas = 2");
        }
    }
    toml
}

/// A Tuesday, so many days later, at an hour that follows from the seed.
fn day(index: usize, seed: u64) -> DateTime<Utc> {
    let first: DateTime<Utc> = "2026-03-10T00:00:00Z".parse().expect("a time");
    let hours = 6 + Dice(seed.wrapping_mul(77)).between(0.0, 15.0) as i64;
    first + TimeDelta::days(index as i64) + TimeDelta::hours(hours)
}

fn session((name, foreseeable): (&'static str, bool), used: Use, seed: u64, index: usize) -> Session {
    let minutes = match name {
        "slow-leak-cart" | "harmless" | "hungry-worker" => 45,
        "growing-load" | "growing-checkout" => 55,
        _ => 32,
    };
    Session {
        name,
        toml: Some(written(name, seed)),
        seed,
        start: day(index, seed),
        before: BEFORE,
        minutes,
        used,
        foreseeable,
        cause: begin(&mut Dice::of_lesson(name, seed)),
    }
}

/// Days after the first that is taught on which examinations begin: all lessons are over.
const EXAM_DAY: usize = 200;

/// What is taught, one day after another: each scenario with each seed.
pub fn taught(seeds: std::ops::Range<u64>) -> Vec<Session> {
    let kinds = || TAUGHT.into_iter().chain(ALSO_TAUGHT);
    let round = kinds().count();
    let rounds = seeds.clone().enumerate();
    let carried = rounds.flat_map(|(at, seed)| {
        // In the nights between two rounds, so that whatever is cut off at the end has its share of both.
        CARRIED.into_iter().enumerate().map(move |(i, t)| {
            let more = session(t, Use::Taught, seed * 100 + 50_000 + i as u64, (at + 1) * round - 1);
            Session { start: more.start + TimeDelta::hours(10 + 2 * i as i64), ..more }
        })
    });
    let all = seeds.flat_map(|seed| kinds().map(move |t| (t, seed * 100)));
    all.enumerate().map(|(i, (t, seed))| session(t, Use::Taught, seed + i as u64, i)).chain(carried).collect()
}

/// Clusters that are unlike the one that was taught: in what is asked of them and how slow they are, and in their sizes.
pub const STRANGE: [&str; 2] = ["another-cluster", "other-sizes"];

/// A model has to see that, and to be silent.
pub fn strange(seeds: std::ops::Range<u64>) -> Vec<Session> {
    let all = seeds.flat_map(|seed| STRANGE.map(|name| (name, seed))).enumerate();
    all.map(|(i, (name, seed))| session((name, false), Use::HeldOut, seed * 1000 + 999, EXAM_DAY - 1 - i)).collect()
}

/// What is examined: seeds that were never taught, and scenarios of which nothing was.
pub fn examined(seeds: std::ops::Range<u64>) -> Vec<Session> {
    let mut all = Vec::new();
    for seed in seeds {
        let taught = TAUGHT.into_iter().map(|t| (t, Use::Taught));
        for (t, used) in taught.chain(UNTAUGHT.into_iter().map(|t| (t, Use::HeldOut))) {
            all.push(session(t, used, seed * 1000 + all.len() as u64, EXAM_DAY + all.len()));
        }
        for (name, foreseeable, minutes) in BUILT_IN {
            let (seed, start) = (seed * 1000 + all.len() as u64, day(EXAM_DAY + all.len(), seed));
            all.push(Session {
                name,
                toml: None,
                seed,
                start,
                before: BEFORE,
                minutes,
                used: Use::HeldOut,
                foreseeable,
                // Their first deeds come some 10 to 20 s after they are played.
                cause: 60.0 * BEFORE as f64,
            });
        }
    }
    all
}
