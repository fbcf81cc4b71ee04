//! What the database says, in the words of [`StoreError`].

use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgDatabaseError, PgSeverity};

use super::open::LOCK_TIMEOUT;
use super::text::unescaped;
use crate::store::{ClaimsDiffer, StoreError};

/// The code of our own that `es_check_claims` fails with.
const CLAIMS_DIFFER: &str = "ES001";

/// The kinds of failure that the store tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// A constraint refused a row.
    Constraint,
    /// Others were in the way: a deadlock, a serialisation failure. Nothing is stored.
    Busy,
    /// A lock did not come in time. Nothing is stored.
    Locked,
    /// A statement took longer than it may.
    Slow,
    /// The disk is full.
    Full,
    /// The server takes no writes: it is a replica, or became one.
    ReadOnly,
    /// A row or an index is damaged.
    Damaged,
    /// A value is larger than the database takes, or it takes no such value.
    Unfit,
    /// A table is not there.
    Gone,
    /// The role may not do it.
    Forbidden,
    /// The program claims other keys with an event than the store knows.
    ClaimsDiffer,
    /// The database refused for another reason.
    Other,
    /// The connection is gone; what ran on it may have gone through.
    Lost,
}

impl Fault {
    /// Tells whether the database said that nothing of the statement is stored.
    pub(super) const fn is_certain(self) -> bool {
        !matches!(self, Self::Lost)
    }

    /// Tells whether the same may go well at the next try, on what is stored then.
    pub(super) const fn is_contention(self) -> bool {
        matches!(self, Self::Constraint | Self::Busy | Self::Locked)
    }

    /// Tells whether the connection is of no use any more.
    pub(super) const fn breaks_connection(self) -> bool {
        matches!(self, Self::Lost | Self::ReadOnly)
    }
}

/// Tells what kind of failure an error is. The codes are those of <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
pub(super) fn fault(error: &sqlx::Error) -> Fault {
    let sqlx::Error::Database(database) = error else {
        return match error {
            // The program's own: nothing was sent.
            sqlx::Error::Encode(_) | sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => Fault::Other,
            _ => Fault::Lost,
        };
    };
    // The server goes down, whatever the reason: what was written last may be found in its log when it is back.
    if database.try_downcast_ref::<PgDatabaseError>().is_some_and(|error| error.severity() == PgSeverity::Panic) {
        return Fault::Lost;
    }
    let code = database.code().unwrap_or_default();
    match &*code {
        CLAIMS_DIFFER => Fault::ClaimsDiffer,
        "40001" | "40P01" => Fault::Busy,
        "55P03" => Fault::Locked,
        "57014" => Fault::Slow,
        "53100" => Fault::Full,
        "25006" => Fault::ReadOnly,
        "42P01" | "3F000" => Fault::Gone,
        "42501" => Fault::Forbidden,
        "XX001" | "XX002" => Fault::Damaged,
        code => match code.get(..2).unwrap_or_default() {
            "23" => Fault::Constraint,
            "22" | "54" => Fault::Unfit,
            // Connections that broke, that the administrator or a crash ended, that were idle for too long; errors of the system and
            // of the server itself, which may come with its end.
            "08" | "57" | "58" | "25" | "XX" | "" => Fault::Lost,
            _ => Fault::Other,
        },
    }
}

/// Reads from an error of `es_check_claims` which event it is about.
pub(super) fn claims_differ(error: &sqlx::Error) -> Option<ClaimsDiffer> {
    let error = error.as_database_error()?.try_downcast_ref::<PgDatabaseError>()?;
    let text = |text: Option<&str>| unescaped(text.unwrap_or_default().to_owned());
    Some(ClaimsDiffer {
        aggregate: text(error.table()),
        event: text(error.column()),
        stored: text(error.detail()),
        declared: text(error.hint()),
    })
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
    pub(super) fn explain(self, doing: &str) -> StoreError {
        match self {
            Self::Database(error) => store_error(error, doing),
            Self::Store(error) => error,
        }
    }

    /// Tells whether the connection is of no use any more.
    pub(super) fn breaks_connection(&self) -> bool {
        matches!(self, Self::Database(error) if fault(error).breaks_connection())
    }

    /// Returns `true` if the connection is gone.
    pub(super) fn is_lost(&self) -> bool {
        matches!(self, Self::Database(error) if fault(error) == Fault::Lost)
    }
}

/// Puts a database error in the store's words. `doing` says what was tried.
pub(super) fn store_error(error: sqlx::Error, doing: &str) -> StoreError {
    match fault(&error) {
        Fault::Full => StoreError::Full { reason: error.to_string() },
        Fault::Damaged => StoreError::Damaged { place: format!("the database, {doing}"), reason: error.to_string() },
        Fault::Gone => StoreError::Gone { what: error.to_string() },
        Fault::Locked => StoreError::Locked { waited: LOCK_TIMEOUT },
        // Where others were in the way, another error says so.
        Fault::Constraint | Fault::Unfit => StoreError::Refused { reason: format!("{doing}: {error}") },
        // A replica becomes the primary by and by, or the address leads to the new one: it is worth another try.
        Fault::Busy
        | Fault::Slow
        | Fault::ReadOnly
        | Fault::Forbidden
        | Fault::ClaimsDiffer
        | Fault::Other
        | Fault::Lost => StoreError::Unavailable { reason: format!("{doing}: {error}"), source: Some(Arc::new(error)) },
    }
}

/// Builds the error for a row that cannot be what this program wrote.
#[cold]
pub(super) fn damaged(place: impl Into<String>, reason: impl Into<String>) -> StoreError {
    StoreError::Damaged { place: place.into(), reason: reason.into() }
}

/// Builds the error of a store that could not be reached for a while.
#[cold]
pub(super) fn unreachable(waited: Duration, last: &str) -> StoreError {
    StoreError::Unavailable { reason: format!("no connection within {waited:?}: {last}"), source: None }
}
