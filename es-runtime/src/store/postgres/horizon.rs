//! Up to where the log is final.
//!
//! A position is handed out before its transaction is committed, so one that is missing may still come. Every append takes a shared advisory lock
//! before it takes a position, and holds it until its end; the server makes a commit visible before it lets go of the lock. So for a position
//! `to` that is visible: whoever may still fill a gap below it took his position earlier, and holds the lock now or has ended. Once all of those
//! who hold it now are gone, a new snapshot shows all that will ever be there up to `to`. No time-out, no clock, no transaction id.
//!
//! One task of the process asks for all readers.

use std::time::Duration;

use rustc_hash::FxHashSet;
use sqlx::postgres::{PgConnection, PgPool};
use tokio::sync::watch;
use tokio::time::Instant;

use super::history::Histories;
use super::open::locks;
use super::silence::Patience;
use crate::store::StoreError;

/// After how long it is worth a line in the log that somebody holds readers up.
const LONG: Duration = Duration::from_secs(5);

/// The readers' end.
#[derive(Debug)]
pub(super) struct Horizon {
    wanted: watch::Sender<Limit>,
    safe: watch::Receiver<Limit>,
}

/// The number of a history, and a position in it.
type Limit = (u64, u64);

/// The task's end.
pub(super) struct Agent {
    pool: PgPool,
    lock_class: i32,
    wanted: watch::Receiver<Limit>,
    safe: watch::Sender<Limit>,
    patience: Patience,
    /// Whoever found the log not final looks again when it is.
    histories: Histories,
}

impl Horizon {
    pub(super) fn new(pool: PgPool, lock_class: i32, histories: Histories, patience: Patience) -> (Self, Agent) {
        let ((wanted, asked), (safe, told)) = (watch::channel((0, 0)), watch::channel((0, 0)));
        (Self { wanted, safe: told }, Agent { pool, lock_class, wanted: asked, safe, patience, histories })
    }

    /// Returns a position up to which every snapshot that is taken from now on is complete, in the history of this number.
    pub(super) fn safe(&self, era: u64) -> u64 {
        let (known, safe) = *self.safe.borrow();
        if known == era { safe } else { 0 }
    }

    /// Waits until everything up to a position, which must be visible, is final; or until the history of this number is over.
    ///
    /// # Cancel safety
    ///
    /// It changes nothing; the task goes on.
    pub(super) async fn pass(&self, era: u64, to: u64) -> Result<(), StoreError> {
        let limit = (era, to);
        self.wanted.send_if_modified(|wanted| {
            let more = limit > *wanted;
            *wanted = limit.max(*wanted);
            more
        });
        let mut safe = self.safe.clone();
        safe.wait_for(|safe| *safe >= limit).await.map(drop).map_err(|_| StoreError::Closed)
    }
}

impl Agent {
    /// Works until the store is gone.
    pub(super) async fn run(mut self) {
        while self.wanted.changed().await.is_ok() {
            // Whoever holds the lock is asked for after this: on a server of this history, or of a later one.
            let limit = *self.wanted.borrow_and_update();
            let began = Instant::now();
            self.wait_for_holders().await;
            metrics::histogram!("es_store_horizon_wait_seconds").record(began.elapsed().as_secs_f64());
            self.safe.send_replace(limit);
            self.histories.head.send_modify(|_| {});
        }
    }

    /// Waits until everybody who holds the append's lock now has let go of it.
    async fn wait_for_holders(&self) {
        let began = Instant::now();
        let mut pause = Duration::from_millis(1);
        let mut left: Option<FxHashSet<String>> = None;
        let mut told = false;
        loop {
            match self.holders().await {
                Ok(now) => {
                    let was_there = |holder: &Holder| left.as_ref().is_none_or(|left| left.contains(&holder.name));
                    // A prepared transaction has another name after a crash of the server: each may be one of those that were there.
                    let still = now.into_iter().filter(|holder| holder.is_prepared || was_there(holder));
                    let still: FxHashSet<String> = still.map(|holder| holder.name).collect();
                    metrics::gauge!("es_store_horizon_holders").set(u32::try_from(still.len()).unwrap_or(u32::MAX));
                    if still.is_empty() {
                        return;
                    }
                    left = Some(still);
                }
                // Readers have waited for nothing: whoever held the lock is asked for again.
                Err(error) => tracing::debug!(%error, "the horizon cannot be asked for"),
            }
            if began.elapsed() > LONG && !told {
                told = true;
                let holders = left.as_ref().map_or(0, FxHashSet::len);
                tracing::warn!(holders, "open transactions that append hold readers of the log up");
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(50));
        }
    }

    async fn holders(&self) -> Result<Vec<Holder>, sqlx::Error> {
        let mut connection = self.pool.acquire().await?;
        match self.patience.answered(holders(&mut connection, self.lock_class)).await {
            Ok(holders) => Ok(holders),
            Err(error) => {
                super::pool::discard(connection);
                Err(error)
            }
        }
    }
}

/// A transaction that holds the append's lock.
struct Holder {
    name: String,
    is_prepared: bool,
}

/// Gives the transactions that hold the append's lock. Prepared ones hold it, too; they have no process.
async fn holders(connection: &mut PgConnection, lock_class: i32) -> Result<Vec<Holder>, sqlx::Error> {
    // As the view shows them: the keys are without a sign there, and 2 stands for locks with two keys.
    let found: Vec<(String, bool)> = sqlx::query_as(
        "SELECT virtualtransaction, pid IS NULL FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 2 \
         AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) \
         AND classid::bigint = $1::bigint & 4294967295 AND objid::bigint = $2::bigint",
    )
    .bind(i64::from(lock_class))
    .bind(i64::from(locks::APPEND))
    .fetch_all(connection)
    .await?;
    Ok(found.into_iter().map(|(name, is_prepared)| Holder { name, is_prepared }).collect())
}
