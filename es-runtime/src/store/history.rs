//! Which history a store speaks of.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// One history of a store: what was stored up to now, and what will be stored behind it.
///
/// A history ends when another takes its place that may lack a part of it: a replica became the primary, a backup was restored, a server lost
/// its last commits in a crash. What was read, decided, or folded in a history that is over must not be stored in another one.
///
/// Cloning gives the same history.
///
/// ```
/// use es_runtime::store::{EventStore, MemoryStore};
///
/// let history = MemoryStore::new().history();
/// assert!(!history.is_over());
/// ```
#[derive(Clone, Debug, Default)]
pub struct History(Arc<AtomicBool>);

impl History {
    /// Begins a history.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Ends the history: another one has taken its place.
    pub fn end(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Returns `true` if another history has taken its place.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}
