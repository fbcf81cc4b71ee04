//! The shape of what is stored.

use proc_macro2::{Ident, TokenStream};
use quote::quote;
use syn::ext::IdentExt as _;

use crate::model::stored::Stored;
use crate::syntax::types;

/// The constant `SHAPE` and `impl HasShape`: the fields as they are stored, with what is known of their types.
pub(super) fn render(ident: &Ident, fields: &[Stored]) -> TokenStream {
    let name = ident.unraw().to_string();
    let fields = fields.iter().map(|stored| field(ident, stored));
    quote! {
        const SHAPE: __es::Shape = __es::Shape { name: #name, fields: &[#(#fields),*] };
        #[automatically_derived]
        impl __es::HasShape for #ident {
            fn shape() -> &'static __es::Shape {
                &SHAPE
            }
        }
    }
}

fn field(ident: &Ident, stored: &Stored) -> TokenStream {
    let (cfgs, ty, name) = (&stored.field.cfgs, &stored.field.ty, &stored.name);
    let mut text = types::text(ty);
    for note in &stored.notes {
        text = format!("{text} ({note})");
    }
    let probe = quote!(__es::Probe::<#ty>);
    if !stored.by_type {
        return quote!(#(#cfgs)* __es::custom_field(#name, #text, #probe::SHAPE));
    }
    // A constant must not ask for itself.
    let mut own = false;
    types::walk(ty, &mut |inner| own |= types::is_named(inner, "Self") || types::is_named(inner, &ident.to_string()));
    let fidelity = if own { quote!(__es::Fidelity::UNKNOWN) } else { quote!(#probe::FIDELITY) };
    quote!(#(#cfgs)* __es::field(#name, #text, #probe::SHAPE, #fidelity, #probe::FORM))
}
