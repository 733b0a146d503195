//! What a configuration yields by formulas or by observations, and how good that is for what is wanted.

use super::observations::Observations;
use super::spacefile::{Direction, Problem, Wanted};
use super::surrogate::Surrogate;
use super::{number, object};
use crate::ml::optimize::portfolio::{self, Budget};
use crate::ml::optimize::search::{Objective, Outcome};
use serde_json::{Value, json};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// Configurations by which objectives are made comparable.
const LOOKS: usize = 64;
/// Best observed configurations that every phase begins with.
const STARTS: usize = 5;

/// Where an objective's values come from.
enum Source {
    Formula(crate::ml::optimize::expr::Expr),
    Learned(Box<Surrogate>),
    /// Nothing tells it, and nothing asks for it.
    Nothing,
}

/// The objectives of a space.
pub struct Model<'a> {
    problem: &'a Problem,
    wanted: Wanted,
    sources: Vec<Source>,
    /// Per objective a low and a high value between which it counts from 0 to 1 in a balance, if it differs at all.
    scales: Vec<Option<(f64, f64)>>,
    observed: Option<&'a Observations>,
    notes: Vec<String>,
    /// Whether what is wanted had a value anywhere.
    spoke: bool,
}

impl<'a> Model<'a> {
    /// Every objective by its formula.
    pub fn formulas(problem: &'a Problem, wanted: &Wanted) -> anyhow::Result<Self> {
        let mut sources = Vec::new();
        for (at, goal) in problem.goals.iter().enumerate() {
            match &goal.formula {
                Some(formula) => sources.push(Source::Formula(formula.clone())),
                None if needed(problem, wanted, at) => anyhow::bail!(
                    "{}: key objectives.{}: it has no formula; add one, or give observations with --data",
                    problem.file,
                    goal.name
                ),
                None => sources.push(Source::Nothing),
            }
        }
        let notes = vec!["values are those of the formulas: nobody measured them".to_owned()];
        Ok(Self { problem, wanted: wanted.clone(), sources, scales: Vec::new(), observed: None, notes, spoke: false })
    }

    /// Every objective by what was observed of it. An error if one that is needed can't be learned.
    pub fn learned(
        problem: &'a Problem,
        told: &'a Observations,
        wanted: &Wanted,
        cancel: &AtomicBool,
    ) -> anyhow::Result<Self> {
        let (mut sources, mut notes) = (Vec::new(), told.notes.clone());
        for (at, goal) in problem.goals.iter().enumerate() {
            let found = if told.measured[at] {
                Surrogate::fit(&problem.space, told, (at, &goal.name), cancel).and_then(|fitted| {
                    let (name, skill) = (&goal.name, fitted.skill());
                    let useless = || format!("the parameters do not tell {name}: predictions of configurations that were held out are no better than the mean (skill {skill:.2})");
                    if skill > 0.0 { Ok(fitted) } else { Err(useless()) }
                })
            } else {
                Err(format!("there is no column {:?} for {}", goal.column, goal.name))
            };
            match found {
                Ok(fitted) => sources.push(Source::Learned(Box::new(fitted))),
                Err(why) if needed(problem, wanted, at) => anyhow::bail!(why),
                Err(why) => {
                    notes.push(format!("{why}; it is left out"));
                    sources.push(Source::Nothing);
                }
            }
        }
        notes.push("configurations about which the observations say little were not considered".to_owned());
        Ok(Self {
            problem,
            wanted: wanted.clone(),
            sources,
            scales: Vec::new(),
            observed: Some(told),
            notes,
            spoke: false,
        })
    }

