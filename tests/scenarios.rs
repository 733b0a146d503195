//! Every scenario that comes with kansole: what it breaks is seen where an operator would look, and what rightly takes the
//! cause away makes the shop well, through the same servers a console talks to. Nobody waits: the clock is stepped.

use chrono::TimeDelta;
use kansole::sim::demo::{Demo, Options};
use serde_json::{Value, json};
use std::fmt::Write as _;

/// The simulated cluster with a scenario, and a client of its servers.
struct World {
    demo: Demo,
    runtime: tokio::runtime::Runtime,
    client: reqwest::Client,
    steps: i64,
}

/// How often is looked, simulated seconds.
const LOOK: i64 = 10;

impl World {
    /// A Tuesday morning, always the same.
    fn playing(scenario: &str) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let start = "2026-03-10T10:00:00Z".parse().expect("a time");
        let options = Options { scenario: scenario.into(), speed: 0.0, start: Some(start), ..Options::default() };
        let demo = runtime.block_on(Demo::start(&options)).expect("the demo starts");
        // The certificate is the demo's own, made a moment ago.
        let client = reqwest::Client::builder().danger_accept_invalid_certs(true).build().expect("a client");
        Self { demo, runtime, client, steps: 0 }
    }

    fn step(&mut self) {
        self.demo.step(TimeDelta::seconds(LOOK));
        self.steps += 1;
    }

    fn text(&self, request: reqwest::RequestBuilder) -> String {
        self.runtime.block_on(async {
            let answer = request.bearer_auth("demo-admin-token").send().await.expect("an answer");
            let (status, body) = (answer.status(), answer.text().await.expect("a whole one"));
            assert!(status.is_success(), "{status}: {body}");
            body
        })
    }

    fn send(&self, request: reqwest::RequestBuilder) -> Value {
        serde_json::from_str(&self.text(request)).expect("JSON")
    }

    fn url(&self, path: &str) -> String {
        format!("https://127.0.0.1:{}{path}", self.demo.ports().api)
    }

    fn get(&self, path: &str) -> Value {
        self.send(self.client.get(self.url(path)))
    }

    fn merge(&self, path: &str, patch: &Value) {
        self.patch(path, "application/merge-patch+json", patch);
    }

    fn patch(&self, path: &str, kind: &str, patch: &Value) {
        self.send(self.client.patch(self.url(path)).header("content-type", kind).body(patch.to_string()));
    }

    /// Whether it was taken.
    fn try_post(&self, path: &str, body: &Value) -> bool {
        let request =
            self.client.post(self.url(path)).header("content-type", "application/json").body(body.to_string());
        let sent = self.runtime.block_on(request.bearer_auth("demo-admin-token").send());
        sent.expect("an answer").status().is_success()
    }

    fn delete(&self, path: &str) {
        self.send(self.client.delete(self.url(path)));
    }

    /// What a query gives: its samples with their labels.
    fn query(&self, query: &str) -> Vec<Value> {
        let url = format!("http://127.0.0.1:{}/api/v1/query", self.demo.ports().prometheus);
        let answer = self.send(self.client.get(url).query(&[("query", query)]));
        answer["data"]["result"].as_array().expect("a vector").clone()
    }

    /// Whether a condition holds: the query gives something.
    fn holds(&self, condition: &str) -> bool {
        !self.query(condition).is_empty()
    }

    /// Lets time pass until a condition holds. Whatever the scenario does succeeds.
    fn until(&mut self, condition: &str, minutes: i64) {
        let last = self.steps + minutes * 60 / LOOK;
        while !self.holds(condition) {
            assert!(self.steps < last, "{minutes} minutes without {condition}\n{}", self.story());
            self.step();
        }
        let problems = self.demo.director().playing().problems;
        assert!(problems.is_empty(), "{problems:?}");
    }

    /// Lets time pass, in which a condition holds all the time.
    fn stays(&mut self, condition: &str, minutes: i64) {
        for _ in 0..minutes * 60 / LOOK {
            self.step();
            assert!(self.holds(condition), "it does not last: {condition}\n{}", self.story());
        }
    }

    /// What somebody would want to know of the shop when a test fails.
    fn story(&self) -> String {
        let mut story = format!("after {} simulated seconds:\n", self.steps * LOOK);
        for (what, query) in [
            ("failed share", failed("")),
            ("p99", p99()),
            ("available", "kube_deployment_status_replicas_available{namespace=\"shop\"}".into()),
            ("firing", "ALERTS{alertstate=\"firing\"}".into()),
        ] {
            for sample in self.query(&query) {
                let _ = writeln!(story, "  {what} {} {}", sample["metric"], sample["value"][1]);
            }
        }
        story
    }

    fn image(&self, name: &str, image: &str) {
        let container = json!({"name": name, "image": format!("registry.example/shop/{image}")});
        let patch = json!({"spec": {"template": {"spec": {"containers": [container]}}}});
        self.patch(&deployment(name), "application/strategic-merge-patch+json", &patch);
    }

    fn limits(&self, name: &str, limits: &Value) {
        let container = json!({"name": name, "resources": {"limits": limits}});
        let patch = json!({"spec": {"template": {"spec": {"containers": [container]}}}});
        self.patch(&deployment(name), "application/strategic-merge-patch+json", &patch);
    }
}

