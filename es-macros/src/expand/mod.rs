//! What is emitted: one file a word. Decisions are made before `quote!`; inside it there is only rendering.

pub(crate) mod aggregate;
pub(crate) mod apply;
pub(crate) mod behaviour;
pub(crate) mod command;
pub(crate) mod domain;
pub(crate) mod event;
pub(crate) mod handler;
pub(crate) mod projection;
pub(crate) mod query;
pub(crate) mod read_model;
pub(crate) mod shape;
pub(crate) mod upcaster;
pub(crate) mod value;

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::Path;

use crate::syntax::types;

/// Wraps impls into a nameless constant, in which `__es` is what generated code may call.
fn block(runtime: &Path, content: &TokenStream) -> TokenStream {
    quote! {
        #[doc(hidden)]
        #[allow(unused_qualifications, clippy::absolute_paths)]
        const _: () = {
            use #runtime::__private as __es;
            #[allow(unused_imports)]
            use __es::Fallback as _;
            #content
        };
    }
}

/// Derives what the user does not derive, with serde found through the runtime.
fn derives(runtime: &Path, wanted: &[&str], derived: &[String]) -> (TokenStream, TokenStream) {
    let missing = wanted.iter().filter(|name| !derived.iter().any(|known| known == *name));
    let mut serde = false;
    let paths: Vec<TokenStream> = missing
        .map(|name| {
            let ident = quote::format_ident!("{name}");
            match *name {
                "Debug" => quote!(::core::fmt::Debug),
                "Clone" => quote!(::core::clone::Clone),
                "Hash" => quote!(::core::hash::Hash),
                "PartialEq" | "Eq" => quote!(::core::cmp::#ident),
                _ => {
                    serde = true;
                    quote!(#runtime::__private::serde::#ident)
                }
            }
        })
        .collect();
    let derive = if paths.is_empty() { TokenStream::new() } else { quote!(#[derive(#(#paths),*)]) };
    let path = format!("{}::__private::serde", types::text(runtime));
    let serde = if serde { quote!(#[serde(crate = #path)]) } else { TokenStream::new() };
    (derive, serde)
}

/// The place of the first token.
fn first_span(tokens: &impl ToTokens) -> proc_macro2::Span {
    tokens.to_token_stream().into_iter().next().map_or_else(proc_macro2::Span::call_site, |token| token.span())
}

/// Moves tokens to another place, so that errors about them are told there, and once. `$crate` keeps its own: it says which
/// crate is meant.
fn moved(tokens: &impl ToTokens, place: proc_macro2::Span) -> TokenStream {
    let moved = tokens.to_token_stream().into_iter().map(|token| match token {
        proc_macro2::TokenTree::Group(group) => {
            let mut inside = proc_macro2::Group::new(group.delimiter(), moved(&group.stream(), place));
            inside.set_span(place);
            proc_macro2::TokenTree::Group(inside)
        }
        proc_macro2::TokenTree::Ident(ident) if ident == "$crate" => ident.into(),
        mut other => {
            other.set_span(place);
            other
        }
    });
    moved.collect()
}
