//! What the writer remembers of streams, and when a group may be written on trust in it.

use quick_cache::unsync::Cache;
use rustc_hash::{FxHashMap, FxHashSet};

use super::plan::{Known, State, claim_key};
#[cfg(feature = "postgres")]
use super::sync::SyncWrites;
use crate::event::{ClaimKind, StreamId};
use crate::store::NewCommit;

/// Numbers and versions of streams as this writer last saw them. Other processes may have written since: then a unique
/// constraint refuses what is written on trust, and the group takes the careful path.
#[derive(Debug)]
pub(in crate::store) struct StreamCache {
    streams: Cache<StreamId, Known>,
    /// Up to which version of a stream nothing is pending, by projection and stream; and the projection's epochs at that time.
    #[cfg(feature = "postgres")]
    folded: Cache<FoldedStream, (u64, i64)>,
    /// The greatest number given to a stream, where it is known.
    last_stream: Option<i64>,
    sole_owner: bool,
    /// How many groups are still to be decided with care, and how many it will be after the next disappointment. Where other
    /// processes write the same streams, trying on trust first would mostly be a wasted message.
    careful: u32,
    next_careful: u32,
    /// Whether the database compares the rules of claims: SQLite does as soon as there are some.
    compares_rules: bool,
}

/// A projection's name and version, and a stream.
#[cfg(feature = "postgres")]
type FoldedStream = (&'static str, u32, StreamId);

/// The streams of a group of which nothing is pending for a projection: those that were folded, with the projection's epochs at that time, and
/// new ones.
#[cfg(feature = "postgres")]
#[derive(Debug, Default)]
pub(in crate::store) struct Folded(FxHashMap<FoldedStream, Option<i64>>);

#[cfg(feature = "postgres")]
impl Folded {
    /// Tells whether nothing of a stream is pending for a version of a projection.
    pub(in crate::store) fn contains(&self, name: &'static str, version: u32, epochs: i64, stream: &StreamId) -> bool {
        let at = if self.0.is_empty() { None } else { self.0.get(&(name, version, stream.clone())) };
        at.is_some_and(|at| at.is_none_or(|at| at == epochs))
    }
}

/// How many groups in a row are decided with care at most.
const CAREFUL_AT_MOST: u32 = 64;

impl StreamCache {
    pub(in crate::store) fn new(streams: usize, sole_owner: bool) -> Self {
        Self {
            streams: Cache::new(streams),
            #[cfg(feature = "postgres")]
            folded: Cache::new(streams),
            last_stream: None,
            sole_owner,
            careful: 0,
            next_careful: 1,
            compares_rules: false,
        }
    }

    /// Says that the database compares the rules of claims in every append.
    #[cfg(feature = "postgres")]
    pub(in crate::store) const fn trust_rules(mut self) -> Self {
        self.compares_rules = true;
        self
    }

    /// Says behind which number new streams are numbered: for a store whose writers take numbers in blocks.
    #[cfg(feature = "postgres")]
    pub(in crate::store) const fn number_behind(&mut self, last: i64) {
        self.last_stream = Some(last);
    }

    /// Forgets everything: another server may have taken the place of the one that it is known of.
    #[cfg(feature = "postgres")]
    pub(in crate::store) fn forget(&mut self) {
        self.streams.clear();
        self.folded.clear();
        self.last_stream = None;
    }

    /// Remembers which streams a finished group left without anything pending.
    ///
    /// It stays so until the stream gets another event, or the projection is set back, which raises its epochs.
    #[cfg(feature = "postgres")]
    pub(in crate::store) fn learn_folded(&mut self, state: &State, writes: &[SyncWrites]) {
        for of_projection in writes {
            for (stream, version, _) in &of_projection.marks {
                if state.streams.get(stream).is_some_and(|known| known.version == *version) {
                    let key = (of_projection.name, of_projection.version, stream.clone());
                    self.folded.insert(key, (*version, of_projection.epochs));
                }
            }
        }
    }

    /// Returns the streams of which nothing is pending, if the state is right.
    #[cfg(feature = "postgres")]
    pub(in crate::store) fn folded(&self, state: &State, commits: &[&NewCommit]) -> Folded {
        let mut folded = Folded::default();
        for commit in commits {
            let version = state.streams.get(&commit.stream).map_or(0, |known| known.version);
            for projection in commit.projections.iter().flat_map(|projections| projections.descriptors()) {
                let key = (projection.name, projection.version, commit.stream.clone());
                let at = self.folded.peek(&key).filter(|(folded, _)| *folded == version).map(|(_, epochs)| *epochs);
                if version == 0 || at.is_some() {
                    folded.0.insert(key, at);
                }
            }
        }
        folded
    }

    /// Remembers what a finished group left behind.
    pub(in crate::store) fn learn(&mut self, state: &State, commits: &[&NewCommit]) {
        self.last_stream = Some(state.last_stream);
        self.compares_rules |= state.rules.as_ref().is_some_and(|rules| !rules.is_empty());
        for commit in commits {
            if let Some(known) = state.streams.get(&commit.stream) {
                self.streams.insert(commit.stream.clone(), *known);
            }
        }
    }

    /// Takes note that a group went through on trust.
    pub(in crate::store) const fn confirm(&mut self) {
        self.next_careful = 1;
    }

    /// Forgets what a group was wrong about that was refused on trust.
    pub(in crate::store) fn doubt(&mut self, commits: &[&NewCommit]) {
        self.careful = self.next_careful;
        self.next_careful = CAREFUL_AT_MOST.min(self.next_careful * 2);
        self.last_stream = None;
        for commit in commits {
            self.streams.remove(&commit.stream);
        }
    }

    /// Gives the state a group may be decided on without asking the database, or `None` where it must be asked.
    ///
    /// On trust goes only what constraints can refute: a version in a stream, a new stream, a new key of the ledger or of a
    /// set of claims. So every refusal, every confirmation and every key touched twice asks the database.
    pub(in crate::store) fn trusted_state(&mut self, commits: &[&NewCommit]) -> Option<State> {
        let has_rules = |commit: &&NewCommit| commit.events.iter().any(|event| !event.rules.is_empty());
        if !self.compares_rules && commits.iter().any(has_rules) {
            return None;
        }
        if self.careful > 0 {
            self.careful -= 1;
            return None;
        }
        let mut state = State { last_stream: self.last_stream?, ..State::default() };
        let mut versions: FxHashMap<&StreamId, u64> = FxHashMap::default();
        let mut keys = FxHashSet::default();
        let mut claims = FxHashSet::default();
        for commit in commits {
            // It will be refused: what those behind it stand on has to be asked.
            if commit.chain.is_broken() || (commit.events.is_empty() && !self.sole_owner) {
                return None;
            }
            let known = self.streams.peek(&commit.stream).copied();
            if let Some(known) = known {
                state.streams.insert(commit.stream.clone(), known);
            } else if commit.events.is_empty() {
                return None;
            }
            let version = versions.entry(&commit.stream).or_insert(known.map_or(0, |known| known.version));
            if *version != commit.expected.get() {
                return None;
            }
            *version += commit.events.len() as u64;
            if let Some(entry) = &commit.ledger
                && !keys.insert((commit.stream.tenant(), &entry.key))
            {
                return None;
            }
            for claim in &commit.claims {
                let key = claim_key(commit.stream.tenant(), claim);
                if !claims.insert(key.clone()) {
                    return None;
                }
                if claim.kind == ClaimKind::Release {
                    // Freed on the assumption that it is held; the statement frees only what is.
                    state.claims.insert(key, known?.number);
                }
            }
        }
        Some(state)
    }
}
