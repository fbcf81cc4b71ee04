//! One rule for everything that is written as JSON to be read back: events, states, outputs, `#[json]` columns.
//!
//! What is written is read back as it was, or it is refused while it is written. A type that is exact by construction is
//! written without a check, which is decided while compiling ([`Fidelity`]). Otherwise the [strict](strict) serializer
//! refuses what JSON cannot hold; and if nothing is known about the type, the value is read back, written again, and
//! both texts are compared.

mod compare;
mod fidelity;
mod form;
mod input;
mod strict;
mod trace;

use std::cell::Cell;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde::ser::Error as _;

pub use fidelity::{ExactId, ExactKey, Fidelity, HasFidelity};
pub use form::{Form, form};
pub(crate) use input::no_key_twice;

/// Writes a value, or refuses it.
///
/// # Errors
///
/// Returns an error that names the field if the value would not be read back as it is.
#[inline]
pub(crate) fn write<T>(value: &T, fidelity: Fidelity, into: &mut Vec<u8>) -> Result<(), serde_json::Error>
where
    T: Serialize + DeserializeOwned,
{
    write_and_compare(value, fidelity, into, |_| true)
}

/// Writes a value as [`write`] does; if nothing is known about its type, what is read back also has to equal it.
///
/// Equality finds what the texts do not show: a field that is not written at all.
#[inline]
pub(crate) fn write_comparable<T>(value: &T, fidelity: Fidelity, into: &mut Vec<u8>) -> Result<(), serde_json::Error>
where
    T: Serialize + DeserializeOwned + PartialEq,
{
    write_and_compare(value, fidelity, into, |read| read == value)
}

#[inline]
fn write_and_compare<T>(
    value: &T,
    fidelity: Fidelity,
    into: &mut Vec<u8>,
    equal: impl FnOnce(&T) -> bool,
) -> Result<(), serde_json::Error>
where
    T: Serialize + DeserializeOwned,
{
    if fidelity.is_exact() {
        serde_json::to_writer(into, value)
    } else if fidelity.is_unknown() {
        write_and_read_back(value, into, equal)
    } else {
        strict::write(value, true, into)
    }
}

// Not inlined, so that the checks that need no reading stay small.
#[inline(never)]
fn write_and_read_back<T>(
    value: &T,
    into: &mut Vec<u8>,
    equal: impl FnOnce(&T) -> bool,
) -> Result<(), serde_json::Error>
where
    T: Serialize + DeserializeOwned,
{
    let start = into.len();
    strict::write(value, true, into)?;
    let written = into.get(start..).unwrap_or_default();
    let read: T = read(written).map_err(|error| not_read_back(&error))?;
    let again = serde_json::to_vec(&read)?;
    if let Some(path) = compare::difference(written, &again)? {
        return Err(changed(&path));
    }
    if !equal(&read) {
        return Err(serde_json::Error::custom(
            "it is not equal to what is read back; a field inside is not stored, or its `PartialEq` looks at more than is stored",
        ));
    }
    Ok(())
}

/// Refuses a value that `serde_json::Value` cannot hold, where it has to be given out as one.
///
/// # Errors
///
/// Returns an error that names the field.
pub(crate) fn fits_a_value<T: Serialize>(value: &T) -> Result<(), serde_json::Error> {
    strict::write(value, false, &mut Vec::new())
}

#[cold]
fn not_read_back(error: &serde_json::Error) -> serde_json::Error {
    serde_json::Error::custom(format_args!("it cannot be read back: {error}"))
}

#[cold]
fn changed(path: &str) -> serde_json::Error {
    let path = path.strip_prefix('.').unwrap_or(path);
    if path.is_empty() {
        serde_json::Error::custom("it is not read back as it was written")
    } else {
        serde_json::Error::custom(format_args!("`{path}` is not read back as it was written"))
    }
}

thread_local! {
    /// Whether what is being read was stored by us.
    static STORED: Cell<bool> = const { Cell::new(false) };
}

/// Reads what was stored. Rules of value objects are not applied: history may be older than a rule.
///
/// # Errors
///
/// Returns the deserializer's error.
pub(crate) fn read<T: DeserializeOwned>(json: &[u8]) -> Result<T, serde_json::Error> {
    stored(|| serde_json::from_slice(json))
}

/// Reads what was stored into a JSON value, for the raw upcasters.
///
/// # Errors
///
/// Returns the parser's error, or one that names an integer that a JSON value would round.
pub(crate) fn read_raw(json: &[u8]) -> Result<serde_json::Value, serde_json::Error> {
    if let Some(number) = input::wide_integer(json) {
        return Err(serde::de::Error::custom(format_args!(
            "{number} has more than 64 bits, which a `serde_json::Value` cannot hold; upcast from a type: `upcast = OldType`"
        )));
    }
    serde_json::from_slice(json)
}

/// As [`read`], of a value that an upcaster returned.
///
/// # Errors
///
/// Returns the deserializer's error.
pub(crate) fn read_value<T: DeserializeOwned>(json: serde_json::Value) -> Result<T, serde_json::Error> {
    stored(|| serde_json::from_value(json))
}

fn stored<T>(read: impl FnOnce() -> T) -> T {
    /// Resets the mark when reading ends, including by a panic.
    struct Reset(bool);
    impl Drop for Reset {
        fn drop(&mut self) {
            STORED.set(self.0);
        }
    }
    let _reset = Reset(STORED.replace(true));
    read()
}

/// Returns `true` while what was stored is read.
pub(crate) fn reads_what_was_stored() -> bool {
    STORED.get()
}
