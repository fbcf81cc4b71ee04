//! What a dispatch can fail with.
//!
//! ```
//! use es_runtime::error::DispatchError;
//! use std::convert::Infallible;
//!
//! /// An HTTP status for whatever went wrong.
//! fn status<E>(error: &DispatchError<E>) -> u16 {
//!     match error {
//!         DispatchError::Domain(_) | DispatchError::Validation(_) => 422,
//!         DispatchError::Malformed { .. } => 400,
//!         DispatchError::NotFound { .. } | DispatchError::UnknownCommand { .. } => 404,
//!         DispatchError::AlreadyExists { .. } | DispatchError::Conflict { .. } | DispatchError::Claimed { .. } => 409,
//!         error if error.is_retryable() => 503,
//!         _ => 500,
//!     }
//! }
//! assert_eq!(status(&DispatchError::<Infallible>::Overloaded), 503);
//! assert_eq!(DispatchError::<Infallible>::Overloaded.kind(), "overloaded");
//! ```

use std::error::Error as StdError;
use std::time::Duration;

use crate::aggregate::CannotApply;
use crate::command::ValidationErrors;
use crate::event::{CommandId, GlobalPosition, StreamId, Version};
use crate::projection::ProjectionFailure;
use crate::store::{ClaimsDiffer, StoreError};

/// A boxed error.
pub type BoxError = Box<dyn StdError + Send + Sync>;

