//! What one writes by hand: a pool, and one transaction a command.

use std::sync::atomic::{AtomicI64, Ordering};

use chrono::Utc;
use es_benches::bank::{AccountOpened, EntryBooked, TEXT};
use es_benches::ratios::write::{Work, pick};
use es_benches::{Result, fill};
use es_runtime::event::DomainEvent as _;
use sqlx::postgres::{PgConnection, PgPool, PgPoolOptions};
use uuid::Uuid;

use crate::server::Schema;
use crate::write::Load;

const TABLES: &str = "
    CREATE TABLE events (
        position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, account text COLLATE \"C\" NOT NULL, version bigint NOT NULL,
        event_id uuid NOT NULL, kind text COLLATE \"C\" NOT NULL, body bytea NOT NULL, meta bytea NOT NULL, at timestamptz NOT NULL,
        UNIQUE (account, version)
    );
    CREATE TABLE accounts (
        account text COLLATE \"C\" PRIMARY KEY, version bigint NOT NULL, balance bigint NOT NULL
    ) WITH (fillfactor = 50);";

const INSERT: &str =
    "INSERT INTO events (account, version, event_id, kind, body, meta, at) VALUES ($1, $2, $3, $4, $5, $6, $7)";

/// What one transaction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hand {
    /// Selects the account's events and folds them, checks, inserts.
    Events,
    /// Selects the account's state, checks, inserts, updates the state.
    State,
    /// Inserts, between `BEGIN` and `COMMIT`.
    Insert,
    /// Inserts, without them.
    Autocommit,
    /// Takes a lock that only one has at a time, inserts: then positions are final in their order.
    Lock,
    /// Inserts, and notifies in the same transaction.
    Notify,
}

/// Accounts, written by hand.
pub(crate) struct ByHand {
    pool: PgPool,
    /// With the version that its only client knows: where nothing is loaded.
    accounts: Vec<(String, AtomicI64)>,
    clients: usize,
    hand: Hand,
}

impl ByHand {
    /// Makes tables with open accounts.
    pub(crate) async fn open(schema: &Schema, load: Load, hand: Hand, connections: u32) -> Result<Self> {
        schema.create(TABLES).await?;
        let connections = connections.min(u32::try_from(load.clients)?);
        let pool = PgPoolOptions::new().max_connections(connections).min_connections(connections);
        let pool = pool.test_before_acquire(false).connect_with(schema.options()?).await?;
        let accounts: Vec<_> = fill::accounts(load.accounts).iter().map(Uuid::to_string).collect();
        let opened = serde_json::to_vec(&AccountOpened { owner: "Ann".to_owned() })?;
        let mut transaction = pool.begin().await?;
        for account in &accounts {
            insert(&mut transaction, account, 1, AccountOpened::NAME, opened.clone()).await?;
            sqlx::query("INSERT INTO accounts VALUES ($1, 1, 0)").bind(account).execute(&mut *transaction).await?;
        }
        transaction.commit().await?;
        let accounts = accounts.into_iter().map(|account| (account, 1.into())).collect();
        Ok(Self { pool, accounts, clients: load.clients, hand })
    }

    /// Ends its connections.
    pub(crate) async fn close(&self) {
        self.pool.close().await;
    }

    /// Loads, checks and inserts in one transaction.
    async fn command(&self, account: &str) -> Result<()> {
        let event = EntryBooked { cents: 1, text: TEXT.to_owned() };
        let mut transaction = self.pool.begin().await?;
        let (version, balance) = match self.hand {
            Hand::State => state(&mut transaction, account).await?,
            _ => events(&mut transaction, account).await?,
        };
        let after = balance.checked_add(event.cents).ok_or("the account is full")?;
        insert(&mut transaction, account, version + 1, EntryBooked::NAME, serde_json::to_vec(&event)?).await?;
        if self.hand == Hand::State {
            sqlx::query("UPDATE accounts SET version = $1, balance = $2 WHERE account = $3")
                .bind(version + 1)
                .bind(after)
                .bind(account)
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Inserts only; nobody else writes to the account.
    async fn append(&self, account: &str, version: i64) -> Result<()> {
        let body = fill::booked(1)?;
        if self.hand == Hand::Autocommit {
            let mut connection = self.pool.acquire().await?;
            return insert(&mut connection, account, version, EntryBooked::NAME, body).await;
        }
        let mut transaction = self.pool.begin().await?;
        if self.hand == Hand::Lock {
            sqlx::query("SELECT pg_advisory_xact_lock(4711)").execute(&mut *transaction).await?;
        }
        insert(&mut transaction, account, version, EntryBooked::NAME, body).await?;
        if self.hand == Hand::Notify {
            sqlx::query("SELECT pg_notify('events', $1)").bind(account).execute(&mut *transaction).await?;
        }
        transaction.commit().await?;
        Ok(())
    }
}

impl Work for ByHand {
    async fn once(&self, client: usize, turn: usize) -> Result<u64> {
        if matches!(self.hand, Hand::Events | Hand::State) {
            // Whoever comes second to an account begins again, as the runtime does.
            let (account, _) = &self.accounts[pick(client, turn, self.clients, self.accounts.len())];
            while let Err(error) = self.command(account).await {
                if !is_conflict(&error) {
                    return Err(error);
                }
            }
            return Ok(1);
        }
        let own = self.accounts.len().saturating_sub(client).div_ceil(self.clients);
        let (account, version) = &self.accounts[client + pick(0, turn, 1, own) * self.clients];
        let next = version.load(Ordering::Relaxed) + 1;
        self.append(account, next).await?;
        version.store(next, Ordering::Relaxed);
        Ok(1)
    }
}

fn is_conflict(error: &es_benches::Error) -> bool {
    let error = error.downcast_ref::<sqlx::Error>().and_then(sqlx::Error::as_database_error);
    error.is_some_and(sqlx::error::DatabaseError::is_unique_violation)
}

async fn state(connection: &mut PgConnection, account: &str) -> Result<(i64, i64)> {
    let state = sqlx::query_as("SELECT version, balance FROM accounts WHERE account = $1 FOR UPDATE");
    Ok(state.bind(account).fetch_one(connection).await?)
}

async fn events(connection: &mut PgConnection, account: &str) -> Result<(i64, i64)> {
    let events: Vec<(String, Vec<u8>)> =
        sqlx::query_as("SELECT kind, body FROM events WHERE account = $1 ORDER BY version")
            .bind(account)
            .fetch_all(connection)
            .await?;
    Ok((i64::try_from(events.len())?, fold(&events)?))
}

/// Folds events to a balance.
fn fold(events: &[(String, Vec<u8>)]) -> Result<i64> {
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

async fn insert(connection: &mut PgConnection, account: &str, version: i64, kind: &str, body: Vec<u8>) -> Result<()> {
    sqlx::query(INSERT)
        .bind(account)
        .bind(version)
        .bind(Uuid::now_v7())
        .bind(kind)
        .bind(body)
        .bind(serde_json::to_vec(&*fill::metadata())?)
        .bind(Utc::now())
        .execute(connection)
        .await?;
    Ok(())
}
