//! Functions that take the connection, and connections that are lent to queries.

use std::sync::Arc;
use std::time::Duration;

use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection as _, Executor as _};

use super::fixture::*;
use crate::event::{AnyEvent, Recorded};
use crate::projection::{
    BoxFuture, Connected, ConnectedHandler, ConnectedProjector, HandlerMode, HandlerOptions, ProjectionDescriptor,
    ProjectionFailure, ProjectionHandler, ProjectionStyle,
};
use crate::query::{QueryArg, QueryScope};
use crate::store::{
    AppendError, BatchError, BatchWork, CheckpointStore as _, EventStore as _, ProjectionRegistry as _, SqliteStore,
    SyncProjections,
};

const fn handler(name: &'static str, mode: HandlerMode) -> ProjectionHandler {
    let options = HandlerOptions { monitor: false, retries: None, on_failure: None };
    ProjectionHandler { name, category: "account", event: name, mode, by_stream: true, options, dependencies: &[] }
}

const SYNC: HandlerMode = HandlerMode::Sync { priority: 5, timeout_ms: 300 };

const fn projection(version: u32, handlers: &'static [ProjectionHandler]) -> ProjectionDescriptor {
    ProjectionDescriptor {
        name: "notes",
        version,
        type_name: "Notes",
        style: ProjectionStyle::Connected,
        table: None,
        partitions: 1,
        renamed_from: None,
        resets: true,
        handlers,
    }
}

static V1: ProjectionDescriptor =
    projection(1, &[handler("deposited", HandlerMode::Async), handler("noted", HandlerMode::Async)]);
static V2: ProjectionDescriptor = projection(2, &[handler("deposited", HandlerMode::Async)]);
static MIXED: ProjectionDescriptor = projection(1, &[handler("deposited", SYNC), handler("noted", HandlerMode::Async)]);

struct Notes;

fn failed(error: impl std::fmt::Display) -> ProjectionFailure {
    ProjectionFailure::Failed { handler: "noted", cause: error.to_string() }
}

/// Writes the event down, then does what the body says.
async fn write(db: &mut SqliteConnection, event: &Recorded<AnyEvent>) -> Result<(), ProjectionFailure> {
    let body = String::from_utf8(event.event().body.to_vec()).expect("text");
    let mut inner = db.begin().await.map_err(failed)?;
    sqlx::query("INSERT INTO notes (account, body) VALUES (?, ?)")
        .bind(event.stream().key())
        .bind(&body)
        .execute(&mut *inner)
        .await
        .map_err(failed)?;
    inner.commit().await.map_err(failed)?;
    match body.as_str() {
        "fail" => Err(ProjectionFailure::Failed { handler: "noted", cause: "told to".into() }),
        "panic" => panic!("told to"),
        "wait" => std::future::pending().await,
        "spin" => {
            // A statement that never ends by itself.
            let sql = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n";
            db.execute(sql).await.map(drop).map_err(failed)
        }
        "commit" => db.execute("COMMIT").await.map(drop).or(Ok(())),
        // It leaves everything as it looked before.
        "begin anew" => db.execute("ROLLBACK; BEGIN IMMEDIATE; SAVEPOINT es_function").await.map(drop).or(Ok(())),
        _ => Ok(()),
    }
}

fn one<'a>(_: &'a Notes, db: &'a mut SqliteConnection, events: &'a [Recorded<AnyEvent>]) -> Done<'a> {
    Box::pin(write(db, &events[0]))
}

type Done<'a> = BoxFuture<'a, Result<(), ProjectionFailure>>;

fn slice<'a>(_: &'a Notes, db: &'a mut SqliteConnection, events: &'a [Recorded<AnyEvent>]) -> Done<'a> {
    Box::pin(async move {
        for event in events {
            write(db, event).await?;
        }
        // Shows how they came.
        let count = i64::try_from(events.len()).expect("few");
        sqlx::query("INSERT INTO slices (events) VALUES (?)").bind(count).execute(db).await.map(drop).map_err(failed)
    })
}

fn reset<'a>(_: &'a Notes, db: &'a mut SqliteConnection) -> Done<'a> {
    Box::pin(async move { db.execute("DELETE FROM notes").await.map(drop).map_err(failed) })
}

fn connected(descriptor: &'static ProjectionDescriptor) -> Arc<dyn ConnectedProjector> {
    static HANDLERS: [ConnectedHandler<Notes, SqliteConnection>; 2] =
        [ConnectedHandler { slices: false, run: one }, ConnectedHandler { slices: true, run: slice }];
    Arc::new(Connected::new(descriptor, Notes, &HANDLERS, Some(reset)))
}

async fn make_tables(store: &SqliteStore) {
    let sql = "CREATE TABLE notes (account TEXT, body TEXT); CREATE TABLE slices (events INTEGER)";
    let made = store.work("making tables", move |connection| {
        Box::pin(async move {
            connection.execute(sql).await?;
            Ok(super::super::job::End::Commit(()))
        })
    });
    made.await.expect("tables");
}

