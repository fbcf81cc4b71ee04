//! An import that is run again: 92,000 commands with keys, all to one aggregate.

#![allow(missing_docs, reason = "a program")]

use std::time::{Duration, Instant};

use es_benches::Result;
use es_runtime::prelude::*;
use es_runtime::store::{PostgresStore, SqliteStore, Store};
use futures_util::{StreamExt as _, stream};
use xtask::Cluster;

/// Enough that a load of all of them would show.
const COMMANDS: u64 = 92_000;

/// Makes a domain with one aggregate, and what imports into it.
macro_rules! tallies {
    ($module:ident, $about:literal $(, $snapshot:ident($($every:tt)*))?) => {
        mod $module {
            use super::*;

            #[domain_event]
            pub struct Begun {
                pub number: u64,
            }

            #[domain_event]
            pub struct Counted {
                pub number: u64,
            }

            #[command(aggregate = Tally)]
            pub struct Count {
                #[id]
                pub tally: u32,
                pub number: u64,
            }

            #[aggregate(name = "tally", id = u32, events(Begun, Counted) $(, $snapshot($($every)*))?)]
            pub struct Tally {
                last: u64,
            }

            #[aggregate]
            impl Tally {
                #[apply]
                fn begun(event: &Begun) -> Self {
                    Self { last: event.number }
                }
                #[apply]
                fn counted(&mut self, event: &Counted) {
                    self.last = event.number;
                }
                #[command_handler]
                fn count(this: Option<&Self>, command: Count) -> TallyEvent {
                    let Count { number, .. } = command;
                    this.map_or_else(|| Begun { number }.into(), |_| Counted { number }.into())
                }
            }

            domain! { pub Tallies = "tallies"; aggregates: [Tally]; commands: [Count] }

            /// Imports all commands; returns how long it took and how many were repeats.
            async fn import<S: Store>(app: &App<Tallies, S>, tally: u32, in_flight: usize) -> Result<(Duration, u64)> {
                let (start, mut repeats) = (Instant::now(), 0);
                let commands = stream::iter((0..COMMANDS).map(move |number| Count { tally, number }));
                let key = move |command: &Count| format!(concat!($about, " {} {}"), tally, command.number);
                let mut outcomes = app.dispatch_all(commands).in_flight(in_flight).idempotency_key(key);
                while let Some(imported) = outcomes.next().await {
                    repeats += u64::from(imported.outcome?.replayed());
                }
                Ok((start.elapsed(), repeats))
            }

            /// Imports, imports again, and imports again as a new process would.
            pub async fn compare<S: Store>(name: &str, store: &S, tally: u32, in_flight: usize) -> Result<()> {
                let app = App::<Tallies, S>::builder(store.clone()).build().await?;
                let (first, none) = import(&app, tally, in_flight).await?;
                let (warm, all) = import(&app, tally, in_flight).await?;
                drop(app);
                let app = App::<Tallies, S>::builder(store.clone()).build().await?;
                let (cold, all_again) = import(&app, tally, in_flight).await?;
                if (none, all, all_again) != (0, COMMANDS, COMMANDS) {
                    return Err(format!("{none}, {all} and {all_again} repeats").into());
                }
                let first = first.as_secs_f64();
                let (warm, cold) = (warm.as_secs_f64() / first, cold.as_secs_f64() / first);
                println!(
                    "{name}, {}, {in_flight} in flight: imported in {first:.1} s; run again {warm:.2} x, by a new process {cold:.2} x",
                    $about
                );
                Ok(())
            }
        }
    };
}

// A load reads every event.
tallies!(plain, "no snapshots");
// A load reads a snapshot, and the events after it.
tallies!(kept, "snapshots", snapshot(every = 100));

async fn compare<S: Store>(name: &str, store: S) -> Result<()> {
    for (number, in_flight) in [(1, 64), (2, 1_024)] {
        plain::compare(name, &store, number, in_flight).await?;
        // Another aggregate of the same name: as far as the store knows, the domains are one.
        kept::compare(name, &store, number + 2, in_flight).await?;
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
