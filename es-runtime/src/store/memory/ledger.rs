//! The ledger: what commands with an idempotency key did.

use chrono::{DateTime, Utc};

use super::MemoryStore;
use crate::store::{Ledger, LedgerRecord, StoreError};
use crate::time::whole_micros;

#[derive(Debug)]
pub(super) struct LedgerRow {
    pub(super) record: LedgerRecord,
    pub(super) recorded_at: DateTime<Utc>,
}

impl Ledger for MemoryStore {
    async fn find(&self, tenant: &str, key: &str) -> Result<Option<LedgerRecord>, StoreError> {
        let tables = self.0.tables.read();
        Ok(tables.open()?.ledger.get(&(tenant.to_owned(), key.to_owned())).map(|row| row.record.clone()))
    }

    async fn forget_before(&self, time: DateTime<Utc>) -> Result<u64, StoreError> {
        let mut tables = self.0.tables.write();
        tables.open()?;
        let (before, time) = (tables.ledger.len(), whole_micros(time));
        tables.ledger.retain(|_, row| row.recorded_at >= time);
        Ok((before - tables.ledger.len()) as u64)
    }
}
