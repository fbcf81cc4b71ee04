//! An event as it is declared.

use proc_macro2::{Ident, Span, TokenStream};
use syn::ext::IdentExt as _;
use syn::{ItemStruct, LitStr, Path, Type};

use crate::diagnostics::Diagnostics;
use crate::syntax::options::{self, EventOptions};
use crate::syntax::{attributes, item};
use crate::word::Word;

use super::{Field, runtime};

/// `#[domain_event] struct …`.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) runtime: Path,
    /// The struct without our attributes.
    pub(crate) item: ItemStruct,
    pub(crate) ident: Ident,
    pub(crate) name: String,
    /// The literal of `name = "…"`.
    pub(crate) given_name: Option<LitStr>,
    pub(crate) version: u64,
    pub(crate) version_span: Option<Span>,
    pub(crate) upcast: Option<Type>,
    pub(crate) fields: Vec<Field>,
    pub(crate) claims: Vec<Claim>,
    /// Fields whose loss of precision the user accepts: those with `#[lossy = "why"]`.
    pub(crate) lossy: Vec<Ident>,
    pub(crate) derived: Vec<String>,
}

/// `#[claim("set")]` or `#[release("set")]` on a field.
#[derive(Debug)]
pub(crate) struct Claim {
    pub(crate) field: Ident,
    pub(crate) cfgs: Vec<syn::Attribute>,
    pub(crate) set: LitStr,
    pub(crate) release: bool,
}

impl Event {
    pub(crate) fn read(options: TokenStream, tokens: &TokenStream, diagnostics: &mut Diagnostics) -> Option<Self> {
        let options: EventOptions = options::read(Word::DomainEvent, options, diagnostics);
        let mut item = item::structure(Word::DomainEvent, tokens, diagnostics)?;
        let fields = Field::all(&item.fields);
        let (claims, lossy) = take_field_attributes(&mut item, diagnostics);
        let ident = item.ident.clone();
        Some(Self {
            runtime: runtime(options.runtime),
            name: options.name.as_ref().map_or_else(|| ident.unraw().to_string(), |name| name.0.value()),
            given_name: options.name.map(|name| name.0),
            version: options.version.as_ref().map_or(1, |version| version.value),
            version_span: options.version.map(|version| version.span),
            upcast: options.upcast.map(|path| path.0),
            derived: attributes::derived(&item.attrs),
            ident,
            item,
            fields,
            claims,
            lossy,
        })
    }
}

fn take_field_attributes(item: &mut ItemStruct, diagnostics: &mut Diagnostics) -> (Vec<Claim>, Vec<Ident>) {
    let mut claims = Vec::new();
    let mut lossy = Vec::new();
    for field in &mut item.fields {
        for (name, release) in [("claim", false), ("release", true)] {
            for attribute in attributes::take(&mut field.attrs, name) {
                match attribute.parse_args::<LitStr>() {
                    Ok(set) => claims.extend(field.ident.clone().map(|ident| Claim {
                        field: ident,
                        cfgs: attributes::cfgs(&field.attrs),
                        set,
                        release,
                    })),
                    Err(_) => diagnostics.error(&attribute, crate::diagnostics::texts::claim_form(name)),
                }
            }
        }
        for attribute in attributes::take(&mut field.attrs, "lossy") {
            match crate::check::fields::reason(&attribute) {
                Some(_) => lossy.extend(field.ident.clone()),
                None => diagnostics.error(&attribute, crate::diagnostics::texts::lossy_form()),
            }
        }
    }
    (claims, lossy)
}
