//! An import that is run again: 92,000 commands with keys, all to one aggregate.

#![allow(missing_docs, reason = "a program")]
#![expect(clippy::print_stdout, reason = "it prints what it measured")]

use std::time::{Duration, Instant};

use es_benches::Result;
use es_runtime::prelude::*;
use es_runtime::store::{PostgresStore, SqliteStore, Store};
use futures_util::{StreamExt as _, stream};
use xtask::Cluster;

/// As many as a large account of the examples' data has.
const COMMANDS: u64 = 92_000;

#[domain_event]
pub struct Begun {
    pub number: u64,
}

#[domain_event]
pub struct Counted {
    pub number: u64,
}

#[command(aggregate = Plain)]
pub struct Count {
    #[id]
    pub tally: u32,
    pub number: u64,
}

/// A load reads every event.
#[aggregate(name = "plain", id = u32, events(Begun, Counted))]
pub struct Plain {
    last: u64,
}

#[aggregate]
impl Plain {
    #[apply]
    fn begun(event: &Begun) -> Self {
        Self { last: event.number }
    }
    #[apply]
    fn counted(&mut self, event: &Counted) {
        self.last = event.number;
    }
    #[command_handler]
    fn count(this: Option<&Self>, command: Count) -> PlainEvent {
        let Count { number, .. } = command;
        this.map_or_else(|| Begun { number }.into(), |_| Counted { number }.into())
    }
}

#[command(aggregate = Kept)]
pub struct Keep {
    #[id]
    pub tally: u32,
    pub number: u64,
}

/// A load reads a snapshot, and the events after it.
#[aggregate(name = "kept", id = u32, events(Begun, Counted), snapshot(every = 100))]
pub struct Kept {
    last: u64,
}

#[aggregate]
impl Kept {
    #[apply]
    fn begun(event: &Begun) -> Self {
        Self { last: event.number }
    }
    #[apply]
    fn counted(&mut self, event: &Counted) {
        self.last = event.number;
    }
    #[command_handler]
    fn keep(this: Option<&Self>, command: Keep) -> KeptEvent {
        let Keep { number, .. } = command;
        this.map_or_else(|| Begun { number }.into(), |_| Counted { number }.into())
    }
}

domain! { pub Tallies = "tallies"; aggregates: [Plain, Kept]; commands: [Count, Keep] }

/// Imports all commands; returns how long it took and how many were repeats.
async fn import<S: Store>(app: &App<Tallies, S>, tally: u32, kept: bool, in_flight: usize) -> Result<(Duration, u64)> {
    let start = Instant::now();
    let mut repeats = 0;
    macro_rules! all {
        ($command:ident) => {{
            let commands = stream::iter((0..COMMANDS).map(move |number| $command { tally, number }));
            let mut outcomes = app
                .dispatch_all(commands)
                .in_flight(in_flight)
                .options(|command, options| options.idempotency_key(format!("{}-{}", command.tally, command.number)));
            while let Some(imported) = outcomes.next().await {
                repeats += u64::from(imported.outcome?.replayed());
            }
        }};
    }
    if kept {
        all!(Keep);
    } else {
        all!(Count);
    }
    Ok((start.elapsed(), repeats))
}

async fn compare<S: Store>(name: &str, store: S) -> Result<()> {
    let mut tally = 0;
    for (kept, snapshots) in [(false, "no snapshots"), (true, "snapshots")] {
        for in_flight in [64, 1_024] {
            tally += 1;
            let app = App::<Tallies, S>::builder(store.clone()).build().await?;
            let (first, none) = import(&app, tally, kept, in_flight).await?;
            let (warm, all) = import(&app, tally, kept, in_flight).await?;
            drop(app);
            let app = App::<Tallies, S>::builder(store.clone()).build().await?;
            let (cold, all_again) = import(&app, tally, kept, in_flight).await?;
            if (none, all, all_again) != (0, COMMANDS, COMMANDS) {
                return Err(format!("{none}, {all} and {all_again} repeats").into());
            }
            let ratio = |took: Duration| took.as_secs_f64() / first.as_secs_f64();
            println!(
                "{name}, {snapshots}, {in_flight} in flight: imported in {:.1} s; run again {:.2} x, by a new process {:.2} x",
                first.as_secs_f64(),
                ratio(warm),
                ratio(cold)
            );
        }
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<()> {
    let folder = tempfile::tempdir()?;
    compare("SQLite", SqliteStore::open(folder.path().join("resume.db")).await?).await?;
    let server = Cluster::start(&xtask::binaries().ok_or(xtask::MISSING)?)?;
    compare("PostgreSQL", PostgresStore::connect(server.url()).await?).await
}
