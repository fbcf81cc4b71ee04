//! What the functions of a projection must be.

use syn::{PatType, Type};

use crate::diagnostics::{Diagnostics, texts};
use crate::model::projection::{Marked, Parameter, Shape, Style};
use crate::syntax::function::{Function, SelfKind};
use crate::syntax::types;

use super::{is_self, is_this, lends_a_connection};

pub(crate) fn signature(function: &Function, diagnostics: &mut Diagnostics) {
    let sig = &function.sig;
    if sig.generics.type_params().next().is_some() || sig.generics.const_params().next().is_some() {
        diagnostics.error(&sig.generics.params, texts::generic_function());
    }
    if let syn::Safety::Unsafe(keyword) = &sig.safety {
        diagnostics.error(keyword, texts::unsafe_function());
    }
}

/// How a type takes an event.
enum Taken<'a> {
    Event(&'a Type),
    Slice(&'a Type),
    /// Not as it should be; the event's type.
    Badly(&'a Type),
}

fn taken(ty: &Type) -> Option<Taken<'_>> {
    match types::plain(ty) {
        Type::Reference(reference) => match types::plain(&reference.elem) {
            Type::Slice(slice) => recorded(&slice.elem).map(Taken::Slice),
            elem if reference.mutability.is_some() => recorded(elem).map(Taken::Badly),
            elem => recorded(elem).map(Taken::Event),
        },
        other => recorded(other)
            .or_else(|| types::type_arguments(other).first().and_then(|inner| recorded(inner)))
            .map(Taken::Badly),
    }
}

/// The `E` of `Recorded<E>`.
fn recorded(ty: &Type) -> Option<&Type> {
    if types::is_named(ty, "Recorded") { types::type_arguments(ty).first().copied() } else { None }
}

/// The event of a function, and whether it takes slices. What is stored is looked at, not taken.
pub(crate) fn event(function: &Function, style: Style, diagnostics: &mut Diagnostics) -> Option<(Type, bool)> {
    let parameters = function.parameters();
    let mut events = parameters.iter().filter_map(|parameter| Some((parameter, taken(&parameter.ty)?)));
    let Some((parameter, found)) = events.next() else {
        no_event(function, &parameters, diagnostics);
        return None;
    };
    if let Some((second, _)) = events.next() {
        diagnostics.error(&second.ty, texts::projection_takes_one_event());
    }
    match found {
        Taken::Badly(event) => {
            diagnostics.error(&parameter.ty, texts::recorded_by_reference(&types::text(event)));
            None
        }
        Taken::Event(event) | Taken::Slice(event) if types::is_named(event, "AnyEvent") => {
            diagnostics.error(event, texts::projection_of_any_event());
            None
        }
        Taken::Slice(event) if style == Style::Folded => {
            diagnostics.error(&parameter.ty, texts::folded_slice(&types::text(event)));
            None
        }
        Taken::Event(event) => Some((event.clone(), false)),
        Taken::Slice(event) => Some((event.clone(), true)),
    }
}

/// Says what is missing; at what looks like an event, if there is something.
fn no_event(function: &Function, parameters: &[&PatType], diagnostics: &mut Diagnostics) {
    let like = parameters.iter().map(|parameter| types::plain(&parameter.ty)).find(|ty| match ty {
        Type::Reference(reference) => reference.mutability.is_none() && matches!(*reference.elem, Type::Path(_)),
        Type::Path(_) => !types::is_named(ty, "Dep") && !types::is_named(ty, "Option"),
        _ => false,
    });
    match like {
        Some(ty) => diagnostics.error(ty, texts::event_is_recorded(&types::text(types::referent(ty)))),
        None => diagnostics.error(&function.sig.ident, texts::projection_needs_an_event()),
    }
}

/// What a function does, by its signature.
pub(crate) fn shape(marked: &Marked, style: Style, this: &Type, diagnostics: &mut Diagnostics) -> Shape {
    if style == Style::Folded {
        return folded(marked, this, diagnostics);
    }
    runs(&marked.function, diagnostics);
    if let Some(delete) = marked.delete {
        diagnostics.error_at(delete, &texts::delete_without_a_row());
    }
    if let Some(key) = &marked.key {
        diagnostics.error_at(key.span, &texts::key_without_a_row());
    }
    Shape::Runs
}

/// A function that waits: `async fn(&self, …) -> Result<(), Error>`.
fn runs(function: &Function, diagnostics: &mut Diagnostics) {
    let sig = &function.sig;
    if sig.asyncness.is_none() {
        diagnostics.error(&sig.ident, texts::projection_async(&sig.ident.to_string()));
    }
    match function.receiver() {
        None => diagnostics.error(&sig.ident, texts::projection_takes_self()),
        Some(receiver) if SelfKind::of(receiver) != SelfKind::Shared => {
            diagnostics.error(receiver, texts::projection_keeps_no_state());
        }
        Some(_) => {}
    }
    if types::returned(&sig.output).is_none() {
        diagnostics.error(&sig.ident, texts::projection_returns());
    }
}

/// A function on a row is pure, so that it can be folded in memory and tried again.
fn folded(marked: &Marked, this: &Type, diagnostics: &mut Diagnostics) -> Shape {
    let function = &marked.function;
    let sig = &function.sig;
    if let Some(asyncness) = &sig.asyncness {
        diagnostics.error(asyncness, texts::folded_async());
    }
    let shape = match function.receiver() {
        Some(receiver) => match SelfKind::of(receiver) {
            SelfKind::Mutable => Shape::Changes,
            SelfKind::Shared => Shape::Deletes,
            _ => {
                diagnostics.error(receiver, texts::folded_receiver());
                return Shape::Changes;
            }
        },
        None if function.parameters().first().is_some_and(|first| is_this(&first.ty, this)) => Shape::Folds,
        None => Shape::Inserts,
    };
    if let Some(delete) = marked.delete.filter(|_| shape != Shape::Deletes) {
        diagnostics.error_at(delete, &texts::delete_form());
        return shape;
    }
    let output = types::returned(&sig.output);
    match (shape, output) {
        (Shape::Changes, Some(ty)) if !matches!(ty, Type::Tuple(tuple) if tuple.elems.is_empty()) => {
            diagnostics.error(ty, texts::change_returns_nothing());
        }
        (Shape::Deletes, _) if marked.delete.is_none() && !marked.sound => {}
        (Shape::Deletes, _) if marked.delete.is_none() => {
            let receiver = function.receiver();
            diagnostics.error(receiver, texts::shared_self_without_delete());
        }
        (Shape::Deletes, None) => diagnostics.error(&sig.ident, texts::delete_returns_a_bool()),
        (Shape::Deletes, Some(ty)) if !types::is_named(ty, "bool") => {
            diagnostics.error(ty, texts::delete_returns_a_bool());
        }
        (Shape::Inserts, None) => diagnostics.error(&sig.ident, texts::insert_or_change()),
        (Shape::Inserts, Some(ty)) if !is_self(ty, this) => diagnostics.error(ty, texts::insert_returns_self()),
        (Shape::Folds, None) => diagnostics.error(&sig.ident, texts::fold_returns_the_row()),
        (Shape::Folds, Some(ty)) if !is_this(ty, this) || borrows(ty) => {
            diagnostics.error(ty, texts::fold_returns_the_row());
        }
        _ => {}
    }
    shape
}

/// Tells whether an `Option` holds a reference.
fn borrows(ty: &Type) -> bool {
    types::type_arguments(ty).first().is_some_and(|inner| matches!(types::plain(inner), Type::Reference(_)))
}

/// The parameters of a function that runs, in their order; and what no function may take.
pub(crate) fn parameters(marked: &Marked, style: Style, this: &Type, diagnostics: &mut Diagnostics) -> Vec<Parameter> {
    let function = &marked.function;
    let before = diagnostics.count();
    let mut known = Vec::new();
    for (place, parameter) in function.parameters().into_iter().enumerate() {
        let ty = &*parameter.ty;
        if taken(ty).is_some() {
            known.push(Parameter::Event);
        } else if style == Style::Folded && place == 0 && function.receiver().is_none() && is_this(ty, this) {
            if borrows(ty) {
                diagnostics.error(ty, texts::this_by_value());
            }
        } else if style == Style::Connected && lends_a_connection(ty) {
            if known.iter().any(|known| matches!(known, Parameter::Connection)) {
                diagnostics.error(ty, texts::two_connections());
            }
            known.push(Parameter::Connection);
        } else if style == Style::External && types::is_named(ty, "Dep") {
            known.push(Parameter::Dependency(Box::new(ty.clone())));
        } else {
            other_parameter(ty, style, &known, diagnostics);
        }
    }
    if style == Style::External && diagnostics.count() == before {
        let dependency = known.iter().find_map(|known| match known {
            Parameter::Dependency(ty) => Some(ty),
            _ => None,
        });
        match dependency {
            None => diagnostics.error(&function.sig.ident, texts::waits_for_nothing()),
            Some(ty) if marked.mode.is_sync() => {
                diagnostics.error(ty, texts::sync_takes_a_dependency(&types::text(ty)));
            }
            Some(_) => {}
        }
    }
    known
}

/// What is neither the event nor a part of the style. Something that was taken for a badly written event is reported as that.
fn other_parameter(ty: &Type, style: Style, known: &[Parameter], diagnostics: &mut Diagnostics) {
    let has_event = known.iter().any(|known| matches!(known, Parameter::Event));
    let refers = matches!(types::plain(ty), Type::Reference(_) | Type::Path(_));
    let text = types::text(ty);
    let text = match style {
        Style::Folded if types::is_named(ty, "Dep") || lends_a_connection(ty) => texts::folded_takes_more(&text),
        Style::Folded => texts::folded_takes_its_event(&text),
        Style::Connected if types::is_named(ty, "Dep") => texts::connection_and_dependency(&text),
        Style::Connected | Style::External => texts::projection_cannot_take(&text),
    };
    if has_event || !refers || matches!(style, Style::Connected | Style::External) {
        diagnostics.error(ty, text);
    }
}

/// `#[reset] async fn(&self, db: &mut Connection) -> Result<(), Error>`, beside functions that take the connection.
pub(super) fn reset(function: &Function, style: Style, diagnostics: &mut Diagnostics) {
    match style {
        Style::Folded => diagnostics.error(&function.sig.ident, texts::reset_of_rows()),
        Style::External => diagnostics.error(&function.sig.ident, texts::reset_outside()),
        Style::Connected => {
            signature(function, diagnostics);
            runs(function, diagnostics);
            let parameters = function.parameters();
            match parameters.as_slice() {
                [connection] if lends_a_connection(&connection.ty) => {}
                [] => diagnostics.error(&function.sig.ident, texts::reset_form()),
                parameters => {
                    let wrong = parameters.iter().find(|parameter| !lends_a_connection(&parameter.ty));
                    diagnostics.error(wrong.map(|parameter| &parameter.ty), texts::reset_form());
                }
            }
        }
    }
}
