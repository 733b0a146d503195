//! Filters: words, `"quoted phrases"`, `/regular expressions/`, `!without`, and fields such as `ns:shop`, `l:app=cart` or
//! `health:bad`.
//!
//! A row passes when every term does. A term in lower case ignores case; one capital letter makes it
//! exact, as in vim and ripgrep. An unknown field is an ordinary word, so `nginx:1.27` finds an image. An expression that
//! cannot be read passes everything, and [`Filter::problem`] says what is wrong with it.

use regex::{Regex, RegexBuilder};

/// Most memory a compiled expression may take, in bytes: one that needs more is refused rather than compiled.
const LARGEST: usize = 1 << 20;

/// The grammar in a few words, for help.
pub const GRAMMAR: &str = "words all stand in a row; \"a phrase\"; /regex/; !without; ns: kind: node: health: owner: state: \
    class: risk: l:key=value; one capital letter makes a word exact";

/// What a term looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Field {
    /// Anything else a row shows; found by plain words only.
    Text,
    Namespace,
    Kind,
    Node,
    /// `good`, `warning`, `bad` or `unknown`.
    Health,
    /// Owner: `argo`, `hpa`…
    Owner,
    /// State of an action, status of a pod.
    State,
    /// Class of a fault.
    Class,
    /// Risk of an action.
    Risk,
    /// A label, as `key=value`; found by its key alone, or by both.
    Label,
}

impl Field {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "ns" | "namespace" => Self::Namespace,
            "kind" => Self::Kind,
            "node" => Self::Node,
            "health" => Self::Health,
            "owner" => Self::Owner,
            "state" | "status" => Self::State,
            "class" => Self::Class,
            "risk" => Self::Risk,
            "l" | "label" => Self::Label,
            _ => return None,
        })
    }
}

/// What a term looks for.
#[derive(Debug, Clone)]
enum Needle {
    /// A text; exactly as written if the second says so.
    Word(String, bool),
    Pattern(Regex),
}

impl PartialEq for Needle {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Word(a, b), Self::Word(c, d)) => (a, b) == (c, d),
            (Self::Pattern(a), Self::Pattern(b)) => a.as_str() == b.as_str(),
            _ => false,
        }
    }
}

impl Eq for Needle {}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Term {
    without: bool,
    field: Option<Field>,
    needle: Needle,
}

impl Term {
    fn hits(&self, values: &[(Field, &str)]) -> bool {
        let found = values.iter().any(|(field, value)| match self.field {
            Some(wanted) => *field == wanted && self.in_field(wanted, value),
            None => self.contains(value),
        });
        found != self.without
    }

    fn in_field(&self, field: Field, value: &str) -> bool {
        let Needle::Word(word, exact) = &self.needle else { return self.contains(value) };
        let same = |text: &str| if *exact { text == word } else { text.eq_ignore_ascii_case(word) };
        match field {
            // `kind:job` must not find CronJob.
            Field::Kind | Field::Health | Field::Risk => {
                value.get(..word.len()).is_some_and(|head| head.eq_ignore_ascii_case(word))
            }
            // `l:app=cart` must not find app=cart-v2.
            Field::Label if word.contains('=') => same(value),
            Field::Label => same(value.split_once('=').map_or(value, |(key, _)| key)),
            _ => self.contains(value),
        }
    }

    fn contains(&self, value: &str) -> bool {
        match &self.needle {
            Needle::Word(word, exact) => contains(value, word, *exact),
            Needle::Pattern(pattern) => pattern.is_match(value),
        }
    }
}

/// Whether a text contains the needle, which is in lower case unless it is to be found exactly.
pub fn contains(value: &str, needle: &str, exact: bool) -> bool {
    if exact {
        value.contains(needle)
    } else if value.is_ascii() {
        value.as_bytes().windows(needle.len().max(1)).any(|w| w.eq_ignore_ascii_case(needle.as_bytes()))
    } else {
        value.to_lowercase().contains(needle)
    }
}

/// A compiled filter. Empty passes everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    source: String,
    terms: Vec<Term>,
    problem: Option<String>,
}

impl Filter {
    /// Reads a filter. Every text is one: while it is typed, unfinished terms pass everything.
    pub fn parse(source: &str) -> Self {
        let (mut terms, mut problem) = (Vec::new(), None);
        for word in split(source) {
            match term(&word) {
                Ok(found) => terms.extend(found),
                Err(why) => problem = Some(why),
            }
        }
        Self { source: source.to_owned(), terms, problem }
    }

    /// What is wrong with an expression in it, if anything is: that term is left out.
    pub fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    /// As it was typed.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether it passes everything.
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// Whether a row with these values passes.
    pub fn passes(&self, values: &[(Field, &str)]) -> bool {
        self.terms.iter().all(|t| t.hits(values))
    }
}

