//! Items: finds out what an attribute stands on.

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::{Item, ItemStruct};

use crate::diagnostics::{Diagnostics, texts};
use crate::word::Word;

use super::function::Function;
use super::impl_block::ImplBlock;

/// Parses a struct, or says what stands there instead.
pub(crate) fn structure(word: Word, item: &TokenStream, diagnostics: &mut Diagnostics) -> Option<ItemStruct> {
    match syn::parse2(item.clone()) {
        Ok(item) => Some(item),
        Err(error) => {
            wrong_kind(word, item, error, diagnostics);
            None
        }
    }
}

/// Parses a function with a raw body, or says what stands there instead.
pub(crate) fn function(word: Word, item: &TokenStream, diagnostics: &mut Diagnostics) -> Option<Function> {
    match syn::parse2(item.clone()) {
        Ok(item) => Some(item),
        Err(error) => {
            wrong_kind(word, item, error, diagnostics);
            None
        }
    }
}

/// Parses an inherent impl block, or says what stands there instead.
pub(crate) fn inherent_impl(word: Word, item: &TokenStream, diagnostics: &mut Diagnostics) -> Option<ImplBlock> {
    match syn::parse2::<ImplBlock>(item.clone()) {
        Ok(block) => {
            if let Some(path) = &block.trait_ {
                diagnostics.error(path, texts::not_a_trait_impl(word));
                return None;
            }
            Some(block)
        }
        Err(error) => {
            wrong_kind(word, item, error, diagnostics);
            None
        }
    }
}

/// Tells whether an item is an impl block, by its first words.
pub(crate) fn is_impl(item: &TokenStream) -> bool {
    let parser = |input: syn::parse::ParseStream| {
        input.call(syn::Attribute::parse_outer)?;
        let _unsafe: Option<syn::Token![unsafe]> = input.parse()?;
        let found = input.peek(syn::Token![impl]);
        input.step(|cursor| Ok(((), skip_all(*cursor))))?;
        Ok(found)
    };
    syn::parse::Parser::parse2(parser, item.clone()).unwrap_or(false)
}

fn skip_all(mut cursor: syn::buffer::Cursor<'_>) -> syn::buffer::Cursor<'_> {
    while let Some((_, rest)) = cursor.token_tree() {
        cursor = rest;
    }
    cursor
}

fn wrong_kind(word: Word, item: &TokenStream, error: syn::Error, diagnostics: &mut Diagnostics) {
    match syn::parse2::<Item>(item.clone()) {
        Ok(item) => {
            let (kind, at) = kind_of(&item);
            diagnostics.error(at, texts::wrong_item(word, kind));
        }
        Err(_) => diagnostics.push(error),
    }
}

/// What an item is called, and the token that says so.
fn kind_of(item: &Item) -> (&'static str, TokenStream) {
    match item {
        Item::Enum(item) => ("an enum", item.enum_token.to_token_stream()),
        Item::Union(item) => ("a union", item.union_token.to_token_stream()),
        Item::Struct(item) => ("a struct", item.struct_token.to_token_stream()),
        Item::Fn(item) => ("a function", item.sig.fn_token.to_token_stream()),
        Item::Impl(item) => ("an impl block", item.impl_token.to_token_stream()),
        Item::Trait(item) => ("a trait", item.trait_token.to_token_stream()),
        Item::Mod(item) => ("a module", item.mod_token.to_token_stream()),
        Item::Type(item) => ("a type alias", item.type_token.to_token_stream()),
        Item::Const(item) => ("a constant", item.const_token.to_token_stream()),
        Item::Static(item) => ("a static", item.static_token.to_token_stream()),
        other => ("something else", other.to_token_stream()),
    }
}
