//! Connections that are lent to queries.

use std::sync::Arc;

use sqlx::postgres::PgConnection;
use sqlx::{Connection as _, Executor as _, Row as _};

use super::place::Place;
use crate::projection::{BoxFuture, ProjectionDescriptor};
use crate::query::{QueryArg, QueryScope};
use crate::read_model::{
    ColumnDescriptor, ColumnType, ReadModelError, RowKey, Rows, Selection, TableDescriptor, TableRef, Value,
};
use crate::store::postgres::ReadConnection;
use crate::store::{EventStore as _, PostgresStore, StoreError};
use crate::testing::contract::fixture::{append, stream, within};
use crate::testing::contract::read_side::{BALANCES, FIRST, positions, register};

/// The server's code of a write in a transaction that only reads, and of a change of its mode that comes too late.
const READ_ONLY: &str = "25006";
const LATE_MODE: &str = "25001";

struct NoRows;

impl Rows for NoRows {
    fn table(&self, table: &'static TableDescriptor, _: bool) -> BoxFuture<'_, Result<TableRef, ReadModelError>> {
        Box::pin(async { Err(ReadModelError::Unknown { table: table.name }) })
    }
    fn rows<'a>(&'a self, _: TableRef, _: &'a [RowKey]) -> BoxFuture<'a, Result<Vec<Option<Vec<Value>>>, StoreError>> {
        Box::pin(async { Ok(Vec::new()) })
    }
    fn select<'a>(&'a self, _: TableRef, _: &'a Selection) -> BoxFuture<'a, Result<Vec<Vec<Value>>, StoreError>> {
        Box::pin(async { Ok(Vec::new()) })
    }
    fn count<'a>(&'a self, _: TableRef, _: &'a Selection) -> BoxFuture<'a, Result<u64, StoreError>> {
        Box::pin(async { Ok(0) })
    }
}

async fn hold(store: &PostgresStore) -> ReadConnection {
    let (tenant, dependencies) = ("".into(), Arc::default());
    let scope = QueryScope { store: store.clone(), rows: Arc::new(NoRows), tenant, dependencies };
    <&mut PgConnection as QueryArg<PostgresStore>>::hold(&scope).await.expect("held")
}

fn lend(held: &mut ReadConnection) -> &mut PgConnection {
    QueryArg::<PostgresStore>::lend(held).expect("lent")
}

/// Gives a connection back, and waits until it is there again.
async fn give_back(store: &PostgresStore, held: ReadConnection) {
    drop(held);
    within(async {
        while store.shared.functions.num_idle() == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_lent_connection_cannot_write_and_leaves_nothing_behind() {
    let place = Place::new();
    let store = place.open().await;
    register(&store, &FIRST).await;
    let refused = async |sql: &'static str| {
        let mut held = hold(&store).await;
        let error = sqlx::raw_sql(sql).execute(lend(&mut held)).await.expect_err(sql);
        give_back(&store, held).await;
        error.as_database_error().and_then(|error| error.code().map(String::from)).expect("the server's")
    };
    for _ in 0..8 {
        let write = "UPDATE subscriptions SET position = 1000000";
        assert_eq!(refused(write).await, READ_ONLY);
        // It takes no other mode, however it is asked to.
        for mode in [
            "BEGIN READ WRITE; UPDATE subscriptions SET position = 1000000; COMMIT",
            "SET TRANSACTION READ WRITE; UPDATE subscriptions SET position = 1000000; COMMIT",
            "SET transaction_read_only = off; UPDATE subscriptions SET position = 1000000",
            "SAVEPOINT here; SET TRANSACTION READ WRITE",
        ] {
            assert_eq!(refused(mode).await, LATE_MODE, "{mode}");
        }
        assert_eq!(refused("COMMIT; UPDATE subscriptions SET position = 1000000").await, READ_ONLY);
        let mut held = hold(&store).await;
        let db = lend(&mut held);
        // A transaction of the handler's is one inside.
        let mut inner = db.begin().await.expect("begun");
        inner.execute("SELECT 1").await.expect("read");
        inner.commit().await.expect("committed");
        let path = db.fetch_one("SHOW search_path").await.expect("a row");
        assert!(path.get::<&str, _>(0).starts_with("t_"), "{path:?}");
        // An untidy handler.
        db.execute("SET search_path = 'pg_catalog'").await.expect("set");
        db.execute("SELECT pg_advisory_lock(1, 1)").await.expect("locked");
        db.execute("BEGIN; SELECT count(*) FROM es_runtime_has_no_such_table").await.expect_err("no such table");
        give_back(&store, held).await;
    }
    assert_eq!(positions(&store, &FIRST).await, [0]);
    let locked = "SELECT pid::text FROM pg_locks WHERE locktype = 'advisory' AND classid = 1 AND objid = 1";
    assert_eq!(place.column(locked).await, [""; 0]);
    append(&store, &stream("a"), 0, 1).await;
    assert_eq!(store.head().await.expect("a head").get(), 1);
}

#[tokio::test]
async fn every_column_of_a_view_is_read_before_and_after_a_switch() {
    static WIDER: TableDescriptor = TableDescriptor {
        name: "balances",
        columns: &[
            ColumnDescriptor { name: "first", ty: ColumnType::Integer, nullable: true, key: false, index: false },
            BALANCES.columns[0],
        ],
    };
    static NEXT: ProjectionDescriptor = ProjectionDescriptor { version: 2, table: Some(&WIDER), ..FIRST };
    let place = Place::new();
    let store = place.open().await;
    let columns = async || {
        let mut held = hold(&store).await;
        let described = sqlx::query("SELECT * FROM balances").fetch_all(lend(&mut held)).await.map(|rows| rows.len());
        give_back(&store, held).await;
        described
    };
    register(&store, &FIRST).await;
    // Twice, so that the statement is prepared on the connection that comes again.
    for _ in 0..2 {
        assert_eq!(columns().await.expect("readable"), 0);
    }
    register(&store, &NEXT).await;
    for _ in 0..2 {
        assert_eq!(columns().await.expect("the view has other columns now"), 0);
    }
}
