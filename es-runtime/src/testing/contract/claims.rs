//! Claims: a key belongs to one stream at a time.

use super::fixture::*;
use crate::store::{AppendError, Committed, Store};

#[track_caller]
fn assert_claimed(result: Result<Committed, AppendError>, key: &str) {
    match result {
        Err(AppendError::Claimed { set, key: taken }) => assert_eq!((set.as_str(), taken.as_str()), ("email", key)),
        other => panic!("expected that `{key}` is taken, got {other:?}"),
    }
}

/// Checks what its name says.
pub async fn a_taken_key_is_refused_and_nothing_is_stored<S: Store>(store: S) {
    store_one(&store, commit(&stream("a"), 0, 1).claiming("x")).await.expect("free");
    assert_claimed(store_one(&store, commit(&stream("b"), 0, 3).claiming("x").keyed("k")).await, "x");
    assert_eq!(version(&store, &stream("b")).await, 0);
    assert_eq!(store.find("", "k").await.expect("readable"), None);
    append(&store, &stream("b"), 0, 1).await;
    assert_claimed(store_one(&store, commit(&stream("b"), 1, 1).claiming("x")).await, "x");
}

/// Checks what its name says, in one commit, in one group and later.
pub async fn the_holder_may_claim_again<S: Store>(store: S) {
    store_one(&store, commit(&stream("a"), 0, 1).claiming("x").claiming("x")).await.expect("its own");
    store_one(&store, commit(&stream("a"), 1, 1).claiming("x")).await.expect("its own");
    let again = vec![commit(&stream("a"), 2, 1).claiming("x"), commit(&stream("a"), 3, 1).claiming("x")];
    assert!(store_together(&store, again).await.iter().all(Result::is_ok));
    // Freed once, it is free, however often it was claimed.
    store_one(&store, commit(&stream("a"), 4, 1).freeing("x")).await.expect("stored");
    store_one(&store, commit(&stream("b"), 0, 1).claiming("x")).await.expect("free");
}

/// Checks what its name says.
pub async fn a_freed_key_can_be_claimed<S: Store>(store: S) {
    store_one(&store, commit(&stream("a"), 0, 1).claiming("x")).await.expect("free");
    store_one(&store, commit(&stream("a"), 1, 1).freeing("x")).await.expect("stored");
    store_one(&store, commit(&stream("b"), 0, 1).claiming("x")).await.expect("free again");
    assert_claimed(store_one(&store, commit(&stream("a"), 2, 1).claiming("x")).await, "x");
}

/// Checks what its name says.
pub async fn a_key_is_freed_by_its_holder_only<S: Store>(store: S) {
    store_one(&store, commit(&stream("a"), 0, 1).claiming("x")).await.expect("free");
    store_one(&store, commit(&stream("b"), 0, 1).freeing("x").freeing("never")).await.expect("stored");
    store_one(&store, commit(&stream("b"), 1, 1).freeing("x")).await.expect("stored");
    assert_claimed(store_one(&store, commit(&stream("c"), 0, 1).claiming("x")).await, "x");
}

/// Checks what its name says.
pub async fn a_key_moves_within_one_group<S: Store>(store: S) {
    store_one(&store, commit(&stream("a"), 0, 1).claiming("x")).await.expect("free");
    let results = store_together(
        &store,
        vec![
            commit(&stream("b"), 0, 1).claiming("x"),
            commit(&stream("a"), 1, 1).freeing("x"),
            commit(&stream("c"), 0, 1).claiming("x"),
            commit(&stream("d"), 0, 1).claiming("x"),
            commit(&stream("c"), 1, 1).freeing("x"),
            commit(&stream("e"), 0, 1).claiming("x"),
        ],
    )
    .await;
    let stored: Vec<_> = results.iter().map(Result::is_ok).collect();
    assert_eq!(stored, [false, true, true, false, true, true]);
    assert_claimed(store_one(&store, commit(&stream("b"), 0, 1).claiming("x")).await, "x");
    store_one(&store, commit(&stream("e"), 1, 1).claiming("x")).await.expect("its own");
}

