//! What the database says, in the words of [`StoreError`].

use std::sync::Arc;
use std::time::Duration;

use crate::store::StoreError;

/// The kinds of failure that the store tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// A constraint refused a row.
    Constraint,
    /// Another connection held the lock for longer than the busy timeout.
    Busy,
    /// The disk, or the limit set on the file, is full.
    Full,
    /// The file cannot be written.
    ReadOnly,
    /// The file is not a database, or a damaged one.
    Damaged,
    /// A value is larger than the database takes, or none of the kind that its column takes.
    Unfit,
    /// The operating system refused a read, write or flush.
    Io,
    /// Anything else.
    Other,
}

/// Tells what kind of failure an error is.
pub(super) fn fault(error: &sqlx::Error) -> Fault {
    let sqlx::Error::Database(database) = error else {
        return Fault::Other;
    };
    let code = database.code().and_then(|code| code.parse::<i32>().ok()).unwrap_or(1);
    // The low byte is the primary result code; the rest says more about the same.
    match code & 0xff {
        5 | 6 => Fault::Busy,
        8 => Fault::ReadOnly,
        10 => Fault::Io,
        11 | 26 => Fault::Damaged,
        13 => Fault::Full,
        18 | 20 | 25 => Fault::Unfit,
        19 => Fault::Constraint,
        _ => Fault::Other,
    }
}

/// Why something could not be done on a connection.
#[derive(Debug)]
pub(super) enum DbError {
    /// The database failed.
    Database(sqlx::Error),
    /// Something else is wrong, in the store's words: a row is not what this program wrote.
    Store(StoreError),
}

impl From<sqlx::Error> for DbError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

impl From<StoreError> for DbError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl DbError {
    /// Puts it in the store's words.
    pub(super) fn explain(self, doing: &str, waited: Duration) -> StoreError {
        match self {
            Self::Database(error) => store_error(error, doing, waited),
            Self::Store(error) => error,
        }
    }
}

/// Puts a database error in the store's words. `doing` says what was tried, `waited` how long the busy timeout is.
pub(super) fn store_error(error: sqlx::Error, doing: &str, waited: Duration) -> StoreError {
    match fault(&error) {
        Fault::Busy => StoreError::Locked { waited },
        Fault::Full => StoreError::Full { reason: error.to_string() },
        Fault::ReadOnly => StoreError::ReadOnly { reason: error.to_string() },
        Fault::Damaged => {
            StoreError::Damaged { place: format!("the database file, {doing}"), reason: error.to_string() }
        }
        Fault::Other if is_gone(&error) => StoreError::Gone { what: error.to_string() },
        Fault::Constraint | Fault::Unfit => StoreError::Refused { reason: format!("{doing}: {error}") },
        Fault::Io | Fault::Other => {
            StoreError::Unavailable { reason: format!("{doing}: {error}"), source: Some(Arc::new(error)) }
        }
    }
}

/// A version's table that was dropped; SQLite has no code of its own for that.
fn is_gone(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| error.message().starts_with("no such table: "))
}

/// Builds the error for a row that cannot be what this program wrote.
#[cold]
pub(super) fn damaged(place: impl Into<String>, reason: impl Into<String>) -> StoreError {
    StoreError::Damaged { place: place.into(), reason: reason.into() }
}

/// Builds the error of a store whose connection is gone.
#[cold]
pub(super) fn disconnected() -> StoreError {
    StoreError::Unavailable { reason: "the connection to the database is gone".to_owned(), source: None }
}
