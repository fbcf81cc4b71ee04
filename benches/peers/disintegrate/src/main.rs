//! disintegrate on disintegrate-postgres: decisions over state queries, as its documentation shows a bank.
//!
//! A deposit's decision asks only whether the account was opened, so deposits do not invalidate each other. A withdrawal asks for the
//! balance; by its validation query only other withdrawals invalidate it (the documentation's own example).

use std::process::ExitCode;

use disintegrate::serde::json::Json;
use disintegrate::{
    Decision, DecisionError, Event, EventId, EventSourcedStateStore, LoadState as _, NoSnapshot, PersistedEvent,
    StateMutate, StateQuery, StreamQuery, event_types, query,
};
use disintegrate_postgres::{Error, PgDecisionMaker, PgEventId, PgEventStore, decision_maker};
use peers_workload::{Answer, Bank, Command, Options, Result};
use serde::{Deserialize, Serialize};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use uuid::Uuid;

#[derive(Clone, Debug, PartialEq, Eq, Event, Serialize, Deserialize)]
#[stream(OpeningEvent, [Opened])]
#[stream(AccountEvent, [Opened, Deposited, Withdrawn])]
enum DomainEvent {
    Opened {
        #[id]
        account: Uuid,
        owner: String,
    },
    Deposited {
        #[id]
        account: Uuid,
        cents: i64,
    },
    Withdrawn {
        #[id]
        account: Uuid,
        cents: i64,
    },
}

/// The library's own function, whose hexadecimal literal `0xFFFFFFFF` only PostgreSQL 16 understands, with that number in decimal:
/// without this the library cannot be used on PostgreSQL 15.
const BEGIN_EPOCH: &str = "
    CREATE OR REPLACE FUNCTION event_store_begin_epoch()
    RETURNS void AS $$
    DECLARE
        id BIGINT;
        db_id INT;
    BEGIN
        SELECT last_value INTO id FROM seq_event_event_id;
        SELECT oid INTO db_id FROM pg_database WHERE datname = current_database();

        PERFORM pg_try_advisory_xact_lock_shared(db_id, 0);
        PERFORM pg_try_advisory_xact_lock_shared(1, (id & 4294967295)::bit(32)::integer);
        PERFORM pg_try_advisory_xact_lock_shared(2, (id >> 32)::bit(32)::integer);
    END;
    $$ LANGUAGE plpgsql";

/// Whether an account is open.
#[derive(Clone, Default, StateQuery, Serialize, Deserialize)]
#[state_query(OpeningEvent)]
struct Opening {
    #[id]
    account: Uuid,
    opened: bool,
}

impl StateMutate for Opening {
    fn mutate(&mut self, event: Self::Event) {
        match event {
            OpeningEvent::Opened { .. } => self.opened = true,
        }
    }
}

/// What is in an account.
#[derive(Clone, Default, StateQuery, Serialize, Deserialize)]
#[state_query(AccountEvent)]
struct Content {
    #[id]
    account: Uuid,
    opened: bool,
    cents: i64,
}

