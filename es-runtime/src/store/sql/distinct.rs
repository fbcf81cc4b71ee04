//! The parts of a question, each once.

use rustc_hash::FxHashSet;

/// Keeps the first of each.
pub(in crate::store) fn distinct<T: std::hash::Hash + Eq + Clone>(items: impl Iterator<Item = T>) -> Vec<T> {
    let mut seen = FxHashSet::default();
    items.filter(|item| seen.insert(item.clone())).collect()
}
