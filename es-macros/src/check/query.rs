//! What queries and their handlers must be.

use syn::Type;

use crate::diagnostics::{Diagnostics, texts};
use crate::model::Field;
use crate::model::query::Query;
use crate::syntax::function::Function;
use crate::syntax::types;

use super::{fields, items, names};

pub(crate) fn check(query: &Query, diagnostics: &mut Diagnostics) {
    let all = Field::all(&query.item.fields);
    let borrowed: Vec<bool> = all.iter().map(|field| fields::borrowed(field, diagnostics)).collect();
    if !borrowed.contains(&true) {
        items::not_generic("a query", &query.item.generics, "queries are asked by their name", diagnostics);
    }
    items::named_fields("a query", &query.item, diagnostics);
    match &query.given_name {
        Some(given) => names::stored("query", &given.value(), given, diagnostics),
        None if !query.name.is_ascii() => diagnostics.error(&query.ident, texts::bad_name("query", &query.name)),
        None => {}
    }
}

/// What reaches the log.
const WRITES: [&str; 7] =
    ["Queries", "Context", "Dependencies", "SqliteStore", "MemoryStore", "PostgresStore", "EventStore"];

/// Tells whether a type that is lent is no connection for sure.
pub(crate) fn is_of_the_domain(ty: &Type) -> bool {
    ["Root", "New", "Existing", "Table", "App"].iter().any(|name| types::is_named(ty, name))
}

/// A handler gets tables and dependencies. Everything else is refused by the trait of its parameters; this says it once.
fn argument(ty: &Type, diagnostics: &mut Diagnostics) {
    let text = types::text(ty);
    match types::plain(ty) {
        Type::Reference(reference) if types::is_named(&reference.elem, "Table") => {
            if reference.mutability.is_some() {
                diagnostics.error(ty, texts::table_is_lent(&types::text(&reference.elem)));
            }
        }
        table if types::is_named(table, "Table") => diagnostics.error(ty, texts::table_is_lent(&text)),
        _ => diagnostics.error(ty, texts::query_cannot_take(&text)),
    }
}

/// A query changes nothing, and waits for what it reads.
pub(crate) fn handler(function: &Function, diagnostics: &mut Diagnostics) -> bool {
    let before = diagnostics.count();
    let sig = &function.sig;
    if let Some(receiver) = function.receiver() {
        diagnostics.error(receiver, texts::query_handler_receiver());
        return false;
    }
    if sig.asyncness.is_none() {
        diagnostics.error(&sig.ident, texts::query_handler_async(&sig.ident.to_string()));
    }
    if sig.generics.type_params().next().is_some() || sig.generics.const_params().next().is_some() {
        diagnostics.error(&sig.generics.params, texts::generic_function());
    }
    match types::returned(&sig.output) {
        None => diagnostics.error(&sig.ident, texts::query_handler_returns()),
        Some(ty) if ["Option", "Vec"].iter().any(|name| types::is_named(ty, name)) => {
            diagnostics.error(ty, texts::query_handler_returns());
        }
        Some(_) => {}
    }
    let parameters = function.parameters();
    match parameters.first().map(|parameter| types::plain(&parameter.ty)) {
        None => diagnostics.error(&sig.ident, texts::query_handler_takes_a_query()),
        Some(ty @ Type::Reference(reference)) if types::is_named(&reference.elem, "Table") => {
            diagnostics.error(ty, texts::query_handler_takes_a_query());
        }
        Some(ty @ Type::Reference(reference)) => {
            diagnostics.error(ty, texts::query_by_value(&types::text(&reference.elem)));
        }
        Some(_) => {}
    }
    for parameter in parameters.iter().skip(1) {
        let ty = types::referent(&parameter.ty);
        if is_of_the_domain(ty) || WRITES.iter().any(|name| types::is_named(ty, name)) {
            argument(&parameter.ty, diagnostics);
        }
    }
    let mut lent = parameters.iter().filter(|parameter| types::lent_mutably(&parameter.ty).is_some());
    if let (Some(_), Some(second)) = (lent.next(), lent.next()) {
        diagnostics.error(&second.ty, texts::two_connections());
    }
    diagnostics.count() == before
}
