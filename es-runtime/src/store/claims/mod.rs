//! Which claims are in force, and how new ones are built from a log that has a history.
//!
//! A store takes an event only from programs that claim with it what the store knows to be claimed. So the keys that are held
//! are always those that the log gives by the rules that are in force.
//!
//! | file | what it holds |
//! |---|---|
//! | `rules` | the rules of an event, in the program and as they are stored |
//! | `plan` | how the rules of a program differ from the stored ones, and what has to be built |

mod plan;
mod rules;

use std::fmt;
use std::future::Future;

use super::StoreError;
use crate::event::{GlobalPosition, StreamId};

#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub(in crate::store) use plan::Scanned;
pub(in crate::store) use plan::{Change, changes, target};
pub use rules::{ClaimsDiffer, EventClaims};
pub(in crate::store) use rules::{StoredRules, rules_text};

/// Knows the rules by which events claim keys, and builds the keys of new rules from the log.
///
/// # Guarantees
///
/// - An event is stored only if the rules that its program names ([`NewEvent::rules`](super::NewEvent::rules)) are those of the
///   registry, in that transaction.
/// - While keys are built, those that are in force stay as they are. They are replaced in one transaction, behind the last event.
pub trait ClaimRegistry: Send + Sync + 'static {
    /// Compares the rules of a program with those that are stored. Registers the rules of events that the log does not contain.
    /// Returns the other events whose rules differ: their keys have to be built first.
    ///
    /// # Cancel safety
    ///
    /// If it is dropped, the rules are registered or not.
    fn register_claims(
        &self,
        declared: &[EventClaims],
    ) -> impl Future<Output = Result<Vec<ClaimsDiffer>, StoreError>> + Send;

    /// Begins to build the keys that the rules of a program claim, or resumes it if the same was begun before. Returns `None` if
    /// all rules are in force.
    ///
    /// From here on the store refuses the events whose rules differ from programs with other rules.
    ///
    /// # Errors
    ///
    /// Returns [`BuildClaimsError::UnknownEvent`] if events that are not declared claim keys of the same sets.
    fn begin_claims(
        &self,
        declared: &[EventClaims],
    ) -> impl Future<Output = Result<Option<ClaimBuild>, BuildClaimsError>> + Send;

    /// Stores which keys a page of the log claims and frees, and the position up to which the log was read.
    fn store_claims(&self, page: ClaimPage) -> impl Future<Output = Result<ClaimsStep, StoreError>> + Send;

    /// Puts the rules of a build in force, if the log contains no event behind its position that claims, and no key has two holders.
    fn finish_claims(&self, build: &ClaimBuild) -> impl Future<Output = Result<ClaimsStep, StoreError>> + Send;
}

/// A build of keys from the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimBuild {
    /// What is built, as text: the sets in the first line, then each event that is read, with its aggregate and its rules.
    pub target: String,
    /// The position up to which the log has been read.
    pub position: GlobalPosition,
}

impl ClaimBuild {
    /// Returns the sets whose keys are built.
    pub fn sets(&self) -> impl Iterator<Item = &str> {
        self.target.lines().next().unwrap_or_default().split(' ').filter(|set| !set.is_empty())
    }

    /// Compares with the build that is in progress; returns `None` if it is this one, at this position.
    pub(in crate::store) fn differs_from(&self, stored: Option<&Self>) -> Option<ClaimsStep> {
        match stored.filter(|stored| stored.target == self.target) {
            None => Some(ClaimsStep::Replaced),
            Some(stored) if stored.position != self.position => Some(ClaimsStep::Moved),
            Some(_) => None,
        }
    }

    /// Returns the aggregates and names of the events that are read.
    pub fn events(&self) -> impl Iterator<Item = (&str, &str)> {
        self.target.lines().skip(1).filter_map(|line| {
            let mut words = line.split(' ');
            Some((words.next()?, words.next()?))
        })
    }
}

/// What a page of the log claims and frees.
#[derive(Clone, Debug)]
pub struct ClaimPage {
    /// The build, at the position where the page begins.
    pub build: ClaimBuild,
    /// The position of the page's last event.
    pub to: GlobalPosition,
    /// The keys that the page changes, each once for a stream.
    pub holders: Vec<ClaimHolder>,
}

/// A key, and whether a stream holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimHolder {
    /// The stream.
    pub stream: StreamId,
    /// The set in which the key is unique.
    pub set: String,
    /// The key.
    pub key: String,
    /// Whether the stream holds the key after the page.
    pub held: bool,
}

/// The outcome of a step of a build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClaimsStep {
    /// The page is stored.
    Stored,
    /// The rules are in force.
    InForce,
    /// Events that claim are behind the position of the build. Nothing is stored.
    Behind,
    /// The same build is at another position: another process builds it too. Nothing is stored.
    Moved,
    /// The build is no longer in progress: another process has finished it, or has begun another one. Nothing is stored.
    Replaced,
    /// Keys have more than one holder. The build is dropped. The rules that were in force before are so again, unless events have been
    /// stored by the new ones since the build began.
    Duplicates(DuplicateClaims),
}

/// Keys with more than one holder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DuplicateClaims {
    /// The number of such keys.
    pub count: u64,
    /// The first of them, by tenant, set and key; at most [`LISTED`](Self::LISTED).
    pub listed: Vec<DuplicateClaim>,
}

impl DuplicateClaims {
    /// The maximum number of keys that are listed.
    pub const LISTED: usize = 100;
}

/// A key with more than one holder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DuplicateClaim {
    /// The set.
    pub set: String,
    /// The key.
    pub key: String,
    /// Two of its holders.
    pub streams: [StreamId; 2],
}

/// An error returned when the keys of new claims cannot be built.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildClaimsError {
    /// Keys are held by more than one stream.
    #[error("{} held by more than one stream, so the claims are not in force:{}", keys(.0.count), Lines(.0))]
    Duplicates(DuplicateClaims),
    /// Events that this program does not declare claim keys of a set that has to be built.
    #[error(
        "event `{event}` of aggregate `{aggregate}` claims keys of the set `{set}`, and this program does not declare it; build the claims with a program that declares both"
    )]
    UnknownEvent {
        /// The aggregate's name.
        aggregate: String,
        /// The event's stored name.
        event: String,
        /// The set.
        set: String,
    },
    /// Another program has begun to build other claims in the meantime.
    #[error("another program has ended this build, or has begun another one; run it again with the newest program")]
    Replaced,
    /// The store could not be used, or the log contains an event that this program cannot read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn keys(count: u64) -> String {
    if count == 1 { "1 key is".to_owned() } else { format!("{count} keys are") }
}

/// A line for each duplicate that is listed.
struct Lines<'a>(&'a DuplicateClaims);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let DuplicateClaims { count, listed } = self.0;
        for DuplicateClaim { set, key, streams: [one, other] } in listed {
            write!(f, "\n  `{key}` in the set `{set}`: `{one}` and `{other}`")?;
        }
        match count.saturating_sub(listed.len() as u64) {
            0 => Ok(()),
            more => write!(f, "\n  and {more} more"),
        }
    }
}
