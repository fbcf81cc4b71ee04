//! Queries and their handlers as they are declared.

use proc_macro2::{Ident, TokenStream};
use syn::ext::IdentExt as _;
use syn::{Attribute, ItemStruct, LitStr, Path, Type};

use crate::check;
use crate::diagnostics::{Diagnostics, texts};
use crate::syntax::function::Function;
use crate::syntax::options;
use crate::syntax::read_side::{QueryHandlerOptions, QueryOptions};
use crate::syntax::{attributes, item, types};
use crate::word::Word;

use super::runtime;

/// `#[query(output = …)] struct …`.
#[derive(Debug)]
pub(crate) struct Query {
    pub(crate) runtime: Path,
    pub(crate) item: ItemStruct,
    pub(crate) ident: Ident,
    pub(crate) output: Option<Type>,
    pub(crate) name: String,
    pub(crate) given_name: Option<LitStr>,
    pub(crate) derived: Vec<String>,
}

impl Query {
    pub(crate) fn read(options: TokenStream, tokens: &TokenStream, diagnostics: &mut Diagnostics) -> Option<Self> {
        let options: QueryOptions = options::read(Word::Query, options, diagnostics);
        let broken = diagnostics.has_errors();
        let item = item::structure(Word::Query, tokens, diagnostics)?;
        if options.output.is_none() && !broken {
            diagnostics.error(&item.ident, texts::query_needs_an_output());
        }
        let ident = item.ident.clone();
        Some(Self {
            runtime: runtime(options.runtime),
            output: options.output.map(|path| path.0),
            name: options.name.as_ref().map_or_else(|| ident.unraw().to_string(), |name| name.0.value()),
            given_name: options.name.map(|name| name.0),
            derived: attributes::derived(&item.attrs),
            ident,
            item,
        })
    }
}

/// `#[query_handler] async fn …`.
#[derive(Debug)]
pub(crate) struct QueryHandler {
    pub(crate) runtime: Path,
    pub(crate) function: Function,
    pub(crate) cfgs: Vec<Attribute>,
    /// `None` where nothing could be generated for.
    pub(crate) query: Option<Type>,
    pub(crate) arguments: Vec<Type>,
    pub(crate) output: Type,
    pub(crate) broken: bool,
}

impl QueryHandler {
    pub(crate) fn read(options: TokenStream, tokens: &TokenStream, diagnostics: &mut Diagnostics) -> Option<Self> {
        let options: QueryHandlerOptions = options::read(Word::QueryHandler, options, diagnostics);
        let mut function = item::function(Word::QueryHandler, tokens, diagnostics)?;
        let sound = check::query::handler(&function, diagnostics);
        function.allow_its_shape();
        let mut parameters = function.parameters().into_iter();
        let query = parameters.next().map(|parameter| types::referent(&parameter.ty).clone());
        let query = query.filter(|query| function.receiver().is_none() && !types::is_named(query, "Table"));
        let arguments = parameters.map(|parameter| (*parameter.ty).clone()).collect();
        let output = types::returned(&function.sig.output).cloned().unwrap_or_else(|| syn::parse_quote!(()));
        Some(Self {
            runtime: runtime(options.runtime),
            cfgs: attributes::cfgs(&function.attrs),
            function,
            query,
            arguments,
            output,
            broken: !sound || diagnostics.has_errors(),
        })
    }

    /// The connection that binds the handler to its store.
    pub(crate) fn connection(&self) -> Option<&Type> {
        self.arguments.iter().filter_map(types::lent_mutably).find(|ty| !check::query::is_of_the_domain(ty))
    }
}
