//! The TOML file of a space: parameters, constraints, objectives. What is wrong is named with line, column and key.

use crate::config::problem::{Problem as Mistake, Problems, Source, one_of};
use crate::ml::optimize::Space;
use crate::ml::optimize::expr::{Expr, Symbol, Type};
use crate::ml::optimize::space::{Dimension, Kind};
use anyhow::Context;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// The name that stands for all objectives.
pub const BALANCE: &str = "balance";

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Sort {
    Continuous,
    Integer,
    Categorical,
    Boolean,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Scale {
    Linear,
    Log,
}

/// Whether less or more is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Less.
    #[serde(alias = "minimize")]
    Minimise,
    /// More.
    #[serde(alias = "maximize")]
    Maximise,
}

impl Direction {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Minimise => "minimise",
            Self::Maximise => "maximise",
        }
    }

    /// What turns a value into a score, and a score into a value.
    pub fn sign(self) -> f64 {
        if self == Self::Minimise { 1.0 } else { -1.0 }
    }

    /// That of the names everybody knows.
    fn usual(name: &str) -> Option<Self> {
        match name {
            "latency" | "cost" => Some(Self::Minimise),
            "throughput" | "availability" => Some(Self::Maximise),
            _ => None,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    constraints: Vec<String>,
    #[serde(default)]
    parameters: BTreeMap<String, Parameter>,
    #[serde(default)]
    objectives: BTreeMap<String, Wish>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameter {
    r#type: Sort,
    low: Option<f64>,
    high: Option<f64>,
    scale: Option<Scale>,
    choices: Option<Vec<String>>,
    current: Option<toml::Value>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    direction: Option<Direction>,
    formula: Option<String>,
    column: Option<String>,
}

/// Something that can be wanted.
#[derive(Debug, Clone)]
pub struct Goal {
    /// Its name.
    pub name: String,
    /// Which way is better.
    pub direction: Direction,
    /// How it follows from the parameters, if that is told.
    pub formula: Option<Expr>,
    /// Its column among observations.
    pub column: String,
}

/// A whole file.
#[derive(Debug)]
pub struct Problem {
    /// The file, for messages.
    pub file: String,
    /// Parameters in the order of the file, with the constraints that are only about them.
    pub space: Space,
    /// What can be wanted, in the order of the file.
    pub goals: Vec<Goal>,
    /// Constraints about objectives; they look at parameters first, then objectives.
    pub limits: Vec<Expr>,
    /// What is in use, if every parameter tells it.
    pub current: Option<Vec<f64>>,
}

/// Which objectives are wanted.
#[derive(Debug, Clone)]
pub enum Wanted {
    /// One, by its place.
    One(usize, Direction),
    /// All.
    Balance,
}

impl Wanted {
    /// Which way is better; nothing for all together.
    pub fn direction(&self) -> Option<Direction> {
        if let Self::One(_, direction) = self { Some(*direction) } else { None }
    }
}

impl Problem {
    /// Reads a file.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(Self::parse(&path.display().to_string(), &text).map_err(Problems::from)?)
    }

    /// Reads a text.
    pub fn parse(file: &str, text: &str) -> Result<Self, Mistake> {
        let source = Source::parse(file, text)?;
        let held: File = toml::from_str(text).map_err(|error| source.refusal(&error))?;
        if held.parameters.is_empty() {
            return Err(source.problem("parameters", "there is nothing to choose", "add a [parameters.NAME] table"));
        }
        if held.objectives.is_empty() {
            return Err(source.problem("objectives", "nothing is wanted", "add an [objectives.NAME] table"));
        }
        let mut parameters: Vec<(&String, &Parameter)> = held.parameters.iter().collect();
        parameters.sort_by_key(|(name, _)| source.place_of(&format!("parameters.{name}")));
        let dimensions =
            parameters.iter().map(|(name, held)| dimension(&source, name, held)).collect::<Result<Vec<_>, _>>()?;
        let mut space = Space::new(dimensions).map_err(|bad| {
            let key = if let crate::ml::optimize::space::BadSpace::Dimension { name, .. } = &bad {
                format!("parameters.{name}")
            } else {
                "parameters".into()
            };
            source.problem(&key, bad.to_string(), "correct its bounds, scale or choices")
        })?;
        let goals = goals(&source, &held.objectives, &space)?;
        let mut limits = Vec::new();
        let mut symbols = space.symbols();
        let inputs = symbols.len();
        symbols.extend(goals.iter().map(|goal| Symbol { name: goal.name.clone(), kind: Type::Number }));
        for (at, text) in held.constraints.iter().enumerate() {
            let wrong = |bad: crate::ml::optimize::BadExpression| {
                source.problem(
                    &format!("constraints[{at}]"),
                    format!("{text:?}: {bad}"),
                    "write a condition such as cpu * replicas <= 16",
                )
            };
            let constraint = Expr::constraint(text, &symbols).map_err(wrong)?;
            if (inputs..symbols.len()).any(|place| constraint.uses(place)) {
                limits.push(constraint);
            } else {
                space.constrain(constraint);
            }
        }
        let current = current(&source, &parameters, &space)?;
        Ok(Self { file: file.to_owned(), space, goals, limits, current })
    }

    /// The objective of a name.
    pub fn wanted(&self, name: &str) -> anyhow::Result<Wanted> {
        if name == BALANCE {
            anyhow::ensure!(
                self.goals.len() > 1,
                "{}: {BALANCE} needs at least two objectives; there is {}",
                self.file,
                self.goals[0].name
            );
            return Ok(Wanted::Balance);
        }
        let known: Vec<&str> = self.goals.iter().map(|goal| goal.name.as_str()).collect();
        match self.goals.iter().position(|goal| goal.name == name) {
            Some(at) => Ok(Wanted::One(at, self.goals[at].direction)),
            None => anyhow::bail!("{}: no objective {name:?}; {}", self.file, one_of(name, &known)),
        }
    }
}

fn dimension(source: &Source, name: &str, held: &Parameter) -> Result<Dimension, Mistake> {
    let key = |part: &str| format!("parameters.{name}.{part}");
    let needs = |part: &str, value: Option<f64>| {
        value.ok_or_else(|| {
            source.problem(&format!("parameters.{name}"), format!("{part:?} is missing"), format!("add {part} = …"))
        })
    };
    let numeric = matches!(held.r#type, Sort::Continuous | Sort::Integer);
    let odd = [("low", held.low.is_some()), ("high", held.high.is_some()), ("scale", held.scale.is_some())];
    if let Some((part, _)) = odd.into_iter().find(|(_, there)| *there && !numeric) {
        return Err(source.problem(
            &key(part),
            "only numbers have it",
            "remove it, or make the type continuous or integer",
        ));
    }
    if held.choices.is_some() && held.r#type != Sort::Categorical {
        return Err(source.problem(
            &key("choices"),
            "only categorical parameters have choices",
            "remove it, or change the type",
        ));
    }
    let log = held.scale == Some(Scale::Log);
    let kind = match held.r#type {
        Sort::Continuous => Kind::Continuous { low: needs("low", held.low)?, high: needs("high", held.high)?, log },
        Sort::Integer => {
            let whole = |part: &'static str, value: f64| {
                let fits = value.fract() == 0.0 && value.abs() <= 1e9;
                let wrong = || {
                    source.problem(
                        &key(part),
                        format!("{value} is no whole number within a billion"),
                        "write one, or make the type continuous",
                    )
                };
                if fits { Ok(value as i32) } else { Err(wrong()) }
            };
            Kind::Integer {
                low: whole("low", needs("low", held.low)?)?,
                high: whole("high", needs("high", held.high)?)?,
                log,
            }
        }
        Sort::Categorical => {
            let wrong =
                || source.problem(&format!("parameters.{name}"), "\"choices\" is missing", "add choices = [\"…\"]");
            Kind::Categorical(held.choices.clone().ok_or_else(wrong)?)
        }
        Sort::Boolean => Kind::Boolean,
    };
    Ok(Dimension { name: name.to_owned(), kind })
}

