//! Projections whose views live elsewhere: a cache, a search index, a socket.

use std::fmt;

use super::{BoxFuture, ProjectionDescriptor, ProjectionFailure, watched};
use crate::event::{AnyEvent, Recorded};
use crate::handler::Dependencies;

/// An external projection without its types. Delivery is at least once; the event's id tells a repeat.
pub trait ExternalProjector: Send + Sync + 'static {
    /// Gives what the projection is.
    fn descriptor(&self) -> &'static ProjectionDescriptor;

    /// Runs the function at `handler` of the descriptor's over consecutive events that it takes.
    fn run<'a>(
        &'a self,
        handler: usize,
        dependencies: &'a Dependencies,
        events: &'a [Recorded<AnyEvent>],
    ) -> BoxFuture<'a, Result<(), ProjectionFailure>>;

    /// Tells whether the function at `handler` takes slices.
    fn takes_slices(&self, handler: usize) -> bool;
}

/// One function of an external projection over `P`.
pub struct ExternalHandler<P> {
    /// Whether it takes slices.
    pub slices: bool,
    /// Runs it.
    pub run: ExternalFn<P>,
}

/// Runs a function over events that it takes.
pub type ExternalFn<P> =
    for<'a> fn(&'a P, &'a Dependencies, &'a [Recorded<AnyEvent>]) -> BoxFuture<'a, Result<(), ProjectionFailure>>;

/// An external projection.
pub struct External<P: 'static> {
    descriptor: &'static ProjectionDescriptor,
    projection: P,
    handlers: &'static [ExternalHandler<P>],
}

impl<P> fmt::Debug for External<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "External({})", self.descriptor.name)
    }
}

impl<P> External<P> {
    /// Puts a projection together: `handlers` stand in the order of the descriptor's.
    pub const fn new(
        descriptor: &'static ProjectionDescriptor,
        projection: P,
        handlers: &'static [ExternalHandler<P>],
    ) -> Self {
        Self { descriptor, projection, handlers }
    }
}

impl<P: Send + Sync + 'static> ExternalProjector for External<P> {
    fn descriptor(&self) -> &'static ProjectionDescriptor {
        self.descriptor
    }

    fn run<'a>(
        &'a self,
        handler: usize,
        dependencies: &'a Dependencies,
        events: &'a [Recorded<AnyEvent>],
    ) -> BoxFuture<'a, Result<(), ProjectionFailure>> {
        let Some(called) = self.handlers.get(handler) else {
            let cause = "it is in no table".to_owned();
            return Box::pin(std::future::ready(Err(ProjectionFailure::Failed { handler: "", cause })));
        };
        watched(self.descriptor, handler, (called.run)(&self.projection, dependencies, events))
    }

    fn takes_slices(&self, handler: usize) -> bool {
        self.handlers.get(handler).is_some_and(|handler| handler.slices)
    }
}
