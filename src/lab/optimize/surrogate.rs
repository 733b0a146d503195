//! A Gaussian process in the place of an objective: fitted to observations, examined on those it was not fitted to.

use super::number;
use super::observations::{Observations, key};
use crate::ml::gp::{Gp, Inputs};
use crate::ml::optimize::Space;
use crate::ml::optimize::encode::Encoding;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};

/// Different configurations it takes.
const LEAST: usize = 10;
/// Rows it is fitted to: a fit takes the cube of their number.
const MOST: usize = 200;
/// Parts the configurations are dealt into; each is predicted by a process fitted to the others.
const FOLDS: usize = 5;
/// Share of what is not known far from every observation that may be unknown where it still speaks.
const KNOWN: f64 = 0.5;
/// Greatest over least value above which logarithms are learned.
const WIDE: f64 = 20.0;
/// What of a normal distribution lies within 1.96 spreads is 95 %; within 1.645, 90 %.
const LIMITS: (f64, f64) = (1.96, 1.645);

/// A prediction of one measurement.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Expected {
    /// The middle of what is expected.
    pub value: f64,
    /// Within these it lies in 95 of 100 cases.
    pub within95: (f64, f64),
    /// Within these the mean of many measurements lies in 90 of 100 cases.
    pub within90: (f64, f64),
    /// Whether enough is known there.
    pub known: bool,
}

/// A fitted and examined process.
#[derive(Debug)]
pub struct Surrogate {
    gp: Gp,
    encoding: Encoding,
    log: bool,
    card: Value,
    skill: f64,
}

impl Surrogate {
    /// Fits an objective, told by its place and name. An error if there is too little to learn from, or cancelled.
    pub fn fit(
        space: &Space,
        told: &Observations,
        (place, name): (usize, &str),
        cancel: &AtomicBool,
    ) -> Result<Self, String> {
        let all: Vec<(&[f64], f64)> = told
            .rows
            .iter()
            .map(|row| (&row.point[..], row.values[place]))
            .filter(|(_, value)| value.is_finite())
            .collect();
        let step = all.len().div_ceil(MOST).max(1);
        let used: Vec<(&[f64], f64)> = all.iter().rev().step_by(step).rev().copied().collect();
        let mut folds: HashMap<Vec<u64>, usize> = HashMap::new();
        let fold: Vec<usize> = used
            .iter()
            .map(|(point, _)| {
                let next = folds.len();
                *folds.entry(key(point)).or_insert(next) % FOLDS
            })
            .collect();
        if folds.len() < LEAST {
            return Err(format!(
                "{name} was observed for {} different configurations; at least {LEAST} are needed",
                folds.len()
            ));
        }
        let (least, most) =
            used.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), (_, v)| (a.min(*v), b.max(*v)));
        let log = least > 0.0 && most / least > WIDE;
        let encoding = Encoding::of(space);
        let scaled = |value: f64| if log { value.ln() } else { value };
        let go = || !cancel.load(Ordering::Relaxed);
        let fit = |chosen: &dyn Fn(usize) -> bool| {
            let kept = || (0..used.len()).filter(|at| chosen(*at));
            let rows: Vec<f64> = kept().flat_map(|at| encoding.row(space, used[at].0)).collect();
            let targets: Vec<f64> = kept().map(|at| scaled(used[at].1)).collect();
            Gp::fit(Inputs { rows: &rows, groups: encoding.groups() }, &targets, None, &go)
        };
        let mut examined = Examined::default();
        for held in 0..FOLDS {
            let gp = fit(&|at| fold[at] != held).ok_or_else(|| format!("nothing could be fitted to {name}"))?;
            let rest = (0..used.len()).filter(|at| fold[*at] != held);
            let mean = mean(rest.map(|at| scaled(used[at].1)));
            for at in (0..used.len()).filter(|at| fold[*at] == held) {
                examined.hear(&gp, &encoding.row(space, used[at].0), scaled(used[at].1), mean);
            }
        }
        if !go() {
            return Err("cancelled".to_owned());
        }
        let gp = fit(&|_| true).ok_or_else(|| format!("nothing could be fitted to {name}"))?;
        let skill = examined.skill();
        let card = json!({
            "objective": name, "rows": used.len(), "configurations": folds.len(), "logarithmic": log,
            "heldOut": {
                "skill": number(skill), "meanError": number(examined.off / examined.count),
                "within95": number(examined.within / examined.count),
            },
            "noise": number(gp.noise()),
        });
        Ok(Self { gp, encoding, log, card, skill })
    }

    /// Share of the spread that is explained on held-out configurations; 0 or less is no better than their mean.
    pub fn skill(&self) -> f64 {
        self.skill
    }

    /// What was learned and how well, for the result.
    pub fn card(&self) -> Value {
        self.card.clone()
    }

    /// What a configuration is expected to yield.
    pub fn predict(&self, space: &Space, point: &[f64]) -> Expected {
        let found = self.gp.predict(&self.encoding.row(space, point))[0];
        let raw = |value: f64| if self.log { value.exp() } else { value };
        let within = |spread: f64| (raw(found.mean - spread), raw(found.mean + spread));
        let single = (found.spread.powi(2) + self.gp.noise().powi(2)).sqrt();
        Expected {
            value: raw(found.mean),
            within95: within(LIMITS.0 * single),
            within90: within(LIMITS.1 * found.spread),
            known: found.spread <= KNOWN * self.gp.ignorance(),
        }
    }
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    sum / count
}

/// Errors on what was held out.
#[derive(Default)]
struct Examined {
    count: f64,
    off: f64,
    squares: f64,
    /// Squared errors of the mean of the others.
    plain: f64,
    within: f64,
}

impl Examined {
    fn hear(&mut self, gp: &Gp, row: &[f64], truth: f64, mean: f64) {
        let found = gp.predict(row)[0];
        let off = (found.mean - truth).abs();
        self.count += 1.0;
        self.off += off;
        self.squares += off * off;
        self.plain += (truth - mean).powi(2);
        let spread = (found.spread.powi(2) + gp.noise().powi(2)).sqrt();
        self.within += f64::from(u8::from(off <= LIMITS.0 * spread));
    }

    fn skill(&self) -> f64 {
        if self.plain > 0.0 { 1.0 - self.squares / self.plain } else { 0.0 }
    }
}
