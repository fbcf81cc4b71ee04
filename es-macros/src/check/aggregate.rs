//! What an aggregate's struct must be.

use syn::ext::IdentExt as _;
use syn::{Fields, Visibility};

use crate::diagnostics::{Diagnostics, texts};
use crate::model::aggregate::Aggregate;

use super::{items, names, serde};

pub(crate) fn check(aggregate: &Aggregate, diagnostics: &mut Diagnostics) {
    items::not_generic("an aggregate", &aggregate.item.generics, "its events are decoded by their name", diagnostics);
    if let Some(name) = &aggregate.name {
        category(&name.value(), name, diagnostics);
    }
    state_is_private(&aggregate.item.fields, diagnostics);
    events(aggregate, diagnostics);
    if aggregate.snapshot.is_some() {
        serde::check(&aggregate.item.attrs, &aggregate.fields, diagnostics);
    }
}

/// The name is the category of the aggregate's streams.
fn category(name: &str, at: &syn::LitStr, diagnostics: &mut Diagnostics) {
    names::stored("aggregate", name, at, diagnostics);
}

/// State changes through events, and is read through the handlers.
fn state_is_private(fields: &Fields, diagnostics: &mut Diagnostics) {
    for field in fields {
        if matches!(field.vis, Visibility::Public(_)) {
            diagnostics.error(&field.vis, texts::public_state());
        }
    }
}

fn events(aggregate: &Aggregate, diagnostics: &mut Diagnostics) {
    if aggregate.events.is_empty() && !diagnostics.has_errors() {
        diagnostics.error_at(aggregate.events_span, &texts::no_events());
    }
    for (index, event) in aggregate.events.iter().enumerate() {
        let earlier = aggregate.events.iter().take(index).find(|earlier| earlier.variant == event.variant);
        let Some(earlier) = earlier.filter(|earlier| earlier.cfgs.is_empty() && event.cfgs.is_empty()) else {
            continue;
        };
        let name = event.variant.unraw().to_string();
        if quote::ToTokens::to_token_stream(&earlier.path).to_string()
            == quote::ToTokens::to_token_stream(&event.path).to_string()
        {
            diagnostics.error(&event.path, texts::event_twice(&name));
        } else {
            diagnostics.error(&event.path, texts::two_events_of_one_name(&name));
        }
    }
}
