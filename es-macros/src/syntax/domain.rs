//! The sections of `domain!`.

use darling::FromMeta as _;
use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::parse::{ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::{Attribute, Ident, LitStr, Token, Visibility};

use crate::diagnostics::{Diagnostics, texts};

use super::options::{CratePath, Entry};

/// The sections this release knows.
pub(crate) const SECTIONS: [&str; 5] = ["aggregates", "commands", "queries", "projections", "domains"];

/// `domain! { /// docs  pub Bank = "bank"; … }` as it is written.
#[derive(Debug)]
pub(crate) struct DomainInput {
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) vis: Visibility,
    pub(crate) ident: Ident,
    pub(crate) name: Option<LitStr>,
    pub(crate) runtime: Option<CratePath>,
    pub(crate) sections: Vec<Section>,
}

/// One section: its name and its entries.
#[derive(Debug)]
pub(crate) struct Section {
    pub(crate) name: Ident,
    pub(crate) entries: Vec<Entry>,
}

/// Parses the input as far as it goes; what is wrong is reported.
pub(crate) fn parse(input: TokenStream, diagnostics: &mut Diagnostics) -> Option<DomainInput> {
    let parser = |input: ParseStream| {
        let parsed = head(input, diagnostics)?;
        Ok(sections(parsed, input, diagnostics))
    };
    match parser.parse2(input) {
        Ok(domain) => Some(domain),
        Err(error) => {
            diagnostics.push(error);
            None
        }
    }
}

fn head(input: ParseStream, diagnostics: &mut Diagnostics) -> syn::Result<DomainInput> {
    let attrs = input.call(Attribute::parse_outer)?;
    let vis = input.parse()?;
    let ident: Ident =
        input.parse().map_err(|error| syn::Error::new(error.span(), texts::domain_needs_a_name_and_a_text()))?;
    let mut name = None;
    if input.peek(Token![=]) {
        input.parse::<Token![=]>()?;
        match input.parse() {
            Ok(text) => name = Some(text),
            Err(error) => {
                diagnostics.error_at(error.span(), &texts::domain_needs_a_text(&ident));
                skip_to_semicolon(input)?;
            }
        }
    } else {
        diagnostics.error(&ident, texts::domain_needs_a_text(&ident));
    }
    if !input.is_empty() && input.parse::<Token![;]>().is_err() {
        diagnostics.error_at(input.span(), &texts::semicolon_missing());
        skip_to_semicolon(input)?;
        let _: Option<Token![;]> = input.parse()?;
    }
    Ok(DomainInput { attrs, vis, ident, name, runtime: None, sections: Vec::new() })
}

fn sections(mut domain: DomainInput, input: ParseStream, diagnostics: &mut Diagnostics) -> DomainInput {
    while !input.is_empty() {
        let read = if input.peek(Token![crate]) {
            runtime(input).map(|path| {
                domain.runtime = Some(path);
                None
            })
        } else {
            section(input).map(Some)
        };
        match read {
            Ok(None) => {}
            Ok(Some(section)) => add(&mut domain, section, diagnostics),
            Err(error) => {
                diagnostics.push(error);
                if skip_to_semicolon(input).is_err() {
                    break;
                }
            }
        }
        if !input.is_empty() && input.parse::<Token![;]>().is_err() {
            diagnostics.error_at(input.span(), &texts::semicolon_missing());
            if input.peek(Token![,]) {
                let _ = input.parse::<Token![,]>();
            }
        }
    }
    domain
}

fn section(input: ParseStream) -> syn::Result<Section> {
    let name: Ident = input.parse().map_err(|error| syn::Error::new(error.span(), texts::section_expected()))?;
    input.parse::<Token![:]>().map_err(|error| syn::Error::new(error.span(), texts::section_form(&name)))?;
    if !input.peek(syn::token::Bracket) {
        return Err(syn::Error::new(input.span(), texts::section_form(&name)));
    }
    let content;
    syn::bracketed!(content in input);
    let entries = Punctuated::<Entry, Token![,]>::parse_terminated(&content)
        .map_err(|error| syn::Error::new(error.span(), texts::not_a_list_entry()))?;
    Ok(Section { name, entries: entries.into_iter().collect() })
}

/// `crate = ::path`, as in the attributes.
fn runtime(input: ParseStream) -> syn::Result<CratePath> {
    let meta: syn::MetaNameValue = input.parse()?;
    CratePath::from_meta(&meta.into()).map_err(Into::into)
}

fn add(domain: &mut DomainInput, section: Section, diagnostics: &mut Diagnostics) {
    let name = section.name.to_string();
    if !SECTIONS.contains(&name.as_str()) {
        diagnostics.error(&section.name, texts::unknown_section(&name));
    } else if domain.sections.iter().any(|known| known.name == section.name) {
        diagnostics.error(&section.name, texts::section_twice(&name));
    } else {
        domain.sections.push(section);
    }
}

fn skip_to_semicolon(input: ParseStream) -> syn::Result<()> {
    while !input.is_empty() && !input.peek(Token![;]) {
        input.parse::<proc_macro2::TokenTree>()?;
    }
    Ok(())
}

impl DomainInput {
    /// The entries of a section.
    pub(crate) fn entries(&self, section: &str) -> &[Entry] {
        self.sections.iter().find(|known| known.name == section).map_or(&[], |known| &known.entries)
    }

    /// The text as a token, for errors.
    pub(crate) fn name_token(&self) -> TokenStream {
        self.name.as_ref().map_or_else(|| self.ident.to_token_stream(), ToTokens::to_token_stream)
    }
}
