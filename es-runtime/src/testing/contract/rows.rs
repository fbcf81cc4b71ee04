//! Rows: what is written comes back, by key and by selection.

use std::collections::BTreeSet;

use chrono::{DateTime, NaiveDate, Utc};
use uuid::Uuid;

use super::read_side::*;
use crate::event::{GlobalPosition, Version};
use crate::projection::{ProjectionDescriptor, ProjectionStyle};
use crate::read_model::{
    ColumnDescriptor, ColumnType, Filter, Order, ReadModel as _, RowChange, RowKey, Selection, TableDescriptor,
    TableRef, Test, Value, WriteSet,
};
use crate::store::{BatchWork, Store, StoreError};

const fn nullable(name: &'static str, ty: ColumnType) -> ColumnDescriptor {
    ColumnDescriptor { name, ty, nullable: true, key: false, index: true }
}

/// A column of each type, and a key of two columns.
static KINDS: TableDescriptor = TableDescriptor {
    name: "kinds",
    columns: &[
        nullable("boolean", ColumnType::Boolean),
        nullable("integer", ColumnType::Integer),
        ColumnDescriptor { name: "place", ty: ColumnType::Text, nullable: false, key: true, index: false },
        nullable("real", ColumnType::Real),
        nullable("text", ColumnType::Text),
        nullable("uuid", ColumnType::Uuid),
        nullable("timestamp", ColumnType::Timestamp),
        nullable("date", ColumnType::Date),
        ColumnDescriptor { name: "number", ty: ColumnType::Integer, nullable: false, key: true, index: false },
        nullable("decimal", ColumnType::Decimal),
        nullable("json", ColumnType::Json),
    ],
};
static KINDS_PROJECTION: ProjectionDescriptor = ProjectionDescriptor {
    name: "kinds",
    version: 1,
    type_name: "Kinds",
    style: ProjectionStyle::Folded,
    table: Some(&KINDS),
    partitions: 1,
    renamed_from: None,
    resets: false,
    handlers: &[],
};
const PLACE: usize = 2;
const NUMBER: usize = 8;
const TEXT: usize = 4;
const DECIMAL: usize = 9;

/// A column of each type but floating-point numbers: a store may read such a table in another way.
static PLAIN: TableDescriptor = TableDescriptor {
    name: "plain",
    columns: &[
        nullable("boolean", ColumnType::Boolean),
        nullable("integer", ColumnType::Integer),
        ColumnDescriptor { name: "place", ty: ColumnType::Text, nullable: false, key: true, index: false },
        nullable("text", ColumnType::Text),
        nullable("uuid", ColumnType::Uuid),
        nullable("timestamp", ColumnType::Timestamp),
        nullable("date", ColumnType::Date),
        nullable("decimal", ColumnType::Decimal),
        ColumnDescriptor { name: "number", ty: ColumnType::Integer, nullable: false, key: true, index: false },
        nullable("json", ColumnType::Json),
    ],
};
static PLAIN_PROJECTION: ProjectionDescriptor =
    ProjectionDescriptor { name: "plain", table: Some(&PLAIN), ..KINDS_PROJECTION };

fn kinds() -> TableRef {
    table(&KINDS_PROJECTION)
}

fn moment(text: &str) -> Value {
    let moment = DateTime::parse_from_rfc3339(text).expect("a moment");
    Value::Timestamp(moment.with_timezone(&Utc))
}

fn day(year: i32, month: u32, day: u32) -> Value {
    Value::Date(NaiveDate::from_ymd_opt(year, month, day).expect("a day"))
}

fn texts(texts: &[&str], make: fn(String) -> Value) -> Vec<Value> {
    texts.iter().map(|text| make((*text).to_owned())).collect()
}

