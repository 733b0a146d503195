use super::*;
use crate::model::time::Timestamp;
use crate::sim::clock::{Clock, at as moment, seconds};
use crate::sim::engine::{Actor, Engine};
use crate::sim::machine::{Machine, Place, Process, Shared, State, Usage};
use crate::sim::noise::Noise;
use crate::sim::object::{at, int, text};
use crate::sim::store::{Change, Store};
use serde_json::{Value, json};
use std::sync::{Mutex, mpsc};

const START: i64 = 1_795_000_000_000;

fn t(s: f64) -> Timestamp {
    moment(START) + seconds(s)
}

/// A store with one workload, one ConfigMap, three nodes and the workload's three processes.
fn stage() -> (Arc<Store>, Shared) {
    let store = Arc::new(Store::new(Arc::new(Clock::new(moment(START), 0.0)), Noise::new(1)));
    let cart = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "cart", "namespace": "shop"},
        "spec": {"replicas": 3, "selector": {"matchLabels": {"app": "cart"}}, "template": {
            "metadata": {"labels": {"app": "cart"}},
            "spec": {"containers": [{"name": "cart", "image": "registry.example/cart:1.0.0", "resources": {"limits": {"memory": "256Mi"}}}]},
        }},
    });
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "cart", "namespace": "shop"}, "data": {"DB": "orders-db"}});
    let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}});
    crate::sim::world::load(&store, vec![object, cart.clone(), map.clone()], "test", moment(START)).unwrap();
    let shared = Shared::default();
    let mut machines = shared.lock();
    for (name, zone) in [("n1", "a"), ("n2", "a"), ("n3", "b")] {
        let on = Machine {
            name: name.into(),
            zone: zone.into(),
            powered: true,
            connected: true,
            kubelet: true,
            exporting: true,
            ..Machine::default()
        };
        machines.nodes.insert(name.into(), on);
    }
    for pod in ["cart-1", "cart-2", "cart-3"] {
        let process = process(pod);
        machines.processes.insert(process.place.clone(), process);
    }
    drop(machines);
    (store, shared)
}

fn process(pod: &str) -> Process {
    Process {
        place: Place { namespace: "shop".into(), pod: pod.into(), container: "cart".into() },
        uid: pod.into(),
        node: "n1".into(),
        workload: ("Deployment".into(), "cart".into()),
        image: "registry.example/cart:1.0.0".into(),
        id: String::new(),
        restarts: 0,
        started: moment(START),
        config: BTreeMap::new(),
        annotations: BTreeMap::new(),
        requests: [0.1, 1e8],
        limits: [None, None],
        state: State::Running,
        ready: true,
        live: true,
        started_up: true,
        exporting: true,
        usage: Usage::default(),
        log: std::collections::VecDeque::new(),
    }
}

fn scenario(steps: &str) -> Arc<Scenario> {
    Arc::new(
        parse("test.toml", &format!("name = \"test\"\ntitle = \"Test\"\n{steps}")).unwrap_or_else(|e| panic!("{e}")),
    )
}

/// Notes every moment something acts at, and what the watched value is then.
struct Recorder<F>(F, Option<Timestamp>, mpsc::Sender<(i64, String)>);

impl<F: Fn() -> String + Send> Actor for Recorder<F> {
    fn name(&self) -> &'static str {
        "recorder"
    }
    fn observe(&mut self, _: &Change) {}
    fn due(&self) -> Option<Timestamp> {
        self.1
    }
    fn act(&mut self, now: Timestamp) {
        let _ = self.2.send((now.timestamp_millis() - START, (self.0)()));
        self.1 = Some(now + seconds(0.25));
    }
}

/// Plays a scenario for 60 s in steps of `step`; gives every change of what `see` shows, with its time in milliseconds.
fn play(steps: &str, step: f64, see: impl Fn(&Store, &Shared) -> String + Send + 'static) -> Vec<(i64, String)> {
    let (store, shared) = stage();
    let director =
        Director::new(store.clone(), shared.clone(), Box::new(()), vec![scenario(steps)], Some(("test", t(0.0))))
            .unwrap();
    let (out, seen) = mpsc::channel();
    let s = store.clone();
    let recorder = Recorder(move || see(&s, &shared), Some(t(0.0)), out);
    let mut engine = Engine::new(store, vec![Box::new(director) as Box<dyn Actor>, Box::new(recorder)]);
    let mut to = 0.0;
    while to < 60.0 {
        to += step;
        engine.advance(t(to));
    }
    let mut all: Vec<(i64, String)> = seen.try_iter().collect();
    all.dedup_by(|b, a| a.1 == b.1);
    all
}

