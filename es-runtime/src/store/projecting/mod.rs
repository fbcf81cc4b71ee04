//! What a store does for read models and for those who follow the log: rows, checkpoints, leases, letters.
//!
//! Everything that follows the log is a *subscription*: a name, a version, partitions. Its checkpoint moves in one transaction
//! with what it writes, by compare-and-set on position and epoch, so two workers can never both move it.

mod batch;
mod checkpoint;
mod in_append;
mod lease;
mod letter;
mod registry;
mod rows;

pub use batch::{Batch, BatchDone, BatchError, BatchWork};
pub use checkpoint::{Checkpoint, CheckpointStore, PartitionId, SafePosition, SubscriptionStatus};
pub use in_append::SyncProjections;
pub(in crate::store) use in_append::put_aside;
pub use lease::{Lease, LeaseRequest, LeaseStore, ProcessId};
pub use letter::{Letter, NewLetter};
pub(in crate::store) use registry::FOLLOWS_FOR;
pub use registry::{ProjectionRegistry, ProjectionVersion, RegisterError, VersionState};
pub use rows::RowStore;
