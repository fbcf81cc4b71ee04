//! Comparing what was written with what is written after reading it back.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;

/// Returns where two JSON texts differ, if they do: the path of the first difference, empty for the whole.
///
/// The order of the members of an object does not matter, nor that of the items of a list: a `HashMap` or `HashSet` that
/// was read back is written in another order. Numbers are compared as they are written, so that none is rounded.
pub(super) fn difference(one: &[u8], other: &[u8]) -> Result<Option<String>, serde_json::Error> {
    if one == other {
        return Ok(None);
    }
    Ok(first_difference(&serde_json::from_slice(one)?, &serde_json::from_slice(other)?))
}

/// A JSON value whose numbers and texts stay as they are written.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Node<'a> {
    Plain(&'a str),
    Items(Vec<Node<'a>>),
    /// In the order of the keys.
    Members(Vec<(Cow<'a, str>, Node<'a>)>),
}

impl Node<'_> {
    /// Sorts the items of all lists inside.
    fn sorted(mut self) -> Self {
        match &mut self {
            Self::Plain(_) => {}
            Self::Items(items) => *items = sorted(items),
            Self::Members(members) => members.iter_mut().for_each(|(_, value)| *value = value.clone().sorted()),
        }
        self
    }
}

fn sorted<'a>(items: &[Node<'a>]) -> Vec<Node<'a>> {
    let mut items: Vec<_> = items.iter().cloned().map(Node::sorted).collect();
    items.sort_unstable();
    items
}

impl<'de> Deserialize<'de> for Node<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?.get();
        match raw.as_bytes().first() {
            Some(b'[') => serde_json::from_str(raw).map(Self::Items).map_err(D::Error::custom),
            Some(b'{') => serde_json::from_str(raw).map(|Members(all)| Self::Members(all)).map_err(D::Error::custom),
            _ => Ok(Self::Plain(raw)),
        }
    }
}

struct Members<'a>(Vec<(Cow<'a, str>, Node<'a>)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Members<'de>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                members.sort_unstable();
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Read)
    }
}

/// Returns the path of the first difference, in the order of the texts.
fn first_difference(one: &Node<'_>, other: &Node<'_>) -> Option<String> {
    match (one, other) {
        (Node::Items(ones), Node::Items(others)) if ones.len() == others.len() => {
            let mut pairs = ones.iter().zip(others).enumerate();
            let path = pairs.find_map(|(index, (one, other))| {
                first_difference(one, other).map(|path| format!("[{index}]{path}"))
            })?;
            (sorted(ones) != sorted(others)).then_some(path)
        }
        (Node::Members(ones), Node::Members(others)) => {
            let of = |members: &[(Cow<'_, str>, Node<'_>)], key: &str| members.iter().position(|(name, _)| name == key);
            let lost = ones.iter().find_map(|(key, one)| match of(others, key).and_then(|at| others.get(at)) {
                Some((_, other)) => first_difference(one, other).map(|path| format!(".{key}{path}")),
                None => Some(format!(".{key}")),
            });
            lost.or_else(|| others.iter().find(|(key, _)| of(ones, key).is_none()).map(|(key, _)| format!(".{key}")))
        }
        (one, other) => (one != other).then(String::new),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(one: &str, other: &str) -> Option<String> {
        difference(one.as_bytes(), other.as_bytes()).unwrap()
    }

    #[test]
    fn only_order_may_differ() {
        assert_eq!(path(r#"{"a":[1,{"b":2,"c":3}]}"#, r#"{"a":[{"c":3,"b":2},1]}"#), None);
        assert_eq!(path(r#"{"a":[1,1,2]}"#, r#"{"a":[1,2,2]}"#).as_deref(), Some(".a[1]"));
        assert_eq!(path(r#"{"a":1}"#, r#"{"b":1}"#).as_deref(), Some(".a"));
        assert_eq!(path(r#"{"a":{"x":7}}"#, r#"{"a":{"x":0}}"#).as_deref(), Some(".a.x"));
        assert_eq!(path("0.0", "-0.0").as_deref(), Some(""));
        assert_eq!(
            path("340282366920938463463374607431768211455", "340282366920938463463374607431768211454").as_deref(),
            Some("")
        );
        assert_eq!(path("[]", "{}").as_deref(), Some(""));
    }
}
