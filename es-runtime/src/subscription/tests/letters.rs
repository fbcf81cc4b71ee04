//! What is put aside, what waits, and how it heals.

use super::fixture::*;
use crate::event::GlobalPosition;
use crate::projection::{FailurePolicy, HandlerMode, HandlerOptions, ProjectionDescriptor, ProjectionHandler};
use crate::store::{CheckpointStore, Letter, MemoryStore};
use crate::subscription::{Health, StopReason, SubscriptionOptions, SubscriptionState};

fn short(letters: &[Letter]) -> Vec<(u64, &str, bool)> {
    letters.iter().map(|it| (it.letter.position.get(), it.letter.key.as_str(), it.letter.cause.is_some())).collect()
}

#[tokio::test]
async fn later_events_of_a_parked_row_wait_and_all_others_go_on() {
    let store = MemoryStore::new();
    pay(&store, "a", &[1, 666, 3]).await;
    pay(&store, "b", &[1, 2]).await;
    let subscriptions = start(&store, balances(&BALANCES, HANDLERS), options()).await;
    let position = pay(&store, "a", &[4]).await;
    passed(&subscriptions, "balances", position).await;
    assert_eq!((seen(&store, "a").await.as_str(), seen(&store, "b").await.as_str()), ("a/1", "b/1 b/2"));
    let letters = subscriptions.control().letters("balances", None, 10).await.unwrap();
    let key = r#"["","a"]"#;
    assert_eq!(short(&letters), [(2, key, true), (3, key, false), (6, key, false)]);
    assert!(letters[0].letter.cause.as_deref().unwrap().contains("the number of the beast"));
    let health = subscriptions.control().health().borrow().clone();
    assert_eq!((health.subscriptions[0].parked_keys, health.subscriptions[0].letters), (1, 3));
    // The same program fails again, and says so.
    let retried = subscriptions.control().retry("balances", None).await.unwrap();
    assert_eq!((retried.handled, retried.failed.len(), retried.waiting), (0, 1, 2));
    assert_eq!(subscriptions.control().letters("balances", None, 1).await.unwrap()[0].letter.attempts, 2);
}

