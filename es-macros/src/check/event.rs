//! What an event must be.

use proc_macro2::Span;

use crate::diagnostics::{Diagnostics, texts};
use crate::model::event::Event;

use super::{fields, items, names, serde};

pub(crate) fn check(event: &Event, diagnostics: &mut Diagnostics) {
    name(event, diagnostics);
    version(event, diagnostics);
    let borrowed: Vec<bool> = event.fields.iter().map(|field| fields::borrowed(field, diagnostics)).collect();
    if !borrowed.contains(&true) {
        items::not_generic("a domain event", &event.item.generics, "events are decoded by their name", diagnostics);
    }
    items::named_fields("an event", &event.item, diagnostics);
    serde::check(&event.item.attrs, &event.fields, diagnostics);
    for field in &event.fields {
        fields::local_time(field, diagnostics);
        if !field.ident.as_ref().is_some_and(|ident| event.lossy.contains(ident)) {
            fields::floating_money(field, diagnostics);
        }
    }
}

/// An explicit `name` is the user's word; a type's name is held to the past tense.
fn name(event: &Event, diagnostics: &mut Diagnostics) {
    match &event.given_name {
        Some(given) => names::stored("event", &given.value(), given, diagnostics),
        None if !event.name.is_ascii() => diagnostics.error(&event.ident, texts::bad_name("event", &event.name)),
        None if names::is_imperative(&event.name) => {
            diagnostics.warn(event.ident.span(), "event_name_in_the_imperative", texts::imperative(&event.name));
        }
        None => {}
    }
    for claim in &event.claims {
        names::stored("set", &claim.set.value(), &claim.set, diagnostics);
    }
}

/// Versions start at 1, and an older one needs a number below.
fn version(event: &Event, diagnostics: &mut Diagnostics) {
    let span = event.version_span.unwrap_or_else(Span::call_site);
    if event.version == 0 {
        diagnostics.error_at(span, &texts::version_zero());
    } else if u32::try_from(event.version).is_err() {
        diagnostics.error_at(span, &texts::too_large("version"));
    } else if let (Some(old), 1) = (&event.upcast, event.version) {
        diagnostics.error(old, texts::upcast_without_version());
    }
}
