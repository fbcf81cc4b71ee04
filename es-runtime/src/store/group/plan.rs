//! Decides the fate of the commits of one group, one after the other, without touching the database.
//!
//! What is stored goes in as [`State`]; what is to be written comes out as [`Writes`]. Each commit is decided on the state
//! that those before it leave behind, so that several commits of one stream, a key that one frees and the next claims, or one
//! idempotency key used twice may stand in one group.

use rustc_hash::FxHashMap;

use crate::event::{Claim, ClaimKind, StreamId, Version};
use crate::store::claims::rules_text;
use crate::store::{AppendError, ClaimsDiffer, DecisionChain, LedgerRecord, NewCommit};

/// A stream's number and its version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) struct Known {
    pub(in crate::store) number: i64,
    pub(in crate::store) version: u64,
}

/// A unique key: tenant, set, key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::store) struct ClaimKey {
    pub(in crate::store) tenant: String,
    pub(in crate::store) set: String,
    pub(in crate::store) key: String,
}

/// A key of the ledger: tenant, key.
pub(in crate::store) type LedgerKey = (String, String);

/// What is known of the database, and what the commits decided so far make of it.
#[derive(Debug, Default)]
pub(in crate::store) struct State {
    /// The streams that are there.
    pub(in crate::store) streams: FxHashMap<StreamId, Known>,
    /// The greatest number given to a stream.
    pub(in crate::store) last_stream: i64,
    /// The keys that are taken, and by which stream.
    pub(in crate::store) claims: FxHashMap<ClaimKey, i64>,
    /// The ledger's entries.
    pub(in crate::store) ledger: FxHashMap<LedgerKey, Entry>,
    /// The rules of the events that claim, by aggregate and event; `None` where the database compares them.
    pub(in crate::store) rules: Option<FxHashMap<(String, String), String>>,
}

/// An entry of the ledger.
#[derive(Debug)]
pub(in crate::store) enum Entry {
    /// It was there before.
    Stored(Box<LedgerRecord>),
    /// A commit of this group makes it: its place in the group.
    Decided(usize),
}

/// What becomes of one commit once the group is durable.
#[derive(Debug)]
pub(in crate::store) enum Fate {
    /// It is part of the group.
    Stored {
        /// The stream's version after it.
        version: u64,
        /// Which of the group's events is its last; `None` for a commit without events.
        last_event: Option<usize>,
    },
    /// Its idempotency key is that of another commit of the group.
    Repeats(usize),
    /// It failed alone.
    Refused(AppendError),
}

/// An event to be written: which of the group's commits, which of its events, and where it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) struct EventRow {
    pub(in crate::store) commit: usize,
    pub(in crate::store) event: usize,
    pub(in crate::store) stream: i64,
    pub(in crate::store) version: u64,
}

/// An entry of the ledger to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) struct LedgerRow {
    pub(in crate::store) commit: usize,
    pub(in crate::store) stream: i64,
    pub(in crate::store) version: u64,
    /// Which of the group's events is the commit's last.
    pub(in crate::store) last_event: Option<usize>,
}

/// What the group writes.
#[derive(Debug, Default)]
pub(in crate::store) struct Writes {
    pub(in crate::store) streams: Vec<(i64, StreamId)>,
    pub(in crate::store) events: Vec<EventRow>,
    pub(in crate::store) ledger: Vec<LedgerRow>,
    /// Keys the group touched, each with the stream that held it before.
    touched: FxHashMap<ClaimKey, Option<i64>>,
    /// Per stream, the newest commit of the group that brings a snapshot, and its version.
    pub(in crate::store) snapshots: FxHashMap<i64, (usize, u64)>,
}

impl Writes {
    /// Tells whether there is nothing to write.
    pub(in crate::store) fn is_empty(&self) -> bool {
        self.streams.is_empty() && self.events.is_empty() && self.ledger.is_empty()
    }
}

/// The plan of a group.
#[derive(Debug, Default)]
pub(in crate::store) struct Plan {
    pub(in crate::store) fates: Vec<Fate>,
    pub(in crate::store) writes: Writes,
    /// The chains of the commits that fail.
    broken: Vec<DecisionChain>,
}

