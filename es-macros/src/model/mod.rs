//! What it means: plain structs with the user's tokens, nothing decided twice.

pub(crate) mod aggregate;
pub(crate) mod behaviour;
pub(crate) mod command;
pub(crate) mod domain;
pub(crate) mod event;
pub(crate) mod handler;
pub(crate) mod projection;
pub(crate) mod query;
pub(crate) mod read_model;
pub(crate) mod stored;
pub(crate) mod upcaster;
pub(crate) mod value;

use proc_macro2::{Ident, Span};
use syn::ext::IdentExt as _;
use syn::{Attribute, Path, Type};

use crate::syntax::attributes;
use crate::syntax::options::{CratePath, Entry};

/// Locates generated tokens at the user's token while names resolve as the macro's own.
pub(crate) fn at(span: Span) -> Span {
    span.resolved_at(Span::call_site())
}

/// The path of `es-runtime`: as the user gave it, or its usual one.
pub(crate) fn runtime(given: Option<CratePath>) -> Path {
    given.map_or_else(|| syn::parse_quote!(::es_runtime), |path| path.0)
}

/// A field of a struct, with what is generated for it.
#[derive(Clone, Debug)]
pub(crate) struct Field {
    pub(crate) cfgs: Vec<Attribute>,
    pub(crate) docs: Vec<Attribute>,
    pub(crate) attrs: Vec<Attribute>,
    /// `None` for the field of a tuple struct.
    pub(crate) ident: Option<Ident>,
    pub(crate) vis: syn::Visibility,
    pub(crate) ty: Type,
}

impl Field {
    pub(crate) fn all(fields: &syn::Fields) -> Vec<Self> {
        fields.iter().map(Self::of).collect()
    }

    pub(crate) fn of(field: &syn::Field) -> Self {
        Self {
            cfgs: attributes::cfgs(&field.attrs),
            docs: attributes::docs(&field.attrs),
            attrs: field.attrs.clone(),
            ident: field.ident.clone(),
            vis: field.vis.clone(),
            ty: field.ty.clone(),
        }
    }

    /// The name without `r#`; `0` for the field of a tuple struct.
    pub(crate) fn name(&self) -> String {
        self.ident.as_ref().map_or_else(|| "0".to_owned(), |ident| ident.unraw().to_string())
    }
}

/// A type in a list, with the name it has in the generated enum.
#[derive(Clone, Debug)]
pub(crate) struct Listed {
    pub(crate) cfgs: Vec<Attribute>,
    pub(crate) docs: Vec<Attribute>,
    pub(crate) path: Path,
    pub(crate) variant: Ident,
    /// Where the user must look: the name, or the `as` name.
    pub(crate) span: Span,
}

impl Listed {
    pub(crate) fn all(entries: &[Entry]) -> Vec<Self> {
        entries.iter().filter_map(Self::of).collect()
    }

    fn of(entry: &Entry) -> Option<Self> {
        let last = &entry.path.segments.last()?.ident;
        Some(Self {
            cfgs: attributes::cfgs(&entry.attrs),
            docs: attributes::docs(&entry.attrs),
            path: entry.path.clone(),
            variant: entry.rename.clone().unwrap_or_else(|| last.clone()),
            span: last.span(),
        })
    }

    /// The type's name without its path.
    pub(crate) fn type_name(&self) -> String {
        self.path.segments.last().map(|segment| segment.ident.unraw().to_string()).unwrap_or_default()
    }
}
