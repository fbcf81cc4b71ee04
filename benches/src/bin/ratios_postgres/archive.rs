//! Following the log: a projection that catches up with stored events, and the same by hand.

use std::sync::Arc;
use std::time::Instant;

use es_benches::ratios::env::Env;
use es_benches::ratios::sample::Sample;
use es_benches::ratios::watch::Watch;
use es_benches::views::{Balance, Behind};
use es_benches::{Result, fill};
use es_runtime::app::App;
use es_runtime::store::postgres::PostgresDurability;
use es_runtime::store::{EventStore as _, PostgresStore};

use crate::by_hand_views::Loop;
use crate::server::{Schema, Server};

/// Who follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Follow {
    /// The application: from `build` to `caught_up`.
    Build,
    /// By hand: one transaction an event.
    EachEvent,
    /// By hand: a transaction with a thousand events, one statement an event.
    EachRow,
    /// By hand: a thousand events folded in memory, one statement with their rows.
    Folded,
}

const ACCOUNTS: usize = 1_000;
const EVENTS: usize = 100_000;

/// A schema of stored events, which is copied for each measurement.
pub(crate) struct Archive {
    schema: Schema,
}

impl Archive {
    /// Fills one.
    pub(crate) async fn new(server: &Arc<Server>) -> Result<Self> {
        let schema = server.fresh();
        let options = PostgresStore::options().durability(PostgresDurability::ProcessCrash);
        let store = schema.store_with(options).await?;
        fill::scattered(&store, ACCOUNTS, EVENTS).await?;
        store.close().await;
        Ok(Self { schema })
    }

    /// Counts its events.
    pub(crate) const fn events(&self) -> u64 {
        EVENTS as u64
    }

    /// Makes a new schema with the archive's events, so many times over, each time in other streams.
    pub(crate) async fn copy(&self, times: usize) -> Result<Schema> {
        let to = self.schema.server.fresh();
        to.with_store().await?;
        let from = &self.schema.name;
        to.run(format!(
            "INSERT INTO streams SELECT s.stream_no + k * 100000, s.tenant, s.category,
                CASE k WHEN 0 THEN s.key ELSE to_hex(16 + k) || substr(s.key, 3) END
             FROM generate_series(0, {times} - 1) AS k, {from}.streams AS s;
             INSERT INTO event_log
             SELECT position + k * (SELECT max(position) FROM {from}.event_log), stream_no + k * 100000, version, event_id, kind,
                schema_version, body, meta, at
             FROM generate_series(0, {times} - 1) AS k, {from}.event_log ORDER BY k, position;
             SELECT setval('event_positions', (SELECT max(position) FROM event_log)),
                setval('stream_numbers', (SELECT max(stream_no) FROM streams) + 1)"
        ))
        .await?;
        to.run("VACUUM (ANALYZE) event_log".to_owned()).await?;
        to.run("VACUUM (ANALYZE) streams".to_owned()).await?;
        Ok(to)
    }

    /// Follows the log from its start. What takes long ends before the log does.
    pub(crate) async fn measure(&self, follow: Follow, env: &Env) -> Result<Sample> {
        let schema = self.copy(1).await?;
        let sample = match follow {
            Follow::Build => catch_up(&schema, env).await?,
            _ => by_hand(follow, &schema, env).await?,
        };
        schema.drop().await?;
        Ok(sample)
    }
}

async fn by_hand(follow: Follow, schema: &Schema, env: &Env) -> Result<Sample> {
    let mut by_hand = Loop::open(schema).await?;
    let (watch, begun) = (Watch::start(env)?, Instant::now());
    let going = || begun.elapsed() < env.time;
    let events = match follow {
        Follow::EachEvent => by_hand.each_event(going).await?,
        Follow::EachRow => by_hand.each_row(going).await?,
        Follow::Folded | Follow::Build => by_hand.folded().await?,
    };
    let sample = watch.stop(events, env)?;
    by_hand.check(events).await?;
    Ok(sample)
}

/// Builds an application on stored events, and waits until its projection has passed them.
async fn catch_up(schema: &Schema, env: &Env) -> Result<Sample> {
    let store = schema.store().await?;
    let events = store.event_count().await?;
    let watch = Watch::start(env)?;
    let app = App::<Behind, _>::builder(store).build().await?;
    app.caught_up().within_secs(600).await?;
    let sample = watch.stop(events, env)?;
    let rows = app.table::<Balance>().list().await?;
    expect(rows.len(), rows.iter().map(|row| row.entries).sum(), events)?;
    app.shutdown().await;
    Ok(sample)
}

/// Makes sure that nothing was left out: each event but an account's first one is an entry.
pub(crate) fn expect(rows: usize, entries: i64, events: u64) -> Result<()> {
    let seen = u64::try_from(entries)? + rows as u64;
    if seen == events { Ok(()) } else { Err(format!("the rows hold {seen} events, not {events}").into()) }
}
