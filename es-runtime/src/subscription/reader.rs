//! Reads the log in pages, and makes sure that nothing is missing.

use rustc_hash::{FxHashMap, FxHashSet};
use tokio::task::JoinSet;

use crate::event::{AnyEvent, GlobalPosition, Recorded, StreamId, Version};
use crate::store::{CheckpointStore, EventStore, SafePosition, StoreError};

/// A stream lacks an event, or the store gave pages that do not ascend: nothing behind that place may be handled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the log is not contiguous: at position {position} stream `{stream}` is at version {found}, where version {expected} is expected"
)]
pub struct LogGap {
    /// The stream.
    pub stream: StreamId,
    /// The version that comes next.
    pub expected: Version,
    /// The version that was found.
    pub found: Version,
    /// Where it was found.
    pub position: GlobalPosition,
}

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    #[error(transparent)]
    Gap(#[from] LogGap),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A run of the log.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) events: Vec<Recorded<AnyEvent>>,
    /// Up to where the log was seen.
    pub(crate) to: SafePosition,
    /// Whether there may be more.
    pub(crate) full: bool,
}

/// How many streams' versions are remembered at least.
const STREAMS: usize = 65_536;

/// The last versions of streams: bounded, those that were used last stay.
#[derive(Debug, Default)]
struct Versions {
    young: FxHashMap<StreamId, Version>,
    old: FxHashMap<StreamId, Version>,
}

impl Versions {
    /// Makes room for so many; nothing is forgotten before the next call.
    fn reserve(&mut self, count: usize) {
        if self.young.len() + count > STREAMS {
            self.old = std::mem::take(&mut self.young);
        }
    }

    /// Gives a version, and keeps it for longer.
    fn get(&mut self, stream: &StreamId) -> Option<Version> {
        if let Some(version) = self.young.get(stream) {
            return Some(*version);
        }
        let (stream, version) = self.old.remove_entry(stream)?;
        self.young.insert(stream, version);
        Some(version)
    }

    fn set(&mut self, stream: &StreamId, version: Version) {
        match self.young.get_mut(stream) {
            Some(known) => *known = version,
            None => drop(self.young.insert(stream.clone(), version)),
        }
    }
}

type Ahead = Result<Vec<Recorded<AnyEvent>>, StoreError>;

/// Reads the whole log, unfiltered, after a position.
pub(crate) struct Reader<S> {
    store: S,
    after: GlobalPosition,
    limit: usize,
    versions: Versions,
    /// The next page, which is read while the one before is handled. Dropped, it ends.
    ahead: JoinSet<Ahead>,
}

impl<S: EventStore + CheckpointStore + Clone> Reader<S> {
    pub(crate) fn new(store: S, after: GlobalPosition, limit: usize) -> Self {
        Self { store, after, limit, versions: Versions::default(), ahead: JoinSet::new() }
    }

    /// Reads the next page. After an error the same page is read again.
    pub(crate) async fn page(&mut self) -> Result<Page, ReadError> {
        let events = match self.ahead.join_next().await {
            Some(Ok(ahead)) => ahead?,
            // A read that panicked is read again here, so that the panic is the worker's.
            Some(Err(_)) | None => self.store.read_all(self.after, self.limit).await?,
        };
        let full = events.len() >= self.limit;
        let last = events.last().map_or(self.after, |event| event.position().max(self.after));
        let events = self.check(events).await?;
        self.after = last;
        if full {
            let (store, after, limit) = (self.store.clone(), self.after, self.limit);
            self.ahead.spawn(async move { store.read_all(after, limit).await });
        }
        Ok(Page { events, to: SafePosition(last), full })
    }

    /// Drops what comes twice, and refuses what misses something.
    async fn check(&mut self, events: Vec<Recorded<AnyEvent>>) -> Result<Vec<Recorded<AnyEvent>>, ReadError> {
        self.seed(&events).await?;
        let mut checked = Vec::with_capacity(events.len());
        for event in events {
            let last = self.versions.get(event.stream()).unwrap_or(Version::NONE);
            let (found, expected) = (event.version(), last.after(1));
            if found > expected {
                let (stream, position) = (event.stream().clone(), event.position());
                return Err(LogGap { stream, expected, found, position }.into());
            }
            if found == expected {
                self.versions.set(event.stream(), found);
                checked.push(event);
            }
        }
        Ok(checked)
    }

    /// Looks the versions up of the page's streams that are not remembered. A stream that begins in the page needs none.
    async fn seed(&mut self, events: &[Recorded<AnyEvent>]) -> Result<(), StoreError> {
        self.versions.reserve(events.len());
        let mut missing: FxHashSet<&StreamId> = FxHashSet::default();
        for event in events {
            if self.versions.get(event.stream()).is_some() || missing.contains(event.stream()) {
                continue;
            }
            if event.version() == 1 {
                self.versions.set(event.stream(), Version::NONE);
            } else {
                missing.insert(event.stream());
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        let streams: Vec<StreamId> = missing.into_iter().cloned().collect();
        let versions = self.store.versions_at(&streams, self.after).await?;
        for (stream, version) in streams.into_iter().zip(versions) {
            self.versions.set(&stream, version);
        }
        Ok(())
    }
}
