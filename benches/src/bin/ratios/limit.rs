//! The limits: the runtime's own rows written into its own table, with nothing around it.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use chrono::Utc;
use es_benches::bank::EntryBooked;
use es_benches::ratios::write::{Work, pick};
use es_benches::{Result, fill};
use es_runtime::event::DomainEvent as _;
use rusqlite::Connection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteSynchronous};
use sqlx::{AssertSqlSafe, ConnectOptions as _, SqlSafeStr as _};
use tokio::sync::{Mutex, mpsc, oneshot};
use uuid::Uuid;

use crate::write::Load;

const INSERT: &str =
    "INSERT INTO event_log (event_id, body, meta, stream_no, version, kind, schema_version, at) VALUES ";
const ROW: &str = "(?, ?, ?, ?, ?, ?, 1, ?)";

/// How long a group waits for as many as came last time; as the store's default.
const LINGER: Duration = Duration::from_micros(150);

/// A row of the log.
struct Row {
    id: Uuid,
    body: Vec<u8>,
    meta: Vec<u8>,
    stream: i64,
    version: i64,
    at: i64,
}

/// Makes the rows of streams that are visited in a scattered order.
struct Rows {
    next: AtomicUsize,
    streams: usize,
}

impl Rows {
    const fn of(load: Load) -> Self {
        Self { next: AtomicUsize::new(0), streams: load.accounts }
    }

    fn next(&self) -> Result<Row> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        Ok(Row {
            id: Uuid::now_v7(),
            body: fill::booked(1)?,
            meta: serde_json::to_vec(&*fill::metadata())?,
            stream: i64::try_from(pick(0, number, 1, self.streams))? + 1,
            version: i64::try_from(number / self.streams)? + 1,
            at: Utc::now().timestamp_micros(),
        })
    }
}

/// One statement with all rows of a group through sqlx.
pub(crate) struct RowInserts {
    connection: Mutex<SqliteConnection>,
    rows: Rows,
    group: usize,
    sql: sqlx::SqlStr,
}

impl RowInserts {
    pub(crate) async fn open(file: &Path, load: Load) -> Result<Self> {
        let connection = SqliteConnectOptions::new()
            .filename(file)
            .synchronous(if load.durable { SqliteSynchronous::Full } else { SqliteSynchronous::Normal })
            .pragma("wal_autocheckpoint", "4000")
            .pragma("cache_size", "-65536")
            .connect()
            .await?;
        let sql = format!("{INSERT}{}", vec![ROW; load.clients].join(", "));
        let sql = AssertSqlSafe(sql).into_sql_str();
        Ok(Self { connection: Mutex::new(connection), rows: Rows::of(load), group: load.clients, sql })
    }
}

impl Work for RowInserts {
    async fn once(&self, _: usize, _: usize) -> Result<u64> {
        let mut query = sqlx::query(self.sql.clone());
        for _ in 0..self.group {
            let Row { id, body, meta, stream, version, at } = self.rows.next()?;
            query = query.bind(id.as_bytes().to_vec()).bind(body).bind(meta).bind(stream).bind(version);
            query = query.bind(EntryBooked::NAME).bind(at);
        }
        Ok(query.execute(&mut *self.connection.lock().await).await?.rows_affected())
    }
}

fn connect(file: &Path, load: Load) -> Result<Connection> {
    let connection = Connection::open(file)?;
    connection.pragma_update(None, "synchronous", if load.durable { "FULL" } else { "NORMAL" })?;
    connection.pragma_update(None, "wal_autocheckpoint", 4_000)?;
    connection.pragma_update(None, "cache_size", -65_536)?;
    Ok(connection)
}

fn insert(connection: &Connection, row: &Row) -> Result<()> {
    let Row { id, body, meta, stream, version, at } = row;
    connection.prepare_cached(&format!("{INSERT}{ROW}"))?.execute(rusqlite::params![
        id.as_bytes().as_slice(),
        body,
        meta,
        stream,
        version,
        EntryBooked::NAME,
        at
    ])?;
    Ok(())
}

/// One row a commit through rusqlite.
pub(crate) struct Inserts {
    connection: std::sync::Mutex<Connection>,
    rows: Rows,
}

impl Inserts {
    pub(crate) fn open(file: &Path, load: Load) -> Result<Self> {
        Ok(Self { connection: std::sync::Mutex::new(connect(file, load)?), rows: Rows::of(load) })
    }
}

impl Work for Inserts {
    async fn once(&self, _: usize, _: usize) -> Result<u64> {
        let row = self.rows.next()?;
        // Blocks the only client on purpose: without threads between, this is as fast as SQLite commits.
        insert(&*self.connection.lock().map_err(|_| "poisoned")?, &row)?;
        Ok(1)
    }
}

/// A row, and who waits for its commit.
type Waiting = (Row, oneshot::Sender<()>);

/// Group commit by a thread that has the connection in its hand.
pub(crate) struct GroupInserts {
    queue: mpsc::Sender<Waiting>,
    rows: Rows,
}

impl GroupInserts {
    pub(crate) fn start(file: &Path, load: Load) -> Result<Self> {
        let connection = connect(file, load)?;
        let (queue, waiting) = mpsc::channel(4_096);
        // The writer: ends when the last sender is gone. An error ends it too, and the clients find the queue closed.
        std::thread::spawn(move || write_groups(&connection, waiting));
        Ok(Self { queue, rows: Rows::of(load) })
    }
}

impl Work for GroupInserts {
    async fn once(&self, _: usize, _: usize) -> Result<u64> {
        let (answer, answered) = oneshot::channel();
        self.queue.send((self.rows.next()?, answer)).await?;
        answered.await?;
        Ok(1)
    }
}

fn write_groups(connection: &Connection, mut queue: mpsc::Receiver<Waiting>) -> Result<()> {
    let mut target = 0;
    while let Some(first) = queue.blocking_recv() {
        let mut group = vec![first];
        let until = Instant::now() + LINGER;
        loop {
            while let Ok(next) = queue.try_recv() {
                group.push(next);
            }
            if group.len() >= target || Instant::now() >= until {
                break;
            }
            std::thread::yield_now();
        }
        connection.execute_batch("BEGIN IMMEDIATE")?;
        for (row, _) in &group {
            insert(connection, row)?;
        }
        connection.execute_batch("COMMIT")?;
        let company = group.len() + queue.len();
        target = if company > 1 { company } else { 0 };
        for (_, answer) in group {
            let _nobody_waits = answer.send(());
        }
    }
    Ok(())
}
