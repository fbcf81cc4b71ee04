//! `#[command]`.

use proc_macro2::TokenStream;
use quote::{ToTokens as _, quote, quote_spanned};

use crate::check;
use crate::diagnostics::Diagnostics;
use crate::model::at;
use crate::model::command::Command;

use super::event::stand_in_serde;
use super::{block, derives, first_span, moved};

pub(crate) fn expand(options: TokenStream, tokens: &TokenStream) -> TokenStream {
    let mut diagnostics = Diagnostics::default();
    let Some(command) = Command::read(options, tokens, &mut diagnostics) else {
        let errors = diagnostics.into_tokens();
        return quote!(#tokens #errors);
    };
    check::command::check(&command, &mut diagnostics);
    let rendered = if diagnostics.has_errors() { stand_in(&command) } else { render(&command) };
    let reports = diagnostics.into_tokens();
    quote!(#rendered #reports)
}

fn render(command: &Command) -> TokenStream {
    let wanted = ["Debug", "Clone", "Serialize", "Deserialize"];
    let (derive, serde) = derives(&command.runtime, &wanted, &command.derived);
    // What garde's derive cannot find, because the crate does not depend on `garde`, is told at the option.
    let rules =
        command.validate.filter(|_| !command.derived.iter().any(|derived| derived == "Validate")).map(|place| {
            let path = moved(&command.runtime, at(place));
            quote_spanned!(at(place)=> #[derive(#path::__private::garde::Validate)])
        });
    let unchecked = command.validate.map(|_| quote!(#[garde(allow_unvalidated)]));
    let attrs = &command.item.attrs;
    let mut item = command.item.clone();
    item.attrs = Vec::new();
    let marker = marker(command);
    let impls = block(&command.runtime, &own(command));
    quote!(#derive #rules #(#attrs)* #serde #unchecked #item #marker #impls)
}

fn own(command: &Command) -> TokenStream {
    let (Some(aggregate), Some(id)) = (&command.aggregate, command.ids.first()) else { return TokenStream::new() };
    let (ident, name) = (&command.ident, &command.name);
    let field = &id.ident;
    let id = quote_spanned!(at(first_span(&id.ty))=> &self.#field);
    let place = at(first_span(aggregate));
    let aggregate = quote_spanned!(place=> type Aggregate = #aggregate;);
    let validate = command.validate.map(|_| {
        quote! {
            fn validate(&self) -> __es::Result<(), __es::ValidationErrors> {
                __es::validate(self)
            }
        }
    });
    let signature = quote_spanned!(place=> fn id(&self) -> &<Self::Aggregate as __es::Aggregate>::Id);
    quote_spanned! {at(ident.span())=>
        #[automatically_derived]
        impl __es::Command for #ident {
            #aggregate
            const NAME: &'static str = #name;
            #signature { #id }
            #validate
        }
    }
}

/// A command in no domain is an error at its own name: only `domain!` reads this constant. All of it carries the user's
/// place, because rustc does not warn about code of a foreign macro.
fn marker(command: &Command) -> TokenStream {
    let ident = &command.ident;
    quote_spanned! {ident.span()=>
        #[doc(hidden)]
        impl #ident {
            #[deny(dead_code)]
            pub(crate) const COMMAND_IS_NOT_LISTED_IN_A_DOMAIN: () = ();
        }
    }
}

fn stand_in(command: &Command) -> TokenStream {
    let (derive, _) = derives(&command.runtime, &["Debug", "Clone"], &command.derived);
    let mut item = command.item.clone();
    for field in &mut item.fields {
        field.attrs.retain(foreign);
    }
    item.attrs.retain(foreign);
    let (ident, name) = (&command.ident, &command.name);
    let (impl_generics, ty_generics, _) = command.item.generics.split_for_impl();
    let parameters = &command.item.generics.params;
    let serde = stand_in_serde(&quote!(#ident #ty_generics), &parameters.to_token_stream(), &command.derived);
    let bounds = if parameters.is_empty() { TokenStream::new() } else { quote!(where Self: __es::Sendable) };
    let own = command.aggregate.as_ref().map(|aggregate| {
        quote! {
            #[automatically_derived]
            impl #impl_generics __es::Command for #ident #ty_generics #bounds {
                type Aggregate = #aggregate;
                const NAME: &'static str = #name;
                fn id(&self) -> &<Self::Aggregate as __es::Aggregate>::Id { __es::broken() }
            }
        }
    });
    let impls = block(&command.runtime, &quote!(#serde #own));
    quote!(#derive #item #impls)
}

/// Tells whether an attribute belongs to no derive that a stand-in leaves out.
fn foreign(attribute: &syn::Attribute) -> bool {
    !attribute.path().is_ident("serde") && !attribute.path().is_ident("garde")
}
