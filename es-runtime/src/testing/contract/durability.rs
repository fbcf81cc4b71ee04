//! What survives the store, and stores that share a place.

use super::fixture::*;
use crate::event::{GlobalPosition, Version};
use crate::store::{AppendError, ExternalId, Store};

fn external() -> ExternalId {
    ExternalId { tenant: String::new(), category: "account".to_owned(), source: "bank".to_owned(), id: "1".to_owned() }
}

/// Checks what its name says.
pub async fn everything_survives_closing_and_opening<S: Store>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let commit = commit(&stream("a"), 0, 3).keyed("k").claiming("x").with_snapshot(7, "state");
    store_one(&store, commit).await.expect("stored");
    append(&store, &stream("b").with_tenant("acme"), 0, 1).await;
    assert_eq!(store.identify(&external(), "key").await.expect("stored"), "key");
    let log = whole_log(&store, 100).await;
    let record = store.find("", "k").await.expect("readable");
    within(store.close()).await;
    drop(store);

    let store = open().await;
    assert_eq!(whole_log(&store, 100).await, log);
    assert_eq!(store.find("", "k").await.expect("readable"), record);
    assert_eq!(store.snapshot(&stream("a"), 7).await.expect("readable"), Some((Version::new(3), "state".into())));
    assert_eq!(store.identity(&external()).await.expect("readable").as_deref(), Some("key"));
    assert_eq!(*store.watch().borrow(), GlobalPosition::new(4));
    within(store.close()).await;
}

/// Checks what its name says.
pub async fn versions_and_keys_hold_after_opening<S: Store>(open: impl AsyncFn() -> S) {
    let store = open().await;
    store_one(&store, commit(&stream("a"), 0, 2).keyed("k").claiming("x")).await.expect("stored");
    within(store.close()).await;
    let store = open().await;
    assert_conflict(store_one(&store, commit(&stream("a"), 0, 1)).await, 0, 2);
    assert_conflict(store_one(&store, commit(&stream("a"), 1, 1)).await, 1, 2);
    let recorded = store_one(&store, commit(&stream("a"), 2, 1).keyed("k")).await;
    assert!(matches!(recorded, Err(AppendError::KeyRecorded(_))), "{recorded:?}");
    let claimed = store_one(&store, commit(&stream("b"), 0, 1).claiming("x")).await;
    assert!(matches!(claimed, Err(AppendError::Claimed { .. })), "{claimed:?}");
    let committed = append(&store, &stream("a"), 2, 1).await;
    assert_eq!(committed.version, 3);
    // What was refused may have left a gap.
    assert!(committed.position > GlobalPosition::new(2), "{committed:?}");
    within(store.close()).await;
}

/// Checks what its name says.
pub async fn two_stores_on_one_place_see_each_other<S: Store>(open: impl AsyncFn() -> S) {
    let (one, two) = (open().await, open().await);
    let mut last = GlobalPosition::START;
    for version in 0..10 {
        let (writer, reader) = if version % 2 == 0 { (&one, &two) } else { (&two, &one) };
        let position = append(writer, &stream("a"), version, 1).await.position;
        assert!(position > last, "{position} behind {last}");
        last = position;
        assert_eq!(self::version(reader, &stream("a")).await, version + 1);
        // What the reader remembers of the stream is stale by now; a stale decision is refused all the same.
        assert_conflict(store_one(reader, commit(&stream("a"), version, 1)).await, version, version + 1);
        // Streams begun on both sides get their own numbers.
        append(writer, &stream(&format!("w{version}")).with_tenant("t"), 0, 0).await;
    }
    within(one.close()).await;
    within(two.close()).await;
}