/// Values of a column, in ascending order, no two equal.
fn ascending(ty: ColumnType) -> Vec<Value> {
    match ty {
        ColumnType::Boolean => vec![Value::Boolean(false), Value::Boolean(true)],
        ColumnType::Integer => [i64::MIN, -1, 0, 1, 9, 10, i64::MAX].map(Value::Integer).into(),
        ColumnType::Real => {
            [f64::MIN, -1.5, -f64::MIN_POSITIVE, 0.0, 0.1, 1.0 / 3.0, 2.0, 9_007_199_254_740_992.0, f64::MAX]
                .map(Value::Real)
                .into()
        }
        ColumnType::Text => {
            texts(&["", " ", "%", "'; --", "A", "_", "a", "a\0", "a\0b", "ab", "b", "ä", "\u{feff}", "🦀"], Value::Text)
        }
        ColumnType::Uuid => [0, 1, 1 << 64, u128::MAX].map(|id| Value::Uuid(Uuid::from_u128(id))).into(),
        ColumnType::Timestamp => vec![
            moment("0000-01-01T00:00:00Z"),
            moment("1969-12-31T23:59:59.999999999Z"),
            moment("2026-01-01T00:00:00Z"),
            moment("2026-01-01T00:00:00.000000001Z"),
            moment("2026-01-01T00:00:00.5Z"),
            moment("9999-12-31T23:59:59.999999999Z"),
        ],
        ColumnType::Date => vec![day(0, 1, 1), day(1969, 12, 31), day(2026, 2, 28), day(9999, 12, 31)],
        ColumnType::Decimal => texts(
            &[
                "-100000000000000000000.5",
                "-10.5",
                "-9",
                "-0.001",
                "0.00",
                "0.10",
                "1.1",
                "9",
                "10.000",
                "79228162514264337593543950335",
            ],
            Value::Decimal,
        ),
        ColumnType::Json => texts(&["[1,2]", "null", "{\"a\":1}"], Value::Json),
    }
}

/// One row for each value of a column, and one without: the number is the value's place; all other columns are empty.
fn rows_of_column(place: &str, column: usize) -> Vec<Vec<Value>> {
    let values = ascending(KINDS.columns[column].ty).into_iter().map(Some).chain([None]);
    let row = |(number, value): (i64, Option<Value>)| {
        let mut row = vec![Value::Null; KINDS.columns.len()];
        row[PLACE] = Value::Text(place.to_owned());
        row[NUMBER] = Value::Integer(number);
        if let Some(value) = value {
            row[column] = value;
        }
        row
    };
    (0..).zip(values).map(row).collect()
}

fn columns() -> impl Iterator<Item = usize> {
    (0..KINDS.columns.len()).filter(|column| ![PLACE, NUMBER].contains(column))
}

fn key(tenant: &str, row: &[Value]) -> RowKey {
    RowKey::new(tenant, &[row[PLACE].clone(), row[NUMBER].clone()])
}

fn changes(tenant: &str, rows: &[Vec<Value>]) -> Vec<RowChange> {
    let change = |row: &Vec<Value>| RowChange {
        key: key(tenant, row),
        row: Some(row.clone()),
        version: Version::new(1),
        position: GlobalPosition::new(1),
    };
    rows.iter().map(change).collect()
}

async fn write<S: Store>(store: &S, changes: Vec<RowChange>) {
    let mut worker = Worker::start(store, &KINDS_PROJECTION).await;
    let batch = worker.batch(BatchWork::Rows(WriteSet { table: kinds(), changes }), None);
    worker.project(batch).await.expect("written");
    store.leave(worker.process).await.expect("left");
}

async fn select<S: Store>(store: &S, selection: &Selection) -> Vec<Vec<Value>> {
    store.select(kinds(), selection).await.expect("readable")
}

fn numbers(rows: &[Vec<Value>]) -> Vec<i64> {
    let number = |row: &Vec<Value>| match row[NUMBER] {
        Value::Integer(number) => number,
        ref other => panic!("{other:?} is no number"),
    };
    rows.iter().map(number).collect()
}

