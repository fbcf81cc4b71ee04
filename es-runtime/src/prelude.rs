//! Everything that declaring and running a domain needs: `use es_runtime::prelude::*;`.
//!
//! The attributes and `domain!`; [`App`], [`Receipt`] and the stores; what handlers take and return, [`Table`] for those of
//! queries; the errors; and the foreign types that stand in every domain: [`Uuid`], [`DateTime`], [`Utc`], [`TimeDelta`]. Rules on
//! the fields of commands come from the crate `garde`, which your `Cargo.toml` names itself, as it does `sqlx` for projections and
//! queries that take a connection.
//!
//! ```
//! use es_runtime::prelude::*;
//! let due = DateTime::<Utc>::UNIX_EPOCH + TimeDelta::days(28);
//! assert_eq!(due.to_rfc3339(), "1970-01-29T00:00:00+00:00");
//! ```

pub use chrono::{DateTime, TimeDelta, Utc};
pub use uuid::Uuid;

pub use crate::aggregate::{Aggregate, CannotApply, Existing, New, RecordError, Root};
pub use crate::app::{App, BuildError, CommandOf, DispatchOptions, Domain, Queries, Receipt};
pub use crate::command::{Command, FieldError, ValidationErrors};
pub use crate::error::{AnyDomainError, DispatchError};
pub use crate::event::{AnyEvent, DecodeError, DomainEvent, Recorded, UpcastError, Version};
pub use crate::handler::{Context, Dep, Dependency, Rejection};
pub use crate::projection::Projection;
pub use crate::query::Query;
pub use crate::read_model::{ReadModel, ReadModelError, Table};
#[cfg(feature = "postgres")]
pub use crate::store::PostgresStore;
#[cfg(feature = "sqlite")]
pub use crate::store::SqliteStore;
pub use crate::store::{MemoryStore, StoreError};
#[cfg(feature = "macros")]
pub use crate::{
    aggregate, apply, async_projection, command, command_handler, domain, domain_event, monitor_projection, projection,
    query, query_handler, read_model, reset, sync_projection, upcast, value_object,
};
