//! Waiting for every projection.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use super::engine::Engine;
use super::visible::Awaited;
use crate::error::Pending;
use crate::event::GlobalPosition;
use crate::store::{Store, StoreError};

/// Waits until every projection of the application serves in the version that the program declares, and has passed what was in the log when it
/// began to wait. A version that is being built is waited for until it has taken over: this is the call with which a deployment waits for it.
#[must_use = "nothing is waited for until it is awaited"]
pub struct CaughtUp<S> {
    engine: Arc<Engine<S>>,
    within: Duration,
}

/// Says why projections did not catch up.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotCaughtUp {
    /// The time is up, or waiting is in vain.
    #[error("{} did not pass position {position}: {}", names(.pending), reasons(.pending))]
    Pending {
        /// The projections that are behind, each with what holds it up, where that is known.
        pending: Vec<Pending>,
        /// The position to wait for.
        position: GlobalPosition,
    },
    /// The store could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn names(pending: &[Pending]) -> String {
    pending.iter().map(|pending| format!("`{}`", pending.projection)).collect::<Vec<_>>().join(", ")
}

fn reasons(pending: &[Pending]) -> String {
    let reasons: Vec<&str> = pending.iter().filter_map(|pending| pending.reason.as_deref()).collect();
    if reasons.is_empty() { "the time is up".to_owned() } else { reasons.join(", ") }
}

impl<S> CaughtUp<S> {
    pub(crate) const fn new(engine: Arc<Engine<S>>) -> Self {
        Self { engine, within: Duration::from_mins(1) }
    }

    /// Waits no longer than this; without it, 60 s.
    pub const fn within(mut self, limit: Duration) -> Self {
        self.within = limit;
        self
    }

    /// Waits no longer than so many seconds.
    pub const fn within_secs(self, seconds: u64) -> Self {
        self.within(Duration::from_secs(seconds))
    }
}

impl<S> fmt::Debug for CaughtUp<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CaughtUp").field("within", &self.within).finish_non_exhaustive()
    }
}

impl<S: Store> IntoFuture for CaughtUp<S> {
    type Output = Result<(), NotCaughtUp>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let position = self.engine.store.head().await?;
            let projections: Vec<_> = self.engine.read_side.projections.values().copied().collect();
            let deadline = tokio::time::Instant::now() + self.within;
            let awaited = Awaited { position, streams: &[], receipts_only: false, own_version: true };
            let pending = self.engine.read_side.passed(&projections, awaited, deadline).await?;
            if pending.is_empty() { Ok(()) } else { Err(NotCaughtUp::Pending { pending, position }) }
        })
    }
}
