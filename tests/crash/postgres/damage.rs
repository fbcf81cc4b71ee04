//! Rows that somebody damaged are reported with their place; nothing is skipped.

use es_runtime::event::{GlobalPosition, Version};
use es_runtime::store::{EventStore, StoreError};
use es_runtime::testing::contract::fixture::{append, stream, within};

use crate::place::Place as _;
use crate::postgres::{Schema, schema};

/// Makes a store with events of two streams (`a` at the positions 1 and 4 to 6), damages its tables, and gives what reading says.
async fn after(schema: &Schema, damage: &str) -> [Option<(String, String)>; 3] {
    let store = schema.open().await;
    append(&store, &stream("a"), 0, 1).await;
    append(&store, &stream("b"), 0, 2).await;
    append(&store, &stream("a"), 1, 3).await;
    schema.raw(&format!("ALTER TABLE event_log DISABLE TRIGGER USER; {damage}")).await;
    let replay = store.read_stream(&stream("a"), Version::NONE, 100).await.map(drop);
    let history = store.read_history(&stream("a"), Version::NONE, 100).await.map(drop);
    let log = within(whole_page(&store)).await;
    store.close().await;
    [replay, history, log].map(|result| match result {
        Ok(()) => None,
        Err(StoreError::Damaged { place, reason }) => Some((place, reason)),
        Err(other) => panic!("{other:?}"),
    })
}

/// Reads the log as one page: what stands behind a gap comes when that is final.
async fn whole_page(store: &impl EventStore) -> Result<(), StoreError> {
    let head = store.head().await?;
    while store.read_all(GlobalPosition::START, 100).await?.last().is_none_or(|last| last.position() < head) {}
    Ok(())
}

/// Asserts that some of the three ways to read (replay, history, log) report the event of stream `a` at version 3, position 5.
async fn assert_reported(schema: &Schema, damage: &str, by: [bool; 3], reason: &str) {
    let reports = after(schema, damage).await;
    for (index, (report, expected)) in reports.iter().zip(by).enumerate() {
        assert_eq!(report.is_some(), expected, "{damage}: way {index}: {reports:?}");
        let Some((place, found)) = report else { continue };
        for part in ["table event_log", "stream `account/a`"] {
            assert!(place.contains(part), "{damage}: way {index}: `{place}` does not name {part}");
        }
        assert!(found.contains(reason), "{damage}: way {index}: {found}");
    }
}

#[tokio::test]
async fn broken_metadata_is_reported() {
    for meta in ["'{\"cmd\":'", "''", "'\\xff00'"] {
        let damage = format!("UPDATE event_log SET meta = {meta} WHERE position = 5");
        assert_reported(&schema!(), &damage, [false, true, true], "metadata").await;
    }
}

#[tokio::test]
async fn numbers_out_of_range_are_reported() {
    for number in ["-1", "4294967296"] {
        let damage = format!("UPDATE event_log SET schema_version = {number} WHERE position = 5");
        assert_reported(&schema!(), &damage, [true; 3], "schema version").await;
    }
}

#[tokio::test]
async fn missing_events_are_reported() {
    let damage = "UPDATE event_log SET version = 9 WHERE position = 5; DELETE FROM event_log WHERE position = 6";
    assert_reported(&schema!(), damage, [true; 3], "missing").await;
    // A lost event: the one behind it is where the hole is seen.
    assert_reported(&schema!(), "DELETE FROM event_log WHERE position = 4", [true; 3], "missing").await;
}

#[tokio::test]
async fn a_stream_without_a_name_is_reported() {
    let [replay, history, log] = after(&schema!(), "DELETE FROM streams WHERE key = 'a'").await;
    assert_eq!((replay, history), (None, None), "a stream that has no name is not there");
    let (place, _) = log.unwrap();
    assert!(place.contains("table streams"), "{place}");
}

#[tokio::test]
async fn the_log_refuses_updates_and_deletes() {
    let schema = schema!();
    let store = schema.open().await;
    append(&store, &stream("a"), 0, 1).await;
    let mut connection = schema.connect().await;
    for sql in ["UPDATE event_log SET kind = 'x'", "DELETE FROM event_log", "TRUNCATE event_log"] {
        let error = sqlx::raw_sql(sql).execute(&mut connection).await.unwrap_err();
        assert!(error.to_string().contains("append-only"), "{error}");
    }
    assert_eq!(store.event_count().await.unwrap(), 1);
}
