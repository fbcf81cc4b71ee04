//! es-entity: an entity, its repository, and the two tables that its book asks for. A command finds the entity by its id, and updates it.

use std::process::ExitCode;

use errlanes::TransientKind;
use es_entity::{
    EntityEvents, EntityEventsBuilder, EntityHydrationError, EsEntity, EsEvent, EsRepo, FromCaller, IntoEvents,
    TryFromEvents,
};
use peers_workload::{Answer, Bank, Command, Options, Result};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use uuid::Uuid;

es_entity::entity_id! { AccountId }

/// The account's events.
#[derive(EsEvent, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[es_event(id = "AccountId")]
pub enum AccountEvent {
    /// It is there.
    Opened {
        /// Which one.
        id: AccountId,
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

/// An account.
#[derive(EsEntity)]
pub struct Account {
    /// Which one.
    pub id: AccountId,
    balance: i64,
    events: EntityEvents<AccountEvent>,
}

impl Account {
    /// Whether the command was accepted.
    fn execute(&mut self, command: Command) -> bool {
        match command {
            Command::Deposit(cents) => {
                self.balance += cents;
                self.events.push(AccountEvent::Deposited { cents });
            }
            Command::Withdraw(cents) if cents <= self.balance => {
                self.balance -= cents;
                self.events.push(AccountEvent::Withdrawn { cents });
            }
            Command::Withdraw(_) => return false,
        }
        true
    }
}

impl TryFromEvents<AccountEvent> for Account {
    fn try_from_events(events: EntityEvents<AccountEvent>) -> Result<Self, EntityHydrationError> {
        let balance = events.iter_all().fold(0, |balance, event| match event {
            AccountEvent::Opened { .. } => balance,
            AccountEvent::Deposited { cents } => balance + cents,
            AccountEvent::Withdrawn { cents } => balance - cents,
        });
        Ok(Self { id: *events.id(), balance, events })
    }
}

/// An account to be opened.
pub struct NewAccount {
    id: AccountId,
    owner: String,
}

impl IntoEvents<AccountEvent> for NewAccount {
    type IdSource = FromCaller;

    fn into_events(self, builder: EntityEventsBuilder<AccountEvent, FromCaller>) -> EntityEvents<AccountEvent> {
        builder.initial_events(self.id, [AccountEvent::Opened { id: self.id, owner: self.owner }])
    }
}

/// All accounts.
#[derive(EsRepo)]
#[es_repo(entity = "Account", id(source = caller))]
pub struct Accounts {
    pool: PgPool,
}

impl Bank for Accounts {
    const PEER: &'static str = "es-entity";
    const VERSION: &'static str = "0.20.3";

    async fn connect(options: &Options) -> Result<Self> {
        let pool = PgPoolOptions::new().max_connections(options.pool).connect(&options.url).await?;
        sqlx::migrate!().run(&pool).await?;
        Ok(Self { pool })
    }

    async fn open(&self, account: Uuid, owner: &str) -> Result<Answer> {
        self.create(NewAccount { id: account.into(), owner: owner.to_owned() }).await?;
        Ok(Answer::Done)
    }

    async fn execute(&self, account: Uuid, command: Command) -> Result<Answer> {
        let mut account = self.find_by_id(AccountId::from(account)).await?;
        if !account.execute(command) {
            return Ok(Answer::Refused);
        }
        match self.update(&mut account).await {
            Ok(_) => Ok(Answer::Done),
            Err(error) if error.as_transient().is_some_and(|it| it.kind == TransientKind::OptimisticConflict) => {
                Ok(Answer::Conflict)
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn balance(&self, account: Uuid) -> Result<i64> {
        Ok(self.find_by_id(AccountId::from(account)).await?.balance)
    }
}

fn main() -> ExitCode {
    peers_workload::run::<Accounts>()
}
