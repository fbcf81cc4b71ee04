//! What bounds subscriptions.

use std::time::Duration;

use super::machine::Limits;
use super::plan::Bound;
use super::subscriber::Subscriber;
use crate::projection::Registered;

/// How subscriptions run.
///
/// ```
/// use es_runtime::subscription::SubscriptionOptions;
/// let mut options = SubscriptionOptions::default();
/// options.retries = 5;
/// assert_eq!(options.lease_timeout.as_secs(), 10);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SubscriptionOptions {
    /// After what time without a sign of life others take a process's partitions over; a third of it is between two signs. 10 s.
    pub lease_timeout: Duration,
    /// How many events a batch takes at most. 4,000.
    pub batch: usize,
    /// How many events a batch of a connected projection takes at most: it holds the store's writer. 500.
    pub connected_batch: usize,
    /// The least time between two batches of a partition at the live tail, so that a busy log is not flushed for each event. 10 ms. Ten
    /// times that where every function is synchronous: nobody waits for them.
    pub interval: Duration,
    /// After what time without news the log is read all the same: what a lost wake-up costs. 1 s; 30 s at least on a store whose head is
    /// asked for by the application ([`poll_interval`](crate::store::EventStore::poll_interval)).
    pub poll: Duration,
    /// How often a connected or external function is tried again where it declares nothing. 3. Folded functions would fail again.
    pub retries: u32,
    /// The pause before the first repeat of an event, or of a call of the store; it doubles each time. 50 ms.
    pub pause: Duration,
    /// The longest pause. 5 s.
    pub longest_pause: Duration,
    /// Under how many sequence keys a partition puts events aside; then it stops. 10,000.
    pub parked_keys: usize,
    /// How many letters a partition keeps; then it stops. 100,000.
    pub letters: usize,
    /// How long one call of an external function may take. 30 s.
    pub external_timeout: Duration,
    /// How long the connected functions of one batch may take together. 5 s.
    pub connected_timeout: Duration,
    /// How long a shutdown waits for the batches at hand. 10 s.
    pub drain_timeout: Duration,
    /// Whether older versions of a projection are dropped once a newer one serves and no living process runs them. Yes.
    pub drop_retired: bool,
}

impl Default for SubscriptionOptions {
    fn default() -> Self {
        Self {
            lease_timeout: Duration::from_secs(10),
            batch: 4_000,
            connected_batch: 500,
            interval: Duration::from_millis(10),
            poll: Duration::from_secs(1),
            retries: 3,
            pause: Duration::from_millis(50),
            longest_pause: Duration::from_secs(5),
            parked_keys: 10_000,
            letters: 100_000,
            external_timeout: Duration::from_secs(30),
            connected_timeout: Duration::from_secs(5),
            drain_timeout: Duration::from_secs(10),
            drop_retired: true,
        }
    }
}

/// How many times longer the interval is where commits fold everything themselves: a batch only notes that, and takes a flush from them.
const NOTHING_LEFT: u32 = 10;

impl SubscriptionOptions {
    pub(crate) fn limits(&self, subscriber: &Subscriber) -> Limits {
        let connected = matches!(subscriber.registered, Registered::Connected(_));
        let all_sync = subscriber.projection.has_sync() && !subscriber.projection.has_async();
        let serving_interval = if all_sync { self.interval.saturating_mul(NOTHING_LEFT) } else { self.interval };
        Limits {
            batch: if connected { self.connected_batch.min(self.batch) } else { self.batch }.max(1),
            interval: self.interval,
            serving_interval,
            idle: self.poll,
            pause: self.pause,
            longest_pause: self.longest_pause,
            bound: Bound { keys: self.parked_keys, letters: self.letters },
        }
    }
}
