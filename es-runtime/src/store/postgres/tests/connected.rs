//! Functions that take the connection: whatever they do, their batch is whole or not there.

use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::PgConnection;
use sqlx::{Connection as _, Executor as _};

use super::place::Place;
use crate::event::{AnyEvent, GlobalPosition, Recorded};
use crate::projection::{
    BoxFuture, Connected, ConnectedHandler, ConnectedProjector, HandlerMode, HandlerOptions, ProjectionDescriptor,
    ProjectionFailure, ProjectionHandler, ProjectionStyle,
};
use crate::store::{
    Batch, BatchDone, BatchError, BatchWork, CheckpointStore as _, EventStore as _, LeaseRequest, LeaseStore as _,
    PostgresStore, ProcessId, ProjectionRegistry as _, SafePosition,
};
use crate::testing::contract::fixture::{With as _, append, commit, event_of, store_one, stream};
use crate::testing::contract::read_side::{LONG, partition};

const fn handler(name: &'static str) -> ProjectionHandler {
    let options = HandlerOptions { monitor: false, retries: None, on_failure: None };
    let mode = HandlerMode::Async;
    ProjectionHandler { name, category: "account", event: name, mode, by_stream: true, options, dependencies: &[] }
}

static HANDLERS: [ProjectionHandler; 2] = [handler("alone"), handler("slice")];

const fn projection(version: u32) -> ProjectionDescriptor {
    ProjectionDescriptor {
        name: "notes",
        version,
        type_name: "Notes",
        style: ProjectionStyle::Connected,
        table: None,
        partitions: 1,
        renamed_from: None,
        resets: true,
        handlers: &HANDLERS,
    }
}

static V1: ProjectionDescriptor = projection(1);
static V2: ProjectionDescriptor = projection(2);

struct Notes;

fn failed(error: impl std::fmt::Display) -> ProjectionFailure {
    ProjectionFailure::Failed { handler: "", cause: error.to_string() }
}

/// Writes the event down, then does what the body says.
async fn write(db: &mut PgConnection, event: &Recorded<AnyEvent>) -> Result<(), ProjectionFailure> {
    let body = String::from_utf8(event.event().body.to_vec()).expect("text");
    let mut inner = db.begin().await.map_err(failed)?;
    let insert = sqlx::query("INSERT INTO notes (body) VALUES ($1)").bind(&body);
    insert.execute(&mut *inner).await.map_err(failed)?;
    inner.commit().await.map_err(failed)?;
    match body.as_str() {
        "fail" => Err(failed("told to")),
        "panic" => panic!("told to"),
        "wait" => std::future::pending().await,
        "sleep" => db.execute("SELECT pg_sleep(3600)").await.map(drop).map_err(failed),
        // Untidy ones: they pass over what the database says.
        "pass over" => db.execute("SELECT 1 / 0").await.map(drop).or(Ok(())),
        "commit" => write_behind(db, "COMMIT").await,
        "roll back" => write_behind(db, "ROLLBACK").await,
        "begin anew" => write_behind(db, "ROLLBACK; BEGIN; SAVEPOINT es_function").await,
        "begin to write" => write_behind(db, "ROLLBACK; BEGIN READ WRITE; SAVEPOINT es_function").await,
        _ => Ok(()),
    }
}

async fn write_behind(db: &mut PgConnection, end: &'static str) -> Result<(), ProjectionFailure> {
    let _ = db.execute(end).await;
    let _ = db.execute("INSERT INTO notes VALUES ('behind its end')").await;
    Ok(())
}

type Done<'a> = BoxFuture<'a, Result<(), ProjectionFailure>>;

fn alone<'a>(_: &'a Notes, db: &'a mut PgConnection, events: &'a [Recorded<AnyEvent>]) -> Done<'a> {
    Box::pin(write(db, &events[0]))
}

fn slice<'a>(_: &'a Notes, db: &'a mut PgConnection, events: &'a [Recorded<AnyEvent>]) -> Done<'a> {
    Box::pin(async move {
        for event in events {
            write(db, event).await?;
        }
        // Shows how they came.
        let count = i64::try_from(events.len()).expect("few");
        sqlx::query("INSERT INTO slices (events) VALUES ($1)").bind(count).execute(db).await.map(drop).map_err(failed)
    })
}

fn reset<'a>(_: &'a Notes, db: &'a mut PgConnection) -> Done<'a> {
    Box::pin(async move { db.execute("DELETE FROM notes").await.map(drop).map_err(failed) })
}

fn connected(descriptor: &'static ProjectionDescriptor) -> Arc<dyn ConnectedProjector> {
    static HANDLERS: [ConnectedHandler<Notes, PgConnection>; 2] =
        [ConnectedHandler { slices: false, run: alone }, ConnectedHandler { slices: true, run: slice }];
    Arc::new(Connected::new(descriptor, Notes, &HANDLERS, Some(reset)))
}

struct Bench {
    // The store goes before its place.
    store: PostgresStore,
    place: Place,
    epoch: u64,
}

