//! `domain!`.

use proc_macro2::{Literal, TokenStream};
use quote::{quote, quote_spanned};

use crate::diagnostics::Diagnostics;
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
    let parts = [own(domain), routes(domain), has(domain), commands(domain), command_of(domain), markers(domain)];
    let checks = if broken { TokenStream::new() } else { checks(domain) };
    let impls = block(runtime, &quote!(#(#parts)* #checks));
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
        #[derive(::core::fmt::Debug, ::core::clone::Clone, ::core::cmp::PartialEq)]
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
        quote_spanned!(span=> #(#cfgs)* #docs #variant(<#path as #runtime::__private::HasCommands>::Command))
    });
    let text = format!("A command of the domain `{name}`.");
    quote! {
        #[doc = #text]
        #[derive(::core::fmt::Debug, ::core::clone::Clone)]
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
            if let __es::Option::Some(decoded) = __es::decode_of::<#path, _>(event, #event::#variant) {
                return decoded;
            }
        }
    });
    let parts = domain.domains.iter().map(|listed| {
        let Listed { cfgs, path, variant, .. } = listed;
        let span = at(listed.span);
        quote_spanned! {span=>
            #(#cfgs)*
            if let __es::Option::Some(decoded) = __es::decode_part::<#path, _>(event, #event::#variant) {
                return decoded;
            }
        }
    });
    quote! {
        #[automatically_derived]
        impl __es::Domain for #ident {
            const TABLE: &'static __es::DomainTable = #table;
            type Event = #event;
            fn decode(
                event: &__es::Recorded<__es::AnyEvent>,
            ) -> __es::Result<__es::Recorded<#event>, __es::DecodeError> {
                #(#aggregates)*
                #(#parts)*
                __es::Result::Err(__es::unknown_aggregate(event))
            }
        }
        #[automatically_derived]
        impl __es::HasCommands for #ident {
            type Command = #command;
        }
    }
}

fn table(domain: &Domain, name: &str) -> TokenStream {
    let aggregates = domain.aggregates.iter().map(|listed| {
        let (cfgs, path, text) = (&listed.cfgs, &listed.path, listed.type_name());
        quote_spanned!(at(listed.span)=> #(#cfgs)* __es::AggregateDescriptor::of::<#path>(#text))
    });
    let commands = domain.commands.iter().map(|listed| {
        let (cfgs, path, text) = (&listed.cfgs, &listed.path, listed.type_name());
        quote_spanned!(at(listed.span)=> #(#cfgs)* __es::CommandDescriptor::of::<#path>(#text))
    });
    let parts = domain.domains.iter().map(|listed| {
        let (cfgs, path) = (&listed.cfgs, &listed.path);
        quote_spanned!(at(listed.span)=> #(#cfgs)* <#path as __es::Domain>::TABLE)
    });
    quote! {
        &__es::DomainTable {
            name: #name,
            aggregates: &[#(#aggregates),*],
            commands: &[#(#commands),*],
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
        quote_spanned!(at(listed.span)=> #(#cfgs)* routes.part::<#path>();)
    });
    quote! {
        #[automatically_derived]
        impl<S: __es::Store> __es::DomainOn<S> for #ident {
            #[allow(unused_variables)]
            fn routes(routes: &mut __es::Routes<S>) {
                #(#commands)*
                #(#parts)*
            }
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
        from(command, listed, &quote!(<#path as __es::HasCommands>::Command))
    });
    quote!(#(#commands)* #(#parts)*)
}

fn from(command: &proc_macro2::Ident, listed: &Listed, ty: &TokenStream) -> TokenStream {
    let Listed { cfgs, variant, .. } = listed;
    quote_spanned! {at(listed.span)=>
        #(#cfgs)*
        #[automatically_derived]
        impl __es::From<#ty> for #command {
            fn from(command: #ty) -> Self {
                Self::#variant(command)
            }
        }
    }
}

/// The enum is dispatched like a command.
fn command_of(domain: &Domain) -> TokenStream {
    let Domain { ident, command, .. } = domain;
    let commands = domain.commands.iter().map(|listed| {
        let Listed { cfgs, path, variant, .. } = listed;
        quote_spanned!(at(listed.span)=> #(#cfgs)* Self::#variant(command) => __es::Route::<#path>::run(command, context).await)
    });
    let parts = domain.domains.iter().map(|listed| {
        let Listed { cfgs, path, variant, .. } = listed;
        let span = at(listed.span);
        quote_spanned! {span=>
            #(#cfgs)*
            Self::#variant(command) => {
                <<#path as __es::HasCommands>::Command as __es::CommandOf<#path, __es::Here>>::run(command, context).await
            }
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
                    #(#parts)*
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
    quote! {
        const _: () = {
            #[allow(unused_imports)]
            use __es::NoMarker as _;
            #(#aggregates)*
            #(#commands)*
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
    let parts = domain.domains.iter().enumerate().map(|entry| check("part", entry));
    quote!(#(#aggregates)* #(#commands)* #(#parts)*)
}
