//! The limit: the runtime's own rows written into its own table, one statement with many rows after the other, on one connection.

use std::sync::atomic::{AtomicUsize, Ordering};

use chrono::{DateTime, Utc};
use es_benches::bank::EntryBooked;
use es_benches::ratios::write::{Work, pick};
use es_benches::{Result, fill};
use es_runtime::event::DomainEvent as _;
use sqlx::postgres::PgConnection;
use tokio::sync::Mutex;
use uuid::Uuid;

use crate::server::Schema;

const INSERT: &str = "INSERT INTO event_log (position, stream_no, version, event_id, kind, schema_version, body, meta, at) \
    SELECT nextval('event_positions'), e.* \
    FROM unnest($1::bigint[], $2::bigint[], $3::uuid[], $4::text[], $5::bigint[], $6::bytea[], $7::bytea[], $8::timestamptz[]) AS e";

/// The columns of rows of the log.
#[derive(Default)]
pub(crate) struct Columns {
    pub(crate) streams: Vec<i64>,
    pub(crate) versions: Vec<i64>,
    pub(crate) ids: Vec<Uuid>,
    pub(crate) kinds: Vec<&'static str>,
    pub(crate) schemas: Vec<i64>,
    pub(crate) bodies: Vec<Vec<u8>>,
    pub(crate) metas: Vec<Vec<u8>>,
    pub(crate) times: Vec<DateTime<Utc>>,
}

/// A row of the log.
pub(crate) struct Row {
    stream: i64,
    version: i64,
    id: Uuid,
    body: Vec<u8>,
    meta: Vec<u8>,
    at: DateTime<Utc>,
}

impl Columns {
    pub(crate) fn push(&mut self, row: Row) {
        self.streams.push(row.stream);
        self.versions.push(row.version);
        self.ids.push(row.id);
        self.kinds.push(EntryBooked::NAME);
        self.schemas.push(1);
        self.bodies.push(row.body);
        self.metas.push(row.meta);
        self.times.push(row.at);
    }
}

/// Makes the rows of streams that are visited in a scattered order.
pub(crate) struct Rows {
    next: AtomicUsize,
    streams: usize,
}

impl Rows {
    pub(crate) const fn of(streams: usize) -> Self {
        Self { next: AtomicUsize::new(0), streams }
    }

    pub(crate) fn next(&self) -> Result<Row> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        Ok(Row {
            stream: i64::try_from(pick(0, number, 1, self.streams))? + 1,
            version: i64::try_from(number / self.streams)? + 1,
            id: Uuid::now_v7(),
            body: fill::booked(1)?,
            meta: serde_json::to_vec(&*fill::metadata())?,
            at: Utc::now(),
        })
    }
}

/// One statement with all rows of a group.
pub(crate) struct RowInserts {
    connection: Mutex<PgConnection>,
    rows: Rows,
    group: usize,
}

impl RowInserts {
    /// Connects to a schema with the store's tables.
    pub(crate) async fn open(schema: &Schema, streams: usize, group: usize) -> Result<Self> {
        Ok(Self { connection: Mutex::new(schema.connect().await?), rows: Rows::of(streams), group })
    }
}

impl Work for RowInserts {
    async fn once(&self, _: usize, _: usize) -> Result<u64> {
        let mut columns = Columns::default();
        for _ in 0..self.group {
            columns.push(self.rows.next()?);
        }
        let insert = sqlx::query(INSERT).bind(columns.streams).bind(columns.versions).bind(columns.ids);
        let insert = insert.bind(columns.kinds).bind(columns.schemas).bind(columns.bodies).bind(columns.metas);
        let inserted = insert.bind(columns.times).execute(&mut *self.connection.lock().await).await?;
        Ok(inserted.rows_affected())
    }
}
