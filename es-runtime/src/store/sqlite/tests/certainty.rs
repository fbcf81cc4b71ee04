//! Batches whose commit failed without saying whether they are stored, and batches whose caller is gone.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::sync::{mpsc, watch};

use super::super::batch::Stored;
use super::super::open::Place;
use super::super::options::SqliteOptions;
use super::super::writer::Writer;
use super::fixture::*;
use crate::store::{
    Batch, BatchDone, BatchError, BatchWork, CheckpointStore as _, ProjectionRegistry as _, StoreError,
};

/// Asks a writer of its own what became of batches whose commit "failed".
async fn find_out(bench: &Bench, batches: &[&Batch]) -> Vec<Stored> {
    let options = SqliteOptions::default();
    let place = Place::new(Some(&bench.folder.path().join("es.db")), &options);
    let connection = Arc::new(tokio::sync::Mutex::new(None));
    let (_, queue) = mpsc::channel(1);
    let writer = Writer::new(place, &options, connection, Arc::new(watch::Sender::default()), queue);
    let shared = Arc::clone(&writer.connection);
    let mut slot = shared.lock().await;
    let results = batches.iter().map(|_| Ok(BatchDone::default())).collect();
    writer.find_out_batches(&mut slot, sqlx::Error::WorkerCrashed, batches, results).await
}

async fn bench() -> (Bench, u64) {
    let bench = Bench::new().await;
    bench.store.register(&V1, None).await.expect("registered");
    append(&bench.store, "a", 0, &[("deposited", "5"), ("deposited", "6")]).await;
    let epoch = bench.lease(&V1).await;
    (bench, epoch)
}

#[tokio::test]
async fn the_checkpoint_tells_whether_batches_are_stored() {
    let (bench, epoch) = bench().await;
    let events = bench.log(0).await;
    let one = batch(&V1, epoch, 0, 1, fold(&V1, events[..1].to_vec()));
    let two = batch(&V1, epoch, 1, 2, fold(&V1, events[1..].to_vec()));
    let before = find_out(&bench, &[&one, &two]).await;
    let not_stored = |result: &Stored| matches!(result, Err(BatchError::Store(StoreError::Unavailable { .. })));
    assert!(before.iter().all(not_stored), "{before:?}");
    bench.store.project(one.clone()).await.expect("stored");
    bench.store.project(two.clone()).await.expect("stored");
    let after = find_out(&bench, &[&one, &two]).await;
    assert!(after.iter().all(Result::is_ok), "{after:?}");
    // A batch that moves nothing leaves no trace to look for, and a partition that was rewound tells nothing.
    let still = batch(&V1, epoch, 2, 2, BatchWork::Nothing);
    let unknown = find_out(&bench, &[&still]).await;
    assert!(matches!(unknown[..], [Err(BatchError::Uncertain { .. })]), "{unknown:?}");
    bench.store.rewind("balances", 1, events[0].position()).await.expect("moved");
    let unknown = find_out(&bench, &[&one, &two]).await;
    assert!(unknown.iter().all(|result| matches!(result, Err(BatchError::Uncertain { .. }))), "{unknown:?}");
}

#[tokio::test]
async fn a_batch_whose_caller_is_gone_is_stored_whole() {
    let (bench, epoch) = bench().await;
    let events = bench.log(0).await;
    let moved = batch(&V1, epoch, 0, 2, fold(&V1, events));
    {
        let mut project = Box::pin(bench.store.project(moved));
        // Polled once it is in line.
        assert!((&mut project).now_or_never().is_none());
    }
    tokio::time::timeout(Duration::from_secs(30), async {
        while bench.store.checkpoints("balances", 1).await.expect("checkpoints")[0].position.get() != 2 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("it is stored");
    assert_eq!(bench.balance(1, "a").await, Some((11, None)));
}
