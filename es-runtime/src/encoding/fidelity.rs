//! What is known while compiling about whether a type is read back as it was written.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::{
    NonZeroI8, NonZeroI16, NonZeroI32, NonZeroI64, NonZeroU8, NonZeroU16, NonZeroU32, NonZeroU64, NonZeroUsize,
};

use chrono::{DateTime, NaiveDate, Utc};
use uuid::Uuid;

/// How faithfully the values of a type survive being written as JSON and read again, as far as that is known while
/// compiling.
///
/// Values of an [exact](Self::EXACT) type are written without a check. If some values of a type have no JSON that reads
/// back (a `NaN`, a `Some(None)`), each value is checked while it is written. If nothing is known about a type, what was
/// written is also read back and compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fidelity(u8);

impl Fidelity {
    /// Every value is read back as it was written.
    pub const EXACT: Self = Self(0);
    /// Nothing is known: each value is read back and compared.
    pub const UNKNOWN: Self = Self(NULL | CHECKED | UNREAD);
    /// Values that JSON cannot hold are refused while they are written; all others are exact.
    const REFUSING: Self = Self(CHECKED);
    /// Exact, but with integers of more than 64 bits, which `serde_json::Value` cannot hold.
    const WIDE: Self = Self(WIDE);
    /// Exact, and written as `null`.
    const NULL: Self = Self(NULL);

    /// Returns the fidelity of the `Option` of a type.
    const fn optional(self) -> Self {
        // `Some` of what is written as `null` would be read back as `None`.
        let refusing = if self.0 & NULL == 0 { 0 } else { CHECKED };
        Self(self.0 | NULL | refusing)
    }

    /// Returns the fidelity of a list, a map or a struct of a type.
    pub(crate) const fn inside(self) -> Self {
        Self(self.0 & !NULL)
    }

    pub(crate) const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Returns `true` if the values need no check.
    #[must_use]
    pub const fn is_exact(self) -> bool {
        self.0 & (CHECKED | UNREAD) == 0
    }

    /// Returns `true` if the values have to be read back.
    #[must_use]
    pub const fn is_unknown(self) -> bool {
        self.0 & UNREAD != 0
    }

    /// Returns `true` if the type is known to hold integers of more than 64 bits, which `serde_json::Value` cannot hold.
    #[must_use]
    pub const fn is_wide(self) -> bool {
        self.0 & WIDE != 0
    }

    /// Returns the fidelity as a number, for a parameter of a type.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// Returns the fidelity of a number that [`bits`](Self::bits) returned.
    #[must_use]
    pub const fn of_bits(bits: u8) -> Self {
        Self(bits)
    }
}

/// Some values are written as `null`.
const NULL: u8 = 1;
/// The strict serializer may refuse values.
const CHECKED: u8 = 2;
/// Some integers are known to have more than 64 bits.
const WIDE: u8 = 4;
/// Values have to be read back.
const UNREAD: u8 = 8;

/// A type with a known [`Fidelity`]. Implemented for types of the standard library and of the crates that es stands on,
/// and by the attributes for annotated types.
pub trait HasFidelity {
    /// How faithfully values survive.
    const FIDELITY: Fidelity;
}

macro_rules! fidelity {
    ($fidelity:expr; $($ty:ty),+ $(,)?) => {$(
        impl HasFidelity for $ty {
            const FIDELITY: Fidelity = $fidelity;
        }
    )+};
}

fidelity!(Fidelity::EXACT; bool, char, String, Box<str>, i8, i16, i32, i64, isize, u8, u16, u32, u64, usize);
fidelity!(Fidelity::EXACT; NonZeroI8, NonZeroI16, NonZeroI32, NonZeroI64, NonZeroU8, NonZeroU16, NonZeroU32, NonZeroU64, NonZeroUsize);
fidelity!(Fidelity::EXACT; Uuid, DateTime<Utc>, NaiveDate, std::time::Duration, IpAddr, Ipv4Addr, Ipv6Addr);
fidelity!(Fidelity::WIDE; i128, u128);
fidelity!(Fidelity::REFUSING; f32, f64);
fidelity!(Fidelity::NULL; ());

