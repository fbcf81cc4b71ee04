//! Projections: from events to read models.
//!
//! A projection is declared with [`#[projection]`](macro@crate::projection) on an impl block. There are three styles, told
//! apart by what the functions take:
//!
//! | style | functions | runs on | delivery |
//! |---|---|---|---|
//! | folded | on a read model, take the event | every store | exactly once |
//! | connected | take a connection of the store | that store | exactly once |
//! | external | take a [`Dep`](crate::handler::Dep) | every store, outside of it | at least once |
//!
//! Stores see a folded projection as a [`Projector`], a connected one as a [`ConnectedProjector`].

mod connected;
mod descriptor;
mod external;
mod fold;
mod session;

use crate::store::Store;

pub use connected::{BoxFuture, Connected, ConnectedFn, ConnectedHandler, ConnectedProjector};
pub(crate) use descriptor::kind_of;
pub use descriptor::{
    FailurePolicy, HandlerMode, HandlerOptions, ProjectionDescriptor, ProjectionHandler, ProjectionStyle,
};
pub use external::{External, ExternalFn, ExternalHandler, ExternalProjector};
pub use fold::{Fold, FoldFn, FoldHandler, Step};
pub use session::{FoldSession, Projector};

use crate::event::DecodeError;
use crate::read_model::ColumnError;

/// A projection of a domain. Implemented by [`#[projection]`](macro@crate::projection).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a projection",
    label = "not a projection",
    note = "put `#[projection(name = \"…\", version = 1)]` on an impl block of `{Self}`"
)]
pub trait Projection: Sized + Send + Sync + 'static {
    /// What the projection is, as data.
    const PROJECTION: &'static ProjectionDescriptor;
}

/// A projection that runs on store `S`: folded and external ones on every store, connected ones on theirs. Implemented by
/// [`#[projection]`](macro@crate::projection).
#[diagnostic::on_unimplemented(
    message = "projection `{Self}` does not run on `{S}`",
    label = "bound to another store",
    note = "it takes a connection of its store; keep it in an outer domain, and give the application that store"
)]
pub trait ProjectionOn<S: Store>: Projection {
    /// Adds the projection to those of an application.
    fn register(projections: &mut Projections);
}

/// The projections of an application.
#[derive(Default)]
pub struct Projections(pub(crate) Vec<Registered>);

/// One projection of an application.
#[derive(Clone)]
pub(crate) enum Registered {
    Folded(std::sync::Arc<dyn Projector>),
    Connected(std::sync::Arc<dyn ConnectedProjector>),
    External(std::sync::Arc<dyn ExternalProjector>),
}

impl Registered {
    pub(crate) fn descriptor(&self) -> &'static ProjectionDescriptor {
        match self {
            Self::Folded(projector) => projector.descriptor(),
            Self::Connected(projector) => projector.descriptor(),
            Self::External(projector) => projector.descriptor(),
        }
    }
}

impl std::fmt::Debug for Projections {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.iter().map(|registered| registered.descriptor().name)).finish()
    }
}

