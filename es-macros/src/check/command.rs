//! What a command must be.

use syn::Fields;

use crate::diagnostics::{Diagnostics, texts};
use crate::model::command::Command;

use super::{fields, items, names};

pub(crate) fn check(command: &Command, diagnostics: &mut Diagnostics) {
    items::not_generic("a command", &command.item.generics, "commands are dispatched by their name", diagnostics);
    items::named_fields("a command", &command.item, diagnostics);
    match &command.given_name {
        Some(given) => names::stored("command", &given.value(), given, diagnostics),
        None if !command.name.is_ascii() => {
            diagnostics.error(&command.ident, texts::bad_name("command", &command.name));
        }
        None => {}
    }
    if !matches!(command.item.fields, Fields::Unnamed(_)) {
        one_id(command, diagnostics);
    }
    for field in &command.fields {
        fields::borrowed(field, diagnostics);
    }
    validation(command, diagnostics);
}

/// A command is for one aggregate.
fn one_id(command: &Command, diagnostics: &mut Diagnostics) {
    if command.ids.is_empty() {
        diagnostics.error(&command.ident, texts::no_id());
    }
    for again in command.ids.iter().skip(1) {
        diagnostics.error(&again.ident, texts::two_ids());
    }
}

/// Rules without `validate` would never run; `validate` without rules says nothing.
fn validation(command: &Command, diagnostics: &mut Diagnostics) {
    let rules = command.item.attrs.iter().chain(command.fields.iter().flat_map(|field| &field.attrs));
    let mut rules = rules.filter(|attribute| attribute.path().is_ident("garde")).peekable();
    match command.validate {
        Some(span) if rules.peek().is_none() => diagnostics.error_at(span, &texts::validate_without_rules()),
        Some(_) => {}
        None => {
            if let Some(rule) = rules.next() {
                diagnostics.error(rule, texts::rules_without_validate());
            }
        }
    }
}
