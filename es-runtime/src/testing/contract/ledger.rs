//! The ledger: what a command with an idempotency key did is remembered, once.

use chrono::TimeDelta;
use futures_util::future::join_all;

use super::fixture::*;
use crate::event::GlobalPosition;
use crate::store::{AppendError, Committed, DecisionChain, LedgerRecord, NewCommit, Store};

/// What the ledger must hold after a commit.
fn record(commit: &NewCommit, committed: Committed) -> LedgerRecord {
    let entry = commit.ledger.as_deref().expect("the commit has a key");
    LedgerRecord {
        command: entry.command.clone(),
        hash: entry.hash,
        output: entry.output.clone(),
        stream: commit.stream.clone(),
        committed,
        events: commit.events.iter().map(|event| event.id).collect(),
    }
}

#[track_caller]
fn assert_recorded(result: Result<Committed, AppendError>, expected: &LedgerRecord) {
    match result {
        Err(AppendError::KeyRecorded(found)) => assert_eq!(&*found, expected),
        other => panic!("expected the ledger's record, got {other:?}"),
    }
}

/// Checks what its name says.
pub async fn a_recorded_command_is_found<S: Store>(store: S) {
    append(&store, &stream("z"), 0, 2).await;
    let first = commit(&stream("a"), 0, 3).keyed("k");
    let committed = store_one(&store, first.clone()).await.expect("stored");
    assert_eq!(committed.position, GlobalPosition::new(5));
    assert_eq!(store.find("", "k").await.expect("readable"), Some(record(&first, committed)));
    assert_eq!(store.find("", "other").await.expect("readable"), None);
}

/// Checks what its name says.
pub async fn a_repeated_key_gives_the_first_record<S: Store>(store: S) {
    let first = commit(&stream("a"), 0, 2).keyed("k");
    let committed = store_one(&store, first.clone()).await.expect("stored");
    for _ in 0..2 {
        assert_recorded(store_one(&store, commit(&stream("a"), 2, 1).keyed("k")).await, &record(&first, committed));
        assert_recorded(store_one(&store, commit(&stream("b"), 0, 1).keyed("k")).await, &record(&first, committed));
        // A command that would do nothing now.
        assert_recorded(store_one(&store, commit(&stream("a"), 2, 0).keyed("k")).await, &record(&first, committed));
    }
    assert_eq!(store.event_count().await.expect("countable"), 2);
}

/// Checks what its name says: whether it is the same command is for the caller to tell.
pub async fn a_repeated_key_with_another_hash_gives_the_first_record<S: Store>(store: S) {
    let first = commit(&stream("a"), 0, 1).keyed("k");
    let committed = store_one(&store, first.clone()).await.expect("stored");
    let mut other = commit(&stream("a"), 1, 1).keyed("k");
    if let Some(entry) = &mut other.ledger {
        entry.hash = [9; 32];
        entry.command = String::from("Withdraw");
    }
    assert_recorded(store_one(&store, other).await, &record(&first, committed));
}

/// Checks what its name says.
pub async fn a_key_used_twice_in_one_group_is_recorded_once<S: Store>(store: S) {
    let commits: Vec<_> = vec![
        commit(&stream("x"), 0, 1),
        commit(&stream("a"), 0, 2).keyed("k"),
        commit(&stream("a"), 2, 1).keyed("k"),
        commit(&stream("b"), 0, 1).keyed("k"),
        commit(&stream("c"), 0, 1).keyed("other"),
    ];
    let mut results = store_together(&store, commits.clone()).await.into_iter();
    let mut next = || results.next().expect("an answer each");
    next().expect("stored");
    let committed = next().expect("stored");
    assert_eq!(committed, Committed { version: 2.into(), position: GlobalPosition::new(3) });
    assert_recorded(next(), &record(&commits[1], committed));
    assert_recorded(next(), &record(&commits[1], committed));
    next().expect("stored");
    assert_eq!(store.find("", "k").await.expect("readable"), Some(record(&commits[1], committed)));
    assert_eq!(store.event_count().await.expect("countable"), 4);

    let results = at_once(&store, 16, |index| commit(&stream(&format!("s{index}")), 0, 1).keyed("raced")).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    assert_eq!(store.event_count().await.expect("countable"), 5);
}

/// Checks what its name says: a command that is repeated after its success stands on an old version.
pub async fn a_repeated_key_wins_over_a_stale_version<S: Store>(store: S) {
    let first = commit(&stream("a"), 0, 1).keyed("k");
    let committed = store_one(&store, first.clone()).await.expect("stored");
    assert_recorded(store_one(&store, first.clone().chained(&DecisionChain::new())).await, &record(&first, committed));
}

/// Checks what its name says.
pub async fn a_failed_commit_records_nothing<S: Store>(store: S) {
    append(&store, &stream("a"), 0, 1).await;
    assert_conflict(store_one(&store, commit(&stream("a"), 0, 1).keyed("k")).await, 0, 1);
    assert_eq!(store.find("", "k").await.expect("readable"), None);
    store_one(&store, commit(&stream("a"), 1, 1).keyed("k")).await.expect("the key is free");
}

