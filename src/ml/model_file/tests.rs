//! What the models on disk promise.

use super::*;
use proptest::prelude::*;

fn card() -> Card {
    let at = |second| DateTime::from_timestamp(second, 0).unwrap();
    Card {
        kind: "forest".to_owned(),
        features: feature_hash(&["cpu", "memory"]),
        trained_at: at(1_800_000_000),
        trained_on: TrainedOn { source: "simulated".to_owned(), samples: 12, from: at(0), until: at(3600) },
        back_test: BTreeMap::from([("recall".to_owned(), 0.93)]),
        losses: Vec::new(),
    }
}

fn store() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::new(folder.path().join("models"), 3);
    (folder, store)
}

fn load(store: &Store, name: &str) -> Result<(Manifest, Vec<u8>), Error> {
    store.load(name, "forest", &card().features)
}

fn current_file(store: &Store, name: &str) -> PathBuf {
    store.folder_of(name).unwrap().join(file_name(store.current(name).unwrap()))
}

#[test]
fn a_forgotten_model_is_gone_and_may_be_forgotten_twice() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::new(dir.path(), 3);
    store.save("m", card(), b"x").unwrap();
    store.forget("m").unwrap();
    store.forget("m").unwrap();
    assert!(matches!(store.current("m"), Err(Error::Missing(_))));
    assert!(store.forget("../m").is_err());
}

#[test]
fn what_was_saved_is_loaded() {
    let (_folder, store) = store();
    assert!(matches!(load(&store, "leak"), Err(Error::Missing(_))));
    let saved = store.save("leak", card(), b"one\ntwo").unwrap();
    assert_eq!((saved.version, saved.payload_bytes), (1, 7));
    let (manifest, payload) = load(&store, "leak").unwrap();
    assert_eq!((manifest, payload.as_slice()), (saved, &b"one\ntwo"[..]));
}

#[test]
fn versions_are_kept_pruned_and_rolled_back_and_a_number_is_not_used_again() {
    let (_folder, store) = store();
    for version in 1..=5u8 {
        store.save("leak", card(), &[version]).unwrap();
    }
    assert_eq!(store.versions("leak").unwrap(), [3, 4, 5]);
    assert_eq!(store.roll_back("leak").unwrap().version, 4);
    assert_eq!(load(&store, "leak").unwrap().1, [4]);
    assert_eq!(store.roll_back("leak").unwrap().version, 3);
    assert!(matches!(store.roll_back("leak"), Err(Error::Missing(_))));
    assert_eq!(load(&store, "leak").unwrap().1, [3]);
    assert_eq!(store.save("leak", card(), &[6]).unwrap().version, 6);
    assert_eq!(load(&store, "leak").unwrap().1, [6]);
}

#[test]
fn rolling_back_passes_over_a_damaged_version_and_a_damaged_pointer() {
    let (_folder, store) = store();
    for version in 1..=3u8 {
        store.save("leak", card(), &[version]).unwrap();
    }
    let folder = store.folder_of("leak").unwrap();
    std::fs::write(folder.join(file_name(2)), "cut").unwrap();
    std::fs::write(folder.join(CURRENT), "x").unwrap();
    assert!(matches!(load(&store, "leak"), Err(Error::Damaged { .. })));
    assert_eq!(store.roll_back("leak").unwrap().version, 1);
    assert_eq!(load(&store, "leak").unwrap().1, [1]);
}

#[test]
fn foreign_future_and_misplaced_files_are_refused_with_the_reason() {
    let (_folder, store) = store();
    store.save("leak", card(), b"payload").unwrap();
    let path = current_file(&store, "leak");
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, "PK\x03\x04 something else").unwrap();
    assert!(load(&store, "leak").unwrap_err().to_string().contains("not a kansole model"));
    let text = String::from_utf8(whole.clone()).unwrap();
    std::fs::write(&path, text.replacen("model 1 ", "model 7 ", 1)).unwrap();
    assert!(matches!(load(&store, "leak"), Err(Error::Future { found: 7, .. })));
    std::fs::write(&path, &whole).unwrap();
    assert!(matches!(store.load("leak", "lstm", &card().features), Err(Error::Kind { .. })));
    assert!(matches!(store.load("leak", "forest", &feature_hash(&["cpu"])), Err(Error::Features(_))));
    store.save("leak", card(), b"later").unwrap();
    std::fs::write(current_file(&store, "leak"), &whole).unwrap();
    assert!(load(&store, "leak").unwrap_err().to_string().contains("says it is version 1"));
}

#[test]
fn names_that_leave_the_folder_and_figures_that_are_no_numbers_are_refused() {
    let (_folder, store) = store();
    for name in ["", "..", "../x", "a/b", ".hidden", "a\0b"] {
        assert!(matches!(store.save(name, card(), b""), Err(Error::Refused(_))), "{name:?}");
    }
    let mut bad = card();
    bad.back_test.insert("precision".to_owned(), f64::NAN);
    assert!(matches!(store.save("leak", bad, b""), Err(Error::Refused(_))));
    assert!(store.versions("leak").unwrap().is_empty());
}

#[test]
fn the_hash_of_features_tells_their_names_and_order_apart() {
    assert_ne!(feature_hash(&["ab", "c"]), feature_hash(&["a", "bc"]));
    assert_ne!(feature_hash(&["a", "b"]), feature_hash(&["b", "a"]));
}

proptest! {
    #[test]
    fn a_cut_or_changed_byte_anywhere_is_refused(payload in prop::collection::vec(any::<u8>(), 0..300), at: prop::sample::Index, bit in 0..8u8) {
        let manifest = Manifest {
            card: card(),
            version: 1,
            payload_bytes: payload.len() as u64,
            payload_sha256: hex(&Sha256::digest(&payload)),
        };
        let whole = encode(&manifest, &payload).unwrap();
        let path = Path::new("x.model");
        prop_assert_eq!(decode(path, &whole).unwrap(), (manifest, payload));
        let at = at.index(whole.len());
        prop_assert!(decode(path, &whole[..at]).is_err());
        let mut changed = whole;
        changed[at] ^= 1 << bit;
        prop_assert!(decode(path, &changed).is_err());
    }

    #[test]
    fn any_bytes_have_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(decode(Path::new("x"), &bytes).is_err());
        let after = [b"kansole-model 1 ".as_slice(), &bytes].concat();
        prop_assert!(decode(Path::new("x"), &after).is_err());
    }
}
