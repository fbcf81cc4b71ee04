//! Counts the runtime's conflicts.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};

use crate::Result;

/// A recorder of metrics that knows one counter: that of conflicts.
struct Conflicts(Arc<AtomicU64>);

/// Counts conflicts from now on.
///
/// # Errors
///
/// When somebody else records metrics, or the runtime's counter has another name.
pub fn count() -> Result<Arc<AtomicU64>> {
    let count = Arc::new(AtomicU64::new(0));
    metrics::set_global_recorder(Conflicts(Arc::clone(&count))).map_err(|error| error.to_string())?;
    metrics::counter!("es_dispatch_conflicts_total").increment(1);
    if count.swap(0, Ordering::Relaxed) != 1 {
        return Err("conflicts are not counted".into());
    }
    Ok(count)
}

impl Recorder for Conflicts {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        if key.name() == "es_dispatch_conflicts_total" {
            Counter::from_arc(Arc::clone(&self.0))
        } else {
            Counter::noop()
        }
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}
