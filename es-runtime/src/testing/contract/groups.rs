//! Groups: commits that share a durable write have each their own fate.

use super::fixture::*;
use crate::store::{AppendError, Store};

/// Checks what its name says: one of each kind of failure between commits that succeed.
pub async fn failures_in_a_group_fail_alone<S: Store>(store: S) {
    store_one(&store, commit(&stream("a"), 0, 1).claiming("x").keyed("k")).await.expect("stored");
    // More than one turn, so that the store is busy when the others come in.
    for round in 0..5_u64 {
        let fresh = |name: &str| stream(&format!("{name}{round}"));
        let commits = vec![
            commit(&fresh("good"), 0, 2),
            commit(&stream("a"), 0, 1),
            commit(&fresh("one"), 0, 1).claiming("x"),
            commit(&fresh("good"), 2, 1).keyed(&format!("g{round}")).claiming(&format!("g{round}")),
            commit(&fresh("two"), 0, 1).keyed("k"),
            commit(&fresh("three"), 9, 0),
            commit(&fresh("good"), 3, 1).with_snapshot(1, "state"),
        ];
        let results = store_together(&store, commits).await;
        let [first, conflict, claimed, second, recorded, confirmation, third] = &results[..] else {
            panic!("an answer each, got {results:?}");
        };
        assert!(first.is_ok() && second.is_ok() && third.is_ok(), "{results:?}");
        assert!(matches!(conflict, Err(AppendError::Conflict { .. })), "{results:?}");
        assert!(matches!(claimed, Err(AppendError::Claimed { .. })), "{results:?}");
        assert!(matches!(recorded, Err(AppendError::KeyRecorded(_))), "{results:?}");
        assert!(matches!(confirmation, Err(AppendError::Conflict { .. })), "{results:?}");
        assert_eq!(version(&store, &fresh("good")).await, 4);
        for failed in ["one", "two", "three"] {
            assert_eq!(version(&store, &fresh(failed)).await, 0);
        }
        assert_eq!(store.event_count().await.expect("countable"), 1 + 4 * (round + 1));
    }
}

/// Checks what its name says: what was acknowledged is what is stored.
pub async fn many_commits_at_once_are_all_answered<S: Store>(store: S) {
    let results =
        at_once(&store, 600, |index| commit(&stream(&(index % 40).to_string()), (index / 40) as u64, 1)).await;
    let mut stored: Vec<u64> = results.iter().filter_map(|result| Some(result.as_ref().ok()?.position.get())).collect();
    stored.sort_unstable();
    assert!(stored.len() >= 40, "the first commit of every stream fits");
    assert!(stored.iter().copied().eq(1..=stored.len() as u64), "every position is acknowledged once");
    assert!(results.iter().all(|result| result.is_ok() || matches!(result, Err(AppendError::Conflict { .. }))));
    assert_eq!(whole_log(&store, 64).await.len(), stored.len());
}

/// Checks what its name says: a commit may have more events than a store puts into a group, and so may a line of commits.
pub async fn more_than_any_group_takes_is_stored<S: Store>(store: S) {
    let mut commits: Vec<_> = (0..1_500).map(|index| commit(&stream(&index.to_string()), 0, 1)).collect();
    commits.insert(700, commit(&stream("big"), 0, 5_000));
    let results = store_together(&store, commits).await;
    assert!(results.iter().all(Result::is_ok));
    assert_eq!(version(&store, &stream("big")).await, 5_000);
    let log = whole_log(&store, 1_000).await;
    assert!(log.iter().map(|event| event.position().get()).eq(1..=6_500));
}
