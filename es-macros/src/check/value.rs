//! What a value object must be.

use syn::{Fields, Type, Visibility};

use crate::diagnostics::{Diagnostics, texts};
use crate::model::value::{Value, ValueImpl};
use crate::syntax::function::SelfKind;
use crate::syntax::impl_block::ImplItem;
use crate::syntax::types;

use super::{fields, items, serde};

pub(crate) fn check(value: &Value, diagnostics: &mut Diagnostics) {
    items::not_generic("a value object", &value.item.generics, "its stored form has one shape", diagnostics);
    match &value.item.fields {
        Fields::Unit => diagnostics.error(&value.ident, texts::empty_value()),
        Fields::Named(fields) if fields.named.is_empty() => diagnostics.error(&value.ident, texts::empty_value()),
        Fields::Unnamed(fields) if fields.unnamed.len() != 1 => diagnostics.error(fields, texts::tuple_value()),
        _ => {}
    }
    serde::check(&value.item.attrs, &value.fields, diagnostics);
    for field in &value.fields {
        private(field, diagnostics);
        fields::borrowed(field, diagnostics);
        interior(&field.ty, diagnostics);
        if let Some((float, ty)) = fields::float(&field.ty) {
            diagnostics.error(ty, texts::float_in_value(&float));
        }
    }
}

/// Nobody outside may build or change a value past its check.
fn private(field: &crate::model::Field, diagnostics: &mut Diagnostics) {
    if !matches!(field.vis, Visibility::Inherited) {
        diagnostics.error(&field.vis, texts::public_value_field());
    }
}

/// A value that changes behind a shared reference is none.
fn interior(ty: &Type, diagnostics: &mut Diagnostics) {
    types::walk(ty, &mut |inner| {
        if let Some(segment) = types::last_segment(inner) {
            let name = segment.ident.to_string();
            let cells = ["Cell", "RefCell", "OnceCell", "Mutex", "RwLock", "OnceLock", "LazyCell"];
            if cells.contains(&name.as_str()) || name.starts_with("Atomic") {
                diagnostics.error(inner, texts::interior_mutability(&name));
            }
        }
    });
}

/// A value never changes: methods give new values back.
pub(crate) fn check_impl(value: &ValueImpl, diagnostics: &mut Diagnostics) {
    for item in &value.block.items {
        let ImplItem::Function(function) = item else { continue };
        if let Some(receiver) = function.receiver()
            && SelfKind::of(receiver) == SelfKind::Mutable
        {
            diagnostics.error(receiver, texts::value_never_changes());
        }
    }
}
