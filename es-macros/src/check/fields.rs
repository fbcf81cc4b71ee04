//! Fields of what is stored.

use syn::{Attribute, LitStr, Meta, Type};

use crate::diagnostics::{Diagnostics, Text, texts};
use crate::model::Field;
use crate::syntax::types;

/// The reason in `#[lossy = "why"]`, if it is one.
pub(crate) fn reason(attribute: &Attribute) -> Option<String> {
    let Meta::NameValue(pair) = &attribute.meta else { return None };
    let text: LitStr = syn::parse2(quote::ToTokens::to_token_stream(&pair.value)).ok()?;
    (text.value().trim().len() >= 4).then(|| text.value())
}

/// Local time has no meaning on another machine or after a change of clocks: what is stored is UTC.
pub(crate) fn local_time(field: &Field, diagnostics: &mut Diagnostics) -> bool {
    local_time_of("events", field, diagnostics)
}

/// As [`local_time`], for what is stored elsewhere.
pub(crate) fn local_time_of(what: &str, field: &Field, diagnostics: &mut Diagnostics) -> bool {
    let mut found = false;
    types::walk(&field.ty, &mut |ty| {
        if let Some(text) = local_time_text(what, ty) {
            diagnostics.error(ty, text);
            found = true;
        }
    });
    found
}

fn local_time_text(what: &str, ty: &Type) -> Option<Text> {
    let last = types::last_segment(ty)?;
    let name = last.ident.to_string();
    let zone =
        types::type_arguments(ty).first().and_then(|zone| types::last_segment(zone)).map(|s| s.ident.to_string());
    match (name.as_str(), zone.as_deref()) {
        ("NaiveDateTime" | "NaiveTime" | "SystemTime", _) => Some(texts::local_time(what, &name)),
        ("DateTime", Some(zone @ ("Local" | "FixedOffset"))) => {
            Some(texts::local_time(what, &format!("DateTime<{zone}>")))
        }
        _ => None,
    }
}

/// Stored data outlives whatever it could borrow from.
pub(crate) fn borrowed(field: &Field, diagnostics: &mut Diagnostics) -> bool {
    let mut found = false;
    types::walk(&field.ty, &mut |ty| {
        if let Type::Reference(reference) = ty {
            let owned = owned_form(&reference.elem);
            diagnostics.error(ty, texts::borrowed(&types::text(ty), &owned));
            found = true;
        }
    });
    found
}

fn owned_form(ty: &Type) -> String {
    match types::plain(ty) {
        Type::Path(path) if path.path.is_ident("str") => "String".to_owned(),
        Type::Slice(slice) => format!("Vec<{}>", types::text(&slice.elem)),
        other => types::text(other),
    }
}

/// The field types that hold floating-point numbers.
pub(crate) fn float(ty: &Type) -> Option<(String, &Type)> {
    let mut found = None;
    types::walk(ty, &mut |inner| {
        if let Some(segment) = types::last_segment(inner)
            && (segment.ident == "f64" || segment.ident == "f32")
        {
            found = Some((segment.ident.to_string(), inner));
        }
    });
    found
}

/// Words in the names of fields that hold money.
const MONEY: [&str; 16] = [
    "amount", "balance", "charge", "cost", "credit", "debit", "discount", "fee", "money", "payment", "price", "refund",
    "salary", "tax", "total", "wage",
];

/// Money in floating point loses cents: 0.1 + 0.2 is not 0.3.
pub(crate) fn floating_money(field: &Field, diagnostics: &mut Diagnostics) {
    let name = field.name();
    if let Some((float, ty)) = float(&field.ty)
        && name.split('_').any(|word| MONEY.contains(&word))
    {
        let span = syn::spanned::Spanned::span(ty);
        diagnostics.warn(span, "floating_point_money", texts::floating_money(&name, &float));
    }
}
