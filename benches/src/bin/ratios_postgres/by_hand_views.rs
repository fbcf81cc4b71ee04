//! Projections as one writes them by hand: a loop that reads the log, and upserts.

use std::collections::HashMap;

use es_benches::Result;
use es_benches::bank::{AccountOpened, EntryBooked};
use es_runtime::event::DomainEvent as _;
use sqlx::Connection as _;
use sqlx::postgres::PgConnection;

use crate::archive::expect;
use crate::server::Schema;

const TABLES: &str = "
    CREATE TABLE hand_balances (
        account text COLLATE \"C\" PRIMARY KEY, cents bigint NOT NULL, entries bigint NOT NULL
    ) WITH (fillfactor = 50);
    CREATE TABLE hand_cursor (name text COLLATE \"C\" PRIMARY KEY, position bigint NOT NULL) WITH (fillfactor = 50);
    INSERT INTO hand_cursor VALUES ('balances', 0);";

/// Only what the projection needs. Nobody writes beside it, so the loop needs no care for positions that come late.
const PAGE: &str = "SELECT e.position, s.key, e.kind, e.body FROM event_log AS e \
    JOIN streams AS s ON s.stream_no = e.stream_no WHERE e.position > $1 ORDER BY e.position LIMIT 1000";

const UPSERT: &str = "INSERT INTO hand_balances AS b VALUES ($1, $2, $3) ON CONFLICT (account) \
    DO UPDATE SET cents = b.cents + excluded.cents, entries = b.entries + excluded.entries";

const UPSERT_ALL: &str = "INSERT INTO hand_balances AS b SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[]) \
    ON CONFLICT (account) DO UPDATE SET cents = b.cents + excluded.cents, entries = b.entries + excluded.entries";

const CURSOR: &str = "UPDATE hand_cursor SET position = $1 WHERE name = 'balances'";

const SUM: &str = "SELECT count(*), coalesce(sum(entries), 0)::bigint FROM hand_balances";

type Event = (i64, String, String, Vec<u8>);

/// What an event adds to its account: cents and entries.
fn added(kind: &str, body: &[u8]) -> Result<(i64, i64)> {
    match kind {
        AccountOpened::NAME => serde_json::from_slice::<AccountOpened>(body).map(|_| (0, 0)).map_err(Into::into),
        EntryBooked::NAME => Ok((serde_json::from_slice::<EntryBooked>(body)?.cents, 1)),
        other => Err(format!("`{other}` is no event of an account").into()),
    }
}

/// Loops; reads and writes with a connection each, as a pool would.
pub(crate) struct Loop {
    reader: PgConnection,
    writer: PgConnection,
}

impl Loop {
    pub(crate) async fn open(schema: &Schema) -> Result<Self> {
        schema.run(TABLES.to_owned()).await?;
        Ok(Self { reader: schema.connect().await?, writer: schema.connect().await? })
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
                let mut transaction = self.writer.begin().await?;
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
            let mut transaction = self.writer.begin().await?;
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
            let (mut accounts, mut cents, mut entries) = (Vec::new(), Vec::new(), Vec::new());
            for (account, (more_cents, more_entries)) in sums {
                accounts.push(account);
                cents.push(more_cents);
                entries.push(more_entries);
            }
            let mut transaction = self.writer.begin().await?;
            let upsert = sqlx::query(UPSERT_ALL).bind(accounts).bind(cents).bind(entries);
            upsert.execute(&mut *transaction).await?;
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

async fn upsert(connection: &mut PgConnection, account: &str, (cents, entries): (i64, i64)) -> Result<()> {
    sqlx::query(UPSERT).bind(account).bind(cents).bind(entries).execute(connection).await?;
    Ok(())
}
