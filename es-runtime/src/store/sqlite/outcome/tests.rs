//! What becomes of a group whose commit failed without saying whether it is stored.

use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use super::*;
use crate::event::{Metadata, StreamId};
use crate::store::StoreError;
use crate::store::group::plan::State;
use crate::store::sqlite::SqliteOptions;
use crate::store::sqlite::append::{Texts, Wrap};
use crate::store::sqlite::open::Place;
use crate::store::{DecisionChain, LedgerEntry, NewEvent};

fn commit(key: &str, expected: u64, events: usize, ledger: Option<&str>) -> NewCommit {
    let event = |_| NewEvent {
        id: EventId::new_v7(),
        name: "made".into(),
        schema_version: 1,
        body: bytes::Bytes::new(),
        rules: &[],
    };
    let entry = |key: &str| {
        Box::new(LedgerEntry { key: key.into(), command: "Make".into(), hash: [1; 32], output: bytes::Bytes::new() })
    };
    NewCommit {
        stream: StreamId::new("account", key),
        expected: expected.into(),
        events: (0..events).map(event).collect(),
        metadata: Arc::new(Metadata::default()),
        recorded_at: chrono::DateTime::UNIX_EPOCH,
        claims: Vec::new(),
        ledger: ledger.map(entry),
        snapshot: None,
        chain: DecisionChain::new(),
        projections: None,
    }
}

/// A writer on a new file, and what is told when a group is stored by it although its commit "failed".
struct Bench {
    writer: Writer,
    folder: tempfile::TempDir,
}

impl Bench {
    async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let options = SqliteOptions::default();
        let place = Place::new(Some(&folder.path().join("es.db")), &options);
        let connection = place.open().await.expect("a new file");
        let connection = Arc::new(tokio::sync::Mutex::new(Some(connection)));
        let (_, queue) = mpsc::channel(1);
        let head = Arc::new(watch::Sender::default());
        Self { writer: Writer::new(place, &options, connection, head, queue), folder }
    }

    /// Plans commits on an empty store, stores them where asked to, and finds out whether they are.
    async fn find_out(&self, commits: &[&NewCommit], stored: bool, lost: bool) -> Result<Option<u64>, Failed> {
        let mut state = State::default();
        let plan = Plan::decide(&mut state, commits.iter().copied());
        let mut slot = self.writer.connection.lock().await;
        if stored {
            let request = Texts::default().request(Wrap::Whole, &plan, &state, commits, &[]);
            let connection = slot.as_mut().expect("connected");
            assert!(send(connection, request, plan.writes.events.len()).await.is_ok());
        }
        if lost {
            drop(slot.take());
        }
        self.writer.find_out(&mut slot, sqlx::Error::WorkerCrashed, &plan, commits).await
    }
}

#[tokio::test]
async fn a_group_that_is_stored_is_found_whatever_its_commit_said() {
    for lost in [false, true] {
        let bench = Bench::new().await;
        let (one, two) = (commit("a", 0, 2, Some("k")), commit("b", 0, 1, None));
        let found = bench.find_out(&[&one, &two], true, lost).await;
        assert!(matches!(found, Ok(Some(1))));
        // The same again would not fit, so it cannot be told from this: other events at the same place are not these.
        let other = commit("a", 0, 2, None);
        let found = bench.find_out(&[&other], false, lost).await;
        assert!(matches!(found, Err(Failed::Together(AppendError::Store(StoreError::Unavailable { .. })))));
    }
}

#[tokio::test]
async fn a_group_without_events_is_found_by_its_ledger_entry() {
    let bench = Bench::new().await;
    let nothing = commit("a", 0, 0, Some("k"));
    assert!(matches!(bench.find_out(&[&nothing], true, true).await, Ok(None)));
    let other = commit("a", 0, 0, Some("other"));
    assert!(bench.find_out(&[&other], false, true).await.is_err());
}

#[tokio::test]
async fn what_cannot_be_found_out_is_uncertain() {
    let bench = Bench::new().await;
    let one = commit("a", 0, 1, None);
    let folder = bench.folder.path().to_owned();
    std::fs::remove_dir_all(folder).expect("removed");
    let found = bench.find_out(&[&one], false, true).await;
    assert!(matches!(found, Err(Failed::Together(AppendError::Uncertain { .. }))));
}

#[tokio::test]
async fn overwriting_keeps_the_header_s_free_field() {
    let bench = Bench::new().await;
    {
        let mut slot = bench.writer.connection.lock().await;
        let connection = slot.as_mut().expect("connected");
        connection.execute("PRAGMA user_version = 42").await.expect("set");
    }
    assert!(bench.find_out(&[&commit("a", 0, 1, None)], false, false).await.is_err());
    let mut slot = bench.writer.connection.lock().await;
    let value: i64 =
        sqlx::query_scalar("PRAGMA user_version").fetch_one(slot.as_mut().expect("connected")).await.expect("read");
    assert_eq!(value, 42);
}
