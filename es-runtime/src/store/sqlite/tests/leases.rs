//! Who runs which partition.

use std::time::Duration;

use super::fixture::*;
use crate::store::{
    BatchError, BatchWork, CheckpointStore as _, EventStore as _, LeaseRequest, LeaseStore as _, ProcessId,
    ProjectionRegistry as _, SqliteStore,
};

fn request(process: ProcessId, timeout: Duration) -> LeaseRequest {
    LeaseRequest { process, timeout, wanted: vec![id(&TWO_PARTITIONS, 0), id(&TWO_PARTITIONS, 1)] }
}

async fn leased(store: &SqliteStore, process: ProcessId) -> Vec<(u32, u64)> {
    let leases = store.lease(&request(process, Duration::from_mins(1))).await.expect("leases");
    leases.iter().map(|lease| (lease.id.partition, lease.epoch)).collect()
}

#[tokio::test]
async fn partitions_are_shared_and_old_owners_fenced() {
    let bench = Bench::new().await;
    bench.store.register(&TWO_PARTITIONS, None).await.expect("registered");
    let other = bench.other().await;
    let (one, two) = (ProcessId::new(), ProcessId::new());
    assert_eq!(leased(&bench.store, one).await, [(0, 1), (1, 1)]);
    assert_eq!(leased(&other, two).await, []);
    assert_eq!(leased(&bench.store, one).await, [(0, 1)], "the fair share, and the epoch stays");
    assert_eq!(leased(&other, two).await, [(1, 2)]);
    append(&bench.store, "a", 0, &[("deposited", "5")]).await;
    let mut old = batch(&TWO_PARTITIONS, 1, 0, 1, BatchWork::Nothing);
    old.id.partition = 1;
    assert!(matches!(bench.store.project(old).await, Err(BatchError::Fenced)));
    other.leave(two).await.expect("left");
    assert_eq!(leased(&bench.store, one).await, [(0, 1), (1, 3)]);
}

#[tokio::test]
async fn a_dead_process_is_noticed_by_its_lock_at_once() {
    let bench = Bench::new().await;
    bench.store.register(&TWO_PARTITIONS, None).await.expect("registered");
    let (one, two) = (ProcessId::new(), ProcessId::new());
    let dying = bench.other().await;
    assert_eq!(leased(&dying, one).await, [(0, 1), (1, 1)]);
    let path = bench.folder.path().join(format!("es.db-process-{}", one.0));
    assert!(path.exists());
    assert_eq!(leased(&bench.store, two).await, [], "it lives");
    // What the system does when a process is killed: the lock goes, the file stays.
    dying.shared.locks.forget(one);
    assert!(path.exists());
    assert_eq!(leased(&bench.store, two).await, [(0, 2), (1, 2)]);
    assert!(!path.exists());
}

#[tokio::test]
async fn a_process_that_died_long_ago_leaves_no_file() {
    let bench = Bench::new().await;
    bench.store.register(&TWO_PARTITIONS, None).await.expect("registered");
    let (one, two) = (ProcessId::new(), ProcessId::new());
    let dying = bench.other().await;
    // By now its time-out has passed, too.
    dying.lease(&request(one, Duration::ZERO)).await.expect("leases");
    let path = bench.folder.path().join(format!("es.db-process-{}", one.0));
    dying.shared.locks.forget(one);
    assert!(path.exists());
    assert_eq!(leased(&bench.store, two).await, [(0, 2), (1, 2)]);
    assert!(!path.exists());
}

#[tokio::test]
async fn a_process_that_stands_still_is_noticed_by_its_time_out() {
    let bench = Bench::new().await;
    bench.store.register(&TWO_PARTITIONS, None).await.expect("registered");
    let (one, two) = (ProcessId::new(), ProcessId::new());
    let still = bench.other().await;
    still.lease(&request(one, Duration::ZERO)).await.expect("leases");
    assert_eq!(leased(&bench.store, two).await, [(0, 2), (1, 2)]);
}

#[tokio::test]
async fn closing_gives_everything_up() {
    let bench = Bench::new().await;
    bench.store.register(&TWO_PARTITIONS, None).await.expect("registered");
    let (one, two) = (ProcessId::new(), ProcessId::new());
    let other = bench.other().await;
    assert_eq!(leased(&other, one).await.len(), 2);
    other.close().await;
    assert!(!bench.folder.path().join(format!("es.db-process-{}", one.0)).exists());
    let checkpoints = bench.store.checkpoints("balances", 1).await.expect("checkpoints");
    assert!(checkpoints.iter().all(|checkpoint| checkpoint.owner.is_none()));
    assert_eq!(leased(&bench.store, two).await.len(), 2);
}

#[tokio::test]
async fn a_database_in_memory_needs_no_locks() {
    let store = SqliteStore::in_memory().await.expect("a store");
    store.register(&TWO_PARTITIONS, None).await.expect("registered");
    let (one, two) = (ProcessId::new(), ProcessId::new());
    assert_eq!(leased(&store, one).await.len(), 2);
    assert_eq!(leased(&store, two).await, []);
    store.close().await;
}
