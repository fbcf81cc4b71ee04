//! `#[aggregate]` on an impl block.

use proc_macro2::{Literal, TokenStream};
use quote::{quote, quote_spanned};
use syn::Type;
use syn::ext::IdentExt as _;

use crate::diagnostics::{Diagnostics, texts};
use crate::model::at;
use crate::model::behaviour::{ApplyFn, Behaviour, PureHandler, Shape};
use crate::syntax::types;

use super::{block, first_span, moved};

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
        (false, true) => {
            quote_spanned!(at(ident.span())=> __es::apply_create(state, event, __es::Event::<#event>::NAME, Self::#ident))
        }
        (false, false) => {
            quote_spanned!(at(ident.span())=> __es::apply_change(state, event, __es::Event::<#event>::NAME, Self::#ident))
        }
    };
    quote_spanned! {at(first_span(event))=>
        #(#cfgs)*
        #[automatically_derived]
        impl __es::Apply<#event> for #this {
            const CREATES: bool = #creates;
            fn apply(
                state: __es::Option<&mut Self>,
                event: &#event,
            ) -> __es::Result<__es::Option<Self>, __es::CannotApply> {
                #call
            }
        }
        #(#cfgs)*
        const _: () = __es::require_listed::<#event, #this>();
    }
}

fn decides(this: &Type, handler: &PureHandler) -> TokenStream {
    let PureHandler { cfgs, ident, command, shape, context, output, broken, .. } = handler;
    let place = at(first_span(output));
    let (name, moved_command, output) = (at(ident.span()), moved(command, place), moved(output, place));
    let error = if *broken {
        quote!(__es::Infallible)
    } else {
        quote_spanned!(place=> <#output as __es::IntoEvents<#this>>::Error)
    };
    let context = context.as_ref().map(|ty| quote_spanned!(at(first_span(ty))=> , context));
    let (ask, state) = match shape {
        Shape::Creates => (quote_spanned!(place=> __es::absent(state)?;), TokenStream::new()),
        Shape::Changes => (quote_spanned!(place=> let state = __es::existing(state)?;), quote!(state,)),
        Shape::Either => (TokenStream::new(), quote!(state,)),
    };
    let call = quote_spanned!(name=> Self::#ident(#state command #context));
    let body = if *broken {
        quote!(__es::broken())
    } else {
        quote_spanned! {place=>
            #ask
            <#output as __es::IntoEvents<#this>>::into_events(#call, events).map_err(__es::Rejection::Domain)
        }
    };
    let items = quote_spanned! {place=>
        type Error = #error;
        #[allow(unused_variables)]
        fn decide(
            state: __es::Option<&Self>,
            command: #moved_command,
            context: &__es::Context,
            events: &mut __es::Vec<<Self as __es::Aggregate>::Event>,
        ) -> __es::Result<(), __es::Rejection<#error>> {
            #body
        }
    };
    quote_spanned! {at(first_span(command))=>
        #(#cfgs)*
        #[automatically_derived]
        impl __es::Decides<#command> for #this { #items }
        #(#cfgs)*
        const _: () = __es::require_command::<#command, #this>();
    }
}

fn handles(this: &Type, handler: &PureHandler) -> TokenStream {
    let PureHandler { cfgs, ident, command, shape, retries, output, .. } = handler;
    let name = ident.unraw().to_string();
    let place = at(first_span(output));
    let moved_command = moved(command, place);
    let shape = match shape {
        Shape::Creates => quote!(Creates),
        Shape::Changes => quote!(Changes),
        Shape::Either => quote!(Either),
    };
    let retries = retries.map(|retries| {
        let retries = Literal::u64_unsuffixed(retries);
        quote!(.retries(#retries))
    });
    let items = quote_spanned! {place=>
        type Output = ();
        type Error = <Self as __es::Decides<#moved_command>>::Error;
        const HANDLER: __es::HandlerDescriptor =
            __es::HandlerDescriptor::new(#name, __es::HandlerShape::#shape)#retries;
        fn handle(
            root: __es::Root<Self>,
            command: #moved_command,
            _: &__es::Scope,
        ) -> impl __es::Future<Output = __es::Handled<Self, (), <Self as __es::Decides<#moved_command>>::Error>> + __es::Send
        {
            __es::decided(root, command)
        }
    };
    quote_spanned! {at(first_span(command))=>
        #(#cfgs)*
        #[automatically_derived]
        impl __es::Handles<#command> for #this { #items }
    }
}

/// A handler that creates returns a creating event first, one that changes a changing event, and one that does either may
/// not always return the same of the two. Seen where the return type names an event; anything else is left to the check
/// before each append.
fn decision_check(this: &Type, handler: &PureHandler) -> TokenStream {
    let output = &handler.output;
    let either = handler.shape == Shape::Either;
    let Some(event) = (if either { certain_event(output) } else { first_event(output) }) else {
        return TokenStream::new();
    };
    let (cfgs, aggregate, text) = (&handler.cfgs, types::text(this), types::text(event));
    let answers = match handler.shape {
        Shape::Creates => vec![(quote!(CREATES), texts::creating_decides_change(&text, &aggregate))],
        Shape::Changes => vec![(quote!(CHANGES), texts::changing_decides_creation(&text, &aggregate))],
        // Of an event both are answered only if it is not known which of them it does.
        Shape::Either => vec![
            (quote!(CHANGES), texts::either_decides_creation(&text, &aggregate)),
            (quote!(CREATES), texts::either_decides_change(&text, &aggregate)),
        ],
    };
    let checks = answers.into_iter().map(|(answer, message)| {
        let message = message.to_string();
        quote_spanned! {at(first_span(event))=>
            #(#cfgs)*
            const _: () = ::core::assert!(__es::Fits::<#this, #event>::#answer, #message);
        }
    });
    checks.collect()
}

/// The event that comes first whenever the handler returns: what may refuse, or have nothing to do, can tell the two states
/// apart.
fn certain_event(ty: &Type) -> Option<&Type> {
    match types::plain(ty) {
        Type::Array(array) => certain_event(&array.elem),
        Type::Tuple(tuple) => certain_event(tuple.elems.first()?),
        path @ Type::Path(_) => {
            let name = types::last_segment(path)?.ident.to_string();
            (!matches!(name.as_str(), "Result" | "Option" | "Vec" | "Self")).then_some(path)
        }
        _ => None,
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
