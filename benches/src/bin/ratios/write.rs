//! Writing: the runtime, its store alone, the same by hand, and the limits of SQLite.

use std::marker::PhantomData;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use es_benches::bank::{Account, Bank, Book, EntryBooked, OpenAccount, TEXT};
use es_benches::views::{Behind, InAppend};
use es_benches::{Result, fill};
use es_runtime::aggregate::Aggregate as _;
use es_runtime::app::{App, CommandOf, DomainOn};
use es_runtime::event::{DomainEvent as _, StreamId};
use es_runtime::store::sqlite::Durability;
use es_runtime::store::{EventStore as _, SqliteStore};
use uuid::Uuid;

use crate::hand::ByHand;
use crate::limit::{GroupInserts, Inserts, RowInserts};
use crate::measure::{Env, Sample, float, processor_time};

/// Who writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// `app.dispatch`.
    Dispatch,
    /// `app.dispatch`, with a synchronous projection.
    DispatchKept,
    /// `app.dispatch`, with a projection behind the log.
    DispatchBehind,
    /// `store.submit`: no command, no state.
    Append,
    /// By hand: one transaction a command; selects the stream and folds it.
    HandEvents,
    /// By hand: one transaction a command; keeps the state in a row of its own.
    HandState,
    /// One statement with a group's rows through sqlx, one after the other.
    Rows,
    /// Callers hand rows to a thread, which commits them in groups through rusqlite.
    RusqliteGroup,
    /// One row a commit through rusqlite.
    Rusqlite,
}

/// How many write to how much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Load {
    pub(crate) clients: usize,
    pub(crate) accounts: usize,
    pub(crate) durable: bool,
}

impl Load {
    pub(crate) const fn durability(self) -> Durability {
        if self.durable { Durability::PowerLoss } else { Durability::ProcessCrash }
    }
}

/// Something that clients do again and again.
pub(crate) trait Work: Send + Sync + 'static {
    /// Does it once; says how many events were written.
    fn once(&self, client: usize, turn: usize) -> impl Future<Output = Result<u64>> + Send;
}

/// Measures one way under a load, on a new file.
pub(crate) async fn measure(way: Way, load: Load, folder: &Path, env: &Env) -> Result<Sample> {
    let file = folder.join("bench.db");
    match way {
        Way::Dispatch => dispatch::<Bank, _>(load, &file, env).await,
        Way::DispatchKept => dispatch::<InAppend, _>(load, &file, env).await,
        Way::DispatchBehind => dispatch::<Behind, _>(load, &file, env).await,
        Way::Append => {
            let store = open(load, &file).await?;
            let accounts = fill::accounts(load.accounts);
            fill::histories(&store, accounts.iter().map(|account| (Account::stream(account), 0))).await?;
            let streams = accounts.iter().map(|account| (Account::stream(account), AtomicU64::new(1))).collect();
            let work = Arc::new(Appending { store, streams, clients: load.clients });
            let sample = drive(Arc::clone(&work), load.clients, env).await?;
            work.store.close().await;
            Ok(sample)
        }
        Way::HandEvents | Way::HandState => {
            let hand = ByHand::open(&file, load, way == Way::HandState, env.pool).await?;
            drive(Arc::new(hand), load.clients, env).await
        }
        Way::Rows => {
            open(load, &file).await?.close().await;
            drive(Arc::new(RowInserts::open(&file, load).await?), 1, env).await
        }
        Way::RusqliteGroup => {
            open(load, &file).await?.close().await;
            drive(Arc::new(GroupInserts::start(&file, load)?), load.clients, env).await
        }
        Way::Rusqlite => {
            open(load, &file).await?.close().await;
            drive(Arc::new(Inserts::open(&file, load)?), 1, env).await
        }
    }
}

async fn dispatch<D, Along>(load: Load, file: &Path, env: &Env) -> Result<Sample>
where
    D: DomainOn<SqliteStore>,
    OpenAccount: CommandOf<D, Along>,
    Book: CommandOf<D, Along>,
    Along: 'static,
{
    let app = App::<D, _>::builder(open(load, file).await?).build().await?;
    let accounts = fill::accounts(load.accounts);
    fill::open(&app, &accounts).await?;
    let work = Arc::new(Dispatching { app, accounts, clients: load.clients, along: PhantomData });
    let sample = drive(Arc::clone(&work), load.clients, env).await?;
    work.app.shutdown().await;
    Ok(sample)
}

async fn open(load: Load, file: &Path) -> Result<SqliteStore> {
    Ok(SqliteStore::options().durability(load.durability()).open(file).await?)
}

/// Lets clients work for a while, and counts after a fifth of it.
async fn drive<W: Work>(work: Arc<W>, clients: usize, env: &Env) -> Result<Sample> {
    let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    env.conflicts.store(0, Ordering::Relaxed);
    let tasks: Vec<_> = (0..clients)
        .map(|client| {
            let (work, stop, done) = (Arc::clone(&work), Arc::clone(&stop), Arc::clone(&done));
            // A client: one of many callers that wait for their answers.
            tokio::spawn(async move {
                let mut turn = 0;
                while !stop.load(Ordering::Relaxed) {
                    done.fetch_add(work.once(client, turn).await?, Ordering::Relaxed);
                    turn += 1;
                }
                Ok::<_, es_benches::Error>(())
            })
        })
        .collect();
    tokio::time::sleep(env.time / 5).await;
    let cpu = processor_time();
    let (flushes, before, begun) = (env.flush.count()?, done.load(Ordering::Relaxed), Instant::now());
    tokio::time::sleep(env.time).await;
    let (events, took) = (done.load(Ordering::Relaxed) - before, begun.elapsed());
    let flushes = env.flush.count()?.zip(flushes).map(|(after, before)| after - before);
    let cpu = processor_time().zip(cpu).map(|(after, before)| after - before);
    stop.store(true, Ordering::Relaxed);
    for task in tasks {
        task.await??;
    }
    let mut sample = Sample::of(events, took.max(Duration::from_nanos(1)));
    sample.conflicts = env.conflicts.load(Ordering::Relaxed);
    sample.per_flush = flushes.filter(|flushes| *flushes > 0).map(|flushes| float(events) / float(flushes));
    sample.cpu = cpu.map(|cpu| float(cpu) * 10_000.0 / float(events.max(1)));
    Ok(sample)
}

/// Visits accounts in a scattered order.
pub(crate) const fn pick(client: usize, turn: usize, clients: usize, accounts: usize) -> usize {
    (turn * clients + client) * 7_919 % accounts
}

struct Dispatching<D, Along> {
    app: App<D, SqliteStore>,
    accounts: Vec<Uuid>,
    clients: usize,
    /// The path from the domain to that of the commands.
    along: PhantomData<fn() -> Along>,
}

impl<D: DomainOn<SqliteStore>, Along: 'static> Work for Dispatching<D, Along>
where
    Book: CommandOf<D, Along>,
{
    async fn once(&self, client: usize, turn: usize) -> Result<u64> {
        let account = self.accounts[pick(client, turn, self.clients, self.accounts.len())];
        self.app.dispatch(Book { account, cents: 1, text: TEXT.to_owned() }).await?;
        Ok(1)
    }
}

struct Appending {
    store: SqliteStore,
    streams: Vec<(StreamId, AtomicU64)>,
    clients: usize,
}

impl Work for Appending {
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
