//! A deserializer without input: it shows what a type asks for.
//!
//! `Deserialize` of a derived type asks for a struct with its fields or an enum with its variants, by their stored names. A
//! run goes down one path into the type, records what is asked for at its end, and stops there. So no field needs a
//! valid value in front of it, but for the items of a tuple and the keys of a map, for which samples are made.

use std::cell::RefCell;
use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};

use serde::de::value::StrDeserializer;
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, Expected, IntoDeserializer as _, MapAccess, SeqAccess,
    VariantAccess, Visitor,
};

use super::stored;

/// One step into a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Into the value of an option, the items of a list, or the value of a variant.
    Inside,
    /// Into the keys of a map.
    Key,
    /// Into the values of a map.
    Value,
    /// Into an item of a tuple.
    Item(usize),
    /// Into a field of a struct.
    Field(&'static str),
    /// Into a variant of an enum.
    Variant(&'static str),
    /// Into an object of unknown form, to find its tag.
    Tag,
    /// Into the value of the tag, to find the variants.
    Tagged(&'static str),
}

/// What a type asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Plain(&'static str),
    Optional,
    List,
    Map,
    Tuple(usize),
    Struct(&'static str, &'static [&'static str]),
    Enum(&'static str, &'static [&'static str]),
    /// A variant without a value.
    Unit,
    /// A variant with one value.
    Newtype,
    /// Whatever there is; with what the type says that it expects.
    Any(String),
    /// The key that says which variant an object is.
    Tag(&'static str),
    Variants(&'static [&'static str]),
}

/// Returns what `T` asks for at the end of a path, if the path can be gone.
pub(super) fn at<T: DeserializeOwned>(path: &[Step]) -> Option<Kind> {
    let run = Run { path, found: RefCell::new(None) };
    // The code is the user's: one that panics on a sample shows nothing.
    let stopped = catch_unwind(AssertUnwindSafe(|| stored(|| T::deserialize(Visit { run: &run, depth: 0 }).err())));
    let said = match stopped.ok().flatten() {
        Some(Stop::Missing(tag)) if path.last() == Some(&Step::Tag) => Some(Kind::Tag(tag)),
        Some(Stop::UnknownVariant(variants)) => Some(Kind::Variants(variants)),
        _ => None,
    };
    run.found.into_inner().or(said)
}

struct Run<'a> {
    path: &'a [Step],
    found: RefCell<Option<Kind>>,
}

/// Why a run ended.
#[derive(Debug)]
enum Stop {
    Missing(&'static str),
    UnknownVariant(&'static [&'static str]),
    Other,
}

impl Display for Stop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the run has ended")
    }
}
impl std::error::Error for Stop {}
impl serde::de::Error for Stop {
    fn custom<T: Display>(_: T) -> Self {
        Self::Other
    }
    fn missing_field(field: &'static str) -> Self {
        Self::Missing(field)
    }
    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        Self::UnknownVariant(expected)
    }
}

#[derive(Clone, Copy)]
struct Visit<'a> {
    run: &'a Run<'a>,
    depth: usize,
}

impl Visit<'_> {
    /// Records what is asked for if this is the end of the path, or returns the next step.
    fn meet(self, kind: impl FnOnce() -> Kind) -> Result<Step, Stop> {
        if let Some(step) = self.run.path.get(self.depth) {
            return Ok(*step);
        }
        *self.run.found.borrow_mut() = Some(kind());
        Err(Stop::Other)
    }

    const fn below(self) -> Self {
        Self { run: self.run, depth: self.depth + 1 }
    }
}

macro_rules! plain {
    ($($function:ident $name:literal)+) => {$(
        fn $function<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Stop> {
            self.meet(|| Kind::Plain($name))?;
            Err(Stop::Other)
        }
    )+};
}