/// Words with their quotes resolved; the second part tells whether the word was quoted from its start.
pub fn split(source: &str) -> Vec<(String, bool)> {
    let mut words = Vec::new();
    let (mut word, mut quoted, mut inside) = (String::new(), false, false);
    for c in source.chars() {
        match c {
            '"' => {
                quoted |= word.is_empty() || word == "!";
                inside = !inside;
            }
            c if c.is_whitespace() && !inside => {
                words.push((std::mem::take(&mut word), quoted));
                quoted = false;
            }
            c => word.push(c),
        }
    }
    words.push((word, quoted));
    words
}

fn term((word, quoted): &(String, bool)) -> Result<Option<Term>, String> {
    let (without, rest) = match word.strip_prefix('!') {
        Some(rest) => (true, rest),
        None => (false, word.as_str()),
    };
    let (field, needle) = match rest.split_once(':') {
        Some((name, value)) if !quoted => match Field::named(name) {
            Some(field) => (Some(field), value),
            None => (None, rest),
        },
        _ => (None, rest),
    };
    if needle.is_empty() {
        return Ok(None);
    }
    let inside = needle.strip_prefix('/').and_then(|n| n.strip_suffix('/')).filter(|n| !n.is_empty() && !quoted);
    let needle = match inside {
        Some(pattern) => Needle::Pattern(expression(pattern)?),
        None => Needle::Word(needle.to_owned(), needle.chars().any(char::is_uppercase)),
    };
    Ok(Some(Term { without, field, needle }))
}

/// Compiles an expression; like words it ignores case unless it has a capital letter. `\S` and its like are none.
fn expression(pattern: &str) -> Result<Regex, String> {
    let mut before = ' ';
    let exact = pattern.chars().any(|c| {
        let letter = c.is_uppercase() && before != '\\';
        before = if before == '\\' { ' ' } else { c };
        letter
    });
    let made = RegexBuilder::new(pattern).case_insensitive(!exact).size_limit(LARGEST).build();
    made.map_err(|e| {
        let said = e.to_string();
        let why = said.lines().last().unwrap_or_default();
        format!("/{pattern}/ is left out: {}", why.strip_prefix("error: ").unwrap_or(why))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CART: [(Field, &str); 8] = [
        (Field::Label, "app=cart"),
        (Field::Text, "cart"),
        (Field::Namespace, "shop"),
        (Field::Kind, "Deployment"),
        (Field::Kind, "dep"),
        (Field::Health, "bad"),
        (Field::State, "CrashLoopBackOff"),
        (Field::Text, "registry.local/cart:1.4 購物車"),
    ];

    #[test]
    fn the_grammar() {
        for (filter, passes) in [
            ("", true),
            ("cart", true),
            ("CART", false),
            ("crashloop", true),
            ("CrashLoop", true),
            ("crashLoop", false),
            ("cart shop", true),
            ("cart bank", false),
            ("!bank", true),
            ("!shop", false),
            ("ns:shop", true),
            ("ns:cart", false),
            ("!ns:bank cart", true),
            ("kind:dep", true),
            ("kind:Dep", true),
            ("kind:sts", false),
            ("health:bad", true),
            ("health:good", false),
            ("!health:good", true),
            ("state:crash", true),
            ("cart:1.4", true),
            ("購物", true),
            ("\"local/cart:1.4 購\"", true),
            ("\"ns:shop\"", false),
            ("ns:", true),
            ("!", true),
            ("\"cart", true),
            ("/^car.$/", true),
            ("/^Car.$/", false),
            ("/^\\Sart$/", true),
            ("!/^shop$/", false),
            ("ns:/^sh/", true),
            ("ns:/^op/", false),
            ("/(/", true),
            ("/cart", true),
            ("l:app=cart", true),
            ("l:app=car", false),
            ("l:app", true),
            ("!l:tier", true),
        ] {
            assert_eq!(Filter::parse(filter).passes(&CART), passes, "{filter:?}");
        }
    }

    #[test]
    fn an_expression_that_cannot_be_read_is_said_and_left_out() {
        let filter = Filter::parse("cart /(/");
        assert!(filter.problem().is_some_and(|p| p.starts_with("/(/ is left out: unclosed group")), "{filter:?}");
        assert!(filter.passes(&CART) && !filter.passes(&[(Field::Text, "bank")]), "the rest still counts");
        assert!(Filter::parse("/(a{1000}){1000}/").problem().is_some(), "one that would take too much memory");
        assert_eq!(Filter::parse("/a+/").problem(), None);
    }

    #[test]
    fn kind_job_does_not_find_cron_jobs() {
        assert!(!Filter::parse("kind:job").passes(&[(Field::Kind, "CronJob"), (Field::Kind, "cron")]));
    }

    proptest! {
        #[test]
        fn any_text_is_a_filter(s in "\\PC*", hay in "\\PC*") {
            let _ = Filter::parse(&s).passes(&[(Field::Text, &hay), (Field::Kind, &hay)]);
        }
    }
}
