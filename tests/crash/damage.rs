//! Damaged rows are reported with their place; nothing is skipped.

use std::path::Path;

use es_runtime::event::{GlobalPosition, Version};
use es_runtime::store::{AppendError, EventStore as _, Ledger as _, SqliteStore, StoreError};
use es_runtime::testing::contract::fixture::{With as _, append, commit, store_one, stream};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};

/// Connects to a store's file without the store.
pub(super) async fn connect(file: &Path) -> SqliteConnection {
    SqliteConnectOptions::new().filename(file).foreign_keys(false).connect().await.unwrap()
}

/// Runs statements on a store's file without the store.
pub async fn raw(file: &Path, sql: &str) {
    let mut connection = connect(file).await;
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

/// Makes a store with events of two streams (`a` at the positions 1 and 4 to 6), damages its file, and gives what reading says.
async fn after(damage: &str) -> [Option<(String, String)>; 3] {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("es.db");
    let store = SqliteStore::open(&file).await.unwrap();
    append(&store, &stream("a"), 0, 1).await;
    append(&store, &stream("b"), 0, 2).await;
    append(&store, &stream("a"), 1, 3).await;
    let free = "DROP TRIGGER event_log_is_not_updated; DROP TRIGGER event_log_is_not_deleted;";
    raw(&file, &format!("{free} {damage}")).await;
    let replay = store.read_stream(&stream("a"), Version::NONE, 100).await.map(drop);
    let history = store.read_history(&stream("a"), Version::NONE, 100).await.map(drop);
    let log = store.read_all(GlobalPosition::START, 100).await.map(drop);
    store.close().await;
    [replay, history, log].map(|result| match result {
        Ok(()) => None,
        Err(StoreError::Damaged { place, reason }) => Some((place, reason)),
        Err(other) => panic!("{other:?}"),
    })
}

/// Asserts that some of the three ways to read (replay, history, log) report the event of stream `a` at version 3, position 5.
async fn assert_reported(damage: &str, by: [bool; 3], reason: &str) {
    let reports = after(damage).await;
    for (index, (report, expected)) in reports.iter().zip(by).enumerate() {
        assert_eq!(report.is_some(), expected, "{damage}: way {index}: {reports:?}");
        let Some((place, found)) = report else { continue };
        for part in ["table event_log", "stream `account/a`", "position 5"] {
            assert!(place.contains(part), "{damage}: way {index}: `{place}` does not name {part}");
        }
        assert!(found.contains(reason), "{damage}: way {index}: {found}");
    }
}

#[tokio::test]
async fn broken_metadata_is_reported() {
    let by = [false, true, true];
    assert_reported("UPDATE event_log SET meta = CAST('{\"cmd\":' AS BLOB) WHERE position = 5", by, "metadata").await;
    assert_reported("UPDATE event_log SET meta = x'' WHERE position = 5", by, "metadata").await;
    assert_reported("UPDATE event_log SET meta = x'ff00' WHERE position = 5", by, "metadata").await;
}

#[tokio::test]
async fn an_event_id_of_another_length_is_reported() {
    let by = [false, true, true];
    assert_reported("UPDATE event_log SET event_id = x'0102' WHERE position = 5", by, "16 bytes").await;
    // The lengths of two neighbours add up to the right one.
    let sql = "UPDATE event_log SET event_id = zeroblob(15) WHERE position = 5; \
        UPDATE event_log SET event_id = zeroblob(17) WHERE position = 6";
    assert_reported(sql, by, "16 bytes").await;
}

#[tokio::test]
async fn a_name_that_is_no_text_is_reported() {
    assert_reported("UPDATE event_log SET kind = CAST(x'ff41' AS TEXT) WHERE position = 5", [true; 3], "UTF-8").await;
}

#[tokio::test]
async fn numbers_out_of_range_are_reported() {
    assert_reported("UPDATE event_log SET schema_version = -1 WHERE position = 5", [true; 3], "schema version").await;
    assert_reported("UPDATE event_log SET schema_version = 4294967296 WHERE position = 5", [true; 3], "schema version")
        .await;
    assert_reported("UPDATE event_log SET at = 9223372036854775807 WHERE position = 5", [false, true, true], "time")
        .await;
}

#[tokio::test]
async fn missing_events_are_reported() {
    assert_reported(
        "UPDATE event_log SET version = 9 WHERE position = 5; DELETE FROM event_log WHERE position = 6",
        [true; 3],
        "missing",
    )
    .await;
    // A lost event: the one behind it is where the hole is seen.
    assert_reported("DELETE FROM event_log WHERE position = 4", [true; 3], "missing").await;
}

#[tokio::test]
async fn a_stream_without_a_name_is_reported() {
    let [replay, history, log] = after("DELETE FROM streams WHERE key = 'a'").await;
    assert_eq!((replay, history), (None, None), "a stream that has no name is not there");
    let (place, reason) = log.unwrap();
    assert!(place.contains("table streams, number 1") && reason.contains("position 1"), "{place}: {reason}");
    let [_, _, log] = after("UPDATE streams SET key = CAST(x'ff' AS TEXT) WHERE key = 'a'").await;
    assert!(log.unwrap().1.contains("UTF-8"));
}

#[tokio::test]
async fn a_damaged_ledger_entry_fails_only_whoever_needs_it() {
    for damage in ["hash = x'00'", "event_ids = x'00'", "version = -1", "stream_no = 99", "output = x''"] {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("es.db");
        let store = SqliteStore::open(&file).await.unwrap();
        store_one(&store, commit(&stream("a"), 0, 1).keyed("k")).await.unwrap();
        raw(&file, &format!("UPDATE command_ledger SET {damage}")).await;
        if damage.starts_with("output") {
            // Any bytes are an output.
            store.find("", "k").await.unwrap().unwrap();
            continue;
        }
        let found = store.find("", "k").await;
        assert!(matches!(&found, Err(StoreError::Damaged { place, .. }) if place.contains("key `k`")), "{found:?}");
        let commits =
            vec![commit(&stream("b"), 0, 1), commit(&stream("c"), 0, 1).keyed("k"), commit(&stream("d"), 0, 1)];
        let results = es_runtime::testing::contract::fixture::store_together(&store, commits).await;
        assert!(results[0].is_ok() && results[2].is_ok(), "{results:?}");
        assert!(matches!(results[1], Err(AppendError::Store(StoreError::Damaged { .. }))), "{results:?}");
        store.close().await;
    }
}

#[tokio::test]
async fn the_log_refuses_updates_and_deletes() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("es.db");
    let store = SqliteStore::open(&file).await.unwrap();
    append(&store, &stream("a"), 0, 1).await;
    let mut connection = connect(&file).await;
    for sql in ["UPDATE event_log SET kind = 'x'", "DELETE FROM event_log", "DELETE FROM event_log WHERE position = 1"]
    {
        let error = sqlx::raw_sql(sql).execute(&mut connection).await.unwrap_err();
        assert!(error.to_string().contains("append-only"), "{error}");
    }
    store.close().await;
}
