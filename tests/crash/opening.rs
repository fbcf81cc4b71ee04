//! Opening files, strange ones too, and letting go of them.

use std::time::Duration;

use es_runtime::store::{EventStore as _, SqliteStore, StoreError};
use es_runtime::testing::contract::fixture::{append, stream, version, within};
use futures_util::future::join_all;

use super::damage::raw;

#[tokio::test]
async fn many_may_open_a_new_file_at_once() {
    for _ in 0..5 {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("es.db");
        let stores = join_all((0..8).map(|_| tokio::spawn(SqliteStore::open(file.clone())))).await;
        for (index, store) in stores.into_iter().enumerate() {
            let store = store.unwrap().unwrap();
            append(&store, &stream("a"), index as u64, 1).await;
            store.close().await;
        }
    }
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("es.db");
    SqliteStore::open(&file).await.unwrap().close().await;
    let sql = "INSERT INTO _es_migrations (version, description, success, checksum, execution_time) \
        VALUES (7, 'from the future', TRUE, x'00', 0)";
    raw(&file, sql).await;
    let refused = SqliteStore::open(&file).await;
    assert!(matches!(refused, Err(StoreError::NewerSchema { found: 7, known: 5 })), "{refused:?}");
}

#[tokio::test]
async fn a_migration_with_another_text_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("es.db");
    SqliteStore::open(&file).await.unwrap().close().await;
    raw(&file, "UPDATE _es_migrations SET checksum = x'00'").await;
    let refused = SqliteStore::open(&file).await;
    assert!(
        matches!(&refused, Err(StoreError::Damaged { place, .. }) if place.contains("_es_migrations")),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("letter.txt");
    let text = "Dear reader, this is no database. ".repeat(500);
    std::fs::write(&file, &text).unwrap();
    let refused = SqliteStore::open(&file).await;
    assert!(matches!(refused, Err(StoreError::Damaged { .. })), "{refused:?}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
}

#[tokio::test]
async fn a_missing_folder_is_an_error_that_names_what_was_tried() {
    let folder = tempfile::tempdir().unwrap();
    let refused = SqliteStore::open(folder.path().join("no/such/folder/es.db")).await;
    assert!(
        matches!(&refused, Err(StoreError::Unavailable { reason, .. }) if reason.contains("opening")),
        "{refused:?}"
    );
}

#[tokio::test]
async fn names_of_files_are_taken_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["with space.db", "100%.db", "a?b=c.db", "a#b.db", "ü.db", ":memory:"] {
        let file = folder.path().join(name);
        let store = SqliteStore::open(&file).await.unwrap();
        append(&store, &stream("a"), 0, 1).await;
        store.close().await;
        assert!(file.exists(), "{name}");
        let store = SqliteStore::open(&file).await.unwrap();
        assert_eq!(version(&store, &stream("a")).await, 1);
        store.close().await;
    }
}

#[tokio::test]
async fn the_last_handle_that_is_dropped_frees_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("es.db");
    let store = SqliteStore::open(&file).await.unwrap();
    append(&store, &stream("a"), 0, 1).await;
    assert_eq!(version(&store, &stream("a")).await, 1);
    let ticket = store.submit(es_runtime::testing::contract::fixture::commit(&stream("b"), 0, 1)).await;
    drop(store);
    within(ticket).await.expect("submitted before the end");
    // The last connection of all removes the write-ahead log.
    let wal = file.with_extension("db-wal");
    within(async {
        let mut look = tokio::time::interval(Duration::from_millis(2));
        while wal.exists() {
            look.tick().await;
        }
    })
    .await;
    let store = SqliteStore::open(&file).await.unwrap();
    assert_eq!(version(&store, &stream("b")).await, 1);
}

#[tokio::test]
async fn stores_in_memory_are_separate() {
    let (one, two) = (SqliteStore::in_memory().await.unwrap(), SqliteStore::in_memory().await.unwrap());
    append(&one, &stream("a"), 0, 1).await;
    assert_eq!(two.event_count().await.unwrap(), 0);
}
