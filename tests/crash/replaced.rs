//! A file of SQLite that is replaced or removed while it is open. What is stored in it then, nobody would find.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use es_runtime::prelude::*;
use es_runtime::store::{AppendError, EventStore as _, StoreError};
use es_runtime::subscription::SubscriptionState;
use es_runtime::testing::contract::fixture::{append, commit, store_one, stream, version};

use super::damage::raw;
use crate::postgres::backup::step;
use crate::read::domain::{Account, Balance, Bank, Deposit, Open};

fn is_replaced(error: &AppendError) -> bool {
    match error {
        AppendError::Store(error @ StoreError::Replaced { .. }) => !error.is_retryable(),
        _ => false,
    }
}

/// Restores a backup as `docs/backup.md` says.
fn restore(folder: &Path) {
    let done = Command::new("sh").args(["-e", "-c", &step("rm -f bank.db-wal")]).current_dir(folder).status().unwrap();
    assert!(done.success());
}

/// Makes a file with one event, and a backup of it, while it is open.
async fn with_a_backup(folder: &Path) -> PathBuf {
    let file = folder.join("bank.db");
    let store = SqliteStore::open(&file).await.unwrap();
    append(&store, &stream("a"), 0, 1).await;
    raw(&file, &step("VACUUM").replace("backup.db", &folder.join("backup.db").display().to_string())).await;
    store.close().await;
    file
}

#[tokio::test]
async fn nothing_is_stored_in_a_file_that_was_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let file = with_a_backup(folder.path()).await;
    let store = SqliteStore::open(&file).await.unwrap();
    append(&store, &stream("a"), 1, 1).await;
    let history = store.history();
    restore(folder.path());
    let refused = store_one(&store, commit(&stream("a"), 2, 1)).await.unwrap_err();
    assert!(is_replaced(&refused), "{refused:?}");
    assert!(history.is_over());
    for read in [store.head().await.map(drop), store.read_stream(&stream("a"), Version::NONE, 10).await.map(drop)] {
        assert!(matches!(read, Err(StoreError::Replaced { .. })), "{read:?}");
    }
    store.close().await;
    // Whoever opens it anew goes on with what is there.
    let store = SqliteStore::open(&file).await.unwrap();
    append(&store, &stream("a"), 1, 1).await;
    assert_eq!(version(&store, &stream("a")).await, 2);
    store.close().await;
}

#[tokio::test]
async fn nothing_is_stored_in_a_file_that_was_removed() {
    let folder = tempfile::tempdir().unwrap();
    let file = with_a_backup(folder.path()).await;
    let store = SqliteStore::open(&file).await.unwrap();
    std::fs::remove_file(&file).unwrap();
    let refused = store_one(&store, commit(&stream("a"), 1, 1)).await.unwrap_err();
    assert!(is_replaced(&refused), "{refused:?}");
    store.close().await;
    assert!(!file.exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_application_says_that_its_file_was_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let file = with_a_backup(folder.path()).await;
    let app: App<Bank, SqliteStore> = App::builder(SqliteStore::open(&file).await.unwrap()).build().await.unwrap();
    let account = Uuid::from_u128(1);
    app.dispatch(Open { account, owner: "a".into(), branch: 1 }).await.unwrap();
    restore(folder.path());
    // The state is in the cache, and would do.
    let refused = app.dispatch(Deposit { account, branch: 1, cents: vec![1] }).await.unwrap_err();
    assert!(matches!(&refused, DispatchError::Unavailable(StoreError::Replaced { .. })), "{refused:?}");
    assert!(!refused.is_retryable());
    let health = app.subscriptions().health();
    let deadline = Instant::now() + Duration::from_secs(60);
    let stopped = |state: &SubscriptionState| matches!(state, SubscriptionState::Stopped { .. });
    while !health.borrow().subscriptions.iter().all(|it| stopped(&it.state)) {
        assert!(Instant::now() < deadline, "{:?}", *health.borrow());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(app.table::<Balance>().get(&account).await.is_err());
    assert!(app.load::<Account>(account).await.is_err());
}
