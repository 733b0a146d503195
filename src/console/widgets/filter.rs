//! Filters: words, `"quoted phrases"`, `!without`, and fields such as `ns:shop` or `health:bad`.
//!
//! A row passes when every term does. A term in lower case ignores case; one capital letter makes it
//! exact, as in vim and ripgrep. An unknown field is an ordinary word, so `nginx:1.27` finds an image.

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
            _ => return None,
        })
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Term {
    without: bool,
    field: Option<Field>,
    needle: String,
    exact: bool,
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
        match field {
            // `kind:job` must not find CronJob.
            Field::Kind | Field::Health | Field::Risk => {
                value.get(..self.needle.len()).is_some_and(|head| head.eq_ignore_ascii_case(&self.needle))
            }
            _ => self.contains(value),
        }
    }

    fn contains(&self, value: &str) -> bool {
        contains(value, &self.needle, self.exact)
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
}

impl Filter {
    /// Reads a filter. Every text is one: while it is typed, unfinished terms pass everything.
    pub fn parse(source: &str) -> Self {
        let terms = split(source).into_iter().filter_map(|word| term(&word)).collect();
        Self { source: source.to_owned(), terms }
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

fn term((word, quoted): &(String, bool)) -> Option<Term> {
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
        return None;
    }
    let exact = needle.chars().any(char::is_uppercase);
    Some(Term { without, field, needle: needle.to_owned(), exact })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CART: [(Field, &str); 7] = [
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
        ] {
            assert_eq!(Filter::parse(filter).passes(&CART), passes, "{filter:?}");
        }
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
