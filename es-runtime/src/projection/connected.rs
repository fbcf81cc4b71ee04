//! Projections that take a connection of their store.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::pin::Pin;

use super::{ProjectionDescriptor, ProjectionFailure, watched};
use crate::event::{AnyEvent, Recorded};

/// A boxed future.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A connected projection without its types: what a store calls inside its transaction.
///
/// The connection comes as `Any`, so that stores and projections meet without naming each other's types; that they fit is checked
/// while compiling, by [`ProjectionOn`](super::ProjectionOn).
pub trait ConnectedProjector: Send + Sync + 'static {
    /// Gives what the projection is.
    fn descriptor(&self) -> &'static ProjectionDescriptor;

    /// Runs the function at `handler` of the descriptor's over consecutive events that it takes: one, or a slice where it takes
    /// slices ([`takes_slices`](Self::takes_slices)).
    fn run<'a>(
        &'a self,
        handler: usize,
        connection: &'a mut (dyn Any + Send),
        events: &'a [Recorded<AnyEvent>],
    ) -> BoxFuture<'a, Result<(), ProjectionFailure>>;

    /// Tells whether the function at `handler` takes slices.
    fn takes_slices(&self, handler: usize) -> bool;

    /// Empties what the projection wrote, for a rebuild: its `#[reset]` function.
    fn reset<'a>(&'a self, connection: &'a mut (dyn Any + Send)) -> BoxFuture<'a, Result<(), ProjectionFailure>>;
}

/// One function of a connected projection over `P` with connections `C`.
pub struct ConnectedHandler<P, C> {
    /// Whether it takes slices.
    pub slices: bool,
    /// Runs it.
    pub run: ConnectedFn<P, C>,
}

/// Runs a function over events that it takes.
pub type ConnectedFn<P, C> =
    for<'a> fn(&'a P, &'a mut C, &'a [Recorded<AnyEvent>]) -> BoxFuture<'a, Result<(), ProjectionFailure>>;

/// Empties what a projection wrote.
type ResetFn<P, C> = for<'a> fn(&'a P, &'a mut C) -> BoxFuture<'a, Result<(), ProjectionFailure>>;

/// A connected projection.
pub struct Connected<P: 'static, C: 'static> {
    descriptor: &'static ProjectionDescriptor,
    projection: P,
    handlers: &'static [ConnectedHandler<P, C>],
    reset: Option<ResetFn<P, C>>,
}

impl<P, C> fmt::Debug for Connected<P, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Connected({})", self.descriptor.name)
    }
}

impl<P, C> Connected<P, C> {
    /// Puts a projection together: `handlers` stand in the order of the descriptor's.
    pub const fn new(
        descriptor: &'static ProjectionDescriptor,
        projection: P,
        handlers: &'static [ConnectedHandler<P, C>],
        reset: Option<ResetFn<P, C>>,
    ) -> Self {
        Self { descriptor, projection, handlers, reset }
    }
}

fn other_store() -> ProjectionFailure {
    ProjectionFailure::Failed { handler: "", cause: "the projection is bound to another store".to_owned() }
}

impl<P: Send + Sync + 'static, C: Send + 'static> ConnectedProjector for Connected<P, C> {
    fn descriptor(&self) -> &'static ProjectionDescriptor {
        self.descriptor
    }

    fn run<'a>(
        &'a self,
        handler: usize,
        connection: &'a mut (dyn Any + Send),
        events: &'a [Recorded<AnyEvent>],
    ) -> BoxFuture<'a, Result<(), ProjectionFailure>> {
        match (connection.downcast_mut::<C>(), self.handlers.get(handler)) {
            (Some(connection), Some(called)) => {
                watched(self.descriptor, handler, (called.run)(&self.projection, connection, events))
            }
            _ => Box::pin(std::future::ready(Err(other_store()))),
        }
    }

    fn takes_slices(&self, handler: usize) -> bool {
        self.handlers.get(handler).is_some_and(|handler| handler.slices)
    }

    fn reset<'a>(&'a self, connection: &'a mut (dyn Any + Send)) -> BoxFuture<'a, Result<(), ProjectionFailure>> {
        match (connection.downcast_mut::<C>(), self.reset) {
            (Some(connection), Some(reset)) => reset(&self.projection, connection),
            (Some(_), None) => Box::pin(std::future::ready(Ok(()))),
            (None, _) => Box::pin(std::future::ready(Err(other_store()))),
        }
    }
}
