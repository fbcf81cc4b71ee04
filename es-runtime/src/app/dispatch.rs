//! stub
use super::Receipt;
use crate::aggregate::Aggregate;
use crate::command::Command;
use crate::error::{AnyDomainError, DispatchError};
use crate::handler::Handles;
use crate::store::Store;

/// What a dispatch answers.
pub type Outcome<O, E> = Result<Receipt<O>, DispatchError<E>>;

/// One dispatch on its way: the application's engine and the caller's options.
#[derive(Debug)]
pub struct DispatchContext<S>(std::marker::PhantomData<S>);

pub(crate) async fn run<S: Store, C>(
    command: C,
    context: DispatchContext<S>,
) -> Outcome<<C::Aggregate as Handles<C>>::Output, <C::Aggregate as Handles<C>>::Error>
where
    C: Command,
    C::Aggregate: Handles<C>,
{
    let _ = (command, context);
    Err(DispatchError::Overloaded)
}

/// Runs a command of a domain's generated enum.
pub async fn run_enum<S: Store, C>(
    command: C,
    context: DispatchContext<S>,
) -> Outcome<serde_json::Value, AnyDomainError>
where
    C: Command,
    C::Aggregate: Handles<C>,
{
    let _ = <C::Aggregate as Aggregate>::NAME;
    let _ = (command, context);
    Err(DispatchError::Overloaded)
}
