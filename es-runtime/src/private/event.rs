//! Events: fields, older versions, claims.

use std::fmt::Debug;

use super::probe::EventParts;
use super::text::stop;
use crate::aggregate::EventDescriptor;
use crate::encoding::{self, Fidelity, Form};
use crate::event::{
    Claim, ClaimKind, ClaimRule, DecodeError, DomainEvent, FieldShape, Shape, UpcastError, UpcastFrom, malformed,
};

/// What an event needs beside its own traits.
pub trait Stored: Clone + Debug + PartialEq + Send + Sync + 'static {}
impl<T: Clone + Debug + PartialEq + Send + Sync + 'static> Stored for T {}

/// Describes one field whose type decides how it is stored.
#[must_use]
pub const fn field(
    name: &'static str,
    ty: &'static str,
    nested: Option<fn() -> &'static Shape>,
    fidelity: Fidelity,
    form: Option<fn() -> Form>,
) -> FieldShape {
    // Dropped here, so that no code is generated for what nobody looks at.
    let form = if nested.is_none() && fidelity.is_unknown() { form } else { None };
    FieldShape { name, ty, nested, fidelity, form }
}

/// Describes one field that is stored in a way of its own, by what its attributes say.
#[must_use]
pub const fn custom_field(name: &'static str, ty: &'static str, nested: Option<fn() -> &'static Shape>) -> FieldShape {
    FieldShape { name, ty, nested, fidelity: Fidelity::UNKNOWN, form: None }
}

/// Writes an event without fields: `{}`, so that fields can be added in a later version.
///
/// # Errors
///
/// What the serializer says.
pub fn serialize_unit<S: serde::Serializer>(serializer: S) -> Result<S::Ok, S::Error> {
    serde::ser::SerializeMap::end(serializer.serialize_map(Some(0))?)
}

/// Reads an event without fields: an object, whose fields are ignored, or null.
///
/// # Errors
///
/// What the deserializer says.
pub fn deserialize_unit<'de, D: serde::Deserializer<'de>, T>(deserializer: D, unit: T) -> Result<T, D::Error> {
    struct Nothing;
    impl<'de> serde::de::Visitor<'de> for Nothing {
        type Value = ();
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object or null")
        }
        fn visit_unit<E>(self) -> Result<(), E> {
            Ok(())
        }
        fn visit_map<M: serde::de::MapAccess<'de>>(self, mut map: M) -> Result<(), M::Error> {
            while map.next_entry::<serde::de::IgnoredAny, serde::de::IgnoredAny>()?.is_some() {}
            Ok(())
        }
    }
    deserializer.deserialize_any(Nothing).map(|()| unit)
}

/// Describes an event of an aggregate.
#[must_use]
pub const fn event(parts: EventParts, type_name: &'static str, creates: bool) -> EventDescriptor {
    let (name, version, shape, claims, claims_of) = parts;
    EventDescriptor { name, version, type_name, shape, creates, claims, claims_of }
}

/// An old version of an event that turns into the next one.
#[diagnostic::on_unimplemented(
    message = "event `{Self}` cannot be upcast to `{New}`",
    label = "stored events of this version could not be read",
    note = "add `impl From<{Self}> for {New}`"
)]
pub trait UpcastsTo<New> {
    fn upcast_to(self) -> New;
}
#[diagnostic::do_not_recommend]
impl<Old, New: From<Old>> UpcastsTo<New> for Old {
    fn upcast_to(self) -> New {
        self.into()
    }
}

/// Decodes version `version` of an event whose previous version is type `Old`.
///
/// # Errors
///
/// [`DecodeError`] where the version is unknown or the JSON does not fit.
pub fn upcast_typed<Old: UpcastsTo<New>, New: DomainEvent>(
    version: u32,
    body: &[u8],
    decode: fn(u32, &[u8]) -> Result<Old, DecodeError>,
) -> Result<New, DecodeError> {
    if version > New::VERSION {
        return Err(unknown_version::<New>(version));
    }
    decode(version, body).map(Old::upcast_to)
}

/// Parses the stored form for the raw upcasters of `E`. Generated code applies them in their order.
pub fn upcast_raw<E: DomainEvent>(
    version: u32,
    body: &[u8],
    steps: &[fn(serde_json::Value) -> Result<serde_json::Value, UpcastError>],
) -> Result<E, DecodeError> {
    let first = match version.checked_sub(1) {
        Some(first) if version < E::VERSION => first as usize,
        _ => return Err(unknown_version::<E>(version)),
    };
    let refused = |reason: String| DecodeError::NotUpcast { name: E::NAME.to_owned(), version, reason };
    let mut value = encoding::read_raw(body).map_err(|error| malformed(E::NAME, version, &error))?;
    for step in steps.iter().skip(first) {
        value = step(value).map_err(|error| refused(error.to_string()))?;
    }
    encoding::read_value(value).map_err(|error| refused(error.to_string()))
}

