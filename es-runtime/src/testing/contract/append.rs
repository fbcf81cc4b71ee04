//! Appending: versions, conflicts, atomicity, what comes back.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::fixture::*;
use crate::event::GlobalPosition;
use crate::event::{
    CausationId, CommandId, CorrelationId, EventId, EventName, Metadata, Recorded, StreamId, TraceContext, Version,
};
use crate::store::{AppendError, InvalidCommit, NewCommit, Store, StoreError};

/// Checks what its name says.
pub async fn the_first_event_of_a_stream_has_version_one<S: Store>(store: S) {
    let committed = append(&store, &stream("a"), 0, 1).await;
    assert_eq!(committed.version, 1);
    assert_eq!(committed.position, GlobalPosition::new(1));
    let events = store.read_stream(&stream("a"), Version::NONE, 10).await.expect("readable");
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].version, 1);
}

/// Checks what its name says.
pub async fn events_of_one_commit_have_consecutive_versions_and_positions<S: Store>(store: S) {
    let stream = stream("a");
    assert_eq!(append(&store, &stream, 0, 3).await.version, 3);
    let committed = append(&store, &stream, 3, 4).await;
    assert_eq!(committed.version, 7);
    let events = store.read_history(&stream, Version::NONE, 100).await.expect("readable");
    let places: Vec<_> = events.iter().map(|event| (event.version().get(), event.position().get())).collect();
    assert_eq!(places, [(1, 1), (2, 2), (3, 3), (4, 4), (5, 5), (6, 6), (7, 7)]);
    assert_eq!(committed.position.get(), 7);
}

/// Checks what its name says, and that nothing of the refused commit is there.
pub async fn a_stale_version_is_a_conflict_at_every_version<S: Store>(store: S) {
    let stream = stream("a");
    for actual in 0..=14 {
        for stale in 0..actual {
            assert_conflict(store_one(&store, commit(&stream, stale, 1)).await, stale, actual);
        }
        append(&store, &stream, actual, 1).await;
    }
    assert_eq!(version(&store, &stream).await, 15);
}

/// Checks what its name says.
pub async fn a_version_ahead_of_the_stream_is_a_conflict<S: Store>(store: S) {
    assert_conflict(store_one(&store, commit(&stream("a"), 1, 1)).await, 1, 0);
    append(&store, &stream("a"), 0, 2).await;
    assert_conflict(store_one(&store, commit(&stream("a"), 3, 1)).await, 3, 2);
    assert_eq!(version(&store, &stream("a")).await, 2);
}

/// Checks what its name says.
pub async fn a_conflict_stores_nothing_of_a_commit_with_several_events<S: Store>(store: S) {
    append(&store, &stream("a"), 0, 2).await;
    assert_conflict(store_one(&store, commit(&stream("a"), 1, 5)).await, 1, 2);
    assert_conflict(store_one(&store, commit(&stream("a"), 0, 2)).await, 0, 2);
    assert_eq!(whole_log(&store, 100).await.len(), 2);
}

/// Checks what its name says.
pub async fn one_of_many_concurrent_creations_wins<S: Store>(store: S) {
    let results = at_once(&store, 32, |_| commit(&stream("a"), 0, 2)).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    for result in results.into_iter().filter(Result::is_err) {
        assert_conflict(result, 0, 2);
    }
    assert_eq!(whole_log(&store, 100).await.len(), 2);
}

/// Checks what its name says: callers that retry after each conflict all succeed in the end.
pub async fn concurrent_appends_to_one_stream_make_contiguous_versions<S: Store>(store: S) {
    let tasks = (0..8).map(|_| {
        let store = store.clone();
        tokio::spawn(async move {
            for _ in 0..10 {
                let mut expected = version(&store, &stream("a")).await;
                loop {
                    match store_one(&store, commit(&stream("a"), expected, 1)).await {
                        Ok(_) => break,
                        Err(AppendError::Conflict { actual, .. }) => expected = actual.get(),
                        Err(other) => panic!("{other}"),
                    }
                }
            }
        })
    });
    for task in within(futures_util::future::join_all(tasks)).await {
        task.expect("no caller panics");
    }
    let events = store.read_stream(&stream("a"), Version::NONE, 1_000).await.expect("readable");
    assert!(events.iter().map(|event| event.version.get()).eq(1..=80));
}