/// Checks what its name says.
pub async fn a_command_without_events_is_recorded<S: Store>(store: S) {
    append(&store, &stream("a"), 0, 2).await;
    let nothing = commit(&stream("a"), 2, 0).keyed("k");
    let committed = store_one(&store, nothing.clone()).await.expect("recorded");
    assert_eq!(committed, Committed { version: 2.into(), position: GlobalPosition::START });
    assert_eq!(store.find("", "k").await.expect("readable"), Some(record(&nothing, committed)));
    assert_eq!(store.event_count().await.expect("countable"), 2);
    append(&store, &stream("a"), 2, 1).await;
    assert_recorded(
        store_one(&store, nothing.clone().chained(&DecisionChain::new())).await,
        &record(&nothing, committed),
    );
}

/// Checks what its name says, and that the stream can be begun afterwards.
pub async fn a_command_without_events_on_an_absent_stream_is_recorded<S: Store>(store: S) {
    let nothing = commit(&stream("a"), 0, 0).keyed("k");
    let committed = store_one(&store, nothing.clone()).await.expect("recorded");
    assert_eq!(committed, Committed { version: 0.into(), position: GlobalPosition::START });
    assert_eq!(store.find("", "k").await.expect("readable"), Some(record(&nothing, committed)));
    assert_eq!(append(&store, &stream("a"), 0, 1).await.version, 1);
    // With another commit beside it that does begin the stream.
    let results = store_together(&store, vec![commit(&stream("b"), 0, 0).keyed("l"), commit(&stream("b"), 0, 1)]).await;
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    assert_eq!(version(&store, &stream("b")).await, 1);
}

/// Checks what its name says.
pub async fn a_command_without_events_is_recorded_at_the_stored_version_only<S: Store>(store: S) {
    append(&store, &stream("a"), 0, 2).await;
    assert_conflict(store_one(&store, commit(&stream("a"), 1, 0).keyed("k")).await, 1, 2);
    assert_eq!(store.find("", "k").await.expect("readable"), None);
}

/// Checks what its name says.
pub async fn keys_are_separate_by_tenant<S: Store>(store: S) {
    let acme = stream("a").with_tenant("acme");
    store_one(&store, commit(&stream("a"), 0, 1).keyed("k")).await.expect("stored");
    store_one(&store, commit(&acme, 0, 1).keyed("k")).await.expect("stored");
    let found = store.find("acme", "k").await.expect("readable").expect("recorded");
    assert_eq!(found.stream, acme);
    assert_eq!(store.find("other", "k").await.expect("readable"), None);
    // Beside commits for which the store has to look.
    let results = store_together(
        &store,
        vec![
            commit(&stream("a"), 9, 1),
            commit(&stream("a").with_tenant("other"), 0, 1).keyed("k"),
            commit(&stream("b").with_tenant("acme"), 0, 1).keyed("k"),
        ],
    )
    .await;
    assert!(results[1].is_ok(), "{results:?}");
    assert!(matches!(&results[2], Err(AppendError::KeyRecorded(record)) if record.stream == acme), "{results:?}");
}

/// Checks what its name says: of stored keys and others, in two tenants, one of the keys asked for by all.
pub async fn look_ups_that_come_together_get_their_own_answers<S: Store>(store: S) {
    let stored: Vec<_> = (0..600)
        .map(|index| {
            let tenant = if index % 2 == 0 { "acme" } else { "" };
            commit(&stream(&index.to_string()).with_tenant(tenant), 0, 1).keyed(&format!("k{}", index / 2))
        })
        .collect();
    let expected: Vec<_> = stored.iter().map(|commit| commit.stream.clone()).collect();
    for result in store_together(&store, stored).await {
        result.expect("stored");
    }
    let look_up = async |index: usize| {
        let tenant = if index.is_multiple_of(2) { "acme" } else { "" };
        let found = store.find(tenant, &format!("k{}", index / 2)).await.expect("readable");
        assert_eq!(found.map(|record| record.stream), expected.get(index).cloned(), "{index}");
        assert!(store.find("acme", "k0").await.expect("readable").is_some());
    };
    join_all((0..1_500).map(look_up)).await;
}

/// Checks what its name says, across more entries than a store may forget at once.
pub async fn old_entries_are_forgotten<S: Store>(store: S) {
    let time = now();
    let commits = (0..2_500).map(|index| {
        let mut commit = commit(&stream(&index.to_string()), 0, 1).keyed(&format!("k{index}"));
        commit.recorded_at = time - TimeDelta::seconds(2_500 - index);
        commit
    });
    let results = store_together(&store, commits.collect()).await;
    let refused: Vec<_> = results.iter().filter_map(|result| result.as_ref().err()).collect();
    assert!(refused.is_empty(), "{refused:?}");
    let forgotten = store.forget_before(time - TimeDelta::seconds(100)).await.expect("forgotten");
    assert_eq!(forgotten, 2_400);
    assert_eq!(store.find("", "k2399").await.expect("readable"), None);
    assert!(store.find("", "k2400").await.expect("readable").is_some());
    assert_eq!(store.forget_before(time - TimeDelta::seconds(100)).await.expect("forgotten"), 0);
    // A forgotten key is free again.
    store_one(&store, commit(&stream("0"), 1, 1).keyed("k0")).await.expect("stored");
    assert_eq!(store.event_count().await.expect("countable"), 2_501);
}
