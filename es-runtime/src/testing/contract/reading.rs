//! Reading: order, pages, followers.

use std::collections::HashMap;
use std::sync::Arc;

use super::fixture::*;
use crate::event::{GlobalPosition, Metadata, Version};
use crate::store::Store;

/// Checks what its name says.
pub async fn positions_ascend_and_agree_with_every_stream<S: Store>(store: S) {
    let results = at_once(&store, 200, |index| commit(&stream(&(index % 20).to_string()), 0, 3)).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 20);
    let log = whole_log(&store, 7).await;
    assert!(log.windows(2).all(|pair| pair[0].position() < pair[1].position()));
    let mut versions: HashMap<_, u64> = HashMap::new();
    for event in &log {
        let last = versions.entry(event.stream().clone()).or_default();
        assert_eq!(event.version().get(), *last + 1);
        *last += 1;
    }
}

/// Checks what its name says.
pub async fn limits_are_kept<S: Store>(store: S) {
    append(&store, &stream("a"), 0, 10).await;
    for limit in [0, 1, 9, 10, 11, usize::MAX] {
        let expected = limit.min(10);
        assert_eq!(store.read_stream(&stream("a"), Version::NONE, limit).await.expect("readable").len(), expected);
        assert_eq!(store.read_history(&stream("a"), Version::NONE, limit).await.expect("readable").len(), expected);
        assert_eq!(store.read_all(GlobalPosition::START, limit).await.expect("readable").len(), expected);
    }
}

/// Checks what its name says.
pub async fn reading_goes_on_after_a_version<S: Store>(store: S) {
    append(&store, &stream("b"), 0, 3).await;
    append(&store, &stream("a"), 0, 10).await;
    for after in 0..=12 {
        let replay = store.read_stream(&stream("a"), Version::new(after), 4).await.expect("readable");
        assert!(replay.iter().map(|event| event.version.get()).eq((after + 1..=10).take(4)));
        let history = store.read_history(&stream("a"), Version::new(after), 4).await.expect("readable");
        assert!(history.iter().map(|event| event.version().get()).eq((after + 1..=10).take(4)));
    }
    let rest = store.read_all(GlobalPosition::new(5), 3).await.expect("readable");
    assert!(rest.iter().map(|event| event.position().get()).eq(6..=8));
}

/// Checks what its name says.
pub async fn an_absent_stream_is_empty<S: Store>(store: S) {
    append(&store, &stream("a"), 0, 1).await;
    assert!(store.read_stream(&stream("b"), Version::NONE, 10).await.expect("readable").is_empty());
    assert!(store.read_history(&stream("b"), Version::NONE, 10).await.expect("readable").is_empty());
    assert!(store.read_stream(&stream("a").with_tenant("acme"), Version::NONE, 10).await.expect("readable").is_empty());
}

/// Checks what its name says.
pub async fn the_end_of_the_log_is_an_empty_page<S: Store>(store: S) {
    assert!(store.read_all(GlobalPosition::START, 10).await.expect("readable").is_empty());
    append(&store, &stream("a"), 0, 2).await;
    assert!(store.read_all(GlobalPosition::new(2), 10).await.expect("readable").is_empty());
    assert!(store.read_all(GlobalPosition::new(99), 10).await.expect("readable").is_empty());
}

/// Checks what its name says.
pub async fn pages_larger_than_any_row_are_whole<S: Store>(store: S) {
    let mut expected = 0;
    for _ in 0..5 {
        append(&store, &stream("a"), expected, 1_000).await;
        expected += 1_000;
    }
    let replay = store.read_stream(&stream("a"), Version::NONE, usize::MAX).await.expect("readable");
    assert!(replay.iter().map(|event| event.version.get()).eq(1..=5_000));
    let history = store.read_history(&stream("a"), Version::new(100), 4_000).await.expect("readable");
    assert!(history.iter().map(|event| event.version().get()).eq(101..=4_100));
    let log = store.read_all(GlobalPosition::START, 4_999).await.expect("readable");
    assert!(log.iter().map(|event| event.position().get()).eq(1..=4_999));
}

/// Checks what its name says: it waits for the watch and reads on, as subscriptions do.
pub async fn a_follower_misses_nothing_while_others_write<S: Store>(store: S) {
    const WRITERS: u64 = 8;
    const EACH: u64 = 40;
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let store = store.clone();
            tokio::spawn(async move {
                for index in 0..EACH {
                    let events = usize::try_from(1 + (writer + index) % 3).expect("small");
                    let stream = stream(&format!("{writer}-{index}"));
                    store_one(&store, commit(&stream, 0, events)).await.expect("a stream of its own");
                }
            })
        })
        .collect();
    let wanted: u64 = (0..WRITERS).flat_map(|writer| (0..EACH).map(move |index| 1 + (writer + index) % 3)).sum();
    let mut watch = store.watch();
    let mut seen = Vec::new();
    within(async {
        while (seen.len() as u64) < wanted {
            // Marked before reading: what comes while we read wakes us afterwards.
            watch.borrow_and_update();
            let after = seen.last().copied().unwrap_or_default();
            let page = store.read_all(GlobalPosition::new(after), 5).await.expect("readable");
            if page.is_empty() {
                watch.changed().await.expect("the store is open");
            }
            seen.extend(page.iter().map(|event| event.position().get()));
        }
    })
    .await;
    assert!(seen.iter().copied().eq(1..=wanted), "missed or doubled: {seen:?}");
    for writer in writers {
        writer.await.expect("no writer panics");
    }
}

/// Checks what its name says, and that the event is there by then.
pub async fn watchers_wake_up<S: Store>(store: S) {
    let mut watch = store.watch();
    watch.borrow_and_update();
    let committed = append(&store, &stream("a"), 0, 2).await;
    within(watch.changed()).await.expect("the store is open");
    assert_eq!(*watch.borrow_and_update(), committed.position);
    assert_eq!(store.read_all(GlobalPosition::START, 10).await.expect("readable").len(), 2);
}

/// Checks what its name says.
pub async fn head_and_count_follow_the_log<S: Store>(store: S) {
    assert_eq!(store.head().await.expect("readable"), GlobalPosition::START);
    assert_eq!(store.event_count().await.expect("countable"), 0);
    let committed = append(&store, &stream("a"), 0, 3).await;
    assert_eq!(store.head().await.expect("readable"), committed.position);
    assert!(store_one(&store, commit(&stream("a"), 0, 3)).await.is_err());
    assert_eq!(store.event_count().await.expect("countable"), 3);
}

/// Checks what its name says, where commits share groups and pages.
pub async fn metadata_comes_back_per_commit<S: Store>(store: S) {
    let commits = (0..30).map(|index| {
        let mut commit = commit(&stream(&index.to_string()), 0, 2);
        // Neighbours with the same metadata, and with different ones of the same length.
        let actor = Some(format!("actor {}", index / 2));
        commit.metadata = Arc::new(Metadata { actor, ..Metadata::default() });
        commit
    });
    let results = store_together(&store, commits.collect()).await;
    assert!(results.iter().all(Result::is_ok));
    for (index, event) in whole_log(&store, 50).await.iter().enumerate() {
        assert_eq!(event.metadata().actor.as_deref(), Some(format!("actor {}", index / 4).as_str()));
    }
}
