//! Snapshots: a stored state that shortens replay.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::event::{HasShape, Shape};

/// How an aggregate's state is stored. Made by `snapshot(every = N)` of [`#[aggregate]`](macro@crate::aggregate).
///
/// A snapshot carries a fingerprint of the state's shape and `version`. One that does not fit the program's is ignored and
/// the state is folded from the events again; nothing is ever defaulted.
#[derive(Debug)]
pub struct SnapshotPolicy<A> {
    /// A snapshot is stored with the commit that reaches or passes each multiple of this many events.
    pub every: u64,
    /// What the user raises when `apply` changed its meaning without changing the state's shape.
    pub version: u32,
    pub(crate) shape: fn() -> &'static Shape,
    pub(crate) encode: fn(&A) -> Result<Vec<u8>, serde_json::Error>,
    pub(crate) decode: fn(&[u8]) -> Result<A, serde_json::Error>,
}

impl<A> SnapshotPolicy<A> {
    /// Makes the policy of an aggregate whose state serde can write and read.
    #[must_use]
    pub const fn new(every: u64, version: u32) -> Self
    where
        A: Serialize + DeserializeOwned + HasShape,
    {
        Self {
            every,
            version,
            shape: <A as HasShape>::shape,
            encode: |state| serde_json::to_vec(state),
            decode: |bytes| serde_json::from_slice(bytes),
        }
    }

    /// Gives the fingerprint that a stored state must carry.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        (self.shape)().fingerprint() ^ u64::from(self.version).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }
}
