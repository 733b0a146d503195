//! Laws that hold for whatever is written.

use super::tests::{Act, by, store};
use super::{Options, Patch};
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

type Data = BTreeMap<String, Option<String>>;

/// What a patch or configuration says of a few keys; `None` takes one away.
fn data() -> impl Strategy<Value = Data> {
    prop::collection::btree_map("[a-d]", prop::option::of("[x-z]{0,2}"), 0..4)
}

fn map(data: &Data) -> Value {
    let said: Map<String, Value> = data.iter().filter_map(|(k, v)| Some((k.clone(), v.clone()?.into()))).collect();
    let mut made = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m"}});
    // An empty map is a value that appliers would own together.
    if !said.is_empty() {
        made["data"] = said.into();
    }
    made
}

fn without_version(mut object: Value) -> Value {
    crate::sim::object::take(&mut object, "metadata.resourceVersion");
    object
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn applying_twice_is_applying_once(first in data(), second in data()) {
        let s = store();
        let maps = Act(&s, "configmaps");
        for config in [&first, &second] {
            let once = maps.patch("m", "", Patch::Apply, &map(config), &by("a")).unwrap().object;
            let version = s.version();
            let twice = maps.patch("m", "", Patch::Apply, &map(config), &by("a")).unwrap().object;
            prop_assert_eq!((once, version), (twice, s.version()));
        }
    }

    #[test]
    fn appliers_of_different_fields_do_not_see_each_others_order(one in data(), two in data()) {
        let one: Data = one.into_iter().map(|(k, v)| (format!("one-{k}"), v)).collect();
        let two: Data = two.into_iter().map(|(k, v)| (format!("two-{k}"), v)).collect();
        let done = |order: [(&str, &Data); 2]| {
            let s = store();
            let maps = Act(&s, "configmaps");
            for (manager, config) in order {
                maps.patch("m", "", Patch::Apply, &map(config), &by(manager)).unwrap();
            }
            let object = s.get("configmaps", "shop", "m").unwrap().value();
            // As maps: in which order the keys came is not said.
            let data: BTreeMap<String, String> = crate::sim::object::strings(&object, "data");
            (data, object["metadata"]["managedFields"].clone())
        };
        prop_assert_eq!(done([("a", &one), ("b", &two)]), done([("b", &two), ("a", &one)]));
    }

    #[test]
    fn a_dry_run_tells_what_the_write_does_and_does_nothing(start in data(), patch in data()) {
        let s = store();
        let maps = Act(&s, "configmaps");
        maps.create(&map(&start)).unwrap();
        let body = json!({"data": patch});
        let before = s.version();
        let dry = Options { dry_run: true, ..by("a") };
        let pretended = maps.patch("m", "", Patch::Merge, &body, &dry).unwrap().object;
        prop_assert_eq!(s.version(), before);
        let written = maps.patch("m", "", Patch::Merge, &body, &by("a")).unwrap().object;
        prop_assert_eq!(without_version(pretended), without_version(written));
    }

    #[test]
    fn a_merge_patch_makes_what_it_says_and_making_it_again_changes_nothing(start in data(), patch in data()) {
        let s = store();
        let maps = Act(&s, "configmaps");
        maps.create(&map(&start)).unwrap();
        let body = json!({"data": patch});
        let object = maps.patch("m", "", Patch::Merge, &body, &by("a")).unwrap().object;
        let mut expected: Data = start.into_iter().filter(|(_, v)| v.is_some()).collect();
        expected.extend(patch);
        let expected: BTreeMap<String, String> = expected.into_iter().filter_map(|(k, v)| Some((k, v?))).collect();
        prop_assert_eq!(crate::sim::object::strings(&object, "data"), expected);
        let version = s.version();
        maps.patch("m", "", Patch::Merge, &body, &by("b")).unwrap();
        prop_assert_eq!(s.version(), version);
    }

    #[test]
    fn whatever_comes_is_answered(bytes in prop::collection::vec(any::<u8>(), 0..60), text in "[\\[\\]{}\",:a-e0-9\\\\ -]{0,40}") {
        let s = store();
        let maps = Act(&s, "configmaps");
        maps.create(&map(&Data::new())).unwrap();
        for body in [bytes.as_slice(), text.as_bytes()] {
            for how in [Patch::Json, Patch::Merge, Patch::Strategic, Patch::Apply] {
                let _ = maps.target("m", "", |t| super::patch(&s, t, how, body, &by("a")));
            }
            let _ = maps.target("", "", |t| super::create(&s, t, body, &by("a")));
        }
    }
}
