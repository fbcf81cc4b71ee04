//! `#[aggregate]` on an impl block.

use proc_macro2::{Literal, TokenStream};
use quote::{quote, quote_spanned};
use syn::Type;
use syn::ext::IdentExt as _;

use crate::diagnostics::{Diagnostics, texts};
use crate::model::at;
use crate::model::behaviour::{ApplyFn, Behaviour, PureHandler, Shape};
use crate::syntax::types;

use super::{block, first_span};

pub(crate) fn expand(options: TokenStream, tokens: &TokenStream) -> TokenStream {
    let mut diagnostics = Diagnostics::default();
    let Some(behaviour) = Behaviour::read(options, tokens, &mut diagnostics) else {
        let errors = diagnostics.into_tokens();
        return quote!(#tokens #errors);
    };
    let impl_block = &behaviour.block;
    let impls = if impl_block.generics.params.is_empty() { impls(&behaviour) } else { TokenStream::new() };
    let reports = diagnostics.into_tokens();
    quote!(#impl_block #impls #reports)
}

fn impls(behaviour: &Behaviour) -> TokenStream {
    let this = &behaviour.block.self_ty;
    let applies = behaviour.applies.iter().map(|function| apply(this, function));
    let handlers = behaviour.handlers.iter().map(|handler| {
        let (decides, handles) = (decides(this, handler), handles(this, handler));
        let check = if handler.broken { TokenStream::new() } else { decision_check(this, handler) };
        quote!(#decides #handles #check)
    });
    block(&behaviour.runtime, &quote!(#(#applies)* #(#handlers)*))
}

fn apply(this: &Type, function: &ApplyFn) -> TokenStream {
    let ApplyFn { cfgs, ident, event, creates, broken } = function;
    let call = match (broken, creates) {
        (true, _) => quote!({
            let _ = (state, event);
            __es::broken()
        }),
        (false, true) => quote_spanned!(at(ident.span())=> __es::apply_create(state, event, Self::#ident)),
        (false, false) => quote_spanned!(at(ident.span())=> __es::apply_change(state, event, Self::#ident)),
    };
    quote_spanned! {at(first_span(event))=>
        #(#cfgs)*
        #[automatically_derived]
        #[diagnostic::do_not_recommend]
        impl __es::Apply<#event> for #this {
            const CREATES: bool = #creates;
            fn apply(
                state: __es::Option<&mut Self>,
                event: &#event,
            ) -> __es::Result<__es::Option<Self>, __es::CannotApply> {
                #call
            }
        }
    }
}

fn decides(this: &Type, handler: &PureHandler) -> TokenStream {
    let PureHandler { cfgs, ident, command, shape, context, output, broken, .. } = handler;
    let error = if *broken {
        quote!(
            type Error = __es::Infallible;
        )
    } else {
        quote_spanned!(at(first_span(output))=> type Error = <#output as __es::IntoEvents<#this>>::Error;)
    };
    let context = context.as_ref().map(|ty| quote_spanned!(at(first_span(ty))=> , context));
    let name = at(ident.span());
    let call = match (broken, shape) {
        (true, _) => quote!(__es::broken()),
        (_, Shape::Creates) => quote_spanned!(name=> __es::creates(state, events, || Self::#ident(command #context))),
        (_, Shape::Changes) => {
            quote_spanned!(name=> __es::changes(state, events, |state| Self::#ident(state, command #context)))
        }
        (_, Shape::Either) => {
            quote_spanned!(name=> __es::either(state, events, |state| Self::#ident(state, command #context)))
        }
    };
    quote_spanned! {at(first_span(command))=>
        #(#cfgs)*
        #[automatically_derived]
        #[diagnostic::do_not_recommend]
        impl __es::Decides<#command> for #this {
            #error
            #[allow(unused_variables)]
            fn decide(
                state: __es::Option<&Self>,
                command: #command,
                context: &__es::Context,
                events: &mut __es::Vec<<Self as __es::Aggregate>::Event>,
            ) -> __es::Result<(), __es::Rejection<<Self as __es::Decides<#command>>::Error>> {
                #call
            }
        }
    }
}

fn handles(this: &Type, handler: &PureHandler) -> TokenStream {
    let PureHandler { cfgs, ident, command, shape, retries, .. } = handler;
    let name = ident.unraw().to_string();
    let shape = match shape {
        Shape::Creates => quote!(Creates),
        Shape::Changes => quote!(Changes),
        Shape::Either => quote!(Either),
    };
    let retries = retries.map(|retries| {
        let retries = Literal::u64_unsuffixed(retries);
        quote!(.retries(#retries))
    });
    quote_spanned! {at(first_span(command))=>
        #(#cfgs)*
        #[automatically_derived]
        #[diagnostic::do_not_recommend]
        impl __es::Handles<#command> for #this {
            type Output = ();
            type Error = <Self as __es::Decides<#command>>::Error;
            const HANDLER: __es::HandlerDescriptor =
                __es::HandlerDescriptor::new(#name, __es::HandlerShape::#shape)#retries;
            fn handle(
                root: __es::Root<Self>,
                command: #command,
                _: &__es::Scope,
            ) -> impl __es::Future<Output = __es::Handled<Self, (), <Self as __es::Handles<#command>>::Error>> + __es::Send
            {
                __es::decided(root, command)
            }
        }
    }
}

/// A handler that creates returns a creating event first, one that changes a changing event. Seen where the return type
/// names an event; anything else is left to the check before each append.
fn decision_check(this: &Type, handler: &PureHandler) -> TokenStream {
    let Some(event) = first_event(&handler.output) else { return TokenStream::new() };
    let (cfgs, aggregate, text) = (&handler.cfgs, types::text(this), types::text(event));
    let (answer, message) = match handler.shape {
        Shape::Creates => (quote!(CREATES), texts::creating_decides_change(&text, &aggregate)),
        Shape::Changes => (quote!(CHANGES), texts::changing_decides_creation(&text, &aggregate)),
        Shape::Either => return TokenStream::new(),
    };
    let message = message.to_string();
    quote_spanned! {at(first_span(event))=>
        #(#cfgs)*
        const _: () = {
            use __es::FitsFallback as _;
            ::core::assert!(__es::Fits::<#this, #event>::#answer, #message);
        };
    }
}

/// The first event that a return type names, through `Result`, `Option`, `Vec`, arrays and tuples.
fn first_event(ty: &Type) -> Option<&Type> {
    match types::plain(ty) {
        Type::Array(array) => first_event(&array.elem),
        Type::Tuple(tuple) => first_event(tuple.elems.first()?),
        path @ Type::Path(_) => {
            let name = types::last_segment(path)?.ident.to_string();
            let inner = types::type_arguments(path).first().copied();
            match name.as_str() {
                "Result" | "Option" | "Vec" => first_event(inner?),
                "Self" => None,
                _ => Some(path),
            }
        }
        _ => None,
    }
}
