//! What a commit is made of, in its stored form.

use std::any::TypeId;
use std::cell::RefCell;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

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

/// A hash of a command's name and JSON: the same however its maps are ordered.
pub(crate) fn hash<C: Command, E>(command: &C) -> Result<[u8; 32], DispatchError<E>> {
    let mut hasher = Sha256::new();
    hasher.update(C::NAME.as_bytes());
    hasher.update([0]);
    match serde_json::to_value(command) {
        Ok(value) => canonical(&value, &mut |bytes| hasher.update(bytes)),
        // Numbers that a JSON value cannot hold, but a text can.
        Err(_) => {
            hasher.update(serde_json::to_vec(command).map_err(|error| not_storable(C::NAME, &error.to_string()))?);
        }
    }
    Ok(hasher.finalize().into())
}

/// Writes a JSON value so that equal commands give equal bytes: keys in order, and nothing for a `null` member, so that a new
/// optional field does not make an old command another one.
fn canonical(value: &Value, write: &mut dyn FnMut(&[u8])) {
    match value {
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().filter(|(_, member)| !member.is_null()).collect();
            members.sort_unstable_by_key(|(name, _)| *name);
            write(b"{");
            for (name, member) in members {
                canonical(&Value::String(name.clone()), write);
                canonical(member, write);
            }
            write(b"}");
        }
        Value::Array(items) => {
            write(b"[");
            for item in items {
                canonical(item, write);
            }
            write(b"]");
        }
        // With its quotes, so that a text never looks like a number.
        plain => {
            write(plain.to_string().as_bytes());
            write(b",");
        }
    }
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
    if bytes > limit {
        return Err(not_storable(what, &format!("{bytes} bytes are more than the limit of {limit}")));
    }
    Ok(())
}

pub(crate) fn not_storable<E>(what: &str, reason: &str) -> DispatchError<E> {
    DispatchError::NotStorable { what: what.to_owned(), reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(json: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        canonical(&serde_json::from_str(json).unwrap(), &mut |part| bytes.extend_from_slice(part));
        bytes
    }

    #[test]
    fn equal_commands_give_equal_bytes_and_others_do_not() {
        assert_eq!(bytes(r#"{"a":1,"b":{"x":2,"y":[]}}"#), bytes(r#"{"b":{"y":[],"x":2},"a":1}"#));
        assert_eq!(bytes(r#"{"a":1}"#), bytes(r#"{"a":1,"new":null}"#));
        let others = [
            r#"{"a":"1"}"#,
            r#"{"a":[1]}"#,
            r#"{"a":1,"b":1}"#,
            r#"{"a":11}"#,
            r#"{"a,1":1}"#,
            "[1,2]",
            "[12]",
            "[[1],2]",
        ];
        let mut all: Vec<_> = others.iter().map(|json| bytes(json)).collect();
        all.push(bytes(r#"{"a":1}"#));
        let count = all.len();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), count);
    }
}
