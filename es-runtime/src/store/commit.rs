//! What is handed to a store, and what comes back.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use chrono::{DateTime, Datelike as _, Utc};
use tokio::sync::oneshot;

use super::{AppendError, History, InvalidCommit};
use crate::event::{Claim, ClaimRule, EventId, EventName, GlobalPosition, Metadata, StreamId, Version};
use crate::projection::kind_of;

/// An event before it is stored.
#[derive(Clone, Debug)]
pub struct NewEvent {
    /// The event's id. No other event of the commit has it. A store does not look for it in the log: it is the caller's part that ids are not
    /// used twice, as the UUIDs of [`EventId::new_v7`] are not.
    pub id: EventId,
    /// The stored name.
    pub name: EventName,
    /// The version of the event's schema.
    pub schema_version: u32,
    /// The event's fields: JSON, where an application reads them. A store keeps the bytes as they are, whatever they are.
    pub body: Bytes,
    /// The rules by which the program that appends the event claims and frees keys with it. The store refuses the event if
    /// its own rules for the event are others.
    pub rules: &'static [ClaimRule],
}

/// Everything that one command changes, all of it or nothing.
#[derive(Clone, Debug)]
pub struct NewCommit {
    /// The stream that is appended to.
    pub stream: StreamId,
    /// The version the decision was made on; [`Version::NONE`] for a new stream.
    pub expected: Version,
    /// The events, in their order. None: the commit only confirms the expected version.
    pub events: Vec<NewEvent>,
    /// What is stored beside each event.
    pub metadata: Arc<Metadata>,
    /// The time of the commit. A store keeps whole microseconds, and cuts off what is finer.
    pub recorded_at: DateTime<Utc>,
    /// The unique keys the events claim and free, in their order.
    pub claims: Vec<Claim>,
    /// What the ledger remembers, if the caller gave a key.
    pub ledger: Option<Box<LedgerEntry>>,
    /// The state after the events, if it is time to store one.
    pub snapshot: Option<Box<NewSnapshot>>,
    /// The decisions this one stands on.
    pub chain: DecisionChain,
    /// The synchronous projections, where one of them takes one of the events.
    pub projections: Option<Arc<super::SyncProjections>>,
}

impl NewCommit {
    /// The number of bytes that a stream's tenant, category and key have together at most; a tenant and an idempotency key; a tenant, a claim's
    /// set and its key. NUL and U+0001 count twice.
    ///
    /// PostgreSQL's indexes take entries of 2,704 bytes. The limit is the same for every store, so that data can move.
    pub const LONGEST_KEY: usize = 2_000;

    /// Checks what holds for every commit, whatever is stored. A store calls it when it decides the commit.
    ///
    /// # Errors
    ///
    /// Returns [`InvalidCommit`] if no store can store the commit as it is.
    pub fn check(&self) -> Result<(), InvalidCommit> {
        if !(0..=9_999).contains(&self.recorded_at.year()) {
            return Err(InvalidCommit::TimeOutOfRange { at: self.recorded_at });
        }
        let tenant = self.stream.tenant();
        longest("stream name", &[tenant, self.stream.category(), self.stream.key()])?;
        if let Some(entry) = &self.ledger {
            longest("idempotency key", &[tenant, &entry.key])?;
        }
        for claim in &self.claims {
            longest("claimed key", &[tenant, &claim.set, &claim.key])?;
        }
        if self.events.is_empty() {
            let what = match (self.claims.is_empty(), &self.snapshot) {
                (false, _) => "claims",
                (true, Some(_)) => "a snapshot",
                (true, None) => return Ok(()),
            };
            return Err(InvalidCommit::WithoutEvents { what });
        }
        let mut ids: Vec<EventId> = self.events.iter().map(|event| event.id).collect();
        ids.sort_unstable();
        match ids.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(InvalidCommit::RepeatedEventId { id: pair[0] }),
            None => Ok(()),
        }
    }
}

/// Checks that an index can hold a key.
///
/// # Errors
///
/// Returns [`InvalidCommit::TooLong`] if it is longer than [`NewCommit::LONGEST_KEY`].
pub(crate) fn longest(what: &'static str, parts: &[&str]) -> Result<(), InvalidCommit> {
    let doubled = |part: &str| part.bytes().filter(|byte| *byte <= 1).count();
    let bytes = parts.iter().map(|part| part.len() + doubled(part)).sum();
    if bytes > NewCommit::LONGEST_KEY {
        return Err(InvalidCommit::TooLong { what, bytes, limit: NewCommit::LONGEST_KEY });
    }
    Ok(())
}

