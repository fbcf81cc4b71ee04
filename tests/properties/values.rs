//! Random values of every type of column, on every store: what is stored comes back to the last bit.

use chrono::{DateTime, Days, NaiveDate, Utc};
use es_runtime::event::{GlobalPosition, Version};
use es_runtime::prelude::Uuid;
use es_runtime::projection::{ProjectionDescriptor, ProjectionStyle};
use es_runtime::read_model::{
    Column, ColumnDescriptor, ColumnType, RowChange, RowKey, Selection, TableDescriptor, TableRef, Value, WriteSet,
};
use es_runtime::store::{BatchWork, MemoryStore, Store};
use es_runtime::testing::contract::read_side::Worker;
use proptest::prelude::*;

use crate::place::{File, Place};
use crate::postgres::Schema;

const fn nullable(name: &'static str, ty: ColumnType) -> ColumnDescriptor {
    ColumnDescriptor { name, ty, nullable: true, key: false, index: true }
}

static TABLE: TableDescriptor = TableDescriptor {
    name: "values",
    columns: &[
        ColumnDescriptor { name: "place", ty: ColumnType::Integer, nullable: false, key: true, index: false },
        nullable("boolean", ColumnType::Boolean),
        nullable("integer", ColumnType::Integer),
        nullable("real", ColumnType::Real),
        nullable("single", ColumnType::Real),
        nullable("text", ColumnType::Text),
        nullable("uuid", ColumnType::Uuid),
        nullable("timestamp", ColumnType::Timestamp),
        nullable("date", ColumnType::Date),
        nullable("decimal", ColumnType::Decimal),
    ],
};
static PROJECTION: ProjectionDescriptor = ProjectionDescriptor {
    name: "values",
    version: 1,
    type_name: "Values",
    style: ProjectionStyle::Folded,
    table: Some(&TABLE),
    partitions: 1,
    resets: false,
    renamed_from: None,
    handlers: &[],
};

/// The stored form of a value that its type can read again as it was.
fn stored<C: Column + std::fmt::Debug>(value: &C) -> Result<Value, TestCaseError> {
    let stored = value.to_value().map_err(|error| TestCaseError::fail(error.to_string()))?;
    let read = C::from_value(stored.clone()).map_err(|error| TestCaseError::fail(error.to_string()))?;
    // As texts: -0.0 equals 0.0.
    prop_assert_eq!(format!("{:?}", read), format!("{:?}", value));
    Ok(stored)
}

/// The fields of a row, by their own types.
type Fields = (bool, i64, u64, f64, f32, String, (u128, DateTime<Utc>, NaiveDate, (i128, u32)));

fn real() -> impl Strategy<Value = f64> {
    let edges =
        [0.0, -0.0, f64::MIN_POSITIVE, f64::MAX, f64::EPSILON, f64::from_bits(1), f64::from_bits((1 << 52) - 1)];
    let edges = prop::sample::select(edges.to_vec()).prop_flat_map(|edge| prop_oneof![Just(edge), Just(-edge)]);
    let bits = any::<u64>().prop_map(f64::from_bits).prop_filter("finite", |number| number.is_finite());
    prop_oneof![1 => edges, 1 => any::<i32>().prop_map(f64::from), 6 => bits]
}

fn text() -> impl Strategy<Value = String> {
    let edges =
        prop::sample::select(vec!['\0', '\u{1}', '\u{2}', '"', '\\', '\u{d7ff}', '\u{e000}', '\u{ffff}', '\u{10ffff}']);
    prop::collection::vec(prop_oneof![edges, any::<char>()], 0..9)
        .prop_map(|characters| characters.into_iter().collect())
}

/// Years 0 to 9999, with leap seconds.
fn time() -> impl Strategy<Value = DateTime<Utc>> {
    let first = "0000-01-01T00:00:00Z".parse::<DateTime<Utc>>().unwrap().timestamp();
    let last = "9999-12-31T23:59:59Z".parse::<DateTime<Utc>>().unwrap().timestamp();
    let seconds =
        prop_oneof![first..=last, (first / 60..=last / 60).prop_map(|minute| minute * 60 - 1), Just(first), Just(last)];
    let nanos = prop_oneof![0..1_000_000_000_u32, 1_000_000_000..2_000_000_000_u32, Just(999_999_999), Just(1)];
    (seconds, nanos)
        .prop_filter_map("a time", move |(seconds, nanos)| DateTime::from_timestamp(seconds.max(first), nanos))
}

