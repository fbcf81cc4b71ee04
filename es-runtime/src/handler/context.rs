//! The only source of time and ids for a pure handler.

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::app::running::Running;
use crate::event::{CommandId, CorrelationId, Metadata, StreamId};

/// What a handler may know beside its command and the state: the time, who acts, and new ids.
///
/// A handler takes it as a further parameter, `context: &Context`. In tests its time and ids are fixed by hand.
///
/// A clone of it, given to [`DispatchOptions::within`](crate::app::DispatchOptions::within), says of a dispatch in a
/// spawned task that its handler waits for it.
#[derive(Clone, Debug)]
pub struct Context {
    pub(crate) now: DateTime<Utc>,
    pub(crate) stream: StreamId,
    pub(crate) metadata: Arc<Metadata>,
    pub(crate) ids: Arc<dyn IdSource>,
    pub(crate) key: Option<Arc<str>>,
    /// The orchestrating handler that has this context.
    pub(crate) running: Option<Arc<Running>>,
}

impl Context {
    /// Returns the time of the dispatch, in whole microseconds. It is the same for everything that one try of a handler does, and the
    /// time at which its events are recorded.
    #[must_use]
    pub const fn now(&self) -> DateTime<Utc> {
        self.now
    }

    /// Gives who acts, where the caller said so.
    #[must_use]
    pub fn actor(&self) -> Option<&str> {
        self.metadata.actor.as_deref()
    }

    /// Gives the tenant; empty is the default one.
    #[must_use]
    pub fn tenant(&self) -> &str {
        self.stream.tenant()
    }

    /// Gives what the dispatch belongs to.
    #[must_use]
    pub fn correlation(&self) -> Option<CorrelationId> {
        self.metadata.correlation
    }

    /// Gives the id of this dispatch. It stays the same when the command is decided again, and is another one when the
    /// caller dispatches again.
    #[must_use]
    pub fn command_id(&self) -> Option<CommandId> {
        self.metadata.command_id
    }

    /// Gives the caller's idempotency key, if there is one: what a payment service, say, should be given in its turn.
    #[must_use]
    pub fn idempotency_key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// Gives the metadata that will be stored with the events.
    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Makes a new id. A command that is decided again gets another one.
    #[must_use]
    pub fn new_id(&self) -> Uuid {
        self.ids.next()
    }
}

/// Makes ids for [`Context::new_id`].
pub trait IdSource: Debug + Send + Sync + 'static {
    /// Makes the next id.
    fn next(&self) -> Uuid;
}

/// Makes time-ordered random ids (UUID version 7): the default.
#[derive(Clone, Copy, Debug, Default)]
pub struct RandomIds;

impl IdSource for RandomIds {
    fn next(&self) -> Uuid {
        Uuid::now_v7()
    }
}

/// Counts ids up from 1: for tests that compare.
///
/// ```
/// use es_runtime::handler::{IdSource, SequentialIds};
/// let ids = SequentialIds::default();
/// assert_eq!(ids.next().as_u128(), 1);
/// assert_eq!(ids.next().as_u128(), 2);
/// ```
#[derive(Debug, Default)]
pub struct SequentialIds(AtomicU64);

impl IdSource for SequentialIds {
    fn next(&self) -> Uuid {
        Uuid::from_u128(u128::from(self.0.fetch_add(1, Ordering::Relaxed)) + 1)
    }
}
