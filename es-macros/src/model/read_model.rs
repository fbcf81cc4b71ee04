//! A read model as it is declared.

use proc_macro2::{Ident, Span, TokenStream};
use syn::{Attribute, ItemStruct, LitStr, Path};

use crate::diagnostics::{Diagnostics, texts};
use crate::syntax::options;
use crate::syntax::read_side::ReadModelOptions;
use crate::syntax::{attributes, item};
use crate::word::Word;

use super::{Field, runtime};

/// `#[read_model(table = "…")] struct …`.
#[derive(Debug)]
pub(crate) struct ReadModel {
    pub(crate) runtime: Path,
    /// The struct without our attributes.
    pub(crate) item: ItemStruct,
    pub(crate) ident: Ident,
    pub(crate) table: Option<LitStr>,
    pub(crate) columns: Vec<ColumnField>,
    pub(crate) derived: Vec<String>,
}

/// One field and what is said about its column.
#[derive(Debug)]
pub(crate) struct ColumnField {
    pub(crate) field: Field,
    pub(crate) key: Option<Span>,
    pub(crate) index: Option<Span>,
    pub(crate) json: Option<Span>,
}

impl ReadModel {
    pub(crate) fn read(options: TokenStream, tokens: &TokenStream, diagnostics: &mut Diagnostics) -> Option<Self> {
        let options: ReadModelOptions = options::read(Word::ReadModel, options, diagnostics);
        let broken = diagnostics.has_errors();
        let mut item = item::structure(Word::ReadModel, tokens, diagnostics)?;
        if options.table.is_none() && !broken {
            diagnostics.error(&item.ident, texts::read_model_needs_a_table());
        }
        let columns = item.fields.iter_mut().map(|field| column(field, diagnostics)).collect();
        Some(Self {
            runtime: runtime(options.runtime),
            ident: item.ident.clone(),
            table: options.table.map(|table| table.0),
            columns,
            derived: attributes::derived(&item.attrs),
            item,
        })
    }

    /// The fields marked `#[key]`.
    pub(crate) fn keys(&self) -> Vec<&ColumnField> {
        self.columns.iter().filter(|column| column.key.is_some()).collect()
    }
}

fn column(field: &mut syn::Field, diagnostics: &mut Diagnostics) -> ColumnField {
    let mut mark = |name: &str| {
        let taken = attributes::take(&mut field.attrs, name);
        for attribute in &taken {
            if !matches!(attribute.meta, syn::Meta::Path(_)) {
                diagnostics.error(attribute, texts::mark_takes_nothing(name));
            }
        }
        if let Some(again) = taken.get(1) {
            diagnostics.error(again, texts::attribute_twice());
        }
        taken.first().map(place)
    };
    let (key, index, json) = (mark("key"), mark("index"), mark("json"));
    ColumnField { field: Field::of(field), key, index, json }
}

fn place(attribute: &Attribute) -> Span {
    attribute.path().segments.last().map_or_else(Span::call_site, |segment| segment.ident.span())
}
