//! Value objects.

use crate::encoding;

/// A value object with a check.
#[diagnostic::on_unimplemented(
    message = "value object `{Self}` has no `validate`",
    label = "nothing to check with",
    note = "write `#[value_object] impl {Self} {{ fn validate(&self) -> Result<(), Error> {{ … }} }}`"
)]
pub trait Validated: Sized {
    /// What is wrong with a value.
    type Error;
    /// Checks a value that was put together.
    ///
    /// # Errors
    ///
    /// What the value's own check says.
    fn check(&self) -> Result<(), Self::Error>;

    /// Gives a value on if it is valid.
    ///
    /// # Errors
    ///
    /// What the value's own check says.
    fn checked(self) -> Result<Self, Self::Error> {
        self.check().map(|()| self)
    }

    /// Returns a value that was read, if it is valid. What was stored is not checked: it may be older than the rule.
    ///
    /// # Errors
    ///
    /// Returns the error of the value's own check, as text.
    fn deserialized<E: serde::de::Error>(self) -> Result<Self, E>
    where
        Self::Error: std::fmt::Display,
    {
        if encoding::reads_what_was_stored() { Ok(self) } else { self.checked().map_err(E::custom) }
    }
}
