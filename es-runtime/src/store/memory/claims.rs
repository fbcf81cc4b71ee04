//! Rules of claims, and keys that are built from the log.

use std::collections::{BTreeMap, BTreeSet};

use super::{MemoryStore, Tables};
use crate::event::{GlobalPosition, StreamId};
use crate::store::claims::{Change, StoredRules, changes, rules_text, target};
use crate::store::{
    AppendError, BuildClaimsError, ClaimBuild, ClaimPage, ClaimRegistry, ClaimsDiffer, ClaimsStep, DuplicateClaim,
    DuplicateClaims, EventClaims, NewCommit, StoreError,
};

/// A key: tenant, set, key.
type Key = (String, String, String);

#[derive(Debug, Default)]
pub(super) struct RulesAndBuild {
    /// By aggregate and event.
    rules: BTreeMap<(String, String), StoredRules>,
    build: Option<Building>,
}

#[derive(Debug)]
struct Building {
    build: ClaimBuild,
    holders: BTreeMap<Key, BTreeSet<StreamId>>,
}

impl Tables {
    /// Refuses a commit of a program whose rules are not those of the store.
    pub(super) fn check_rules(&self, commit: &NewCommit) -> Result<(), AppendError> {
        for event in &commit.events {
            let (aggregate, name) = (commit.stream.category().to_owned(), event.name.to_string());
            let declared = rules_text(event.rules);
            let stored = self.claim_registry.rules.get(&(aggregate.clone(), name.clone()));
            let stored = stored.map_or("", |row| &row.rules);
            if stored != declared {
                let stored = stored.to_owned();
                let differ = ClaimsDiffer { aggregate, event: name, stored, declared };
                return Err(AppendError::ClaimsDiffer(Box::new(differ)));
            }
        }
        Ok(())
    }

    fn stored_rules(&self) -> Vec<StoredRules> {
        self.claim_registry.rules.values().cloned().collect()
    }

    fn contains(&self, aggregate: &str, event: &str, after: u64) -> bool {
        let skipped = usize::try_from(after).unwrap_or(usize::MAX);
        let mut rows = self.log.iter().skip(skipped);
        rows.any(|row| row.stream.category() == aggregate && &*row.event.name == event)
    }

    fn has_history(&self, change: &Change) -> bool {
        self.contains(&change.stored.aggregate, &change.stored.event, change.after)
    }

    fn put_rules(&mut self, row: StoredRules) {
        self.claim_registry.rules.insert((row.aggregate.clone(), row.event.clone()), row);
    }

    fn register_claims(&mut self, declared: &[EventClaims]) -> Result<Vec<ClaimsDiffer>, StoreError> {
        self.open()?;
        let (mut differ, mut ready) = (Vec::new(), Vec::new());
        for change in changes(&self.stored_rules(), declared) {
            let build = self.claim_registry.build.as_ref().map(|building| &building.build);
            if change.stored.begun.is_some() || change.concerns(build) || self.has_history(&change) {
                differ.push(change.differ());
            } else {
                ready.push(change.in_force());
            }
        }
        // A program that does not start changes nothing.
        for row in ready.into_iter().filter(|_| differ.is_empty()) {
            self.put_rules(row);
        }
        Ok(differ)
    }

    fn begin_claims(&mut self, declared: &[EventClaims]) -> Result<Option<ClaimBuild>, BuildClaimsError> {
        self.open()?;
        let stored = self.stored_rules();
        let build = self.claim_registry.build.as_ref().map(|building| &building.build);
        let needs_build = |change: &Change| change.needs_build(build, self.has_history(change));
        let (building, ready): (Vec<_>, Vec<_>) = changes(&stored, declared).into_iter().partition(needs_build);
        let restored = ready.iter().any(Change::is_restored);
        // Nothing is written before everything is known to fit.
        let target = target(&stored, declared, &building)?;
        let head = self.head().get();
        for change in ready {
            self.put_rules(change.ready(target.is_some().then_some(head)));
        }
        for change in building {
            self.put_rules(change.begun(head));
        }
        let Some(target) = target else {
            if restored || self.claim_registry.rules.values().all(|row| row.begun.is_none()) {
                self.claim_registry.build = None;
            }
            return Ok(None);
        };
        if self.claim_registry.build.as_ref().is_none_or(|building| building.build.target != target) {
            let build = ClaimBuild { target, position: GlobalPosition::START };
            self.claim_registry.build = Some(Building { build, holders: BTreeMap::new() });
        }
        Ok(self.claim_registry.build.as_ref().map(|building| building.build.clone()))
    }

