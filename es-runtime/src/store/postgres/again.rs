//! Repeating on a new connection what a lost connection kept from being done.
//!
//! A connection that ended while it was idle shows at its next use. Whatever did nothing yet, reads only, or may be done twice is repeated on
//! another connection, so no caller sees that one ended.

use std::time::Duration;

use tokio::time::Instant;

/// The pause before a repetition grows from the first to the second.
const PAUSES: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(100));

/// The time for repetitions: it begins when the first connection is lost.
#[derive(Debug)]
pub(super) struct Trouble {
    limit: Duration,
    since: Option<Instant>,
    pause: Duration,
}

impl Trouble {
    /// Creates the time for one operation: as long as a new connection is waited for.
    pub(super) fn new(connect_timeout: Duration) -> Self {
        Self { limit: connect_timeout, since: None, pause: PAUSES.0 }
    }

    /// Returns `true` if the operation is to be repeated. Waits a little first, unless this is the first connection that was lost.
    ///
    /// # Cancel safety
    ///
    /// This method is cancel safe: it only waits.
    pub(super) async fn again(&mut self) -> bool {
        let Some(since) = self.since else {
            self.since = Some(Instant::now());
            return true;
        };
        if since.elapsed() >= self.limit {
            return false;
        }
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).min(PAUSES.1);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_is_repeated_once_without_a_pause_and_then_until_the_time_is_over() {
        let (began, mut trouble) = (Instant::now(), Trouble::new(Duration::from_secs(10)));
        assert!(trouble.again().await && began.elapsed().is_zero());
        let mut repeated = 0;
        while trouble.again().await {
            repeated += 1;
        }
        assert!((100..200).contains(&repeated), "{repeated}");
        assert!((10..11).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn the_longest_time_is_no_limit() {
        let mut trouble = Trouble::new(Duration::MAX);
        for _ in 0..1_000 {
            assert!(trouble.again().await);
        }
    }
}
