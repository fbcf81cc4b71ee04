//! What a domain's lists must be.

use quote::ToTokens as _;
use syn::ext::IdentExt as _;

use crate::diagnostics::{Diagnostics, texts};
use crate::model::Listed;
use crate::syntax::options::Entry;
use crate::syntax::types;

/// The entries of one list, each type and each name once.
pub(crate) fn distinct(entries: &[Entry], kind: &str, diagnostics: &mut Diagnostics) -> Vec<Listed> {
    let mut kept: Vec<Listed> = Vec::new();
    for listed in Listed::all(entries) {
        let earlier = kept.iter().find(|earlier| earlier.variant == listed.variant);
        let Some(earlier) = earlier.filter(|earlier| earlier.cfgs.is_empty() && listed.cfgs.is_empty()) else {
            kept.push(listed);
            continue;
        };
        let name = listed.variant.unraw().to_string();
        if earlier.path.to_token_stream().to_string() == listed.path.to_token_stream().to_string() {
            diagnostics.error(&listed.path, texts::listed_twice(kind, &name));
        } else {
            diagnostics.error(&listed.path, texts::two_entries_of_one_name(kind, &name));
        }
    }
    kept
}

/// The entries of a list that makes no enum: each type once. Two of one name may stand in it.
pub(crate) fn distinct_paths(entries: &[Entry], kind: &str, diagnostics: &mut Diagnostics) -> Vec<Listed> {
    let mut kept: Vec<Listed> = Vec::new();
    for entry in entries {
        if let Some(rename) = &entry.rename {
            diagnostics.error(rename, texts::renamed_entry(kind));
        }
    }
    for listed in Listed::all(entries) {
        let path = types::text(&listed.path);
        let earlier = kept.iter().find(|earlier| types::text(&earlier.path) == path);
        if earlier.is_some_and(|earlier| earlier.cfgs.is_empty() && listed.cfgs.is_empty()) {
            diagnostics.error(&listed.path, texts::listed_twice(kind, &listed.type_name()));
        } else {
            kept.push(listed);
        }
    }
    kept
}