/// Says why a dispatch did not succeed. All but [`Uncertain`](Self::Uncertain) and
/// [`OutcomeUnknown`](Self::OutcomeUnknown) mean: nothing was stored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DispatchError<E> {
    /// The domain's own error: the handler refused the command.
    #[error(transparent)]
    Domain(E),
    /// Fields of the command break their rules; all of them are listed.
    #[error("the command is not valid: {0}")]
    Validation(ValidationErrors),
    /// A command that came as JSON could not be read.
    #[error("command `{command}` could not be read at `{field}`: {reason}")]
    Malformed {
        /// The command's name.
        command: String,
        /// The path of the field, `.` for the command as a whole.
        field: String,
        /// What is wrong there.
        reason: String,
    },
    /// No command of the application has this name.
    #[error("no command is called `{command}`{}", .similar.as_ref().map(|name| format!("; there is `{name}`")).unwrap_or_default())]
    UnknownCommand {
        /// The name that was asked for.
        command: String,
        /// A command with a similar name.
        similar: Option<&'static str>,
    },
    /// The command changes an aggregate that does not exist.
    #[error("`{stream}` does not exist")]
    NotFound {
        /// The aggregate's stream.
        stream: StreamId,
    },
    /// The command creates an aggregate that exists.
    #[error("`{stream}` exists already")]
    AlreadyExists {
        /// The aggregate's stream.
        stream: StreamId,
    },
    /// Others kept changing the aggregate; or it is not at the version the caller expects. Load and dispatch again.
    #[error("`{stream}` is at version {actual}, not at the expected version {expected}")]
    Conflict {
        /// The aggregate's stream.
        stream: StreamId,
        /// The version the decision was made on, or the caller's.
        expected: Version,
        /// The version that is stored.
        actual: Version,
    },
    /// A key that must be unique is taken.
    #[error("the key is taken in the set `{set}`")]
    Claimed {
        /// The set.
        set: String,
    },
    /// The program claims other keys with an event than the store knows: it is older or newer than the claims that were built.
    #[error("nothing was stored: {0}; use the newest program, or build the claims")]
    ClaimsDiffer(Box<ClaimsDiffer>),
    /// The idempotency key was used for another command.
    #[error("the idempotency key `{key}` was used for {}", Reused(command, *differs))]
    IdempotencyKeyReused {
        /// The key.
        key: String,
        /// The name of the command that used it.
        command: String,
        /// What the two commands differ in.
        differs: Difference,
    },
    /// An event that the handler decided does not fit the aggregate, or applying it panicked.
    #[error(transparent)]
    CannotApply(CannotApply),
    /// The handler panicked.
    #[error("the handler of `{command}` panicked: {message}")]
    HandlerPanicked {
        /// The command's name.
        command: &'static str,
        /// The panic's message.
        message: String,
    },
    /// An event, an output or the command's id is larger than the limit, or cannot be written as JSON.
    #[error("`{what}` cannot be stored: {reason}")]
    NotStorable {
        /// What cannot be stored.
        what: String,
        /// Why.
        reason: String,
    },
    /// A synchronous projection failed on one of the command's events.
    #[error("projection `{projection}` failed, so nothing was stored: {cause}")]
    SyncProjectionFailed {
        /// The projection.
        projection: &'static str,
        /// Why.
        cause: ProjectionFailure,
    },
    /// A synchronous projection took longer than its time-out.
    #[error("projection `{projection}` took longer than {after:?}, so nothing was stored")]
    SyncProjectionTimedOut {
        /// The projection.
        projection: &'static str,
        /// Its time-out.
        after: Duration,
    },
    /// A synchronous projection has to wait for earlier events of the aggregate or of a row that the commit changes: one of them is put aside,
    /// or there are too many.
    #[error("projection `{projection}` cannot take a commit of `{stream}` yet, so nothing was stored: {reason}")]
    ProjectionBehind {
        /// The projection.
        projection: &'static str,
        /// The stream of the commit.
        stream: StreamId,
        /// What it waits for.
        reason: String,
    },
    /// An orchestrating handler dispatched to the very aggregate it handles. Record on its root, or `handle` the other
    /// command there.
    #[error("a handler of `{stream}` dispatched to `{stream}` itself{}; nothing of that dispatch was stored", Through(.through))]
    WithinItself {
        /// The aggregate's stream.
        stream: StreamId,
        /// The streams of the handlers in between, in the order of their dispatches; empty if there are none.
        through: Vec<StreamId>,
    },
    /// Orchestrating handlers would wait for each other's aggregates. The others go on: dispatch the outermost command
    /// again.
    #[error("handlers would wait for each other, {}; nothing of this dispatch was stored", Circle(.circle))]
    MutualWait {
        /// The streams of the handlers, each waiting for the next. The last one is that of the first handler, or of one that
        /// waits for it.
        circle: Vec<StreamId>,
    },
    /// A dispatch of an orchestrating handler did not get its aggregate's turn in time, `Limits::turn_timeout`.
    #[error("a handler of `{within}` waited {after:?} for the turn of `{stream}`; nothing of that dispatch was stored")]
    TurnTimedOut {
        /// The stream of the aggregate that was dispatched to.
        stream: StreamId,
        /// The stream of the handler that dispatched.
        within: StreamId,
        /// The limit.
        after: Duration,
    },
    /// An orchestrating handler took longer than `Limits::handler_timeout`. Nothing was stored; what it did with its
    /// dependencies may have happened.
    #[error("the handler of `{command}` on `{stream}` took longer than {after:?}{}; nothing was stored", WaitsFor(.waits_for))]
    HandlerTimedOut {
        /// The command's name.
        command: &'static str,
        /// The aggregate's stream.
        stream: StreamId,
        /// The limit.
        after: Duration,
        /// The streams whose turn dispatches of the handler waited for.
        waits_for: Vec<StreamId>,
    },
    /// The dispatch did not reach the store within the caller's time-out.
    #[error("the command did not reach the store within {after:?}; nothing was stored")]
    TimedOut {
        /// The caller's time-out.
        after: Duration,
    },
    /// The line in front of the aggregate or the store stayed full.
    #[error("too many commands are waiting; nothing was stored, try again later")]
    Overloaded,
    /// A layer around dispatch refused the command.
    #[error("a layer refused the command: {0}")]
    Refused(BoxError),
    /// The store could not be used.
    #[error("nothing was stored: {0}")]
    Unavailable(StoreError),
    /// The caller's time-out passed, or a layer gave up, while the store had the command or its handler was busy with its
    /// dependencies. Dispatch it again with the same idempotency key to learn what became of it.
    #[error("the answer to command {command_id} did not come in time; it may be stored")]
    OutcomeUnknown {
        /// The dispatch.
        command_id: CommandId,
    },
    /// The store could not find out whether the commit is stored. Dispatch it again with the same idempotency key to
    /// learn what became of it.
    #[error("whether command {command_id} was stored could not be found out: {reason}")]
    Uncertain {
        /// The dispatch.
        command_id: CommandId,
        /// What happened.
        reason: String,
    },
}

