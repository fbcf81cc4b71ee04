//! What the user reads: errors are collected, never thrown, so that one run reports all of them.

pub(crate) mod texts;

use std::fmt;

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};

/// A message: what is wrong, then what to do, then why.
#[derive(Clone, Debug)]
pub(crate) struct Text(String);

impl Text {
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }

    /// Adds what to write instead.
    pub(crate) fn help(self, help: impl fmt::Display) -> Self {
        Self(format!("{}\nhelp: {help}", self.0))
    }

    /// Adds the reason.
    pub(crate) fn note(self, note: impl fmt::Display) -> Self {
        Self(format!("{}\nnote: {note}", self.0))
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The errors and warnings of one expansion.
#[derive(Debug, Default)]
pub(crate) struct Diagnostics {
    errors: Vec<syn::Error>,
    warnings: Vec<(Span, &'static str, Text)>,
}

impl Diagnostics {
    /// Reports an error that underlines all of `at`.
    pub(crate) fn error(&mut self, at: impl ToTokens, text: Text) {
        self.errors.push(syn::Error::new_spanned(at, text));
    }

    /// Reports an error at one place.
    pub(crate) fn error_at(&mut self, at: Span, text: &Text) {
        self.errors.push(syn::Error::new(at, text));
    }

    /// Takes errors of the parser over, each on its own.
    pub(crate) fn push(&mut self, error: syn::Error) {
        self.errors.extend(error);
    }

    /// Reports a warning. `kind` is the name of the constant that rustc prints.
    pub(crate) fn warn(&mut self, at: Span, kind: &'static str, text: Text) {
        self.warnings.push((at, kind, text));
    }

    /// How many errors there are so far.
    pub(crate) const fn count(&self) -> usize {
        self.errors.len()
    }

    pub(crate) const fn has_errors(&self) -> bool {
        !self.errors.is_empty()
    }

    /// Renders what was collected: `compile_error!` for errors; for warnings a deprecated constant that is used once,
    /// because stable Rust has no other way for a macro to warn.
    pub(crate) fn into_tokens(self) -> TokenStream {
        let errors = self.errors.iter().map(syn::Error::to_compile_error);
        let warnings = self.warnings.iter().map(|(span, kind, text)| {
            let name = proc_macro2::Ident::new(kind, *span);
            let note = text.to_string();
            quote_spanned! {*span=>
                const _: () = {
                    #[deprecated(note = #note)]
                    #[allow(non_upper_case_globals)]
                    const #name: () = ();
                    #name
                };
            }
        });
        quote!(#(#errors)* #(#warnings)*)
    }
}
