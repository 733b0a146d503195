//! What is evaluated: promql-parser's tree with everything resolved that does not depend on samples. Selectors have
//! compiled matchers and absolute `@` times, arguments that are text are text, parentheses are gone, and what does not
//! change from step to step is marked (after `PreprocessExpr` in Prometheus's `promql/engine.go`).

use super::metric::{Grouping, NAME};
use super::storage::{Match, Matcher};
use promql_parser::label::{MatchOp, Matchers};
use promql_parser::parser::{
    AggregateExpr, AtModifier, BinaryExpr, Call, Expr, LabelModifier, Offset, SubqueryExpr, VectorMatchCardinality,
    VectorSelector,
};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, UNIX_EPOCH};

pub use promql_parser::parser::value::ValueType;

/// Deeper expressions are refused: evaluation recurses, and its stack has an end.
const DEPTH: usize = 200;

/// A node of the plan.
#[derive(Debug)]
pub enum Node {
    /// A number.
    Number(f64),
    /// A text; only as the whole query or as an argument.
    Text(String),
    /// The last sample of each series.
    Select(Selector),
    /// The samples of each series in the time before, milliseconds.
    Window(Selector, i64),
    /// An expression's values in the time before.
    Subquery(Box<Subquery>),
    /// A function's call.
    Call(Function, Vec<Node>),
    /// An aggregation.
    Aggregate(Box<Aggregate>),
    /// An operator between two expressions.
    Binary(Box<Binary>),
    /// Unary minus.
    Negate(Box<Node>),
    /// Evaluated once, for every step.
    Invariant(Box<Node>),
}

/// A function: its name and what it gives.
#[derive(Debug, Clone, Copy)]
pub struct Function {
    /// Name.
    pub name: &'static str,
    /// What it gives.
    pub gives: ValueType,
}

/// Which series, and when.
#[derive(Debug)]
pub struct Selector {
    /// Conditions, that of the name included.
    pub matchers: Vec<Matcher>,
    /// `@`, milliseconds.
    pub at: Option<i64>,
    /// `offset`, milliseconds.
    pub offset: i64,
}

/// A subquery.
#[derive(Debug)]
pub struct Subquery {
    /// What is evaluated.
    pub inner: Node,
    /// How far back, milliseconds.
    pub range: i64,
    /// Resolution, milliseconds; by default the global evaluation interval.
    pub step: Option<i64>,
    /// `@`, milliseconds.
    pub at: Option<i64>,
    /// `offset`, milliseconds.
    pub offset: i64,
}

/// An aggregation.
#[derive(Debug)]
pub struct Aggregate {
    /// `sum`, `topk`, …
    pub op: String,
    /// `by` or `without`.
    pub grouping: Grouping,
    /// `topk`'s k, `count_values`' label, …
    pub param: Option<Node>,
    /// What is aggregated.
    pub inner: Node,
}

/// An operator between two expressions.
#[derive(Debug)]
pub struct Binary {
    /// `+`, `and`, …
    pub op: Operator,
    /// Left.
    pub left: Node,
    /// Right.
    pub right: Node,
    /// Which series belong together.
    pub on: Grouping,
    /// How many of them.
    pub many: Many,
    /// `group_left(…)`: labels taken from the one side.
    pub include: Vec<String>,
    /// `bool`.
    pub bool: bool,
}

/// Which side may have several series of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Many {
    /// None.
    Neither,
    /// `group_left`.
    Left,
    /// `group_right`.
    Right,
}

/// A binary operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Operator {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Pow,
    Atan2,
    Equal,
    NotEqual,
    Greater,
    Less,
    GreaterEqual,
    LessEqual,
    And,
    Or,
    Unless,
}

impl Operator {
    fn of(text: &str) -> Option<Self> {
        Some(match text {
            "+" => Self::Add,
            "-" => Self::Sub,
            "*" => Self::Mul,
            "/" => Self::Div,
            "%" => Self::Mod,
            "^" => Self::Pow,
            "atan2" => Self::Atan2,
            "==" => Self::Equal,
            "!=" => Self::NotEqual,
            ">" => Self::Greater,
            "<" => Self::Less,
            ">=" => Self::GreaterEqual,
            "<=" => Self::LessEqual,
            "and" => Self::And,
            "or" => Self::Or,
            "unless" => Self::Unless,
            _ => return None,
        })
    }

    /// Whether it compares.
    pub fn compares(self) -> bool {
        use Operator as O;
        matches!(self, O::Equal | O::NotEqual | O::Greater | O::Less | O::GreaterEqual | O::LessEqual)
    }
}

impl Node {
    /// What it gives.
    pub fn gives(&self) -> ValueType {
        match self {
            Self::Number(_) => ValueType::Scalar,
            Self::Text(_) => ValueType::String,
            Self::Window(..) | Self::Subquery(_) => ValueType::Matrix,
            Self::Select(_) | Self::Aggregate(_) => ValueType::Vector,
            Self::Call(function, _) => function.gives,
            Self::Negate(inner) | Self::Invariant(inner) => inner.gives(),
            Self::Binary(b) if b.left.gives() == ValueType::Scalar && b.right.gives() == ValueType::Scalar => {
                ValueType::Scalar
            }
            Self::Binary(_) => ValueType::Vector,
        }
    }