impl<E> DispatchError<E> {
    /// Tells whether others changed the aggregate meanwhile.
    #[must_use]
    pub const fn is_conflict(&self) -> bool {
        matches!(self, Self::Conflict { .. })
    }

    /// Tells whether the same dispatch may succeed later and nothing of it was stored.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::Conflict { .. }
            | Self::Overloaded
            | Self::TimedOut { .. }
            | Self::MutualWait { .. }
            | Self::TurnTimedOut { .. }
            | Self::SyncProjectionTimedOut { .. }
            | Self::ProjectionBehind { .. } => true,
            Self::Unavailable(error) => error.is_retryable(),
            _ => false,
        }
    }

    /// Names the variant in `snake_case`: for metrics and for HTTP status tables.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Domain(_) => "domain",
            Self::Validation(_) => "validation",
            Self::Malformed { .. } => "malformed",
            Self::UnknownCommand { .. } => "unknown_command",
            Self::NotFound { .. } => "not_found",
            Self::AlreadyExists { .. } => "already_exists",
            Self::Conflict { .. } => "conflict",
            Self::Claimed { .. } => "claimed",
            Self::ClaimsDiffer(_) => "claims_differ",
            Self::IdempotencyKeyReused { .. } => "idempotency_key_reused",
            Self::CannotApply(_) => "cannot_apply",
            Self::HandlerPanicked { .. } => "handler_panicked",
            Self::NotStorable { .. } => "not_storable",
            Self::SyncProjectionFailed { .. } => "sync_projection_failed",
            Self::SyncProjectionTimedOut { .. } => "sync_projection_timed_out",
            Self::ProjectionBehind { .. } => "projection_behind",
            Self::WithinItself { .. } => "within_itself",
            Self::MutualWait { .. } => "mutual_wait",
            Self::TurnTimedOut { .. } => "turn_timed_out",
            Self::HandlerTimedOut { .. } => "handler_timed_out",
            Self::TimedOut { .. } => "timed_out",
            Self::Overloaded => "overloaded",
            Self::Refused(_) => "refused",
            Self::Unavailable(_) => "unavailable",
            Self::OutcomeUnknown { .. } => "outcome_unknown",
            Self::Uncertain { .. } => "uncertain",
        }
    }

    /// Gives the domain's own error, if it is that.
    #[must_use]
    pub const fn domain(&self) -> Option<&E> {
        match self {
            Self::Domain(error) => Some(error),
            _ => None,
        }
    }

    /// Changes the domain's own error and keeps all others.
    pub fn map_domain<F>(self, change: impl FnOnce(E) -> F) -> DispatchError<F> {
        match self {
            Self::Domain(error) => DispatchError::Domain(change(error)),
            Self::Validation(errors) => DispatchError::Validation(errors),
            Self::Malformed { command, field, reason } => DispatchError::Malformed { command, field, reason },
            Self::UnknownCommand { command, similar } => DispatchError::UnknownCommand { command, similar },
            Self::NotFound { stream } => DispatchError::NotFound { stream },
            Self::AlreadyExists { stream } => DispatchError::AlreadyExists { stream },
            Self::Conflict { stream, expected, actual } => DispatchError::Conflict { stream, expected, actual },
            Self::Claimed { set } => DispatchError::Claimed { set },
            Self::ClaimsDiffer(differ) => DispatchError::ClaimsDiffer(differ),
            Self::IdempotencyKeyReused { key, command, differs } => {
                DispatchError::IdempotencyKeyReused { key, command, differs }
            }
            Self::CannotApply(error) => DispatchError::CannotApply(error),
            Self::HandlerPanicked { command, message } => DispatchError::HandlerPanicked { command, message },
            Self::NotStorable { what, reason } => DispatchError::NotStorable { what, reason },
            Self::SyncProjectionFailed { projection, cause } => {
                DispatchError::SyncProjectionFailed { projection, cause }
            }
            Self::SyncProjectionTimedOut { projection, after } => {
                DispatchError::SyncProjectionTimedOut { projection, after }
            }
            Self::ProjectionBehind { projection, stream, reason } => {
                DispatchError::ProjectionBehind { projection, stream, reason }
            }
            Self::WithinItself { stream, through } => DispatchError::WithinItself { stream, through },
            Self::MutualWait { circle } => DispatchError::MutualWait { circle },
            Self::TurnTimedOut { stream, within, after } => DispatchError::TurnTimedOut { stream, within, after },
            Self::HandlerTimedOut { command, stream, after, waits_for } => {
                DispatchError::HandlerTimedOut { command, stream, after, waits_for }
            }
            Self::TimedOut { after } => DispatchError::TimedOut { after },
            Self::Overloaded => DispatchError::Overloaded,
            Self::Refused(error) => DispatchError::Refused(error),
            Self::Unavailable(error) => DispatchError::Unavailable(error),
            Self::OutcomeUnknown { command_id } => DispatchError::OutcomeUnknown { command_id },
            Self::Uncertain { command_id, reason } => DispatchError::Uncertain { command_id, reason },
        }
    }
}