/// Checks what its name says.
pub async fn commits_on_different_streams_do_not_conflict<S: Store>(store: S) {
    let results = at_once(&store, 100, |index| commit(&stream(&index.to_string()), 0, 1)).await;
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    assert_eq!(store.event_count().await.expect("countable"), 100);
}

/// Checks what its name says.
pub async fn everything_of_an_event_comes_back<S: Store>(store: S) {
    let stream = StreamId::of("acme", "account", "42");
    let metadata = Metadata {
        command_id: Some(CommandId::new_v7()),
        correlation: Some(CorrelationId::new_v7()),
        causation: Some(CausationId::new_v7()),
        actor: Some("Zoë „quoted\" \u{0}".to_owned()),
        trace: Some(TraceContext { traceparent: "00-ab-cd-01".to_owned(), tracestate: "k=v".to_owned() }),
        entries: BTreeMap::from([("ip".to_owned(), "::1".to_owned())]),
    };
    let mut new = commit(&stream, 0, 0);
    new.metadata = Arc::new(metadata.clone());
    let mut second = event_of("withdrawn", &b"{\"amount\": 5 }"[..]);
    second.schema_version = 3;
    new.events = vec![event_of("opened", &b"{}"[..]), second];
    append(&store, &super::fixture::stream("other"), 0, 1).await;
    store_one(&store, new.clone()).await.expect("stored");

    let history = store.read_history(&stream, Version::NONE, 10).await.expect("readable");
    assert_eq!(history.len(), 2);
    for (index, (recorded, event)) in history.iter().zip(&new.events).enumerate() {
        let number = index as u64 + 1;
        assert_eq!(recorded.id(), event.id);
        assert_eq!(recorded.stream(), &stream);
        assert_eq!(recorded.version(), Version::new(number));
        assert_eq!(recorded.position(), GlobalPosition::new(number + 1));
        assert_eq!(recorded.recorded_at(), new.recorded_at);
        assert_eq!(recorded.metadata(), &metadata);
        assert_eq!(recorded.event().name, event.name);
        assert_eq!(recorded.event().version, event.schema_version);
        assert_eq!(recorded.event().body, event.body);
    }
    assert_eq!(store.read_all(GlobalPosition::new(1), 10).await.expect("readable"), history);
    let replay = store.read_stream(&stream, Version::NONE, 10).await.expect("readable");
    for (stored, event) in replay.iter().zip(&new.events) {
        assert_eq!(
            (&stored.name, stored.schema_version, &stored.body),
            (&event.name, event.schema_version, &event.body)
        );
    }
}

/// Checks what its name says: a store keeps bytes, whatever they are.
pub async fn empty_and_binary_bodies_come_back<S: Store>(store: S) {
    let every_byte: Vec<u8> = (0..=255).collect();
    let bodies: Vec<Vec<u8>> = vec![
        Vec::new(),
        vec![0],
        vec![0, 0, 0],
        every_byte,
        Vec::new(),
        "ü€𝄞".as_bytes().to_vec(),
        vec![0xff, 0xfe, 0x00, 0xc3],
        Vec::new(),
    ];
    let events = |bodies: &[Vec<u8>]| bodies.iter().map(|body| event_of("made", body.clone())).collect();
    store_one(&store, commit(&stream("a"), 0, 0).with_events(events(&bodies))).await.expect("stored");
    // Only empty ones, too.
    store_one(&store, commit(&stream("b"), 0, 0).with_events(events(&[Vec::new(), Vec::new()]))).await.expect("stored");

    let read = store.read_stream(&stream("a"), Version::NONE, 100).await.expect("readable");
    assert!(read.iter().map(|event| &event.body[..]).eq(bodies.iter().map(Vec::as_slice)));
    let log = whole_log(&store, 100).await;
    assert!(log.iter().take(8).map(|event| &event.event().body[..]).eq(bodies.iter().map(Vec::as_slice)));
    assert!(log[8..].iter().all(|event| event.event().body.is_empty()));
    assert_eq!(log.len(), 10);
}

