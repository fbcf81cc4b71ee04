//! `domain!`.

use proc_macro2::{Literal, TokenStream};
use quote::{quote, quote_spanned};
use syn::ext::IdentExt as _;

use crate::diagnostics::{Diagnostics, texts};
use crate::model::domain::Domain;
use crate::model::{Listed, at};

use super::block;

pub(crate) fn expand(input: TokenStream) -> TokenStream {
    let mut diagnostics = Diagnostics::default();
    let rendered = Domain::read(input, &mut diagnostics).map(|domain| render(&domain, diagnostics.has_errors()));
    let reports = diagnostics.into_tokens();
    quote!(#rendered #reports)
}

fn render(domain: &Domain, broken: bool) -> TokenStream {
    let Domain { attrs, vis, ident, runtime, .. } = domain;
    let text = format!("The domain `{}`.", domain.name);
    let docs = if attrs.iter().any(|attribute| attribute.path().is_ident("doc")) {
        TokenStream::new()
    } else {
        quote!(#[doc = #text])
    };
    let (event, command) = (event_enum(domain), command_enum(domain));
    let parts = [
        own(domain),
        routes(domain),
        has(domain),
        commands(domain),
        values(domain),
        command_of(domain),
        markers(domain),
    ];
    let checks = if broken { TokenStream::new() } else { checks(domain) };
    let impls = block(
        runtime,
        &quote! {
            #[allow(unused_imports)]
            use __es::{FallbackOfAggregate as _, FallbackOfDomain as _, FallbackOfQuery as _};
            #(#parts)*
            #checks
        },
    );
    quote! {
        #docs
        #(#attrs)*
        #[derive(::core::fmt::Debug, ::core::clone::Clone, ::core::marker::Copy)]
        #vis struct #ident;
        #event
        #command
        #impls
    }
}

fn event_enum(domain: &Domain) -> TokenStream {
    let Domain { vis, event, runtime, name, .. } = domain;
    let aggregates = domain.aggregates.iter().map(|listed| {
        let Listed { cfgs, path, variant, .. } = listed;
        let (docs, span) = (docs(listed, "An event of"), at(listed.span));
        quote_spanned!(span=> #(#cfgs)* #docs #variant(<#path as #runtime::aggregate::Aggregate>::Event))
    });
    let parts = domain.domains.iter().map(|listed| {
        let Listed { cfgs, path, variant, .. } = listed;
        let (docs, span) = (docs(listed, "An event of"), at(listed.span));
        quote_spanned!(span=> #(#cfgs)* #docs #variant(<#path as #runtime::app::Domain>::Event))
    });
    let text = format!("An event of the domain `{name}`.");
    quote! {
        #[doc = #text]
        #[allow(clippy::large_enum_variant, private_interfaces)]
        #vis enum #event { #(#aggregates,)* #(#parts,)* }
    }
}

fn command_enum(domain: &Domain) -> TokenStream {
    let Domain { vis, command, runtime, name, .. } = domain;
    let commands = domain.commands.iter().map(|listed| {
        let Listed { cfgs, path, variant, .. } = listed;
        let docs = docs(listed, "The command");
        quote!(#(#cfgs)* #docs #variant(#path))
    });
    let parts = domain.domains.iter().map(|listed| {
        let Listed { cfgs, path, variant, .. } = listed;
        let (docs, span) = (docs(listed, "A command of"), at(listed.span));
        quote_spanned!(span=> #(#cfgs)* #docs #variant(<#path as #runtime::app::Domain>::Command))
    });
    let text = format!("A command of the domain `{name}`.");
    quote! {
        #[doc = #text]
        #[allow(clippy::large_enum_variant, private_interfaces)]
        #vis enum #command { #(#commands,)* #(#parts,)* }
    }
}

fn docs(listed: &Listed, what: &str) -> TokenStream {
    if listed.docs.is_empty() {
        let text = format!("{what} [`{}`].", crate::syntax::types::text(&listed.path));
        quote!(#[doc = #text])
    } else {
        let docs = &listed.docs;
        quote!(#(#docs)*)
    }
}

/// `impl Domain`: the table, and decoding into the enum.
fn own(domain: &Domain) -> TokenStream {
    let Domain { ident, event, command, name, .. } = domain;
    let table = table(domain, name);
    let aggregates = domain.aggregates.iter().map(|listed| {
        let Listed { cfgs, path, variant, .. } = listed;
        let span = at(listed.span);
        quote_spanned! {span=>
            #(#cfgs)*
            if let __es::Option::Some(decoded) = __es::Listed::<#path>::decode(event, #event::#variant) {
                return decoded;
            }
        }
    });
    let parts = domain.domains.iter().map(|listed| {
        let Listed { cfgs, path, variant, .. } = listed;
        let span = at(listed.span);
        quote_spanned! {span=>
            #(#cfgs)*
            if let __es::Option::Some(decoded) = __es::Inner::<#path>::decode(event, #event::#variant) {
                return decoded;
            }
        }
    });
    quote! {
        #[automatically_derived]
        impl __es::Domain for #ident {
            const TABLE: &'static __es::DomainTable = #table;
            type Event = #event;
            type Command = #command;
            fn decode(
                event: &__es::Recorded<__es::AnyEvent>,
            ) -> __es::Result<__es::Recorded<#event>, __es::DecodeError> {
                #(#aggregates)*
                #(#parts)*
                __es::Result::Err(__es::unknown_aggregate(event))
            }
        }
    }
}

fn table(domain: &Domain, name: &str) -> TokenStream {
    let aggregates = domain.aggregates.iter().map(|listed| {
        let (cfgs, path, text) = (&listed.cfgs, &listed.path, listed.type_name());
        quote_spanned!(at(listed.span)=> #(#cfgs)* __es::aggregate(__es::Listed::<#path>::PARTS, #text))
    });
    let commands = domain.commands.iter().map(|listed| {
        let (cfgs, path, text) = (&listed.cfgs, &listed.path, listed.type_name());
        quote_spanned!(at(listed.span)=> #(#cfgs)* __es::CommandDescriptor::of::<#path>(#text))
    });
    let parts = domain.domains.iter().map(|listed| {
        let (cfgs, path) = (&listed.cfgs, &listed.path);
        quote_spanned!(at(listed.span)=> #(#cfgs)* __es::Inner::<#path>::TABLE)
    });
    let queries = domain.queries.iter().map(|listed| {
        let (cfgs, path, text) = (&listed.cfgs, &listed.path, listed.type_name());
        quote_spanned!(at(listed.span)=> #(#cfgs)* __es::QueryDescriptor::of::<#path>(#text))
    });
    let projections = domain.projections.iter().map(|listed| {
        let (cfgs, path) = (&listed.cfgs, &listed.path);
        quote_spanned!(at(listed.span)=> #(#cfgs)* <#path as __es::Projection>::PROJECTION)
    });
    quote! {
        &__es::DomainTable {
            name: #name,
            aggregates: &[#(#aggregates),*],
            commands: &[#(#commands),*],
            queries: &[#(#queries),*],
            projections: &[#(#projections),*],
            domains: &[#(#parts),*],
        }
    }
}

fn routes(domain: &Domain) -> TokenStream {
    let ident = &domain.ident;
    let commands = domain.commands.iter().map(|listed| {
        let (cfgs, path) = (&listed.cfgs, &listed.path);
        quote_spanned!(at(listed.span)=> #(#cfgs)* __es::Route::<#path>::route(routes);)
    });
    let parts = domain.domains.iter().map(|listed| {
        let (cfgs, path) = (&listed.cfgs, &listed.path);
        quote_spanned!(at(listed.span)=> #(#cfgs)* <#path as __es::PartIn<S>>::routes(routes);)
    });
    let (bounds, reads) = (bounds(domain), reads(domain));
    quote! {
        #[automatically_derived]
        impl<S: __es::Store> __es::DomainOn<S> for #ident
        where
            #bounds
        {
            #[allow(unused_variables)]
            fn routes(routes: &mut __es::Routes<S>) {
                #(#commands)*
                #(#parts)*
            }
            #reads
        }
    }
}

/// The domain runs where all of its parts do. The part stands before its trait, so that the error about it is the trait's own.
/// What depends on `#[cfg]` must run everywhere: a bound has no attributes.
fn bounds(domain: &Domain) -> TokenStream {
    let bound = |listed: &Listed, trait_: TokenStream| {
        let path = &listed.path;
        let bound = quote_spanned!(at(listed.span)=> #path: __es::#trait_<S>,);
        listed.cfgs.is_empty().then_some(bound)
    };
    let queries = domain.queries.iter().filter_map(|listed| bound(listed, quote!(QueryIn)));
    let projections = domain.projections.iter().filter_map(|listed| bound(listed, quote!(ProjectionIn)));
    let parts = domain.domains.iter().filter_map(|listed| bound(listed, quote!(PartIn)));
    quote!(#(#queries)* #(#projections)* #(#parts)*)
}

/// The queries and projections of the domain and of its parts.
fn reads(domain: &Domain) -> TokenStream {
    let part = |listed: &Listed, what: TokenStream| {
        let (cfgs, path) = (&listed.cfgs, &listed.path);
        quote_spanned!(at(listed.span)=> #(#cfgs)* <#path as __es::PartIn<S>>::#what(#what);)
    };
    let queries = domain.queries.iter().map(|listed| {
        let (cfgs, path) = (&listed.cfgs, &listed.path);
        quote_spanned!(at(listed.span)=> #(#cfgs)* <#path as __es::QueryIn<S>>::route(queries);)
    });
    let projections = domain.projections.iter().map(|listed| {
        let (cfgs, path) = (&listed.cfgs, &listed.path);
        quote_spanned!(at(listed.span)=> #(#cfgs)* <#path as __es::ProjectionIn<S>>::register(projections);)
    });
    let parts_queries = domain.domains.iter().map(|listed| part(listed, quote!(queries)));
    let parts_projections = domain.domains.iter().map(|listed| part(listed, quote!(projections)));
    quote! {
        #[allow(unused_variables)]
        fn queries(queries: &mut __es::QueryRoutes<S>) {
            #(#queries)*
            #(#parts_queries)*
        }
        #[allow(unused_variables)]
        fn projections(projections: &mut __es::Projections) {
            #(#projections)*
            #(#parts_projections)*
        }
    }
}

/// The proof of what is inside: the domain itself, and everything inside its parts.
fn has(domain: &Domain) -> TokenStream {
    let ident = &domain.ident;
    let parts = domain.domains.iter().enumerate().map(|(index, listed)| {
        let (cfgs, path) = (&listed.cfgs, &listed.path);
        let index = Literal::usize_unsuffixed(index);
        quote_spanned! {at(listed.span)=>
            #(#cfgs)*
            #[automatically_derived]
            impl<D, P> __es::Has<D, __es::Part<#index, P>> for #ident where #path: __es::Has<D, P> {}
        }
    });
    quote! {
        #[automatically_derived]
        impl __es::Has<#ident, __es::Here> for #ident {}
        #(#parts)*
    }
}

/// What each listed command gets, and `From` for the parts' enums.
fn commands(domain: &Domain) -> TokenStream {
    let Domain { ident, command, .. } = domain;
    let commands = domain.commands.iter().map(|listed| {
        let Listed { cfgs, path, variant, .. } = listed;
        let from = from(command, listed, &quote!(#path));
        let _ = variant;
        quote_spanned! {at(listed.span)=>
            #(#cfgs)*
            #[automatically_derived]
            impl __es::InDomain for #path {
                type Domain = #ident;
            }
            #from
        }
    });
    let parts = domain.domains.iter().map(|listed| {
        let path = &listed.path;
        from(command, listed, &quote!(<#path as __es::Domain>::Command))
    });
    let queries = domain.queries.iter().map(|listed| {
        let (cfgs, path) = (&listed.cfgs, &listed.path);
        quote_spanned! {at(listed.span)=>
            #(#cfgs)*
            #[automatically_derived]
            impl __es::InDomain for #path {
                type Domain = #ident;
            }
        }
    });
    quote!(#(#commands)* #(#queries)* #(#parts)*)
}

fn from(command: &proc_macro2::Ident, listed: &Listed, ty: &TokenStream) -> TokenStream {
    let Listed { cfgs, variant, .. } = listed;
    quote_spanned! {at(listed.span)=>
        #(#cfgs)*
        #[automatically_derived]
        impl __es::From<#ty> for #command {
            fn from(c: #ty) -> Self {
                Self::#variant(c)
            }
        }
    }
}

/// What the enums get by derives elsewhere. Those would repeat every error about a listed type.
fn values(domain: &Domain) -> TokenStream {
    let Domain { event, command, .. } = domain;
    let (mut debug_event, mut clone_event, mut same_event) = (Vec::new(), Vec::new(), Vec::new());
    let (mut debug_command, mut clone_command) = (Vec::new(), Vec::new());
    for listed in domain.aggregates.iter().chain(&domain.domains) {
        let Listed { cfgs, variant, .. } = listed;
        let (span, text) = (at(listed.span), variant.unraw().to_string());
        debug_event.push(quote_spanned!(span=> #(#cfgs)* Self::#variant(e) => __es::debug_variant(#text, e, f)));
        clone_event
            .push(quote_spanned!(span=> #(#cfgs)* Self::#variant(e) => Self::#variant(::core::clone::Clone::clone(e))));
        same_event.push(quote_spanned!(span=> #(#cfgs)* (Self::#variant(a), Self::#variant(b)) => a == b));
    }
    for listed in &domain.commands {
        let Listed { cfgs, path, variant, .. } = listed;
        let (span, text) = (at(listed.span), variant.unraw().to_string());
        debug_command
            .push(quote_spanned!(span=> #(#cfgs)* Self::#variant(c) => __es::Route::<#path>::debug(#text, c, f)));
        clone_command.push(
            quote_spanned!(span=> #(#cfgs)* Self::#variant(c) => Self::#variant(__es::Route::<#path>::cloned(c))),
        );
    }
    for listed in &domain.domains {
        let Listed { cfgs, variant, .. } = listed;
        let (span, text) = (at(listed.span), variant.unraw().to_string());
        debug_command.push(quote_spanned!(span=> #(#cfgs)* Self::#variant(c) => __es::debug_variant(#text, c, f)));
        clone_command
            .push(quote_spanned!(span=> #(#cfgs)* Self::#variant(c) => Self::#variant(::core::clone::Clone::clone(c))));
    }
    let (event, command) = (value(event, &debug_event, &clone_event), value(command, &debug_command, &clone_command));
    let same = &domain.event;
    quote! {
        #event
        #command
        #[automatically_derived]
        impl ::core::cmp::PartialEq for #same {
            #[allow(unreachable_patterns)]
            fn eq(&self, other: &Self) -> bool {
                match (self, other) {
                    #(#same_event,)*
                    _ => false,
                }
            }
        }
    }
}

fn value(ident: &proc_macro2::Ident, debug: &[TokenStream], clone: &[TokenStream]) -> TokenStream {
    quote! {
        #[automatically_derived]
        impl ::core::fmt::Debug for #ident {
            #[allow(unreachable_patterns, unused_variables)]
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                match self { #(#debug,)* _ => __es::broken() }
            }
        }
        #[automatically_derived]
        impl ::core::clone::Clone for #ident {
            #[allow(unreachable_patterns)]
            fn clone(&self) -> Self {
                match self { #(#clone,)* _ => __es::broken() }
            }
        }
    }
}

/// The enum is dispatched like a command.
fn command_of(domain: &Domain) -> TokenStream {
    let Domain { ident, command, .. } = domain;
    let commands = domain.commands.iter().map(|listed| {
        let Listed { cfgs, path, variant, .. } = listed;
        quote_spanned!(at(listed.span)=> #(#cfgs)* Self::#variant(c) => __es::Route::<#path>::run(c, context).await)
    });
    let parts = domain.domains.iter().map(|listed| {
        let Listed { cfgs, path, variant, .. } = listed;
        let span = at(listed.span);
        quote_spanned! {span=>
            #(#cfgs)*
            Self::#variant(c) => __es::Inner::<#path>::run(c, context).await
        }
    });
    quote! {
        #[automatically_derived]
        impl<D: __es::Has<#ident, P> + 'static, P: 'static> __es::CommandOf<D, P> for #command {
            type Output = __es::serde_json::Value;
            type Error = __es::AnyDomainError;
            #[allow(unused_variables)]
            async fn run<S: __es::Store>(
                self,
                context: __es::DispatchContext<S>,
            ) -> __es::Outcome<__es::serde_json::Value, __es::AnyDomainError> {
                match self {
                    #(#commands,)*
                    #(#parts,)*
                }
            }
        }
    }
}

/// Reads the constants that say "in no domain".
fn markers(domain: &Domain) -> TokenStream {
    let reads = |listed: &Listed, marker: TokenStream| {
        let (cfgs, path) = (&listed.cfgs, &listed.path);
        quote_spanned!(at(listed.span)=> #(#cfgs)* const _: () = <#path>::#marker;)
    };
    let aggregates = domain.aggregates.iter().map(|listed| reads(listed, quote!(AGGREGATE_IS_NOT_LISTED_IN_A_DOMAIN)));
    let commands = domain.commands.iter().map(|listed| reads(listed, quote!(COMMAND_IS_NOT_LISTED_IN_A_DOMAIN)));
    let queries = domain.queries.iter().map(|listed| reads(listed, quote!(QUERY_IS_NOT_LISTED_IN_A_DOMAIN)));
    let projections =
        domain.projections.iter().map(|listed| reads(listed, quote!(PROJECTION_IS_NOT_LISTED_IN_A_DOMAIN)));
    quote! {
        const _: () = {
            #[allow(unused_imports)]
            use __es::NoMarker as _;
            #(#aggregates)*
            #(#commands)*
            #(#queries)*
            #(#projections)*
        };
    }
}

/// What only the compiler knows: names are unique here and inside the parts.
fn checks(domain: &Domain) -> TokenStream {
    let ident = &domain.ident;
    let check = |list: &'static str, (index, listed): (usize, &Listed)| {
        let cfgs = listed.cfgs.clone();
        let check = quote::format_ident!("unique_{list}");
        let index = Literal::usize_unsuffixed(index);
        quote_spanned!(at(listed.span)=> #(#cfgs)* const _: () = __es::#check::<#ident>(#index);)
    };
    let aggregates = domain.aggregates.iter().enumerate().skip(1).map(|entry| check("aggregate", entry));
    let commands = domain.commands.iter().enumerate().skip(1).map(|entry| check("command", entry));
    let queries = domain.queries.iter().enumerate().skip(1).map(|entry| check("query", entry));
    let projections = domain.projections.iter().enumerate().skip(1).map(|entry| check("projection", entry));
    let parts = domain.domains.iter().enumerate().map(|entry| check("part", entry));
    let answered = domain.queries.iter().map(|listed| {
        let (cfgs, path) = (&listed.cfgs, &listed.path);
        let text = texts::no_query_handler(&listed.type_name()).to_string();
        quote_spanned! {at(listed.span)=>
            #(#cfgs)*
            const _: () = ::core::assert!(
                __es::Asked::<#path>::HAS_A_HANDLER
                    || __es::Asked::<#path>::HAS_A_BOUND_HANDLER
                    || !__es::Asked::<#path>::IS_A_QUERY,
                #text
            );
        }
    });
    quote!(#(#aggregates)* #(#commands)* #(#queries)* #(#projections)* #(#answered)* #(#parts)*)
}
