//! What a read model must be.

use syn::Fields;
use syn::ext::IdentExt as _;

use crate::diagnostics::{Diagnostics, texts};
use crate::model::read_model::{ColumnField, ReadModel};
use crate::syntax::types;

use super::{fields, items, names};

pub(crate) fn check(model: &ReadModel, diagnostics: &mut Diagnostics) {
    if let Some(table) = &model.table {
        names::table(&table.value(), table, diagnostics);
    }
    let borrowed: Vec<bool> = model.columns.iter().map(|column| fields::borrowed(&column.field, diagnostics)).collect();
    if !borrowed.contains(&true) {
        items::not_generic("a read model", &model.item.generics, "its table has one set of columns", diagnostics);
    }
    match &model.item.fields {
        Fields::Unnamed(fields) => diagnostics.error(fields, texts::unnamed_columns()),
        Fields::Unit => diagnostics.error(&model.ident, texts::no_key()),
        Fields::Named(_) => {
            if model.keys().is_empty() {
                diagnostics.error(&model.ident, texts::no_key());
            }
        }
    }
    for column in &model.columns {
        fields::local_time_of("read models", &column.field, diagnostics);
        name(column, diagnostics);
        key(column, diagnostics);
    }
}

/// A column's name goes into SQL, and some are the runtime's own.
fn name(column: &ColumnField, diagnostics: &mut Diagnostics) {
    let Some(ident) = &column.field.ident else { return };
    let name = ident.unraw().to_string();
    if name.starts_with("es_") {
        diagnostics.error(ident, texts::reserved_column(&name));
    } else if names::is_postgres_column(&name) {
        diagnostics.error(ident, texts::system_column(&name));
    } else if !names::is_sql(&name) {
        diagnostics.error(ident, texts::bad_column(&name));
    }
}

/// A key is compared for equality, by its stored form.
fn key(column: &ColumnField, diagnostics: &mut Diagnostics) {
    let Some(span) = column.key else { return };
    let ty = &column.field.ty;
    if let Some(json) = column.json {
        diagnostics.error_at(json, &texts::key_of_json());
    } else if types::is_named(ty, "Option") {
        diagnostics.error(ty, texts::key_may_be_absent());
    } else if let Some((float, _)) = fields::float(ty) {
        diagnostics.error(ty, texts::key_of_type(&float));
    } else if !column.field.cfgs.is_empty() {
        diagnostics.error_at(span, &texts::key_under_cfg());
    }
    if let Some(index) = column.index {
        diagnostics.error_at(index, &texts::key_has_an_index());
    }
}