/// Checks what its name says.
pub async fn large_bodies_come_back<S: Store>(store: S) {
    let body = |seed: u8| -> Vec<u8> { (0..1_048_576_u32).map(|at| at.to_le_bytes()[0] ^ seed).collect() };
    let events = (0..3).map(|seed| event_of("made", body(seed))).collect();
    store_one(&store, commit(&stream("a"), 0, 0).with_events(events)).await.expect("stored");
    let results = at_once(&store, 6, |index| {
        commit(&stream(&format!("b{index}")), 0, 0).with_events(vec![event_of("made", body(index.to_le_bytes()[0]))])
    });
    assert!(results.await.iter().all(Result::is_ok));
    let read = store.read_stream(&stream("a"), Version::NONE, 100).await.expect("readable");
    assert_eq!(read.len(), 3);
    for (seed, event) in read.iter().enumerate() {
        assert!(event.body == body(seed.to_le_bytes()[0]), "body {seed} came back changed");
    }
    assert_eq!(whole_log(&store, 4).await.iter().map(|event| event.event().body.len()).sum::<usize>(), 9 * 1_048_576);
}

/// Checks what its name says: no two of these names are taken for each other.
pub async fn names_with_every_kind_of_character_stay_apart<S: Store>(store: S) {
    let keys = [
        "", " ", "a", "A", "a ", "a\0", "a\0b", "a\0c", "\0", "ä", "a\u{308}", "'", "''", "\"", "\\", "\\u0000", "a/b",
        "a:b", "%", "_", "🦀", "\u{feff}", "a\nb", "null", "1", "01", "1.0", "-0",
    ];
    let results = store_together(&store, keys.iter().map(|key| commit(&stream(key), 0, 1)).collect()).await;
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    for key in keys {
        // Alone, so that a store that looks names up again does so.
        assert_conflict(store_one(&store, commit(&stream(key), 0, 1)).await, 0, 1);
        assert_eq!(append(&store, &stream(key), 1, 1).await.version, 2, "{key:?}");
        assert_eq!(version(&store, &stream(key)).await, 2, "{key:?}");
    }
    let log = whole_log(&store, 100).await;
    assert!(log.iter().take(keys.len()).map(|event| event.stream().key()).eq(keys));
    let claims = keys.iter().map(|key| commit(&stream(key), 2, 1).claiming(key).keyed(key)).collect();
    let results = store_together(&store, claims).await;
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    for key in keys {
        let found = store.find("", key).await.expect("readable").expect("recorded");
        assert_eq!(found.stream, stream(key));
        let claimed = store_one(&store, commit(&stream("new"), 0, 1).claiming(key)).await;
        assert!(matches!(claimed, Err(AppendError::Claimed { key: taken, .. }) if taken == key), "{key:?}");
    }
    let mut odd = event_of("made", &b"{}"[..]);
    for name in ["", "a\0b", "ü€𝄞", "'\"\\"] {
        odd.name = EventName::Shared(name.into());
        odd.id = crate::event::EventId::new_v7();
        store_one(&store, commit(&StreamId::new("names", name), 0, 0).with_events(vec![odd.clone()]))
            .await
            .expect("stored");
        let read = store.read_stream(&StreamId::new("names", name), Version::NONE, 2).await.expect("readable");
        assert_eq!(&*read[0].name, name);
    }
}

/// Checks what its name says.
pub async fn tenants_are_separate<S: Store>(store: S) {
    let stream = stream("a");
    let (acme, other) = (stream.with_tenant("acme"), stream.with_tenant("other"));
    append(&store, &stream, 0, 1).await;
    append(&store, &acme, 0, 2).await;
    append(&store, &other, 0, 3).await;
    assert_conflict(store_one(&store, commit(&acme, 1, 1)).await, 1, 2);
    for (stream, count) in [(&stream, 1), (&acme, 2), (&other, 3)] {
        assert_eq!(version(&store, stream).await, count);
    }
    let tenants: Vec<_> = whole_log(&store, 2).await.iter().map(|event| event.tenant().to_owned()).collect();
    assert_eq!(tenants, ["", "acme", "acme", "other", "other", "other"]);
}