    /// For a balance: sees what objectives can be, so that none counts more for its unit.
    pub fn look_around(&mut self, seed: u64) -> anyhow::Result<()> {
        if matches!(self.wanted, Wanted::One(..)) {
            return Ok(());
        }
        let (never, starts) = (AtomicBool::new(false), self.starts());
        let budget = Budget { evaluations: LOOKS, time: Duration::from_secs(3600), cancel: &never, seed };
        let mut rows: Vec<Vec<f64>> = Vec::new();
        let mut look = |point: &[f64]| {
            rows.push(self.values(point));
            f64::NAN // nothing is best yet, so that nothing is refined
        };
        portfolio::run(&self.problem.space, &mut look, &mut [], &starts, budget, &mut |_, _| {})
            .map_err(|hopeless| anyhow::anyhow!("{}: {hopeless}", self.problem.file))?;
        let scale = |at: usize| {
            let mut values: Vec<f64> = rows.iter().map(|row| row[at]).filter(|value| value.is_finite()).collect();
            values.sort_by(f64::total_cmp);
            let edge = values.len() / 20;
            let (low, high) = (*values.get(edge)?, *values.get(values.len().checked_sub(1 + edge)?)?);
            (high > low).then_some((low, high))
        };
        self.scales = (0..self.problem.goals.len()).map(scale).collect();
        Ok(())
    }

    /// Values of all objectives at a point; NaN where nothing tells them or too little is known.
    fn values(&self, point: &[f64]) -> Vec<f64> {
        let value = |source: &Source| match source {
            Source::Formula(formula) => formula.at(point),
            Source::Learned(fitted) => {
                let expected = fitted.predict(&self.problem.space, point);
                if expected.known { expected.value } else { f64::NAN }
            }
            Source::Nothing => f64::NAN,
        };
        self.sources.iter().map(value).collect()
    }

    /// Whether a point keeps the constraints about objectives, with all that is believed of them.
    fn within_limits(&self, point: &[f64], values: &[f64]) -> bool {
        let spans = self.sources.iter().zip(values).map(|(source, value)| match source {
            Source::Learned(fitted) if value.is_finite() => fitted.predict(&self.problem.space, point).within90,
            _ => (*value, *value),
        });
        let bounds: Vec<(f64, f64)> = point.iter().map(|value| (*value, *value)).chain(spans).collect();
        let exact: Vec<f64> = point.iter().chain(values).copied().collect();
        self.problem.limits.iter().all(|limit| limit.holds(&exact) && limit.range(&bounds).0 == 1.0)
    }

    fn score(&self, values: &[f64]) -> f64 {
        match &self.wanted {
            Wanted::One(at, direction) => direction.sign() * values[*at],
            Wanted::Balance => {
                let part = |((value, scale), goal): ((&f64, &Option<(f64, f64)>), &super::spacefile::Goal)| {
                    let Some((low, high)) = scale else { return if value.is_finite() { 0.0 } else { f64::NAN } };
                    let share = (value - low) / (high - low);
                    if goal.direction == Direction::Minimise { share } else { 1.0 - share }
                };
                let parts = values.iter().zip(&self.scales).zip(&self.problem.goals);
                parts.map(part).sum::<f64>() / values.len() as f64
            }
        }
    }

    /// What turns scores into values of what is wanted.
    pub fn sign(&self) -> f64 {
        self.wanted.direction().map_or(1.0, Direction::sign)
    }

    /// Objectives of which something is known.
    pub fn objectives(&self) -> usize {
        self.sources.iter().filter(|source| !matches!(source, Source::Nothing)).count()
    }

    /// Values as less is better, without those of which nothing is known.
    pub fn signed(&self, values: &[f64]) -> Vec<f64> {
        let all = values.iter().zip(&self.problem.goals).zip(&self.sources);
        all.filter(|(_, source)| !matches!(source, Source::Nothing))
            .map(|((value, goal), _)| goal.direction.sign() * value)
            .collect()
    }

    /// A configuration with its names.
    pub fn configuration(&self, point: &[f64]) -> Value {
        use crate::ml::optimize::space::Kind;
        let pairs = self.problem.space.dimensions().iter().zip(point).map(|(dimension, value)| {
            let told = match dimension.kind {
                Kind::Categorical(_) => json!(dimension.told(*value)),
                Kind::Boolean => json!(*value == 1.0),
                Kind::Integer { .. } => json!(*value as i64),
                Kind::Continuous { .. } => json!(value),
            };
            (dimension.name.clone(), told)
        });
        object(pairs)
    }

