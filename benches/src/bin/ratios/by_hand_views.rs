//! Projections as one writes them by hand: a loop that reads the log, and upserts.

use std::collections::HashMap;
use std::path::Path;

use es_benches::Result;
use es_benches::bank::{AccountOpened, EntryBooked};
use es_runtime::event::DomainEvent as _;
use rusqlite::Connection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions as _, Connection as _};

use crate::archive::expect;

const TABLES: &str = "
    CREATE TABLE hand_balances (
        account TEXT PRIMARY KEY, cents INTEGER NOT NULL, entries INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE hand_cursor (name TEXT PRIMARY KEY, position INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    INSERT INTO hand_cursor VALUES ('balances', 0);";

/// Only what the projection needs.
const PAGE: &str = "SELECT e.position, s.key, e.kind, e.body FROM event_log AS e \
    JOIN streams AS s ON s.stream_no = e.stream_no WHERE e.position > ? ORDER BY e.position LIMIT 1000";

const UPSERT: &str = "INSERT INTO hand_balances VALUES (?, ?, ?) ON CONFLICT (account) \
    DO UPDATE SET cents = cents + excluded.cents, entries = entries + excluded.entries";

const UPSERT_ALL: &str = "INSERT INTO hand_balances SELECT e.value->>0, e.value->>1, e.value->>2 FROM json_each(?) AS e \
    WHERE true ON CONFLICT (account) DO UPDATE SET cents = cents + excluded.cents, entries = entries + excluded.entries";

const CURSOR: &str = "UPDATE hand_cursor SET position = ? WHERE name = 'balances'";

const SUM: &str = "SELECT count(*), sum(entries) FROM hand_balances";

type Event = (i64, String, String, Vec<u8>);

/// What an event adds to its account: cents and entries.
fn added(kind: &str, body: &[u8]) -> Result<(i64, i64)> {
    match kind {
        AccountOpened::NAME => serde_json::from_slice::<AccountOpened>(body).map(|_| (0, 0)).map_err(Into::into),
        EntryBooked::NAME => Ok((serde_json::from_slice::<EntryBooked>(body)?.cents, 1)),
        other => Err(format!("`{other}` is no event of an account").into()),
    }
}

/// Loops through sqlx; reads and writes with a connection each, as a pool would.
pub(crate) struct Loop {
    reader: SqliteConnection,
    writer: SqliteConnection,
}

impl Loop {
    pub(crate) async fn open(file: &Path) -> Result<Self> {
        let options = SqliteConnectOptions::new().filename(file);
        let options = options.pragma("cache_size", "-65536").pragma("wal_autocheckpoint", "4000");
        let mut writer = options.clone().connect().await?;
        sqlx::raw_sql(TABLES).execute(&mut writer).await?;
        Ok(Self { reader: options.read_only(true).connect().await?, writer })
    }

    async fn page(&mut self, last: i64) -> Result<Vec<Event>> {
        Ok(sqlx::query_as(PAGE).bind(last).fetch_all(&mut self.reader).await?)
    }

    /// One transaction an event.
    pub(crate) async fn each_event(&mut self, going: impl Fn() -> bool) -> Result<u64> {
        let (mut last, mut events) = (0, 0);
        while going() {
            for (position, account, kind, body) in self.page(last).await? {
                if !going() {
                    break;
                }
                let mut transaction = self.writer.begin_with("BEGIN IMMEDIATE").await?;
                upsert(&mut transaction, &account, added(&kind, &body)?).await?;
                sqlx::query(CURSOR).bind(position).execute(&mut *transaction).await?;
                transaction.commit().await?;
                last = position;
                events += 1;
            }
        }
        Ok(events)
    }

    /// A transaction for each page, a statement an event.
    pub(crate) async fn each_row(&mut self, going: impl Fn() -> bool) -> Result<u64> {
        let (mut last, mut events) = (0, 0);
        while going() {
            let page = self.page(last).await?;
            let Some((end, ..)) = page.last() else { break };
            last = *end;
            let mut transaction = self.writer.begin_with("BEGIN IMMEDIATE").await?;
            for (_, account, kind, body) in &page {
                upsert(&mut transaction, account, added(kind, body)?).await?;
            }
            sqlx::query(CURSOR).bind(last).execute(&mut *transaction).await?;
            transaction.commit().await?;
            events += page.len() as u64;
        }
        Ok(events)
    }

    /// A transaction for each page, which is folded in memory and written with one statement.
    pub(crate) async fn folded(&mut self) -> Result<u64> {
        let (mut last, mut events) = (0, 0);
        loop {
            let page = self.page(last).await?;
            let Some((end, ..)) = page.last() else { return Ok(events) };
            last = *end;
            let mut sums: HashMap<&str, (i64, i64)> = HashMap::new();
            for (_, account, kind, body) in &page {
                let (cents, entries) = added(kind, body)?;
                let sum = sums.entry(account).or_default();
                *sum = (sum.0 + cents, sum.1 + entries);
            }
            let rows: Vec<_> = sums.into_iter().map(|(account, (cents, entries))| (account, cents, entries)).collect();
            let mut transaction = self.writer.begin_with("BEGIN IMMEDIATE").await?;
            sqlx::query(UPSERT_ALL).bind(serde_json::to_string(&rows)?).execute(&mut *transaction).await?;
            sqlx::query(CURSOR).bind(last).execute(&mut *transaction).await?;
            transaction.commit().await?;
            events += page.len() as u64;
        }
    }

    /// Makes sure that nothing was left out.
    pub(crate) async fn check(&mut self, events: u64) -> Result<()> {
        let (rows, entries): (i64, i64) = sqlx::query_as(SUM).fetch_one(&mut self.reader).await?;
        expect(usize::try_from(rows)?, entries, events)
    }
}

async fn upsert(connection: &mut SqliteConnection, account: &str, (cents, entries): (i64, i64)) -> Result<()> {
    sqlx::query(UPSERT).bind(account.to_owned()).bind(cents).bind(entries).execute(connection).await?;
    Ok(())
}

/// A loop through rusqlite, on one connection in one thread.
pub(crate) struct Rusqlite(Connection);

impl Rusqlite {
    pub(crate) fn open(file: &Path) -> Result<Self> {
        let connection = Connection::open(file)?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "wal_autocheckpoint", 4_000)?;
        connection.pragma_update(None, "cache_size", -65_536)?;
        connection.execute_batch(TABLES)?;
        Ok(Self(connection))
    }

    /// A transaction for each page, a statement an event.
    pub(crate) fn each_row(&mut self) -> Result<u64> {
        let (mut last, mut events) = (0, 0);
        loop {
            let page: Vec<Event> = {
                let mut select = self.0.prepare_cached(PAGE)?;
                let rows = select.query_map([last], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?;
                rows.collect::<rusqlite::Result<_>>()?
            };
            let Some((end, ..)) = page.last() else { return Ok(events) };
            last = *end;
            self.0.execute_batch("BEGIN IMMEDIATE")?;
            let mut upsert = self.0.prepare_cached(UPSERT)?;
            for (_, account, kind, body) in &page {
                let (cents, entries) = added(kind, body)?;
                upsert.execute(rusqlite::params![account, cents, entries])?;
            }
            self.0.prepare_cached(CURSOR)?.execute([last])?;
            drop(upsert);
            self.0.execute_batch("COMMIT")?;
            events += page.len() as u64;
        }
    }

    /// Makes sure that nothing was left out.
    pub(crate) fn check(&self, events: u64) -> Result<()> {
        let (rows, entries): (i64, i64) = self.0.query_row(SUM, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
        expect(usize::try_from(rows)?, entries, events)
    }
}
