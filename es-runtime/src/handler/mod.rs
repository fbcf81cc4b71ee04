//! Command handlers: what decides, and what may be handed to it.
//!
//! A handler is declared with [`#[command_handler]`](crate::command_handler); this module holds what the attribute
//! generates against.

mod context;
mod dependency;

use std::future::Future;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::aggregate::{Aggregate, CannotApply, Root};
use crate::encoding::Fidelity;

pub use context::{Context, IdSource, RandomIds, SequentialIds};
pub use dependency::{
    Dep, Dependencies, Dependency, DependencyDescriptor, HandlerArg, MissingDependency, QueryingArg, Scope,
};

/// Handles a command. Implemented by [`#[command_handler]`](crate::command_handler); there is one handler a command.
#[diagnostic::on_unimplemented(
    message = "command `{C}` has no handler",
    label = "nothing handles this command",
    note = "add `#[command_handler] fn …(&self, command: {C}) -> …` to an `#[aggregate] impl {Self}` block, or a free `#[command_handler] async fn`"
)]
pub trait Handles<C>: Aggregate {
    /// What the handler gives its caller; `()` for a handler in the impl.
    type Output: Serialize + DeserializeOwned + Clone + Send + Sync + 'static;
    /// The domain's own error.
    type Error: std::error::Error + Send + Sync + 'static;
    /// What there is to know about the handler.
    const HANDLER: HandlerDescriptor;
    /// How faithfully the output is read back for a repeat, as far as it is known while compiling.
    const OUTPUT: Fidelity = Fidelity::UNKNOWN;

    /// Handles the command on a root and gives the root back.
    fn handle(
        root: Root<Self>,
        command: C,
        scope: &Scope,
    ) -> impl Future<Output = Handled<Self, Self::Output, Self::Error>> + Send;
}

/// The root as the handler left it, and what the handler answered.
pub type Handled<A, O, E> = (Root<A>, Result<O, Rejection<E>>);

/// Decides over a command from the state alone. Implemented by `#[command_handler]` on a function of an
/// [`#[aggregate]`](macro@crate::aggregate) impl.
#[diagnostic::on_unimplemented(
    message = "aggregate `{Self}` has no pure handler for command `{C}`",
    label = "nothing in an `#[aggregate] impl` handles this command",
    note = "only commands handled in an `#[aggregate] impl {Self}` block can be handled on a root"
)]
pub trait Decides<C>: Aggregate {
    /// The domain's own error.
    type Error;

    /// Decides over the command and adds the events.
    ///
    /// # Errors
    ///
    /// [`Rejection`]: the domain's own error, or that the aggregate is absent or there.
    fn decide(
        state: Option<&Self>,
        command: C,
        context: &Context,
        events: &mut Vec<Self::Event>,
    ) -> Result<(), Rejection<Self::Error>>;
}

/// Says why a command was not accepted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Rejection<E> {
    /// The domain's own error.
    #[error(transparent)]
    Domain(E),
    /// The command changes an aggregate that does not exist.
    #[error("the aggregate does not exist")]
    NotFound,
    /// The command creates an aggregate that exists.
    #[error("the aggregate exists already")]
    AlreadyExists,
    /// A decided event does not fit the state.
    #[error(transparent)]
    CannotApply(CannotApply),
    /// A dependency is not there.
    #[error(transparent)]
    MissingDependency(MissingDependency),
}

/// How a handler is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HandlerShape {
    /// `fn(command) -> R`: the aggregate must not exist.
    Creates,
    /// `fn(&self, command) -> R`: the aggregate must exist.
    Changes,
    /// `fn(this: Option<&Self>, command) -> R`: either.
    Either,
    /// `async fn(command, root, …) -> Result<O, E>`.
    Orchestrates,
}

/// What there is to know about a handler.
#[derive(Clone, Copy, Debug)]
pub struct HandlerDescriptor {
    /// The function's name.
    pub name: &'static str,
    /// How it is called.
    pub shape: HandlerShape,
    /// How often a conflict is decided again; `None` for the default (4 times; never where the handler takes a `Dep`).
    pub retries: Option<u32>,
    /// Why the handler may look first: the reason given in `queries = "…"`.
    pub queries: Option<&'static str>,
    /// What the handler takes from the application.
    pub dependencies: &'static [Option<DependencyDescriptor>],
}

impl HandlerDescriptor {
    /// Describes a handler without options.
    #[must_use]
    pub const fn new(name: &'static str, shape: HandlerShape) -> Self {
        Self { name, shape, retries: None, queries: None, dependencies: &[] }
    }

    /// Sets how often a conflict is decided again.
    #[must_use]
    pub const fn retries(mut self, retries: u32) -> Self {
        self.retries = Some(retries);
        self
    }

    /// Sets the reason why the handler may look first.
    #[must_use]
    pub const fn queries(mut self, reason: &'static str) -> Self {
        self.queries = Some(reason);
        self
    }

    /// Sets what the handler takes from the application.
    #[must_use]
    pub const fn dependencies(mut self, dependencies: &'static [Option<DependencyDescriptor>]) -> Self {
        self.dependencies = dependencies;
        self
    }
}
