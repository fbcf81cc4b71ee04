//! Commands.

use std::fmt::Debug;

use crate::command::ValidationErrors;

/// What a command needs beside its own traits.
pub trait Sendable: Clone + Debug + Send + Sync + 'static {}
impl<T: Clone + Debug + Send + Sync + 'static> Sendable for T {}

/// Runs the `garde` rules of a command.
pub fn validate<C>(command: &C) -> Result<(), ValidationErrors>
where
    C: garde::Validate,
    C::Context: Default,
{
    garde::Validate::validate(command).map_err(Into::into)
}
