//! Reads an attribute's arguments: darling fills the structs, the walk around it gives errors in the compiler's words.

use darling::FromMeta;
use darling::ast::NestedMeta;
use proc_macro2::{Span, TokenStream, TokenTree};
use quote::ToTokens;
use syn::parse::{Parse, ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::{Expr, Lit, LitStr, Meta, MetaNameValue, Token};

use crate::diagnostics::{Diagnostics, Text, texts};
use crate::word::Word;

/// Reads the options of `word`. What is wrong is reported and left out.
pub(crate) fn read<T: FromMeta + Default>(word: Word, tokens: TokenStream, diagnostics: &mut Diagnostics) -> T {
    let mut good: Vec<NestedMeta> = Vec::new();
    let mut seen: Vec<String> = Vec::new();
    for piece in split_at_commas(tokens) {
        let Some(meta) = parse_piece(word, piece, diagnostics) else { continue };
        let name = name_of(&meta);
        if !word.options().contains(&name.as_str()) {
            diagnostics.error(meta.path(), texts::unknown_option(word, &name));
        } else if seen.contains(&name) {
            diagnostics.error(meta.path(), texts::option_twice(&name));
        } else {
            seen.push(name);
            let meta = NestedMeta::Meta(meta);
            match T::from_list(std::slice::from_ref(&meta)) {
                Ok(_) => good.push(meta),
                Err(error) => error.flatten().into_iter().for_each(|error| diagnostics.push(error.into())),
            }
        }
    }
    T::from_list(&good).unwrap_or_default()
}

/// Reads the arguments of an attribute inside an item, such as `#[command_handler(retries = 3)]`.
pub(crate) fn read_attribute<T: FromMeta + Default>(
    word: Word,
    attribute: &syn::Attribute,
    diagnostics: &mut Diagnostics,
) -> T {
    match &attribute.meta {
        Meta::Path(_) => T::default(),
        Meta::List(list) => read(word, list.tokens.clone(), diagnostics),
        Meta::NameValue(value) => {
            diagnostics.error(value, texts::options_in_parentheses(word));
            T::default()
        }
    }
}

pub(super) fn name_of(meta: &Meta) -> String {
    meta.path().to_token_stream().to_string().replace(' ', "")
}

fn parse_piece(word: Word, piece: TokenStream, diagnostics: &mut Diagnostics) -> Option<Meta> {
    let parsed = parse_meta.parse2(piece.clone());
    if parsed.is_err() {
        diagnostics.error(piece, texts::not_an_option(word));
    }
    parsed.ok()
}

/// As syn's parser of `Meta`, but a value may also be a type, such as `TypedId<Account>`.
fn parse_meta(input: ParseStream) -> syn::Result<Meta> {
    let ahead = input.fork();
    if Meta::parse(&ahead).is_ok() && ahead.is_empty() {
        return Meta::parse(input);
    }
    let path = input.call(syn::Path::parse_mod_style)?;
    let eq_token: Token![=] = input.parse()?;
    let value: TokenStream = input.parse()?;
    if value.is_empty() {
        return Err(input.error("expected a value"));
    }
    Ok(Meta::NameValue(MetaNameValue { path, eq_token, value: Expr::Verbatim(value) }))
}

/// Splits at commas outside of brackets of any kind, `<…>` included.
fn split_at_commas(tokens: TokenStream) -> Vec<TokenStream> {
    let mut pieces = vec![TokenStream::new()];
    let mut depth = 0_i32;
    let mut before = ' ';
    for token in tokens {
        let previous = std::mem::replace(&mut before, ' ');
        if let TokenTree::Punct(punct) = &token {
            before = punct.as_char();
            match punct.as_char() {
                '<' => depth += 1,
                // An arrow closes nothing.
                '>' if !matches!(previous, '-' | '=') => depth -= 1,
                ',' if depth <= 0 => {
                    pieces.push(TokenStream::new());
                    continue;
                }
                _ => {}
            }
        }
        if let Some(piece) = pieces.last_mut() {
            piece.extend([token]);
        }
    }
    pieces.retain(|piece| !piece.is_empty());
    pieces
}

pub(super) fn refuse<T>(at: &impl ToTokens, text: &Text) -> darling::Result<T> {
    Err(darling::Error::custom(text).with_span(at))
}

/// A flag: an option without a value.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Flag(pub(crate) Option<Span>);

impl FromMeta for Flag {
    fn from_meta(item: &Meta) -> darling::Result<Self> {
        match item {
            Meta::Path(path) => Ok(Self(path.segments.last().map(|segment| segment.ident.span()))),
            other => refuse(other, &texts::no_value(&name_of(other))),
        }
    }
    fn from_none() -> Option<Self> {
        Some(Self(None))
    }
}

/// Gives the value of `name = value`, or says what should stand there.
pub(super) fn value_of<'a>(item: &'a Meta, expected: &str, example: &str) -> darling::Result<&'a Expr> {
    match item {
        Meta::NameValue(pair) => Ok(&pair.value),
        other => refuse(other, &texts::value_missing(&name_of(other), expected, example)),
    }
}

