//! The state of one aggregate, now or earlier: for people, tests and tools.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::engine::Engine;
use super::replay;
use super::turn::Held;
use crate::aggregate::Aggregate;
use crate::event::{AnyEvent, Recorded, StreamId, Version};
use crate::store::{DecisionChain, Store, StoreError, StoredEvent};

/// The state of an aggregate and the version it is at.
///
/// Where nothing exists, the state is `None` and the version 0; that is no error.
#[derive(Clone, PartialEq, Eq)]
pub struct Loaded<A> {
    state: Option<A>,
    version: Version,
}

impl<A> Loaded<A> {
    /// Gives the state; `None` where the aggregate does not exist.
    #[must_use]
    pub const fn state(&self) -> Option<&A> {
        self.state.as_ref()
    }

    /// Takes the state out.
    #[must_use]
    pub fn into_state(self) -> Option<A> {
        self.state
    }

    /// Gives the version: how many events the aggregate has, at the point that was asked for.
    #[must_use]
    pub const fn version(&self) -> Version {
        self.version
    }
}

impl<A> fmt::Debug for Loaded<A> {
    // The state is left out, so that it need not be `Debug`: aggregates keep their fields to themselves.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loaded")
            .field("exists", &self.state.is_some())
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

impl<A> From<Held<A>> for Loaded<A> {
    fn from(held: Held<A>) -> Self {
        Self { state: held.state, version: held.version }
    }
}

/// How far to replay.
#[derive(Clone, Copy, Debug)]
enum Until {
    Now,
    Version(Version),
    Time(DateTime<Utc>),
}

/// Loads one aggregate when it is awaited. Always reads the store, never the cache.
#[must_use = "nothing is loaded until this is awaited"]
#[derive(Debug)]
pub struct Load<S, A: Aggregate> {
    engine: Arc<Engine<S>>,
    stream: StreamId,
    until: Until,
    aggregate: PhantomData<fn() -> A>,
}

impl<S: Store, A: Aggregate> Load<S, A> {
    pub(crate) fn new(engine: Arc<Engine<S>>, id: &A::Id) -> Self {
        Self { engine, stream: A::stream(id), until: Until::Now, aggregate: PhantomData }
    }

    /// Loads the aggregate as it was after its `version`th event.
    pub fn at_version(mut self, version: impl Into<Version>) -> Self {
        self.until = Until::Version(version.into());
        self
    }

    /// Loads the aggregate as it was at a time: with the events before the first one that was recorded later.
    pub const fn at_time(mut self, time: DateTime<Utc>) -> Self {
        self.until = Until::Time(time);
        self
    }

    /// Loads the aggregate of a tenant.
    pub fn tenant(mut self, tenant: impl Into<String>) -> Self {
        self.stream = self.stream.with_tenant(tenant);
        self
    }

    async fn run(self) -> Result<Loaded<A>, StoreError> {
        let Self { engine, stream, until, .. } = self;
        let page = engine.limits.page;
        if let Until::Now = until {
            return Ok(replay::load::<A, _>(&replay::From(&engine.store), &stream, page).await?.into());
        }
        let mut held = Held { state: None, version: Version::NONE, chain: DecisionChain::new(), bytes: 0 };
        loop {
            let events = engine.store.read_history(&stream, held.version, page).await?;
            let read = events.len();
            let wanted: Vec<_> = events.into_iter().take_while(|event| until.includes(event)).map(stored).collect();
            let done = read < page || wanted.len() < read;
            replay::fold(&mut held, &stream, wanted)?;
            if done {
                return Ok(held.into());
            }
        }
    }
}

impl Until {
    fn includes(&self, event: &Recorded<AnyEvent>) -> bool {
        match self {
            Self::Now => true,
            Self::Version(version) => event.version() <= *version,
            Self::Time(time) => event.recorded_at() <= *time,
        }
    }
}

fn stored(recorded: Recorded<AnyEvent>) -> StoredEvent {
    let version = recorded.version();
    let AnyEvent { name, version: schema_version, body } = recorded.into_event();
    StoredEvent { version, name, schema_version, body }
}

impl<S: Store, A: Aggregate> IntoFuture for Load<S, A> {
    type Output = Result<Loaded<A>, StoreError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}
