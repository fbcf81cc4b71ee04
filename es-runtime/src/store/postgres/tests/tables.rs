//! What others see of read models, and names.

use chrono::{DateTime, NaiveDate};
use sqlx::{Connection as _, Executor as _};

use super::place::Place;
use crate::event::{GlobalPosition, Version};
use crate::projection::ProjectionDescriptor;
use crate::read_model::{
    ColumnDescriptor, ColumnType, Order, RowChange, RowKey, Selection, TableDescriptor, TableRef, Value, WriteSet,
};
use crate::store::postgres::select;
use crate::store::{
    BatchWork, CheckpointStore as _, EventStore as _, LeaseStore as _, PostgresStore, ProjectionRegistry as _,
    RegisterError, RowStore as _,
};
use crate::testing::contract::fixture::stream;
use crate::testing::contract::read_side::{BALANCES, FIRST, Worker, record, register, seen, state};

const fn column(name: &'static str, ty: ColumnType, key: bool) -> ColumnDescriptor {
    ColumnDescriptor { name, ty, nullable: !key, key, index: !key }
}

static WIDE: TableDescriptor = TableDescriptor {
    name: "wide",
    columns: &[
        column("id", ColumnType::Integer, true),
        column("moment", ColumnType::Timestamp, false),
        column("amount", ColumnType::Decimal, false),
        column("day", ColumnType::Date, false),
        column("json", ColumnType::Json, false),
    ],
};
static PROJECTION: ProjectionDescriptor =
    ProjectionDescriptor { name: "wide", table: Some(&WIDE), handlers: &[], ..FIRST };
const TABLE: TableRef = TableRef { table: &WIDE, version: 1 };

async fn write(store: &PostgresStore, rows: Vec<Vec<Value>>) {
    let mut worker = Worker::start(store, &PROJECTION).await;
    let change = |row: Vec<Value>| RowChange {
        key: RowKey::new("", &row[..1]),
        row: Some(row),
        version: Version::new(1),
        position: GlobalPosition::new(1),
    };
    let changes = rows.into_iter().map(change).collect();
    let batch = worker.batch(BatchWork::Rows(WriteSet { table: TABLE, changes }), None);
    worker.project(batch).await.expect("written");
}

