//! JSON as the API server reads it: the syntax errors are Go's, and keys that come twice are told. (serde_json would take
//! the last of them silently.)

use serde_json::{Map, Value};

/// What was read.
#[derive(Debug)]
pub struct Read {
    /// The value; of keys that come twice, the last counts.
    pub value: Value,
    /// Paths of keys that come twice: `spec.containers[0].image`.
    pub duplicates: Vec<String>,
}

/// How deep values may nest, as in Go's decoder.
const DEEPEST: usize = 10_000;
/// How deep we follow them: the stack of a server thread is finite.
const DEEP: usize = 128;

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    path: Vec<String>,
    duplicates: Vec<String>,
}

/// Reads one JSON value; the error is Go's text.
pub fn read(bytes: &[u8]) -> Result<Read, String> {
    let mut r = Reader { bytes, at: 0, path: Vec::new(), duplicates: Vec::new() };
    let value = r.value(0)?;
    r.space();
    if let Some(c) = r.peek() {
        return Err(format!("invalid character {} after top-level value", quoted(c)));
    }
    Ok(Read { value, duplicates: r.duplicates })
}

/// A byte as Go quotes it.
fn quoted(c: u8) -> String {
    match c {
        b'\'' => r"'\''".to_owned(),
        b'"' => "'\"'".to_owned(),
        b'\n' => r"'\n'".to_owned(),
        b'\t' => r"'\t'".to_owned(),
        b'\r' => r"'\r'".to_owned(),
        0x20..=0x7e => format!("'{}'", char::from(c)),
        0x7f.. => format!("'{}'", char::from(c)),
        _ => format!(r"'\x{c:02x}'"),
    }
}

const END: &str = "unexpected end of JSON input";

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn wrong<T>(&self, where_: &str) -> Result<T, String> {
        match self.peek() {
            None => Err(END.to_owned()),
            Some(c) => Err(format!("invalid character {} {where_}", quoted(c))),
        }
    }

    fn value(&mut self, depth: usize) -> Result<Value, String> {
        self.space();
        if depth > DEEP {
            let most = DEEPEST.min(DEEP);
            return Err(format!("exceeded max depth of {most}"));
        }
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => self.string().map(Value::String),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true", Value::Bool(true)),
            Some(b'f') => self.word("false", Value::Bool(false)),
            Some(b'n') => self.word("null", Value::Null),
            _ => self.wrong("looking for beginning of value"),
        }
    }

    fn word(&mut self, word: &str, value: Value) -> Result<Value, String> {
        for (i, expected) in word.bytes().enumerate() {
            if self.peek() != Some(expected) {
                return self.wrong(&format!("in literal {word} (expecting {})", quoted(word.as_bytes()[i])));
            }
            self.at += 1;
        }
        Ok(value)
    }

    fn object(&mut self, depth: usize) -> Result<Value, String> {
        self.at += 1;
        let mut map = Map::new();
        self.space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Value::Object(map));
        }
        loop {
            self.space();
            if self.peek() != Some(b'"') {
                return self.wrong("looking for beginning of object key string");
            }
            let key = self.string()?;
            self.space();
            if self.peek() != Some(b':') {
                return self.wrong("after object key");
            }
            self.at += 1;
            self.path.push(key.clone());
            let value = self.value(depth + 1)?;
            let path = spell(&self.path);
            self.path.pop();
            if map.insert(key, value).is_some() && !self.duplicates.contains(&path) {
                self.duplicates.push(path);
            }
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return Ok(Value::Object(map));
                }
                _ => return self.wrong("after object key:value pair"),
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<Value, String> {
        self.at += 1;
        let mut items = Vec::new();
        self.space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Value::Array(items));
        }
        loop {
            self.path.push(format!("[{}]", items.len()));
            items.push(self.value(depth + 1)?);
            self.path.pop();
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.at += 1;
                    return Ok(Value::Array(items));
                }
                _ => return self.wrong("after array element"),
            }
        }
    }

    fn string(&mut self) -> Result<String, String> {
        let start = self.at;
        self.at += 1;
        loop {
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => {
                    self.at += 1;
                    match self.peek() {
                        Some(b'b' | b'f' | b'n' | b'r' | b't' | b'\\' | b'/' | b'"') => self.at += 1,
                        Some(b'u') => {
                            self.at += 1;
                            for _ in 0..4 {
                                if !self.peek().is_some_and(|c| c.is_ascii_hexdigit()) {
                                    return self.wrong("in \\u hexadecimal character escape");
                                }
                                self.at += 1;
                            }
                        }
                        _ => return self.wrong("in string escape code"),
                    }
                }
                Some(c) if c >= 0x20 => self.at += 1,
                _ => return self.wrong("in string literal"),
            }
        }
        self.at += 1;
        let text = String::from_utf8_lossy(&self.bytes[start..self.at]);
        // A lone surrogate is no character: Go reads the replacement character.
        Ok(serde_json::from_str(&text).unwrap_or_else(|_| text.trim_matches('"').to_owned()))
    }

    fn number(&mut self) -> Result<Value, String> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits(),
            _ => return self.wrong("in numeric literal"),
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            if !self.peek().is_some_and(|c| c.is_ascii_digit()) {
                return self.wrong("after decimal point in numeric literal");
            }
            self.digits();
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            if !self.peek().is_some_and(|c| c.is_ascii_digit()) {
                return self.wrong("in exponent of numeric literal");
            }
            self.digits();
        }
        let text = std::str::from_utf8(&self.bytes[start..self.at]).unwrap_or("0");
        serde_json::from_str(text)
            .map_err(|_| format!("json: cannot unmarshal number {text} into Go value of type float64"))
    }

    fn digits(&mut self) {
        while self.peek().is_some_and(|c| c.is_ascii_digit()) {
            self.at += 1;
        }
    }
}

/// `spec.containers[0].image`
fn spell(path: &[String]) -> String {
    let mut text = String::new();
    for part in path {
        if !part.starts_with('[') && !text.is_empty() {
            text.push('.');
        }
        text.push_str(part);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_gos() {
        for (text, error) in [
            ("", "unexpected end of JSON input"),
            ("{\"a\":", "unexpected end of JSON input"),
            ("zzz", "invalid character 'z' looking for beginning of value"),
            ("{\"a\":1,}", "invalid character '}' looking for beginning of object key string"),
            ("{\"a\" 1}", "invalid character '1' after object key"),
            ("[1 2]", "invalid character '2' after array element"),
            ("{} x", "invalid character 'x' after top-level value"),
            ("trze", "invalid character 'z' in literal true (expecting 'u')"),
        ] {
            assert_eq!(read(text.as_bytes()).unwrap_err(), error, "{text}");
        }
        assert!(read("[".repeat(100_000).as_bytes()).is_err(), "deep nesting is refused, not a crash");
    }

    #[test]
    fn keys_that_come_twice_are_told_and_the_last_counts() {
        let got = read(br#"{"spec":{"c":[{"i":1,"i":2}],"r":1,"r":3}}"#).unwrap();
        assert_eq!(got.duplicates, ["spec.c[0].i", "spec.r"]);
        assert_eq!(got.value["spec"]["r"], 3);
    }
}