fn deployment(name: &str) -> String {
    format!("/apis/apps/v1/namespaces/shop/deployments/{name}")
}

/// Share of requests that fail, by service, of those a selector chooses.
fn failed(of: &str) -> String {
    let count = "http_server_request_duration_seconds_count";
    format!(
        "sum by (service) (rate({count}{{{of}http_response_status_code=~\"5..\"}}[1m])) / sum by (service) (rate({count}{{{of}}}[1m]))"
    )
}

/// Seconds that the slowest hundredth of the requests takes, by service.
fn p99() -> String {
    "histogram_quantile(0.99, sum by (service, le) (rate(http_server_request_duration_seconds_bucket[1m])))".into()
}

/// More than this share of a service's requests fails.
fn failing(service: &str, share: f64) -> String {
    format!("{} > {share}", failed(&format!("service=\"{service}\",")))
}

/// All that the shop promises: nobody fails, the pages come soon, everything wanted is there.
fn well() -> String {
    let count = "http_server_request_duration_seconds_count";
    format!(
        "(sum(rate({count}{{service=~\"frontend|checkout|cart|search|payment\",http_response_status_code=~\"5..\"}}[1m])) \
           / sum(rate({count}{{service=~\"frontend|checkout|cart|search|payment\"}}[1m])) < 0.01) \
         and on () (histogram_quantile(0.95, sum by (le) (rate(http_server_request_duration_seconds_bucket{{service=\"frontend\"}}[1m]))) < 1) \
         unless on () (kube_deployment_spec_replicas{{namespace=\"shop\"}} > kube_deployment_status_replicas_available{{namespace=\"shop\"}})"
    )
}

/// Lets a scenario break something, then somebody cure it.
fn breaks_and_heals(scenario: &str, broken: &str, within: i64, cure: impl Fn(&World), well_within: i64) {
    let mut world = World::playing(scenario);
    world.until(broken, within);
    cure(&world);
    world.until(&well(), well_within);
    world.stays(&well(), 5);
}

#[test]
fn quiet_day() {
    let mut world = World::playing("quiet-day");
    world.stays(&well(), 20);
    assert!(!world.holds("increase(kube_pod_container_status_restarts_total[20m]) > 0"), "{}", world.story());
    assert!(!world.holds("ALERTS{alertstate=\"firing\"}"), "{}", world.story());
}

#[test]
fn oom_crash_loop() {
    let killed = "kube_pod_container_status_last_terminated_reason{container=\"cart\",reason=\"OOMKilled\"} == 1";
    breaks_and_heals("oom-crash-loop", killed, 3, |w| w.limits("cart", &json!({"memory": "256Mi"})), 5);
}

#[test]
fn bad_release() {
    breaks_and_heals("bad-release", &failing("search", 0.2), 5, |w| w.image("search", "search:5.0.4"), 5);
}

#[test]
fn bad_config() {
    let cure = |w: &World| {
        let data = json!({"data": {"USERS_DB_URL": "postgres://users-db.shop.svc:5432/users"}});
        w.merge("/api/v1/namespaces/shop/configmaps/payment-config", &data);
        let now = json!({"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": "2026-03-10T11:00:00Z"}}});
        w.merge(&deployment("payment"), &json!({"spec": {"template": now}}));
    };
    breaks_and_heals("bad-config", &failing("payment", 0.5), 5, cure, 5);
}

