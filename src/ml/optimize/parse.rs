//! Reads the text of an expression: words, then a tree whose kinds fit; what is wrong is named with its column.

use super::expr::{Node, One, Symbol, Two, Type};

/// How deep parentheses and conditions may be nested.
const DEEPEST: usize = 100;

/// Why a text is no expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("column {column}: {problem}")]
pub struct BadExpression {
    /// Where in the text, in characters from 1.
    pub column: usize,
    /// What is wrong, and what would be right.
    pub problem: String,
}

#[derive(Debug, Clone, PartialEq)]
enum Word {
    Number(f64),
    Text(String),
    Name(String),
    Sign(&'static str),
    End,
}

impl Word {
    fn told(&self) -> String {
        match self {
            Self::Number(value) => format!("{value}"),
            Self::Text(text) => format!("{text:?}"),
            Self::Name(name) => format!("`{name}`"),
            Self::Sign(sign) => format!("`{sign}`"),
            Self::End => "the end".to_owned(),
        }
    }
}

const SIGNS: [&str; 16] = ["<=", ">=", "==", "!=", "&&", "||", "<", ">", "+", "-", "*", "/", "^", "(", ")", ","];

fn wrong<T>(column: usize, problem: impl Into<String>) -> Result<T, BadExpression> {
    Err(BadExpression { column, problem: problem.into() })
}

/// The words and the column each begins at.
fn words(text: &str) -> Result<Vec<(Word, usize)>, BadExpression> {
    let chars: Vec<char> = text.chars().collect();
    let (mut at, mut found) = (0, Vec::new());
    let named = |c: char| c.is_alphanumeric() || c == '_' || c == '.';
    while let Some(first) = chars.get(at).copied() {
        let column = at + 1;
        if first.is_whitespace() {
            at += 1;
        } else if first.is_ascii_digit() || first == '.' {
            let end = number_end(&chars, at);
            let digits: String = chars[at..end].iter().collect();
            let value = digits.parse().ok().filter(|value: &f64| value.is_finite());
            let Some(value) = value else { return wrong(column, format!("{digits:?} is no number")) };
            found.push((Word::Number(value), column));
            at = end;
        } else if matches!(first, '"' | '\'' | '`') {
            let length = chars[at + 1..].iter().position(|c| *c == first);
            let Some(length) = length else { return wrong(column, format!("nothing closes this {first}")) };
            let inner: String = chars[at + 1..at + 1 + length].iter().collect();
            found.push((if first == '`' { Word::Name(inner) } else { Word::Text(inner) }, column));
            at += length + 2;
        } else if named(first) {
            let end = chars[at..].iter().position(|c| !named(*c)).map_or(chars.len(), |length| at + length);
            let name: String = chars[at..end].iter().collect();
            let keyword = ["and", "or", "not", "if", "then", "else", "true", "false"].into_iter().find(|k| *k == name);
            found.push((keyword.map_or(Word::Name(name), Word::Sign), column));
            at = end;
        } else {
            let rest: String = chars[at..chars.len().min(at + 2)].iter().collect();
            let sign = SIGNS.into_iter().find(|sign| rest.starts_with(sign));
            let Some(sign) = sign else { return wrong(column, format!("{first:?} means nothing here")) };
            at += sign.len();
            found.push((Word::Sign(sign), column));
        }
    }
    found.push((Word::End, chars.len() + 1));
    Ok(found)
}

/// Where a number that begins at a place ends: digits, a point, an exponent.
fn number_end(chars: &[char], from: usize) -> usize {
    let mut at = from;
    while let Some(c) = chars.get(at) {
        let exponent = matches!(chars.get(at.wrapping_sub(1)), Some('e' | 'E')) && at > from;
        if !(c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E') || exponent && matches!(c, '+' | '-')) {
            break;
        }
        at += 1;
    }
    at
}

/// A part of the tree, what it stands for, and its column. A word in quotes has no place among choices yet.
struct Part {
    node: Node,
    kind: Kind,
    column: usize,
}

#[derive(Debug, Clone, PartialEq)]
enum Kind {
    Is(Type),
    Quoted(String),
}

impl Kind {
    fn told(&self) -> &'static str {
        match self {
            Self::Is(Type::Number) => "a number",
            Self::Is(Type::Truth) => "true or false",
            Self::Is(Type::Choice(_)) | Self::Quoted(_) => "a choice",
        }
    }
}

