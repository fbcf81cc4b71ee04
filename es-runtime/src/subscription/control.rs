//! What an operator does with subscriptions, from whatever process: everything works on the store.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::options::SubscriptionOptions;
use super::retry::{self, Retried};
use super::shared::Shared;
use super::subscriber::Subscriber;
use crate::event::GlobalPosition;
use crate::handler::Dependencies;
use crate::projection::Registered;
use crate::store::{Letter, Store, StoreError, SubscriptionStatus};

/// Operates the subscriptions of a program.
///
/// Each call takes effect for all processes. Workers of this process heed a new status at once, those of others with their next sign of life: a third
/// of the lease's time-out.
#[derive(Clone)]
pub struct Control<S> {
    pub(crate) store: S,
    pub(crate) subscribers: Arc<[Arc<Subscriber>]>,
    pub(crate) dependencies: Arc<Dependencies>,
    pub(crate) options: Arc<SubscriptionOptions>,
    pub(crate) shared: Arc<Shared>,
}

impl<S> std::fmt::Debug for Control<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.subscribers.iter().map(|subscriber| &subscriber.name)).finish()
    }
}

/// Says why an operation on a subscription was not done.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    /// The program has no subscription of this name.
    #[error("no subscription is called `{name}`")]
    Unknown {
        /// The name.
        name: String,
    },
    /// The partition moved on each try.
    #[error("subscription `{name}` is too busy; pause it and try again")]
    Busy {
        /// The subscription.
        name: String,
    },
    /// The store could not be used.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Says why a subscription was not rewound. Nothing changed.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RewindError {
    /// The program has no subscription of this name.
    #[error("no subscription is called `{name}`")]
    Unknown {
        /// The name.
        name: String,
    },
    /// The rows of a folded or connected projection hold everything up to where it stands: events from the middle would be taken twice.
    #[error("projection `{name}` can be rewound to the start only, which empties it; not to position {to}")]
    OnlyToStart {
        /// The projection.
        name: String,
        /// Where it was to go.
        to: GlobalPosition,
    },
    /// A connected projection has no function that empties what it wrote.
    #[error("projection `{name}` has no `#[reset]` function; without one it cannot be built anew")]
    NoReset {
        /// The projection.
        name: String,
    },
    /// The position is past the end of the log: events that come later would be skipped.
    #[error("projection `{name}` cannot be moved to position {to}: the log ends at position {head}")]
    PastHead {
        /// The projection.
        name: String,
        /// Where it was to go.
        to: GlobalPosition,
        /// The position of the newest event.
        head: GlobalPosition,
    },
    /// The store could not be used.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl<S: Store> Control<S> {
    pub(crate) fn subscriber(&self, name: &str) -> Result<&Arc<Subscriber>, ControlError> {
        let found = self.subscribers.iter().find(|subscriber| &*subscriber.name == name);
        found.ok_or_else(|| ControlError::Unknown { name: name.to_owned() })
    }

    /// Lists up to `limit` letters of a subscription, the oldest position first; of one sequence key where it is given.
    ///
    /// # Errors
    ///
    /// [`ControlError`]
    pub async fn letters(&self, name: &str, key: Option<&str>, limit: usize) -> Result<Vec<Letter>, ControlError> {
        let version = self.subscriber(name)?.projection.version;
        Ok(self.store.letters(name, version, key, limit).await?)
    }

    /// Tries letters again: all of a subscription, or those of one sequence key.
    ///
    /// The key whose first letter was touched longest ago comes first. Per key they are taken in their order, and the first that fails holds
    /// the rest of its key. An event that stands under several keys is tried when it is the first of each. Events are read and decoded anew, so
    /// that a program with a new upcaster or a mended function heals them.
    ///
    /// # Errors
    ///
    /// [`ControlError`]; what was done before stays done.
    ///
    /// # Cancel safety
    ///
    /// Dropped, each letter is handled whole or not at all. External functions may have been called for one more.
    pub async fn retry(&self, name: &str, key: Option<&str>) -> Result<Retried, ControlError> {
        let retried = retry::run(self, self.subscriber(name)?, key).await;
        self.shared.nudge.notify_one();
        retried
    }

    /// Takes one letter away unhandled, under all of its keys; `false` where it is not there any more. Later letters of its keys stay.
    ///
    /// # Errors
    ///
    /// [`ControlError`]
    pub async fn skip(&self, letter: &Letter) -> Result<bool, ControlError> {
        self.subscriber(&letter.id.name)?;
        let skipped = self.store.skip_letter(&letter.id, letter.letter.position).await?;
        self.shared.nudge.notify_one();
        tracing::warn!(subscription = %letter.id.name, position = %letter.letter.position, skipped, "a letter was skipped");
        Ok(skipped)
    }

    /// Pauses a subscription, after the batches at hand.
    ///
    /// # Errors
    ///
    /// [`ControlError`]
    pub async fn pause(&self, name: &str) -> Result<(), ControlError> {
        self.set_status(name, SubscriptionStatus::Paused).await
    }

    /// Lets a subscription go on that was paused, or has stopped.
    ///
    /// # Errors
    ///
    /// [`ControlError`]
    pub async fn resume(&self, name: &str) -> Result<(), ControlError> {
        self.set_status(name, SubscriptionStatus::Running).await
    }

    async fn set_status(&self, name: &str, status: SubscriptionStatus) -> Result<(), ControlError> {
        let version = self.subscriber(name)?.projection.version;
        self.store.set_status(name, version, None, status).await?;
        self.shared.nudge.notify_one();
        Ok(())
    }

    /// Sets a subscription back: an external projection to any position, from where its functions are called again; others to
    /// [`GlobalPosition::START`] only, which is a [`rebuild`](Self::rebuild). Its letters are gone.
    ///
    /// # Errors
    ///
    /// [`RewindError`]
    pub async fn rewind(&self, name: &str, to: GlobalPosition) -> Result<(), RewindError> {
        let subscriber = self.known(name)?;
        if !matches!(subscriber.registered, Registered::External(_)) {
            if to > GlobalPosition::START {
                return Err(RewindError::OnlyToStart { name: name.to_owned(), to });
            }
            return self.rebuild(name).await;
        }
        self.store.rewind(name, subscriber.projection.version, to).await.map_err(|error| match error {
            StoreError::PastHead { to, head } => RewindError::PastHead { name: name.to_owned(), to, head },
            error => RewindError::Store(error),
        })?;
        self.moved(subscriber);
        Ok(())
    }

    /// Builds the version that serves anew, in place: it is emptied, and serves again when it has caught up; until then queries fail with
    /// [`ReadModelError::Building`](crate::read_model::ReadModelError::Building), in other processes within a second. To build beside the one that serves, raise the projection's version.
    ///
    /// # Errors
    ///
    /// [`RewindError`]
    pub async fn rebuild(&self, name: &str) -> Result<(), RewindError> {
        let subscriber = self.known(name)?;
        let projection = subscriber.projection;
        match &subscriber.registered {
            Registered::Folded(_) => self.store.reset(projection, None).await?,
            Registered::Connected(_) if !projection.resets => {
                return Err(RewindError::NoReset { name: name.to_owned() });
            }
            Registered::Connected(projector) => self.store.reset(projection, Some(Arc::clone(projector))).await?,
            Registered::External(_) => self.store.rewind(name, projection.version, GlobalPosition::START).await?,
        }
        if !matches!(subscriber.registered, Registered::External(_)) {
            self.shared.builds_anew(&subscriber.name, projection.version);
        }
        self.moved(subscriber);
        Ok(())
    }

    fn known(&self, name: &str) -> Result<&Arc<Subscriber>, RewindError> {
        self.subscriber(name).map_err(|_| RewindError::Unknown { name: name.to_owned() })
    }

    /// Changes whenever this process has made another version serve, or none.
    pub(crate) fn generation(&self) -> u64 {
        self.shared.generation.load(Ordering::Acquire)
    }

    /// Nobody may take what a worker knew before for what is done now.
    fn moved(&self, subscriber: &Subscriber) {
        self.shared.generation.fetch_add(1, Ordering::AcqRel);
        for id in subscriber.ids() {
            self.shared.update(&id, |health| {
                health.position = GlobalPosition::START;
                (health.letters, health.parked_keys) = (0, 0);
            });
        }
        self.shared.nudge.notify_one();
    }
}