#[test]
fn memory_leak() {
    let mut world = World::playing("memory-leak");
    let grows = "min(deriv(container_memory_working_set_bytes{container=\"cart\"}[2m])) > 800000";
    world.until(grows, 6);
    world.until("kube_pod_container_status_last_terminated_reason{container=\"cart\",reason=\"OOMKilled\"} == 1", 30);
    world.image("cart", "cart:1.18.2");
    world.until(&well(), 5);
    world.stays(&well(), 10);
    assert!(
        !world.holds("max(deriv(container_memory_working_set_bytes{container=\"cart\"}[5m])) > 200000"),
        "{}",
        world.story()
    );
}

#[test]
fn traffic_spike() {
    let more = |w: &World| {
        for hpa in w.get("/apis/autoscaling/v2/namespaces/shop/horizontalpodautoscalers")["items"].as_array().unwrap() {
            let name = hpa["metadata"]["name"].as_str().unwrap();
            let path = format!("/apis/autoscaling/v2/namespaces/shop/horizontalpodautoscalers/{name}");
            w.merge(&path, &json!({"spec": {"maxReplicas": 20}}));
        }
        for d in w.get("/apis/apps/v1/namespaces/shop/deployments")["items"].as_array().unwrap() {
            let (name, replicas) = (d["metadata"]["name"].as_str().unwrap(), d["spec"]["replicas"].as_i64().unwrap());
            if !["cache", "frontend", "search"].contains(&name) {
                w.merge(&deployment(name), &json!({"spec": {"replicas": replicas * 3}}));
            }
        }
    };
    let rate = "sum(rate(http_server_request_duration_seconds_count{service=\"frontend\"}[1m]))";
    let spike = format!("({rate} > 4 * min_over_time(({rate})[6m:10s])) unless on () ({})", well());
    breaks_and_heals("traffic-spike", &spike, 6, more, 6);
}

#[test]
fn dependency_failure() {
    let broken = format!(
        "({}) and on () (kube_deployment_status_replicas_available{{deployment=\"inventory\"}} == 0)",
        failing("checkout", 0.3)
    );
    let cure =
        |w: &World| w.merge("/apis/apps/v1/namespaces/shop/statefulsets/orders-db", &json!({"spec": {"replicas": 2}}));
    breaks_and_heals("dependency-failure", &broken, 8, cure, 8);
}

#[test]
fn deadlock() {
    let broken = "kube_deployment_status_replicas_available{deployment=\"inventory\"} < 2";
    let mut world = World::playing("deadlock");
    world.until(broken, 12);
    let restarts = "sum(increase(kube_pod_container_status_restarts_total{container=\"inventory\"}[10m])) > 0";
    assert!(!world.holds(restarts), "nobody restarts what says that it lives\n{}", world.story());
    world.image("inventory", "inventory:1.7.0");
    world.until(&well(), 8);
    world.stays(&well(), 5);
}

#[test]
fn node_failure() {
    let mut world = World::playing("node-failure");
    let ready = "kube_node_status_condition{node=\"node-b1\",condition=\"Ready\",status=\"true\"}";
    world.until(&format!("{ready} == 0"), 2);
    world.until(&format!("{ready} == 1"), 20);
    world.until(&well(), 10);
    world.stays(&well(), 5);
}

#[test]
fn zone_partition() {
    let mut world = World::playing("zone-partition");
    let lost = "count(kube_node_status_condition{node=~\"node-b.*\",condition=\"Ready\",status=\"true\"} == 0) == 2";
    world.until(lost, 3);
    world.until("count(kube_node_status_condition{condition=\"Ready\",status=\"true\"} == 1) == 6", 15);
    world.until(&well(), 10);
    world.stays(&well(), 5);
}

#[test]
fn disk_pressure() {
    let mut world = World::playing("disk-pressure");
    world.until("kube_node_status_condition{node=\"node-c2\",condition=\"DiskPressure\",status=\"true\"} == 1", 6);
    world.until("sum(kube_pod_status_reason{reason=\"Evicted\"}) > 0", 4);
    world.until("kube_node_status_condition{node=\"node-c2\",condition=\"DiskPressure\",status=\"true\"} == 0", 15);
    world.until(&well(), 10);
    world.stays(&well(), 5);
}

