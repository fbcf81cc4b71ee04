//! One of several processes: it does what it is told through its standard input, and counts.

use std::io::{BufRead as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use es_benches::Result;
use es_benches::bank::Bank;
use es_benches::ratios::conflicts;
use es_benches::ratios::env::own_time;
use es_benches::ratios::write::{Clients, Dispatching};
use es_runtime::app::App;
use es_runtime::store::PostgresStore;
use serde::{Deserialize, Serialize};
use tokio::runtime::{Builder, Runtime};
use uuid::Uuid;

use es_benches::readers::{Busy, worked};

/// The first line that it reads.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Order {
    pub(crate) url: String,
    pub(crate) schema: String,
    pub(crate) role: Role,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) enum Role {
    /// Dispatches to accounts that are open.
    Dispatch { accounts: Vec<Uuid>, clients: usize },
    /// Runs a projection that is busy, on one thread.
    Project,
}

/// What it answers to `count`.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Count {
    pub(crate) events: u64,
    /// Its time on the processors, in hundredths of a second.
    pub(crate) processors: u64,
    pub(crate) conflicts: u64,
}

/// What the parent says afterwards.
pub(crate) const GO: &str = "go";
pub(crate) const COUNT: &str = "count";

/// Does it until the standard input ends.
pub(crate) fn run() -> Result<()> {
    let mut lines = std::io::stdin().lock().lines();
    let order: Order = serde_json::from_str(&lines.next().ok_or("there is no order")??)?;
    let conflicts = conflicts::count()?;
    match order.role {
        Role::Dispatch { accounts, clients } => {
            let runtime = Builder::new_multi_thread().enable_all().build()?;
            let work = runtime.block_on(async {
                let store = PostgresStore::options().schema(order.schema).connect(&order.url).await?;
                Dispatching::<Bank, _, _>::of(store, accounts, clients).await
            })?;
            wait_for_go(&mut lines)?;
            let running = runtime.block_on(async { Clients::start(&work, clients) });
            count(&mut lines, || running.done(), &conflicts)?;
            runtime.block_on(running.stop())?;
            runtime.block_on(work.shutdown());
        }
        Role::Project => {
            let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
            project(&order, &runtime, &mut lines, &conflicts)?;
        }
    }
    Ok(())
}

type Lines = std::io::Lines<std::io::StdinLock<'static>>;

fn project(order: &Order, runtime: &Runtime, lines: &mut Lines, conflicts: &Arc<AtomicU64>) -> Result<()> {
    let store = runtime.block_on(PostgresStore::options().schema(order.schema.clone()).connect(&order.url))?;
    wait_for_go(lines)?;
    // Spawned: what `block_on` runs is on a thread of its own, and there is to be one.
    let built = runtime.spawn(async {
        let options = App::<Busy, _>::builder(store).subscriptions(|options| {
            // So that they share soon.
            options.lease_timeout = Duration::from_secs(1);
            options.batch = 500;
        });
        options.build().await
    });
    let app = runtime.block_on(built)??;
    count(lines, worked, conflicts)?;
    runtime.block_on(app.shutdown());
    Ok(())
}

fn wait_for_go(lines: &mut Lines) -> Result<()> {
    say("ready")?;
    let line = lines.next().ok_or("the parent is gone")??;
    if line == GO { Ok(()) } else { Err(format!("`{line}` is no word of ours").into()) }
}

fn count(lines: &mut Lines, events: impl Fn() -> u64, conflicts: &AtomicU64) -> Result<()> {
    for line in lines {
        if line? != COUNT {
            return Err("a word that is none of ours".into());
        }
        let processors = own_time().unwrap_or_default();
        let count = Count { events: events(), processors, conflicts: conflicts.load(Ordering::Relaxed) };
        say(&serde_json::to_string(&count)?)?;
    }
    Ok(())
}

fn say(line: &str) -> Result<()> {
    let mut output = std::io::stdout().lock();
    writeln!(output, "{line}")?;
    Ok(output.flush()?)
}
