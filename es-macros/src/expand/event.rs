//! `#[domain_event]`.

use proc_macro2::TokenStream;
use quote::{ToTokens as _, quote, quote_spanned};
use syn::Fields;
use syn::ext::IdentExt as _;

use crate::check;
use crate::diagnostics::{Diagnostics, texts};
use crate::model::event::{Claim, Event};
use crate::model::stored::Stored;
use crate::model::{Field, at};
use crate::syntax::{attributes, types};

use super::{block, derives, first_span, shape};

pub(crate) fn expand(options: TokenStream, tokens: &TokenStream) -> TokenStream {
    let mut diagnostics = Diagnostics::default();
    let Some(event) = Event::read(options, tokens, &mut diagnostics) else {
        let errors = diagnostics.into_tokens();
        return quote!(#tokens #errors);
    };
    check::event::check(&event, &mut diagnostics);
    let rendered = if diagnostics.has_errors() { stand_in(&event) } else { render(&event) };
    let reports = diagnostics.into_tokens();
    quote!(#rendered #reports)
}

fn render(event: &Event) -> TokenStream {
    let is_unit = matches!(event.item.fields, Fields::Unit);
    let wanted: &[&str] = if is_unit {
        &["Debug", "Clone", "PartialEq"]
    } else {
        &["Debug", "Clone", "PartialEq", "Serialize", "Deserialize"]
    };
    let (derive, serde) = derives(&event.runtime, wanted, &event.derived);
    let attrs = &event.item.attrs;
    let mut item = event.item.clone();
    item.attrs = Vec::new();
    let unit = if is_unit { unit_serde(event) } else { TokenStream::new() };
    let (own, shape) = (domain_event(event), shape::render(&event.ident, &stored(event)));
    let raw = event.upcast.is_none() && event.version > 1;
    let checks = event.fields.iter().map(|field| field_check(field, raw));
    let upcast = upcast_check(event);
    let impls = block(&event.runtime, &quote!(#upcast #unit #own #shape));
    // Before the struct, so that what they say comes before what serde says of the same field.
    let checks = if event.fields.is_empty() { TokenStream::new() } else { block(&event.runtime, &quote!(#(#checks)*)) };
    quote!(#checks #derive #(#attrs)* #serde #item #impls)
}

/// The fields as they are stored. A claim is part of it: keys are held for what is stored.
fn stored(event: &Event) -> Vec<Stored> {
    let mut fields = Stored::all(&event.fields, &event.item.attrs);
    for Claim { field, set, release, .. } in &event.claims {
        let word = if *release { "release" } else { "claim" };
        if let Some(stored) = fields.iter_mut().find(|stored| stored.field.ident.as_ref() == Some(field)) {
            stored.notes.push(format!("{word} \"{}\"", set.value()));
        }
    }
    fields
}

/// A unit struct is stored as `{}`, so that a field which is added later can be upcast.
fn unit_serde(event: &Event) -> TokenStream {
    let ident = &event.ident;
    let has = |name: &str| event.derived.iter().any(|derived| derived == name);
    let serialize = quote! {
        #[automatically_derived]
        impl __es::serde::Serialize for #ident {
            fn serialize<S: __es::serde::Serializer>(&self, serializer: S) -> __es::Result<S::Ok, S::Error> {
                __es::serialize_unit(serializer)
            }
        }
    };
    let deserialize = quote! {
        #[automatically_derived]
        impl<'de> __es::serde::Deserialize<'de> for #ident {
            fn deserialize<D: __es::serde::Deserializer<'de>>(deserializer: D) -> __es::Result<Self, D::Error> {
                __es::deserialize_unit(deserializer, Self)
            }
        }
    };
    let serialize = if has("Serialize") { TokenStream::new() } else { serialize };
    let deserialize = if has("Deserialize") { TokenStream::new() } else { deserialize };
    quote!(#serialize #deserialize)
}

fn domain_event(event: &Event) -> TokenStream {
    let (ident, name) = (&event.ident, &event.name);
    let version = proc_macro2::Literal::u64_unsuffixed(event.version);
    let upcast = upcast(event);
    let claims = claims(&event.claims);
    let span = at(ident.span());
    quote_spanned! {span=>
        #[automatically_derived]
        impl __es::DomainEvent for #ident {
            const NAME: &'static str = #name;
            const VERSION: u32 = #version;
            const FIDELITY: __es::Fidelity = SHAPE.fidelity();
            #upcast
            #claims
        }
    }
}

/// Decoding of older versions: through the old type, or through the raw upcasters of every version before.
fn upcast(event: &Event) -> TokenStream {
    let body = match &event.upcast {
        Some(old) => {
            let call = quote_spanned!(at(first_span(old))=> __es::upcast_typed::<#old, Self>);
            quote!(#call(version, body, __es::Event::<#old>::decode))
        }
        None if event.version > 1 => {
            let span = event.version_span.map_or_else(proc_macro2::Span::call_site, at);
            let steps = (1..event.version).map(|step| {
                let step = proc_macro2::Literal::u64_unsuffixed(step);
                quote_spanned!(span=> __es::raw_step::<Self, #step>())
            });
            quote!(__es::upcast_raw::<Self>(version, body, &[#(#steps),*]))
        }
        None => return TokenStream::new(),
    };
    quote! {
        fn upcast(version: u32, body: &[u8]) -> __es::Result<Self, __es::DecodeError> {
            #body
        }
    }
}

fn claims(claims: &[Claim]) -> TokenStream {
    if claims.is_empty() {
        return TokenStream::new();
    }
    let rules = claims.iter().map(|Claim { field, cfgs, set, release }| {
        let name = field.unraw().to_string();
        quote!(#(#cfgs)* __es::claim_rule(#set, #name, #release))
    });
    let claims = claims.iter().map(
        |Claim { field, cfgs, set, release }| quote!(#(#cfgs)* __es::claim(claims, #set, &self.#field, #release)?;),
    );
    quote! {
        const CLAIMS: &'static [__es::ClaimRule] = &[#(#rules),*];
        fn claims(&self, claims: &mut __es::Vec<__es::Claim>) -> __es::Result<(), __es::serde_json::Error> {
            #(#claims)*
            __es::Result::Ok(())
        }
    }
}

/// What only the compiler knows about a field: whether its type can be stored, and whether an alias hides local time; and
/// whether it fits the JSON value that raw upcasters take and return.
fn field_check(field: &Field, raw: bool) -> TokenStream {
    let (cfgs, ty) = (&field.cfgs, &field.ty);
    let text = types::text(ty);
    let raw = raw.then(|| {
        quote_spanned! {at(first_span(ty))=>
            #(#cfgs)*
            const _: () = __es::raw_upcast_field(__es::Probe::<#ty>::FIDELITY, #text);
        }
    });
    quote_spanned! {at(first_span(ty))=>
        #(#cfgs)*
        const _: () = __es::event_field::<#ty>(__es::Probe::<#ty>::IS_LOCAL_TIME, #text);
        #raw
    }
}

/// The old type is the version before of the same event.
fn upcast_check(event: &Event) -> TokenStream {
    let Some(old) = &event.upcast else { return TokenStream::new() };
    let new = &event.ident;
    let (old_text, new_text) = (types::text(old), types::text(new));
    let other_name = texts::upcast_other_name(&old_text, &new_text, &event.name).to_string();
    let other_version = texts::upcast_other_version(&old_text, &new_text, event.version).to_string();
    quote_spanned! {at(first_span(old))=>
        const _: () = {
            ::core::assert!(
                __es::same_text(<#old as __es::DomainEvent>::NAME, <#new as __es::DomainEvent>::NAME),
                #other_name
            );
            ::core::assert!(<#old as __es::DomainEvent>::VERSION + 1 == <#new as __es::DomainEvent>::VERSION, #other_version);
        };
    }
}

/// The struct with impls that promise everything and do nothing: the only errors are then those that were reported.
fn stand_in(event: &Event) -> TokenStream {
    let (derive, _) = derives(&event.runtime, &["Debug", "Clone", "PartialEq"], &event.derived);
    let mut item = event.item.clone();
    for field in &mut item.fields {
        attributes::without_serde(&mut field.attrs);
    }
    attributes::without_serde(&mut item.attrs);
    let (ident, name) = (&event.ident, &event.name);
    let (impl_generics, ty_generics, _) = event.item.generics.split_for_impl();
    let parameters = &event.item.generics.params;
    let serde = stand_in_serde(&quote!(#ident #ty_generics), &parameters.to_token_stream(), &event.derived);
    let bounds = if parameters.is_empty() { TokenStream::new() } else { quote!(where Self: __es::Stored) };
    let impls = block(
        &event.runtime,
        &quote! {
            #serde
            #[automatically_derived]
            impl #impl_generics __es::HasShape for #ident #ty_generics {
                fn shape() -> &'static __es::Shape { __es::broken() }
            }
            #[automatically_derived]
            impl #impl_generics __es::DomainEvent for #ident #ty_generics #bounds {
                const NAME: &'static str = #name;
                const VERSION: u32 = 1;
            }
        },
    );
    quote!(#derive #item #impls)
}

/// Serde impls that do nothing, unless the user derives them.
pub(super) fn stand_in_serde(ty: &TokenStream, parameters: &TokenStream, derived: &[String]) -> TokenStream {
    let has = |name: &str| derived.iter().any(|known| known == name);
    let serialize = quote! {
        #[automatically_derived]
        impl<#parameters> __es::serde::Serialize for #ty {
            fn serialize<S: __es::serde::Serializer>(&self, _: S) -> __es::Result<S::Ok, S::Error> { __es::broken() }
        }
    };
    let comma = if parameters.is_empty() { quote!() } else { quote!(,) };
    let deserialize = quote! {
        #[automatically_derived]
        impl<'de #comma #parameters> __es::serde::Deserialize<'de> for #ty {
            fn deserialize<D: __es::serde::Deserializer<'de>>(_: D) -> __es::Result<Self, D::Error> { __es::broken() }
        }
    };
    let serialize = if has("Serialize") { TokenStream::new() } else { serialize };
    let deserialize = if has("Deserialize") { TokenStream::new() } else { deserialize };
    quote!(#serialize #deserialize)
}
