//! The store in memory: as strict as the others, gone with the process.

mod batch;
mod checkpoints;
mod claims;
mod commit;
mod fold;
mod identity;
mod leases;
mod ledger;
mod letters;
mod log;
mod registry;
mod rows;
mod snapshot;
mod sync;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use parking_lot::RwLock;
use rustc_hash::FxHashMap;
use tokio::sync::watch;

use self::claims::RulesAndBuild;
use self::leases::ProcessRow;
use self::ledger::LedgerRow;
use self::log::LogRow;
use self::registry::VersionRow;
use self::rows::StoredTable;
use self::snapshot::SnapshotRow;
use super::{AppendError, Committed, ExternalId, History, NewCommit, ProcessId, StoreError};
use crate::event::{GlobalPosition, StreamId};

/// Keeps everything in memory. For tests, prototypes and domains that need no durability.
///
/// Clones share one log.
///
/// ```
/// use es_runtime::store::{EventStore, MemoryStore};
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), es_runtime::store::StoreError> {
/// let store = MemoryStore::new();
/// assert_eq!(store.event_count().await?, 0);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct MemoryStore(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    // One lock for everything: a commit touches log, claims and ledger together, and none of it awaits.
    tables: RwLock<Tables>,
    head: watch::Sender<GlobalPosition>,
    history: History,
}

#[derive(Debug, Default)]
struct Tables {
    log: Vec<LogRow>,
    streams: FxHashMap<StreamId, Vec<usize>>,
    ledger: HashMap<(String, String), LedgerRow>,
    claims: HashMap<(String, String, String), StreamId>,
    claim_registry: RulesAndBuild,
    snapshots: HashMap<StreamId, SnapshotRow>,
    identities: HashMap<ExternalId, String>,
    /// Rows of read models, by the table's stored name.
    rows: FxHashMap<String, StoredTable>,
    /// By name and version.
    projections: BTreeMap<String, BTreeMap<u32, VersionRow>>,
    /// Names that projections had, and those that they have instead.
    renamed: HashMap<String, String>,
    processes: BTreeMap<ProcessId, ProcessRow>,
    closed: bool,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryStore {
    /// Makes an empty store.
    #[must_use]
    pub fn new() -> Self {
        let (head, _) = watch::channel(GlobalPosition::START);
        Self(Arc::new(Shared { tables: RwLock::new(Tables::default()), head, history: History::new() }))
    }

    fn commit(&self, commit: NewCommit) -> Result<Committed, AppendError> {
        let committed = self.0.tables.write().commit(commit)?;
        // Whoever subscribes later reads before it waits, so nobody needs to be woken where nobody watches.
        if committed.position > GlobalPosition::START && self.0.head.receiver_count() > 0 {
            self.0.head.send_modify(|head| *head = (*head).max(committed.position));
        }
        Ok(committed)
    }
}

impl Tables {
    fn open(&self) -> Result<&Self, StoreError> {
        if self.closed { Err(StoreError::Closed) } else { Ok(self) }
    }
}
