//! Building the keys of new claims from the log.

use std::collections::HashMap;
use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::time::Duration;

use super::domain::DomainTable;
use crate::aggregate::EventDescriptor;
use crate::event::{AnyEvent, ClaimKind, DecodeError, Recorded, StreamId};
use crate::store::{BuildClaimsError, ClaimBuild, ClaimHolder, ClaimPage, ClaimsStep, EventClaims, Store, StoreError};

/// The time without news after which the log is read again.
const POLL: Duration = Duration::from_secs(1);

/// How far a build of claims is. Positions stand for events: in a log without holes they count the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClaimsProgress {
    /// The position up to which the log has been read.
    pub done: u64,
    /// The head of the log.
    pub total: u64,
}

/// A build of claims, which runs when it is awaited. Returned by [`AppBuilder::build_claims`](super::AppBuilder::build_claims).
#[must_use = "nothing is built until it is awaited"]
pub struct BuildClaims<S> {
    store: S,
    domain: &'static DomainTable,
    page: usize,
    progress: Box<dyn FnMut(ClaimsProgress) + Send>,
}

impl<S: Store> BuildClaims<S> {
    pub(crate) fn new(store: S, domain: &'static DomainTable, page: usize) -> Self {
        Self { store, domain, page: page.max(1), progress: Box::new(|_| {}) }
    }

    /// Calls a function after each page of the log that is stored.
    pub fn on_progress(mut self, progress: impl FnMut(ClaimsProgress) + Send + 'static) -> Self {
        self.progress = Box::new(progress);
        self
    }

    async fn run(mut self) -> Result<(), BuildClaimsError> {
        let claims = Declared::of(self.domain);
        loop {
            let Some(build) = self.store.begin_claims(&claims.events).await? else { return Ok(()) };
            match self.read(build, &claims).await? {
                ClaimsStep::InForce => return Ok(()),
                ClaimsStep::Duplicates(duplicates) => return Err(BuildClaimsError::Duplicates(duplicates)),
                ClaimsStep::Replaced => {
                    let differ = self.store.register_claims(&claims.events).await?;
                    return if differ.is_empty() { Ok(()) } else { Err(BuildClaimsError::Replaced) };
                }
                // Another process builds the same: it is taken up where that one is.
                ClaimsStep::Stored | ClaimsStep::Behind | ClaimsStep::Moved => {}
            }
        }
    }

    /// Reads the log from a build's position on, until the build ends or another process has moved it.
    async fn read(&mut self, mut build: ClaimBuild, claims: &Declared) -> Result<ClaimsStep, BuildClaimsError> {
        let mut news = self.store.watch();
        let begun_at = self.store.head().await?;
        loop {
            news.mark_unchanged();
            let events = self.store.read_all(build.position, self.page).await?;
            let Some(last) = events.last() else {
                match self.store.finish_claims(&build).await? {
                    // What is behind cannot be read yet: something in front of it is still in progress.
                    ClaimsStep::Behind => drop(tokio::time::timeout(POLL, news.changed()).await),
                    ended => return Ok(ended),
                }
                continue;
            };
            let to = last.position();
            let holders = claims.holders(&build, &events)?;
            match self.store.store_claims(ClaimPage { build: build.clone(), to, holders }).await? {
                ClaimsStep::Stored => build.position = to,
                ended => return Ok(ended),
            }
            crate::fail_point::reached("claims.stored");
            let total = self.store.head().await?.get().max(to.get());
            (self.progress)(ClaimsProgress { done: to.get(), total });
            // Others may append faster than pages are read. What they append claims nothing, or is read first.
            if to >= begun_at {
                match self.store.finish_claims(&build).await? {
                    ClaimsStep::Behind => {}
                    ended => return Ok(ended),
                }
            }
        }
    }
}

impl<S: Store> IntoFuture for BuildClaims<S> {
    type Output = Result<(), BuildClaimsError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl<S> fmt::Debug for BuildClaims<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BuildClaims").field("domain", &self.domain.name).finish_non_exhaustive()
    }
}

/// Returns the rules of all events of a domain.
pub(super) fn declared(domain: &'static DomainTable) -> Vec<EventClaims> {
    Declared::of(domain).events
}

/// The events of a domain, and how their keys are read.
struct Declared {
    events: Vec<EventClaims>,
    readers: HashMap<(&'static str, &'static str), &'static EventDescriptor>,
}

impl Declared {
    fn of(domain: &'static DomainTable) -> Self {
        let (mut events, mut readers) = (Vec::new(), HashMap::new());
        domain.walk(&mut |domain| {
            for aggregate in domain.aggregates {
                for event in aggregate.events {
                    if readers.insert((aggregate.name, event.name), event).is_none() {
                        events.push(EventClaims { aggregate: aggregate.name, event: event.name, rules: event.claims });
                    }
                }
            }
        });
        Self { events, readers }
    }

    /// Reads which keys of the build's sets a page changes. Of several changes of a key by one stream the last one counts.
    fn holders(&self, build: &ClaimBuild, page: &[Recorded<AnyEvent>]) -> Result<Vec<ClaimHolder>, StoreError> {
        let mut held: HashMap<(StreamId, String, String), bool> = HashMap::new();
        for event in page {
            let (stream, stored) = (event.stream(), event.event());
            let Some(reader) = self.readers.get(&(stream.category(), &*stored.name)) else { continue };
            if reader.claims.iter().all(|rule| build.sets().all(|set| set != rule.set)) {
                continue;
            }
            let located = |error: DecodeError| error.at(stream, event.version(), Some(event.position()));
            for claim in (reader.claims_of)(stored.version, &stored.body).map_err(located)? {
                if build.sets().any(|set| set == claim.set) {
                    let key = (stream.clone(), claim.set.into_owned(), claim.key);
                    held.insert(key, claim.kind == ClaimKind::Claim);
                }
            }
        }
        let holder = |((stream, set, key), held)| ClaimHolder { stream, set, key, held };
        Ok(held.into_iter().map(holder).collect())
    }
}
