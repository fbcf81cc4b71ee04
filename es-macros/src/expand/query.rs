//! `#[query]` and `#[query_handler]`.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens as _, format_ident, quote, quote_spanned};
use syn::ext::IdentExt as _;

use crate::check;
use crate::diagnostics::Diagnostics;
use crate::model::at;
use crate::model::query::{Query, QueryHandler};

use super::event::stand_in_serde;
use super::handler::with_static;
use super::{block, derives, first_span};

pub(crate) fn expand(options: TokenStream, tokens: &TokenStream) -> TokenStream {
    let mut diagnostics = Diagnostics::default();
    let Some(query) = Query::read(options, tokens, &mut diagnostics) else {
        let errors = diagnostics.into_tokens();
        return quote!(#tokens #errors);
    };
    check::query::check(&query, &mut diagnostics);
    let rendered = if diagnostics.has_errors() { stand_in(&query) } else { render(&query) };
    let reports = diagnostics.into_tokens();
    quote!(#rendered #reports)
}

fn render(query: &Query) -> TokenStream {
    let wanted = ["Debug", "Clone", "Serialize", "Deserialize"];
    let (derive, serde) = derives(&query.runtime, &wanted, &query.derived);
    let (item, ident, name) = (&query.item, &query.ident, &query.name);
    let Some(output) = &query.output else { return stand_in(query) };
    let place = at(first_span(output));
    let output = quote_spanned! {place=> type Output = #output; };
    let ty = &query.output;
    let impls = block(
        &query.runtime,
        &quote_spanned! {at(ident.span())=>
            #[automatically_derived]
            impl __es::Query for #ident {
                const NAME: &'static str = #name;
                #output
            }
        },
    );
    let check = quote_spanned!(place=> const _: () = __es::require_answer::<#ty>(););
    let check = block(&query.runtime, &check);
    let marker = marker(query);
    quote!(#derive #serde #item #marker #impls #check)
}

/// A query in no domain is an error at its own name: as for commands.
fn marker(query: &Query) -> TokenStream {
    let ident = &query.ident;
    quote_spanned! {ident.span()=>
        #[doc(hidden)]
        impl #ident {
            #[deny(dead_code)]
            pub(crate) const QUERY_IS_NOT_LISTED_IN_A_DOMAIN: () = ();
        }
    }
}

fn stand_in(query: &Query) -> TokenStream {
    let (derive, _) = derives(&query.runtime, &["Debug", "Clone"], &query.derived);
    let mut item = query.item.clone();
    for field in &mut item.fields {
        field.attrs.retain(|attribute| !attribute.path().is_ident("serde"));
    }
    item.attrs.retain(|attribute| !attribute.path().is_ident("serde"));
    let (ident, name) = (&query.ident, &query.name);
    let (impl_generics, ty_generics, _) = query.item.generics.split_for_impl();
    let parameters = &query.item.generics.params;
    let serde = stand_in_serde(&quote!(#ident #ty_generics), &parameters.to_token_stream(), &query.derived);
    let bounds = if parameters.is_empty() { TokenStream::new() } else { quote!(where Self: __es::Sendable) };
    let output = query.output.as_ref().map_or_else(|| quote!(()), quote::ToTokens::to_token_stream);
    let impls = block(
        &query.runtime,
        &quote! {
            #serde
            #[automatically_derived]
            impl #impl_generics __es::Query for #ident #ty_generics #bounds {
                const NAME: &'static str = #name;
                type Output = #output;
            }
        },
    );
    quote!(#derive #item #impls)
}

pub(crate) fn expand_handler(options: TokenStream, tokens: &TokenStream) -> TokenStream {
    let mut diagnostics = Diagnostics::default();
    let Some(handler) = QueryHandler::read(options, tokens, &mut diagnostics) else {
        let errors = diagnostics.into_tokens();
        return quote!(#tokens #errors);
    };
    let function = &handler.function;
    let impls = handler.query.as_ref().map(|query| {
        let broken = handler.broken || diagnostics.has_errors();
        let impls = if broken { stand_in_handler(&handler, query) } else { answers(&handler, query) };
        block(&handler.runtime, &impls)
    });
    let cfgs = &handler.cfgs;
    let impls = impls.map(|impls| quote!(#(#cfgs)* #impls));
    let reports = diagnostics.into_tokens();
    quote!(#function #impls #reports)
}

/// The store the handler runs on: every one, or that of its connection.
fn store(handler: &QueryHandler) -> (TokenStream, TokenStream) {
    match handler.connection() {
        Some(connection) => {
            let store = quote_spanned!(at(first_span(connection))=> <#connection as __es::StoreConnection>::Store);
            (TokenStream::new(), store)
        }
        None => (quote!(<__S: __es::Store>), quote!(__S)),
    }
}

fn answers(handler: &QueryHandler, query: &syn::Type) -> TokenStream {
    let (name, output) = (&handler.function.sig.ident, &handler.output);
    let (generics, store) = store(handler);
    let names: Vec<_> =
        (1..=handler.arguments.len()).map(|index| format_ident!("__a{index}", span = Span::mixed_site())).collect();
    let holds = handler.arguments.iter().zip(&names).map(
        |(ty, name)| quote_spanned!(at(first_span(ty))=> let mut #name = __es::hold::<#ty, #store>(__scope).await?;),
    );
    let lends = handler
        .arguments
        .iter()
        .zip(&names)
        .map(|(ty, name)| quote_spanned!(at(first_span(ty))=> let #name = __es::lend::<#ty, #store>(&mut #name)?;));
    let call = quote_spanned!(at(name.span())=> #name(self, #(#names),*).await);
    let answer = at(first_span(output));
    let descriptor = descriptor(handler, &store);
    let error = quote_spanned!(answer=> <#output as __es::Answered>::Error);
    let own_output = quote_spanned!(at(first_span(query))=> <Self as __es::Query>::Output);
    let items = quote_spanned! {answer=>
        type Error = #error;
        #descriptor
        async fn answer(
            self,
            __scope: &__es::QueryScope<#store>,
        ) -> __es::Result<#own_output, __es::QueryRejection<#error>> {
            #(#holds)*
            #(#lends)*
            let __answer = #call;
            __es::answered_query::<Self, #output>(__answer)
        }
    };
    let bound = bound(handler, query);
    quote_spanned! {at(first_span(query))=>
        #[automatically_derived]
        impl #generics __es::AnswersOn<#store> for #query { #items }
        #bound
    }
}

/// Says that a query has a handler although it does not run on every store.
fn bound(handler: &QueryHandler, query: &syn::Type) -> TokenStream {
    handler.connection().map_or_else(TokenStream::new, |_| {
        quote_spanned! {at(first_span(query))=>
            #[automatically_derived]
            impl __es::BoundQuery for #query {}
        }
    })
}

fn descriptor(handler: &QueryHandler, store: &TokenStream) -> TokenStream {
    let name = handler.function.sig.ident.unraw().to_string();
    let types: Vec<_> = handler.arguments.iter().map(with_static).collect();
    let reads = types.iter().map(|ty| quote_spanned!(at(first_span(ty))=> __es::Asks::<#ty, #store>::READS));
    let dependencies =
        types.iter().map(|ty| quote_spanned!(at(first_span(ty))=> __es::Asks::<#ty, #store>::DEPENDENCY));
    quote! {
        const HANDLER: __es::QueryHandlerDescriptor = {
            #[allow(unused_imports)]
            use __es::FallbackOfQuery as _;
            __es::QueryHandlerDescriptor {
                name: #name,
                reads: &[#(#reads),*],
                dependencies: &[#(#dependencies),*],
            }
        };
    }
}

/// An impl that promises everything and does nothing: the only errors are then those that were reported.
fn stand_in_handler(handler: &QueryHandler, query: &syn::Type) -> TokenStream {
    let name = handler.function.sig.ident.unraw().to_string();
    quote! {
        #[automatically_derived]
        impl<__S: __es::Store> __es::AnswersOn<__S> for #query {
            type Error = __es::Infallible;
            const HANDLER: __es::QueryHandlerDescriptor =
                __es::QueryHandlerDescriptor { name: #name, reads: &[], dependencies: &[] };
            async fn answer(
                self,
                _: &__es::QueryScope<__S>,
            ) -> __es::Result<<Self as __es::Query>::Output, __es::QueryRejection<__es::Infallible>> {
                __es::broken()
            }
        }
    }
}
