//! Commits: checked first, then written.

use std::sync::Arc;

use super::Tables;
use super::ledger::LedgerRow;
use super::log::LogRow;
use super::snapshot::SnapshotRow;
use crate::event::{AnyEvent, ClaimKind, GlobalPosition, Version};
use crate::store::{AppendError, Committed, LedgerRecord, NewCommit, StoreError};
use crate::time::whole_micros;

impl Tables {
    pub(super) fn commit(&mut self, commit: NewCommit) -> Result<Committed, AppendError> {
        let folded = match self.check(&commit).and_then(|()| self.fold_commit(&commit)) {
            Ok(folded) => folded,
            Err(error) => {
                commit.chain.break_off();
                return Err(error);
            }
        };
        self.leave_to_workers(&commit);
        for folded in folded {
            self.write_folded(folded);
        }
        let NewCommit { stream, expected, events, metadata, recorded_at, claims, ledger, snapshot, .. } = commit;
        let recorded_at = whole_micros(recorded_at);
        for claim in claims {
            let owned = (stream.tenant().to_owned(), claim.set.into_owned(), claim.key);
            match claim.kind {
                ClaimKind::Claim => drop(self.claims.insert(owned, stream.clone())),
                ClaimKind::Release if self.claims.get(&owned) == Some(&stream) => drop(self.claims.remove(&owned)),
                ClaimKind::Release => {}
            }
        }
        let version = expected.after(events.len() as u64);
        let position = if events.is_empty() { 0 } else { self.log.len() + events.len() };
        let committed = Committed { version, position: GlobalPosition::new(position as u64) };
        if let Some(entry) = ledger {
            let key = (stream.tenant().to_owned(), entry.key);
            let record = LedgerRecord {
                command: entry.command,
                hash: entry.hash,
                output: entry.output,
                stream: stream.clone(),
                committed,
                events: events.iter().map(|event| event.id).collect(),
            };
            self.ledger.insert(key, LedgerRow { record, recorded_at });
        }
        if let Some(snapshot) = snapshot {
            let row = SnapshotRow { version, fingerprint: snapshot.fingerprint, state: snapshot.state };
            self.snapshots.insert(stream.clone(), row);
        }
        if !events.is_empty() {
            let places = self.streams.entry(stream.clone()).or_default();
            for (version, event) in (expected.get() + 1..).zip(events) {
                places.push(self.log.len());
                self.log.push(LogRow {
                    id: event.id,
                    stream: stream.clone(),
                    version: Version::new(version),
                    event: AnyEvent { name: event.name, version: event.schema_version, body: event.body },
                    recorded_at,
                    metadata: Arc::clone(&metadata),
                });
            }
        }
        Ok(committed)
    }

    /// Looks whether a commit fits, before anything changes.
    fn check(&self, commit: &NewCommit) -> Result<(), AppendError> {
        if self.closed {
            return Err(StoreError::Closed.into());
        }
        if commit.chain.is_broken() {
            return Err(AppendError::ChainBroken);
        }
        commit.check()?;
        let tenant = commit.stream.tenant();
        if let Some(entry) = &commit.ledger
            && let Some(row) = self.ledger.get(&(tenant.to_owned(), entry.key.clone()))
        {
            return Err(AppendError::KeyRecorded(Box::new(row.record.clone())));
        }
        let actual = self.version(&commit.stream);
        if actual != commit.expected {
            let (stream, expected) = (commit.stream.clone(), commit.expected);
            return Err(AppendError::Conflict { stream, expected, actual });
        }
        self.check_rules(commit)?;
        for claim in commit.claims.iter().filter(|claim| claim.kind == ClaimKind::Claim) {
            let key = (tenant.to_owned(), claim.set.clone().into_owned(), claim.key.clone());
            if self.claims.get(&key).is_some_and(|owner| *owner != commit.stream) {
                return Err(AppendError::Claimed { set: key.1, key: key.2 });
            }
        }
        Ok(())
    }
}
