//! Which projections there are.

use futures_util::future::join_all;
use sqlx::Executor as _;

use super::fixture::*;
use crate::event::GlobalPosition;
use crate::projection::{ProjectionDescriptor, ProjectionStyle};
use crate::read_model::{ColumnType, TableDescriptor};
use crate::store::{BatchWork, CheckpointStore as _, ProjectionRegistry as _, RegisterError, VersionState};

static OTHER_TABLE: TableDescriptor = TableDescriptor {
    name: "balances",
    columns: &[
        column("account", ColumnType::Text, false, true, false),
        column("cents", ColumnType::Decimal, false, false, true),
        column("note", ColumnType::Text, true, false, false),
        column("at", ColumnType::Timestamp, false, false, false),
    ],
};

static CHANGED: ProjectionDescriptor = ProjectionDescriptor { table: Some(&OTHER_TABLE), ..V1_AGAIN };
static STRANGER: ProjectionDescriptor = ProjectionDescriptor { name: "stranger", ..V1_AGAIN };
static STRANGER_V7: ProjectionDescriptor = ProjectionDescriptor { name: "stranger", version: 7, ..V1_AGAIN };
const V1_AGAIN: ProjectionDescriptor = ProjectionDescriptor {
    name: "balances",
    version: 1,
    type_name: "Balances",
    style: ProjectionStyle::Folded,
    table: Some(&BALANCES),
    partitions: 1,
    renamed_from: None,
    resets: false,
    handlers: &[],
};

async fn states(bench: &Bench) -> Vec<(u32, VersionState)> {
    let known = bench.store.projections().await.expect("projections");
    known.into_iter().map(|known| (known.version, known.state)).collect()
}

#[tokio::test]
async fn many_processes_register_at_once() {
    let bench = Bench::new().await;
    let others = [bench.other().await, bench.other().await, bench.other().await];
    let results = join_all(others.iter().map(|store| store.register(&V1, None))).await;
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    assert_eq!(states(&bench).await, [(1, VersionState::Active)]);
    let stored = &bench.store.projections().await.expect("projections")[0];
    assert_eq!((stored.table.as_str(), stored.partitions), (BALANCES.describe().as_str(), 1));
}

#[tokio::test]
async fn another_table_is_refused_with_what_differs() {
    let bench = Bench::new().await;
    bench.store.register(&V1, None).await.expect("registered");
    let refused = bench.store.register(&CHANGED, None).await.expect_err("another table");
    let RegisterError::TableChanged { difference, .. } = &refused else { panic!("{refused:?}") };
    assert_eq!(difference, "- cents: integer index\n+ cents: decimal index\n+ at: timestamp\n");
    assert!(matches!(
        bench.store.register(&TWO_PARTITIONS, None).await,
        Err(RegisterError::PartitionsChanged { stored: 1, declared: 2, .. })
    ));
}

#[tokio::test]
async fn a_table_of_somebody_else_is_not_touched() {
    let bench = Bench::new().await;
    for name in ["Balances_V1", "balances"] {
        let mut slot = bench.store.shared.place.connect_writer(false).await.expect("a connection");
        let sql = sqlx::AssertSqlSafe(format!("CREATE TABLE {name} (x)"));
        slot.execute(sql).await.expect("a table");
        let refused = bench.store.register(&V1, None).await;
        assert!(matches!(&refused, Err(RegisterError::TableExists { table, .. }) if table == name), "{refused:?}");
        slot.execute(sqlx::AssertSqlSafe(format!("DROP TABLE {name}"))).await.expect("dropped");
    }
    bench.store.register(&V1, None).await.expect("registered");
    for stranger in [&STRANGER, &STRANGER_V7] {
        assert!(matches!(bench.store.register(stranger, None).await, Err(RegisterError::TableExists { .. })));
    }
}

#[tokio::test]
async fn a_new_version_serves_only_once_it_is_at_the_head() {
    let bench = Bench::new().await;
    bench.store.register(&V1, None).await.expect("registered");
    append(&bench.store, "a", 0, &[("deposited", "5"), ("deposited", "6")]).await;
    bench.store.register(&V2, None).await.expect("registered");
    assert_eq!(states(&bench).await, [(1, VersionState::Active), (2, VersionState::Building)]);
    let epoch = bench.lease(&V2).await;
    let events = bench.log(0).await;
    let mut first = batch(&V2, epoch, 0, 1, fold(&V2, events[..1].to_vec()));
    first.switch = true;
    assert!(!bench.store.project(first).await.expect("stored").switched, "an event is left");
    let mut last = batch(&V2, epoch, 1, 2, fold(&V2, events[1..].to_vec()));
    last.switch = true;
    assert!(bench.store.project(last).await.expect("stored").switched);
    assert_eq!(states(&bench).await, [(1, VersionState::Retired), (2, VersionState::Active)]);
    // People see the version that serves.
    let mut reader = bench.store.reader().await.expect("a reader");
    let cents: i64 = sqlx::query_scalar("SELECT cents FROM balances WHERE account = 'a'")
        .fetch_one(reader.connection().expect("connected"))
        .await
        .expect("a row");
    assert_eq!(cents, 11);
    drop(reader);
    assert!(bench.store.register(&V1, None).await.is_ok(), "an old program may still read");
    assert_eq!(bench.store.drop_retired("balances").await.expect("dropped"), 1);
    let refused = bench.store.register(&V1, None).await;
    assert!(matches!(refused, Err(RegisterError::Dropped { version: 1, active: 2, .. })), "{refused:?}");
}

#[tokio::test]
async fn another_partition_that_is_behind_keeps_the_old_version() {
    static V3: ProjectionDescriptor = ProjectionDescriptor { version: 3, partitions: 2, ..V1_AGAIN };
    let bench = Bench::new().await;
    bench.store.register(&V1, None).await.expect("registered");
    append(&bench.store, "a", 0, &[("deposited", "5")]).await;
    bench.store.register(&V3, None).await.expect("registered");
    let epoch = bench.lease(&V3).await;
    let switching = |partition, from, to| {
        let mut batch = batch(&V3, epoch, from, to, BatchWork::Nothing);
        (batch.id.partition, batch.switch) = (partition, true);
        batch
    };
    assert!(!bench.store.project(switching(0, 0, 1)).await.expect("stored").switched);
    assert!(bench.store.project(switching(1, 0, 1)).await.expect("stored").switched);
}

#[tokio::test]
async fn a_reset_empties_the_table_and_fences_workers() {
    let bench = Bench::new().await;
    bench.store.register(&V1, None).await.expect("registered");
    append(&bench.store, "a", 0, &[("deposited", "5")]).await;
    let epoch = bench.lease(&V1).await;
    let events = bench.log(0).await;
    bench.store.project(batch(&V1, epoch, 0, 1, fold(&V1, events.clone()))).await.expect("stored");
    bench.store.reset(&V1, None).await.expect("reset");
    assert_eq!(bench.balance(1, "a").await, None);
    let checkpoint = bench.store.checkpoints("balances", 1).await.expect("checkpoints").remove(0);
    assert_eq!((checkpoint.position, checkpoint.epoch), (GlobalPosition::START, epoch + 1));
    assert!(bench.store.project(batch(&V1, epoch, 0, 1, fold(&V1, events))).await.is_err());
}