impl Projections {
    /// Gives what every projection is.
    pub(crate) fn descriptors(&self) -> Vec<&'static ProjectionDescriptor> {
        self.0.iter().map(Registered::descriptor).collect()
    }

    /// Names the dependencies that are taken and were not given.
    pub(crate) fn missing(&self, dependencies: &crate::handler::Dependencies) -> Vec<&'static str> {
        let handlers = self.0.iter().flat_map(|registered| registered.descriptor().handlers);
        let needed = handlers.flat_map(|handler| handler.dependencies).flatten();
        needed.filter(|needed| !(needed.is_there)(dependencies)).map(|needed| (needed.name)()).collect()
    }

    /// Gives those that have synchronous functions, if there are any.
    pub(crate) fn in_append(&self, backlog: usize) -> Option<std::sync::Arc<crate::store::SyncProjections>> {
        let mut sync: Vec<_> = self.0.iter().filter(|registered| registered.descriptor().has_sync()).collect();
        sync.sort_by_key(|registered| (registered.descriptor().first_priority(), registered.descriptor().name));
        let mut parts = crate::store::SyncProjections { backlog, ..Default::default() };
        for registered in sync {
            match registered {
                Registered::Folded(projector) => parts.folded.push(std::sync::Arc::clone(projector)),
                Registered::Connected(projector) => parts.connected.push(std::sync::Arc::clone(projector)),
                // Their effects cannot be undone with a commit: they have no synchronous functions.
                Registered::External(_) => {}
            }
        }
        (!parts.folded.is_empty() || !parts.connected.is_empty()).then(|| std::sync::Arc::new(parts))
    }

    /// Adds a folded projection.
    pub fn folded(&mut self, projector: impl Projector) {
        self.0.push(Registered::Folded(std::sync::Arc::new(projector)));
    }

    /// Adds a connected projection.
    pub fn connected(&mut self, projector: impl ConnectedProjector) {
        self.0.push(Registered::Connected(std::sync::Arc::new(projector)));
    }

    /// Adds an external projection.
    pub fn external(&mut self, projector: impl ExternalProjector) {
        self.0.push(Registered::External(std::sync::Arc::new(projector)));
    }
}

/// Records how long a function took that is monitored.
fn record(projection: &ProjectionDescriptor, handler: &ProjectionHandler, took: std::time::Duration) {
    if handler.options.monitor {
        let seconds = took.as_secs_f64();
        metrics::histogram!("es_projection_handler_seconds", "projection" => projection.name, "handler" => handler.name)
            .record(seconds);
    }
}

/// Records how long a call of a function takes that is monitored.
fn watched<'a>(
    projection: &'static ProjectionDescriptor,
    handler: usize,
    call: BoxFuture<'a, Result<(), ProjectionFailure>>,
) -> BoxFuture<'a, Result<(), ProjectionFailure>> {
    let Some(handler) = projection.handlers.get(handler).filter(|handler| handler.options.monitor) else {
        return call;
    };
    let started = std::time::Instant::now();
    Box::pin(async move {
        let called = call.await;
        record(projection, handler, started.elapsed());
        called
    })
}

/// Says why a projection could not take an event. Nothing of the event's effect is stored.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProjectionFailure {
    /// A function that changes a row found none.
    #[error(
        "`{handler}` changes a row of `{table}` that does not exist: {key}; take `this: Option<Self>` if it may be absent"
    )]
    RowMissing {
        /// The function.
        handler: &'static str,
        /// The table.
        table: &'static str,
        /// The row's key.
        key: String,
    },
    /// A function that inserts a row found one.
    #[error(
        "`{handler}` inserts a row into `{table}` that exists already: {key}; take `this: Option<Self>` if it may exist"
    )]
    RowExists {
        /// The function.
        handler: &'static str,
        /// The table.
        table: &'static str,
        /// The row's key.
        key: String,
    },
    /// A function gave a row of another key than the event's.
    #[error("`{handler}` gave a row of `{table}` with the key {found} for an event of key {expected}")]
    KeyChanged {
        /// The function.
        handler: &'static str,
        /// The table.
        table: &'static str,
        /// The event's key.
        expected: String,
        /// The row's.
        found: String,
    },
    /// The function panicked.
    #[error("`{handler}` panicked: {message}")]
    Panicked {
        /// The function.
        handler: &'static str,
        /// The panic's message.
        message: String,
    },
    /// The function returned an error.
    #[error("`{handler}` failed: {cause}")]
    Failed {
        /// The function.
        handler: &'static str,
        /// Its error.
        cause: String,
    },
    /// The function took longer than it may.
    #[error("`{handler}` took longer than {after:?}")]
    TimedOut {
        /// The function.
        handler: &'static str,
        /// Its time-out.
        after: std::time::Duration,
    },
    /// The event's stream has a key that is not an id of its aggregate.
    #[error("{0}")]
    NotAnId(#[from] crate::event::StreamIdError),
    /// The event does not decode.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// A value of the row cannot be stored, or a stored one is not a field's.
    #[error(transparent)]
    Column(#[from] ColumnError),
}
