//! Callers who write: through an application, or through its store alone.

use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use es_runtime::aggregate::Aggregate as _;
use es_runtime::app::{App, CommandOf, DomainOn};
use es_runtime::event::{DomainEvent as _, StreamId};
use es_runtime::store::{EventStore, Store};
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::env::Env;
use super::sample::Sample;
use super::watch::Watch;
use crate::bank::{Account, Book, EntryBooked, OpenAccount, TEXT};
use crate::{Error, Result, fill};

/// Something that clients do again and again.
pub trait Work: Send + Sync + 'static {
    /// Does it once; says how many events were written.
    fn once(&self, client: usize, turn: usize) -> impl Future<Output = Result<u64>> + Send;
}

/// Visits accounts in a scattered order.
#[must_use]
pub const fn pick(client: usize, turn: usize, clients: usize, accounts: usize) -> usize {
    (turn * clients + client) * 7_919 % accounts
}

/// Clients at work.
#[derive(Debug)]
pub struct Clients {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
    tasks: Vec<JoinHandle<Result<()>>>,
}

impl Clients {
    /// Lets them begin.
    pub fn start<W: Work>(work: &Arc<W>, clients: usize) -> Self {
        let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let tasks = (0..clients)
            .map(|client| {
                let (work, stop, done) = (Arc::clone(work), Arc::clone(&stop), Arc::clone(&done));
                // A client: one of many callers that wait for their answers.
                tokio::spawn(async move {
                    let mut turn = 0;
                    while !stop.load(Ordering::Relaxed) {
                        done.fetch_add(work.once(client, turn).await?, Ordering::Relaxed);
                        turn += 1;
                    }
                    Ok::<_, Error>(())
                })
            })
            .collect();
        Self { stop, done, tasks }
    }

    /// Counts the events so far.
    #[must_use]
    pub fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    /// Lets them end.
    ///
    /// # Errors
    ///
    /// What one of them met.
    pub async fn stop(self) -> Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.await??;
        }
        Ok(())
    }
}

/// Lets clients work for a while, and counts after a fifth of it.
///
/// # Errors
///
/// What a client met.
pub async fn drive<W: Work>(work: &Arc<W>, clients: usize, env: &Env) -> Result<Sample> {
    env.conflicts.store(0, Ordering::Relaxed);
    let clients = Clients::start(work, clients);
    tokio::time::sleep(env.time / 5).await;
    let (watch, before) = (Watch::start(env)?, clients.done());
    tokio::time::sleep(env.time).await;
    let mut sample = watch.stop(clients.done() - before, env)?;
    clients.stop().await?;
    sample.conflicts = env.conflicts.load(Ordering::Relaxed);
    Ok(sample)
}

/// Dispatchers of an application.
#[derive(Debug)]
pub struct Dispatching<D, S, Along> {
    app: App<D, S>,
    accounts: Vec<Uuid>,
    clients: usize,
    /// The path from the domain to that of the commands.
    along: PhantomData<fn() -> Along>,
}

impl<D, S, Along> Dispatching<D, S, Along>
where
    D: DomainOn<S>,
    S: Store,
    OpenAccount: CommandOf<D, Along>,
    Book: CommandOf<D, Along>,
    Along: 'static,
{
    /// Builds an application, and opens accounts.
    ///
    /// # Errors
    ///
    /// What the application says.
    pub async fn open(store: S, accounts: usize, clients: usize) -> Result<Arc<Self>> {
        let app = App::<D, _>::builder(store).build().await?;
        let accounts = fill::accounts(accounts);
        fill::open(&app, &accounts).await?;
        Ok(Arc::new(Self { app, accounts, clients, along: PhantomData }))
    }

    /// Builds an application for accounts that are open.
    ///
    /// # Errors
    ///
    /// What the application says.
    pub async fn of(store: S, accounts: Vec<Uuid>, clients: usize) -> Result<Arc<Self>> {
        let app = App::<D, _>::builder(store).build().await?;
        Ok(Arc::new(Self { app, accounts, clients, along: PhantomData }))
    }

    /// Ends the application.
    pub async fn shutdown(&self) {
        self.app.shutdown().await;
    }
}

/// Opens accounts, lets dispatchers work, and ends the application.
///
/// # Errors
///
/// What the application says.
pub async fn dispatch<D, S, Along>(store: S, accounts: usize, clients: usize, env: &Env) -> Result<Sample>
where
    D: DomainOn<S>,
    S: Store,
    OpenAccount: CommandOf<D, Along>,
    Book: CommandOf<D, Along>,
    Along: 'static,
{
    let work = Dispatching::<D, S, Along>::open(store, accounts, clients).await?;
    let sample = drive(&work, clients, env).await?;
    work.shutdown().await;
    Ok(sample)
}

impl<D, S, Along> Work for Dispatching<D, S, Along>
where
    D: DomainOn<S>,
    S: Store,
    Book: CommandOf<D, Along>,
    Along: 'static,
{
    async fn once(&self, client: usize, turn: usize) -> Result<u64> {
        let account = self.accounts[pick(client, turn, self.clients, self.accounts.len())];
        self.app.dispatch(Book { account, cents: 1, text: TEXT.to_owned() }).await?;
        Ok(1)
    }
}

/// Callers of a store.
#[derive(Debug)]
pub struct Appending<S> {
    store: S,
    streams: Vec<(StreamId, AtomicU64)>,
    clients: usize,
}

/// Opens accounts, lets callers of the store work, and closes it.
///
/// # Errors
///
/// What the store says.
pub async fn append<S: EventStore>(store: S, accounts: usize, clients: usize, env: &Env) -> Result<Sample> {
    let accounts = fill::accounts(accounts);
    fill::histories(&store, accounts.iter().map(|account| (Account::stream(account), 0))).await?;
    let streams = accounts.iter().map(|account| (Account::stream(account), AtomicU64::new(1))).collect();
    let work = Arc::new(Appending { store, streams, clients });
    let sample = drive(&work, clients, env).await?;
    work.store.close().await;
    Ok(sample)
}

impl<S: EventStore> Work for Appending<S> {
    async fn once(&self, client: usize, turn: usize) -> Result<u64> {
        // Each client has streams of its own: nobody keeps order here.
        let own = self.streams.len().saturating_sub(client).div_ceil(self.clients);
        let (stream, version) = &self.streams[client + pick(0, turn, 1, own) * self.clients];
        let expected = version.load(Ordering::Relaxed);
        let commit = fill::commit(stream, expected, EntryBooked::NAME, fill::booked(1)?);
        self.store.submit(commit).await.await?;
        version.store(expected + 1, Ordering::Relaxed);
        Ok(1)
    }
}
