//! Commands.

use crate::command::ValidationErrors;

/// What a command needs beside its own traits.
pub trait Sendable: Clone + Send + Sync + 'static {}
impl<T: Clone + Send + Sync + 'static> Sendable for T {}

/// Runs the `garde` rules of a command.
pub fn validate<C>(command: &C) -> Result<(), ValidationErrors>
where
    C: garde::Validate,
    C::Context: Default,
{
    garde::Validate::validate(command).map_err(Into::into)
}
