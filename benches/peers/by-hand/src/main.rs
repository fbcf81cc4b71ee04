//! By hand: one transaction a command, which selects the account's events, folds them, checks, and inserts under the next version.

use std::process::ExitCode;

use peers_workload::{Answer, Bank, Command, Options, Result};
use serde::{Deserialize, Serialize};
use sqlx::postgres::{PgConnection, PgPool, PgPoolOptions};
use sqlx::types::Json;
use uuid::Uuid;

const TABLE: &str = "
    CREATE TABLE events (
        position BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        account UUID NOT NULL,
        version BIGINT NOT NULL,
        body JSONB NOT NULL,
        at TIMESTAMPTZ NOT NULL DEFAULT now(),
        UNIQUE (account, version)
    )";

#[derive(Serialize, Deserialize)]
enum Event {
    Opened { owner: String },
    Deposited { cents: i64 },
    Withdrawn { cents: i64 },
}

/// An account's state and version.
#[derive(Default)]
struct Account {
    version: i64,
    balance: i64,
}

impl Account {
    fn fold(events: Vec<(Json<Event>,)>) -> Self {
        events.into_iter().fold(Self::default(), |account, (event,)| Self {
            version: account.version + 1,
            balance: match event.0 {
                Event::Opened { .. } => 0,
                Event::Deposited { cents } => account.balance + cents,
                Event::Withdrawn { cents } => account.balance - cents,
            },
        })
    }
}

struct ByHand {
    pool: PgPool,
}

impl Bank for ByHand {
    const PEER: &'static str = "by hand";
    const VERSION: &'static str = "sqlx 0.9.0";

    async fn connect(options: &Options) -> Result<Self> {
        let pool = PgPoolOptions::new().max_connections(options.pool).connect(&options.url).await?;
        sqlx::raw_sql(TABLE).execute(&pool).await?;
        Ok(Self { pool })
    }

    async fn open(&self, account: Uuid, owner: &str) -> Result<Answer> {
        let mut transaction = self.pool.begin().await?;
        if load(&mut transaction, account).await?.version != 0 {
            return Ok(Answer::Refused);
        }
        let inserted = insert(&mut transaction, account, 1, Event::Opened { owner: owner.to_owned() }).await;
        answer(match inserted {
            Ok(()) => transaction.commit().await,
            Err(error) => Err(error),
        })
    }

    async fn execute(&self, account: Uuid, command: Command) -> Result<Answer> {
        let mut transaction = self.pool.begin().await?;
        let state = load(&mut transaction, account).await?;
        let event = match command {
            Command::Deposit(cents) => Event::Deposited { cents },
            Command::Withdraw(cents) if cents <= state.balance => Event::Withdrawn { cents },
            Command::Withdraw(_) => return Ok(Answer::Refused),
        };
        answer(match insert(&mut transaction, account, state.version + 1, event).await {
            Ok(()) => transaction.commit().await,
            Err(error) => Err(error),
        })
    }

    async fn balance(&self, account: Uuid) -> Result<i64> {
        Ok(load(&mut *self.pool.acquire().await?, account).await?.balance)
    }
}

async fn load(connection: &mut PgConnection, account: Uuid) -> Result<Account, sqlx::Error> {
    let events = sqlx::query_as("SELECT body FROM events WHERE account = $1 ORDER BY version")
        .bind(account)
        .fetch_all(connection)
        .await?;
    Ok(Account::fold(events))
}

async fn insert(connection: &mut PgConnection, account: Uuid, version: i64, event: Event) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO events (account, version, body) VALUES ($1, $2, $3)")
        .bind(account)
        .bind(version)
        .bind(Json(event))
        .execute(connection)
        .await?;
    Ok(())
}

/// The version is taken: somebody else was faster.
fn answer(stored: Result<(), sqlx::Error>) -> Result<Answer> {
    match stored {
        Ok(()) => Ok(Answer::Done),
        Err(sqlx::Error::Database(error)) if error.is_unique_violation() => Ok(Answer::Conflict),
        Err(error) => Err(error.into()),
    }
}

fn main() -> ExitCode {
    peers_workload::run::<ByHand>()
}
