//! `#[read_model]`.

use proc_macro2::{Ident, Literal, TokenStream};
use quote::{ToTokens as _, format_ident, quote, quote_spanned};

use crate::check;
use crate::diagnostics::Diagnostics;
use crate::model::at;
use crate::model::read_model::{ColumnField, ReadModel};
use crate::syntax::types;

use super::event::stand_in_serde;
use super::{block, derives, first_span};

const DERIVED: [&str; 3] = ["Debug", "Clone", "PartialEq"];

pub(crate) fn expand(options: TokenStream, tokens: &TokenStream) -> TokenStream {
    let mut diagnostics = Diagnostics::default();
    let Some(model) = ReadModel::read(options, tokens, &mut diagnostics) else {
        let errors = diagnostics.into_tokens();
        return quote!(#tokens #errors);
    };
    check::read_model::check(&model, &mut diagnostics);
    let rendered = if diagnostics.has_errors() { stand_in(&model) } else { render(&model) };
    let reports = diagnostics.into_tokens();
    quote!(#rendered #reports)
}

fn render(model: &ReadModel) -> TokenStream {
    let (derive, _) = derives(&model.runtime, &DERIVED, &model.derived);
    let item = &model.item;
    let codecs = model.columns.iter().enumerate().map(|(place, column)| codec(place, column));
    let (own, constants, serialize) = (own(model), constants(model), serialize(model));
    let impls = block(
        &model.runtime,
        &quote! {
            #[allow(unused_imports)]
            use __es::NoCodec as _;
            #(#codecs)*
            #own
            #constants
            #serialize
        },
    );
    quote!(#derive #item #impls)
}

/// The constants of one column: how it may be stored, and how it is.
fn picked(place: usize) -> (Ident, Ident) {
    (format_ident!("__PICKED_{place}"), format_ident!("__CODEC_{place}"))
}

/// Picks how a field is stored, and says so where it is not.
fn codec(place: usize, column: &ColumnField) -> TokenStream {
    let (cfgs, ty) = (&column.field.cfgs, &column.field.ty);
    let (picked, codec) = picked(place);
    let span = at(first_span(ty));
    let pick = if column.json.is_some() {
        quote_spanned!(span=> __es::Option::Some(__es::json_column::<#ty, { __es::Probe::<#ty>::FIDELITY.bits() }>()))
    } else {
        quote_spanned! {span=>
            __es::pick_codec(
                __es::StoresColumn::<#ty>::CODEC,
                __es::StoresId::<#ty>::CODEC,
                __es::StoresOptionalId::<#ty>::CODEC,
            )
        }
    };
    let text = types::text(ty);
    let check = column.json.is_none().then(|| {
        let is_local = quote_spanned!(span=> __es::Probe::<#ty>::IS_LOCAL_TIME);
        quote_spanned!(span=> #(#cfgs)* const _: () = __es::require_column(#is_local, &#picked, #text);)
    });
    let key = column.key.map(|_| quote_spanned!(span=> #(#cfgs)* const _: () = __es::require_key(&#picked, #text);));
    quote_spanned! {span=>
        #(#cfgs)*
        const #picked: __es::Option<__es::ColumnCodec<#ty>> = #pick;
        #(#cfgs)*
        const #codec: __es::ColumnCodec<#ty> = __es::codec_or_broken(#picked);
        #check
        #key
    }
}

fn own(model: &ReadModel) -> TokenStream {
    let ident = &model.ident;
    let table = model.table.as_ref().map(syn::LitStr::value).unwrap_or_default();
    let columns = model.columns.iter().enumerate().map(|(place, column)| {
        let (cfgs, name, codec) = (&column.field.cfgs, column.field.name(), picked(place).1);
        let (key, index) = (column.key.is_some(), column.index.is_some());
        quote!(#(#cfgs)* __es::column(#name, &#codec, #key, #index))
    });
    let count = Literal::usize_unsuffixed(model.columns.len());
    let writes = model.columns.iter().enumerate().map(|(place, column)| {
        let (cfgs, name, codec, field) =
            (&column.field.cfgs, column.field.name(), picked(place).1, &column.field.ident);
        quote!(#(#cfgs)* values.push(__es::write_column(#name, &#codec, &self.#field)?);)
    });
    let reads = model.columns.iter().enumerate().map(|(place, column)| {
        let (cfgs, name, codec, field) =
            (&column.field.cfgs, column.field.name(), picked(place).1, &column.field.ident);
        quote!(#(#cfgs)* #field: __es::read_column(#name, &#codec, &mut values)?)
    });
    let key = key(model);
    quote_spanned! {at(ident.span())=>
        #[automatically_derived]
        impl __es::ReadModel for #ident {
            const TABLE: &'static __es::TableDescriptor =
                &__es::TableDescriptor { name: #table, columns: &[#(#columns),*] };
            #key
            fn to_values(&self) -> __es::Result<__es::Vec<__es::Value>, __es::ColumnError> {
                let mut values = __es::Vec::with_capacity(#count);
                #(#writes)*
                __es::Result::Ok(values)
            }
            fn from_values(values: __es::Vec<__es::Value>) -> __es::Result<Self, __es::ColumnError> {
                let mut values = ::core::iter::IntoIterator::into_iter(values);
                __es::Result::Ok(Self { #(#reads),* })
            }
        }
    }
}

/// The key's type and values: the field's own, or a tuple of several.
fn key(model: &ReadModel) -> TokenStream {
    let keys = model.keys();
    let single = keys.len() == 1;
    let types: Vec<_> = keys.iter().map(|column| &column.field.ty).collect();
    let place = types.first().map_or_else(|| model.ident.span(), first_span);
    let clones = keys.iter().map(|column| {
        let field = &column.field.ident;
        quote_spanned!(at(first_span(&column.field.ty))=> ::core::clone::Clone::clone(&self.#field))
    });
    let (ty, clones) = if single {
        (quote!(#(#types)*), quote!(#(#clones)*))
    } else {
        (quote!((#(#types),*)), quote!((#(#clones),*)))
    };
    let values = keys.iter().enumerate().map(|(index, column)| {
        let name = column.field.name();
        let codec = model.columns.iter().position(|known| known.field.ident == column.field.ident);
        let codec = picked(codec.unwrap_or_default()).1;
        let part = syn::Index::from(index);
        let part = if single { quote!(key) } else { quote!(&key.#part) };
        quote!(__es::write_column(#name, &#codec, #part)?)
    });
    quote_spanned! {at(place)=>
        type Key = #ty;
        fn key(&self) -> #ty {
            #clones
        }
        fn key_values(key: &#ty) -> __es::Result<__es::Vec<__es::Value>, __es::ColumnError> {
            __es::Result::Ok(<__es::Vec<__es::Value> as __es::From<_>>::from([#(#values),*]))
        }
    }
}

/// One constant for each column, in capitals: what filters and orders are made of.
fn constants(model: &ReadModel) -> TokenStream {
    let ident = &model.ident;
    let by_name = model.columns.iter().any(|column| !column.field.cfgs.is_empty());
    let constants = model.columns.iter().enumerate().map(|(place, column)| {
        let (cfgs, vis, ty, name) = (&column.field.cfgs, &column.field.vis, &column.field.ty, column.field.name());
        let constant = constant(column);
        let indexed = column.key.is_some() || column.index.is_some();
        let indexed = if indexed { quote!(__es::Indexed) } else { quote!(__es::NotIndexed) };
        let text = format!("The column `{name}`.");
        let codec = picked(place).1;
        // Places are those of the columns that there are.
        let place = if by_name {
            quote!(__es::place_of(<Self as __es::ReadModel>::TABLE, #name))
        } else {
            Literal::usize_unsuffixed(place).to_token_stream()
        };
        quote_spanned! {at(first_span(ty))=>
            #(#cfgs)*
            #[doc = #text]
            #vis const #constant: __es::ColumnOf<Self, #ty, #indexed> = __es::ColumnOf::new(#place, #codec);
        }
    });
    quote! {
        #[allow(dead_code)]
        impl #ident { #(#constants)* }
    }
}

fn constant(column: &ColumnField) -> Ident {
    let span = column.field.ident.as_ref().map_or_else(proc_macro2::Span::call_site, Ident::span);
    Ident::new(&column.field.name().to_ascii_uppercase(), span)
}

/// Rows can be answers: an object of the columns. A derive of the user's own takes its place.
fn serialize(model: &ReadModel) -> TokenStream {
    if model.derived.iter().any(|derived| derived == "Serialize") {
        return TokenStream::new();
    }
    let ident = &model.ident;
    quote! {
        #[automatically_derived]
        impl __es::serde::Serialize for #ident {
            fn serialize<S: __es::serde::Serializer>(&self, serializer: S) -> __es::Result<S::Ok, S::Error> {
                __es::serialize_row(self, serializer)
            }
        }
    }
}

/// The struct with impls that promise everything and do nothing: the only errors are then those that were reported.
fn stand_in(model: &ReadModel) -> TokenStream {
    let (derive, _) = derives(&model.runtime, &DERIVED, &model.derived);
    let (item, ident) = (&model.item, &model.ident);
    let (impl_generics, ty_generics, _) = item.generics.split_for_impl();
    let parameters = &item.generics.params;
    let mut derived = model.derived.clone();
    derived.push("Deserialize".to_owned());
    let serde = stand_in_serde(&quote!(#ident #ty_generics), &parameters.to_token_stream(), &derived);
    let bounds = if parameters.is_empty() { TokenStream::new() } else { quote!(where Self: __es::Stored) };
    let keys = model.keys();
    let sound = !keys.is_empty() && keys.iter().all(|column| may_be_key(column));
    let types: Vec<_> = keys.iter().map(|column| &column.field.ty).collect();
    let key = match (sound && parameters.is_empty(), types.as_slice()) {
        (true, [one]) => one.to_token_stream(),
        (true, several) => quote!((#(#several),*)),
        (false, _) => quote!(()),
    };
    let constants = item.generics.params.is_empty() && matches!(item.fields, syn::Fields::Named(_));
    let constants = constants.then(|| stand_in_constants(model));
    let impls = block(
        &model.runtime,
        &quote! {
            #serde
            #[automatically_derived]
            impl #impl_generics __es::ReadModel for #ident #ty_generics #bounds {
                const TABLE: &'static __es::TableDescriptor = &__es::TableDescriptor { name: "", columns: &[] };
                type Key = #key;
                fn key(&self) -> #key { __es::broken() }
                fn key_values(_: &#key) -> __es::Result<__es::Vec<__es::Value>, __es::ColumnError> { __es::broken() }
                fn to_values(&self) -> __es::Result<__es::Vec<__es::Value>, __es::ColumnError> { __es::broken() }
                fn from_values(_: __es::Vec<__es::Value>) -> __es::Result<Self, __es::ColumnError> { __es::broken() }
            }
            #constants
        },
    );
    quote!(#derive #item #impls)
}

/// Tells whether a broken read model still has this part of its key.
fn may_be_key(column: &ColumnField) -> bool {
    let ty = &column.field.ty;
    column.json.is_none()
        && column.field.cfgs.is_empty()
        && !types::is_named(ty, "Option")
        && check::fields::float(ty).is_none()
}

fn stand_in_constants(model: &ReadModel) -> TokenStream {
    let ident = &model.ident;
    let constants = model.columns.iter().map(|column| {
        let (cfgs, vis, ty, constant) = (&column.field.cfgs, &column.field.vis, &column.field.ty, constant(column));
        let indexed = column.key.is_some() || column.index.is_some();
        let indexed = if indexed { quote!(__es::Indexed) } else { quote!(__es::NotIndexed) };
        quote! {
            #(#cfgs)*
            #vis const #constant: __es::ColumnOf<Self, #ty, #indexed> =
                __es::ColumnOf::new(0, __es::codec_or_broken(__es::Option::None));
        }
    });
    quote! {
        #[allow(dead_code)]
        impl #ident { #(#constants)* }
    }
}
