//! The one source of time.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use parking_lot::Mutex;

/// Tells the time, in UTC.
///
/// The application cuts what is finer than a microsecond off, for logs keep microseconds: so [`Context::now`](crate::handler::Context::now)
/// and [`Recorded::recorded_at`](crate::event::Recorded::recorded_at) of one command are the same time.
pub trait Clock: Debug + Send + Sync + 'static {
    /// Returns the time.
    fn now(&self) -> DateTime<Utc>;
}

/// The machine's clock: the default.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }
}

/// A clock that is moved by hand. Clones show the same time.
///
/// ```
/// use es_runtime::app::{Clock, ManualClock};
/// use std::time::Duration;
/// let clock = ManualClock::default();
/// let before = clock.now();
/// clock.advance(Duration::from_secs(60));
/// assert_eq!((clock.now() - before).num_seconds(), 60);
/// ```
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<Mutex<DateTime<Utc>>>);

impl ManualClock {
    /// Makes a clock that shows this time.
    #[must_use]
    pub fn new(now: DateTime<Utc>) -> Self {
        Self(Arc::new(Mutex::new(now)))
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        let mut now = self.0.lock();
        let by = chrono::TimeDelta::from_std(by).unwrap_or(chrono::TimeDelta::MAX);
        *now = now.checked_add_signed(by).unwrap_or(DateTime::<Utc>::MAX_UTC);
    }

    /// Sets the clock.
    pub fn set(&self, now: DateTime<Utc>) {
        *self.0.lock() = now;
    }
}

impl Default for ManualClock {
    /// Shows the beginning of the year 2000.
    fn default() -> Self {
        Self::new(DateTime::from_timestamp(946_684_800, 0).unwrap_or_default())
    }
}

impl Clock for ManualClock {
    fn now(&self) -> DateTime<Utc> {
        *self.0.lock()
    }
}