/// Checks what its name says, at the limits of each type, and without values.
pub async fn rows_of_every_column_type_come_back<S: Store>(store: S) {
    for column in columns() {
        let rows = rows_of_column("a", column);
        write(&store, changes("", &rows)).await;
        let keys: Vec<_> = rows.iter().map(|row| key("", row)).collect();
        let found = store.rows(kinds(), &keys).await.expect("readable");
        assert_eq!(found, rows.iter().cloned().map(Some).collect::<Vec<_>>(), "column {column}");
        let selected = select(&store, &Selection { filters: vec![], ..Selection::default() }).await;
        assert_eq!(selected, rows, "column {column}");
        let gone = keys.into_iter().map(|key| RowChange {
            key,
            row: None,
            version: 2.into(),
            position: GlobalPosition::new(2),
        });
        write(&store, gone.collect()).await;
        assert_eq!(store.count(kinds(), &Selection::default()).await.expect("readable"), 0);
    }
}

/// Values of a column that are easily changed on their way: at the limits, equal to others, or written as no other value is.
fn delicate(ty: ColumnType) -> Vec<Value> {
    match ty {
        ColumnType::Integer => {
            [i64::MIN, i64::MIN + 1, -(1 << 53) - 1, (1 << 53) + 1, i64::MAX].map(Value::Integer).into()
        }
        ColumnType::Real => [
            -0.0,
            0.0,
            f64::from_bits(1),
            -f64::from_bits(1),
            f64::from_bits((1 << 52) - 1),
            f64::MIN_POSITIVE,
            f64::EPSILON,
            1.071_566_039_146_582_6e-75,
            985.690_694_632_869_5,
            9_007_199_254_740_993.0,
            f64::MAX,
            f64::MIN,
        ]
        .map(Value::Real)
        .into(),
        ColumnType::Text => texts(
            &[
                "",
                "\0",
                "\0\0",
                "\u{1}",
                "\u{1}\u{1}",
                "\u{1}\u{2}",
                "\0\u{1}",
                "\u{1f}\u{7f}",
                "\u{d7ff}\u{e000}",
                "\u{fffd}\u{ffff}",
                "\u{10ffff}",
                "\u{2028}",
                "\r\n",
                "\\u0000",
                "\"\\",
                "-0",
                "1e5",
                " 1 ",
                "null",
                "e\u{301}",
            ],
            Value::Text,
        ),
        ColumnType::Boolean | ColumnType::Uuid => ascending(ty),
        ColumnType::Timestamp => vec![
            moment("0000-01-01T00:00:00Z"),
            moment("1582-10-10T12:00:00.000000001Z"),
            moment("1969-12-31T23:59:59.999999999Z"),
            moment("2016-12-31T23:59:60Z"),
            moment("2016-12-31T23:59:60.999999999Z"),
            moment("9999-12-31T23:59:59.999999999Z"),
        ],
        ColumnType::Date => vec![day(0, 1, 1), day(0, 2, 29), day(1582, 10, 10), day(2024, 2, 29), day(9999, 12, 31)],
        ColumnType::Decimal => texts(
            &[
                "0",
                "-0",
                "0.00",
                "-0.000",
                "1.10",
                "100",
                "79228162514264337593543950335",
                "-79228162514264337593543950335",
                "0.0000000000000000000000000001",
                "7.9228162514264337593543950335",
            ],
            Value::Decimal,
        ),
        ColumnType::Json => {
            texts(&["{ \"b\" : 1, \"a\":-0.0 }", "\"\\u0000\"", "[1.0e2, 1, 1.00]", "{\"a\":1,\"a\":2}"], Value::Json)
        }
    }
}

/// One row for each delicate value of a column; all other columns are empty.
fn delicate_rows(table: TableRef, column: usize) -> Vec<Vec<Value>> {
    let columns = table.table.columns;
    let row = |(number, value): (i64, Value)| -> Vec<Value> {
        let filled = |(place, of): (usize, &ColumnDescriptor)| match of.name {
            "place" => Value::Text(columns[column].name.to_owned()),
            "number" => Value::Integer(number),
            _ if place == column => value.clone(),
            _ => Value::Null,
        };
        columns.iter().enumerate().map(filled).collect()
    };
    (0..).zip(delicate(columns[column].ty)).map(row).collect()
}