/// A text in quotes.
#[derive(Clone, Debug)]
pub(crate) struct Quoted(pub(crate) LitStr);

impl FromMeta for Quoted {
    fn from_meta(item: &Meta) -> darling::Result<Self> {
        match value_of(item, "a text in quotes", "\"…\"")? {
            Expr::Lit(syn::ExprLit { lit: Lit::Str(text), .. }) => Ok(Self(text.clone())),
            other => refuse(other, &texts::wrong_value(&name_of(item), "a text in quotes", "\"…\"")),
        }
    }
}

/// A whole number.
#[derive(Clone, Debug)]
pub(crate) struct Whole {
    pub(crate) value: u64,
    pub(crate) span: Span,
}

impl FromMeta for Whole {
    fn from_meta(item: &Meta) -> darling::Result<Self> {
        let value = value_of(item, "a whole number", "1")?;
        let wrong = || refuse(value, &texts::wrong_value(&name_of(item), "a whole number", "1"));
        match value {
            Expr::Lit(syn::ExprLit { lit: Lit::Int(number), .. }) => match number.base10_parse() {
                Ok(value) => Ok(Self { value, span: number.span() }),
                Err(_) => wrong(),
            },
            _ => wrong(),
        }
    }
}

/// The path of a type.
#[derive(Clone, Debug)]
pub(crate) struct TypePath(pub(crate) syn::Type);

impl FromMeta for TypePath {
    fn from_meta(item: &Meta) -> darling::Result<Self> {
        let value = value_of(item, "a type", "Account")?;
        let wrong = || refuse(value, &texts::wrong_value(&name_of(item), "a type", "Account"));
        match syn::parse2(value.to_token_stream()) {
            Ok(path) if !matches!(value, Expr::Lit(_)) => Ok(Self(path)),
            _ => wrong(),
        }
    }
}

/// The path under which the caller knows `es-runtime`.
#[derive(Clone, Debug)]
pub(crate) struct CratePath(pub(crate) syn::Path);

impl FromMeta for CratePath {
    fn from_meta(item: &Meta) -> darling::Result<Self> {
        let value = value_of(item, "a path", "::es_runtime")?;
        let Ok(path) = syn::parse2::<syn::Path>(value.to_token_stream()) else {
            return refuse(value, &texts::wrong_value("crate", "a path", "::es_runtime"));
        };
        let absolute = path.leading_colon.is_some()
            || path.segments.first().is_some_and(|first| first.ident == "crate" || first.ident == "$crate");
        if absolute { Ok(Self(path)) } else { refuse(&path, &texts::relative_crate(&path)) }
    }
}

/// One entry of a list of types: `path`, or `path as Name`.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) attrs: Vec<syn::Attribute>,
    pub(crate) path: syn::Path,
    pub(crate) rename: Option<syn::Ident>,
}

impl Parse for Entry {
    fn parse(input: ParseStream) -> syn::Result<Self> {
        let attrs = input.call(syn::Attribute::parse_outer)?;
        let path = input.parse()?;
        let rename = if input.peek(Token![as]) {
            input.parse::<Token![as]>()?;
            Some(input.parse()?)
        } else {
            None
        };
        Ok(Self { attrs, path, rename })
    }
}

