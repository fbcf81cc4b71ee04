//! What comes out of one round of a measurement.

use std::time::Duration;

/// One round of a measurement.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// Events a second.
    pub rate: f64,
    /// Events a flush.
    pub per_flush: Option<f64>,
    /// Microseconds of the processor an event, in all threads of the process, and of the server where there is one.
    pub cpu: Option<f64>,
    /// The server's part of them.
    pub server_cpu: Option<f64>,
    /// Allocations an event.
    pub allocations: Option<f64>,
    /// Milliseconds until something is visible: half of the time at most, and nearly always.
    pub lag: Option<(f64, f64)>,
    /// Conflicts that the runtime met.
    pub conflicts: u64,
}

impl Sample {
    /// Makes one of a count and a time.
    #[must_use]
    pub fn of(events: u64, took: Duration) -> Self {
        let rate = float(events) / took.max(Duration::from_nanos(1)).as_secs_f64();
        Self { rate, per_flush: None, cpu: None, server_cpu: None, allocations: None, lag: None, conflicts: 0 }
    }

    /// Gives how long an event took.
    #[must_use]
    pub fn nanoseconds(&self) -> f64 {
        1e9 / self.rate
    }
}

/// Makes a number of a count.
#[expect(clippy::cast_precision_loss, reason = "counts of a benchmark are far below 2^52")]
#[must_use]
pub const fn float(count: u64) -> f64 {
    count as f64
}

/// Gives the middle of some values.
#[must_use]
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