/// Checks what its name says.
pub async fn a_commit_may_exchange_its_key<S: Store>(store: S) {
    store_one(&store, commit(&stream("a"), 0, 1).claiming("old")).await.expect("free");
    store_one(&store, commit(&stream("a"), 1, 1).freeing("old").claiming("new")).await.expect("free");
    store_one(&store, commit(&stream("b"), 0, 1).claiming("old")).await.expect("free again");
    assert_claimed(store_one(&store, commit(&stream("b"), 1, 1).claiming("new")).await, "new");
    // The order counts: freed and claimed again is held, claimed and freed is free.
    store_one(&store, commit(&stream("a"), 2, 1).freeing("new").claiming("new")).await.expect("its own");
    assert_claimed(store_one(&store, commit(&stream("b"), 1, 1).claiming("new")).await, "new");
    store_one(&store, commit(&stream("a"), 3, 1).claiming("brief").freeing("brief")).await.expect("stored");
    store_one(&store, commit(&stream("b"), 1, 1).claiming("brief")).await.expect("free");
}

/// Checks what its name says.
pub async fn a_commit_whose_second_claim_fails_keeps_none<S: Store>(store: S) {
    store_one(&store, commit(&stream("a"), 0, 1).claiming("x").claiming("mine")).await.expect("free");
    assert_claimed(store_one(&store, commit(&stream("b"), 0, 1).claiming("y").claiming("x")).await, "x");
    let results = store_together(
        &store,
        vec![
            commit(&stream("a"), 1, 1).freeing("mine").claiming("z").claiming("other"),
            commit(&stream("b"), 0, 1).claiming("y").freeing("y").claiming("mine").claiming("x"),
            commit(&stream("c"), 0, 1).claiming("y").claiming("mine"),
        ],
    )
    .await;
    let stored: Vec<_> = results.iter().map(Result::is_ok).collect();
    assert_eq!(stored, [true, false, true]);
    for key in ["x", "y", "mine", "z", "other"] {
        assert_claimed(store_one(&store, commit(&stream("late"), 0, 1).claiming(key)).await, key);
    }
}

/// Checks what its name says: neither a conflict nor a repeated key leaves a claim behind.
pub async fn a_refused_commit_claims_nothing<S: Store>(store: S) {
    store_one(&store, commit(&stream("a"), 0, 1).keyed("k")).await.expect("stored");
    assert_conflict(store_one(&store, commit(&stream("a"), 0, 1).claiming("x")).await, 0, 1);
    assert!(store_one(&store, commit(&stream("a"), 1, 1).claiming("x").keyed("k")).await.is_err());
    store_one(&store, commit(&stream("b"), 0, 1).claiming("x")).await.expect("free");
}

/// Checks what its name says.
pub async fn one_of_many_concurrent_claims_wins<S: Store>(store: S) {
    let results = at_once(&store, 24, |index| commit(&stream(&index.to_string()), 0, 1).claiming("x")).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    for result in results.into_iter().filter(Result::is_err) {
        assert_claimed(result, "x");
    }
    assert_eq!(store.event_count().await.expect("countable"), 1);
}

/// Checks what its name says.
pub async fn keys_are_separate_by_set_and_tenant<S: Store>(store: S) {
    store_one(&store, commit(&stream("a"), 0, 1).claiming("x")).await.expect("free");
    let mut other_set = commit(&stream("b"), 0, 1).claiming("x");
    other_set.claims[0].set = "phone".into();
    store_one(&store, other_set).await.expect("another set");
    let acme = stream("a").with_tenant("acme");
    store_one(&store, commit(&acme, 0, 1).claiming("x")).await.expect("another tenant");
    let second = stream("b").with_tenant("acme");
    assert_claimed(store_one(&store, commit(&second, 0, 1).claiming("x")).await, "x");
    // Beside a commit for which the store has to look.
    let other = stream("a").with_tenant("other");
    let results = store_together(&store, vec![commit(&stream("a"), 9, 1), commit(&other, 0, 1).claiming("x")]).await;
    assert!(results[1].is_ok(), "{results:?}");
}
