//! evento, the newest stable release: an aggregator, loaded before each command and saved with `save_with`, as its documentation does.

#![expect(clippy::unused_async, reason = "the library wants its handlers so")]

use std::process::ExitCode;

use bincode::{Decode, Encode};
use evento::migrator::{Migrate as _, Plan};
use evento::{AggregatorName, EventDetails, WriteError};
use peers_workload::{Answer, Bank, Command, Options, Result};
use serde::{Deserialize, Serialize};
use sqlx::postgres::PgPoolOptions;
use ulid::Ulid;
use uuid::Uuid;

#[derive(AggregatorName, Encode, Decode)]
struct Opened {
    owner: String,
}

#[derive(AggregatorName, Encode, Decode)]
struct Deposited {
    cents: i64,
}

#[derive(AggregatorName, Encode, Decode)]
struct Withdrawn {
    cents: i64,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize, Encode, Decode)]
struct Account {
    balance: i64,
}

#[evento::aggregator]
impl Account {
    async fn opened(&mut self, _event: EventDetails<Opened>) -> anyhow::Result<()> {
        self.balance = 0;
        Ok(())
    }

    async fn deposited(&mut self, event: EventDetails<Deposited>) -> anyhow::Result<()> {
        self.balance += event.data.cents;
        Ok(())
    }

    async fn withdrawn(&mut self, event: EventDetails<Withdrawn>) -> anyhow::Result<()> {
        self.balance -= event.data.cents;
        Ok(())
    }
}

struct Evento {
    executor: evento::Postgres,
}

impl Bank for Evento {
    const PEER: &'static str = "evento";
    const VERSION: &'static str = "1.8.0";

    async fn connect(options: &Options) -> Result<Self> {
        let pool = PgPoolOptions::new().max_connections(options.pool).connect(&options.url).await?;
        evento::sql_migrator::new::<sqlx::Postgres>()?.run(&mut *pool.acquire().await?, &Plan::apply_all()).await?;
        Ok(Self { executor: pool.into() })
    }

    async fn open(&self, account: Uuid, owner: &str) -> Result<Answer> {
        let opened = Opened { owner: owner.to_owned() };
        let stored = evento::create_with::<Account>(id(account)).data(&opened)?.commit(&self.executor).await;
        answer(stored)
    }

    async fn execute(&self, account: Uuid, command: Command) -> Result<Answer> {
        let account = evento::load::<Account, _>(&self.executor, id(account)).await?;
        let balance = account.item.balance;
        let save = evento::save_with(account);
        let save = match command {
            Command::Deposit(cents) => save.data(&Deposited { cents })?,
            Command::Withdraw(cents) if cents <= balance => save.data(&Withdrawn { cents })?,
            Command::Withdraw(_) => return Ok(Answer::Refused),
        };
        answer(save.commit(&self.executor).await)
    }

    async fn balance(&self, account: Uuid) -> Result<i64> {
        Ok(evento::load::<Account, _>(&self.executor, id(account)).await?.item.balance)
    }
}

/// The library's column for ids has room for 26 characters.
fn id(account: Uuid) -> String {
    Ulid(account.as_u128()).to_string()
}

fn answer(stored: Result<String, WriteError>) -> Result<Answer> {
    match stored {
        Ok(_) => Ok(Answer::Done),
        Err(WriteError::InvalidOriginalVersion) => Ok(Answer::Conflict),
        Err(error) => Err(error.into()),
    }
}

fn main() -> ExitCode {
    peers_workload::run::<Evento>()
}
