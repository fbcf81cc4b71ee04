//! An aggregate's struct as it is declared.

use proc_macro2::{Ident, Span, TokenStream};
use quote::format_ident;
use syn::ext::IdentExt as _;
use syn::{ItemStruct, LitStr, Path, Type};

use crate::diagnostics::{Diagnostics, texts};
use crate::syntax::options::{self, AggregateOptions, Nested, SnapshotOptions};
use crate::syntax::{attributes, item};
use crate::word::Word;

use super::{Field, Listed, runtime};

/// `#[aggregate(name = "…", id = …, events(..))] struct …`.
#[derive(Debug)]
pub(crate) struct Aggregate {
    pub(crate) runtime: Path,
    pub(crate) item: ItemStruct,
    pub(crate) ident: Ident,
    /// The generated enum.
    pub(crate) event: Ident,
    pub(crate) name: Option<LitStr>,
    pub(crate) id: Option<Type>,
    pub(crate) events: Vec<Listed>,
    pub(crate) events_span: Span,
    pub(crate) snapshot: Option<Snapshot>,
    pub(crate) fields: Vec<Field>,
    pub(crate) derived: Vec<String>,
}

/// `snapshot(every = N, version = M)`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Snapshot {
    pub(crate) every: u64,
    pub(crate) version: Option<u64>,
    pub(crate) span: Span,
}

impl Aggregate {
    pub(crate) fn read(options: TokenStream, tokens: &TokenStream, diagnostics: &mut Diagnostics) -> Option<Self> {
        let options: AggregateOptions = options::read(Word::Aggregate, options, diagnostics);
        let broken = diagnostics.has_errors();
        let item = item::structure(Word::Aggregate, tokens, diagnostics)?;
        if !broken {
            report_missing(&item.ident, &options, diagnostics);
        }
        let events_span = options.events.as_ref().map_or_else(Span::call_site, |events| events.keyword);
        let events = options.events.map(|events| Listed::all(&events.entries)).unwrap_or_default();
        Some(Self {
            runtime: runtime(options.runtime),
            ident: item.ident.clone(),
            event: format_ident!("{}Event", item.ident.unraw(), span = item.ident.span()),
            name: options.name.map(|name| name.0),
            id: options.id.map(|path| path.0),
            events,
            events_span,
            snapshot: options.snapshot.and_then(|nested| snapshot(&nested, diagnostics)),
            fields: Field::all(&item.fields),
            derived: attributes::derived(&item.attrs),
            item,
        })
    }
}

fn report_missing(ident: &Ident, options: &AggregateOptions, diagnostics: &mut Diagnostics) {
    let missing: Vec<&str> =
        [("name", options.name.is_none()), ("id", options.id.is_none()), ("events", options.events.is_none())]
            .into_iter()
            .filter_map(|(name, is_missing)| is_missing.then_some(name))
            .collect();
    if !missing.is_empty() {
        diagnostics.error(ident, texts::aggregate_needs(&missing));
    }
}

fn snapshot(nested: &Nested, diagnostics: &mut Diagnostics) -> Option<Snapshot> {
    let options: SnapshotOptions = options::read(Word::Snapshot, nested.tokens.clone(), diagnostics);
    let Some(every) = options.every else {
        if !diagnostics.has_errors() {
            diagnostics.error_at(nested.keyword, &texts::snapshot_needs_options());
        }
        return None;
    };
    if every.value == 0 {
        diagnostics.error_at(every.span, &texts::snapshot_every_zero());
    }
    if let Some(version) = options.version.as_ref().filter(|version| u32::try_from(version.value).is_err()) {
        diagnostics.error_at(version.span, &texts::too_large("version"));
    }
    let version = options.version.map(|version| version.value);
    Some(Snapshot { every: every.value, version, span: nested.keyword })
}
