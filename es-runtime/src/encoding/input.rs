//! JSON from outside, and JSON that has to fit a `serde_json::Value`.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// Refuses JSON in which an object has a key twice. Which of the two is meant, only the sender knows.
///
/// # Errors
///
/// Returns an error that names the key.
pub(crate) fn no_key_twice(json: &[u8]) -> Result<(), serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    Unique.deserialize(&mut deserializer)?;
    deserializer.end()
}

/// Reads whatever there is, and keeps nothing but the keys of the objects around.
#[derive(Clone, Copy)]
struct Unique;

impl<'de> DeserializeSeed<'de> for Unique {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Unique {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }
    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }
    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }
    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }
    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }
    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(self)?.is_some() {}
        Ok(())
    }
    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let mut keys = HashSet::new();
        while let Some(key) = members.next_key::<Key<'de>>()? {
            if keys.contains(&key.0) {
                return Err(A::Error::custom(format_args!("`{}` is there twice", key.0)));
            }
            keys.insert(key.0);
            members.next_value_seed(self)?;
        }
        Ok(())
    }
}

/// A key, borrowed from the input if it has no escapes.
#[derive(serde::Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

/// Returns the first integer of more than 64 bits in a JSON text. `serde_json::Value` would hold it as a rounded float.
pub(crate) fn wide_integer(json: &[u8]) -> Option<String> {
    let mut rest = json;
    while let Some((first, after)) = rest.split_first() {
        rest = match first {
            b'"' => after_text(after),
            b'-' | b'0'..=b'9' => {
                let end = rest.iter().position(|byte| !is_part_of_a_number(*byte)).unwrap_or(rest.len());
                let (number, after) = rest.split_at(end);
                let number = std::str::from_utf8(number).unwrap_or_default();
                let is_integer = !number.contains(['.', 'e', 'E']);
                if is_integer && number.parse::<u64>().is_err() && number.parse::<i64>().is_err() {
                    return Some(number.to_owned());
                }
                after
            }
            _ => after,
        };
    }
    None
}

const fn is_part_of_a_number(byte: u8) -> bool {
    matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9')
}

/// Skips the rest of a text, behind its first quote.
fn after_text(mut rest: &[u8]) -> &[u8] {
    loop {
        rest = match rest {
            [] => return rest,
            [b'"', after @ ..] => return after,
            [b'\\', _, after @ ..] | [_, after @ ..] => after,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_is_there_twice_is_named_however_it_is_written() {
        for json in [r#"{"a":1,"a":2}"#, r#"[{"b":{"a":1,"\u0061":2}}]"#, r#"{"a":{},"b":[{"a":[],"c":null,"a":"x"}]}"#]
        {
            let error = no_key_twice(json.as_bytes()).unwrap_err().to_string();
            assert!(error.starts_with("`a` is there twice"), "{error}");
        }
        no_key_twice(br#"{"a":{"a":[{"a":1},{"a":-1.5e300}]},"b":"a"}"#).unwrap();
        assert!(no_key_twice(b"{} {}").is_err() && no_key_twice(b"{").is_err());
    }

    #[test]
    fn integers_that_a_value_would_round_are_found() {
        let max = u64::MAX.to_string();
        for number in ["18446744073709551616", "-9223372036854775809", "340282366920938463463374607431768211455"] {
            for json in [number.to_owned(), format!("[1,{number}]"), format!(r#"{{"a\\":"\"","b":{number}}}"#)] {
                assert_eq!(wide_integer(json.as_bytes()).as_deref(), Some(number), "{json}");
            }
        }
        for json in [
            max.as_str(),
            "-9223372036854775808",
            "1e400",
            "18446744073709551616.0",
            r#"["18446744073709551616","\"18446744073709551616"]"#,
        ] {
            assert_eq!(wide_integer(json.as_bytes()), None, "{json}");
        }
    }
}
