//! Waiting until projections have passed a position.

use std::time::Duration;

use tokio::time::Instant;

use super::read_models::{Read, ReadModels, read_version};
use crate::error::Pending;
use crate::event::{GlobalPosition, Recorded, StreamId, Version};
use crate::projection::ProjectionDescriptor;
use crate::store::{Checkpoint, ProjectionVersion, Store, StoreError, SubscriptionStatus, VersionState};

/// How often the checkpoints are looked at where no wake-up of this process comes: at first, and at most.
const POLL: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(50));

/// What is waited for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Awaited<'a> {
    pub(crate) position: GlobalPosition,
    /// The streams of the receipts: an event of theirs that is put aside is not visible.
    pub(crate) streams: &'a [StreamId],
    /// Whether the position is that of a receipt of this program: what its append projects is there already.
    pub(crate) receipts_only: bool,
    /// Whether this program's version has to serve, too. Without it, the version that queries read at present is looked at.
    pub(crate) own_version: bool,
}

impl<S: Store> ReadModels<S> {
    /// Waits until projections have durably passed a position. Gives those that have not by the deadline; at once where waiting is
    /// in vain, because they stopped, are paused, or have put the stream aside.
    pub(crate) async fn passed(
        &self,
        projections: &[&'static ProjectionDescriptor],
        awaited: Awaited<'_>,
        deadline: Instant,
    ) -> Result<Vec<Pending>, StoreError> {
        let mut waiting: Vec<_> = projections.to_vec();
        let mut hopeless = Vec::new();
        let mut moved = self.moved();
        let mut pause = POLL.0;
        loop {
            moved.mark_unchanged();
            let mut behind = Vec::new();
            for projection in waiting {
                match self.look(projection, awaited).await? {
                    Look::Passed => {}
                    Look::Behind => behind.push((projection, None)),
                    Look::Building(reason) => behind.push((projection, Some(reason))),
                    Look::InVain(reason) => {
                        hopeless.push(Pending { projection: projection.name, reason: Some(reason) });
                    }
                }
            }
            if behind.is_empty() || !hopeless.is_empty() || Instant::now() >= deadline {
                hopeless.extend(behind.into_iter().map(|(behind, reason)| Pending { projection: behind.name, reason }));
                return Ok(hopeless);
            }
            waiting = behind.into_iter().map(|(behind, _)| behind).collect();
            // Workers of this process wake us; those of others, and of none, are found by looking.
            let until = deadline.min(Instant::now() + pause);
            if let Ok(Err(_gone)) = tokio::time::timeout_at(until, moved.changed()).await {
                tokio::time::sleep_until(until).await;
            }
            pause = POLL.1.min(pause * 2);
        }
    }

    async fn look(&self, projection: &'static ProjectionDescriptor, awaited: Awaited<'_>) -> Result<Look, StoreError> {
        let version = match self.read_version(projection).await? {
            Read::Version(version) if version == projection.version || !awaited.own_version => version,
            Read::Version(_) | Read::Building => return self.look_at_building(projection, awaited.position).await,
            Read::Dropped => return Ok(Look::InVain(format!("version {} was dropped", projection.version))),
        };
        let checkpoints = self.store().checkpoints(projection.name, version).await?;
        if checkpoints.is_empty() {
            return Ok(Look::InVain(format!("version {version} was dropped")));
        }
        let behind = checkpoints.iter().any(|checkpoint| checkpoint.position < awaited.position);
        if behind && !self.came_with_the_commit(projection, awaited).await? {
            let in_vain = checkpoints.iter().find_map(|checkpoint| in_vain(checkpoint, awaited.position));
            return Ok(in_vain.map_or(Look::Behind, Look::InVain));
        }
        if awaited.streams.is_empty() || checkpoints.iter().all(|checkpoint| checkpoint.letters == 0) {
            return Ok(Look::Passed);
        }
        let aside = self.store().first_letter(projection.name, version, awaited.streams, awaited.position).await?;
        let in_vain = |position| Look::InVain(format!("the event at position {position} is put aside"));
        Ok(aside.map_or(Look::Passed, in_vain))
    }

    /// Tells whether what a receipt speaks of was projected in the append, or by now in another way: where nothing is asynchronous, and this
    /// version serves and does not only follow. The commits of other programs may have left it to the workers.
    async fn came_with_the_commit(
        &self,
        projection: &'static ProjectionDescriptor,
        awaited: Awaited<'_>,
    ) -> Result<bool, StoreError> {
        if !awaited.receipts_only || !projection.has_sync() || projection.has_async() {
            return Ok(false);
        }
        let stored = self.rows.versions(true).await?;
        let is_own = |known: &&ProjectionVersion| known.name == projection.name && known.version == projection.version;
        Ok(stored.iter().find(is_own).is_some_and(|own| own.state == VersionState::Active && !own.follows))
    }

    /// Looks at a version that is waited for until it serves.
    async fn look_at_building(
        &self,
        projection: &'static ProjectionDescriptor,
        position: GlobalPosition,
    ) -> Result<Look, StoreError> {
        let checkpoints = self.store().checkpoints(projection.name, projection.version).await?;
        let in_vain = checkpoints.iter().find_map(|checkpoint| in_vain(checkpoint, position));
        let building = || Look::Building(format!("version {} is being built", projection.version));
        Ok(in_vain.map_or_else(building, Look::InVain))
    }

    /// Finds the position of a stream's event; [`GlobalPosition::START`] for none. For receipts of commands that had nothing to do: what they
    /// were decided on is what is to be seen.
    pub(crate) async fn position_of(&self, stream: &StreamId, version: Version) -> Result<GlobalPosition, StoreError> {
        let Some(before) = version.get().checked_sub(1) else { return Ok(GlobalPosition::START) };
        let events = self.store().read_history(stream, Version::new(before), 1).await?;
        Ok(events.first().map_or(GlobalPosition::START, Recorded::position))
    }

    /// Says which version queries read.
    async fn read_version(&self, projection: &'static ProjectionDescriptor) -> Result<Read, StoreError> {
        match read_version(projection, &self.rows.versions(false).await?) {
            Read::Version(version) if version == projection.version => Ok(Read::Version(version)),
            // It may have been built meanwhile.
            _ => Ok(read_version(projection, &self.rows.versions(true).await?)),
        }
    }
}

enum Look {
    Passed,
    Behind,
    Building(String),
    InVain(String),
}

fn in_vain(checkpoint: &Checkpoint, position: GlobalPosition) -> Option<String> {
    if checkpoint.position >= position {
        return None;
    }
    match &checkpoint.status {
        SubscriptionStatus::Running => None,
        SubscriptionStatus::Paused => Some("it is paused".to_owned()),
        SubscriptionStatus::Stopped { reason, .. } => Some(format!("it stopped: {reason}")),
    }
}