/// Names the raw upcaster of one step.
pub const fn raw_step<E: UpcastFrom<V>, const V: u32>()
-> fn(serde_json::Value) -> Result<serde_json::Value, UpcastError> {
    E::upcast_json
}

fn unknown_version<E: DomainEvent>(version: u32) -> DecodeError {
    DecodeError::UnknownVersion { name: E::NAME.to_owned(), version, known: E::VERSION }
}

/// The error of a name that no event of an aggregate has.
#[cold]
pub fn unknown_event(name: &str) -> DecodeError {
    DecodeError::UnknownEvent { name: name.to_owned() }
}

/// Describes a claim or a release of a field's value.
#[must_use]
pub const fn claim_rule(set: &'static str, field: &'static str, release: bool) -> ClaimRule {
    ClaimRule { set, field, kind: claim_kind(release) }
}

const fn claim_kind(release: bool) -> ClaimKind {
    if release { ClaimKind::Release } else { ClaimKind::Claim }
}

/// Adds a claim on a field's value; `None` and null claim nothing. The key is the value's JSON, a string without quotes.
///
/// # Errors
///
/// Returns the error from `serde_json` if the value cannot be written as JSON.
pub fn claim<T: serde::Serialize>(
    claims: &mut Vec<Claim>,
    set: &'static str,
    value: &T,
    release: bool,
) -> Result<(), serde_json::Error> {
    let key = match serde_json::to_value(value) {
        Ok(serde_json::Value::Null) => return Ok(()),
        Ok(serde_json::Value::String(text)) => text,
        Ok(other) => other.to_string(),
        // JSON text holds numbers that a JSON value cannot hold: those of 128 bits.
        Err(_) => serde_json::to_string(value)?,
    };
    claims.push(Claim { set: set.into(), key, kind: claim_kind(release) });
    Ok(())
}

/// A field of an event must be storable.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a field of a domain event",
    label = "this field cannot be stored",
    note = "a field of a domain event needs `Serialize`, `Deserialize`, `Clone`, `Debug` and `PartialEq`; `#[value_object]` on `{Self}` provides them all"
)]
pub trait EventField {}
#[diagnostic::do_not_recommend]
impl<T> EventField for T where T: serde::Serialize + serde::de::DeserializeOwned + Clone + Debug + PartialEq {}

/// Asks that a field of an event can be stored and holds no local time.
#[track_caller]
pub const fn event_field<T: EventField>(is_local_time: bool, ty: &str) {
    if is_local_time {
        stop(["events store time in UTC only, and `", ty, "` is not UTC\nhelp: use `DateTime<Utc>`", "", "", "", ""]);
    }
}

/// Refuses a field that raw upcasters would round.
#[track_caller]
pub const fn raw_upcast_field(fidelity: Fidelity, ty: &str) {
    const HELP: &str = "help: declare the old version as a type and name it: `upcast = OldType`\n";
    const NOTE: &str = "note: `#[upcast(event = …, from = …)]` takes a `serde_json::Value`, whose numbers have 64 bits";
    if fidelity.is_wide() {
        stop(["`", ty, "` cannot pass through a raw upcaster\n", HELP, NOTE, "", ""]);
    }
}

/// Times without a zone, seen through aliases and containers.
pub trait LocalTime {}
impl LocalTime for chrono::NaiveDateTime {}
impl LocalTime for chrono::NaiveTime {}
impl LocalTime for chrono::DateTime<chrono::Local> {}
impl LocalTime for chrono::DateTime<chrono::FixedOffset> {}
impl LocalTime for std::time::SystemTime {}
impl LocalTime for std::time::Instant {}
impl<T: LocalTime> LocalTime for Option<T> {}
impl<T: LocalTime> LocalTime for Vec<T> {}
impl<T: LocalTime> LocalTime for Box<T> {}
impl<T: LocalTime, const N: usize> LocalTime for [T; N] {}
impl<K, T: LocalTime> LocalTime for std::collections::BTreeMap<K, T> {}
impl<K, T: LocalTime, H> LocalTime for std::collections::HashMap<K, T, H> {}
