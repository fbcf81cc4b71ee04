//! Sorts attributes into ours, the compiler's and the user's.

use syn::punctuated::Punctuated;
use syn::{Attribute, Meta, Path, Token};

/// Tells whether an attribute is the word `name`, also when it is written with a path.
pub(crate) fn is(attribute: &Attribute, name: &str) -> bool {
    attribute.path().segments.last().is_some_and(|segment| segment.ident == name)
}

/// Takes the attributes called `name` out.
pub(crate) fn take(attributes: &mut Vec<Attribute>, name: &str) -> Vec<Attribute> {
    let (taken, kept) = std::mem::take(attributes).into_iter().partition(|attribute| is(attribute, name));
    *attributes = kept;
    taken
}

/// The `#[cfg]` attributes: whatever is generated for an item needs them too.
pub(crate) fn cfgs(attributes: &[Attribute]) -> Vec<Attribute> {
    attributes.iter().filter(|attribute| attribute.path().is_ident("cfg")).cloned().collect()
}

/// The documentation.
pub(crate) fn docs(attributes: &[Attribute]) -> Vec<Attribute> {
    attributes.iter().filter(|attribute| attribute.path().is_ident("doc")).cloned().collect()
}

/// The last names of everything that is derived below our attribute.
pub(crate) fn derived(attributes: &[Attribute]) -> Vec<String> {
    attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident("derive"))
        .filter_map(|attribute| attribute.parse_args_with(Punctuated::<Path, Token![,]>::parse_terminated).ok())
        .flatten()
        .filter_map(|path| path.segments.last().map(|segment| segment.ident.to_string()))
        .collect()
}

/// Returns `true` for a `#[cfg_attr(.., serde(..))]`.
pub(crate) fn is_serde_behind_cfg(attribute: &Attribute) -> bool {
    attribute.path().is_ident("cfg_attr") && quote::ToTokens::to_token_stream(attribute).to_string().contains("serde")
}

/// Removes the serde attributes, for a stand-in that derives nothing of serde.
pub(crate) fn without_serde(attributes: &mut Vec<Attribute>) {
    attributes.retain(|attribute| !attribute.path().is_ident("serde") && !is_serde_behind_cfg(attribute));
}

/// The arguments of all `#[serde(..)]` attributes.
pub(crate) fn serde(attributes: &[Attribute]) -> Vec<Meta> {
    attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident("serde"))
        .filter_map(|attribute| attribute.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated).ok())
        .flatten()
        .collect()
}
