//! A value object as it is declared.

use proc_macro2::{Ident, Span, TokenStream};
use syn::{ItemStruct, Path};

use crate::diagnostics::Diagnostics;
use crate::syntax::impl_block::{ImplBlock, ImplItem};
use crate::syntax::options::{self, ValueOptions};
use crate::syntax::{attributes, item};
use crate::word::Word;

use super::{Field, runtime};

/// `#[value_object] struct …`.
#[derive(Debug)]
pub(crate) struct Value {
    pub(crate) runtime: Path,
    pub(crate) item: ItemStruct,
    pub(crate) ident: Ident,
    pub(crate) fields: Vec<Field>,
    /// Where `validate` stands, if it does.
    pub(crate) validate: Option<Span>,
    pub(crate) derived: Vec<String>,
}

impl Value {
    pub(crate) fn read(options: TokenStream, tokens: &TokenStream, diagnostics: &mut Diagnostics) -> Option<Self> {
        let options: ValueOptions = options::read(Word::ValueObject, options, diagnostics);
        let item = item::structure(Word::ValueObject, tokens, diagnostics)?;
        Some(Self {
            runtime: runtime(options.runtime),
            ident: item.ident.clone(),
            fields: Field::all(&item.fields),
            validate: options.validate.0,
            derived: attributes::derived(&item.attrs),
            item,
        })
    }

    /// Tells whether this is `struct Email(String)`.
    pub(crate) const fn is_tuple(&self) -> bool {
        matches!(self.item.fields, syn::Fields::Unnamed(_))
    }
}

/// `#[value_object] impl …`.
#[derive(Debug)]
pub(crate) struct ValueImpl {
    pub(crate) runtime: Path,
    pub(crate) block: ImplBlock,
}

impl ValueImpl {
    pub(crate) fn read(options: TokenStream, tokens: &TokenStream, diagnostics: &mut Diagnostics) -> Option<Self> {
        let options: ValueOptions = options::read(Word::ValueObject, options, diagnostics);
        let mut block = item::inherent_impl(Word::ValueObject, tokens, diagnostics)?;
        for item in &mut block.items {
            if let ImplItem::Function(function) = item
                && function.sig.ident == "validate"
            {
                function.allow_its_shape();
            }
        }
        if let Some(span) = options.validate.0 {
            diagnostics.error_at(span, &crate::diagnostics::texts::validate_on_impl());
        }
        Some(Self { runtime: runtime(options.runtime), block })
    }
}
