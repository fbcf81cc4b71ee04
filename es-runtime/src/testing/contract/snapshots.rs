//! Snapshots: one a stream, stored with its commit.

use super::fixture::*;
use crate::event::Version;
use crate::store::Store;

/// Checks what its name says.
pub async fn a_snapshot_is_stored_with_its_commit<S: Store>(store: S) {
    assert_eq!(store.snapshot(&stream("a"), 7).await.expect("readable"), None);
    store_one(&store, commit(&stream("a"), 0, 3).with_snapshot(u64::MAX - 7, "state\0ü")).await.expect("stored");
    let found = store.snapshot(&stream("a"), u64::MAX - 7).await.expect("readable");
    assert_eq!(found, Some((Version::new(3), "state\0ü".into())));
    assert_eq!(store.snapshot(&stream("b"), u64::MAX - 7).await.expect("readable"), None);
    store_one(&store, commit(&stream("b"), 0, 1).with_snapshot(7, "")).await.expect("stored");
    assert_eq!(store.snapshot(&stream("b"), 7).await.expect("readable"), Some((Version::new(1), "".into())));
}

/// Checks what its name says, in one group and later.
pub async fn a_newer_snapshot_replaces_the_older<S: Store>(store: S) {
    let both = vec![
        commit(&stream("a"), 0, 1).with_snapshot(7, "one"),
        commit(&stream("a"), 1, 1).with_snapshot(7, "two"),
        commit(&stream("a"), 2, 1),
    ];
    assert!(store_together(&store, both).await.iter().all(Result::is_ok));
    assert_eq!(store.snapshot(&stream("a"), 7).await.expect("readable"), Some((Version::new(2), "two".into())));
    store_one(&store, commit(&stream("a"), 3, 2).with_snapshot(8, "five")).await.expect("stored");
    assert_eq!(store.snapshot(&stream("a"), 8).await.expect("readable"), Some((Version::new(5), "five".into())));
    assert_eq!(store.snapshot(&stream("a"), 7).await.expect("readable"), None);
}

/// Checks what its name says.
pub async fn another_fingerprint_gives_nothing<S: Store>(store: S) {
    store_one(&store, commit(&stream("a"), 0, 1).with_snapshot(7, "state")).await.expect("stored");
    assert_eq!(store.snapshot(&stream("a"), 8).await.expect("readable"), None);
}

/// Checks what its name says.
pub async fn a_failed_commit_stores_no_snapshot<S: Store>(store: S) {
    store_one(&store, commit(&stream("a"), 0, 1).with_snapshot(7, "one")).await.expect("stored");
    assert_conflict(store_one(&store, commit(&stream("a"), 0, 1).with_snapshot(7, "two")).await, 0, 1);
    assert_eq!(store.snapshot(&stream("a"), 7).await.expect("readable"), Some((Version::new(1), "one".into())));
}
