//! Connections on which nothing comes any more: the other end is gone, and nobody said so.
//!
//! The server gives up a statement that takes too long, and says so. Where nothing at all comes for longer than that, nobody is there: a host
//! that lost its power, a router that forgot the connection. The system would notice after a quarter of an hour.

use std::future::Future;
use std::io::{Error, ErrorKind};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// For how much longer than the server may work on a statement its answer is waited for.
const MARGIN: Duration = Duration::from_secs(5);

/// How long an answer is waited for. Cloning gives the same.
#[derive(Clone, Debug)]
pub(super) struct Patience {
    limit: Option<Duration>,
    /// When a connection was last given up. Those that were made before most likely end at the same place.
    given_up: Arc<Mutex<Option<Instant>>>,
}

impl Patience {
    pub(super) fn new(statement_timeout: Duration) -> Self {
        // Zero is no limit, as it is for the server.
        let limit = if statement_timeout.is_zero() { None } else { statement_timeout.checked_add(MARGIN) };
        Self { limit, given_up: Arc::default() }
    }

    /// Waits for what one statement answers, or a few that take no time. Where nothing comes, the connection counts as lost.
    pub(super) async fn answered<T, E: From<sqlx::Error>>(
        &self,
        asked: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let Some(limit) = self.limit else { return asked.await };
        if let Ok(answer) = tokio::time::timeout(limit, asked).await {
            return answer;
        }
        *self.given_up.lock() = Some(Instant::now());
        let error = Error::new(ErrorKind::TimedOut, format!("nothing came from the server for {limit:?}"));
        Err(sqlx::Error::Io(error).into())
    }

    /// Tells whether a connection of an age may be used: not if it is older than the last one that was given up.
    pub(super) fn trusts(&self, age: Duration) -> bool {
        self.given_up.lock().is_none_or(|at| age < at.elapsed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_was_made_before_silence_was_noticed_is_not_trusted() {
        let patience = Patience::new(Duration::from_secs(30));
        assert!(patience.trusts(Duration::from_hours(1)));
        let answer: Result<(), sqlx::Error> = patience.answered(std::future::pending()).await;
        assert!(matches!(answer, Err(sqlx::Error::Io(error)) if error.kind() == ErrorKind::TimedOut));
        tokio::time::advance(Duration::from_secs(7)).await;
        assert!(patience.trusts(Duration::from_secs(6)) && !patience.trusts(Duration::from_secs(8)));
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_limit_there_is_none() {
        let patience = Patience::new(Duration::ZERO);
        let slow = async {
            tokio::time::sleep(Duration::from_hours(5)).await;
            Ok::<_, sqlx::Error>(())
        };
        assert!(patience.answered(slow).await.is_ok());
    }
}
