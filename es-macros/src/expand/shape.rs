//! The shape of what is stored.

use proc_macro2::{Ident, TokenStream};
use quote::quote;
use syn::ext::IdentExt as _;

use crate::model::Field;
use crate::syntax::types;

/// `impl HasShape`: the fields as they are written, with the shapes of annotated types inside.
pub(super) fn render(ident: &Ident, fields: &[Field]) -> TokenStream {
    let name = ident.unraw().to_string();
    let fields = fields.iter().map(|field| {
        let (cfgs, ty) = (&field.cfgs, &field.ty);
        let (name, text) = (field.name(), types::text(ty));
        quote!(#(#cfgs)* __es::field(#name, #text, __es::Probe::<#ty>::SHAPE))
    });
    quote! {
        #[automatically_derived]
        impl __es::HasShape for #ident {
            fn shape() -> &'static __es::Shape {
                const SHAPE: __es::Shape = __es::Shape { name: #name, fields: &[#(#fields),*] };
                &SHAPE
            }
        }
    }
}