/// Writes rows and asserts that they come back as they are, by key and by selection.
async fn assert_rows_come_back<S: Store>(store: &S, worker: &Worker<S>, table: TableRef, rows: &[Vec<Value>]) {
    let key = |row: &Vec<Value>| {
        RowKey::new("", &table.table.key_columns().map(|place| row[place].clone()).collect::<Vec<_>>())
    };
    let change = |row: &Vec<Value>| RowChange {
        key: key(row),
        row: Some(row.clone()),
        version: Version::new(1),
        position: GlobalPosition::new(1),
    };
    let changes = rows.iter().map(change).collect();
    let batch = worker.batch(BatchWork::Rows(WriteSet { table, changes }), None);
    store.project(batch).await.expect("written");
    let found = store.rows(table, &rows.iter().map(key).collect::<Vec<_>>()).await.expect("readable");
    let found: Vec<_> = found.into_iter().flatten().collect();
    // As texts: -0.0 equals 0.0.
    assert_eq!(format!("{found:?}"), format!("{rows:?}"), "by key");
    let place = table.table.column("place").unwrap_or_default();
    let filters = vec![Filter { column: place, test: Test::Equals(rows[0][place].clone()) }];
    let selected = store.select(table, &Selection { filters, ..Selection::default() }).await.expect("readable");
    assert_eq!(format!("{selected:?}"), format!("{rows:?}"), "selected");
}

/// Verifies that every value comes back as it was written, to the last bit: from a table with floating-point numbers and from one without,
/// inserted and replacing another value.
pub async fn every_value_comes_back_to_the_last_bit<S: Store>(store: S) {
    for projection in [&KINDS_PROJECTION, &PLAIN_PROJECTION] {
        let (worker, table) = (Worker::start(&store, projection).await, table(projection));
        for (column, _) in table.table.columns.iter().enumerate().filter(|(_, of)| !of.key) {
            let mut rows = delicate_rows(table, column);
            assert_rows_come_back(&store, &worker, table, &rows).await;
            // Each row gets the value of the next one.
            let mut values: Vec<_> = rows.iter().map(|row| row[column].clone()).collect();
            values.rotate_left(1);
            for (row, value) in rows.iter_mut().zip(values) {
                row[column] = value;
            }
            assert_rows_come_back(&store, &worker, table, &rows).await;
        }
        store.leave(worker.process).await.expect("left");
    }
}

/// Checks what its name says, and that a row that is not there can be deleted.
pub async fn a_row_is_replaced_and_deleted<S: Store>(store: S) {
    let mut rows = rows_of_column("a", TEXT);
    write(&store, changes("", &rows)).await;
    rows[1][TEXT] = Value::Null;
    rows[2][TEXT] = Value::Text("new".into());
    let mut next = changes("", &rows[1..3]);
    next.push(RowChange { row: None, ..changes("", &rows[..1])[0].clone() });
    next.push(RowChange {
        key: RowKey::new("", &[Value::Text("no such".into()), Value::Integer(1)]),
        row: None,
        version: Version::new(2),
        position: GlobalPosition::new(2),
    });
    write(&store, next).await;
    assert_eq!(select(&store, &Selection::default()).await, rows[1..]);
}

/// Checks what its name says: one answer a key, also where a key comes twice or names nothing.
pub async fn rows_answer_each_key_in_order<S: Store>(store: S) {
    let rows = rows_of_column("a", TEXT);
    write(&store, changes("", &rows)).await;
    let absent = RowKey::new("", &[Value::Text("b".into()), Value::Integer(0)]);
    let keys = [key("", &rows[2]), absent, key("", &rows[0]), key("", &rows[2])];
    let found = store.rows(kinds(), &keys).await.expect("readable");
    assert_eq!(found, [Some(rows[2].clone()), None, Some(rows[0].clone()), Some(rows[2].clone())]);
    assert_eq!(store.rows(kinds(), &[]).await.expect("readable"), Vec::<Option<Vec<Value>>>::new());
}

