//! The shape of stored data: field names and types, seen through annotated types.
//!
//! A shape feeds two things: `events.lock`, which freezes what is stored, and the fingerprint of snapshots, which tells
//! whether a stored state still fits the program's.

use std::fmt::Write as _;

use crate::encoding::{ExactKey, Fidelity, Form};

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
    /// The stored name; `0` for the field of a one-field tuple struct.
    pub name: &'static str,
    /// The type as it is written in the program, without spaces; behind it, in parentheses, the serde attributes that
    /// decide over the stored form, and the claims.
    pub ty: &'static str,
    /// The shape of the annotated type inside, if there is one. A function, so that types may nest in each other.
    pub nested: Option<fn() -> &'static Shape>,
    /// How faithfully the field is read back.
    pub fidelity: Fidelity,
    /// The stored form of a type that is not annotated and not known.
    pub form: Option<fn() -> Form>,
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
// The form of other keys is found by tracing.
impl<K: ExactKey, T: HasShape> HasShape for std::collections::BTreeMap<K, T> {
    fn shape() -> &'static Shape {
        T::shape()
    }
}
impl<K: ExactKey, T: HasShape, H> HasShape for std::collections::HashMap<K, T, H> {
    fn shape() -> &'static Shape {
        T::shape()
    }
}

/// Types inside types are followed this deep; a type that contains itself ends here.
const DEPTH: usize = 6;

impl Shape {
    /// Returns how faithfully a struct of these fields is read back.
    #[must_use]
    pub const fn fidelity(&self) -> Fidelity {
        // A tuple of one field is written as the field alone.
        if let [field] = self.fields
            && matches!(field.name.as_bytes(), b"0")
        {
            return field.fidelity;
        }
        let mut all = Fidelity::EXACT;
        let mut index = 0;
        while index < self.fields.len() {
            all = all.and(self.fields[index].fidelity);
            index += 1;
        }
        all.inside()
    }

    /// Returns the first field, as a path, whose stored form is not visible, so that a change of it is not noticed.
    #[must_use]
    pub fn hidden_field(&self) -> Option<String> {
        self.hidden(0)
    }

    fn hidden(&self, depth: usize) -> Option<String> {
        self.fields.iter().find_map(|field| {
            let inside = field.nested.filter(|_| depth < DEPTH).map(|nested| nested().hidden(depth + 1));
            match inside {
                Some(inside) => inside.map(|inside| format!("{}.{inside}", field.name)),
                None => field.form.is_some_and(|form| form().is_hidden()).then(|| field.name.to_owned()),
            }
        })
    }

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
            if let Some(form) = field.form {
                form().write_into(text, depth + 1);
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
