//! A command as it is declared.

use proc_macro2::{Ident, Span, TokenStream};
use syn::ext::IdentExt as _;
use syn::{ItemStruct, LitStr, Path, Type};

use crate::diagnostics::{Diagnostics, texts};
use crate::syntax::options::{self, CommandOptions};
use crate::syntax::{attributes, item};
use crate::word::Word;

use super::{Field, runtime};

/// `#[command(aggregate = …)] struct …`.
#[derive(Debug)]
pub(crate) struct Command {
    pub(crate) runtime: Path,
    pub(crate) item: ItemStruct,
    pub(crate) ident: Ident,
    pub(crate) aggregate: Option<Type>,
    pub(crate) name: String,
    pub(crate) given_name: Option<LitStr>,
    pub(crate) validate: Option<Span>,
    pub(crate) fields: Vec<Field>,
    /// The fields marked `#[id]`.
    pub(crate) ids: Vec<Field>,
    pub(crate) derived: Vec<String>,
}

impl Command {
    pub(crate) fn read(options: TokenStream, tokens: &TokenStream, diagnostics: &mut Diagnostics) -> Option<Self> {
        let options: CommandOptions = options::read(Word::Command, options, diagnostics);
        let broken = diagnostics.has_errors();
        let mut item = item::structure(Word::Command, tokens, diagnostics)?;
        if options.aggregate.is_none() && !broken {
            diagnostics.error(&item.ident, texts::command_needs_an_aggregate());
        }
        let ids = take_ids(&mut item, diagnostics);
        let ident = item.ident.clone();
        Some(Self {
            runtime: runtime(options.runtime),
            name: options.name.as_ref().map_or_else(|| ident.unraw().to_string(), |name| name.0.value()),
            given_name: options.name.map(|name| name.0),
            validate: options.validate.0,
            aggregate: options.aggregate.map(|path| path.0),
            fields: Field::all(&item.fields),
            derived: attributes::derived(&item.attrs),
            ids,
            ident,
            item,
        })
    }
}

fn take_ids(item: &mut ItemStruct, diagnostics: &mut Diagnostics) -> Vec<Field> {
    let mut ids = Vec::new();
    for field in &mut item.fields {
        let taken = attributes::take(&mut field.attrs, "id");
        for attribute in &taken {
            if !matches!(attribute.meta, syn::Meta::Path(_)) {
                diagnostics.error(attribute, texts::id_takes_nothing());
            }
        }
        if let Some(again) = taken.get(1) {
            diagnostics.error(again, texts::two_ids());
        }
        if !taken.is_empty() {
            ids.push(Field::of(field));
        }
    }
    ids
}
