//! Rows by UID, each with the list it was last seen in, so that a re-list can tell what vanished.

use std::collections::HashMap;

/// A UID as a number: the UUID's bits, or a hash of what is not a UUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(u128);

impl Key {
    /// The key of a UID.
    pub fn of(uid: &str) -> Self {
        let mut bits: u128 = 0;
        let mut digits = 0;
        for c in uid.chars().filter(|c| *c != '-') {
            let Some(d) = c.to_digit(16) else { return Self::hashed(uid) };
            bits = bits << 4 | u128::from(d);
            digits += 1;
        }
        if digits == 32 { Self(bits) } else { Self::hashed(uid) }
    }

    fn hashed(uid: &str) -> Self {
        use sha2::{Digest, Sha256};
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&Sha256::digest(uid.as_bytes())[..16]);
        Self(u128::from_be_bytes(bytes))
    }
}

#[derive(Debug)]
struct Held<T> {
    epoch: u32,
    row: T,
}

/// Rows of one kind.
#[derive(Debug)]
pub struct Shelf<K, T> {
    rows: HashMap<K, Held<T>>,
}

impl<K, T> Default for Shelf<K, T> {
    fn default() -> Self {
        Self { rows: HashMap::new() }
    }
}

impl<K: Eq + std::hash::Hash + Clone, T> Shelf<K, T> {
    /// Puts a row; gives back the one it replaces.
    pub fn put(&mut self, key: K, row: T, epoch: u32) -> Option<T> {
        self.rows.insert(key, Held { epoch, row }).map(|h| h.row)
    }

    /// Takes a row away.
    pub fn take(&mut self, key: &K) -> Option<T> {
        self.rows.remove(key).map(|h| h.row)
    }

    /// A row.
    pub fn get(&self, key: &K) -> Option<&T> {
        self.rows.get(key).map(|h| &h.row)
    }

    /// All rows, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.rows.values().map(|h| &h.row)
    }

    /// Keeps only the rows that `keep` says.
    pub fn retain(&mut self, keep: impl Fn(&T) -> bool) {
        self.rows.retain(|_, h| keep(&h.row));
    }

    /// How many rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Takes away the rows `inside` a finished list that were not in it.
    pub fn sweep(&mut self, epoch: u32, inside: impl Fn(&T) -> bool) -> Vec<T> {
        let gone: Vec<K> =
            self.rows.iter().filter(|(_, h)| h.epoch != epoch && inside(&h.row)).map(|(k, _)| k.clone()).collect();
        gone.iter().filter_map(|k| self.take(k)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uids_become_numbers_and_odd_ones_do_not_clash() {
        assert_eq!(Key::of("00000000-0000-0000-0000-0000000000ff"), Key(255));
        assert_ne!(Key::of("ff"), Key::of("0ff"));
        assert_ne!(Key::of(""), Key::of("00000000-0000-0000-0000-000000000000"));
        assert_ne!(Key::of("pod-a"), Key::of("pod-b"));
    }
}
