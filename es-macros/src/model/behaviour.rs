//! What an aggregate's impl block says: which function applies which event and handles which command.

use proc_macro2::{Ident, TokenStream};
use quote::ToTokens as _;
use syn::{Attribute, PatType, Path, Type};

use crate::check;
use crate::diagnostics::{Diagnostics, texts};
use crate::syntax::function::Function;
use crate::syntax::impl_block::{ImplBlock, ImplItem};
use crate::syntax::options::{self, ApplyOptions, HandlerOptions, ImplOptions, Whole};
use crate::syntax::{attributes, item, types};
use crate::word::Word;

use super::runtime;

/// `#[aggregate] impl …`.
#[derive(Debug)]
pub(crate) struct Behaviour {
    pub(crate) runtime: Path,
    /// The block without our attributes.
    pub(crate) block: ImplBlock,
    pub(crate) applies: Vec<ApplyFn>,
    pub(crate) handlers: Vec<PureHandler>,
}

/// `#[apply] fn …`.
#[derive(Debug)]
pub(crate) struct ApplyFn {
    pub(crate) cfgs: Vec<Attribute>,
    pub(crate) ident: Ident,
    pub(crate) event: Type,
    pub(crate) creates: bool,
    /// Not as it should be: the event is known, so that a stand-in keeps other errors away.
    pub(crate) broken: bool,
}

/// The three shapes of a pure handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Creates,
    Changes,
    Either,
}

/// `#[command_handler] fn …` in an impl block.
#[derive(Debug)]
pub(crate) struct PureHandler {
    pub(crate) cfgs: Vec<Attribute>,
    pub(crate) ident: Ident,
    pub(crate) command: Type,
    pub(crate) shape: Shape,
    /// The type of the parameter that takes the context.
    pub(crate) context: Option<Type>,
    pub(crate) output: Type,
    pub(crate) retries: Option<u64>,
    pub(crate) broken: bool,
}

impl Behaviour {
    pub(crate) fn read(options: TokenStream, tokens: &TokenStream, diagnostics: &mut Diagnostics) -> Option<Self> {
        let options: ImplOptions = options::read(Word::AggregateImpl, options, diagnostics);
        let mut block = item::inherent_impl(Word::Aggregate, tokens, diagnostics)?;
        check::behaviour::block(&block, diagnostics);
        let (mut applies, mut handlers) = (Vec::new(), Vec::new());
        let self_ty = block.self_ty.clone();
        for item in &mut block.items {
            if let ImplItem::Function(function) = item {
                function_in(function, &self_ty, &mut applies, &mut handlers, diagnostics);
            }
        }
        check::behaviour::twice(&mut applies, &mut handlers, diagnostics);
        Some(Self { runtime: runtime(options.runtime), block, applies, handlers })
    }
}

fn function_in(
    function: &mut Function,
    self_ty: &Type,
    applies: &mut Vec<ApplyFn>,
    handlers: &mut Vec<PureHandler>,
    diagnostics: &mut Diagnostics,
) {
    let apply = attributes::take(&mut function.attrs, "apply");
    let handler = attributes::take(&mut function.attrs, "command_handler");
    if apply.is_empty() && handler.is_empty() {
        return;
    }
    function.allow_its_shape();
    if let (Some(_), Some(second)) = (apply.first(), handler.first()) {
        diagnostics.error(second, texts::apply_and_handler());
        let mut reported = Diagnostics::default();
        applies.extend(apply_fn(function, self_ty, &mut reported).map(|apply| ApplyFn { broken: true, ..apply }));
        return;
    }
    if let Some(second) = apply.get(1).or_else(|| handler.get(1)) {
        diagnostics.error(second, texts::attribute_twice());
    }
    if let Some(attribute) = apply.first() {
        let _: ApplyOptions = options::read_attribute(Word::Apply, attribute, diagnostics);
        applies.extend(apply_fn(function, self_ty, diagnostics));
    }
    if let Some(attribute) = handler.first() {
        let options: HandlerOptions = options::read_attribute(Word::CommandHandler, attribute, diagnostics);
        handlers.extend(pure_handler(function, self_ty, &options, diagnostics));
    }
}

fn apply_fn(function: &Function, self_ty: &Type, diagnostics: &mut Diagnostics) -> Option<ApplyFn> {
    let broken = !check::behaviour::apply(function, self_ty, diagnostics);
    let event = types::referent(&function.parameters().first()?.ty).clone();
    Some(ApplyFn {
        cfgs: attributes::cfgs(&function.attrs),
        ident: function.sig.ident.clone(),
        event,
        creates: function.receiver().is_none(),
        broken,
    })
}

fn pure_handler(
    function: &Function,
    self_ty: &Type,
    options: &HandlerOptions,
    diagnostics: &mut Diagnostics,
) -> Option<PureHandler> {
    let mut broken = !check::behaviour::handler(function, options, diagnostics);
    let mut parameters = function.parameters().into_iter();
    let mut first = parameters.next();
    let mut shape = if function.receiver().is_some() { Shape::Changes } else { Shape::Creates };
    if shape == Shape::Creates && first.is_some_and(|parameter| is_this(parameter, self_ty)) {
        shape = Shape::Either;
        first = parameters.next();
    }
    let Some(command) = first else {
        if !broken {
            diagnostics.error(&function.sig.ident, texts::handler_needs_a_command(shape));
        }
        return None;
    };
    let context = parameters.next();
    broken |= !check::behaviour::context(command, context, parameters.next(), diagnostics);
    Some(PureHandler {
        cfgs: attributes::cfgs(&function.attrs),
        ident: function.sig.ident.clone(),
        command: types::referent(&command.ty).clone(),
        shape,
        context: context.map(|parameter| (*parameter.ty).clone()),
        output: types::returned(&function.sig.output).cloned().unwrap_or_else(|| syn::parse_quote!(())),
        retries: retries(options.retries.as_ref(), diagnostics),
        broken,
    })
}

/// Tells whether a parameter is `this: Option<&Self>`.
fn is_this(parameter: &PatType, self_ty: &Type) -> bool {
    if !types::is_named(&parameter.ty, "Option") {
        return false;
    }
    match types::type_arguments(&parameter.ty).first().map(|ty| types::plain(ty)) {
        Some(Type::Reference(reference)) => {
            types::is_named(&reference.elem, "Self")
                || reference.elem.to_token_stream().to_string() == self_ty.to_token_stream().to_string()
        }
        _ => false,
    }
}

/// Checks `retries = N`.
pub(crate) fn retries(given: Option<&Whole>, diagnostics: &mut Diagnostics) -> Option<u64> {
    retries_of("retries", given, diagnostics)
}

/// Checks how often something is tried again.
pub(crate) fn retries_of(option: &str, given: Option<&Whole>, diagnostics: &mut Diagnostics) -> Option<u64> {
    let given = given?;
    if u32::try_from(given.value).is_err() {
        diagnostics.error_at(given.span, &texts::too_large(option));
    }
    Some(given.value)
}