#[tokio::test]
async fn a_mended_program_heals_letters_in_their_order_while_the_worker_goes_on() {
    let store = MemoryStore::new();
    let first = start(&store, balances(&BALANCES, HANDLERS), options()).await;
    let position = pay(&store, "a", &[1, 666, 3]).await;
    passed(&first, "balances", position).await;
    first.shutdown().await;
    let second = start(&store, balances(&BALANCES, MENDED), options()).await;
    let position = pay(&store, "a", &[4]).await;
    passed(&second, "balances", position).await;
    assert_eq!(seen(&store, "a").await, "a/1", "what comes later waits in the new program too");
    let retried = second.control().retry("balances", Some(r#"["","a"]"#)).await.unwrap();
    assert_eq!((retried.handled, retried.failed.len(), retried.waiting), (3, 0, 0));
    assert_eq!(seen(&store, "a").await, "a/1 a/2 a/3 a/4");
    healthy(&second, Health::is_well).await;
    // The worker finds out that the row is free, and takes what the retry wrote for granted.
    let position = pay(&store, "a", &[5]).await;
    passed(&second, "balances", position).await;
    assert_eq!(seen(&store, "a").await, "a/1 a/2 a/3 a/4 a/5");
    healthy(&second, Health::is_well).await;
}

#[tokio::test]
async fn an_event_that_does_not_decode_holds_its_stream_in_every_partition() {
    const THREE: ProjectionDescriptor = ProjectionDescriptor { partitions: 3, ..BALANCES };
    let store = MemoryStore::new();
    for key in ["a", "b", "c", "d"] {
        pay(&store, key, &[1]).await;
        append(&store, key, "paid", &["garbage"]).await;
    }
    let mut position = GlobalPosition::START;
    for key in ["a", "b", "c", "d", "e"] {
        position = pay(&store, key, &[3]).await;
    }
    let first = start(&store, balances(&THREE, HANDLERS), options()).await;
    passed(&first, "balances", position).await;
    assert_eq!((seen(&store, "a").await.as_str(), seen(&store, "e").await.as_str()), ("a/1", "e/1"));
    first.shutdown().await;
    let second = start(&store, balances(&THREE, MENDED), options()).await;
    let retried = second.control().retry("balances", None).await.unwrap();
    assert_eq!((retried.failed.len(), retried.waiting), (0, 0));
    let position = pay(&store, "d", &[4]).await;
    passed(&second, "balances", position).await;
    for key in ["a", "b", "c"] {
        assert_eq!(seen(&store, key).await, format!("{key}/1 {key}/2 {key}/3"));
    }
    assert_eq!(seen(&store, "d").await, "d/1 d/2 d/3 d/4");
    assert_eq!(second.control().letters("balances", None, 10).await.unwrap(), []);
}

#[tokio::test]
async fn an_event_of_two_rows_waits_behind_both_and_is_retried_as_the_first_of_both() {
    const TWO: ProjectionDescriptor = ProjectionDescriptor {
        handlers: &[
            handler("from", "moved", PLAIN),
            ProjectionHandler { by_stream: false, ..handler("to", "moved", PLAIN) },
            handler("paid", "paid", PLAIN),
        ],
        ..BALANCES
    };
    const BROKEN: &[crate::projection::FoldHandler<Balance>] = &[HANDLERS[0], HANDLERS[1], HANDLERS[0]];
    const WHOLE: &[crate::projection::FoldHandler<Balance>] = &[MENDED[0], MENDED[1], MENDED[0]];
    let store = MemoryStore::new();
    pay(&store, "a", &[666]).await;
    pay(&store, "b", &[1]).await;
    append(&store, "a", "moved", &[r#"{"cents":7,"to":"b"}"#]).await;
    let position = pay(&store, "b", &[2]).await;
    let first = start(&store, balances(&TWO, BROKEN), options()).await;
    passed(&first, "balances", position).await;
    let (a, b) = (r#"["","a"]"#, r#"["","b"]"#);
    let letters = first.control().letters("balances", None, 10).await.unwrap();
    assert_eq!(short(&letters), [(1, a, true), (3, a, false), (3, b, false), (4, b, false)]);
    let retried = first.control().retry("balances", Some(b)).await.unwrap();
    assert_eq!((retried.handled, retried.waiting), (0, 2), "the first of `b` is not the first of `a`");
    first.shutdown().await;
    let second = start(&store, balances(&TWO, WHOLE), options()).await;
    let retried = second.control().retry("balances", None).await.unwrap();
    assert_eq!((retried.handled, retried.waiting), (3, 0));
    assert_eq!((seen(&store, "a").await.as_str(), seen(&store, "b").await.as_str()), ("a/1 a/2", "b/1 a/2 b/2"));
}

#[tokio::test]
async fn one_letter_is_skipped_at_a_time() {
    let store = MemoryStore::new();
    let position = pay(&store, "a", &[666, 2, 3]).await;
    let subscriptions = start(&store, balances(&BALANCES, HANDLERS), options()).await;
    passed(&subscriptions, "balances", position).await;
    let control = subscriptions.control();
    let letters = control.letters("balances", None, 1).await.unwrap();
    assert!(control.skip(&letters[0]).await.unwrap());
    assert!(!control.skip(&letters[0]).await.unwrap(), "it is gone");
    assert_eq!(seen(&store, "a").await, "");
    assert_eq!(control.retry("balances", None).await.unwrap().handled, 2);
    assert_eq!(seen(&store, "a").await, "a/2 a/3");
}

#[tokio::test]
async fn a_row_that_cannot_be_stored_parks_the_event_that_made_it_so() {
    let store = MemoryStore::new();
    pay(&store, "b", &[1, 2, 3]).await;
    pay(&store, "a", &[5, -9, 1]).await;
    let position = pay(&store, "c", &[1, 2]).await;
    let subscriptions = start(&store, balances(&BALANCES, HANDLERS), options()).await;
    passed(&subscriptions, "balances", position).await;
    let letters = subscriptions.control().letters("balances", None, 10).await.unwrap();
    assert_eq!(letters.iter().map(|it| it.letter.position.get()).collect::<Vec<_>>(), [5, 6]);
    assert_eq!((seen(&store, "a").await.as_str(), seen(&store, "b").await.as_str()), ("a/1", "b/1 b/2 b/3"));
    assert_eq!(seen(&store, "c").await, "c/1 c/2");
}

const fn with(policy: FailurePolicy) -> ProjectionHandler {
    handler("paid", "paid", HandlerOptions { on_failure: Some(policy), ..PLAIN })
}

#[tokio::test]
async fn a_function_that_declares_skip_leaves_the_event_out() {
    const SKIPS: ProjectionDescriptor = ProjectionDescriptor { handlers: &[with(FailurePolicy::Skip)], ..BALANCES };
    let store = MemoryStore::new();
    let position = pay(&store, "a", &[1, 666, 3]).await;
    let subscriptions = start(&store, balances(&SKIPS, HANDLERS), options()).await;
    passed(&subscriptions, "balances", position).await;
    assert_eq!(seen(&store, "a").await, "a/1 a/3");
    assert!(subscriptions.control().letters("balances", None, 1).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_function_that_declares_stop_stops_before_the_event_and_goes_on_with_it_when_mended() {
    const STOPS: ProjectionDescriptor = ProjectionDescriptor { handlers: &[with(FailurePolicy::Stop)], ..BALANCES };
    let store = MemoryStore::new();
    let position = pay(&store, "a", &[1, 666, 3]).await;
    let first = start(&store, balances(&STOPS, HANDLERS), options()).await;
    let health = state(&first, |state| matches!(state, SubscriptionState::Stopped { .. })).await;
    assert!(matches!(
        &health.subscriptions[0].state,
        SubscriptionState::Stopped { reason: StopReason::Failed { position, .. }, .. } if position.get() == 2
    ));
    assert_eq!(seen(&store, "a").await, "a/1", "what stands before it is done");
    // The reason stays known here, and is seen by others.
    first.control().pause("nobody").await.unwrap_err();
    first.shutdown().await;
    let second = start(&store, balances(&STOPS, MENDED), options()).await;
    let recorded = |state: &SubscriptionState| matches!(state, SubscriptionState::Stopped { reason: StopReason::Recorded(reason), .. } if reason.contains("beast"));
    state(&second, recorded).await;
    second.control().resume("balances").await.unwrap();
    passed(&second, "balances", position).await;
    assert_eq!(seen(&store, "a").await, "a/1 a/2 a/3");
}

#[tokio::test]
async fn a_partition_without_room_for_letters_stops_and_loses_none() {
    let store = MemoryStore::new();
    for key in ["a", "b", "c"] {
        pay(&store, key, &[666]).await;
    }
    let position = pay(&store, "d", &[1]).await;
    let first = start(&store, balances(&BALANCES, HANDLERS), SubscriptionOptions { parked_keys: 2, ..options() }).await;
    let full = |state: &SubscriptionState| {
        matches!(state, SubscriptionState::Stopped { reason: StopReason::LettersFull { keys: 2, letters: 2 }, .. })
    };
    state(&first, full).await;
    assert_eq!(seen(&store, "d").await, "");
    first.shutdown().await;
    let second = start(&store, balances(&BALANCES, MENDED), options()).await;
    assert_eq!(second.control().retry("balances", None).await.unwrap().handled, 2);
    // Stopped ones do not look at their letters; resumed ones do.
    second.control().resume("balances").await.unwrap();
    passed(&second, "balances", position).await;
    for key in ["a", "b", "c", "d"] {
        assert_eq!(seen(&store, key).await, format!("{key}/1"));
    }
}

#[tokio::test]
async fn an_event_whose_rows_are_in_two_partitions_stops_the_subscription() {
    const SPANS: ProjectionDescriptor = ProjectionDescriptor {
        partitions: 8,
        handlers: &[handler("from", "moved", PLAIN), handler("to", "moved", PLAIN)],
        ..BALANCES
    };
    let store = MemoryStore::new();
    append(&store, "a", "moved", &[r#"{"cents":7,"to":"b"}"#]).await;
    let subscriptions = start(&store, balances(&SPANS, HANDLERS), options()).await;
    let spans = |state: &SubscriptionState| {
        matches!(state, SubscriptionState::Stopped { reason: StopReason::SpansPartitions { .. }, .. })
    };
    let health =
        healthy(&subscriptions, |health| health.subscriptions.iter().filter(|it| spans(&it.state)).count() == 2).await;
    assert_eq!(health.subscriptions.len(), 8);
    assert_eq!(all_rows(&store, 1).await, []);
}

#[tokio::test]
async fn a_synchronous_projection_parks_and_heals_the_same_way() {
    const SYNC: ProjectionDescriptor = ProjectionDescriptor {
        handlers: &[
            ProjectionHandler {
                mode: HandlerMode::Sync { priority: 5, timeout_ms: 2_000 },
                ..handler("moved", "moved", PLAIN)
            },
            handler("paid", "paid", PLAIN),
        ],
        ..BALANCES
    };
    const ORDER: &[crate::projection::FoldHandler<Balance>] = &[HANDLERS[1], HANDLERS[0]];
    const MENDED_ORDER: &[crate::projection::FoldHandler<Balance>] = &[MENDED[1], MENDED[0]];
    let store = MemoryStore::new();
    pay(&store, "a", &[1, 666, 3]).await;
    pay(&store, "c", &[1, -2, 3]).await;
    let position = pay(&store, "b", &[4]).await;
    let first = start(&store, balances(&SYNC, ORDER), options()).await;
    passed(&first, "balances", position).await;
    assert_eq!((seen(&store, "a").await.as_str(), seen(&store, "b").await.as_str()), ("a/1", "b/1"));
    assert_eq!(seen(&store, "c").await, "c/1");
    first.shutdown().await;
    let second = start(&store, balances(&SYNC, MENDED_ORDER), options()).await;
    let retried = second.control().retry("balances", None).await.unwrap();
    assert_eq!((retried.handled, retried.failed.len(), retried.waiting), (2, 1, 1));
    assert_eq!(seen(&store, "a").await, "a/1 a/2 a/3");
}

#[tokio::test]
async fn room_that_was_made_by_skipping_is_seen_before_a_worker_stops() {
    let store = MemoryStore::new();
    let narrow = SubscriptionOptions { letters: 1, lease_timeout: std::time::Duration::from_mins(10), ..options() };
    let subscriptions = start(&store, balances(&BALANCES, HANDLERS), narrow).await;
    for key in ["a", "b", "c"] {
        let position = pay(&store, key, &[666]).await;
        passed(&subscriptions, "balances", position).await;
        // As another process does it: nobody tells the worker.
        let letters = subscriptions.control().letters("balances", None, 10).await.unwrap();
        assert!(store.skip_letter(&letters[0].id, position).await.unwrap());
    }
}

#[tokio::test]
async fn a_retry_whose_rows_were_not_known_and_the_worker_do_not_overwrite_each_other() {
    let store = MemoryStore::new();
    let first = start(&store, balances(&BALANCES, HANDLERS), options()).await;
    let position = append(&store, "a", "paid", &["garbage"]).await;
    passed(&first, "balances", position).await;
    first.shutdown().await;
    let long = SubscriptionOptions { lease_timeout: std::time::Duration::from_mins(10), ..options() };
    let runs = start(&store, balances(&BALANCES, MENDED), long.clone()).await;
    let position = append(&store, "b", "moved", &[r#"{"cents":7,"to":"a"}"#]).await;
    passed(&runs, "balances", position).await;
    // Another process, so that the worker does not hear of it.
    let other = start(&store, balances(&BALANCES, MENDED), long).await;
    assert_eq!(other.control().retry("balances", None).await.unwrap().handled, 1);
    let position = append(&store, "b", "moved", &[r#"{"cents":7,"to":"a"}"#]).await;
    passed(&runs, "balances", position).await;
    assert_eq!(seen(&store, "a").await, "b/1 a/1 b/2");
}
