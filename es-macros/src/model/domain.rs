//! A domain as it is declared.

use proc_macro2::{Ident, TokenStream};
use quote::format_ident;
use syn::ext::IdentExt as _;
use syn::{Attribute, Path, Visibility};

use crate::check;
use crate::diagnostics::Diagnostics;
use crate::syntax::domain;

use super::{Listed, runtime};

/// `domain! { … }`.
#[derive(Debug)]
pub(crate) struct Domain {
    pub(crate) runtime: Path,
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) vis: Visibility,
    pub(crate) ident: Ident,
    pub(crate) event: Ident,
    pub(crate) command: Ident,
    pub(crate) name: String,
    pub(crate) aggregates: Vec<Listed>,
    pub(crate) commands: Vec<Listed>,
    pub(crate) queries: Vec<Listed>,
    pub(crate) projections: Vec<Listed>,
    pub(crate) domains: Vec<Listed>,
}

impl Domain {
    pub(crate) fn read(input: TokenStream, diagnostics: &mut Diagnostics) -> Option<Self> {
        let input = domain::parse(input, diagnostics)?;
        if let Some(name) = &input.name {
            check::names::stored("domain", &name.value(), &input.name_token(), diagnostics);
        }
        let ident = input.ident.clone();
        Some(Self {
            event: format_ident!("{}Event", ident.unraw(), span = ident.span()),
            command: format_ident!("{}Command", ident.unraw(), span = ident.span()),
            name: input.name.as_ref().map_or_else(|| ident.to_string(), syn::LitStr::value),
            aggregates: check::domain::distinct(input.entries("aggregates"), "aggregate", diagnostics),
            commands: check::domain::distinct(input.entries("commands"), "command", diagnostics),
            queries: check::domain::distinct_paths(input.entries("queries"), "query", diagnostics),
            projections: check::domain::distinct_paths(input.entries("projections"), "projection", diagnostics),
            domains: check::domain::distinct(input.entries("domains"), "domain", diagnostics),
            runtime: runtime(input.runtime),
            attrs: input.attrs,
            vis: input.vis,
            ident,
        })
    }
}