/// What two commands under one idempotency key differ in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Difference {
    /// They are of different types.
    Command,
    /// They are of one type, with different values in their fields.
    Fields,
}

struct Reused<'a>(&'a str, Difference);

impl std::fmt::Display for Reused<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self(command, Difference::Command) => write!(f, "another command, `{command}`"),
            Self(command, Difference::Fields) => write!(f, "a `{command}` with other fields"),
        }
    }
}

/// Lists streams for a message.
fn list(f: &mut std::fmt::Formatter<'_>, before: &str, between: &str, streams: &[StreamId]) -> std::fmt::Result {
    for (index, stream) in streams.iter().enumerate() {
        write!(f, "{}`{stream}`", if index == 0 { before } else { between })?;
    }
    Ok(())
}

struct Through<'a>(&'a [StreamId]);

impl std::fmt::Display for Through<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        list(f, ", through ", " and ", self.0)
    }
}

struct Circle<'a>(&'a [StreamId]);

impl std::fmt::Display for Circle<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        list(f, "", " for ", self.0)
    }
}

struct WaitsFor<'a>(&'a [StreamId]);

impl std::fmt::Display for WaitsFor<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        list(f, ", waiting for ", " and ", self.0)
    }
}

/// The domain's own error where its type is not known: of a command dispatched by name or as an enum.
#[derive(Debug)]
pub struct AnyDomainError(pub BoxError);

impl std::fmt::Display for AnyDomainError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl StdError for AnyDomainError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source()
    }
}

impl AnyDomainError {
    /// Gives the error as its own type, if it is that.
    #[must_use]
    pub fn downcast_ref<E: StdError + 'static>(&self) -> Option<&E> {
        self.0.downcast_ref()
    }
}

