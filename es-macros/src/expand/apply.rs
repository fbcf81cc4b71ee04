//! Attributes outside of the impl block that reads them: they give advice.

use proc_macro2::TokenStream;
use quote::quote;

use crate::diagnostics::{Diagnostics, texts};
use crate::word::Word;

/// `#[apply]` and the like, alone.
pub(crate) fn expand(word: Word, tokens: &TokenStream) -> TokenStream {
    let mut diagnostics = Diagnostics::default();
    diagnostics.error_at(proc_macro2::Span::call_site(), &texts::outside(word));
    let reports = diagnostics.into_tokens();
    quote!(#tokens #reports)
}