/// Has a say in whether a commit is stored: the synchronous projections.
pub(in crate::store) trait Gate {
    /// Folds a commit that fits. `known` is its stream before it, `events` how many events of the group stand before its own.
    fn admit(&mut self, commit: &NewCommit, known: Known, events: usize) -> Result<(), AppendError>;
    /// Takes the last commit that was admitted back.
    fn take_back(&mut self);
    /// Keeps the last commit that was admitted.
    fn keep(&mut self, commit: &NewCommit);
}

/// Lets everything through: where no synchronous projection is concerned.
pub(in crate::store) struct Open;

impl Gate for Open {
    fn admit(&mut self, _: &NewCommit, _: Known, _: usize) -> Result<(), AppendError> {
        Ok(())
    }
    fn take_back(&mut self) {}
    fn keep(&mut self, _: &NewCommit) {}
}

impl Plan {
    /// Decides every commit of the group. Breaks the chain of each that fails, before it decides the next.
    #[cfg(any(feature = "sqlite", test))]
    pub(in crate::store) fn decide<'a>(state: &mut State, commits: impl IntoIterator<Item = &'a NewCommit>) -> Self {
        Self::decide_at(&mut Open, state, commits)
    }

    /// As [`decide`](Self::decide), behind a gate.
    #[cfg(any(feature = "sqlite", test))]
    pub(in crate::store) fn decide_at<'a>(
        gate: &mut impl Gate,
        state: &mut State,
        commits: impl IntoIterator<Item = &'a NewCommit>,
    ) -> Self {
        let plan = Self::draft(gate, state, commits);
        plan.seal();
        plan
    }

    /// Decides every commit of the group, behind a gate, and breaks no chain before [`seal`](Self::seal): for a plan that may have to be made again.
    pub(in crate::store) fn draft<'a>(
        gate: &mut impl Gate,
        state: &mut State,
        commits: impl IntoIterator<Item = &'a NewCommit>,
    ) -> Self {
        let mut plan = Self::default();
        for (index, commit) in commits.into_iter().enumerate() {
            let fate = plan.fate(gate, state, index, commit).unwrap_or_else(Fate::Refused);
            if !matches!(fate, Fate::Stored { .. }) {
                plan.broken.push(commit.chain.clone());
            }
            plan.fates.push(fate);
        }
        plan
    }

    /// Breaks the chains of the commits that fail.
    pub(in crate::store) fn seal(&self) {
        for chain in &self.broken {
            chain.break_off();
        }
    }

    fn fate(
        &mut self,
        gate: &mut impl Gate,
        state: &mut State,
        index: usize,
        commit: &NewCommit,
    ) -> Result<Fate, AppendError> {
        if commit.chain.is_broken() || self.broken.iter().any(|chain| chain.is(&commit.chain)) {
            return Err(AppendError::ChainBroken);
        }
        commit.check()?;
        // Before the version: a command that is repeated after its success stands on an old version.
        if let Some(entry) = &commit.ledger {
            match state.ledger.get(&(commit.stream.tenant().to_owned(), entry.key.clone())) {
                Some(Entry::Stored(record)) => return Err(AppendError::KeyRecorded(record.clone())),
                Some(Entry::Decided(first)) => return Ok(Fate::Repeats(*first)),
                None => {}
            }
        }
        let known = state.streams.get(&commit.stream).copied();
        let actual = known.map_or(0, |known| known.version);
        if actual != commit.expected.get() {
            return Err(AppendError::Conflict {
                stream: commit.stream.clone(),
                expected: commit.expected,
                actual: Version::new(actual),
            });
        }
        let is_confirmation = commit.events.is_empty() && commit.ledger.is_none();
        if is_confirmation {
            return Ok(Fate::Stored { version: actual, last_event: None });
        }
        let number = known.map_or(state.last_stream + 1, |known| known.number);
        if !commit.events.is_empty() {
            if let Some(rules) = &state.rules {
                check_rules(rules, commit)?;
            }
            gate.admit(commit, Known { number, version: actual }, self.writes.events.len())?;
            if let Err(error) = self.claim(state, commit, number) {
                gate.take_back();
                return Err(error);
            }
            gate.keep(commit);
        }
        // Nothing can fail from here on.
        if known.is_none() {
            state.last_stream = number;
            self.writes.streams.push((number, commit.stream.clone()));
        }
        Ok(self.store(state, index, commit, Known { number, version: actual }))
    }

    /// Adds a commit that passed every check to what is written.
    fn store(&mut self, state: &mut State, index: usize, commit: &NewCommit, known: Known) -> Fate {
        let mut version = known.version;
        for event in 0..commit.events.len() {
            version += 1;
            self.writes.events.push(EventRow { commit: index, event, stream: known.number, version });
        }
        let last_event = if commit.events.is_empty() { None } else { self.writes.events.len().checked_sub(1) };
        if let Some(entry) = &commit.ledger {
            let key = (commit.stream.tenant().to_owned(), entry.key.clone());
            state.ledger.insert(key, Entry::Decided(index));
            self.writes.ledger.push(LedgerRow { commit: index, stream: known.number, version, last_event });
        }
        if last_event.is_some() && commit.snapshot.is_some() {
            self.writes.snapshots.insert(known.number, (index, version));
        }
        state.streams.insert(commit.stream.clone(), Known { number: known.number, version });
        Fate::Stored { version, last_event }
    }

    /// Applies the commit's claims in their order; where one is taken, none of them.
    fn claim(&mut self, state: &mut State, commit: &NewCommit, stream: i64) -> Result<(), AppendError> {
        let mut undo = Vec::with_capacity(commit.claims.len());
        for claim in &commit.claims {
            let key = claim_key(commit.stream.tenant(), claim);
            let owner = state.claims.get(&key).copied();
            match (claim.kind, owner) {
                (ClaimKind::Claim, Some(owner)) if owner != stream => {
                    for (key, owner) in undo.into_iter().rev() {
                        set_owner(state, key, owner);
                    }
                    return Err(AppendError::Claimed { set: claim.set.clone().into_owned(), key: claim.key.clone() });
                }
                (ClaimKind::Claim, None) => {
                    undo.push((key.clone(), None));
                    set_owner(state, key, Some(stream));
                }
                (ClaimKind::Release, Some(owner)) if owner == stream => {
                    undo.push((key.clone(), Some(owner)));
                    set_owner(state, key, None);
                }
                // Claimed again by its holder, or freed by a stream that does not hold it: nothing changes.
                (ClaimKind::Claim, Some(_)) | (ClaimKind::Release, _) => {}
            }
        }
        for (key, before) in undo {
            // The first commit that touches a key knows who held it before the group.
            self.writes.touched.entry(key).or_insert(before);
        }
        Ok(())
    }

    /// Gives the claims that change: key, who held it before the group, who holds it after.
    pub(in crate::store) fn claim_changes(&self, state: &State) -> Vec<(ClaimKey, Option<i64>, Option<i64>)> {
        let after = |key: &ClaimKey| state.claims.get(key).copied();
        let changes = self.writes.touched.iter().map(|(key, before)| (key.clone(), *before, after(key)));
        changes.filter(|(_, before, after)| before != after).collect()
    }
}

/// Names a claim's key.
pub(in crate::store) fn claim_key(tenant: &str, claim: &Claim) -> ClaimKey {
    ClaimKey { tenant: tenant.to_owned(), set: claim.set.clone().into_owned(), key: claim.key.clone() }
}

/// Refuses a commit of a program whose rules are not those of the store.
fn check_rules(rules: &FxHashMap<(String, String), String>, commit: &NewCommit) -> Result<(), AppendError> {
    for event in commit.events.iter().filter(|event| !rules.is_empty() || !event.rules.is_empty()) {
        let declared = rules_text(event.rules);
        let named = (commit.stream.category().to_owned(), event.name.to_string());
        let stored = rules.get(&named).map_or("", String::as_str);
        if stored != declared {
            let ((aggregate, event), stored) = (named, stored.to_owned());
            return Err(AppendError::ClaimsDiffer(Box::new(ClaimsDiffer { aggregate, event, stored, declared })));
        }
    }
    Ok(())
}

fn set_owner(state: &mut State, key: ClaimKey, owner: Option<i64>) {
    match owner {
        Some(owner) => {
            state.claims.insert(key, owner);
        }
        None => {
            state.claims.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests;
