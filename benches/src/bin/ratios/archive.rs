//! Following the log: a projection that catches up with a file of stored events, and the same by hand.

use std::path::{Path, PathBuf};
use std::time::Instant;

use es_benches::ratios::env::Env;
use es_benches::ratios::sample::Sample;
use es_benches::ratios::watch::Watch;
use es_benches::views::{Balance, Behind};
use es_benches::{Result, fill};
use es_runtime::app::App;
use es_runtime::store::sqlite::Durability;
use es_runtime::store::{EventStore as _, SqliteStore};

use crate::by_hand_views::{Loop, Rusqlite};

/// Who follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Follow {
    /// The application: from `build` to `caught_up`.
    Build,
    /// By hand through sqlx: one transaction an event.
    EachEvent,
    /// By hand through sqlx: a transaction with a thousand events, one statement an event.
    EachRow,
    /// By hand through sqlx: a thousand events folded in memory, one statement with their rows.
    Folded,
    /// By hand through rusqlite: a transaction with a thousand events, one statement an event.
    Rusqlite,
}

pub(crate) const ACCOUNTS: usize = 1_000;
const EVENTS: usize = 100_000;

/// A file of stored events, which is copied for each measurement.
pub(crate) struct Archive {
    file: PathBuf,
}

impl Archive {
    pub(crate) async fn new(folder: &Path) -> Result<Self> {
        let file = folder.join("archive.db");
        fill_file(&file, EVENTS).await?;
        Ok(Self { file })
    }

    /// Follows the log from its start. What takes long ends before the log does.
    pub(crate) async fn measure(&self, follow: Follow, folder: &Path, env: &Env) -> Result<Sample> {
        let file = folder.join("bench.db");
        std::fs::copy(&self.file, &file)?;
        match follow {
            Follow::Build => Ok(catch_up(&file, env).await?.1),
            Follow::EachEvent | Follow::EachRow | Follow::Folded => {
                let mut by_hand = Loop::open(&file).await?;
                let (watch, begun) = (Watch::start(env)?, Instant::now());
                let going = || begun.elapsed() < env.time;
                let events = match follow {
                    Follow::EachEvent => by_hand.each_event(going).await?,
                    Follow::EachRow => by_hand.each_row(going).await?,
                    _ => by_hand.folded().await?,
                };
                let sample = watch.stop(events, env)?;
                by_hand.check(events).await?;
                Ok(sample)
            }
            Follow::Rusqlite => {
                let mut by_hand = Rusqlite::open(&file)?;
                let watch = Watch::start(env)?;
                let events = by_hand.each_row()?;
                let sample = watch.stop(events, env)?;
                by_hand.check(events)?;
                Ok(sample)
            }
        }
    }
}

/// Fills a file with events.
pub(crate) async fn fill_file(file: &Path, events: usize) -> Result<()> {
    let store = SqliteStore::options().durability(Durability::ProcessCrash).open(file).await?;
    fill::scattered(&store, ACCOUNTS, events).await?;
    store.close().await;
    Ok(())
}

/// Builds an application on stored events, and waits until its projection has passed them. Gives how many there are, too.
pub(crate) async fn catch_up(file: &Path, env: &Env) -> Result<(u64, Sample)> {
    let store = SqliteStore::open(file).await?;
    let events = store.event_count().await?;
    let watch = Watch::start(env)?;
    let app = App::<Behind, _>::builder(store).build().await?;
    app.caught_up().within_secs(600).await?;
    let sample = watch.stop(events, env)?;
    let rows = app.table::<Balance>().list().await?;
    expect(rows.len(), rows.iter().map(|row| row.entries).sum(), events)?;
    app.shutdown().await;
    Ok((events, sample))
}

/// Makes sure that nothing was left out: each event but an account's first one is an entry.
pub(crate) fn expect(rows: usize, entries: i64, events: u64) -> Result<()> {
    let seen = u64::try_from(entries)? + rows as u64;
    if seen == events { Ok(()) } else { Err(format!("the rows hold {seen} events, not {events}").into()) }
}
