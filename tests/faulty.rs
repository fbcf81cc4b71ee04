//! A store with switches: what is submitted can be held, and what is answered can be held or replaced.
//!
//! It stands on the store in memory; what it holds and replaces are moments that no real store reaches on demand.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use es_runtime::prelude::*;
use es_runtime::store::{
    AppendError, CheckpointStore, ClaimRegistry, CommitTicket, EventStore, IdentityMap, LeaseStore, Ledger, NewCommit,
    ProjectionRegistry, RowStore, SnapshotStore,
};
use tokio::sync::watch;

/// What happens to commits.
#[derive(Clone, Debug)]
pub enum Switch {
    /// They go through.
    Open,
    /// `submit` waits.
    HoldSubmit,
    /// The commit is in line, and is stored and answered later.
    HoldCommit,
    /// The commit is stored, and the answer waits.
    HoldAnswer,
    /// The commit is not stored, and this is the answer.
    Refuse(AppendError),
    /// The commit is stored, and this is the answer.
    Lie(AppendError),
}

#[derive(Clone, Debug)]
pub struct FaultyStore {
    inner: MemoryStore,
    switch: Arc<watch::Sender<Switch>>,
    submitted: Arc<AtomicU32>,
    /// Lets held commits through one after the other, in the order of their arrival.
    line: Arc<tokio::sync::Mutex<()>>,
}

impl FaultyStore {
    pub fn new() -> Self {
        Self {
            inner: MemoryStore::new(),
            switch: Arc::new(watch::channel(Switch::Open).0),
            submitted: Arc::default(),
            line: Arc::default(),
        }
    }

    pub fn set(&self, switch: Switch) {
        self.switch.send_replace(switch);
    }

    /// Counts the commits with events that were submitted since the last call.
    pub fn submitted(&self) -> u32 {
        self.submitted.swap(0, Ordering::SeqCst)
    }

    async fn until(&self, go_on: impl FnMut(&Switch) -> bool) -> Switch {
        self.switch.subscribe().wait_for(go_on).await.unwrap().clone()
    }
}

impl EventStore for FaultyStore {
    async fn submit(&self, commit: NewCommit) -> CommitTicket {
        let changes = !commit.events.is_empty();
        self.submitted.fetch_add(u32::from(changes), Ordering::SeqCst);
        match self.until(|switch| !matches!(switch, Switch::HoldSubmit)).await {
            Switch::Refuse(error) if changes => {
                commit.chain.break_off();
                CommitTicket::ready(Err(error))
            }
            Switch::Lie(error) if changes => {
                let chain = commit.chain.clone();
                self.inner.submit(commit).await.await.unwrap();
                chain.break_off();
                CommitTicket::ready(Err(error))
            }
            Switch::HoldCommit => {
                let (sender, ticket) = CommitTicket::pair();
                let this = self.clone();
                let mut place = Box::pin(Arc::clone(&self.line).lock_owned());
                // Polled here: a place in a fair line is taken by the first poll.
                let mine = futures_util::poll!(&mut place);
                tokio::spawn(async move {
                    let _turn = match mine {
                        std::task::Poll::Ready(turn) => turn,
                        std::task::Poll::Pending => place.await,
                    };
                    this.until(|switch| !matches!(switch, Switch::HoldCommit)).await;
                    sender.answer(this.inner.submit(commit).await.await);
                });
                ticket
            }
            Switch::HoldAnswer if changes => {
                let answer = self.inner.submit(commit).await.await;
                let (sender, ticket) = CommitTicket::pair();
                let this = self.clone();
                tokio::spawn(async move {
                    this.until(|switch| !matches!(switch, Switch::HoldAnswer)).await;
                    sender.answer(answer);
                });
                ticket
            }
            _ => self.inner.submit(commit).await,
        }
    }

    es_runtime::forward_to_store!(inner: read_stream read_history read_all head event_count watch close history);
}

impl Ledger for FaultyStore {
    es_runtime::forward_to_store!(inner: find forget_before);
}

impl ClaimRegistry for FaultyStore {
    es_runtime::forward_to_store!(inner: register_claims begin_claims store_claims finish_claims);
}

impl SnapshotStore for FaultyStore {
    es_runtime::forward_to_store!(inner: snapshot);
}

impl IdentityMap for FaultyStore {
    es_runtime::forward_to_store!(inner: identity identify);
}

impl RowStore for FaultyStore {
    es_runtime::forward_to_store!(inner: rows select count);
}

impl ProjectionRegistry for FaultyStore {
    es_runtime::forward_to_store!(inner: register projections reset drop_retired);
}

impl CheckpointStore for FaultyStore {
    es_runtime::forward_to_store!(inner: project checkpoints set_status rewind letters first_letter parked_keys touch_letter skip_letter versions_at events_at);
}

impl LeaseStore for FaultyStore {
    es_runtime::forward_to_store!(inner: lease leave);
}