    fn store_claims(&mut self, page: ClaimPage) -> Result<ClaimsStep, StoreError> {
        self.open()?;
        let building = match self.claim_registry.at(&page.build) {
            Ok(building) => building,
            Err(step) => return Ok(step),
        };
        for holder in page.holders {
            let key = (holder.stream.tenant().to_owned(), holder.set, holder.key);
            let streams = building.holders.entry(key).or_default();
            if holder.held {
                streams.insert(holder.stream);
            } else {
                streams.remove(&holder.stream);
            }
        }
        building.build.position = page.to;
        Ok(ClaimsStep::Stored)
    }

    fn finish_claims(&mut self, build: &ClaimBuild) -> Result<ClaimsStep, StoreError> {
        self.open()?;
        if let Err(step) = self.claim_registry.at(build) {
            return Ok(step);
        }
        if build.events().any(|(aggregate, event)| self.contains(aggregate, event, build.position.get())) {
            return Ok(ClaimsStep::Behind);
        }
        let Some(building) = self.claim_registry.build.take() else { return Ok(ClaimsStep::Replaced) };
        let duplicates = duplicates(&building.holders);
        let begun = self.stored_rules().into_iter().filter_map(|row| Some((row.begun?, row)));
        for (begun, row) in begun.collect::<Vec<_>>() {
            if duplicates.count == 0 {
                self.put_rules(row.in_force());
            } else if !self.contains(&row.aggregate, &row.event, begun) {
                self.put_rules(row.restored());
            }
        }
        if duplicates.count > 0 {
            return Ok(ClaimsStep::Duplicates(duplicates));
        }
        self.claims.retain(|(_, set, _), _| build.sets().all(|built| built != set));
        let held = building.holders.into_iter().filter_map(|(key, streams)| Some((key, streams.into_iter().next()?)));
        self.claims.extend(held);
        Ok(ClaimsStep::InForce)
    }
}

impl RulesAndBuild {
    /// Finds a build that is where a caller thinks it is.
    fn at(&mut self, build: &ClaimBuild) -> Result<&mut Building, ClaimsStep> {
        let differs = build.differs_from(self.build.as_ref().map(|building| &building.build));
        differs.map_or(Ok(()), Err)?;
        self.build.as_mut().ok_or(ClaimsStep::Replaced)
    }
}

fn duplicates(holders: &BTreeMap<Key, BTreeSet<StreamId>>) -> DuplicateClaims {
    let mut duplicates = DuplicateClaims { count: 0, listed: Vec::new() };
    for ((_, set, key), streams) in holders {
        let mut streams = streams.iter().cloned();
        let (Some(one), Some(other)) = (streams.next(), streams.next()) else { continue };
        duplicates.count += 1;
        if duplicates.listed.len() < DuplicateClaims::LISTED {
            duplicates.listed.push(DuplicateClaim { set: set.clone(), key: key.clone(), streams: [one, other] });
        }
    }
    duplicates
}

impl ClaimRegistry for MemoryStore {
    async fn register_claims(&self, declared: &[EventClaims]) -> Result<Vec<ClaimsDiffer>, StoreError> {
        self.0.tables.write().register_claims(declared)
    }

    async fn begin_claims(&self, declared: &[EventClaims]) -> Result<Option<ClaimBuild>, BuildClaimsError> {
        self.0.tables.write().begin_claims(declared)
    }

    async fn store_claims(&self, page: ClaimPage) -> Result<ClaimsStep, StoreError> {
        self.0.tables.write().store_claims(page)
    }

    async fn finish_claims(&self, build: &ClaimBuild) -> Result<ClaimsStep, StoreError> {
        self.0.tables.write().finish_claims(build)
    }
}
