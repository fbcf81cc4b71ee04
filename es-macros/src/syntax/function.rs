//! Functions with raw bodies: the code inside is never parsed, so that a body that is being typed breaks nothing.

use proc_macro2::{Group, TokenStream, TokenTree};
use quote::{ToTokens, TokenStreamExt};
use syn::parse::{Parse, ParseStream};
use syn::{Attribute, FnArg, PatType, Receiver, ReceiverKind, Signature, Visibility};

/// A function whose body is kept as it is.
#[derive(Clone, Debug)]
pub(crate) struct Function {
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) vis: Visibility,
    pub(crate) sig: Signature,
    pub(crate) body: Group,
}

impl Parse for Function {
    fn parse(input: ParseStream) -> syn::Result<Self> {
        let attrs = input.call(Attribute::parse_outer)?;
        let vis = input.parse()?;
        let sig = input.parse()?;
        match input.parse()? {
            TokenTree::Group(body) if body.delimiter() == proc_macro2::Delimiter::Brace => {
                Ok(Self { attrs, vis, sig, body })
            }
            other => Err(syn::Error::new(other.span(), "expected a function body")),
        }
    }
}

impl ToTokens for Function {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        tokens.append_all(&self.attrs);
        self.vis.to_tokens(tokens);
        self.sig.to_tokens(tokens);
        self.body.to_tokens(tokens);
    }
}

impl Function {
    pub(crate) fn receiver(&self) -> Option<&Receiver> {
        self.sig.receiver()
    }

    /// Silences lints about what the word demands: a command comes by value, an apply function has `&mut self` even where it
    /// changes nothing, a free handler is async even where it does not wait.
    pub(crate) fn allow_its_shape(&mut self) {
        self.attrs.push(syn::parse_quote! {
            #[allow(
                clippy::needless_pass_by_value,
                clippy::trivially_copy_pass_by_ref,
                clippy::unnecessary_wraps,
                clippy::unused_async,
                clippy::unused_self
            )]
        });
    }

    /// The parameters after `self`.
    pub(crate) fn parameters(&self) -> Vec<&PatType> {
        let inputs = self.sig.inputs.iter();
        inputs
            .filter_map(|argument| match argument {
                FnArg::Typed(parameter) => Some(parameter),
                FnArg::Receiver(_) => None,
            })
            .collect()
    }
}

/// How a function takes `self`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SelfKind {
    Value,
    Shared,
    Mutable,
    /// `self: Box<Self>` and the like.
    Other,
}

impl SelfKind {
    pub(crate) fn of(receiver: &Receiver) -> Self {
        match &receiver.kind {
            ReceiverKind::Value => Self::Value,
            ReceiverKind::Reference(_, _, Some(_)) => Self::Mutable,
            ReceiverKind::Reference(_, _, None) => Self::Shared,
            ReceiverKind::Typed(_, ty) => match &**ty {
                syn::Type::Reference(reference) if reference.mutability.is_some() => Self::Mutable,
                syn::Type::Reference(_) => Self::Shared,
                _ => Self::Other,
            },
            _ => Self::Other,
        }
    }
}
