//! What follows the log, as the engine sees it. Today these are projections.

use std::sync::Arc;

use super::assign::partition_of;
use super::health::StopReason;
use super::machine::Failure;
use super::plan::Items;
use crate::event::{AnyEvent, Recorded};
use crate::projection::{FailurePolicy, ProjectionDescriptor, ProjectionFailure, ProjectionHandler, Registered};
use crate::store::PartitionId;

/// One subscription of the program.
#[derive(Clone)]
pub(crate) struct Subscriber {
    pub(crate) name: Arc<str>,
    pub(crate) projection: &'static ProjectionDescriptor,
    pub(crate) registered: Registered,
    /// How often a function is tried again where it declares nothing.
    pub(crate) retries: u32,
}

impl Subscriber {
    pub(crate) fn new(registered: Registered, retries: u32) -> Self {
        let projection = registered.descriptor();
        Self { name: projection.name.into(), projection, registered, retries }
    }

    pub(crate) fn partitions(&self) -> u32 {
        self.projection.partitions.max(1)
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = PartitionId> + '_ {
        (0..self.partitions()).map(|partition| PartitionId {
            name: Arc::clone(&self.name),
            version: self.projection.version,
            partition,
        })
    }

    /// Whether one of the functions is watched closely.
    pub(crate) fn is_monitored(&self) -> bool {
        self.projection.handlers.iter().any(|handler| handler.options.monitor)
    }

    /// Gives an event's sequence keys; none where they cannot be found out.
    pub(crate) fn keys(&self, event: &Recorded<AnyEvent>) -> Vec<String> {
        match &self.registered {
            Registered::Folded(projector) => {
                projector.sequence_keys(event).iter().map(|key| key.as_str().to_owned()).collect()
            }
            Registered::Connected(_) | Registered::External(_) => vec![event.stream().sequence_key()],
        }
    }

    /// Whether a partition deals with an event. One whose keys are not known is everybody's: each partition puts it aside, so that none
    /// handles what comes behind it.
    ///
    /// # Errors
    ///
    /// [`StopReason::SpansPartitions`]: two workers must not write one row.
    pub(crate) fn concerns(&self, event: &Recorded<AnyEvent>, partition: u32) -> Result<bool, StopReason> {
        if !self.projection.takes(event) {
            return Ok(false);
        }
        let partitions = self.partitions();
        if partitions == 1 {
            return Ok(true);
        }
        let keys = self.keys(event);
        let mine = keys.iter().filter(|key| partition_of(key, partitions) == partition).count();
        if mine == 0 || mine == keys.len() {
            return Ok(mine > 0 || keys.is_empty());
        }
        let (stream, position) = (event.stream().clone(), event.position());
        Err(StopReason::SpansPartitions { event: event.id(), stream, position, keys })
    }

    /// What is to become of an event that failed.
    pub(crate) fn failure(&self, event: &Recorded<AnyEvent>, failure: &ProjectionFailure) -> Failure {
        let named = handler_of(failure);
        let of_event = || self.projection.handlers_of(event.stream().category(), &event.event().name).map(|(_, it)| it);
        let handler = of_event().find(|handler| Some(handler.name) == named);
        let policy = handler.map_or_else(|| strictest(of_event()), policy_of);
        let certain = matches!(self.registered, Registered::Folded(_)) || named.is_none();
        let retries = handler.and_then(|handler| handler.options.retries).unwrap_or(self.retries);
        let cause = failure.to_string();
        let reason = StopReason::Failed {
            event: event.id(),
            stream: event.stream().clone(),
            position: event.position(),
            cause: cause.clone(),
        };
        Failure { reason, cause, policy, retries: if certain { 0 } else { retries } }
    }
}

fn policy_of(handler: &ProjectionHandler) -> FailurePolicy {
    handler.options.on_failure.unwrap_or_default()
}

/// Where it is not known which function failed: nothing is left out that one of them wants.
fn strictest<'a>(handlers: impl Iterator<Item = &'a ProjectionHandler>) -> FailurePolicy {
    let rank = |policy: &FailurePolicy| match policy {
        FailurePolicy::Skip => 0,
        FailurePolicy::Park => 1,
        FailurePolicy::Stop => 2,
    };
    handlers.map(policy_of).max_by_key(rank).unwrap_or_default()
}

/// The function that failed; `None` where the event or a row itself is at fault, which no repeat mends.
fn handler_of(failure: &ProjectionFailure) -> Option<&'static str> {
    use ProjectionFailure as F;
    match failure {
        F::RowMissing { handler, .. }
        | F::RowExists { handler, .. }
        | F::KeyChanged { handler, .. }
        | F::Panicked { handler, .. }
        | F::Failed { handler, .. }
        | F::TimedOut { handler, .. } => Some(handler),
        F::NotAnId(_) | F::Decode(_) | F::Column(_) => None,
    }
}

/// The events of a page that concern a partition.
pub(crate) struct Mine<'a> {
    pub(crate) subscriber: &'a Subscriber,
    pub(crate) events: &'a [Recorded<AnyEvent>],
}

impl Items for Mine<'_> {
    fn keys(&self, item: usize) -> Vec<String> {
        self.events.get(item).map(|event| self.subscriber.keys(event)).unwrap_or_default()
    }

    fn stream(&self, item: usize) -> String {
        self.events.get(item).map(|event| event.stream().sequence_key()).unwrap_or_default()
    }
}