/// Reads a text as an expression of the wanted kind.
pub(super) fn read(text: &str, symbols: &[Symbol], wanted: &Type) -> Result<Node, BadExpression> {
    let mut reader = Reader { words: words(text)?, at: 0, symbols, depth: 0 };
    let part = reader.whole()?;
    let (word, column) = reader.next();
    if word != Word::End {
        return wrong(column, format!("{} is one too many", word.told()));
    }
    Ok(typed(part, wanted)?.node)
}

/// The part, if it stands for what is wanted.
fn typed(part: Part, wanted: &Type) -> Result<Part, BadExpression> {
    if part.kind == Kind::Is(wanted.clone()) {
        return Ok(part);
    }
    wrong(part.column, format!("{} is needed here, this is {}", Kind::Is(wanted.clone()).told(), part.kind.told()))
}

struct Reader<'a> {
    words: Vec<(Word, usize)>,
    at: usize,
    symbols: &'a [Symbol],
    depth: usize,
}

impl Reader<'_> {
    fn next(&mut self) -> (Word, usize) {
        let found = self.words[self.at].clone();
        self.at = (self.at + 1).min(self.words.len() - 1);
        found
    }

    /// Takes one of some signs, if it comes next.
    fn sign(&mut self, signs: &[(&str, Two)]) -> Option<(Two, usize)> {
        let (Word::Sign(next), column) = &self.words[self.at] else { return None };
        let found = signs.iter().find(|(sign, _)| sign == next).map(|(_, two)| (*two, *column));
        self.at += usize::from(found.is_some());
        found
    }

    fn expect(&mut self, sign: &'static str) -> Result<(), BadExpression> {
        match self.next() {
            (Word::Sign(found), _) if found == sign => Ok(()),
            (word, column) => wrong(column, format!("`{sign}` is missing before {}", word.told())),
        }
    }

    fn is(&self, sign: &str) -> bool {
        matches!(&self.words[self.at].0, Word::Sign(found) if *found == sign)
    }

    fn whole(&mut self) -> Result<Part, BadExpression> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return wrong(self.words[self.at].1, format!("nested deeper than {DEEPEST}"));
        }
        let found = if self.is("if") { self.condition() } else { self.any() };
        self.depth -= 1;
        found
    }

    fn condition(&mut self) -> Result<Part, BadExpression> {
        let (_, column) = self.next();
        let when = self.whole().and_then(|part| typed(part, &Type::Truth))?;
        self.expect("then")?;
        let then = self.whole()?;
        let other = if self.is("else") {
            self.next();
            let Kind::Is(kind) = &then.kind else { return wrong(then.column, "a word in quotes can only be compared") };
            let kind = kind.clone();
            self.whole().and_then(|part| typed(part, &kind))?.node
        } else if then.kind == Kind::Is(Type::Truth) {
            Node::Constant(1.0) // nothing is asked for otherwise
        } else {
            return wrong(self.words[self.at].1, "`else` is missing: otherwise there would be no number");
        };
        Ok(Part { node: Node::If(Box::new((when.node, then.node, other))), kind: then.kind, column })
    }

    /// Parts with truths between them.
    fn any(&mut self) -> Result<Part, BadExpression> {
        self.chain(&[("or", Two::Or), ("||", Two::Or)], &Type::Truth, Self::all)
    }

    fn all(&mut self) -> Result<Part, BadExpression> {
        self.chain(&[("and", Two::And), ("&&", Two::And)], &Type::Truth, Self::negated)
    }

    fn chain(
        &mut self,
        signs: &[(&str, Two)],
        kind: &Type,
        mut below: impl FnMut(&mut Self) -> Result<Part, BadExpression>,
    ) -> Result<Part, BadExpression> {
        let mut left = below(self)?;
        while let Some((two, _)) = self.sign(signs) {
            left = typed(left, kind)?;
            let right = below(self).and_then(|part| typed(part, kind))?;
            left.node = Node::Two(two, Box::new(left.node), Box::new(right.node));
        }
        Ok(left)
    }

    fn negated(&mut self) -> Result<Part, BadExpression> {
        if !self.is("not") {
            return self.compared();
        }
        let (_, column) = self.next();
        self.depth += 1;
        if self.depth > DEEPEST {
            return wrong(column, format!("nested deeper than {DEEPEST}"));
        }
        let of = self.negated().and_then(|part| typed(part, &Type::Truth))?;
        self.depth -= 1;
        Ok(Part { node: Node::One(One::Not, Box::new(of.node)), kind: of.kind, column })
    }

    fn compared(&mut self) -> Result<Part, BadExpression> {
        const ORDER: [(&str, Two); 4] = [("<=", Two::AtMost), (">=", Two::AtLeast), ("<", Two::Less), (">", Two::More)];
        const SAME: [(&str, Two); 2] = [("==", Two::Equal), ("!=", Two::Unequal)];
        let left = self.sum()?;
        let column = left.column;
        let made = |two, a: Node, b: Node| {
            Ok(Part { node: Node::Two(two, Box::new(a), Box::new(b)), kind: Kind::Is(Type::Truth), column })
        };
        if let Some((two, _)) = self.sign(&ORDER) {
            let left = typed(left, &Type::Number)?;
            let right = self.sum().and_then(|part| typed(part, &Type::Number))?;
            return made(two, left.node, right.node);
        }
        let Some((two, _)) = self.sign(&SAME) else { return Ok(left) };
        let right = self.sum()?;
        match (&left.kind, &right.kind) {
            (Kind::Is(a), Kind::Is(b)) if a == b => made(two, left.node, right.node),
            (Kind::Is(Type::Choice(all)), Kind::Quoted(word)) => made(two, left.node, place(all, word, right.column)?),
            (Kind::Quoted(word), Kind::Is(Type::Choice(all))) => made(two, place(all, word, column)?, right.node),
            (a, b) => wrong(right.column, format!("{} can't be compared with {}", a.told(), b.told())),
        }
    }

    fn sum(&mut self) -> Result<Part, BadExpression> {
        self.chain(&[("+", Two::Add), ("-", Two::Subtract)], &Type::Number, Self::product)
    }

    fn product(&mut self) -> Result<Part, BadExpression> {
        self.chain(&[("*", Two::Multiply), ("/", Two::Divide)], &Type::Number, Self::signed)
    }

    fn signed(&mut self) -> Result<Part, BadExpression> {
        if !self.is("-") {
            return self.power();
        }
        let (_, column) = self.next();
        self.depth += 1;
        if self.depth > DEEPEST {
            return wrong(column, format!("nested deeper than {DEEPEST}"));
        }
        let of = self.signed().and_then(|part| typed(part, &Type::Number))?;
        self.depth -= 1;
        Ok(Part { node: Node::One(One::Negate, Box::new(of.node)), kind: of.kind, column })
    }

    fn power(&mut self) -> Result<Part, BadExpression> {
        let mut left = self.atom()?;
        if self.sign(&[("^", Two::Power)]).is_some() {
            left = typed(left, &Type::Number)?;
            let right = self.signed().and_then(|part| typed(part, &Type::Number))?;
            left.node = Node::Two(Two::Power, Box::new(left.node), Box::new(right.node));
        }
        Ok(left)
    }

    fn atom(&mut self) -> Result<Part, BadExpression> {
        let (word, column) = self.next();
        let part = |node, kind| Ok(Part { node, kind, column });
        match word {
            Word::Number(value) => part(Node::Constant(value), Kind::Is(Type::Number)),
            Word::Text(text) => part(Node::Constant(f64::NAN), Kind::Quoted(text)),
            Word::Sign("true") => part(Node::Constant(1.0), Kind::Is(Type::Truth)),
            Word::Sign("false") => part(Node::Constant(0.0), Kind::Is(Type::Truth)),
            Word::Sign("(") => {
                let inner = self.whole()?;
                self.expect(")")?;
                Ok(inner)
            }
            Word::Name(name) if self.is("(") => self.call(&name, column),
            Word::Name(name) => {
                let Some(at) = self.symbols.iter().position(|symbol| symbol.name == name) else {
                    let known: Vec<&str> = self.symbols.iter().map(|symbol| symbol.name.as_str()).collect();
                    return wrong(column, format!("nothing is called `{name}`; there are {}", known.join(", ")));
                };
                part(Node::Value(at), Kind::Is(self.symbols[at].kind.clone()))
            }
            word => wrong(column, format!("a value is missing before {}", word.told())),
        }
    }

    fn call(&mut self, name: &str, column: usize) -> Result<Part, BadExpression> {
        const ONES: [(&str, One); 6] = [
            ("abs", One::Abs),
            ("sqrt", One::Sqrt),
            ("exp", One::Exp),
            ("log", One::Log),
            ("sin", One::Sin),
            ("cos", One::Cos),
        ];
        self.next();
        let inner = |reader: &mut Self| reader.whole().and_then(|part| typed(part, &Type::Number));
        let kind = Kind::Is(Type::Number);
        if let Some((_, one)) = ONES.iter().find(|(known, _)| *known == name) {
            let of = inner(self)?;
            self.expect(")")?;
            return Ok(Part { node: Node::One(*one, Box::new(of.node)), kind, column });
        }
        let Some((_, two)) = [("min", Two::Min), ("max", Two::Max)].into_iter().find(|(known, _)| *known == name)
        else {
            return wrong(column, format!("no function {name}; there are min, max, abs, sqrt, exp, log, sin, cos"));
        };
        let mut node = inner(self)?.node;
        while self.is(",") {
            self.next();
            node = Node::Two(two, Box::new(node), Box::new(inner(self)?.node));
        }
        self.expect(")")?;
        Ok(Part { node, kind, column })
    }
}

