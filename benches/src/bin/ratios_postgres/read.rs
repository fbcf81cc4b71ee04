//! Reading a long log: through a subscription and from the store, against plain selects of the same rows.

use std::sync::Arc;
use std::time::Instant;

use es_benches::Result;
use es_benches::bank::{AccountOpened, EntryBooked};
use es_benches::ratios::env::Env;
use es_benches::ratios::sample::Sample;
use es_benches::ratios::watch::Watch;
use es_runtime::app::App;
use es_runtime::event::{DomainEvent as _, GlobalPosition, Metadata};
use es_runtime::store::EventStore as _;
use sqlx::postgres::PgRow;
use sqlx::{Connection as _, FromRow, Row as _};
use tokio_postgres::NoTls;
use uuid::Uuid;

use crate::archive::Archive;
use crate::server::Schema;
use es_benches::readers::{Following, Seen};

/// Who reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Read {
    /// A projection that counts: from `build` to `caught_up`.
    Subscription,
    /// `DECLARE CURSOR` and `FETCH` through sqlx; metadata and bodies are decoded.
    Cursor,
    /// `store.read_all`, page after page.
    Scan,
    /// The same pages through tokio-postgres, to structs with decoded metadata.
    TokioScan,
}

const COLUMNS: &str = "position, stream_no, version, event_id, kind, schema_version, body, meta, at";

/// A row of the log as a program takes it.
#[expect(dead_code, reason = "made to be measured")]
struct LogRow {
    position: i64,
    stream_no: i64,
    version: i64,
    event_id: Uuid,
    kind: String,
    schema_version: i64,
    body: Vec<u8>,
    metadata: Metadata,
    at: chrono::DateTime<chrono::Utc>,
}

impl FromRow<'_, PgRow> for LogRow {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        let metadata = serde_json::from_slice(row.try_get(7)?).map_err(|error| sqlx::Error::Decode(error.into()))?;
        Ok(Self {
            position: row.try_get(0)?,
            stream_no: row.try_get(1)?,
            version: row.try_get(2)?,
            event_id: row.try_get(3)?,
            kind: row.try_get(4)?,
            schema_version: row.try_get(5)?,
            body: row.try_get(6)?,
            metadata,
            at: row.try_get(8)?,
        })
    }
}

impl LogRow {
    fn of(row: &tokio_postgres::Row) -> Result<Self> {
        Ok(Self {
            position: row.try_get(0)?,
            stream_no: row.try_get(1)?,
            version: row.try_get(2)?,
            event_id: row.try_get(3)?,
            kind: row.try_get(4)?,
            schema_version: row.try_get(5)?,
            body: row.try_get(6)?,
            metadata: serde_json::from_slice(row.try_get(7)?)?,
            at: row.try_get(8)?,
        })
    }

    fn decode(&self) -> Result<()> {
        match self.kind.as_str() {
            AccountOpened::NAME => drop(std::hint::black_box(serde_json::from_slice::<AccountOpened>(&self.body)?)),
            EntryBooked::NAME => drop(std::hint::black_box(serde_json::from_slice::<EntryBooked>(&self.body)?)),
            other => return Err(format!("`{other}` is no event of an account").into()),
        }
        Ok(())
    }
}

/// A schema with a long log.
pub(crate) struct Library {
    schema: Schema,
    events: u64,
}

impl Library {
    pub(crate) async fn new(archive: &Archive, copies: usize) -> Result<Self> {
        let schema = archive.copy(copies).await?;
        let mut connection = schema.connect().await?;
        let events: i64 = sqlx::query_scalar("SELECT count(*) FROM event_log").fetch_one(&mut connection).await?;
        Ok(Self { schema, events: u64::try_from(events)? })
    }

