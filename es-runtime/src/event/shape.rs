//! The shape of stored data: field names and types, seen through annotated types.
//!
//! A shape feeds two things: `events.lock`, which freezes what is stored, and the fingerprint of snapshots, which tells
//! whether a stored state still fits the program's.

use std::fmt::Write as _;

/// The fields of an annotated type, in the order in which they are declared.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// The type's name.
    pub name: &'static str,
    /// Its fields.
    pub fields: &'static [FieldShape],
}

/// One field of a [`Shape`].
#[derive(Clone, Copy, Debug)]
pub struct FieldShape {
    /// The field's name; `0` for the field of a one-field tuple struct.
    pub name: &'static str,
    /// The type as it is written, without spaces.
    pub ty: &'static str,
    /// The shape of the annotated type inside, if there is one. A function, so that types may nest in each other.
    pub nested: Option<fn() -> &'static Shape>,
}

/// Has a [`Shape`]. Every annotated type has; `Option`, `Vec`, `Box` and maps pass through to the type inside.
pub trait HasShape {
    /// Gives the shape.
    fn shape() -> &'static Shape;
}

impl<T: HasShape> HasShape for Option<T> {
    fn shape() -> &'static Shape {
        T::shape()
    }
}
impl<T: HasShape> HasShape for Vec<T> {
    fn shape() -> &'static Shape {
        T::shape()
    }
}
impl<T: HasShape> HasShape for Box<T> {
    fn shape() -> &'static Shape {
        T::shape()
    }
}
impl<T: HasShape, const N: usize> HasShape for [T; N] {
    fn shape() -> &'static Shape {
        T::shape()
    }
}
impl<K, T: HasShape> HasShape for std::collections::BTreeMap<K, T> {
    fn shape() -> &'static Shape {
        T::shape()
    }
}
impl<K, T: HasShape, H> HasShape for std::collections::HashMap<K, T, H> {
    fn shape() -> &'static Shape {
        T::shape()
    }
}

/// Types inside types are followed this deep; a type that contains itself ends here.
const DEPTH: usize = 6;

impl Shape {
    /// Writes the shape as indented lines, `field: Type`, nested shapes below their field.
    #[must_use]
    pub fn describe(&self) -> String {
        let mut text = String::new();
        self.write_into(&mut text, 1);
        text
    }

    fn write_into(&self, text: &mut String, depth: usize) {
        for field in self.fields {
            // Writing to a `String` cannot fail.
            let _ = writeln!(text, "{:indent$}{}: {}", "", field.name, field.ty, indent = depth * 2);
            if depth < DEPTH
                && let Some(nested) = field.nested
            {
                nested().write_into(text, depth + 1);
            }
        }
    }

    /// Gives a number that changes when a field's name, type or order changes (64-bit FNV-1a of [`describe`](Self::describe)).
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        self.describe()
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
    }
}
