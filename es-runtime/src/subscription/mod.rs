//! Subscriptions: whatever follows the log.

// A store that processes share decides with it who runs what.
#[cfg_attr(not(feature = "sqlite"), allow(dead_code, reason = "of use to stores that processes share"))]
mod assign;

#[cfg(feature = "sqlite")]
pub(crate) use assign::{Held, Living, assign};
pub use assign::{partition_of, stream_key};
