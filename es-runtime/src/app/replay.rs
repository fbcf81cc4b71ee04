//! Folding a stream into a state.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;

use super::turn::Held;
use crate::aggregate::{Aggregate, AggregateEvent as _, CannotApply};
use crate::event::{StreamId, Version};
use crate::private::panic_message;
use crate::store::{DecisionChain, EventStore, History, SnapshotStore, StoreError, StoredEvent};

/// What replay reads from: a store, or a store without its type.
pub(crate) trait Source: Sync {
    fn read(
        &self,
        stream: &StreamId,
        after: Version,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<StoredEvent>, StoreError>> + Send;

    fn snapshot(
        &self,
        stream: &StreamId,
        fingerprint: u64,
    ) -> impl Future<Output = Result<Option<(Version, Bytes)>, StoreError>> + Send;

    fn history(&self) -> History;
}

/// Replay from a store.
pub(crate) struct From<'a, S>(pub(crate) &'a S);

impl<S: EventStore + SnapshotStore> Source for From<'_, S> {
    async fn read(&self, stream: &StreamId, after: Version, limit: usize) -> Result<Vec<StoredEvent>, StoreError> {
        self.0.read_stream(stream, after, limit).await
    }

    async fn snapshot(&self, stream: &StreamId, fingerprint: u64) -> Result<Option<(Version, Bytes)>, StoreError> {
        self.0.snapshot(stream, fingerprint).await
    }

    fn history(&self) -> History {
        self.0.history()
    }
}

/// Loads an aggregate: its snapshot where one fits, and the events after it.
pub(crate) async fn load<A, S>(store: &S, stream: &StreamId, page: usize) -> Result<Held<A>, StoreError>
where
    A: Aggregate,
    S: Source,
{
    // Before anything is read.
    let chain = DecisionChain::on(store.history());
    let mut held = match from_snapshot::<A, S>(store, stream, &chain).await? {
        Some(held) => held,
        None => Held { state: None, version: Version::NONE, chain, bytes: size_of::<A>() },
    };
    loop {
        let events = store.read(stream, held.version, page).await?;
        let last = events.len() < page;
        fold(&mut held, stream, events)?;
        if last {
            return Ok(held);
        }
    }
}

/// A snapshot that does not fit the program is ignored: the events tell the whole story.
async fn from_snapshot<A, S>(store: &S, stream: &StreamId, chain: &DecisionChain) -> Result<Option<Held<A>>, StoreError>
where
    A: Aggregate,
    S: Source,
{
    let Some(policy) = A::SNAPSHOT else {
        return Ok(None);
    };
    let Some((version, bytes)) = store.snapshot(stream, policy.fingerprint()).await? else {
        return Ok(None);
    };
    let decoded = catch_unwind(AssertUnwindSafe(|| (policy.decode)(&bytes).map_err(|error| error.to_string())));
    match decoded.unwrap_or_else(|panic| Err(format!("it panicked: {}", panic_message(&*panic)))) {
        Ok(state) => {
            let bytes = size_of::<A>() + bytes.len();
            Ok(Some(Held { state: Some(state), version, chain: chain.clone(), bytes }))
        }
        Err(error) => {
            tracing::warn!(stream = %stream, version = version.get(), %error, "a snapshot does not decode and is ignored");
            Ok(None)
        }
    }
}

/// Estimates the size of a state after one more event: what its events bring, up to a limit, because most states do not keep
/// what happened to them.
pub(crate) fn grown<A>(bytes: usize, body: usize) -> usize {
    const MOST: usize = 16 << 10;
    (bytes + body).min(size_of::<A>() + MOST).max(bytes)
}

/// Folds stored events. What does not decode or apply is reported with its place; nothing is skipped. After an error the
/// caller drops the state.
pub(crate) fn fold<A: Aggregate>(
    held: &mut Held<A>,
    stream: &StreamId,
    events: Vec<StoredEvent>,
) -> Result<(), StoreError> {
    let damaged = |version: Version, reason: String| StoreError::Damaged {
        place: format!("stream `{stream}`, version {version}"),
        reason,
    };
    for stored in events {
        let expected = held.version.after(1);
        if stored.version != expected {
            return Err(damaged(stored.version, format!("version {expected} is missing before it")));
        }
        let event = A::Event::decode(&stored.name, stored.schema_version, &stored.body)
            .map_err(|error| error.at(stream, stored.version, None))?;
        let created = apply::<A>(held.state.as_mut(), &event).map_err(|cause| StoreError::CannotApply {
            stream: stream.clone(),
            version: stored.version,
            cause,
        })?;
        if created.is_some() {
            held.state = created;
        }
        held.version = stored.version;
        held.bytes = grown::<A>(held.bytes, stored.body.len());
    }
    Ok(())
}

/// Applies an event. After a panic the caller drops the state, so that no one sees it half changed.
fn apply<A: Aggregate>(state: Option<&mut A>, event: &A::Event) -> Result<Option<A>, CannotApply> {
    catch_unwind(AssertUnwindSafe(|| A::apply(state, event))).unwrap_or_else(|panic| {
        let message = panic_message(&*panic);
        Err(CannotApply::Panicked { event: event.name(), aggregate: A::NAME, message })
    })
}
