//! Snapshots: a stored state that shortens replay.

use std::any::TypeId;
use std::collections::BTreeMap;

use parking_lot::RwLock;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::encoding::{self, Fidelity};
use crate::event::{HasShape, Shape};

/// How an aggregate's state is stored. Made by `snapshot(every = N)` of [`#[aggregate]`](macro@crate::aggregate).
///
/// A snapshot carries a fingerprint of the state's shape and `version`. One that does not fit the program's is ignored and
/// the state is folded from the events again; nothing is ever defaulted.
#[derive(Debug)]
pub struct SnapshotPolicy<A> {
    /// A snapshot is stored with the commit that reaches or passes each multiple of this many events.
    pub every: u64,
    /// What the user raises when `apply` changed its meaning without changing the state's shape; `None` if the user does
    /// not say it.
    pub version: Option<u32>,
    pub(crate) shape: fn() -> &'static Shape,
    fidelity: Fidelity,
    encode: fn(&A, Fidelity, &mut Vec<u8>) -> Result<(), serde_json::Error>,
    pub(crate) decode: fn(&[u8]) -> Result<A, serde_json::Error>,
}

impl<A> SnapshotPolicy<A> {
    /// Makes the policy of an aggregate whose state serde can write and read.
    #[must_use]
    pub const fn new(every: u64, version: Option<u32>, fidelity: Fidelity) -> Self
    where
        A: Serialize + DeserializeOwned + HasShape,
    {
        Self {
            every,
            version,
            shape: <A as HasShape>::shape,
            fidelity,
            encode: encoding::write,
            decode: encoding::read,
        }
    }

    /// Writes a state, if it would be read back as it is.
    ///
    /// # Errors
    ///
    /// Returns an error that names the field if it would not.
    pub(crate) fn encode(&self, state: &A) -> Result<Vec<u8>, serde_json::Error> {
        let mut bytes = Vec::new();
        (self.encode)(state, self.fidelity, &mut bytes).map(|()| bytes)
    }

    /// Returns the fingerprint that a stored state must carry.
    #[must_use]
    pub fn fingerprint(&self) -> u64
    where
        A: 'static,
    {
        let version = u64::from(self.version.unwrap_or(1));
        fingerprint_of(TypeId::of::<A>(), self.shape) ^ version.wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }
}

/// Returns the fingerprint of a type's shape. Finding it traces the types inside, so it is done once.
fn fingerprint_of(ty: TypeId, shape: fn() -> &'static Shape) -> u64 {
    static KNOWN: RwLock<BTreeMap<TypeId, u64>> = RwLock::new(BTreeMap::new());
    if let Some(known) = KNOWN.read().get(&ty) {
        return *known;
    }
    let fingerprint = shape().fingerprint();
    KNOWN.write().insert(ty, fingerprint);
    fingerprint
}
