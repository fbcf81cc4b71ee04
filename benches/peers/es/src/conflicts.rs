//! Counts what the library decides again by itself, by the metric that it has for that.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use peers_workload::Result;

/// A recorder of metrics that knows one counter.
pub(crate) struct Conflicts(Arc<AtomicU64>);

impl Conflicts {
    /// Counts from now on.
    pub(crate) fn count() -> Result<Arc<AtomicU64>> {
        let count = Arc::new(AtomicU64::new(0));
        metrics::set_global_recorder(Self(Arc::clone(&count))).map_err(|error| error.to_string())?;
        Ok(count)
    }
}

impl Recorder for Conflicts {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        match key.name() {
            "es_dispatch_conflicts_total" => Counter::from_arc(Arc::clone(&self.0)),
            _ => Counter::noop(),
        }
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}
