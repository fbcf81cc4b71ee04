//! Reading: replays, streams and scans of one file, against plain selects of the same rows.

use std::path::Path;
use std::time::{Duration, Instant};

use es_benches::bank::{Account, Bank};
use es_benches::ratios::sample::Sample;
use es_benches::{Result, fill};
use es_runtime::aggregate::Aggregate as _;
use es_runtime::app::App;
use es_runtime::event::{GlobalPosition, Metadata, StreamId, Version};
use es_runtime::store::sqlite::Durability;
use es_runtime::store::{EventStore as _, SqliteStore};
use rusqlite::{Connection, OpenFlags};
use sqlx::sqlite::SqliteRow;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions as _, FromRow, Row as _};
use tokio::sync::Mutex;
use uuid::Uuid;

use crate::hand::fold;

/// Who reads what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Read {
    /// `app.load` of the long stream.
    Load,
    /// `SELECT` of the long stream through sqlx, then `serde_json` and fold.
    Select,
    /// `store.read_stream` of short streams.
    Stream,
    /// `SELECT *` of short streams through sqlx.
    SelectStream,
    /// `store.read_all`, page after page.
    Scan,
    /// `SELECT *` of pages through sqlx, to structs with decoded metadata.
    SelectScan,
    /// The same through rusqlite.
    RusqliteScan,
}

const LONG: u64 = 10_000;
const SHORT: u64 = 100;
const PAGE: usize = 1_000;
const MMAP: &str = "1073741824";

/// A file with one long stream and a hundred short ones, mixed.
pub(crate) struct Library {
    app: App<Bank, SqliteStore>,
    sqlx: Mutex<SqliteConnection>,
    rusqlite: std::sync::Mutex<Connection>,
    long: Uuid,
    short: Vec<StreamId>,
}

/// A row of the log as a program takes it.
#[expect(dead_code, reason = "made to be measured")]
struct LogRow {
    position: i64,
    stream_no: i64,
    version: i64,
    event_id: Vec<u8>,
    kind: String,
    schema_version: i64,
    body: Vec<u8>,
    meta: Vec<u8>,
    at: i64,
}

impl FromRow<'_, SqliteRow> for LogRow {
    fn from_row(row: &SqliteRow) -> sqlx::Result<Self> {
        Ok(Self {
            position: row.try_get(0)?,
            stream_no: row.try_get(1)?,
            version: row.try_get(2)?,
            event_id: row.try_get(3)?,
            kind: row.try_get(4)?,
            schema_version: row.try_get(5)?,
            body: row.try_get(6)?,
            meta: row.try_get(7)?,
            at: row.try_get(8)?,
        })
    }
}

