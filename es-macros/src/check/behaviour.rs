//! What the functions of an aggregate's impl block must be.

use quote::ToTokens;
use syn::{PatType, Type};

use crate::diagnostics::{Diagnostics, texts};
use crate::model::behaviour::{ApplyFn, PureHandler};
use crate::syntax::function::{Function, SelfKind};
use crate::syntax::impl_block::ImplBlock;
use crate::syntax::options::HandlerOptions;
use crate::syntax::types;

use super::items;

pub(crate) fn block(block: &ImplBlock, diagnostics: &mut Diagnostics) {
    items::not_generic("an aggregate", &block.generics, "its events are decoded by their name", diagnostics);
}

/// Applying gives the same state on every replay, and cannot refuse what has happened.
pub(crate) fn apply(function: &Function, self_ty: &Type, diagnostics: &mut Diagnostics) -> bool {
    let before = diagnostics.count();
    plain_function(function, texts::apply_async, diagnostics);
    apply_receiver(function, self_ty, diagnostics);
    let parameters = function.parameters();
    match parameters.as_slice() {
        [] => diagnostics.error(&function.sig.ident, texts::apply_needs_an_event()),
        [event, more @ ..] => {
            apply_event(event, diagnostics);
            if let Some(more) = more.first() {
                diagnostics.error(more, texts::apply_takes_one_event());
            }
        }
    }
    diagnostics.count() == before
}

fn apply_receiver(function: &Function, self_ty: &Type, diagnostics: &mut Diagnostics) {
    let returned = types::returned(&function.sig.output);
    let Some(receiver) = function.receiver() else {
        match returned {
            None => diagnostics.error(&function.sig.ident, texts::apply_creates_or_changes()),
            Some(ty) if !is_self(ty, self_ty) => diagnostics.error(ty, texts::apply_creates_self()),
            Some(_) => {}
        }
        return;
    };
    if SelfKind::of(receiver) != SelfKind::Mutable {
        diagnostics.error(receiver, texts::apply_receiver());
    }
    if let Some(ty) = returned
        && !matches!(ty, Type::Tuple(tuple) if tuple.elems.is_empty())
    {
        diagnostics.error(ty, texts::apply_returns_nothing());
    }
}

fn is_self(ty: &Type, self_ty: &Type) -> bool {
    types::is_named(ty, "Self")
        || match (types::last_segment(ty), types::last_segment(self_ty)) {
            (Some(a), Some(b)) => a.ident == b.ident,
            _ => false,
        }
}

/// A stored event is looked at, not taken.
fn apply_event(event: &PatType, diagnostics: &mut Diagnostics) {
    match types::plain(&event.ty) {
        Type::Reference(reference) => {
            if let Some(mutability) = &reference.mutability {
                diagnostics.error(mutability, texts::apply_event_is_shared(&types::text(&reference.elem)));
            }
        }
        other => diagnostics.error(other, texts::apply_event_by_reference(&types::text(other))),
    }
}

/// Functions of an impl block are pure: not async, not generic.
fn plain_function(function: &Function, is_async: fn() -> crate::diagnostics::Text, diagnostics: &mut Diagnostics) {
    let sig = &function.sig;
    if let Some(asyncness) = &sig.asyncness {
        diagnostics.error(asyncness, is_async());
    }
    if sig.generics.type_params().next().is_some() || sig.generics.const_params().next().is_some() {
        diagnostics.error(&sig.generics.params, texts::generic_function());
    }
    if let syn::Safety::Unsafe(keyword) = &sig.safety {
        diagnostics.error(keyword, texts::unsafe_function());
    }
}

/// A handler decides from the command and the state alone.
pub(crate) fn handler(function: &Function, options: &HandlerOptions, diagnostics: &mut Diagnostics) -> bool {
    let before = diagnostics.count();
    plain_function(function, texts::pure_handler_async, diagnostics);
    if let Some(receiver) = function.receiver() {
        match SelfKind::of(receiver) {
            SelfKind::Shared => {}
            SelfKind::Mutable => diagnostics.error(receiver, texts::handler_keeps_no_state()),
            _ => diagnostics.error(receiver, texts::handler_receiver()),
        }
    }
    match types::returned(&function.sig.output) {
        None => diagnostics.error(&function.sig.ident, texts::handler_returns_events()),
        Some(ty @ Type::ImplTrait(_)) => diagnostics.error(ty, texts::handler_returns_a_named_type()),
        Some(_) => {}
    }
    if let Some(reason) = &options.queries {
        diagnostics.error(&reason.0, texts::pure_handler_queries());
    }
    if let Some(path) = &options.runtime {
        diagnostics.error(&path.0, texts::crate_on_the_block());
    }
    diagnostics.count() == before
}

/// After the command comes `&Context` or nothing.
pub(crate) fn context(
    command: &PatType,
    context: Option<&PatType>,
    more: Option<&PatType>,
    diagnostics: &mut Diagnostics,
) -> bool {
    let before = diagnostics.count();
    if let Type::Reference(reference) = types::plain(&command.ty) {
        diagnostics.error(&command.ty, texts::command_by_value(&types::text(&reference.elem)));
    }
    if let Some(context) = context {
        let shared = matches!(types::plain(&context.ty), Type::Reference(reference) if reference.mutability.is_none());
        if !shared {
            diagnostics.error(&context.ty, texts::pure_handler_parameters(&types::text(&context.ty)));
        }
    }
    if let Some(more) = more {
        diagnostics.error(&more.ty, texts::pure_handler_parameters(&types::text(&more.ty)));
    }
    diagnostics.count() == before
}

/// Within one block the macro sees both functions and names them; across blocks the compiler does.
pub(crate) fn twice(applies: &mut Vec<ApplyFn>, handlers: &mut Vec<PureHandler>, diagnostics: &mut Diagnostics) {
    let mut index = 0;
    while let Some(apply) = applies.get(index) {
        let earlier = applies.iter().take(index).find(|earlier| same(&earlier.event, &apply.event));
        match earlier.filter(|earlier| earlier.cfgs.is_empty() && apply.cfgs.is_empty()) {
            Some(earlier) => {
                diagnostics.error(&apply.event, texts::applied_twice(&types::text(&apply.event), &earlier.ident));
                applies.remove(index);
            }
            None => index += 1,
        }
    }
    index = 0;
    while let Some(handler) = handlers.get(index) {
        let earlier = handlers.iter().take(index).find(|earlier| same(&earlier.command, &handler.command));
        match earlier.filter(|earlier| earlier.cfgs.is_empty() && handler.cfgs.is_empty()) {
            Some(earlier) => {
                diagnostics
                    .error(&handler.command, texts::handled_twice(&types::text(&handler.command), &earlier.ident));
                handlers.remove(index);
            }
            None => index += 1,
        }
    }
}

fn same(a: &impl ToTokens, b: &impl ToTokens) -> bool {
    a.to_token_stream().to_string() == b.to_token_stream().to_string()
}
