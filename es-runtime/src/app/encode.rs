//! What a commit is made of, in its stored form.

use std::any::TypeId;
use std::cell::RefCell;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};

use super::canonical;
use crate::aggregate::{Aggregate, AggregateEvent};
use crate::command::Command;
use crate::encoding::{self, Fidelity};
use crate::error::DispatchError;
use crate::event::Version;
use crate::store::NewSnapshot;

/// Encodes an event into one allocation of the exact size.
pub(crate) fn event<T: AggregateEvent, E>(event: &T, limit: usize) -> Result<Bytes, DispatchError<E>> {
    thread_local! {
        // Grows to the largest event of the thread and is reused: encoding itself allocates nothing.
        static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    }
    // Taken, not borrowed: whatever a `Serialize` does, it finds an empty one.
    let mut scratch = SCRATCH.take();
    scratch.clear();
    event.encode(&mut scratch).map_err(|error| not_storable(event.name(), &error.to_string()))?;
    within(event.name(), scratch.len(), limit)?;
    let body = Bytes::copy_from_slice(&scratch);
    SCRATCH.set(scratch);
    Ok(body)
}

/// Encodes a handler's output. It has to be read back for a repeat, and as a JSON value for a repeat by name.
pub(crate) fn output<O, E>(output: &O, fidelity: Fidelity, limit: usize) -> Result<Bytes, DispatchError<E>>
where
    O: Serialize + DeserializeOwned + 'static,
{
    // Most handlers return nothing.
    if TypeId::of::<O>() == TypeId::of::<()>() {
        return Ok(Bytes::from_static(b"null"));
    }
    let mut bytes = Vec::new();
    let written = encoding::write(output, fidelity, &mut bytes);
    let checked = match written {
        Ok(()) if fidelity.is_wide() || fidelity.is_unknown() => encoding::fits_a_value(output),
        written => written,
    };
    checked.map_err(|error| not_storable("output", &error.to_string()))?;
    within("output", bytes.len(), limit)?;
    Ok(Bytes::from(bytes))
}

/// Returns a hash of a command's name and its [canonical form](canonical).
pub(crate) fn hash<C: Command, E>(command: &C) -> Result<[u8; 32], DispatchError<E>> {
    let mut hasher = Sha256::new();
    hasher.update(C::NAME.as_bytes());
    hasher.update([0]);
    let written = canonical::write(command, &mut |bytes| hasher.update(bytes));
    written.map_err(|error| not_storable(C::NAME, &error.to_string()))?;
    Ok(hasher.finalize().into())
}

/// Stores the state when a commit reaches or passes a multiple of the aggregate's `every`.
pub(crate) fn snapshot<A: Aggregate>(state: Option<&A>, before: Version, after: Version) -> Option<Box<NewSnapshot>> {
    let (policy, state) = (A::SNAPSHOT?, state?);
    if before.get() / policy.every.max(1) == after.get() / policy.every.max(1) {
        return None;
    }
    match policy.encode(state) {
        Ok(bytes) => Some(Box::new(NewSnapshot { fingerprint: policy.fingerprint(), state: Bytes::from(bytes) })),
        Err(error) => {
            // Only replay gets longer: the events are the truth.
            metrics::counter!("es_snapshots_refused_total", "aggregate" => A::NAME).increment(1);
            tracing::warn!(aggregate = A::NAME, %error, "a state is not stored as a snapshot");
            None
        }
    }
}

/// Refuses what is larger than its limit.
pub(crate) fn within<E>(what: &str, bytes: usize, limit: usize) -> Result<(), DispatchError<E>> {
    if bytes > limit { Err(too_long(what, bytes, limit)) } else { Ok(()) }
}

pub(crate) fn too_long<E>(what: &str, bytes: usize, limit: usize) -> DispatchError<E> {
    not_storable(what, &format!("{bytes} bytes are more than the limit of {limit}"))
}

pub(crate) fn not_storable<E>(what: &str, reason: &str) -> DispatchError<E> {
    DispatchError::NotStorable { what: what.to_owned(), reason: reason.to_owned() }
}