/// Checks what its name says: more rows than a statement takes.
pub async fn many_rows_are_written_and_read_at_once<S: Store>(store: S) {
    let row = |number: i64| {
        let mut row = vec![Value::Null; KINDS.columns.len()];
        (row[PLACE], row[NUMBER]) = (Value::Text("many".into()), Value::Integer(number));
        row[1] = Value::Integer(-number);
        row
    };
    let rows: Vec<_> = (0..33_000).map(row).collect();
    write(&store, changes("", &rows)).await;
    assert_eq!(store.count(kinds(), &Selection::default()).await.expect("readable"), 33_000);
    let keys: Vec<_> = rows.iter().map(|row| key("", row)).collect();
    let found = store.rows(kinds(), &keys).await.expect("readable");
    assert!(found.into_iter().flatten().eq(rows.iter().cloned()));
    let filters =
        vec![Filter { column: 1, test: Test::In((0..1_000).map(|number| Value::Integer(-number)).collect()) }];
    let selection = Selection { filters, limit: Some(900), ..Selection::default() };
    assert!(select(&store, &selection).await == rows[..900]);
}

/// Checks what its name says.
pub async fn keys_with_every_kind_of_character_stay_apart<S: Store>(store: S) {
    let places = ["", "a", "A", "a\0", "a\0b", "ä", "a\u{308}", "\",", "[\"", "\\", "\\u0000", "'", "🦀", "null", "1"];
    let rows: Vec<_> = places.iter().flat_map(|place| rows_of_column(place, 0)).collect();
    write(&store, changes("", &rows)).await;
    let keys: Vec<_> = rows.iter().map(|row| key("", row)).collect();
    let found = store.rows(kinds(), &keys).await.expect("readable");
    assert!(found.into_iter().flatten().eq(rows.iter().cloned()));
    assert_eq!(select(&store, &Selection::default()).await.len(), rows.len());
}