    /// What is expected of a configuration, with 95 % intervals of a single measurement where it was learned.
    pub fn predicted(&self, point: &[f64]) -> Value {
        let told = |(source, goal): (&Source, &super::spacefile::Goal)| {
            let told = match source {
                Source::Formula(formula) => json!({"value": number(formula.at(point))}),
                Source::Learned(fitted) => {
                    let expected = fitted.predict(&self.problem.space, point);
                    let (low, high) = expected.within95;
                    json!({"value": number(expected.value), "lo95": number(low), "hi95": number(high), "known": expected.known})
                }
                Source::Nothing => return None,
            };
            Some((goal.name.clone(), told))
        };
        object(self.sources.iter().zip(&self.problem.goals).filter_map(told))
    }

    /// What was learned of each objective.
    pub fn cards(&self) -> Option<Vec<Value>> {
        let cards = self
            .sources
            .iter()
            .filter_map(|source| if let Source::Learned(fitted) = source { Some(fitted.card()) } else { None });
        self.observed.map(|_| cards.collect())
    }

    /// What is in use.
    pub fn current(&self) -> Option<&[f64]> {
        self.problem.current.as_deref()
    }

    /// Where every phase begins: what is in use, and the best that was observed.
    pub fn starts(&self) -> Vec<Vec<f64>> {
        let mut rows = self.ranked();
        rows.truncate(STARTS);
        self.current().map(<[f64]>::to_vec).into_iter().chain(rows.into_iter().map(|(_, point)| point)).collect()
    }

    /// Observed configurations that keep the constraints, the best first; for a balance as they came.
    fn ranked(&self) -> Vec<(f64, Vec<f64>)> {
        let Some(observed) = self.observed else { return Vec::new() };
        let kept = |row: &&super::observations::Row| {
            let all: Vec<f64> = row.point.iter().chain(&row.values).copied().collect();
            self.problem.space.allows(&row.point) && self.problem.limits.iter().all(|limit| limit.holds(&all))
        };
        let allowed = observed.rows.iter().filter(kept);
        let score = |values: &[f64]| {
            if let Wanted::One(at, direction) = &self.wanted { direction.sign() * values[*at] } else { 0.0 }
        };
        let mut rows: Vec<(f64, Vec<f64>)> =
            allowed.map(|row| (score(&row.values), row.point.clone())).filter(|(score, _)| score.is_finite()).collect();
        rows.sort_by(|a, b| a.0.total_cmp(&b.0));
        rows.dedup_by(|a, b| a.1 == b.1);
        rows
    }

    /// The best single measurement of one objective, for comparison; a lucky one may be among them.
    pub fn best_observed(&self) -> Option<Value> {
        let Wanted::One(_, direction) = &self.wanted else { return None };
        let (score, point) = self.ranked().into_iter().next()?;
        Some(json!({"configuration": self.configuration(&point), "value": number(direction.sign() * score)}))
    }

    /// What the reader has to know.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Why no configuration that was tried may be chosen.
    pub fn why_nothing(&self) -> String {
        let limits: Vec<String> = self.problem.limits.iter().map(|limit| format!("`{}`", limit.text())).collect();
        match (limits.is_empty() || !self.spoke, self.observed.is_some()) {
            (true, false) => "the formula gives no number for any configuration that was tried".to_owned(),
            (true, true) => "the observations say too little about every configuration that was tried".to_owned(),
            (false, false) => format!("no configuration that was tried keeps {}", limits.join(" and ")),
            (false, true) => format!("no configuration of which enough is known surely keeps {}", limits.join(" and ")),
        }
    }
}

/// Whether something asks for an objective.
fn needed(problem: &Problem, wanted: &Wanted, at: usize) -> bool {
    let place = problem.space.dimensions().len() + at;
    let asked = match wanted {
        Wanted::One(wanted, _) => *wanted == at,
        Wanted::Balance => true,
    };
    asked || problem.limits.iter().any(|limit| limit.uses(place))
}

impl Objective for Model<'_> {
    fn measure(&mut self, point: &[f64]) -> Outcome {
        let values = self.values(point);
        let score = self.score(&values);
        self.spoke |= score.is_finite();
        let score = if self.within_limits(point, &values) { score } else { f64::NAN };
        Outcome { score, metrics: values }
    }
}
