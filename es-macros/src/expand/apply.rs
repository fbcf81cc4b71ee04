//! `#[apply]` outside of an `#[aggregate] impl` block: it gives advice.

use proc_macro2::TokenStream;
use quote::quote;

use crate::diagnostics::{Diagnostics, texts};

pub(crate) fn expand(_options: &TokenStream, tokens: &TokenStream) -> TokenStream {
    let mut diagnostics = Diagnostics::default();
    diagnostics.error_at(proc_macro2::Span::call_site(), &texts::apply_outside());
    let reports = diagnostics.into_tokens();
    quote!(#tokens #reports)
}
