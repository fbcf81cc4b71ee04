//! What one writes by hand: a pool, and one transaction a command that loads, checks and inserts.

use std::path::Path;

use chrono::Utc;
use es_benches::bank::{AccountOpened, EntryBooked, TEXT};
use es_benches::ratios::write::{Work, pick};
use es_benches::{Result, fill};
use es_runtime::event::DomainEvent as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use uuid::Uuid;

use crate::write::Load;

const TABLES: &str = "
    CREATE TABLE events (
        position INTEGER PRIMARY KEY, account TEXT NOT NULL, version INTEGER NOT NULL, event_id BLOB NOT NULL,
        kind TEXT NOT NULL, body BLOB NOT NULL, meta BLOB NOT NULL, at INTEGER NOT NULL, UNIQUE (account, version)
    ) STRICT;
    CREATE TABLE accounts (
        account TEXT PRIMARY KEY, version INTEGER NOT NULL, balance INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;";

const INSERT: &str =
    "INSERT INTO events (account, version, event_id, kind, body, meta, at) VALUES (?, ?, ?, ?, ?, ?, ?)";

/// Accounts, written by hand.
pub(crate) struct ByHand {
    pool: SqlitePool,
    accounts: Vec<String>,
    clients: usize,
    keeps_state: bool,
}

impl ByHand {
    /// Makes a file with open accounts.
    pub(crate) async fn open(file: &Path, load: Load, keeps_state: bool, connections: u32) -> Result<Self> {
        let options = SqliteConnectOptions::new()
            .filename(file)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(if load.durable { SqliteSynchronous::Full } else { SqliteSynchronous::Normal });
        let pool = SqlitePoolOptions::new().max_connections(connections).connect_with(options).await?;
        sqlx::raw_sql(TABLES).execute(&pool).await?;
        let accounts: Vec<String> = fill::accounts(load.accounts).iter().map(Uuid::to_string).collect();
        let opened = serde_json::to_vec(&AccountOpened { owner: "Ann".to_owned() })?;
        let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await?;
        for account in &accounts {
            insert(&mut transaction, account, 1, AccountOpened::NAME, opened.clone()).await?;
            sqlx::query("INSERT INTO accounts VALUES (?, 1, 0)").bind(account).execute(&mut *transaction).await?;
        }
        transaction.commit().await?;
        Ok(Self { pool, accounts, clients: load.clients, keeps_state })
    }
}

impl Work for ByHand {
    async fn once(&self, client: usize, turn: usize) -> Result<u64> {
        let account = self.accounts[pick(client, turn, self.clients, self.accounts.len())].as_str();
        let event = EntryBooked { cents: 1, text: TEXT.to_owned() };
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let (version, balance): (i64, i64) = if self.keeps_state {
            sqlx::query_as("SELECT version, balance FROM accounts WHERE account = ?")
                .bind(account)
                .fetch_one(&mut *transaction)
                .await?
        } else {
            let events: Vec<(String, Vec<u8>)> =
                sqlx::query_as("SELECT kind, body FROM events WHERE account = ? ORDER BY version")
                    .bind(account)
                    .fetch_all(&mut *transaction)
                    .await?;
            (i64::try_from(events.len())?, fold(&events)?)
        };
        let after = balance.checked_add(event.cents).ok_or("the account is full")?;
        insert(&mut transaction, account, version + 1, EntryBooked::NAME, serde_json::to_vec(&event)?).await?;
        if self.keeps_state {
            sqlx::query("UPDATE accounts SET version = ?, balance = ? WHERE account = ?")
                .bind(version + 1)
                .bind(after)
                .bind(account)
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(1)
    }
}

/// Folds events to a balance.
pub(crate) fn fold(events: &[(String, Vec<u8>)]) -> Result<i64> {
    let mut balance = 0;
    for (kind, body) in events {
        match kind.as_str() {
            AccountOpened::NAME => drop(serde_json::from_slice::<AccountOpened>(body)?),
            EntryBooked::NAME => balance += serde_json::from_slice::<EntryBooked>(body)?.cents,
            other => return Err(format!("`{other}` is no event of an account").into()),
        }
    }
    Ok(balance)
}

async fn insert(
    connection: &mut sqlx::SqliteConnection,
    account: &str,
    version: i64,
    kind: &str,
    body: Vec<u8>,
) -> Result<()> {
    sqlx::query(INSERT)
        .bind(account)
        .bind(version)
        .bind(Uuid::now_v7().as_bytes().as_slice())
        .bind(kind)
        .bind(body)
        .bind(serde_json::to_vec(&*fill::metadata())?)
        .bind(Utc::now().timestamp_micros())
        .execute(connection)
        .await?;
    Ok(())
}
