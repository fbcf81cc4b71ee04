//! The idempotency keys that this process used last.

use std::fmt;
use std::hash::{BuildHasher as _, RandomState};

use parking_lot::Mutex;
use rustc_hash::FxHashSet;

/// The idempotency keys of the last commits of this process, as hashes.
///
/// A key that is remembered is probably a repeat, so the ledger is read before its command is decided, and the cached state
/// survives. A key that is forgotten, or that another process used, is found by the store's own check. Two keys with one
/// hash cost a read.
pub(crate) struct RecentKeys {
    hasher: RandomState,
    generations: Mutex<Generations>,
}

/// Keys are forgotten by generation: the older one is dropped when the younger one is full.
#[derive(Default)]
struct Generations {
    young: FxHashSet<u64>,
    old: FxHashSet<u64>,
}

/// The number of keys per generation: at most 0.6 MB for both.
const GENERATION: usize = 28 << 10;

impl RecentKeys {
    pub(crate) fn new() -> Self {
        Self { hasher: RandomState::new(), generations: Mutex::default() }
    }

    pub(crate) fn insert(&self, tenant: &str, key: &str) {
        let hash = self.hasher.hash_one((tenant, key));
        let mut generations = self.generations.lock();
        if generations.young.len() >= GENERATION {
            generations.old = std::mem::take(&mut generations.young);
        }
        generations.young.insert(hash);
    }

    /// Removes a key whose commit was not stored.
    pub(crate) fn remove(&self, tenant: &str, key: &str) {
        let hash = self.hasher.hash_one((tenant, key));
        let mut generations = self.generations.lock();
        generations.young.remove(&hash);
        generations.old.remove(&hash);
    }

    pub(crate) fn contains(&self, tenant: &str, key: &str) -> bool {
        let hash = self.hasher.hash_one((tenant, key));
        let generations = self.generations.lock();
        generations.young.contains(&hash) || generations.old.contains(&hash)
    }
}

impl fmt::Debug for RecentKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecentKeys")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_keys_are_remembered_and_older_ones_forgotten() {
        let keys = RecentKeys::new();
        for key in 0..3 * GENERATION {
            keys.insert("tenant", &key.to_string());
        }
        assert!((2 * GENERATION..3 * GENERATION).all(|key| keys.contains("tenant", &key.to_string())));
        assert!(!keys.contains("tenant", "0") && !keys.contains("other", "99999"));
        let generations = keys.generations.lock();
        assert!(generations.young.len() + generations.old.len() <= 2 * GENERATION);
    }

    #[test]
    fn a_key_that_was_not_stored_is_forgotten() {
        let keys = RecentKeys::new();
        keys.insert("", "key");
        assert!(keys.contains("", "key"));
        keys.remove("", "key");
        assert!(!keys.contains("", "key"));
    }
}