    /// The node under a mark of invariance.
    pub fn bare(&self) -> &Node {
        if let Self::Invariant(inner) = self { inner } else { self }
    }

    fn wrapped(self) -> Self {
        Self::Invariant(Box::new(self))
    }
}

/// Functions whose result depends on the time of evaluation even when their arguments do not (`AtModifierUnsafeFunctions`).
const OF_TIME: [&str; 11] = [
    "days_in_month",
    "day_of_month",
    "day_of_week",
    "day_of_year",
    "hour",
    "minute",
    "month",
    "year",
    "predict_linear",
    "time",
    "timestamp",
];

/// Plans an expression for a query from `start` to `end` (milliseconds). Errors are the parser's (`bad_data`).
pub fn plan(expr: Expr, start: i64, end: i64) -> Result<Node, String> {
    let (node, mark) = Planner { start, end }.node(expr, 0)?;
    Ok(if mark.wrap { node.wrapped() } else { node })
}

/// The matchers of a series selector, as `match[]` has them.
pub fn selector(expr: Expr) -> Option<Result<Vec<Matcher>, String>> {
    match expr {
        Expr::VectorSelector(v) if v.at.is_none() && v.offset.is_none() => Some(matchers(v.name, v.matchers)),
        _ => None,
    }
}

struct Planner {
    start: i64,
    end: i64,
}

/// What is known of a node's dependence on the step.
#[derive(Clone, Copy)]
struct Mark {
    /// Its value is the same for all steps.
    invariant: bool,
    /// And evaluating it once is worth a mark.
    wrap: bool,
}

const STEADY: Mark = Mark { invariant: true, wrap: true };
const VARIES: Mark = Mark { invariant: false, wrap: false };

impl Planner {
    fn node(&self, expr: Expr, depth: usize) -> Result<(Node, Mark), String> {
        if depth > DEPTH {
            return Err(format!("expression is nested more than {DEPTH} deep"));
        }
        let depth = depth + 1;
        Ok(match expr {
            Expr::NumberLiteral(n) => (Node::Number(n.val), Mark { invariant: true, wrap: false }),
            Expr::StringLiteral(s) => (Node::Text(s.val), Mark { invariant: true, wrap: false }),
            Expr::Paren(p) => self.node(*p.expr, depth)?,
            Expr::Unary(u) => {
                let (inner, mark) = self.node(*u.expr, depth)?;
                (Node::Negate(Box::new(inner)), mark)
            }
            Expr::VectorSelector(v) => {
                let selector = self.selector(v)?;
                let mark = if selector.at.is_some() { STEADY } else { VARIES };
                (Node::Select(selector), mark)
            }
            Expr::MatrixSelector(m) => {
                let selector = self.selector(m.vs)?;
                let invariant = selector.at.is_some();
                (Node::Window(selector, millis(m.range)), Mark { invariant, wrap: false })
            }
            Expr::Subquery(s) => self.subquery(s, depth)?,
            Expr::Aggregate(a) => self.aggregate(a, depth)?,
            Expr::Binary(b) => self.binary(b, depth)?,
            Expr::Call(c) => self.call(c, depth)?,
            Expr::Extension(_) => return Err("unexpected extension".into()),
        })
    }

    fn selector(&self, v: VectorSelector) -> Result<Selector, String> {
        let (at, offset) = (self.at(v.at.as_ref()), offset(v.offset.as_ref()));
        Ok(Selector { matchers: matchers(v.name, v.matchers)?, at, offset })
    }

    fn at(&self, at: Option<&AtModifier>) -> Option<i64> {
        Some(match at? {
            AtModifier::Start => self.start,
            AtModifier::End => self.end,
            AtModifier::At(time) => match time.duration_since(UNIX_EPOCH) {
                Ok(after) => millis(after),
                Err(before) => -millis(before.duration()),
            },
        })
    }

    fn subquery(&self, s: SubqueryExpr, depth: usize) -> Result<(Node, Mark), String> {
        let (inner, mark) = self.node(*s.expr, depth)?;
        let inner = if mark.invariant { inner.wrapped() } else { inner };
        let at = self.at(s.at.as_ref());
        let step = s.step.map(millis).filter(|step| *step > 0);
        let node = Subquery { inner, range: millis(s.range), step, at, offset: offset(s.offset.as_ref()) };
        Ok((Node::Subquery(Box::new(node)), if at.is_some() { STEADY } else { VARIES }))
    }

