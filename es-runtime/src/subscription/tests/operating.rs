//! Pause, resume, rewind, wait.

use std::time::Duration;

use tokio::time::Instant;

use super::fixture::*;
use crate::event::GlobalPosition;
use crate::store::MemoryStore;
use crate::subscription::wait::WaitError;
use crate::subscription::{Control, ControlError, RewindError, SubscriptionState};

#[tokio::test]
async fn a_paused_subscription_waits_and_a_resumed_one_misses_nothing() {
    let store = MemoryStore::new();
    let subscriptions = start(&store, balances(&BALANCES, HANDLERS), options()).await;
    let position = pay(&store, "a", &[1]).await;
    passed(&subscriptions, "balances", position).await;
    subscriptions.control().pause("balances").await.unwrap();
    state(&subscriptions, |state| *state == SubscriptionState::Paused).await;
    let position = pay(&store, "a", &[2, 3]).await;
    let soon = Instant::now() + Duration::from_millis(100);
    let waited = subscriptions.wait_until("balances", position, soon).await;
    let reached = GlobalPosition::new(1);
    assert_eq!(waited, Err(WaitError::TimedOut { name: "balances".into(), wanted: position, reached }));
    subscriptions.control().resume("balances").await.unwrap();
    passed(&subscriptions, "balances", position).await;
    assert_eq!(seen(&store, "a").await, "a/1 a/2 a/3");
}

#[tokio::test]
async fn another_process_pauses_and_resumes_too() {
    let store = MemoryStore::new();
    let runs = start(&store, balances(&BALANCES, HANDLERS), options()).await;
    state(&runs, |state| *state == SubscriptionState::CaughtUp).await;
    let other = start(&store, balances(&BALANCES, HANDLERS), options()).await;
    let control: Control<MemoryStore> = other.control().clone();
    control.pause("balances").await.unwrap();
    state(&runs, |state| *state == SubscriptionState::Paused).await;
    control.resume("balances").await.unwrap();
    state(&runs, |state| *state == SubscriptionState::CaughtUp).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folded_projection_is_rewound_to_the_start_only_and_under_load_builds_the_same_rows() {
    let store = MemoryStore::new();
    let subscriptions = start(&store, balances(&BALANCES, HANDLERS), options()).await;
    let position = pay(&store, "a", &[1, 2]).await;
    passed(&subscriptions, "balances", position).await;
    let middle = subscriptions.control().rewind("balances", GlobalPosition::new(1)).await;
    assert!(matches!(middle, Err(RewindError::OnlyToStart { .. })), "{middle:?}");
    let writing = tokio::spawn({
        let store = store.clone();
        async move {
            let mut position = GlobalPosition::START;
            for cents in 0..200 {
                position = pay(&store, "a", &[cents]).await;
                tokio::task::yield_now().await;
            }
            position
        }
    });
    for _ in 0..5 {
        subscriptions.control().rewind("balances", GlobalPosition::START).await.unwrap();
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    let position = writing.await.unwrap();
    passed(&subscriptions, "balances", position).await;
    let expected: Vec<_> = (1..=202).map(|version| format!("a/{version}")).collect();
    assert_eq!(seen(&store, "a").await, expected.join(" "));
}

#[tokio::test]
async fn a_rebuild_of_the_same_version_takes_its_letters_with_it() {
    let store = MemoryStore::new();
    let position = pay(&store, "a", &[1, 666, 3]).await;
    let first = start(&store, balances(&BALANCES, HANDLERS), options()).await;
    passed(&first, "balances", position).await;
    first.shutdown().await;
    let second = start(&store, balances(&BALANCES, MENDED), options()).await;
    second.control().rebuild("balances").await.unwrap();
    healthy(&second, |health| health.subscriptions[0].position == position && health.is_well()).await;
    assert_eq!(seen(&store, "a").await, "a/1 a/2 a/3");
    assert!(second.control().letters("balances", None, 1).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_name_that_is_none_is_an_error() {
    let store = MemoryStore::new();
    let subscriptions = start(&store, balances(&BALANCES, HANDLERS), options()).await;
    let control = subscriptions.control();
    assert!(matches!(control.pause("nobody").await, Err(ControlError::Unknown { name }) if name == "nobody"));
    assert!(matches!(control.rebuild("nobody").await, Err(RewindError::Unknown { .. })));
    let waited = subscriptions.wait_until("nobody", GlobalPosition::START, Instant::now()).await;
    assert_eq!(waited, Err(WaitError::Unknown { name: "nobody".into() }));
}