/// Checks each comparison at each value of each column, against the order that the values are written down in.
pub async fn every_comparison_selects_what_it_says<S: Store>(store: S) {
    type Named = (&'static str, fn(Value) -> Test, fn(usize, usize) -> bool);
    let tests: [Named; 7] = [
        ("equals", Test::Equals, |a, b| a == b),
        ("differs", Test::Differs, |a, b| a != b),
        ("in", |value| Test::In(vec![value]), |a, b| a == b),
        ("less", Test::Less, |a, b| a < b),
        ("at most", Test::AtMost, |a, b| a <= b),
        ("greater", Test::Greater, |a, b| a > b),
        ("at least", Test::AtLeast, |a, b| a >= b),
    ];
    for column in columns() {
        let (place, values) = (KINDS.columns[column].name, ascending(KINDS.columns[column].ty));
        write(&store, changes("", &rows_of_column(place, column))).await;
        let of_place = Filter { column: PLACE, test: Test::Equals(Value::Text(place.to_owned())) };
        for (pivot, value) in values.iter().enumerate() {
            for (word, test, fits) in tests {
                let filters = vec![of_place.clone(), Filter { column, test: test(value.clone()) }];
                let selection = Selection { filters, ..Selection::default() };
                let mut expected: Vec<_> = (0..values.len()).filter(|place| fits(*place, pivot)).collect();
                // A row without a value differs from every other.
                expected.extend((word == "differs").then_some(values.len()));
                let found: Vec<_> = numbers(&select(&store, &selection).await);
                let expected: Vec<_> = expected.into_iter().map(|place| i64::try_from(place).unwrap_or(0)).collect();
                assert_eq!(found, expected, "{place} {word} {value:?}");
                let count = store.count(kinds(), &selection).await.expect("readable");
                assert_eq!(count, found.len() as u64, "{place} {word} {value:?}");
            }
        }
    }
}

/// Checks what its name says.
pub async fn rows_without_a_value_are_found_and_left_out<S: Store>(store: S) {
    let rows = rows_of_column("a", TEXT);
    write(&store, changes("", &rows)).await;
    let (none, last) = (rows.len() - 1, i64::try_from(rows.len() - 1).unwrap_or(0));
    let cases = [
        (Test::Equals(Value::Null), vec![last]),
        (Test::Differs(Value::Null), (0..last).collect()),
        (Test::In(vec![Value::Null, rows[0][TEXT].clone()]), vec![0, last]),
        (Test::In(vec![]), vec![]),
        (Test::Less(Value::Null), vec![]),
        (Test::AtMost(Value::Null), vec![]),
        (Test::Greater(Value::Null), vec![]),
        (Test::AtLeast(Value::Null), vec![]),
    ];
    assert_eq!(rows[none][TEXT], Value::Null);
    for (test, expected) in cases {
        let text = format!("{test:?}");
        let selection = Selection { filters: vec![Filter { column: TEXT, test }], ..Selection::default() };
        assert_eq!(numbers(&select(&store, &selection).await), expected, "{text}");
    }
}

/// Checks what its name says: no character means another.
pub async fn texts_are_found_by_their_beginning<S: Store>(store: S) {
    let rows = rows_of_column("a", TEXT);
    write(&store, changes("", &rows)).await;
    for start in ["", "a", "A", "%", "_", "a\0", "'", "b", "x", "🦀", "\u{10ffff}", "ä", "*", "\\"] {
        let expected: Vec<i64> = (0..)
            .zip(&rows)
            .filter(|(_, row)| matches!(&row[TEXT], Value::Text(text) if text.starts_with(start)))
            .map(|(number, _)| number)
            .collect();
        let test = Test::StartsWith(start.to_owned());
        let selection = Selection { filters: vec![Filter { column: TEXT, test }], ..Selection::default() };
        assert_eq!(numbers(&select(&store, &selection).await), expected, "{start:?}");
    }
}

/// Checks what its name says, and that they come back as they were written.
pub async fn decimals_are_equal_by_their_worth<S: Store>(store: S) {
    let mut rows = rows_of_column("a", DECIMAL);
    rows.truncate(4);
    for (row, text) in rows.iter_mut().zip(["1.10", "1.1", "01.100", "1.11"]) {
        row[DECIMAL] = Value::Decimal(text.to_owned());
    }
    write(&store, changes("", &rows)).await;
    for test in [Test::Equals, Test::AtMost, (|value| Test::In(vec![value])) as fn(Value) -> Test] {
        let filters = vec![Filter { column: DECIMAL, test: test(Value::Decimal("1.1000".to_owned())) }];
        assert_eq!(select(&store, &Selection { filters, ..Selection::default() }).await, rows[..3]);
    }
    // Equal ones stand in the order of their keys.
    let order = vec![Order { column: DECIMAL, descending: true }];
    assert_eq!(numbers(&select(&store, &Selection { order, ..Selection::default() }).await), [3, 0, 1, 2]);
}

/// Checks what its name says, for each type of column.
pub async fn orders_put_rows_without_a_value_first_or_last<S: Store>(store: S) {
    for column in columns() {
        let place = KINDS.columns[column].name;
        let rows = rows_of_column(place, column);
        write(&store, changes("", &rows)).await;
        let filters = vec![Filter { column: PLACE, test: Test::Equals(Value::Text(place.to_owned())) }];
        let last = i64::try_from(rows.len() - 1).unwrap_or(0);
        for descending in [false, true] {
            let mut expected: Vec<_> = [last].into_iter().chain(0..last).collect();
            if descending {
                expected.reverse();
            }
            let order = vec![Order { column, descending }];
            let selection = Selection { filters: filters.clone(), order, ..Selection::default() };
            assert_eq!(numbers(&select(&store, &selection).await), expected, "{place}, descending: {descending}");
            let selection = Selection { limit: Some(2), ..selection };
            assert_eq!(numbers(&select(&store, &selection).await), expected[..2], "{place}");
        }
    }
}

/// Checks what its name says, in both directions, with many rows that are equal or without values in the order's columns.
pub async fn pages_give_every_row_once<S: Store>(store: S) {
    let row = |number: i64| {
        let mut row = vec![Value::Null; KINDS.columns.len()];
        row[PLACE] = Value::Text(if number % 2 == 0 { "even" } else { "odd" }.to_owned());
        row[NUMBER] = Value::Integer(number);
        row[1] = if number % 3 == 0 { Value::Null } else { Value::Integer(number % 4) };
        row[DECIMAL] = if number % 5 == 0 { Value::Null } else { Value::Decimal(format!("{}.50", number % 2)) };
        row
    };
    let rows: Vec<_> = (0..40).map(row).collect();
    write(&store, changes("", &rows)).await;
    write(&store, changes("other", &rows)).await;
    for (first, second) in [(false, false), (false, true), (true, false), (true, true)] {
        let order = vec![Order { column: DECIMAL, descending: first }, Order { column: 1, descending: second }];
        let selection = Selection { order, ..Selection::default() };
        let whole = select(&store, &selection).await;
        assert_eq!(numbers(&whole).into_iter().collect::<BTreeSet<_>>(), (0..40).collect(), "each row once");
        for size in [1, 2, 7, 39, 40, 41] {
            let mut paged: Vec<Vec<Value>> = Vec::new();
            loop {
                let after =
                    paged.last().map(|row| [DECIMAL, 1, PLACE, NUMBER].map(|column| row[column].clone()).into());
                let page = select(&store, &Selection { after, limit: Some(size), ..selection.clone() }).await;
                if page.is_empty() {
                    break;
                }
                paged.extend(page);
                assert!(paged.len() <= 40, "a row came twice");
            }
            assert_eq!(paged, whole, "pages of {size}, descending: {first}, {second}");
        }
    }
}

/// Checks what its name says, also where one tenant's name begins with another's or looks like a key.
pub async fn rows_of_tenants_are_apart<S: Store>(store: S) {
    let tenants = ["", "acme", "acm", "acme\",\"a", "ACME", "acme\0"];
    for (tenant, count) in tenants.iter().zip(1..) {
        write(&store, changes(tenant, &rows_of_column(&format!("of {tenant}"), TEXT)[..count])).await;
    }
    for (tenant, count) in tenants.iter().zip(1..) {
        let selection = Selection { tenant: (*tenant).to_owned(), ..Selection::default() };
        let rows = rows_of_column(&format!("of {tenant}"), TEXT);
        assert_eq!(select(&store, &selection).await, rows[..count], "{tenant:?}");
        assert_eq!(store.count(kinds(), &selection).await.expect("readable"), count as u64);
        let found = store.rows(kinds(), &[key("nobody", &rows[0]), key(tenant, &rows[0])]).await.expect("readable");
        assert_eq!(found, [None, Some(rows[0].clone())]);
    }
    assert_eq!(select(&store, &Selection { tenant: "nobody".into(), ..Selection::default() }).await.len(), 0);
}

/// Checks what its name says.
pub async fn rows_of_versions_are_apart<S: Store>(store: S) {
    let (mut first, mut second) = (Worker::start(&store, &FIRST).await, Worker::start(&store, &SECOND).await);
    record(&store, &super::fixture::stream("a"), 0, &["opened", "deposited:5"]).await;
    first.catch_up().await;
    assert_eq!(state(&store, &FIRST, "a").await, seen(5, "1 2"));
    assert_eq!(state(&store, &SECOND, "a").await, None);
    second.catch_up().await;
    assert_eq!(state(&store, &SECOND, "a").await, seen(5, "1 2"));
}

/// Checks what its name says: a reader has to be able to look for the version that serves now.
pub async fn a_table_that_is_not_there_is_gone<S: Store>(store: S) {
    let table = TableRef { table: &BALANCES, version: 7 };
    let key = Balance::row_key("", &"a".to_owned()).expect("a key");
    let rows = store.rows(table, &[key]).await;
    assert!(matches!(rows, Err(StoreError::Gone { .. })), "{rows:?}");
    let rows = store.select(table, &Selection::default()).await;
    assert!(matches!(rows, Err(StoreError::Gone { .. })), "{rows:?}");
    let count = store.count(table, &Selection::default()).await;
    assert!(matches!(count, Err(StoreError::Gone { .. })), "{count:?}");
}
