//! The whole log as a stream.

use std::fmt;
use std::future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::stream::{self, BoxStream};
use futures_util::{Stream, StreamExt as _, TryStreamExt as _};
use tokio::sync::watch;

use super::domain::Domain;
use super::engine::Engine;
use crate::event::{AnyEvent, GlobalPosition, Recorded};
use crate::store::{Store, StoreError};

/// The events of the whole log, in their order, from a position; to the end, or on as they come.
///
/// # Guarantees
///
/// Every event comes once, none is skipped, each stream's events come in their order.
///
/// # Errors
///
/// The first error ends the stream: nothing is skipped over.
///
/// # Cancel safety
///
/// `next()` may be dropped and called again: no event is lost.
pub struct EventLog<S> {
    engine: Arc<Engine<S>>,
    from: GlobalPosition,
    follow: bool,
    tenant: Option<Arc<str>>,
    running: Option<BoxStream<'static, Result<Recorded<AnyEvent>, StoreError>>>,
}

impl<S: Store> EventLog<S> {
    pub(crate) const fn new(engine: Arc<Engine<S>>) -> Self {
        Self { engine, from: GlobalPosition::START, follow: false, tenant: None, running: None }
    }

    /// Begins with the first event after a position. Without it, with the first event there is.
    #[must_use]
    pub fn from(mut self, after: impl Into<GlobalPosition>) -> Self {
        self.from = after.into();
        self
    }

    /// Goes on when the end is reached: waits for new events, of this process and others. Ends when the store is closed.
    #[must_use]
    pub const fn follow(mut self) -> Self {
        self.follow = true;
        self
    }

    /// Leaves out the events of other tenants. The whole log is read all the same.
    #[must_use]
    pub fn tenant(mut self, tenant: impl Into<Arc<str>>) -> Self {
        self.tenant = Some(tenant.into());
        self
    }

    /// Decodes each event as one of domain `D`'s.
    ///
    /// # Errors
    ///
    /// An event that does not decode ends the stream, with its place in the log.
    pub fn decode<D: Domain>(self) -> impl Stream<Item = Result<Recorded<D::Event>, StoreError>> + Send + Unpin {
        self.map(|event| event.and_then(|event| D::decode(&event).map_err(StoreError::from))).fuse_errors()
    }

    fn start(&self) -> BoxStream<'static, Result<Recorded<AnyEvent>, StoreError>> {
        let tenant = self.tenant.clone();
        let tail = Tail {
            engine: Arc::clone(&self.engine),
            after: self.from,
            follow: self.follow,
            until: None,
            watch: self.engine.store.watch(),
        };
        stream::try_unfold(tail, |mut tail| async move {
            let page = tail.next_page().await?;
            Ok::<_, StoreError>(page.map(|events| (stream::iter(events).map(Ok), tail)))
        })
        .try_flatten()
        .try_filter(move |event| {
            let is_wanted = tenant.as_deref().is_none_or(|tenant| event.stream().tenant() == tenant);
            future::ready(is_wanted)
        })
        .boxed()
    }
}

/// Ends a stream after its first error.
trait FuseErrors: Stream + Sized {
    fn fuse_errors<T, E>(self) -> impl Stream<Item = Result<T, E>> + Send + Unpin
    where
        Self: Stream<Item = Result<T, E>> + Send + Unpin,
        T: Send,
        E: Send,
    {
        self.scan(false, |ended, item| {
            let next = if *ended { None } else { Some(item) };
            *ended = matches!(next, Some(Err(_)));
            std::future::ready(next)
        })
    }
}
impl<T: Stream> FuseErrors for T {}

/// A reader at the end of what it has read.
struct Tail<S> {
    engine: Arc<Engine<S>>,
    after: GlobalPosition,
    follow: bool,
    /// The head when the end was first met: without following, it is read that far.
    until: Option<GlobalPosition>,
    watch: watch::Receiver<GlobalPosition>,
}

impl<S: Store> Tail<S> {
    async fn next_page(&mut self) -> Result<Option<Vec<Recorded<AnyEvent>>>, StoreError> {
        loop {
            // Marked as seen before reading: an event that comes after this page wakes the wait below.
            self.watch.mark_unchanged();
            let page = match self.engine.store.read_all(self.after, self.engine.limits.page).await {
                Err(StoreError::Closed) if self.follow => return Ok(None),
                page => page?,
            };
            if let Some(last) = page.last() {
                self.after = last.position();
                return Ok(Some(page));
            }
            if !self.follow && self.is_at_end().await? {
                return Ok(None);
            }
            self.wait().await;
        }
    }

    /// An empty page is the end, unless the store knows of more: where transactions that are open may still fill a gap, what stands behind it
    /// comes later.
    async fn is_at_end(&mut self) -> Result<bool, StoreError> {
        let until = match self.until {
            Some(until) => until,
            None => *self.until.insert(self.engine.store.head().await?),
        };
        Ok(self.after >= until)
    }

    /// Waits until it is worth looking again. Losing a wake-up costs latency only: other processes' events and a watch
    /// whose sender is gone are found by polling.
    async fn wait(&mut self) {
        let poll = self.engine.store.poll_interval().unwrap_or(std::time::Duration::from_secs(1));
        if let Ok(Err(_gone)) = tokio::time::timeout(poll, self.watch.changed()).await {
            tokio::time::sleep(poll).await;
        }
    }
}

impl<S: Store> Stream for EventLog<S> {
    type Item = Result<Recorded<AnyEvent>, StoreError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.running.is_none() {
            self.running = Some(self.start());
        }
        match &mut self.running {
            Some(running) => running.poll_next_unpin(cx),
            None => Poll::Ready(None),
        }
    }
}

impl<S> fmt::Debug for EventLog<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventLog").field("from", &self.from).field("follow", &self.follow).finish_non_exhaustive()
    }
}
