//! The ids and counters of the log: one type each, so that none is taken for another.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! uuid_newtype {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// Makes a new, time-ordered id (UUID version 7).
            #[must_use]
            pub fn new_v7() -> Self {
                Self(Uuid::now_v7())
            }

            /// Gives the id as a UUID.
            #[must_use]
            pub const fn as_uuid(&self) -> &Uuid {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::parse_str(text).map(Self)
            }
        }

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }
    };
}

uuid_newtype!(
    /// The name of one event. Events that are dispatched get a UUID of version 7, which no other event has.
    EventId
);
uuid_newtype!(
    /// Names one dispatch of a command. Retries of the same dispatch keep it.
    CommandId
);
uuid_newtype!(
    /// Names everything that follows from one cause outside: a request, a message, a file.
    CorrelationId
);
uuid_newtype!(
    /// Names the direct cause: the event or message that led to a command.
    CausationId
);

/// Counts the events of one stream: 1, 2, 3 … without gaps. 0 stands for "nothing there".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Version(u64);

impl Version {
    /// The version of a stream without events.
    pub const NONE: Self = Self(0);

    /// Makes a version from its number.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// Gives the number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// Gives the version `count` events later.
    #[must_use]
    pub const fn after(self, count: u64) -> Self {
        Self(self.0.saturating_add(count))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<u64> for Version {
    fn from(number: u64) -> Self {
        Self(number)
    }
}

impl PartialEq<u64> for Version {
    fn eq(&self, other: &u64) -> bool {
        self.0 == *other
    }
}

/// The place of an event in the whole log. Later commits have greater positions; 0 is before the first event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct GlobalPosition(u64);

impl GlobalPosition {
    /// Before the first event.
    pub const START: Self = Self(0);

    /// Makes a position from its number.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// Gives the number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for GlobalPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Names one stream: a tenant (empty where there is only one), a category (the aggregate's name) and a key
/// (the aggregate's id as text).
///
/// Cloning copies a pointer.
///
/// ```
/// use es_runtime::event::StreamId;
/// let stream = StreamId::new("account", "42");
/// assert_eq!(stream.to_string(), "account/42");
/// assert_eq!(stream.with_tenant("acme").to_string(), "acme:account/42");
/// ```
#[derive(Clone, Eq, PartialOrd, Ord, Hash)]
#[expect(clippy::derived_hash_with_manual_eq, reason = "equal names hash alike; equality only takes a short cut")]
pub struct StreamId(Arc<StreamName>);

impl PartialEq for StreamId {
    fn eq(&self, other: &Self) -> bool {
        // Handles of one stream mostly share the name.
        Arc::ptr_eq(&self.0, &other.0) || self.0 == other.0
    }
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
struct StreamName {
    key: String,
    category: std::borrow::Cow<'static, str>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    tenant: String,
}

impl StreamId {
    /// Names a stream of the default tenant.
    #[must_use]
    pub fn new(category: impl Into<std::borrow::Cow<'static, str>>, key: impl Into<String>) -> Self {
        Self::of("", category, key)
    }

    /// Names a stream of a tenant; the default tenant is empty.
    #[must_use]
    pub fn of(
        tenant: impl Into<String>,
        category: impl Into<std::borrow::Cow<'static, str>>,
        key: impl Into<String>,
    ) -> Self {
        Self(Arc::new(StreamName { tenant: tenant.into(), category: category.into(), key: key.into() }))
    }

    /// Gives the same category and key under another tenant.
    #[must_use]
    pub fn with_tenant(&self, tenant: impl Into<String>) -> Self {
        Self::of(tenant, self.0.category.clone(), self.0.key.clone())
    }

    /// Gives the tenant; empty is the default one.
    #[must_use]
    pub fn tenant(&self) -> &str {
        &self.0.tenant
    }

    /// Gives the category: the aggregate's name.
    #[must_use]
    pub fn category(&self) -> &str {
        &self.0.category
    }

    /// Gives the key: the aggregate's id as text.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.0.key
    }

    /// Returns the text under which a subscription orders the stream's events, and puts them aside. No two streams share one, and it is never
    /// the text of a row's key.
    ///
    /// It is the stream's name; where the tenant or the category has characters that the name stands on (`:`, `/`, `%`, and `[` at its
    /// begin), these are written as in a URL.
    ///
    /// ```
    /// use es_runtime::event::StreamId;
    /// assert_eq!(StreamId::of("acme", "account", "42").sequence_key(), "acme:account/42");
    /// assert_eq!(StreamId::of("[a/b", "account", "42").sequence_key(), "%5Ba%2Fb:account/42");
    /// ```
    #[must_use]
    pub fn sequence_key(&self) -> String {
        let StreamName { key, category, tenant } = &*self.0;
        let mut text = String::with_capacity(tenant.len() + category.len() + key.len() + 2);
        if !tenant.is_empty() {
            write_escaped(&mut text, tenant);
            text.push(':');
        }
        write_escaped(&mut text, category);
        text.push('/');
        text.push_str(key);
        text
    }
}

fn write_escaped(text: &mut String, part: &str) {
    for character in part.chars() {
        match character {
            ':' => text.push_str("%3A"),
            '/' => text.push_str("%2F"),
            '%' => text.push_str("%25"),
            '[' if text.is_empty() => text.push_str("%5B"),
            character => text.push(character),
        }
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.0.tenant.is_empty() {
            write!(f, "{}:", self.0.tenant)?;
        }
        write!(f, "{}/{}", self.0.category, self.0.key)
    }
}

impl fmt::Debug for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StreamId({self})")
    }
}

impl Serialize for StreamId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for StreamId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        StreamName::deserialize(deserializer).map(|name| Self(Arc::new(name)))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::StreamId;

    #[test]
    fn no_two_streams_share_a_sequence_key() {
        let parts = ["", "a", "[", "[a", "a/", "a:", "/a", ":a", "a:b/c", "a/b:c", "%3A", "a%", "["];
        let mut seen = HashMap::new();
        for tenant in parts {
            for category in parts {
                for key in parts {
                    let stream = StreamId::of(tenant, category, key);
                    let text = stream.sequence_key();
                    assert!(!text.starts_with('['), "{text} could be a row's");
                    let other = seen.insert(text.clone(), stream.clone());
                    assert!(other.as_ref().is_none_or(|other| *other == stream), "{text}: {stream:?} and {other:?}");
                }
            }
        }
    }
}
