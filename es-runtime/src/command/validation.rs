//! Failures of a command's field rules.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One field that breaks its rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldError {
    /// The field's path, such as `items[2].quantity`; empty for the command as a whole.
    pub field: String,
    /// What is wrong with it.
    pub message: String,
}

/// All fields of a command that break their rules, in the order of their paths.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ValidationErrors(Vec<FieldError>);

impl ValidationErrors {
    /// Makes the failures from their list.
    #[must_use]
    pub const fn new(errors: Vec<FieldError>) -> Self {
        Self(errors)
    }

    /// Gives the failures.
    #[must_use]
    pub fn fields(&self) -> &[FieldError] {
        &self.0
    }
}

impl fmt::Display for ValidationErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("; ")?;
            }
            if error.field.is_empty() {
                f.write_str(&error.message)?;
            } else {
                write!(f, "`{}`: {}", error.field, error.message)?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for ValidationErrors {}

impl From<garde::Report> for ValidationErrors {
    fn from(report: garde::Report) -> Self {
        Self(
            report
                .iter()
                .map(|(path, error)| FieldError { field: path.to_string(), message: error.message().to_owned() })
                .collect(),
        )
    }
}
