//! The rig for tests: a real control plane, KWOK and a real Prometheus, started by `tests/rig/rig run`.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

/// The rig that this test run was given, and a state directory and configuration of its own.
pub struct Rig {
    /// Admin kubeconfig.
    pub kubeconfig: String,
    /// Prometheus URL.
    pub prometheus: String,
    /// Where journal and socket of this test live.
    pub state: tempfile::TempDir,
}

#[allow(dead_code, clippy::unused_self, reason = "each walk uses its part, all through the rig")]
impl Rig {
    /// The running rig. Panics with the remedy if there is none: these tests are never skipped.
    pub fn here() -> Self {
        let var = |name: &str| {
            std::env::var(name)
                .unwrap_or_else(|_| panic!("{name} is not set: run tests/rig/rig run -- cargo test --features rig"))
        };
        Self {
            kubeconfig: var("KANSOLE_RIG_ADMIN"),
            prometheus: var("PROMETHEUS_URL"),
            state: tempfile::tempdir().expect("a directory"),
        }
    }

    /// Writes a configuration with short times, so that a test takes seconds; `more` is appended.
    pub fn config(&self, more: &str) -> PathBuf {
        let path = self.state.path().join("config.toml");
        let text = format!(
            r#"[connection]
state_dir = "{state}"
prometheus = "{prometheus}"
[monitor]
heartbeat = "1s"
stale_after = "15s"
[analyze]
not_ready_grace = "10s"
unschedulable_grace = "5s"
node_grace = "5s"
[guard]
interval = "2s"
settle = "3s"
observe = "3s"
cooldown = "1s"
stale_after = "10s"
step_timeout = "60s"
per_hour = 1000
per_hour_namespace = 1000
per_hour_kind = 1000
per_hour_node = 1000
{more}
"#,
            state = self.state.path().display(),
            prometheus = self.prometheus,
        );
        std::fs::write(&path, text).expect("written");
        path
    }

    /// Arguments every command gets.
    pub fn args<'a>(&'a self, config: &'a Path, more: &[&'a str]) -> Vec<&'a str> {
        let mut args = more.to_vec();
        args.extend(["--kubeconfig", self.kubeconfig.as_str(), "--config", config.to_str().expect("utf-8")]);
        args
    }

    /// Runs kansole to its end.
    pub fn kansole(&self, config: &Path, args: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_kansole")).args(self.args(config, args)).output().expect("kansole runs")
    }

    /// Runs kansole and reads its JSON.
    pub fn json(&self, config: &Path, args: &[&str]) -> Value {
        let out = self.kansole(config, args);
        assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
        serde_json::from_slice(&out.stdout).expect("JSON")
    }

    /// kubectl as admin; panics when it fails.
    pub fn kubectl(&self, args: &[&str]) -> String {
        let out =
            Command::new("kubectl").arg("--kubeconfig").arg(&self.kubeconfig).args(args).output().expect("kubectl");
        assert!(out.status.success(), "kubectl {args:?}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).expect("utf-8").trim().to_owned()
    }

    /// The script of the rig that runs: the real control plane's, or the simulated one's.
    pub fn rig(&self, args: &[&str]) {
        let script = std::env::var_os("KANSOLE_RIG_SCRIPT")
            .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rig/rig"), PathBuf::from);
        let out = Command::new(script).args(args).output().expect("the rig's script");
        assert!(out.status.success(), "rig {args:?}: {}", String::from_utf8_lossy(&out.stderr));
    }

    /// One field of an object, by jsonpath.
    pub fn field(&self, object: &str, path: &str) -> String {
        self.kubectl(&["-n", "shop", "get", object, "-o", &format!("jsonpath={path}")])
    }

    /// Memory limit of the first container of a Deployment in shop.
    pub fn memory_limit(&self, name: &str) -> String {
        self.field(&format!("deploy/{name}"), "{.spec.template.spec.containers[0].resources.limits.memory}")
    }

    /// Image of the first container of a Deployment in shop.
    pub fn image(&self, name: &str) -> String {
        self.field(&format!("deploy/{name}"), "{.spec.template.spec.containers[0].image}")
    }

    /// Deletes workloads of a scenario and waits until their pods are gone.
    pub fn delete(&self, names: &[&str]) {
        for name in names {
            self.kubectl(&[
                "-n",
                "shop",
                "delete",
                name,
                "--ignore-not-found",
                "--cascade=foreground",
                "--wait=true",
                "--timeout=60s",
            ]);
        }
    }

    /// Asks until the answer satisfies a condition: the API has no event for every truth a test asks for.
    pub fn until<T: std::fmt::Debug>(
        &self,
        what: &str,
        limit: Duration,
        ask: impl Fn() -> T,
        done: impl Fn(&T) -> bool,
    ) -> T {
        let until = Instant::now() + limit;
        loop {
            let answer = ask();
            if done(&answer) {
                return answer;
            }
            assert!(Instant::now() < until, "waited {limit:?} for {what}; last answer: {answer:?}");
            std::thread::sleep(Duration::from_millis(250));
        }
    }

    /// The queue of the running console, through its control socket.
    pub fn queue(&self, config: &Path) -> Vec<Value> {
        self.json(config, &["actions", "list", "--format", "json"]).as_array().cloned().unwrap_or_default()
    }

    /// The queue through the socket alone, for when the API server is away.
    pub fn queue_of_running(&self) -> Vec<Value> {
        use std::io::{BufRead, BufReader, Write};
        let dirs = std::fs::read_dir(self.state.path()).expect("the state directory");
        let socket =
            dirs.flatten().map(|d| d.path().join("control.sock")).find(|p| p.exists()).expect("a running kansole");
        let mut stream = std::os::unix::net::UnixStream::connect(socket).expect("it listens");
        stream.write_all(b"{\"ask\":\"queue\"}\n").expect("asked");
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).expect("answered");
        serde_json::from_str::<Value>(&line).expect("JSON")["items"].as_array().cloned().unwrap_or_default()
    }

    /// The newest action whose id begins so, as soon as it satisfies a condition.
    pub fn action(&self, config: &Path, id: &str, limit: Duration, done: impl Fn(&Value) -> bool) -> Value {
        let newest = || {
            let queue = self.queue(config);
            queue.into_iter().rev().find(|i| i["proposal"]["id"].as_str().is_some_and(|x| x.starts_with(id)))
        };
        let until = Instant::now() + limit;
        loop {
            let found = newest();
            if let Some(item) = found.as_ref().filter(|i| done(i)) {
                return item.clone();
            }
            if Instant::now() >= until {
                let story = found.map(|i| format!("{:#} {:#} {:#}", i["state"], i["blocked"], i["story"]));
                panic!("waited {limit:?} for action {id}; it is: {}", story.unwrap_or_else(|| "not there".into()));
            }
            std::thread::sleep(Duration::from_millis(250)); // the socket answers, it does not push
        }
    }

    /// Verifies the journal and returns the kinds of its entries, oldest first.
    pub fn journal_kinds(&self, config: &Path) -> Vec<String> {
        let out = self.kansole(config, &["journal", "verify"]);
        assert!(out.status.success(), "the journal verifies: {}", String::from_utf8_lossy(&out.stderr));
        let entries = self.json(config, &["journal", "list", "--last", "1000", "--format", "json"]);
        entries.as_array().expect("entries").iter().filter_map(|e| e["kind"].as_str().map(str::to_owned)).collect()
    }
}

/// The state word of an action as the socket tells it.
pub fn state(item: &Value) -> &str {
    item["state"]["state"].as_str().unwrap_or("?")
}