/// Checks that versions no stream can have are conflicts, and harm nothing.
pub async fn an_unreachable_expected_version_is_a_conflict<S: Store>(store: S) {
    append(&store, &stream("a"), 0, 1).await;
    for expected in [u64::MAX, u64::MAX - 1, i64::MAX as u64, i64::MAX as u64 + 1] {
        assert_conflict(store_one(&store, commit(&stream("a"), expected, 1)).await, expected, 1);
        assert_conflict(store_one(&store, commit(&stream("b"), expected, 1)).await, expected, 0);
        let nothing = store.read_stream(&stream("a"), Version::new(expected), 10).await.expect("readable");
        assert!(nothing.is_empty());
        let nothing = store.read_history(&stream("a"), Version::new(expected), 10).await.expect("readable");
        assert!(nothing.is_empty());
        let nothing = store.read_all(GlobalPosition::new(expected), 10).await.expect("readable");
        assert!(nothing.is_empty());
    }
    assert_eq!(append(&store, &stream("a"), 1, 1).await.version, 2);
}

/// Checks what its name says.
pub async fn a_confirmation_succeeds_at_the_stored_version_only<S: Store>(store: S) {
    append(&store, &stream("a"), 0, 3).await;
    let confirmed = store_one(&store, commit(&stream("a"), 3, 0)).await.expect("confirmed");
    assert_eq!((confirmed.version.get(), confirmed.position), (3, GlobalPosition::START));
    assert_conflict(store_one(&store, commit(&stream("a"), 2, 0)).await, 2, 3);
    assert_conflict(store_one(&store, commit(&stream("a"), 4, 0)).await, 4, 3);
    assert_eq!(store_one(&store, commit(&stream("b"), 0, 0)).await.expect("confirmed").version, 0);
    assert_conflict(store_one(&store, commit(&stream("b"), 1, 0)).await, 1, 0);
    // Beside appends it sees what those before it did, and not what those behind it do.
    let results = store_together(
        &store,
        vec![
            commit(&stream("a"), 3, 0),
            commit(&stream("a"), 3, 1),
            commit(&stream("a"), 4, 0),
            commit(&stream("a"), 3, 0),
        ],
    )
    .await;
    let versions: Vec<_> = results.iter().map(|result| result.as_ref().ok().map(|done| done.version.get())).collect();
    assert_eq!(versions, [Some(3), Some(4), Some(4), None]);
}

/// Verifies that a commit without events stores no event.
pub async fn a_confirmation_stores_nothing<S: Store>(store: S) {
    append(&store, &stream("a"), 0, 1).await;
    store_one(&store, commit(&stream("a"), 1, 0)).await.expect("confirmed");
    store_one(&store, commit(&stream("b"), 0, 0)).await.expect("confirmed");
    assert_eq!(store.event_count().await.expect("countable"), 1);
    append(&store, &stream("b"), 0, 1).await;
}

/// Verifies that claims and a snapshot without events are refused, whether or not the commit has an entry for the ledger. They are not dropped.
pub async fn what_only_events_bring_is_refused_without_events<S: Store>(store: S) {
    append(&store, &stream("a"), 0, 1).await;
    let empty = || commit(&stream("a"), 1, 0);
    let cases = [
        (empty().claiming("x"), "claims"),
        (empty().freeing("x").keyed("k"), "claims"),
        (empty().with_snapshot(1, "state"), "a snapshot"),
        (empty().with_snapshot(1, "state").keyed("k"), "a snapshot"),
    ];
    for (new, expected) in cases {
        let chain = new.chain.clone();
        match store_one(&store, new).await {
            Err(AppendError::Invalid(InvalidCommit::WithoutEvents { what })) => assert_eq!(what, expected),
            other => panic!("expected a refusal of {expected}, got {other:?}"),
        }
        assert!(chain.is_broken());
    }
    assert_eq!(store.find("", "k").await.expect("readable"), None);
    assert_eq!(store.snapshot(&stream("a"), 1).await.expect("readable"), None);
    store_one(&store, commit(&stream("b"), 0, 1).claiming("x")).await.expect("the key is free");
}