async fn bench(projection: &'static ProjectionDescriptor) -> (Bench, u64) {
    let bench = Bench::new().await;
    make_tables(&bench.store).await;
    bench.store.register(projection, Some(connected(projection))).await.expect("registered");
    let epoch = bench.lease(projection).await;
    (bench, epoch)
}

async fn column(store: &SqliteStore, sql: &'static str) -> Vec<String> {
    let mut reader = store.reader().await.expect("a reader");
    sqlx::query_scalar(sql).fetch_all(reader.connection().expect("connected")).await.expect("rows")
}

async fn notes(store: &SqliteStore) -> Vec<String> {
    column(store, "SELECT account || ' ' || body FROM notes ORDER BY rowid").await
}

fn work(projection: &'static ProjectionDescriptor, events: Vec<Recorded<AnyEvent>>) -> BatchWork {
    let timeout = Duration::from_millis(300);
    BatchWork::Connected { projector: connected(projection), events, timeout }
}

#[tokio::test]
async fn functions_run_in_the_transaction_of_the_checkpoint() {
    let (bench, epoch) = bench(&V1).await;
    let events =
        [("deposited", "1"), ("noted", "2"), ("noted", "3"), ("other", "x"), ("noted", "4"), ("deposited", "5")];
    append(&bench.store, "a", 0, &events).await;
    let events = bench.log(0).await;
    let done = bench.store.project(batch(&V1, epoch, 0, 6, work(&V1, events))).await;
    done.expect("stored");
    assert_eq!(notes(&bench.store).await, ["a 1", "a 2", "a 3", "a 4", "a 5"]);
    assert_eq!(column(&bench.store, "SELECT CAST(events AS TEXT) FROM slices").await, ["3"]);
    let checkpoint = bench.store.checkpoints("notes", 1).await.expect("checkpoints").remove(0);
    assert_eq!(checkpoint.position.get(), 6);
}

#[tokio::test]
async fn whatever_a_function_does_its_batch_is_undone_whole() {
    for (what, index) in [("fail", 2), ("panic", 2), ("wait", 2), ("spin", 2), ("commit", 2), ("begin anew", 2)] {
        let (bench, epoch) = bench(&V1).await;
        append(&bench.store, "a", 0, &[("noted", "1"), ("noted", "2"), ("deposited", what)]).await;
        let events = bench.log(0).await;
        let batch = || batch(&V1, epoch, 0, 3, work(&V1, events.clone()));
        let refused = bench.store.project(batch()).await;
        assert!(matches!(&refused, Err(BatchError::Failed { index: at, .. }) if *at == index), "{what}: {refused:?}");
        assert_eq!(notes(&bench.store).await, [""; 0], "{what}");
        let checkpoint = bench.store.checkpoints("notes", 1).await.expect("checkpoints").remove(0);
        assert_eq!(checkpoint.position.get(), 0, "{what}");
        // The store goes on.
        append(&bench.store, "b", 0, &[("noted", "x")]).await;
    }
}

#[tokio::test]
async fn a_slice_that_fails_names_the_event() {
    let (bench, epoch) = bench(&V1).await;
    append(&bench.store, "a", 0, &[("noted", "1"), ("noted", "2"), ("noted", "fail"), ("noted", "4")]).await;
    let events = bench.log(0).await;
    let refused = bench.store.project(batch(&V1, epoch, 0, 4, work(&V1, events))).await;
    assert!(matches!(&refused, Err(BatchError::Failed { index: 2, .. })), "{refused:?}");
    assert_eq!(notes(&bench.store).await, [""; 0]);
}

#[tokio::test]
async fn a_database_in_memory_survives_a_function_that_hangs() {
    let store = SqliteStore::in_memory().await.expect("a store");
    make_tables(&store).await;
    store.register(&V1, Some(connected(&V1))).await.expect("registered");
    append(&store, "a", 0, &[("deposited", "spin")]).await;
    let epoch = store.checkpoints("notes", 1).await.expect("checkpoints")[0].epoch;
    let events = store.read_all(crate::event::GlobalPosition::START, 10).await.expect("events");
    let refused = store.project(batch(&V1, epoch, 0, 1, work(&V1, events))).await;
    assert!(matches!(&refused, Err(BatchError::Failed { index: 0, .. })), "{refused:?}");
    assert_eq!(notes(&store).await, [""; 0]);
    append(&store, "b", 0, &[("deposited", "x")]).await;
    assert_eq!(store.event_count().await.expect("a number"), 2);
}

