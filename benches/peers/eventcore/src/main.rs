//! eventcore on eventcore-postgres: commands that declare their stream, run by `execute` under the library's own retries.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use eventcore::postgres::{MaxConnections, PostgresConfig, PostgresEventStore};
use eventcore::{
    CommandError, CommandLogic, Event, MetricsHook, NewEvents, RetryContext, RetryPolicy, StreamId, collect_events,
};
use eventcore_types::{EventStore as _, EventStoreError};
use peers_workload::{Answer, Bank, Command, Options, Result};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

#[derive(Clone, Debug, Serialize, Deserialize)]
enum AccountEvent {
    Opened { account: StreamId, owner: String },
    Deposited { account: StreamId, cents: i64 },
    Withdrawn { account: StreamId, cents: i64 },
}

impl Event for AccountEvent {
    fn stream_id(&self) -> &StreamId {
        match self {
            Self::Opened { account, .. } | Self::Deposited { account, .. } | Self::Withdrawn { account, .. } => account,
        }
    }

    fn event_type_name() -> &'static str {
        "AccountEvent"
    }
}

#[derive(Default)]
struct Account {
    opened: bool,
    balance: i64,
}

impl Account {
    fn apply(self, event: &AccountEvent) -> Self {
        match event {
            AccountEvent::Opened { .. } => Self { opened: true, ..self },
            AccountEvent::Deposited { cents, .. } => Self { balance: self.balance + cents, ..self },
            AccountEvent::Withdrawn { cents, .. } => Self { balance: self.balance - cents, ..self },
        }
    }
}

enum Wish {
    Open(String),
    Move(Command),
}

#[derive(eventcore::Command)]
struct Ask {
    #[stream]
    account: StreamId,
    wish: Wish,
}

#[derive(Debug, thiserror::Error)]
#[error("refused")]
struct Refusal;

impl CommandLogic for Ask {
    type Event = AccountEvent;
    type State = Account;

    fn apply(&self, state: Account, event: &AccountEvent) -> Account {
        state.apply(event)
    }

    fn handle(&self, state: Account) -> Result<NewEvents<AccountEvent>, CommandError> {
        let account = self.account.clone();
        let event = match &self.wish {
            Wish::Open(owner) if !state.opened => AccountEvent::Opened { account, owner: owner.clone() },
            Wish::Move(Command::Deposit(cents)) if state.opened => AccountEvent::Deposited { account, cents: *cents },
            Wish::Move(Command::Withdraw(cents)) if state.opened && *cents <= state.balance => {
                AccountEvent::Withdrawn { account, cents: *cents }
            }
            Wish::Open(_) | Wish::Move(_) => return Err(CommandError::BusinessRuleViolation(Box::new(Refusal))),
        };
        Ok(vec![event].into())
    }
}

/// Counts what the library tries again.
struct Retries(Arc<AtomicU64>);

impl MetricsHook for Retries {
    fn on_retry_attempt(&self, _: &RetryContext) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

struct EventCore {
    store: PostgresEventStore,
    retries: Arc<AtomicU64>,
    policy: RetryPolicy,
}

impl EventCore {
    async fn ask(&self, account: Uuid, wish: Wish) -> Result<Answer> {
        let ask = Ask { account: stream(account)?, wish };
        match eventcore::execute(&self.store, ask, self.policy.clone()).await {
            Ok(_) => Ok(Answer::Done),
            Err(CommandError::BusinessRuleViolation(_)) => Ok(Answer::Refused),
            // After as many tries as the library's policy has.
            Err(
                CommandError::ConcurrencyError(_)
                | CommandError::EventStoreError(EventStoreError::VersionConflict { .. }),
            ) => Ok(Answer::Conflict),
            Err(error) => Err(error.into()),
        }
    }
}

impl Bank for EventCore {
    const PEER: &'static str = "eventcore";
    const VERSION: &'static str = "2.1.0 (eventcore-postgres 2.1.0)";

    async fn connect(options: &Options) -> Result<Self> {
        let connections = options.pool.try_into()?;
        let config = PostgresConfig { max_connections: MaxConnections::new(connections), ..PostgresConfig::default() };
        let store = PostgresEventStore::with_config(options.url.as_str(), config).await?;
        store.migrate().await;
        let retries = Arc::new(AtomicU64::new(0));
        let policy = RetryPolicy::new().with_metrics_hook(Retries(Arc::clone(&retries)));
        Ok(Self { store, retries, policy })
    }

    async fn open(&self, account: Uuid, owner: &str) -> Result<Answer> {
        self.ask(account, Wish::Open(owner.to_owned())).await
    }

    async fn execute(&self, account: Uuid, command: Command) -> Result<Answer> {
        self.ask(account, Wish::Move(command)).await
    }

    async fn balance(&self, account: Uuid) -> Result<i64> {
        let events: Vec<AccountEvent> = collect_events(self.store.read_stream(stream(account)?).await?).await?;
        Ok(events.iter().fold(Account::default(), Account::apply).balance)
    }

    fn retries(&self) -> u64 {
        self.retries.load(Ordering::Relaxed)
    }
}

fn stream(account: Uuid) -> Result<StreamId> {
    Ok(StreamId::try_new(format!("account-{account}"))?)
}

fn main() -> ExitCode {
    peers_workload::run::<EventCore>()
}
