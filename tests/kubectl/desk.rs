//! A desk of one test: a demo served in this process, and kubectl at it.

use kansole::sim::demo::{Demo, Options};
use serde_json::Value;
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::Command;
use tokio::runtime::Runtime;
use tokio::time::timeout;

/// Nothing that kubectl is asked here takes so long, however busy the machine is.
const LONG: Duration = Duration::from_secs(90);

/// A simulated cluster of four empty nodes whose time runs five times as fast, and kubectl with its administrator's rights.
pub struct Desk {
    runtime: Runtime,
    /// Held: dropping it would stop its clock.
    _demo: Demo,
    /// Kubeconfig, kubectl's cache, files to apply.
    home: TempDir,
    kubectl: String,
}

/// What kubectl said.
#[derive(Debug)]
pub struct Said {
    /// Exit code.
    pub code: i32,
    /// On stdout.
    pub out: String,
    /// On stderr.
    pub err: String,
}

impl Desk {
    /// Starts it. Panics with the remedy if there is no kubectl: these tests are never skipped.
    pub fn new() -> Self {
        let kubectl =
            std::env::var("KANSOLE_RIG_KUBECTL").expect("run by tests/rig/rig run -- cargo test --features rig");
        let runtime = Runtime::new().expect("a runtime");
        let options = Options { bare: true, speed: 5.0, scenario: "quiet-day".into(), ..Options::default() };
        let demo = runtime.block_on(Demo::start(&options)).expect("the demo starts");
        let home = tempfile::tempdir().expect("a directory");
        std::fs::write(home.path().join("kubeconfig"), demo.kubeconfig()).expect("written");
        Self { runtime, _demo: demo, home, kubectl }
    }

    /// Writes a manifest to a file; gives its path.
    pub fn file(&self, name: &str, content: &Value) -> String {
        let path = self.home.path().join(name);
        std::fs::write(&path, content.to_string()).expect("written");
        path.to_str().expect("utf-8").to_owned()
    }

    /// Runs kubectl with arguments parted by spaces.
    pub fn run(&self, arguments: &str) -> Said {
        self.with(arguments, "")
    }

    /// The same with text on its stdin.
    pub fn with(&self, arguments: &str, input: &str) -> Said {
        self.runtime.block_on(async {
            let mut child = self.command(arguments).stdin(Stdio::piped()).spawn().expect("kubectl is there");
            let mut stdin = child.stdin.take().expect("piped");
            stdin.write_all(input.as_bytes()).await.expect("it listens");
            drop(stdin);
            let end = timeout(LONG, child.wait_with_output()).await;
            let end = end.unwrap_or_else(|_| panic!("kubectl {arguments} does not end")).expect("it ran");
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            Said { code: end.status.code().unwrap_or(-1), out: text(&end.stdout), err: text(&end.stderr) }
        })
    }

    /// What kubectl prints when it succeeds.
    #[track_caller]
    pub fn ok(&self, arguments: &str) -> String {
        let said = self.run(arguments);
        assert_eq!(said.code, 0, "kubectl {arguments}\n{}{}", said.out, said.err);
        said.out
    }

    /// The same of `kubectl ... -f -` with this object.
    #[track_caller]
    pub fn ok_with(&self, arguments: &str, object: &Value) -> String {
        let said = self.with(arguments, &object.to_string());
        assert_eq!(said.code, 0, "kubectl {arguments}\n{}{}", said.out, said.err);
        said.out
    }

    /// What kubectl complains of when it fails with exit code 1.
    #[track_caller]
    pub fn fails(&self, arguments: &str) -> String {
        let said = self.run(arguments);
        assert_eq!(said.code, 1, "kubectl {arguments}\n{}{}", said.out, said.err);
        said.err
    }

    /// An object.
    #[track_caller]
    pub fn object(&self, arguments: &str) -> Value {
        serde_json::from_str(&self.ok(&format!("get {arguments} -o json"))).expect("kubectl prints JSON")
    }

    /// Starts kubectl, lets `act` happen when it has printed its first line, reads until a line contains `end`, and ends it.
    #[track_caller]
    pub fn follow(&self, arguments: &str, act: impl FnOnce(), end: &str) -> Vec<String> {
        let guard = self.runtime.enter();
        let mut child = self.command(arguments).spawn().expect("kubectl is there");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        drop(guard);
        let mut next = || {
            let line = self.runtime.block_on(async { timeout(LONG, lines.next_line()).await });
            line.unwrap_or_else(|_| panic!("kubectl {arguments} does not say {end:?}")).expect("text")
        };
        let mut seen = vec![next().unwrap_or_default()];
        act();
        while !seen.iter().any(|l| l.contains(end)) {
            let Some(line) = next() else { panic!("kubectl {arguments} ended without {end:?}: {seen:#?}") };
            seen.push(line);
        }
        seen
    }

    fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(&self.kubectl);
        command
            .args(arguments.split_whitespace())
            .env("KUBECONFIG", self.home.path().join("kubeconfig"))
            .env("HOME", self.home.path())
            .env("KUBECTL_EXTERNAL_DIFF", "diff -u -N")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }
}

/// Whether each of these is in the text.
#[track_caller]
pub fn has(text: &str, all: &[&str]) {
    for part in all {
        assert!(text.contains(part), "{part:?} is missing in:\n{text}");
    }
}