/// Verifies that names and keys of the greatest length are stored, and longer ones refused, whatever they consist of.
pub async fn keys_are_stored_up_to_their_limit<S: Store>(store: S) {
    // No database makes this shorter.
    let random = |bytes: usize| -> String {
        std::iter::repeat_with(|| EventId::new_v7().as_uuid().simple().to_string())
            .flat_map(|id| id[20..].to_owned().into_bytes())
            .take(bytes)
            .map(char::from)
            .collect()
    };
    let limit = NewCommit::LONGEST_KEY;
    let longest = random(limit - "account".len());
    let full = commit(&stream(&longest), 0, 1).keyed(&random(limit)).claiming(&random(limit - "email".len()));
    let entry = full.ledger.clone().expect("it has a key");
    store_one(&store, full).await.expect("stored");
    assert_eq!(store.read_stream(&stream(&longest), Version::NONE, 10).await.expect("readable").len(), 1);
    assert!(store.find("", &entry.key).await.expect("readable").is_some());
    let cases = [
        (commit(&stream(&format!("{longest}x")), 0, 1), "stream name"),
        (commit(&stream(&longest).with_tenant("x"), 0, 1), "stream name"),
        (commit(&stream("a"), 0, 1).keyed(&random(limit + 1)), "idempotency key"),
        (commit(&stream("a"), 0, 1).keyed(&format!("{}\0", random(limit - 1))), "idempotency key"),
        (commit(&stream("a"), 0, 1).claiming(&random(limit)), "claimed key"),
    ];
    for (new, named) in cases {
        match store_one(&store, new).await {
            Err(AppendError::Invalid(InvalidCommit::TooLong { what, bytes, limit: most })) => {
                assert!((what, most) == (named, limit) && bytes > limit, "{what} {bytes} {most}");
            }
            other => panic!("expected a refusal of {named}, got {other:?}"),
        }
    }
    assert_eq!(store.event_count().await.expect("countable"), 1);
}

/// Verifies that an id names one event of a commit, wherever the second one is, and that the commits beside it are stored.
pub async fn an_id_that_is_used_twice_in_a_commit_is_refused<S: Store>(store: S) {
    for (count, first, second) in [(2, 0, 1), (5, 1, 4), (300, 0, 299)] {
        let mut new = commit(&stream("a"), 0, count).keyed("k").claiming("x");
        let id = new.events[first].id;
        new.events[second].id = id;
        let beside = commit(&stream(&format!("beside {count}")), 0, 1);
        let results = store_together(&store, vec![new, beside]).await;
        match &results[0] {
            Err(AppendError::Invalid(InvalidCommit::RepeatedEventId { id: named })) => assert_eq!(*named, id),
            other => panic!("expected a refusal of the id, got {other:?}"),
        }
        assert!(results[1].is_ok(), "{results:?}");
    }
    assert_eq!(version(&store, &stream("a")).await, 0);
    assert_eq!(store.find("", "k").await.expect("readable"), None);
    store_one(&store, commit(&stream("b"), 0, 300).claiming("x")).await.expect("the key is free");
}

/// Verifies that times are kept in whole microseconds, what is finer is cut off, and a leap second is the beginning of the next minute: in the
/// log, in a stream, and for the ledger.
pub async fn times_are_kept_in_whole_microseconds<S: Store>(store: S) {
    let times = [
        ("2026-01-01T00:00:00.999999999Z", "2026-01-01T00:00:00.999999Z"),
        ("1999-12-31T23:59:59.000001999Z", "1999-12-31T23:59:59.000001Z"),
        ("1969-12-31T23:59:59.999999999Z", "1969-12-31T23:59:59.999999Z"),
        ("0001-01-01T00:00:00.000000001Z", "0001-01-01T00:00:00Z"),
        ("2016-12-31T23:59:60.500000001Z", "2017-01-01T00:00:00.5Z"),
        ("9999-12-31T23:59:59.999999999Z", "9999-12-31T23:59:59.999999Z"),
    ];
    let time = |text: &str| -> DateTime<Utc> { text.parse().expect("a time") };
    for (given, kept) in times {
        let mut new = commit(&stream(given), 0, 1).keyed(given);
        new.recorded_at = time(given);
        store_one(&store, new).await.expect("stored");
        let history = store.read_history(&stream(given), Version::NONE, 10).await.expect("readable");
        assert_eq!(history[0].recorded_at(), time(kept), "of {given}");
    }
    let log = whole_log(&store, 10).await;
    let found: Vec<_> = log.iter().map(Recorded::recorded_at).collect();
    assert_eq!(found, times.map(|(_, kept)| time(kept)));
    // The entry of the third one is from the same microsecond.
    assert_eq!(store.forget_before(time("1969-12-31T23:59:59.999999999Z")).await.expect("forgotten"), 1);
    assert_eq!(store.forget_before(time("1969-12-31T23:59:60Z")).await.expect("forgotten"), 1);
}

