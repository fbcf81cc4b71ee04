//! How the fields of a struct are stored, by what their serde attributes say.

use syn::{Attribute, Expr, ExprLit, Lit, Meta};

use crate::syntax::{attributes, types};

use super::Field;

/// A field as it is stored.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) field: Field,
    /// The name in the stored JSON.
    pub(crate) name: String,
    /// What else decides over the stored form, for `events.lock`.
    pub(crate) notes: Vec<String>,
    /// The type alone decides how the field is written and read.
    pub(crate) by_type: bool,
}

impl Stored {
    /// Reads the fields of a struct whose attributes are `container`.
    pub(crate) fn all(fields: &[Field], container: &[Attribute]) -> Vec<Self> {
        let container = attributes::serde(container);
        let rule = container.iter().find(|meta| meta.path().is_ident("rename_all")).and_then(text);
        let defaults = container.iter().any(|meta| meta.path().is_ident("default"));
        fields.iter().map(|field| Self::of(field, rule.as_deref(), defaults)).collect()
    }

    fn of(field: &Field, rule: Option<&str>, container_default: bool) -> Self {
        let metas = attributes::serde(&field.attrs);
        let named = |name: &str| metas.iter().find(|meta| meta.path().is_ident(name));
        let name = named("rename").and_then(text).unwrap_or_else(|| renamed(&field.name(), rule));
        let decides = |meta: &&Meta| {
            let known = ["default", "alias", "with", "serialize_with", "deserialize_with", "skip_serializing_if"];
            known.iter().any(|name| meta.path().is_ident(name))
        };
        let notes = metas.iter().filter(decides).map(types::text).collect();
        let custom = ["with", "serialize_with", "deserialize_with"].iter().any(|name| named(name).is_some());
        // A `None` that is left out is read back as `None` by serde's own default, and by no other.
        let left_out = named("skip_serializing_if").is_some_and(|meta| {
            let none = text(meta).is_some_and(|path| path == "Option::is_none") && types::is_named(&field.ty, "Option");
            !none || container_default || !matches!(named("default"), Some(Meta::Path(_)))
        });
        Self { field: field.clone(), name, notes, by_type: !custom && !left_out }
    }

    /// Returns the names under which the field is read.
    pub(crate) fn read_as(&self) -> Vec<String> {
        let aliases = attributes::serde(&self.field.attrs);
        let aliases = aliases.iter().filter(|meta| meta.path().is_ident("alias")).filter_map(text);
        std::iter::once(self.name.clone()).chain(aliases).collect()
    }
}

/// The text of `name = "…"`.
fn text(meta: &Meta) -> Option<String> {
    match meta {
        Meta::NameValue(pair) => match &pair.value {
            Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text.value()),
            _ => None,
        },
        _ => None,
    }
}

/// Applies `rename_all`, as serde does to the fields of a struct.
fn renamed(name: &str, rule: Option<&str>) -> String {
    let pascal = || {
        let mut capital = true;
        let mut pascal = String::new();
        for letter in name.chars() {
            if letter == '_' {
                capital = true;
            } else {
                pascal.push(if capital { letter.to_ascii_uppercase() } else { letter });
                capital = false;
            }
        }
        pascal
    };
    match rule {
        Some("UPPERCASE" | "SCREAMING_SNAKE_CASE") => name.to_ascii_uppercase(),
        Some("PascalCase") => pascal(),
        Some("camelCase") => {
            let pascal = pascal();
            pascal.get(..1).map(str::to_ascii_lowercase).unwrap_or_default() + pascal.get(1..).unwrap_or_default()
        }
        Some("kebab-case") => name.replace('_', "-"),
        Some("SCREAMING-KEBAB-CASE") => name.to_ascii_uppercase().replace('_', "-"),
        _ => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_renamed_as_serde_does() {
        // The table of serde_derive's own tests (`internals/case.rs`).
        let rules = [
            ("lowercase", "very_tasty"),
            ("UPPERCASE", "VERY_TASTY"),
            ("PascalCase", "VeryTasty"),
            ("camelCase", "veryTasty"),
            ("snake_case", "very_tasty"),
            ("SCREAMING_SNAKE_CASE", "VERY_TASTY"),
            ("kebab-case", "very-tasty"),
            ("SCREAMING-KEBAB-CASE", "VERY-TASTY"),
        ];
        for (rule, name) in rules {
            assert_eq!(renamed("very_tasty", Some(rule)), name, "{rule}");
        }
        assert_eq!(renamed("a", Some("camelCase")), "a");
    }
}
