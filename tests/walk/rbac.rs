//! The manifests of deploy/rbac on a real API server: each rung may what it needs, and nothing of what it must not.

use super::Rig;
use kansole::execute::Fence;
use kansole::model::authority::LeaseView;
use kansole::model::plan::Right;
use kansole::monitor::rights;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const RUNGS: [&str; 3] = ["observe", "heal", "auto"];

/// `verb resource[/subresource][.group]`, with `@namespace` for namespaced ones, and the rungs that may.
const TABLE: &[(&str, &str)] = &[
    ("list pods", "observe heal auto"),
    ("watch pods", "observe heal auto"),
    ("list nodes", "observe heal auto"),
    ("list namespaces", "observe heal auto"),
    ("watch events", "observe heal auto"),
    ("list services", "observe heal auto"),
    ("list limitranges@shop", "observe heal auto"),
    ("list resourcequotas@shop", "observe heal auto"),
    ("get pods/log@shop", "observe heal auto"),
    ("watch deployments.apps", "observe heal auto"),
    ("watch statefulsets.apps", "observe heal auto"),
    ("watch daemonsets.apps", "observe heal auto"),
    ("watch replicasets.apps", "observe heal auto"),
    ("list controllerrevisions.apps@shop", "observe heal auto"),
    ("watch jobs.batch", "observe heal auto"),
    ("watch cronjobs.batch", "observe heal auto"),
    ("watch horizontalpodautoscalers.autoscaling", "observe heal auto"),
    ("watch poddisruptionbudgets.policy", "observe heal auto"),
    ("watch endpointslices.discovery.k8s.io", "observe heal auto"),
    ("list verticalpodautoscalers.autoscaling.k8s.io@shop", "observe heal auto"),
    ("list scaledobjects.keda.sh@shop", "observe heal auto"),
    ("create selfsubjectaccessreviews.authorization.k8s.io", "observe heal auto"),
    ("patch deployments.apps@shop", "heal auto"),
    ("patch statefulsets.apps@shop", "heal auto"),
    ("patch daemonsets.apps@shop", "heal auto"),
    ("patch deployments/scale.apps@shop", "heal auto"),
    ("patch statefulsets/scale.apps@shop", "heal auto"),
    ("create pods/eviction@shop", "heal auto"),
    ("patch pods/resize@shop", "heal auto"),
    ("patch nodes", "heal"),
    ("patch pods@shop", "heal"),
    ("patch services@shop", "heal"),
    ("create leases.coordination.k8s.io@default", "auto"),
    // What nobody may.
    ("get secrets@shop", ""),
    ("list secrets", ""),
    ("list configmaps@shop", "observe heal auto"),
    ("patch configmaps@kansole", ""),
    ("get configmaps@shop", ""),
    ("patch configmaps@shop", ""),
    ("create pods/exec@shop", ""),
    ("create pods/attach@shop", ""),
    ("create pods/portforward@shop", ""),
    ("get nodes/proxy", ""),
    ("delete pods@shop", ""),
    ("delete deployments.apps@shop", ""),
    ("update deployments.apps@shop", ""),
    ("create deployments.apps@shop", ""),
    ("delete nodes", ""),
    ("get services/proxy@shop", ""),
    ("create leases.coordination.k8s.io@kube-system", ""),
    ("delete leases.coordination.k8s.io@default", ""),
    ("patch clusterroles.rbac.authorization.k8s.io", ""),
    ("escalate clusterroles.rbac.authorization.k8s.io", ""),
    ("impersonate users", ""),
];

fn right(text: &str) -> Right {
    let (verb, rest) = text.split_once(' ').unwrap();
    let (rest, namespace) = rest.split_once('@').map_or((rest, None), |(r, ns)| (r, Some(ns.into())));
    let (rest, group) = rest.split_once('.').unwrap_or((rest, ""));
    let (resource, sub) = rest.split_once('/').map_or((rest, None), |(r, s)| (r, Some(s.to_owned())));
    Right { verb: verb.into(), group: group.into(), resource: resource.into(), subresource: sub, namespace }
}

/// A client as the ServiceAccount of a rung.
async fn client(rig: &Rig, rung: &str) -> Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let kubeconfig = Kubeconfig::read_from(&rig.kubeconfig).unwrap();
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    config.default_retry = false;
    config.auth_info.impersonate = Some(format!("system:serviceaccount:kansole:kansole-{rung}"));
    Client::try_from(config).unwrap()
}