impl Bench {
    /// A log of such events, and a worker of the projection.
    async fn new(events: &[(&'static str, &'static str)]) -> Self {
        let place = Place::new();
        let store = place.open().await;
        let tables = "CREATE TABLE notes (body text); CREATE TABLE slices (events bigint)";
        place.connect().await.execute(tables).await.expect("tables");
        store.register(&V1, Some(connected(&V1))).await.expect("registered");
        let wanted = vec![partition(&V1, 0)];
        let request = LeaseRequest { process: ProcessId::new(), timeout: LONG, wanted };
        let epoch = store.lease(&request).await.expect("leases")[0].epoch;
        let events = events.iter().map(|(name, body)| event_of(name, *body)).collect();
        store_one(&store, commit(&stream("a"), 0, 0).with_events(events)).await.expect("stored");
        Self { store, place, epoch }
    }

    async fn project(&self) -> Result<BatchDone, BatchError> {
        let events = self.store.read_all(GlobalPosition::START, 100).await.expect("the log");
        let to = events.last().map(|event| SafePosition(event.position()));
        let timeout = Duration::from_millis(500);
        let batch = Batch {
            id: partition(&V1, 0),
            epoch: self.epoch,
            history: self.store.history(),
            from: GlobalPosition::START,
            to,
            work: BatchWork::Connected { projector: connected(&V1), events, timeout },
            letters: Vec::new(),
            parked: Vec::new(),
            settles: None,
            switch: false,
        };
        self.store.project(batch).await
    }

    async fn notes(&self) -> Vec<String> {
        self.place.column("SELECT body FROM notes ORDER BY ctid").await
    }

    async fn position(&self) -> u64 {
        self.store.checkpoints("notes", 1).await.expect("checkpoints")[0].position.get()
    }
}

#[tokio::test]
async fn functions_run_in_the_transaction_of_the_checkpoint() {
    let events = [("alone", "1"), ("slice", "2"), ("slice", "3"), ("other", "x"), ("slice", "4"), ("alone", "5")];
    let bench = Bench::new(&events).await;
    bench.project().await.expect("stored");
    assert_eq!(bench.notes().await, ["1", "2", "3", "4", "5"]);
    assert_eq!(bench.place.column("SELECT events::text FROM slices").await, ["3"]);
    assert_eq!(bench.position().await, 6);
    assert!(matches!(bench.project().await, Err(BatchError::Fenced)));
    assert_eq!(bench.notes().await.len(), 5);
}

#[tokio::test]
async fn whatever_a_function_does_its_batch_is_undone_whole() {
    let untidy = ["fail", "panic", "wait", "sleep", "pass over", "commit", "roll back", "begin anew", "begin to write"];
    for what in untidy {
        let bench = Bench::new(&[("alone", "1"), ("alone", what), ("alone", "3"), ("slice", "4")]).await;
        let refused = bench.project().await;
        assert!(matches!(refused, Err(BatchError::Failed { .. })), "{what}: {refused:?}");
        assert_eq!(bench.notes().await, [""; 0], "{what}");
        assert_eq!(bench.position().await, 0, "{what}");
        // The store goes on, and nobody waits for what was left in the middle.
        append(&bench.store, &stream("b"), 0, 1).await;
        bench.store.rewind("notes", 1, GlobalPosition::START).await.expect("its lock is free");
    }
}

#[tokio::test]
async fn a_failure_names_its_event() {
    for what in ["fail", "panic", "wait", "sleep", "pass over"] {
        for name in ["alone", "slice"] {
            let bench = Bench::new(&[("alone", "1"), ("other", "x"), (name, what), (name, "3"), ("alone", "4")]).await;
            let refused = bench.project().await;
            // What hangs or panics is not tried again, so all that is known is the slice.
            assert!(matches!(&refused, Err(BatchError::Failed { index: 2, .. })), "{what} {name}: {refused:?}");
        }
    }
}

#[tokio::test]
async fn a_function_that_waits_too_long_is_stopped_on_the_server() {
    let bench = Bench::new(&[("alone", "sleep")]).await;
    match bench.project().await {
        Err(BatchError::Failed { failure: ProjectionFailure::TimedOut { handler: "alone", after }, .. }) => {
            assert_eq!(after, Duration::from_millis(500));
        }
        other => panic!("expected a time-out, got {other:?}"),
    }
    let asleep = "SELECT query FROM pg_stat_activity WHERE query LIKE '%pg_sleep(3600)%' AND state = 'active' \
        AND pid <> pg_backend_pid() AND wait_event = 'PgSleep'";
    assert_eq!(bench.place.column(asleep).await, [""; 0]);
}

#[tokio::test]
async fn the_row_that_keeps_transactions_open_is_seen_by_nobody() {
    let bench = Bench::new(&[("alone", "1"), ("alone", "2")]).await;
    bench.project().await.expect("stored");
    assert_eq!(bench.place.column("SELECT nothing::text FROM running_functions").await, [""; 0]);
}

#[tokio::test]
async fn a_later_version_begins_empty() {
    let bench = Bench::new(&[("alone", "1")]).await;
    bench.project().await.expect("stored");
    bench.store.register(&V2, Some(connected(&V2))).await.expect("registered");
    assert_eq!(bench.notes().await, [""; 0]);
    bench.store.reset(&V2, Some(connected(&V2))).await.expect("reset");
    assert!(bench.store.reset(&V2, None).await.is_err(), "nobody says how");
}
