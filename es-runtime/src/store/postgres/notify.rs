//! Wakes readers: those of other processes by a notification, those of this one when a notification comes.
//!
//! A notification inside of the append's transaction would let one commit through at a time. So it is sent afterwards, by itself, at most 200
//! times a second; it carries the position, and losing one costs time only. Anybody may notify, so a position is a reason to look at the log,
//! and no more.

use std::time::Duration;

use sqlx::postgres::{PgListener, PgPool};
use tokio::sync::watch;

use super::history::Histories;
use super::silence::Patience;
use crate::event::GlobalPosition;

/// The greatest position in the log.
pub(super) const HEAD: &str = "SELECT coalesce(max(position), 0) FROM event_log";

/// How long lies between two notifications at least.
const PAUSE: Duration = Duration::from_millis(5);

/// How long a listener without a connection waits before it tries again.
const RETRY: Duration = Duration::from_millis(500);

/// Tells others what this process has stored, until the writer is gone.
pub(super) async fn tell(
    pool: PgPool,
    patience: Patience,
    channel: String,
    mut stored: watch::Receiver<GlobalPosition>,
) {
    while stored.changed().await.is_ok() {
        let position = stored.borrow_and_update().to_string();
        // Every connection of the pool may have ended while it was idle.
        for _ in 0..=pool.size() {
            let telling = sqlx::query("SELECT pg_notify($1, $2)").bind(&channel).bind(&position).execute(&pool);
            let Err(error) = patience.answered(telling).await else { break };
            tracing::debug!(%error, "others were not told of new events; if they are not told later, they look by themselves");
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Listens to what others have stored. Ends with the pool.
pub(super) async fn listen(pool: PgPool, channel: String, histories: Histories) {
    loop {
        if let Err(error) = listen_once(&pool, &channel, &histories).await {
            if matches!(error, sqlx::Error::PoolClosed) {
                return;
            }
            tracing::debug!(%error, "the listener lost its connection");
        }
        // Something may have come that nobody heard.
        histories.head.send_modify(|_| {});
        tokio::time::sleep(RETRY).await;
    }
}

async fn listen_once(pool: &PgPool, channel: &str, histories: &Histories) -> Result<(), sqlx::Error> {
    let head = &histories.head;
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen(channel).await?;
    head.send_modify(|_| {});
    while let Some(notification) = listener.try_recv().await? {
        let position = notification.payload().parse().map_or(GlobalPosition::START, GlobalPosition::new);
        if position <= *head.borrow() {
            continue;
        }
        let era = histories.now();
        let stored: i64 = sqlx::query_scalar(HEAD).fetch_one(pool).await?;
        histories.raise(&era, GlobalPosition::new(stored.cast_unsigned()));
    }
    Ok(())
}