/// A list of types in parentheses.
#[derive(Clone, Debug)]
pub(crate) struct Entries {
    pub(crate) keyword: Span,
    pub(crate) entries: Vec<Entry>,
}

impl FromMeta for Entries {
    fn from_meta(item: &Meta) -> darling::Result<Self> {
        let keyword = item.path().segments.first().map_or_else(Span::call_site, |segment| segment.ident.span());
        match item {
            Meta::List(list) => match Punctuated::<Entry, Token![,]>::parse_terminated.parse2(list.tokens.clone()) {
                Ok(entries) => Ok(Self { keyword, entries: entries.into_iter().collect() }),
                Err(error) => Err(darling::Error::custom(texts::not_a_list_entry()).with_span(&error.span())),
            },
            other => refuse(other, &texts::list_missing(&name_of(other))),
        }
    }
}

/// The options in the parentheses of one option.
#[derive(Clone, Debug)]
pub(crate) struct Nested {
    pub(crate) keyword: Span,
    pub(crate) tokens: TokenStream,
}

impl FromMeta for Nested {
    fn from_meta(item: &Meta) -> darling::Result<Self> {
        let keyword = item.path().segments.first().map_or_else(Span::call_site, |segment| segment.ident.span());
        match item {
            Meta::List(list) => Ok(Self { keyword, tokens: list.tokens.clone() }),
            other => refuse(other, &texts::snapshot_needs_options()),
        }
    }
}

/// Options of `#[domain_event]`.
#[derive(Debug, Default, FromMeta)]
pub(crate) struct EventOptions {
    pub(crate) name: Option<Quoted>,
    pub(crate) version: Option<Whole>,
    pub(crate) upcast: Option<TypePath>,
    #[darling(rename = "crate")]
    pub(crate) runtime: Option<CratePath>,
}

/// Options of `#[upcast]`.
#[derive(Debug, Default, FromMeta)]
pub(crate) struct UpcastOptions {
    pub(crate) event: Option<TypePath>,
    pub(crate) from: Option<Whole>,
    #[darling(rename = "crate")]
    pub(crate) runtime: Option<CratePath>,
}

/// Options of `#[value_object]`.
#[derive(Debug, Default, FromMeta)]
pub(crate) struct ValueOptions {
    pub(crate) validate: Flag,
    #[darling(rename = "crate")]
    pub(crate) runtime: Option<CratePath>,
}

/// Options of `#[command]`.
#[derive(Debug, Default, FromMeta)]
pub(crate) struct CommandOptions {
    pub(crate) aggregate: Option<TypePath>,
    pub(crate) name: Option<Quoted>,
    pub(crate) validate: Flag,
    #[darling(rename = "crate")]
    pub(crate) runtime: Option<CratePath>,
}

/// Options of `#[aggregate]` on a struct.
#[derive(Debug, Default, FromMeta)]
pub(crate) struct AggregateOptions {
    pub(crate) name: Option<Quoted>,
    pub(crate) id: Option<TypePath>,
    pub(crate) events: Option<Entries>,
    pub(crate) snapshot: Option<Nested>,
    #[darling(rename = "crate")]
    pub(crate) runtime: Option<CratePath>,
}

/// Options of `snapshot(..)`.
#[derive(Debug, Default, FromMeta)]
pub(crate) struct SnapshotOptions {
    pub(crate) every: Option<Whole>,
    pub(crate) version: Option<Whole>,
}

/// Options of `#[aggregate]` on an impl block.
#[derive(Debug, Default, FromMeta)]
pub(crate) struct ImplOptions {
    #[darling(rename = "crate")]
    pub(crate) runtime: Option<CratePath>,
}

/// Options of `#[apply]`: none.
#[derive(Debug, Default, FromMeta)]
pub(crate) struct ApplyOptions {}

/// Options of `#[command_handler]`.
#[derive(Debug, Default, FromMeta)]
pub(crate) struct HandlerOptions {
    pub(crate) retries: Option<Whole>,
    pub(crate) queries: Option<Quoted>,
    #[darling(rename = "crate")]
    pub(crate) runtime: Option<CratePath>,
}
