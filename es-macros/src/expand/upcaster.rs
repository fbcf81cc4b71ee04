//! `#[upcast]`.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};

use crate::check;
use crate::diagnostics::{Diagnostics, texts};
use crate::model::at;
use crate::model::upcaster::Upcaster;
use crate::syntax::types;

use super::{block, first_span};

pub(crate) fn expand(options: TokenStream, tokens: &TokenStream) -> TokenStream {
    let mut diagnostics = Diagnostics::default();
    let Some(upcaster) = Upcaster::read(options, tokens, &mut diagnostics) else {
        let errors = diagnostics.into_tokens();
        return quote!(#tokens #errors);
    };
    check::upcaster::check(&upcaster, &mut diagnostics);
    let impls = render(&upcaster, diagnostics.has_errors());
    let function = &upcaster.function;
    let reports = diagnostics.into_tokens();
    quote!(#function #impls #reports)
}

fn render(upcaster: &Upcaster, broken: bool) -> TokenStream {
    let (Some(event), Some(from)) = (&upcaster.event, &upcaster.from) else { return TokenStream::new() };
    let (cfgs, function) = (&upcaster.cfgs, &upcaster.function.sig.ident);
    let version = proc_macro2::Literal::u64_unsuffixed(from.value);
    let call = if broken {
        quote!(__es::broken())
    } else {
        let argument = upcaster
            .function
            .parameters()
            .first()
            .map_or_else(|| first_span(function), |parameter| first_span(&parameter.ty));
        let argument = quote_spanned!(at(argument)=> __old);
        quote_spanned!(at(function.span())=> #function(#argument))
    };
    let too_new = texts::upcast_too_new(&types::text(event), from.value).to_string();
    let check = quote_spanned! {at(from.span)=>
        const _: () = ::core::assert!(#version < __es::Event::<#event>::VERSION, #too_new);
    };
    let check = if broken { TokenStream::new() } else { check };
    let upcast = quote_spanned! {at(first_span(event))=>
        #[automatically_derived]
        impl __es::UpcastFrom<#version> for #event {
            fn upcast_json(__old: __es::serde_json::Value) -> __es::Result<__es::serde_json::Value, __es::UpcastError> {
                #call
            }
        }
    };
    let block = block(&upcaster.runtime, &quote!(#check #upcast));
    quote!(#(#cfgs)* #block)
}