/// A decimal is written as text, with its scale.
#[cfg(feature = "decimal")]
impl HasFidelity for rust_decimal::Decimal {
    const FIDELITY: Fidelity = Fidelity::EXACT;
}

impl<T: HasFidelity> HasFidelity for Option<T> {
    const FIDELITY: Fidelity = T::FIDELITY.optional();
}

macro_rules! lists {
    ($($ty:ty $(, $more:ident)?;)+) => {$(
        impl<T: HasFidelity $(, $more)?> HasFidelity for $ty {
            const FIDELITY: Fidelity = T::FIDELITY.inside();
        }
    )+};
}
lists! { Vec<T>; VecDeque<T>; BTreeSet<T>; HashSet<T, H>, H; }

impl<T: HasFidelity, const N: usize> HasFidelity for [T; N] {
    const FIDELITY: Fidelity = T::FIDELITY.inside();
}

/// A type that contains itself does so in a box, and a constant must not ask for itself.
impl<T: HasFidelity> HasFidelity for Box<T> {
    const FIDELITY: Fidelity = Fidelity::UNKNOWN;
}

/// Keys that JSON's texts hold exactly.
pub trait ExactKey {}
macro_rules! keys {
    ($($ty:ty),+) => { $(impl ExactKey for $ty {})+ };
}
keys!(String, Box<str>, char, i8, i16, i32, i64, u8, u16, u32, u64, Uuid, NaiveDate, DateTime<Utc>);

/// Types whose `Display` is parsed back by their `FromStr`.
pub trait ExactId {}
macro_rules! ids {
    ($($ty:ty),+) => { $(impl ExactId for $ty {})+ };
}
ids!(String, char, i8, i16, i32, i64, i128, u8, u16, u32, u64, u128, Uuid);

impl<K: ExactKey, T: HasFidelity> HasFidelity for BTreeMap<K, T> {
    const FIDELITY: Fidelity = T::FIDELITY.inside();
}
impl<K: ExactKey, T: HasFidelity, H> HasFidelity for HashMap<K, T, H> {
    const FIDELITY: Fidelity = T::FIDELITY.inside();
}

macro_rules! tuples {
    ($($first:ident $(, $more:ident)*;)+) => {$(
        impl<$first: HasFidelity $(, $more: HasFidelity)*> HasFidelity for ($first, $($more,)*) {
            const FIDELITY: Fidelity = $first::FIDELITY $(.and($more::FIDELITY))*.inside();
        }
    )+};
}
tuples! { A; A, B; A, B, C; A, B, C, D; A, B, C, D, E; A, B, C, D, E, F; }

#[cfg(test)]
mod tests {
    use super::*;

    const fn of<T: HasFidelity>() -> Fidelity {
        T::FIDELITY
    }

    #[test]
    fn only_what_cannot_go_wrong_is_exact() {
        assert!(of::<Vec<Option<(u64, String)>>>().is_exact());
        assert!(of::<HashMap<u32, [Uuid; 2]>>().is_exact());
        assert!(of::<Vec<Option<Vec<Option<u8>>>>>().is_exact());
        assert!(!of::<Option<Option<u8>>>().is_exact());
        assert!(!of::<Option<()>>().is_exact());
        assert!(!of::<Vec<f64>>().is_exact() && !of::<Vec<f64>>().is_unknown());
        assert!(of::<u128>().is_exact() && of::<Option<(u8, i128)>>().is_wide());
        assert!(of::<Box<u8>>().is_unknown());
    }

    #[test]
    fn a_struct_is_as_faithful_as_its_fields_and_never_null() {
        assert_eq!(of::<(Option<u8>, f32)>(), Fidelity::REFUSING);
        assert_eq!(of::<Option<(Option<u8>,)>>(), Fidelity::NULL);
        assert!(of::<(Box<u8>, u8)>().is_unknown());
    }
}