fn date() -> impl Strategy<Value = NaiveDate> {
    (0..3_652_425_u64 - 1).prop_map(|days| NaiveDate::from_ymd_opt(0, 1, 1).unwrap() + Days::new(days))
}

fn fields() -> impl Strategy<Value = Fields> {
    let single = any::<u32>().prop_map(f32::from_bits).prop_filter("finite", |number| number.is_finite());
    let decimal = (-(1_i128 << 96) + 1..1_i128 << 96, 0..=28_u32);
    let integer = prop_oneof![any::<i64>(), Just(i64::MIN), Just(i64::MAX), -9..9_i64];
    (any::<bool>(), integer, any::<u64>(), real(), single, text(), (any::<u128>(), time(), date(), decimal))
}

/// Writes a number with a scale, as exact decimals are displayed.
fn decimal((number, scale): (i128, u32)) -> String {
    let digits = format!("{:0>width$}", number.unsigned_abs(), width = scale as usize + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale as usize);
    let (sign, point) = (if number < 0 { "-" } else { "" }, if scale == 0 { "" } else { "." });
    format!("{sign}{whole}{point}{fraction}")
}

fn row(place: i64, fields: &Fields) -> Result<Vec<Value>, TestCaseError> {
    let (boolean, integer, unsigned, real, single, text, (uuid, time, date, number)) = fields;
    // A number that is too large is an error, and no other number.
    if i64::try_from(*unsigned).is_ok() {
        prop_assert_eq!(stored(unsigned)?, Value::Integer(unsigned.cast_signed()));
    } else {
        prop_assert!(unsigned.to_value().is_err());
    }
    Ok(vec![
        Value::Integer(place),
        stored(boolean)?,
        stored(integer)?,
        stored(real)?,
        stored(single)?,
        stored(text)?,
        stored(&Uuid::from_u128(*uuid))?,
        stored(time)?,
        stored(date)?,
        Value::Decimal(decimal(*number)),
    ])
}

async fn comes_back<S: Store>(worker: &Worker<S>, store: &S, fields: &[Fields]) -> Result<(), TestCaseError> {
    let table = TableRef { table: &TABLE, version: 1 };
    let rows: Vec<Vec<Value>> =
        (0..).zip(fields).map(|(place, fields)| row(place, fields)).collect::<Result<_, _>>()?;
    let change = |row: &Vec<Value>| RowChange {
        key: RowKey::new("", &row[..1]),
        row: Some(row.clone()),
        version: Version::new(1),
        position: GlobalPosition::new(1),
    };
    let changes: Vec<_> = rows.iter().map(change).collect();
    let keys: Vec<_> = changes.iter().map(|change| change.key.clone()).collect();
    let batch = worker.batch(BatchWork::Rows(WriteSet { table, changes }), None);
    store.project(batch).await.unwrap();
    let found: Vec<_> = store.rows(table, &keys).await.unwrap().into_iter().flatten().collect();
    prop_assert_eq!(format!("{:?}", found), format!("{:?}", rows));
    let selected =
        store.select(table, &Selection { limit: Some(rows.len() as u64), ..Selection::default() }).await.unwrap();
    prop_assert_eq!(format!("{:?}", selected), format!("{:?}", rows));
    Ok(())
}

fn on<S: Store>(store: S, runtime: &tokio::runtime::Runtime) {
    let worker = runtime.block_on(Worker::start(&store, &PROJECTION));
    let config = ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(fields in prop::collection::vec(fields(), 1..30))| {
        runtime.block_on(comes_back(&worker, &store, &fields))?;
    });
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

#[test]
fn every_value_of_a_column_comes_back_in_memory() {
    on(MemoryStore::new(), &runtime());
}

#[test]
fn every_value_of_a_column_comes_back_on_sqlite() {
    let (file, runtime) = (File::new(), runtime());
    on(runtime.block_on(file.open()), &runtime);
}

#[test]
fn every_value_of_a_column_comes_back_on_postgres() {
    if !Schema::is_left_out() {
        let (schema, runtime) = (Schema::new(), runtime());
        on(runtime.block_on(schema.open()), &runtime);
    }
}
