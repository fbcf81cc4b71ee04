//! Batches whose connection breaks, whose caller is gone, and those that switch.

use std::time::Duration;

use futures_util::FutureExt as _;
use sqlx::{Connection as _, Executor as _};

use super::super::registry::projection_lock;
use super::place::Place;
use crate::event::{GlobalPosition, Version};
use crate::read_model::{ReadModel as _, RowChange, WriteSet};
use crate::store::{Batch, BatchError, BatchWork, CheckpointStore as _, PostgresStore, StoreError};
use crate::testing::contract::fixture::{stream, within};
use crate::testing::contract::read_side::{
    Balance, FIRST, SECOND, Worker, key_of, positions, record, register, seen, state, table,
};

struct Bench {
    // The store goes before its place.
    store: PostgresStore,
    worker: Worker<PostgresStore>,
    place: Place,
}

/// A log of two events, and a worker.
async fn bench() -> Bench {
    let place = Place::new();
    let store = place.open().await;
    let worker = Worker::start(&store, &FIRST).await;
    record(&store, &stream("a"), 0, &["opened", "deposited:5"]).await;
    Bench { store, worker, place }
}

impl Bench {
    /// A batch that is one statement.
    fn rows(&self, to: u64) -> Batch {
        let row = Balance { cents: 7, ..Balance::new("a") }.to_values().expect("storable");
        let (version, position) = (Version::new(1), GlobalPosition::new(1));
        let changes = vec![RowChange { key: key_of("", "a"), row: Some(row), version, position }];
        self.worker.batch(BatchWork::Rows(WriteSet { table: table(&FIRST), changes }), Some(to))
    }

    /// Ends every other session of the place, as a restart of the server does.
    async fn break_connections(&self) {
        let mut connection = self.place.connect().await;
        let ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1";
        sqlx::query(ended).bind(self.place.application()).execute(&mut connection).await.expect("ended");
    }
}

fn lost() -> sqlx::Error {
    sqlx::Error::WorkerCrashed
}

#[tokio::test]
async fn a_batch_does_not_mind_connections_that_are_gone() {
    let mut bench = bench().await;
    // Those of the pool are there, and used.
    let reads = (0..6).map(|_| bench.store.checkpoints("balances", 1));
    futures_util::future::join_all(reads).await;
    bench.break_connections().await;
    bench.store.project(bench.rows(1)).await.expect("stored on another connection");
    assert_eq!(state(&bench.store, &FIRST, "a").await, seen(7, ""));
    bench.break_connections().await;
    bench.worker.position = GlobalPosition::new(1);
    let next = bench.worker.next().await;
    bench.break_connections().await;
    bench.store.project(next).await.expect("stored on another connection");
    assert_eq!(positions(&bench.store, &FIRST).await, [2]);
}

#[tokio::test]
async fn a_statement_that_was_sent_twice_is_stored_once() {
    let bench = bench().await;
    let batch = bench.rows(1);
    let not_yet = bench.store.found(&batch, &lost()).await;
    assert!(matches!(not_yet, Err(BatchError::Fenced)), "{not_yet:?}");
    bench.store.project(batch.clone()).await.expect("stored");
    bench.store.found(&batch, &lost()).await.expect("it is there");
    // That somebody else stands there says nothing.
    let other = Batch { epoch: batch.epoch + 1, ..batch };
    let fenced = bench.store.found(&other, &lost()).await;
    assert!(matches!(fenced, Err(BatchError::Fenced)), "{fenced:?}");
}

#[tokio::test]
async fn the_checkpoint_tells_whether_a_transaction_is_stored() {
    let bench = bench().await;
    let batch = bench.worker.next().await;
    let find_out = async |batch: &Batch| bench.store.find_out(batch, lost()).await;
    let before = find_out(&batch).await;
    assert!(matches!(before, Err(BatchError::Store(StoreError::Unavailable { .. }))), "{before:?}");
    bench.store.project(batch.clone()).await.expect("stored");
    find_out(&batch).await.expect("it is there");
    // A batch that moves nothing leaves no trace to look for, and a partition that was rewound tells nothing.
    let still = Batch { from: GlobalPosition::new(2), ..batch.clone() };
    for unknown in [find_out(&still).await, {
        bench.store.rewind("balances", 1, GlobalPosition::new(1)).await.expect("moved");
        find_out(&batch).await
    }] {
        assert!(matches!(unknown, Err(BatchError::Uncertain { .. })), "{unknown:?}");
    }
}