fn brief(all: &[(i64, String)]) -> Vec<(i64, &str)> {
    all.iter().map(|(at, s)| (*at, s.as_str())).collect()
}

#[test]
fn steps_come_and_go_at_their_exact_times_whatever_the_speed() {
    let file = r#"
        [[step]]
        at = "10500ms"
        for = "20s"
        do = "slow"
        workload = "shop/cart"
        factor = 3
        [[step]]
        at = "20s"
        until = "40s"
        do = "slow"
        workload = "shop/cart"
        factor = 2
    "#;
    let see = |_: &Store, m: &Shared| format!("{:?}", m.lock().outside.slow.get("shop/cart"));
    let fine = play(file, 0.5, see);
    assert_eq!(
        brief(&fine),
        [(0, "None"), (10_500, "Some(3.0)"), (20_000, "Some(6.0)"), (30_500, "Some(2.0)"), (40_000, "None")]
    );
    assert_eq!(fine, play(file, 60.0, see));
}

#[test]
fn ramps_rise_second_by_second() {
    let file = "[[step]]\nat = \"5s\"\ndo = \"load\"\nfactor = 5\nramp = \"4s\"\n";
    let see = |_: &Store, m: &Shared| format!("{:?}", m.lock().outside.load.get("*"));
    let want = [
        (0, "None"),
        (5_000, "Some(1.0)"),
        (6_000, "Some(2.0)"),
        (7_000, "Some(3.0)"),
        (8_000, "Some(4.0)"),
        (9_000, "Some(5.0)"),
    ];
    assert_eq!(brief(&play(file, 60.0, see)), want);
}

#[test]
fn pods_flap_in_turns_and_only_as_many_as_asked() {
    let file =
        "[[step]]\nat = \"4s\"\nfor = \"15s\"\ndo = \"unready\"\nworkload = \"shop/cart\"\npods = 2\nevery = \"10s\"\n";
    let see =
        |_: &Store, m: &Shared| m.lock().outside.unready.iter().map(|p| p.pod.clone()).collect::<Vec<_>>().join(" ");
    assert_eq!(
        brief(&play(file, 60.0, see)),
        [(0, ""), (4_000, "cart-1 cart-2"), (9_000, ""), (14_000, "cart-1 cart-2"), (19_000, "")]
    );
}

#[test]
fn machines_break_and_come_back() {
    let file = r#"
        [[step]]
        at = "1s"
        do = "power-off"
        node = ["n1", "n3"]
        [[step]]
        at = "2s"
        do = "power-on"
        node = "n1"
        [[step]]
        at = "3s"
        for = "2s"
        do = "partition"
        zone = "a"
        [[step]]
        at = "6s"
        for = "1s"
        do = "drop-metrics"
        targets = "n2|shop/cart-[12]/.*"
    "#;
    let see = |_: &Store, m: &Shared| {
        let m = m.lock();
        let nodes = m
            .nodes
            .values()
            .map(|n| format!("{}{}{}", u8::from(n.powered), u8::from(n.connected), u8::from(n.exporting)));
        let silent = m.processes.values().filter(|p| !p.exporting).count();
        format!("{} {silent}", nodes.collect::<Vec<_>>().join(" "))
    };
    let want = [
        (0, "111 111 111 0"),
        (1_000, "011 111 011 0"),
        (2_000, "111 111 011 0"),
        (3_000, "101 101 011 0"),
        (5_000, "111 111 011 0"),
        (6_000, "111 110 011 2"),
        (7_000, "111 111 011 0"),
    ];
    assert_eq!(brief(&play(file, 60.0, see)), want);
}

