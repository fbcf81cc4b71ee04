//! The one engine behind everything that follows the log.
//!
//! A *subscription* is a name, a version, and partitions, each with a checkpoint. Today every projection is one. An application starts the
//! subscriptions of its projections; this module is for health checks, for operators, and for those who embed the engine.
//!
//! # Guarantees
//!
//! - Rows and checkpoint are stored in one transaction: a read model takes every event exactly once, whatever dies when. External
//!   projections are called at least once.
//! - The order of events of one sequence key is kept, through failures, retries and changes of the process that runs a partition.
//! - An event that cannot be handled is put aside with its cause, and later ones of its sequence key wait behind it. Nothing is skipped
//!   that does not declare it.
//! - A gap in the log, a full line of letters, a panic: the subscription stops, says why, and stays so until it is resumed.
//!
//! # How it works
//!
//! One *keeper* a process renews its leases and starts a *worker* for each partition that it owns. A worker asks a pure state machine
//! what to do next, and does it: it reads pages (which are checked to be contiguous), folds them, and stores a batch. A batch moves the checkpoint
//! by compare-and-set on position and epoch, so of two workers that believe to own a partition only one can.

pub mod assign;
mod control;
mod health;
mod keeper;
mod machine;
#[cfg(test)]
mod machine_tests;
mod options;
mod plan;
mod reader;
mod rebuild;
mod retry;
mod shared;
mod subscriber;
mod tail;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod wait;
mod work;
mod worker;

use std::sync::Arc;

use tokio::sync::{oneshot, watch};

pub use control::{Control, ControlError, RewindError};
pub use health::{Health, StopReason, SubscriptionHealth, SubscriptionState};
pub use options::SubscriptionOptions;
pub use reader::LogGap;
pub use rebuild::Progress;
pub use retry::{FailedLetter, Retried};

use crate::handler::Dependencies;
use crate::projection::{Projections, Registered};
use crate::store::{ProcessId, RegisterError, Store, VersionState};
use keeper::Keeper;
use shared::Shared;
use subscriber::Subscriber;

/// The running subscriptions of a process.
///
/// Dropped, its workers finish the batches at hand and give their leases back, in the background; [`shutdown`](Self::shutdown) waits for that.
pub struct Subscriptions<S> {
    control: Control<S>,
    stop: watch::Sender<bool>,
    /// Closed when the keeper has ended.
    alive: watch::Receiver<()>,
}

impl<S> std::fmt::Debug for Subscriptions<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Subscriptions").field(&self.control).finish()
    }
}

impl<S: Store> Subscriptions<S> {
    /// Registers projections and begins to run them; with `workers: false` it leaves that to other processes. For a runtime of tokio: its
    /// tasks are spawned here.
    ///
    /// # Errors
    ///
    /// [`RegisterError`] where the store knows a projection otherwise, or cannot be used. Nothing runs then.
    pub async fn start(
        projections: Projections,
        store: S,
        dependencies: Arc<Dependencies>,
        options: SubscriptionOptions,
        workers: bool,
    ) -> Result<Self, RegisterError> {
        let retries = options.retries;
        let subscribers: Arc<[Arc<Subscriber>]> =
            projections.0.into_iter().map(|registered| Arc::new(Subscriber::new(registered, retries))).collect();
        for subscriber in subscribers.iter() {
            let connected = match &subscriber.registered {
                Registered::Connected(projector) => Some(Arc::clone(projector)),
                Registered::Folded(_) | Registered::External(_) => None,
            };
            store.register(subscriber.projection, connected).await?;
        }
        let (options, shared) = (Arc::new(options), Arc::new(Shared::new()));
        let program = subscribers.iter().map(|it| (Arc::clone(&it.name), it.projection.version));
        shared.learn(program, &store.projections().await?);
        for id in subscribers.iter().flat_map(|subscriber| subscriber.ids()) {
            // So that health speaks of every partition from the start.
            shared.update(&id, |_| {});
        }
        let control = Control { store, subscribers, dependencies, options, shared };
        let (stop, stopped) = watch::channel(false);
        let (sender, alive) = watch::channel(());
        if workers && !control.subscribers.is_empty() {
            let (looked, first_look) = oneshot::channel();
            let patience = control.options.lease_timeout;
            tokio::spawn(control.keeper().run(stopped, sender, looked));
            // Until its process is known to run it, another program may drop an older version. A store that does not answer holds nobody up.
            let _ = tokio::time::timeout(patience, first_look).await;
        }
        Ok(Self { control, stop, alive })
    }

    /// Gives what an operator does with the subscriptions.
    #[must_use]
    pub const fn control(&self) -> &Control<S> {
        &self.control
    }

    /// Ends: the workers finish the batches at hand, then the leases are given back, so that others go on at once.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it goes on in the background.
    pub async fn shutdown(&self) {
        self.stop.send_replace(true);
        let mut alive = self.alive.clone();
        // Nothing is ever sent: it ends with the keeper.
        while alive.changed().await.is_ok() {}
    }
}

impl<S: Store> Control<S> {
    /// Gives how the subscriptions fare, to look at or to wait for changes.
    #[must_use]
    pub fn health(&self) -> watch::Receiver<Health> {
        self.shared.health.subscribe()
    }

    /// Gives how far the versions are that this process builds, to look at or to wait for changes; one entry a projection that is
    /// or was built since the start.
    #[must_use]
    pub fn progress(&self) -> watch::Receiver<Vec<Progress>> {
        self.shared.progress.subscribe()
    }

    /// Gives which version of a projection serves, as this process knows; `None` where it is none of the program's.
    #[must_use]
    pub fn active_version(&self, name: &str) -> Option<u32> {
        self.shared.serving_of(name).active
    }

    /// Gives where the program's version of a projection stands, as this process knows; `None` where it was dropped, or is none of the program's.
    #[must_use]
    pub fn version_state(&self, name: &str) -> Option<VersionState> {
        self.shared.serving_of(name).mine
    }

    fn keeper(&self) -> Keeper<S> {
        Keeper {
            store: self.store.clone(),
            process: ProcessId::new(),
            subscribers: Arc::clone(&self.subscribers),
            dependencies: Arc::clone(&self.dependencies),
            options: Arc::clone(&self.options),
            shared: Arc::clone(&self.shared),
            tail: tail::follow(self.store.clone()),
        }
    }
}
