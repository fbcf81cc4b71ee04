//! Without a disk: what the runtime itself costs. On one thread of its own, so that its allocations can be counted.

use std::hint::black_box;
use std::time::{Duration, Instant};

use es_benches::bank::{Account, AccountOpened, Bank, Deposit, EntryBooked};
use es_benches::ratios::sample::{Sample, float};
use es_benches::{Result, fill};
use es_runtime::aggregate::{Aggregate, AggregateEvent as _};
use es_runtime::app::App;
use es_runtime::event::{DomainEvent as _, GlobalPosition, StreamId};
use es_runtime::store::{EventStore as _, MemoryStore};

use crate::counting::allocations;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Memory {
    /// `app.dispatch`, one aggregate.
    Dispatch,
    /// `app.dispatch`, a thousand aggregates in turn.
    DispatchMany,
    /// `store.submit` of a commit that is ready.
    Append,
    /// `store.read_all`.
    Read,
    /// Decoding an event as replay does.
    Decode,
    /// `serde_json` into the event's own struct.
    Json,
    /// Folding an event that is decoded.
    Fold,
}

/// How much is done between two looks at the clock.
const CHUNK: usize = 20_000;

/// Measures for a while; the fastest chunk counts.
pub(crate) fn measure(what: Memory, time: Duration) -> Result<Sample> {
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        runtime.block_on(async {
            let begun = Instant::now();
            let mut best: Option<Sample> = None;
            while best.is_none() || begun.elapsed() < time {
                let sample = chunk(what).await?;
                best = best.filter(|best| best.rate >= sample.rate).or(Some(sample));
            }
            best.ok_or_else(|| "nothing was measured".into())
        })
    });
    thread.join().map_err(|_| "the measuring thread panicked")?
}

async fn chunk(what: Memory) -> Result<Sample> {
    let body = fill::booked(1)?;
    match what {
        Memory::Dispatch => dispatch(1).await,
        Memory::DispatchMany => dispatch(1_000).await,
        Memory::Append => {
            let store = MemoryStore::new();
            let stream = StreamId::new("account", "1");
            let commits: Vec<_> = (0..CHUNK as u64)
                .map(|version| fill::commit(&stream, version, EntryBooked::NAME, body.clone()))
                .collect();
            let watch = Watch::start();
            for commit in commits {
                store.submit(commit).await.await?;
            }
            Ok(watch.stop())
        }
        Memory::Read => {
            let store = MemoryStore::new();
            let stream = StreamId::new("account", "1");
            fill::histories(&store, (0..CHUNK as u64).map(|version| (stream.clone(), version))).await?;
            let watch = Watch::start();
            let mut last = GlobalPosition::START;
            while let Some(event) = store.read_all(last, 1_000).await?.last() {
                last = event.position();
            }
            Ok(watch.stop())
        }
        Memory::Decode => {
            let watch = Watch::start();
            for _ in 0..CHUNK {
                black_box(<Account as Aggregate>::Event::decode(EntryBooked::NAME, 1, black_box(&body))?);
            }
            Ok(watch.stop())
        }
        Memory::Json => {
            let watch = Watch::start();
            for _ in 0..CHUNK {
                black_box(serde_json::from_slice::<EntryBooked>(black_box(&body))?);
            }
            Ok(watch.stop())
        }
        Memory::Fold => {
            let opened = AccountOpened { owner: "Ann".to_owned() };
            let mut state = Account::apply(None, &opened.into())?;
            let event = EntryBooked { cents: 1, text: String::new() }.into();
            let watch = Watch::start();
            for _ in 0..CHUNK {
                black_box(Account::apply(state.as_mut(), black_box(&event))?);
            }
            Ok(watch.stop())
        }
    }
}

async fn dispatch(aggregates: usize) -> Result<Sample> {
    let app = App::<Bank, _>::builder(MemoryStore::new()).build().await?;
    let accounts = fill::accounts(aggregates);
    fill::open(&app, &accounts).await?;
    app.dispatch(Deposit { account: accounts[0], cents: 1 }).await?;
    let watch = Watch::start();
    for turn in 0..CHUNK {
        app.dispatch(Deposit { account: accounts[turn % aggregates], cents: 1 }).await?;
    }
    Ok(watch.stop())
}

struct Watch {
    begun: Instant,
    allocations: u64,
}

impl Watch {
    fn start() -> Self {
        Self { allocations: allocations(), begun: Instant::now() }
    }

    fn stop(self) -> Sample {
        let took = self.begun.elapsed();
        let made = allocations() - self.allocations;
        let mut sample = Sample::of(CHUNK as u64, took);
        sample.allocations = Some(float(made) / float(CHUNK as u64));
        sample
    }
}