/// An entry for the ledger.
#[derive(Clone, Debug)]
pub struct LedgerEntry {
    /// The caller's key, unique in the stream's tenant.
    pub key: String,
    /// The command's name.
    pub command: String,
    /// A hash of the command.
    pub hash: [u8; 32],
    /// The handler's answer as JSON.
    pub output: Bytes,
}

/// An entry of the ledger, with what its command did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerRecord {
    /// The command's name.
    pub command: String,
    /// A hash of the command.
    pub hash: [u8; 32],
    /// The handler's answer as JSON.
    pub output: Bytes,
    /// The stream that was appended to.
    pub stream: StreamId,
    /// What was committed.
    pub committed: Committed,
    /// The ids of the events, in their order.
    pub events: Vec<EventId>,
}

/// A state to be stored.
#[derive(Clone, Debug)]
pub struct NewSnapshot {
    /// What a program's state must match to read it.
    pub fingerprint: u64,
    /// The state.
    pub state: Bytes,
}

/// What a store says of a durable commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The stream's version after the commit.
    pub version: Version,
    /// The position of the commit's last event; [`GlobalPosition::START`] for a commit without events.
    pub position: GlobalPosition,
}

/// Ties together decisions that stand on each other before they are stored.
///
/// A command may be decided on a state whose last events are still on their way to the store. All commits of such a run
/// share a chain. When one fails, those behind it must not be stored, even where their expected version happens to fit by
/// then, because they were decided on something that never happened.
///
/// A chain also carries the [`History`] of the store that its state was read in. If that is over, the chain is broken: what it stands on may be
/// missing where it would be stored.
///
/// Cloning gives the same chain.
#[derive(Clone, Debug, Default)]
pub struct DecisionChain {
    broken: Arc<AtomicBool>,
    history: Option<History>,
}

impl DecisionChain {
    /// Begins a chain that stands on nothing that was read.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins a chain on what is read from now on. `history` is what the store returned *before* it was read.
    #[must_use]
    pub fn on(history: History) -> Self {
        Self { history: Some(history), ..Self::default() }
    }

    /// Marks the chain: nothing of it may be stored any more.
    pub fn break_off(&self) {
        self.broken.store(true, Ordering::Release);
    }

    /// Tells whether two are the same chain.
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    pub(in crate::store) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.broken, &other.broken)
    }

    /// Returns `true` if a decision of the chain failed, or if the history that it stands on is over.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Acquire) || self.history.as_ref().is_some_and(History::is_over)
    }
}

/// Resolves when the fate of a commit is known.
#[derive(Debug)]
pub struct CommitTicket(Ticket);

#[derive(Debug)]
enum Ticket {
    Ready(Option<Result<Committed, AppendError>>),
    Waiting(oneshot::Receiver<Result<Committed, AppendError>>),
}

/// The store's end of a [`CommitTicket`].
#[derive(Debug)]
pub struct TicketSender(oneshot::Sender<Result<Committed, AppendError>>);

impl TicketSender {
    /// Answers. Whether somebody still waits does not matter: the commit is what it is.
    pub fn answer(self, result: Result<Committed, AppendError>) {
        let _nobody_waits = self.0.send(result);
    }
}

impl CommitTicket {
    /// Makes a ticket whose fate is known already.
    #[must_use]
    pub const fn ready(result: Result<Committed, AppendError>) -> Self {
        Self(Ticket::Ready(Some(result)))
    }

    /// Makes a ticket and the end that answers it.
    #[must_use]
    pub fn pair() -> (TicketSender, Self) {
        let (sender, receiver) = oneshot::channel();
        (TicketSender(sender), Self(Ticket::Waiting(receiver)))
    }
}

impl Future for CommitTicket {
    type Output = Result<Committed, AppendError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            Ticket::Ready(result) => Poll::Ready(result.take().unwrap_or_else(|| Err(AppendError::lost()))),
            // A sender that is gone without an answer: the writer died with the commit in its hands.
            Ticket::Waiting(receiver) => {
                Pin::new(receiver).poll(cx).map(|answer| answer.unwrap_or_else(|_| Err(AppendError::lost())))
            }
        }
    }
}

/// Names the kinds of the events of some commits, each once.
pub(in crate::store) fn kinds_of(commits: &[&NewCommit]) -> Vec<String> {
    let events = commits.iter().flat_map(|commit| commit.events.iter().map(|event| (commit.stream.category(), event)));
    let mut kinds: Vec<_> = events.map(|(category, event)| kind_of(category, &event.name)).collect();
    kinds.sort_unstable();
    kinds.dedup();
    kinds
}