    fn aggregate(&self, a: AggregateExpr, depth: usize) -> Result<(Node, Mark), String> {
        let op = a.op.to_string();
        let param = a.param.map(|p| self.node(*p, depth)).transpose()?.map(|(p, _)| p);
        // The parser checks the others' parameters.
        if let (Some(p), "limitk" | "limit_ratio") = (&param, op.as_str())
            && p.gives() != ValueType::Scalar
        {
            return Err(format!("expected type scalar in aggregation parameter, got {}", p.gives()));
        }
        let (inner, mark) = self.node(*a.expr, depth)?;
        Ok((Node::Aggregate(Box::new(Aggregate { op, grouping: grouping(a.modifier.as_ref()), param, inner })), mark))
    }

    fn binary(&self, b: BinaryExpr, depth: usize) -> Result<(Node, Mark), String> {
        let op = Operator::of(&b.op.to_string()).ok_or_else(|| format!("unexpected operator {}", b.op))?;
        let (left, l) = self.node(*b.lhs, depth)?;
        let (right, r) = self.node(*b.rhs, depth)?;
        let both = l.invariant && r.invariant;
        let modifier = b.modifier.unwrap_or_default();
        if modifier.fill_values.lhs.is_some() || modifier.fill_values.rhs.is_some() {
            return Err("fill modifiers are newer than this Prometheus".into());
        }
        let (many, include) = match modifier.card {
            VectorMatchCardinality::ManyToOne(labels) => (Many::Left, labels.labels),
            VectorMatchCardinality::OneToMany(labels) => (Many::Right, labels.labels),
            VectorMatchCardinality::OneToOne | VectorMatchCardinality::ManyToMany => (Many::Neither, Vec::new()),
        };
        let node = Binary {
            op,
            left: if !both && l.wrap { left.wrapped() } else { left },
            right: if !both && r.wrap { right.wrapped() } else { right },
            on: grouping_of(modifier.matching.as_ref(), false),
            many,
            include,
            bool: modifier.return_bool,
        };
        Ok((Node::Binary(Box::new(node)), if both { STEADY } else { VARIES }))
    }

    fn call(&self, c: Call, depth: usize) -> Result<(Node, Mark), String> {
        let name = c.func.name;
        if !super::functions::known(name) {
            return Err(format!("unknown function with name {}", super::format::quoted(name)));
        }
        let args: Vec<(Node, Mark)> =
            c.args.args.into_iter().map(|a| self.node(*a, depth)).collect::<Result<_, _>>()?;
        let steady = !OF_TIME.contains(&name) && args.iter().all(|(_, mark)| mark.invariant);
        let args = args.into_iter().map(|(a, mark)| if !steady && mark.wrap { a.wrapped() } else { a }).collect();
        let node = Node::Call(Function { name, gives: c.func.return_type }, args);
        Ok((node, if steady { STEADY } else { VARIES }))
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 4).min(i64::MAX / 4)
}

fn offset(offset: Option<&Offset>) -> i64 {
    match offset {
        Some(Offset::Pos(d)) => millis(*d),
        Some(Offset::Neg(d)) => -millis(*d),
        None => 0,
    }
}

fn grouping(modifier: Option<&LabelModifier>) -> Grouping {
    grouping_of(modifier, true)
}

fn grouping_of(modifier: Option<&LabelModifier>, only: bool) -> Grouping {
    let labels = |m: &LabelModifier| m.labels().labels.iter().cloned().collect::<BTreeSet<_>>().into_iter().collect();
    modifier.map_or(Grouping { only, ..Grouping::default() }, |m| Grouping {
        only: m.is_include(),
        labels: labels(m),
        named: false,
    })
}

fn matchers(name: Option<String>, given: Matchers) -> Result<Vec<Matcher>, String> {
    if !given.or_matchers.is_empty() {
        return Err("unexpected \"or\" in label matching".into());
    }
    let name = name.map(|name| (NAME.to_owned(), Match::Equal(name)));
    let rest = given.matchers.into_iter().map(|m| {
        // Prometheus 3's dot matches a newline too; what Go takes and Rust does not, the parser has escaped.
        let anchored = |parsed: regex::Regex| regex::Regex::new(&format!("^(?s:{})$", m.value)).unwrap_or(parsed);
        let how = match m.op {
            MatchOp::Equal => Match::Equal(m.value),
            MatchOp::NotEqual => Match::NotEqual(m.value),
            MatchOp::Re(parsed) => Match::Regex(anchored(parsed)),
            MatchOp::NotRe(parsed) => Match::NotRegex(anchored(parsed)),
        };
        (m.name, how)
    });
    Ok(name.into_iter().chain(rest).collect())
}

/// The labels that `absent` gives: those that must be equal to something, each once.
pub fn absent_labels(node: &Node) -> BTreeMap<String, String> {
    let (Node::Select(selector) | Node::Window(selector, _)) = node.bare() else { return BTreeMap::new() };
    let (mut labels, mut seen) = (BTreeMap::new(), BTreeSet::new());
    for (name, how) in selector.matchers.iter().filter(|(name, _)| name != NAME) {
        match how {
            Match::Equal(value) if seen.insert(name) => drop(labels.insert(name.clone(), value.clone())),
            _ => drop(labels.remove(name)),
        }
    }
    labels
}