/// Checks what its name says: no store takes it, and trying again does not help.
pub async fn a_time_that_no_format_can_write_is_refused<S: Store>(store: S) {
    for at in [DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC] {
        let mut new = commit(&stream("a"), 0, 1);
        new.recorded_at = at;
        match store_one(&store, new).await {
            Err(AppendError::Invalid(InvalidCommit::TimeOutOfRange { at: named })) => assert_eq!(named, at),
            other => panic!("expected a refusal of {at}, got {other:?}"),
        }
    }
    assert_eq!(store.event_count().await.expect("countable"), 0);
}

/// Checks what its name says.
pub async fn a_dropped_ticket_does_not_take_the_commit_back<S: Store>(store: S) {
    drop(store.submit(commit(&stream("a"), 0, 1)).await);
    // Commits are decided in order: when this one is done, so is the other.
    append(&store, &stream("b"), 0, 1).await;
    assert_eq!(version(&store, &stream("a")).await, 1);
    // A submit that is dropped before it was polled handed nothing over.
    drop(store.submit(commit(&stream("c"), 0, 1)));
    append(&store, &stream("b"), 1, 1).await;
    assert_eq!(version(&store, &stream("c")).await, 0);
}

/// Checks what its name says.
pub async fn commits_of_one_caller_are_decided_in_order<S: Store>(store: S) {
    let commits = (0..200).map(|expected| commit(&stream("a"), expected, 1)).collect();
    let results = store_together(&store, commits).await;
    for (index, result) in results.into_iter().enumerate() {
        assert_eq!(result.expect("each stands on the one before").version.get(), index as u64 + 1);
    }
}

/// Checks what its name says.
pub async fn a_closed_store_refuses_commits_and_reads<S: Store>(store: S) {
    let other = store.clone();
    append(&store, &stream("a"), 0, 1).await;
    within(store.close()).await;
    let late = commit(&stream("a"), 1, 1);
    let chain = late.chain.clone();
    let refused = store_one(&other, late).await;
    assert!(matches!(refused, Err(AppendError::Store(StoreError::Closed))), "{refused:?}");
    assert!(chain.is_broken());
    assert!(matches!(other.read_all(GlobalPosition::START, 1).await, Err(StoreError::Closed)));
    assert!(matches!(other.head().await, Err(StoreError::Closed)));
    within(other.close()).await;
}

/// Checks what its name says.
pub async fn closing_finishes_what_was_submitted<S: Store>(store: S) {
    let mut tickets = Vec::new();
    for index in 0..100 {
        tickets.push(store.submit(commit(&stream(&index.to_string()), 0, 1)).await);
    }
    within(store.close()).await;
    for ticket in tickets {
        within(ticket).await.expect("submitted before closing");
    }
}

/// Checks what its name says: stored and acknowledged, or refused and not stored; nobody is left without an answer.
pub async fn commits_that_race_with_closing_get_a_definite_answer<S: Store>(store: S) {
    let callers: Vec<_> = (0..50)
        .map(|index| {
            let store = store.clone();
            tokio::spawn(async move { store_one(&store, commit(&stream(&index.to_string()), 0, 1)).await })
        })
        .collect();
    let closing = tokio::spawn({
        let store = store.clone();
        async move { store.close().await }
    });
    for caller in callers {
        let answer = within(caller).await.expect("no caller panics");
        assert!(matches!(answer, Ok(_) | Err(AppendError::Store(StoreError::Closed))), "{answer:?}");
    }
    within(closing).await.expect("closing does not panic");
}
