//! A serializer that refuses, while it writes, what JSON would not give back.
//!
//! It stands in front of `serde_json`'s own serializer, which writes a `NaN` as `null`, `Some(None)` like `None`, the same
//! key twice, and more levels than it reads. Each refusal names the field.

use std::collections::HashSet;
use std::fmt::{self, Display};

use serde::Serialize;
use serde::ser::{
    Error, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple, SerializeTupleStruct,
    SerializeTupleVariant, Serializer,
};

/// The number of nested lists and objects that `serde_json` reads; its recursion limit is 128.
const DEPTH: u8 = 127;

/// Writes a value as JSON, or returns the error of the first field that JSON cannot hold.
///
/// With `wide`, integers of more than 64 bits are allowed: `serde_json` reads them into their own types, but not into a
/// `serde_json::Value`.
pub(super) fn write<T: Serialize + ?Sized>(value: &T, wide: bool, into: &mut Vec<u8>) -> Result<(), serde_json::Error> {
    let root = Place { parent: None, step: Step::Root, depth: 0, wide };
    value.serialize(Strict { inner: &mut serde_json::Serializer::new(into), place: &root, optional: false })
}

/// Where in the value the serializer is.
struct Place<'a> {
    parent: Option<&'a Place<'a>>,
    step: Step<'a>,
    depth: u8,
    wide: bool,
}

#[derive(Clone, Copy)]
enum Step<'a> {
    Root,
    Field(&'a str),
    Index(usize),
}

impl Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            parent.fmt(f)?;
        }
        match self.step {
            Step::Root => Ok(()),
            Step::Field(name) if self.parent.is_some_and(|parent| matches!(parent.step, Step::Root)) => {
                f.write_str(name)
            }
            Step::Field(name) => write!(f, ".{name}"),
            Step::Index(index) => write!(f, "[{index}]"),
        }
    }
}

impl<'a> Place<'a> {
    const fn step(&'a self, step: Step<'a>, depth: u8) -> Self {
        Self { parent: Some(self), step, depth, wide: self.wide }
    }

    /// Enters `levels` lists or objects.
    fn enter<E: Error>(&self, levels: u8) -> Result<u8, E> {
        let depth = self.depth.saturating_add(levels);
        if depth > DEPTH {
            Err(self.refuse(&format_args!("is nested more than {DEPTH} levels deep")))
        } else {
            Ok(depth)
        }
    }

    #[cold]
    fn refuse<E: Error>(&self, why: &dyn Display) -> E {
        let path = self.to_string();
        if path.is_empty() { E::custom(format_args!("it {why}")) } else { E::custom(format_args!("`{path}` {why}")) }
    }
}

/// A value inside, which is written as strictly as the whole.
struct Inside<'a, T: ?Sized> {
    value: &'a T,
    place: &'a Place<'a>,
    optional: bool,
}

impl<T: Serialize + ?Sized> Serialize for Inside<'_, T> {
    #[inline]
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value.serialize(Strict { inner: serializer, place: self.place, optional: self.optional })
    }
}

struct Strict<'a, S> {
    inner: S,
    place: &'a Place<'a>,
    /// The value is that of a `Some`.
    optional: bool,
}

impl<S: Serializer> Strict<'_, S> {
    fn finite(&self, is_nan: bool, is_infinite: bool) -> Result<(), S::Error> {
        if is_nan {
            return Err(self.place.refuse(&"is NaN, which JSON cannot hold"));
        }
        if is_infinite {
            return Err(self.place.refuse(&"is infinite, which JSON cannot hold"));
        }
        Ok(())
    }

    fn null(&self) -> Result<(), S::Error> {
        if self.optional {
            return Err(self.place.refuse(&"is a `Some` that is written as `null` and would be read back as `None`"));
        }
        Ok(())
    }

    fn fits(&self, fits: bool) -> Result<(), S::Error> {
        if fits || self.place.wide {
            return Ok(());
        }
        Err(self.place.refuse(&"has more than 64 bits, which a JSON value cannot hold"))
    }
}

macro_rules! plain {
    ($($function:ident: $ty:ty;)+) => {$(
        #[inline]
        fn $function(self, value: $ty) -> Result<S::Ok, S::Error> {
            self.inner.$function(value)
        }
    )+};
}

impl<'a, S: Serializer> Serializer for Strict<'a, S> {
    type Ok = S::Ok;
    type Error = S::Error;
    type SerializeSeq = Items<'a, S::SerializeSeq>;
    type SerializeTuple = Items<'a, S::SerializeTuple>;
    type SerializeTupleStruct = Items<'a, S::SerializeTupleStruct>;
    type SerializeTupleVariant = Items<'a, S::SerializeTupleVariant>;
    type SerializeMap = Entries<'a, S::SerializeMap>;
    type SerializeStruct = Items<'a, S::SerializeStruct>;
    type SerializeStructVariant = Items<'a, S::SerializeStructVariant>;

