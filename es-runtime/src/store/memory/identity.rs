//! Ids of other systems.

use super::MemoryStore;
use crate::store::{ExternalId, IdentityMap, StoreError};

impl IdentityMap for MemoryStore {
    async fn identity(&self, external: &ExternalId) -> Result<Option<String>, StoreError> {
        Ok(self.0.tables.read().open()?.identities.get(external).cloned())
    }

    async fn identify(&self, external: &ExternalId, candidate: &str) -> Result<String, StoreError> {
        let mut tables = self.0.tables.write();
        tables.open()?;
        Ok(tables.identities.entry(external.clone()).or_insert_with(|| candidate.to_owned()).clone())
    }
}
