//! Rules that several kinds of structs share.

use quote::ToTokens as _;
use syn::{Fields, Generics, ItemStruct};

use crate::diagnostics::{Diagnostics, texts};

/// What is decoded by its name has one type for each name.
pub(crate) fn not_generic(what: &str, generics: &Generics, why: &str, diagnostics: &mut Diagnostics) -> bool {
    if generics.params.is_empty() {
        return false;
    }
    diagnostics.error(&generics.params, texts::generic(what, why));
    true
}

/// Names of fields are what the stored form is read by.
pub(crate) fn named_fields(what: &str, item: &ItemStruct, diagnostics: &mut Diagnostics) {
    if let Fields::Unnamed(fields) = &item.fields {
        diagnostics.error(fields.to_token_stream(), texts::unnamed_fields(what));
    }
}
