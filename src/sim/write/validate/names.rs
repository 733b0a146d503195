//! Names, labels and keys. Source: k8s.io/apimachinery/pkg/util/validation.

const SUBDOMAIN: &str = r"a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const QUALIFIED: &str = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
const CONFIG_KEY: &str = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";

fn longer(value: &str, most: usize) -> Option<String> {
    (value.len() > most).then(|| format!("must be no more than {most} bytes"))
}

fn lower(c: u8) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit()
}

/// `[a-z0-9]([-a-z0-9]*[a-z0-9])?`
fn is_label(value: &str) -> bool {
    let b = value.as_bytes();
    !b.is_empty() && b.iter().all(|c| lower(*c) || *c == b'-') && lower(b[0]) && lower(b[b.len() - 1])
}

/// A DNS-1123 subdomain's faults.
pub fn subdomain(value: &str) -> Vec<String> {
    let wrong = (!value.split('.').all(is_label)).then(|| SUBDOMAIN.to_owned());
    let long = (value.len() > 253).then(|| "must be no more than 253 characters".to_owned());
    long.into_iter().chain(wrong).collect()
}

/// A DNS-1123 label's faults.
pub fn label(value: &str) -> Vec<String> {
    if value.contains('.') && value.split('.').all(is_label) {
        return vec!["must not contain dots".to_owned()];
    }
    let wrong = (!is_label(value)).then(|| LABEL.to_owned());
    longer(value, 63).into_iter().chain(wrong).collect()
}

/// `([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]`
fn is_word(value: &str) -> bool {
    let b = value.as_bytes();
    let edge = |c: u8| c.is_ascii_alphanumeric();
    !b.is_empty() && b.iter().all(|c| edge(*c) || b"-_.".contains(c)) && edge(b[0]) && edge(b[b.len() - 1])
}

/// The faults of a label's or annotation's key.
pub fn qualified(value: &str) -> Vec<String> {
    let (prefix, name) = match value.split('/').collect::<Vec<_>>().as_slice() {
        [name] => (None, (*name).to_owned()),
        [prefix, name] => (Some((*prefix).to_owned()), (*name).to_owned()),
        _ => {
            return vec![format!(
                "a valid label key {QUALIFIED} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
            )];
        }
    };
    let mut faults = Vec::new();
    match prefix {
        Some(p) if p.is_empty() => faults.push("prefix part must be non-empty".to_owned()),
        Some(p) => faults.extend(subdomain(&p).into_iter().map(|f| format!("prefix part {f}"))),
        None => {}
    }
    if name.is_empty() {
        faults.push("name part must be non-empty".to_owned());
    } else {
        faults.extend(longer(&name, 63).map(|f| format!("name part {f}")));
    }
    if !is_word(&name) {
        faults.push(format!("name part {QUALIFIED}"));
    }
    faults
}

/// The faults of a label's value.
pub fn value(value: &str) -> Vec<String> {
    let wrong = (!value.is_empty() && !is_word(value)).then(|| VALUE.to_owned());
    longer(value, 63).into_iter().chain(wrong).collect()
}

/// The faults of a ConfigMap's or Secret's key.
pub fn config_key(value: &str) -> Vec<String> {
    let fits = !value.is_empty() && value.bytes().all(|c| c.is_ascii_alphanumeric() || b"-._".contains(&c));
    let mut faults: Vec<String> =
        longer(value, 253).into_iter().chain((!fits).then(|| CONFIG_KEY.to_owned())).collect();
    match value {
        "." => faults.push("must not be '.'".into()),
        ".." => faults.push("must not be '..'".into()),
        v if v.starts_with("..") => faults.push("must not start with '..'".into()),
        _ => {}
    }
    faults
}

/// The faults of a name that is only a segment of a path (RBAC).
pub fn segment(value: &str) -> Vec<String> {
    match value {
        "." => vec!["may not be '.'".into()],
        ".." => vec!["may not be '..'".into()],
        v => ["/", "%"].iter().filter(|c| v.contains(**c)).map(|c| format!("may not contain '{c}'")).collect(),
    }
}

/// The faults of a port's name (IANA service names).
pub fn port(value: &str) -> Vec<String> {
    let mut faults = Vec::new();
    if value.len() > 15 {
        faults.push("must be no more than 15 characters".to_owned());
    }
    if !value.bytes().all(|c| lower(c) || c == b'-') {
        faults.push("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)".to_owned());
    }
    if !value.bytes().any(|c| c.is_ascii_lowercase()) {
        faults.push("must contain at least one letter (a-z)".to_owned());
    }
    if value.contains("--") {
        faults.push("must not contain consecutive hyphens".to_owned());
    }
    if value.starts_with('-') || value.ends_with('-') {
        faults.push("must not begin or end with a hyphen".to_owned());
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        assert!(subdomain("a.b-c.1").is_empty() && label("a-1").is_empty());
        assert!(qualified("example.com/My_name").is_empty() && value("").is_empty() && config_key("a_b.c").is_empty());
        for bad in ["", "A", "-a", "a-", "a..b", "a_b"] {
            assert_eq!(subdomain(bad), [SUBDOMAIN], "{bad}");
        }
        assert_eq!(label(&"a".repeat(64)), ["must be no more than 63 bytes"]);
        assert_eq!(qualified("a/b/c").len(), 1);
        assert_eq!(qualified("/a"), ["prefix part must be non-empty"]);
        assert_eq!(port("http"), Vec::<String>::new());
    }
}