#[test]
fn noisy_neighbour() {
    let mut world = World::playing("noisy-neighbour");
    world.until("sum(rate(node_cpu_seconds_total{mode=\"steal\"}[1m])) > 0.8", 4);
    let node = "/api/v1/nodes/node-a1";
    world.merge(node, &json!({"spec": {"unschedulable": true}}));
    let mut left = 1;
    while left > 0 {
        let pods = world.get("/api/v1/pods?fieldSelector=spec.nodeName%3Dnode-a1");
        // The users database has one pod, and a budget that never lets it go: who drains leaves it.
        let kind = |p: &Value| p["metadata"]["ownerReferences"][0]["kind"].clone();
        let drained = |p: &&Value| kind(p) != "DaemonSet" && p["metadata"]["name"] != "users-db-0";
        let pods: Vec<&Value> = pods["items"].as_array().unwrap().iter().filter(drained).collect();
        left = pods.len();
        let names: Vec<&Value> = pods.iter().map(|p| &p["metadata"]["name"]).collect();
        for pod in pods {
            let (ns, name) =
                (pod["metadata"]["namespace"].as_str().unwrap(), pod["metadata"]["name"].as_str().unwrap());
            let body =
                json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"namespace": ns, "name": name}});
            // A disruption budget may say no for now: the next look tries again.
            world.try_post(&format!("/api/v1/namespaces/{ns}/pods/{name}/eviction"), &body);
        }
        assert!(world.steps < 100, "these stay: {names:?}\n{}", world.story());
        world.step();
    }
    world.until(&well(), 6);
    world.stays(&well(), 5);
    assert!(world.holds("sum(rate(node_cpu_seconds_total{mode=\"steal\"}[1m])) > 0"), "the neighbour is still there");
}

#[test]
fn cpu_throttling() {
    let throttled = "sum(rate(container_cpu_cfs_throttled_periods_total{container=\"recommendations\"}[1m])) \
        / sum(rate(container_cpu_cfs_periods_total{container=\"recommendations\"}[1m])) > 0.8";
    breaks_and_heals("cpu-throttling", throttled, 5, |w| w.limits("recommendations", &json!({"cpu": "500m"})), 6);
}

#[test]
fn flapping_metrics() {
    let mut world = World::playing("flapping-metrics");
    world.until("count(up == 0) > 0", 2);
    world.until("absent(kube_deployment_spec_replicas)", 4);
    for _ in 0..10 * 60 / LOOK {
        world.step();
    }
    world.stays("(count(up == 0) or vector(0)) == 0", 5);
    world.stays(&well(), 3);
}

#[test]
fn hpa_fight() {
    let mut world = World::playing("hpa-fight");
    let fights = "changes(kube_deployment_spec_replicas{deployment=\"frontend\"}[5m])";
    world.until(&format!("{fights} >= 4"), 8);
    let url = format!("http://127.0.0.1:{}/sim/play?scenario=", world.demo.ports().prometheus);
    world.text(world.client.post(url));
    world.until(&format!("{fights} == 0"), 8);
    world.stays(&well(), 5);
}

#[test]
fn over_provisioned() {
    let mut world = World::playing("over-provisioned");
    let asked = "sum(kube_pod_container_resource_requests{namespace=\"campaign\",resource=\"cpu\"})";
    let used = "sum(rate(container_cpu_usage_seconds_total{namespace=\"campaign\",container!=\"\"}[2m]))";
    world.until(&format!("({asked} > 5) and ({used} < 0.1 * {asked})"), 5);
    world.delete("/api/v1/namespaces/campaign");
    world.until(&format!("absent({asked})"), 6);
    world.stays(&well(), 3);
}

#[test]
fn cost_spike() {
    let mut world = World::playing("cost-spike");
    let cost = "sum(node_total_hourly_cost)";
    world.until(&format!("{cost} > 2 * min_over_time(({cost})[5m:10s])"), 4);
    let asked = "sum(kube_pod_container_resource_requests{namespace=\"loadtest\",resource=\"cpu\"})";
    world.until(&format!("{asked} >= 3.5"), 4);
    world.merge("/apis/apps/v1/namespaces/loadtest/deployments/generator", &json!({"spec": {"replicas": 0}}));
    world.until(&format!("absent({asked})"), 4);
    world.until(&format!("{cost} < 0.6 * max_over_time(({cost})[5m:10s])"), 32);
    world.stays(&well(), 3);
}

#[test]
fn night_shift() {
    let mut world = World::playing("night-shift");
    let killed = "kube_pod_container_status_last_terminated_reason{container=\"cart\",reason=\"OOMKilled\"} == 1";
    world.until(killed, 1);
    // Nobody does anything: somebody else notices after a while, and the next trouble comes.
    world.until(&failing("search", 0.2), 8);
    world.until(&well(), 12);
}