impl Library {
    pub(crate) async fn new(folder: &Path) -> Result<Self> {
        let file = folder.join("library.db");
        let store = SqliteStore::options().durability(Durability::ProcessCrash).open(&file).await?;
        let long = Uuid::now_v7();
        let short = fill::accounts(100);
        fill::mixed(&store, long, LONG, &short, SHORT).await?;
        let options = SqliteConnectOptions::new().filename(&file).read_only(true);
        let sqlx = options.pragma("mmap_size", MMAP).pragma("cache_size", "-65536").connect().await?;
        let rusqlite = Connection::open_with_flags(&file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        rusqlite.pragma_update(None, "mmap_size", MMAP)?;
        rusqlite.pragma_update(None, "cache_size", -65_536)?;
        let app = App::builder(store).build().await?;
        let short = short.iter().map(Account::stream).collect();
        Ok(Self { app, sqlx: Mutex::new(sqlx), rusqlite: std::sync::Mutex::new(rusqlite), long, short })
    }

    /// Reads again and again for a while.
    pub(crate) async fn measure(&self, read: Read, time: Duration) -> Result<Sample> {
        self.once(read, 0).await?;
        let (begun, mut events, mut turn) = (Instant::now(), 0, 0);
        while begun.elapsed() < time {
            turn += 1;
            events += self.once(read, turn).await? as u64;
        }
        Ok(Sample::of(events, begun.elapsed()))
    }

    async fn once(&self, read: Read, turn: usize) -> Result<usize> {
        let short = &self.short[turn * 37 % self.short.len()];
        match read {
            Read::Load => {
                let loaded = self.app.load::<Account>(self.long).await?;
                expect(loaded.state().map(Account::balance), LONG)?;
                Ok(usize::try_from(loaded.version().get())?)
            }
            Read::Select => {
                let mut connection = self.sqlx.lock().await;
                let events: Vec<(String, Vec<u8>)> = sqlx::query_as(
                    "SELECT kind, body FROM event_log WHERE stream_no = \
                     (SELECT stream_no FROM streams WHERE tenant = '' AND category = ? AND key = ?) ORDER BY version",
                )
                .bind(Account::NAME)
                .bind(self.long.to_string())
                .fetch_all(&mut *connection)
                .await?;
                expect(Some(fold(&events)?), LONG)?;
                Ok(events.len())
            }
            Read::Stream => Ok(self.app.store().read_stream(short, Version::NONE, PAGE).await?.len()),
            Read::SelectStream => {
                let mut connection = self.sqlx.lock().await;
                let rows: Vec<LogRow> = sqlx::query_as(
                    "SELECT * FROM event_log WHERE stream_no = \
                     (SELECT stream_no FROM streams WHERE tenant = '' AND category = ? AND key = ?) ORDER BY version",
                )
                .bind(short.category())
                .bind(short.key())
                .fetch_all(&mut *connection)
                .await?;
                Ok(rows.len())
            }
            Read::Scan => {
                let mut last = GlobalPosition::START;
                let mut events = 0;
                loop {
                    let page = self.app.store().read_all(last, PAGE).await?;
                    let Some(event) = page.last() else { return Ok(events) };
                    last = event.position();
                    events += page.len();
                }
            }
            Read::SelectScan => self.select_scan().await,
            Read::RusqliteScan => self.rusqlite_scan(),
        }
    }

    async fn select_scan(&self) -> Result<usize> {
        let mut connection = self.sqlx.lock().await;
        let (mut last, mut events) = (0, 0);
        loop {
            let rows: Vec<LogRow> =
                sqlx::query_as("SELECT * FROM event_log WHERE position > ? ORDER BY position LIMIT 1000")
                    .bind(last)
                    .fetch_all(&mut *connection)
                    .await?;
            let Some(row) = rows.last() else { return Ok(events) };
            last = row.position;
            events += rows.len();
            decode_metadata(&rows)?;
        }
    }

    fn rusqlite_scan(&self) -> Result<usize> {
        let connection = self.rusqlite.lock().map_err(|_| "poisoned")?;
        let mut select =
            connection.prepare_cached("SELECT * FROM event_log WHERE position > ? ORDER BY position LIMIT 1000")?;
        let (mut last, mut events) = (0, 0);
        loop {
            let rows = select.query_map([last], |row| {
                Ok(LogRow {
                    position: row.get(0)?,
                    stream_no: row.get(1)?,
                    version: row.get(2)?,
                    event_id: row.get(3)?,
                    kind: row.get(4)?,
                    schema_version: row.get(5)?,
                    body: row.get(6)?,
                    meta: row.get(7)?,
                    at: row.get(8)?,
                })
            })?;
            let rows: Vec<LogRow> = rows.collect::<rusqlite::Result<_>>()?;
            let Some(row) = rows.last() else { return Ok(events) };
            last = row.position;
            events += rows.len();
            decode_metadata(&rows)?;
        }
    }
}

fn decode_metadata(rows: &[LogRow]) -> Result<()> {
    for row in rows {
        std::hint::black_box(serde_json::from_slice::<Metadata>(&row.meta)?);
    }
    Ok(())
}

fn expect(balance: Option<i64>, events: u64) -> Result<()> {
    let wanted = i64::try_from(events)? - 1;
    if balance == Some(wanted) { Ok(()) } else { Err(format!("a balance of {balance:?}, not {wanted}").into()) }
}
