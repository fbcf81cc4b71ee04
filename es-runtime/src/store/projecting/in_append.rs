//! What commits carry for synchronous projections.

use std::sync::Arc;

use crate::projection::{ConnectedProjector, ProjectionDescriptor, Projector};

/// The synchronous projections of an application: what its commits carry to the store.
#[derive(Clone, Default)]
pub struct SyncProjections {
    /// Those that are folded, by their lowest priority, then by name.
    pub folded: Vec<Arc<dyn Projector>>,
    /// Those that take the connection, in the same order. A commit that concerns one of them shares no transaction with others.
    pub connected: Vec<Arc<dyn ConnectedProjector>>,
    /// Up to how many pending events of a stream a commit applies before its own; beyond that it fails with
    /// [`AppendError::ProjectionBehind`](crate::store::AppendError::ProjectionBehind).
    pub backlog: usize,
}

impl SyncProjections {
    /// Tells whether this version of a projection is one of them.
    #[must_use]
    pub fn bring(&self, projection: &ProjectionDescriptor) -> bool {
        self.descriptors().any(|own| (own.name, own.version) == (projection.name, projection.version))
    }

    /// Tells whether one of the synchronous functions takes an event.
    #[must_use]
    pub fn concern(&self, category: &str, event: &str) -> bool {
        self.descriptors().any(|projection| projection.takes_in_append(category, event))
    }

    /// Returns all of them.
    pub(crate) fn descriptors(&self) -> impl Iterator<Item = &'static ProjectionDescriptor> {
        let folded = self.folded.iter().map(|projector| projector.descriptor());
        folded.chain(self.connected.iter().map(|projector| projector.descriptor()))
    }
}

/// Says why a commit cannot be folded while an event of a key, or of a stream, is put aside.
pub(in crate::store) fn put_aside(key: &str) -> String {
    format!("an earlier event of `{key}` is put aside; mend the cause, then retry its letters")
}

impl std::fmt::Debug for SyncProjections {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let folded = self.folded.iter().map(|projector| projector.descriptor().name);
        let connected = self.connected.iter().map(|projector| projector.descriptor().name);
        f.debug_set().entries(folded.chain(connected)).finish()
    }
}