    plain! {
        serialize_bool: bool; serialize_char: char; serialize_str: &str; serialize_bytes: &[u8];
        serialize_i8: i8; serialize_i16: i16; serialize_i32: i32; serialize_i64: i64;
        serialize_u8: u8; serialize_u16: u16; serialize_u32: u32; serialize_u64: u64;
    }

    fn serialize_i128(self, value: i128) -> Result<S::Ok, S::Error> {
        self.fits(i64::try_from(value).is_ok() || u64::try_from(value).is_ok())?;
        self.inner.serialize_i128(value)
    }
    fn serialize_u128(self, value: u128) -> Result<S::Ok, S::Error> {
        self.fits(u64::try_from(value).is_ok())?;
        self.inner.serialize_u128(value)
    }
    fn serialize_f32(self, value: f32) -> Result<S::Ok, S::Error> {
        self.finite(value.is_nan(), value.is_infinite())?;
        self.inner.serialize_f32(value)
    }
    fn serialize_f64(self, value: f64) -> Result<S::Ok, S::Error> {
        self.finite(value.is_nan(), value.is_infinite())?;
        self.inner.serialize_f64(value)
    }
    fn serialize_none(self) -> Result<S::Ok, S::Error> {
        self.null()?;
        self.inner.serialize_none()
    }
    fn serialize_unit(self) -> Result<S::Ok, S::Error> {
        self.null()?;
        self.inner.serialize_unit()
    }
    fn serialize_unit_struct(self, name: &'static str) -> Result<S::Ok, S::Error> {
        self.null()?;
        self.inner.serialize_unit_struct(name)
    }
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.inner.serialize_some(&Inside { value, place: self.place, optional: true })
    }
    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, name: &'static str, value: &T) -> Result<S::Ok, S::Error> {
        self.inner.serialize_newtype_struct(name, &Inside { value, place: self.place, optional: self.optional })
    }
    fn serialize_unit_variant(self, name: &'static str, index: u32, variant: &'static str) -> Result<S::Ok, S::Error> {
        self.inner.serialize_unit_variant(name, index, variant)
    }
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        let place = self.place.step(Step::Field(variant), self.place.enter(1)?);
        self.inner.serialize_newtype_variant(name, index, variant, &Inside { value, place: &place, optional: false })
    }
    fn serialize_seq(self, len: Option<usize>) -> Result<Self::SerializeSeq, S::Error> {
        let depth = self.place.enter(1)?;
        Ok(Items::new(self.inner.serialize_seq(len)?, self.place, depth))
    }
    fn serialize_tuple(self, len: usize) -> Result<Self::SerializeTuple, S::Error> {
        let depth = self.place.enter(1)?;
        Ok(Items::new(self.inner.serialize_tuple(len)?, self.place, depth))
    }
    fn serialize_tuple_struct(self, name: &'static str, len: usize) -> Result<Self::SerializeTupleStruct, S::Error> {
        let depth = self.place.enter(1)?;
        Ok(Items::new(self.inner.serialize_tuple_struct(name, len)?, self.place, depth))
    }
    fn serialize_tuple_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Self::SerializeTupleVariant, S::Error> {
        let depth = self.place.enter(2)?;
        Ok(Items::new(self.inner.serialize_tuple_variant(name, index, variant, len)?, self.place, depth))
    }
    fn serialize_map(self, len: Option<usize>) -> Result<Self::SerializeMap, S::Error> {
        let depth = self.place.enter(1)?;
        let inner = self.inner.serialize_map(len)?;
        Ok(Entries { inner, place: self.place, depth, keys: HashSet::new(), key: String::new() })
    }
    fn serialize_struct(self, name: &'static str, len: usize) -> Result<Self::SerializeStruct, S::Error> {
        let depth = self.place.enter(1)?;
        Ok(Items::new(self.inner.serialize_struct(name, len)?, self.place, depth))
    }
    fn serialize_struct_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Self::SerializeStructVariant, S::Error> {
        let depth = self.place.enter(2)?;
        Ok(Items::new(self.inner.serialize_struct_variant(name, index, variant, len)?, self.place, depth))
    }
    fn collect_str<T: Display + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.inner.collect_str(value)
    }
    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }
}

/// The items of a list, or the fields of a struct.
struct Items<'a, C> {
    inner: C,
    place: &'a Place<'a>,
    depth: u8,
    index: usize,
}

impl<'a, C> Items<'a, C> {
    const fn new(inner: C, place: &'a Place<'a>, depth: u8) -> Self {
        Self { inner, place, depth, index: 0 }
    }
}

macro_rules! items {
    ($($trait_:ident $function:ident;)+) => {$(
        impl<C: $trait_> $trait_ for Items<'_, C> {
            type Ok = C::Ok;
            type Error = C::Error;
            #[inline]
            fn $function<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), C::Error> {
                let place = self.place.step(Step::Index(self.index), self.depth);
                self.index += 1;
                self.inner.$function(&Inside { value, place: &place, optional: false })
            }
            fn end(self) -> Result<C::Ok, C::Error> {
                self.inner.end()
            }
        }
    )+};
}
items! {
    SerializeSeq serialize_element;
    SerializeTuple serialize_element;
    SerializeTupleStruct serialize_field;
    SerializeTupleVariant serialize_field;
}

