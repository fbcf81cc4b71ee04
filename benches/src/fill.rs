//! Fills stores before they are measured.

use std::sync::Arc;

use chrono::Utc;
use es_runtime::aggregate::Aggregate as _;
use es_runtime::app::{App, CommandOf, DomainOn};
use es_runtime::event::{DomainEvent as _, EventId, EventName, Metadata, StreamId, Version};
use es_runtime::store::{DecisionChain, EventStore, NewCommit, NewEvent, Store};
use futures_util::StreamExt as _;
use uuid::Uuid;

use crate::Result;
use crate::bank::{Account, AccountOpened, EntryBooked, OpenAccount, TEXT};

/// Makes ids of accounts.
#[must_use]
pub fn accounts(count: usize) -> Vec<Uuid> {
    std::iter::repeat_with(Uuid::now_v7).take(count).collect()
}

/// Opens accounts by dispatching.
///
/// # Errors
///
/// What a dispatch says.
pub async fn open<D, Path, S>(app: &App<D, S>, accounts: &[Uuid]) -> Result<()>
where
    D: DomainOn<S>,
    OpenAccount: CommandOf<D, Path>,
    S: Store,
{
    let mut opened = futures_util::stream::iter(accounts.iter().copied())
        .map(|account| {
            let app = app.clone();
            async move { app.dispatch(OpenAccount { account, owner: "Ann".to_owned() }).await }
        })
        .buffer_unordered(512);
    while let Some(receipt) = opened.next().await {
        receipt?;
    }
    Ok(())
}

/// Makes the metadata that a dispatch writes when the caller gives none.
#[must_use]
pub fn metadata() -> Arc<Metadata> {
    let id = Uuid::now_v7();
    let mut metadata = Metadata::default();
    metadata.command_id = Some(id.into());
    metadata.correlation = Some(id.into());
    Arc::new(metadata)
}

/// Makes the JSON of an entry's event.
///
/// # Errors
///
/// What `serde_json` says.
pub fn booked(cents: i64) -> Result<Vec<u8>> {
    Ok(serde_json::to_vec(&EntryBooked { cents, text: TEXT.to_owned() })?)
}

/// Makes a commit of one event.
#[must_use]
pub fn commit(stream: &StreamId, expected: u64, name: &'static str, body: Vec<u8>) -> NewCommit {
    NewCommit {
        stream: stream.clone(),
        expected: Version::new(expected),
        events: vec![NewEvent {
            id: EventId::new_v7(),
            name: EventName::Static(name),
            schema_version: 1,
            body: body.into(),
            rules: &[],
        }],
        metadata: metadata(),
        recorded_at: Utc::now(),
        claims: Vec::new(),
        ledger: None,
        snapshot: None,
        chain: DecisionChain::new(),
        projections: None,
    }
}

/// Fills accounts with entries: the nth commit of each is its nth event, the first one opens it.
///
/// # Errors
///
/// What the store says.
pub async fn histories<S: EventStore>(store: &S, commits: impl IntoIterator<Item = (StreamId, u64)>) -> Result<()> {
    let mut tickets = Vec::new();
    for (stream, before) in commits {
        let commit = if before == 0 {
            let opened = serde_json::to_vec(&AccountOpened { owner: "Ann".to_owned() })?;
            commit(&stream, 0, AccountOpened::NAME, opened)
        } else {
            commit(&stream, before, EntryBooked::NAME, booked(1)?)
        };
        tickets.push(store.submit(commit).await);
        if tickets.len() == 512 {
            for ticket in tickets.drain(..) {
                ticket.await?;
            }
        }
    }
    for ticket in tickets {
        ticket.await?;
    }
    Ok(())
}

/// Fills accounts in a scattered order: each is opened, then entries are booked until there are so many events.
///
/// # Errors
///
/// What the store says.
pub async fn scattered<S: EventStore>(store: &S, accounts: usize, events: usize) -> Result<()> {
    let streams: Vec<StreamId> = self::accounts(accounts).iter().map(Account::stream).collect();
    let mut versions = vec![0; accounts];
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let commits = (0..events).map(|number| {
        // Xorshift: the same order in every run.
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let at = if number < accounts { number } else { usize::try_from(random >> 33).unwrap_or(0) % accounts };
        versions[at] += 1;
        (streams[at].clone(), versions[at] - 1)
    });
    histories(store, commits).await
}

/// Fills one long stream and short ones, mixed in the log as they would be in life.
///
/// # Errors
///
/// What the store says.
pub async fn mixed<S: EventStore>(store: &S, long: Uuid, events: u64, short: &[Uuid], events_each: u64) -> Result<()> {
    let long = Account::stream(&long);
    let streams: Vec<StreamId> = short.iter().map(Account::stream).collect();
    let share = events / events_each;
    let commits = (0..events_each).flat_map(|turn| {
        let of_long = (turn * share..(turn + 1) * share).map(|before| (long.clone(), before));
        let of_short = streams.iter().map(move |stream| (stream.clone(), turn));
        of_long.chain(of_short).collect::<Vec<_>>()
    });
    histories(store, commits).await
}
