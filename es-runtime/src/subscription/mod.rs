//! Subscriptions: whatever follows the log.

mod assign;

#[cfg(feature = "sqlite")]
pub(crate) use assign::{Held, Living, assign};
pub use assign::{partition_of, stream_key};