/// Says why a query has no answer. A query changes nothing, so it may always be asked again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QueryError<E> {
    /// The handler's own error.
    #[error(transparent)]
    Domain(E),
    /// A query that came as JSON could not be read.
    #[error("query `{query}` could not be read at `{field}`: {reason}")]
    Malformed {
        /// The query's name.
        query: String,
        /// The path of the field, `.` for the query as a whole.
        field: String,
        /// What is wrong there.
        reason: String,
    },
    /// No query of the application has this name.
    #[error("no query is called `{query}`{}", .similar.as_ref().map(|name| format!("; there is `{name}`")).unwrap_or_default())]
    UnknownQuery {
        /// The name that was asked for.
        query: String,
        /// A query with a similar name.
        similar: Option<&'static str>,
    },
    /// What the query reads has not passed the position to wait for in time. The command is stored; only its effect is not visible
    /// yet. Ask again, or take what is there with `.or_stale()`.
    #[error("{} did not pass position {position} within {waited:?}", NotVisible(.pending))]
    NotYetVisible {
        /// The projections that are behind, each with what holds it up, where that is known.
        pending: Vec<Pending>,
        /// The position to wait for.
        position: GlobalPosition,
        /// How long was waited.
        waited: Duration,
    },
    /// The handler panicked.
    #[error("the handler of query `{query}` panicked: {message}")]
    HandlerPanicked {
        /// The query's name.
        query: &'static str,
        /// The panic's message.
        message: String,
    },
    /// The answer cannot be written as JSON.
    #[error("the answer to query `{query}` cannot be written as JSON: {reason}")]
    NotJson {
        /// The query's name.
        query: &'static str,
        /// What the serializer said.
        reason: String,
    },
    /// The store could not be used, or the application is closed.
    #[error(transparent)]
    Unavailable(StoreError),
}

/// A projection that has not passed a position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// The projection's name.
    pub projection: &'static str,
    /// What holds it up: that it stopped, is paused, or has put the stream aside; `None` where it is merely behind.
    pub reason: Option<String>,
}

struct NotVisible<'a>(&'a [Pending]);

impl std::fmt::Display for NotVisible<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, Pending { projection, reason }) in self.0.iter().enumerate() {
            f.write_str(if index == 0 { "projection " } else { ", " })?;
            write!(f, "`{projection}`")?;
            if let Some(reason) = reason {
                write!(f, " ({reason})")?;
            }
        }
        Ok(())
    }
}

impl<E> QueryError<E> {
    /// Names the variant in `snake_case`: for metrics and for HTTP status tables.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Domain(_) => "domain",
            Self::Malformed { .. } => "malformed",
            Self::UnknownQuery { .. } => "unknown_query",
            Self::NotYetVisible { .. } => "not_yet_visible",
            Self::HandlerPanicked { .. } => "handler_panicked",
            Self::NotJson { .. } => "not_json",
            Self::Unavailable(_) => "unavailable",
        }
    }

    /// Tells whether the same query may be answered later.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::NotYetVisible { .. } => true,
            Self::Unavailable(error) => error.is_retryable(),
            _ => false,
        }
    }

    /// Gives the handler's own error, if it is that.
    #[must_use]
    pub const fn domain(&self) -> Option<&E> {
        match self {
            Self::Domain(error) => Some(error),
            _ => None,
        }
    }

    /// Changes the handler's own error and keeps all others.
    pub fn map_domain<F>(self, change: impl FnOnce(E) -> F) -> QueryError<F> {
        match self {
            Self::Domain(error) => QueryError::Domain(change(error)),
            Self::Malformed { query, field, reason } => QueryError::Malformed { query, field, reason },
            Self::UnknownQuery { query, similar } => QueryError::UnknownQuery { query, similar },
            Self::NotYetVisible { pending, position, waited } => {
                QueryError::NotYetVisible { pending, position, waited }
            }
            Self::HandlerPanicked { query, message } => QueryError::HandlerPanicked { query, message },
            Self::NotJson { query, reason } => QueryError::NotJson { query, reason },
            Self::Unavailable(error) => QueryError::Unavailable(error),
        }
    }
}
