//! Rows in and out.

use std::collections::BTreeSet;

use chrono::{DateTime, NaiveDate};
use uuid::Uuid;

use super::fixture::*;
use crate::event::{GlobalPosition, Version};
use crate::projection::{ProjectionDescriptor, ProjectionStyle};
use crate::read_model::{
    ColumnType, Filter, Order, RowChange, RowKey, Selection, TableDescriptor, TableRef, Test, Value, WriteSet,
};
use crate::store::{BatchWork, CheckpointStore as _, ProjectionRegistry as _, RowStore as _};

static WIDE: TableDescriptor = TableDescriptor {
    name: "wide",
    columns: &[
        column("id", ColumnType::Integer, false, true, false),
        column("flag", ColumnType::Boolean, true, false, true),
        column("number", ColumnType::Integer, true, false, true),
        column("real", ColumnType::Real, true, false, true),
        column("text", ColumnType::Text, true, false, true),
        column("uuid", ColumnType::Uuid, true, false, false),
        column("moment", ColumnType::Timestamp, true, false, true),
        column("day", ColumnType::Date, true, false, false),
        column("amount", ColumnType::Decimal, true, false, true),
        column("json", ColumnType::Json, true, false, false),
    ],
};

static PROJECTION: ProjectionDescriptor = ProjectionDescriptor {
    name: "wide",
    version: 1,
    type_name: "Wide",
    style: ProjectionStyle::Folded,
    table: Some(&WIDE),
    partitions: 1,
    renamed_from: None,
    resets: false,
    handlers: &[],
};

const TABLE: TableRef = TableRef { table: &WIDE, version: 1 };

/// As [`WIDE`], without floating-point numbers: a few of its rows come packed into one.
static PACKED: TableDescriptor = TableDescriptor {
    name: "packed",
    columns: &[
        column("id", ColumnType::Integer, false, true, false),
        column("flag", ColumnType::Boolean, true, false, false),
        column("number", ColumnType::Integer, true, false, false),
        column("text", ColumnType::Text, true, false, false),
        column("uuid", ColumnType::Uuid, true, false, false),
        column("moment", ColumnType::Timestamp, true, false, false),
        column("day", ColumnType::Date, true, false, false),
        column("amount", ColumnType::Decimal, true, false, false),
        column("json", ColumnType::Json, true, false, false),
    ],
};

static PACKED_PROJECTION: ProjectionDescriptor =
    ProjectionDescriptor { name: "packed", table: Some(&PACKED), ..PROJECTION };

fn change(tenant: &str, row: &[Value]) -> RowChange {
    let key = RowKey::new(tenant, &row[..1]);
    RowChange { key, row: Some(row.to_vec()), version: Version::new(1), position: GlobalPosition::new(1) }
}

async fn bench() -> (Bench, u64) {
    let bench = Bench::new().await;
    bench.store.register(&PROJECTION, None).await.expect("registered");
    let epoch = bench.lease(&PROJECTION).await;
    (bench, epoch)
}

async fn write(bench: &Bench, epoch: u64, changes: Vec<RowChange>) {
    let work = BatchWork::Rows(WriteSet { table: TABLE, changes });
    bench.store.project(batch(&PROJECTION, epoch, 0, 0, work)).await.expect("written");
}

/// A row with nothing but its key, and one value.
fn sparse(id: i64, column: usize, value: Value) -> Vec<Value> {
    let mut row = vec![Value::Null; WIDE.columns.len()];
    row[0] = Value::Integer(id);
    row[column] = value;
    row
}