    /// Reads all of it, again and again for a while.
    pub(crate) async fn measure(&self, read: Read, env: &Env) -> Result<Sample> {
        let mut sample = match read {
            Read::Subscription => self.subscription(env).await,
            Read::Cursor => self.cursor(env).await,
            Read::Scan => self.scan(env).await,
            Read::TokioScan => self.tokio_scan(env).await,
        }?;
        // Readers flush nothing.
        sample.per_flush = None;
        Ok(sample)
    }

    fn expect(&self, seen: u64) -> Result<()> {
        if seen == self.events { Ok(()) } else { Err(format!("{seen} events, not {}", self.events).into()) }
    }

    /// Once, from the start.
    async fn subscription(&self, env: &Env) -> Result<Sample> {
        // As if there had never been one.
        self.schema.run("TRUNCATE projections, subscriptions, processes, dead_letters, watermarks".to_owned()).await?;
        let (store, seen) = (self.schema.store().await?, Arc::new(Seen::default()));
        let watch = Watch::start(env)?;
        let app = App::<Following, _>::builder(store).shared_dependency(Arc::clone(&seen)).build().await?;
        app.caught_up().within_secs(600).await?;
        let sample = watch.stop(self.events, env)?;
        app.shutdown().await;
        self.expect(seen.count())?;
        Ok(sample)
    }

    async fn cursor(&self, env: &Env) -> Result<Sample> {
        let mut connection = self.schema.connect().await?;
        let (watch, begun, mut events) = (Watch::start(env)?, Instant::now(), 0);
        while events == 0 || begun.elapsed() < env.time {
            let mut transaction = connection.begin().await?;
            let declare = "DECLARE log NO SCROLL CURSOR FOR SELECT position, stream_no, version, event_id, kind, \
                schema_version, body, meta, at FROM event_log ORDER BY position";
            sqlx::query(declare).execute(&mut *transaction).await?;
            let mut seen = 0;
            loop {
                let rows: Vec<LogRow> = sqlx::query_as("FETCH 1000 FROM log").fetch_all(&mut *transaction).await?;
                rows.iter().try_for_each(LogRow::decode)?;
                seen += rows.len() as u64;
                if rows.is_empty() {
                    break;
                }
            }
            transaction.rollback().await?;
            self.expect(seen)?;
            events += seen;
        }
        watch.stop(events, env)
    }

    async fn scan(&self, env: &Env) -> Result<Sample> {
        let store = self.schema.store().await?;
        let (watch, begun, mut events) = (Watch::start(env)?, Instant::now(), 0);
        while events == 0 || begun.elapsed() < env.time {
            let (mut last, mut seen) = (GlobalPosition::START, 0);
            loop {
                let page = store.read_all(last, 1_000).await?;
                let Some(event) = page.last() else { break };
                last = event.position();
                seen += page.len() as u64;
            }
            self.expect(seen)?;
            events += seen;
        }
        let sample = watch.stop(events, env);
        store.close().await;
        sample
    }

    async fn tokio_scan(&self, env: &Env) -> Result<Sample> {
        let (client, connection) = tokio_postgres::connect(self.schema.server.url(), NoTls).await?;
        // The connection's own task: it ends with the client.
        tokio::spawn(connection);
        let table = &self.schema.name;
        let sql = format!("SELECT {COLUMNS} FROM {table}.event_log WHERE position > $1 ORDER BY position LIMIT 1000");
        let select = client.prepare(&sql).await?;
        let (watch, begun, mut events) = (Watch::start(env)?, Instant::now(), 0);
        while events == 0 || begun.elapsed() < env.time {
            let (mut last, mut seen) = (0_i64, 0);
            loop {
                let rows = client.query(&select, &[&last]).await?;
                let rows: Vec<LogRow> = rows.iter().map(LogRow::of).collect::<Result<_>>()?;
                let Some(row) = rows.last() else { break };
                last = row.position;
                seen += rows.len() as u64;
            }
            self.expect(seen)?;
            events += seen;
        }
        watch.stop(events, env)
    }
}