#[test]
fn objects_change_and_only_what_nobody_corrected_is_taken_back() {
    let file = r#"
        [[step]]
        at = "1s"
        for = "9s"
        do = "set-image"
        workload = "shop/cart"
        image = "registry.example/cart:1.1.0"
        [[step]]
        at = "2s"
        for = "9s"
        do = "patch"
        kind = "Deployment"
        name = "shop/cart"
        patch = '''
        spec: {replicas: 5, template: {spec: {containers: [{name: cart, resources: {requests: {memory: 64Mi}, limits: {memory: 64Mi}}}]}}}
        '''
        [[step]]
        at = "5s"
        as = "somebody"
        do = "scale"
        workload = "shop/cart"
        replicas = 4
        [[step]]
        at = "3s"
        for = "3s"
        do = "apply"
        yaml = '''
        apiVersion: v1
        kind: ConfigMap
        metadata: {name: extra, namespace: shop}
        data: {a: b}
        '''
        [[step]]
        at = "4s"
        for = "4s"
        do = "config"
        configmap = "shop/cart"
        key = "DB"
        value = "nowhere"
    "#;
    let see = |s: &Store, _: &Shared| {
        let cart = s.get("deployments.apps", "shop", "cart").unwrap().value();
        let c = &cart["spec"]["template"]["spec"]["containers"][0];
        let map = s.get("configmaps", "shop", "cart").unwrap().value();
        format!(
            "{} {} {} {} {}",
            text(c, "image").rsplit(':').next().unwrap(),
            text(c, "resources.limits.memory"),
            int(&cart, "spec.replicas").unwrap(),
            s.get("configmaps", "shop", "extra").is_some(),
            text(&map, "data.DB"),
        )
    };
    let want = [
        (0, "1.0.0 256Mi 3 false orders-db"),
        (1_000, "1.1.0 256Mi 3 false orders-db"),
        (2_000, "1.1.0 64Mi 5 false orders-db"),
        (3_000, "1.1.0 64Mi 5 true orders-db"),
        (4_000, "1.1.0 64Mi 5 true nowhere"),
        (5_000, "1.1.0 64Mi 4 true nowhere"),
        (6_000, "1.1.0 64Mi 4 false nowhere"),
        (8_000, "1.1.0 64Mi 4 false orders-db"),
        (10_000, "1.0.0 64Mi 4 false orders-db"),
        (11_000, "1.0.0 256Mi 4 false orders-db"),
    ];
    assert_eq!(brief(&play(file, 60.0, see)), want);
}

#[derive(Default, Clone)]
struct Noted(Arc<Mutex<Vec<(Server, Fault, Option<f64>)>>>);

impl Servers for Noted {
    fn set(&self, server: Server, fault: Fault, amount: Option<f64>) {
        self.0.lock().unwrap().push((server, fault, amount));
    }
}

#[test]
fn a_handle_starts_stops_and_tells() {
    let (store, shared) = stage();
    let text = "name = \"bad\"\ntitle = \"Bad\"\n[[step]]\nat = \"5s\"\ndo = \"server\"\nserver = \"api\"\nfault = \"latency\"\namount = 0.5\n\
        [[step]]\nat = \"6s\"\nsay = \"two locked\"\ndo = \"lock\"\nworkload = \"shop/cart\"\npods = 2\n\
        [[step]]\nat = \"7s\"\ndo = \"scale\"\nworkload = \"shop/nobody\"\nreplicas = 1\n\
        [[step]]\nat = \"8s\"\ndo = \"scale\"\nworkload = \"shop/cart\"\nreplicas = 9\n";
    let tour =
        "name = \"tour\"\ntitle = \"Tour\"\n[[step]]\nat = \"10s\"\nfor = \"20s\"\ndo = \"scenario\"\nname = \"bad\"\n";
    let library = vec![Arc::new(parse("bad.toml", text).unwrap()), Arc::new(parse("tour.toml", tour).unwrap())];
    let noted = Noted::default();
    let director = Director::new(store.clone(), shared.clone(), Box::new(noted.clone()), library, None).unwrap();
    let handle = director.handle();
    let mut engine = Engine::new(store.clone(), vec![Box::new(director) as Box<dyn Actor>]);
    let replicas = || int(&store.get("deployments.apps", "shop", "cart").unwrap().value(), "spec.replicas");
    engine.advance(t(60.0));
    assert_eq!(handle.status(), Status::default());
    let unknown = handle.start("tuor").unwrap_err();
    assert_eq!(unknown.to_string(), "there is no scenario \"tuor\"; did you mean \"tour\"?");
    handle.start("bad").unwrap();
    engine.advance(t(65.5));
    let running = handle.status().running.unwrap();
    assert_eq!((running.since, running.next), (t(60.0), Some((t(66.0), "two locked".to_owned()))));
    engine.advance(t(70.0));
    assert_eq!((shared.lock().outside.locked.len(), replicas()), (2, Some(9)));
    let problems = handle.status().problems;
    assert_eq!(problems, ["bad (bad.toml:15:1): shop/nobody is scaled to 1: there is no workload shop/nobody"]);
    handle.stop();
    engine.advance(t(71.0));
    assert_eq!((shared.lock().outside.locked.len(), replicas(), handle.status().running), (0, Some(3), None));
    assert_eq!(
        *noted.0.lock().unwrap(),
        [(Server::Api, Fault::Latency, Some(0.5)), (Server::Api, Fault::Latency, None)]
    );
    handle.start("tour").unwrap();
    engine.advance(t(71.0 + 19.0));
    assert_eq!(replicas(), Some(9), "the other scenario's steps, from when it was played");
    engine.advance(t(71.0 + 31.0));
    assert_eq!((shared.lock().outside.locked.len(), replicas(), handle.status().running), (0, Some(3), None));
}

