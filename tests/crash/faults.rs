//! Disks and files that refuse: typed errors, nothing stored, and the store works again afterwards.

use std::io::{Seek as _, SeekFrom, Write as _};
use std::process::Command;
use std::time::Duration;

use es_runtime::store::{AppendError, EventStore as _, Ledger as _, SqliteStore, StoreError};
use es_runtime::testing::contract::fixture::{
    With as _, append, commit, event_of, store_one, store_together, stream, version, whole_log,
};

use super::child;
use super::damage::connect;
use crate::place::{File, Place as _};

#[tokio::test]
async fn a_full_disk_stores_nothing_of_a_commit_and_keeps_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("es.db");
    let store = SqliteStore::options().max_file_bytes(512 * 1_024).open(&file).await.unwrap();
    let big = |expected| {
        let events = vec![event_of("made", vec![b'x'; 40_000]), event_of("made", vec![b'y'; 40_000])];
        commit(&stream("a"), expected, 0).with_events(events).keyed(&expected.to_string())
    };
    let mut stored = 0;
    let full = loop {
        match store_one(&store, big(stored)).await {
            Ok(done) => stored = done.version.get(),
            Err(error) => break error,
        }
    };
    assert!(matches!(full, AppendError::Store(StoreError::Full { .. })), "{full:?}");
    assert!(stored > 0);
    // Full again, together with others: each is told, each chain is broken.
    let together = [big(stored), big(stored).keyed("other"), big(stored)];
    let chains = together.each_ref().map(|commit| commit.chain.clone());
    for result in store_together(&store, together.into()).await {
        assert!(matches!(result, Err(AppendError::Store(StoreError::Full { .. }))), "{result:?}");
    }
    assert!(chains.iter().all(es_runtime::store::DecisionChain::is_broken));
    assert_eq!(version(&store, &stream("a")).await, stored);
    assert_eq!(store.find("", &stored.to_string()).await.unwrap(), None);
    // What still fits is still taken.
    append(&store, &stream("small"), 0, 1).await;
    store.close().await;

    let store = SqliteStore::open(&file).await.unwrap();
    store_one(&store, big(stored)).await.expect("there is room again");
    assert_eq!(version(&store, &stream("a")).await, stored + 2);
    store.close().await;
}

#[tokio::test]
async fn writes_that_the_system_refuses_lose_nothing_acknowledged() {
    let place = File::new();
    // A limit on the size of files makes writes to the write-ahead log fail half-way, at the commit. The shell sets it, and
    // keeps the signal that would end the process instead.
    let mut shell = Command::new("sh");
    shell.args(["-c", "trap '' XFSZ; ulimit -f 1000; exec \"$0\" \"$@\""]).arg(std::env::current_exe().unwrap());
    let mut child = child::start_with(&mut shell, &place, 100_000);
    let acknowledged = child::acknowledged(&mut child, |_| false);
    child.wait().unwrap();
    assert!(!acknowledged.is_empty(), "some commits fit");

    let store = place.open().await;
    let stored = child::check::<File>(&store, &acknowledged).await;
    // The child was alive until the end, so whatever it was not told of is not there.
    assert_eq!(stored.len(), acknowledged.len(), "a commit that was refused is stored");
    append(&store, &stream("afterwards"), 0, 1).await;
    store.close().await;
}

#[tokio::test]
async fn a_read_only_file_is_a_typed_error() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("es.db");
    let store = SqliteStore::open(&file).await.unwrap();
    append(&store, &stream("a"), 0, 1).await;
    store.close().await;
    // The header says that a newer file format is needed for writing: read-only for everybody, root as well.
    let format = |version: u8| {
        let mut file = std::fs::File::options().write(true).open(&file).unwrap();
        file.seek(SeekFrom::Start(18)).unwrap();
        file.write_all(&[version]).unwrap();
    };
    format(3);
    let store = SqliteStore::open(&file).await.unwrap();
    for _ in 0..2 {
        let refused = store_one(&store, commit(&stream("a"), 1, 1)).await;
        assert!(matches!(refused, Err(AppendError::Store(StoreError::ReadOnly { .. }))), "{refused:?}");
        assert_eq!(version(&store, &stream("a")).await, 1);
    }
    store.close().await;
    format(2);
    let store = SqliteStore::open(&file).await.unwrap();
    append(&store, &stream("a"), 1, 1).await;
    store.close().await;
}

#[tokio::test]
async fn a_lock_held_too_long_is_a_typed_error() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("es.db");
    let waited = Duration::from_millis(30);
    let store = SqliteStore::options().busy_timeout(waited).open(&file).await.unwrap();
    append(&store, &stream("a"), 0, 1).await;
    let mut other = connect(&file).await;
    sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
    // On trust, with care, and a mix of both.
    for attempt in [
        vec![commit(&stream("a"), 1, 1)],
        vec![commit(&stream("a"), 9, 1)],
        vec![commit(&stream("a"), 1, 1), commit(&stream("b"), 0, 1).keyed("k"), commit(&stream("b"), 1, 0)],
    ] {
        let chains: Vec<_> = attempt.iter().map(|commit| commit.chain.clone()).collect();
        for result in store_together(&store, attempt).await {
            let Err(AppendError::Store(StoreError::Locked { waited: told })) = result else { panic!("{result:?}") };
            assert_eq!(told, waited);
        }
        assert!(chains.iter().all(es_runtime::store::DecisionChain::is_broken));
    }
    // Reading and confirming need no lock.
    assert_eq!(version(&store, &stream("a")).await, 1);
    store_one(&store, commit(&stream("a"), 1, 0)).await.expect("confirmed");
    sqlx::raw_sql("ROLLBACK").execute(&mut other).await.unwrap();
    append(&store, &stream("a"), 1, 1).await;
    assert_eq!(whole_log(&store, 10).await.len(), 2);
    store.close().await;
}
