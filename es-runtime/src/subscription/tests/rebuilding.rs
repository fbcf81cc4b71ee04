//! A new version is built beside the one that serves, and takes over.

use std::time::Duration;

use super::fixture::*;
use crate::event::GlobalPosition;
use crate::projection::{Fold, ProjectionDescriptor};
use crate::read_model::TableDescriptor;
use crate::store::{CheckpointStore, LeaseStore, MemoryStore, ProjectionRegistry, VersionState};
use crate::subscription::{StopReason, SubscriptionOptions, SubscriptionState};

const SECOND: ProjectionDescriptor = ProjectionDescriptor { version: 2, partitions: 3, ..BALANCES };

async fn load(store: MemoryStore, accounts: usize, rounds: usize) -> GlobalPosition {
    let mut position = GlobalPosition::START;
    for round in 0..rounds {
        for account in 0..accounts {
            position = pay(&store, &format!("k{account}"), &[i64::try_from(round).unwrap()]).await;
        }
        tokio::task::yield_now().await;
    }
    position
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_version_takes_over_under_load_and_the_old_one_is_dropped_when_nobody_runs_it() {
    let store = MemoryStore::new();
    let old = start(&store, balances(&BALANCES, HANDLERS), options()).await;
    let position = load(store.clone(), 8, 50).await;
    passed(&old, "balances", position).await;
    let writing = tokio::spawn(load(store.clone(), 8, 200));
    let new = start(&store, balances(&SECOND, HANDLERS), SubscriptionOptions { batch: 50, ..options() }).await;
    assert_eq!(
        (new.control().version_state("balances"), new.control().active_version("balances")),
        (Some(VersionState::Building), Some(1))
    );
    let mut progress = new.control().progress();
    let found = tokio::time::timeout(PATIENCE, progress.wait_for(|all| all.iter().any(|it| it.done > 0))).await;
    let seen = found.unwrap().unwrap()[0].clone();
    assert!(seen.version == 2 && seen.total >= 400, "{seen:?}");
    let position = writing.await.unwrap();
    tokio::time::timeout(PATIENCE, progress.wait_for(|all| all.iter().all(|it| it.finished))).await.unwrap().unwrap();
    passed(&new, "balances", position).await;
    assert_eq!(
        (new.control().version_state("balances"), new.control().active_version("balances")),
        (Some(VersionState::Active), Some(2))
    );
    let rows = all_rows(&store, 2).await;
    assert_eq!(rows.len(), 8);
    assert!(rows.iter().all(|row| row.seen.split_whitespace().count() == 250), "{rows:?}");
    // The old program lives: its version stays and goes on. Several looks of the keeper lie in between.
    tokio::time::sleep(options().lease_timeout).await;
    assert_eq!(versions(&store).await, [(1, VersionState::Retired), (2, VersionState::Active)]);
    pay(&store, "late", &[5]).await;
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while row(&store, 1, "late").await.is_none() {
        assert!(tokio::time::Instant::now() < deadline, "the old version does not go on");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    old.shutdown().await;
    while versions(&store).await != [(2, VersionState::Active)] {
        assert!(tokio::time::Instant::now() < deadline, "the old version is not dropped");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Else another program could drop the version in between. The runtime of this test runs nothing that the test does not wait for.
#[tokio::test]
async fn a_program_that_has_started_is_known_to_run_its_version() {
    let store = MemoryStore::new();
    let _old = start(&store, balances(&BALANCES, HANDLERS), options()).await;
    assert!(store.checkpoints("balances", 1).await.unwrap()[0].owner.is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_that_was_dropped_stops_and_the_other_subscriptions_of_its_program_go_on() {
    const OTHER_TABLE: TableDescriptor = TableDescriptor { name: "others", ..TABLE };
    const OTHERS: ProjectionDescriptor = ProjectionDescriptor { name: "others", table: Some(&OTHER_TABLE), ..BALANCES };
    let store = MemoryStore::new();
    let mut both = balances(&BALANCES, HANDLERS);
    both.folded(Fold::new(&OTHERS, HANDLERS));
    // It looks at its leases when something happens, and not by itself.
    let old = start(&store, both, SubscriptionOptions { lease_timeout: Duration::from_hours(1), ..options() }).await;
    let position = pay(&store, "a", &[1, 2]).await;
    passed(&old, "balances", position).await;
    passed(&old, "others", position).await;
    // As if it had stood still for longer than its leases hold.
    let owner = store.checkpoints("balances", 1).await.unwrap()[0].owner.unwrap();
    store.leave(owner).await.unwrap();
    let new = start(&store, balances(&SECOND, HANDLERS), options()).await;
    passed(&new, "balances", position).await;
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while versions(&store).await.contains(&(1, VersionState::Retired))
        || new.control().active_version("balances") != Some(2)
    {
        assert!(tokio::time::Instant::now() < deadline, "the old version is not dropped");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let position = pay(&store, "a", &[3]).await;
    passed(&old, "others", position).await;
    healthy(&old, |health| {
        let of = |name: &str| health.subscriptions.iter().find(|it| &*it.id.name == name).unwrap();
        let dropped = matches!(of("balances").state, SubscriptionState::Stopped { reason: StopReason::Dropped, .. });
        dropped && of("others").is_mine()
    })
    .await;
}

async fn versions(store: &MemoryStore) -> Vec<(u32, VersionState)> {
    let known = store.projections().await.unwrap();
    known.iter().map(|it| (it.version, it.state)).collect()
}

#[tokio::test]
async fn a_rebuild_that_is_interrupted_goes_on_where_it_stood() {
    let store = MemoryStore::new();
    let old = start(&store, balances(&BALANCES, HANDLERS), options()).await;
    let position = load(store.clone(), 4, 100).await;
    passed(&old, "balances", position).await;
    let small = SubscriptionOptions { batch: 5, ..options() };
    for _ in 0..3 {
        let new = start(&store, balances(&SECOND, HANDLERS), small.clone()).await;
        let mut health = new.control().health();
        let moved = health.wait_for(|health| health.subscriptions.iter().any(|it| it.position > GlobalPosition::START));
        tokio::time::timeout(PATIENCE, moved).await.unwrap().unwrap();
        new.shutdown().await;
    }
    let new = start(&store, balances(&SECOND, HANDLERS), small).await;
    healthy(&new, |_| new.control().version_state("balances") == Some(VersionState::Active)).await;
    passed(&new, "balances", position).await;
    assert!(all_rows(&store, 2).await.iter().all(|row| row.seen.split_whitespace().count() == 100));
}

#[tokio::test]
async fn the_old_version_is_waited_for_as_long_as_it_serves() {
    let store = MemoryStore::new();
    let old = start(&store, balances(&BALANCES, HANDLERS), options()).await;
    let position = pay(&store, "a", &[1]).await;
    passed(&old, "balances", position).await;
    old.control().pause("balances").await.unwrap();
    state(&old, |state| *state == SubscriptionState::Paused).await;
    let position = pay(&store, "a", &[666]).await;
    // The new version never comes to the head: its partition without room for letters stops.
    let full = SubscriptionOptions { letters: 0, ..options() };
    let new = start(&store, balances(&SECOND, HANDLERS), full).await;
    healthy(&new, |health| health.subscriptions.iter().any(|it| matches!(it.state, SubscriptionState::Stopped { .. })))
        .await;
    let soon = tokio::time::Instant::now() + Duration::from_millis(50);
    new.wait_until("balances", position, soon).await.unwrap_err();
    old.control().resume("balances").await.unwrap();
    passed(&new, "balances", position).await;
    assert_eq!(new.control().version_state("balances"), Some(VersionState::Building));
}

#[tokio::test]
async fn a_new_version_of_an_empty_log_serves_at_once() {
    let store = MemoryStore::new();
    let old = start(&store, balances(&BALANCES, HANDLERS), options()).await;
    state(&old, |state| *state == SubscriptionState::CaughtUp).await;
    old.shutdown().await;
    let new = start(&store, balances(&SECOND, HANDLERS), options()).await;
    healthy(&new, |_| new.control().version_state("balances") == Some(VersionState::Active)).await;
}
