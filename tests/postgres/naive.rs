//! Readers as they are mostly written, and how they lose events: what the store is measured against.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use es_runtime::prelude::Uuid;
use es_runtime::store::EventStore as _;
use es_runtime::testing::contract::fixture::{append, stream, whole_log};
use sqlx::postgres::PgConnection;
use tokio::task::JoinHandle;

use super::foreign::Foreign;
use super::{Schema, schema};
use crate::place::Place as _;

/// Remembers the last position that it saw.
const BY_POSITION: &str = "SELECT position FROM event_log WHERE position > $1 ORDER BY position LIMIT 1000";

/// The same, and what is younger than the oldest open transaction is left for later.
const BELOW_XMIN: &str = "SELECT position FROM event_log WHERE position > $1 \
    AND xmin::text::bigint < pg_snapshot_xmin(pg_current_snapshot())::text::bigint ORDER BY position LIMIT 1000";

async fn page(connection: &mut PgConnection, sql: &'static str, after: u64) -> Vec<u64> {
    let page: Vec<i64> = sqlx::query_scalar(sql).bind(after.cast_signed()).fetch_all(connection).await.unwrap();
    page.into_iter().map(i64::cast_unsigned).collect()
}

/// A reader that runs beside the store's own.
pub struct Naive {
    pub cursor: Arc<AtomicU64>,
    seen: JoinHandle<HashSet<u64>>,
    end: Arc<AtomicU64>,
}

impl Naive {
    pub async fn start(schema: &Schema) -> Self {
        let (cursor, end) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(u64::MAX)));
        let mut connection = schema.connect().await;
        let (at, until) = (Arc::clone(&cursor), Arc::clone(&end));
        let seen = tokio::spawn(async move {
            let mut seen = HashSet::new();
            while at.load(Ordering::SeqCst) < until.load(Ordering::SeqCst) {
                let page = page(&mut connection, BY_POSITION, at.load(Ordering::SeqCst)).await;
                at.fetch_max(page.last().copied().unwrap_or(0), Ordering::SeqCst);
                seen.extend(page);
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            seen
        });
        Self { cursor, seen, end }
    }

    /// Lets it read up to the last position. Gives how many events of the log it has not seen.
    pub async fn lost(self, log: &[(u64, Uuid)], last: u64) -> usize {
        self.end.store(last, Ordering::SeqCst);
        let seen = self.seen.await.unwrap();
        log.iter().filter(|(position, _)| !seen.contains(position)).count()
    }
}

/// Reads on with a cursor until it has come to a position. Gives what it saw.
async fn read_to(connection: &mut PgConnection, sql: &'static str, after: u64, to: u64) -> Vec<u64> {
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut seen = vec![after];
    while seen[seen.len() - 1] < to {
        // Others' transactions may be older than ours, and end.
        assert!(Instant::now() < deadline, "the reader does not come to {to}");
        seen.extend(page(connection, sql, seen[seen.len() - 1]).await);
    }
    seen.split_off(1)
}

/// Takes a position in a transaction that has no id yet.
async fn without_an_id(schema: &Schema) -> (Foreign, i64) {
    loop {
        let mut late = Foreign::begin(schema).await;
        let position = late.reserve(1).await[0];
        let has_id = "SELECT pg_current_xact_id_if_assigned() IS NOT NULL";
        if !sqlx::query_scalar::<_, bool>(has_id).fetch_one(late.connection()).await.unwrap() {
            return (late, position);
        }
        // It came upon the value at which the sequence's state is written down. That happens with one in 32.
        late.roll_back().await;
    }
}

async fn loses_one_that_the_store_does_not(sql: &'static str) {
    let schema = schema!();
    let store = schema.open().await;
    let mut reader = schema.connect().await;
    let (mut late, position) = without_an_id(&schema).await;
    let early = append(&store, &stream("early"), 0, 1).await.position.get();
    // The reader has passed the gap.
    assert_eq!(read_to(&mut reader, sql, 0, early).await, [early]);
    late.append(Some(&[position]), &stream("late"), &["late 1".to_owned()]).await;
    late.commit().await;
    let last = append(&store, &stream("last"), 0, 1).await.position.get();
    assert_eq!(read_to(&mut reader, sql, early, last).await, [last]);
    // The store's has not.
    let there = loop {
        let log = whole_log(&store, 10).await;
        if log.len() == 3 {
            break log;
        }
    };
    let positions: Vec<_> = there.iter().map(|event| event.position().get()).collect();
    assert_eq!(positions, [position.cast_unsigned(), early, last]);
    store.close().await;
}

#[tokio::test]
async fn a_reader_by_position_loses_an_event_that_the_store_gives() {
    loses_one_that_the_store_does_not(BY_POSITION).await;
}

#[tokio::test]
async fn a_reader_below_the_oldest_transaction_loses_an_event_that_the_store_gives() {
    loses_one_that_the_store_does_not(BELOW_XMIN).await;
}
