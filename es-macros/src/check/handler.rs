//! What a free command handler must be.

use syn::{LitStr, Type};

use crate::diagnostics::{Diagnostics, texts};
use crate::syntax::function::Function;
use crate::syntax::types;

/// A free handler is where waiting is possible; a pure one lives in the impl.
pub(crate) fn free(function: &Function, diagnostics: &mut Diagnostics) -> bool {
    let before = diagnostics.count();
    let sig = &function.sig;
    if let Some(receiver) = function.receiver() {
        diagnostics.error(receiver, texts::free_handler_receiver());
        return false;
    }
    if sig.asyncness.is_none() {
        diagnostics.error(&sig.ident, texts::free_handler_async(&sig.ident.to_string()));
    }
    if sig.generics.type_params().next().is_some() || sig.generics.const_params().next().is_some() {
        diagnostics.error(&sig.generics.params, texts::generic_function());
    }
    if types::returned(&sig.output).is_none() {
        diagnostics.error(&sig.ident, texts::free_handler_returns());
    }
    if let Some(command) = function.parameters().first()
        && let Type::Reference(reference) = types::plain(&command.ty)
        && reference.mutability.is_none()
    {
        diagnostics.error(&command.ty, texts::command_by_value(&types::text(&reference.elem)));
    }
    diagnostics.count() == before
}

/// The exception is documented where it is made.
pub(crate) fn reason(reason: &LitStr, diagnostics: &mut Diagnostics) {
    if reason.value().trim().len() < 10 {
        diagnostics.error(reason, texts::queries_reason());
    }
}

/// A handler decides from its own aggregate; looking elsewhere first is a documented exception.
pub(crate) fn arguments(arguments: &[Type], may_query: bool, diagnostics: &mut Diagnostics) {
    for argument in arguments {
        let plain = match types::plain(argument) {
            Type::Reference(reference) => types::plain(&reference.elem),
            other => other,
        };
        if types::is_named(plain, "Queries") && !may_query {
            diagnostics.error(argument, texts::handler_takes_queries());
        } else if ["Root", "New", "Existing"].iter().any(|kind| types::is_named(plain, kind)) {
            diagnostics.error(argument, texts::second_root());
        }
    }
}
