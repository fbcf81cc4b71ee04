//! Several processes share the partitions of one store.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use super::fixture::*;
use super::shaky::Shaky;
use crate::event::GlobalPosition;
use crate::handler::Dependencies;
use crate::projection::ProjectionDescriptor;
use crate::store::{CheckpointStore, MemoryStore, Store};
use crate::subscription::wait::WaitError;
use crate::subscription::{Health, SubscriptionOptions, SubscriptionState, Subscriptions};

const FOUR: ProjectionDescriptor = ProjectionDescriptor { partitions: 4, ..BALANCES };

fn mine(health: &Health) -> usize {
    health.subscriptions.iter().filter(|it| it.is_mine()).count()
}

async fn pay_all(store: &MemoryStore, rounds: i64) -> GlobalPosition {
    let mut position = GlobalPosition::START;
    for round in 0..rounds {
        for account in 0..16 {
            position = pay(store, &format!("k{account}"), &[round]).await;
        }
    }
    position
}

async fn assert_all_once(store: &MemoryStore, rounds: u64) {
    for account in 0..16 {
        let key = format!("k{account}");
        let expected: Vec<_> = (1..=rounds).map(|version| format!("{key}/{version}")).collect();
        assert_eq!(seen(store, &key).await, expected.join(" "));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_share_the_partitions_and_fold_each_event_once() {
    let store = MemoryStore::new();
    let first = start(&store, balances(&FOUR, HANDLERS), options()).await;
    healthy(&first, |health| mine(health) == 4).await;
    pay_all(&store, 5).await;
    let second = start(&store, balances(&FOUR, HANDLERS), options()).await;
    let writing = tokio::spawn({
        let store = store.clone();
        async move { pay_all(&store, 20).await }
    });
    healthy(&second, |health| mine(health) == 2).await;
    healthy(&first, |health| mine(health) == 2).await;
    let position = writing.await.unwrap();
    // Each sees what the other one does.
    passed(&first, "balances", position).await;
    passed(&second, "balances", position).await;
    assert_all_once(&store, 25).await;
    let ran = |subscriptions: &Subscriptions<MemoryStore>| -> BTreeSet<u32> {
        let health = subscriptions.control().health().borrow().clone();
        health.subscriptions.iter().filter(|it| it.is_mine()).map(|it| it.id.partition).collect()
    };
    assert!(ran(&first).is_disjoint(&ran(&second)));
}

#[tokio::test]
async fn a_process_that_ends_gives_its_partitions_back_at_once() {
    let store = MemoryStore::new();
    let long = SubscriptionOptions { lease_timeout: Duration::from_mins(10), ..options() };
    let first = start(&store, balances(&FOUR, HANDLERS), long.clone()).await;
    let position = pay_all(&store, 3).await;
    passed(&first, "balances", position).await;
    first.shutdown().await;
    assert_eq!(mine(&first.control().health().borrow()), 0);
    let second = start(&store, balances(&FOUR, HANDLERS), long).await;
    healthy(&second, |health| mine(health) == 4).await;
    let position = pay_all(&store, 1).await;
    passed(&second, "balances", position).await;
    assert_all_once(&store, 4).await;
}

#[tokio::test]
async fn a_process_that_dies_is_taken_over_after_its_time_out() {
    let store = MemoryStore::new();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let dead = {
        let store = store.clone();
        runtime.spawn(async move {
            let subscriptions = start(&store, balances(&FOUR, HANDLERS), options()).await;
            healthy(&subscriptions, |health| mine(health) == 4).await;
            subscriptions
        })
    };
    let dead = dead.await.unwrap();
    pay_all(&store, 2).await;
    // Its tasks vanish wherever they stand, as in a process that is killed.
    runtime.shutdown_background();
    let second = start(&store, balances(&FOUR, HANDLERS), options()).await;
    healthy(&second, |health| mine(health) == 4).await;
    let position = pay_all(&store, 2).await;
    passed(&second, "balances", position).await;
    assert_all_once(&store, 4).await;
    drop(dead);
}

#[tokio::test]
async fn a_dropped_handle_ends_everything_and_gives_the_leases_back() {
    let store = MemoryStore::new();
    let dependencies = Arc::new(Dependencies::default());
    let long = SubscriptionOptions { lease_timeout: Duration::from_mins(10), ..options() };
    let subscriptions =
        Subscriptions::start(balances(&FOUR, HANDLERS), store.clone(), Arc::clone(&dependencies), long, true)
            .await
            .unwrap();
    healthy(&subscriptions, |health| mine(health) == 4).await;
    drop(subscriptions);
    let ended = async {
        while Arc::strong_count(&dependencies) > 1 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, ended).await.unwrap();
    let checkpoints = store.checkpoints("balances", 1).await.unwrap();
    assert!(checkpoints.iter().all(|checkpoint| checkpoint.owner.is_none()), "{checkpoints:?}");
}

#[tokio::test]
async fn a_worker_whose_lease_was_not_renewed_in_time_stops_and_comes_back() {
    let store = Shaky::new(0, 1);
    let subscriptions = start(&store, balances(&FOUR, HANDLERS), options()).await;
    healthy(&subscriptions, |health| mine(health) == 4).await;
    store.faults.leases_fail.store(true, Ordering::SeqCst);
    healthy(&subscriptions, |health| mine(health) == 0).await;
    let position = pay(&store.inner, "a", &[1]).await;
    let soon = Instant::now() + Duration::from_millis(100);
    let late = subscriptions.wait_until("balances", position, soon).await;
    assert!(matches!(late, Err(WaitError::TimedOut { .. })), "{late:?}");
    store.faults.leases_fail.store(false, Ordering::SeqCst);
    passed(&subscriptions, "balances", position).await;
}

#[tokio::test]
async fn a_store_that_fails_is_seen_in_health_and_tried_for_ever() {
    let store = Shaky::new(0, 99);
    let subscriptions = start(&store, balances(&BALANCES, HANDLERS), options()).await;
    state(&subscriptions, |state| *state == SubscriptionState::CaughtUp).await;
    store.faults.percent.store(100, Ordering::SeqCst);
    let position = pay(&store.inner, "a", &[1]).await;
    state(&subscriptions, |state| matches!(state, SubscriptionState::Retrying { attempt, .. } if *attempt > 5)).await;
    store.faults.percent.store(0, Ordering::SeqCst);
    passed(&subscriptions, "balances", position).await;
    healthy(&subscriptions, Health::is_well).await;
}

#[tokio::test]
async fn a_closed_store_ends_the_subscriptions() {
    async fn close(store: &impl Store) {
        store.close().await;
    }
    let store = MemoryStore::new();
    let subscriptions = start(&store, balances(&BALANCES, HANDLERS), options()).await;
    state(&subscriptions, |state| *state == SubscriptionState::CaughtUp).await;
    close(&store).await;
    tokio::time::timeout(PATIENCE, subscriptions.shutdown()).await.unwrap();
}
