//! `#[value_object]`.

use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens as _, format_ident, quote, quote_spanned};

use crate::check;
use crate::diagnostics::{Diagnostics, texts};
use crate::model::stored::Stored;
use crate::model::value::{Value, ValueImpl};
use crate::model::{Field, at};
use crate::syntax::impl_block::ImplItem;
use crate::syntax::{attributes, item, types};

use super::event::stand_in_serde;
use super::{block, derives, first_span, shape};

pub(crate) fn expand(options: TokenStream, tokens: &TokenStream) -> TokenStream {
    if item::is_impl(tokens) { expand_impl(options, tokens) } else { expand_struct(options, tokens) }
}

fn expand_struct(options: TokenStream, tokens: &TokenStream) -> TokenStream {
    let mut diagnostics = Diagnostics::default();
    let Some(value) = Value::read(options, tokens, &mut diagnostics) else {
        let errors = diagnostics.into_tokens();
        return quote!(#tokens #errors);
    };
    check::value::check(&value, &mut diagnostics);
    let rendered = if diagnostics.has_errors() { stand_in(&value) } else { render(&value) };
    let reports = diagnostics.into_tokens();
    quote!(#rendered #reports)
}

fn render(value: &Value) -> TokenStream {
    let mut wanted = vec!["Debug", "Clone", "PartialEq", "Eq", "Hash", "Serialize"];
    if value.validate.is_none() {
        wanted.push("Deserialize");
    }
    let (derive, serde) = derives(&value.runtime, &wanted, &value.derived);
    let transparent = value.is_tuple().then(|| quote!(#[serde(transparent)]));
    let attrs = &value.item.attrs;
    let mut item = value.item.clone();
    item.attrs = Vec::new();
    let deserialize = value.validate.map(|_| checked_deserialize(value));
    let (constructor, getters) = (constructor(value), getters(value));
    let (shape, as_ref) = (shape::render(&value.ident, &Stored::all(&value.fields, &value.item.attrs)), as_ref(value));
    let ident = &value.ident;
    let fidelity = quote! {
        #[automatically_derived]
        impl __es::HasFidelity for #ident {
            const FIDELITY: __es::Fidelity = SHAPE.fidelity();
        }
    };
    let impls =
        block(&value.runtime, &quote!(#deserialize #shape #fidelity #as_ref impl #ident { #constructor #getters }));
    quote!(#derive #(#attrs)* #serde #transparent #item #impls)
}

/// The name of a field as a parameter and as a getter.
fn accessor(field: &Field) -> Ident {
    field.ident.clone().unwrap_or_else(|| format_ident!("value", span = first_span(&field.ty)))
}

/// Puts the fields together from variables of their names.
fn build(value: &Value) -> TokenStream {
    let cfgs = value.fields.iter().map(|field| &field.cfgs);
    let names: Vec<Ident> = value.fields.iter().map(accessor).collect();
    if value.is_tuple() { quote!(Self(#(#names),*)) } else { quote!(Self { #(#(#cfgs)* #names),* }) }
}

fn constructor(value: &Value) -> TokenStream {
    let vis = &value.item.vis;
    let parameters = value.fields.iter().map(|field| {
        let (cfgs, name, ty) = (&field.cfgs, accessor(field), &field.ty);
        quote!(#(#cfgs)* #name: #ty)
    });
    let many = (value.fields.len() > 7).then(|| quote!(#[allow(clippy::too_many_arguments)]));
    let build = build(value);
    match value.validate {
        None => quote! {
            /// Makes the value from its parts.
            #[must_use]
            #many
            #vis const fn new(#(#parameters),*) -> Self {
                #build
            }
        },
        Some(span) => {
            quote_spanned! {at(span)=>
                /// Makes the value from its parts and checks it.
                ///
                /// # Errors
                ///
                /// What `validate` says.
                #many
                #vis fn new(#(#parameters),*) -> __es::Result<Self, <Self as __es::Validated>::Error> {
                    <Self as __es::Validated>::checked(#build)
                }
            }
        }
    }
}

fn getters(value: &Value) -> TokenStream {
    let vis = &value.item.vis;
    let getters = value.fields.iter().enumerate().map(|(index, field)| {
        let (cfgs, name, ty) = (&field.cfgs, accessor(field), &field.ty);
        let member = field.ident.clone().map_or_else(|| syn::Member::from(index), syn::Member::from);
        let text = format!("Gives the {}.", field.name().replace('0', "value").replace('_', " "));
        let docs = if field.docs.is_empty() {
            quote!(#[doc = #text])
        } else {
            let docs = &field.docs;
            quote!(#(#docs)*)
        };
        quote! {
            #(#cfgs)*
            #docs
            #[must_use]
            #vis const fn #name(&self) -> &#ty {
                &self.#member
            }
        }
    });
    quote!(#(#getters)*)
}

/// A value of one field can be looked through.
fn as_ref(value: &Value) -> TokenStream {
    let [field] = value.fields.as_slice() else { return TokenStream::new() };
    let (ident, ty) = (&value.ident, &field.ty);
    let member = field.ident.clone().map_or_else(|| syn::Member::from(0), syn::Member::from);
    quote! {
        #[automatically_derived]
        impl ::core::convert::AsRef<#ty> for #ident {
            fn as_ref(&self) -> &#ty {
                &self.#member
            }
        }
    }
}

/// What comes from outside goes through the same check: the parts are read first, then put together.
fn checked_deserialize(value: &Value) -> TokenStream {
    if value.derived.iter().any(|derived| derived == "Deserialize") {
        return TokenStream::new();
    }
    let (ident, runtime) = (&value.ident, &value.runtime);
    let name = types::text(ident);
    let serde = format!("{}::__private::serde", types::text(runtime));
    let attrs = value.item.attrs.iter().filter(|attribute| attribute.path().is_ident("serde"));
    let transparent = value.is_tuple().then(|| quote!(#[serde(transparent)]));
    let fields = value.fields.iter().map(|field| {
        let attrs = field.attrs.iter().filter(|a| a.path().is_ident("serde") || a.path().is_ident("cfg"));
        let (name, ty) = (&field.ident, &field.ty);
        let colon = name.as_ref().map(|_| quote!(:));
        quote!(#(#attrs)* #name #colon #ty)
    });
    let parts = if value.is_tuple() { quote!((#(#fields),*);) } else { quote!({ #(#fields),* }) };
    let members = value.fields.iter().enumerate().map(|(index, field)| {
        let member = field.ident.clone().map_or_else(|| syn::Member::from(index), syn::Member::from);
        let cfgs = &field.cfgs;
        quote!(#(#cfgs)* #member: parts.#member)
    });
    let deserialize = quote_spanned! {at(value.validate.unwrap_or_else(proc_macro2::Span::call_site))=>
        #[automatically_derived]
        impl<'de> __es::serde::Deserialize<'de> for #ident {
            fn deserialize<D: __es::serde::Deserializer<'de>>(deserializer: D) -> __es::Result<Self, D::Error> {
                let parts = <Parts as __es::serde::Deserialize>::deserialize(deserializer)?;
                <Self as __es::Validated>::deserialized(Self { #(#members),* })
            }
        }
    };
    quote! {
        #[derive(__es::serde::Deserialize)]
        #(#attrs)*
        #[serde(crate = #serde, rename = #name)]
        #transparent
        struct Parts #parts
        #deserialize
    }
}

fn stand_in(value: &Value) -> TokenStream {
    let (derive, _) = derives(&value.runtime, &["Clone"], &value.derived);
    let mut item = value.item.clone();
    for field in &mut item.fields {
        attributes::without_serde(&mut field.attrs);
    }
    attributes::without_serde(&mut item.attrs);
    let ident = &value.ident;
    let (impl_generics, ty_generics, _) = value.item.generics.split_for_impl();
    let parameters = &value.item.generics.params;
    let serde = stand_in_serde(&quote!(#ident #ty_generics), &parameters.to_token_stream(), &value.derived);
    let sound = parameters.is_empty() && !value.fields.is_empty() && (!value.is_tuple() || value.fields.len() == 1);
    let members = if sound {
        let constructor = if value.validate.is_none() { constructor(value) } else { TokenStream::new() };
        let getters = getters(value);
        quote!(impl #ident { #constructor #getters })
    } else {
        TokenStream::new()
    };
    let traits =
        ["Debug", "PartialEq", "Eq", "Hash"].iter().filter(|name| !value.derived.iter().any(|known| known == *name));
    let traits =
        traits.map(|name| stand_in_trait(name, &quote!(#ident #ty_generics), &impl_generics.to_token_stream()));
    let impls = block(&value.runtime, &quote!(#serde #(#traits)* #members));
    quote!(#derive #item #impls)
}

fn stand_in_trait(name: &str, ty: &TokenStream, generics: &TokenStream) -> TokenStream {
    match name {
        "Debug" => quote! {
            impl #generics ::core::fmt::Debug for #ty {
                fn fmt(&self, _: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result { __es::broken() }
            }
        },
        "PartialEq" => quote! {
            impl #generics ::core::cmp::PartialEq for #ty { fn eq(&self, _: &Self) -> bool { __es::broken() } }
        },
        "Eq" => quote!(impl #generics ::core::cmp::Eq for #ty {}),
        _ => quote! {
            impl #generics ::core::hash::Hash for #ty {
                fn hash<H: ::core::hash::Hasher>(&self, _: &mut H) { __es::broken() }
            }
        },
    }
}

fn expand_impl(options: TokenStream, tokens: &TokenStream) -> TokenStream {
    let mut diagnostics = Diagnostics::default();
    let Some(value) = ValueImpl::read(options, tokens, &mut diagnostics) else {
        let errors = diagnostics.into_tokens();
        return quote!(#tokens #errors);
    };
    check::value::check_impl(&value, &mut diagnostics);
    let validated = validated(&value, &mut diagnostics);
    let block = &value.block;
    let reports = diagnostics.into_tokens();
    quote!(#block #validated #reports)
}

/// A block with `validate` names the error that `new` returns.
fn validated(value: &ValueImpl, diagnostics: &mut Diagnostics) -> TokenStream {
    let mut functions = value.block.items.iter().filter_map(|item| match item {
        ImplItem::Function(function) if function.sig.ident == "validate" => Some(function),
        _ => None,
    });
    let Some(function) = functions.next() else { return TokenStream::new() };
    let output = types::returned(&function.sig.output);
    let (Some(output), Some(_), []) = (output, function.receiver(), function.parameters().as_slice()) else {
        diagnostics.error(&function.sig, texts::validate_form());
        let ty = &value.block.self_ty;
        return block(
            &value.runtime,
            &quote! {
                impl __es::Validated for #ty {
                    type Error = __es::Infallible;
                    fn check(&self) -> __es::Result<(), __es::Infallible> { __es::broken() }
                }
            },
        );
    };
    let ty = &value.block.self_ty;
    let name = &function.sig.ident;
    let call = quote_spanned!(at(name.span())=> Self::#name(self));
    block(
        &value.runtime,
        &quote_spanned! {at(name.span())=>
            #[automatically_derived]
            impl __es::Validated for #ty {
                type Error = <#output as __es::Answer>::Error;
                fn check(&self) -> __es::Result<(), <Self as __es::Validated>::Error> {
                    #call
                }
            }
        },
    )
}