#[tokio::test]
async fn a_transaction_that_is_still_on_its_way_is_waited_for() {
    let bench = bench().await;
    let batch = bench.worker.next().await;
    let mut connection = bench.place.connect().await;
    let mut on_its_way = connection.begin().await.expect("begun");
    on_its_way.execute("UPDATE subscriptions SET position = 2").await.expect("moved");
    let mut looking = Box::pin(bench.store.find_out(&batch, lost()));
    let early = tokio::time::timeout(Duration::from_millis(200), &mut looking).await;
    assert!(early.is_err(), "{early:?}");
    on_its_way.commit().await.expect("stored");
    within(looking).await.expect("it is there");
}

#[tokio::test]
async fn a_batch_whose_caller_is_gone_is_stored_whole() {
    for at_once in [false, true] {
        let bench = bench().await;
        let batch = if at_once { bench.rows(2) } else { bench.worker.next().await };
        assert!(Box::pin(bench.store.project(batch)).now_or_never().is_none());
        within(async {
            while positions(&bench.store, &FIRST).await != [2] {
                tokio::task::yield_now().await;
            }
        })
        .await;
        assert_eq!(state(&bench.store, &FIRST, "a").await.map(|row| row.0), Some(if at_once { 7 } else { 5 }));
    }
}

#[tokio::test]
async fn a_batch_waits_a_while_for_who_holds_its_projection() {
    let bench = bench().await;
    let key = projection_lock("balances");
    let mut connection = bench.place.connect().await;
    let mut holding = connection.begin().await.expect("begun");
    let hold = sqlx::query("SELECT pg_advisory_xact_lock(es_lock_class(), $1)").bind(key);
    hold.execute(&mut *holding).await.expect("held");
    let nothing = bench.worker.batch(BatchWork::Nothing, Some(1));
    let refused = bench.store.project(nothing.clone()).await;
    assert!(matches!(refused, Err(BatchError::Store(StoreError::Locked { .. }))), "{refused:?}");
    let waiting = tokio::spawn({
        let store = bench.store.clone();
        async move { store.project(nothing).await }
    });
    within(async {
        let waits = "SELECT pid::text FROM pg_locks WHERE locktype = 'advisory' AND NOT granted \
            AND classid::bigint = es_lock_class()::bigint & 4294967295";
        while bench.place.column(waits).await.is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    holding.commit().await.expect("let go");
    waiting.await.expect("no panic").expect("stored");
    assert_eq!(positions(&bench.store, &FIRST).await, [1]);
}

#[tokio::test]
async fn rows_are_not_written_where_the_checkpoint_does_not_move() {
    let bench = bench().await;
    for batch in [Batch { epoch: 99, ..bench.rows(1) }, Batch { from: GlobalPosition::new(1), ..bench.rows(2) }] {
        let fenced = bench.store.project(batch).await;
        assert!(matches!(fenced, Err(BatchError::Fenced)), "{fenced:?}");
    }
    assert_eq!(state(&bench.store, &FIRST, "a").await, None);
}

/// Waits for a switch as long as it has to be tried.
async fn switch(worker: &mut Worker<PostgresStore>) -> bool {
    let mut batch = worker.next().await;
    batch.switch = true;
    within(worker.project(batch)).await.expect("stored").switched
}

#[tokio::test]
async fn a_switch_does_not_wait_for_an_append_that_takes_long() {
    let bench = bench().await;
    let mut second = Worker::start(&bench.store, &SECOND).await;
    let mut connection = bench.place.connect().await;
    let mut append = connection.begin().await.expect("begun");
    append.execute("SELECT pg_advisory_xact_lock_shared(es_lock_class(), 0)").await.expect("held");
    assert!(!switch(&mut second).await, "somebody may be about to append");
    assert_eq!(positions(&bench.store, &SECOND).await, [2], "the batch is stored");
    // Nobody waits behind it.
    within(record(&bench.store, &stream("b"), 0, &["opened"])).await;
    append.rollback().await.expect("gone");
    assert!(switch(&mut second).await);
}

#[tokio::test]
async fn a_switch_does_not_wait_for_readers_of_the_view() {
    let bench = bench().await;
    let mut second = Worker::start(&bench.store, &SECOND).await;
    let mut connection = bench.place.connect().await;
    let mut report = connection.begin().await.expect("begun");
    report.execute("SELECT * FROM balances").await.expect("readable");
    assert!(!switch(&mut second).await, "the view is being read");
    assert_eq!(positions(&bench.store, &SECOND).await, [2], "the batch is stored");
    report.rollback().await.expect("gone");
    assert!(switch(&mut second).await);
    register(&bench.store, &SECOND).await;
}
