//! evento, the newest release, an alpha of version 2: commands as its README shows them, with the write gateway of a projection that
//! keeps its rows in memory (`snapshot(memory)`); or, asked to keep nothing, with `snapshot(none)`.

use std::process::ExitCode;

use evento::metadata::Event;
use evento::migrator::{Migrate as _, Plan};
use evento::{ProjectionAggregate as _, WriteError};
use peers_workload::{Answer, Bank, Command, Options, Result};
use sqlx::postgres::PgPoolOptions;
use uuid::Uuid;

/// The account's events.
#[evento::aggregate(name = "bank/Account")]
pub enum Account {
    /// It is there.
    Opened {
        /// Whose it is.
        owner: String,
    },
    /// Money came.
    Deposited {
        /// How much.
        cents: i64,
    },
    /// Money went.
    Withdrawn {
        /// How much.
        cents: i64,
    },
}

/// A write model with a kind of snapshot.
macro_rules! write_model {
    ($name:ident, $snapshot:ident) => {
        mod $name {
            use super::{Deposited, Event, Opened, Withdrawn};

            #[evento::projection(id = id)]
            #[evento::snapshot($snapshot)]
            pub(crate) struct Row {
                pub(crate) id: String,
                pub(crate) balance: i64,
            }

            #[evento::handler]
            async fn on_opened(event: Event<Opened>, row: &mut Row) -> anyhow::Result<()> {
                row.id = event.aggregate_id.to_owned();
                Ok(())
            }

            #[evento::handler]
            async fn on_deposited(event: Event<Deposited>, row: &mut Row) -> anyhow::Result<()> {
                row.balance += event.data.cents;
                Ok(())
            }

            #[evento::handler]
            async fn on_withdrawn(event: Event<Withdrawn>, row: &mut Row) -> anyhow::Result<()> {
                row.balance -= event.data.cents;
                Ok(())
            }

            pub(crate) async fn load(executor: &evento::Postgres, id: &str) -> anyhow::Result<Row> {
                evento::Projection::new::<super::Account>()
                    .handler(on_opened())
                    .handler(on_deposited())
                    .handler(on_withdrawn())
                    .strict()
                    .load(id)
                    .execute(executor)
                    .await?
                    .ok_or_else(|| anyhow::anyhow!("account {id} is not there"))
            }
        }
    };
}

write_model!(kept, memory);
write_model!(replayed, none);

struct Evento {
    executor: evento::Postgres,
    cold: bool,
}

impl Bank for Evento {
    const PEER: &'static str = "evento alpha";
    const VERSION: &'static str = "2.0.0-alpha.38";

    async fn connect(options: &Options) -> Result<Self> {
        let pool = PgPoolOptions::new().max_connections(options.pool).connect(&options.url).await?;
        evento::sql_migrator::new::<sqlx::Postgres>()?.run(&mut *pool.acquire().await?, &Plan::apply_all()).await?;
        Ok(Self { executor: pool.into(), cold: options.cold })
    }

    async fn open(&self, account: Uuid, owner: &str) -> Result<Answer> {
        let opened = Opened { owner: owner.to_owned() };
        answer(evento::append(id(account)).original_version(0).event(&opened).commit(&self.executor).await)
    }

    async fn execute(&self, account: Uuid, command: Command) -> Result<Answer> {
        let (mut write, balance) = if self.cold {
            let row = replayed::load(&self.executor, &id(account)).await?;
            (row.write()?, row.balance)
        } else {
            let row = kept::load(&self.executor, &id(account)).await?;
            (row.write()?, row.balance)
        };
        answer(match command {
            Command::Deposit(cents) => write.event(&Deposited { cents }).commit(&self.executor).await,
            Command::Withdraw(cents) if cents <= balance => {
                write.event(&Withdrawn { cents }).commit(&self.executor).await
            }
            Command::Withdraw(_) => return Ok(Answer::Refused),
        })
    }

    /// What the events say; and it is told if what was kept says something else.
    async fn balance(&self, account: Uuid) -> Result<i64> {
        let balance = replayed::load(&self.executor, &id(account)).await?.balance;
        if !self.cold {
            let kept = kept::load(&self.executor, &id(account)).await?.balance;
            if kept != balance {
                eprintln!("{}: account {account} is kept with {kept} cents, its events say {balance}", Self::PEER);
                return Ok(kept);
            }
        }
        Ok(balance)
    }
}

fn id(account: Uuid) -> String {
    account.to_string()
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
