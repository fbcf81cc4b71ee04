//! `#[aggregate]` on the struct.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::ext::IdentExt as _;

use crate::check;
use crate::diagnostics::{Diagnostics, texts};
use crate::model::aggregate::{Aggregate, Snapshot};
use crate::model::stored::Stored;
use crate::model::{Listed, at};
use crate::syntax::{item, types};

use super::{behaviour, block, derives, first_span, moved, shape};

pub(crate) fn expand(options: TokenStream, tokens: &TokenStream) -> TokenStream {
    if item::is_impl(tokens) { behaviour::expand(options, tokens) } else { expand_struct(options, tokens) }
}

fn expand_struct(options: TokenStream, tokens: &TokenStream) -> TokenStream {
    let mut diagnostics = Diagnostics::default();
    let Some(aggregate) = Aggregate::read(options, tokens, &mut diagnostics) else {
        let errors = diagnostics.into_tokens();
        return quote!(#tokens #errors);
    };
    check::aggregate::check(&aggregate, &mut diagnostics);
    let rendered = render(&aggregate, diagnostics.has_errors());
    let reports = diagnostics.into_tokens();
    quote!(#rendered #reports)
}

fn render(aggregate: &Aggregate, broken: bool) -> TokenStream {
    let wanted: &[&str] = if aggregate.snapshot.is_some() { &["Serialize", "Deserialize"] } else { &[] };
    let (derive, serde) = derives(&aggregate.runtime, wanted, &aggregate.derived);
    let attrs = &aggregate.item.attrs;
    let mut item = aggregate.item.clone();
    item.attrs = Vec::new();
    let (derive, stored) = match aggregate.snapshot {
        Some(snapshot) if aggregate.fields.is_empty() => (moved(&derive, at(snapshot.span)), TokenStream::new()),
        Some(snapshot) => (moved(&derive, at(snapshot.span)), snapshot_checks(aggregate)),
        None => (derive, TokenStream::new()),
    };
    let structure = quote!(#stored #derive #(#attrs)* #serde #item);
    if !aggregate.item.generics.params.is_empty() {
        return structure;
    }
    let events = distinct(&aggregate.events);
    let enumeration = enumeration(aggregate, &events);
    if aggregate.id.is_none() {
        return quote!(#structure #enumeration);
    }
    let own = own(aggregate, &events);
    let shape = shape::render(&aggregate.ident, &Stored::all(&aggregate.fields, &aggregate.item.attrs));
    let (union, each) = (union(aggregate, &events), events.iter().map(|event| listed(aggregate, event)));
    let checks = if broken { TokenStream::new() } else { checks(aggregate, &events) };
    let marker = if broken { TokenStream::new() } else { marker(aggregate) };
    let impls = block(&aggregate.runtime, &quote!(#own #shape #union #(#each)* #checks));
    quote!(#structure #enumeration #marker #impls)
}

/// Two entries of one name are reported; the first stays.
fn distinct(events: &[Listed]) -> Vec<&Listed> {
    let mut kept: Vec<&Listed> = Vec::new();
    for event in events {
        let again =
            |earlier: &&&Listed| earlier.variant == event.variant && earlier.cfgs.is_empty() && event.cfgs.is_empty();
        if !kept.iter().any(|earlier| again(&earlier)) {
            kept.push(event);
        }
    }
    kept
}

fn enumeration(aggregate: &Aggregate, events: &[&Listed]) -> TokenStream {
    let (vis, ident, name) = (&aggregate.item.vis, &aggregate.event, types::text(&aggregate.ident));
    let variants = events.iter().map(|event| {
        let Listed { cfgs, docs, path, variant, .. } = event;
        let text = format!("[`{}`].", types::text(path));
        let docs = if docs.is_empty() { quote!(#[doc = #text]) } else { quote!(#(#docs)*) };
        quote!(#(#cfgs)* #docs #variant(#path))
    });
    let text = format!("An event of [`{name}`].");
    quote! {
        #[doc = #text]
        #[allow(clippy::large_enum_variant, private_interfaces)]
        #vis enum #ident {
            #(#variants),*
        }
    }
}

fn own(aggregate: &Aggregate, events: &[&Listed]) -> TokenStream {
    let Some(id) = &aggregate.id else { return TokenStream::new() };
    let (ident, event) = (&aggregate.ident, &aggregate.event);
    let name = aggregate.name.as_ref().map(syn::LitStr::value).unwrap_or_default();
    let id_check = quote_spanned!(at(first_span(id))=> const _: () = __es::require_id::<#id>(););
    let id = quote_spanned! {at(first_span(id))=>
        type Id = #id;
        const ID_IS_EXACT: bool = __es::Probe::<#id>::ID_IS_EXACT;
    };
    let snapshot = aggregate.snapshot.map(snapshot);
    let descriptors = events.iter().map(|listed| {
        let (cfgs, path, text) = (&listed.cfgs, &listed.path, listed.type_name());
        quote_spanned!(at(listed.span)=> #(#cfgs)* __es::event(__es::Event::<#path>::PARTS, #text, __es::Fits::<Self, #path>::CREATES))
    });
    let arms = events.iter().map(|listed| {
        let Listed { cfgs, path, variant, .. } = listed;
        quote_spanned!(at(listed.span)=> #(#cfgs)* #event::#variant(event) => <Self as __es::Apply<#path>>::apply(state, event))
    });
    let arms = if events.is_empty() { quote!(_ => __es::broken()) } else { quote!(#(#arms),*) };
    quote_spanned! {at(ident.span())=>
        #id_check
        #[automatically_derived]
        impl __es::Aggregate for #ident {
            const NAME: &'static str = #name;
            #id
            type Event = #event;
            const EVENTS: &'static [__es::EventDescriptor] = &[#(#descriptors),*];
            #snapshot
            fn apply(
                state: __es::Option<&mut Self>,
                event: &#event,
            ) -> __es::Result<__es::Option<Self>, __es::CannotApply> {
                match event { #arms }
            }
        }
    }
}

fn snapshot(snapshot: Snapshot) -> TokenStream {
    let every = proc_macro2::Literal::u64_unsuffixed(snapshot.every);
    let version = snapshot.version.map(proc_macro2::Literal::u64_unsuffixed);
    let version = version.map_or_else(|| quote!(__es::Option::None), |version| quote!(__es::Option::Some(#version)));
    quote_spanned! {at(snapshot.span)=>
        const SNAPSHOT: __es::Option<__es::SnapshotPolicy<Self>> =
            __es::Option::Some(__es::SnapshotPolicy::new(#every, #version, SHAPE.fidelity()));
    }
}

/// A stored state is written and read field by field: a field that cannot be is told at its type. This goes before the
/// struct, so that it comes before what serde says of the same field.
fn snapshot_checks(aggregate: &Aggregate) -> TokenStream {
    let checks = aggregate.fields.iter().map(|field| {
        let (cfgs, ty) = (&field.cfgs, &field.ty);
        quote_spanned!(at(first_span(ty))=> #(#cfgs)* const _: () = __es::snapshot_field::<#ty>();)
    });
    block(&aggregate.runtime, &quote!(#(#checks)*))
}

/// The enum's impls. All but decoding goes through one match to the event inside.
fn union(aggregate: &Aggregate, events: &[&Listed]) -> TokenStream {
    let event = &aggregate.event;
    let arms = events.iter().map(|listed| {
        let Listed { cfgs, path, variant, .. } = listed;
        let text = variant.unraw().to_string();
        quote_spanned!(at(listed.span)=> #(#cfgs)* Self::#variant(event) => __es::Event::<#path>::erase(#text, event))
    });
    let clones = events.iter().map(|listed| {
        let Listed { cfgs, path, variant, .. } = listed;
        quote_spanned!(at(listed.span)=> #(#cfgs)* Self::#variant(event) => Self::#variant(__es::Event::<#path>::cloned(event)))
    });
    let clones = if events.is_empty() { quote!(_ => __es::broken()) } else { quote!(#(#clones),*) };
    let arms = if events.is_empty() { quote!(_ => __es::broken()) } else { quote!(#(#arms),*) };
    let decode = events.iter().map(|listed| {
        let Listed { cfgs, path, variant, .. } = listed;
        quote_spanned! {at(listed.span)=>
            #(#cfgs)*
            __es::Event::<#path>::NAME => __es::Event::<#path>::decode(version, body).map(Self::#variant)
        }
    });
    let aggregate = &aggregate.ident;
    quote! {
        #[automatically_derived]
        impl __es::AnyOf for #event {
            fn inner(&self) -> (&'static str, &dyn __es::ErasedEvent) {
                match self { #arms }
            }
        }
        #[automatically_derived]
        impl ::core::fmt::Debug for #event {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                __es::debug_event(self, f)
            }
        }
        #[automatically_derived]
        impl ::core::clone::Clone for #event {
            fn clone(&self) -> Self {
                match self { #clones }
            }
        }
        #[automatically_derived]
        impl ::core::cmp::PartialEq for #event {
            fn eq(&self, other: &Self) -> bool {
                __es::same_event(self, other)
            }
        }
        #[automatically_derived]
        impl __es::AggregateEvent for #event {
            fn name(&self) -> &'static str {
                __es::AnyOf::inner(self).1.name()
            }
            fn schema_version(&self) -> u32 {
                __es::AnyOf::inner(self).1.schema_version()
            }
            fn encode(&self, into: &mut __es::Vec<u8>) -> __es::Result<(), __es::serde_json::Error> {
                __es::AnyOf::inner(self).1.encode(into)
            }
            fn claims(&self, claims: &mut __es::Vec<__es::Claim>) -> __es::Result<(), __es::serde_json::Error> {
                __es::AnyOf::inner(self).1.claims(claims)
            }
            fn claim_rules(&self) -> &'static [__es::ClaimRule] {
                __es::AnyOf::inner(self).1.claim_rules()
            }
            fn decode(name: &str, version: u32, body: &[u8]) -> __es::Result<Self, __es::DecodeError> {
                match name {
                    #(#decode,)*
                    other => __es::Result::Err(__es::unknown_event(other)),
                }
            }
        }
        #[automatically_derived]
        impl __es::IntoEvents<#aggregate> for #event {
            type Error = __es::Infallible;
            fn into_events(self, events: &mut __es::Vec<#event>) -> __es::Result<(), __es::Infallible> {
                __es::push(events, self)
            }
        }
    }
}

/// What each listed event gets.
fn listed(aggregate: &Aggregate, listed: &Listed) -> TokenStream {
    let (ident, event) = (&aggregate.ident, &aggregate.event);
    let Listed { cfgs, path, variant, .. } = listed;
    quote_spanned! {at(listed.span)=>
        #(#cfgs)*
        #[automatically_derived]
        impl __es::EventOf<#ident> for #path {
            fn into_event(self) -> #event {
                #event::#variant(self)
            }
        }
        #(#cfgs)*
        #[automatically_derived]
        impl __es::From<#path> for #event {
            fn from(event: #path) -> Self {
                Self::#variant(event)
            }
        }
        #(#cfgs)*
        #[automatically_derived]
        impl __es::IntoEvents<#ident> for #path {
            type Error = __es::Infallible;
            fn into_events(self, events: &mut __es::Vec<#event>) -> __es::Result<(), __es::Infallible> {
                __es::push(events, #event::#variant(self))
            }
        }
    }
}

/// What only the compiler knows: stored names are unique, and some event creates.
fn checks(aggregate: &Aggregate, events: &[&Listed]) -> TokenStream {
    let ident = &aggregate.ident;
    let unique = events.iter().enumerate().skip(1).map(|(index, listed)| {
        let cfgs = &listed.cfgs;
        let index = proc_macro2::Literal::usize_unsuffixed(index);
        quote_spanned!(at(listed.span)=> #(#cfgs)* const _: () = __es::unique_event::<#ident>(#index);)
    });
    let nothing = texts::nothing_creates(&ident.unraw().to_string()).to_string();
    quote_spanned! {at(aggregate.events_span)=>
        #(#unique)*
        const _: () = ::core::assert!(__es::something_creates::<#ident>(), #nothing);
    }
}

/// An aggregate in no domain is an error at its own name: only `domain!` reads this constant.
fn marker(aggregate: &Aggregate) -> TokenStream {
    let ident = &aggregate.ident;
    quote_spanned! {ident.span()=>
        #[doc(hidden)]
        impl #ident {
            #[deny(dead_code)]
            pub(crate) const AGGREGATE_IS_NOT_LISTED_IN_A_DOMAIN: () = ();
        }
    }
}