macro_rules! fields {
    ($($trait_:ident)+) => {$(
        impl<C: $trait_> $trait_ for Items<'_, C> {
            type Ok = C::Ok;
            type Error = C::Error;
            #[inline]
            fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), C::Error> {
                let place = self.place.step(Step::Field(name), self.depth);
                self.inner.serialize_field(name, &Inside { value, place: &place, optional: false })
            }
            fn skip_field(&mut self, name: &'static str) -> Result<(), C::Error> {
                self.inner.skip_field(name)
            }
            fn end(self) -> Result<C::Ok, C::Error> {
                self.inner.end()
            }
        }
    )+};
}
fields!(SerializeStruct SerializeStructVariant);

/// The entries of a map.
struct Entries<'a, C> {
    inner: C,
    place: &'a Place<'a>,
    depth: u8,
    keys: HashSet<String>,
    key: String,
}

impl<C: SerializeMap> SerializeMap for Entries<'_, C> {
    type Ok = C::Ok;
    type Error = C::Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), C::Error> {
        let text = serde_json::to_string(key).map_err(C::Error::custom)?;
        // A number becomes a text when it is a key.
        let text = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(&text);
        text.clone_into(&mut self.key);
        if !self.keys.insert(text.to_owned()) {
            return Err(self.place.step(Step::Field(&self.key), self.depth).refuse(&"is in its map twice"));
        }
        self.inner.serialize_key(key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), C::Error> {
        let place = self.place.step(Step::Field(&self.key), self.depth);
        self.inner.serialize_value(&Inside { value, place: &place, optional: false })
    }

    fn end(self) -> Result<C::Ok, C::Error> {
        self.inner.end()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn refused<T: Serialize>(value: &T) -> String {
        write(value, true, &mut Vec::new()).unwrap_err().to_string()
    }

    #[derive(Serialize)]
    #[expect(clippy::option_option, reason = "what must be refused")]
    struct Line {
        price: f64,
        note: Option<Option<u8>>,
    }

    /// Has a key twice, as nothing from the standard library can.
    struct Twice;
    impl Serialize for Twice {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_map([("a", 1), ("b", 2), ("a", 3)])
        }
    }

    #[derive(Serialize)]
    struct Tree(Vec<Tree>);
    fn tree(levels: usize) -> Tree {
        Tree((1..levels).fold(Vec::new(), |below, _| vec![Tree(below)]))
    }

    #[test]
    fn a_refusal_names_the_field() {
        let lines =
            |price, note| BTreeMap::from([("lines", vec![Line { price: 1.0, note: None }, Line { price, note }])]);
        assert_eq!(refused(&lines(f64::NAN, None)), "`lines[1].price` is NaN, which JSON cannot hold");
        assert_eq!(refused(&lines(f64::NEG_INFINITY, None)), "`lines[1].price` is infinite, which JSON cannot hold");
        let some_none = "`lines[1].note` is a `Some` that is written as `null` and would be read back as `None`";
        assert_eq!(refused(&lines(1.0, Some(None))), some_none);
        assert_eq!(refused(&f32::NAN), "it is NaN, which JSON cannot hold");
        assert_eq!(refused(&Some(())), "it is a `Some` that is written as `null` and would be read back as `None`");
        assert_eq!(refused(&vec![Twice]), "`[0].a` is in its map twice");
    }

    #[test]
    fn what_is_written_is_what_serde_json_writes() {
        let value = BTreeMap::from([(1, vec![Line { price: -0.0, note: Some(Some(3)) }])]);
        let mut written = Vec::new();
        write(&value, true, &mut written).unwrap();
        assert_eq!(written, serde_json::to_vec(&value).unwrap());
    }

    #[test]
    fn the_deepest_value_that_is_written_is_the_deepest_that_is_read() {
        let mut written = Vec::new();
        write(&tree(127), true, &mut written).unwrap();
        serde_json::from_slice::<serde_json::Value>(&written).unwrap();
        assert!(serde_json::from_slice::<serde_json::Value>(&serde_json::to_vec(&tree(128)).unwrap()).is_err());
        assert!(refused(&tree(128)).ends_with("is nested more than 127 levels deep"));
    }

    #[test]
    fn wide_integers_are_allowed_or_refused() {
        assert!(write(&u128::MAX, true, &mut Vec::new()).is_ok());
        for value in [i128::from(u64::MAX) + 1, i128::from(i64::MIN) - 1] {
            let error = write(&value, false, &mut Vec::new()).unwrap_err().to_string();
            assert_eq!(error, "it has more than 64 bits, which a JSON value cannot hold");
        }
        assert!(write(&u128::from(u64::MAX), false, &mut Vec::new()).is_ok());
    }
}