#[test]
fn steps_are_done_again_until_they_end() {
    let file = "[[step]]\nat = \"5s\"\nfor = \"25s\"\nagain = \"10s\"\ndo = \"scale\"\nworkload = \"shop/cart\"\nreplicas = 1\n\
        [[step]]\nat = \"8s\"\nas = \"other\"\nagain = \"10s\"\ndo = \"scale\"\nworkload = \"shop/cart\"\nreplicas = 4\n";
    let see = |s: &Store, _: &Shared| {
        let cart = s.get("deployments.apps", "shop", "cart").unwrap().value();
        int(&cart, "spec.replicas").unwrap().to_string()
    };
    let all = play(file, 60.0, see);
    let want = [(0, "3"), (5_000, "1"), (8_000, "4"), (15_000, "1"), (18_000, "4"), (25_000, "1"), (28_000, "4")];
    assert_eq!(brief(&all), want, "and no more after 30 s");
    assert_eq!(all, play(file, 1.0, see));
}

#[test]
fn what_plays_itself_ends() {
    let (store, shared) = stage();
    let file = scenario("[[step]]\nat = \"0s\"\ndo = \"scenario\"\nname = \"test\"\n");
    let director = Director::new(store.clone(), shared, Box::new(()), vec![file], Some(("test", t(0.0)))).unwrap();
    let handle = director.handle();
    Engine::new(store, vec![Box::new(director) as Box<dyn Actor>]).advance(t(5.0));
    assert!(handle.status().problems[0].ends_with("scenarios play each other more than 4 deep"));
}

