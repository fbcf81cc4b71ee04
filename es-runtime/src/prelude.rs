//! What a domain needs: `use es_runtime::prelude::*;`.

pub use chrono::{DateTime, TimeDelta, Utc};
pub use uuid::Uuid;

pub use crate::aggregate::{Aggregate, CannotApply, Existing, New, RecordError, Root};
pub use crate::app::{App, BuildError, CommandOf, DispatchOptions, Domain, Queries, Receipt};
pub use crate::command::{Command, FieldError, ValidationErrors};
pub use crate::error::{AnyDomainError, DispatchError};
pub use crate::event::{AnyEvent, DecodeError, DomainEvent, Recorded, UpcastError, Version};
pub use crate::handler::{Context, Dep, Dependency, Rejection};
#[cfg(feature = "sqlite")]
pub use crate::store::SqliteStore;
pub use crate::store::{MemoryStore, StoreError};
#[cfg(feature = "macros")]
pub use crate::{aggregate, apply, command, command_handler, domain, domain_event, upcast, value_object};
