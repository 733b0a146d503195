//! A case: requests in order. `NS` in a path is the namespace of the tests; `{name}` in a path or body is what an
//! earlier step kept with [`Step::keep`]. The answers' codes and bodies are compared, those of the [`Step::quiet`] not.

use crate::normal::normal;
use crate::server::{NAMESPACE, Server};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A case.
#[derive(Clone)]
pub struct Case {
    /// Its name.
    pub name: String,
    /// What is sent.
    pub steps: Vec<Step>,
}

/// A request.
#[derive(Clone)]
pub struct Step {
    method: &'static str,
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    /// Only these parts of the answer are compared (JSON pointers).
    parts: Vec<String>,
    keep: Vec<(&'static str, &'static str)>,
    quiet: bool,
    /// Asked again until it is answered with this code.
    until: Option<u16>,
    /// Read so many watch events.
    events: Option<usize>,
}

/// A case of steps.
pub fn case(name: impl Into<String>, steps: impl Into<Vec<Step>>) -> Case {
    Case { name: name.into(), steps: steps.into() }
}

impl Case {
    /// What a server answers: code and body of each step.
    pub async fn run(&self, server: &Server) -> Value {
        let mut kept: BTreeMap<&str, String> = BTreeMap::new();
        let mut answers = Vec::new();
        for step in &self.steps {
            let filled = |text: &str| {
                let text = text.replace("/NS", &format!("/{NAMESPACE}"));
                kept.iter().fold(text, |t, (name, value)| t.replace(&format!("{{{name}}}"), value))
            };
            let path = filled(&step.path);
            let body = match std::str::from_utf8(&step.body) {
                Ok(text) => filled(text).into_bytes(),
                Err(_) => step.body.clone(),
            };
            let (code, answer) = match step.events {
                Some(most) => {
                    let (code, events) = server.watch(&path, &step.headers, most).await;
                    (code, Value::from(events))
                }
                None => step.send(server, &path, body).await,
            };
            for (name, pointer) in &step.keep {
                let found = answer.pointer(pointer).unwrap_or(&Value::Null);
                kept.insert(*name, found.as_str().map_or_else(|| found.to_string(), str::to_owned));
            }
            if !step.quiet {
                let shown = if step.parts.is_empty() {
                    normal(&answer)
                } else {
                    step.parts.iter().map(|p| (p.clone(), normal(answer.pointer(p).unwrap_or(&Value::Null)))).collect()
                };
                answers.push(json!({"step": format!("{} {}", step.method, step.path), "code": code, "answer": shown}));
            }
        }
        answers.into()
    }
}

fn step(method: &'static str, path: impl Into<String>, body: Vec<u8>) -> Step {
    Step {
        method,
        path: path.into(),
        headers: Vec::new(),
        body,
        parts: Vec::new(),
        keep: Vec::new(),
        quiet: false,
        until: None,
        events: None,
    }
}

/// GET.
pub fn get(path: impl Into<String>) -> Step {
    step("GET", path, Vec::new())
}

/// POST.
pub fn post(path: impl Into<String>, body: &Value) -> Step {
    step("POST", path, body.to_string().into_bytes())
}

/// PUT.
pub fn put(path: impl Into<String>, body: &Value) -> Step {
    step("PUT", path, body.to_string().into_bytes())
}

/// PATCH; `kind` is `json-patch+json`, `merge-patch+json`, `strategic-merge-patch+json` or `apply-patch+yaml`.
pub fn patch(kind: &str, path: impl Into<String>, body: &Value) -> Step {
    step("PATCH", path, body.to_string().into_bytes()).header("content-type", &format!("application/{kind}"))
}

/// DELETE, with DeleteOptions unless null.
pub fn delete(path: impl Into<String>, options: &Value) -> Step {
    let body = if options.is_null() { Vec::new() } else { options.to_string().into_bytes() };
    step("DELETE", path, body)
}

/// GET of a watch: so many events are read.
pub fn watch(path: impl Into<String>, events: usize) -> Step {
    Step { events: Some(events), ..get(path) }
}

impl Step {
    /// A header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A body as it is.
    pub fn raw(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Asks for a Table.
    pub fn table(self) -> Self {
        self.header("accept", "application/json;as=Table;v=v1;g=meta.k8s.io")
    }

    /// Asks as somebody else.
    pub fn by(self, user: &str) -> Self {
        self.header("impersonate-user", user)
    }

    /// Compares only these parts (JSON pointers).
    pub fn only<const N: usize>(mut self, parts: [&str; N]) -> Self {
        self.parts = parts.map(str::to_owned).to_vec();
        self
    }

    /// Keeps a part (JSON pointer) for later steps.
    pub fn keep(mut self, name: &'static str, pointer: &'static str) -> Self {
        self.keep.push((name, pointer));
        self
    }

    /// Only prepares: asks again until it is answered with this code. The real server serves a new kind after a moment,
    /// of which it tells nobody.
    pub fn until(mut self, code: u16) -> Self {
        self.until = Some(code);
        self.quiet()
    }

    async fn send(&self, server: &Server, path: &str, body: Vec<u8>) -> (u16, Value) {
        for _ in 0..100 {
            let (code, answer) = server.send(self.method, path, &self.headers, body.clone()).await;
            if self.until.is_none_or(|wanted| wanted == code) {
                return (code, answer);
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        panic!("{} {path} is never answered with {:?}", self.method, self.until)
    }

    /// Only prepares: the answer is not compared.
    pub fn quiet(mut self) -> Self {
        self.quiet = true;
        self
    }
}
