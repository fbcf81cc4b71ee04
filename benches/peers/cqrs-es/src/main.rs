//! cqrs-es on postgres-es, as its guide shows it: an aggregate, a command enum, `postgres_cqrs`.

use std::process::ExitCode;

use cqrs_es::event_sink::EventSink;
use cqrs_es::persist::{EventStoreAggregateContext, PersistedEventStore};
use cqrs_es::{Aggregate, AggregateError, DomainEvent, EventStore};
use peers_workload::{Answer, Bank, Command, Options, Result};
use postgres_es::{PostgresCqrs, PostgresEventRepository, postgres_cqrs};
use serde::{Deserialize, Serialize};
use sqlx::postgres::PgPoolOptions;
use uuid::Uuid;

/// From the library's `db/init.sql`.
const TABLE: &str = "
    CREATE TABLE events (
        aggregate_type text                         NOT NULL,
        aggregate_id   text                         NOT NULL,
        sequence       bigint CHECK (sequence >= 0) NOT NULL,
        event_type     text                         NOT NULL,
        event_version  text                         NOT NULL,
        payload        json                         NOT NULL,
        metadata       json                         NOT NULL,
        PRIMARY KEY (aggregate_type, aggregate_id, sequence)
    )";

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Event {
    Opened { owner: String },
    Deposited { cents: i64 },
    Withdrawn { cents: i64 },
}

impl DomainEvent for Event {
    fn event_type(&self) -> String {
        match self {
            Self::Opened { .. } => "Opened",
            Self::Deposited { .. } => "Deposited",
            Self::Withdrawn { .. } => "Withdrawn",
        }
        .to_owned()
    }

    fn event_version(&self) -> String {
        "1.0".to_owned()
    }
}

enum Wish {
    Open(String),
    Move(Command),
}

#[derive(Debug, thiserror::Error)]
#[error("refused")]
struct Refusal;

#[derive(Default, Serialize, Deserialize)]
struct Account {
    opened: bool,
    balance: i64,
}

impl Aggregate for Account {
    const TYPE: &'static str = "account";
    type Command = Wish;
    type Event = Event;
    type Error = Refusal;
    type Services = ();

    async fn handle(&mut self, wish: Wish, (): &(), sink: &EventSink<Self>) -> Result<(), Refusal> {
        let event = match wish {
            Wish::Open(owner) if !self.opened => Event::Opened { owner },
            Wish::Move(Command::Deposit(cents)) if self.opened => Event::Deposited { cents },
            Wish::Move(Command::Withdraw(cents)) if self.opened && cents <= self.balance => Event::Withdrawn { cents },
            Wish::Open(_) | Wish::Move(_) => return Err(Refusal),
        };
        sink.write(event, self).await;
        Ok(())
    }

    fn apply(&mut self, event: Event) {
        match event {
            Event::Opened { .. } => self.opened = true,
            Event::Deposited { cents } => self.balance += cents,
            Event::Withdrawn { cents } => self.balance -= cents,
        }
    }
}

struct Cqrs {
    cqrs: PostgresCqrs<Account>,
    store: PersistedEventStore<PostgresEventRepository, Account>,
}

impl Cqrs {
    async fn ask(&self, account: Uuid, wish: Wish) -> Result<Answer> {
        match self.cqrs.execute(&account.to_string(), wish).await {
            Ok(()) => Ok(Answer::Done),
            Err(AggregateError::UserError(Refusal)) => Ok(Answer::Refused),
            Err(AggregateError::AggregateConflict) => Ok(Answer::Conflict),
            Err(error) => Err(error.into()),
        }
    }
}

impl Bank for Cqrs {
    const PEER: &'static str = "cqrs-es";
    const VERSION: &'static str = "0.5.0 (postgres-es 0.5.0)";

    async fn connect(options: &Options) -> Result<Self> {
        let pool = PgPoolOptions::new().max_connections(options.pool).connect(&options.url).await?;
        sqlx::raw_sql(TABLE).execute(&pool).await?;
        let store = PersistedEventStore::new_event_store(PostgresEventRepository::new(pool.clone()));
        Ok(Self { cqrs: postgres_cqrs(pool, Vec::new(), ()), store })
    }

    async fn open(&self, account: Uuid, owner: &str) -> Result<Answer> {
        self.ask(account, Wish::Open(owner.to_owned())).await
    }

    async fn execute(&self, account: Uuid, command: Command) -> Result<Answer> {
        self.ask(account, Wish::Move(command)).await
    }

    async fn balance(&self, account: Uuid) -> Result<i64> {
        let context: EventStoreAggregateContext<Account> = self.store.load_aggregate(&account.to_string()).await?;
        Ok(context.aggregate.balance)
    }
}

fn main() -> ExitCode {
    peers_workload::run::<Cqrs>()
}
