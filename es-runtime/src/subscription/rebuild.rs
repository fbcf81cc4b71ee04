//! How far a version is that is being built.

use std::sync::Arc;
use std::time::Duration;

use super::health::Health;

/// How far a version of a projection is that is being built while an older one serves.
///
/// Positions stand for events: in a log without holes they count the same.
///
/// A rebuild may be interrupted at any time: it goes on where its checkpoints stand. Folded and connected projections write nothing
/// but their own tables. An external projection *is* what it writes elsewhere, so a new version of one is handed the history as
/// its first version was: that is how a search index is filled anew. What must not happen again for old events (mail, commands,
/// messages to others) does not belong into a projection.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Progress {
    /// The projection.
    pub name: Arc<str>,
    /// The version that is being built.
    pub version: u32,
    /// Up to which position all of its partitions are done.
    pub done: u64,
    /// The head of the log.
    pub total: u64,
    /// Events a second since this process began.
    pub rate: f64,
    /// How long it will take at this rate; `None` where that cannot be said yet.
    pub left: Option<Duration>,
    /// Whether it has become the version that serves.
    pub finished: bool,
}

/// Measures one rebuild.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Meter {
    /// When it was first looked at, as time since the start, and where it stood.
    since: Duration,
    from: u64,
}

impl Meter {
    pub(crate) const fn new(since: Duration, from: u64) -> Self {
        Self { since, from }
    }

    #[expect(clippy::cast_precision_loss, reason = "a rate need not be exact")]
    pub(crate) fn measure(self, now: Duration, name: Arc<str>, version: u32, (done, total): (u64, u64)) -> Progress {
        let took = now.saturating_sub(self.since).as_secs_f64();
        let events = done.saturating_sub(self.from) as f64;
        let rate = if took > 0.0 { events / took } else { 0.0 };
        let left = (rate > 0.0).then(|| (total.saturating_sub(done)) as f64 / rate);
        let left = left.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        Progress { name, version, done, total, rate, left, finished: false }
    }
}

/// How far a version is: its slowest partition decides.
pub(crate) fn done_of(health: &Health, name: &str, version: u32) -> (u64, u64) {
    let mine = || health.of(name).filter(|partition| partition.id.version == version);
    let done = mine().map(|partition| partition.position.get()).min().unwrap_or(0);
    let total = mine().map(|partition| partition.head.get()).max().unwrap_or(0);
    (done, total.max(done))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_left_follows_from_what_was_done_since_the_start() {
        let meter = Meter::new(Duration::from_secs(10), 1_000);
        let progress = meter.measure(Duration::from_secs(12), "balances".into(), 2, (3_000, 9_000));
        assert!((progress.rate - 1_000.0).abs() < 1e-9);
        assert_eq!(progress.left, Some(Duration::from_secs(6)));
    }

    #[test]
    fn nothing_is_said_of_the_time_left_before_something_was_done() {
        let meter = Meter::new(Duration::ZERO, 5);
        assert_eq!(meter.measure(Duration::from_secs(1), "balances".into(), 2, (5, 9)).left, None);
    }
}