/// Checks what its name says.
pub async fn two_stores_on_one_place_never_lose_an_event<S: Store>(open: impl AsyncFn() -> S) {
    let stores = [open().await, open().await];
    let tasks: Vec<_> = (0..8)
        .map(|writer| {
            let store = stores[writer % 2].clone();
            tokio::spawn(async move {
                let mut acknowledged = Vec::new();
                for index in 0..25 {
                    // Four hot streams that everybody appends to, and new ones.
                    let stream = if index % 3 == 0 {
                        stream(&format!("{writer}-{index}"))
                    } else {
                        stream(&(index % 4).to_string())
                    };
                    let mut expected = version(&store, &stream).await;
                    loop {
                        match store_one(&store, commit(&stream, expected, 2)).await {
                            Ok(committed) => break acknowledged.push((stream, committed)),
                            Err(AppendError::Conflict { actual, .. }) => expected = actual.get(),
                            Err(other) => panic!("{other}"),
                        }
                    }
                }
                acknowledged
            })
        })
        .collect();
    let mut acknowledged = Vec::new();
    for task in tasks {
        acknowledged.extend(within(task).await.expect("no writer panics"));
    }
    let log = whole_log(&stores[0], 100).await;
    assert_eq!(log.len(), 400);
    assert!(log.is_sorted_by(|one, next| one.position() < next.position()), "positions do not ascend");
    for (stream, committed) in acknowledged {
        let found = log.iter().find(|event| event.position() == committed.position).expect("acknowledged, so stored");
        assert_eq!((found.stream(), found.version()), (&stream, committed.version));
        let before =
            log.iter().find(|event| *event.stream() == stream && event.version().after(1) == committed.version);
        assert!(
            before.is_some_and(|event| event.position() < committed.position),
            "the commit's first event is missing"
        );
    }
    for store in stores {
        within(store.close()).await;
    }
}

/// Checks what its name says, within what [`poll_interval`](crate::store::EventStore::poll_interval) promises.
pub async fn a_follower_of_one_store_sees_what_another_writes<S: Store>(open: impl AsyncFn() -> S) {
    let (writer, follower) = (open().await, open().await);
    let mut watch = follower.watch();
    let writing = {
        let writer = writer.clone();
        tokio::spawn(async move {
            for index in 0..30 {
                append(&writer, &stream(&index.to_string()), 0, 1).await;
            }
        })
    };
    let (mut seen, mut last) = (0, GlobalPosition::START);
    within(async {
        while seen < 30 {
            let page = follower.read_all(last, 7).await.expect("readable");
            for event in &page {
                assert_eq!(event.stream(), &stream(&seen.to_string()), "out of order");
                assert!(event.position() > last);
                (seen, last) = (seen + 1, event.position());
            }
            if page.is_empty() {
                let poll = follower.poll_interval().unwrap_or(PATIENCE);
                // Either the watch wakes us, or it is time to look.
                let _ = tokio::time::timeout(poll, watch.changed()).await;
            }
        }
    })
    .await;
    writing.await.expect("the writer does not panic");
    within(writer.close()).await;
    within(follower.close()).await;
}

/// Checks what its name says.
pub async fn confirmations_see_what_another_store_wrote<S: Store>(open: impl AsyncFn() -> S) {
    let (one, two) = (open().await, open().await);
    append(&one, &stream("a"), 0, 1).await;
    store_one(&one, commit(&stream("a"), 1, 0)).await.expect("confirmed");
    append(&two, &stream("a"), 1, 1).await;
    assert_conflict(store_one(&one, commit(&stream("a"), 1, 0)).await, 1, 2);
    assert_conflict(store_one(&one, commit(&stream("a"), 1, 0).keyed("k")).await, 1, 2);
    store_one(&one, commit(&stream("a"), 2, 0)).await.expect("confirmed");
    within(one.close()).await;
    within(two.close()).await;
}

/// Checks what its name says.
pub async fn claims_and_keys_of_another_store_hold<S: Store>(open: impl AsyncFn() -> S) {
    let (one, two) = (open().await, open().await);
    append(&two, &stream("warm"), 0, 1).await;
    store_one(&one, commit(&stream("a"), 0, 1).claiming("x").keyed("k")).await.expect("free");
    append(&two, &stream("warm"), 1, 1).await;
    let claimed = store_one(&two, commit(&stream("b"), 0, 1).claiming("x")).await;
    assert!(matches!(claimed, Err(AppendError::Claimed { .. })), "{claimed:?}");
    let recorded = store_one(&two, commit(&stream("b"), 0, 1).keyed("k")).await;
    assert!(matches!(recorded, Err(AppendError::KeyRecorded(_))), "{recorded:?}");
    // Freed by the other one on nothing but trust: only the holder's row goes.
    append(&two, &stream("b"), 0, 1).await;
    store_one(&two, commit(&stream("b"), 1, 1).freeing("x")).await.expect("stored");
    let claimed = store_one(&two, commit(&stream("b"), 2, 1).claiming("x")).await;
    assert!(matches!(claimed, Err(AppendError::Claimed { .. })), "{claimed:?}");
    store_one(&two, commit(&stream("a"), 1, 1).freeing("x")).await.expect("stored");
    store_one(&one, commit(&stream("c"), 0, 1).claiming("x")).await.expect("free again");
    within(one.close()).await;
    within(two.close()).await;
}
