//! `#[command_handler]` on a free function.

use proc_macro2::{Literal, Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::Type;
use syn::ext::IdentExt as _;

use crate::diagnostics::Diagnostics;
use crate::model::at;
use crate::model::handler::{FreeHandler, HandlerSignature};
use crate::syntax::types;

use super::{block, first_span, moved};

pub(crate) fn expand(options: TokenStream, tokens: &TokenStream) -> TokenStream {
    let mut diagnostics = Diagnostics::default();
    let Some(handler) = FreeHandler::read(options, tokens, &mut diagnostics) else {
        let errors = diagnostics.into_tokens();
        return quote!(#tokens #errors);
    };
    let function = &handler.function;
    let impls = handler.signature.as_ref().map(|signature| {
        let broken = handler.broken || diagnostics.has_errors();
        let impls = if broken { stand_in(&handler, signature) } else { handles(&handler, signature) };
        block(&handler.runtime, &impls)
    });
    let cfgs = &handler.cfgs;
    let impls = impls.map(|impls| quote!(#(#cfgs)* #impls));
    let reports = diagnostics.into_tokens();
    quote!(#function #impls #reports)
}

fn handles(handler: &FreeHandler, signature: &HandlerSignature) -> TokenStream {
    let HandlerSignature { command, root, aggregate, arguments, output } = signature;
    let name = &handler.function.sig.ident;
    let descriptor = descriptor(handler, signature);
    let answer = at(first_span(output));
    let enter = quote_spanned!(at(first_span(root))=> <#root as __es::RootArg<#aggregate>>::enter);
    let names: Vec<_> =
        (1..=arguments.len()).map(|index| format_ident!("__a{index}", span = Span::mixed_site())).collect();
    let trait_ = if handler.queries.is_some() { quote!(QueryingArg) } else { quote!(HandlerArg) };
    let leave = quote_spanned!(at(first_span(root))=> <#root as __es::RootArg<#aggregate>>::leave);
    let takes = arguments.iter().zip(&names).map(|(ty, name)| {
        let take = quote_spanned!(at(first_span(ty))=> <#ty as __es::#trait_<'_>>::take(__scope));
        quote! {
            let #name = match #take {
                __es::Result::Ok(__argument) => __argument,
                __es::Result::Err(__error) => return __es::missing(#leave(__root), __error),
            };
        }
    });
    let call = quote_spanned!(at(name.span())=> #name(__command, &mut __root, #(#names),*).await);
    let (moved_command, output) = (moved(command, answer), moved(output, answer));
    let (output, error) = (
        quote_spanned!(answer=> <#output as __es::Answer>::Output),
        quote_spanned!(answer=> <#output as __es::Answer>::Error),
    );
    let items = quote_spanned! {answer=>
        type Output = #output;
        type Error = #error;
        const OUTPUT: __es::Fidelity = __es::Probe::<#output>::FIDELITY;
        #descriptor
        async fn handle(
            __root: __es::Root<Self>,
            __command: #moved_command,
            __scope: &__es::Scope,
        ) -> __es::Handled<Self, #output, #error> {
            let mut __root = match #enter(__root) {
                __es::Result::Ok(__root) => __root,
                __es::Result::Err((__root, __rejection)) => return (__root, __es::Result::Err(__rejection)),
            };
            #(#takes)*
            let __answer = #call;
            (#leave(__root), __es::answered(__answer))
        }
    };
    quote_spanned! {at(first_span(command))=>
        #[automatically_derived]
        impl __es::Handles<#command> for #aggregate { #items }
        const _: () = __es::require_command::<#command, #aggregate>();
    }
}

fn descriptor(handler: &FreeHandler, signature: &HandlerSignature) -> TokenStream {
    let name = handler.function.sig.ident.unraw().to_string();
    let retries = handler.retries.or_else(|| handler.takes_a_dependency().then_some(0)).map(|retries| {
        let retries = Literal::u64_unsuffixed(retries);
        quote!(.retries(#retries))
    });
    let queries = handler.queries.as_ref().map(|reason| quote!(.queries(#reason)));
    let dependencies = signature.arguments.iter().map(|ty| {
        let ty = with_static(ty);
        quote_spanned!(at(first_span(&ty))=> __es::Taken::<#ty>::DEPENDENCY)
    });
    let dependencies = (!signature.arguments.is_empty()).then(|| quote!(.dependencies(&[#(#dependencies),*])));
    quote! {
        const HANDLER: __es::HandlerDescriptor =
            __es::HandlerDescriptor::new(#name, __es::HandlerShape::Orchestrates)#retries #queries #dependencies;
    }
}

/// Writes `'static` where a reference has no lifetime: constants have none to give.
pub(super) fn with_static(ty: &Type) -> Type {
    match types::plain(ty) {
        Type::Reference(reference) => {
            let mut reference = reference.clone();
            reference.lifetime = Some(syn::Lifetime::new("'static", first_span(ty)));
            Type::Reference(reference)
        }
        other => other.clone(),
    }
}

/// An impl that promises everything and does nothing: the only errors are then those that were reported.
fn stand_in(handler: &FreeHandler, signature: &HandlerSignature) -> TokenStream {
    let HandlerSignature { command, aggregate, .. } = signature;
    let name = handler.function.sig.ident.unraw().to_string();
    quote! {
        #[automatically_derived]
        impl __es::Handles<#command> for #aggregate {
            type Output = ();
            type Error = __es::Infallible;
            const HANDLER: __es::HandlerDescriptor = __es::HandlerDescriptor::new(#name, __es::HandlerShape::Orchestrates);
            async fn handle(_: __es::Root<Self>, _: #command, _: &__es::Scope) -> __es::Handled<Self, (), __es::Infallible> {
                __es::broken()
            }
        }
    }
}
