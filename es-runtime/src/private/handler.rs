//! Command handlers.

use crate::aggregate::{Aggregate, Root};
use crate::command::Command;
use crate::handler::{Decides, Handled, MissingDependency, Rejection};

/// A command of aggregate `A`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a command of `{A}`",
    label = "not a command of `{A}`",
    note = "a command handler takes a command: put `#[command(aggregate = {A})]` on `{Self}`"
)]
pub trait CommandFor<A> {}
#[diagnostic::do_not_recommend]
impl<A: Aggregate, C: Command<Aggregate = A>> CommandFor<A> for C {}

/// Asks for a command of aggregate `A`.
pub const fn require_command<C: CommandFor<A>, A: Aggregate>() {}

/// Asks that there is no state.
///
/// # Errors
///
/// [`Rejection::AlreadyExists`].
pub fn absent<A, E>(state: Option<&A>) -> Result<(), Rejection<E>> {
    if state.is_some() { Err(Rejection::AlreadyExists) } else { Ok(()) }
}

/// Asks that there is a state.
///
/// # Errors
///
/// [`Rejection::NotFound`].
pub fn existing<A, E>(state: Option<&A>) -> Result<&A, Rejection<E>> {
    state.ok_or(Rejection::NotFound)
}

/// Handles a command by its pure decision.
pub fn decided<A: Decides<C>, C>(mut root: Root<A>, command: C) -> std::future::Ready<Handled<A, (), A::Error>> {
    let answer = root.decided(command);
    std::future::ready((root, answer))
}

/// What an orchestrating handler may return.
#[diagnostic::on_unimplemented(
    message = "a command handler cannot return `{Self}`",
    label = "not a `Result`",
    note = "return `Result<Output, Error>`; the events are recorded on the root"
)]
pub trait Answer {
    type Output;
    type Error;
    fn into_result(self) -> Result<Self::Output, Self::Error>;
}
impl<O, E> Answer for Result<O, E> {
    type Output = O;
    type Error = E;
    fn into_result(self) -> Self {
        self
    }
}

/// Turns a handler's answer into the runtime's.
///
/// # Errors
///
/// The domain's own error.
pub fn answered<A: Answer>(answer: A) -> Result<A::Output, Rejection<A::Error>> {
    answer.into_result().map_err(Rejection::Domain)
}

/// Gives what a taken handler parameter failed with back as an answer, with the root.
pub fn missing<A: Aggregate, O, E>(root: Root<A>, error: MissingDependency) -> Handled<A, O, E> {
    (root, Err(Rejection::MissingDependency(error)))
}