fn goals(source: &Source, wishes: &BTreeMap<String, Wish>, space: &Space) -> Result<Vec<Goal>, Mistake> {
    let mut wishes: Vec<(&String, &Wish)> = wishes.iter().collect();
    wishes.sort_by_key(|(name, _)| source.place_of(&format!("objectives.{name}")));
    let mut goals = Vec::new();
    for (name, wish) in wishes {
        let key = format!("objectives.{name}");
        if name == BALANCE {
            return Err(source.problem(&key, "the name stands for all objectives together", "give it another name"));
        }
        if space.dimensions().iter().any(|dimension| dimension.name == *name) {
            return Err(source.problem(&key, "a parameter has this name", "give it another name"));
        }
        let Some(direction) = wish.direction.or_else(|| Direction::usual(name)) else {
            return Err(source.problem(
                &key,
                "\"direction\" is missing",
                "add direction = \"minimise\" or \"maximise\"",
            ));
        };
        let read = |text: &String| Expr::formula(text, &space.symbols());
        let formula = wish.formula.as_ref().map(read).transpose().map_err(|bad| {
            source.problem(&format!("{key}.formula"), bad.to_string(), "write an expression of the parameters")
        })?;
        goals.push(Goal {
            name: name.clone(),
            direction,
            formula,
            column: wish.column.clone().unwrap_or_else(|| name.clone()),
        });
    }
    Ok(goals)
}

