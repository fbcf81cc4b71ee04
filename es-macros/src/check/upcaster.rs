//! What a raw upcaster must be.

use crate::diagnostics::{Diagnostics, texts};
use crate::model::upcaster::Upcaster;

/// An upcaster is a pure function of the old form: it gives the same answer on every replay.
pub(crate) fn check(upcaster: &Upcaster, diagnostics: &mut Diagnostics) {
    let sig = &upcaster.function.sig;
    if let Some(asyncness) = &sig.asyncness {
        diagnostics.error(asyncness, texts::upcaster_is_pure());
    }
    if let Some(receiver) = upcaster.function.receiver() {
        diagnostics.error(receiver, texts::upcaster_is_free());
    } else if let Some(extra) = upcaster.function.parameters().get(1) {
        diagnostics.error(extra, texts::upcaster_is_pure());
    } else if upcaster.function.parameters().is_empty() {
        diagnostics.error(&sig.ident, texts::upcaster_form());
    }
    if let Some(from) = upcaster.from.as_ref().filter(|from| from.value == 0 || u32::try_from(from.value).is_err()) {
        diagnostics.error_at(from.span, &texts::version_zero());
    }
}
