//! Which serde attributes what is stored may have. Everything else is refused by its name: what is written must be read
//! back as it was.

use syn::{Attribute, Meta};

use crate::diagnostics::{Diagnostics, Text, texts};
use crate::model::Field;
use crate::model::stored::Stored;
use crate::syntax::{attributes, types};

/// On a field: other names, and ways that are there both for writing and for reading.
const ON_FIELDS: [&str; 7] =
    ["rename", "alias", "default", "with", "serialize_with", "deserialize_with", "skip_serializing_if"];
/// On the struct: nothing that changes its form from an object of its fields.
const ON_STRUCTS: [&str; 6] = ["rename_all", "rename", "deny_unknown_fields", "default", "crate", "expecting"];

/// Checks a struct that is stored: its own attributes and those of its fields.
pub(crate) fn check(container: &[Attribute], fields: &[Field], diagnostics: &mut Diagnostics) {
    for meta in attributes::serde(container) {
        if let Some(text) = on_struct(&meta) {
            diagnostics.error(&meta, text);
        }
    }
    hidden(container, diagnostics);
    for field in fields {
        let metas = attributes::serde(&field.attrs);
        for meta in &metas {
            if let Some(text) = on_field(field, meta, &metas) {
                diagnostics.error(meta, text);
            }
        }
        hidden(&field.attrs, diagnostics);
    }
    two_of_one_name(container, fields, diagnostics);
}

fn on_struct(meta: &Meta) -> Option<Text> {
    let name = types::text(meta.path());
    match name.as_str() {
        "untagged" | "tag" | "transparent" | "from" | "try_from" | "into" | "remote" | "content" => {
            Some(texts::ambiguous_serde(&name, "the stored form is an object of the struct's fields"))
        }
        "rename_all" if matches!(meta, Meta::List(_)) => Some(texts::two_stored_names("rename_all", "camelCase")),
        known if ON_STRUCTS.contains(&known) => None,
        _ => Some(texts::serde_not_allowed(&name, &ON_STRUCTS)),
    }
}

fn on_field(field: &Field, meta: &Meta, all: &[Meta]) -> Option<Text> {
    let has = |name: &str| all.iter().any(|meta| meta.path().is_ident(name));
    let name = types::text(meta.path());
    match name.as_str() {
        "flatten" => {
            Some(texts::ambiguous_serde("flatten", "the fields of the inner type could clash with those around it"))
        }
        "skip" | "skip_serializing" | "skip_deserializing" => Some(texts::lossy_serde(&name)),
        "skip_serializing_if" if !has("default") && !types::is_named(&field.ty, "Option") => {
            Some(texts::skip_without_default())
        }
        "serialize_with" if !has("deserialize_with") => {
            Some(texts::one_way_serde("serialize_with", "deserialize_with"))
        }
        "deserialize_with" if !has("serialize_with") => {
            Some(texts::one_way_serde("deserialize_with", "serialize_with"))
        }
        "rename" if matches!(meta, Meta::List(_)) => Some(texts::two_stored_names("rename", &field.name())),
        known if ON_FIELDS.contains(&known) => None,
        _ => Some(texts::serde_not_allowed(&name, &ON_FIELDS)),
    }
}

/// An attribute of serde behind `cfg_attr` cannot be seen here: it would change what is stored behind our back.
fn hidden(found: &[Attribute], diagnostics: &mut Diagnostics) {
    for attribute in found.iter().filter(|attribute| attributes::is_serde_behind_cfg(attribute)) {
        diagnostics.error(attribute, texts::serde_behind_cfg());
    }
}

fn two_of_one_name(container: &[Attribute], fields: &[Field], diagnostics: &mut Diagnostics) {
    let mut taken: Vec<(String, Field)> = Vec::new();
    for stored in Stored::all(fields, container).into_iter().filter(|stored| stored.field.ident.is_some()) {
        for name in stored.read_as() {
            let clash = taken.iter().find(|(earlier, field)| *earlier == name && field.cfgs.is_empty());
            if let Some((_, earlier)) = clash.filter(|_| stored.field.cfgs.is_empty()) {
                let text = texts::two_fields_of_one_name(&name, &earlier.name());
                match stored.field.attrs.iter().find(|attribute| attribute.path().is_ident("serde")) {
                    Some(attribute) => diagnostics.error(attribute, text),
                    None => diagnostics.error(&stored.field.ident, text),
                }
            }
            taken.push((name, stored.field.clone()));
        }
    }
}