impl StateMutate for Content {
    fn mutate(&mut self, event: Self::Event) {
        match event {
            AccountEvent::Opened { .. } => self.opened = true,
            AccountEvent::Deposited { cents, .. } => self.cents += cents,
            AccountEvent::Withdrawn { cents, .. } => self.cents -= cents,
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("refused")]
struct Refusal;

struct Open {
    account: Uuid,
    owner: String,
}

impl Decision for Open {
    type Event = DomainEvent;
    type StateQuery = Opening;
    type Error = Refusal;

    fn state_query(&self) -> Opening {
        Opening { account: self.account, opened: false }
    }

    fn process(&self, state: &Opening) -> Result<Vec<DomainEvent>, Refusal> {
        if state.opened {
            return Err(Refusal);
        }
        Ok(vec![DomainEvent::Opened { account: self.account, owner: self.owner.clone() }])
    }
}

struct Deposit {
    account: Uuid,
    cents: i64,
}

impl Decision for Deposit {
    type Event = DomainEvent;
    type StateQuery = Opening;
    type Error = Refusal;

    fn state_query(&self) -> Opening {
        Opening { account: self.account, opened: false }
    }

    fn process(&self, state: &Opening) -> Result<Vec<DomainEvent>, Refusal> {
        if !state.opened {
            return Err(Refusal);
        }
        Ok(vec![DomainEvent::Deposited { account: self.account, cents: self.cents }])
    }
}

struct Withdraw {
    account: Uuid,
    cents: i64,
}

impl Decision for Withdraw {
    type Event = DomainEvent;
    type StateQuery = Content;
    type Error = Refusal;

    fn state_query(&self) -> Content {
        Content { account: self.account, ..Content::default() }
    }

    fn validation_query<ID: EventId>(&self) -> Option<StreamQuery<ID, DomainEvent>> {
        let all = query!(DomainEvent; account == self.account);
        Some(all.exclude_events(event_types!(DomainEvent, [Opened, Deposited])))
    }

    fn process(&self, state: &Content) -> Result<Vec<DomainEvent>, Refusal> {
        if !state.opened || self.cents > state.cents {
            return Err(Refusal);
        }
        Ok(vec![DomainEvent::Withdrawn { account: self.account, cents: self.cents }])
    }
}

type Store = PgEventStore<DomainEvent, Json<DomainEvent>>;

struct Disintegrate {
    maker: PgDecisionMaker<DomainEvent, Json<DomainEvent>, NoSnapshot>,
    states: EventSourcedStateStore<PgEventId, DomainEvent, Store, NoSnapshot>,
}

impl Bank for Disintegrate {
    const PEER: &'static str = "disintegrate";
    const VERSION: &'static str = "4.0.0 (disintegrate-postgres 4.0.1)";

    async fn connect(options: &Options) -> Result<Self> {
        let url: PgConnectOptions = options.url.parse()?;
        prepare(url.clone()).await?;
        let pool =
            PgPoolOptions::new().max_connections(options.pool).connect_with(url.statement_cache_capacity(0)).await?;
        let store = PgEventStore::new_uninitialized(pool, Json::default());
        Ok(Self {
            maker: decision_maker(store.clone(), NoSnapshot),
            states: EventSourcedStateStore::new(store, NoSnapshot),
        })
    }

    async fn open(&self, account: Uuid, owner: &str) -> Result<Answer> {
        answer(self.maker.make(Open { account, owner: owner.to_owned() }).await)
    }

    async fn execute(&self, account: Uuid, command: Command) -> Result<Answer> {
        match command {
            Command::Deposit(cents) => answer(self.maker.make(Deposit { account, cents }).await),
            Command::Withdraw(cents) => answer(self.maker.make(Withdraw { account, cents }).await),
        }
    }

    async fn balance(&self, account: Uuid) -> Result<i64> {
        Ok(self.states.load(Content { account, ..Content::default() }).await?.state().cents)
    }
}

/// Lets the library make its tables and functions; and one function anew where the server is too old for it.
async fn prepare(url: PgConnectOptions) -> Result<()> {
    let unchecked = url.options([("check_function_bodies", "off")]);
    let pool = PgPoolOptions::new().max_connections(1).connect_with(unchecked).await?;
    Store::try_new(pool.clone(), Json::default()).await?;
    let server: i32 = sqlx::query_scalar("SELECT current_setting('server_version_num')::int").fetch_one(&pool).await?;
    if server < 160_000 {
        sqlx::raw_sql(BEGIN_EPOCH).execute(&pool).await?;
    }
    pool.close().await;
    Ok(())
}

type Made = Result<Vec<PersistedEvent<PgEventId, DomainEvent>>, DecisionError<Refusal>>;

/// What the library calls concurrent, and what PostgreSQL calls so (40001) where the library passes it on as it came.
fn answer(made: Made) -> Result<Answer> {
    match made {
        Ok(_) => Ok(Answer::Done),
        Err(DecisionError::Domain(Refusal)) => Ok(Answer::Refused),
        Err(DecisionError::StateStore(error) | DecisionError::EventStore(error)) => match error.downcast_ref() {
            Some(Error::Concurrency) => Ok(Answer::Conflict),
            Some(Error::Database(sqlx::Error::Database(known))) if known.code().as_deref() == Some("40001") => {
                Ok(Answer::Conflict)
            }
            _ => Err(error),
        },
    }
}

fn main() -> ExitCode {
    peers_workload::run::<Disintegrate>()
}