impl<'de> Deserializer<'de> for Visit<'_> {
    type Error = Stop;

    plain! {
        deserialize_bool "bool" deserialize_char "char" deserialize_str "str" deserialize_string "str"
        deserialize_bytes "bytes" deserialize_byte_buf "bytes" deserialize_identifier "str"
        deserialize_i8 "i8" deserialize_i16 "i16" deserialize_i32 "i32" deserialize_i64 "i64" deserialize_i128 "i128"
        deserialize_u8 "u8" deserialize_u16 "u16" deserialize_u32 "u32" deserialize_u64 "u64" deserialize_u128 "u128"
        deserialize_f32 "f32" deserialize_f64 "f64" deserialize_unit "null"
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        match self.meet(|| Kind::Any((&visitor as &dyn Expected).to_string()))? {
            Step::Tag => visitor.visit_map(Entries::default()),
            Step::Tagged(tag) => visitor.visit_map(Entries { text: Some((tag, "\0")), ..Entries::default() }),
            _ => Err(Stop::Other),
        }
    }
    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        self.deserialize_any(visitor)
    }
    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Stop> {
        self.deserialize_unit(visitor)
    }
    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Stop> {
        visitor.visit_newtype_struct(self)
    }
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        self.meet(|| Kind::Optional)?;
        visitor.visit_some(self.below())
    }
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        self.meet(|| Kind::List)?;
        visitor.visit_seq(Items { below: self.below(), before: 0 })
    }
    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Stop> {
        match self.meet(|| Kind::Tuple(len))? {
            Step::Item(before) => visitor.visit_seq(Items { below: self.below(), before }),
            _ => Err(Stop::Other),
        }
    }
    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, Stop> {
        self.deserialize_tuple(len, visitor)
    }
    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        let step = self.meet(|| Kind::Map)?;
        visitor.visit_map(Entries {
            below: Some(self.below()),
            key: (step == Step::Key).then(|| self.below()),
            ..Entries::default()
        })
    }
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Stop> {
        match self.meet(|| Kind::Struct(name, fields))? {
            Step::Field(field) => {
                visitor.visit_map(Entries { below: Some(self.below()), field: Some(field), ..Entries::default() })
            }
            _ => Err(Stop::Other),
        }
    }
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Stop> {
        match self.meet(|| Kind::Enum(name, variants))? {
            Step::Variant(variant) => visitor.visit_enum(OneVariant { variant, below: self.below() }),
            _ => Err(Stop::Other),
        }
    }
}

/// A list or a tuple whose item after `before` others is visited.
struct Items<'a> {
    below: Visit<'a>,
    before: usize,
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = Stop;
    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Stop> {
        if self.before == 0 {
            return seed.deserialize(self.below).map(Some);
        }
        self.before -= 1;
        seed.deserialize(Sample).map(Some)
    }
}

/// An object with at most one entry.
#[derive(Default)]
struct Entries<'a> {
    /// Where its value is visited.
    below: Option<Visit<'a>>,
    /// Where its key is visited.
    key: Option<Visit<'a>>,
    /// Its key, if it is that of a field.
    field: Option<&'static str>,
    /// Its key and value, if both are texts.
    text: Option<(&'static str, &'static str)>,
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = Stop;
    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Stop> {
        if let Some((key, _)) = self.text {
            return seed.deserialize(text(key)).map(Some);
        }
        if let Some(key) = self.key {
            return seed.deserialize(key).map(Some);
        }
        match (self.field, self.below) {
            (Some(field), _) => seed.deserialize(text(field)).map(Some),
            (None, Some(_)) => seed.deserialize(Sample).map(Some),
            (None, None) => Ok(None),
        }
    }
    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Stop> {
        match (self.text, self.below) {
            (Some((_, value)), _) => seed.deserialize(text(value)),
            (None, Some(below)) => seed.deserialize(below),
            (None, None) => Err(Stop::Other),
        }
    }
}

fn text(text: &'static str) -> StrDeserializer<'static, Stop> {
    text.into_deserializer()
}

struct OneVariant<'a> {
    variant: &'static str,
    below: Visit<'a>,
}

impl<'a, 'de> EnumAccess<'de> for OneVariant<'a> {
    type Error = Stop;
    type Variant = Visit<'a>;
    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Visit<'a>), Stop> {
        Ok((seed.deserialize(text(self.variant))?, self.below))
    }
}