/// The point that is in use; nothing if no parameter tells it.
fn current(source: &Source, parameters: &[(&String, &Parameter)], space: &Space) -> Result<Option<Vec<f64>>, Mistake> {
    if parameters.iter().all(|(_, held)| held.current.is_none()) {
        return Ok(None);
    }
    let value = |((name, held), dimension): (&(&String, &Parameter), &Dimension)| {
        let key = format!("parameters.{name}.current");
        let Some(value) = &held.current else {
            return Err(source.problem(
                &format!("parameters.{name}"),
                "\"current\" is missing, and others have it",
                "add current = … or remove the others",
            ));
        };
        let read = match (&dimension.kind, value) {
            (Kind::Categorical(choices), toml::Value::String(word)) => {
                choices.iter().position(|choice| choice == word).map(|at| at as f64)
            }
            (Kind::Boolean, toml::Value::Boolean(on)) => Some(f64::from(u8::from(*on))),
            (Kind::Continuous { .. } | Kind::Integer { .. }, toml::Value::Float(value)) => Some(*value),
            (Kind::Continuous { .. } | Kind::Integer { .. }, toml::Value::Integer(value)) => Some(*value as f64),
            _ => None,
        };
        let within = read.filter(|value| dimension.nearest(*value) == *value);
        within.ok_or_else(|| {
            source.problem(
                &key,
                format!("{value} is no value this parameter can have"),
                "write one within its bounds or choices",
            )
        })
    };
    parameters.iter().zip(space.dimensions()).map(value).collect::<Result<Vec<_>, _>>().map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
constraints = ["workers * cpu <= 16", "cost < 10"]
[parameters.workers]
type = "integer"
low = 1
high = 20
current = 4
[parameters.cpu]
type = "continuous"
low = 0.1
high = 4
scale = "log"
current = 1.0
[objectives.latency]
formula = "100 / (workers * cpu)"
[objectives.cost]
formula = "workers * cpu"
"#;

    #[test]
    fn a_whole_file_is_read_in_its_order() {
        let held = Problem::parse("s.toml", GOOD).unwrap();
        assert_eq!(held.space.dimensions().iter().map(|d| d.name.as_str()).collect::<Vec<_>>(), ["workers", "cpu"]);
        assert_eq!(held.goals.iter().map(|g| g.name.as_str()).collect::<Vec<_>>(), ["latency", "cost"]);
        assert_eq!(held.limits.len(), 1);
        assert_eq!(held.current, Some(vec![4.0, 1.0]));
        assert!(!held.space.allows(&[20.0, 4.0]) && held.space.allows(&[20.0, 0.5]));
        assert!(held.wanted("latncy").unwrap_err().to_string().contains("did you mean \"latency\"?"));
    }

    #[test]
    fn what_is_wrong_is_named_with_line_column_key_and_remedy() {
        for (from, to, wanted) in [
            (
                "high = 20",
                "high = 0",
                "s.toml:3:13: key parameters.workers: workers: low is above high; correct its bounds",
            ),
            ("low = 1\n", "low = 1.5\n", "s.toml:5:1: key parameters.workers.low: 1.5 is no whole number"),
            ("low = 1\n", "", "s.toml:3:13: key parameters.workers: \"low\" is missing; add low = …"),
            ("low = 1\n", "low = 1\nchoices = [\"a\"]\n", "key parameters.workers.choices: only categorical"),
            ("low = 0.1", "low = 0", "cpu: a logarithmic scale needs a low above 0"),
            ("low = 0.1", "low = \"x\"", "s.toml:10:1: key parameters.cpu.low"),
            (
                "workers * cpu <= 16",
                "workers * ram <= 16",
                "s.toml:2:16: key constraints[0]: \"workers * ram <= 16\": column 11: nothing is called `ram`",
            ),
            ("100 / (workers * cpu)", "100 / (workers", "key objectives.latency.formula: column 15: `)` is missing"),
            ("[objectives.latency]", "[objectives.speed]", "key objectives.speed: \"direction\" is missing"),
            ("[objectives.cost]", "[objectives.cpu]", "nothing is called `cost`"),
            ("current = 1.0", "current = 9", "key parameters.cpu.current: 9 is no value this parameter can have"),
            ("current = 1.0\n", "", "\"current\" is missing, and others have it"),
            ("scale = \"log\"", "scal = \"log\"", "unknown key \"scal\"; did you mean \"scale\"?"),
            ("high = 20", "high = = 20", "correct the TOML"),
        ] {
            assert!(GOOD.contains(from), "{from}");
            let error = Problem::parse("s.toml", &GOOD.replacen(from, to, 1)).map(|_| ()).unwrap_err().to_string();
            let known =
                error.contains(wanted) || to == "[objectives.cpu]" && error.contains("a parameter has this name");
            assert!(known, "{to}: {error}");
        }
        assert!(Problem::parse("s.toml", "").unwrap_err().to_string().contains("there is nothing to choose"));
    }
}