#[tokio::test]
async fn a_commit_and_its_connected_projection_are_one() {
    let (bench, epoch) = bench(&MIXED).await;
    let all = Arc::new(SyncProjections { folded: Vec::new(), connected: vec![connected(&MIXED)], backlog: 10 });
    append(&bench.store, "a", 0, &[("noted", "before")]).await;
    let commits = vec![
        with(commit("a", 1, &[("deposited", "1"), ("noted", "after")]), &all),
        with(commit("b", 0, &[("deposited", "fail")]), &all),
        with(commit("b", 0, &[("deposited", "spin")]), &all),
        with(commit("b", 0, &[("deposited", "commit")]), &all),
        with(commit("b", 0, &[("deposited", "begin anew")]), &all),
        with(commit("b", 0, &[("deposited", "2")]), &all),
        commit("c", 0, &[("deposited", "3")]),
    ];
    let results = together(&bench.store, commits).await;
    assert!(results[0].is_ok(), "{results:?}");
    assert!(matches!(results[1], Err(AppendError::ProjectionFailed { projection: "notes", .. })), "{results:?}");
    assert!(matches!(results[2], Err(AppendError::ProjectionTimedOut { projection: "notes", .. })), "{results:?}");
    assert!(matches!(results[3], Err(AppendError::ProjectionFailed { projection: "notes", .. })), "{results:?}");
    assert!(matches!(results[4], Err(AppendError::ProjectionFailed { projection: "notes", .. })), "{results:?}");
    assert_eq!(results[5].as_ref().expect("stored").position.get(), 4);
    assert_eq!(results[6].as_ref().expect("stored").position.get(), 5);
    assert_eq!(notes(&bench.store).await, ["a before", "a 1", "b 2"]);
    // The worker does what is left, and no more.
    let events = bench.log(0).await;
    bench.store.project(batch(&MIXED, epoch, 0, 5, work(&MIXED, events))).await.expect("stored");
    assert_eq!(notes(&bench.store).await, ["a before", "a 1", "b 2", "a after", "c 3"]);
}

#[tokio::test]
async fn a_later_version_begins_empty() {
    let (bench, epoch) = bench(&V1).await;
    append(&bench.store, "a", 0, &[("deposited", "1")]).await;
    bench.store.project(batch(&V1, epoch, 0, 1, work(&V1, bench.log(0).await))).await.expect("stored");
    bench.store.register(&V2, Some(connected(&V2))).await.expect("registered");
    assert_eq!(notes(&bench.store).await, [""; 0]);
    bench.store.reset(&V2, Some(connected(&V2))).await.expect("reset");
    assert!(bench.store.reset(&V2, None).await.is_err(), "nobody says how");
}

fn scope(store: &SqliteStore) -> QueryScope<SqliteStore> {
    struct NoRows;
    impl crate::read_model::Rows for NoRows {
        fn table(
            &self,
            table: &'static crate::read_model::TableDescriptor,
            _: bool,
        ) -> BoxFuture<'_, Result<crate::read_model::TableRef, crate::read_model::ReadModelError>> {
            Box::pin(async { Err(crate::read_model::ReadModelError::Unknown { table: table.name }) })
        }
        fn rows<'a>(
            &'a self,
            _: crate::read_model::TableRef,
            _: &'a [crate::read_model::RowKey],
        ) -> BoxFuture<'a, Result<Vec<Option<Vec<crate::read_model::Value>>>, crate::store::StoreError>> {
            Box::pin(async { Ok(Vec::new()) })
        }
        fn select<'a>(
            &'a self,
            _: crate::read_model::TableRef,
            _: &'a crate::read_model::Selection,
        ) -> BoxFuture<'a, Result<Vec<Vec<crate::read_model::Value>>, crate::store::StoreError>> {
            Box::pin(async { Ok(Vec::new()) })
        }
        fn count<'a>(
            &'a self,
            _: crate::read_model::TableRef,
            _: &'a crate::read_model::Selection,
        ) -> BoxFuture<'a, Result<u64, crate::store::StoreError>> {
            Box::pin(async { Ok(0) })
        }
    }
    let (tenant, dependencies) = ("".into(), Arc::default());
    QueryScope { store: store.clone(), rows: Arc::new(NoRows), tenant, dependencies }
}

#[tokio::test]
async fn a_lent_connection_cannot_write_and_leaves_nothing_behind() {
    let bench = Bench::new().await;
    for store in [bench.store.clone(), SqliteStore::in_memory().await.expect("a store")] {
        make_tables(&store).await;
        for _ in 0..8 {
            let mut held = <&mut SqliteConnection as QueryArg<SqliteStore>>::hold(&scope(&store)).await.expect("held");
            let db: &mut SqliteConnection = QueryArg::<SqliteStore>::lend(&mut held).expect("lent");
            assert!(db.execute("INSERT INTO slices VALUES (1)").await.is_err());
            // An untidy handler.
            db.execute("BEGIN; SELECT * FROM slices").await.expect("begun");
        }
        append(&store, "a", 0, &[("deposited", "1")]).await;
        let head = store.head().await.expect("a head");
        assert_eq!(head.get(), 1, "the snapshot of an open transaction would show none");
    }
}