/// What is asked for behind the name of a variant.
impl<'de> VariantAccess<'de> for Visit<'_> {
    type Error = Stop;
    fn unit_variant(self) -> Result<(), Stop> {
        self.meet(|| Kind::Unit)?;
        Err(Stop::Other)
    }
    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Stop> {
        self.meet(|| Kind::Newtype)?;
        seed.deserialize(self.below())
    }
    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Stop> {
        self.deserialize_tuple(len, visitor)
    }
    fn struct_variant<V: Visitor<'de>>(self, fields: &'static [&'static str], visitor: V) -> Result<V::Value, Stop> {
        self.deserialize_struct("", fields, visitor)
    }
}

/// Makes a value of whatever is asked for, if it can.
struct Sample;

impl Sample {
    /// Texts that common types parse, by what the type says that it expects.
    fn text(expected: &str) -> &'static str {
        let expected = expected.to_ascii_lowercase();
        let texts = [
            ("uuid", "00000000-0000-0000-0000-000000000000"),
            ("date and time", "1970-01-01T00:00:00Z"),
            ("date", "1970-01-01"),
            ("ip", "127.0.0.1"),
            ("decimal", "0"),
        ];
        texts.iter().find(|(word, _)| expected.contains(word)).map_or("0", |(_, text)| text)
    }
}

macro_rules! samples {
    ($($function:ident $visit:ident $value:expr;)+) => {$(
        fn $function<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
            visitor.$visit($value)
        }
    )+};
}

impl<'de> Deserializer<'de> for Sample {
    type Error = Stop;
    samples! {
        deserialize_bool visit_bool false; deserialize_char visit_char 'a';
        deserialize_i8 visit_i8 1; deserialize_i16 visit_i16 1; deserialize_i32 visit_i32 1; deserialize_i64 visit_i64 1;
        deserialize_u8 visit_u8 1; deserialize_u16 visit_u16 1; deserialize_u32 visit_u32 1; deserialize_u64 visit_u64 1;
        deserialize_i128 visit_i128 1; deserialize_u128 visit_u128 1; deserialize_f32 visit_f32 1.0; deserialize_f64 visit_f64 1.0;
        deserialize_bytes visit_bytes &[]; deserialize_byte_buf visit_bytes &[];
    }
    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        let expected = (&visitor as &dyn Expected).to_string();
        visitor.visit_str(Self::text(&expected))
    }
    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        self.deserialize_str(visitor)
    }
    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        self.deserialize_str(visitor)
    }
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        visitor.visit_unit()
    }
    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        visitor.visit_unit()
    }
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        visitor.visit_none()
    }
    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        visitor.visit_unit()
    }
    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Stop> {
        visitor.visit_unit()
    }
    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Stop> {
        visitor.visit_newtype_struct(self)
    }
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        visitor.visit_seq(Samples(0))
    }
    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Stop> {
        visitor.visit_seq(Samples(len))
    }
    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, Stop> {
        visitor.visit_seq(Samples(len))
    }
    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        visitor.visit_map(Entries::default())
    }
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Stop> {
        visitor.visit_seq(Samples(fields.len()))
    }
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Stop> {
        let variant = variants.first().ok_or(Stop::Other)?;
        visitor.visit_enum(SampleVariant(variant))
    }
}

/// So many samples.
struct Samples(usize);

impl<'de> SeqAccess<'de> for Samples {
    type Error = Stop;
    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Stop> {
        if self.0 == 0 {
            return Ok(None);
        }
        self.0 -= 1;
        seed.deserialize(Sample).map(Some)
    }
}

struct SampleVariant(&'static str);

impl<'de> EnumAccess<'de> for SampleVariant {
    type Error = Stop;
    type Variant = Sample;
    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Sample), Stop> {
        Ok((seed.deserialize(text(self.0))?, Sample))
    }
}

impl<'de> VariantAccess<'de> for Sample {
    type Error = Stop;
    fn unit_variant(self) -> Result<(), Stop> {
        Ok(())
    }
    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Stop> {
        seed.deserialize(self)
    }
    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Stop> {
        self.deserialize_tuple(len, visitor)
    }
    fn struct_variant<V: Visitor<'de>>(self, fields: &'static [&'static str], visitor: V) -> Result<V::Value, Stop> {
        self.deserialize_struct("", fields, visitor)
    }
}
