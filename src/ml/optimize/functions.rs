//! Functions that optimisers are compared on (Jamil & Yang 2013; Surjanovic & Bingham), and their spaces.

use super::Space;
use super::space::{Dimension, Kind};
use std::f64::consts::{E, PI, TAU};

/// A function to be minimised, and what is known of it.
pub struct Function {
    /// Its name.
    pub name: &'static str,
    /// Where it is defined.
    pub space: Space,
    /// Its value at a point.
    pub value: fn(&[f64]) -> f64,
    /// Its least value.
    pub least: f64,
}

fn numbers(count: usize, low: f64, high: f64) -> Space {
    let kind = Kind::Continuous { low, high, log: false };
    let named = |at: usize| Dimension { name: format!("x{at}"), kind: kind.clone() };
    Space::new((0..count).map(named).collect()).expect("sound bounds")
}

fn rosenbrock(x: &[f64]) -> f64 {
    x.windows(2).map(|x| 100.0 * (x[1] - x[0] * x[0]).powi(2) + (1.0 - x[0]).powi(2)).sum()
}

fn rastrigin(x: &[f64]) -> f64 {
    x.iter().map(|x| x * x - 10.0 * (TAU * x).cos() + 10.0).sum()
}

fn ackley(x: &[f64]) -> f64 {
    let count = x.len() as f64;
    let square = x.iter().map(|x| x * x).sum::<f64>() / count;
    let wave = x.iter().map(|x| (TAU * x).cos()).sum::<f64>() / count;
    20.0 - 20.0 * (-0.2 * square.sqrt()).exp() + E - wave.exp()
}

fn branin(x: &[f64]) -> f64 {
    let bent = x[1] - 5.1 / (4.0 * PI * PI) * x[0] * x[0] + 5.0 / PI * x[0] - 6.0;
    bent * bent + 10.0 * (1.0 - 1.0 / (8.0 * PI)) * x[0].cos() + 10.0
}

fn hartmann(x: &[f64]) -> f64 {
    const HEIGHTS: [f64; 4] = [1.0, 1.2, 3.0, 3.2];
    const NARROW: [[f64; 6]; 4] = [
        [10.0, 3.0, 17.0, 3.5, 1.7, 8.0],
        [0.05, 10.0, 17.0, 0.1, 8.0, 14.0],
        [3.0, 3.5, 1.7, 10.0, 17.0, 8.0],
        [17.0, 8.0, 0.05, 10.0, 0.1, 14.0],
    ];
    const PLACES: [[f64; 6]; 4] = [
        [0.1312, 0.1696, 0.5569, 0.0124, 0.8283, 0.5886],
        [0.2329, 0.4135, 0.8307, 0.3736, 0.1004, 0.9991],
        [0.2348, 0.1451, 0.3522, 0.2883, 0.3047, 0.665],
        [0.4047, 0.8828, 0.8732, 0.5743, 0.1091, 0.0381],
    ];
    let well = |at: usize| {
        let off =
            x.iter().zip(NARROW[at].iter().zip(PLACES[at])).map(|(x, (narrow, place))| narrow * (x - place).powi(2));
        HEIGHTS[at] * (-off.sum::<f64>()).exp()
    };
    -(0..4).map(well).sum::<f64>()
}

/// What a job might be tuned by: memory in MiB (logarithmic), executors, a codec, a switch. The codecs have different
/// best places, and the switch only pays with many executors.
fn mixed(x: &[f64]) -> f64 {
    let (memory, executors, codec, prefetch) = (x[0], x[1], x[2], x[3]);
    let best = [1024.0f64, 2048.0, 512.0][codec as usize];
    let fit = (memory / best).ln().powi(2);
    let work = 40.0 / executors + 0.5 * executors;
    let saved = if prefetch == 1.0 { (executors - 6.0) * 0.4 } else { 0.0 };
    fit * 3.0 + work - saved + [1.0, 0.0, 2.0][codec as usize]
}

fn tuned() -> Space {
    let words = ["zstd", "gzip", "none"].map(str::to_owned).to_vec();
    let held = [
        ("memory", Kind::Continuous { low: 128.0, high: 16384.0, log: true }),
        ("executors", Kind::Integer { low: 1, high: 40, log: false }),
        ("codec", Kind::Categorical(words)),
        ("prefetch", Kind::Boolean),
    ];
    Space::new(held.map(|(name, kind)| Dimension { name: name.into(), kind }).to_vec()).expect("sound bounds")
}

/// All of them.
pub fn all() -> Vec<Function> {
    let branin_space = {
        let kind = |low, high| Kind::Continuous { low, high, log: false };
        let named = |name: &str, kind| Dimension { name: name.into(), kind };
        Space::new(vec![named("x0", kind(-5.0, 10.0)), named("x1", kind(0.0, 15.0))]).expect("sound bounds")
    };
    // 19 executors and 20 do alike with the switch on: 40 / 20 + 0.1 * 20 + 2.4 is the least
    let mixed_least = 40.0 / 20.0 + 10.0 - 5.6;
    vec![
        Function { name: "rosenbrock 4", space: numbers(4, -2.0, 2.0), value: rosenbrock, least: 0.0 },
        Function { name: "rastrigin 4", space: numbers(4, -4.12, 5.12), value: rastrigin, least: 0.0 },
        Function { name: "ackley 4", space: numbers(4, -20.0, 32.0), value: ackley, least: 0.0 },
        Function { name: "branin", space: branin_space, value: branin, least: 0.397_887_357_729_738_6 },
        Function { name: "hartmann 6", space: numbers(6, 0.0, 1.0), value: hartmann, least: -3.322_368_011_415_51 },
        Function { name: "mixed 4", space: tuned(), value: mixed, least: mixed_least },
    ]
}
