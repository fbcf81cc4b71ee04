//! `#[projection]` on an impl block.

use proc_macro2::{Ident, Literal, Span, TokenStream};
use quote::{ToTokens as _, quote, quote_spanned};
use syn::ext::IdentExt as _;

use crate::diagnostics::Diagnostics;
use crate::model::at;
use crate::model::projection::{Mode, Parameter, Projection, ProjectionFn, Shape, Style};
use crate::syntax::read_side::Policy;
use crate::syntax::types;

use super::{block, first_span};

pub(crate) fn expand(options: TokenStream, tokens: &TokenStream) -> TokenStream {
    let mut diagnostics = Diagnostics::default();
    let Some(projection) = Projection::read(options, tokens, &mut diagnostics) else {
        let errors = diagnostics.into_tokens();
        return quote!(#tokens #errors);
    };
    let impl_block = &projection.block;
    let impls = match (impl_block.generics.params.is_empty(), diagnostics.has_errors()) {
        (false, _) => TokenStream::new(),
        (true, true) => stand_in(&projection),
        (true, false) => render(&projection),
    };
    let reports = diagnostics.into_tokens();
    quote!(#impl_block #impls #reports)
}

fn render(projection: &Projection) -> TokenStream {
    let parts = [parts(projection), own(projection), register(projection)];
    let impls = block(&projection.runtime, &quote!(#(#parts)*));
    let marker = marker(projection);
    quote!(#marker #impls)
}

/// Where the projection's type is named.
fn place(projection: &Projection) -> Span {
    let this = &projection.block.self_ty;
    types::last_segment(this).map_or_else(|| first_span(this), |segment| segment.ident.span())
}

/// The type as a read model. What is none is told at its name, once.
fn row(projection: &Projection) -> TokenStream {
    quote_spanned!(at(place(projection))=> <Self as __es::FoldedRow>)
}

/// A projection in no domain is an error at its type's name: as for commands.
fn marker(projection: &Projection) -> TokenStream {
    let this = &projection.block.self_ty;
    quote_spanned! {place(projection)=>
        #[doc(hidden)]
        impl #this {
            #[deny(dead_code)]
            pub(crate) const PROJECTION_IS_NOT_LISTED_IN_A_DOMAIN: () = ();
        }
    }
}

/// What the functions are, and how those that wait run.
fn parts(projection: &Projection) -> TokenStream {
    let this = &projection.block.self_ty;
    let functions = &projection.functions;
    let checks = functions.iter().map(event_check);
    let handlers = functions.iter().map(handler);
    let waits = functions.iter().map(|function| match projection.style {
        Style::Folded => TokenStream::new(),
        Style::Connected => runs(function, &quote!(ConnectedHandler)),
        Style::External => runs(function, &quote!(ExternalHandler)),
    });
    let (run, waits) = match (&projection.style, &projection.connection) {
        (Style::Connected, Some(connection)) => {
            (quote!(__es::ConnectedHandler<Self, #connection>), quote!(#(#waits),*))
        }
        (Style::External, _) => (quote!(__es::ExternalHandler<Self>), quote!(#(#waits),*)),
        _ => (quote!(()), TokenStream::new()),
    };
    quote_spanned! {at(place(projection))=>
        #[automatically_derived]
        impl __es::ProjectionParts for #this {
            type Run = #run;
            const PARTS: (&'static [__es::ProjectionHandler], &'static [#run]) = {
                #(#checks)*
                (&[#(#handlers),*], &[#waits])
            };
        }
    }
}

/// The aggregate of a function's event: as the user says, or as there is only one.
fn aggregate(function: &ProjectionFn) -> TokenStream {
    function.of.as_ref().map_or_else(|| quote!(_), quote::ToTokens::to_token_stream)
}

/// Asks that exactly one aggregate lists the event: before all else, so that it is told in this way.
fn event_check(function: &ProjectionFn) -> TokenStream {
    let (cfgs, event) = (&function.cfgs, &function.event);
    let check = if let Some(aggregate) = &function.of {
        quote!(require_listed::<#event, #aggregate>)
    } else {
        quote!(say_with_of_which::<#event, _>)
    };
    quote_spanned!(at(first_span(event))=> #(#cfgs)* __es::#check();)
}

fn handler(function: &ProjectionFn) -> TokenStream {
    let (cfgs, event, aggregate) = (&function.cfgs, &function.event, aggregate(function));
    let name = function.ident.unraw().to_string();
    let (mode, options) = (mode(function.mode), options(function));
    let by_stream = function.key.is_none();
    let dependencies = function.parameters.iter().filter_map(|parameter| match parameter {
        Parameter::Dependency(ty) => Some(quote_spanned!(at(first_span(ty))=> __es::Taken::<#ty>::DEPENDENCY)),
        _ => None,
    });
    quote_spanned! {at(first_span(event))=>
        #(#cfgs)*
        __es::projection_handler::<#event, #aggregate>(#name, #mode, #by_stream, #options, &[#(#dependencies),*])
    }
}

fn mode(mode: Mode) -> TokenStream {
    let Mode::Sync { priority, millis } = mode else { return quote!(__es::HandlerMode::Async) };
    let priority = Literal::u64_unsuffixed(priority);
    let timeout = millis.map_or_else(
        || quote!(__es::HandlerMode::DEFAULT_TIMEOUT_MS),
        |millis| Literal::u64_unsuffixed(millis).to_token_stream(),
    );
    quote!(__es::HandlerMode::Sync { priority: #priority, timeout_ms: #timeout })
}

fn options(function: &ProjectionFn) -> TokenStream {
    let monitor = function.monitor;
    let retries = function.retry.map_or_else(
        || quote!(__es::Option::None),
        |retry| {
            let retry = Literal::u64_unsuffixed(retry);
            quote!(__es::Option::Some(#retry))
        },
    );
    let on_failure = match function.on_failure {
        None => quote!(__es::Option::None),
        Some(Policy::Park) => quote!(__es::Option::Some(__es::FailurePolicy::Park)),
        Some(Policy::Stop) => quote!(__es::Option::Some(__es::FailurePolicy::Stop)),
        Some(Policy::Skip) => quote!(__es::Option::Some(__es::FailurePolicy::Skip)),
    };
    quote!(__es::HandlerOptions { monitor: #monitor, retries: #retries, on_failure: #on_failure })
}

/// A function on a row. `row` is the row's type, where it is asked to be one.
fn folds(function: &ProjectionFn, row: &TokenStream) -> TokenStream {
    let (cfgs, ident, event, aggregate) = (&function.cfgs, &function.ident, &function.event, aggregate(function));
    let name = ident.unraw().to_string();
    let place = at(ident.span());
    let fold = Ident::new(
        match function.shape {
            Shape::Inserts => "inserts",
            Shape::Changes => "changes",
            Shape::Deletes => "deletes",
            _ => "folds",
        },
        first_span(row),
    );
    let key = function.key.as_ref().map_or_else(
        || quote_spanned!(place=> __es::by_stream::<Self, #event, #aggregate>),
        |key| key.function.clone(),
    );
    quote_spanned! {place=>
        #(#cfgs)*
        |__event| #row::#fold::<#event, #aggregate>(__event, #name, #key, Self::#ident)
    }
}

/// A function that waits.
fn runs(function: &ProjectionFn, handler: &TokenStream) -> TokenStream {
    let (cfgs, ident, event, aggregate) = (&function.cfgs, &function.ident, &function.event, aggregate(function));
    let (name, slices, output) = (ident.unraw().to_string(), function.slice, &function.output);
    let place = at(ident.span());
    let event_ref = if slices { quote!(&__events) } else { quote!(&__event) };
    let arguments = function.parameters.iter().map(|parameter| match parameter {
        Parameter::Event => event_ref.clone(),
        Parameter::Connection => quote!(__from),
        Parameter::Dependency(ty) => quote_spanned!(at(first_span(ty))=> __es::dependency(__from, #name)?),
    });
    let call = quote_spanned!(place=> Self::#ident(__this, #(#arguments),*).await);
    let answer = quote_spanned!(at(first_span(output))=> <#output as __es::Projected>::projected(#call, #name));
    let decoded = quote_spanned!(at(first_span(event))=> __es::decode_events::<#event, #aggregate>(__events)?);
    let body = if slices {
        quote_spanned! {place=>
            let __events = #decoded;
            #answer
        }
    } else {
        quote_spanned! {place=>
            for __event in #decoded {
                #answer?;
            }
            __es::Result::Ok(())
        }
    };
    quote_spanned! {place=>
        #(#cfgs)*
        __es::#handler {
            slices: #slices,
            run: |__this, __from, __events| __es::boxed_projection(async move { #body }),
        }
    }
}

/// `impl Projection`: what the projection is, as data.
fn own(projection: &Projection) -> TokenStream {
    let this = &projection.block.self_ty;
    let style = match projection.style {
        Style::Folded => quote!(Folded),
        Style::Connected => quote!(Connected),
        Style::External => quote!(External),
    };
    let table = if projection.style == Style::Folded {
        quote!({
            #[allow(unused_imports)]
            use __es::FallbackOfRow as _;
            __es::RowOf::<#this>::TABLE
        })
    } else {
        quote!(__es::Option::None)
    };
    let handlers = quote!(<Self as __es::ProjectionParts>::PARTS.0);
    descriptor(projection, this, &style, &table, &handlers)
}

fn descriptor(
    projection: &Projection,
    this: &syn::Type,
    style: &TokenStream,
    table: &TokenStream,
    handlers: &TokenStream,
) -> TokenStream {
    let name = projection.name.as_ref().map(syn::LitStr::value).unwrap_or_default();
    let renamed_from = projection.renamed_from.as_ref().map_or_else(
        || quote!(__es::Option::None),
        |old| {
            let old = old.value();
            quote!(__es::Option::Some(#old))
        },
    );
    let version = Literal::u64_unsuffixed(projection.version);
    let partitions = Literal::u64_unsuffixed(projection.partitions);
    let type_name = types::last_segment(this).map(|segment| segment.ident.unraw().to_string()).unwrap_or_default();
    let resets = projection.reset.is_some();
    quote_spanned! {at(place(projection))=>
        #[automatically_derived]
        impl __es::Projection for #this {
            const PROJECTION: &'static __es::ProjectionDescriptor = &__es::ProjectionDescriptor {
                name: #name,
                renamed_from: #renamed_from,
                version: #version,
                type_name: #type_name,
                style: __es::ProjectionStyle::#style,
                table: #table,
                partitions: #partitions,
                resets: #resets,
                handlers: #handlers,
            };
        }
    }
}

/// `impl ProjectionOn`: for every store, or for that of the connection.
fn register(projection: &Projection) -> TokenStream {
    let this = &projection.block.self_ty;
    let place = at(place(projection));
    let descriptor = quote!(<Self as __es::Projection>::PROJECTION);
    let runs = quote!(<Self as __es::ProjectionParts>::PARTS.1);
    let default = quote_spanned!(place=> <Self as ::core::default::Default>::default());
    let (generics, store, add) = match (&projection.style, &projection.connection) {
        (Style::Connected, Some(connection)) => {
            let store = quote_spanned!(at(first_span(connection))=> <#connection as __es::StoreConnection>::Store);
            let reset = reset(projection);
            let add = quote!(projections.connected(__es::Connected::new(#descriptor, #default, #runs, #reset)););
            (TokenStream::new(), store, add)
        }
        (Style::External, _) => {
            let add = quote!(projections.external(__es::External::new(#descriptor, #default, #runs)););
            (quote!(<__S: __es::Store>), quote!(__S), add)
        }
        _ => {
            let row = row(projection);
            let checks = projection.functions.iter().map(event_check);
            let folds = projection.functions.iter().map(|function| folds(function, &row));
            let add = quote_spanned! {place=>
                #(#checks)*
                #row::register(projections, #descriptor, const { &[#(#folds),*] });
            };
            (quote!(<__S: __es::Store>), quote!(__S), add)
        }
    };
    quote_spanned! {place=>
        #[automatically_derived]
        impl #generics __es::ProjectionOn<#store> for #this {
            fn register(projections: &mut __es::Projections) {
                #add
            }
        }
    }
}

fn reset(projection: &Projection) -> TokenStream {
    let Some(reset) = &projection.reset else { return quote!(__es::Option::None) };
    let name = reset.unraw().to_string();
    quote_spanned! {at(reset.span())=>
        __es::Option::Some(|__this, __from| {
            __es::boxed_projection(async move {
                __es::Projected::projected(Self::#reset(__this, __from).await, #name)
            })
        })
    }
}

/// Impls that promise everything and do nothing: the only errors are then those that were reported.
fn stand_in(projection: &Projection) -> TokenStream {
    let this = &projection.block.self_ty;
    let own = descriptor(projection, this, &quote!(Folded), &quote!(__es::Option::None), &quote!(&[]));
    block(
        &projection.runtime,
        &quote! {
            #own
            #[automatically_derived]
            impl<__S: __es::Store> __es::ProjectionOn<__S> for #this {
                fn register(_: &mut __es::Projections) {}
            }
        },
    )
}
