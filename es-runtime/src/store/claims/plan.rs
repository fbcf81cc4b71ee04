//! How the rules of a program differ from the stored ones, without a database.

use std::collections::{BTreeMap, BTreeSet};

use super::rules::{about, rules_text, sets};
use super::{BuildClaimsError, ClaimBuild, ClaimsDiffer, EventClaims, StoredRules};

/// An event whose rules differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::store) struct Change {
    /// What the store knows.
    pub(in crate::store) stored: StoredRules,
    /// What the program declares.
    pub(in crate::store) declared: String,
    /// If the log contains no such event behind this position, the declared rules are in force as soon as they are registered.
    pub(in crate::store) after: u64,
}

impl Change {
    /// Tells whether the event's keys are of a set that is being built.
    pub(in crate::store) fn concerns(&self, build: Option<&ClaimBuild>) -> bool {
        let named = sets(&self.stored.rules).chain(sets(&self.stored.built)).chain(sets(&self.declared));
        build.is_some_and(|build| named.into_iter().any(|named| build.sets().any(|set| set == named)))
    }

    /// Tells whether the keys have to be built; `is_stored` if the log contains such an event behind [`after`](Self::after). If they do not
    /// have to be, the rules may come into force at once.
    pub(in crate::store) fn needs_build(&self, build: Option<&ClaimBuild>, is_stored: bool) -> bool {
        // What is being built reads no events of which it does not know.
        is_stored || (self.stored.begun.is_none() && self.concerns(build))
    }

    /// Returns the rules as they are once they are in force.
    pub(in crate::store) fn in_force(self) -> StoredRules {
        StoredRules { rules: self.declared.clone(), built: self.declared, begun: None, ..self.stored }
    }

    /// Tells whether the rules that are in force are declared again, after a build of others has begun.
    pub(in crate::store) fn is_restored(&self) -> bool {
        self.stored.begun.is_some() && self.stored.built == self.declared
    }

    /// Returns the rules of an event whose keys need not be built. They come into force together with those that are built, if there are some
    /// (`builds` is the log's head then): if these fail, programs with the rules from before go on.
    pub(in crate::store) fn ready(self, builds: Option<u64>) -> StoredRules {
        match builds {
            Some(head) if !self.is_restored() => self.begun(head),
            _ => self.in_force(),
        }
    }

    /// Returns the rules as they are while they are built.
    pub(in crate::store) fn begun(self, head: u64) -> StoredRules {
        // Of a build that replaces another one the first beginning counts: what has been stored since then may stand on other rules.
        StoredRules { rules: self.declared, begun: Some(self.stored.begun.unwrap_or(head)), ..self.stored }
    }

    /// Returns the difference for an error.
    pub(in crate::store) fn differ(self) -> ClaimsDiffer {
        let StoredRules { aggregate, event, built, .. } = self.stored;
        ClaimsDiffer { aggregate, event, stored: built, declared: self.declared }
    }
}

/// A look at the log for events whose rules differ, taken before anything is locked.
#[cfg(any(feature = "sqlite", feature = "postgres"))]
#[derive(Debug)]
pub(in crate::store) struct Scanned {
    head: u64,
    /// Aggregate, event, and the position behind which it was looked; whether the log contains one there, up to the head.
    looked: BTreeMap<(String, String, u64), bool>,
}

#[cfg(any(feature = "sqlite", feature = "postgres"))]
impl Scanned {
    pub(in crate::store) fn new(head: u64) -> Self {
        Self { head, looked: BTreeMap::new() }
    }

    /// Takes note of whether the log up to the head contains such an event.
    pub(in crate::store) fn saw(&mut self, change: &Change, is_stored: bool) {
        self.looked.insert(Self::key(change), is_stored);
    }

    /// Returns the position behind which the log is still to be looked at; `None` if it is known to contain such an event.
    pub(in crate::store) fn after(&self, change: &Change) -> Option<u64> {
        match self.looked.get(&Self::key(change)) {
            Some(true) => None,
            Some(false) => Some(self.head.max(change.after)),
            None => Some(change.after),
        }
    }

    fn key(change: &Change) -> (String, String, u64) {
        (change.stored.aggregate.clone(), change.stored.event.clone(), change.after)
    }
}

/// Compares the rules of a program with the stored ones.
pub(in crate::store) fn changes(stored: &[StoredRules], declared: &[EventClaims]) -> Vec<Change> {
    let mut seen = BTreeSet::new();
    let once = declared.iter().filter(|claims| seen.insert((claims.aggregate, claims.event)));
    let change = |claims: &EventClaims| {
        let same = |row: &&StoredRules| row.aggregate == claims.aggregate && row.event == claims.event;
        let stored = stored.iter().find(same).cloned().unwrap_or_else(|| StoredRules {
            aggregate: claims.aggregate.to_owned(),
            event: claims.event.to_owned(),
            ..StoredRules::default()
        });
        let declared = rules_text(claims.rules);
        // A change that is taken back: what has happened since it began decides.
        let after = stored.begun.filter(|_| stored.built == declared).unwrap_or(0);
        let is_change = stored.begun.is_some() || stored.rules != declared;
        is_change.then_some(Change { stored, declared, after })
    };
    once.filter_map(change).collect()
}

/// Returns the target of the build that makes the declared rules those of the store: `building` are the events whose rules differ, and
/// which the log contains. Returns `None` if there are none.
///
/// # Errors
///
/// Returns [`BuildClaimsError::UnknownEvent`] if an event that is not declared claims or frees keys of the same sets, or is being built.
pub(in crate::store) fn target(
    stored: &[StoredRules],
    declared: &[EventClaims],
    building: &[Change],
) -> Result<Option<String>, BuildClaimsError> {
    if building.is_empty() {
        return Ok(None);
    }
    let differing = building.iter().flat_map(|Change { stored, declared, .. }| {
        let named = sets(&stored.rules).chain(sets(&stored.built)).chain(sets(declared));
        named.filter(|set| {
            let new = || about(declared, set);
            !about(&stored.built, set).eq(new()) || !about(&stored.rules, set).eq(new())
        })
    });
    let built: BTreeSet<&str> = differing.collect();
    for row in stored.iter().filter(|row| !is_declared(row, declared)) {
        let mut named = sets(&row.rules).chain(sets(&row.built));
        if let Some(set) = named.find(|set| row.begun.is_some() || built.contains(set)) {
            let (aggregate, event, set) = (row.aggregate.clone(), row.event.clone(), set.to_owned());
            return Err(BuildClaimsError::UnknownEvent { aggregate, event, set });
        }
    }
    Ok(Some(render(declared, &built)))
}

fn is_declared(row: &StoredRules, declared: &[EventClaims]) -> bool {
    declared.iter().any(|claims| row.aggregate == claims.aggregate && row.event == claims.event)
}

/// Renders which sets are built, in the first line, and by which rules of which events: a build is resumed only if all of it is the same.
fn render(declared: &[EventClaims], built: &BTreeSet<&str>) -> String {
    let mut events = BTreeMap::new();
    for claims in declared {
        let text = rules_text(claims.rules);
        let rules: Vec<_> = text.lines().filter(|line| sets(line).any(|set| built.contains(set))).collect();
        if !rules.is_empty() {
            events.insert((claims.aggregate, claims.event), rules.join(" "));
        }
    }
    let sets: Vec<_> = built.iter().copied().collect();
    let events = events.into_iter().map(|((aggregate, event), rules)| format!("\n{aggregate} {event} {rules}"));
    std::iter::once(sets.join(" ")).chain(events).collect()
}

#[cfg(test)]
mod tests;
