//! A small checked language for constraints and formulas over named values:
//! `if codec == "zstd" then memory >= 512`, `cpu * replicas <= 16`, `5 + 100 / (cpu - 0.4)`.
//!
//! An expression is checked when it is read: names must exist, and numbers, truths and choices do not mix. It is then
//! computed on points, and on boxes of points by interval arithmetic (Moore 1966), which can prove that no point of a
//! box keeps a constraint. What is no number stays none: a comparison with it is neither true nor false.

use super::parse::{self, BadExpression};

/// What a name or an expression stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Type {
    /// A number.
    Number,
    /// True or false, computed as 1 and 0.
    Truth,
    /// One of some words, computed as its place among them.
    Choice(Vec<String>),
}

/// A name that expressions may use; its value is at the same place among the values they are computed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Symbol {
    /// As it is written; with other characters than letters, digits, `_` and `.` it is written in backticks.
    pub name: String,
    /// What it stands for.
    pub kind: Type,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Two {
    Add,
    Subtract,
    Multiply,
    Divide,
    Power,
    Less,
    AtMost,
    More,
    AtLeast,
    Equal,
    Unequal,
    And,
    Or,
    Min,
    Max,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum One {
    Negate,
    Not,
    Abs,
    Sqrt,
    Exp,
    Log,
    Sin,
    Cos,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    Constant(f64),
    Value(usize),
    One(One, Box<Node>),
    Two(Two, Box<Node>, Box<Node>),
    If(Box<(Node, Node, Node)>),
}

/// A checked expression.
#[derive(Debug, Clone, PartialEq)]
pub struct Expr {
    text: String,
    node: Node,
}

impl Expr {
    /// Reads a constraint: something that is true or false.
    pub fn constraint(text: &str, symbols: &[Symbol]) -> Result<Self, BadExpression> {
        Self::of(text, symbols, &Type::Truth)
    }

    /// Reads a formula: something that is a number.
    pub fn formula(text: &str, symbols: &[Symbol]) -> Result<Self, BadExpression> {
        Self::of(text, symbols, &Type::Number)
    }

    fn of(text: &str, symbols: &[Symbol], wanted: &Type) -> Result<Self, BadExpression> {
        Ok(Self { text: text.to_owned(), node: parse::read(text, symbols, wanted)? })
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The number, or 1 for true and 0 for false; NaN where it is none. `values` are those of the symbols.
    pub fn at(&self, values: &[f64]) -> f64 {
        at(&self.node, values)
    }

    /// Whether a constraint is kept.
    pub fn holds(&self, values: &[f64]) -> bool {
        self.at(values) == 1.0
    }

    /// Bounds between which the expression lies wherever in the box it is a number. `values` are bounds of the symbols.
    pub fn range(&self, values: &[(f64, f64)]) -> (f64, f64) {
        range(&self.node, values)
    }

    /// Whether the expression looks at the value of a place.
    pub fn uses(&self, place: usize) -> bool {
        uses(&self.node, place)
    }
}

fn uses(node: &Node, place: usize) -> bool {
    match node {
        Node::Constant(_) => false,
        Node::Value(at) => *at == place,
        Node::One(_, of) => uses(of, place),
        Node::Two(_, a, b) => uses(a, place) || uses(b, place),
        Node::If(parts) => [&parts.0, &parts.1, &parts.2].into_iter().any(|part| uses(part, place)),
    }
}

fn truth(said: bool) -> f64 {
    f64::from(u8::from(said))
}

fn at(node: &Node, values: &[f64]) -> f64 {
    match node {
        Node::Constant(value) => *value,
        Node::Value(place) => values[*place],
        Node::One(one, of) => apply(*one, at(of, values)),
        Node::If(parts) => match at(&parts.0, values) {
            1.0 => at(&parts.1, values),
            0.0 => at(&parts.2, values),
            _ => f64::NAN,
        },
        Node::Two(Two::And, a, b) => match (at(a, values), at(b, values)) {
            (0.0, _) | (_, 0.0) => 0.0,
            (a, b) => a * b,
        },
        Node::Two(Two::Or, a, b) => match (at(a, values), at(b, values)) {
            (1.0, _) | (_, 1.0) => 1.0,
            (a, b) => a + b,
        },
        Node::Two(two, a, b) => combine(*two, at(a, values), at(b, values)),
    }
}

fn apply(one: One, x: f64) -> f64 {
    match one {
        One::Negate => -x,
        One::Not => 1.0 - x,
        One::Abs => x.abs(),
        One::Sqrt => x.sqrt(),
        One::Exp => x.exp(),
        One::Log => x.ln(),
        One::Sin => x.sin(),
        One::Cos => x.cos(),
    }
}

fn combine(two: Two, a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() {
        return f64::NAN;
    }
    match two {
        Two::Add => a + b,
        Two::Subtract => a - b,
        Two::Multiply => a * b,
        Two::Divide => a / b,
        Two::Power => a.powf(b),
        Two::Less => truth(a < b),
        Two::AtMost => truth(a <= b),
        Two::More => truth(a > b),
        Two::AtLeast => truth(a >= b),
        Two::Equal => truth(a == b),
        Two::Unequal => truth(a != b),
        Two::And => truth(a == 1.0 && b == 1.0),
        Two::Or => truth(a == 1.0 || b == 1.0),
        Two::Min => a.min(b),
        Two::Max => a.max(b),
    }
}

const ALL: (f64, f64) = (f64::NEG_INFINITY, f64::INFINITY);
const MAYBE: (f64, f64) = (0.0, 1.0);

fn range(node: &Node, values: &[(f64, f64)]) -> (f64, f64) {
    match node {
        Node::Constant(value) => (*value, *value),
        Node::Value(place) => values[*place],
        Node::One(one, of) => one_range(*one, range(of, values)),
        Node::If(parts) => match range(&parts.0, values) {
            (1.0, _) => range(&parts.1, values),
            (_, 0.0) => range(&parts.2, values),
            _ => {
                let (a, b) = (range(&parts.1, values), range(&parts.2, values));
                (a.0.min(b.0), a.1.max(b.1))
            }
        },
        Node::Two(two, a, b) => two_range(*two, range(a, values), range(b, values)),
    }
}

fn one_range(one: One, (low, high): (f64, f64)) -> (f64, f64) {
    match one {
        One::Negate => (-high, -low),
        One::Not => (1.0 - high, 1.0 - low),
        One::Abs if low <= 0.0 && high >= 0.0 => (0.0, high.max(-low)),
        One::Abs => (low.abs().min(high.abs()), low.abs().max(high.abs())),
        One::Sqrt => (low.max(0.0).sqrt(), high.max(0.0).sqrt()),
        One::Exp => (low.exp(), high.exp()),
        One::Log => (low.max(0.0).ln(), high.max(0.0).ln()),
        One::Sin | One::Cos => (-1.0, 1.0),
    }
}

/// The least and greatest of what two operands' ends give; all numbers where one of those is none.
fn ends(a: (f64, f64), b: (f64, f64), by: impl Fn(f64, f64) -> f64) -> (f64, f64) {
    let all = [by(a.0, b.0), by(a.0, b.1), by(a.1, b.0), by(a.1, b.1)];
    if all.iter().any(|value| value.is_nan()) {
        return ALL;
    }
    (all.iter().copied().fold(f64::INFINITY, f64::min), all.iter().copied().fold(f64::NEG_INFINITY, f64::max))
}

fn two_range(two: Two, a: (f64, f64), b: (f64, f64)) -> (f64, f64) {
    let known = |yes: bool, no: bool| {
        if yes {
            (1.0, 1.0)
        } else if no {
            (0.0, 0.0)
        } else {
            MAYBE
        }
    };
    match two {
        Two::Add => ends(a, b, |a, b| a + b),
        Two::Subtract => ends(a, b, |a, b| a - b),
        Two::Multiply => ends(a, b, |a, b| a * b),
        Two::Divide if b.0 <= 0.0 && b.1 >= 0.0 => ALL,
        Two::Divide => ends(a, b, |a, b| a / b),
        Two::Power if a.0 > 0.0 => ends(a, b, f64::powf), // monotone in either for a positive base
        Two::Power if b == (2.0, 2.0) => {
            let (low, high) = one_range(One::Abs, a);
            (low * low, high * high)
        }
        Two::Power => ALL,
        Two::Min => (a.0.min(b.0), a.1.min(b.1)),
        Two::Max => (a.0.max(b.0), a.1.max(b.1)),
        Two::Less => known(a.1 < b.0, a.0 >= b.1),
        Two::AtMost => known(a.1 <= b.0, a.0 > b.1),
        Two::More => known(a.0 > b.1, a.1 <= b.0),
        Two::AtLeast => known(a.0 >= b.1, a.1 < b.0),
        Two::Equal => known(a == b && a.0 == a.1, a.1 < b.0 || b.1 < a.0),
        Two::Unequal => known(a.1 < b.0 || b.1 < a.0, a == b && a.0 == a.1),
        Two::And => known(a.0 == 1.0 && b.0 == 1.0, a.1 == 0.0 || b.1 == 0.0),
        Two::Or => known(a.0 == 1.0 || b.0 == 1.0, a.1 == 0.0 && b.1 == 0.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn symbols() -> Vec<Symbol> {
        let symbol = |name: &str, kind| Symbol { name: name.to_owned(), kind };
        let codec = Type::Choice(vec!["none".into(), "zstd".into()]);
        vec![
            symbol("cpu", Type::Number),
            symbol("spark.executor-cores", Type::Number),
            symbol("codec", codec),
            symbol("on", Type::Truth),
        ]
    }

    fn said(text: &str, values: [f64; 4]) -> f64 {
        Expr::of(text, &symbols(), &Type::Number)
            .or_else(|_| Expr::constraint(text, &symbols()))
            .unwrap_or_else(|error| panic!("{text}: {error}"))
            .at(&values)
    }

    #[test]
    fn operators_bind_as_in_arithmetic() {
        let at = [2.0, 3.0, 1.0, 0.0];
        for (text, value) in [
            ("1 + cpu * `spark.executor-cores` ^ 2", 19.0),
            ("-cpu ^ 2", -4.0),
            ("2 ^ -1", 0.5),
            ("(1 + cpu) / 2 - 1", 0.5),
            ("max(cpu, 7) - min(cpu, 7) + abs(-1)", 6.0),
            ("if on then 1 else 2", 2.0),
            ("if codec == \"zstd\" then cpu >= 2", 1.0),
            ("not on and cpu < 3 or cpu > 100", 1.0),
            ("codec != 'none' and (on == false)", 1.0),
            ("if on then cpu > 100", 1.0),
        ] {
            assert_eq!(said(text, at), value, "{text}");
        }
    }

    #[test]
    fn a_comparison_with_what_is_no_number_is_neither_true_nor_false() {
        let expr = |text| Expr::constraint(text, &symbols()).unwrap();
        let zero = [0.0, 0.0, 0.0, 0.0];
        for text in ["cpu / cpu <= 1", "not (cpu / cpu <= 1)", "sqrt(cpu - 1) < 3", "if log(0 - 1) > 1 then on"] {
            assert!(!expr(text).holds(&zero), "{text}");
        }
        assert!(expr("cpu == 0 or cpu / cpu == 1").holds(&zero));
    }

    proptest! {
        #[test]
        fn what_is_computed_on_a_point_lies_in_the_bounds_of_its_box(
            low in -5.0f64..5.0, width in 0.0f64..4.0, share in 0.0f64..1.0, other in -3.0f64..3.0, on in 0u8..2,
        ) {
            let point = [low + width * share, other, f64::from(on), f64::from(on)];
            let bounds = [(low, low + width), (other, other), (0.0, 1.0), (0.0, 1.0)];
            for text in [
                "cpu * `spark.executor-cores` - cpu ^ 2", "exp(cpu) / (3 + cos(cpu))", "abs(cpu) + sqrt(cpu)",
                "if on then cpu else -cpu", "min(cpu, 1) * max(cpu, -1)", "log(cpu + 2) / cpu", "2 ^ cpu",
                "cpu <= 1", "not (cpu > 0 and on)", "codec == 'zstd' or cpu < 0", "cpu == 0", "(cpu + 6) ^ 1.5",
            ] {
                let expr = Expr::formula(text, &symbols()).or_else(|_| Expr::constraint(text, &symbols())).unwrap();
                let (value, (least, most)) = (expr.at(&point), expr.range(&bounds));
                let slack = 1e-9 * (1.0 + value.abs());
                prop_assert!(value.is_nan() || (least - slack <= value && value <= most + slack), "{text} {value} {least} {most}");
            }
        }
    }
}