/// The place of a word among choices.
fn place(all: &[String], word: &str, column: usize) -> Result<Node, BadExpression> {
    match all.iter().position(|choice| choice == word) {
        Some(at) => Ok(Node::Constant(at as f64)),
        None => wrong(column, format!("{word:?} is none of the choices {}", all.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_named_with_its_column_and_what_would_be_right() {
        let symbols = [
            Symbol { name: "cpu".into(), kind: Type::Number },
            Symbol { name: "codec".into(), kind: Type::Choice(vec!["none".into(), "zstd".into()]) },
        ];
        let deep = "(".repeat(1000);
        let minus = "-".repeat(100_000);
        for (text, column, words) in [
            ("", 1, "a value is missing"),
            ("cpu <= ", 8, "a value is missing before the end"),
            ("cpu <= ram", 8, "nothing is called `ram`; there are cpu, codec"),
            ("cpu", 1, "true or false is needed here, this is a number"),
            ("cpu and cpu", 1, "true or false is needed here"),
            ("cpu < codec", 7, "a number is needed here, this is a choice"),
            ("codec == \"gzip\"", 10, "none of the choices none, zstd"),
            ("codec == cpu", 10, "a choice can't be compared with a number"),
            ("(cpu < 1", 9, "`)` is missing before the end"),
            ("cpu < 1 2", 9, "2 is one too many"),
            ("cpu # 1", 5, "'#' means nothing here"),
            ("cpu < 1e", 7, "is no number"),
            ("codec == \"zstd", 10, "nothing closes this"),
            ("cpu < tan(1)", 7, "no function tan"),
            ("cpu < (if cpu < 1 then 2)", 25, "`else` is missing"),
            (&deep, 100, "nested deeper"),
            (&minus, 99, "nested deeper"),
        ] {
            let error = read(text, &symbols, &Type::Truth).unwrap_err();
            assert!(error.problem.contains(words), "{text}: {error}");
            assert!(text.len() > 50 || error.column == column, "{text}: {error}");
        }
    }
}