#[test]
fn bad_files_are_told_with_place_and_remedy() {
    let head = "name = \"x\"\ntitle = \"X\"\n";
    let step = |rest: &str| format!("{head}[[step]]\nat = \"5s\"\n{rest}");
    for (file, want) in [
        ("title = \"X\"\n".to_owned(), "f.toml:1:1: \"name\" is missing; add name = \"my-scenario\""),
        (format!("{head}abuot = \"y\"\n"), "f.toml:3:1: unknown key \"abuot\"; did you mean \"about\"?"),
        (format!("{head}[[step]\n"), "f.toml:3:8: unclosed array table, expected `]`; correct the TOML"),
        (format!("{head}step = 3\n"), "f.toml:3:8: step is no list of tables; write [[step]]"),
        (format!("{head}[[step]]\ndo = \"note\"\n"), "f.toml:3:1: \"at\" is missing; add at = \"20s\""),
        (step("do = \"laod\"\n"), "f.toml:5:6: unknown deed \"laod\"; did you mean \"load\"?"),
        (step("do = \"load\"\n"), "f.toml:3:1: \"factor\" is missing; add factor = …"),
        (step("do = \"load\"\nfactor = \"2\"\n"), "f.toml:6:10: factor is text; write a number"),
        (step("do = \"load\"\nfactor = -1\n"), "f.toml:6:10: factor is out of range; write a number from 0 to 1000"),
        (
            step("do = \"load\"\nfactor = 2\nramp = \"soon\"\n"),
            "f.toml:7:8: ramp is no time span; write numbers with ms, s, m or h, such as \"1m30s\"",
        ),
        (
            step("do = \"scale\"\nworkload = \"cart\"\nreplicas = 1\n"),
            "f.toml:6:12: workload is \"cart\"; write \"namespace/name\"",
        ),
        (step("do = \"note\"\nfor = \"1s\"\nuntil = \"9s\"\n"), "f.toml:7:9: both for and until; keep one of them"),
        (step("do = \"note\"\nuntil = \"2s\"\n"), "f.toml:6:9: until is not after at; write more than \"5s\""),
        (
            step("do = \"drop-metrics\"\ntargets = \"a(\"\n"),
            "f.toml:6:11: targets \"a(\" is no regular expression; correct it",
        ),
        (
            step("do = \"server\"\nserver = \"api\"\nfault = \"latencie\"\namount = 1\n"),
            "f.toml:7:9: unknown fault \"latencie\"; did you mean \"latency\"?",
        ),
        (
            step("do = \"partition\"\n"),
            "f.toml:3:1: a partition of nothing, or of two things; write zone = \"…\" or node = [\"…\"]",
        ),
        (
            step("do = \"apply\"\nyaml = \"- 1\"\n"),
            "f.toml:6:8: yaml holds something that is no object; write Kubernetes objects in YAML",
        ),
        (
            step("do = \"fill-disk\"\nnode = \"n1\"\nrate = \"fast\"\n"),
            "f.toml:7:8: rate is no quantity; write it as Kubernetes does, such as \"200Mi\"",
        ),
    ] {
        let problems = parse("f.toml", &file).expect_err(&file);
        assert_eq!(problems.0[0].to_string(), want, "{file}\n{problems}");
    }
    let several =
        parse("f.toml", &format!("{head}oops = 1\n[[step]]\nat = 3\ndo = \"note\"\nwho = \"me\"\n")).unwrap_err();
    assert_eq!(several.0.len(), 3, "all at once: {several}");
}

#[test]
fn names_that_are_not_there_are_told_before_it_plays() {
    let (store, shared) = stage();
    let names = Names::of(&store, &shared, &["web"], &["test"]);
    let file = scenario(
        "[[step]]\nat = \"1s\"\ndo = \"restart\"\nworkload = \"shop/crat\"\n[[step]]\nat = \"1s\"\ndo = \"power-off\"\nnode = [\"n1\", \"n9\"]\n\
        [[step]]\nat = \"1s\"\ndo = \"apply\"\nyaml = '{apiVersion: apps/v1, kind: Deployment, metadata: {namespace: shop, name: new}}'\n\
        [[step]]\nat = \"2s\"\ndo = \"restart\"\nworkload = \"shop/new\"\n",
    );
    let told: Vec<String> = names.check(&file).iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "test.toml:6:12: there is no workload \"shop/crat\"; did you mean \"shop/cart\"?",
            "test.toml:10:8: there is no node \"n9\"; did you mean \"n1\"?",
        ]
    );
}

#[test]
fn built_in_scenarios_parse_and_know_their_cures() {
    let all = builtin();
    assert_eq!(all[0].name, DEFAULT);
    for (i, s) in all.iter().enumerate() {
        assert!(!s.about.is_empty() && !s.watch.is_empty() && !s.cure.is_empty(), "{} says too little", s.name);
        assert!(all[..i].iter().all(|o| o.name != s.name), "{} twice", s.name);
        for step in &s.steps {
            if let Deed::Scenario { name } = &step.deed {
                assert!(all.iter().any(|o| o.name == *name), "{}: {name}", s.name);
            }
        }
        let first = s.steps.iter().find(|x| !matches!(x.deed, Deed::Note));
        assert!(first.is_none_or(|x| x.at <= TimeDelta::seconds(40)), "{} keeps the operator waiting", s.name);
    }
}

#[test]
fn merging_goes_by_name_and_null_removes() {
    let mut object = json!({"a": {"b": 1, "c": 2}, "list": [{"name": "x", "v": 1}, {"name": "y"}], "plain": [1, 2]});
    objects::merge(
        &mut object,
        &json!({"a": {"b": null}, "list": [{"name": "x", "w": 2}, {"name": "z"}], "plain": [3]}),
    );
    assert_eq!(
        object,
        json!({"a": {"c": 2}, "list": [{"name": "x", "v": 1, "w": 2}, {"name": "y"}, {"name": "z"}], "plain": [3]})
    );
    assert_eq!(at(&object, "a.b"), None::<&Value>);
}
