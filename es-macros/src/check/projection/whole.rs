//! What the functions of a projection must be to each other.

use crate::diagnostics::{Diagnostics, texts};
use crate::model::projection::{Mode, Projection, ProjectionFn, Style};
use crate::syntax::types;

pub(crate) fn whole(projection: &Projection, diagnostics: &mut Diagnostics) {
    if projection.functions.is_empty() && !diagnostics.has_errors() {
        diagnostics.error(&projection.block.self_ty, texts::projection_without_events());
    }
    keys(projection, diagnostics);
    connection(projection, diagnostics);
    events(projection, diagnostics);
}

/// Where both kinds of functions write, what a row has seen is known by its stream; and a command's transaction may hold up
/// one partition only.
fn keys(projection: &Projection, diagnostics: &mut Diagnostics) {
    let functions = &projection.functions;
    let is_mixed = functions.iter().any(|function| function.mode.is_sync())
        && functions.iter().any(|function| !function.mode.is_sync());
    for function in functions {
        let Some(key) = &function.key else { continue };
        if is_mixed {
            diagnostics.error_at(key.span, &texts::key_of_a_mixed_projection());
        } else if function.mode.is_sync() && projection.partitions > 1 {
            diagnostics.error_at(key.span, &texts::key_of_sync_partitions());
        }
    }
}

/// Which rows a function on a connection writes, nobody knows: an event that is left to the workers may be of a row that a later commit writes.
fn connection(projection: &Projection, diagnostics: &mut Diagnostics) {
    let Some(first) = projection.functions.first().filter(|_| projection.style == Style::Connected) else { return };
    let other = projection.functions.iter().find(|function| function.mode.is_sync() != first.mode.is_sync());
    if let Some(other) = other {
        diagnostics.error(&other.ident, texts::mixed_on_a_connection(&first.ident, first.mode.is_sync()));
    } else if first.mode.is_sync() && projection.partitions > 1 {
        diagnostics.error(&first.ident, texts::partitions_on_a_connection());
    }
}

/// An event may change two rows, where both are folded in one go.
fn events(projection: &Projection, diagnostics: &mut Diagnostics) {
    for (place, function) in projection.functions.iter().enumerate() {
        let earlier = projection.functions.iter().take(place).find(|earlier| meet(earlier, function));
        let Some(earlier) = earlier else { continue };
        let event = types::text(&function.event);
        if projection.style != Style::Folded {
            diagnostics.error(&function.event, texts::projected_twice(&event, &earlier.ident));
        } else if projection.partitions > 1 {
            diagnostics.error(&function.event, texts::projected_twice_in_partitions(&event, &earlier.ident));
        } else if let (Mode::Sync { priority, .. }, Mode::Sync { priority: other, .. }) = (function.mode, earlier.mode)
            && priority == other
        {
            let text = texts::same_priority(&earlier.ident, &function.ident, priority);
            diagnostics.warn(function.ident.span(), "order_of_projections", text);
        }
    }
}

/// Tells whether two functions take the same event of the same aggregate.
fn meet(one: &ProjectionFn, other: &ProjectionFn) -> bool {
    let same = |a: &syn::Type, b: &syn::Type| types::text(a) == types::text(b);
    let aggregates = match (&one.of, &other.of) {
        (Some(a), Some(b)) => same(a, b),
        _ => true,
    };
    same(&one.event, &other.event) && aggregates && one.cfgs.is_empty() && other.cfgs.is_empty()
}
