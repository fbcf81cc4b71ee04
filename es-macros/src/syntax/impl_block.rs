//! Inherent impl blocks, whose functions have raw bodies.

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use quote::{ToTokens, TokenStreamExt, quote};
use syn::parse::{Parse, ParseStream};
use syn::{Attribute, Generics, Path, Token, Type};

use super::function::Function;

/// `impl Type { … }`.
#[derive(Clone, Debug)]
pub(crate) struct ImplBlock {
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) generics: Generics,
    pub(crate) trait_: Option<Path>,
    pub(crate) self_ty: Type,
    pub(crate) items: Vec<ImplItem>,
    header: TokenStream,
    span: proc_macro2::Span,
}

/// One item of an impl block.
#[derive(Clone, Debug)]
pub(crate) enum ImplItem {
    Function(Box<Function>),
    /// Anything else, and functions that do not parse: rustc says what is wrong with them.
    Raw(TokenStream),
}

impl Parse for ImplBlock {
    fn parse(input: ParseStream) -> syn::Result<Self> {
        let attrs = input.call(Attribute::parse_outer)?;
        let start = input.fork();
        let _unsafe: Option<Token![unsafe]> = input.parse()?;
        input.parse::<Token![impl]>()?;
        let mut generics: Generics = if input.peek(Token![<]) { input.parse()? } else { Generics::default() };
        let mut self_ty: Type = input.parse()?;
        let mut trait_ = None;
        if input.peek(Token![for]) {
            input.parse::<Token![for]>()?;
            trait_ = syn::parse2(self_ty.to_token_stream()).ok();
            self_ty = input.parse()?;
        }
        generics.where_clause = input.parse()?;
        let header = tokens_between(&start, input);
        let content;
        let brace = syn::braced!(content in input);
        let mut items = Vec::new();
        while !content.is_empty() {
            items.push(content.parse()?);
        }
        Ok(Self { attrs, generics, trait_, self_ty, items, header, span: brace.span.join() })
    }
}

/// The tokens from `start` up to where `end` stands.
fn tokens_between(start: ParseStream, end: ParseStream) -> TokenStream {
    let mut tokens = TokenStream::new();
    let mut cursor = start.cursor();
    while cursor < end.cursor() {
        match cursor.token_tree() {
            Some((token, rest)) => {
                tokens.append(token);
                cursor = rest;
            }
            None => break,
        }
    }
    tokens
}

impl Parse for ImplItem {
    fn parse(input: ParseStream) -> syn::Result<Self> {
        let ahead = input.fork();
        if ahead.parse::<Function>().is_ok() {
            return input.parse().map(|function| Self::Function(Box::new(function)));
        }
        let mut tokens = TokenStream::new();
        while !input.is_empty() {
            let token: TokenTree = input.parse()?;
            let ends = match &token {
                TokenTree::Punct(punct) => punct.as_char() == ';',
                TokenTree::Group(group) => group.delimiter() == Delimiter::Brace && !input.peek(Token![;]),
                _ => false,
            };
            tokens.append(token);
            if ends {
                break;
            }
        }
        Ok(Self::Raw(tokens))
    }
}

impl ToTokens for ImplBlock {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        let items = self.items.iter().map(|item| match item {
            ImplItem::Function(function) => function.to_token_stream(),
            ImplItem::Raw(raw) => raw.clone(),
        });
        let mut body = proc_macro2::Group::new(Delimiter::Brace, quote!(#(#items)*));
        body.set_span(self.span);
        tokens.append_all(&self.attrs);
        self.header.to_tokens(tokens);
        body.to_tokens(tokens);
    }
}
