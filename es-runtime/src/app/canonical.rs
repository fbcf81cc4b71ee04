//! The canonical form of a command: equal commands give equal bytes, and different ones different bytes.
//!
//! The bytes are those of the command's JSON with two differences. The members of an object are sorted by name, and `null`
//! members are left out, so that a new optional field does not change the hash of an old command. What JSON writes as `null`
//! although it is a value has a form of its own: `Some` of nothing, and floats that are not finite.
//!
//! The ledger stores hashes of these bytes: the form of an ordinary command never changes.

use std::collections::BTreeMap;
use std::fmt;

use serde::ser::{
    self, Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

/// Passes the canonical bytes of a value on, in parts.
///
/// # Errors
///
/// Returns [`NotCanonical`] if a `Serialize` impl fails, if a map has a key that is no key in JSON, or one key twice.
pub(crate) fn write(value: &impl Serialize, write: &mut dyn FnMut(&[u8])) -> Result<(), NotCanonical> {
    value.serialize(Canonical)?.write(write);
    Ok(())
}

/// An error returned when a value has no canonical form.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct NotCanonical(String);

impl ser::Error for NotCanonical {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

#[derive(Debug)]
enum Tree {
    /// `null`, inside so many `Some`.
    Nothing(usize),
    /// A number, `true` or `false`.
    Plain(String),
    Text(String),
    Array(Vec<Self>),
    Object(BTreeMap<String, Self>),
}

impl Tree {
    fn write(&self, write: &mut dyn FnMut(&[u8])) {
        match self {
            Self::Nothing(0) => write(b"null,"),
            Self::Nothing(some) => write(format!("some{some},").as_bytes()),
            Self::Plain(plain) => write(format!("{plain},").as_bytes()),
            Self::Text(text) => write_text(text, write),
            Self::Array(items) => {
                write(b"[");
                for item in items {
                    item.write(write);
                }
                write(b"]");
            }
            Self::Object(members) => {
                write(b"{");
                for (name, member) in members.iter().filter(|(_, member)| !matches!(member, Self::Nothing(0))) {
                    write_text(name, write);
                    member.write(write);
                }
                write(b"}");
            }
        }
    }
}

/// Writes a text with its quotes, so that it never looks like a number.
fn write_text(text: &str, write: &mut dyn FnMut(&[u8])) {
    write(serde_json::Value::from(text).to_string().as_bytes());
    write(b",");
}

struct Canonical;

/// Plain values whose JSON is what they display.
macro_rules! plain {
    ($($method:ident: $type:ty,)+) => {$(
        fn $method(self, value: $type) -> Result<Tree, NotCanonical> {
            Ok(Tree::Plain(value.to_string()))
        }
    )+};
}

impl Serializer for Canonical {
    type Ok = Tree;
    type Error = NotCanonical;
    type SerializeSeq = Items;
    type SerializeTuple = Items;
    type SerializeTupleStruct = Items;
    type SerializeTupleVariant = Variant<Items>;
    type SerializeMap = Members;
    type SerializeStruct = Members;
    type SerializeStructVariant = Variant<Members>;

    plain! {
        serialize_bool: bool,
        serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64, serialize_i128: i128,
        serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64, serialize_u128: u128,
    }

    fn serialize_f32(self, value: f32) -> Result<Tree, NotCanonical> {
        self.serialize_f64(value.into())
    }

    fn serialize_f64(self, value: f64) -> Result<Tree, NotCanonical> {
        // JSON has no form for what is not finite; Rust's is no number in JSON.
        Ok(Tree::Plain(
            serde_json::Number::from_f64(value).map_or_else(|| value.to_string(), |number| number.to_string()),
        ))
    }

    fn serialize_char(self, value: char) -> Result<Tree, NotCanonical> {
        Ok(Tree::Text(value.into()))
    }

    fn serialize_str(self, value: &str) -> Result<Tree, NotCanonical> {
        Ok(Tree::Text(value.to_owned()))
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<Tree, NotCanonical> {
        Ok(Tree::Array(value.iter().map(|byte| Tree::Plain(byte.to_string())).collect()))
    }

    fn serialize_none(self) -> Result<Tree, NotCanonical> {
        Ok(Tree::Nothing(0))
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Tree, NotCanonical> {
        Ok(match value.serialize(self)? {
            Tree::Nothing(some) => Tree::Nothing(some + 1),
            something => something,
        })
    }

    fn serialize_unit(self) -> Result<Tree, NotCanonical> {
        Ok(Tree::Nothing(0))
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<Tree, NotCanonical> {
        Ok(Tree::Nothing(0))
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<Tree, NotCanonical> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<Tree, NotCanonical> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<Tree, NotCanonical> {
        Ok(tagged(variant, value.serialize(self)?))
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Items, NotCanonical> {
        Ok(Items::default())
    }

    fn serialize_tuple(self, _: usize) -> Result<Items, NotCanonical> {
        Ok(Items::default())
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Items, NotCanonical> {
        Ok(Items::default())
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Variant<Items>, NotCanonical> {
        Ok(Variant { variant, parts: Items::default() })
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Members, NotCanonical> {
        Ok(Members::default())
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Members, NotCanonical> {
        Ok(Members::default())
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Variant<Members>, NotCanonical> {
        Ok(Variant { variant, parts: Members::default() })
    }
}

fn tagged(variant: &str, content: Tree) -> Tree {
    // A variant whose content is nothing is still this variant.
    let content = if matches!(content, Tree::Nothing(0)) { Tree::Plain("null".to_owned()) } else { content };
    Tree::Object(BTreeMap::from([(variant.to_owned(), content)]))
}

#[derive(Default)]
struct Items(Vec<Tree>);

impl Items {
    fn push(&mut self, value: &(impl Serialize + ?Sized)) -> Result<(), NotCanonical> {
        self.0.push(value.serialize(Canonical)?);
        Ok(())
    }

    fn tree(self) -> Tree {
        Tree::Array(self.0)
    }
}

/// The one field that `serde_json::value::RawValue` serializes as: its JSON.
const RAW_VALUE: &str = "$serde_json::private::RawValue";

#[derive(Default)]
struct Members {
    members: BTreeMap<String, Tree>,
    key: String,
}

impl Members {
    fn push(&mut self, name: String, value: &(impl Serialize + ?Sized)) -> Result<(), NotCanonical> {
        let value = value.serialize(Canonical)?;
        if self.members.contains_key(&name) {
            return Err(NotCanonical(format!("the key `{name}` appears twice in one object")));
        }
        self.members.insert(name, value);
        Ok(())
    }

    fn tree(self) -> Tree {
        Tree::Object(self.members)
    }
}

struct Variant<T> {
    variant: &'static str,
    parts: T,
}

/// The parts of a sequence or tuple, by the trait that adds them.
macro_rules! items {
    ($($trait:ident $method:ident,)+) => {$(
        impl $trait for Items {
            type Ok = Tree;
            type Error = NotCanonical;
            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), NotCanonical> {
                self.push(value)
            }
            fn end(self) -> Result<Tree, NotCanonical> {
                Ok(self.tree())
            }
        }
    )+};
}
items! { SerializeSeq serialize_element, SerializeTuple serialize_element, SerializeTupleStruct serialize_field, }

impl SerializeTupleVariant for Variant<Items> {
    type Ok = Tree;
    type Error = NotCanonical;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), NotCanonical> {
        self.parts.push(value)
    }

    fn end(self) -> Result<Tree, NotCanonical> {
        Ok(tagged(self.variant, self.parts.tree()))
    }
}

impl SerializeMap for Members {
    type Ok = Tree;
    type Error = NotCanonical;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), NotCanonical> {
        self.key = match key.serialize(Canonical)? {
            Tree::Text(key) | Tree::Plain(key) => key,
            _ => return Err(NotCanonical("a key of a map must be a text or a number".to_owned())),
        };
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), NotCanonical> {
        let key = std::mem::take(&mut self.key);
        self.push(key, value)
    }

    fn end(self) -> Result<Tree, NotCanonical> {
        Ok(self.tree())
    }
}

impl SerializeStruct for Members {
    type Ok = Tree;
    type Error = NotCanonical;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), NotCanonical> {
        self.push(name.to_owned(), value)
    }

    fn end(self) -> Result<Tree, NotCanonical> {
        match self.members.get(RAW_VALUE) {
            Some(Tree::Text(json)) => {
                let value: serde_json::Value = serde_json::from_str(json).map_err(ser::Error::custom)?;
                value.serialize(Canonical)
            }
            _ => Ok(self.tree()),
        }
    }
}

impl SerializeStructVariant for Variant<Members> {
    type Ok = Tree;
    type Error = NotCanonical;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), NotCanonical> {
        self.parts.push(name.to_owned(), value)
    }

    fn end(self) -> Result<Tree, NotCanonical> {
        Ok(tagged(self.variant, self.parts.tree()))
    }
}

#[cfg(test)]
mod tests;