#[tokio::test]
async fn the_view_shows_moments_and_numbers_as_the_database_knows_them() {
    let place = Place::new();
    let store = place.open().await;
    let moment = |text: &str| Value::Timestamp(DateTime::parse_from_rfc3339(text).expect("a moment").to_utc());
    let day = |year| Value::Date(NaiveDate::from_ymd_opt(year, 1, 1).expect("a day"));
    let row = |id, moment, amount: &str, day| {
        vec![Value::Integer(id), moment, Value::Decimal(amount.into()), day, Value::Json(r#"{"a":[1]}"#.into())]
    };
    let rows = vec![
        row(1, moment("2026-01-02T03:04:05.000000678Z"), "1.10", day(2026)),
        row(2, moment("0000-01-01T00:00:00Z"), "-01.5", day(0)),
        row(3, moment("2016-12-31T23:59:60.5Z"), "0", day(2016)),
    ];
    write(&store, rows.clone()).await;
    let keys: Vec<_> = rows.iter().map(|row| RowKey::new("", &row[..1])).collect();
    let found = store.rows(TABLE, &keys).await.expect("readable");
    assert!(found.into_iter().flatten().eq(rows), "all of it comes back");
    let shown = "SELECT concat_ws(' ', moment AT TIME ZONE 'UTC', amount + 1, day, json -> 'a') FROM wide ORDER BY id";
    let expected = [
        "2026-01-02 03:04:05.000001 2.10 2026-01-01 [1]",
        "-0.5 0001-01-01 BC [1]",
        "2017-01-01 00:00:00.5 1 2016-01-01 [1]",
    ];
    assert_eq!(place.column(shown).await, expected);
}

#[tokio::test]
async fn an_order_comes_out_of_the_index() {
    let place = Place::new();
    let store = place.open().await;
    register(&store, &PROJECTION).await;
    for column in 1..WIDE.columns.len() {
        let order = vec![Order { column, descending: false }];
        let mut statement = select::rows(TABLE, &Selection { order, limit: Some(10), ..Selection::default() });
        statement.text.insert_str(0, "EXPLAIN ");
        let mut connection = place.connect().await;
        connection.execute("SET enable_seqscan = off; SET enable_sort = off").await.expect("set");
        let plan = statement.rows(&mut connection).await.expect("a plan");
        let plan: Vec<String> = plan.iter().map(|row| sqlx::Row::get(row, 0)).collect();
        assert!(plan.iter().any(|line| line.contains("Index Scan using")), "{plan:#?}");
        assert!(!plan.iter().any(|line| line.contains("Sort")), "{plan:#?}");
    }
}

#[tokio::test]
async fn what_is_no_number_is_not_stored() {
    let place = Place::new();
    let store = place.open().await;
    let worker = Worker::start(&store, &PROJECTION).await;
    let mut row = vec![Value::Null; WIDE.columns.len()];
    (row[0], row[2]) = (Value::Integer(1), Value::Decimal("many".into()));
    let key = RowKey::new("", &row[..1]);
    let (version, position) = (Version::new(1), GlobalPosition::new(1));
    let changes = vec![RowChange { key, row: Some(row), version, position }];
    let batch = worker.batch(BatchWork::Rows(WriteSet { table: TABLE, changes }), None);
    let refused = store.project(batch).await.expect_err("not a number");
    assert!(refused.to_string().contains("many"), "{refused}");
}

#[tokio::test]
async fn names_that_would_be_cut_are_refused() {
    static LONG: TableDescriptor = TableDescriptor {
        name: "a_table_with_sixty_one_bytes_in_its_name_xxxxxxxxxxxxxxxxxxxxx",
        columns: BALANCES.columns,
    };
    static TEN: ProjectionDescriptor = ProjectionDescriptor { name: "long", version: 10, table: Some(&LONG), ..FIRST };
    static WIDE_COLUMN: TableDescriptor = TableDescriptor {
        name: "columns",
        columns: &[column("a_column_with_sixty_four_bytes_in_its_name_xxxxxxxxxxxxxxxxxxxxxx", ColumnType::Text, true)],
    };
    static COLUMN: ProjectionDescriptor = ProjectionDescriptor { name: "columns", table: Some(&WIDE_COLUMN), ..FIRST };
    let place = Place::new();
    let store = place.open().await;
    for projection in [&TEN, &COLUMN] {
        let refused = store.register(projection, None).await;
        assert!(matches!(&refused, Err(RegisterError::NameTooLong { longest: 63, .. })), "{refused:?}");
    }
    assert_eq!(store.projections().await.expect("readable"), []);
}

#[tokio::test]
async fn a_table_of_somebody_else_is_not_touched() {
    static STREAMS: TableDescriptor = TableDescriptor { name: "streams", columns: BALANCES.columns };
    static GREEDY: ProjectionDescriptor = ProjectionDescriptor { name: "greedy", table: Some(&STREAMS), ..FIRST };
    let place = Place::new();
    let store = place.open().await;
    let mut connection = place.connect().await;
    for name in ["balances_v1", "balances"] {
        connection.execute(sqlx::AssertSqlSafe(format!("CREATE TABLE {name} (x text)"))).await.expect("a table");
        let refused = store.register(&FIRST, None).await;
        assert!(matches!(&refused, Err(RegisterError::TableExists { table, .. }) if table == name), "{refused:?}");
        connection.execute(sqlx::AssertSqlSafe(format!("DROP TABLE {name}"))).await.expect("dropped");
    }
    // Nor one of the store's own.
    let refused = store.register(&GREEDY, None).await;
    assert!(matches!(&refused, Err(RegisterError::TableExists { table, .. }) if table == "streams"), "{refused:?}");
    register(&store, &FIRST).await;
}

#[tokio::test]
async fn what_others_build_on_a_view_stays_where_its_columns_do() {
    static MORE: TableDescriptor = TableDescriptor {
        name: "balances",
        columns: &[
            BALANCES.columns[0],
            BALANCES.columns[1],
            BALANCES.columns[2],
            BALANCES.columns[3],
            column("more", ColumnType::Text, false),
        ],
    };
    static NEXT: ProjectionDescriptor = ProjectionDescriptor { version: 2, table: Some(&MORE), ..FIRST };
    let place = Place::new();
    let store = place.open().await;
    register(&store, &FIRST).await;
    place.connect().await.execute("CREATE VIEW report AS SELECT sum(cents) FROM balances").await.expect("a view");
    register(&store, &NEXT).await;
    let behind = "SELECT pg_get_viewdef('balances'::regclass)";
    assert!(place.column(behind).await[0].contains("balances_v2"));
    assert_eq!(place.column("SELECT count(*)::text FROM report").await, ["1"]);
}

#[tokio::test]
async fn a_table_that_is_being_read_is_emptied_all_the_same() {
    let place = Place::new();
    let store = place.open().await;
    register(&store, &FIRST).await;
    record(&store, &stream("a"), 0, &["opened", "deposited:5"]).await;
    let mut worker = Worker::start(&store, &FIRST).await;
    worker.catch_up().await;
    let mut reader = place.connect().await;
    let mut reading = reader.begin().await.expect("begun");
    let rows = "SELECT cents FROM balances_v1";
    assert_eq!(reading.fetch_all(rows).await.expect("rows").len(), 1);
    store.reset(&FIRST, None).await.expect("reset");
    assert_eq!(state(&store, &FIRST, "a").await, None);
    drop(reading);
    store.leave(worker.process).await.expect("left");
    Worker::start(&store, &FIRST).await.catch_up().await;
    assert_eq!(state(&store, &FIRST, "a").await, seen(5, "1 2"));
}

#[tokio::test]
async fn closing_gives_leases_up() {
    let place = Place::new();
    let (store, other) = (place.open().await, place.open().await);
    let worker = Worker::start(&other, &FIRST).await;
    assert_eq!(store.checkpoints("balances", 1).await.expect("readable")[0].owner, Some(worker.process));
    other.close().await;
    assert_eq!(store.checkpoints("balances", 1).await.expect("readable")[0].owner, None);
}
