//! Notices that the server goes on with another history than the one that this process knows.
//!
//! A server that was restarted, restored, or replaced by a replica may lack what was seen before. Every new connection asks for the identity of the
//! server's history first (`es_history` in the migrations). If it is another one, everything that this process remembers is dropped: decisions and
//! batches that stand on it are refused, names of streams are read again, gaps in the positions are waited for again, and the head may be a lower one.
//! A restart that has lost nothing is taken for another history, too; that costs a few reads.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::RwLock;
use sqlx::postgres::PgConnection;
use tokio::sync::watch;
use uuid::Uuid;

use crate::event::GlobalPosition;
use crate::store::History;

/// A history, and its number in this process.
#[derive(Clone, Debug)]
pub(super) struct Era {
    pub(super) history: History,
    pub(super) number: u64,
}

/// The history that the server goes on with.
#[derive(Clone, Debug)]
pub(super) struct Histories {
    now: Arc<RwLock<Now>>,
    pub(super) head: Arc<watch::Sender<GlobalPosition>>,
}

#[derive(Debug)]
struct Now {
    era: Era,
    /// `None` before the first connection.
    identity: Option<Uuid>,
    since: Instant,
}

impl Histories {
    pub(super) fn new() -> Self {
        let era = Era { history: History::new(), number: 0 };
        let now = Now { era, identity: None, since: Instant::now() };
        Self { now: Arc::new(RwLock::new(now)), head: Arc::new(watch::Sender::new(GlobalPosition::START)) }
    }

    pub(super) fn now(&self) -> Era {
        self.now.read().era.clone()
    }

    /// Returns `true` if a connection of this age was made in the history of now. An older one leads to a server that may be gone.
    pub(super) fn is_of_now(&self, age: Duration) -> bool {
        Instant::now().checked_sub(age).is_none_or(|made| made >= self.now.read().since)
    }

    /// Asks a new connection which history its server goes on with. Nothing else is done on a connection before.
    pub(super) async fn meet(&self, connection: &mut PgConnection) -> Result<Era, sqlx::Error> {
        let (identity, head): (Uuid, i64) =
            sqlx::query_as("SELECT es_history(), (SELECT coalesce(max(position), 0) FROM event_log)")
                .fetch_one(connection)
                .await?;
        Ok(self.enter(identity, GlobalPosition::new(head.cast_unsigned())))
    }

    /// Raises the head to a position that was seen in a history, unless that is over.
    pub(super) fn raise(&self, era: &Era, last: GlobalPosition) {
        self.head.send_if_modified(|known| {
            let news = last > *known && !era.history.is_over();
            if news {
                *known = last;
            }
            news
        });
    }

    fn enter(&self, identity: Uuid, head: GlobalPosition) -> Era {
        let mut now = self.now.write();
        match now.identity {
            Some(known) if known == identity => return now.era.clone(),
            None => {
                now.identity = Some(identity);
                self.head.send_replace(head);
                return now.era.clone();
            }
            Some(_) => {}
        }
        tracing::warn!(
            %head,
            "the server was restarted, or another one has taken its place: what was read from it before is read again"
        );
        metrics::counter!("es_store_histories_total").increment(1);
        let era = Era { history: History::new(), number: now.era.number + 1 };
        // Whoever sees the head fall sees that the history is over.
        self.head.send_modify(|known| {
            now.era.history.end();
            *known = head;
        });
        *now = Now { era: era.clone(), identity: Some(identity), since: Instant::now() };
        era
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_identity_ends_the_history_and_the_head_may_fall() {
        let (histories, [first, second]) = (Histories::new(), [Uuid::from_u128(1), Uuid::from_u128(2)]);
        let before = histories.now();
        histories.enter(first, GlobalPosition::new(7));
        histories.enter(first, GlobalPosition::new(9));
        assert!(!before.history.is_over() && histories.is_of_now(Duration::ZERO));
        assert_eq!(*histories.head.borrow(), GlobalPosition::new(7));
        std::thread::sleep(Duration::from_millis(2));
        histories.enter(second, GlobalPosition::new(3));
        assert!(before.history.is_over());
        assert_eq!(*histories.head.borrow(), GlobalPosition::new(3));
        let now = histories.now();
        assert!(!now.history.is_over() && now.number == before.number + 1);
        assert!(!histories.is_of_now(Duration::from_secs(5)) && histories.is_of_now(Duration::ZERO));
    }
}
