//! What running handlers wait for: handlers that wait for each other's aggregates would wait forever.
//!
//! A nested dispatch waits for its turn at an aggregate. Whoever has that turn is ahead of it, and may be a handler that
//! waits for a turn itself. A circle can only be closed by a handler that begins to wait, since one that begins to run waits
//! for nothing yet. So looking when a wait begins finds every circle of dispatches whose handlers are known.

use std::sync::{Arc, LazyLock};

use parking_lot::Mutex;
use rustc_hash::{FxHashMap, FxHashSet};

use super::running::{Place, Running};
use crate::event::StreamId;

/// The waits of all applications of this process, by the place of the handler that waits.
static WAITS: LazyLock<Mutex<FxHashMap<Place, Vec<Edge>>>> = LazyLock::new(Mutex::default);

#[derive(Debug)]
struct Edge {
    waiting: Arc<Running>,
    target: Place,
}

/// A nested dispatch that waits for its turn. Dropping it ends the wait.
#[derive(Debug)]
pub(crate) struct Wait {
    nested: Arc<Running>,
    target: Place,
}

impl Wait {
    /// Begins to wait for a turn at `target`, inside `nested` and the handlers around it.
    ///
    /// # Errors
    ///
    /// Returns the circle, from `nested` to a handler around it, if one of them would wait for itself.
    pub(crate) fn begin(nested: Arc<Running>, target: Place) -> Result<Self, Vec<StreamId>> {
        let mut waits = WAITS.lock();
        let path: FxHashSet<&Place> = nested.path().map(|running| &running.place).collect();
        if let Some(circle) = circle(&waits, &path, &target) {
            return Err(std::iter::once(nested.place.stream.clone()).chain(circle).collect());
        }
        for running in nested.path() {
            let edge = Edge { waiting: Arc::clone(running), target: target.clone() };
            waits.entry(running.place.clone()).or_default().push(edge);
        }
        drop(waits);
        Ok(Self { nested, target })
    }

    /// Returns the aggregates whose turn a handler waits for.
    pub(crate) fn of(waiting: &Arc<Running>) -> Vec<StreamId> {
        let waits = WAITS.lock();
        let edges = waits.get(&waiting.place).into_iter().flatten();
        edges.filter(|edge| Arc::ptr_eq(&edge.waiting, waiting)).map(|edge| edge.target.stream.clone()).collect()
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        let mut waits = WAITS.lock();
        // Also of handlers that have ended since.
        for running in self.nested.whole_path() {
            let Some(edges) = waits.get_mut(&running.place) else { continue };
            let mine = |edge: &Edge| Arc::ptr_eq(&edge.waiting, running) && edge.target == self.target;
            if let Some(index) = edges.iter().position(mine) {
                edges.swap_remove(index);
            }
            if edges.is_empty() {
                waits.remove(&running.place);
            }
        }
    }
}

/// Follows the waits from `target` to one of `path`, and returns the streams on the way.
fn circle(waits: &FxHashMap<Place, Vec<Edge>>, path: &FxHashSet<&Place>, target: &Place) -> Option<Vec<StreamId>> {
    let mut seen = FxHashSet::default();
    let mut open = vec![(target, vec![target.stream.clone()])];
    while let Some((place, way)) = open.pop() {
        if path.contains(place) {
            return Some(way);
        }
        if !seen.insert(place) {
            continue;
        }
        for edge in waits.get(place).into_iter().flatten().filter(|edge| edge.waiting.is_running()) {
            let mut way = way.clone();
            way.push(edge.target.stream.clone());
            open.push((&edge.target, way));
        }
    }
    None
}
