//! What a projection must be.

mod functions;
mod whole;

use syn::Type;

use crate::diagnostics::{Diagnostics, texts};
use crate::model::projection::{Marked, Mode, Style};
use crate::syntax::function::{Function, SelfKind};
use crate::syntax::impl_block::ImplBlock;
use crate::syntax::options::Whole;
use crate::syntax::read_side::{Duration, ProjectionOptions};
use crate::syntax::types;

use super::{items, names};

pub(crate) use functions::{event, parameters, shape, signature};
pub(crate) use whole::whole;

/// The longest that a function may hold up a command.
const LONGEST_TIMEOUT: u64 = 5_000;
/// How many partitions one projection may have.
const MOST_PARTITIONS: u64 = 256;
/// The priority of a function that declares none: as in the runtime.
const DEFAULT_PRIORITY: u64 = 5;

pub(crate) fn options(options: &ProjectionOptions, diagnostics: &mut Diagnostics) {
    if let Some(name) = &options.name {
        names::stored("projection", &name.0.value(), &name.0, diagnostics);
    }
    if let Some(old) = &options.renamed_from {
        names::stored("projection", &old.0.value(), &old.0, diagnostics);
        if options.name.as_ref().is_some_and(|name| name.0.value() == old.0.value()) {
            diagnostics.error(&old.0, texts::renamed_from_itself(&old.0.value()));
        }
    }
    if let Some(version) = &options.version {
        if version.value == 0 {
            diagnostics.error_at(version.span, &texts::projection_version_zero());
        } else if u32::try_from(version.value).is_err() {
            diagnostics.error_at(version.span, &texts::too_large("version"));
        }
    }
    if let Some(partitions) = options.partitions.as_ref().filter(|count| !(1..=MOST_PARTITIONS).contains(&count.value))
    {
        diagnostics.error_at(partitions.span, &texts::partitions_out_of_range(partitions.value, MOST_PARTITIONS));
    }
    crate::model::behaviour::retries_of("retry", options.retry.as_ref(), diagnostics);
}

pub(crate) fn block(block: &ImplBlock, diagnostics: &mut Diagnostics) {
    items::not_generic("a projection", &block.generics, "it has one place in the log", diagnostics);
}

/// A synchronous function is waited for by the command: it has a place and a limit.
pub(crate) fn sync(priority: Option<&Whole>, timeout: Option<&Duration>, diagnostics: &mut Diagnostics) -> Mode {
    if let Some(priority) = priority.filter(|priority| !(1..=10).contains(&priority.value)) {
        diagnostics.error_at(priority.span, &texts::priority_out_of_range(priority.value));
    }
    if let Some(timeout) = timeout {
        if timeout.millis == 0 {
            diagnostics.error_at(timeout.span, &texts::timeout_zero());
        } else if timeout.millis > LONGEST_TIMEOUT {
            diagnostics.error_at(timeout.span, &texts::timeout_too_long(&timeout.text));
        }
    }
    Mode::sync(priority.map_or(DEFAULT_PRIORITY, |priority| priority.value), timeout)
}

/// One block writes in one way: what one function does in the transaction, another cannot do outside of it.
pub(crate) fn style(functions: &[Marked], this: &Type, diagnostics: &mut Diagnostics) -> Style {
    let mut styles = functions.iter().filter_map(|marked| Some((marked, style_of(&marked.function, this)?)));
    let Some((first, style)) = styles.next() else { return Style::External };
    for (marked, other) in styles.filter(|(_, other)| *other != style) {
        let (one, two) = (&first.function.sig.ident, &marked.function.sig.ident);
        diagnostics.error(two, texts::two_styles(one, style, two, other));
    }
    style
}

/// Tells whether a function writes in its block's way; where it does not, that is all there is to say about it.
pub(crate) fn fits(marked: &Marked, style: Style, this: &Type) -> bool {
    style_of(&marked.function, this).is_none_or(|own| own == style)
}

/// The style that a function's signature shows, if it does.
fn style_of(function: &Function, this: &Type) -> Option<Style> {
    let parameters = function.parameters();
    let on_a_row = function.receiver().is_some_and(|receiver| SelfKind::of(receiver) == SelfKind::Mutable)
        || parameters.iter().any(|parameter| is_this(&parameter.ty, this));
    if on_a_row {
        return Some(Style::Folded);
    }
    // A row that is given back is a sign too, but a connection or a dependency is a stronger one.
    if parameters.iter().any(|parameter| lends_a_connection(&parameter.ty)) {
        Some(Style::Connected)
    } else if parameters.iter().any(|parameter| types::is_named(&parameter.ty, "Dep")) {
        Some(Style::External)
    } else {
        (function.sig.asyncness.is_none() || gives_a_row(function, this)).then_some(Style::Folded)
    }
}

fn gives_a_row(function: &Function, this: &Type) -> bool {
    types::returned(&function.sig.output)
        .is_some_and(|ty| is_self(ty, this) || types::is_named(ty, "bool") || is_this(ty, this))
}

/// Tells whether a parameter is `&mut Connection`, and not an event that should not be mutable.
fn lends_a_connection(ty: &Type) -> bool {
    types::lent_mutably(ty).is_some_and(|lent| !types::is_named(lent, "Recorded"))
}

/// Tells whether a type is `Option<Self>`, or a reference inside of it.
fn is_this(ty: &Type, this: &Type) -> bool {
    types::is_named(ty, "Option")
        && types::type_arguments(ty).first().is_some_and(|inner| is_self(types::referent(inner), this))
}

fn is_self(ty: &Type, this: &Type) -> bool {
    types::is_named(ty, "Self")
        || match (types::last_segment(ty), types::last_segment(this)) {
            (Some(a), Some(b)) => a.ident == b.ident,
            _ => false,
        }
}

/// The connection of a block: one type for all of its functions, its `#[reset]` among them.
pub(crate) fn connection(
    functions: &[Marked],
    resets: &[Function],
    style: Style,
    diagnostics: &mut Diagnostics,
) -> Option<Type> {
    for reset in resets {
        functions::reset(reset, style, diagnostics);
    }
    if style != Style::Connected {
        return None;
    }
    let all = functions.iter().map(|marked| &marked.function).chain(resets);
    let mut connections = all.filter_map(|function| {
        let parameters = function.parameters().into_iter();
        parameters.map(|parameter| &*parameter.ty).find(|ty| lends_a_connection(ty)).and_then(types::lent_mutably)
    });
    let first = connections.next()?.clone();
    for other in connections.filter(|other| types::text(other) != types::text(&first)) {
        diagnostics.error(other, texts::other_connection(&types::text(&first), &types::text(other)));
    }
    Some(first)
}
