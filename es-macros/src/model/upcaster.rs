//! A raw upcaster as it is declared.

use proc_macro2::TokenStream;
use syn::{Attribute, Path, Type};

use crate::diagnostics::{Diagnostics, texts};
use crate::syntax::function::Function;
use crate::syntax::options::{self, UpcastOptions, Whole};
use crate::syntax::{attributes, item};
use crate::word::Word;

use super::runtime;

/// `#[upcast(event = E, from = N)] fn …`.
#[derive(Debug)]
pub(crate) struct Upcaster {
    pub(crate) runtime: Path,
    pub(crate) function: Function,
    pub(crate) event: Option<Type>,
    pub(crate) from: Option<Whole>,
    pub(crate) cfgs: Vec<Attribute>,
}

impl Upcaster {
    pub(crate) fn read(options: TokenStream, tokens: &TokenStream, diagnostics: &mut Diagnostics) -> Option<Self> {
        let options: UpcastOptions = options::read(Word::Upcast, options, diagnostics);
        let mut function = item::function(Word::Upcast, tokens, diagnostics)?;
        function.allow_its_shape();
        if !diagnostics.has_errors() {
            if options.event.is_none() {
                diagnostics.error(&function.sig.ident, texts::upcast_needs_event());
            }
            if options.from.is_none() {
                diagnostics.error(&function.sig.ident, texts::upcast_needs_from());
            }
        }
        Some(Self {
            runtime: runtime(options.runtime),
            cfgs: attributes::cfgs(&function.attrs),
            function,
            event: options.event.map(|path| path.0),
            from: options.from,
        })
    }
}
