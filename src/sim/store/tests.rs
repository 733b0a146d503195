//! What is given out, kept, listed and logged.

use super::*;
use serde_json::json;

fn store() -> Store {
    Store::new(Arc::new(Clock::new(at(1_800_000_000_000), 0.0)), Noise::new(1))
}

fn deployment(name: &str) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": "shop"}, "spec": {"replicas": 1}})
}

#[test]
fn versions_generations_and_the_log() {
    let s = store();
    let w = Writer::of("test");
    let made = s.create("deployments.apps", deployment("web"), w).unwrap();
    assert_eq!(
        s.create("deployments.apps", deployment("web"), w).unwrap_err().to_string(),
        "deployments.apps \"web\" already exists"
    );
    let scaled = s
        .modify("deployments.apps", "shop", "web", w, |o| {
            set(o, "spec.replicas", 2);
            set(o, "metadata.uid", "another");
            Ok::<_, StoreError>(())
        })
        .unwrap();
    assert_eq!((int(&scaled.value(), "metadata.generation"), scaled.uid.as_str()), (Some(2), made.uid.as_str()));
    let same = s.modify("deployments.apps", "shop", "web", w, |_| Ok::<_, StoreError>(())).unwrap();
    assert_eq!(same.version, scaled.version, "what changes nothing is no write");
    let log = s.since(made.version).unwrap();
    assert_eq!(log.iter().map(|c| c.what).collect::<Vec<_>>(), [What::Modified]);
    s.compact();
    assert!(matches!(s.since(made.version), Err(StoreError::Expired { .. })));
}

#[test]
fn the_present_version_is_kept_for_all_who_look_and_the_past_is_not() {
    let s = store();
    let w = Writer::of("test");
    let first = s.create("deployments.apps", deployment("web"), w).unwrap();
    assert!(Arc::ptr_eq(&first.shared(), &first.shared()));
    let kept = first.value();
    let second = s
        .modify("deployments.apps", "shop", "web", w, |o| {
            set(o, "spec.replicas", 2);
            Ok::<_, StoreError>(())
        })
        .unwrap();
    assert!(Arc::ptr_eq(&second.shared(), &second.shared()) && !Arc::ptr_eq(&first.shared(), &first.shared()));
    assert_eq!(first.value(), kept, "what is read from the text is what was kept");
    let mut filler = deployment("filler");
    set(&mut filler, "metadata.labels", serde_json::Map::from_iter([(FILLER.to_owned(), "true".into())]));
    let filler = s.create("deployments.apps", filler, w).unwrap();
    assert!(!Arc::ptr_eq(&filler.shared(), &filler.shared()), "a fleet stays text");
}

#[test]
fn a_stretch_begins_at_a_place_and_says_what_is_left() {
    let s = store();
    for (namespace, name) in [("a", "x"), ("b", "x"), ("b", "y"), ("b", "z"), ("c", "x")] {
        let object = json!({"metadata": {"name": name, "namespace": namespace}});
        s.load("configmaps", vec![object]).unwrap();
    }
    let of = |namespace, from: Option<(&str, &str)>, most| {
        let from = from.map(|(ns, name)| (ns.to_owned(), name.to_owned()));
        let (_, found, left) = s.stretch("configmaps", namespace, from.as_ref(), most);
        (found.iter().map(|o| format!("{}/{}", o.namespace, o.name)).collect::<Vec<_>>().join(" "), left)
    };
    assert_eq!(of(None, None, 2), ("a/x b/x".to_owned(), 3));
    assert_eq!(of(None, Some(("b", "x\0")), 9), ("b/y b/z c/x".to_owned(), 0));
    assert_eq!(of(Some("b"), None, 2), ("b/x b/y".to_owned(), 1));
    assert_eq!(of(Some("b"), Some(("b", "y\0")), 2), ("b/z".to_owned(), 0));
    assert_eq!(of(Some("d"), None, 2), (String::new(), 0));
}

#[test]
fn deletion_waits_for_grace_and_finalizers() {
    let s = store();
    let w = Writer::of("test");
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "namespace": "shop"}, "spec": {"nodeName": "n1"}});
    s.create("pods", pod, w).unwrap();
    assert!(!s.delete("pods", "shop", "a", &Delete::default()).unwrap().1);
    let wrong = Delete { uid: Some("other".into()), ..Delete::default() };
    assert!(matches!(s.delete("pods", "shop", "a", &wrong), Err(StoreError::Conflict(_))));
    assert!(s.delete("pods", "shop", "a", &Delete { grace: Some(0), ..Delete::default() }).unwrap().1);
    let mut held = deployment("web");
    set(&mut held, "metadata.finalizers", vec!["example.com/hold"]);
    s.create("deployments.apps", held, w).unwrap();
    assert!(!s.delete("deployments.apps", "shop", "web", &Delete::default()).unwrap().1);
    s.modify("deployments.apps", "shop", "web", w, |o| {
        take(o, "metadata.finalizers");
        Ok::<_, StoreError>(())
    })
    .unwrap();
    assert!(s.get("deployments.apps", "shop", "web").is_none());
}