#[tokio::test]
async fn every_value_comes_back_as_it_was() {
    let (bench, epoch) = bench().await;
    let moment = |text: &str| Value::Timestamp(DateTime::parse_from_rfc3339(text).expect("a moment").to_utc());
    let mut cases: Vec<(usize, Value)> = vec![
        (1, Value::Boolean(true)),
        (1, Value::Boolean(false)),
        (5, Value::Uuid(Uuid::max())),
        (6, moment("0000-01-01T00:00:00.000000001Z")),
        (6, moment("9999-12-31T23:59:59.999999999Z")),
        (7, Value::Date(NaiveDate::from_ymd_opt(2024, 2, 29).expect("a day"))),
        (8, Value::Decimal("79228162514264337593543950335".into())),
        (8, Value::Decimal("-0.0000000000000000000000000001".into())),
        (8, Value::Decimal("1.10".into())),
        (9, Value::Json(r#"{"a":[1,2.50,"x\u0000",null]}"#.into())),
    ];
    cases.extend([i64::MIN, i64::MIN + 1, -1, 0, i64::MAX].map(|number| (2, Value::Integer(number))));
    let reals = [0.1, -0.1, 1.0 / 3.0, f64::MAX, f64::MIN, f64::MIN_POSITIVE, 5e-324, 1e300, 123_456_789.123_456_78];
    cases.extend(reals.map(|number| (3, Value::Real(number))));
    let texts =
        ["", "it's \"quoted\" \\ and / more", "nul\0inside\0", "\u{1}\t\r\n", "žluťoučký 🦀 \u{10ffff}", "null", "1e5"];
    cases.extend(texts.map(|text| (4, Value::Text(text.into()))));
    let rows: Vec<_> = cases.into_iter().zip(0..).map(|((column, value), id)| sparse(id, column, value)).collect();
    write(&bench, epoch, rows.iter().map(|row| change("", row)).collect()).await;
    let keys: Vec<_> = rows.iter().map(|row| RowKey::new("", &row[..1])).collect();
    let found = bench.store.rows(TABLE, &keys).await.expect("rows");
    for (row, found) in rows.iter().zip(found) {
        assert_eq!(Some(row), found.as_ref());
    }
}

#[tokio::test]
async fn every_value_comes_back_as_it_was_in_rows_that_come_together() {
    let bench = Bench::new().await;
    bench.store.register(&PACKED_PROJECTION, None).await.expect("registered");
    let epoch = bench.lease(&PACKED_PROJECTION).await;
    let moment = |text: &str| Value::Timestamp(DateTime::parse_from_rfc3339(text).expect("a moment").to_utc());
    let texts = ["", "it's \"quoted\" \\ and /", "nul\0inside\0", "\u{1}\t\r\n", "🦀 \u{10ffff}", "null", "1e5", "[1]"];
    let mut values: Vec<(usize, Value)> = vec![
        (1, Value::Boolean(true)),
        (1, Value::Boolean(false)),
        (4, Value::Uuid(Uuid::max())),
        (5, moment("0000-01-01T00:00:00.000000001Z")),
        (5, moment("9999-12-31T23:59:59.999999999Z")),
        (6, Value::Date(NaiveDate::from_ymd_opt(2024, 2, 29).expect("a day"))),
        (7, Value::Decimal("-0.0000000000000000000000000001".into())),
        (8, Value::Json(r#"{"a":[1,2.50,"x\u0000",null]}"#.into())),
    ];
    values.extend([i64::MIN, -1, 0, i64::MAX].map(|number| (2, Value::Integer(number))));
    values.extend(texts.map(|text| (3, Value::Text(text.into()))));
    let row = |((column, value), id): (&(usize, Value), i64)| {
        let mut row = vec![Value::Null; PACKED.columns.len()];
        (row[0], row[*column]) = (Value::Integer(id), value.clone());
        row
    };
    // As many as come together, and then as many as do not.
    let (few, many): (Vec<_>, Vec<_>) =
        (values.iter().zip(0..).map(row).collect(), values.iter().cycle().zip(0..300).map(row).collect());
    let table = TableRef { table: &PACKED, version: 1 };
    for rows in [few, many] {
        let changes: Vec<_> = rows.iter().map(|row| change("", row)).collect();
        let keys: Vec<_> =
            changes.iter().map(|change| change.key.clone()).chain([RowKey::new("", &[Value::Integer(-1)])]).collect();
        let work = BatchWork::Rows(WriteSet { table, changes });
        bench.store.project(batch(&PACKED_PROJECTION, epoch, 0, 0, work)).await.expect("written");
        let found = bench.store.rows(table, &keys).await.expect("rows");
        let expected: Vec<_> = rows.into_iter().map(Some).chain([None]).collect();
        assert_eq!(found, expected);
    }
}

#[tokio::test]
async fn floating_point_numbers_are_exact_to_the_last_bit() {
    let (bench, epoch) = bench().await;
    // A fixed walk over all exponents, subnormal ones too.
    let mut bits: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut rows = Vec::new();
    while rows.len() < 20_000 {
        bits = bits.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let mask = if rows.len() % 10 == 0 { 0x800f_ffff_ffff_ffff } else { u64::MAX };
        let number = f64::from_bits(bits & mask);
        if number.is_finite() {
            rows.push(sparse(i64::try_from(rows.len()).expect("few"), 3, Value::Real(number)));
        }
    }
    write(&bench, epoch, rows.iter().map(|row| change("", row)).collect()).await;
    let found = bench.store.select(TABLE, &Selection::default()).await.expect("rows");
    assert_eq!(found.len(), rows.len());
    let wrong = rows.iter().zip(&found).filter(|(row, found)| row != found).count();
    assert_eq!(wrong, 0);
}

#[tokio::test]
async fn a_text_as_key_is_found_whatever_is_in_it() {
    let bench = Bench::new().await;
    bench.store.register(&V1, None).await.expect("registered");
    let epoch = bench.lease(&V1).await;
    let names = ["", "nul\0inside", "nul\0", "nul", "\"", "\\", "🦀", "5", "true"];
    let row = |name: &str| vec![Value::Text(name.into()), Value::Integer(1), Value::Null];
    let changes: Vec<_> = names.map(|name| change("te\0nant", &row(name))).into();
    let keys: Vec<_> = changes.iter().map(|change| change.key.clone()).collect();
    let work = BatchWork::Rows(WriteSet { table: table(1), changes: changes.clone() });
    bench.store.project(batch(&V1, epoch, 0, 0, work)).await.expect("written");
    let found = bench.store.rows(table(1), &keys).await.expect("rows");
    for (name, found) in names.iter().zip(found) {
        assert_eq!(found, Some(row(name)), "{name:?}");
    }
    // And deleted.
    let changes = changes.into_iter().map(|change| RowChange { row: None, ..change }).collect();
    let work = BatchWork::Rows(WriteSet { table: table(1), changes });
    bench.store.project(batch(&V1, epoch, 0, 0, work)).await.expect("written");
    assert!(bench.store.rows(table(1), &keys).await.expect("rows").iter().all(Option::is_none));
}

fn ids(rows: &[Vec<Value>]) -> Vec<i64> {
    let id = |row: &Vec<Value>| if let Value::Integer(id) = row[0] { id } else { panic!("no id in {row:?}") };
    rows.iter().map(id).collect()
}

async fn matching(bench: &Bench, column: usize, test: Test) -> Vec<i64> {
    let selection = Selection { filters: vec![Filter { column, test }], ..Selection::default() };
    let found = ids(&bench.store.select(TABLE, &selection).await.expect("rows"));
    let count = bench.store.count(TABLE, &Selection { limit: Some(1), ..selection }).await.expect("a number");
    assert_eq!(count, found.len() as u64, "the count of the same selection");
    found
}

#[tokio::test]
async fn every_test_selects_what_it_says() {
    let (bench, epoch) = bench().await;
    let text = |text: &str| Value::Text(text.into());
    let decimal = |text: &str| Value::Decimal(text.into());
    let rows = [
        sparse(1, 4, text("ab")),
        sparse(2, 4, text("abc")),
        sparse(3, 4, text("b")),
        sparse(4, 4, Value::Null),
        sparse(5, 8, decimal("9.50")),
        sparse(6, 8, decimal("10")),
        sparse(7, 1, Value::Boolean(true)),
        sparse(8, 3, Value::Real(0.1)),
    ];
    write(&bench, epoch, rows.iter().map(|row| change("", row)).collect()).await;
    write(&bench, epoch, vec![change("other", &sparse(1, 4, text("ab")))]).await;
    let all = [1, 2, 3, 4, 5, 6, 7, 8];
    assert_eq!(matching(&bench, 4, Test::Equals(text("ab"))).await, [1]);
    assert_eq!(matching(&bench, 4, Test::Equals(Value::Null)).await, [4, 5, 6, 7, 8]);
    assert_eq!(matching(&bench, 4, Test::Differs(text("ab"))).await, all[1..]);
    assert_eq!(matching(&bench, 4, Test::Differs(Value::Null)).await, [1, 2, 3]);
    assert_eq!(matching(&bench, 4, Test::In(vec![text("b"), text("x")])).await, [3]);
    assert_eq!(matching(&bench, 4, Test::In(vec![text("b"), Value::Null])).await, all[2..]);
    assert_eq!(matching(&bench, 4, Test::In(vec![])).await, [0; 0]);
    assert_eq!(matching(&bench, 4, Test::StartsWith("ab".into())).await, [1, 2]);
    assert_eq!(matching(&bench, 4, Test::StartsWith(String::new())).await, [1, 2, 3]);
    assert_eq!(matching(&bench, 4, Test::Less(text("b"))).await, [1, 2]);
    assert_eq!(matching(&bench, 4, Test::AtMost(text("ab"))).await, [1]);
    assert_eq!(matching(&bench, 4, Test::Greater(text("ab"))).await, [2, 3]);
    assert_eq!(matching(&bench, 4, Test::AtLeast(text("ab"))).await, [1, 2, 3]);
    // As numbers, not as texts.
    assert_eq!(matching(&bench, 8, Test::Less(decimal("10"))).await, [5]);
    assert_eq!(matching(&bench, 8, Test::Equals(decimal("9.5"))).await, [5]);
    assert_eq!(matching(&bench, 8, Test::In(vec![decimal("10.0")])).await, [6]);
    assert_eq!(matching(&bench, 1, Test::Equals(Value::Boolean(true))).await, [7]);
    assert_eq!(matching(&bench, 1, Test::In(vec![Value::Boolean(true)])).await, [7]);
    assert_eq!(matching(&bench, 3, Test::In(vec![Value::Real(0.1)])).await, [8]);
    assert_eq!(matching(&bench, 0, Test::In(vec![Value::Integer(3)])).await, [3]);
}

#[tokio::test]
async fn pages_give_every_row_once_in_every_order() {
    let (bench, epoch) = bench().await;
    // Values repeat and are missing, so that the key has to decide.
    let value = |id: i64| if id % 4 == 0 { Value::Null } else { Value::Integer(id % 3) };
    let rows: Vec<_> = (0..23).map(|id| sparse(id, 2, value(id))).collect();
    write(&bench, epoch, rows.iter().map(|row| change("", row)).collect()).await;
    for order in [vec![], vec![(2, false)], vec![(2, true)], vec![(2, true), (0, true)], vec![(2, false), (0, true)]] {
        let order: Vec<_> = order.into_iter().map(|(column, descending)| Order { column, descending }).collect();
        let whole = Selection { order: order.clone(), ..Selection::default() };
        let whole = bench.store.select(TABLE, &whole).await.expect("rows");
        assert_eq!(ids(&whole).into_iter().collect::<BTreeSet<_>>().len(), 23);
        let mut paged: Vec<Vec<Value>> = Vec::new();
        loop {
            let last = |row: &Vec<Value>| {
                order.iter().map(|order| row[order.column].clone()).chain([row[0].clone()]).collect::<Vec<_>>()
            };
            let after = paged.last().map(last);
            let selection = Selection { order: order.clone(), after, limit: Some(4), ..Selection::default() };
            let page = bench.store.select(TABLE, &selection).await.expect("a page");
            if page.is_empty() {
                break;
            }
            paged.extend(page);
        }
        assert_eq!(paged, whole, "{order:?}");
        if let Some(first) = order.first() {
            let nulls = whole.iter().filter(|row| row[2] == Value::Null).count();
            let at_end = if first.descending { &whole[23 - nulls..] } else { &whole[..nulls] };
            assert!(at_end.iter().all(|row| row[2] == Value::Null), "{order:?}");
        }
    }
}

#[tokio::test]
async fn decimals_are_in_the_order_of_numbers() {
    let (bench, epoch) = bench().await;
    let numbers = ["10", "9", "-2", "-10", "0.5", "0.05", "100"];
    let rows = numbers.into_iter().zip(0..).map(|(text, id)| change("", &sparse(id, 8, Value::Decimal(text.into()))));
    write(&bench, epoch, rows.collect()).await;
    let selection = Selection { order: vec![Order { column: 8, descending: false }], ..Selection::default() };
    assert_eq!(ids(&bench.store.select(TABLE, &selection).await.expect("rows")), [3, 2, 5, 4, 1, 0, 6]);
}

#[tokio::test]
async fn programs_that_do_not_know_the_order_of_decimals_read_the_table() {
    use sqlx::ConnectOptions as _;
    let (bench, epoch) = bench().await;
    write(&bench, epoch, vec![change("", &sparse(7, 8, Value::Decimal("1.50".into())))]).await;
    let plain = sqlx::sqlite::SqliteConnectOptions::new().filename(bench.folder.path().join("es.db"));
    let mut plain = plain.read_only(true).connect().await.expect("a connection");
    for name in ["wide", "wide_v1"] {
        let text = sqlx::AssertSqlSafe(format!("SELECT amount FROM {name} WHERE id = 7"));
        let amount: String = sqlx::query_scalar(text).fetch_one(&mut plain).await.expect("readable");
        assert_eq!(amount, "1.50");
    }
}