/// HTTP status of a GET.
async fn get(client: &Client, path: &str) -> u16 {
    let request = http::Request::get(path).body(kube::client::Body::empty()).unwrap();
    client.send(request).await.unwrap().status().as_u16()
}

#[tokio::test]
async fn g18_each_rung_may_what_it_needs_and_no_more() {
    let rig = Rig::here();
    rig.rig(&["apply", "shop"]);
    let manifests = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/rbac/");
    for file in ["observe", "heal", "auto", "prometheus"] {
        rig.kubectl(&["apply", "-f", &format!("{manifests}{file}.yaml")]);
    }
    let mut wrong = Vec::new();
    for rung in RUNGS {
        let client = client(&rig, rung).await;
        let asked: Vec<Right> = TABLE.iter().map(|(text, _)| right(text)).collect();
        let answers = rights::check(&client, &asked).await;
        for (text, may) in TABLE {
            let wanted = may.split(' ').any(|r| r == rung);
            match answers[&right(text)] {
                Ok(is) if is == wanted => {}
                ref other => wrong.push(format!("{rung}: {text}: {other:?}, and it should be {wanted}")),
            }
        }
        // Rights on one object by name, which can only be tried: 404 is leave to look.
        let kill = get(&client, "/api/v1/namespaces/kansole/configmaps/kill-switch").await;
        let other = get(&client, "/api/v1/namespaces/kansole/configmaps/kube-root-ca.crt").await;
        assert_eq!((kill, other), (404, 403), "{rung}");
        let proxy = "/api/v1/namespaces/monitoring/services/prometheus-server:9090/proxy/api/v1/query?query=up";
        let elsewhere = "/api/v1/namespaces/monitoring/services/grafana:80/proxy/";
        assert_eq!((get(&client, proxy).await, get(&client, elsewhere).await), (200, 403), "{rung}");
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[tokio::test]
async fn g19_a_real_server_lets_one_of_two_hold_the_lease() {
    let rig = Rig::here();
    let manifests = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/rbac/");
    for file in ["observe", "heal", "auto"] {
        rig.kubectl(&["apply", "-f", &format!("{manifests}{file}.yaml")]);
    }
    rig.kubectl(&["-n", "default", "delete", "lease", "kansole-auto", "--ignore-not-found"]);
    let begin = |client: Client, who: &str| {
        let fence = Fence::new(client, "default/kansole-auto", who).unwrap();
        let cancel = CancellationToken::new();
        (fence.clone(), cancel.clone(), tokio::spawn(fence.keep(cancel)))
    };
    let until = async |fence: &Fence, what: &str, done: fn(&LeaseView) -> bool| {
        let mut seen = fence.view();
        while !done(&seen) {
            let changed = tokio::time::timeout(Duration::from_secs(60), fence.changed(&seen)).await;
            assert!(changed.is_ok(), "{what}: {seen}");
            seen = fence.view();
        }
    };
    let auto = client(&rig, "auto").await;
    let (ann, ann_ends, ann_task) = begin(auto.clone(), "ann@one/1");
    ann.want(true);
    until(&ann, "ann takes it", LeaseView::is_mine).await;
    assert_eq!(ann.check(Duration::ZERO).await, Ok(()));
    let (bob, _bob_ends, _) = begin(auto, "bob@two/2");
    bob.want(true);
    until(&bob, "bob waits", |v| matches!(v, LeaseView::Other { holder } if &**holder == "ann@one/1")).await;
    // Somebody takes it over by force: the fence hears of it although ann's own time is not over.
    rig.kubectl(&[
        "-n",
        "default",
        "patch",
        "lease",
        "kansole-auto",
        "-p",
        r#"{"spec":{"holderIdentity":"eve@three/3"}}"#,
    ]);
    assert!(ann.check(Duration::ZERO).await.unwrap_err().contains("held by eve@three/3"));
    ann_ends.cancel();
    ann_task.await.unwrap();
    until(&bob, "bob takes it from one who does not renew", LeaseView::is_mine).await;
    // Without the right to it nobody holds it, and is told what is missing.
    let (eve, _eve_ends, _) = begin(client(&rig, "heal").await, "eve@three/3");
    eve.want(true);
    until(&eve, "eve is refused", |v| matches!(v, LeaseView::Failed { why } if why.contains("auto.yaml"))).await;
}
